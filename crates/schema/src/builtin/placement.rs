//! Where pods go: affinity, spread, tolerations.

use serde_json::Value;

use super::meta::validate_selector;
use super::tools::{Errors, Path, check, count, has, int, items, text};
use crate::failure::FieldError;
use crate::names;

pub(super) fn validate_affinity(affinity: &Value, path: &Path, errors: &mut Errors) {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let node = &affinity["nodeAffinity"];
    let node_path = path.child("nodeAffinity");
    let terms = &node[required]["nodeSelectorTerms"];
    if has(&node[required]) {
        let path = node_path.child(required).child("nodeSelectorTerms");
        if count(terms) == 0 {
            errors.push(FieldError::required(
                &path,
                "must have at least one node selector term",
            ));
        }
        for (at, term) in items(terms).iter().enumerate() {
            validate_node_term(term, &path.index(at), errors);
        }
    }
    for (at, term) in items(&node[preferred]).iter().enumerate() {
        let path = node_path.child(preferred).index(at);
        check_weight(&term["weight"], &path.child("weight"), errors);
        validate_node_term(&term["preference"], &path.child("preference"), errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let path = path.child(kind);
        for (at, term) in items(&affinity[kind][required]).iter().enumerate() {
            validate_pod_term(term, &path.child(required).index(at), errors);
        }
        for (at, term) in items(&affinity[kind][preferred]).iter().enumerate() {
            let path = path.child(preferred).index(at);
            check_weight(&term["weight"], &path.child("weight"), errors);
            validate_pod_term(
                &term["podAffinityTerm"],
                &path.child("podAffinityTerm"),
                errors,
            );
        }
    }
}

fn check_weight(weight: &Value, path: &Path, errors: &mut Errors) {
    if !(1..=100).contains(&int(weight)) {
        errors.push(FieldError::invalid(
            path,
            &int(weight).into(),
            "must be in the range 1-100",
        ));
    }
}

fn validate_node_term(term: &Value, path: &Path, errors: &mut Errors) {
    for (at, requirement) in items(&term["matchExpressions"]).iter().enumerate() {
        let path = path.child("matchExpressions").index(at);
        let values = count(&requirement["values"]);
        match text(&requirement["operator"]) {
            "In" | "NotIn" if values == 0 => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(path.child("values"), why));
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(path.child("values"), why));
            }
            "Gt" | "Lt" if values != 1 => {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(path.child("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => {
                let why = "not a valid selector operator";
                errors.push(FieldError::invalid(
                    path.child("operator"),
                    &other.into(),
                    why,
                ));
            }
        }
        let key: Value = text(&requirement["key"]).into();
        check(
            errors,
            &path.child("key"),
            &key,
            names::qualified_name(text(&key)),
        );
    }
}

fn validate_pod_term(term: &Value, path: &Path, errors: &mut Errors) {
    validate_selector(&term["labelSelector"], &path.child("labelSelector"), errors);
    validate_selector(
        &term["namespaceSelector"],
        &path.child("namespaceSelector"),
        errors,
    );
    for name in items(&term["namespaces"]) {
        check(
            errors,
            &path.child("namespace"),
            name,
            names::dns_label(text(name)),
        );
    }
    let key = text(&term["topologyKey"]);
    if key.is_empty() {
        errors.push(FieldError::required(
            path.child("topologyKey"),
            "can not be empty",
        ));
    }
    let given: Value = key.into();
    check(
        errors,
        &path.child("topologyKey"),
        &given,
        names::qualified_name(key),
    );
}

pub(super) fn validate_spread(constraints: &Value, path: &Path, errors: &mut Errors) {
    let all = items(constraints);
    for (at, constraint) in all.iter().enumerate() {
        let item = path.index(at);
        if int(&constraint["maxSkew"]) <= 0 {
            let given: Value = int(&constraint["maxSkew"]).into();
            errors.push(FieldError::invalid(
                item.child("maxSkew"),
                &given,
                "must be greater than zero",
            ));
        }
        if text(&constraint["topologyKey"]).is_empty() {
            errors.push(FieldError::required(
                item.child("topologyKey"),
                "can not be empty",
            ));
        }
        let action = &constraint["whenUnsatisfiable"];
        if !matches!(text(action), "DoNotSchedule" | "ScheduleAnyway") {
            let given: Value = text(action).into();
            let supported = ["DoNotSchedule", "ScheduleAnyway"];
            errors.push(FieldError::not_supported(
                item.child("whenUnsatisfiable"),
                &given,
                &supported,
            ));
        }
        let same = |other: &&Value| {
            other["topologyKey"] == constraint["topologyKey"]
                && other["whenUnsatisfiable"] == *action
        };
        if all[at + 1..].iter().any(|other| same(&other)) {
            let key = format!("{{{}, {}}}", text(&constraint["topologyKey"]), text(action));
            errors.push(FieldError::duplicate(
                item.child("{topologyKey, whenUnsatisfiable}"),
                &key.into(),
            ));
        }
        validate_selector(
            &constraint["labelSelector"],
            &item.child("labelSelector"),
            errors,
        );
    }
}

/// Validates tolerations.
pub(super) fn validate_tolerations(tolerations: &Value, path: &Path, errors: &mut Errors) {
    for (at, toleration) in items(tolerations).iter().enumerate() {
        let path = path.index(at);
        let (key, operator, value) = (
            &toleration["key"],
            text(&toleration["operator"]),
            text(&toleration["value"]),
        );
        if text(key).is_empty() {
            if operator != "Exists" {
                let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
                errors.push(FieldError::invalid(
                    path.child("operator"),
                    &operator.into(),
                    why,
                ));
            }
        } else {
            check(
                errors,
                &path.child("key"),
                key,
                names::qualified_name(text(key)),
            );
        }
        let effect = text(&toleration["effect"]);
        if has(&toleration["tolerationSeconds"]) && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(
                path.child("effect"),
                &effect.into(),
                why,
            ));
        }
        match operator {
            "Equal" | "" => {
                let found = names::label_value(value);
                if !found.is_empty() {
                    errors.push(FieldError::invalid(
                        path.child("operator"),
                        &value.into(),
                        found.join(";"),
                    ));
                }
            }
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                errors.push(FieldError::invalid(
                    path.child("operator"),
                    &value.into(),
                    why,
                ));
            }
            "Exists" => {}
            _ => {
                let supported: &[&str] = match operator {
                    "Lt" | "Gt" => &["Equal", "Exists", "Lt", "Gt"],
                    _ => &["Equal", "Exists"],
                };
                errors.push(FieldError::not_supported(
                    path.child("operator"),
                    &operator.into(),
                    supported,
                ));
            }
        }
        if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            errors.push(FieldError::not_supported(
                path.child("effect"),
                &effect.into(),
                &supported,
            ));
        }
    }
}
