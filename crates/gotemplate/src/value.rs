//! Values as templates see them.
//!
//! Scalars and strings are copied; maps are shared by reference, so that `set`
//! in one template is seen in the next, as in Go. Lists are immutable: every
//! function that changes one returns a new one. A host puts its own things
//! (`.Files`, a time, a version) behind [`Object`].

use std::any::Any;
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::text::Str;
use crate::types::{ANY_MAP, ANY_SLICE, BYTES, Kind, Method, Named, Type, Under};

/// A value in a template.
#[derive(Clone, Default)]
pub enum Value {
    /// Nothing: `nil`, or no value at all.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A signed integer of some type.
    Int(IntType, i64),
    /// An unsigned integer of some type.
    Uint(UintType, u64),
    /// A `float64`, which is what every number in a YAML file becomes.
    Float(f64),
    /// A `complex128`; only an imaginary literal makes one.
    Complex(f64, f64),
    /// A string.
    Str(Str),
    /// A `[]byte`.
    Bytes(Str),
    /// Any other slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A thing of the host.
    Object(Rc<dyn Object>),
}

/// The types of signed integers that occur.
#[derive(Clone, Copy, Debug)]
pub enum IntType {
    /// `int`.
    Int,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// A named type, such as `time.Duration`.
    Named(&'static Named),
}

/// The types of unsigned integers that occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UintType {
    /// `uint8`, a byte.
    Uint8,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
}

/// A thing of the host behind a template value.
pub trait Object {
    /// Its type: name, kind, methods, and how it prints.
    fn named(&self) -> &'static Named;

    /// Returns an exported field of a struct.
    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    /// Returns all fields of a struct in order, for `%v` and for serialising.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// Returns what an object that is no struct holds: a map or a list.
    fn plain(&self) -> Value {
        Value::Nil
    }

    /// Returns what JSON and YAML write for the object: by default its fields,
    /// or what it holds.
    fn serial(&self) -> Serial {
        match self.named().under {
            Under::Type(_) => Serial::Value(self.plain()),
            Under::Struct | Under::Pointer => Serial::Fields(self.fields()),
        }
    }

    /// Returns the object for downcasting by the host's own functions.
    fn as_any(&self) -> &dyn Any;
}

/// What a host object is written as in JSON, YAML and the like.
#[derive(Debug, Clone)]
pub enum Serial {
    /// As another value.
    Value(Value),
    /// As an object with these keys, in this order.
    Fields(Vec<(&'static str, Value)>),
}

/// An immutable slice with its type.
#[derive(Clone)]
pub struct List(Rc<ListData>);

struct ListData {
    of: Type,
    items: Vec<Value>,
    is_nil: bool,
}

impl List {
    /// Makes a slice of type `of` (a slice type, possibly named).
    pub fn typed(of: Type, items: Vec<Value>) -> Self {
        List(Rc::new(ListData {
            of,
            items,
            is_nil: false,
        }))
    }

    /// Makes a nil slice, which has no elements.
    pub fn nil(of: Type) -> Self {
        List(Rc::new(ListData {
            of,
            items: Vec::new(),
            is_nil: true,
        }))
    }

    /// Returns the elements.
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// Returns the type of the slice.
    pub fn slice_type(&self) -> Type {
        self.0.of
    }

    /// Whether the slice is nil rather than merely empty.
    pub fn is_nil(&self) -> bool {
        self.0.is_nil
    }
}

/// A map that is shared by reference. Its type belongs to the reference: Go
/// converts a named map type where a plain one is wanted.
#[derive(Clone)]
pub struct Map {
    data: Rc<MapData>,
    of: Type,
}

/// The entries of a [`Map`], in the order in which templates range over them.
pub type Entries = BTreeMap<Str, Value>;

struct MapData {
    is_nil: bool,
    entries: RefCell<Entries>,
}

impl Map {
    /// Makes an empty `map[string]interface {}`.
    pub fn new() -> Self {
        Self::typed(ANY_MAP, Entries::new())
    }

    /// Makes a map of type `of` (a map type, possibly named).
    pub fn typed(of: Type, entries: Entries) -> Self {
        Map {
            data: Rc::new(MapData {
                is_nil: false,
                entries: RefCell::new(entries),
            }),
            of,
        }
    }

    /// Makes a nil map, which has no entries and takes none.
    pub fn nil(of: Type) -> Self {
        Map {
            data: Rc::new(MapData {
                is_nil: true,
                entries: RefCell::default(),
            }),
            of,
        }
    }

    /// The same map as another type.
    pub fn as_type(&self, of: Type) -> Self {
        Map {
            data: Rc::clone(&self.data),
            of,
        }
    }

    /// Returns the type of the map.
    pub fn map_type(&self) -> Type {
        self.of
    }

    /// Whether the map is nil rather than merely empty.
    pub fn is_nil(&self) -> bool {
        self.data.is_nil
    }

    /// Whether both are the same map, not merely equal ones.
    pub fn same(&self, other: &Map) -> bool {
        Rc::ptr_eq(&self.data, &other.data)
    }

    /// Borrows the entries. The borrow must end before anything else may change
    /// the map.
    pub fn entries(&self) -> Ref<'_, Entries> {
        self.data.entries.borrow()
    }

    /// Returns a copy of one entry.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.data.entries.borrow().get(key).cloned()
    }

