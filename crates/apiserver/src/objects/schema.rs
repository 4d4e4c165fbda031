//! The seam to `sluice-schema`: everything that depends on the schema of a kind.

use serde_json::{Value, json};
use sluice_schema::failure::Failure;
use sluice_schema::gvk::split_api_version;
use sluice_schema::managed::{self, ApplyError, ApplyRequest, Kind as _, Update};
use sluice_schema::{GroupVersionKind, read, tables};

use super::kind::Typed;
use super::{FieldValidation, Write};
use crate::registry::Resource;
use crate::status::{Cause, Result, Status};

/// The body of a create or an update.
pub enum Input<'a> {
    /// JSON text.
    Json(&'a [u8]),
    /// A document that was read from another format, or that the server made.
    Value(Value),
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        Status {
            code: failure.code,
            reason: failure.reason,
            message: failure.message,
            details: failure.details,
        }
    }
}

fn kind_of(resource: &Resource) -> GroupVersionKind {
    GroupVersionKind::new(&resource.group, &resource.version, &resource.kind)
}

fn validation(validation: FieldValidation) -> read::FieldValidation {
    match validation {
        FieldValidation::Ignore => read::FieldValidation::Ignore,
        FieldValidation::Warn => read::FieldValidation::Warn,
        FieldValidation::Strict => read::FieldValidation::Strict,
    }
}

/// Reads a body into the kind of the resource: in normal form, without defaults, without fields that the schema does
/// not know.
///
/// # Errors
/// 400 for a body that does not fit.
pub fn read(write: &mut Write<'_>, input: Input<'_>) -> Result<Value> {
    let resource = write.resource;
    if resource.custom.is_some() {
        return read_custom(write, input);
    }
    let body = match input {
        Input::Json(bytes) => read::Body::Json(bytes),
        Input::Value(value) => read::Body::Value(value, Vec::new()),
    };
    let found = read::read(body, &kind_of(resource), validation(write.validation))?;
    for warning in found.warnings {
        write.warn(warning);
    }
    Ok(found.object)
}

fn read_custom(write: &mut Write<'_>, input: Input<'_>) -> Result<Value> {
    let mut value = match input {
        Input::Value(value) => value,
        Input::Json(bytes) => serde_json::from_slice(bytes).map_err(|error| {
            let why = if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
            Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why}",
                write.resource.kind
            ))
        })?,
    };
    crate::verbs::body::check_kind(write.resource, &mut value)?;
    Ok(value)
}

/// Brings the result of a patch into normal form.
///
/// # Errors
/// 422 for a result that does not fit; `shown` is the patch as the error shows it.
pub fn read_patched(write: &mut Write<'_>, value: Value, shown: &str) -> Result<Value> {
    let resource = write.resource;
    if resource.custom.is_some() {
        return Ok(value);
    }
    let invalid = |why: &str| {
        let cause = Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {}: {why}", Value::from(shown)),
            field: "patch".into(),
        };
        Status::invalid("", "", "", vec![cause])
    };
    let gvk = kind_of(resource);
    let found = read::read(
        read::Body::Value(value, Vec::new()),
        &gvk,
        validation(write.validation),
    );
    let found = found.map_err(|failure| {
        // The same as for a body, in other words around it.
        let why = failure
            .message
            .split_once(&format!("cannot be handled as a {}: ", resource.kind));
        invalid(why.map_or(failure.message.as_str(), |(_, why)| why))
    })?;
    for warning in found.warnings {
        write.warn(warning);
    }
    Ok(found.object)
}

/// Reads a merged object as the server does: in normal form and with defaults.
///
/// # Errors
/// The text of what cannot be read.
pub fn complete(resource: &Resource, mut value: Value) -> Result<Value, String> {
    if resource.custom.is_none() {
        let body = read::Body::Value(value, Vec::new());
        let found = read::read(body, &kind_of(resource), read::FieldValidation::Ignore);
        value = found.map_err(|failure| failure.message)?.object;
    }
    default(resource, &mut value);
    Ok(value)
}

/// The object before there is one.
pub fn empty(resource: &Resource, api_version: &str) -> Value {
    let value = json!({"apiVersion": api_version, "kind": resource.kind});
    let (group, version) = split_api_version(api_version);
    let gvk = GroupVersionKind::new(group, version, &resource.kind);
    if resource.custom.is_none()
        && let Ok(found) = read::read(
            read::Body::Value(value.clone(), Vec::new()),
            &gvk,
            read::FieldValidation::Ignore,
        )
    {
        return found.object;
    }
    value
}

/// Fills the defaults of the kind, in the version of the resource.
pub fn default(resource: &Resource, value: &mut Value) {
    super::strategy::default(resource, value);
}

/// What the store makes of an object of a built-in kind.
pub fn stored(resource: &Resource, value: &mut Value) {
    let api_version = value["apiVersion"].as_str().unwrap_or_default().to_owned();
    let (group, version) = split_api_version(&api_version);
    if resource.custom.is_none()
        && let Some(id) = tables::builtin().kind(group, version, &resource.kind)
    {
        read::store(tables::builtin(), id, value);
    }
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
