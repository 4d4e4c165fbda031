//! Small helpers for rules over JSON objects.

use std::fmt;

use serde_json::{Map, Value};

use crate::failure::FieldError;

/// Everything that is wrong with an object.
pub(crate) type Errors = Vec<FieldError>;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// The path of a field: `spec.ports[0].port`.
#[derive(Debug, Clone)]
pub(crate) struct Path(String);

impl Path {
    /// A top-level field.
    pub fn new(name: &str) -> Self {
        Path(name.to_owned())
    }

    /// The object itself.
    pub fn root() -> Self {
        Path(String::new())
    }

    /// A field below.
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            Path::new(name)
        } else {
            Path(format!("{}.{name}", self.0))
        }
    }

    /// A list item.
    pub fn index(&self, at: usize) -> Self {
        Path(format!("{}[{at}]", self.0))
    }

    /// A map entry.
    pub fn key(&self, key: &str) -> Self {
        Path(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A string; empty where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The items of a list, to change.
pub(crate) fn items_mut(value: &mut Value) -> &mut [Value] {
    value
        .as_array_mut()
        .map(Vec::as_mut_slice)
        .unwrap_or_default()
}

/// The entries of a map.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// How many items or entries there are.
pub(crate) fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    }
}

/// An integer; zero where there is none.
pub(crate) fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Whether there is a value.
pub(crate) fn has(value: &Value) -> bool {
    !value.is_null()
}

/// Puts a value where there is none.
pub(crate) fn fill(object: &mut Object, key: &str, value: impl Into<Value>) {
    if object
        .get(key)
        .is_none_or(|known| known.is_null() || known == "")
    {
        object.insert(key.to_owned(), value.into());
    }
}

/// The object under a key, made where there is none.
pub(crate) fn object<'a>(map: &'a mut Object, key: &str) -> &'a mut Object {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("just made an object"),
    }
}

/// Takes what lies under a path from another object, or removes it.
pub(crate) fn copy_path(from: &Value, to: &mut Value, path: &[&str]) {
    let [parents @ .., last] = path else { return };
    let source = path
        .iter()
        .try_fold(from, |value, name| value.get(name))
        .cloned();
    let mut target = to;
    for name in parents {
        if target.get(name).is_none() {
            if source.is_none() {
                return;
            }
            target[*name] = Value::Object(Map::new());
        }
        target = &mut target[*name];
    }
    if let Some(target) = target.as_object_mut() {
        match source {
            Some(value) => {
                target.insert((*last).to_owned(), value);
            }
            None => {
                target.remove(*last);
            }
        }
    }
}

/// Whether two values are the same, where nothing, null and an empty list or map are.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let blank = |value: &Value| {
        value.is_null() || (count(value) == 0 && (value.is_array() || value.is_object()))
    };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let missing = |from: &Object, to: &Object| {
                from.iter().all(|(key, value)| match to.get(key) {
                    Some(other) => same(value, other),
                    None => value.is_null() || (value.is_array() && count(value) == 0),
                })
            };
            missing(x, y) && missing(y, x)
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        _ => a == b || (blank(a) && blank(b)),
    }
}

/// Adds what a check of names found.
pub(crate) fn check(errors: &mut Errors, path: &Path, value: &Value, found: Vec<String>) {
    errors.extend(
        found
            .into_iter()
            .map(|text| FieldError::invalid(path, value, text)),
    );
}

/// An error if a number is below zero.
pub(crate) fn check_not_negative(errors: &mut Errors, path: &Path, value: &Value) {
    if value.as_i64().is_some_and(|number| number < 0) {
        errors.push(FieldError::invalid(
            path,
            value,
            "must be greater than or equal to 0",
        ));
    }
}

/// An error if a value has changed.
pub(crate) fn check_immutable(errors: &mut Errors, path: &Path, new: &Value, old: &Value) {
    if !same(new, old) {
        errors.push(FieldError::invalid(path, new, "field is immutable"));
    }
}

/// A struct of the server's internal version as errors print it: Go names, in the order of the struct.
pub(crate) fn internal(fields: &[(&str, &Value)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}
