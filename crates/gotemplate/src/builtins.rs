//! The functions that every template has.

use std::cmp::Ordering;

use crate::error::CallError;
use crate::exec::{Operand, is_integer};
use crate::printing::{sprint, sprint_value, sprintf, sprintln};
use crate::text::{Str, is_print, runes};
use crate::types::{Kind, Type, Under};
use crate::value::{UintType, Value};

pub(crate) struct Builtin {
    pub name: &'static str,
    pub params: &'static [Type],
    pub variadic: Option<Type>,
    pub shape: Shape,
}

pub(crate) enum Shape {
    /// `and`, `or`: evaluation stops at the first operand of that truth.
    ShortCircuit { stop_at: bool },
    /// `call`, whose error names what was to be called as it was written.
    Call,
    /// Everything else: arguments, and how many bytes may be made.
    Plain(fn(&[Operand], usize) -> Result<Operand, CallError>),
}

const R: Type = Type::Reflect;
const ANY: Type = Type::Any;

const fn plain(
    name: &'static str,
    params: &'static [Type],
    variadic: Option<Type>,
    body: fn(&[Operand], usize) -> Result<Operand, CallError>,
) -> Builtin {
    Builtin {
        name,
        params,
        variadic,
        shape: Shape::Plain(body),
    }
}

pub(crate) static BUILTINS: &[Builtin] = &[
    Builtin {
        name: "and",
        params: &[R],
        variadic: Some(R),
        shape: Shape::ShortCircuit { stop_at: false },
    },
    Builtin {
        name: "or",
        params: &[R],
        variadic: Some(R),
        shape: Shape::ShortCircuit { stop_at: true },
    },
    Builtin {
        name: "call",
        params: &[R],
        variadic: Some(R),
        shape: Shape::Call,
    },
    plain("html", &[], Some(ANY), |args, limit| {
        Ok(text(escape_html(&printable(args, limit)?)))
    }),
    plain("index", &[R], Some(R), index),
    plain("slice", &[R], Some(R), slice),
    plain("js", &[], Some(ANY), |args, limit| {
        Ok(text(escape_js(&printable(args, limit)?)))
    }),
    plain("len", &[R], None, length),
    plain("not", &[R], None, |args, _| {
        Ok(Operand::plain(Value::Bool(!args[0].value.is_true())))
    }),
    plain("print", &[], Some(ANY), |args, limit| {
        Ok(text(sprint(args.iter().map(|a| &a.value), limit)?))
    }),
    plain(
        "printf",
        &[Type::String],
        Some(ANY),
        |args, limit| match &args[0].value {
            Value::Str(format) => Ok(text(sprintf(format, &values(&args[1..]), limit)?)),
            _ => Ok(text(Vec::new())),
        },
    ),
    plain("println", &[], Some(ANY), |args, limit| {
        Ok(text(sprintln(&values(args), limit)?))
    }),
    plain("urlquery", &[], Some(ANY), |args, limit| {
        Ok(text(escape_query(&printable(args, limit)?)))
    }),
    plain("eq", &[R], Some(R), |args, limit| {
        bool_of(equal(&args[0].value, &values(&args[1..]), limit))
    }),
    plain("ne", &[R, R], None, |args, limit| {
        bool_of(equal(&args[0].value, &[args[1].value.clone()], limit).map(|eq| !eq))
    }),
    plain("lt", &[R, R], None, |args, _| {
        bool_of(less(&args[0].value, &args[1].value))
    }),
    plain("le", &[R, R], None, |args, limit| {
        bool_of(less_or_equal(&args[0].value, &args[1].value, limit))
    }),
    plain("gt", &[R, R], None, |args, limit| {
        bool_of(less_or_equal(&args[0].value, &args[1].value, limit).map(|le| !le))
    }),
    plain("ge", &[R, R], None, |args, _| {
        bool_of(less(&args[0].value, &args[1].value).map(|lt| !lt))
    }),
];

fn values(args: &[Operand]) -> Vec<Value> {
    args.iter().map(|a| a.value.clone()).collect()
}

fn text(bytes: Vec<u8>) -> Operand {
    Operand::plain(Value::Str(Str::from(bytes)))
}

fn bool_of(result: Result<bool, CallError>) -> Result<Operand, CallError> {
    result.map(|b| Operand::plain(Value::Bool(b)))
}

fn error<T>(message: impl Into<String>) -> Result<T, CallError> {
    Err(CallError::new(message))
}

/// Nothing that a template can name is a function value, so a call fails.
pub(crate) fn call(function: &Operand, shown: &str) -> CallError {
    match function.value.type_of() {
        None => CallError::new("call of nil"),
        Some(of) => CallError::new(format!("non-function {shown} of type {of}")),
    }
}

/// Unwraps a host's map or list.
fn plain_of(value: Value) -> Value {
    match &value {
        Value::Object(object) => match object.named().under {
            Under::Type(_) => object.plain(),
            Under::Struct | Under::Pointer => value,
        },
        _ => value,
    }
}

