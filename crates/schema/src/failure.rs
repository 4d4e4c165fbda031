//! Refused requests, as the `Status` object of the API tells them.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::gofmt;

/// A refused request: code, reason, message and details of a `Status`.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason; empty where the server gives none.
    pub reason: &'static str,
    /// The text.
    pub message: String,
    /// The details, if there are any.
    pub details: Option<Value>,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    /// Code 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Failure {
            code: 400,
            reason: "BadRequest",
            message: message.into(),
            details: None,
        }
    }

    /// Code 500 with the bare text of an error that the server does not classify.
    pub fn unclassified(message: impl Into<String>) -> Self {
        Failure {
            code: 500,
            reason: "",
            message: message.into(),
            details: None,
        }
    }

    /// Code 422 without a kind: what a patch that cannot be applied gets.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Failure {
            code: 422,
            reason: "Invalid",
            message: message.into(),
            details: Some(json!({})),
        }
    }

    /// Code 404 for an object of a resource.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Failure {
            code: 404,
            reason: "NotFound",
            message: format!(
                "{} {} not found",
                qualified(resource, group),
                gofmt::quote(name)
            ),
            details: Some(details(name, group, resource)),
        }
    }

    /// Code 403 for an object of a resource.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "{} {} is forbidden: {why}",
            qualified(resource, group),
            gofmt::quote(name)
        );
        Failure {
            code: 403,
            reason: "Forbidden",
            message,
            details: Some(details(name, group, resource)),
        }
    }

    /// Code 422 with what is wrong with the fields of an object.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let texts: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        let message = format!(
            "{} {} is invalid: {}",
            qualified(kind, group),
            gofmt::quote(name),
            aggregate(&texts)
        );
        let mut details = details(name, group, kind);
        if !errors.is_empty() {
            details["causes"] = errors.iter().map(FieldError::cause).collect();
        }
        Failure {
            code: 422,
            reason: "Invalid",
            message,
            details: Some(details),
        }
    }

    /// Code 409 for a refused server-side apply.
    pub fn apply_conflict(conflicts: &crate::managed::Conflicts) -> Self {
        let cause = |conflict: &crate::managed::Conflict| json!({ "reason": "FieldManagerConflict", "message": conflict.message(), "field": conflict.field });
        let causes: Vec<Value> = conflicts.0.iter().map(cause).collect();
        Failure {
            code: 409,
            reason: "Conflict",
            message: conflicts.to_string(),
            details: Some(json!({ "causes": causes })),
        }
    }
}

/// `name.group`, or the name alone for the core group.
pub(crate) fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut map = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            map.insert(key.into(), value.into());
        }
    }
    Value::Object(map)
}

/// Several errors in one text: in brackets, each once.
pub(crate) fn aggregate(texts: &[String]) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for text in texts {
        if !unique.contains(&text.as_str()) {
            unique.push(text);
        }
    }
    match unique.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("[{}]", many.join(", ")),
    }
}

/// Why a field is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// Something with that name does not exist.
    NotFound,
    /// It has to be there.
    Required,
    /// It occurs twice.
    Duplicate,
    /// Its value is wrong.
    Invalid,
    /// Its value is none of the allowed ones.
    NotSupported,
    /// It may not be there, or not be changed.
    Forbidden,
    /// Its value is too long.
    TooLong,
    /// There are too many items.
    TooMany,
    /// There are too few items.
    TooFew,
    /// The server is at fault.
    Internal,
    /// Its type is wrong.
    TypeInvalid,
}

impl FieldErrorKind {
    fn reason(self) -> &'static str {
        match self {
            FieldErrorKind::NotFound => "FieldValueNotFound",
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Duplicate => "FieldValueDuplicate",
            FieldErrorKind::Invalid => "FieldValueInvalid",
            FieldErrorKind::NotSupported => "FieldValueNotSupported",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::TooMany => "FieldValueTooMany",
            FieldErrorKind::TooFew => "FieldValueTooFew",
            FieldErrorKind::Internal => "InternalError",
            FieldErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// The kind of error.
    pub kind: FieldErrorKind,
    /// The path of the field, such as `spec.ports[0].port`.
    pub field: String,
    /// The text without the path: `Invalid value: 0: must be between 1 and 65535, inclusive`.
    pub text: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.text)
    }
}

