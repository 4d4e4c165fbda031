//! The main job from end to end: the example fleet from its first commit to its deletion.

use std::path::Path;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use serde_json::json;

use crate::controllers::Which;
use crate::{Host, WorkTree, World, at, edit, eventually, message, ready};

const PATH: &str = "./clusters/local";

struct Objects {
    deployments: Api<DynamicObject>,
    config_maps: Api<DynamicObject>,
    databases: Api<DynamicObject>,
    ingresses: Api<DynamicObject>,
}

fn objects(world: &World, namespace: &str) -> Objects {
    Objects {
        deployments: world.api("deployments.v1.apps", "Deployment", namespace),
        config_maps: world.api("configmaps.v1", "ConfigMap", namespace),
        databases: world.api("databases.v1.example.test", "Database", namespace),
        ingresses: world.api("ingresses.v1.networking.k8s.io", "Ingress", namespace),
    }
}

fn image(deployment: &DynamicObject) -> &str {
    at(deployment, "/spec/template/spec/containers/0/image")
        .as_str()
        .unwrap_or_default()
}

/// Rolls the example fleet out, repairs it, upgrades it, prunes it, breaks it, restarts everything under
/// it and deletes it.
///
/// # Errors
/// Something is not as it should be: says at which step.
pub async fn play(host: &Host, folder: &Path) -> anyhow::Result<()> {
    let tree = WorkTree::example(&folder.join("fleet"))?;
    let first = tree.commit("first of the test", &[("README.md", "A fleet.\n")], &[])?;
    let state = folder.join("state");
    let world = World::start(host, &tree, PATH, &state).await?;

    world.ready_at(&first).await.context("first commit")?;
    let production = objects(&world, "production");
    let staging = objects(&world, "staging");
    as_described(&production, &staging).await?;

    let ours = match host {
        Host::Up => true,
        Host::Processes(programs) => !programs.is_foreign(Which::Kustomize),
    };
    // Flux's kustomize-controller repairs at the next interval, and its errors name no line.
    if ours {
        drift_is_repaired(&production).await.context("drift")?;
    }
    upgrade(&tree, &world, &production)
        .await
        .context("upgrade")?;
    prune(&tree, &world).await.context("prune")?;
    let place = if ours {
        "disruption.yaml:"
    } else {
        "disruption.yaml"
    };
    broken(&tree, &world, &production, place)
        .await
        .context("a broken commit")?;
    let world = Box::pin(restart(host, &tree, world, &state))
        .await
        .context("restart")?;
    delete(world).await.context("deletion")
}

/// What the overlays say is what the cluster has.
async fn as_described(production: &Objects, staging: &Objects) -> anyhow::Result<()> {
    let shop = production.deployments.get("shop").await?;
    ensure!(image(&shop) == "registry.example.test/shop:1.4.2");
    ensure!(at(&shop, "/spec/replicas") == 3);
    ensure!(shop.labels()["environment"] == "production");
    ensure!(shop.labels()["kustomize.toolkit.fluxcd.io/name"] == "production-shop");
    let settings = at(
        &shop,
        "/spec/template/spec/containers/0/envFrom/0/configMapRef/name",
    );
    let settings = settings.as_str().context("a reference")?;
    ensure!(settings.starts_with("shop-"), "not hashed: {settings}");
    production.config_maps.get(settings).await?;
    let rehearsal = staging.deployments.get("shop").await?;
    ensure!(image(&rehearsal) == "registry.example.test/shop:1.5.0-rc.2");
    let host = "/spec/rules/0/host";
    let ingress = staging.ingresses.get("shop").await?;
    ensure!(at(&ingress, host) == "shop-staging.example.test");
    let ingress = production.ingresses.get("shop").await?;
    ensure!(at(&ingress, host) == "shop.example.test");
    let database = production.databases.get("orders").await?;
    ensure!(
        at(&database, "/spec") == &json!({"engine": "postgres", "replicas": 2, "size": "20Gi"})
    );
    let database = staging.databases.get("orders").await?;
    ensure!(at(&database, "/spec/replicas") == 1, "the CRD's default");
    ensure!(at(&database, "/spec/size") == "2Gi", "substituted");
    Ok(())
}

