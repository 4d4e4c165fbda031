//! What each kind does to its objects on a write beside schema defaults: who owns status, when the generation grows.

use serde_json::{Map, Value, json};

use super::service::{self, Reserved};
use super::{Write, meta};
use crate::admission::quality_of_service;
use crate::registry::Resource;
use crate::status::Result;

/// Built-in kinds whose generation counts changes of the spec (and of nothing else).
const GENERATION_OF_SPEC: &[&str] = &[
    "customresourcedefinitions.apiextensions.k8s.io",
    "daemonsets.apps",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "cronjobs.batch",
    "jobs.batch",
    "pods",
    "replicationcontrollers",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "ingresses.networking.k8s.io",
    "ingressclasses.networking.k8s.io",
    "networkpolicies.networking.k8s.io",
    "poddisruptionbudgets.policy",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
    "horizontalpodautoscalers.autoscaling",
];

/// Built-in kinds whose generation counts changes of everything but metadata.
const GENERATION_OF_ALL: &[&str] = &[
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "endpointslices.discovery.k8s.io",
    "priorityclasses.scheduling.k8s.io",
];

/// What the generation of a resource counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Nothing,
    Spec,
    /// Everything but metadata; status too, unless it has its own subresource.
    All,
}

fn counts(resource: &Resource) -> Counts {
    let name: &str = &resource.table.name;
    if resource.custom.is_some() || GENERATION_OF_ALL.contains(&name) {
        Counts::All
    } else if GENERATION_OF_SPEC.contains(&name) {
        Counts::Spec
    } else {
        Counts::Nothing
    }
}

/// Prepares a new object.
///
/// # Errors
/// 422 where an address or a port is taken.
pub fn prepare_new(write: &Write<'_>, value: &mut Value) -> Result<Reserved> {
    let mut reserved = Reserved::default();
    let resource = write.resource;
    let table: &str = &resource.table.name;
    if resource.has_status() && table != "nodes" {
        match initial_status(resource) {
            Some(status) => value["status"] = status,
            None => {
                if let Some(map) = value.as_object_mut() {
                    map.remove("status");
                }
            }
        }
    }
    match table {
        "namespaces" => namespace_finalizer(value),
        "services" => reserved = service::allocate(write, None, value)?,
        "pods" => value["status"]["qosClass"] = quality_of_service(value).into(),
        "jobs.batch" => job_selector(value),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            value["status"]["storedVersions"] = json!([storage_version(value)]);
        }
        _ => {}
    }
    if counts(resource) != Counts::Nothing {
        meta::of(value).insert("generation".into(), 1.into());
    }
    Ok(reserved)
}

fn namespace_finalizer(value: &mut Value) {
    if !value["spec"].is_object() {
        value["spec"] = json!({});
    }
    match &mut value["spec"]["finalizers"] {
        Value::Array(list) if list.iter().any(|name| name == "kubernetes") => {}
        Value::Array(list) => list.push("kubernetes".into()),
        other => *other = json!(["kubernetes"]),
    }
}

/// The version of a CustomResourceDefinition that is stored.
fn storage_version(value: &Value) -> Value {
    let mut versions = value["spec"]["versions"].as_array().into_iter().flatten();
    versions
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .unwrap_or_default()
}

/// A Job that does not bring its own selector gets one by its uid.
fn job_selector(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let uid = meta::text(job, "uid").to_owned();
    let name = meta::text(job, "name").to_owned();
    let own = [
        ("batch.kubernetes.io/controller-uid", uid.as_str()),
        ("batch.kubernetes.io/job-name", name.as_str()),
        ("controller-uid", uid.as_str()),
        ("job-name", name.as_str()),
    ];
    for (key, text) in own {
        job["spec"]["template"]["metadata"]["labels"][key] = text.into();
    }
    if job["metadata"]["labels"]
        .as_object()
        .is_none_or(Map::is_empty)
    {
        job["metadata"]["labels"] = job["spec"]["template"]["metadata"]["labels"].clone();
    }
    job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid.into();
}

