//! Which changes of a manifest an API server has no reason to refuse.
//!
//! A set of changes has to be refused as a whole or not at all. Flux asks the server about each of
//! them first (a dry run). That can be left out for changes that touch nothing but fields that are
//! always mutable and whose values we can check ourselves: labels, annotations, replicas, images,
//! arguments, values of variables, data of mutable ConfigMaps and Secrets. Admission webhooks and
//! policies can refuse anything; whether there are any is for the caller to know.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::drift::hash_value;
use crate::object::Gvk;

/// What is remembered of a manifest, to compare the next one with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    whole: u64,
    /// Without what may change freely.
    guarded: u64,
}

/// How a manifest differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Not at all.
    None,
    /// In fields that cannot be refused.
    Safe,
    /// In others too.
    Risky,
}

impl Summary {
    /// Summarises a manifest.
    pub fn of(manifest: &Value) -> Self {
        let hash = |value: &Value| {
            let mut hasher = DefaultHasher::new();
            hash_value(value, &mut hasher);
            hasher.finish()
        };
        let mut guarded = manifest.clone();
        strip(&mut guarded);
        Self {
            whole: hash(manifest),
            guarded: hash(&guarded),
        }
    }

    /// Compares with the manifest that comes next.
    pub fn change_to(self, next: Self) -> Change {
        if self.whole == next.whole {
            Change::None
        } else if self.guarded == next.guarded {
            Change::Safe
        } else {
            Change::Risky
        }
    }
}

/// Removes the fields that may change freely, where their values are beyond doubt.
fn strip(manifest: &mut Value) {
    let gvk = Gvk::of(manifest);
    if let Some(metadata) = manifest.get_mut("metadata") {
        strip_metadata(metadata);
    }
    match gvk.as_ref().map(|g| (g.group.as_str(), g.kind.as_str())) {
        Some(("", "ConfigMap" | "Secret")) => strip_data(manifest),
        Some(("apps", "Deployment" | "StatefulSet" | "DaemonSet")) => strip_workload(manifest),
        _ => {}
    }
}

fn strip_metadata(metadata: &mut Value) {
    remove_if(metadata, "labels", |labels| {
        all(labels, |key, value| is_key(key) && is_label(value))
    });
    remove_if(metadata, "annotations", |annotations| {
        let size: usize = annotations
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| k.len() + v.to_string().len())
            .sum();
        size < 200 << 10 && all(annotations, |key, _| is_key(key))
    });
}

/// Data is free unless the object says that it is immutable, and the keys are good.
fn strip_data(manifest: &mut Value) {
    if manifest
        .get("immutable")
        .is_some_and(|i| *i != Value::Bool(false))
    {
        return;
    }
    let is_secret = manifest["kind"] == "Secret";
    remove_if(manifest, "data", |data| {
        let size: usize = data
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| k.len() + v.as_str().map_or(0, str::len))
            .sum();
        size < 900 << 10
            && all(data, |key, value| {
                is_data_key(key) && (!is_secret || is_base64(value))
            })
    });
}

fn strip_workload(manifest: &mut Value) {
    let Some(spec) = manifest.get_mut("spec") else {
        return;
    };
    remove_if(spec, "replicas", |n| {
        n.as_i64()
            .is_some_and(|n| (0..=i64::from(i32::MAX)).contains(&n))
    });
    if let Some(metadata) = spec.pointer_mut("/template/metadata") {
        // Labels have to match the selector.
        let labels = metadata.get("labels").cloned();
        strip_metadata(metadata);
        if let (Some(labels), Some(metadata)) = (labels, metadata.as_object_mut()) {
            metadata.insert("labels".to_owned(), labels);
        }
    }
    for list in ["/template/spec/containers", "/template/spec/initContainers"] {
        for container in spec
            .pointer_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            remove_if(container, "image", |i| {
                i.as_str().is_some_and(|i| !i.is_empty() && i.trim() == i)
            });
            for field in ["args", "command"] {
                remove_if(container, field, |list| {
                    list.as_array()
                        .is_some_and(|l| l.iter().all(Value::is_string))
                });
            }
            for variable in container
                .get_mut("env")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if variable.get("valueFrom").is_none() {
                    remove_if(variable, "value", Value::is_string);
                }
            }
        }
    }
}

fn remove_if(value: &mut Value, field: &str, is_safe: impl Fn(&Value) -> bool) {
    if let Some(map) = value.as_object_mut()
        && map.get(field).is_some_and(&is_safe)
    {
        map.remove(field);
    }
}

fn all(value: &Value, is_good: impl Fn(&str, &str) -> bool) -> bool {
    let pair =
        |(key, value): (&String, &Value)| value.as_str().is_some_and(|value| is_good(key, value));
    value
        .as_object()
        .is_some_and(|map: &Map<String, Value>| map.iter().all(pair))
}

