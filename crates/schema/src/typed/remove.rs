//! Removing fields from an object.

use serde_json::Value;

use super::{Atom, Side, item_element, type_of};
use crate::fields::{PathElement, Set};
use crate::schema::{ListKind, Schema, TypeId};

/// Removes the members of a set from an object.
///
/// What becomes empty by it becomes null, as on the server.
pub fn remove(schema: &Schema, id: TypeId, value: &mut Value, set: &Set<'_>) {
    let keep = match Atom::of(schema.node(id), Some(value)).side() {
        Side::Scalar(_) => true,
        Side::Map(map) if !map.atomic => {
            let Value::Object(fields) = value else {
                return *value = Value::Null;
            };
            fields.retain(|key, value| {
                let element = PathElement::field(key);
                if set.has(&element) {
                    return false;
                }
                if let Some(below) = set.below(&element) {
                    remove(schema, type_of(map, key, id), value, below);
                }
                true
            });
            !fields.is_empty()
        }
        Side::List(list) if list.kind != ListKind::Atomic => {
            let Value::Array(items) = value else {
                return *value = Value::Null;
            };
            items.retain_mut(|item| {
                let Ok(element) = item_element(schema, list, item).map(PathElement::into_owned)
                else {
                    return true;
                };
                if set.has(&element) {
                    return false;
                }
                if let Some(below) = set.below(&element) {
                    remove(schema, list.element, item, below);
                }
                true
            });
            !items.is_empty()
        }
        _ => false,
    };
    if !keep {
        *value = Value::Null;
    }
}
