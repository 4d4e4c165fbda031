//! Events, in both of their groups.

use serde_json::Value;

use super::meta;
use super::tools::{Errors, Path, check, check_immutable, has, int, text};
use super::{NameRule, Rules};
use crate::failure::FieldError;
use crate::names;

/// Events of the core group: hardly anything is checked.
pub(super) const EVENT: Rules = Rules {
    create_on_update: true,
    validate: |object, errors| validate(object, "involvedObject", "reportingComponent", errors),
    validate_update: |new, _, errors| {
        validate(new, "involvedObject", "reportingComponent", errors);
    },
    ..Rules::COMMON
};

/// Events of events.k8s.io.
pub(super) const NEW_EVENT: Rules = Rules {
    create_on_update: true,
    validate: |object, errors| {
        validate(object, "regarding", "reportingController", errors);
        validate_new(object, errors);
    },
    validate_update: |new, old, errors| {
        validate(new, "regarding", "reportingController", errors);
        meta::validate_update(new, old, errors);
        for (name, shown) in FIXED {
            check_immutable(errors, &Path::new(shown), &new[name], &old[name]);
        }
    },
    ..Rules::COMMON
};

/// Fields that an update leaves alone, with their names in errors.
const FIXED: [(&str, &str); 13] = [
    ("regarding", "involvedObject"),
    ("reason", "reason"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingController", "reportingController"),
    ("reportingInstance", "reportingInstance"),
];

fn validate(object: &Value, involved: &str, controller: &str, errors: &mut Errors) {
    let namespace = text(&object["metadata"]["namespace"]);
    let other = text(&object[involved]["namespace"]);
    let timed = has(&object["eventTime"]);
    let fits = match (timed, other.is_empty()) {
        (false, true) => namespace == "default",
        (false, false) => other == namespace,
        (true, true) => namespace == "default" || namespace == "kube-system",
        (true, false) => true,
    };
    if !fits {
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            &other.into(),
            "does not match event.namespace",
        ));
    }
    if !timed {
        return;
    }
    let given = text(&object[controller]);
    if given.is_empty() {
        errors.push(FieldError::required(controller, ""));
    }
    let path = Path::new(controller);
    check(errors, &path, &given.into(), names::qualified_name(given));
    let message = if involved == "regarding" {
        "note"
    } else {
        "message"
    };
    let limits = [
        ("reportingInstance", "reportingInstance", 128),
        ("action", "action", 128),
        ("reason", "reason", 128),
        (message, "message", 1024),
    ];
    for (name, shown, limit) in limits {
        let given = text(&object[name]);
        if given.is_empty() && shown != "message" {
            errors.push(FieldError::required(shown, ""));
        }
        if given.len() > limit {
            let why = format!("can have at most {limit} characters");
            errors.push(FieldError::invalid(shown, &"".into(), why));
        }
    }
}

fn validate_new(object: &Value, errors: &mut Errors) {
    meta::validate(object, true, NameRule::Subdomain, errors);
    if !has(&object["eventTime"]) {
        errors.push(FieldError::required("eventTime", ""));
    }
    let kind = text(&object["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        let why = format!("has invalid value: {kind}");
        errors.push(FieldError::invalid("type", &"".into(), why));
    }
    let source = &object["deprecatedSource"];
    let set = [
        ("firstTimestamp", has(&object["deprecatedFirstTimestamp"])),
        ("lastTimestamp", has(&object["deprecatedLastTimestamp"])),
        ("count", int(&object["deprecatedCount"]) != 0),
        (
            "source",
            !text(&source["component"]).is_empty() || !text(&source["host"]).is_empty(),
        ),
    ];
    for (name, _) in set.into_iter().filter(|(_, set)| *set) {
        errors.push(FieldError::invalid(name, &"".into(), "needs to be unset"));
    }
}
