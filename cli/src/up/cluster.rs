//! The cluster that `sluice up` runs against: the embedded one, or one that the user names.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Client, Config, ResourceExt as _};
use serde_json::Value;

use super::MANAGER;

/// How long a lease without renewal still counts as held.
const LEASE_ALIVE: Duration = Duration::from_secs(60);

/// The controllers whose work `sluice up` does.
const CONTROLLERS: [&str; 2] = ["source-controller", "kustomize-controller"];

/// Says which controllers of the same kinds run in the cluster already.
///
/// # Errors
/// The API server refused or was not reached.
pub async fn running_controllers(client: &Client) -> anyhow::Result<Vec<String>> {
    let mut running = Vec::new();
    let deployments: Api<Deployment> = Api::all(client.clone());
    for deployment in deployments.list(&ListParams::default()).await? {
        let ready = deployment.status.as_ref().and_then(|s| s.ready_replicas);
        let containers = deployment
            .spec
            .iter()
            .filter_map(|spec| spec.template.spec.as_ref())
            .flat_map(|pod| &pod.containers);
        let ours = containers
            .filter_map(|c| c.image.as_deref())
            .any(|image| CONTROLLERS.iter().any(|name| image_is(image, name)));
        if ours && ready.unwrap_or(0) > 0 {
            running.push(format!(
                "Deployment {}/{}",
                deployment.namespace().unwrap_or_default(),
                deployment.name_any()
            ));
        }
    }
    let leases: Api<Lease> = Api::all(client.clone());
    let now = jiff::Timestamp::now();
    for lease in leases.list(&ListParams::default()).await? {
        let name = lease.name_any();
        let ours = CONTROLLERS
            .iter()
            .any(|c| name.starts_with(&format!("{c}-leader-election")));
        let spec = lease.spec.clone().unwrap_or_default();
        let alive = spec
            .renew_time
            .is_some_and(|renewed| now.duration_since(renewed.0).unsigned_abs() < LEASE_ALIVE);
        let holder = spec.holder_identity.unwrap_or_default();
        if ours && alive && !holder.is_empty() {
            running.push(format!(
                "Lease {}/{name} held by {holder}",
                lease.namespace().unwrap_or_default()
            ));
        }
    }
    Ok(running)
}

/// Whether an image reference names this image: `host/path/NAME:tag@digest`.
fn image_is(image: &str, name: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(['@', ':']).next() == Some(name)
}

/// Kinds beside the toolkit's own that repositories for Flux hold, and the controller that serves them.
pub const EXTENSIONS: [(&str, &str, &str); 1] = [(
    "source.extensions.fluxcd.io",
    "ArtifactGenerator",
    "source-watcher",
)];

/// The CRD of an extension for a cluster of our own: it takes what is written, for nobody acts on it.
fn extension(group: &str, kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let open = serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{singular}s.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": format!("{singular}s"), "singular": singular},
            "versions": [{
                "name": "v1beta1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
            }],
        },
    })
}

/// Installs the CRDs of the [`EXTENSIONS`], so that a repository that holds such objects can be run.
///
/// # Errors
/// As [`install_crds`].
pub async fn install_extensions(client: &Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (group, kind, _) in EXTENSIONS {
        let crd = extension(group, kind);
        let params = PatchParams::apply(MANAGER).force();
        api.patch(&crd_name(&crd), &params, &Patch::Apply(&crd))
            .await
            .with_context(|| format!("cannot install the CRD of {kind}"))?;
    }
    Ok(())
}

/// Installs the CRDs that are missing; those that are there stay as they are.
///
/// Returns the names of those that were missing and not installed because `may_install` is not given.
///
/// # Errors
/// The API server refused or was not reached, or a CRD is not established in time.
pub async fn install_crds(client: &Client, may_install: bool) -> anyhow::Result<Vec<String>> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let there: Vec<String> = api
        .list_metadata(&ListParams::default())
        .await
        .context("cannot list the CRDs")?
        .iter()
        .map(|crd| crd.name_any())
        .collect();
    let missing: Vec<Value> = sluice_api::crd::all()
        .into_iter()
        .filter(|crd| !there.iter().any(|name| *name == crd_name(crd)))
        .collect();
    if !may_install {
        return Ok(missing.iter().map(crd_name).collect());
    }
    let params = PatchParams::apply(MANAGER).force();
    for crd in &missing {
        let name = crd_name(crd);
        api.patch(&name, &params, &Patch::Apply(crd))
            .await
            .with_context(|| format!("cannot install the CRD `{name}`"))?;
    }
    for crd in &missing {
        established(&api, &crd_name(crd)).await?;
    }
    Ok(Vec::new())
}

fn crd_name(crd: &Value) -> String {
    crd.pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

async fn established(api: &Api<CustomResourceDefinition>, name: &str) -> anyhow::Result<()> {
    let wait = kube::runtime::wait::await_condition(
        api.clone(),
        name,
        kube::runtime::conditions::is_crd_established(),
    );
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .with_context(|| format!("the CRD `{name}` is not established after 30 s"))?
        .with_context(|| format!("cannot watch the CRD `{name}`"))?;
    Ok(())
}

/// Creates a namespace, unless it is there.
///
/// # Errors
/// The API server refused or was not reached.
pub async fn ensure_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    if api.get_opt(name).await?.is_some() {
        return Ok(());
    }
    let namespace: Namespace =
        serde_json::from_value(serde_json::json!({"metadata": {"name": name}}))?;
    match api.create(&Default::default(), &namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot create namespace `{name}`")),
    }
}

/// Applies an object of this API server-side.
///
/// # Errors
/// The API server refused or was not reached.
pub async fn apply(client: &Client, object: &Value) -> anyhow::Result<()> {
    let field = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (kind, name) = (field("/kind"), field("/metadata/name"));
    let api_version = field("/apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let Some(known) = sluice_api::kinds::find(group, &kind) else {
        bail!("`{kind}` of `{api_version}` is no kind of this API");
    };
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(group, version, &kind),
        known.plural,
    );
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &field("/metadata/namespace"), &resource);
    api.patch(
        &name,
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(object),
    )
    .await
    .with_context(|| format!("cannot apply {kind} `{name}`"))?;
    Ok(())
}

/// The embedded API server and how to reach it.
pub struct Embedded {
    /// The running server.
    pub server: sluice_apiserver::Server,
    /// Settings of a client with all rights.
    pub config: Config,
}

/// Starts the embedded API server with its state under `folder` and writes `folder/kubeconfig`.
///
/// # Errors
/// The folder is in use by another process or cannot be written.
pub async fn embedded(folder: &Path) -> anyhow::Result<Embedded> {
    let server = sluice_apiserver::Server::start(sluice_apiserver::Config {
        state: Some(folder.join("cluster")),
        ..sluice_apiserver::Config::default()
    })
    .await
    .context("cannot start the embedded API server")?;
    let path = folder.join("kubeconfig");
    let kubeconfig = server.kubeconfig();
    write_private(&path, &kubeconfig)
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    let config = sluice_runtime::client::Cluster {
        kubeconfig: Some(path),
        context: None,
    }
    .config()
    .await?;
    Ok(Embedded { server, config })
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_name_whatever_the_registry_and_tag() {
        for image in [
            "source-controller",
            "ghcr.io/fluxcd/source-controller:v1.9.1",
            "localhost:5000/source-controller@sha256:00",
        ] {
            assert!(image_is(image, "source-controller"), "{image}");
        }
        assert!(!image_is(
            "acme/my-source-controller:1",
            "source-controller"
        ));
        assert!(!image_is("source-controller/proxy:1", "source-controller"));
    }
}
