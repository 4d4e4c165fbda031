//! What distinguishes two objects.

use std::collections::BTreeMap;

use serde_json::{Map as Json, Value};

use super::{Atom, Side, item_element, type_of};
use crate::fields::{PathElement, Set, equal_values};
use crate::schema::{List, ListKind, Map, Schema, TypeId};

/// The fields in which a new object differs from an old one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison<'a> {
    /// Only the old one has them.
    pub removed: Set<'a>,
    /// Both have them, with different values.
    pub modified: Set<'a>,
    /// Only the new one has them.
    pub added: Set<'a>,
}

impl<'a> Comparison<'a> {
    /// Whether there is no difference.
    pub fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// Without these fields and what lies below them.
    pub fn without(self, fields: &Set<'_>) -> Self {
        Comparison {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }
}

/// Compares two objects of a type.
pub fn compare<'a>(
    schema: &'a Schema,
    id: TypeId,
    old: &'a Value,
    new: &'a Value,
) -> Comparison<'a> {
    if old == new {
        return Comparison::default();
    }
    walk(schema, id, Some(old), Some(new)).below
}

/// The differences below a value, and those of the value itself.
#[derive(Default)]
struct Delta<'a> {
    below: Comparison<'a>,
    removed: bool,
    modified: bool,
    added: bool,
}

impl<'a> Delta<'a> {
    fn attach(&mut self, element: PathElement<'a>, delta: Delta<'a>) {
        let below = delta.below;
        let parts = [
            (&mut self.below.removed, delta.removed, below.removed),
            (&mut self.below.modified, delta.modified, below.modified),
            (&mut self.below.added, delta.added, below.added),
        ];
        for (set, own, below) in parts {
            if own || !below.is_empty() {
                set.add(element.clone(), own, below);
            }
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.added = true,
            (_, None) => self.removed = true,
            (Some(old), Some(new)) => self.modified |= !equal_values(old, new),
        }
    }
}

fn walk<'a>(
    schema: &'a Schema,
    id: TypeId,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
) -> Delta<'a> {
    let mut delta = Delta::default();
    let node = schema.node(id);
    let (left, right) = (Atom::of(node, old), Atom::of(node, new));
    if new.is_none() {
        handle(schema, id, left, old, new, &mut delta);
    } else {
        if old.is_some() && !left.same(right) {
            handle(schema, id, left, old, new, &mut delta);
        }
        handle(schema, id, right, old, new, &mut delta);
    }
    delta.added |= old.is_none();
    delta.removed |= new.is_none();
    delta
}

fn handle<'a>(
    schema: &'a Schema,
    id: TypeId,
    atom: Atom<'a>,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    delta: &mut Delta<'a>,
) {
    match atom.side() {
        Side::Scalar(_) => delta.leaf(old, new),
        Side::Map(map) => {
            let (left, right) = (
                old.and_then(Value::as_object),
                new.and_then(Value::as_object),
            );
            let blank = |map: Option<&Json<String, Value>>| map.is_none_or(Json::is_empty);
            if map.atomic || (blank(left) && blank(right)) {
                delta.leaf(old, new);
            } else {
                maps(schema, id, map, left, right, delta);
            }
        }
        Side::List(list) => {
            let (left, right) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
            let blank = |list: Option<&Vec<Value>>| list.is_none_or(Vec::is_empty);
            if list.kind == ListKind::Atomic || (blank(left) && blank(right)) {
                delta.leaf(old, new);
            } else {
                lists(schema, list, left, right, delta);
            }
        }
        Side::Nothing => {}
    }
}

fn maps<'a>(
    schema: &'a Schema,
    id: TypeId,
    map: &Map,
    left: Option<&'a Json<String, Value>>,
    right: Option<&'a Json<String, Value>>,
    delta: &mut Delta<'a>,
) {
    let mut left = left.into_iter().flatten().peekable();
    let mut right = right.into_iter().flatten().peekable();
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return,
        };
        let old = if order.is_le() { left.next() } else { None };
        let new = if order.is_ge() { right.next() } else { None };
        let Some((key, _)) = old.or(new) else { return };
        let (old, new) = (old.map(|(_, value)| value), new.map(|(_, value)| value));
        if old.is_some() && old == new {
            continue;
        }
        let below = walk(schema, type_of(map, key, id), old, new);
        delta.attach(PathElement::field(key), below);
    }
}

fn lists<'a>(
    schema: &'a Schema,
    list: &'a List,
    left: Option<&'a Vec<Value>>,
    right: Option<&'a Vec<Value>>,
    delta: &mut Delta<'a>,
) {
    let mut items: BTreeMap<PathElement<'a>, (Vec<&'a Value>, Vec<&'a Value>)> = BTreeMap::new();
    for item in left.into_iter().flatten() {
        if let Ok(element) = item_element(schema, list, item) {
            items.entry(element).or_default().0.push(item);
        }
    }
    for item in right.into_iter().flatten() {
        if let Ok(element) = item_element(schema, list, item) {
            items.entry(element).or_default().1.push(item);
        }
    }
    for (element, (old, new)) in items {
        let mut below = Delta::default();
        match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => {
                below = walk(
                    schema,
                    list.element,
                    old.first().copied(),
                    new.first().copied(),
                );
            }
            // Items that occur more than once are one leaf together.
            ([_, _, ..], [_, _, ..]) => {
                let same =
                    old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| equal_values(a, b));
                below.modified = !same;
            }
            ([_, _, ..], new) => {
                if let Some(item) = new.first() {
                    below = walk(schema, list.element, None, Some(item));
                }
                below.removed = true;
            }
            (old, _) => {
                if let Some(item) = old.first() {
                    below = walk(schema, list.element, Some(item), None);
                }
                below.added = true;
            }
        }
        delta.attach(element, below);
    }
}
