//! rbac.authorization.k8s.io: roles and bindings.

use serde_json::Value;

use super::Rules;
use super::meta::{self, NameRule, validate_selector};
use super::tools::{Errors, Path, check, count, fill, has, internal, items, object, same, text};
use crate::failure::FieldError;
use crate::names;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The rules of `Role` and `ClusterRole`.
pub(super) fn role(kind: &str) -> Rules {
    let validate: fn(&Value, &mut Errors) = match kind {
        "Role" => |object, errors| validate_rules(object, true, errors),
        _ => |object, errors| {
            validate_rules(object, false, errors);
            validate_aggregation(&object["aggregationRule"], errors);
        },
    };
    let validate_update: fn(&Value, &Value, &mut Errors) = match kind {
        "Role" => |new, old, errors| {
            validate_rules(new, true, errors);
            meta::validate_update(new, old, errors);
        },
        _ => |new, old, errors| {
            validate_rules(new, false, errors);
            validate_aggregation(&new["aggregationRule"], errors);
            meta::validate_update(new, old, errors);
        },
    };
    Rules {
        name: NameRule::PathSegment,
        create_on_update: true,
        validate,
        validate_update,
        ..Rules::COMMON
    }
}

/// The rules of `RoleBinding` and `ClusterRoleBinding`.
pub(super) fn binding(kind: &str) -> Rules {
    let validate: fn(&Value, &mut Errors) = match kind {
        "RoleBinding" => |object, errors| validate_binding(object, true, errors),
        _ => |object, errors| validate_binding(object, false, errors),
    };
    let validate_update: fn(&Value, &Value, &mut Errors) = match kind {
        "RoleBinding" => |new, old, errors| validate_binding_update(new, old, true, errors),
        _ => |new, old, errors| validate_binding_update(new, old, false, errors),
    };
    Rules {
        name: NameRule::PathSegment,
        create_on_update: true,
        defaults: |value| {
            if let Some(map) = value.as_object_mut() {
                fill(object(map, "roleRef"), "apiGroup", GROUP);
            }
        },
        validate,
        validate_update,
        ..Rules::COMMON
    }
}

fn validate_rules(object: &Value, namespaced: bool, errors: &mut Errors) {
    for (at, rule) in items(&object["rules"]).iter().enumerate() {
        let path = Path::new("rules").index(at);
        if count(&rule["verbs"]) == 0 {
            errors.push(FieldError::required(
                path.child("verbs"),
                "verbs must contain at least one value",
            ));
        }
        let urls = &rule["nonResourceURLs"];
        if count(urls) > 0 {
            let path = path.child("nonResourceURLs");
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                errors.push(FieldError::invalid(&path, urls, why));
            }
            if ["apiGroups", "resources", "resourceNames"]
                .iter()
                .any(|name| count(&rule[name]) > 0)
            {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                errors.push(FieldError::invalid(&path, urls, why));
            }
            continue;
        }
        if count(&rule["apiGroups"]) == 0 {
            let why = "resource rules must supply at least one api group";
            errors.push(FieldError::required(path.child("apiGroups"), why));
        }
        if count(&rule["resources"]) == 0 {
            let why = "resource rules must supply at least one resource";
            errors.push(FieldError::required(path.child("resources"), why));
        }
    }
}

fn validate_aggregation(rule: &Value, errors: &mut Errors) {
    if !has(rule) {
        return;
    }
    let path = Path::new("aggregationRule").child("clusterRoleSelectors");
    if count(&rule["clusterRoleSelectors"]) == 0 {
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(FieldError::required(&path, why));
    }
    for (at, selector) in items(&rule["clusterRoleSelectors"]).iter().enumerate() {
        validate_selector(selector, &path.index(at), errors);
    }
}

fn validate_binding(object: &Value, namespaced: bool, errors: &mut Errors) {
    let (reference, path) = (&object["roleRef"], Path::new("roleRef"));
    if reference["apiGroup"] != GROUP {
        errors.push(FieldError::not_supported(
            path.child("apiGroup"),
            &reference["apiGroup"],
            &[GROUP],
        ));
    }
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&text(&reference["kind"])) {
        let given = text(&reference["kind"]).into();
        errors.push(FieldError::not_supported(path.child("kind"), &given, kinds));
    }
    let name = &reference["name"];
    if text(name).is_empty() {
        errors.push(FieldError::required(path.child("name"), ""));
    } else {
        check(
            errors,
            &path.child("name"),
            name,
            names::path_segment(text(name)),
        );
    }
    for (at, subject) in items(&object["subjects"]).iter().enumerate() {
        validate_subject(
            subject,
            namespaced,
            &Path::new("subjects").index(at),
            errors,
        );
    }
}

fn validate_subject(subject: &Value, namespaced: bool, path: &Path, errors: &mut Errors) {
    let name = &subject["name"];
    if text(name).is_empty() {
        errors.push(FieldError::required(path.child("name"), ""));
    }
    let group: Value = text(&subject["apiGroup"]).into();
    match text(&subject["kind"]) {
        "ServiceAccount" => {
            if !text(name).is_empty() {
                check(
                    errors,
                    &path.child("name"),
                    name,
                    names::dns_subdomain(text(name)),
                );
            }
            if group != "" {
                errors.push(FieldError::not_supported(
                    path.child("apiGroup"),
                    &group,
                    &[""],
                ));
            }
            if !namespaced && text(&subject["namespace"]).is_empty() {
                errors.push(FieldError::required(path.child("namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.push(FieldError::not_supported(
                    path.child("apiGroup"),
                    &group,
                    &[GROUP],
                ));
            }
        }
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(FieldError::not_supported(
                path.child("kind"),
                &other.into(),
                &kinds,
            ));
        }
    }
}

fn validate_binding_update(new: &Value, old: &Value, namespaced: bool, errors: &mut Errors) {
    validate_binding(new, namespaced, errors);
    meta::validate_update(new, old, errors);
    let reference = &new["roleRef"];
    if !same(reference, &old["roleRef"]) {
        let printed = internal(&[
            ("APIGroup", &reference["apiGroup"]),
            ("Kind", &reference["kind"]),
            ("Name", &reference["name"]),
        ]);
        errors.push(FieldError::invalid_printed(
            "roleRef",
            &printed,
            "cannot change roleRef",
        ));
    }
}
