//! Structural types: what a field may hold, how lists and maps are merged, and how the server reads and writes it.
//!
//! A [`Schema`] is an arena of [`Node`]s. The built-in one ([`crate::tables::builtin`]) is made from the OpenAPI
//! documents of a real server; those of custom resources are made from their definitions by [`build`]. The merge
//! side of a node (scalar, list, map) is what the server derives for server-side apply; the `format` and the
//! `json` facts of fields are how the server's own types read and write JSON, and are absent for custom resources.

pub mod build;
mod codec;

use std::sync::Arc;

use serde_json::Value;

use crate::gvk::GroupVersionKind;

pub use codec::DecodeError;

/// A shared string: names occur often.
pub type Str = Arc<str>;

/// Names a node of one schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u32);

/// What server-side apply accepts as a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// An integer or a float.
    Numeric,
    /// A string.
    String,
    /// A boolean.
    Boolean,
    /// Any scalar.
    Untyped,
}

/// Who owns what of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// The list is replaced as a whole.
    Atomic,
    /// A set of scalars: each item has its owners.
    Set,
    /// Items are objects, each known by these fields.
    Map(Vec<Str>),
}

/// The list side of a type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct List {
    /// How it is merged.
    pub kind: ListKind,
    /// The type of its items.
    pub element: TypeId,
}

/// The map side of a type: a struct, a map, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Named fields, by name.
    pub fields: Vec<Field>,
    /// The type of other keys; None where there may be none.
    pub element: Option<TypeId>,
    /// Whether it is replaced as a whole.
    pub atomic: bool,
}

impl Map {
    /// The named field.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields
            .binary_search_by(|field| (*field.name).cmp(name))
            .ok()
            .map(|at| &self.fields[at])
    }

    /// The type of what lies under `key`, if anything may.
    pub fn type_of(&self, key: &str) -> Option<TypeId> {
        self.field(key).map(|field| field.ty).or(self.element)
    }
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in JSON.
    pub name: Str,
    /// Its type.
    pub ty: TypeId,
    /// The published default; what associative list keys are completed with.
    pub default: Option<Value>,
    /// Whether the published schema requires it.
    pub required: bool,
    /// How the server's own type writes it; None in custom resources.
    pub json: Option<JsonField>,
    /// The embedded structs through which Go reaches it, such as `VolumeSource`: decode errors name them.
    pub via: Option<Str>,
    /// How strategic merge patches treat it; None for the default of its type.
    pub patch: Option<PatchStrategy>,
}

/// How a Go struct field is written to JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JsonField {
    /// Whether it is a pointer: a zero value that is present stays.
    pub pointer: bool,
    /// When it is left out.
    pub omit: Omit,
}

/// When a field is left out of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Omit {
    /// Never: absent values are written as zero or null.
    Never,
    /// If it is false, zero, null, or an empty string, list or map; structs are always written.
    Empty,
    /// If it is zero; a struct is zero if all its fields are.
    Zero,
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PatchStrategy {
    /// Lists are merged, not replaced.
    pub merge: bool,
    /// `$retainKeys` may be used.
    pub retain_keys: bool,
    /// The field that names the items of a merged list of objects.
    pub merge_key: Option<Str>,
}

/// How the server reads a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Any JSON value, kept as it is.
    Any,
    /// A boolean.
    Bool,
    /// A 32-bit signed integer.
    Int32,
    /// A 64-bit signed integer.
    Int64,
    /// A 64-bit float.
    Float64,
    /// A string.
    String,
    /// Bytes as base64.
    Bytes,
    /// A time in seconds.
    Time,
    /// A time in microseconds.
    MicroTime,
    /// A Go duration.
    Duration,
    /// A resource quantity.
    Quantity,
    /// An integer or a string.
    IntOrString,
    /// A list.
    List,
    /// A map with free keys.
    Map,
    /// A struct.
    Struct,
}

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The Go type as decode errors print it, such as `[]v1.Container`; empty in custom resources.
    pub go: Str,
    /// How the server reads it.
    pub format: Format,
    /// Scalars that it accepts.
    pub scalar: Option<Scalar>,
    /// Lists that it accepts.
    pub list: Option<List>,
    /// Maps that it accepts.
    pub map: Option<Map>,
}

impl Node {
    /// The struct name without its package: `PodSpec` of `v1.PodSpec`.
    pub fn struct_name(&self) -> &str {
        self.go.rsplit_once('.').map_or(&self.go, |(_, name)| name)
    }
}

/// An arena of types with the kinds that they describe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    nodes: Vec<Node>,
    /// Sorted.
    kinds: Vec<(GroupVersionKind, TypeId)>,
    /// Definition names, sorted.
    names: Vec<(Str, TypeId)>,
}

impl Schema {
    /// The node of an identifier of this schema.
    pub fn node(&self, id: TypeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The type of a kind.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<TypeId> {
        let key = |gvk: &GroupVersionKind| {
            (gvk.group.as_str(), gvk.version.as_str(), gvk.kind.as_str())
                .cmp(&(group, version, kind))
        };
        self.kinds
            .binary_search_by(|(gvk, _)| key(gvk))
            .ok()
            .map(|at| self.kinds[at].1)
    }

    /// All kinds with their types.
    pub fn kinds(&self) -> impl Iterator<Item = (&GroupVersionKind, TypeId)> {
        self.kinds.iter().map(|(gvk, id)| (gvk, *id))
    }

    /// The type of an OpenAPI definition, such as `io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta`.
    pub fn definition(&self, name: &str) -> Option<TypeId> {
        self.names
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()
            .map(|at| self.names[at].1)
    }

    /// Whether a type is that of values which nothing describes.
    pub fn is_deduced(&self, id: TypeId) -> bool {
        let node = self.node(id);
        node.scalar.is_some()
            && node
                .map
                .as_ref()
                .is_some_and(|map| map.fields.is_empty() && map.element == Some(id))
            && !node.map.as_ref().is_some_and(|map| map.atomic)
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no types.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The type reached from `id` by field names; list items and map values by any name.
    pub fn at(&self, id: TypeId, path: &[&str]) -> Option<TypeId> {
        path.iter().try_fold(id, |id, name| {
            let node = self.node(id);
            match (&node.map, &node.list) {
                (Some(map), _) => map.type_of(name),
                (None, Some(list)) => Some(list.element),
                (None, None) => None,
            }
        })
    }
}
