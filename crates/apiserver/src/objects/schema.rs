//! The seam to `sluice-schema`: everything that depends on the schema of a kind.

use serde_json::Value;
use sluice_schema::GroupVersionKind;
use sluice_schema::managed::{self, ApplyError, ApplyRequest, Kind as _, Update};

use super::kind::Typed;
use crate::registry::Resource;
use crate::status::{Cause, Result, Status};

/// Reads a merged object as the server does: in normal form and with defaults.
///
/// # Errors
/// The text of what cannot be read.
pub fn complete(resource: &Resource, mut value: Value) -> Result<Value, String> {
    default(resource, &mut value);
    Ok(value)
}

/// Fills the defaults of the kind, in the version of the resource.
pub fn default(resource: &Resource, value: &mut Value) {
    super::strategy::default(resource, value);
}

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
    resource: &Resource,
    before: Option<&Value>,
    after: &mut Value,
    manager: &Manager<'_>,
) {
    let kind = Typed {
        resource,
        subresource: manager.subresource,
    };
    let empty;
    let live = match before {
        Some(before) => before,
        None => {
            empty = kind.empty(&resource.api_version);
            &empty
        }
    };
    let request = Update {
        live,
        manager: manager.name,
        subresource: manager.subresource,
        now: manager.time,
    };
    managed::update(&kind, request, after);
}

/// Takes the old times of managedFields where nothing else changed.
pub fn ignore_time_changes(before: &Value, after: &mut Value) {
    managed::ignore_time_changes(before, after);
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
    resource: &Resource,
    live: Option<&Value>,
    config: &Value,
    force: Force,
    manager: &Manager<'_>,
) -> Result<Value> {
    let kind = Typed {
        resource,
        subresource: manager.subresource,
    };
    let empty;
    let live = match live {
        Some(live) => live,
        None => {
            empty = kind.empty(&resource.api_version);
            &empty
        }
    };
    let gvk = GroupVersionKind::new(&resource.group, &resource.version, &resource.kind);
    let request = ApplyRequest {
        live,
        patch: config,
        kind: &gvk,
        manager: manager.name,
        subresource: manager.subresource,
        force: force == Force::Yes,
        now: manager.time,
    };
    managed::apply(&kind, &request)
        .map(|applied| applied.object)
        .map_err(|error| match error {
            ApplyError::BadRequest(text) => Status::bad_request(text),
            ApplyError::Conflict(conflicts) => {
                let cause = |conflict: &managed::Conflict| Cause {
                    reason: "FieldManagerConflict".into(),
                    message: conflict.message(),
                    field: conflict.field.clone(),
                };
                let causes: Vec<Cause> = conflicts.0.iter().map(cause).collect();
                Status::apply_conflict(conflicts.to_string(), &causes)
            }
            other => Status {
                code: 500,
                reason: "",
                message: other.to_string(),
                details: None,
            },
        })
}

/// Strategic merge patch.
///
/// # Errors
/// 415 for custom resources, 400 or 422 for a patch that does not fit.
pub fn strategic_merge(_resource: &Resource, current: &Value, patch: &Value) -> Result<Value> {
    let mut merged = current.clone();
    json_patch::merge(&mut merged, patch);
    Ok(merged)
}
