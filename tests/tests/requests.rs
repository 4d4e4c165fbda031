//! What an unchanged reconciliation costs at the API server, counted in front of it.

use std::path::Path;

use anyhow::{Context as _, ensure};
use kube::api::DeleteParams;
use serde_json::json;
use sluice_tests::case::config_map;
use sluice_tests::controllers::{Ground, Process, Which};
use sluice_tests::git_http::{self, Access};
use sluice_tests::objects::{
    at, create, git_repositories, is_gone, is_ready_at, kustomizations, message, request,
};
use sluice_tests::proxy::{Proxy, Seen};
use sluice_tests::{Cluster, Programs, WorkTree, eventually};

const NAMESPACE: &str = "counted";
/// Requests that may be made for a reconciliation that finds nothing new.
const MOST: usize = 4;

/// Applies `objects` objects, asks for one more reconciliation, and returns what that requested.
async fn of_unchanged(objects: usize, folder: &Path) -> anyhow::Result<Vec<String>> {
    let cluster = Cluster::start(&folder.join("cluster")).await?;
    let proxy = Proxy::start(cluster.client.clone()).await?;
    let kubeconfig = folder.join("through-the-proxy");
    proxy.write_kubeconfig(&kubeconfig)?;
    let manifests: Vec<_> = (0..objects)
        .map(|n| config_map(NAMESPACE, &format!("object-{n}"), "one"))
        .collect();
    let tree = WorkTree::with(&folder.join("tree"), &[])?;
    let manifests = manifests.join("---\n");
    let revision = tree.commit("all", &[("app/all.yaml", &manifests)], &[])?;
    tree.serve_below(&folder.join("git"), "app")?;
    let git = git_http::serve(&folder.join("git"), Access::Open, None).await;
    let ground = Ground::new(&folder.join("controllers"))?;
    let programs = Programs::choose(env!("CARGO_BIN_EXE_sluice-tests"));
    let start = |which| Process::start(&programs, which, &ground, &kubeconfig);
    let _processes = (start(Which::Source)?, start(Which::Kustomize)?);
    sluice::up::cluster::ensure_namespace(&cluster.client, NAMESPACE).await?;
    let source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "app", "namespace": NAMESPACE},
        "spec": {"interval": "1h", "url": git.url("app"), "ref": {"branch": "main"}}});
    create(&git_repositories(&cluster.client, NAMESPACE), source).await?;
    let api = kustomizations(&cluster.client, NAMESPACE);
    let kustomization = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "app", "namespace": NAMESPACE},
        "spec": {"interval": "1h", "prune": true, "wait": true, "path": "./app",
            "sourceRef": {"kind": "GitRepository", "name": "app"}}});
    create(&api, kustomization).await?;
    // What was created, that it is healthy, and that it is finished: the last that it does is to tell.
    let told = |seen: &[Seen]| seen.iter().filter(|s| s.path.ends_with("/events")).count() == 3;
    until_seen(&proxy, &told).await?;
    eventually("the first reconciliation", || async {
        let object = api.get("app").await?;
        ensure!(is_ready_at(&object, &revision), "{}", message(&object));
        Ok(())
    })
    .await?;

    request(&api, "app").await?;
    eventually("the second reconciliation", || async {
        let object = api.get("app").await?;
        let count = at(&object, "/status/history/0/totalReconciliations");
        ensure!(count == 2, "{count} so far");
        Ok(())
    })
    .await?;
    let told = |seen: &[Seen]| seen.iter().any(|s| s.path.ends_with("/events"));
    let seen = until_seen(&proxy, &told).await?;
    let of = |seen: &Seen| format!("{} {}", seen.method, seen.path);
    let mut requests: Vec<_> = seen.iter().map(of).collect();
    // Status and event are written at the same time.
    requests.sort();
    // The next round has the same cluster if it is a real one.
    for api in [api, git_repositories(&cluster.client, NAMESPACE)] {
        api.delete("app", &DeleteParams::default()).await?;
        is_gone(&api, "app").await?;
    }
    Ok(requests)
}

fn is_ours(seen: &Seen) -> bool {
    seen.agent == Which::Kustomize.name() && seen.method != "WATCH"
}

/// Takes what kustomize-controller requests until it is `enough`.
async fn until_seen(
    proxy: &Proxy,
    enough: &(dyn Fn(&[Seen]) -> bool + Sync),
) -> anyhow::Result<Vec<Seen>> {
    let all = std::sync::Mutex::new(Vec::new());
    eventually("requests", || async {
        let mut all = all.lock().ok().context("no panic")?;
        all.extend(proxy.take().into_iter().filter(is_ours));
        ensure!(enough(&all), "only {all:?}");
        Ok(all.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_reconciliation_costs_the_same_however_many_objects_there_are()
-> anyhow::Result<()> {
    let mut costs = Vec::new();
    for objects in [1, 300] {
        let folder = tempfile::tempdir()?;
        costs.push(Box::pin(of_unchanged(objects, folder.path())).await?);
    }
    ensure!(costs[0].len() <= MOST, "{:?}", costs[0]);
    ensure!(costs[0] == costs[1], "{costs:?}");
    Ok(())
}
