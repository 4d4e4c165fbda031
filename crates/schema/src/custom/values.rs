//! Validation of values, in the words of the server's OpenAPI validator.
//!
//! What an update leaves as it was is not held against it: errors of a value that equals its old one are dropped.

use serde_json::Value;

use super::formats;
use super::schema::{Additional, Checks, ListType, Structural, Trail};
use crate::builtin::tools::{Errors, count};
use crate::failure::{FieldError, FieldErrorKind};

/// Holds a value to its schema. `old` is the value that it replaces.
pub(super) fn validate(
    schema: &Structural,
    value: &Value,
    old: Option<&Value>,
    path: &Trail<'_>,
    errors: &mut Errors,
) {
    let before = errors.len();
    check_type(schema, value, path, errors);
    check_value(&schema.checks, &schema.kind, value, path, errors);
    match value {
        Value::Object(map) => {
            check_members(&schema.checks, value, path, errors);
            for (name, member) in map {
                let of = match (schema.properties.get(name), &schema.additional) {
                    (Some(of), _) => of,
                    (None, Some(Additional::Of(of))) => &**of,
                    _ => continue,
                };
                let old = old.and_then(|old| old.get(name));
                validate(of, member, old, &path.child(name), errors);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(of) = &schema.items {
                    let old = schema.counterpart(old, item);
                    validate(of, item, old, &path.index(at), errors);
                }
            }
        }
        _ => {}
    }
    check_junctors(&schema.checks, value, path, errors);
    if errors.len() > before && old == Some(value) {
        errors.truncate(before);
    }
}

fn type_error(path: &Trail<'_>, wanted: &str, value: &Value) -> FieldError {
    let why = format!("{path} in body must be of type {wanted}: {value}");
    FieldError::other(
        FieldErrorKind::TypeInvalid,
        path.or_nil(),
        format!("Invalid value: {value}: {why}"),
    )
}

fn check_type(schema: &Structural, value: &Value, path: &Trail<'_>, errors: &mut Errors) {
    let given = match value {
        Value::Null if schema.nullable => return,
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if is_whole(number) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let (wanted, fits) = match schema.kind.as_str() {
        _ if schema.int_or_string => ("integer,string", matches!(given, "integer" | "string")),
        "" => return,
        "number" => ("number", matches!(given, "integer" | "number")),
        kind => (kind, kind == given),
    };
    if !fits {
        errors.push(type_error(path, wanted, &given.into()));
    }
}

fn is_whole(number: &serde_json::Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|value| value.fract() == 0.0)
}

fn in_body(path: &Trail<'_>, value: &Value, why: &str) -> FieldError {
    FieldError::invalid(path, value, format!("{path} in body {why}"))
}

/// An error that the validator tells without a field.
fn nowhere(why: String) -> FieldError {
    FieldError::invalid("<nil>", &"".into(), why)
}

fn check_value(checks: &Checks, kind: &str, value: &Value, path: &Trail<'_>, errors: &mut Errors) {
    if !checks.allowed.is_empty() && !value.is_null() && !checks.allowed.contains(value) {
        let allowed: Vec<String> = checks
            .allowed
            .iter()
            .map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
            .collect();
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        errors.push(FieldError::not_supported(path, value, &allowed));
    }
    match value {
        Value::String(given) => check_text(checks, given, value, path, errors),
        Value::Number(_) => check_number(checks, kind, value, path, errors),
        Value::Array(items) => {
            let number = items.len() as u64;
            if let Some(least) = checks.min_items.filter(|least| number < *least) {
                let why = format!("should have at least {least} items");
                errors.push(in_body(path, &number.into(), &why));
            }
            if let Some(most) = checks.max_items.filter(|most| number > *most) {
                errors.push(FieldError::too_many(path, items.len(), most as usize));
            }
        }
        _ => {}
    }
}

