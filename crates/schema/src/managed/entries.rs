//! The entries of `managedFields`, read and written.

use std::borrow::Cow;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::fields::{FieldsError, Set};
use crate::gofmt;

/// Which kind of write an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Every other write.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// Why `managedFields` cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ManagedError {
    /// An operation is neither.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// An entry names no version.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// An entry names no fields type.
    #[error("missing fieldsType in managed fields entry {0}")]
    NoFieldsType(usize),
    /// An entry names another fields type.
    #[error("invalid fieldsType {} in managed fields entry {at}", gofmt::quote(.text))]
    FieldsType {
        /// What it names.
        text: String,
        /// Position of the entry.
        at: usize,
    },
    /// The fields of an entry cannot be read.
    #[error("error decoding versioned set: error decoding set: {0}")]
    Fields(#[from] FieldsError),
    /// The value is no list of objects.
    #[error("managedFields must be a list of objects")]
    Shape,
}

/// One manager with its fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry<'a> {
    pub manager: Cow<'a, str>,
    pub operation: Operation,
    pub api_version: Cow<'a, str>,
    pub subresource: Cow<'a, str>,
    pub time: Option<Cow<'a, str>>,
    pub set: Set<'a>,
}

impl<'a> Entry<'a> {
    pub fn new(
        manager: &'a str,
        operation: Operation,
        api_version: &'a str,
        subresource: &'a str,
        set: Set<'a>,
    ) -> Self {
        let manager = if manager.is_empty() {
            "unknown"
        } else {
            manager
        };
        Entry {
            manager: manager.into(),
            operation,
            api_version: api_version.into(),
            subresource: subresource.into(),
            time: None,
            set,
        }
    }

    /// Whether both stand for the same manager. Appliers are the same in every version.
    pub fn same_manager(&self, other: &Entry<'_>) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The text by which the server orders managers.
    pub fn identifier(&self) -> String {
        let mut text = format!(
            "{{\"manager\":{},\"operation\":\"{}\"",
            Value::from(&*self.manager),
            self.operation.as_str()
        );
        if self.operation == Operation::Update {
            text.push_str(&format!(
                ",\"apiVersion\":{}",
                Value::from(&*self.api_version)
            ));
        }
        if !self.subresource.is_empty() {
            text.push_str(&format!(
                ",\"subresource\":{}",
                Value::from(&*self.subresource)
            ));
        }
        text + "}"
    }

    fn to_json(&self) -> Value {
        let mut map = Map::new();
        let mut text = |key: &str, value: &str| map.insert(key.to_owned(), value.into());
        text("manager", &self.manager);
        text("operation", self.operation.as_str());
        text("apiVersion", &self.api_version);
        text("fieldsType", "FieldsV1");
        if let Some(time) = &self.time {
            text("time", time);
        }
        if !self.subresource.is_empty() {
            text("subresource", &self.subresource);
        }
        map.insert("fieldsV1".into(), self.set.to_json());
        Value::Object(map)
    }

    fn order(&self) -> (Operation, &str, &str, &str, &str) {
        let time = self.time.as_deref().unwrap_or_default();
        (
            self.operation,
            time,
            &self.manager,
            &self.api_version,
            &self.subresource,
        )
    }
}

/// Reads the entries of an object.
pub(super) fn decode(object: &Value) -> Result<Vec<Entry<'_>>, ManagedError> {
    decode_list(object["metadata"].get("managedFields"))
}

/// Why `metadata.managedFields` of an object is in an invalid state, if it is.
pub fn decode_error(object: &Value) -> Option<ManagedError> {
    decode(object).err()
}

pub(super) fn decode_list(list: Option<&Value>) -> Result<Vec<Entry<'_>>, ManagedError> {
    let list = match list {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(ManagedError::Shape),
    };
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(list.len() + 1);
    for (at, value) in list.iter().enumerate() {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err(ManagedError::Operation),
        };
        if text("apiVersion").is_empty() {
            return Err(ManagedError::ApiVersion);
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(ManagedError::NoFieldsType(at)),
            text => {
                return Err(ManagedError::FieldsType {
                    text: text.to_owned(),
                    at,
                });
            }
        }
        let set = match value.get("fieldsV1") {
            Some(fields) => Set::from_json(fields)?,
            None => Set::new(),
        };
        let entry = Entry {
            manager: text("manager").into(),
            operation,
            api_version: text("apiVersion").into(),
            subresource: text("subresource").into(),
            time: value["time"].as_str().map(Cow::from),
            set,
        };
        entries.retain(|known| !known.same_manager(&entry));
        entries.push(entry);
    }
    Ok(entries)
}

/// Writes the entries in the server's order.
pub(super) fn encode(mut entries: Vec<Entry<'_>>) -> Vec<Value> {
    entries.sort_by(|a, b| a.order().cmp(&b.order()));
    entries.iter().map(Entry::to_json).collect()
}
