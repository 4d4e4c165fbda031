//! Objects seen through their types: validation, field sets, comparison, merging and removal.
//!
//! The walks behind server-side apply. They expect objects that [`validate`] has accepted; where an object does not
//! fit its type they follow what the server does, and never fail half way.

mod compare;
mod fieldset;
mod merge;
mod reconcile;
mod remove;
mod validate;

use std::borrow::Cow;

use serde_json::Value;

use crate::fields::{PathElement, Set};
use crate::gofmt;
use crate::schema::{List, ListKind, Map, Node, Scalar, Schema, TypeId};

pub use compare::{Comparison, compare};
pub use fieldset::to_field_set;
pub use merge::merge;
pub use reconcile::reconcile;
pub use remove::remove;
pub use validate::{Duplicates, TypedErrors, validate};

/// The sides of a type that a value may take.
#[derive(Clone, Copy)]
struct Atom<'s> {
    map: Option<&'s Map>,
    scalar: Option<Scalar>,
    list: Option<&'s List>,
}

/// The side of a type by which a value is handled.
enum Side<'s> {
    Map(&'s Map),
    Scalar(Scalar),
    List(&'s List),
    Nothing,
}

impl<'s> Atom<'s> {
    /// The side that fits the value; all sides where none does, or where there is no value.
    fn of(node: &'s Node, value: Option<&Value>) -> Self {
        let all = Atom {
            map: node.map.as_ref(),
            scalar: node.scalar,
            list: node.list.as_ref(),
        };
        let none = Atom {
            map: None,
            scalar: None,
            list: None,
        };
        match value {
            Some(Value::Object(_)) if all.map.is_some() => Atom {
                map: all.map,
                ..none
            },
            Some(Value::Array(_)) if all.list.is_some() => Atom {
                list: all.list,
                ..none
            },
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) if all.scalar.is_some() => {
                Atom {
                    scalar: all.scalar,
                    ..none
                }
            }
            _ => all,
        }
    }

    fn side(self) -> Side<'s> {
        match self {
            Atom { map: Some(map), .. } => Side::Map(map),
            Atom {
                scalar: Some(scalar),
                ..
            } => Side::Scalar(scalar),
            Atom {
                list: Some(list), ..
            } => Side::List(list),
            _ => Side::Nothing,
        }
    }

    fn same(self, other: Self) -> bool {
        self.map.is_some() == other.map.is_some()
            && self.scalar == other.scalar
            && self.list.is_some() == other.list.is_some()
    }
}

/// The type of what lies under a key; that of the map itself where a key of an object that was never validated has
/// none.
fn type_of(map: &Map, key: &str, fallback: TypeId) -> TypeId {
    map.type_of(key).unwrap_or(fallback)
}

/// How an item of an associative list is known; the text says why it cannot be.
fn item_element<'a>(
    schema: &'a Schema,
    list: &'a List,
    item: &'a Value,
) -> Result<PathElement<'a>, String> {
    match (&list.kind, item) {
        (ListKind::Map(_), Value::Null) => {
            Err("associative list with keys may not have a null element".into())
        }
        (ListKind::Map(keys), Value::Object(map)) => {
            let fields = schema.node(list.element).map.as_ref();
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                let default = || {
                    fields
                        .and_then(|fields| fields.field(key))
                        .and_then(|field| field.default.as_ref())
                };
                if let Some(value) = map.get(&**key).or_else(default) {
                    found.push((Cow::Borrowed(&**key), Cow::Borrowed(value)));
                }
            }
            if found.is_empty() && !keys.is_empty() {
                let names: Vec<String> = keys.iter().map(|key| gofmt::quote(key)).collect();
                return Err(format!(
                    "associative list with keys has an element that omits all key fields [{}] \
                     (and doesn't have default values for any key fields)",
                    names.join(" ")
                ));
            }
            found.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(PathElement::Key(found))
        }
        (ListKind::Map(_), _) => {
            Err("associative list with keys may not have non-map elements".into())
        }
        (ListKind::Set, Value::Object(_)) => {
            Err("associative list without keys has an element that's a map type".into())
        }
        (ListKind::Set, Value::Array(_)) => {
            Err("not supported: associative list with lists as elements".into())
        }
        (ListKind::Set, Value::Null) => {
            Err("associative list without keys has an element that's an explicit null".into())
        }
        (ListKind::Set, item) => Ok(PathElement::Value(Cow::Borrowed(item))),
        (ListKind::Atomic, _) => Err("invalid indexing of non-associative list".into()),
    }
}

/// Makes named struct fields members of a set where something below them is.
pub(crate) fn with_named_fields<'a>(schema: &Schema, id: TypeId, set: Set<'a>) -> Set<'a> {
    set.with_named(Some(id), &|id: Option<TypeId>, element| {
        let Some(node) = id.map(|id| schema.node(id)) else {
            return (false, None);
        };
        match (element, &node.map, &node.list) {
            (PathElement::Field(name), Some(map), _) => {
                (map.field(name).is_some(), map.type_of(name))
            }
            (PathElement::Key(_), _, Some(list)) => (false, Some(list.element)),
            _ => (false, None),
        }
    })
}
