//! `kill -9` of either controller at any step: each of its requests to the API server is in turn the one
//! that it dies before. Whatever it had done by then, a restart completes it: what is managed is in an
//! inventory and the other way round, and what did not change is not touched.

use std::path::Path;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DeleteParams, DynamicObject};
use serde_json::json;
use sluice_tests::audit::Auditor;
use sluice_tests::case::config_map;
use sluice_tests::controllers::{Ground, Process, Which};
use sluice_tests::git_http::{self, Access};
use sluice_tests::objects::{
    config_maps, create, git_repositories, is_gone, is_ready_at, kustomizations, message, request,
    trace,
};
use sluice_tests::proxy::{Proxy, Seen};
use sluice_tests::{Cluster, Programs, WorkTree, eventually};
use tokio::sync::oneshot;

const NAMESPACE: &str = "killed";
/// More requests than any step takes: one that takes more would never end.
const MANY: usize = 80;

/// A cluster, a repository and two processes.
struct Rig {
    cluster: Cluster,
    proxy: Proxy,
    kubeconfig: std::path::PathBuf,
    ground: Ground,
    programs: Programs,
    auditor: Auditor,
    tree: WorkTree,
    processes: Vec<Process>,
    commits: usize,
}

/// How far a step came.
enum Outcome {
    /// The controller died before this request.
    Died(Seen),
    /// It was done before the controller came that far.
    Done,
}

impl Rig {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let cluster = Cluster::start(&folder.join("cluster")).await?;
        let proxy = Proxy::start(cluster.client.clone()).await?;
        let kubeconfig = folder.join("through-the-proxy");
        proxy.write_kubeconfig(&kubeconfig)?;
        let tree = WorkTree::with(
            &folder.join("tree"),
            &[
                ("app/stable.yaml", &config_map(NAMESPACE, "stable", "one")),
                ("app/changing.yaml", &config_map(NAMESPACE, "changing", "0")),
                ("app/even.yaml", &config_map(NAMESPACE, "even", "one")),
                (
                    "second/one.yaml",
                    &config_map(NAMESPACE, "second-one", "one"),
                ),
                (
                    "second/two.yaml",
                    &config_map(NAMESPACE, "second-two", "one"),
                ),
            ],
        )?;
        tree.serve_below(&folder.join("git"), "app")?;
        let git = git_http::serve(&folder.join("git"), Access::Open, None).await;
        let mut rig = Self {
            auditor: Auditor::new(cluster.client.clone()).await?,
            cluster,
            proxy,
            kubeconfig,
            ground: Ground::new(&folder.join("controllers"))?,
            programs: Programs::choose(env!("CARGO_BIN_EXE_sluice-tests")),
            tree,
            processes: Vec::new(),
            commits: 0,
        };
        rig.run(Which::Source)?;
        rig.run(Which::Kustomize)?;
        sluice::up::cluster::ensure_namespace(&rig.cluster.client, NAMESPACE).await?;
        let source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "app", "namespace": NAMESPACE},
            "spec": {"interval": "1h", "url": git.url("app"), "ref": {"branch": "main"}}});
        create(&rig.sources(), source).await?;
        create(&rig.kustomizations(), kustomization("app")).await?;
        Ok(rig)
    }

    fn run(&mut self, which: Which) -> anyhow::Result<()> {
        let process = Process::start(&self.programs, which, &self.ground, &self.kubeconfig)?;
        self.processes.push(process);
        Ok(())
    }

    fn sources(&self) -> Api<DynamicObject> {
        git_repositories(&self.cluster.client, NAMESPACE)
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        kustomizations(&self.cluster.client, NAMESPACE)
    }

    fn config_maps(&self) -> Api<DynamicObject> {
        config_maps(&self.cluster.client, NAMESPACE)
    }

    /// A commit that changes one object and adds or removes another. Returns the revision.
    async fn commit(&mut self) -> anyhow::Result<String> {
        self.commits += 1;
        let changing = config_map(NAMESPACE, "changing", &self.commits.to_string());
        let even = config_map(NAMESPACE, "even", "one");
        let mut write = vec![("app/changing.yaml", changing.as_str())];
        let mut delete = Vec::new();
        if self.commits.is_multiple_of(2) {
            write.push(("app/even.yaml", &even));
        } else {
            delete.push("app/even.yaml");
        }
        let revision = self.tree.commit("next", &write, &delete)?;
        request(&self.sources(), "app").await?;
        Ok(revision)
    }

    async fn ready_at(&self, name: &str, revision: &str) -> anyhow::Result<()> {
        let api = self.kustomizations();
        eventually(&format!("`{name}` at {revision}"), || async {
            let object = api.get(name).await?;
            ensure!(is_ready_at(&object, revision), "{}", message(&object));
            Ok(())
        })
        .await
    }

    /// Waits until a step is done or its controller is caught; then kills it and starts it again.
    async fn carried_out(
        &mut self,
        which: Which,
        caught: oneshot::Receiver<Seen>,
        done: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Outcome> {
        let mut caught = caught;
        let held = tokio::select! {
            done = done => {
                done?;
                self.proxy.disarm();
                caught.try_recv().ok()
            }
            held = &mut caught => held.ok(),
        };
        let Some(held) = held else {
            return Ok(Outcome::Done);
        };
        let at = self.processes.iter().position(|p| p.which == which);
        self.processes
            .remove(at.context("a process")?)
            .kill()
            .await?;
        self.run(which)?;
        Ok(Outcome::Died(held))
    }

    /// Nothing is lost or leaked, and `stable` is as it was.
    async fn is_whole(&self, stable: &(String, String), changing: &str) -> anyhow::Result<()> {
        self.auditor.check().await?;
        ensure!(
            &trace(&self.config_maps(), "stable").await? == stable,
            "`stable` was touched"
        );
        let (uid, _) = trace(&self.config_maps(), "changing").await?;
        ensure!(uid == changing, "`changing` was recreated");
        Ok(())
    }
}

