//! Manifests as they are sent.
//!
//! Built-in kinds go through their typed form once, as in Flux: fields that the kind does not have
//! vanish (the API server would refuse them), `null`s become what they stand for, structures that are
//! never absent appear. What does not fit its type is left for the API server to judge.

use std::collections::BTreeMap;

use base64::Engine as _;
use k8s_openapi::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::ca_bundle;
use crate::object::{self, Gvk};
use crate::prune::Owner;
use crate::switches;

/// Labels and annotations that every object gets (`spec.commonMetadata`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A Secret that was not decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
)]
pub struct Encrypted(pub String);

/// Makes objects ready to be applied by `owner`: owner labels, [`normalise`], common metadata.
///
/// # Errors
/// A Secret that still is encrypted; it must never be applied. Flux looks only after the typed form
/// has dropped the mark, and so lets some through.
pub fn prepare(objects: &mut [Value], owner: &Owner, common: &Common) -> Result<(), Encrypted> {
    for object in objects {
        refuse_encrypted(object)?;
        object::set_labels(object, owner.labels());
        normalise(object);
        let pairs = |map: &BTreeMap<String, String>| map.clone().into_iter().collect::<Vec<_>>();
        object::set_labels(
            object,
            pairs(&common.labels)
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str())),
        );
        object::set_annotations(
            object,
            pairs(&common.annotations)
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str())),
        );
    }
    Ok(())
}

fn refuse_encrypted(object: &Value) -> Result<(), Encrypted> {
    let is_secret = object["apiVersion"] == "v1" && object["kind"] == "Secret";
    if is_secret
        && object.get("sops").is_some_and(|s| !s.is_null())
        && !switches::decryption_disabled(object)
    {
        return Err(Encrypted(crate::subject(&object::id(object))));
    }
    Ok(())
}

/// Brings one object into the form that is sent. Roles and ClusterRoles stay as they are: an absent
/// and an empty list of rules must not be confused.
pub fn normalise(object: &mut Value) {
    let Some(gvk) = Gvk::of(object) else {
        return;
    };
    if gvk.group == "rbac.authorization.k8s.io"
        && matches!(gvk.kind.as_str(), "Role" | "ClusterRole")
    {
        return;
    }
    ca_bundle::drop_invalid(object);
    if let Some(typed) = typed(&gvk, object) {
        *object = typed;
    }
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => default_protocol(object.pointer_mut("/spec/ports")),
        ("", "Secret") => merge_string_data(object),
        _ => {}
    }
    if let Some(spec) = pod_spec(&gvk, object) {
        default_container_ports(spec);
    }
    if let Some(map) = object.as_object_mut()
        && gvk.kind != "CustomResourceDefinition"
    {
        map.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
}

/// The object through its typed form; `None` when the kind is not built in or the object does not fit.
fn typed(gvk: &Gvk, object: &Value) -> Option<Value> {
    let through = through(gvk)?;
    let mut plain = object.clone();
    stringify_quantities(&mut plain, false);
    // A null in a list is the zero value of its type: an empty text or an empty structure.
    let mut value = [json!(""), json!({})].iter().find_map(|zero| {
        let mut candidate = plain.clone();
        resolve_nulls(&mut candidate, zero);
        through(candidate)
    })?;
    add_structures(gvk, &mut value);
    Some(value)
}

fn resolve_nulls(value: &mut Value, zero: &Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut()
                .for_each(|value| resolve_nulls(value, zero));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| match item {
            Value::Null => *item = zero.clone(),
            item => resolve_nulls(item, zero),
        }),
        _ => {}
    }
}

/// Quantities may be written as numbers; their typed form is a text.
fn stringify_quantities(value: &mut Value, is_quantities: bool) {
    const MAPS: [&str; 8] = [
        "limits",
        "requests",
        "hard",
        "default",
        "defaultRequest",
        "max",
        "min",
        "capacity",
    ];
    const FIELDS: [&str; 4] = [
        "sizeLimit",
        "averageValue",
        "divisor",
        "maxLimitRequestRatio",
    ];
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if value.is_number() && (is_quantities || FIELDS.contains(&key.as_str())) {
                    *value = Value::from(value.to_string());
                } else {
                    stringify_quantities(value, MAPS.contains(&key.as_str()));
                }
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| stringify_quantities(item, false)),
        _ => {}
    }
}

type Through = fn(Value) -> Option<Value>;