fn matches(cell: &OnceLock<Regex>, pattern: &str, text: &str) -> bool {
    cell.get_or_init(|| Regex::new(pattern).expect("the pattern is constant"))
        .is_match(text)
}

/// A qualified name: `[prefix/]name`.
fn is_key(key: &str) -> bool {
    static KEY: OnceLock<Regex> = OnceLock::new();
    let pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
    let (prefix, name) = key.split_once('/').unwrap_or(("", key));
    prefix.len() <= 253 && name.len() <= 63 && matches(&KEY, pattern, key)
}

fn is_label(value: &str) -> bool {
    static VALUE: OnceLock<Regex> = OnceLock::new();
    value.len() <= 63
        && matches(
            &VALUE,
            "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
            value,
        )
}

fn is_data_key(key: &str) -> bool {
    static KEY: OnceLock<Regex> = OnceLock::new();
    key.len() <= 253
        && key != "."
        && !key.starts_with("..")
        && matches(&KEY, "^[-._a-zA-Z0-9]+$", key)
}

fn is_base64(value: &str) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(value)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(old: Value, new: Value) -> Change {
        Summary::of(&old).change_to(Summary::of(&new))
    }

    fn changed(object: &Value, pointer: &str, value: Value) -> Change {
        let mut new = object.clone();
        *new.pointer_mut(pointer).unwrap() = value;
        change(object.clone(), new)
    }

    #[test]
    fn labels_and_annotations_are_safe_while_well_formed() {
        let object = json!({"apiVersion": "example.com/v1", "kind": "Widget",
            "metadata": {"name": "a", "labels": {"l": "1"}, "annotations": {"a": "1"}}, "spec": {"x": 1}});
        assert_eq!(change(object.clone(), object.clone()), Change::None);
        assert_eq!(
            changed(&object, "/metadata/labels/l", json!("2")),
            Change::Safe
        );
        assert_eq!(
            changed(&object, "/metadata/labels", json!({})),
            Change::Safe
        );
        assert_eq!(
            changed(
                &object,
                "/metadata/annotations",
                json!({"example.com/b": "any thing"})
            ),
            Change::Safe
        );
        assert_eq!(
            changed(&object, "/metadata/labels/l", json!("not good")),
            Change::Risky
        );
        assert_eq!(
            changed(&object, "/metadata/labels/l", json!(2)),
            Change::Risky
        );
        assert_eq!(
            changed(&object, "/metadata/annotations", json!({"b ad": ""})),
            Change::Risky
        );
        assert_eq!(changed(&object, "/spec/x", json!(2)), Change::Risky);
    }

    #[test]
    fn a_rollout_is_safe_and_a_changed_selector_is_not() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"},
            "annotations": {"x": "1"}}, "spec": {"containers": [{"name": "c", "image": "i:1", "args": ["a"], "env": [
                {"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
                "resources": {"limits": {"cpu": "1"}}}]}}}});
        for (pointer, value) in [
            ("/spec/replicas", json!(3)),
            ("/spec/template/metadata/annotations/x", json!("2")),
            ("/spec/template/spec/containers/0/image", json!("i:2")),
            ("/spec/template/spec/containers/0/args", json!(["a", "b"])),
            ("/spec/template/spec/containers/0/env/0/value", json!("2")),
        ] {
            assert_eq!(changed(&object, pointer, value), Change::Safe, "{pointer}");
        }
        for (pointer, value) in [
            ("/spec/replicas", json!(-1)),
            ("/spec/selector/matchLabels/app", json!("b")),
            ("/spec/template/metadata/labels/app", json!("b")),
            ("/spec/template/spec/containers/0/image", json!("")),
            ("/spec/template/spec/containers/0/name", json!("d")),
            (
                "/spec/template/spec/containers/0/env/1/valueFrom",
                json!({}),
            ),
            (
                "/spec/template/spec/containers/0/resources/limits/cpu",
                json!("2"),
            ),
        ] {
            assert_eq!(changed(&object, pointer, value), Change::Risky, "{pointer}");
        }
    }

    #[test]
    fn data_is_safe_unless_immutable() {
        let map = |immutable: Value| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
            "immutable": immutable, "data": {"k": "1"}})
        };
        assert_eq!(
            changed(&map(json!(false)), "/data/k", json!("2")),
            Change::Safe
        );
        assert_eq!(
            changed(&map(json!(true)), "/data/k", json!("2")),
            Change::Risky
        );
        assert_eq!(
            changed(&map(json!(false)), "/data", json!({"b d": "2"})),
            Change::Risky
        );
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "Opaque", "data": {"k": "MQ=="}});
        assert_eq!(changed(&secret, "/data/k", json!("Mg==")), Change::Safe);
        assert_eq!(changed(&secret, "/data/k", json!("?")), Change::Risky);
        assert_eq!(changed(&secret, "/type", json!("x")), Change::Risky);
    }
}