/// What defaulting knows that the published schemas do not.
pub fn default(resource: &Resource, value: &mut Value) {
    if &*resource.table.name == "namespaces" && resource.custom.is_none() {
        let name = meta::text(value, "name").to_owned();
        if !name.is_empty() {
            value["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
        }
    }
}

/// The status of a new object of a built-in kind, as the typed server writes it.
fn initial_status(resource: &Resource) -> Option<Value> {
    if resource.custom.is_some() {
        return None;
    }
    Some(match &*resource.table.name {
        "namespaces" => json!({"phase": "Active"}),
        "persistentvolumeclaims" | "persistentvolumes" => json!({"phase": "Pending"}),
        "services" => json!({"loadBalancer": {}}),
        "ingresses.networking.k8s.io" => json!({"loadBalancer": {}}),
        "replicasets.apps" | "replicationcontrollers" => json!({"replicas": 0}),
        "statefulsets.apps" => json!({"replicas": 0, "availableReplicas": 0}),
        "daemonsets.apps" => json!({
            "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
        }),
        "poddisruptionbudgets.policy" => {
            json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0})
        }
        "horizontalpodautoscalers.autoscaling" => {
            json!({"desiredReplicas": 0, "currentMetrics": null})
        }
        "pods" => json!({"phase": "Pending", "qosClass": "BestEffort"}),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": []})
        }
        "deployments.apps" | "jobs.batch" | "cronjobs.batch" | "nodes" | "resourcequotas" => {
            json!({})
        }
        "flowschemas.flowcontrol.apiserver.k8s.io"
        | "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
        | "resourceclaims.resource.k8s.io"
        | "servicecidrs.networking.k8s.io"
        | "certificatesigningrequests.certificates.k8s.io"
        | "validatingadmissionpolicies.admissionregistration.k8s.io"
        | "apiservices.apiregistration.k8s.io" => json!({}),
        _ => return None,
    })
}

/// Prepares a change of the object or of one of its subresources.
///
/// # Errors
/// 422 where an address or a port is taken.
pub fn prepare_change(write: &Write<'_>, before: &Value, after: &mut Value) -> Result<Reserved> {
    let mut reserved = Reserved::default();
    let resource = write.resource;
    match write.subresource {
        "" => {
            if resource.has_status() {
                copy(before, after, "status");
            }
            match &*resource.table.name {
                "services" => reserved = service::allocate(write, Some(before), after)?,
                "namespaces" => {
                    let finalizers = before["spec"]["finalizers"].clone();
                    if !finalizers.is_null() {
                        after["spec"]["finalizers"] = finalizers;
                    }
                }
                "customresourcedefinitions.apiextensions.k8s.io" => note_stored_version(after),
                _ => {}
            }
        }
        "status" => {
            keep_all_but_status(resource, before, after);
        }
        _ => {}
    }
    let grown = match counts(resource) {
        Counts::Nothing => false,
        // Where a pod runs is not what was asked for.
        Counts::Spec if write.subresource == "binding" => false,
        Counts::Spec => before["spec"] != after["spec"],
        Counts::All => body(resource, before) != body(resource, after),
    };
    if grown {
        let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
        meta::of(after).insert("generation".into(), (generation + 1).into());
    }
    Ok(reserved)
}

/// A new storage version joins those that objects may be stored in.
fn note_stored_version(value: &mut Value) {
    let version = storage_version(value);
    let stored = &mut value["status"]["storedVersions"];
    match stored {
        Value::Array(list) if list.contains(&version) => {}
        Value::Array(list) => list.push(version),
        other => *other = json!([version]),
    }
}

/// What the generation counts of a custom resource.
fn body(resource: &Resource, value: &Value) -> Map<String, Value> {
    let status = resource.has_status();
    let members = value.as_object().into_iter().flatten();
    members
        .filter(|(key, _)| {
            !(matches!(key.as_str(), "metadata" | "apiVersion" | "kind")
                || (status && *key == "status"))
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Takes one member from `before`.
fn copy(before: &Value, after: &mut Value, key: &str) {
    let Some(map) = after.as_object_mut() else {
        return;
    };
    match before.get(key) {
        Some(value) => map.insert(key.to_owned(), value.clone()),
        None => map.remove(key),
    };
}

/// A status update changes status. Metadata of custom resources stays as it is but for managedFields; that of built-in
/// kinds may change with it, but for some members.
fn keep_all_but_status(resource: &Resource, before: &Value, after: &mut Value) {
    let status = after.get("status").cloned();
    let metadata = after["metadata"].clone();
    let mut kept = before.clone();
    if let Some(map) = kept.as_object_mut() {
        match status {
            Some(status) => map.insert("status".into(), status),
            None => map.remove("status"),
        };
    }
    if resource.custom.is_none() {
        kept["metadata"] = metadata;
        let reset: &[&str] = match &*resource.table.name {
            "deployments.apps" => &["labels"],
            "pods" => &["deletionTimestamp", "ownerReferences"],
            _ => &[],
        };
        for name in reset {
            copy(&before["metadata"], &mut kept["metadata"], name);
        }
    } else {
        match metadata.get("managedFields") {
            Some(managed) => meta::of(&mut kept).insert("managedFields".into(), managed.clone()),
            None => meta::of(&mut kept).remove("managedFields"),
        };
    }
    *after = kept;
}
