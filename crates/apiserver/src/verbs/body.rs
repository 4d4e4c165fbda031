//! Request bodies: media types, JSON, YAML, and whether the kind is the right one.

use serde_json::Value;

use super::Call;
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

/// Checks that a body is of the resource's kind and version; both may be left out.
///
/// # Errors
/// 400.
pub fn check_kind(resource: &Resource, value: &mut Value) -> Result<()> {
    if !value.is_object() {
        return Err(Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: \
             json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            resource.kind,
            match value {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "bool",
                _ => "null",
            }
        )));
    }
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(value, "apiVersion"), text(value, "kind"));
    if (version.is_empty() || version == resource.api_version)
        && (kind.is_empty() || kind == resource.kind)
    {
        value["apiVersion"] = resource.api_version.as_str().into();
        value["kind"] = resource.kind.as_str().into();
        return Ok(());
    }
    if resource.custom.is_none() && version == resource.api_version {
        let package = if resource.group.is_empty() {
            "core"
        } else {
            &resource.group
        };
        return Err(Status::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}: converting ({}.{kind}) to ({package}.{}): unknown conversion",
            resource.version, resource.kind, resource.version, resource.kind
        )));
    }
    if resource.custom.is_none() {
        let given_version = version.rsplit('/').next().unwrap_or_default();
        return Err(Status::bad_request(format!(
            "{kind} in version {given_version:?} cannot be handled as a {}: no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"",
            resource.kind
        )));
    }
    let expected = format!("{}, Kind={}", resource.api_version, resource.kind);
    Err(Status::bad_request(format!(
        "the API version in the data ({version}) does not match the expected API version ({})",
        if kind == resource.kind {
            resource.api_version.clone()
        } else {
            expected
        }
    )))
}

/// Checks an applied configuration against the request.
///
/// # Errors
/// 400.
pub fn check_apply(call: &Call, config: &Value) -> Result<()> {
    let resource = &call.resource;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&config["apiVersion"]), text(&config["kind"]));
    if !config.is_object() || kind.is_empty() {
        return Err(Status::bad_request("invalid object type: /, Kind="));
    }
    if call.subresource() != "scale" && (version != resource.api_version || kind != resource.kind) {
        return Err(Status::bad_request(format!(
            "invalid object type: {version}, Kind={kind}: expected {}, Kind={}",
            resource.api_version, resource.kind
        )));
    }
    let name = text(&config["metadata"]["name"]);
    if !name.is_empty() && name != call.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    if config["metadata"]
        .get("managedFields")
        .is_some_and(|list| list.as_array().is_some_and(|list| !list.is_empty()))
    {
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
