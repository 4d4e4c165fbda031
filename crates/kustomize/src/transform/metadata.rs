//! Labels and annotations.

use std::collections::BTreeMap;

use super::Specs;
use crate::fieldspec::{Create, walk};
use crate::node::{Map, Node, NodeKind, Scalar, Tag};
use crate::resmap::ResMap;
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
    for resource in &mut objects.resources {
        let gvk = resource.gvk();
        let id = {
            let resource = &*resource;
            let id = resource.current_id(schema);
            move || id.clone()
        };
        for (spec, path) in specs.of(&gvk) {
            let create = if spec.create {
                Create::Leaf(NodeKind::Map, Tag::Infer)
            } else {
                Create::No
            };
            walk(&mut resource.root, path, create, &id, |node| match node {
                Node::Map(map) => {
                    pairs
                        .iter()
                        .for_each(|(key, value)| set_entry(map, key, value));
                    Ok(())
                }
                other => Err(wrong_kind("MappingNode", other)),
            })
            .map_err(|error| error.0)?;
        }
    }
    Ok(())
}

/// Sets a key to a text; quotes of an old value stay.
pub(crate) fn set_entry(map: &mut Map, key: &str, value: &str) {
    match map.get_mut(key) {
        Some(Node::Scalar(scalar)) => {
            scalar.text = value.to_owned();
            scalar.tag = Tag::Str;
        }
        Some(slot) => *slot = Node::string(value),
        None => map.pairs.push((Scalar::untagged(key), Node::string(value))),
    }
}

/// kustomize's text for a node of the wrong kind.
pub(crate) fn wrong_kind(expected: &str, node: &Node) -> String {
    format!(
        "wrong node kind: expected {expected} but got {}: node contents:\n{}",
        node.kind().go_name(),
        crate::output::show(node)
    )
}
