//! Whether a live object is as its manifest says.
//!
//! Flux compares the live object with the answer to a dry run of the apply: labels, annotations and
//! everything outside `metadata` and `status`. Here the same comparison works on hashes too, so that
//! a live object need not be kept (see [`crate::observe`]).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value};

use crate::object;
use crate::pointer::Pointer;

/// A dry run's answer against the live object, with Flux's rules: `null`, `{}` and `[]` are the same,
/// but differ from an absent field; `ignored` paths are left out on both sides.
pub fn has_drifted(live: &Value, applied: &Value, ignored: &[Pointer]) -> bool {
    let (mut live, mut applied) = (comparable(live), comparable(applied));
    for pointer in ignored {
        pointer.remove(&mut live);
        pointer.remove(&mut applied);
    }
    !same(&live, &applied)
}

/// What of an object is compared.
fn comparable(object: &Value) -> Value {
    let mut content = Map::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        if key != "metadata" && key != "status" {
            content.insert(key.clone(), value.clone());
        }
    }
    let mut metadata = Map::new();
    for field in ["labels", "annotations"] {
        let value = object::at(object, &["metadata", field]).filter(|value| !is_empty(value));
        if let Some(value) = value {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    content.insert("metadata".to_owned(), Value::Object(metadata));
    let mut content = Value::Object(content);
    clean_metrics(&mut content);
    content
}

/// Metrics of an autoscaler: the server's answer to a dry run may repeat them or leave empty ones.
fn clean_metrics(object: &mut Value) {
    let is_autoscaler =
        object["kind"] == "HorizontalPodAutoscaler" && object["apiVersion"] == "autoscaling/v2";
    if let Some(metrics) = object
        .pointer_mut("/spec/metrics")
        .and_then(Value::as_array_mut)
        && is_autoscaler
    {
        let mut seen: Vec<Value> = Vec::new();
        metrics.retain(|metric| {
            let keep = !is_empty(metric) && !seen.contains(metric);
            if keep {
                seen.push(metric.clone());
            }
            keep
        });
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (a, b) => a == b || (is_empty(a) && is_empty(b)),
    }
}

/// A hash of everything outside `metadata` and `status`; equal for contents that
/// [`has_drifted`] takes as the same. Meaningful within one process only.
pub fn content_hash(object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        if key != "metadata" && key != "status" {
            key.hash(&mut hasher);
            hash_value(value, &mut hasher);
        }
    }
    hasher.finish()
}

/// A hash of a value in which `null`, `{}` and `[]` are the same.
pub fn hash_value(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        value if is_empty(value) => 0u8.hash(hasher),
        Value::Bool(b) => (1u8, b).hash(hasher),
        Value::Number(n) => match n.as_i64() {
            Some(i) => (2u8, i).hash(hasher),
            None => (3u8, n.to_string()).hash(hasher),
        },
        Value::String(s) => (4u8, s).hash(hasher),
        Value::Array(items) => {
            (5u8, items.len()).hash(hasher);
            items.iter().for_each(|item| hash_value(item, hasher));
        }
        Value::Object(map) => {
            6u8.hash(hasher);
            for (key, value) in map {
                key.hash(hasher);
                hash_value(value, hasher);
            }
            7u8.hash(hasher);
        }
        Value::Null => {}
    }
}

/// Sorted hashes of an object's labels and annotations, one for each pair.
pub fn pair_hashes(object: &Value) -> Box<[u64]> {
    let pairs = |field: u8, map: Option<&Map<String, Value>>| {
        map.into_iter()
            .flatten()
            .map(move |(key, value)| {
                let mut hasher = DefaultHasher::new();
                (field, key).hash(&mut hasher);
                hash_value(value, &mut hasher);
                hasher.finish()
            })
            .collect::<Vec<_>>()
    };
    let mut hashes = pairs(0, object::labels(object));
    hashes.extend(pairs(1, object::annotations(object)));
    hashes.sort_unstable();
    hashes.into()
}

/// Whether the sorted list `part` is within the sorted list `whole`.
pub fn contains_all(whole: &[u64], part: &[u64]) -> bool {
    part.iter().all(|hash| whole.binary_search(hash).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn drifted(live: Value, applied: Value) -> bool {
        has_drifted(&live, &applied, &[])
    }

    #[test]
    fn only_labels_annotations_and_content_are_compared() {
        let live = json!({"kind": "X", "metadata": {"name": "a", "labels": {"l": "1"}, "resourceVersion": "5",
            "finalizers": ["f"]}, "spec": {"a": 1}, "status": {"b": 1}});
        let mut applied = live.clone();
        applied["metadata"]["resourceVersion"] = json!("6");
        applied["metadata"]["finalizers"] = json!([]);
        applied["status"] = json!(null);
        assert!(!drifted(live.clone(), applied.clone()));
        for pointer in ["/metadata/labels/l", "/spec/a", "/kind"] {
            let mut changed = applied.clone();
            *changed.pointer_mut(pointer).unwrap() = json!("2");
            assert!(drifted(live.clone(), changed), "{pointer}");
        }
        applied["metadata"]["annotations"] = json!({"a": "b"});
        assert!(drifted(live, applied));
    }

    #[test]
    fn empty_is_null_but_not_absent() {
        assert!(!drifted(
            json!({"spec": {"a": null, "b": {}}}),
            json!({"spec": {"a": {}, "b": []}})
        ));
        assert!(!drifted(json!({"metadata": {"labels": {}}}), json!({})));
        assert!(drifted(
            json!({"volume": {"emptyDir": {}}}),
            json!({"volume": {}})
        ));
        assert!(drifted(
            json!({"spec": {"a": ""}}),
            json!({"spec": {"a": null}})
        ));
        assert!(drifted(
            json!({"spec": {"a": [{}]}}),
            json!({"spec": {"a": []}})
        ));
    }

    #[test]
    fn ignored_paths_do_not_count() {
        let ignored = [Pointer::parse("/spec/replicas").unwrap()];
        let (live, applied) = (
            json!({"spec": {"replicas": 1, "x": 1}}),
            json!({"spec": {"replicas": 2, "x": 1}}),
        );
        assert!(!has_drifted(&live, &applied, &ignored));
        assert!(has_drifted(
            &live,
            &json!({"spec": {"replicas": 1, "x": 2}}),
            &ignored
        ));
    }

    #[test]
    fn repeated_metrics_of_an_autoscaler_do_not_count() {
        let hpa = |metrics: Value| json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"metrics": metrics}});
        assert!(!drifted(
            hpa(json!([{"type": "A"}])),
            hpa(json!([{"type": "A"}, {}, {"type": "A"}]))
        ));
        assert!(drifted(
            hpa(json!([{"type": "A"}])),
            hpa(json!([{"type": "B"}]))
        ));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(1)),
            Just(json!("")),
            Just(json!("x")),
            Just(json!(true))
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn hashes_agree_with_the_comparison(a in any_value(), b in any_value()) {
            let (a, b) = (json!({"spec": a}), json!({"spec": b}));
            prop_assert_eq!(content_hash(&a) == content_hash(&b), !drifted(a, b));
        }
    }
}
