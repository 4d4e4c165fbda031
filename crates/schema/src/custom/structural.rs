//! Structural schemas: what the schema of a custom resource may look like.

use serde_json::Value;

use crate::builtin::tools::{Errors, Path, entries, has, items, text};
use crate::failure::FieldError;

/// How deep schemas may be nested.
const MAX_DEPTH: usize = 100;

/// Where a schema stands in a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The schema of the whole object.
    Root,
    /// The schema of a field, item or map value.
    Field,
}

/// Validates the schema of a version.
pub(super) fn validate_schema(schema: &Value, path: &Path, errors: &mut Errors) {
    if text(&schema["type"]).is_empty() {
        errors.push(FieldError::required(
            path.child("type"),
            "must not be empty at the root",
        ));
    } else if schema["type"] != "object" {
        let why = "must be object at the root";
        errors.push(FieldError::invalid(
            path.child("type"),
            &schema["type"],
            why,
        ));
    }
    if schema["nullable"] == true {
        errors.push(FieldError::forbidden(
            path.child("nullable"),
            "nullable cannot be true at the root",
        ));
    }
    walk(schema, path, Level::Root, MAX_DEPTH, errors);
}

fn walk(schema: &Value, path: &Path, level: Level, depth: usize, errors: &mut Errors) {
    if depth == 0 || !schema.is_object() {
        return;
    }
    let kind = text(&schema["type"]);
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let preserve = schema["x-kubernetes-preserve-unknown-fields"] == true;
    if level == Level::Field && kind.is_empty() && !int_or_string && !preserve {
        let why = "must not be empty for specified object fields";
        errors.push(FieldError::required(path.child("type"), why));
    }
    if !matches!(
        kind,
        "" | "array" | "boolean" | "integer" | "number" | "object" | "string"
    ) {
        let supported = ["array", "boolean", "integer", "number", "object", "string"];
        errors.push(FieldError::not_supported(
            path.child("type"),
            &schema["type"],
            &supported,
        ));
    }
    if kind == "array" && !has(&schema["items"]) {
        errors.push(FieldError::required(
            path.child("items"),
            "must be specified",
        ));
    }
    validate_list_type(schema, path, errors);
    if has(&schema["properties"]) && schema["additionalProperties"].is_object() {
        let why = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(
            path.child("additionalProperties"),
            why,
        ));
    }
    for (name, member) in entries(&schema["properties"]) {
        walk(
            member,
            &path.child("properties").key(name),
            Level::Field,
            depth - 1,
            errors,
        );
    }
    if schema["additionalProperties"].is_object() {
        walk(
            &schema["additionalProperties"],
            &path.child("additionalProperties"),
            Level::Field,
            depth - 1,
            errors,
        );
    }
    if schema["items"].is_object() {
        walk(
            &schema["items"],
            &path.child("items"),
            Level::Field,
            depth - 1,
            errors,
        );
    }
    for junctor in ["allOf", "anyOf", "oneOf"] {
        for (at, member) in items(&schema[junctor]).iter().enumerate() {
            validate_nested(member, &path.child(junctor).index(at), depth - 1, errors);
        }
    }
    if has(&schema["not"]) {
        validate_nested(&schema["not"], &path.child("not"), depth - 1, errors);
    }
    for (at, rule) in items(&schema["x-kubernetes-validations"])
        .iter()
        .enumerate()
    {
        let path = path.child("x-kubernetes-validations").index(at);
        if text(&rule["rule"]).trim().is_empty() {
            errors.push(FieldError::required(
                path.child("rule"),
                "rule is not specified",
            ));
        }
    }
}

fn validate_list_type(schema: &Value, path: &Path, errors: &mut Errors) {
    let list = &schema["x-kubernetes-list-type"];
    if !has(list) {
        return;
    }
    let supported = ["atomic", "map", "set"];
    if !supported.contains(&text(list)) {
        errors.push(FieldError::not_supported(
            path.child("x-kubernetes-list-type"),
            list,
            &supported,
        ));
    }
    if schema["type"] != "array" {
        let why = "must be array if x-kubernetes-list-type is set";
        let given = text(&schema["type"]).into();
        errors.push(FieldError::invalid(path.child("type"), &given, why));
    }
    let keys = items(&schema["x-kubernetes-list-map-keys"]);
    if list == "map" {
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            errors.push(FieldError::required(
                path.child("x-kubernetes-list-map-keys"),
                why,
            ));
        }
        let item = &schema["items"];
        let required = |key: &str| items(&item["required"]).iter().any(|name| name == key);
        for key in keys {
            let member = &item["properties"][text(key)];
            let path = path.child("items");
            if !has(member) {
                let why = "entries must all be names of item properties";
                let at = path.child("properties").key(text(key));
                errors.push(FieldError::invalid(at, key, why));
            } else if !required(text(key)) && !has(&member["default"]) {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                           property";
                errors.push(FieldError::required(
                    path.child("properties").key(text(key)).child("default"),
                    why,
                ));
            }
        }
    } else if !keys.is_empty() {
        let why = "must be empty if x-kubernetes-list-type is not map";
        let given = &schema["x-kubernetes-list-map-keys"];
        errors.push(FieldError::invalid(
            path.child("x-kubernetes-list-map-keys"),
            given,
            why,
        ));
    }
}

/// Schemas in junctors only constrain; they may not say what a field is.
fn validate_nested(schema: &Value, path: &Path, depth: usize, errors: &mut Errors) {
    if depth == 0 || !schema.is_object() {
        return;
    }
    for name in [
        "type",
        "nullable",
        "default",
        "title",
        "description",
        "additionalProperties",
    ] {
        let value = &schema[name];
        let allowed_type = name == "type" && path.to_string().contains("anyOf");
        if has(value) && *value != false && !allowed_type {
            let why = format!(
                "must be {} to be structural",
                if name == "nullable" { "false" } else { "empty" }
            );
            let why = match name {
                "additionalProperties" | "default" => {
                    "must be undefined to be structural".to_owned()
                }
                _ => why,
            };
            errors.push(FieldError::forbidden(path.child(name), why));
        }
    }
    for (name, member) in entries(&schema["properties"]) {
        validate_nested(
            member,
            &path.child("properties").key(name),
            depth - 1,
            errors,
        );
    }
    for junctor in ["allOf", "anyOf", "oneOf"] {
        for (at, member) in items(&schema[junctor]).iter().enumerate() {
            validate_nested(member, &path.child(junctor).index(at), depth - 1, errors);
        }
    }
}
