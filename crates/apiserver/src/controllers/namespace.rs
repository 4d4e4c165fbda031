//! Namespaces: their default objects, and the removal of their content.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Actor, Next, Outcome};
use crate::app::{App, time_text};
use crate::objects::meta;
use crate::status::Result;
use crate::store::key;
use crate::verbs::delete::DeleteOptions;

const ROOT_CA: &str = "kube-root-ca.crt";
const ROOT_CA_TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// Makes the `default` ServiceAccount and the ConfigMap with the certificate authority.
///
/// # Errors
/// As a client would get.
pub fn fill(app: &App, namespace: &str) -> Result<()> {
    let actor = Actor::new(app, "kube-controller-manager");
    let missing = |table: &str, name: &str| {
        app.store
            .table(table)
            .get(&key(Some(namespace), name))
            .is_none()
    };
    if missing("serviceaccounts", "default") {
        let account = json!({"metadata": {"name": "default", "namespace": namespace}});
        ignore_existing(actor.create("serviceaccounts", Some(namespace), account))?;
    }
    if missing("configmaps", ROOT_CA) {
        let map = json!({
            "metadata": {
                "name": ROOT_CA, "namespace": namespace,
                "annotations": {"kubernetes.io/description": ROOT_CA_TEXT},
            },
            "data": {"ca.crt": app.ca},
        });
        ignore_existing(actor.create("configmaps", Some(namespace), map))?;
    }
    Ok(())
}

fn ignore_existing<T>(result: Result<T>) -> Result<()> {
    match result {
        Err(status) if status.reason != "AlreadyExists" => Err(status),
        _ => Ok(()),
    }
}

/// Looks at one namespace.
pub(super) fn reconcile(app: &App, name: &str) -> Outcome {
    let Some(namespace) = app.store.table("namespaces").get(name) else {
        return Ok(Next::Done);
    };
    if !namespace.deleting {
        fill(app, name)?;
        return Ok(Next::Done);
    }
    let value = namespace.value();
    if value["spec"]["finalizers"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        return Ok(Next::Done);
    }
    let actor = Actor::new(app, "kube-controller-manager");
    let index = app.registry.index();
    let prefix = format!("{name}/");
    let mut remaining: Vec<(String, usize, Vec<String>)> = Vec::new();
    for table in app.store.tables() {
        let Some(resource) = index
            .find_table(&table.name)
            .filter(|resource| resource.namespaced)
        else {
            continue;
        };
        let Ok(snapshot) = table.list(&prefix, None, None) else {
            continue;
        };
        for object in snapshot.objects {
            if !object.deleting || &*table.name == "pods" {
                let options = DeleteOptions {
                    grace: (&*table.name == "pods").then_some(0),
                    ..DeleteOptions::default()
                };
                actor.delete(resource, &object, &options)?;
            }
        }
        let Ok(left) = table.list(&prefix, None, None) else {
            continue;
        };
        if !left.objects.is_empty() {
            let finalizers = left.objects.iter().flat_map(|object| {
                let value = object.value();
                meta::finalizers(&value)
                    .into_iter()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            });
            let kind = format!("{}.{}", resource.plural, resource.group);
            remaining.push((kind, left.objects.len(), finalizers.collect()));
        }
    }
    let conditions = conditions(
        &remaining,
        &time_text(app.now()),
        &value["status"]["conditions"],
    );
    if !remaining.is_empty() {
        actor.update("namespaces", None, name, "status", &|value: &mut Value| {
            value["status"]["conditions"] = conditions.clone();
            Ok(())
        })?;
        return Ok(Next::After(Duration::from_millis(100)));
    }
    let finished = actor.update(
        "namespaces",
        None,
        name,
        "finalize",
        &|value: &mut Value| {
            if let Some(list) = value["spec"]["finalizers"].as_array_mut() {
                list.retain(|name| name != "kubernetes");
                if list.is_empty()
                    && let Some(spec) = value["spec"].as_object_mut()
                {
                    spec.remove("finalizers");
                }
            }
            Ok(())
        },
    );
    match finished {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(Next::Done),
    }
}

/// The conditions of a namespace that is going away, as the real controller writes them.
fn conditions(remaining: &[(String, usize, Vec<String>)], now: &str, before: &Value) -> Value {
    let content: Vec<String> = remaining
        .iter()
        .map(|(kind, count, _)| format!("{kind} has {count} resource instances"))
        .collect();
    let mut held: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for finalizer in remaining.iter().flat_map(|(_, _, finalizers)| finalizers) {
        *held.entry(finalizer).or_default() += 1;
    }
    let finalizers: Vec<String> = held
        .iter()
        .map(|(name, count)| format!("{name} in {count} resource instances"))
        .collect();
    let table = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
            false,
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
            false,
        ),
        (
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
            false,
        ),
        (
            "NamespaceContentRemaining",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", content.join(", ")),
            !content.is_empty(),
        ),
        (
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                finalizers.join(", ")
            ),
            !finalizers.is_empty(),
        ),
    ];
    let one = |(kind, reason, message, bad): (&str, &str, String, bool)| {
        let status = if bad { "True" } else { "False" };
        let (reason, message) = match (kind, bad) {
            ("NamespaceContentRemaining", false) => (
                "ContentRemoved",
                "All content successfully removed".to_owned(),
            ),
            ("NamespaceFinalizersRemaining", false) => (
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished".to_owned(),
            ),
            _ => (reason, message),
        };
        let known = before
            .as_array()
            .into_iter()
            .flatten()
            .find(|c| c["type"] == kind && c["status"] == status);
        let time = known.map_or(Value::from(now), |known| {
            known["lastTransitionTime"].clone()
        });
        json!({"type": kind, "status": status, "lastTransitionTime": time, "reason": reason, "message": message})
    };
    table.into_iter().map(one).collect()
}
