//! Reading a JSON object into the server's type and writing it back: the normal form.
//!
//! Unknown fields go, null is as absent, zero values are left out or put in as Go's `omitempty` has it, quantities
//! and times take their canonical form.

use base64::Engine as _;
use serde_json::{Map as Json, Value};

use super::json::Step;
use super::time::{Precision, format_duration, normal_time, parse_duration};
use crate::gofmt;
use crate::quantity::Quantity;
use crate::schema::{Field, Format, JsonField, Map, Node, Omit, Schema, TypeId};

/// Something that does not fit the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub path: Vec<Step>,
    pub kind: ProblemKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProblemKind {
    /// The type has no such field.
    Unknown,
    /// The value cannot be read.
    Unreadable {
        /// Why, where JSON text is read.
        json: String,
        /// Why, where a document is read that is decoded already.
        document: String,
    },
}

/// Where the reader is.
#[derive(Clone, Copy)]
struct Place<'p> {
    above: Option<&'p Place<'p>>,
    step: At<'p>,
    /// The struct whose field this is, or lies below.
    owner: &'p str,
}

#[derive(Clone, Copy)]
enum At<'p> {
    Root,
    /// A field with the embedded structs on the way to it.
    Field(&'p str, Option<&'p str>),
    Key(&'p str),
    Item(usize),
}

impl<'p> Place<'p> {
    fn below(&'p self, step: At<'p>) -> Place<'p> {
        Place {
            above: Some(self),
            step,
            owner: self.owner,
        }
    }

    fn path(&self) -> Vec<Step> {
        let mut path = self.above.map(Place::path).unwrap_or_default();
        match self.step {
            At::Root => {}
            At::Field(name, _) | At::Key(name) => path.push(Step::Key(name.to_owned())),
            At::Item(at) => path.push(Step::Item(at)),
        }
        path
    }

    /// The names of the struct fields on the way.
    fn fields(&self) -> Vec<&'p str> {
        let mut names = self.above.map(Place::fields).unwrap_or_default();
        if let At::Field(name, via) = self.step {
            names.extend(via);
            names.push(name);
        }
        names
    }
}

struct Reader<'s> {
    schema: &'s Schema,
    problems: Vec<Problem>,
}

/// Brings an object into normal form; what did not fit is returned, in no particular order.
pub(super) fn normalize(schema: &Schema, id: TypeId, value: &mut Value) -> Vec<Problem> {
    let mut reader = Reader {
        schema,
        problems: Vec::new(),
    };
    reader.value(
        schema.node(id),
        value,
        &Place {
            above: None,
            step: At::Root,
            owner: "",
        },
    );
    reader.problems
}

/// The normal form of an absent value of a type.
pub(crate) fn zero(schema: &Schema, id: TypeId) -> Value {
    let node = schema.node(id);
    match node.format {
        Format::Bool => false.into(),
        Format::Int32 | Format::Int64 | Format::Float64 | Format::IntOrString => 0.into(),
        Format::String => "".into(),
        Format::Quantity => "0".into(),
        Format::Duration => "0s".into(),
        Format::Any
        | Format::Bytes
        | Format::Time
        | Format::MicroTime
        | Format::List
        | Format::Map => Value::Null,
        Format::Struct => {
            let mut map = Json::new();
            if let Some(node) = &node.map {
                put_zeros(schema, node, &mut map);
            }
            Value::Object(map)
        }
    }
}

/// Whether Go keeps the value in a struct: `omitempty` does not see that it is empty.
fn is_struct(format: Format) -> bool {
    matches!(
        format,
        Format::Struct
            | Format::Time
            | Format::MicroTime
            | Format::Duration
            | Format::Quantity
            | Format::IntOrString
            | Format::Any
    )
}

