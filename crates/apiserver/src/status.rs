//! Errors as the Kubernetes API reports them: the `Status` object.
//!
//! Texts follow `k8s.io/apimachinery/pkg/api/errors` and the REST handlers of kube-apiserver 1.36, since tools
//! (and people) match on them.

use serde_json::{Map, Value, json};

/// The result of handling one API request.
pub type Result<T, E = Status> = std::result::Result<T, E>;

/// One cause in `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable reason, such as `FieldValueInvalid`.
    pub reason: String,
    /// Text for people, without the field.
    pub message: String,
    /// Path of the field; empty when the cause has none.
    pub field: String,
}

/// A failed request: what becomes the `Status` object in the answer's body.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`.
    pub reason: &'static str,
    /// Text for people.
    pub message: String,
    /// `details` of the Status, where the real server sends them.
    pub details: Option<Value>,
    /// Texts for `Warning` headers: a refused request may have been warned of.
    pub warnings: Vec<String>,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

/// `details` with the members that are not empty.
fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut map = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            map.insert(key.into(), value.into());
        }
    }
    Value::Object(map)
}

/// `resource.group`, or `resource` alone for the core group.
pub fn group_resource(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

impl Status {
    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            value["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            value["details"] = details.clone();
        }
        value
    }

    /// Seconds for a `Retry-After` header, if the details name them.
    pub fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    fn new(
        code: u16,
        reason: &'static str,
        message: impl Into<String>,
        details: Option<Value>,
    ) -> Self {
        Status {
            code,
            reason,
            message: message.into(),
            details,
            warnings: Vec::new(),
        }
    }

    /// 404: the object does not exist.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", group_resource(group, resource));
        Self::new(
            404,
            "NotFound",
            message,
            Some(details(name, group, resource)),
        )
    }

    /// 404: no such group, version, resource or subresource.
    pub fn unknown_resource() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
            Some(json!({})),
        )
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message, Some(json!({})))
    }

    /// 409 for a create.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!(
            "{} \"{name}\" already exists",
            group_resource(group, resource)
        );
        Self::new(
            409,
            "AlreadyExists",
            message,
            Some(details(name, group, resource)),
        )
    }

    /// 409 with `why` as the cause.
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            group_resource(group, resource)
        );
        Self::new(
            409,
            "Conflict",
            message,
            Some(details(name, group, resource)),
        )
    }

    /// 409: somebody else changed the object.
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, resource, name, why)
    }

    /// 409 of a server-side apply, one cause for each field that another manager owns.
    pub fn apply_conflict(message: String, causes: &[Cause]) -> Self {
        Self::new(
            409,
            "Conflict",
            message,
            Some(json!({ "causes": causes_value(causes) })),
        )
    }

    /// 403 of the authorizer or of admission.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let resource_text = group_resource(group, resource);
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{resource_text} is forbidden: {why}"),
            (false, false) => format!("{resource_text} \"{name}\" is forbidden: {why}"),
        };
        Self::new(
            403,
            "Forbidden",
            message,
            Some(details(name, group, resource)),
        )
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", None)
    }

    /// 422 with the field errors of validation.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let texts: Vec<String> = causes
            .iter()
            .map(|c| {
                if c.field.is_empty() {
                    c.message.clone()
                } else {
                    format!("{}: {}", c.field, c.message)
                }
            })
            .collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => {
                let mut unique: Vec<&str> = Vec::new();
                for text in many {
                    if !unique.contains(&text.as_str()) {
                        unique.push(text);
                    }
                }
                if let [one] = unique.as_slice() {
                    (*one).to_owned()
                } else {
                    format!("[{}]", unique.join(", "))
                }
            }
        };
        let message = format!(
            "{} \"{name}\" is invalid: {list}",
            group_resource(group, kind)
        );
        let mut value = details(name, group, kind);
        if !causes.is_empty() {
            value["causes"] = causes_value(&causes);
        }
        Self::new(422, "Invalid", message, Some(value))
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, None)
    }

    /// 406.
    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message, Some(json!({})))
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message, Some(json!({})))
    }

    /// 415, naming what would be accepted.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message, None)
    }

    /// 410: a watch or list starts at a version that is no longer kept.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message, None)
    }

    /// 504: the requested resource version is in the future.
    pub fn version_too_large(requested: u64, current: u64) -> Self {
        let message =
            format!("Timeout: Too large resource version: {requested}, current: {current}");
        let details = json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            "retryAfterSeconds": 1,
        });
        Self::new(504, "Timeout", message, Some(details))
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        let text: String = message.into();
        let details = json!({ "causes": [{ "message": text }] });
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {text}"),
            Some(details),
        )
    }

    /// 503: the server is stopping.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message, None)
    }

    /// 429: an eviction that a disruption budget refuses.
    pub fn too_many_requests(message: impl Into<String>, details: Option<Value>) -> Self {
        Self::new(429, "TooManyRequests", message, details)
    }

    /// Any other code with the generic reason and text of a response without a body of its own.
    pub fn generic(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, reason, message, Some(json!({})))
    }
}

fn causes_value(causes: &[Cause]) -> Value {
    let one = |cause: &Cause| {
        let mut map = Map::new();
        for (key, text) in [
            ("reason", &cause.reason),
            ("message", &cause.message),
            ("field", &cause.field),
        ] {
            if !text.is_empty() {
                map.insert(key.into(), text.as_str().into());
            }
        }
        Value::Object(map)
    };
    Value::Array(causes.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_real_server() {
        let table = [
            (
                Status::not_found("", "configmaps", "none"),
                "configmaps \"none\" not found",
            ),
            (
                Status::not_found("apps", "deployments", "d"),
                "deployments.apps \"d\" not found",
            ),
            (Status::forbidden("", "", "", "no"), "forbidden: no"),
            (
                Status::forbidden("apps", "deployments", "", "no"),
                "deployments.apps is forbidden: no",
            ),
            (
                Status::modified("", "pods", "p"),
                "Operation cannot be fulfilled on pods \"p\": the object has been modified; please apply your changes \
                 to the latest version and try again",
            ),
        ];
        for (status, text) in table {
            assert_eq!(status.message, text);
        }
    }

    #[test]
    fn several_field_errors_are_listed_in_brackets_once_each() {
        let cause = |field: &str| Cause {
            reason: "FieldValueRequired".into(),
            message: "Required value".into(),
            field: field.into(),
        };
        let one = Status::invalid(
            "apps",
            "Deployment",
            "d",
            vec![cause("spec.a"), cause("spec.a")],
        );
        assert_eq!(
            one.message,
            "Deployment.apps \"d\" is invalid: spec.a: Required value"
        );
        let two = Status::invalid(
            "apps",
            "Deployment",
            "d",
            vec![cause("spec.a"), cause("spec.b")],
        );
        assert_eq!(
            two.message,
            "Deployment.apps \"d\" is invalid: [spec.a: Required value, spec.b: Required value]"
        );
    }
}
