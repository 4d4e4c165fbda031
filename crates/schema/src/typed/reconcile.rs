//! Field sets recorded under an older schema.

use crate::fields::{PathElement, Set};
use crate::schema::{ListKind, Schema, TypeId};

/// Adapts a set to types that have become atomic since: who owned something below such a field owns the field.
///
/// None if nothing changes.
pub fn reconcile<'a>(schema: &Schema, id: TypeId, set: &Set<'a>) -> Option<Set<'a>> {
    let mut atomic: Vec<Vec<PathElement<'a>>> = Vec::new();
    collect(schema, id, set, &mut Vec::new(), &mut atomic);
    if atomic.is_empty() {
        return None;
    }
    let mut roots = Set::new();
    for path in atomic {
        roots.insert(path);
    }
    Some(set.clone().recursive_difference(&roots).union(roots))
}

fn collect<'a>(
    schema: &Schema,
    id: TypeId,
    set: &Set<'a>,
    path: &mut Vec<PathElement<'a>>,
    atomic: &mut Vec<Vec<PathElement<'a>>>,
) {
    let node = schema.node(id);
    let is_atomic = match (&node.map, node.scalar, &node.list) {
        // Types that are deduced from values say nothing.
        (Some(map), ..)
            if map.fields.is_empty() && map.element.is_some_and(|id| schema.is_deduced(id)) =>
        {
            return;
        }
        (Some(map), ..) => map.atomic,
        (None, None, Some(list)) => list.kind == ListKind::Atomic,
        (None, ..) => return,
    };
    if is_atomic {
        return atomic.push(path.clone());
    }
    for (element, below) in set.inner() {
        let ty = match (element, &node.map, &node.list) {
            (PathElement::Field(name), Some(map), _) => map.type_of(name),
            (_, None, Some(list)) => Some(list.element),
            _ => None,
        };
        if let Some(ty) = ty {
            path.push(element.clone());
            collect(schema, ty, below, path, atomic);
            path.pop();
        }
    }
}
