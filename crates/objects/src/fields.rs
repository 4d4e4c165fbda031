//! Sets of fields as `managedFields` keeps them (`fieldsV1`).

use serde_json::{Map, Value};

use crate::pointer::Pointer;

/// Adds the fields of `other` to `fields`.
pub fn unite(fields: &mut Value, other: &Value) {
    let (Value::Object(fields), Value::Object(other)) = (fields, other) else {
        return;
    };
    for (key, value) in other {
        match fields.get_mut(key) {
            Some(own) => unite(own, value),
            None => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Whether the set holds the field that a pointer means in `object` (whose list items it needs to
/// translate an index into the item's key), or something below it. `None` when a list item on the
/// way has no key in the set.
pub fn holds(fields: &Value, pointer: &Pointer, object: &Value) -> Option<bool> {
    let mut fields = fields.as_object()?;
    let mut value = Some(object);
    for step in pointer.steps() {
        let next = match value {
            Some(Value::Array(items)) => {
                let item = items.get(step.parse::<usize>().ok()?)?;
                Some(item_fields(fields, item)?)
            }
            _ => fields.get(&format!("f:{step}")),
        };
        value = value.and_then(|v| match v {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            other => other.get(step),
        });
        match next {
            Some(Value::Object(next)) => fields = next,
            _ => return Some(false),
        }
    }
    Some(true)
}

/// The entry of a list's set that means `item`: `k:{…}` with keys of the item, or `v:…` with its value.
fn item_fields<'f>(fields: &'f Map<String, Value>, item: &Value) -> Option<&'f Value> {
    fields.iter().find_map(|(key, value)| {
        let is_item = if let Some(keys) = key.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            keys.iter().all(|(k, v)| item.get(k) == Some(v))
        } else {
            serde_json::from_str::<Value>(key.strip_prefix("v:")?).ok()? == *item
        };
        is_item.then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn union_keeps_both() {
        let mut fields = json!({"f:data": {"f:a": {}}, "f:x": {}});
        unite(
            &mut fields,
            &json!({"f:data": {".": {}, "f:b": {}}, "f:metadata": {"f:labels": {}}}),
        );
        assert_eq!(
            fields,
            json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}, "f:x": {}, "f:metadata": {"f:labels": {}}})
        );
    }

    #[test]
    fn list_items_are_found_by_their_keys() {
        let object = json!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}], "args": ["p"]}});
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:image": {}}}, "f:args": {"v:\"p\"": {}}}});
        let holds = |text| holds(&fields, &Pointer::parse(text).unwrap(), &object);
        assert_eq!(holds("/spec/containers/1/image"), Some(true));
        assert_eq!(holds("/spec/containers/1/ports"), Some(false));
        assert_eq!(holds("/spec/containers/0/image"), None);
        assert_eq!(holds("/spec/args/0"), Some(true));
        assert_eq!(holds("/spec/replicas"), Some(false));
        assert_eq!(holds("/spec"), Some(true));
    }

    proptest! {
        #[test]
        fn union_is_idempotent(a in "[ab]{0,3}", b in "[ab]{0,3}") {
            let set = |text: &str| text.chars().rev().fold(json!({}), |inner, c| json!({format!("f:{c}"): inner}));
            let (mut once, other) = (set(&a), set(&b));
            unite(&mut once, &other);
            let mut twice = once.clone();
            unite(&mut twice, &other);
            prop_assert_eq!(once, twice);
        }
    }
}
