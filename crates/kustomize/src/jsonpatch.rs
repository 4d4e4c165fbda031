//! JSON patches (RFC 6902) with the leniencies and the error texts of the
//! library that kustomize uses.

use serde_json::Value;
use sluice_yaml::{Dialect, Limits};

use crate::growth::{Allowance, weight_of_json};

/// Patches with more operations than this are refused.
const MOST_OPERATIONS: usize = 100_000;

/// One operation, checked only when it is applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    op: String,
    path: Option<String>,
    from: Option<String>,
    value: Option<Value>,
}

/// True when the annotations are not those of before afterwards.
pub(crate) fn replaces_annotations(operations: &[Operation]) -> bool {
    operations.iter().any(|operation| {
        let path = match operation.op.as_str() {
            "test" => None,
            "move" => operation.from.as_deref(),
            _ => operation.path.as_deref(),
        };
        matches!(path, Some("" | "/metadata" | "/metadata/annotations"))
    })
}

/// Reads a patch: JSON when it begins with `[`, YAML otherwise.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Vec<Operation>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        sluice_yaml::from_str_with(text, Dialect::Sigs, limits)
            .map_err(|error| error.to_string())?
    };
    let items = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        other => {
            let kind = match other {
                Value::Object(_) => "object",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            return Err(format!(
                "json: cannot unmarshal {kind} into Go value of type jsonpatch.Patch"
            ));
        }
    };
    if items.len() > MOST_OPERATIONS {
        return Err(format!("patch has more than {MOST_OPERATIONS} operations"));
    }
    items
        .into_iter()
        .map(|item| {
            let Value::Object(mut map) = item else {
                let kind = match item {
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Bool(_) => "bool",
                    _ => "number",
                };
                return Err(format!(
                    "json: cannot unmarshal {kind} into Go value of type jsonpatch.Operation"
                ));
            };
            let mut text = |key: &str| match map.remove(key) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            };
            let op = text("op").unwrap_or_else(|| "unknown".to_owned());
            let path = text("path");
            let from = text("from");
            Ok(Operation {
                op,
                path,
                from,
                value: map.remove("value"),
            })
        })
        .collect()
}

/// Applies operations one after another.
///
/// # Errors
/// The first operation that does not apply, or that writes too much.
pub(crate) fn apply(
    document: &mut Value,
    patch: &[Operation],
    allowance: &mut Allowance,
) -> Result<(), String> {
    for operation in patch {
        if let Some(value) = &operation.value {
            allowance.spend(weight_of_json(value))?;
        }
        let path = || {
            operation.path.as_deref().ok_or_else(|| {
                format!(
                    "{} operation failed to decode path: missing value",
                    operation.op
                )
            })
        };
        match operation.op.as_str() {
            "add" => add(
                document,
                path()?,
                operation.value.clone().unwrap_or(Value::Null),
            )?,
            "remove" => remove(document, path()?, "remove").map(|_| ())?,
            "replace" => replace(
                document,
                path()?,
                operation.value.clone().unwrap_or(Value::Null),
            )?,
            "move" => {
                let from = from(operation)?;
                let value = remove(document, from, "move")?;
                add_as(document, path()?, value, "move")?;
            }
            "copy" => {
                let value = take_from(document, from(operation)?)?;
                allowance.spend(weight_of_json(&value))?;
                add_as(document, path()?, value, "copy")?;
            }
            "test" => test(document, path()?, operation.value.as_ref())?,
            other => return Err(format!("Unexpected kind: {other}")),
        }
    }
    Ok(())
}

fn from(operation: &Operation) -> Result<&str, String> {
    operation.from.as_deref().ok_or_else(|| {
        format!(
            "{} operation failed to decode from: operation, missing from field: missing value",
            operation.op
        )
    })
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// The container that holds the last part of the path, and that part.
fn parent<'d>(document: &'d mut Value, path: &str) -> Option<(&'d mut Value, String)> {
    let mut parts = path.split('/');
    parts.next();
    let parts: Vec<&str> = parts.collect();
    let (last, init) = parts.split_last()?;
    let mut here = document;
    for part in init {
        here = match here {
            Value::Object(map) => map.get_mut(&unescape(part))?,
            Value::Array(items) => {
                let at = index_of(part, items.len())?;
                items.get_mut(at)?
            }
            _ => return None,
        };
        if !here.is_object() && !here.is_array() {
            return None;
        }
    }
    Some((here, unescape(last)))
}

/// An index; a negative one counts from the end.
fn index_of(part: &str, length: usize) -> Option<usize> {
    let at: i64 = part.parse().ok()?;
    if at >= 0 {
        return usize::try_from(at).ok();
    }
    usize::try_from(at + length as i64).ok()
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    add_as(document, path, value, "add")
}

