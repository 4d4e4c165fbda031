//! Labels and annotations.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Specs;
use crate::fieldspec::{Create, Path, walk_part};
use crate::id::Gvk;
use crate::node::{Map, Node, NodeKind, Scalar, Tag};
use crate::resmap::ResMap;
use crate::resource::{Resource, Shared};
use crate::schema::Schema;

/// Sets labels, in selectors and templates too where the specs say so.
pub(crate) struct Labels {
    pub pairs: BTreeMap<String, String>,
    pub specs: Specs,
}

/// Sets annotations.
pub(crate) struct Annotations {
    pub pairs: BTreeMap<String, String>,
    pub specs: Specs,
}

impl Labels {
    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        set_pairs(&self.pairs, &self.specs, objects, schema)
    }
}

impl Annotations {
    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        set_pairs(&self.pairs, &self.specs, objects, schema)
    }
}

fn set_pairs(
    pairs: &BTreeMap<String, String>,
    specs: &Specs,
    objects: &mut ResMap,
    schema: &Schema,
) -> Result<(), String> {
    if pairs.is_empty() {
        return Ok(());
    }
    let size: usize = pairs
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let mut by_kind: HashMap<Gvk, Arc<Vec<(bool, Path)>>> = HashMap::new();
    for resource in &mut objects.resources {
        let gvk = resource.gvk();
        let places = by_kind.entry(gvk.clone()).or_insert_with(|| {
            let places = specs.of(&gvk);
            Arc::new(
                places
                    .map(|(spec, path)| (spec.create, path.clone()))
                    .collect(),
            )
        });
        let first = resource.share_ids + 1;
        let end = first.saturating_add(u32::try_from(pairs.len()).unwrap_or(u32::MAX));
        resource.share_ids = end;
        let mut added = 0;
        let mut touched = false;
        // kustomize's own records are annotations, so that there are some.
        let borrowed = resource.has_records()
            && resource.root.map_under("metadata").is_some_and(|metadata| {
                let missing = metadata.get("annotations").is_none_or(Node::is_null);
                if missing {
                    metadata.set("annotations", Node::map());
                }
                missing
            });
        for (create, path) in places.iter() {
            let create = if *create {
                Create::Leaf(NodeKind::Map, Tag::Infer)
            } else {
                Create::No
            };
            walk_part(&mut resource.root, path, create, |node| match node {
                Node::Map(map) => {
                    objects.allowance.spend(size)?;
                    for (share, (key, value)) in (first..).zip(pairs) {
                        if key.is_empty() {
                            // Without a name it is the mapping that is set.
                            let map = Node::Map(std::mem::take(map));
                            return Err(wrong_kind("ScalarNode", &map));
                        }
                        match set_entry(map, key, value, share) {
                            Entry::Added => added += 1,
                            Entry::Changed => touched = true,
                        }
                    }
                    Ok(())
                }
                // What is set in a null leaves no trace.
                node if node.is_null() => Ok(()),
                other => Err(wrong_kind("MappingNode", other)),
            })
            .map_err(|problem| problem.of(path, &resource.current_id(schema)).0)?;
        }
        if added > 1 {
            resource.shared.push(Shared {
                first,
                end,
                places: places.clone(),
            });
        }
        if touched {
            resource.sync_shared();
        }
        if borrowed
            && let Some(metadata) = resource.root.map_under("metadata")
            && let Some(Node::Map(map)) = metadata.get("annotations")
            && map.pairs.is_empty()
        {
            metadata.remove("annotations");
        }
    }
    Ok(())
}

/// Sets one label of one object, where labels stand.
///
/// # Errors
/// The labels are no mapping.
pub(crate) fn set_label(
    resource: &mut Resource,
    key: &str,
    value: &str,
    schema: &Schema,
) -> Result<(), String> {
    let path = Path::parse("metadata/labels");
    let create = Create::Leaf(NodeKind::Map, Tag::Infer);
    walk_part(&mut resource.root, &path, create, |node| match node {
        Node::Map(map) => {
            set_entry(map, key, value, 0);
            Ok(())
        }
        other => Err(wrong_kind("MappingNode", other)),
    })
    .map_err(|problem| problem.of(&path, &resource.current_id(schema)).0)
}

/// What became of a key.
enum Entry {
    Added,
    Changed,
}

/// Sets a key to a text; quotes of an old value stay.
fn set_entry(map: &mut Map, key: &str, value: &str, share: u32) -> Entry {
    match map.get_mut(key) {
        Some(Node::Scalar(scalar)) => {
            scalar.text = value.to_owned();
            scalar.tag = Tag::Str;
            scalar.share.touched = true;
        }
        Some(slot) => *slot = Node::string(value),
        None => {
            let mut scalar = Scalar::string(value);
            scalar.share.id = share;
            let node = Node::Scalar(scalar).put_in_quotes_if_ambiguous();
            map.pairs.push((Scalar::untagged(key), node));
            return Entry::Added;
        }
    }
    Entry::Changed
}

/// kustomize's text for a node of the wrong kind.
pub(crate) fn wrong_kind(expected: &str, node: &Node) -> String {
    format!(
        "wrong node kind: expected {expected} but got {}: node contents:\n{}",
        node.kind().go_name(),
        crate::output::show(node)
    )
}
