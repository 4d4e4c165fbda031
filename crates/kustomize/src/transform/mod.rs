//! The built-in transformations of a layer.
//!
//! Each is configured first, which reads its files, and runs later; a layer
//! configures all of its transformations before the first one runs.

mod images;
mod metadata;
mod names;
mod namespace;
mod patch;
mod replicas;
mod value_add;

pub(crate) use images::Images;
pub(crate) use metadata::{Annotations, Labels, set_label};
pub(crate) use names::{Affix, Side};
pub(crate) use namespace::{Namespace, SubjectMode};
pub(crate) use patch::{JsonPatch, Patch, StrategicMerge};
pub(crate) use replicas::Replicas;
pub(crate) use value_add::{Target as ValueAddTarget, ValueAdd};

use crate::fieldspec::{FieldSpec, Path};
use crate::id::Gvk;
use crate::replacement::Replacement;
use crate::resmap::ResMap;
use crate::schema::Schema;

/// A configured transformation.
pub(crate) enum Transformer {
    StrategicMerge(StrategicMerge),
    Patch(Box<Patch>),
    Namespace(Namespace),
    Affix(Affix),
    Labels(Labels),
    Annotations(Annotations),
    JsonPatch(JsonPatch),
    Replicas(Replicas),
    Images(Images),
    Replacements(Vec<Replacement>),
    Hash,
    ValueAdd(ValueAdd),
}

impl Transformer {
    /// kustomize's name of the plugin.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Transformer::StrategicMerge(_) => "PatchStrategicMergeTransformer",
            Transformer::Patch(_) => "PatchTransformer",
            Transformer::Namespace(_) => "NamespaceTransformer",
            Transformer::Affix(affix) => match affix.side {
                Side::Prefix => "PrefixTransformer",
                Side::Suffix => "SuffixTransformer",
            },
            Transformer::Labels(_) => "LabelTransformer",
            Transformer::Annotations(_) => "AnnotationsTransformer",
            Transformer::JsonPatch(_) => "PatchJson6902Transformer",
            Transformer::Replicas(_) => "ReplicaCountTransformer",
            Transformer::Images(_) => "ImageTagTransformer",
            Transformer::Replacements(_) => "ReplacementTransformer",
            Transformer::Hash => "HashTransformer",
            Transformer::ValueAdd(_) => "ValueAddTransformer",
        }
    }

    /// Runs over the objects of the layer.
    ///
    /// # Errors
    /// kustomize's text.
    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        match self {
            Transformer::StrategicMerge(it) => it.run(objects, schema),
            Transformer::Patch(it) => it.run(objects, schema),
            Transformer::Namespace(it) => it.run(objects, schema),
            Transformer::Affix(it) => it.run(objects, schema),
            Transformer::Labels(it) => it.run(objects, schema),
            Transformer::Annotations(it) => it.run(objects, schema),
            Transformer::JsonPatch(it) => it.run(objects, schema),
            Transformer::Replicas(it) => it.run(objects, schema),
            Transformer::Images(it) => it.run(objects, schema),
            Transformer::Replacements(list) => list
                .iter()
                .try_for_each(|replacement| replacement.run(objects, schema)),
            Transformer::Hash => crate::hash::run(objects, schema),
            Transformer::ValueAdd(it) => it.run(objects, schema),
        }
    }
}

/// Field specs with their paths split, by the kind that they are for.
#[derive(Debug, Clone)]
pub(crate) struct Specs(Vec<(FieldSpec, Path)>);

impl Specs {
    pub(crate) fn new(specs: &[FieldSpec]) -> Self {
        Specs(
            specs
                .iter()
                .map(|spec| (spec.clone(), Path::parse(&spec.path)))
                .collect(),
        )
    }

    /// The specs for objects of a kind.
    pub(crate) fn of<'s>(&'s self, gvk: &'s Gvk) -> impl Iterator<Item = &'s (FieldSpec, Path)> {
        self.0.iter().filter(|(spec, _)| gvk.is_selected(&spec.gvk))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &(FieldSpec, Path)> {
        self.0.iter()
    }
}
