//! How Sprig turns values of any type into strings, integers and floats, and
//! how bodies read their arguments.

use sluice_gotemplate::printing::sprint_value;
use sluice_gotemplate::strconv::{parse_float, parse_int, underscores_well_placed};
use sluice_gotemplate::{
    ANY_MAP, CallError, Entries, Kind, List, Map, Object, Str, Type, Under, Value,
};

use super::fail;

/// The text that Go gives to a nil pointer that is followed.
pub(crate) const NIL_POINTER: &str =
    "runtime error: invalid memory address or nil pointer dereference";

/// Returns a string parameter, which the executor has checked.
pub(crate) fn text(value: &Value) -> &[u8] {
    match value {
        Value::Str(s) => s,
        _ => &[],
    }
}

/// Returns a string parameter as UTF-8.
pub(crate) fn utf8(value: &Value) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text(value))
}

/// Returns an integer parameter.
pub(crate) fn int(value: &Value) -> i64 {
    match value {
        Value::Int(_, n) => *n,
        Value::Uint(_, n) => *n as i64,
        _ => 0,
    }
}

/// Returns a map parameter.
pub(crate) fn map(value: &Value) -> Map {
    match value {
        Value::Map(map) => map.clone(),
        _ => Map::nil(ANY_MAP),
    }
}

/// Makes a string result.
pub(crate) fn string(text: impl Into<Str>) -> Result<Value, CallError> {
    Ok(Value::Str(text.into()))
}

/// Makes a `[]string` result.
pub(crate) fn strings(items: impl IntoIterator<Item = Str>) -> Value {
    Value::List(List::typed(
        sluice_gotemplate::STRING_SLICE,
        items.into_iter().map(Value::Str).collect(),
    ))
}

/// Makes a `map[string]interface {}` result.
pub(crate) fn new_map(entries: Entries) -> Value {
    Value::Map(Map::typed(ANY_MAP, entries))
}

/// Sprig's `strval`: strings and bytes as they are, everything else as `%v`.
pub(crate) fn strval(value: &Value, limit: usize) -> Result<Str, CallError> {
    match value {
        Value::Str(s) | Value::Bytes(s) => Ok(s.clone()),
        other => Ok(sprint_value(other, limit)?),
    }
}

/// Sprig's `toInt64`.
pub(crate) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Bool(b) => i64::from(*b),
        Value::Int(_, n) => *n,
        Value::Uint(_, n) => *n as i64,
        Value::Float(f) => float_to_int(*f),
        Value::Str(s) => {
            let text = s.to_text();
            parse_int(without_zero_decimals(&text)).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Go's conversion of a float to an integer on amd64: what does not fit becomes
/// the smallest integer.
pub(crate) fn float_to_int(f: f64) -> i64 {
    if f.is_nan() || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f) {
        i64::MIN
    } else {
        f as i64
    }
}

/// Drops a trailing `.0…`.
fn without_zero_decimals(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    }
}

/// Sprig's `toFloat64`.
pub(crate) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Int(_, n) => *n as f64,
        Value::Uint(_, n) => *n as f64,
        Value::Float(f) => *f,
        Value::Str(s) => {
            let text = s.to_text();
            let plain = !text.starts_with("0x") && !text.starts_with("0X");
            if text.contains('_') && plain && underscores_well_placed(&text) {
                return parse_float(&text.replace('_', "")).unwrap_or(0.0);
            }
            parse_float(&text).unwrap_or(0.0)
        }
        _ => 0.0,
    }
}

/// Whether Sprig takes the value for empty.
pub(crate) fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

/// Returns the elements of a slice of any type; `None` for anything else.
pub(crate) fn elements(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(list) => Some(list.items().to_vec()),
        Value::Bytes(bytes) => Some(
            bytes
                .iter()
                .map(|b| Value::Uint(sluice_gotemplate::UintType::Uint8, u64::from(*b)))
                .collect(),
        ),
        _ => None,
    }
}

/// Returns the elements of a slice, or the error that Sprig's list functions
/// give: `doing` and the kind, as in `Cannot push on type string`.
pub(crate) fn elements_or(value: &Value, doing: &str) -> Result<Vec<Value>, CallError> {
    match elements(value) {
        Some(items) => Ok(items),
        None if value.is_nil() => fail(NIL_POINTER),
        None => fail(format!("{doing} type {}", value.kind())),
    }
}

/// Go's failed type assertion to a map.
pub(crate) fn not_a_map(value: &Value) -> CallError {
    let of = match value.type_of() {
        None => "nil".to_owned(),
        Some(of) => of.to_string(),
    };
    CallError::new(format!(
        "interface conversion: interface {{}} is {of}, not map[string]interface {{}}"
    ))
}

/// Go's `reflect.DeepEqual`: same types, same contents.
pub(crate) fn deep_equal(a: &Value, b: &Value) -> bool {
    deep_equal_within(a, b, 0)
}

fn deep_equal_within(a: &Value, b: &Value, depth: usize) -> bool {
    if depth > 1000 {
        return false;
    }
    let same_type = match (a.type_of(), b.type_of()) {
        (None, None) => return true,
        (Some(x), Some(y)) => x == y,
        _ => false,
    };
    if !same_type {
        return false;
    }
    match (a, b) {
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Int(_, x), Value::Int(_, y)) => x == y,
        (Value::Uint(_, x), Value::Uint(_, y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::Complex(x, i), Value::Complex(y, j)) => x == y && i == j,
        (Value::Str(x), Value::Str(y)) | (Value::Bytes(x), Value::Bytes(y)) => x == y,
        (Value::List(x), Value::List(y)) => {
            x.is_nil() == y.is_nil()
                && x.items().len() == y.items().len()
                && x.items()
                    .iter()
                    .zip(y.items())
                    .all(|(p, q)| deep_equal_within(p, q, depth + 1))
        }
        (Value::Map(x), Value::Map(y)) => {
            if x.same(y) {
                return true;
            }
            let (left, right) = (x.snapshot(), y.snapshot());
            x.is_nil() == y.is_nil()
                && left.len() == right.len()
                && left
                    .iter()
                    .zip(&right)
                    .all(|((k, p), (l, q))| k == l && deep_equal_within(p, q, depth + 1))
        }
        (Value::Object(x), Value::Object(y)) => {
            std::rc::Rc::ptr_eq(x, y) || equal_objects(x.as_ref(), y.as_ref(), depth)
        }
        _ => false,
    }
}

fn equal_objects(x: &dyn Object, y: &dyn Object, depth: usize) -> bool {
    if let Under::Type(_) = x.named().under {
        return deep_equal_within(&x.plain(), &y.plain(), depth + 1);
    }
    let (left, right) = (x.fields(), y.fields());
    left.len() == right.len()
        && left
            .iter()
            .zip(&right)
            .all(|((_, p), (_, q))| deep_equal_within(p, q, depth + 1))
}

/// Whether the value is a slice or an array.
pub(crate) fn is_slice(value: &Value) -> bool {
    value.kind() == Kind::Slice
}

/// The type of Sprig's parameters that take anything.
pub(crate) const ANY: Type = Type::Any;
/// `string`.
pub(crate) const STRING: Type = Type::String;
/// `int`.
pub(crate) const INT: Type = Type::Int;
/// `bool`.
pub(crate) const BOOL: Type = Type::Bool;
