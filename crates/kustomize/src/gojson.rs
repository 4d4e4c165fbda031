//! Typed reading of JSON with the rules and the error texts of Go's
//! `encoding/json`, and writing that leaves empty fields out.
//!
//! Field names match whatever their case, null leaves a field as it is, and
//! the first problem is reported while reading goes on.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What to do with a field that the type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// `json: unknown field "x"`.
    Refuse,
    /// Leave it.
    Ignore,
}

/// What becomes of numbers and booleans where a text is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalars {
    /// They are errors, as in `encoding/json`.
    Strict,
    /// They become texts, as `sigs.k8s.io/yaml` does when it knows the type.
    AsText,
}

/// The state of one reading.
pub(crate) struct Decoder {
    unknown: Unknown,
    scalars: Scalars,
    /// Go's name of the innermost structure and the path to the field in it.
    structure: &'static str,
    path: Vec<&'static str>,
    error: Option<String>,
}

/// Reads a value into a type.
///
/// # Errors
/// Go's text for the first mismatch.
pub(crate) fn decode<T: GoJson>(
    value: &Value,
    unknown: Unknown,
    scalars: Scalars,
) -> Result<T, String> {
    let mut out = T::default();
    let mut decoder = Decoder {
        unknown,
        scalars,
        structure: "",
        path: Vec::new(),
        error: None,
    };
    out.read(value, &mut decoder);
    match decoder.error {
        None => Ok(out),
        Some(error) => Err(error),
    }
}

impl Decoder {
    /// Records that `value` cannot become a `wanted`.
    pub(crate) fn mismatch(&mut self, value: &Value, wanted: &str) {
        let kind = match value {
            Value::Null => return,
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        self.mismatch_of(&kind, wanted);
    }

    fn mismatch_of(&mut self, kind: &str, wanted: &str) {
        if self.error.is_some() {
            return;
        }
        self.error = Some(if self.path.is_empty() {
            format!("json: cannot unmarshal {kind} into Go value of type {wanted}")
        } else {
            format!(
                "json: cannot unmarshal {kind} into Go struct field {}.{} of type {wanted}",
                self.structure,
                self.path.join(".")
            )
        });
    }

    /// Reads the fields of a structure; `field` says whether it knows a name.
    pub(crate) fn fields(
        &mut self,
        value: &Value,
        structure: &'static str,
        go_type: &str,
        names: &[&'static str],
        mut field: impl FnMut(usize, &Value, &mut Decoder),
    ) {
        let Value::Object(map) = value else {
            self.mismatch(value, go_type);
            return;
        };
        for (key, value) in map {
            let key_of = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
            let exact = names.iter().position(|name| key_of(name) == key);
            let found = exact.or_else(|| {
                names
                    .iter()
                    .position(|name| key_of(name).eq_ignore_ascii_case(key))
            });
            match found {
                Some(index) => {
                    let outer = std::mem::replace(&mut self.structure, structure);
                    let scalars = self.scalars;
                    if names[index].contains('.') {
                        // The type of a field of an embedded structure is not found.
                        self.scalars = Scalars::Strict;
                    }
                    self.path.push(names[index]);
                    field(index, value, self);
                    self.path.pop();
                    self.scalars = scalars;
                    self.structure = outer;
                }
                None if self.unknown == Unknown::Refuse && self.error.is_none() => {
                    self.error = Some(format!("json: unknown field {key:?}"));
                }
                None => {}
            }
        }
    }
}

/// A type that Go's JSON rules can fill and that can be written back.
pub(crate) trait GoJson: Default {
    /// Go's name of the type.
    fn go_type() -> String;
    /// Fills `self`; problems go to the decoder.
    fn read(&mut self, value: &Value, decoder: &mut Decoder);
    /// The JSON form, `None` when there is nothing to write.
    fn write(&self) -> Option<Value>;
}

impl GoJson for String {
    fn go_type() -> String {
        "string".to_owned()
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        match value {
            Value::String(text) => self.clone_from(text),
            Value::Number(number) if decoder.scalars == Scalars::AsText => {
                *self = match number.as_f64().filter(|_| number.is_f64()) {
                    Some(float) => short_float(float),
                    None => number.to_string(),
                };
            }
            Value::Bool(flag) if decoder.scalars == Scalars::AsText => *self = flag.to_string(),
            other => decoder.mismatch(other, "string"),
        }
    }

    fn write(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::String(self.clone()))
    }
}

/// A number as Go's `%g` writes it in single precision.
fn short_float(float: f64) -> String {
    let text = format!("{:e}", float as f32);
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..6).contains(&exponent) => (float as f32).to_string(),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        Err(_) => text,
    }
}

impl GoJson for bool {
    fn go_type() -> String {
        "bool".to_owned()
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        match value {
            Value::Bool(flag) => *self = *flag,
            other => decoder.mismatch(other, "bool"),
        }
    }

