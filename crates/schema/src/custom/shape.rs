//! Pruning and defaults: what a schema makes of an object before anything is checked.

use serde_json::Value;

use super::schema::{Additional, Structural, Trail};

/// Members that are not for the schema of an embedded object to describe.
const OF_EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes what no schema describes. Gives the paths of what was removed, sorted.
pub(super) fn prune(value: &mut Value, schema: &Structural) -> Vec<String> {
    let mut removed = Vec::new();
    prune_at(value, Some(schema), &Trail::ROOT, &mut removed);
    removed.sort();
    removed
}

fn prune_at(
    value: &mut Value,
    schema: Option<&Structural>,
    path: &Trail<'_>,
    removed: &mut Vec<String>,
) {
    match value {
        Value::Object(map) => map.retain(|name, member| {
            let path = path.child(name);
            let Some(schema) = schema else {
                removed.push(path.to_string());
                return false;
            };
            if schema.embedded && OF_EVERY_OBJECT.contains(&name.as_str()) {
                return true;
            }
            let of = match (schema.properties.get(name), &schema.additional) {
                (Some(of), _) => Some(of),
                (None, Some(Additional::Of(of))) => Some(&**of),
                _ if schema.preserve => return true,
                (None, Some(Additional::Any)) => None,
                (None, None) => {
                    removed.push(path.to_string());
                    return false;
                }
            };
            prune_at(member, of, &path, removed);
            true
        }),
        Value::Array(items) => {
            let of = schema.and_then(|schema| schema.items.as_deref());
            if of.is_none() && schema.is_some_and(|schema| schema.preserve) {
                return;
            }
            for (at, item) in items.iter_mut().enumerate() {
                prune_at(item, of, &path.index(at), removed);
            }
        }
        _ => {}
    }
}

/// Removes nulls where null is not allowed and no default stands in.
pub(super) fn remove_nulls(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(map) => map.retain(|name, member| match schema.member(name) {
            Some(of) if member.is_null() => of.nullable,
            Some(of) => {
                remove_nulls(member, of);
                true
            }
            None => true,
        }),
        Value::Array(items) => {
            for (item, of) in items.iter_mut().zip(std::iter::repeat(&schema.items)) {
                if let Some(of) = of {
                    remove_nulls(item, of);
                }
            }
        }
        _ => {}
    }
}

/// Puts defaults in place of members that are absent, or null where null is not allowed, from the outside in.
pub(super) fn fill_defaults(value: &mut Value, schema: &Structural) {
    let fill_null = |value: &mut Value, of: &Structural| {
        if let (Value::Null, false, Some(default)) = (&*value, of.nullable, &of.default) {
            *value = default.clone();
        }
    };
    match value {
        Value::Object(members) => {
            for (name, of) in &schema.properties {
                if let (Some(default), None) = (&of.default, members.get(name)) {
                    members.insert(name.clone(), default.clone());
                }
            }
            for (name, member) in members.iter_mut() {
                if let Some(of) = schema.member(name) {
                    fill_null(member, of);
                    fill_defaults(member, of);
                }
            }
        }
        Value::Array(items) => {
            if let Some(of) = &schema.items {
                for item in items {
                    fill_null(item, of);
                    fill_defaults(item, of);
                }
            }
        }
        _ => {}
    }
}