fn through(gvk: &Gvk) -> Option<Through> {
    fn of<T: Serialize + DeserializeOwned>(value: Value) -> Option<Value> {
        serde_json::to_value(serde_json::from_value::<T>(value).ok()?).ok()
    }
    let Gvk {
        group,
        version,
        kind,
    } = gvk;
    Some(match (group.as_str(), version.as_str(), kind.as_str()) {
        ("", "v1", "ConfigMap") => of::<api::core::v1::ConfigMap>,
        ("", "v1", "Endpoints") => of::<api::core::v1::Endpoints>,
        ("", "v1", "LimitRange") => of::<api::core::v1::LimitRange>,
        ("", "v1", "Namespace") => of::<api::core::v1::Namespace>,
        ("", "v1", "PersistentVolume") => of::<api::core::v1::PersistentVolume>,
        ("", "v1", "PersistentVolumeClaim") => of::<api::core::v1::PersistentVolumeClaim>,
        ("", "v1", "Pod") => of::<api::core::v1::Pod>,
        ("", "v1", "ReplicationController") => of::<api::core::v1::ReplicationController>,
        ("", "v1", "ResourceQuota") => of::<api::core::v1::ResourceQuota>,
        ("", "v1", "Secret") => of::<api::core::v1::Secret>,
        ("", "v1", "Service") => of::<api::core::v1::Service>,
        ("", "v1", "ServiceAccount") => of::<api::core::v1::ServiceAccount>,
        ("apps", "v1", "DaemonSet") => of::<api::apps::v1::DaemonSet>,
        ("apps", "v1", "Deployment") => of::<api::apps::v1::Deployment>,
        ("apps", "v1", "ReplicaSet") => of::<api::apps::v1::ReplicaSet>,
        ("apps", "v1", "StatefulSet") => of::<api::apps::v1::StatefulSet>,
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => {
            of::<api::autoscaling::v1::HorizontalPodAutoscaler>
        }
        ("autoscaling", "v2", "HorizontalPodAutoscaler") => {
            of::<api::autoscaling::v2::HorizontalPodAutoscaler>
        }
        ("batch", "v1", "CronJob") => of::<api::batch::v1::CronJob>,
        ("batch", "v1", "Job") => of::<api::batch::v1::Job>,
        ("coordination.k8s.io", "v1", "Lease") => of::<api::coordination::v1::Lease>,
        ("discovery.k8s.io", "v1", "EndpointSlice") => of::<api::discovery::v1::EndpointSlice>,
        ("networking.k8s.io", "v1", "Ingress") => of::<api::networking::v1::Ingress>,
        ("networking.k8s.io", "v1", "IngressClass") => of::<api::networking::v1::IngressClass>,
        ("networking.k8s.io", "v1", "NetworkPolicy") => of::<api::networking::v1::NetworkPolicy>,
        ("node.k8s.io", "v1", "RuntimeClass") => of::<api::node::v1::RuntimeClass>,
        ("policy", "v1", "PodDisruptionBudget") => of::<api::policy::v1::PodDisruptionBudget>,
        ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding") => {
            of::<api::rbac::v1::ClusterRoleBinding>
        }
        ("rbac.authorization.k8s.io", "v1", "RoleBinding") => of::<api::rbac::v1::RoleBinding>,
        ("scheduling.k8s.io", "v1", "PriorityClass") => of::<api::scheduling::v1::PriorityClass>,
        ("storage.k8s.io", "v1", "CSIDriver") => of::<api::storage::v1::CSIDriver>,
        ("storage.k8s.io", "v1", "StorageClass") => of::<api::storage::v1::StorageClass>,
        ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration") => {
            of::<api::admissionregistration::v1::MutatingWebhookConfiguration>
        }
        ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration") => {
            of::<api::admissionregistration::v1::ValidatingWebhookConfiguration>
        }
        _ => return None,
    })
}

/// Adds the structures that Go's types write even when empty, so that ownership of fields is the same.
fn add_structures(gvk: &Gvk, object: &mut Value) {
    let field = match gvk.kind.as_str() {
        "Deployment" => Some("strategy"),
        "StatefulSet" | "DaemonSet" => Some("updateStrategy"),
        _ => None,
    };
    if let (Some(field), "apps") = (field, gvk.group.as_str())
        && let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.entry(field).or_insert_with(|| json!({}));
    }
    let Some(spec) = pod_spec(gvk, object) else {
        return;
    };
    for list in ["containers", "initContainers"] {
        for container in spec
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(container) = container.as_object_mut() {
                container.entry("resources").or_insert_with(|| json!({}));
            }
        }
    }
}

/// The Pod that an object of a built-in kind is, or is a template for.
fn pod_spec<'o>(gvk: &Gvk, object: &'o mut Value) -> Option<&'o mut Value> {
    let pointer = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => "/spec",
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => {
            "/spec/template/spec"
        }
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    object.pointer_mut(pointer)
}

/// Init containers are not looked at, as in Flux.
fn default_container_ports(spec: &mut Value) {
    for container in spec
        .get_mut("containers")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        default_protocol(container.get_mut("ports"));
    }
}

