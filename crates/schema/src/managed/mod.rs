//! `metadata.managedFields`: who owns which fields, kept by every write.
//!
//! [`apply`] is server-side apply; [`update`] tracks every other write. Both are pure: time comes in as text, and a
//! [`Kind`] says what the types are, how versions convert, and how a merged object is completed.

mod apply;
mod conflict;
mod entries;
mod last_applied;
mod scale;
mod update;

use std::sync::OnceLock;

use serde_json::Value;

use crate::fields::Set;
use crate::schema::{Schema, TypeId};

pub use apply::{Applied, ApplyError, ApplyRequest, apply};
pub use conflict::{Conflict, Conflicts};
pub use entries::{ManagedError, Operation, decode_error};
pub use scale::{ScalePaths, scale_from_parent, scale_to_parent};
pub use update::{Update, ignore_time_changes, update};

/// What server-side apply has to know about a kind.
pub trait Kind {
    /// The types of all its versions.
    fn schema(&self) -> &Schema;

    /// The type of the kind in a version; None where it has no such version.
    fn type_of(&self, api_version: &str) -> Option<TypeId>;

    /// The object in another version; None where the kind has no such version.
    fn convert(&self, object: &Value, api_version: &str) -> Option<Value>;

    /// Fields that writes to a subresource in this version never own, since the server resets them.
    fn reset_fields(&self, api_version: &str, subresource: &str) -> &Set<'static>;

    /// Reads a merged object as the server does: in normal form and with defaults.
    ///
    /// # Errors
    /// The text of what cannot be read.
    fn complete(&self, object: Value) -> Result<Value, String>;

    /// The object before there is one, as the server makes it to compare a new one with.
    fn empty(&self, api_version: &str) -> Value;
}

/// Fields that nobody owns.
fn stripped() -> &'static Set<'static> {
    static STRIPPED: OnceLock<Set<'static>> = OnceLock::new();
    STRIPPED.get_or_init(|| {
        Set::of_names(&[
            &["apiVersion"],
            &["kind"],
            &["metadata"],
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "creationTimestamp"],
            &["metadata", "selfLink"],
            &["metadata", "uid"],
            &["metadata", "clusterName"],
            &["metadata", "generation"],
            &["metadata", "managedFields"],
            &["metadata", "resourceVersion"],
        ])
    })
}

/// `namespace/name; group/version, Kind=kind`, as the server names an object in errors.
fn object_name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    format!(
        "{}/{}; {}, Kind={}",
        text(&metadata["namespace"]),
        text(&metadata["name"]),
        text(&object["apiVersion"]),
        text(&object["kind"])
    )
}

fn api_version(object: &Value) -> &str {
    object["apiVersion"].as_str().unwrap_or_default()
}

/// A copy without `metadata.managedFields`.
fn without_managed_fields(object: &Value) -> Value {
    let Value::Object(fields) = object else {
        return object.clone();
    };
    let copy = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Object(metadata) if key == "metadata" => {
                let kept = metadata.iter().filter(|(key, _)| *key != "managedFields");
                Value::Object(
                    kept.map(|(key, value)| (key.clone(), value.clone()))
                        .collect(),
                )
            }
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    Value::Object(fields.iter().map(copy).collect())
}

/// Whether two objects are the same but for `metadata.managedFields`.
fn same_object(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else {
        return a == b;
    };
    let same_metadata = |a: &Value, b: &Value| match (a.as_object(), b.as_object()) {
        (Some(a), Some(b)) => {
            let fields = |map: &'_ serde_json::Map<String, Value>| {
                map.len() - usize::from(map.contains_key("managedFields"))
            };
            fields(a) == fields(b)
                && a.iter()
                    .filter(|(key, _)| *key != "managedFields")
                    .all(|(key, value)| {
                        b.get(key)
                            .is_some_and(|other| crate::fields::equal_values(value, other))
                    })
        }
        _ => a == b,
    };
    a.len() == b.len()
        && a.iter().zip(b).all(|((ka, a), (kb, b))| {
            ka == kb
                && if ka == "metadata" {
                    same_metadata(a, b)
                } else {
                    crate::fields::equal_values(a, b)
                }
        })
}

/// Replaces `metadata.managedFields`; an empty list removes it.
fn set_managed_fields(object: &mut Value, entries: Vec<Value>) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".into(), Value::Array(entries));
        }
    } else if !entries.is_empty() {
        object["metadata"] = serde_json::json!({ "managedFields": entries });
    }
}
