//! Replica counts.

use super::Specs;
use crate::fieldspec::{Create, walk};
use crate::kustomization::Replica;
use crate::node::{Node, NodeKind, Tag};
use crate::resmap::ResMap;
use crate::schema::Schema;

/// Sets the replica count of workloads of a name.
pub(crate) struct Replicas {
    pub replica: Replica,
    pub specs: Specs,
}

impl Replicas {
    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        let mut found = false;
        let count = self.replica.count.to_string();
        for at in objects.named(&self.replica.name, schema) {
            let resource = &mut objects.resources[at];
            let ids = resource.all_ids(schema);
            let gvk = resource.gvk();
            let id = resource.current_id(schema);
            for (spec, path) in self.specs.all() {
                let named = ids
                    .iter()
                    .any(|id| id.name == self.replica.name && id.gvk.is_selected(&spec.gvk));
                if !named {
                    continue;
                }
                found = true;
                if !gvk.is_selected(&spec.gvk) {
                    continue;
                }
                let create = if spec.create {
                    Create::Leaf(NodeKind::Scalar, Tag::Int)
                } else {
                    Create::No
                };
                walk(
                    &mut resource.root,
                    path,
                    create,
                    || id.clone(),
                    |node| match node {
                        Node::Scalar(scalar) => {
                            scalar.text.clone_from(&count);
                            scalar.tag = Tag::Int;
                            Ok(())
                        }
                        other => Err(super::metadata::wrong_kind("ScalarNode", other)),
                    },
                )
                .map_err(|error| error.0)?;
            }
        }
        if found {
            return Ok(());
        }
        let kinds: Vec<String> = self
            .specs
            .all()
            .map(|(spec, _)| spec.gvk.to_string())
            .collect();
        Err(format!(
            "resource with name {} does not match a config with the following GVK [{}]",
            self.replica.name,
            kinds.join(" ")
        ))
    }
}
