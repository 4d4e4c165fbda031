//! Events, in both of their groups.

use serde_json::Value;

use super::Rules;
use super::tools::{Errors, text};
use crate::failure::FieldError;

pub(super) const EVENT: Rules = Rules {
    create_on_update: true,
    validate: |object, errors| validate(object, errors),
    validate_update: |new, old, errors| {
        let _ = old;
        validate(new, errors);
    },
    ..Rules::COMMON
};

fn validate(object: &Value, errors: &mut Errors) {
    let is_core = object["apiVersion"] == "v1";
    let involved = if is_core {
        "involvedObject"
    } else {
        "regarding"
    };
    let namespace = text(&object["metadata"]["namespace"]);
    let other = text(&object[involved]["namespace"]);
    let fits = if other.is_empty() {
        namespace == "default" || namespace == "kube-system"
    } else {
        other == namespace
    };
    if !fits {
        let given: Value = other.into();
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            &given,
            "does not match event.namespace",
        ));
    }
    if is_core {
        return;
    }
    let required = [
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
    ];
    if object["eventTime"].is_null() {
        errors.push(FieldError::required("eventTime", ""));
    }
    if !matches!(text(&object["type"]), "Normal" | "Warning") {
        errors.push(FieldError::invalid(
            "type",
            &text(&object["type"]).into(),
            "has invalid value",
        ));
    }
    for (name, path) in required {
        if text(&object[name]).is_empty() {
            errors.push(FieldError::required(path, ""));
        }
    }
}