/// Puts in the fields that are written even if they are absent.
fn put_zeros(schema: &Schema, map: &Map, object: &mut Json<String, Value>) {
    for field in &map.fields {
        let Some(json) = field.json else { continue };
        let format = schema.node(field.ty).format;
        let written = match json.omit {
            Omit::Never => true,
            Omit::Empty => !json.pointer && is_struct(format),
            Omit::Zero => false,
        };
        if written && !object.contains_key(&*field.name) {
            let value = if json.pointer {
                Value::Null
            } else {
                zero(schema, field.ty)
            };
            object.insert(field.name.to_string(), value);
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// How reading a decoded document words that a value has the wrong type.
fn document_mismatch(node: &Node, value: &Value) -> String {
    let given = gofmt::type_name(value);
    let short = match value {
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
        _ => given,
    };
    match node.format {
        Format::List => format!("cannot restore slice from {short}"),
        Format::Map => format!("cannot restore map from {short}"),
        Format::Struct => format!("cannot restore struct from: {short}"),
        Format::String if value.is_number() => format!("cannot convert {given} to string"),
        Format::Int32 | Format::Int64 | Format::Float64 if value.is_number() => {
            format!("cannot convert {given} to {}", node.go)
        }
        Format::Bytes => format!("cannot restore slice from {short}"),
        Format::Bool => "unrecognized type: bool".into(),
        Format::String => "unrecognized type: string".into(),
        Format::Int64 => "unrecognized type: int64".into(),
        _ => "unrecognized type: int32".into(),
    }
}

impl<'s> Reader<'s> {
    fn fail(&mut self, place: &Place<'_>, text: String) {
        let kind = ProblemKind::Unreadable {
            document: text.clone(),
            json: text,
        };
        self.problems.push(Problem {
            path: place.path(),
            kind,
        });
    }

    fn mismatch(&mut self, place: &Place<'_>, node: &Node, value: &Value) {
        let what = match value {
            Value::Number(number) if matches!(node.format, Format::Int32 | Format::Int64) => {
                format!("number {number}")
            }
            value => kind_of(value).to_owned(),
        };
        let fields = place.fields();
        let json = match fields.is_empty() {
            true => format!(
                "json: cannot unmarshal {what} into Go value of type {}",
                node.go
            ),
            false => format!(
                "json: cannot unmarshal {what} into Go struct field {}.{} of type {}",
                place.owner,
                fields.join("."),
                node.go
            ),
        };
        let document = document_mismatch(node, value);
        self.problems.push(Problem {
            path: place.path(),
            kind: ProblemKind::Unreadable { json, document },
        });
    }

    /// Normalizes a value that is not null.
    fn value(&mut self, node: &'s Node, value: &mut Value, place: &Place<'_>) {
        match (node.format, &mut *value) {
            (Format::Any, _)
            | (Format::Bool, Value::Bool(_))
            | (Format::String, Value::String(_))
            | (Format::IntOrString, Value::String(_)) => {}
            (Format::Struct, Value::Object(object)) => {
                if let Some(map) = &node.map {
                    let place = Place {
                        owner: node.struct_name(),
                        ..*place
                    };
                    self.fields(map, object, &place);
                }
            }
            (Format::Map, Value::Object(object)) => {
                let Some(element) = node.map.as_ref().and_then(|map| map.element) else {
                    return;
                };
                let element_node = self.schema.node(element);
                for (key, value) in object.iter_mut() {
                    if value.is_null() {
                        *value = zero(self.schema, element);
                    } else {
                        self.value(element_node, value, &place.below(At::Key(key)));
                    }
                }
            }
            (Format::List, Value::Array(items)) => {
                let Some(list) = &node.list else { return };
                let element_node = self.schema.node(list.element);
                for (at, value) in items.iter_mut().enumerate() {
                    if value.is_null() {
                        *value = zero(self.schema, list.element);
                    } else {
                        self.value(element_node, value, &place.below(At::Item(at)));
                    }
                }
            }
            (Format::Int32, Value::Number(number)) => {
                if number
                    .as_i64()
                    .is_none_or(|number| i32::try_from(number).is_err())
                {
                    let given = Value::Number(number.clone());
                    self.mismatch(place, node, &given);
                }
            }
            (Format::Int64, Value::Number(number)) => {
                if number.as_i64().is_none() {
                    let given = Value::Number(number.clone());
                    self.mismatch(place, node, &given);
                }
            }
            (Format::Float64, Value::Number(number)) => {
                if let Some(float) = number
                    .as_f64()
                    .filter(|float| number.is_f64() && float.fract() == 0.0)
                    && float.abs() < 1e15
                {
                    *value = (float as i64).into();
                }
            }
            (Format::IntOrString, Value::Number(number)) => {
                if number
                    .as_i64()
                    .is_none_or(|number| i32::try_from(number).is_err())
                {
                    let text = format!(
                        "json: cannot unmarshal number {number} into Go value of type int32"
                    );
                    self.fail(place, text);
                }
            }
            (Format::IntOrString, other) => {
                let text = format!(
                    "json: cannot unmarshal {} into Go value of type int32",
                    kind_of(other)
                );
                self.fail(place, text);
            }
            (Format::Bytes, Value::String(text)) => {
                if let Err(error) = normal_base64(text) {
                    self.fail(place, error);
                }
            }
            (Format::Quantity, Value::String(_) | Value::Number(_)) => {
                let text = match &*value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                match Quantity::parse(&text) {
                    Ok(quantity) => *value = quantity.to_string().into(),
                    Err(error) => self.fail(place, error.to_string()),
                }
            }
            (Format::Quantity, _) => {
                let error = crate::quantity::QuantityError::Form.to_string();
                self.fail(place, error);
            }
            (Format::Time | Format::MicroTime, Value::String(text)) => {
                let precision = if node.format == Format::Time {
                    Precision::Seconds
                } else {
                    Precision::Micros
                };
                match normal_time(text, precision) {
                    Ok(time) => *text = time,
                    Err(error) => self.fail(place, error),
                }
            }
            (Format::Duration, Value::String(text)) => match parse_duration(text) {
                Ok(nanos) => *text = format_duration(nanos),
                Err(error) => self.fail(place, error),
            },
            (Format::Time | Format::MicroTime | Format::Duration, other) => {
                let text = format!(
                    "json: cannot unmarshal {} into Go value of type string",
                    kind_of(other)
                );
                self.fail(place, text);
            }
            (_, other) => {
                let given = std::mem::take(other);
                self.mismatch(place, node, &given);
            }
        }
    }

    fn fields(&mut self, map: &'s Map, object: &mut Json<String, Value>, place: &Place<'_>) {
        // Both sides are sorted: one walk over both.
        let mut fields = map.fields.iter().peekable();
        let schema = self.schema;
        object.retain(|key, value| {
            while fields.next_if(|field| *field.name < **key).is_some() {}
            let Some(field) = fields.next_if(|field| *field.name == **key) else {
                if map.element.is_none() {
                    let path = place.below(At::Key(key)).path();
                    self.problems.push(Problem {
                        path,
                        kind: ProblemKind::Unknown,
                    });
                    return false;
                }
                return true;
            };
            if value.is_null() {
                return false;
            }
            let node = schema.node(field.ty);
            let via = field.via.as_deref();
            // Inside an embedded struct that one is the owner.
            let owner = via
                .and_then(|via| via.rsplit('.').next())
                .unwrap_or(place.owner);
            let below = Place {
                above: Some(place),
                step: At::Field(key, via),
                owner,
            };
            self.value(node, value, &below);
            keeps(schema, field, node, value)
        });
        put_zeros(schema, map, object);
    }
}

/// Whether a present value is written.
fn keeps(schema: &Schema, field: &Field, node: &Node, value: &Value) -> bool {
    match field.json {
        None
        | Some(
            JsonField { pointer: true, .. }
            | JsonField {
                omit: Omit::Never, ..
            },
        ) => true,
        Some(JsonField {
            omit: Omit::Empty, ..
        }) => is_struct(node.format) || !is_empty(value),
        Some(JsonField {
            omit: Omit::Zero, ..
        }) => match node.format {
            Format::Struct => *value != zero(schema, field.ty),
            _ => !is_empty(value),
        },
    }
}

/// Checks base64 and brings it into the form in which it is written.
fn normal_base64(text: &mut String) -> Result<(), String> {
    use base64::engine::general_purpose::STANDARD;
    if text.contains(['\r', '\n']) {
        text.retain(|c| c != '\r' && c != '\n');
    }
    match STANDARD.decode(text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                base64::DecodeError::InvalidLength(length) => length / 4 * 4,
                base64::DecodeError::InvalidPadding => text.len() / 4 * 4,
            };
            Err(format!("illegal base64 data at input byte {at}"))
        }
    }
}

/// What the store makes of an object: lists and maps that are empty are null, as Go's binary form has no other.
pub fn store(schema: &Schema, id: TypeId, value: &mut Value) {
    let node = schema.node(id);
    match (node.format, &mut *value) {
        (Format::Struct, Value::Object(object)) => {
            let Some(map) = &node.map else { return };
            for (key, value) in object.iter_mut() {
                if let Some(field) = map.field(key) {
                    store(schema, field.ty, value);
                    let format = schema.node(field.ty).format;
                    if matches!(format, Format::List | Format::Map) && is_empty(value) {
                        *value = Value::Null;
                    }
                }
            }
        }
        (Format::Map, Value::Object(object)) => {
            if let Some(element) = node.map.as_ref().and_then(|map| map.element) {
                object
                    .values_mut()
                    .for_each(|value| store(schema, element, value));
            }
        }
        (Format::List, Value::Array(items)) => {
            if let Some(list) = &node.list {
                items
                    .iter_mut()
                    .for_each(|value| store(schema, list.element, value));
            }
        }
        _ => {}
    }
}
