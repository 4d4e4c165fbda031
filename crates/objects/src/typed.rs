//! Objects as Go's typed clients write them.
//!
//! Which fields a kind has, which of them are left out when they are empty, and which structures are
//! always there, decides what is sent and so who owns which field. The facts are those of the Go types of
//! `k8s.io/api` 0.36; `gotypes/` beside this crate's sources reads them out into `types.txt`.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use crate::object::Gvk;

/// The table that `gotypes/` prints: a line per kind, an empty one, a line per structure.
const TABLE: &str = include_str!("typed/types.txt");

/// Deepest nesting that is followed; the types themselves are not that deep.
const MAX_DEPTH: usize = 100;

static TYPES: LazyLock<Types> = LazyLock::new(|| Types::read(TABLE));

/// A value does not fit its type.
struct Mismatch;

struct Types {
    /// Structures of the kinds, by `apiVersion kind`.
    kinds: HashMap<&'static str, usize>,
    structures: Vec<Vec<Field>>,
}

struct Field {
    name: &'static str,
    presence: Presence,
    shape: Shape,
}

/// When a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Always.
    Always,
    /// Unless it is empty: a zero, an empty text, list or map, an absent pointer.
    UnlessEmpty,
    /// Unless it has the zero value of its type, which is written as null.
    UnlessZero,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Text,
    Flag,
    Integer,
    Float,
    /// Base64.
    Bytes,
    Quantity,
    Time,
    MicroTime,
    Duration,
    IntOrText,
    /// Anything at all.
    Raw,
    Pointer(Box<Shape>),
    List(Box<Shape>),
    Map(Box<Shape>),
    Structure(usize),
}

impl Types {
    fn read(table: &'static str) -> Self {
        let (kinds, structures) = table.split_once("\n\n").unwrap_or_default();
        let kind = |line: &'static str| {
            let (kind, index) = line.rsplit_once(' ')?;
            Some((kind, index.parse().ok()?))
        };
        let structure = |line: &'static str| line.split_whitespace().filter_map(Field::read);
        Self {
            kinds: kinds.lines().filter_map(kind).collect(),
            structures: structures
                .lines()
                .map(|line| structure(line).collect())
                .collect(),
        }
    }
}

impl Field {
    fn read(text: &'static str) -> Option<Self> {
        let at = text.find(['!', '-', '?'])?;
        let presence = match text.as_bytes()[at] {
            b'!' => Presence::Always,
            b'-' => Presence::UnlessEmpty,
            _ => Presence::UnlessZero,
        };
        Some(Self {
            name: &text[..at],
            presence,
            shape: Shape::read(&text[at + 1..])?,
        })
    }
}

impl Shape {
    fn read(text: &str) -> Option<Self> {
        let inner = || Some(Box::new(Self::read(&text[1..])?));
        Some(match text.as_bytes().first()? {
            b's' => Self::Text,
            b'b' => Self::Flag,
            b'i' => Self::Integer,
            b'f' => Self::Float,
            b'y' => Self::Bytes,
            b'q' => Self::Quantity,
            b't' => Self::Time,
            b'm' => Self::MicroTime,
            b'd' => Self::Duration,
            b'x' => Self::IntOrText,
            b'r' => Self::Raw,
            b'*' => Self::Pointer(inner()?),
            b'[' => Self::List(inner()?),
            b'{' => Self::Map(inner()?),
            _ => Self::Structure(text.parse().ok()?),
        })
    }

    /// What is written for a value that was never set.
    fn zero(&self) -> Value {
        match self {
            Self::Text => Value::from(""),
            Self::Flag => Value::from(false),
            Self::Integer | Self::Float | Self::IntOrText => Value::from(0),
            Self::Quantity => Value::from("0"),
            Self::Duration => Value::from("0s"),
            Self::Bytes
            | Self::Time
            | Self::MicroTime
            | Self::Raw
            | Self::Pointer(_)
            | Self::List(_)
            | Self::Map(_) => Value::Null,
            Self::Structure(index) => structure(*index, Map::new(), 0)
                .ok()
                .map_or(Value::Null, Value::Object),
        }
    }

