//! Whether an object fits its type, with the server's texts.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::{Atom, Side, item_element};
use crate::fields::PathElement;
use crate::gofmt;
use crate::schema::{List, ListKind, Map, Scalar, Schema, TypeId};

/// Whether associative lists may hold items with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// They may: for objects that are stored already.
    Allow,
    /// They may not: for applied objects.
    Refuse,
}

/// Where and why an object does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedErrors(Vec<(String, String)>);

impl TypedErrors {
    fn one(text: impl Into<String>) -> Self {
        TypedErrors(vec![(String::new(), text.into())])
    }
}

impl std::error::Error for TypedErrors {}

impl fmt::Display for TypedErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(path, text): &(String, String)| match path.is_empty() {
            true => text.clone(),
            false => format!("{path}: {text}"),
        };
        match self.0.as_slice() {
            [error] => f.write_str(&one(error)),
            errors => {
                f.write_str("errors:")?;
                errors
                    .iter()
                    .try_for_each(|error| write!(f, "\n  {}", one(error)))
            }
        }
    }
}

/// Checks an object against its type.
///
/// # Errors
/// Every place that does not fit.
pub fn validate(
    schema: &Schema,
    id: TypeId,
    value: &Value,
    duplicates: Duplicates,
) -> Result<(), TypedErrors> {
    let mut errors = Vec::new();
    let walk = Walk { schema, duplicates };
    walk.value(id, value, &mut errors);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(TypedErrors(errors))
    }
}

type Errors = Vec<(String, String)>;

struct Walk<'a> {
    schema: &'a Schema,
    duplicates: Duplicates,
}

/// `%v` of a value behind Go's value interface.
fn wrapped(value: &Value) -> String {
    format!("&{{{}}}", gofmt::plain(value))
}

impl<'a> Walk<'a> {
    fn value(&self, id: TypeId, value: &'a Value, errors: &mut Errors) {
        match Atom::of(self.schema.node(id), Some(value)).side() {
            Side::Map(map) => self.map(map, value, errors),
            Side::Scalar(scalar) => {
                if let Some(text) = scalar_error(scalar, value) {
                    errors.push((String::new(), text));
                }
            }
            Side::List(list) => self.list(list, value, errors),
            Side::Nothing => {
                errors.extend(TypedErrors::one("schema error: invalid atom: inlined").0)
            }
        }
    }

    fn below(&self, element: &PathElement<'_>, id: TypeId, value: &'a Value, errors: &mut Errors) {
        let before = errors.len();
        self.value(id, value, errors);
        for (path, _) in &mut errors[before..] {
            *path = format!("{element}{path}");
        }
    }

    fn map(&self, map: &Map, value: &'a Value, errors: &mut Errors) {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Null => return,
            _ => {
                return errors.push((
                    String::new(),
                    format!("expected map, got {}", wrapped(value)),
                ));
            }
        };
        for (key, value) in fields {
            let element = PathElement::field(key);
            match map.type_of(key) {
                Some(id) => self.below(&element, id, value, errors),
                None => {
                    return errors
                        .push((element.to_string(), "field not declared in schema".into()));
                }
            }
        }
    }

    fn list(&self, list: &'a List, value: &'a Value, errors: &mut Errors) {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => return,
            _ => {
                return errors.push((
                    String::new(),
                    format!("expected list, got {}", wrapped(value)),
                ));
            }
        };
        let mut seen = BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let element = match list.kind {
                ListKind::Atomic => PathElement::Index(at as i64),
                _ => match item_element(self.schema, list, item) {
                    Ok(element) => element,
                    Err(text) => {
                        return errors.push((String::new(), format!("element {at}: {text}")));
                    }
                },
            };
            if list.kind != ListKind::Atomic
                && !seen.insert(element.clone())
                && self.duplicates == Duplicates::Refuse
            {
                errors.push((
                    String::new(),
                    format!("duplicate entries for key {element}"),
                ));
            }
            self.below(&element, list.element, item, errors);
        }
    }
}

/// Why a value is no such scalar.
fn scalar_error(scalar: Scalar, value: &Value) -> Option<String> {
    let text = match (scalar, value) {
        (_, Value::Null)
        | (Scalar::Numeric, Value::Number(_))
        | (Scalar::String, Value::String(_))
        | (Scalar::Boolean, Value::Bool(_))
        | (Scalar::Untyped, Value::Number(_) | Value::String(_) | Value::Bool(_)) => return None,
        (Scalar::Numeric, _) => format!(
            "expected numeric (int or float), got {}",
            gofmt::type_name(value)
        ),
        (Scalar::String, _) => {
            format!(
                "expected string, got &value.valueUnstructured{{Value:{}}}",
                gofmt::syntax(value)
            )
        }
        (Scalar::Boolean, _) => format!("expected boolean, got {}", wrapped(value)),
        (Scalar::Untyped, _) => format!("expected any scalar, got {}", wrapped(value)),
    };
    Some(text)
}
