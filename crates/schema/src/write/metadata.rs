//! Metadata that is the server's: what a write may set and what it keeps.

use serde_json::{Map, Value};

use super::Hooks;
use crate::failure::Failure;

/// The longest start of a generated name.
const MAX_PREFIX: usize = 63 - 5;

fn metadata(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata").and_then(Value::as_object_mut)
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}

/// Clears what a new object may not bring.
pub(super) fn wipe_system_fields(object: &mut Value) {
    if let Some(meta) = metadata(object) {
        for key in [
            "creationTimestamp",
            "uid",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
        ] {
            meta.remove(key);
        }
    }
}

/// Sets what the server decides of a new object.
pub(super) fn fill_system_fields(object: &mut Value, now: &str, hooks: &mut dyn Hooks) {
    let prefix = text(object, "generateName").to_owned();
    let name = (!prefix.is_empty() && text(object, "name").is_empty()).then(|| {
        let mut end = prefix.len().min(MAX_PREFIX);
        while !prefix.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{}", &prefix[..end], hooks.name_suffix())
    });
    let uid = hooks.uid();
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    if let Some(meta) = metadata(object) {
        if let Some(name) = name {
            meta.insert("name".into(), name.into());
        }
        meta.insert("uid".into(), uid.into());
        meta.insert("creationTimestamp".into(), now.into());
    }
}

/// Makes the namespace of an object that of the request.
pub(super) fn settle_namespace(object: &mut Value, expected: &str) -> Result<(), Failure> {
    let given = text(object, "namespace");
    if given == expected {
        return Ok(());
    }
    if !given.is_empty() && !expected.is_empty() {
        let text =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Failure::bad_request(text));
    }
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    if let Some(meta) = metadata(object) {
        if expected.is_empty() {
            meta.remove("namespace");
        } else {
            meta.insert("namespace".into(), expected.into());
        }
    }
    Ok(())
}

/// Removes owner references that occur twice; warns of it.
pub(super) fn dedup_owners(object: &mut Value) -> Option<String> {
    let owners = metadata(object)?
        .get_mut("ownerReferences")?
        .as_array_mut()?;
    let mut seen: Vec<Value> = Vec::new();
    let mut doubled: Vec<String> = Vec::new();
    owners.retain(|owner| {
        if seen.contains(owner) {
            let uid = owner["uid"].as_str().unwrap_or_default().to_owned();
            if !doubled.contains(&uid) {
                doubled.push(uid);
            }
            return false;
        }
        seen.push(owner.clone());
        true
    });
    (!doubled.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and \
             may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            doubled.join(", ")
        )
    })
}

/// Generation is the server's.
pub(super) fn keep_generation(object: &mut Value, live: &Value) {
    if let Some(meta) = metadata(object) {
        match live["metadata"].get("generation") {
            Some(generation) => meta.insert("generation".into(), generation.clone()),
            None => meta.remove("generation"),
        };
    }
}

/// Keeps what an update cannot change, where the update leaves it out.
pub(super) fn keep_system_fields(object: &mut Value, live: &Value) {
    let old = &live["metadata"];
    if let Some(meta) = metadata(object) {
        if meta.get("uid").is_none_or(|uid| uid == "") {
            meta.insert("uid".into(), old["uid"].clone());
        }
        for key in ["creationTimestamp", "deletionTimestamp"] {
            if !old[key].is_null() {
                meta.insert(key.into(), old[key].clone());
            }
        }
        let grace = "deletionGracePeriodSeconds";
        if !old[grace].is_null() && !meta.contains_key(grace) {
            meta.insert(grace.into(), old[grace].clone());
        }
    }
}

/// Removes texts that Go leaves out where they are empty.
pub(super) fn remove_blank(object: &mut Value) {
    if let Some(meta) = metadata(object) {
        meta.retain(|key, value| {
            let blank = match value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            !blank || key == "name"
        });
        if meta.get("name").is_some_and(|name| name == "") {
            meta.remove("name");
        }
    }
}