    fn convert(&self, value: Value, depth: usize) -> Result<Value, Mismatch> {
        if depth > MAX_DEPTH {
            return Err(Mismatch);
        }
        if value.is_null() {
            return Ok(self.zero());
        }
        Ok(match (self, value) {
            (Self::Raw, value) => value,
            (Self::Pointer(inner), value) => inner.convert(value, depth)?,
            (Self::Text | Self::Quantity | Self::IntOrText, Value::String(text)) => text.into(),
            (Self::Duration, Value::String(text)) => text.into(),
            (Self::Flag, Value::Bool(flag)) => flag.into(),
            (Self::Quantity, Value::Number(number)) => number.to_string().into(),
            (Self::IntOrText, Value::Number(number)) if !number.is_f64() => number.into(),
            (Self::Integer, Value::Number(number)) => integer(&number)?,
            (Self::Float, Value::Number(number)) => number.into(),
            (Self::Bytes, Value::String(text)) => bytes(&text)?,
            (Self::Time, Value::String(text)) => time(&text)?
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string()
                .into(),
            (Self::MicroTime, Value::String(text)) => time(&text)?.to_string().into(),
            (Self::List(inner), Value::Array(items)) => items
                .into_iter()
                .map(|item| inner.convert(item, depth + 1))
                .collect::<Result<Vec<_>, _>>()?
                .into(),
            (Self::Map(inner), Value::Object(map)) => map
                .into_iter()
                .map(|(key, value)| Ok((key, inner.convert(value, depth + 1)?)))
                .collect::<Result<Map<_, _>, _>>()?
                .into(),
            (Self::Structure(index), Value::Object(map)) => structure(*index, map, depth)?.into(),
            _ => return Err(Mismatch),
        })
    }
}

/// Only a pointer's value can be what is empty and yet be written.
fn is_empty(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (_, Value::Null) => true,
        (Shape::Pointer(_) | Shape::Raw, _) => false,
        (_, Value::Bool(flag)) => !flag,
        (_, Value::Number(number)) => number.as_f64() == Some(0.0),
        (_, Value::String(text)) => text.is_empty(),
        (_, Value::Array(items)) => items.is_empty(),
        (_, Value::Object(map)) => map.is_empty(),
    }
}

fn structure(
    index: usize,
    mut from: Map<String, Value>,
    depth: usize,
) -> Result<Map<String, Value>, Mismatch> {
    let mut to = Map::new();
    for field in TYPES.structures.get(index).ok_or(Mismatch)? {
        let given = from.remove(field.name).unwrap_or(Value::Null);
        if given.is_null() && field.presence != Presence::Always {
            continue;
        }
        let value = field.shape.convert(given, depth + 1)?;
        let is_left_out = match field.presence {
            Presence::Always => false,
            Presence::UnlessEmpty => is_empty(&field.shape, &value),
            Presence::UnlessZero => value.is_null(),
        };
        if !is_left_out {
            to.insert(field.name.to_owned(), value);
        }
    }
    Ok(to)
}

/// Go takes a float without a fraction for an integer.
fn integer(number: &serde_json::Number) -> Result<Value, Mismatch> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() => {
            if float.fract() == 0.0 && float.abs() <= EXACT {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it has no fraction and is small"
                )]
                let whole = float as i64;
                Ok(whole.into())
            } else {
                Err(Mismatch)
            }
        }
        _ => Ok(number.clone().into()),
    }
}

/// Go's decoder passes over line ends.
fn bytes(text: &str) -> Result<Value, Mismatch> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = BASE64.decode(joined).map_err(|_| Mismatch)?;
    Ok(BASE64.encode(bytes).into())
}

fn time(text: &str) -> Result<jiff::Timestamp, Mismatch> {
    text.parse().map_err(|_| Mismatch)
}

/// The object through its Go type; `None` when the kind is not built in or the object does not fit.
pub fn through(gvk: &Gvk, object: &Value) -> Option<Value> {
    let key = format!("{} {}", gvk.api_version(), gvk.kind);
    let index = *TYPES.kinds.get(key.as_str())?;
    let map = object.as_object()?.clone();
    structure(index, map, 0).ok().map(Value::Object)
}
