//! The namespace of objects.

use super::Specs;
use crate::fieldspec::{Create, FieldSpec, walk_part};
use crate::id::ResId;
use crate::node::{Map, Node, NodeKind, Tag};
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;

/// Which subjects of role bindings get the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SubjectMode {
    /// Those named `default`.
    #[default]
    DefaultOnly,
    /// Every ServiceAccount.
    AllServiceAccounts,
    /// None.
    None,
}

/// Puts objects into a namespace.
pub(crate) struct Namespace {
    namespace: String,
    specs: Specs,
    unset_only: bool,
    subjects: SubjectMode,
}

impl Namespace {
    pub(crate) fn new(
        namespace: &str,
        specs: &[FieldSpec],
        unset_only: bool,
        subjects: SubjectMode,
    ) -> Self {
        let specs: Vec<FieldSpec> = specs
            .iter()
            .filter(|spec| spec.path != "metadata/namespace")
            .cloned()
            .collect();
        Namespace {
            namespace: namespace.to_owned(),
            specs: Specs::new(&specs),
            unset_only,
            subjects,
        }
    }

    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        crate::growth::check_name(&self.namespace, "a namespace")?;
        // How many objects have an id; checked after each change, in which
        // the objects to come still count with their old ids.
        let mut counts = std::collections::HashMap::with_capacity(objects.resources.len());
        for resource in &objects.resources {
            *counts.entry(resource.current_id(schema).key()).or_insert(0) += 1;
        }
        for at in 0..objects.resources.len() {
            let resource = &mut objects.resources[at];
            if resource.is_empty() || resource.helm_generated {
                continue;
            }
            let id = resource.current_id(schema);
            let before = id.key();
            self.set_everywhere(resource, &id, schema)?;
            resource.record(id);
            let after = resource.current_id(schema);
            if let Some(count) = counts.get_mut(&before) {
                *count -= 1;
            }
            let count = counts.entry(after.key()).or_insert(0);
            *count += 1;
            if *count > 1 {
                let same: Vec<String> = objects
                    .resources
                    .iter()
                    .filter(|resource| resource.current_id(schema) == after)
                    .map(crate::output::json_with_records)
                    .collect();
                return Err(format!(
                    "namespace transformation produces ID conflict: [{}]",
                    same.join(" ")
                ));
            }
        }
        objects.touch();
        Ok(())
    }

    /// Sets the namespace everywhere in one object.
    pub(crate) fn apply(&self, resource: &mut Resource, schema: &Schema) -> Result<(), String> {
        let id = resource.current_id(schema);
        self.set_everywhere(resource, &id, schema)
    }

    fn set_everywhere(
        &self,
        resource: &mut Resource,
        id: &ResId,
        schema: &Schema,
    ) -> Result<(), String> {
        let gvk = &id.gvk;
        if !id.cluster_scoped {
            self.set_metadata(&mut resource.root).map_err(|problem| {
                format!("considering field 'metadata/namespace' of object {id}: {problem}")
            })?;
        }
        if matches!(gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding") {
            self.set_subjects(&mut resource.root)?;
        }
        for (spec, path) in self.specs.of(gvk) {
            // Names are namespaces only in the Namespace of the core group.
            if spec.path == "metadata/name" && resource.api_version() != "v1" {
                continue;
            }
            let create = if spec.create {
                Create::Leaf(NodeKind::Scalar, Tag::Str)
            } else {
                Create::No
            };
            if spec.path == "metadata/annotations" {
                // What kustomize records is there by now.
                let mut recorded = resource.clone();
                recorded.record(id.clone());
                let annotations = crate::output::with_records(&recorded).root;
                let annotations = annotations
                    .get("metadata")
                    .and_then(|m| m.get("annotations"));
                let problem =
                    super::metadata::wrong_kind("ScalarNode", annotations.unwrap_or(&Node::map()));
                let id = resource.current_id(schema);
                return Err(format!(
                    "namespace field specs must target scalar nodes: considering field '{}' of object {id}: {problem}",
                    spec.path
                ));
            }
            walk_part(&mut resource.root, path, create, |node| self.set(node)).map_err(
                |problem| {
                    let id = resource.current_id(schema);
                    format!(
                        "namespace transformation failed: {}",
                        problem.of(path, &id).0
                    )
                },
            )?;
        }
        Ok(())
    }

    fn set(&self, node: &mut Node) -> Result<(), String> {
        match node {
            Node::Scalar(scalar) => {
                if self.unset_only && !scalar.is_null() && !scalar.text.is_empty() {
                    return Ok(());
                }
                scalar.text.clone_from(&self.namespace);
                scalar.tag = Tag::Str;
                Ok(())
            }
            other => Err(super::metadata::wrong_kind("ScalarNode", other)),
        }
    }

    fn set_metadata(&self, root: &mut Map) -> Result<(), String> {
        let Some(metadata) = root.map_under("metadata") else {
            return Ok(());
        };
        match metadata.get_mut("namespace") {
            Some(node) => self.set(node),
            None => {
                metadata.set("namespace", Node::string(&self.namespace));
                Ok(())
            }
        }
    }

    fn set_subjects(&self, root: &mut Map) -> Result<(), String> {
        let wanted = match self.subjects {
            SubjectMode::None => return Ok(()),
            SubjectMode::DefaultOnly => ("name", "default"),
            SubjectMode::AllServiceAccounts => ("kind", "ServiceAccount"),
        };
        let Some(Node::Seq(subjects)) = root.get_mut("subjects") else {
            return Ok(());
        };
        for subject in subjects.iter_mut() {
            let Node::Map(subject) = subject else {
                continue;
            };
            if subject.get(wanted.0).and_then(Node::text) != Some(wanted.1) {
                continue;
            }
            match subject.get_mut("namespace") {
                Some(node) => self.set(node)?,
                None => subject.set("namespace", Node::string(&self.namespace)),
            }
        }
        Ok(())
    }
}
