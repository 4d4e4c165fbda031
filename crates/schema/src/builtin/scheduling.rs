//! scheduling.k8s.io and node.k8s.io: PriorityClass and RuntimeClass.

use serde_json::Value;

use super::meta;
use super::tools::{Errors, Path, check, check_immutable, fill, has, int, text};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const PRIORITY_CLASS: Rules = Rules {
    generation: Generation::Constant,
    defaults: |value| {
        if let Some(map) = value.as_object_mut() {
            fill(map, "preemptionPolicy", "PreemptLowerPriority");
        }
    },
    validate: |object, errors| {
        let name = &object["metadata"]["name"];
        let known = [
            ("system-node-critical", 2_000_001_000),
            ("system-cluster-critical", 2_000_000_000),
        ];
        if text(name).starts_with("system-") {
            if !known.contains(&(text(name), int(&object["value"]))) {
                let why = "priority class names with 'system-' prefix are reserved for system use only. error: ";
                let why = format!("{why}{} is not a known system priority class", text(name));
                errors.push(FieldError::forbidden("metadata.name", why));
            }
        } else if int(&object["value"]) > 1_000_000_000 {
            let why = "maximum allowed value of a user defined priority is 1000000000";
            errors.push(FieldError::forbidden("value", why));
        }
        validate_preemption(object, errors);
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        if int(&new["value"]) != int(&old["value"]) {
            errors.push(FieldError::forbidden(
                "value",
                "may not be changed in an update.",
            ));
        }
        check_immutable(
            errors,
            &Path::new("preemptionPolicy"),
            &new["preemptionPolicy"],
            &old["preemptionPolicy"],
        );
    },
    ..Rules::COMMON
};

pub(super) const RUNTIME_CLASS: Rules = Rules {
    create_on_update: true,
    unconditional_update: false,
    validate: |object, errors| {
        let handler: Value = text(&object["handler"]).into();
        check(
            errors,
            &Path::new("handler"),
            &handler,
            names::dns_label(text(&handler)),
        );
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        check_immutable(
            errors,
            &Path::new("handler"),
            &new["handler"],
            &old["handler"],
        );
    },
    ..Rules::COMMON
};

fn validate_preemption(object: &Value, errors: &mut Errors) {
    let policy = &object["preemptionPolicy"];
    if has(policy) && !matches!(text(policy), "Never" | "PreemptLowerPriority") {
        let supported = ["Never", "PreemptLowerPriority"];
        errors.push(FieldError::not_supported(
            "preemptionPolicy",
            policy,
            &supported,
        ));
    }
}