    fn write(&self) -> Option<Value> {
        self.then_some(Value::Bool(true))
    }
}

impl GoJson for i64 {
    fn go_type() -> String {
        "int64".to_owned()
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(int) => *self = int,
                None => decoder.mismatch_of(&format!("number {number}"), "int64"),
            },
            other => decoder.mismatch(other, "int64"),
        }
    }

    fn write(&self) -> Option<Value> {
        (*self != 0).then(|| Value::from(*self))
    }
}

/// Go's `int`, which is named differently in errors.
impl GoJson for i32 {
    fn go_type() -> String {
        "int".to_owned()
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        match value {
            Value::Number(number) => {
                match number.as_i64().and_then(|int| i32::try_from(int).ok()) {
                    Some(int) => *self = int,
                    None => decoder.mismatch_of(&format!("number {number}"), "int"),
                }
            }
            other => decoder.mismatch(other, "int"),
        }
    }

    fn write(&self) -> Option<Value> {
        (*self != 0).then(|| Value::from(*self))
    }
}

/// Free-form content.
impl GoJson for Map<String, Value> {
    fn go_type() -> String {
        "map[string]interface {}".to_owned()
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        match value {
            Value::Object(map) => self.clone_from(map),
            other => decoder.mismatch(other, &Self::go_type()),
        }
    }

    fn write(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::Object(self.clone()))
    }
}

impl<T: GoJson> GoJson for Vec<T> {
    fn go_type() -> String {
        format!("[]{}", T::go_type())
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        match value {
            Value::Array(items) => {
                self.clear();
                for item in items {
                    let mut element = T::default();
                    element.read(item, decoder);
                    self.push(element);
                }
            }
            other => decoder.mismatch(other, &Self::go_type()),
        }
    }

    fn write(&self) -> Option<Value> {
        if self.is_empty() {
            return None;
        }
        let element = |item: &T| item.write().unwrap_or_else(|| empty_of(&T::go_type()));
        Some(Value::Array(self.iter().map(element).collect()))
    }
}

/// What an empty element of a list is written as.
fn empty_of(go_type: &str) -> Value {
    match go_type {
        "string" => Value::String(String::new()),
        _ => Value::Object(Map::new()),
    }
}

impl<T: GoJson> GoJson for BTreeMap<String, T> {
    fn go_type() -> String {
        format!("map[string]{}", T::go_type())
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let mut element = T::default();
                    element.read(value, decoder);
                    self.insert(key.clone(), element);
                }
            }
            other => decoder.mismatch(other, &Self::go_type()),
        }
    }

    fn write(&self) -> Option<Value> {
        if self.is_empty() {
            return None;
        }
        let pair = |(key, value): (&String, &T)| {
            let value = value.write().unwrap_or_else(|| empty_of(&T::go_type()));
            (key.clone(), value)
        };
        Some(Value::Object(self.iter().map(pair).collect()))
    }
}

/// Go's pointer: absent until something other than null is read.
impl<T: GoJson> GoJson for Option<T> {
    fn go_type() -> String {
        T::go_type()
    }

    fn read(&mut self, value: &Value, decoder: &mut Decoder) {
        if value.is_null() {
            *self = None;
            return;
        }
        self.get_or_insert_default().read(value, decoder);
    }

    fn write(&self) -> Option<Value> {
        let inner = self.as_ref()?;
        Some(inner.write().unwrap_or_else(|| empty_of(&T::go_type())))
    }
}

/// Defines a structure together with its Go names: `field: Type = "json"`.
/// Fields of a structure that Go embeds are spelled `Embedded.json`.
macro_rules! go_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident ($go:literal) {
            $( $(#[$fmeta:meta])* $field:ident : $type:ty = $json:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $( $(#[$fmeta])* pub $field: $type, )*
        }

        impl crate::gojson::GoJson for $name {
            fn go_type() -> String {
                concat!("types.", $go).to_owned()
            }

            fn read(&mut self, value: &serde_json::Value, decoder: &mut crate::gojson::Decoder) {
                const NAMES: &[&str] = &[$($json),*];
                decoder.fields(value, $go, concat!("types.", $go), NAMES, |index, value, decoder| {
                    let mut at = 0;
                    $(
                        if index == at {
                            return crate::gojson::GoJson::read(&mut self.$field, value, decoder);
                        }
                        at += 1;
                    )*
                    let _ = at;
                });
            }

            fn write(&self) -> Option<serde_json::Value> {
                let mut map = serde_json::Map::new();
                $(
                    if let Some(value) = crate::gojson::GoJson::write(&self.$field) {
                        let name: &str = $json;
                        let key = name.rsplit('.').next().unwrap_or(name);
                        map.insert(key.to_owned(), value);
                    }
                )*
                (!map.is_empty()).then_some(serde_json::Value::Object(map))
            }
        }
    };
}
pub(crate) use go_struct;
