//! An object on its way through the build, with its history.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fieldspec::{Create, Path, walk};
use crate::id::{Gvk, ResId};
use crate::node::{Map, Node, Scalar};
use crate::schema::Schema;

/// The annotations in which kustomize keeps what we keep beside the object.
const INTERNAL: &str = "internal.config.kubernetes.io/";

/// Where an object was read or generated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The file, as an absolute path; for a generated object the
    /// kustomization file.
    pub file: String,
    /// The line of the object in the file, from 1; 0 when generated.
    pub line: usize,
    /// The directory of the kustomization that brought it in.
    pub base: String,
    /// The generator that made it, as `kind name`.
    pub generator: Option<String>,
}

/// An object and what the build knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub root: Map,
    /// The ids that the object had, oldest first.
    pub previous: Vec<PreviousId>,
    pub prefixes: Vec<String>,
    pub suffixes: Vec<String>,
    pub needs_hash: bool,
    pub behavior: Behavior,
    pub helm_generated: bool,
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
    /// Variables that read this object.
    pub variables: Vec<String>,
    /// Scalars that are shown in several places.
    pub shared: Vec<Shared>,
    /// The last id that was given to one.
    pub share_ids: u32,
    pub origin: Arc<Origin>,
    /// What `buildMetadata` tells of the object, when it is asked for.
    pub notes: Notes,
}

/// A part of an earlier id; group and version are always the present ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PreviousId {
    /// The effective namespace.
    pub namespace: String,
    pub name: String,
    pub kind: String,
}

/// What a generated object does when another has its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behavior {
    #[default]
    Unspecified,
    Create,
    Merge,
    Replace,
}

impl Behavior {
    pub(crate) fn parse(text: &str) -> Behavior {
        match text {
            "create" => Behavior::Create,
            "merge" => Behavior::Merge,
            "replace" => Behavior::Replace,
            _ => Behavior::Unspecified,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Behavior::Unspecified => "unspecified",
            Behavior::Create => "create",
            Behavior::Merge => "merge",
            Behavior::Replace => "replace",
        }
    }
}

/// Labels that one step added in several places of an object.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// The id of the first of its scalars.
    pub first: u32,
    /// Behind the last id.
    pub end: u32,
    /// The mappings that may hold them.
    pub places: Arc<Vec<(bool, Path)>>,
}

/// The notes of `buildMetadata`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub origin: Option<Arc<Maker>>,
    pub transformations: Vec<Arc<Maker>>,
}

/// What made or changed an object, as the annotations tell it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Maker {
    pub path: String,
    pub repo: String,
    pub git_ref: String,
    pub configured_in: String,
    /// apiVersion, kind, name, namespace.
    pub configured_by: Option<[String; 4]>,
}

impl Resource {
    pub(crate) fn new(root: Map, origin: Arc<Origin>) -> Self {
        let mut resource = Resource {
            root,
            previous: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            needs_hash: false,
            behavior: Behavior::Unspecified,
            helm_generated: false,
            allow_name_change: false,
            allow_kind_change: false,
            variables: Vec::new(),
            shared: Vec::new(),
            share_ids: 0,
            origin,
            notes: Notes::default(),
        };
        resource.take_internal_annotations();
        resource
    }

    fn text_at(&self, key: &str) -> &str {
        self.root.get(key).and_then(Node::text).unwrap_or("")
    }

    fn metadata(&self, key: &str) -> &str {
        self.root
            .get("metadata")
            .and_then(|metadata| metadata.get(key))
            .and_then(Node::text)
            .unwrap_or("")
    }

    pub(crate) fn api_version(&self) -> &str {
        self.text_at("apiVersion")
    }

    pub(crate) fn kind(&self) -> &str {
        self.text_at("kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.metadata("name")
    }

    pub(crate) fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::from_api_version(self.api_version(), self.kind())
    }

    /// The id that the object has now.
    pub(crate) fn current_id(&self, schema: &Schema) -> ResId {
        schema.id(self.gvk(), self.name(), self.namespace())
    }

