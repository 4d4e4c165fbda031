//! Fields of objects by path, and lists of them.

use crate::id::{Gvk, ResId};
use crate::node::{Map, Node, NodeKind, Scalar, Share, Tag};
use sluice_yaml::ScalarStyle;

/// A field of the objects that a GVK selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    pub gvk: Gvk,
    pub path: String,
    pub create: bool,
}

impl FieldSpec {
    pub(crate) fn any(path: &str, create: bool) -> Self {
        FieldSpec {
            gvk: Gvk::default(),
            path: path.to_owned(),
            create,
        }
    }

    fn matches_path(&self, other: &FieldSpec) -> bool {
        self.path == other.path && self.gvk.is_selected(&other.gvk)
    }
}

impl From<&crate::kustomization::FieldSpec> for FieldSpec {
    fn from(spec: &crate::kustomization::FieldSpec) -> Self {
        FieldSpec {
            gvk: Gvk {
                group: spec.group.clone(),
                version: spec.version.clone(),
                kind: spec.kind.clone(),
            },
            path: spec.path.clone(),
            create: spec.create,
        }
    }
}

/// Adds a spec: one that the list covers already is dropped.
///
/// # Errors
/// The list has the field with another `create`.
pub(crate) fn merge_one(list: &mut Vec<FieldSpec>, spec: &FieldSpec) -> Result<(), String> {
    match list.iter().find(|known| known.matches_path(spec)) {
        Some(known) if known.create != spec.create => Err("conflicting fieldspecs".to_owned()),
        Some(_) => Ok(()),
        None => {
            list.push(spec.clone());
            Ok(())
        }
    }
}

/// Adds every spec.
///
/// # Errors
/// As [`merge_one`].
pub(crate) fn merge_all(list: &mut Vec<FieldSpec>, specs: &[FieldSpec]) -> Result<(), String> {
    specs.iter().try_for_each(|spec| merge_one(list, spec))
}

/// A path that is split once and walked often.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    /// As it is written.
    text: String,
    name: String,
    /// Written with `[]`: never created.
    list: bool,
}

impl Path {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut current = String::new();
        let mut chars = text.strip_prefix('/').unwrap_or(text).chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&'/') => {
                    chars.next();
                    current.push('/');
                }
                '/' => parts.push(std::mem::take(&mut current)),
                c => current.push(c),
            }
        }
        parts.push(current);
        Path {
            text: text.to_owned(),
            parts: parts
                .into_iter()
                .map(|text| {
                    let stem = text.strip_suffix("[]");
                    Part {
                        name: stem.unwrap_or(&text).to_owned(),
                        list: stem.is_some(),
                        text,
                    }
                })
                .collect(),
        }
    }

    /// The parts, as they are written.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.parts.iter().map(|part| part.text.as_str()).collect()
    }
}

/// Whether a walk makes what is missing, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Create {
    No,
    /// The leaf becomes a node of this kind.
    Leaf(NodeKind, Tag),
}

/// A walk failed at some node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WalkError(pub String);

/// Calls `leaf` on every node that the path leads to.
///
/// # Errors
/// A scalar before the path ends, or what `leaf` says; both name the object.
pub(crate) fn walk(
    root: &mut Map,
    path: &Path,
    create: Create,
    id: impl Fn() -> ResId,
    leaf: impl FnMut(&mut Node) -> Result<(), String>,
) -> Result<(), WalkError> {
    walk_part(root, path, create, leaf).map_err(|problem| problem.of(path, &id()))
}

/// What went wrong on a walk, without the object that it was in.
#[derive(Debug)]
pub(crate) struct Problem(String);

impl Problem {
    /// The error, once the object is known.
    pub(crate) fn of(&self, path: &Path, id: &ResId) -> WalkError {
        WalkError(format!(
            "considering field '{}' of object {id}: {}",
            path.text, self.0
        ))
    }
}

/// As [`walk`], for a caller that finds out the object's id only after an
/// error: ids are costly.
///
/// # Errors
/// As [`walk`].
pub(crate) fn walk_part(
    root: &mut Map,
    path: &Path,
    create: Create,
    mut leaf: impl FnMut(&mut Node) -> Result<(), String>,
) -> Result<(), Problem> {
    walk_map(root, &path.parts, create, &mut leaf).map_err(Problem)
}

type Leaf<'l> = dyn FnMut(&mut Node) -> Result<(), String> + 'l;

fn walk_node(
    node: &mut Node,
    parts: &[Part],
    create: Create,
    leaf: &mut Leaf<'_>,
) -> Result<(), String> {
    if parts.is_empty() {
        return leaf(node);
    }
    match node {
        Node::Seq(items) => items
            .iter_mut()
            .try_for_each(|item| walk_node(item, parts, create, leaf))
            .map_err(|problem| {
                let path: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
                format!("visit traversal on path: [{}]: {problem}", path.join(" "))
            }),
        Node::Map(map) => walk_map(map, parts, create, leaf),
        Node::Scalar(scalar) if scalar.is_null() => Ok(()),
        Node::Scalar(_) => Err("expected sequence or mapping node".to_owned()),
    }
}

fn walk_map(
    map: &mut Map,
    parts: &[Part],
    create: Create,
    leaf: &mut Leaf<'_>,
) -> Result<(), String> {
    let (part, rest) = match parts {
        [] => return Ok(()),
        [part, rest @ ..] => (part, rest),
    };
    // A part with `[]` is not created, but a null there becomes a list.
    let slot = map.get_mut(&part.name);
    let is_missing = slot.as_ref().is_none_or(|node| node.is_null());
    if part.list
        && let Some(node) = slot
        && is_missing
    {
        *node = Node::seq(Vec::new());
        return Ok(());
    }
    let slot = map.get_mut(&part.name);
    match (slot, create) {
        (Some(node), _) if !is_missing => walk_node(node, rest, create, leaf),
        (Some(node), Create::No) if rest.is_empty() => leaf(node),
        (None, _) if part.name.is_empty() => {
            Err("cannot set or create an empty field name".to_owned())
        }
        (_, Create::No) => Ok(()),
        (None, _) if part.list => Ok(()),
        (slot, Create::Leaf(kind, tag)) => {
            let kind = if rest.is_empty() { kind } else { NodeKind::Map };
            let fresh = fresh(kind, tag);
            match slot {
                Some(node) => {
                    *node = match (node.text(), fresh) {
                        // A null that is spelled out keeps its letters.
                        (Some(text), Node::Scalar(scalar)) => Node::Scalar(Scalar {
                            text: text.to_owned(),
                            ..scalar
                        }),
                        (_, fresh) => fresh,
                    };
                    walk_node(node, rest, create, leaf)
                }
                None => {
                    map.pairs.push((Scalar::untagged(&part.name), fresh));
                    let at = map.pairs.len() - 1;
                    walk_node(&mut map.pairs[at].1, rest, create, leaf)
                }
            }
        }
    }
}

/// An empty node of a kind.
pub(crate) fn fresh(kind: NodeKind, tag: Tag) -> Node {
    match kind {
        NodeKind::Map => Node::map(),
        NodeKind::Seq => Node::seq(Vec::new()),
        NodeKind::Scalar => Node::Scalar(Scalar {
            text: String::new(),
            tag,
            style: ScalarStyle::Plain,
            comments: None,
            share: Share::default(),
        }),
    }
}
