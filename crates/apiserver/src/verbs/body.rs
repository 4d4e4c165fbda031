//! Request bodies: media types, JSON, YAML, and whether the kind is the right one.

use serde_json::Value;

use super::protobuf::{self, ProtobufError};
use crate::registry::Resource;
use crate::status::{Result, Status};

/// The encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
    /// `application/json-patch+json`.
    JsonPatch,
    /// `application/merge-patch+json`.
    MergePatch,
    /// `application/strategic-merge-patch+json`.
    StrategicPatch,
    /// `application/apply-patch+yaml`.
    ApplyPatch,
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The encoding of a create, update or delete.
///
/// # Errors
/// 415.
pub fn of(content_type: &str) -> Result<Media> {
    match essence(content_type) {
        "application/json" | "" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Media::Protobuf),
        _ => Err(Status::unsupported_media_type(&[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ])),
    }
}

/// The encoding of a patch.
///
/// # Errors
/// 415.
pub fn of_patch(resource: &Resource, content_type: &str) -> Result<Media> {
    let custom = resource.custom.is_some();
    match essence(content_type) {
        "application/json-patch+json" => Ok(Media::JsonPatch),
        "application/merge-patch+json" => Ok(Media::MergePatch),
        "application/strategic-merge-patch+json" if !custom => Ok(Media::StrategicPatch),
        "application/apply-patch+yaml" => Ok(Media::ApplyPatch),
        _ if custom => Err(Status::unsupported_media_type(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ])),
        _ => Err(Status::generic(
            415,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
        )),
    }
}

/// Reads a body.
///
/// # Errors
/// 400 or 415.
pub fn value(bytes: &[u8], media: Media, kind: &str) -> Result<Value> {
    match media {
        Media::Protobuf => protobuf::read(bytes).map_err(|error| match error {
            ProtobufError::UnknownKind { .. } => {
                Status::unsupported_media_type(&["application/json", "application/yaml"])
            }
            ProtobufError::Malformed => Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {error}"
            )),
        }),
        Media::Yaml | Media::ApplyPatch => {
            if let Ok(value) = serde_json::from_slice(bytes) {
                return Ok(value);
            }
            let read = std::str::from_utf8(bytes).ok().map(sluice_yaml::from_str);
            match read {
                Some(Ok(value)) => Ok(value),
                Some(Err(error)) if media == Media::ApplyPatch => {
                    Err(Status::bad_request(format!("error decoding YAML: {error}")))
                }
                _ => Err(Status::bad_request(format!(
                    "the object provided is unrecognized (must be of type {kind}): yaml: invalid document"
                ))),
            }
        }
        Media::Json => serde_json::from_slice(bytes).map_err(|error| {
            let start: String = String::from_utf8_lossy(bytes).chars().take(100).collect();
            let why = if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
            Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse \
                 error: {why} ({start})"
            ))
        }),
        _ => serde_json::from_slice(bytes)
            .map_err(|error| Status::bad_request(format!("error decoding patch: {error}"))),
    }
}

/// The configuration of a server-side apply, with what strict field validation refuses in its text.
///
/// # Errors
/// 400.
pub fn configuration(bytes: &[u8], kind: &str) -> Result<(Value, Vec<String>)> {
    if let Ok(parsed) = sluice_schema::read::parse(bytes) {
        return Ok((parsed.value, parsed.duplicates));
    }
    value(bytes, Media::ApplyPatch, kind).map(|value| (value, Vec::new()))
}

/// Checks an applied configuration.
///
/// # Errors
/// 400.
pub fn check_apply(config: &Value) -> Result<()> {
    let managed = config["metadata"]["managedFields"].as_array();
    if managed.is_some_and(|list| !list.is_empty()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

/// The operations of a JSON patch.
///
/// # Errors
/// 400.
pub fn json_patch(value: Value) -> Result<json_patch::Patch> {
    if !value.is_array() {
        let kind = match &value {
            Value::Object(_) => "object",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            _ => "bool",
        };
        return Err(Status::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        )));
    }
    serde_json::from_value(value).map_err(|_| {
        let message = "the server rejected our request due to an error in our request";
        Status::generic(422, "Invalid", message)
    })
}