fn index(args: &[Operand], _: usize) -> Result<Operand, CallError> {
    let mut item = args[0].clone();
    if item.value.is_nil() {
        return error("index of untyped nil");
    }
    item.boxed = false;
    for key in &args[1..] {
        let value = plain_of(item.value.clone());
        item = match &value {
            Value::Nil => return error("index of nil pointer"),
            Value::List(list) => {
                let at = position(&key.value, list.items().len())?;
                let Some(element) = list.items().get(at) else {
                    return error("reflect: slice index out of range");
                };
                Operand::of(element.clone(), list.slice_type().element())
            }
            Value::Bytes(bytes) => {
                let at = position(&key.value, bytes.len())?;
                let Some(b) = bytes.get(at) else {
                    return error("reflect: slice index out of range");
                };
                byte(*b)
            }
            Value::Str(s) => {
                let at = position(&key.value, s.len())?;
                let Some(b) = s.get(at) else {
                    return error("reflect: string index out of range");
                };
                byte(*b)
            }
            Value::Map(map) => {
                let of = map.map_type().element();
                let Value::Str(name) = &key.value else {
                    return match key.value.type_of() {
                        None => error("value is nil; should be of type string"),
                        Some(t) => error(format!("value has type {t}; should be string")),
                    };
                };
                match map.get(name) {
                    Some(found) => Operand::of(found, of),
                    None => Operand::of(Value::zero(of), of),
                }
            }
            other => {
                return error(format!("can't index item of type {}", other.type_name()));
            }
        };
    }
    Ok(item)
}

fn byte(b: u8) -> Operand {
    Operand::plain(Value::Uint(UintType::Uint8, u64::from(b)))
}

/// Checks an index; the length itself still passes, as in Go.
fn position(key: &Value, length: usize) -> Result<usize, CallError> {
    let at = match key {
        Value::Int(_, n) => *n,
        Value::Uint(_, n) => *n as i64,
        Value::Nil => return error("cannot index slice/array with nil"),
        other => {
            return error(format!(
                "cannot index slice/array with type {}",
                other.type_name()
            ));
        }
    };
    match usize::try_from(at) {
        Ok(position) if position <= length => Ok(position),
        _ => error(format!("index out of range: {at}")),
    }
}

fn slice(args: &[Operand], _: usize) -> Result<Operand, CallError> {
    if args[0].value.is_nil() {
        return error("slice of untyped nil");
    }
    if args.len() > 4 {
        return error(format!("too many slice indexes: {}", args.len() - 1));
    }
    let value = plain_of(args[0].value.clone());
    let length = match &value {
        Value::Str(s) => {
            if args.len() == 4 {
                return error("cannot 3-index slice a string");
            }
            s.len()
        }
        Value::Bytes(s) => s.len(),
        Value::List(list) => list.items().len(),
        other => {
            return error(format!("can't slice item of type {}", other.type_name()));
        }
    };
    let mut bounds = [0, length, length];
    for (i, arg) in args[1..].iter().enumerate() {
        bounds[i] = position(&arg.value, length)?;
    }
    let [low, high, _] = bounds;
    if low > high {
        return error(format!("invalid slice index: {low} > {high}"));
    }
    Ok(Operand::plain(match &value {
        Value::Str(s) => Value::Str(Str::from(&s[low..high])),
        Value::Bytes(s) => Value::Bytes(Str::from(&s[low..high])),
        Value::List(list) => Value::List(crate::value::List::typed(
            list.slice_type(),
            list.items()[low..high].to_vec(),
        )),
        _ => Value::Nil,
    }))
}

fn length(args: &[Operand], _: usize) -> Result<Operand, CallError> {
    let arg = &args[0];
    if arg.value.is_nil() {
        return if arg.boxed {
            error("len of nil pointer")
        } else {
            error("reflect: call of reflect.Value.Type on zero Value")
        };
    }
    match arg.value.length() {
        Some(n) => Ok(Operand::plain(Value::int(n as i64))),
        None => error(format!("len of type {}", arg.value.type_name())),
    }
}

// Comparison.

#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Complex,
    Int,
    Float,
    String,
    Uint,
    None,
}

fn basic(value: &Value) -> Basic {
    match value.kind() {
        Kind::Bool => Basic::Bool,
        Kind::Complex => Basic::Complex,
        Kind::Int | Kind::Int32 | Kind::Int64 => Basic::Int,
        Kind::Float64 => Basic::Float,
        Kind::String => Basic::String,
        Kind::Uint8 | Kind::Uint32 | Kind::Uint64 => Basic::Uint,
        Kind::Invalid
        | Kind::Slice
        | Kind::Map
        | Kind::Struct
        | Kind::Pointer
        | Kind::Interface => Basic::None,
    }
}

fn incompatible<T>(a: &Value, b: &Value) -> Result<T, CallError> {
    error(format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    ))
}

fn integers(a: &Value, b: &Value) -> Option<Ordering> {
    let wide = |v: &Value| match v {
        Value::Int(_, n) => Some(i128::from(*n)),
        Value::Uint(_, n) => Some(i128::from(*n)),
        _ => None,
    };
    Some(wide(a)?.cmp(&wide(b)?))
}

