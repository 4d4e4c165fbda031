//! Structural schemas: what the schema of a custom resource may look like.

use serde_json::Value;

use super::rules::{self, Level};
use super::schema::{Structural, Trail};
use super::{shape, values};
use crate::builtin::tools::{Errors, Path, entries, has, items, text};
use crate::failure::{FieldError, FieldErrorKind};

/// How deep schemas may be nested.
const MAX_DEPTH: usize = 100;

/// Validates the schema of a version.
pub(super) fn validate_schema(schema: &Value, path: &Path, errors: &mut Errors) {
    let at = path.child("type");
    if text(&schema["type"]).is_empty() {
        errors.push(FieldError::required(at, "must not be empty at the root"));
    } else if schema["type"] != "object" {
        errors.push(FieldError::invalid(
            at,
            &schema["type"],
            "must be object at the root",
        ));
    }
    if schema["nullable"] == true {
        let why = "nullable cannot be true at the root";
        errors.push(FieldError::forbidden(path.child("nullable"), why));
    }
    let place = Place {
        level: Level::Root,
        of_what: "",
        uncorrelated: None,
    };
    walk(schema, path, &place, MAX_DEPTH, errors);
}

/// Where a schema stands in a definition.
#[derive(Clone)]
struct Place {
    level: Level,
    /// What it describes the values of.
    of_what: &'static str,
    /// The list above whose items have no old ones.
    uncorrelated: Option<Path>,
}

fn walk(schema: &Value, path: &Path, place: &Place, depth: usize, errors: &mut Errors) {
    if depth == 0 || !schema.is_object() {
        return;
    }
    let before = errors.len();
    check_type(schema, path, place, errors);
    check_list_type(schema, path, errors);
    check_extensions(schema, path, place.level, errors);
    check_keywords(schema, path, errors);
    if place.level == Level::Field && has(&schema["default"]) {
        check_default(schema, &path.child("default"), errors);
    }
    rules::check_rule_texts(schema, path, errors);
    let inner = |of_what: &'static str, uncorrelated: Option<Path>| Place {
        level: Level::Field,
        of_what,
        uncorrelated: uncorrelated.or(place.uncorrelated.clone()),
    };
    for (name, member) in entries(&schema["properties"]) {
        let of_every = matches!(name, "apiVersion" | "kind" | "metadata");
        if of_every && place.level == Level::Root && member["type"] == "object" {
            continue;
        }
        let path = path.child("properties").key(name);
        walk(
            member,
            &path,
            &inner("object fields", None),
            depth - 1,
            errors,
        );
    }
    if schema["additionalProperties"].is_object() {
        let path = path.child("additionalProperties");
        let place = inner("object fields", None);
        walk(
            &schema["additionalProperties"],
            &path,
            &place,
            depth - 1,
            errors,
        );
    }
    if schema["items"].is_object() {
        let lost = (schema["x-kubernetes-list-type"] != "map").then(|| path.clone());
        let place = inner("array items", lost);
        walk(
            &schema["items"],
            &path.child("items"),
            &place,
            depth - 1,
            errors,
        );
    }
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    check_junctors(schema, path, int_or_string, depth - 1, errors);
    // Expressions are looked at where all else is right, at this place and below.
    if errors.len() == before {
        let lost = place.uncorrelated.as_ref();
        rules::check_expressions(schema, path, place.level, lost, errors);
    }
}

fn check_type(schema: &Value, path: &Path, place: &Place, errors: &mut Errors) {
    let kind = text(&schema["type"]);
    let open = schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if place.level == Level::Field && kind.is_empty() && !open {
        let why = format!("must not be empty for specified {}", place.of_what);
        errors.push(FieldError::required(path.child("type"), why));
    }
    let supported = ["array", "boolean", "integer", "number", "object", "string"];
    if !kind.is_empty() && !supported.contains(&kind) {
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
    if has(&schema["properties"]) && schema["additionalProperties"].is_object() {
        let why = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(
            path.child("additionalProperties"),
            why,
        ));
    }
}

