//! Laws of the set algebra and of merging, on random sets and objects.

use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_schema::fields::{PathElement, Set};
use sluice_schema::schema::build::Builder;
use sluice_schema::schema::{Schema, TypeId};
use sluice_schema::typed::{Duplicates, compare, merge, remove, to_field_set, validate};

fn element() -> impl Strategy<Value = PathElement<'static>> {
    let name = prop_oneof!["[ab]{1,2}", "[a-z]{1,3}"];
    prop_oneof![
        4 => name.prop_map(|name| PathElement::Field(name.into())),
        1 => (0i64..3).prop_map(|n| PathElement::Value(std::borrow::Cow::Owned(n.into()))),
        1 => "[ab]".prop_map(|name| PathElement::Key(vec![(
            "name".into(),
            std::borrow::Cow::Owned(name.into())
        )])),
    ]
}

fn set() -> impl Strategy<Value = Set<'static>> {
    let path = prop::collection::vec(element(), 1..4);
    prop::collection::vec(path, 0..12).prop_map(|paths| {
        let mut set = Set::new();
        paths.into_iter().for_each(|path| set.insert(path));
        set
    })
}

proptest! {
    #[test]
    fn sets_obey_the_laws_of_algebra(a in set(), b in set(), c in set()) {
        prop_assert_eq!(a.clone().union(b.clone()), b.clone().union(a.clone()));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(
            a.clone().union(b.clone()).union(c.clone()),
            a.clone().union(b.clone().union(c.clone()))
        );
        prop_assert_eq!(a.clone().difference(&b).union(a.intersection(&b)), a.clone());
        prop_assert_eq!(a.clone().difference(&b).intersection(&b), Set::new());
        prop_assert_eq!(
            a.intersection(&b.clone().union(c.clone())),
            a.intersection(&b).union(a.intersection(&c))
        );
        prop_assert!(a.intersection(&b).is_subset(&a) && a.is_subset(&a.clone().union(b.clone())));
        prop_assert_eq!(a.is_subset(&b), a.clone().difference(&b).is_empty());
        prop_assert!(a.clone().recursive_difference(&b).is_subset(&a.clone().difference(&b)));
        prop_assert_eq!(a.len() + b.len(), a.clone().union(b.clone()).len() + a.intersection(&b).len());
    }

    #[test]
    fn members_are_the_paths_that_were_inserted(a in set()) {
        let mut again = Set::new();
        for path in a.paths() {
            prop_assert!(a.has_path(&path));
            again.insert(path);
        }
        prop_assert_eq!(again, a);
    }

    #[test]
    fn fields_v1_reads_back(a in set()) {
        let json = a.to_json();
        let read = Set::from_json(&json).expect("what was written reads");
        prop_assert_eq!(&read, &a);
    }

    #[test]
    fn hostile_fields_v1_is_an_error_or_a_set(text in "[.fkvi:{}\"a0,]{0,12}") {
        let _ = Set::from_json(&json!({ text: {} }));
    }
}

/// A type with every kind of list and map.
fn schema() -> (Schema, TypeId) {
    let item = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "port": {"type": "integer", "default": 1}, "value": {"type": "string"}
    }});
    let object = json!({"type": "object", "properties": {
        "scalar": {"type": "string"},
        "atomic": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "map": {"type": "array", "items": item, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name", "port"]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "nested": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
    }});
    let mut builder = Builder::new();
    let id = builder.define("object", &object);
    (builder.finish(), id)
}

fn object() -> impl Strategy<Value = Value> {
    let texts = || prop::collection::btree_set("[a-d]", 0..4);
    let items = prop::collection::btree_map(("[a-c]", prop::option::of(1u8..3)), "[xy]", 0..4)
        .prop_map(|items| {
            let item = |((name, port), value): ((String, Option<u8>), String)| match port {
                None | Some(1) => json!({"name": name, "value": value}),
                Some(port) => json!({"name": name, "port": port, "value": value}),
            };
            let mut seen = std::collections::BTreeSet::new();
            let items = items.into_iter().map(item).filter(|item| {
                seen.insert((item["name"].to_string(), item["port"].as_u64().unwrap_or(1)))
            });
            Value::Array(items.collect())
        });
    let map = || prop::collection::btree_map("[a-c]", "[xy]", 0..3);
    let nested = (prop::option::of(0..3), prop::option::of(any::<bool>()));
    let parts = (
        prop::option::of("[xy]"),
        prop::option::of(texts()),
        prop::option::of(texts()),
        prop::option::of(items),
        prop::option::of(map()),
        prop::option::of(map()),
        prop::option::of(nested),
        prop::option::of(map()),
    );
    parts.prop_map(|(scalar, atomic, set, map, labels, whole, nested, any)| {
        let mut object = json!({});
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                object[key] = value;
            }
        };
        put("scalar", scalar.map(Value::from));
        put("atomic", atomic.map(|texts| json!(texts)));
        put("set", set.map(|texts| json!(texts)));
        put("map", map);
        put("labels", labels.map(|map| json!(map)));
        put("whole", whole.map(|map| json!(map)));
        put(
            "nested",
            nested.map(|(a, b): (Option<i32>, Option<bool>)| {
                let mut nested = json!({});
                if let Some(a) = a {
                    nested["a"] = a.into();
                }
                if let Some(b) = b {
                    nested["b"] = b.into();
                }
                nested
            }),
        );
        put("any", any.map(|map| json!(map)));
        object
    })
}

proptest! {
    #[test]
    fn merging_twice_changes_nothing(live in object(), applied in object()) {
        let (schema, id) = schema();
        prop_assert!(validate(&schema, id, &applied, Duplicates::Refuse).is_ok());
        let once = merge(&schema, id, live, &applied);
        let twice = merge(&schema, id, once.clone(), &applied);
        prop_assert_eq!(&twice, &once);
    }

    #[test]
    fn merging_removes_nothing(live in object(), applied in object()) {
        let (schema, id) = schema();
        let merged = merge(&schema, id, live.clone(), &applied);
        let comparison = compare(&schema, id, &live, &merged);
        prop_assert!(comparison.removed.is_empty());
    }

    #[test]
    fn an_object_differs_from_itself_in_nothing(a in object(), b in object()) {
        let (schema, id) = schema();
        prop_assert!(compare(&schema, id, &a, &a).is_same());
        let (there, back) = (compare(&schema, id, &a, &b), compare(&schema, id, &b, &a));
        prop_assert_eq!(there.added, back.removed);
        prop_assert_eq!(there.modified, back.modified);
    }

    #[test]
    fn what_is_removed_is_gone(object in object(), other in object()) {
        let (schema, id) = schema();
        let set = to_field_set(&schema, id, &other);
        let mut left = object.clone();
        remove(&schema, id, &mut left, &set);
        if left.is_object() {
            let leaves = set.leaves();
            prop_assert!(to_field_set(&schema, id, &left).intersection(&leaves).is_empty());
        }
    }
}