fn check_text(checks: &Checks, given: &str, value: &Value, path: &Trail<'_>, errors: &mut Errors) {
    let length = given.chars().count() as u64;
    if let Some(most) = checks.max_length.filter(|most| length > *most) {
        errors.push(FieldError::too_long(path, most as usize));
    } else if let Some(least) = checks.min_length.filter(|least| length < *least) {
        let why = format!("should be at least {least} chars long");
        errors.push(in_body(path, value, &why));
    } else if let Some((pattern, regex)) = &checks.pattern
        && regex.as_ref().is_some_and(|regex| !regex.is_match(given))
    {
        errors.push(in_body(path, value, &format!("should match '{pattern}'")));
    }
    if !formats::fits(&checks.format, given) {
        errors.push(type_error(path, &checks.format, value));
    }
}

fn check_number(checks: &Checks, kind: &str, value: &Value, path: &Trail<'_>, errors: &mut Errors) {
    let whole = value.as_i64();
    let number = value.as_f64().unwrap_or_default();
    let range = match (kind, checks.format.as_str()) {
        ("integer", "int32") => Some(f64::from(i32::MIN)..=f64::from(i32::MAX)),
        ("number", "float") => Some(f64::from(f32::MIN)..=f64::from(f32::MAX)),
        _ => None,
    };
    if kind == "integer" && number.fract() != 0.0 {
        let format = match checks.format.as_str() {
            "" => "(default format)".to_owned(),
            format => format!("with format {format}"),
        };
        errors.push(nowhere(format!(
            "Checked value must be of type integer {format} in {path}"
        )));
    } else if range.is_some_and(|range| !range.contains(&number)) {
        errors.push(nowhere(format!(
            "Checked value must be of type {kind} with format {} in {path}",
            checks.format
        )));
    }
    // Whole numbers are compared with the whole part of the bound.
    let bound = |bound: f64| {
        if whole.is_some() {
            bound.trunc()
        } else {
            bound
        }
    };
    if let Some(factor) = checks.multiple_of {
        let ratio = number / bound(factor);
        if ratio.fract() != 0.0 {
            errors.push(in_body(
                path,
                value,
                &format!("should be a multiple of {factor}"),
            ));
        }
    }
    if let Some((most, exclusive)) = checks.maximum {
        let most = bound(most);
        if number > most || (exclusive && number == most) {
            let than = if exclusive {
                "less than"
            } else {
                "less than or equal to"
            };
            errors.push(in_body(path, value, &format!("should be {than} {most}")));
        }
    }
    if let Some((least, exclusive)) = checks.minimum {
        let least = bound(least);
        if number < least || (exclusive && number == least) {
            let than = if exclusive {
                "greater than"
            } else {
                "greater than or equal to"
            };
            errors.push(in_body(path, value, &format!("should be {than} {least}")));
        }
    }
}

fn check_members(checks: &Checks, value: &Value, path: &Trail<'_>, errors: &mut Errors) {
    let number = count(value);
    if let Some(least) = checks
        .min_properties
        .filter(|least| (number as u64) < *least)
    {
        let why = format!("should have at least {least} properties");
        errors.push(in_body(path, &number.into(), &why));
    }
    if let Some(most) = checks.max_properties.filter(|most| number as u64 > *most) {
        errors.push(FieldError::too_many(path, number, most as usize));
    }
    for name in &checks.required {
        if value.get(name).is_none() {
            errors.push(FieldError::required(path.child(name), ""));
        }
    }
}

