//! The ValueAddTransformer: writes one value into fields of selected objects.

use super::namespace::{Namespace, SubjectMode};
use crate::fieldpath;
use crate::fieldspec::Path;
use crate::node::{Node, Tag};
use crate::resmap::ResMap;
use crate::schema::Schema;
use crate::selector::Compiled;

/// Adds a value to fields, whole or as a part of a path.
pub(crate) struct ValueAdd {
    pub value: String,
    pub targets: Vec<Target>,
}

/// Where the value goes.
pub(crate) struct Target {
    pub selector: Option<Compiled>,
    pub field_path: String,
    /// 0: the field becomes the value. n: it becomes part n of the path.
    pub position: i32,
}

impl ValueAdd {
    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        for target in &self.targets {
            let selected = match &target.selector {
                Some(selector) => objects.select(selector, schema)?,
                None => (0..objects.resources.len()).collect(),
            };
            let path = Path::parse(&target.field_path);
            for at in selected {
                let resource = &mut objects.resources[at];
                if target.field_path == "metadata/namespace" {
                    let step = Namespace::new(&self.value, &[], false, SubjectMode::default());
                    step.apply(resource, schema)?;
                    continue;
                }
                let mut root = Node::Map(std::mem::take(&mut resource.root));
                let written = match fieldpath::get_or_create(&mut root, &path.texts()) {
                    Ok(Some(node)) => self.set(node, target.position),
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Node::Map(map) = root {
                    resource.root = map;
                }
                written?;
                resource.sync_shared();
            }
            objects.touch();
        }
        Ok(())
    }

    fn set(&self, node: &mut Node, position: i32) -> Result<(), String> {
        let Node::Scalar(scalar) = node else {
            return Err(super::metadata::wrong_kind("ScalarNode", node));
        };
        scalar.text = match usize::try_from(position) {
            Ok(position) if position > 0 => insert(&scalar.text, &self.value, position),
            _ => self.value.clone(),
        };
        scalar.tag = Tag::Infer;
        scalar.share.touched = true;
        Ok(())
    }
}

/// Puts a part into a path; a leading slash stays where it is.
fn insert(path: &str, value: &str, position: usize) -> String {
    let (lead, rest) = match path.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", path),
    };
    if path.is_empty() {
        return value.to_owned();
    }
    let mut parts: Vec<&str> = rest.split('/').collect();
    let at = (position - 1).min(parts.len());
    parts.insert(at, value);
    format!("{lead}{}", parts.join("/"))
}