fn kustomization(name: &str) -> serde_json::Value {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"interval": "1h", "retryInterval": "1s", "timeout": "30s", "prune": true, "wait": true,
            "path": format!("./{name}"), "sourceRef": {"kind": "GitRepository", "name": "app"}}})
}

/// Kills a controller before each of its requests of an upgrade, an installation and a deletion.
async fn killed_at_every_step(which: Which) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut rig = Rig::start(folder.path()).await?;
    let mut revision = rig.commit().await?;
    rig.ready_at("app", &revision).await?;
    let stable = trace(&rig.config_maps(), "stable").await?;
    let (changing, _) = trace(&rig.config_maps(), "changing").await?;
    let mut steps = ["upgrade", "installation", "deletion"].to_vec();
    if which == Which::Source {
        steps.truncate(1);
    }
    for step in steps {
        let mut deaths = Vec::new();
        for nth in 1.. {
            ensure!(nth < MANY, "`{step}` never ends: {deaths:?}");
            let what = format!("{step}, before request {nth}");
            let gone = rig.kustomizations();
            let outcome = match step {
                "upgrade" => {
                    let caught = rig.proxy.trap(which.name(), nth);
                    revision = rig.commit().await?;
                    let ready = ready(&rig, "app", &revision);
                    let outcome = rig.carried_out(which, caught, ready).await;
                    let outcome = outcome.with_context(|| what.clone())?;
                    rig.ready_at("app", &revision)
                        .await
                        .with_context(|| what.clone())?;
                    outcome
                }
                "installation" => {
                    let caught = rig.proxy.trap(which.name(), nth);
                    create(&rig.kustomizations(), kustomization("second")).await?;
                    let ready = ready(&rig, "second", &revision);
                    let outcome = rig.carried_out(which, caught, ready).await;
                    let outcome = outcome.with_context(|| what.clone())?;
                    rig.ready_at("second", &revision)
                        .await
                        .with_context(|| what.clone())?;
                    rig.is_whole(&stable, &changing)
                        .await
                        .with_context(|| what.clone())?;
                    gone.delete("second", &DeleteParams::default()).await?;
                    is_gone(&gone, "second").await?;
                    outcome
                }
                _ => {
                    create(&rig.kustomizations(), kustomization("second")).await?;
                    rig.ready_at("second", &revision).await?;
                    let caught = rig.proxy.trap(which.name(), nth);
                    gone.delete("second", &DeleteParams::default()).await?;
                    let outcome = rig
                        .carried_out(which, caught, is_gone(&gone, "second"))
                        .await;
                    let outcome = outcome.with_context(|| what.clone())?;
                    is_gone(&gone, "second")
                        .await
                        .with_context(|| what.clone())?;
                    outcome
                }
            };
            rig.is_whole(&stable, &changing)
                .await
                .with_context(|| what.clone())?;
            match outcome {
                Outcome::Died(before) => deaths.push(format!("{} {}", before.method, before.path)),
                Outcome::Done => break,
            }
        }
        println!("{}: {step}: survived {} deaths", which.name(), deaths.len());
        ensure!(!deaths.is_empty(), "nothing was interrupted");
    }
    Ok(())
}

/// Waits for a Kustomization without holding on to the rig.
fn ready(
    rig: &Rig,
    name: &'static str,
    revision: &str,
) -> impl Future<Output = anyhow::Result<()>> + use<> {
    let (api, revision) = (rig.kustomizations(), revision.to_owned());
    async move {
        eventually("a step", || async {
            let object = api.get(name).await?;
            ensure!(is_ready_at(&object, &revision), "{}", message(&object));
            Ok(())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kustomize_controller_killed_at_any_step_loses_and_leaks_nothing() -> anyhow::Result<()> {
    Box::pin(killed_at_every_step(Which::Kustomize)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn source_controller_killed_at_any_step_loses_and_leaks_nothing() -> anyhow::Result<()> {
    Box::pin(killed_at_every_step(Which::Source)).await
}
