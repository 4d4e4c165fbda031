//! Object metadata: names, uids, times, what may change and what may not.

use serde_json::{Map, Value};

use super::Write;
use crate::app::time_text;
use crate::random;
use crate::status::{Cause, Result, Status};

/// The longest name that a generated one is cut to, before its suffix.
const GENERATED_PREFIX: usize = 58;

/// The metadata object of a value, made where it is not there.
pub fn of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let metadata = &mut value["metadata"];
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    match metadata {
        Value::Object(map) => map,
        _ => unreachable!("just made an object"),
    }
}

/// The value of a text member of the metadata, or the empty text.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value["metadata"][key].as_str().unwrap_or_default()
}

/// The finalizers of an object.
pub fn finalizers(value: &Value) -> Vec<&str> {
    value["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Replaces the finalizers; an empty list is left out.
pub fn set_finalizers(value: &mut Value, finalizers: &[String]) {
    let metadata = of(value);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), finalizers.into());
    }
}

/// Checks the namespace of a body against the request's, and sets it.
///
/// # Errors
/// 400 where they differ.
pub fn settle_namespace(write: &Write<'_>, value: &mut Value) -> Result<()> {
    let metadata = of(value);
    let given = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match write.namespace.filter(|_| write.resource.namespaced) {
        Some(namespace) if given.is_empty() || given == namespace => {
            metadata.insert("namespace".into(), namespace.into());
        }
        None if given.is_empty() => {
            metadata.remove("namespace");
        }
        _ => {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Status::bad_request(message));
        }
    }
    Ok(())
}

/// Fills what the server decides about a new object: uid, time, generated name.
pub fn fill_new(write: &Write<'_>, value: &mut Value) {
    let now = time_text(write.app.now());
    let metadata = of(value);
    for key in [
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
    ] {
        metadata.remove(key);
    }
    drop_empty(metadata);
    metadata.insert("uid".into(), random::uid().into());
    metadata.insert("creationTimestamp".into(), now.into());
    let unnamed = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty();
    let prefix = metadata
        .get("generateName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if unnamed && !prefix.is_empty() {
        let mut cut = prefix.len().min(GENERATED_PREFIX);
        while !prefix.is_char_boundary(cut) {
            cut -= 1;
        }
        let name = format!("{}{}", &prefix[..cut], random::suffix());
        metadata.insert("name".into(), name.into());
    }
}

/// Members that Go leaves out where they are empty.
fn drop_empty(metadata: &mut Map<String, Value>) {
    metadata.retain(|key, value| match value {
        Value::Null => false,
        Value::Object(map) => !(map.is_empty() && matches!(key.as_str(), "labels" | "annotations")),
        Value::Array(list) => {
            !(list.is_empty()
                && matches!(
                    key.as_str(),
                    "finalizers" | "ownerReferences" | "managedFields"
                ))
        }
        Value::String(text) => {
            !(text.is_empty()
                && matches!(
                    key.as_str(),
                    "generateName" | "name" | "uid" | "resourceVersion" | "selfLink"
                ))
        }
        _ => true,
    });
}

/// Keeps what an update cannot change, as `rest.BeforeUpdate` does.
pub fn keep_on_update(before: &Value, after: &mut Value) {
    let old = before["metadata"].as_object();
    let metadata = of(after);
    drop_empty(metadata);
    for key in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
        "uid",
    ] {
        match old.and_then(|old| old.get(key)) {
            // A uid that differs is an error, which the caller has checked before.
            Some(value) => metadata.insert(key.to_owned(), value.clone()),
            None => metadata.remove(key),
        };
    }
}

/// The common errors of metadata that both versions of an object show.
pub fn check_update(before: &Value, after: &Value, causes: &mut Vec<Cause>) {
    let immutable = |key: &str| Cause {
        reason: "FieldValueInvalid".into(),
        message: format!(
            "Invalid value: {}: field is immutable",
            go_value(&after["metadata"][key])
        ),
        field: format!("metadata.{key}"),
    };
    for key in ["name", "namespace", "uid"] {
        if text(before, key) != text(after, key) {
            causes.push(immutable(key));
        }
    }
    if before["metadata"]["deletionTimestamp"].is_string() {
        let old = finalizers(before);
        let added: Vec<&str> = finalizers(after)
            .into_iter()
            .filter(|name| !old.contains(name))
            .collect();
        if !added.is_empty() {
            let quoted: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            causes.push(Cause {
                reason: "FieldValueForbidden".into(),
                message: format!(
                    "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    quoted.join(", ")
                ),
                field: "metadata.finalizers".into(),
            });
        }
    }
}

/// A value as Go's `%#v` or JSON shows it in a field error.
pub fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        other => other.to_string(),
    }
}