fn equal(first: &Value, others: &[Value], limit: usize) -> Result<bool, CallError> {
    if others.is_empty() {
        return error("missing argument for comparison");
    }
    for other in others {
        if equal_pair(first, other, limit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_pair(a: &Value, b: &Value, limit: usize) -> Result<bool, CallError> {
    let (kind_a, kind_b) = (basic(a), basic(b));
    if kind_a != kind_b {
        if is_integer(a) && is_integer(b) {
            return Ok(integers(a, b) == Some(Ordering::Equal));
        }
        if a.is_nil() || b.is_nil() {
            return Ok(false);
        }
        return incompatible(a, b);
    }
    Ok(match (a, b) {
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::Complex(x, i), Value::Complex(y, j)) => x == y && i == j,
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::Int(..) | Value::Uint(..), Value::Int(..) | Value::Uint(..)) => {
            integers(a, b) == Some(Ordering::Equal)
        }
        _ => return equal_references(a, b, limit),
    })
}

/// Nothing, maps, slices and host objects.
fn equal_references(a: &Value, b: &Value, limit: usize) -> Result<bool, CallError> {
    if a.is_nil() || b.is_nil() {
        return Ok(a.is_nil_like() && b.is_nil_like());
    }
    let (type_a, type_b) = (a.type_name(), b.type_name());
    let comparable = |v: &Value| matches!(v.kind(), Kind::Struct | Kind::Pointer);
    if type_a != type_b {
        // Go prints the second pair the wrong way round, and so do we.
        let x = sprintf(b"%s", std::slice::from_ref(a), limit)?;
        let x = String::from_utf8_lossy(&x);
        let y = sprint_value(b, limit)?;
        return error(format!("non-comparable types {x}: {type_a}, {type_b}: {y}"));
    }
    if a.is_nil_like() || b.is_nil_like() {
        return Ok(a.is_nil_like() && b.is_nil_like());
    }
    if !comparable(b) {
        let shown = sprintf(b"%s", std::slice::from_ref(b), limit)?;
        return error(format!(
            "non-comparable type {}: {type_b}",
            String::from_utf8_lossy(&shown)
        ));
    }
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            if b.kind() == Kind::Pointer {
                return Ok(std::rc::Rc::ptr_eq(x, y));
            }
            let (x, y) = (
                sprintf(b"%#v", std::slice::from_ref(a), limit)?,
                sprintf(b"%#v", std::slice::from_ref(b), limit)?,
            );
            Ok(x == y)
        }
        _ => Ok(false),
    }
}

fn less(a: &Value, b: &Value) -> Result<bool, CallError> {
    let (kind_a, kind_b) = (basic(a), basic(b));
    if kind_a == Basic::None || kind_b == Basic::None {
        return error("invalid type for comparison");
    }
    if is_integer(a) && is_integer(b) {
        return Ok(integers(a, b) == Some(Ordering::Less));
    }
    if kind_a != kind_b {
        return incompatible(a, b);
    }
    match (a, b) {
        (Value::Float(x), Value::Float(y)) => Ok(x < y),
        (Value::Str(x), Value::Str(y)) => Ok(x < y),
        _ => error("invalid type for comparison"),
    }
}

fn less_or_equal(a: &Value, b: &Value, limit: usize) -> Result<bool, CallError> {
    Ok(less(a, b)? || equal(a, std::slice::from_ref(b), limit)?)
}

// Escaping.

/// One string as it is, otherwise what `print` makes of the operands.
fn printable(args: &[Operand], limit: usize) -> Result<Str, CallError> {
    if let [
        Operand {
            value: Value::Str(s),
            ..
        },
    ] = args
    {
        return Ok(s.clone());
    }
    let shown: Vec<Value> = args
        .iter()
        .map(|arg| match &arg.value {
            Value::Nil => Value::from("<no value>"),
            other => other.clone(),
        })
        .collect();
    Ok(Str::from(sprint(&shown, limit)?))
}

fn escape_html(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for b in bytes {
        match b {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    out
}

fn escape_js(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (rune, raw) in runes(bytes) {
        match rune {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\'' => out.extend_from_slice(b"\\'"),
            '"' => out.extend_from_slice(b"\\\""),
            '<' | '>' | '&' | '=' => {
                out.extend_from_slice(format!("\\u{:04X}", rune as u32).as_bytes());
            }
            _ if rune < ' ' => {
                out.extend_from_slice(format!("\\u{:04X}", rune as u32).as_bytes());
            }
            _ if rune.is_ascii() || is_print(rune) => out.extend_from_slice(raw),
            _ => out.extend_from_slice(format!("\\u{:04X}", rune as u32).as_bytes()),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
pub fn escape_query(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for b in bytes {
        match b {
            b' ' => out.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => out.push(*b),
            b if b.is_ascii_alphanumeric() => out.push(*b),
            b => out.extend_from_slice(format!("%{b:02X}").as_bytes()),
        }
    }
    out
}
