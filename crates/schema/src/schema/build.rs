//! From OpenAPI schemas to structural types, by the rules of the server's converter for server-side apply.

use std::collections::HashMap;

use serde_json::{Map as Json, Value};

use super::{
    Field, Format, JsonField, List, ListKind, Map, Node, Omit, PatchStrategy, Scalar, Schema, Str,
    TypeId,
};
use crate::gvk::GroupVersionKind;

/// Extension with which the generator of the built-in tables passes facts of Go types.
pub const GO: &str = "x-go";

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
const UNTYPED: &str = "__untyped_atomic_";
const DEDUCED: &str = "__untyped_deduced_";

/// Builds a schema of definitions that refer to each other by name.
pub struct Builder {
    schema: Schema,
    names: HashMap<Str, TypeId>,
    /// Where inlined nodes are shared; keyed by their debug form.
    shared: HashMap<String, TypeId>,
    untyped: TypeId,
    deduced: TypeId,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A schema with the types of values that nothing describes.
    pub fn new() -> Self {
        let mut builder = Builder {
            schema: Schema::default(),
            names: HashMap::new(),
            shared: HashMap::new(),
            untyped: TypeId(0),
            deduced: TypeId(0),
        };
        builder.untyped = builder.reserve(UNTYPED);
        builder.deduced = builder.reserve(DEDUCED);
        for (id, element, atomic) in [
            (builder.untyped, builder.untyped, true),
            (builder.deduced, builder.deduced, false),
        ] {
            builder.schema.nodes[id.0 as usize] = Node {
                go: "".into(),
                format: Format::Any,
                scalar: Some(Scalar::Untyped),
                list: Some(List {
                    kind: ListKind::Atomic,
                    element: builder.untyped,
                }),
                map: Some(Map {
                    fields: Vec::new(),
                    element: Some(element),
                    atomic,
                }),
            };
        }
        builder
    }

    /// Starts from the types of another schema, which definitions may refer to by name.
    pub fn extending(schema: &Schema, definitions: &[&str]) -> Self {
        let mut builder = Self::new();
        let mut moved = HashMap::new();
        for name in definitions {
            if let Some(id) = schema.definition(name) {
                let id = builder.import(schema, id, &mut moved);
                builder.names.insert((*name).into(), id);
            }
        }
        builder
    }

    fn import(&mut self, from: &Schema, id: TypeId, moved: &mut HashMap<TypeId, TypeId>) -> TypeId {
        if let Some(id) = moved.get(&id) {
            return *id;
        }
        let new = self.push(from.node(id).clone());
        moved.insert(id, new);
        let mut node = from.node(id).clone();
        if let Some(list) = &mut node.list {
            list.element = self.import(from, list.element, moved);
        }
        if let Some(map) = &mut node.map {
            map.element = map.element.map(|id| self.import(from, id, moved));
            for field in &mut map.fields {
                field.ty = self.import(from, field.ty, moved);
            }
        }
        self.schema.nodes[new.0 as usize] = node;
        new
    }

    fn push(&mut self, node: Node) -> TypeId {
        self.schema.nodes.push(node);
        TypeId(self.schema.nodes.len() as u32 - 1)
    }

    fn reserve(&mut self, name: &str) -> TypeId {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let blank = Node {
            go: "".into(),
            format: Format::Any,
            scalar: None,
            list: None,
            map: None,
        };
        let id = self.push(blank);
        self.names.insert(name.into(), id);
        id
    }

