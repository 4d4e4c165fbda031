//! The schema of a version, read once: what validation, pruning and defaults look at.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::rules::Rules;
use crate::builtin::tools::{entries, has, items, text};

/// How deep schemas may be nested; what is deeper is not looked at.
const MAX_DEPTH: usize = 100;

/// Where additional properties may be.
#[derive(Debug)]
pub(super) enum Additional {
    /// Anything.
    Any,
    /// Values of this schema.
    Of(Box<Structural>),
}

/// How the items of a list are told apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListType {
    Atomic,
    Set,
    /// By these fields.
    Map(Vec<String>),
}

/// A structural schema.
#[derive(Debug, Default)]
pub(super) struct Structural {
    /// The name of the type; empty for any.
    pub kind: String,
    pub nullable: bool,
    pub int_or_string: bool,
    pub preserve: bool,
    pub embedded: bool,
    pub default: Option<Value>,
    pub properties: BTreeMap<String, Structural>,
    pub additional: Option<Additional>,
    pub items: Option<Box<Structural>>,
    pub list: Option<ListType>,
    pub atomic_map: bool,
    pub checks: Checks,
    pub rules: Rules,
    /// Whether this or something below has rules.
    pub ruled: bool,
}

/// What a value is held to beside its type.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub format: String,
    pub allowed: Vec<Value>,
    pub pattern: Option<(String, Option<Regex>)>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub minimum: Option<(f64, bool)>,
    pub maximum: Option<(f64, bool)>,
    pub multiple_of: Option<f64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub required: Vec<String>,
    pub all_of: Vec<Structural>,
    pub any_of: Vec<Structural>,
    pub one_of: Vec<Structural>,
    pub not: Option<Box<Structural>>,
}

impl Structural {
    /// Reads `openAPIV3Schema`.
    pub fn root(schema: &Value) -> Self {
        let mut read = Self::read(schema, MAX_DEPTH);
        read.embedded = true;
        read.rules = Rules::of(schema);
        read
    }

    /// Reads the schema of a field, item or map value.
    pub fn field(schema: &Value) -> Self {
        Self::read(schema, MAX_DEPTH)
    }

    fn read(schema: &Value, depth: usize) -> Self {
        let flag = |name: &str| schema[name] == true;
        let mut read = Structural {
            kind: text(&schema["type"]).to_owned(),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            default: schema
                .get("default")
                .filter(|value| !value.is_null())
                .cloned(),
            list: match text(&schema["x-kubernetes-list-type"]) {
                "set" => Some(ListType::Set),
                "map" => Some(ListType::Map(
                    items(&schema["x-kubernetes-list-map-keys"])
                        .iter()
                        .map(|key| text(key).to_owned())
                        .collect(),
                )),
                "atomic" => Some(ListType::Atomic),
                _ => None,
            },
            atomic_map: schema["x-kubernetes-map-type"] == "atomic",
            checks: Checks::read(schema, depth),
            rules: Rules::of(schema),
            ..Structural::default()
        };
        if depth > 0 {
            read.properties = entries(&schema["properties"])
                .map(|(name, member)| (name.to_owned(), Self::read(member, depth - 1)))
                .collect();
            read.additional = match &schema["additionalProperties"] {
                Value::Bool(true) => Some(Additional::Any),
                Value::Object(_) => Some(Additional::Of(Box::new(Self::read(
                    &schema["additionalProperties"],
                    depth - 1,
                )))),
                _ => None,
            };
            read.items =
                has(&schema["items"]).then(|| Box::new(Self::read(&schema["items"], depth - 1)));
        }
        read.ruled = !read.rules.is_empty() || read.members().any(|member| member.ruled);
        read
    }

    fn members(&self) -> impl Iterator<Item = &Structural> {
        let additional = match &self.additional {
            Some(Additional::Of(schema)) => Some(&**schema),
            _ => None,
        };
        self.properties
            .values()
            .chain(additional)
            .chain(self.items.as_deref())
    }

    /// The schema of a member; None where nothing describes it.
    pub fn member(&self, name: &str) -> Option<&Structural> {
        self.properties.get(name).or(match &self.additional {
            Some(Additional::Of(schema)) => Some(schema),
            _ => None,
        })
    }

    /// The item of an old list that an item of the new one corresponds to: only those of maps do.
    pub fn counterpart<'v>(&self, old: Option<&'v Value>, item: &Value) -> Option<&'v Value> {
        let Some(ListType::Map(keys)) = &self.list else {
            return None;
        };
        old?.as_array()?
            .iter()
            .find(|old| keys.iter().all(|key| old[key] == item[key]))
    }
}

impl Checks {
    fn read(schema: &Value, depth: usize) -> Self {
        let count = |name: &str| schema[name].as_u64();
        let bound = |name: &str, exclusive: &str| {
            let exclusive = schema[exclusive] == true;
            schema[name].as_f64().map(|bound| (bound, exclusive))
        };
        let list = |name: &str| match depth {
            0 => Vec::new(),
            _ => items(&schema[name])
                .iter()
                .map(|member| Structural::read(member, depth - 1))
                .collect(),
        };
        Checks {
            format: text(&schema["format"]).to_owned(),
            allowed: items(&schema["enum"]).to_vec(),
            pattern: schema["pattern"]
                .as_str()
                .filter(|pattern| !pattern.is_empty())
                .map(|pattern| (pattern.to_owned(), Regex::new(pattern).ok())),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: schema["multipleOf"].as_f64(),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            required: items(&schema["required"])
                .iter()
                .map(|name| text(name).to_owned())
                .collect(),
            all_of: list("allOf"),
            any_of: list("anyOf"),
            one_of: list("oneOf"),
            not: (depth > 0 && has(&schema["not"]))
                .then(|| Box::new(Structural::read(&schema["not"], depth - 1))),
        }
    }
}

/// A path that costs nothing until an error shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trail<'a> {
    before: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Name(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> Trail<'a> {
    /// The object itself.
    pub const ROOT: Trail<'static> = Trail {
        before: None,
        step: Step::Root,
    };

    fn then(&'a self, step: Step<'a>) -> Trail<'a> {
        Trail {
            before: Some(self),
            step,
        }
    }

    /// A field below.
    pub fn child(&'a self, name: &'a str) -> Trail<'a> {
        self.then(Step::Name(name))
    }

    /// A map entry.
    pub fn key(&'a self, key: &'a str) -> Trail<'a> {
        self.then(Step::Key(key))
    }

    /// A list item.
    pub fn index(&'a self, at: usize) -> Trail<'a> {
        self.then(Step::Index(at))
    }

    /// The path as errors of rules show it: that of the object itself is nil.
    pub fn or_nil(&self) -> String {
        let text = self.to_string();
        if text.is_empty() {
            "<nil>".to_owned()
        } else {
            text
        }
    }
}

impl std::fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inside = self
            .before
            .filter(|before| !matches!(before.step, Step::Root));
        if let Some(before) = inside {
            write!(f, "{before}")?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Name(name) if inside.is_some() => write!(f, ".{name}"),
            Step::Name(name) => f.write_str(name),
            Step::Key(key) => write!(f, "[{key}]"),
            Step::Index(at) => write!(f, "[{at}]"),
        }
    }
}
