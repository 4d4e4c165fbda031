//! The `fieldsV1` form of sets.

use std::borrow::Cow;

use serde_json::{Map, Value};
use thiserror::Error;

use super::path::PathElement;
use super::set::Set;

/// How deep a set may be nested.
const MAX_DEPTH: usize = 200;

/// A `fieldsV1` value that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FieldsError {
    /// A key is shorter than its prefix.
    #[error("key must be 2 characters long:")]
    Short,
    /// A key has no colon in second place.
    #[error("missing colon: {0}")]
    Colon(String),
    /// What follows the prefix cannot be read.
    #[error("malformed path element: {0}")]
    Malformed(String),
    /// The value is no object, or nested too deeply.
    #[error("malformed field set")]
    Shape,
}

/// A path element of a key; None for kinds that a later version may know.
fn element(key: &str) -> Result<Option<PathElement<'_>>, FieldsError> {
    let bytes = key.as_bytes();
    if bytes.len() < 2 {
        return Err(FieldsError::Short);
    }
    if bytes[1] != b':' {
        return Err(FieldsError::Colon(key.to_owned()));
    }
    let malformed = || FieldsError::Malformed(key.to_owned());
    let rest = key.get(2..).ok_or_else(malformed)?;
    let json = || serde_json::from_str::<Value>(rest).map_err(|_| malformed());
    Ok(Some(match bytes[0] {
        b'f' => PathElement::field(rest),
        b'v' => PathElement::Value(Cow::Owned(json()?)),
        b'k' => match json()? {
            Value::Object(fields) => PathElement::Key(
                fields
                    .into_iter()
                    .map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)))
                    .collect(),
            ),
            _ => return Err(malformed()),
        },
        b'i' => PathElement::Index(rest.parse().map_err(|_| malformed())?),
        _ => return Ok(None),
    }))
}

fn key(element: &PathElement<'_>) -> String {
    match element {
        PathElement::Field(name) => format!("f:{name}"),
        PathElement::Value(value) => format!("v:{value}"),
        PathElement::Index(index) => format!("i:{index}"),
        PathElement::Key(fields) => {
            let mut text = String::from("k:{");
            for (at, (name, value)) in fields.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                text.push_str(&format!("{comma}{}:{value}", Value::from(name.as_ref())));
            }
            text + "}"
        }
    }
}

impl<'a> Set<'a> {
    /// Reads the value of a `fieldsV1` field.
    ///
    /// # Errors
    /// If it has another shape. Path elements of unknown kinds are left out, as the server does.
    pub fn from_json(value: &'a Value) -> Result<Self, FieldsError> {
        read(value, MAX_DEPTH).map(|(set, _)| set)
    }

    /// The value of a `fieldsV1` field.
    pub fn to_json(&self) -> Value {
        write(self, false)
    }
}

/// The members below, and whether the element itself is a member.
fn read(value: &Value, depth: usize) -> Result<(Set<'_>, bool), FieldsError> {
    let map = match value {
        Value::Object(map) if depth > 0 => map,
        Value::Null => return Ok((Set::new(), true)),
        _ => return Err(FieldsError::Shape),
    };
    let (mut set, mut member) = (Set::new(), false);
    for (name, value) in map {
        if name == "." {
            member = true;
        } else if let Some(element) = element(name)? {
            let (children, is_member) = read(value, depth - 1)?;
            set.add(element, is_member, children);
        }
    }
    let alone = set.is_empty();
    Ok((set, member || alone))
}

fn write(set: &Set<'_>, with_self: bool) -> Value {
    let mut map = Map::new();
    if with_self && !set.is_empty() {
        map.insert(".".into(), Value::Object(Map::new()));
    }
    for entry in set.entries() {
        map.insert(key(&entry.element), write(&entry.children, entry.member));
    }
    Value::Object(map)
}
