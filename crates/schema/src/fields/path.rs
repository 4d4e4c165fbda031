//! One step of a field path.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::value::{compare, equal};
use crate::gofmt;

/// One step of a field path. Borrows from the objects, sets and schemas that it was found in.
#[derive(Debug, Clone)]
pub enum PathElement<'a> {
    /// A field of a struct or a key of a map.
    Field(Cow<'a, str>),
    /// The list item with these field values, by field name.
    Key(Vec<(Cow<'a, str>, Cow<'a, Value>)>),
    /// The item of a set.
    Value(Cow<'a, Value>),
    /// The item of a list by position. The server never writes it.
    Index(i64),
}

impl<'a> PathElement<'a> {
    /// A field or map key.
    pub fn field(name: &'a str) -> Self {
        PathElement::Field(Cow::Borrowed(name))
    }

    /// The field name, if it is one.
    pub fn as_field(&self) -> Option<&str> {
        match self {
            PathElement::Field(name) => Some(name),
            _ => None,
        }
    }

    /// The element without borrows.
    pub fn into_owned(self) -> PathElement<'static> {
        match self {
            PathElement::Field(name) => PathElement::Field(Cow::Owned(name.into_owned())),
            PathElement::Key(fields) => PathElement::Key(
                fields
                    .into_iter()
                    .map(|(name, value)| {
                        (
                            Cow::Owned(name.into_owned()),
                            Cow::Owned(value.into_owned()),
                        )
                    })
                    .collect(),
            ),
            PathElement::Value(value) => PathElement::Value(Cow::Owned(value.into_owned())),
            PathElement::Index(index) => PathElement::Index(index),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            PathElement::Field(_) => 0,
            PathElement::Key(_) => 1,
            PathElement::Value(_) => 2,
            PathElement::Index(_) => 3,
        }
    }
}

impl PartialEq for PathElement<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (PathElement::Field(a), PathElement::Field(b)) => a == b,
            (PathElement::Value(a), PathElement::Value(b)) => equal(a, b),
            _ => self.cmp(other) == Ordering::Equal,
        }
    }
}

impl Eq for PathElement<'_> {}

impl PartialOrd for PathElement<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PathElement<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (PathElement::Field(a), PathElement::Field(b)) => a.cmp(b),
            (PathElement::Key(a), PathElement::Key(b)) => {
                let fields = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| a.0.cmp(&b.0).then_with(|| compare(&a.1, &b.1)));
                fields
                    .into_iter()
                    .find(|order| order.is_ne())
                    .unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (PathElement::Value(a), PathElement::Value(b)) => compare(a, b),
            (PathElement::Index(a), PathElement::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// A scalar as paths print it: strings in quotes.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::String(text) => gofmt::quote(text),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(scalar).collect::<Vec<_>>().join(",")
        ),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", scalar(value)))
            .collect(),
        _ => gofmt::plain(value),
    }
}

impl fmt::Display for PathElement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathElement::Field(name) => write!(f, ".{name}"),
            PathElement::Key(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}={}", scalar(value)))
                    .collect();
                write!(f, "[{}]", fields.join(","))
            }
            PathElement::Value(value) => write!(f, "[={}]", scalar(value)),
            PathElement::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path as conflicts print it: `.spec.template.spec.containers[name="c"].image`.
pub fn display_path(path: &[PathElement<'_>]) -> String {
    path.iter().map(PathElement::to_string).collect()
}