    /// Adds a definition; others may already have referred to it.
    pub fn define(&mut self, name: &str, schema: &Value) -> TypeId {
        let id = self.reserve(name);
        let mut node = match name {
            QUANTITY => Node {
                list: None,
                map: None,
                ..self.schema.node(self.untyped).clone()
            },
            RAW_EXTENSION => self.schema.node(self.untyped).clone(),
            _ => self.node(schema, false),
        };
        node.go = text(&schema[GO], "type");
        node.format = format_of(name).unwrap_or(node.format);
        self.schema.nodes[id.0 as usize] = node;
        let kinds = schema["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten();
        for gvk in kinds {
            let gvk = GroupVersionKind::new(
                &text(gvk, "group"),
                &text(gvk, "version"),
                &text(gvk, "kind"),
            );
            self.schema.kinds.push((gvk, id));
        }
        id
    }

    /// Names the kind that a type describes.
    pub fn kind(&mut self, gvk: GroupVersionKind, id: TypeId) {
        self.schema.kinds.push((gvk, id));
    }

    /// The schema of everything defined.
    pub fn finish(mut self) -> Schema {
        self.resolve_overrides();
        self.schema.kinds.sort();
        self.schema.kinds.dedup_by(|a, b| a.0 == b.0);
        self.schema.names = self.names.into_iter().collect();
        self.schema.names.sort();
        self.schema
    }

    /// Adds an anonymous type.
    pub fn inline(&mut self, schema: &Value, preserve: bool) -> TypeId {
        let node = self.node(schema, preserve);
        let key = format!("{node:?}");
        if let Some(id) = self.shared.get(&key) {
            return *id;
        }
        let id = self.push(node);
        self.shared.insert(key, id);
        id
    }

    fn node(&mut self, schema: &Value, preserve: bool) -> Node {
        let preserve = preserve || schema["x-kubernetes-preserve-unknown-fields"] == true;
        let kind = schema["type"].as_str().unwrap_or_default();
        let format = schema["format"].as_str().unwrap_or_default();
        let mut node = Node {
            go: text(&schema[GO], "type"),
            format: Format::Any,
            scalar: None,
            list: None,
            map: None,
        };
        match kind {
            "object" => {
                let map = self.map(schema, preserve);
                node.format = match (map.fields.is_empty(), schema.get("additionalProperties")) {
                    (false, _) => Format::Struct,
                    (true, Some(_)) => Format::Map,
                    (true, None) => Format::Any,
                };
                node.map = Some(map);
            }
            "array" => (node.list, node.format) = (Some(self.list(schema, preserve)), Format::List),
            "integer" => {
                node.scalar = Some(Scalar::Numeric);
                node.format = if format == "int32" {
                    Format::Int32
                } else {
                    Format::Int64
                };
            }
            "number" => (node.scalar, node.format) = (Some(Scalar::Numeric), Format::Float64),
            "boolean" => (node.scalar, node.format) = (Some(Scalar::Boolean), Format::Bool),
            "string" => {
                let plain = matches!(format, "" | "byte");
                node.scalar = Some(if plain {
                    Scalar::String
                } else {
                    Scalar::Untyped
                });
                node.format = match format {
                    "byte" => Format::Bytes,
                    "int-or-string" => Format::IntOrString,
                    "date-time" => Format::Time,
                    _ => Format::String,
                };
            }
            _ => {
                node.scalar = Some(Scalar::Untyped);
                node.list = Some(self.list(schema, preserve));
                node.map = Some(self.map(schema, preserve));
            }
        }
        node
    }

    /// The type of a member: a named one where it refers to one, else an inlined one.
    fn member(&mut self, schema: &Value, preserve: bool) -> TypeId {
        let reference = match (
            schema["$ref"].as_str(),
            schema["allOf"].as_array().map(Vec::as_slice),
        ) {
            (Some(reference), _) => Some(reference),
            (None, Some([one])) => one["$ref"].as_str(),
            _ => None,
        };
        let Some(reference) = reference else {
            return self.inline(schema, preserve);
        };
        let name = reference.rsplit('/').next().unwrap_or_default();
        let id = self.reserve(name);
        match map_type(schema) {
            Some(atomic) => self.overridden(name, atomic),
            None => id,
        }
    }

    /// The type `name` with its map relationship replaced: completed at the end, since definitions come in any order.
    fn overridden(&mut self, name: &str, atomic: bool) -> TypeId {
        self.reserve(&format!(
            "{name}|{}",
            if atomic { "atomic" } else { "granular" }
        ))
    }

    /// Completes the types whose map relationship a reference replaces.
    fn resolve_overrides(&mut self) {
        let overridden: Vec<(Str, TypeId)> = self
            .names
            .iter()
            .filter(|(name, _)| name.contains('|'))
            .map(|(name, id)| (name.clone(), *id))
            .collect();
        for (name, id) in overridden {
            let (base, relationship) = name
                .split_once('|')
                .expect("only such names were collected");
            let mut node = self.schema.node(self.names[base]).clone();
            if let Some(map) = &mut node.map {
                map.atomic = relationship == "atomic";
            }
            self.schema.nodes[id.0 as usize] = node;
        }
    }

    fn map(&mut self, schema: &Value, preserve: bool) -> Map {
        let none = Json::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let required = |name: &str| {
            schema["required"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == name))
        };
        let mut fields: Vec<Field> = Vec::with_capacity(properties.len());
        for (name, member) in properties {
            fields.push(Field {
                name: name.as_str().into(),
                ty: self.member(member, preserve),
                default: member.get("default").cloned(),
                required: required(name),
                json: json_field(&member[GO]),
                via: member[GO]["via"].as_str().map(Str::from),
                patch: patch_strategy(member),
            });
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let element = match schema.get("additionalProperties") {
            None if preserve || properties.is_empty() => Some(self.deduced),
            None | Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(self.deduced),
            Some(member) => Some(self.member(member, preserve)),
        };
        Map {
            fields,
            element,
            atomic: map_type(schema).unwrap_or(false),
        }
    }

    fn list(&mut self, schema: &Value, preserve: bool) -> List {
        let element = match schema.get("items") {
            Some(items) => self.member(items, preserve),
            None => self.untyped,
        };
        let keys = || {
            let keys = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten();
            keys.filter_map(Value::as_str)
                .map(Str::from)
                .collect::<Vec<_>>()
        };
        let kind = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => ListKind::Set,
            Some("map") => ListKind::Map(keys()),
            Some(_) => ListKind::Atomic,
            None => match schema["x-kubernetes-patch-strategy"].as_str() {
                Some("merge" | "merge,retainKeys") => {
                    match schema["x-kubernetes-patch-merge-key"].as_str() {
                        Some(key) => ListKind::Map(vec![key.into()]),
                        None => ListKind::Set,
                    }
                }
                _ => ListKind::Atomic,
            },
        };
        List { kind, element }
    }
}