    /// Sets one entry. A nil map takes none, which the caller must have ruled out.
    pub fn insert(&self, key: impl Into<Str>, value: impl Into<Value>) {
        if !self.data.is_nil {
            self.data
                .entries
                .borrow_mut()
                .insert(key.into(), value.into());
        }
    }

    /// Removes one entry.
    pub fn remove(&self, key: &[u8]) -> Option<Value> {
        self.data.entries.borrow_mut().remove(key)
    }

    /// Removes all entries and returns them; breaks cycles.
    pub fn take(&self) -> Entries {
        self.data.entries.take()
    }

    /// Returns a shallow copy of the entries.
    pub fn snapshot(&self) -> Vec<(Str, Value)> {
        self.data
            .entries
            .borrow()
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.data.entries.borrow().len()
    }

    /// Whether the map has no entries.
    pub fn is_empty(&self) -> bool {
        self.data.entries.borrow().is_empty()
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

/// Values may nest without end (`$l = list $l` in a range), so they are taken
/// apart in a loop: a recursive drop would run out of stack.
fn dismantle(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(List(rc)) => {
                if let Ok(mut data) = Rc::try_unwrap(rc) {
                    pending.append(&mut data.items);
                }
            }
            Value::Map(map) => {
                if let Ok(data) = Rc::try_unwrap(map.data) {
                    pending.extend(data.entries.take().into_values());
                }
            }
            _ => {}
        }
    }
}

fn holds_values(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Map(_))
}

impl Drop for ListData {
    fn drop(&mut self) {
        if self.items.iter().any(holds_values) {
            dismantle(std::mem::take(&mut self.items));
        }
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        let entries = self.entries.get_mut();
        if entries.values().any(holds_values) {
            dismantle(std::mem::take(entries).into_values().collect());
        }
    }
}

impl Value {
    /// Makes a Go `int`.
    pub fn int(value: i64) -> Self {
        Value::Int(IntType::Int, value)
    }

    /// Makes a Go `int64`.
    pub fn int64(value: i64) -> Self {
        Value::Int(IntType::Int64, value)
    }

    /// Makes a string.
    pub fn string(text: impl Into<Str>) -> Self {
        Value::Str(text.into())
    }

