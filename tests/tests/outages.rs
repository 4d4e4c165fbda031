//! What happens to everybody at once: the API server goes away and comes back, watches expire.

use anyhow::ensure;
use kube::api::DeleteParams;
use serde_json::json;
use sluice_tests::case::{Case, Stage};
use sluice_tests::objects::trace;
use sluice_tests::proxy::Proxy;
use sluice_tests::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_api_server_is_survived_by_running_controllers() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut stage = Stage::start(folder.path()).await?;
    let case = Case::begin(&stage, "server-restart").await?;
    let (tree, kept) = (case.tree.clone(), case.config_maps());
    let before = trace(&kept, "kept").await?;
    drop(case);
    let mut revision = String::new();
    stage
        .cluster
        .restart(|| {
            revision = tree.commit("while it was away", &[("README.md", "Away.\n")], &[])?;
            Ok(())
        })
        .await?;
    let mut case = Case::again(&stage, "server-restart", tree).await?;
    ensure!(trace(&kept, "kept").await? == before, "touched");
    case.revision = revision;
    case.recovers().await?;
    // The watches work as well: a deletion is noticed.
    kept.delete("kept", &DeleteParams::default()).await?;
    eventually("`kept` to be back", || async {
        let (uid, _) = trace(&kept, "kept").await?;
        ensure!(uid != before.0, "not gone yet");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_watches_hide_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::start(&folder.path().join("cluster")).await?;
    let proxy = Proxy::start(cluster.client.clone()).await?;
    let kubeconfig = folder.path().join("proxy");
    proxy.write_kubeconfig(&kubeconfig)?;
    let through = sluice_runtime::client::Cluster {
        kubeconfig: Some(kubeconfig),
        context: None,
    };
    let config = through.config().await?;
    let stage = Stage::on(cluster, &config, folder.path()).await?;
    let mut case = Case::begin(&stage, "expired-watch").await?;
    let kept = case.config_maps();
    let before = trace(&kept, "kept").await?;

    // A deletion and a new object that no watch tells of.
    proxy.deafen_watches();
    kept.delete("kept", &DeleteParams::default()).await?;
    let elsewhere = json!({"path": "./faulty", "targetNamespace": "default"});
    case.add("late", elsewhere).await?;
    proxy.expire_watches();
    eventually("`kept` to be back", || async {
        let (uid, _) = trace(&kept, "kept").await?;
        ensure!(uid != before.0, "not gone yet");
        Ok(())
    })
    .await?;
    case.comes_to("late").await?;

    // A request for a new commit.
    proxy.deafen_watches();
    case.commit(&[("README.md", "Unheard.\n")], &[]).await?;
    proxy.expire_watches();
    case.is_ready().await
}