/// What somebody deletes or edits is put back, without waiting for an interval.
async fn drift_is_repaired(production: &Objects) -> anyhow::Result<()> {
    let before = production.deployments.get("shop").await?;
    edit(
        &production.deployments,
        "shop",
        &json!({"spec": {"replicas": 1}}),
    )
    .await?;
    eventually("three replicas again", || async {
        let shop = production.deployments.get("shop").await?;
        ensure!(at(&shop, "/spec/replicas") == 3);
        ensure!(shop.uid() == before.uid(), "edited in place");
        Ok(())
    })
    .await?;
    let ingress = production.ingresses.get("shop").await?;
    production
        .ingresses
        .delete("shop", &Default::default())
        .await?;
    eventually("the ingress to be back", || async {
        let again = production.ingresses.get("shop").await?;
        ensure!(again.uid() != ingress.uid());
        Ok(())
    })
    .await
}

/// A new commit is rolled out and everything is ready at it.
async fn upgrade(tree: &WorkTree, world: &World, production: &Objects) -> anyhow::Result<()> {
    let file = "apps/production/shop/kustomization.yaml";
    let text = tree.read(file)?.replace("1.4.2", "1.5.0");
    let revision = world
        .commit(tree, "shop 1.5.0", &[(file, &text)], &[])
        .await?;
    world.ready_at(&revision).await?;
    let shop = production.deployments.get("shop").await?;
    ensure!(image(&shop) == "registry.example.test/shop:1.5.0");
    Ok(())
}

/// What leaves the repository leaves the cluster.
async fn prune(tree: &WorkTree, world: &World) -> anyhow::Result<()> {
    let policies = world.api(
        "networkpolicies.v1.networking.k8s.io",
        "NetworkPolicy",
        "production",
    );
    policies.get("from-the-gateway-only").await?;
    let file = "infrastructure/platform/kustomization.yaml";
    let text = tree.read(file)?.replace("  - network.yaml\n", "");
    let gone = ["infrastructure/platform/network.yaml"];
    world
        .commit(tree, "no policy", &[(file, &text)], &gone)
        .await?;
    eventually("the policy to be gone", || async {
        let found = policies.get_opt("from-the-gateway-only").await?;
        ensure!(found.is_none(), "still there");
        Ok(())
    })
    .await
}

/// A commit that breaks something changes nothing else and says what is wrong, where.
async fn broken(
    tree: &WorkTree,
    world: &World,
    production: &Objects,
    place: &str,
) -> anyhow::Result<()> {
    let file = "apps/production/shop/disruption.yaml";
    let good = tree.read(file)?;
    let shop = production.deployments.get("shop").await?;
    let bad = good.replace("spec:\n", "spec: [\n");
    world
        .commit(tree, "a mistake", &[(file, &bad)], &[])
        .await?;
    let kustomizations = world.kustomizations();
    eventually("the build to fail", || async {
        let failed = kustomizations.get("production-shop").await?;
        let ready = ready(&failed).context("a condition")?;
        ensure!(ready["status"] == "False" && ready["reason"] == "BuildFailed");
        let said = message(&failed);
        ensure!(said.contains(place), "no `{place}` in: {said}");
        Ok(())
    })
    .await?;
    let same = production.deployments.get("shop").await?;
    ensure!(
        same.resource_version() == shop.resource_version(),
        "touched"
    );
    let fixed = world.commit(tree, "mended", &[(file, &good)], &[]).await?;
    world.ready_at(&fixed).await
}

/// A restart recreates nothing and goes on where it was.
async fn restart(
    host: &Host,
    tree: &WorkTree,
    world: World,
    state: &Path,
) -> anyhow::Result<World> {
    let shop = objects(&world, "production")
        .deployments
        .get("shop")
        .await?;
    world.stop().await?;
    let revision = tree.commit("while it was away", &[("README.md", "Changed.\n")], &[])?;
    let world = World::start(host, tree, PATH, state).await?;
    world.ready_at(&revision).await?;
    let same = objects(&world, "production")
        .deployments
        .get("shop")
        .await?;
    ensure!(same.uid() == shop.uid(), "recreated");
    Ok(world)
}

/// The root takes everything with it.
async fn delete(world: World) -> anyhow::Result<()> {
    let kustomizations = world.kustomizations();
    kustomizations
        .delete("flux-system", &Default::default())
        .await?;
    eventually("every Kustomization to be gone", || async {
        let left = kustomizations.list(&Default::default()).await?;
        ensure!(left.items.is_empty(), "{} left", left.items.len());
        Ok(())
    })
    .await?;
    let production = objects(&world, "production");
    eventually("the namespace's content to be gone", || async {
        let left = production.deployments.list(&Default::default()).await?;
        ensure!(left.items.is_empty());
        Ok(())
    })
    .await?;
    world.stop().await
}