fn add_as(document: &mut Value, path: &str, value: Value, op: &str) -> Result<(), String> {
    let missing = || {
        Err(match op {
            "add" => format!(
                "add operation does not apply: doc is missing path: \"{path}\": missing value"
            ),
            _ => format!(
                "{op} operation does not apply: doc is missing destination path: {path}: missing value"
            ),
        })
    };
    let Some((container, key)) = parent(document, path) else {
        return missing();
    };
    let fail = |reason: String| match op {
        "add" => format!("error in add for path: '{path}': {reason}"),
        _ => format!("error in {op} for path: '{path}': {reason}"),
    };
    match container {
        Value::Object(map) => {
            map.insert(key, value);
            Ok(())
        }
        Value::Array(items) => {
            if key == "-" {
                items.push(value);
                return Ok(());
            }
            let Ok(at) = key.parse::<i64>() else {
                return Err(fail(format!(
                    "value was not a proper array index: '{key}': strconv.Atoi: parsing \"{key}\": invalid syntax"
                )));
            };
            let grown = items.len() as i64 + 1;
            let place = if at < 0 { at + grown } else { at };
            if place < 0 || place >= grown {
                return Err(fail(format!(
                    "Unable to access invalid index: {at}: invalid index referenced"
                )));
            }
            items.insert(place as usize, value);
            Ok(())
        }
        _ => missing(),
    }
}

fn remove(document: &mut Value, path: &str, op: &str) -> Result<Value, String> {
    let missing = || {
        Err(format!(
            "{op} operation does not apply: doc is missing {}: {}: missing value",
            if op == "move" { "from path" } else { "path" },
            if op == "remove" {
                format!("\"{path}\"")
            } else {
                path.to_owned()
            }
        ))
    };
    let Some((container, key)) = parent(document, path) else {
        return missing();
    };
    let named = if op == "move" { &key } else { path };
    let fail = |reason: String| format!("error in {op} for path: '{named}': {reason}");
    match container {
        Value::Object(map) => map.remove(&key).ok_or_else(|| {
            fail(format!(
                "Unable to remove nonexistent key: {key}: missing value"
            ))
        }),
        Value::Array(items) => {
            let Ok(at) = key.parse::<i64>() else {
                return Err(fail(format!(
                    "strconv.Atoi: parsing \"{key}\": invalid syntax"
                )));
            };
            match index_of(&key, items.len()).filter(|at| *at < items.len()) {
                Some(place) => Ok(items.remove(place)),
                None => Err(fail(format!(
                    "Unable to access invalid index: {at}: invalid index referenced"
                ))),
            }
        }
        _ => missing(),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let Some((container, key)) = parent(document, path) else {
        return Err(format!(
            "replace operation does not apply: doc is missing path: {path}: missing value"
        ));
    };
    match container {
        Value::Object(map) => {
            map.insert(key, value);
            Ok(())
        }
        Value::Array(items) => match index_of(&key, items.len()).and_then(|at| items.get_mut(at)) {
            Some(slot) => {
                *slot = value;
                Ok(())
            }
            None => Err(format!(
                "replace operation does not apply: doc is missing key: {path}: missing value"
            )),
        },
        _ => Err(format!(
            "replace operation does not apply: doc is missing path: {path}: missing value"
        )),
    }
}

/// A copy of the value at the source of a copy; a missing key counts as null.
fn take_from(document: &mut Value, path: &str) -> Result<Value, String> {
    let Some((container, key)) = parent(document, path) else {
        return Err(format!(
            "copy operation does not apply: doc is missing from path: {path}: missing value"
        ));
    };
    match container {
        Value::Object(map) => Ok(map.get(&key).cloned().unwrap_or(Value::Null)),
        Value::Array(items) => index_of(&key, items.len())
            .and_then(|at| items.get(at))
            .cloned()
            .ok_or_else(|| {
                format!(
                    "error in copy for from: '{path}': Unable to access invalid index: {key}: invalid index referenced"
                )
            }),
        _ => Ok(Value::Null),
    }
}

fn test(document: &mut Value, path: &str, wanted: Option<&Value>) -> Result<(), String> {
    let wanted = wanted.unwrap_or(&Value::Null);
    let failed = || Err(format!("testing value {path} failed: test failed"));
    if path.is_empty() {
        return if *document == *wanted {
            Ok(())
        } else {
            failed()
        };
    }
    let Some((container, key)) = parent(document, path) else {
        return Err(format!(
            "test operation does not apply: is missing path: {path}: missing value"
        ));
    };
    let found = match container {
        Value::Object(map) => map.get(&key),
        Value::Array(items) => {
            let found = index_of(&key, items.len()).and_then(|at| items.get(at));
            if found.is_none() && key.parse::<i64>().is_ok() {
                return Err(format!(
                    "error in test for path: '{path}': Unable to access invalid index: {key}: invalid index referenced"
                ));
            }
            found
        }
        _ => None,
    };
    if same(found.unwrap_or(&Value::Null), wanted) {
        return Ok(());
    }
    failed()
}

/// Equality of JSON as it is written: 2 and 2.0 are not the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}

/// Passes integers through floats, as the library does: beyond 2^53 they lose
/// their last digits.
pub(crate) fn lose_precision(value: &mut Value) {
    const EXACT: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let exact = number.as_u64().is_some_and(|int| int <= EXACT)
                || number
                    .as_i64()
                    .is_some_and(|int| int.unsigned_abs() <= EXACT);
            if !exact
                && let Some(float) = number.as_f64()
                && let Some(rounded) = sluice_yaml::number_from_f64(float)
            {
                *number = rounded;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(lose_precision),
        Value::Object(map) => map.values_mut().for_each(lose_precision),
        _ => {}
    }
}
