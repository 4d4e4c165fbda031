//! Manifests as they are sent.
//!
//! Built-in kinds go through their typed form once, as in Flux: fields that the kind does not have
//! vanish (the API server would refuse them), `null`s become what they stand for, structures that are
//! never absent appear. What does not fit its type is left for the API server to judge.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::ca_bundle;
use crate::object::{self, Gvk};
use crate::prune::Owner;
use crate::{switches, typed};

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
    if gvk.api_version() == "rbac.authorization.k8s.io/v1"
        && matches!(gvk.kind.as_str(), "Role" | "ClusterRole")
    {
        return;
    }
    ca_bundle::drop_invalid(object);
    if let Some(typed) = typed::through(&gvk, object) {
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
            json!([{"port": 1, "protocol": "TCP", "targetPort": 0}, {"port": 2, "protocol": "UDP", "targetPort": 0}])
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