/// The protocol is part of a port's key, so it must be there.
fn default_protocol(ports: Option<&mut Value>) {
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            let protocol = port.entry("protocol").or_insert(Value::Null);
            if protocol.is_null() || *protocol == "" {
                *protocol = json!("TCP");
            }
        }
    }
}

/// Moves `stringData` into `data`.
fn merge_string_data(secret: &mut Value) {
    let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|s| s.remove("stringData"))
    else {
        return;
    };
    let encode = |(key, text): (String, Value)| {
        let text = text.as_str()?;
        Some((
            key,
            Value::from(base64::engine::general_purpose::STANDARD.encode(text)),
        ))
    };
    let encoded: Map<String, Value> = texts.into_iter().filter_map(encode).collect();
    if let Some(data) = object::map_mut(secret, &["data"]) {
        data.extend(encoded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(mut object: Value) -> Value {
        normalise(&mut object);
        object
    }

    #[test]
    fn a_deployment_loses_what_it_does_not_have_and_gains_what_is_never_absent() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "creationTimestamp": null, "labels": null, "lables": {"typo": "1"}},
            "spec": {
                "replicas": 1, "replcas": 2, "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": {
                    "initContainers": [{"name": "i", "image": "i", "ports": [{"containerPort": 1}]}],
                    "containers": [{"name": "c", "image": "c", "args": ["x", null], "ports": [{"containerPort": 80}],
                        "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}},
            },
            "status": {"replicas": 1},
        });
        assert_eq!(
            normal(object),
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                "spec": {
                    "replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "strategy": {},
                    "template": {"metadata": {"labels": {"app": "a"}}, "spec": {
                        "initContainers": [{"name": "i", "image": "i", "ports": [{"containerPort": 1}], "resources": {}}],
                        "containers": [{"name": "c", "image": "c", "args": ["x", ""],
                            "ports": [{"containerPort": 80, "protocol": "TCP"}],
                            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}},
                },
            })
        );
    }

    #[test]
    fn what_does_not_fit_its_type_is_left_to_the_server() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": 1}, "odd": 1});
        assert_eq!(normal(object.clone()), object);
    }

    #[test]
    fn custom_resources_and_roles_keep_every_field() {
        let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "odd": null});
        assert_eq!(normal(widget.clone()), widget);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"},
            "rules": null, "status": 1});
        assert_eq!(normal(role.clone()), role);
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "a"}, "status": {"conditions": []}});
        assert_eq!(normal(crd.clone()), crd);
    }

    #[test]
    fn text_of_a_secret_wins_over_its_data() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "MQ==", "b": "Mg=="},
            "stringData": {"a": "new"}});
        assert_eq!(normal(secret)["data"], json!({"a": "bmV3", "b": "Mg=="}));
    }

    #[test]
    fn ports_of_services_and_jobs_get_their_protocol() {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"ports": [{"port": 1}, {"port": 2, "protocol": "UDP"}]}});
        let ports = normal(service)["spec"]["ports"].clone();
        assert_eq!(
            ports,
            json!([{"port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "UDP"}])
        );
        let job = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": {"schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1}]}]}}}}}});
        assert_eq!(
            normal(job)
                .pointer("/spec/jobTemplate/spec/template/spec/containers/0/ports/0/protocol"),
            Some(&json!("TCP"))
        );
    }

    #[test]
    fn owner_labels_come_first_and_common_metadata_last() {
        let owner = Owner {
            namespace: "flux".into(),
            name: "app".into(),
        };
        let common = Common {
            labels: [("team".to_owned(), "theirs".to_owned())].into(),
            annotations: [("note".to_owned(), "${x}".to_owned())].into(),
        };
        let mut objects = [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"team": "mine"}}}),
        ];
        prepare(&mut objects, &owner, &common).unwrap();
        assert_eq!(
            objects[0]["metadata"],
            json!({"name": "a", "annotations": {"note": "${x}"}, "labels": {"team": "theirs",
                "kustomize.toolkit.fluxcd.io/name": "app", "kustomize.toolkit.fluxcd.io/namespace": "flux"}})
        );
    }

    #[test]
    fn an_encrypted_secret_is_never_applied() {
        let owner = Owner {
            namespace: "flux".into(),
            name: "app".into(),
        };
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"},
            "stringData": {"k": "ENC[..]"}, "sops": {"mac": "ENC[..]"}});
        let error = prepare(
            std::slice::from_mut(&mut secret),
            &owner,
            &Common::default(),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Secret/b/a is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
        );
        secret["metadata"]["annotations"] =
            json!({"kustomize.toolkit.fluxcd.io/decrypt": "disabled"});
        assert!(prepare(&mut [secret], &owner, &Common::default()).is_ok());
    }
}
