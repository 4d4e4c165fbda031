//! JSON with what a map forgets: the order of keys, and keys that occur twice.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON document in the order in which it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ordered {
    Leaf,
    Array(Vec<Ordered>),
    Object(Vec<(String, Ordered)>),
}

/// Parses a document; the second value says whether a key occurs twice in some object, of which the last one counts.
pub(super) fn parse(bytes: &[u8]) -> Result<(Value, bool), serde_json::Error> {
    let duplicates = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Build(&duplicates).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, duplicates.get()))
}

/// Parses a document for its order.
pub(super) fn parse_ordered(bytes: &[u8]) -> Option<Ordered> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Order.deserialize(&mut deserializer).ok()
}

#[derive(Clone, Copy)]
struct Build<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.insert(key, access.next_value_seed(self)?).is_some() {
                self.0.set(true);
            }
        }
        Ok(Value::Object(map))
    }
}

#[derive(Clone, Copy)]
struct Order;

impl<'de> DeserializeSeed<'de> for Order {
    type Value = Ordered;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Ordered, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Order {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Ordered, E> {
        Ok(Ordered::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Ordered, E> {
        Ok(Ordered::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Ordered, E> {
        Ok(Ordered::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Ordered, E> {
        Ok(Ordered::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> Result<Ordered, E> {
        Ok(Ordered::Leaf)
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Ordered, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Ordered::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Ordered, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            entries.push((key, access.next_value_seed(self)?));
        }
        Ok(Ordered::Object(entries))
    }
}

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

/// `spec.containers[0].name`, as strict errors print a path.
pub(super) fn display(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Item(at) => text.push_str(&format!("[{at}]")),
        }
    }
    text
}

impl Ordered {
    /// Where each step of a path lies among its siblings: what orders paths as the document does.
    ///
    /// Of a key that occurs more than once the last one counts.
    pub fn position(&self, path: &[Step]) -> Vec<usize> {
        let mut node = self;
        let mut position = Vec::with_capacity(path.len());
        for step in path {
            let below = match (node, step) {
                (Ordered::Object(entries), Step::Key(key)) => entries
                    .iter()
                    .rposition(|(known, _)| known == key)
                    .map(|at| (at, &entries[at].1)),
                (Ordered::Array(items), Step::Item(at)) => items.get(*at).map(|item| (*at, item)),
                _ => None,
            };
            let Some((at, below)) = below else { break };
            position.push(at);
            node = below;
        }
        position
    }

    /// Every second or later occurrence of a key: its path and position.
    pub fn duplicates(&self) -> Vec<(Vec<Step>, Vec<usize>)> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut Vec::new(), &mut found);
        found
    }

    fn collect(
        &self,
        path: &mut Vec<Step>,
        position: &mut Vec<usize>,
        found: &mut Vec<(Vec<Step>, Vec<usize>)>,
    ) {
        match self {
            Ordered::Leaf => {}
            Ordered::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Item(at));
                    position.push(at);
                    item.collect(path, position, found);
                    path.pop();
                    position.pop();
                }
            }
            Ordered::Object(entries) => {
                let mut seen = HashSet::new();
                for (at, (key, value)) in entries.iter().enumerate() {
                    path.push(Step::Key(key.clone()));
                    position.push(at);
                    if !seen.insert(key) {
                        found.push((path.clone(), position.clone()));
                    }
                    value.collect(path, position, found);
                    path.pop();
                    position.pop();
                }
            }
        }
    }
}