fn check_list_type(schema: &Value, path: &Path, errors: &mut Errors) {
    let list = &schema["x-kubernetes-list-type"];
    let keys = &schema["x-kubernetes-list-map-keys"];
    let given: Value = text(&schema["type"]).into();
    let at_keys = path.child("x-kubernetes-list-map-keys");
    if has(list) {
        let supported = ["atomic", "set", "map"];
        if !supported.contains(&text(list)) {
            let path = path.child("x-kubernetes-list-type");
            errors.push(FieldError::not_supported(path, list, &supported));
        }
        if given != "array" {
            let why = "must be array if x-kubernetes-list-type is specified";
            errors.push(FieldError::invalid(path.child("type"), &given, why));
        }
    }
    let item = &schema["items"];
    if list == "map" {
        if items(keys).is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            errors.push(FieldError::required(&at_keys, why));
        }
        let required = |key: &str| items(&item["required"]).iter().any(|name| name == key);
        for key in items(keys) {
            let member = &item["properties"][text(key)];
            if !has(member) {
                let why = "entries must all be names of item properties";
                errors.push(FieldError::invalid(&at_keys, keys, why));
            } else if !required(text(key)) && !has(&member["default"]) {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                           property";
                let at = path.child("items").child("properties").key(text(key));
                errors.push(FieldError::required(at.child("default"), why));
            }
        }
    } else if !items(keys).is_empty() {
        let why = "must be empty if x-kubernetes-list-type is not map";
        errors.push(FieldError::invalid(&at_keys, keys, why));
    }
    if list == "set" {
        let (extension, atomic) = match text(&item["type"]) {
            "object" => ("x-kubernetes-map-type", &item["x-kubernetes-map-type"]),
            "array" => ("x-kubernetes-list-type", &item["x-kubernetes-list-type"]),
            _ => return,
        };
        if atomic != "atomic" && !(extension == "x-kubernetes-list-type" && atomic.is_null()) {
            let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
            errors.push(FieldError::invalid(
                path.child("items").child(extension),
                atomic,
                why,
            ));
        }
    }
}

fn check_extensions(schema: &Value, path: &Path, level: Level, errors: &mut Errors) {
    let given: Value = text(&schema["type"]).into();
    let map = &schema["x-kubernetes-map-type"];
    if has(map) {
        let supported = ["atomic", "granular"];
        if !supported.contains(&text(map)) {
            let path = path.child("x-kubernetes-map-type");
            errors.push(FieldError::not_supported(path, map, &supported));
        }
        if given != "object" {
            let why = "must be object if x-kubernetes-map-type is specified";
            errors.push(FieldError::invalid(path.child("type"), &given, why));
        }
    }
    let preserve = &schema["x-kubernetes-preserve-unknown-fields"];
    if *preserve == false {
        let path = path.child("x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid(
            path,
            preserve,
            "must be true or undefined",
        ));
    }
    let embedded = schema["x-kubernetes-embedded-resource"] == true;
    if embedded {
        if given != "object" {
            let why = "must be object if x-kubernetes-embedded-resource is true";
            errors.push(FieldError::invalid(path.child("type"), &given, why));
        }
        if *preserve != true && entries(&schema["properties"]).next().is_none() {
            let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                       x-kubernetes-preserve-unknown-fields";
            errors.push(FieldError::required(path.child("properties"), why));
        }
    }
    if level == Level::Root || embedded {
        let mut named = entries(&schema["properties"]["metadata"]["properties"]);
        if named.any(|(name, _)| !matches!(name, "name" | "generateName")) {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly \
                       specified";
            errors.push(FieldError::forbidden(
                path.child("properties").key("metadata"),
                why,
            ));
        }
    }
}

fn check_keywords(schema: &Value, path: &Path, errors: &mut Errors) {
    if schema["uniqueItems"] == true {
        let why =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(path.child("uniqueItems"), why));
    }
    if has(&schema["$ref"]) {
        errors.push(FieldError::forbidden(
            path.child("$ref"),
            "$ref is not supported",
        ));
    }
    if let Some(why) = schema["pattern"].as_str().and_then(wrong_pattern) {
        let why =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
        errors.push(FieldError::invalid(
            path.child("pattern"),
            &schema["pattern"],
            why,
        ));
    }
}

/// What is wrong with a pattern, as Go's parser words the usual mistakes.
fn wrong_pattern(pattern: &str) -> Option<String> {
    let error = regex::Regex::new(pattern).err()?.to_string();
    let is = |text: &str| error.contains(text);
    Some(if is("unclosed group") {
        format!("missing closing ): `{pattern}`")
    } else if is("unopened group") {
        format!("unexpected ): `{pattern}`")
    } else if is("unclosed character class") {
        let from = pattern.rfind('[').unwrap_or_default();
        format!("missing closing ]: `{}`", &pattern[from..])
    } else if is("repetition operator missing expression") {
        let sign = pattern
            .chars()
            .find(|c| matches!(c, '*' | '+' | '?'))
            .unwrap_or('*');
        format!("missing argument to repetition operator: `{sign}`")
    } else if is("look-around") {
        "invalid or unsupported Perl syntax: `(?`".to_owned()
    } else {
        format!("invalid syntax: `{pattern}`")
    })
}

