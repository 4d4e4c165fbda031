//! Patches of stored objects: JSON patch, JSON merge patch, strategic merge patch.
//!
//! Server-side apply is in [`crate::managed`]. These functions give the patched document; reading it back into its
//! kind, with field validation, is the caller's next step ([`crate::write`] does both).

mod operations;
mod strategic;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::read::{self, FieldValidation, Parsed};

pub use strategic::{StrategicError, strategic_merge};

/// The kinds of patches besides server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
}

/// How many operations a JSON patch may have.
pub const MAX_OPERATIONS: usize = 10_000;

/// A patched document.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The document.
    pub value: Value,
    /// Strict errors of the patch itself, such as duplicate fields.
    pub strict: Vec<String>,
    /// The patch as errors about its result print it.
    pub printed: String,
}

fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn parse_object(patch: &[u8], prefix: &str) -> Result<Parsed, Failure> {
    let parsed =
        read::parse(patch).map_err(|error| Failure::bad_request(format!("{prefix}{error}")))?;
    if parsed.value.is_object() {
        return Ok(parsed);
    }
    let found = type_word(&parsed.value);
    let text = format!(
        "{prefix}json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
    );
    Err(Failure::bad_request(text))
}

/// Merges a JSON merge patch into a document: null removes, objects merge, all else replaces.
fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        return *document = patch.clone();
    };
    if !document.is_object() {
        *document = json!({});
    }
    if let Some(map) = document.as_object_mut() {
        for (key, value) in patch {
            if value.is_null() {
                map.remove(key);
            } else {
                merge(map.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Applies a JSON merge patch.
///
/// # Errors
/// Code 400 if the patch is no object.
pub fn merge_patch(object: &Value, patch: &[u8]) -> Result<Patched, Failure> {
    let parsed = parse_object(patch, "error decoding patch: ")?;
    let mut value = object.clone();
    merge(&mut value, &parsed.value);
    let printed = value.to_string();
    Ok(Patched {
        value,
        strict: parsed.duplicates,
        printed,
    })
}

/// Applies a JSON patch.
///
/// # Errors
/// Code 400 if it is none, 413 if it has too many operations, 422 if it does not apply.
pub fn json_patch(
    object: &Value,
    patch: &[u8],
    validation: FieldValidation,
) -> Result<Patched, Failure> {
    let prefix = match validation {
        FieldValidation::Ignore => "",
        _ => "error decoding patch: ",
    };
    let parsed =
        read::parse(patch).map_err(|error| Failure::bad_request(format!("{prefix}{error}")))?;
    let Some(operations) = parsed.value.as_array() else {
        let target = if prefix.is_empty() {
            "jsonpatch.Patch"
        } else {
            "[]handlers.jsonPatchOp"
        };
        let found = type_word(&parsed.value);
        let text = format!("{prefix}json: cannot unmarshal {found} into Go value of type {target}");
        return Err(Failure::bad_request(text));
    };
    if operations.len() > MAX_OPERATIONS {
        let message = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        );
        let details = Some(json!({}));
        return Err(Failure {
            code: 413,
            reason: "RequestEntityTooLarge",
            message,
            details,
        });
    }
    let known = ["op", "path", "from", "value"];
    let mut strict: Vec<String> = parsed
        .duplicates
        .iter()
        .map(|text| format!("json patch {text}"))
        .collect();
    for (at, operation) in operations.iter().enumerate() {
        let unknown = operation
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key);
        let unknown = unknown.filter(|key| !known.contains(&key.as_str()));
        strict.extend(unknown.map(|key| format!("json patch unknown field \"[{at}].{key}\"")));
    }
    let mut value = object.clone();
    let applied = operations
        .iter()
        .try_for_each(|operation| operations::apply(&mut value, operation));
    if applied.is_err() {
        let message = "the server rejected our request due to an error in our request";
        return Err(Failure::unprocessable(message));
    }
    let printed = value.to_string();
    Ok(Patched {
        value,
        strict,
        printed,
    })
}
