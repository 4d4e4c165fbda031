//! Defaults that hang on types, wherever they occur: containers, probes, volumes, webhooks.
//!
//! Those of whole kinds are with the kinds. Both run from the outside in, as on the server.

use serde_json::{Value, json};

use super::tools::{Object, fill, object, text};
use crate::quantity::Quantity;
use crate::schema::{Field, Format, Schema, TypeId};

/// Fills the defaults of a value and of everything below it.
pub(super) fn fill_types(schema: &Schema, id: TypeId, group: &str, value: &mut Value) {
    let node = schema.node(id);
    match (&node.map, &node.list, &mut *value) {
        (Some(map), _, Value::Object(object)) => {
            if node.format == Format::Struct {
                fill_type(group, &node.go, object);
                for field in &map.fields {
                    if let Some(default) = published(field)
                        && object.get(&*field.name).is_none_or(Value::is_null)
                    {
                        object.insert(field.name.to_string(), default.clone());
                    }
                }
            } else if &*node.go == "v1.ResourceList" {
                object.values_mut().for_each(round_up);
            }
            for (key, value) in object.iter_mut() {
                if (value.is_object() || value.is_array())
                    && let Some(id) = map.type_of(key)
                {
                    fill_types(schema, id, group, value);
                }
            }
        }
        (_, Some(list), Value::Array(items)) => {
            items
                .iter_mut()
                .for_each(|item| fill_types(schema, list.element, group, item));
        }
        _ => {}
    }
}

/// The published default of a field, where it does more than say what Go's zero value is.
fn published(field: &Field) -> Option<&Value> {
    let default = field.default.as_ref()?;
    let zero = match default {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => return if map.is_empty() { None } else { Some(default) },
    };
    let pointer = field.json.is_some_and(|json| json.pointer);
    (pointer || !zero).then_some(default)
}

/// Resources are counted in thousandths.
fn round_up(value: &mut Value) {
    if let Ok(quantity) = Quantity::parse(text(value)) {
        *value = quantity.rounded_up_to_milli().to_string().into();
    }
}

/// `Always` for images without a tag and those tagged `latest`.
fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or_default();
    let tag = match (last.contains('@'), last.split_once(':')) {
        (true, _) => "",
        (false, Some((_, tag))) => tag,
        (false, None) if image.is_empty() => "",
        (false, None) => "latest",
    };
    let valid = image
        .chars()
        .all(|c| !c.is_ascii_uppercase() || image.contains(':'));
    if tag == "latest" && valid {
        "Always"
    } else {
        "IfNotPresent"
    }
}

fn fill_type(group: &str, go: &str, map: &mut Object) {
    match go {
        "v1.PodSpec" => {
            fill(map, "dnsPolicy", "ClusterFirst");
            fill(map, "restartPolicy", "Always");
            fill(map, "securityContext", json!({}));
            fill(map, "terminationGracePeriodSeconds", 30);
            fill(map, "schedulerName", "default-scheduler");
        }
        "v1.Container" | "v1.EphemeralContainer" => {
            let policy = pull_policy(map.get("image").and_then(Value::as_str).unwrap_or_default());
            fill(map, "imagePullPolicy", policy);
            fill(map, "terminationMessagePath", "/dev/termination-log");
            fill(map, "terminationMessagePolicy", "File");
        }
        "v1.Probe" => {
            fill(map, "timeoutSeconds", 1);
            fill(map, "periodSeconds", 10);
            fill(map, "successThreshold", 1);
            fill(map, "failureThreshold", 3);
        }
        "v1.HTTPGetAction" => {
            fill(map, "path", "/");
            fill(map, "scheme", "HTTP");
        }
        "v1.SecretVolumeSource"
        | "v1.ConfigMapVolumeSource"
        | "v1.DownwardAPIVolumeSource"
        | "v1.ProjectedVolumeSource" => fill(map, "defaultMode", 0o644),
        "v1.ServiceAccountTokenProjection" => fill(map, "expirationSeconds", 3600),
        "v1.HostPathVolumeSource" => fill(map, "type", ""),
        "v1.Volume" => {
            if map.keys().all(|key| key == "name") {
                map.insert("emptyDir".into(), json!({}));
            }
            if let Some(image) = map.get_mut("image").and_then(Value::as_object_mut) {
                let policy = pull_policy(
                    image
                        .get("reference")
                        .and_then(Value::as_str)
                        .unwrap_or_default(),
                );
                fill(image, "pullPolicy", policy);
            }
        }
        "v1.ObjectFieldSelector" => fill(map, "apiVersion", "v1"),
        "v1.PersistentVolumeClaimSpec" => fill(map, "volumeMode", "Filesystem"),
        "v1.LimitRangeItem" => fill_limit(map),
        "v1.NetworkPolicyPort" => fill(map, "protocol", "TCP"),
        "v1.EndpointPort" => {
            if group == "discovery.k8s.io" {
                fill(map, "name", "");
            }
            fill(map, "protocol", "TCP");
        }
        "v1.Subject" if group == "rbac.authorization.k8s.io" => {
            if matches!(
                map.get("kind").and_then(Value::as_str),
                Some("User" | "Group")
            ) {
                fill(map, "apiGroup", group);
            }
        }
        "v1.PodFailurePolicyOnPodConditionsPattern" => fill(map, "status", "True"),
        "v1.ServiceReference" => fill(map, "port", 443),
        "v1.ValidatingWebhook" | "v1.MutatingWebhook" => {
            fill(map, "failurePolicy", "Fail");
            fill_match(map);
            fill(map, "timeoutSeconds", 10);
            if go == "v1.MutatingWebhook" {
                fill(map, "reinvocationPolicy", "Never");
            }
        }
        "v1.RuleWithOperations" | "v1.NamedRuleWithOperations" => fill(map, "scope", "*"),
        "v1.ValidatingAdmissionPolicySpec" | "v1.MutatingAdmissionPolicySpec" => {
            fill(map, "failurePolicy", "Fail")
        }
        "v1.MatchResources" => fill_match(map),
        _ => {}
    }
}

fn fill_match(map: &mut Object) {
    fill(map, "matchPolicy", "Equivalent");
    fill(map, "namespaceSelector", json!({}));
    fill(map, "objectSelector", json!({}));
}

/// Limits of containers complete each other.
fn fill_limit(map: &mut Object) {
    if map.get("type").and_then(Value::as_str) != Some("Container") {
        return;
    }
    for (from, to) in [
        ("max", "default"),
        ("default", "defaultRequest"),
        ("min", "defaultRequest"),
    ] {
        let source = map
            .get(from)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if !source.is_empty() {
            let target = object(map, to);
            for (key, value) in source {
                target.entry(key).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_images_are_always_pulled() {
        let always = ["nginx", "nginx:latest", "localhost:5000/a/b", "a/b"];
        let other = ["nginx:1", "nginx@sha256:aa", "localhost:5000/a:1", ""];
        assert!(always.iter().all(|image| pull_policy(image) == "Always"));
        assert!(
            other
                .iter()
                .all(|image| pull_policy(image) == "IfNotPresent")
        );
    }
}