fn with_detail(text: String, detail: &str) -> String {
    if detail.is_empty() {
        text
    } else {
        format!("{text}: {detail}")
    }
}

/// A value as field errors print it.
fn bad_value(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => gofmt::plain(value),
        Value::String(text) => gofmt::quote(text),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

impl FieldError {
    fn new(kind: FieldErrorKind, field: impl fmt::Display, text: String) -> Self {
        FieldError {
            kind,
            field: field.to_string(),
            text,
        }
    }

    /// `Invalid value: ...: detail`
    pub fn invalid(field: impl fmt::Display, value: &Value, detail: impl AsRef<str>) -> Self {
        let text = with_detail(
            format!("Invalid value: {}", bad_value(value)),
            detail.as_ref(),
        );
        Self::new(FieldErrorKind::Invalid, field, text)
    }

    /// `Invalid value: ...: detail` with the value printed already.
    pub fn invalid_printed(field: impl fmt::Display, value: &str, detail: impl AsRef<str>) -> Self {
        Self::new(
            FieldErrorKind::Invalid,
            field,
            with_detail(format!("Invalid value: {value}"), detail.as_ref()),
        )
    }

    /// `Required value: detail`
    pub fn required(field: impl fmt::Display, detail: impl AsRef<str>) -> Self {
        Self::new(
            FieldErrorKind::Required,
            field,
            with_detail("Required value".into(), detail.as_ref()),
        )
    }

    /// `Duplicate value: ...`
    pub fn duplicate(field: impl fmt::Display, value: &Value) -> Self {
        Self::new(
            FieldErrorKind::Duplicate,
            field,
            format!("Duplicate value: {}", bad_value(value)),
        )
    }

    /// `Not found: ...`
    pub fn not_found(field: impl fmt::Display, value: &Value) -> Self {
        Self::new(
            FieldErrorKind::NotFound,
            field,
            format!("Not found: {}", bad_value(value)),
        )
    }

    /// `Unsupported value: ...: supported values: ...`
    pub fn not_supported(field: impl fmt::Display, value: &Value, supported: &[&str]) -> Self {
        Self::not_supported_printed(field, &bad_value(value), supported)
    }

    /// `Unsupported value: ...: supported values: ...` with the value printed already.
    pub fn not_supported_printed(
        field: impl fmt::Display,
        value: &str,
        supported: &[&str],
    ) -> Self {
        let text = format!("Unsupported value: {value}");
        let values: Vec<String> = supported.iter().map(|value| gofmt::quote(value)).collect();
        let detail = match values.is_empty() {
            true => String::new(),
            false => format!("supported values: {}", values.join(", ")),
        };
        Self::new(
            FieldErrorKind::NotSupported,
            field,
            with_detail(text, &detail),
        )
    }

    /// `Forbidden: detail`
    pub fn forbidden(field: impl fmt::Display, detail: impl AsRef<str>) -> Self {
        Self::new(
            FieldErrorKind::Forbidden,
            field,
            with_detail("Forbidden".into(), detail.as_ref()),
        )
    }

    /// `Too long: may not be more than ... bytes`
    pub fn too_long(field: impl fmt::Display, limit: usize) -> Self {
        let unit = if limit == 1 { "byte" } else { "bytes" };
        Self::new(
            FieldErrorKind::TooLong,
            field,
            format!("Too long: may not be more than {limit} {unit}"),
        )
    }

    /// `Too many: n: must have at most m items`
    pub fn too_many(field: impl fmt::Display, count: usize, limit: usize) -> Self {
        let unit = if limit == 1 { "item" } else { "items" };
        let text = format!("Too many: {count}: must have at most {limit} {unit}");
        Self::new(FieldErrorKind::TooMany, field, text)
    }

    /// Any other kind, with its whole text.
    pub fn other(kind: FieldErrorKind, field: impl fmt::Display, text: impl Into<String>) -> Self {
        Self::new(kind, field, text.into())
    }

    fn cause(&self) -> Value {
        json!({ "reason": self.kind.reason(), "message": self.text, "field": self.field })
    }
}
