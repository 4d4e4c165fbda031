//! Variables of containers and what they are taken from.

use serde_json::Value;

use super::tools::{Errors, Path, check, has, items, text};
use crate::failure::FieldError;
use crate::names;

const ENV_FIELDS: [&str; 8] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
];

pub(super) fn validate_env(env: &Value, path: &Path, errors: &mut Errors) {
    for (at, variable) in items(env).iter().enumerate() {
        let path = path.index(at);
        let name = &variable["name"];
        if text(name).is_empty() {
            errors.push(FieldError::required(path.child("name"), ""));
        } else {
            check(
                errors,
                &path.child("name"),
                name,
                names::env_var_name(text(name)),
            );
        }
        let source = &variable["valueFrom"];
        if has(source) {
            validate_env_source(variable, source, &path.child("valueFrom"), errors);
        }
    }
}

fn validate_env_source(variable: &Value, source: &Value, path: &Path, errors: &mut Errors) {
    let mut sources = 0;
    if has(&source["fieldRef"]) {
        sources += 1;
        validate_field_ref(
            &source["fieldRef"],
            &ENV_FIELDS,
            &path.child("fieldRef"),
            errors,
        );
    }
    if has(&source["resourceFieldRef"]) {
        sources += 1;
        let (reference, path) = (&source["resourceFieldRef"], path.child("resourceFieldRef"));
        if text(&reference["resource"]).is_empty() {
            errors.push(FieldError::required(path.child("resource"), ""));
        }
    }
    for name in ["configMapKeyRef", "secretKeyRef"] {
        let reference = &source[name];
        if has(reference) {
            sources += 1;
            let path = path.child(name);
            let given: Value = text(&reference["name"]).into();
            check(
                errors,
                &path.child("name"),
                &given,
                names::dns_subdomain(text(&given)),
            );
            if text(&reference["key"]).is_empty() {
                errors.push(FieldError::required(path.child("key"), ""));
            } else {
                let key = &reference["key"];
                check(
                    errors,
                    &path.child("key"),
                    key,
                    names::config_map_key(text(key)),
                );
            }
        }
    }
    sources += usize::from(has(&source["fileKeyRef"]));
    let why = match (sources, text(&variable["value"]).is_empty()) {
        (0, _) => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        (_, false) => "may not be specified when `value` is not empty",
        (1, true) => return,
        (_, true) => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(path, &"".into(), why));
}

/// Validates a reference to a field of the pod.
pub(super) fn validate_field_ref(
    reference: &Value,
    supported: &[&str],
    path: &Path,
    errors: &mut Errors,
) {
    let field = text(&reference["fieldPath"]);
    if text(&reference["apiVersion"]).is_empty() {
        errors.push(FieldError::required(path.child("apiVersion"), ""));
    } else if field.is_empty() {
        errors.push(FieldError::required(path.child("fieldPath"), ""));
    } else if let Some((name, key)) = field
        .strip_suffix("']")
        .and_then(|field| field.split_once("['"))
    {
        match name {
            "metadata.annotations" => check(
                errors,
                path,
                &key.to_lowercase().into(),
                names::qualified_name(&key.to_lowercase()),
            ),
            "metadata.labels" => check(errors, path, &key.into(), names::qualified_name(key)),
            _ => errors.push(FieldError::invalid(
                path.child("fieldPath"),
                &field.into(),
                format!("error converting fieldPath: field label not supported: {field}"),
            )),
        }
    } else if !supported.contains(&field) && !matches!(field, "status.podIPs") {
        let known = ["metadata.labels", "metadata.annotations"].contains(&field)
            || ENV_FIELDS.contains(&field)
            || matches!(
                field,
                "spec.restartPolicy"
                    | "spec.schedulerName"
                    | "spec.hostNetwork"
                    | "status.phase"
                    | "status.nominatedNodeName"
            );
        if known {
            let mut all: Vec<&str> = supported.to_vec();
            all.push("status.podIPs");
            all.sort_unstable();
            errors.push(FieldError::not_supported(
                path.child("fieldPath"),
                &field.into(),
                &all,
            ));
        } else {
            let why = format!("error converting fieldPath: field label not supported: {field}");
            errors.push(FieldError::invalid(
                path.child("fieldPath"),
                &field.into(),
                why,
            ));
        }
    }
}

pub(super) fn validate_env_from(sources: &Value, path: &Path, errors: &mut Errors) {
    for (at, source) in items(sources).iter().enumerate() {
        let item = path.index(at);
        if !text(&source["prefix"]).is_empty() {
            let prefix = &source["prefix"];
            check(
                errors,
                &item.child("prefix"),
                prefix,
                names::env_var_name(text(prefix)),
            );
        }
        let mut count = 0;
        for name in ["configMapRef", "secretRef"] {
            if has(&source[name]) {
                count += 1;
                let path = item.child(name);
                let given = &source[name]["name"];
                if text(given).is_empty() {
                    errors.push(FieldError::required(path.child("name"), ""));
                } else {
                    check(
                        errors,
                        &path.child("name"),
                        given,
                        names::dns_subdomain(text(given)),
                    );
                }
            }
        }
        let why = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(FieldError::invalid(path, &"".into(), why));
    }
}