fn text(value: &Value, key: &str) -> Str {
    value[key].as_str().unwrap_or_default().into()
}

/// Whether the schema says that a map is atomic, if it says anything.
fn map_type(schema: &Value) -> Option<bool> {
    match schema["x-kubernetes-map-type"].as_str()? {
        "atomic" => Some(true),
        _ => Some(false),
    }
}

fn json_field(facts: &Value) -> Option<JsonField> {
    let omit = match facts["omit"].as_str()? {
        "empty" => Omit::Empty,
        "zero" => Omit::Zero,
        _ => Omit::Never,
    };
    Some(JsonField {
        pointer: facts["pointer"] == true,
        omit,
    })
}

fn patch_strategy(member: &Value) -> Option<PatchStrategy> {
    let strategy = member["x-kubernetes-patch-strategy"].as_str()?;
    let has = |word: &str| strategy.split(',').any(|part| part == word);
    Some(PatchStrategy {
        merge: has("merge"),
        retain_keys: has("retainKeys"),
        merge_key: member["x-kubernetes-patch-merge-key"]
            .as_str()
            .map(Str::from),
    })
}

/// How definitions with a form of their own are read.
fn format_of(name: &str) -> Option<Format> {
    let short = name.strip_prefix("io.k8s.apimachinery.pkg.")?;
    Some(match short {
        "api.resource.Quantity" => Format::Quantity,
        "apis.meta.v1.Time" => Format::Time,
        "apis.meta.v1.MicroTime" => Format::MicroTime,
        "apis.meta.v1.Duration" => Format::Duration,
        "util.intstr.IntOrString" => Format::IntOrString,
        "runtime.RawExtension" | "apis.meta.v1.FieldsV1" => Format::Any,
        _ => return None,
    })
}