    /// The ids that the object had, oldest first.
    pub(crate) fn previous_ids<'r>(
        &'r self,
        schema: &'r Schema,
    ) -> impl DoubleEndedIterator<Item = ResId> + 'r {
        let api_version = self.api_version();
        self.previous.iter().map(move |id| {
            let gvk = Gvk::from_api_version(api_version, &id.kind);
            schema.id(gvk, &id.name, &id.namespace)
        })
    }

    /// The id that the object had at first.
    pub(crate) fn original_id(&self, schema: &Schema) -> ResId {
        self.previous_ids(schema)
            .next()
            .unwrap_or_else(|| self.current_id(schema))
    }

    /// Previous ids, oldest first, then the current one.
    pub(crate) fn all_ids(&self, schema: &Schema) -> Vec<ResId> {
        let mut ids: Vec<ResId> = self.previous_ids(schema).collect();
        ids.push(self.current_id(schema));
        ids
    }

    /// Remembers the current id among the previous ones.
    pub(crate) fn record_id(&mut self, schema: &Schema) {
        let id = self.current_id(schema);
        self.record(id);
    }

    /// As [`Self::record_id`], of an id that is known already.
    pub(crate) fn record(&mut self, id: ResId) {
        self.previous.push(PreviousId {
            namespace: id.effective_namespace().to_owned(),
            name: id.name,
            kind: id.gvk.kind,
        });
    }

    fn metadata_mut(&mut self) -> Option<&mut Map> {
        self.root.map_under("metadata")
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        if let Some(metadata) = self.metadata_mut() {
            set_text(metadata, "name", name);
        }
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = self.metadata_mut() {
            if namespace.is_empty() {
                metadata.remove("namespace");
            } else {
                set_text(metadata, "namespace", namespace);
            }
        }
    }

    pub(crate) fn set_kind(&mut self, kind: &str) {
        set_text(&mut self.root, "kind", kind);
    }

    /// Brings the scalars that are shown in several places to the text that
    /// was written last in one of them.
    pub(crate) fn sync_shared(&mut self) {
        let shared = std::mem::take(&mut self.shared);
        for of_step in &shared {
            let mut latest: BTreeMap<u32, Scalar> = BTreeMap::new();
            self.each_shared(of_step, &mut |scalar| {
                if std::mem::take(&mut scalar.share.touched) {
                    latest.insert(scalar.share.id, scalar.clone());
                }
            });
            if latest.is_empty() {
                continue;
            }
            self.each_shared(of_step, &mut |scalar| {
                if let Some(latest) = latest.get(&scalar.share.id) {
                    scalar.clone_from(latest);
                }
            });
        }
        self.shared = shared;
    }

    fn each_shared(&mut self, shared: &Shared, act: &mut dyn FnMut(&mut Scalar)) {
        for (_, path) in shared.places.iter() {
            // A place that has gone has nothing to show.
            let _ = walk(&mut self.root, path, Create::No, ResId::default, |node| {
                let scalars = node.as_map_mut().into_iter().flat_map(|map| &mut map.pairs);
                for (_, value) in scalars {
                    if let Node::Scalar(scalar) = value
                        && (shared.first..shared.end).contains(&scalar.share.id)
                    {
                        act(scalar);
                    }
                }
                Ok(())
            });
        }
    }

    /// Forgets the history, as a loss of the annotations does to kustomize.
    pub(crate) fn forget_records(&mut self) {
        self.previous.clear();
        self.prefixes.clear();
        self.suffixes.clear();
        self.needs_hash = false;
        self.behavior = Behavior::Unspecified;
        self.helm_generated = false;
        self.allow_name_change = false;
        self.allow_kind_change = false;
        self.notes = Notes::default();
    }

    /// Labels or annotations as texts, sorted; what is not text is empty. In a
    /// list, keys and values take turns.
    pub(crate) fn texts(&self, field: &str) -> BTreeMap<String, String> {
        let text = |node: &Node| node.text().unwrap_or_default().to_owned();
        let found = self
            .root
            .get("metadata")
            .and_then(|metadata| metadata.get(field));
        match found {
            Some(Node::Map(map)) => map
                .pairs
                .iter()
                .map(|(key, value)| (key.text.clone(), text(value)))
                .collect(),
            Some(Node::Seq(seq)) => seq
                .chunks_exact(2)
                .map(|pair| (text(&pair[0]), text(&pair[1])))
                .collect(),
            _ => BTreeMap::new(),
        }
    }

    /// Replaces labels or annotations; an empty set removes the field.
    pub(crate) fn set_texts(&mut self, field: &str, texts: &BTreeMap<String, String>) {
        let Some(metadata) = self.metadata_mut() else {
            return;
        };
        if texts.is_empty() {
            metadata.remove(field);
            return;
        }
        if field == "labels" && texts.contains_key("") {
            // kustomize fails to set what has no name, and does not notice.
            metadata.set(field, Node::map());
            return;
        }
        let map = Map::of(
            texts
                .iter()
                .map(|(key, value)| {
                    let value = Node::string(value).put_in_quotes_if_ambiguous();
                    (Scalar::untagged(key), value)
                })
                .collect(),
        );
        metadata.set(field, Node::Map(map));
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        let value = match self.root.get("metadata")?.get("annotations")? {
            Node::Map(map) => map.get(key)?,
            Node::Seq(seq) => &seq
                .chunks_exact(2)
                .rfind(|pair| pair[0].text() == Some(key))?[1],
            Node::Scalar(_) => return None,
        };
        Some(value.text().unwrap_or_default())
    }

    /// True when kustomize would keep notes in annotations of the object.
    pub(crate) fn has_records(&self) -> bool {
        !self.previous.is_empty()
            || !self.prefixes.is_empty()
            || !self.suffixes.is_empty()
            || self.needs_hash
            || self.behavior != Behavior::Unspecified
            || self.helm_generated
            || self.notes.origin.is_some()
    }

    /// True when nothing is left of the object.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.pairs.is_empty()
    }

    /// Honours the annotations in which kustomize keeps its history, for
    /// inputs that carry them.
    fn take_internal_annotations(&mut self) {
        let annotations = self
            .root
            .get_mut("metadata")
            .and_then(Node::as_map_mut)
            .and_then(|metadata| metadata.get_mut("annotations"))
            .and_then(Node::as_map_mut);
        let Some(annotations) = annotations else {
            return;
        };
        if !annotations
            .pairs
            .iter()
            .any(|(key, _)| key.text.starts_with(INTERNAL))
        {
            return;
        }
        let mut take = |name: &str| -> Option<String> {
            let value = annotations.remove(&format!("{INTERNAL}{name}"))?;
            Some(value.text().unwrap_or_default().to_owned())
        };
        let list = |text: Option<String>| -> Vec<String> {
            text.filter(|text| !text.is_empty())
                .map(|text| text.split(',').map(str::to_owned).collect())
                .unwrap_or_default()
        };
        let names = list(take("previousNames"));
        let namespaces = list(take("previousNamespaces"));
        let kinds = list(take("previousKinds"));
        let prefixes = list(take("prefixes"));
        let suffixes = list(take("suffixes"));
        let needs_hash = take("needsHashSuffix").is_some();
        let behavior = take("generatorBehavior");
        let allow_name_change = take("allowNameChange").as_deref() == Some("enabled");
        let allow_kind_change = take("allowKindChange").as_deref() == Some("enabled");
        let helm_generated = take("helm-generated").is_some();
        if names.len() == namespaces.len() && names.len() == kinds.len() {
            self.previous = names
                .into_iter()
                .zip(namespaces)
                .zip(kinds)
                .map(|((name, namespace), kind)| PreviousId {
                    namespace,
                    name,
                    kind,
                })
                .collect();
        }
        self.prefixes = prefixes;
        self.suffixes = suffixes;
        self.needs_hash = needs_hash;
        self.behavior = behavior.map_or(Behavior::Unspecified, |text| Behavior::parse(&text));
        self.allow_name_change = allow_name_change;
        self.allow_kind_change = allow_kind_change;
        self.helm_generated = helm_generated;
    }
}

/// Sets a field to a text whose type follows from it and from the quotes that
/// were there.
fn set_text(map: &mut Map, key: &str, text: &str) {
    match map.get_mut(key) {
        Some(Node::Scalar(scalar)) => {
            scalar.text = text.to_owned();
            scalar.tag = crate::node::Tag::Infer;
        }
        Some(slot) => *slot = Node::Scalar(Scalar::untagged(text)),
        None => map.set(key, Node::Scalar(Scalar::untagged(text))),
    }
}
