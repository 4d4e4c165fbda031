//! Objects of any kind, and what their status says.

use anyhow::{Context as _, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use sluice_api::key::RECONCILE_REQUEST;

use crate::eventually;

/// The objects of a kind. `resource` is `plural.version.group`, as kubectl writes it; the kind and an
/// empty namespace for all follow.
pub fn objects(client: &Client, resource: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let mut parts = resource.splitn(3, '.');
    let plural = parts.next().unwrap_or_default();
    let version = parts.next().unwrap_or("v1");
    let group = parts.next().unwrap_or_default();
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    if namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    }
}

/// Kustomizations of a namespace; of all if it is empty.
pub fn kustomizations(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = "kustomizations.v1.kustomize.toolkit.fluxcd.io";
    objects(client, resource, "Kustomization", namespace)
}

/// GitRepositories of a namespace; of all if it is empty.
pub fn git_repositories(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = "gitrepositories.v1.source.toolkit.fluxcd.io";
    objects(client, resource, "GitRepository", namespace)
}

/// ConfigMaps of a namespace.
pub fn config_maps(client: &Client, namespace: &str) -> Api<DynamicObject> {
    objects(client, "configmaps.v1", "ConfigMap", namespace)
}

/// The value at a JSON pointer of an object.
pub fn at<'a>(object: &'a DynamicObject, pointer: &str) -> &'a Value {
    object.data.pointer(pointer).unwrap_or(&Value::Null)
}

/// A condition of an object.
pub fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    at(object, "/status/conditions")
        .as_array()?
        .iter()
        .find(|c| c["type"] == kind)
}

/// The Ready condition of an object.
pub fn ready(object: &DynamicObject) -> Option<&Value> {
    condition(object, "Ready")
}

/// The message of its Ready condition.
pub fn message(object: &DynamicObject) -> String {
    ready(object)
        .and_then(|c| c["message"].as_str())
        .unwrap_or("no Ready condition")
        .to_owned()
}

/// Whether it is ready, for its current generation, at this revision.
pub fn is_ready_at(object: &DynamicObject, revision: &str) -> bool {
    let has = ["/status/lastAppliedRevision", "/status/artifact/revision"]
        .iter()
        .any(|pointer| at(object, pointer) == revision);
    has && is_current(object) && ready(object).is_some_and(|c| c["status"] == "True")
}

/// Whether its status is that of its current generation.
pub fn is_current(object: &DynamicObject) -> bool {
    at(object, "/status/observedGeneration").as_i64() == object.metadata.generation
}

/// Merges a patch into an object as somebody who uses kubectl would.
///
/// # Errors
/// The API server refuses.
pub async fn edit(api: &Api<DynamicObject>, name: &str, patch: &Value) -> anyhow::Result<()> {
    let params = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    api.patch(name, &params, &Patch::Merge(patch))
        .await
        .with_context(|| format!("cannot edit `{name}`"))?;
    Ok(())
}

/// Asks for a reconciliation, as a webhook or `sluice reconcile` does.
///
/// # Errors
/// The API server refuses.
pub async fn request(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {RECONCILE_REQUEST: now}}});
    edit(api, name, &patch).await
}

/// Creates an object of a kind.
///
/// # Errors
/// The API server refuses.
pub async fn create(api: &Api<DynamicObject>, object: Value) -> anyhow::Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(object)?;
    let name = object.name_any();
    api.create(&Default::default(), &object)
        .await
        .with_context(|| format!("cannot create `{name}`"))
}

/// What tells whether anything happened to an object: its uid and resource version.
///
/// # Errors
/// It is not there.
pub async fn trace(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<(String, String)> {
    let object = api.get(name).await.with_context(|| name.to_owned())?;
    let uid = object.uid().context("an uid")?;
    Ok((uid, object.resource_version().context("a version")?))
}

/// Waits until an object is gone.
///
/// # Errors
/// It stays, or the API server does not answer.
pub async fn is_gone(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    eventually(&format!("`{name}` to be gone"), || async {
        ensure!(api.get_opt(name).await?.is_none(), "still there");
        Ok(())
    })
    .await
}
