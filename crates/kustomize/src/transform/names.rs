//! Prefixes and suffixes of names.

use super::Specs;
use crate::fieldspec::{Create, walk};
use crate::id::ResId;
use crate::node::{Node, NodeKind, Tag};
use crate::resmap::ResMap;
use crate::schema::Schema;

/// Which end of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Prefix,
    Suffix,
}

/// Puts a text before or behind names.
pub(crate) struct Affix {
    pub side: Side,
    pub text: String,
    pub specs: Specs,
}

/// Kinds whose names mean something to the cluster.
fn is_skipped(id: &ResId) -> bool {
    match id.gvk.kind.as_str() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => id.gvk.group == "apiregistration.k8s.io",
        _ => false,
    }
}

impl Affix {
    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        crate::growth::check_name(&self.text, "a prefix or suffix")?;
        for resource in &mut objects.resources {
            let original = resource.original_id(schema);
            if is_skipped(&original) {
                continue;
            }
            for (spec, path) in self.specs.of(&original.gvk) {
                if spec.path == "metadata/name" && !self.text.is_empty() {
                    match self.side {
                        Side::Prefix => resource.prefixes.push(self.text.clone()),
                        Side::Suffix => resource.suffixes.push(self.text.clone()),
                    }
                    resource.record_id(schema);
                }
                if !resource.gvk().is_selected(&spec.gvk) {
                    continue;
                }
                let id = resource.current_id(schema);
                let create = if spec.create {
                    Create::Leaf(NodeKind::Scalar, Tag::Infer)
                } else {
                    Create::No
                };
                walk(
                    &mut resource.root,
                    path,
                    create,
                    || id.clone(),
                    |node| self.rewrite(node),
                )
                .map_err(|error| error.0)?;
            }
        }
        objects.touch();
        Ok(())
    }

    fn rewrite(&self, node: &mut Node) -> Result<(), String> {
        match node {
            Node::Scalar(scalar) => {
                scalar.text = match self.side {
                    Side::Prefix => format!("{}{}", self.text, scalar.text),
                    Side::Suffix => format!("{}{}", scalar.text, self.text),
                };
                scalar.tag = Tag::Infer;
                Ok(())
            }
            other => Err(super::metadata::wrong_kind("ScalarNode", other)),
        }
    }
}
