//! The seam to `sluice-schema`: everything that depends on the schema of a kind.

use serde_json::Value;

use crate::registry::Resource;
use crate::status::{Cause, Result, Status};

/// Fills the defaults of the kind, in the version of the resource.
pub fn default(_resource: &Resource, _value: &mut Value) {}

/// Removes fields that the schema does not know, and names them.
pub fn prune(_resource: &Resource, _value: &mut Value) -> Vec<String> {
    Vec::new()
}

/// The errors of a new object.
pub fn validate_new(_resource: &Resource, _value: &Value) -> Vec<Cause> {
    Vec::new()
}

/// The errors of a change.
pub fn validate_change(_resource: &Resource, _before: &Value, _after: &Value) -> Vec<Cause> {
    Vec::new()
}

/// Who writes, through what, when.
pub struct Manager<'a> {
    /// Field manager.
    pub name: &'a str,
    /// Subresource, or empty.
    pub subresource: &'a str,
    /// The time of the entry.
    pub time: &'a str,
}

/// Records in `after.metadata.managedFields` what the manager changed.
pub fn track(
    _resource: &Resource,
    before: Option<&Value>,
    after: &mut Value,
    _manager: &Manager<'_>,
) {
    let kept = before
        .and_then(|before| before["metadata"].get("managedFields"))
        .cloned();
    let metadata = super::meta::of(after);
    match kept {
        Some(kept) => metadata.insert("managedFields".into(), kept),
        None => metadata.remove("managedFields"),
    };
}

/// Whether an apply takes fields that others own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It fails with a conflict.
    No,
    /// It takes them.
    Yes,
}

/// Server-side apply: the object after `config` was applied to `live`.
///
/// # Errors
/// 409 where another manager owns a field; 400 where the configuration is not valid.
pub fn apply(
    _resource: &Resource,
    live: Option<&Value>,
    config: &Value,
    _force: Force,
    _manager: &Manager<'_>,
) -> Result<Value> {
    let mut merged = live.cloned().unwrap_or_else(|| serde_json::json!({}));
    overlay(&mut merged, config);
    Ok(merged)
}

fn overlay(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                overlay(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Strategic merge patch.
///
/// # Errors
/// 415 for custom resources, 400 or 422 for a patch that does not fit.
pub fn strategic_merge(resource: &Resource, current: &Value, patch: &Value) -> Result<Value> {
    if resource.custom.is_some() {
        return Err(Status::unsupported_media_type(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ]));
    }
    let mut merged = current.clone();
    json_patch::merge(&mut merged, patch);
    Ok(merged)
}