/// A default has to be a value that the schema allows.
fn check_default(schema: &Value, path: &Path, errors: &mut Errors) {
    let structural = Structural::field(schema);
    let mut value = schema["default"].clone();
    if !shape::prune(&mut value, &structural).is_empty() {
        let why = "must not have unknown fields";
        errors.push(FieldError::invalid(path, &schema["default"], why));
        return;
    }
    let mut found = Errors::new();
    values::validate(&structural, &value, None, &Trail::ROOT, &mut found);
    if found.is_empty() {
        let mut verdict = rules::Verdict {
            errors: &mut found,
            tolerated: &mut Vec::new(),
        };
        rules::validate(
            &structural,
            &value,
            None,
            &Trail::ROOT,
            Level::Field,
            &mut verdict,
        );
    }
    errors.extend(found.into_iter().map(|error| below(path, error)));
}

/// An error of a value as one of the field that holds the value.
fn below(path: &Path, error: FieldError) -> FieldError {
    let field = match error.field.as_str() {
        "" | "<nil>" => path.to_string(),
        field if field.starts_with('[') => format!("{path}{field}"),
        field => format!("{path}.{field}"),
    };
    FieldError { field, ..error }
}

/// Schemas in junctors only constrain; they may not say what a field is.
fn check_junctors(
    schema: &Value,
    path: &Path,
    int_or_string: bool,
    depth: usize,
    errors: &mut Errors,
) {
    if depth == 0 {
        return;
    }
    for junctor in ["allOf", "anyOf", "oneOf"] {
        for (at, member) in items(&schema[junctor]).iter().enumerate() {
            let may_have_type = int_or_string && junctor == "anyOf";
            let path = path.child(junctor).index(at);
            check_nested(member, &path, may_have_type, depth - 1, errors);
            if int_or_string && junctor == "allOf" {
                check_junctors(member, &path, true, depth - 1, errors);
            }
        }
    }
    if has(&schema["not"]) {
        check_nested(&schema["not"], &path.child("not"), false, depth - 1, errors);
    }
}

fn check_nested(
    schema: &Value,
    path: &Path,
    may_have_type: bool,
    depth: usize,
    errors: &mut Errors,
) {
    if depth == 0 || !schema.is_object() {
        return;
    }
    let names = [
        "type",
        "nullable",
        "default",
        "title",
        "description",
        "additionalProperties",
    ];
    for name in names {
        let value = &schema[name];
        if !has(value) || *value == false || (name == "type" && may_have_type) {
            continue;
        }
        let why = match name {
            "nullable" => "must be false to be structural",
            "additionalProperties" | "default" => "must be undefined to be structural",
            _ => "must be empty to be structural",
        };
        errors.push(FieldError::other(
            FieldErrorKind::Forbidden,
            path.child(name),
            format!("Forbidden: {why}"),
        ));
    }
    check_keywords(schema, path, errors);
    for (name, member) in entries(&schema["properties"]) {
        let path = path.child("properties").key(name);
        check_nested(member, &path, false, depth - 1, errors);
    }
    if schema["items"].is_object() {
        check_nested(
            &schema["items"],
            &path.child("items"),
            false,
            depth - 1,
            errors,
        );
    }
    check_junctors(schema, path, false, depth - 1, errors);
}

/// The formats that the server does not know.
pub(super) fn unknown_formats(schema: &Value, depth: usize, found: &mut Vec<String>) {
    let format = text(&schema["format"]);
    let text = format!("unrecognized format {}", crate::gofmt::quote(format));
    if !format.is_empty() && !super::formats::KNOWN.contains(&format) && !found.contains(&text) {
        found.push(text);
    }
    if depth == 0 {
        return;
    }
    for (_, member) in entries(&schema["properties"]) {
        unknown_formats(member, depth - 1, found);
    }
    for name in ["items", "additionalProperties"] {
        if schema[name].is_object() {
            unknown_formats(&schema[name], depth - 1, found);
        }
    }
}
