//! The set of fields that an object mentions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Atom, Side, item_element, type_of};
use crate::fields::{PathElement, Set};
use crate::schema::{List, ListKind, Map, Schema, TypeId};

/// Every leaf and list item of an object: what applying it makes its applier own.
pub fn to_field_set<'a>(schema: &'a Schema, id: TypeId, value: &'a Value) -> Set<'a> {
    walk(schema, id, value).0
}

/// What lies below a value, and whether the value is itself a leaf.
fn walk<'a>(schema: &'a Schema, id: TypeId, value: &'a Value) -> (Set<'a>, bool) {
    match Atom::of(schema.node(id), Some(value)).side() {
        Side::Scalar(_) => (Set::new(), true),
        Side::Map(map) if map.atomic => (Set::new(), true),
        Side::List(list) if list.kind == ListKind::Atomic => (Set::new(), true),
        Side::Map(map) => (map_set(schema, id, map, value), false),
        Side::List(list) => (list_set(schema, list, value), false),
        Side::Nothing => (Set::new(), false),
    }
}

fn map_set<'a>(schema: &'a Schema, id: TypeId, map: &Map, value: &'a Value) -> Set<'a> {
    let mut set = Set::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        let (children, leaf) = walk(schema, type_of(map, key, id), value);
        let blank = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        set.add(
            PathElement::field(key),
            leaf || blank || map.field(key).is_none(),
            children,
        );
    }
    set
}

fn list_set<'a>(schema: &'a Schema, list: &'a List, value: &'a Value) -> Set<'a> {
    let mut items: BTreeMap<PathElement<'a>, (Set<'a>, usize)> = BTreeMap::new();
    for item in value.as_array().into_iter().flatten() {
        let Ok(element) = item_element(schema, list, item) else {
            continue;
        };
        let entry = items.entry(element).or_default();
        entry.1 += 1;
        // Of items that occur more than once only the key is owned.
        entry.0 = if entry.1 == 1 {
            walk(schema, list.element, item).0
        } else {
            Set::new()
        };
    }
    let mut set = Set::new();
    for (element, (children, _)) in items {
        set.add(element, true, children);
    }
    set
}
