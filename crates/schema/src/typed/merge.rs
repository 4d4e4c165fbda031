//! Merging an applied object into a live one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Atom, Side, item_element, type_of};
use crate::fields::PathElement;
use crate::schema::{List, ListKind, Map, Schema, TypeId};

/// Merges `applied` into `live`: no field is removed, values of `applied` win, lists take its order where it
/// changes something.
pub fn merge(schema: &Schema, id: TypeId, live: Value, applied: &Value) -> Value {
    let mut merged = live;
    overlay(schema, id, &mut merged, applied);
    merged
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

fn overlay(schema: &Schema, id: TypeId, live: &mut Value, applied: &Value) {
    // The side of the applied value decides, as the server handles it last.
    match Atom::of(schema.node(id), Some(applied)).side() {
        Side::Map(map) if !map.atomic => overlay_map(schema, id, map, live, applied),
        Side::List(list) if list.kind != ListKind::Atomic => {
            overlay_list(schema, list, live, applied)
        }
        _ => *live = applied.clone(),
    }
}

fn overlay_map(schema: &Schema, id: TypeId, map: &Map, live: &mut Value, applied: &Value) {
    let Some(fields) = live.as_object_mut().filter(|fields| !fields.is_empty()) else {
        return *live = applied.clone();
    };
    for (key, value) in applied.as_object().into_iter().flatten() {
        match fields.get_mut(key) {
            Some(live) => overlay(schema, type_of(map, key, id), live, value),
            None => {
                fields.insert(key.clone(), value.clone());
            }
        }
    }
}

fn overlay_list(schema: &Schema, list: &List, live: &mut Value, applied: &Value) {
    if let (Value::Array(old), Some(new)) = (&mut *live, applied.as_array())
        && !old.is_empty()
        && !new.is_empty()
    {
        let old = std::mem::take(old);
        *live = Value::Array(merge_lists(schema, list, old, new));
    } else if !is_blank(applied) || is_blank(live) {
        *live = applied.clone();
    }
}

/// What a list item of the live object became.
enum Slot {
    Live(Value),
    Taken,
}

fn merge_lists(schema: &Schema, list: &List, old: Vec<Value>, new: &[Value]) -> Vec<Value> {
    let elements = |items: &[Value]| -> Vec<PathElement<'static>> {
        let element = |item| item_element(schema, list, item).map(PathElement::into_owned);
        items
            .iter()
            .map(|item| element(item).unwrap_or(PathElement::Index(-1)))
            .collect()
    };
    let (old_elements, new_elements) = (elements(&old), elements(new));
    if old_elements == new_elements {
        // Nothing moves: the usual case.
        let pair = |(mut old, new): (Value, &Value)| {
            overlay(schema, list.element, &mut old, new);
            old
        };
        return old.into_iter().zip(new).map(pair).collect();
    }
    let mut old_at: BTreeMap<&PathElement<'_>, Vec<usize>> = BTreeMap::new();
    for (at, element) in old_elements.iter().enumerate() {
        old_at.entry(element).or_default().push(at);
    }
    let new_at: BTreeMap<&PathElement<'_>, usize> = new_elements.iter().zip(0..).collect();
    let mut slots: Vec<Slot> = old.into_iter().map(Slot::Live).collect();
    let mut out = Vec::with_capacity(slots.len().max(new.len()));
    // The applied items that the live list has too, in the order in which they have to come out.
    let mut shared = new_elements
        .iter()
        .filter(|element| old_at.contains_key(element))
        .peekable();
    let mut merged = vec![false; new.len()];
    let (mut l, mut r) = (0, 0);
    let mut take = |r: usize, merged: &mut Vec<bool>| {
        merged[r] = true;
        let applied = &new[r];
        match old_at.get(&new_elements[r]).map(Vec::as_slice) {
            // An item that occurs more than once in the live list is replaced, not merged.
            Some([at]) => match std::mem::replace(&mut slots[*at], Slot::Taken) {
                Slot::Live(mut item) => {
                    overlay(schema, list.element, &mut item, applied);
                    item
                }
                Slot::Taken => applied.clone(),
            },
            _ => applied.clone(),
        }
    };
    let mut keep: Vec<(usize, usize)> = Vec::new();
    while l < old_elements.len() || r < new_elements.len() {
        if l < old_elements.len() {
            let element = &old_elements[l];
            let applied_at = new_at.get(element).copied();
            if r < new_elements.len() {
                if applied_at == Some(r) {
                    out.push(take(r, &mut merged));
                    shared.next();
                    l += 1;
                    r += 1;
                    continue;
                }
                if applied_at.is_some() && shared.peek().is_some_and(|next| *next != element) {
                    // Shared, but others come first.
                    l += 1;
                    continue;
                }
            }
            match applied_at {
                None => {
                    // Filled in below, when nothing is taken any more.
                    keep.push((out.len(), l));
                    out.push(Value::Null);
                    l += 1;
                    continue;
                }
                Some(at) if merged[at] => l += 1,
                Some(_) => {}
            }
        }
        if r < new_elements.len() {
            if shared.peek().is_some_and(|next| **next == new_elements[r]) {
                shared.next();
            }
            out.push(take(r, &mut merged));
            r += 1;
        }
    }
    for (to, from) in keep {
        if let Slot::Live(item) = std::mem::replace(&mut slots[from], Slot::Taken) {
            out[to] = item;
        }
    }
    out
}