fn check_junctors(checks: &Checks, value: &Value, path: &Trail<'_>, errors: &mut Errors) {
    let outcome = |schemas: &[Structural]| -> Vec<Errors> {
        let of = |schema: &Structural| {
            let mut found = Errors::new();
            validate(schema, value, None, path, &mut found);
            found
        };
        schemas.iter().map(of).collect()
    };
    let valid = |found: &[Errors]| found.iter().filter(|errors| errors.is_empty()).count();
    if !checks.any_of.is_empty() {
        let found = outcome(&checks.any_of);
        if valid(&found) == 0 {
            errors.push(nowhere(format!(
                "\"{path}\" must validate at least one schema (anyOf)"
            )));
            errors.extend(found.into_iter().next().unwrap_or_default());
        }
    }
    if !checks.one_of.is_empty() {
        let found = outcome(&checks.one_of);
        let only = format!("\"{path}\" must validate one and only one schema (oneOf)");
        match valid(&found) {
            1 => {}
            0 => {
                errors.push(nowhere(format!("{only}. Found none valid")));
                errors.extend(found.into_iter().next().unwrap_or_default());
            }
            many => errors.push(nowhere(format!("{only}. Found {many} valid alternatives"))),
        }
    }
    if !checks.all_of.is_empty() {
        let found = outcome(&checks.all_of);
        let valid = valid(&found);
        if valid < found.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            errors.extend(found.into_iter().flatten());
            errors.push(nowhere(format!(
                "\"{path}\" must validate all the schemas (allOf){none}"
            )));
        }
    }
    if let Some(not) = &checks.not
        && valid(&outcome(std::slice::from_ref(not))) == 1
    {
        errors.push(nowhere(format!(
            "\"{path}\" must not validate the schema (not)"
        )));
    }
}

/// Lists that are sets or maps have no item twice.
pub(super) fn validate_lists(
    schema: &Structural,
    value: &Value,
    path: &Trail<'_>,
    errors: &mut Errors,
) {
    match value {
        Value::Array(items) => {
            match &schema.list {
                Some(ListType::Set) => duplicates(items, Value::clone, path, errors),
                Some(ListType::Map(keys)) => {
                    for (at, item) in items
                        .iter()
                        .enumerate()
                        .filter(|(_, item)| !item.is_object() && !item.is_null())
                    {
                        let why = "must be an object for an array of list-type map";
                        errors.push(FieldError::invalid(path.index(at), item, why));
                    }
                    if items.iter().all(Value::is_object) {
                        let key = |item: &Value| {
                            let known = keys
                                .iter()
                                .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
                            Value::Object(known.collect())
                        };
                        duplicates(items, key, path, errors);
                    }
                }
                _ => {}
            }
            for (at, item) in items.iter().enumerate() {
                if let Some(of) = &schema.items {
                    validate_lists(of, item, &path.index(at), errors);
                }
            }
        }
        Value::Object(map) => {
            for (name, member) in map {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(of), _) => validate_lists(of, member, &path.child(name), errors),
                    (None, Some(Additional::Of(of))) => {
                        validate_lists(of, member, &path.key(name), errors);
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// The second occurrence of each item that occurs again.
fn duplicates(
    items: &[Value],
    key: impl Fn(&Value) -> Value,
    path: &Trail<'_>,
    errors: &mut Errors,
) {
    let mut seen = std::collections::BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let key = key(item);
        let times = seen.entry(key.to_string()).or_insert(0);
        *times += 1;
        if *times == 2 {
            errors.push(FieldError::duplicate(path.index(at), &key));
        }
    }
}

/// Holds the objects inside an object to what every object has: an apiVersion, a kind, and valid metadata.
pub(super) fn validate_embedded(
    schema: &Structural,
    value: &Value,
    path: &Trail<'_>,
    errors: &mut Errors,
) {
    match value {
        Value::Object(map) => {
            let is_root = path.to_string().is_empty();
            if schema.embedded && !is_root {
                super::embedded::validate(value, path, errors);
            }
            for (name, member) in map {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(of), _) => validate_embedded(of, member, &path.child(name), errors),
                    (None, Some(Additional::Of(of))) => {
                        validate_embedded(of, member, &path.key(name), errors);
                    }
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(of) = &schema.items {
                    validate_embedded(of, item, &path.index(at), errors);
                }
            }
        }
        _ => {}
    }
}