    /// Makes a `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Self {
        Value::List(List::typed(ANY_SLICE, items))
    }

    /// Makes a value of the host.
    pub fn object(object: impl Object + 'static) -> Self {
        Value::Object(Rc::new(object))
    }

    /// Makes a map from pairs.
    pub fn map<K: Into<Str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (k.into(), v)).collect();
        Value::Map(Map::typed(ANY_MAP, entries))
    }

    /// Converts JSON: numbers become `float64`, as Go decodes them.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => Value::Float(n.as_f64().unwrap_or_default()),
            serde_json::Value::String(s) => Value::string(s.as_str()),
            serde_json::Value::Array(items) => {
                Value::list(items.iter().map(Value::from_json).collect())
            }
            serde_json::Value::Object(entries) => Value::map(
                entries
                    .iter()
                    .map(|(k, v)| (k.as_str(), Value::from_json(v))),
            ),
        }
    }

    /// Whether there is nothing.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Returns the type; `None` for nothing.
    pub fn type_of(&self) -> Option<Type> {
        Some(match self {
            Value::Nil => return None,
            Value::Bool(_) => Type::Bool,
            Value::Int(IntType::Int, _) => Type::Int,
            Value::Int(IntType::Int32, _) => Type::Int32,
            Value::Int(IntType::Int64, _) => Type::Int64,
            Value::Int(IntType::Named(named), _) => Type::Named(named),
            Value::Uint(UintType::Uint8, _) => Type::Uint8,
            Value::Uint(UintType::Uint32, _) => Type::Uint32,
            Value::Uint(UintType::Uint64, _) => Type::Uint64,
            Value::Float(_) => Type::Float64,
            Value::Complex(..) => Type::Complex,
            Value::Str(_) => Type::String,
            Value::Bytes(_) => BYTES,
            Value::List(list) => list.slice_type(),
            Value::Map(map) => map.map_type(),
            Value::Object(object) => Type::Named(object.named()),
        })
    }

    /// Returns the name of the type as `%T` prints it.
    pub fn type_name(&self) -> String {
        self.type_of()
            .map_or_else(|| "<nil>".to_owned(), |t| t.to_string())
    }

    /// Returns the kind, [`Kind::Invalid`] for nothing.
    pub fn kind(&self) -> Kind {
        self.type_of().map_or(Kind::Invalid, |t| t.kind())
    }

    /// Returns the method `name` of the value's type.
    pub(crate) fn method(&self, name: &[u8]) -> Option<&'static Method> {
        let named = match self {
            Value::Object(object) => object.named(),
            Value::Map(map) => match map.map_type() {
                Type::Named(named) => named,
                _ => return None,
            },
            Value::List(list) => match list.slice_type() {
                Type::Named(named) => named,
                _ => return None,
            },
            Value::Int(IntType::Named(named), _) => named,
            _ => return None,
        };
        (named.methods)().iter().find(|m| m.name.as_bytes() == name)
    }

    /// Returns how the value prints itself, if its type says so.
    pub fn own_text(&self) -> Option<String> {
        match self.type_of()? {
            Type::Named(named) => named.text.map(|text| text(self)),
            _ => None,
        }
    }

    /// Returns how an action prints the value, if its type says so.
    pub(crate) fn action_text(&self) -> Option<String> {
        match self.type_of()? {
            Type::Named(named) => named.action_text.or(named.text).map(|text| text(self)),
            _ => None,
        }
    }

    /// Returns the length of a string, list, map or the like.
    pub fn length(&self) -> Option<usize> {
        match self {
            Value::Str(s) | Value::Bytes(s) => Some(s.len()),
            Value::List(list) => Some(list.items().len()),
            Value::Map(map) => Some(map.len()),
            Value::Object(object) => match object.named().under {
                Under::Type(_) => object.plain().length(),
                Under::Struct | Under::Pointer => None,
            },
            _ => None,
        }
    }

    /// Whether Go's templates take the value for true.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(b) => *b,
            Value::Int(_, n) => *n != 0,
            Value::Uint(_, n) => *n != 0,
            Value::Float(f) => *f != 0.0,
            Value::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Value::Object(_) => self.length().is_none_or(|n| n > 0),
            Value::Str(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => {
                self.length().is_some_and(|n| n > 0)
            }
        }
    }

    /// Whether the value is a nil map or slice, or nothing.
    pub fn is_nil_like(&self) -> bool {
        match self {
            Value::Nil => true,
            Value::Map(map) => map.is_nil(),
            Value::List(list) => list.is_nil(),
            _ => false,
        }
    }

    /// Returns the zero value of a type.
    pub(crate) fn zero(of: Type) -> Value {
        match of.kind() {
            Kind::Bool => Value::Bool(false),
            Kind::Int => Value::int(0),
            Kind::Int32 => Value::Int(IntType::Int32, 0),
            Kind::Int64 => Value::int64(0),
            Kind::Uint8 => Value::Uint(UintType::Uint8, 0),
            Kind::Uint32 => Value::Uint(UintType::Uint32, 0),
            Kind::Uint64 => Value::Uint(UintType::Uint64, 0),
            Kind::Float64 => Value::Float(0.0),
            Kind::Complex => Value::Complex(0.0, 0.0),
            Kind::String => Value::Str(Str::empty()),
            Kind::Slice if of == BYTES => Value::Bytes(Str::empty()),
            Kind::Slice => Value::List(List::nil(of)),
            Kind::Map => Value::Map(Map::nil(of)),
            Kind::Invalid | Kind::Struct | Kind::Pointer | Kind::Interface => Value::Nil,
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<f64> for Value {
    fn from(f: f64) -> Self {
        Value::Float(f)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::string(text)
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Value::Str(text)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(map)
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::Map(self.clone()).fmt(f)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::List(self.clone()).fmt(f)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        crate::printing::write_go_syntax(&mut out, self);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}
