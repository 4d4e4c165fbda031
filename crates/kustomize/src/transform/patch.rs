//! Patches: strategic merge and JSON.

use crate::growth::{Allowance, weight_of_map};
use crate::id::ResId;
use crate::jsonpatch::{self, Operation};
use crate::kustomization;
use crate::loader::Loader;
use crate::merge::merge_object;
use crate::node::{Map, Node, Scalar, Tag};
use crate::read;
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;
use crate::selector::Compiled;
use sluice_yaml::Limits;

/// A strategic-merge patch.
pub(crate) struct MergePatch {
    root: Map,
    allow_name_change: bool,
    allow_kind_change: bool,
}

impl MergePatch {
    fn id(&self, schema: &Schema) -> ResId {
        let text = |key: &str| self.root.get(key).and_then(Node::text).unwrap_or("");
        let metadata = |key: &str| {
            self.root
                .get("metadata")
                .and_then(|metadata| metadata.get(key))
                .and_then(Node::text)
                .unwrap_or("")
        };
        let gvk = crate::id::Gvk::from_api_version(text("apiVersion"), text("kind"));
        schema.id(gvk, metadata("name"), metadata("namespace"))
    }

    /// Patches one object, of which nothing may be left.
    fn apply_at(&self, at: usize, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        objects.allowance.spend(weight_of_map(&self.root))?;
        let before = objects.resources[at].current_id(schema);
        self.apply_root(&self.root, &mut objects.resources[at], schema)?;
        if self.may_rename() {
            objects.touch();
        }
        objects.changed(at, &before, schema);
        Ok(())
    }

    /// Patches an object whatever id the patch has.
    fn apply_to_any(&self, resource: &mut Resource, schema: &Schema) -> Result<(), String> {
        let mut root = with_texts(self.root.clone());
        let blank = match resource.root.get("apiVersion") {
            Some(Node::Scalar(scalar)) => {
                scalar.is_null() || (scalar.is_plain() && scalar.text.is_empty())
            }
            other => other.is_none(),
        };
        if blank {
            root.remove("apiVersion");
        } else {
            let own = Node::Scalar(Scalar::untagged(resource.api_version()));
            root.set("apiVersion", own);
        }
        self.apply_root(&root, resource, schema)?;
        if blank && !resource.is_empty() {
            let null = Node::Scalar(Scalar::plain("null"));
            resource.root.set("apiVersion", null);
        }
        Ok(())
    }

    fn apply_root(
        &self,
        root: &Map,
        resource: &mut Resource,
        schema: &Schema,
    ) -> Result<(), String> {
        let name = resource.name().to_owned();
        let namespace = resource.namespace().to_owned();
        let kind = resource.kind().to_owned();
        if self.allow_name_change || self.allow_kind_change {
            resource.record_id(schema);
        }
        let base = std::mem::take(&mut resource.root);
        match merge_object(base, root, schema)? {
            None => {
                resource.root = Map::default();
                return Ok(());
            }
            Some(merged) => resource.root = merged,
        }
        resource.sync_shared();
        if wipes_annotations(root) {
            resource.forget_records();
        }
        if !self.allow_kind_change {
            resource.set_kind(&kind);
            // The version is written anew with the kind.
            if let Some(Node::Scalar(version)) = resource.root.get_mut("apiVersion") {
                version.tag = Tag::Infer;
            }
        }
        if !self.allow_name_change {
            resource.set_name(&name);
        }
        resource.set_namespace(&namespace);
        Ok(())
    }

    /// True when objects may have other ids afterwards.
    fn may_rename(&self) -> bool {
        self.allow_name_change || self.allow_kind_change || wipes_annotations(&self.root)
    }
}

/// True for a patch that leaves nothing of the annotations, among which
/// kustomize keeps what it knows of an object.
fn wipes_annotations(root: &Map) -> bool {
    let wipes = |node: &Node| {
        let directive = node.get(crate::merge::PATCH).and_then(Node::text);
        matches!(directive, Some("delete" | "replace"))
    };
    root.get("metadata").is_some_and(|metadata| {
        wipes(metadata)
            || metadata
                .get("annotations")
                .is_some_and(|annotations| annotations.is_null() || wipes(annotations))
    })
}

fn read_patches(text: &str, limits: &Limits) -> Result<Vec<MergePatch>, String> {
    let found = read::read(text, limits).map_err(|error| error.message(""))?;
    Ok(found
        .into_iter()
        .map(|found| {
            let resource = Resource::new(found.root, std::sync::Arc::default());
            MergePatch {
                allow_name_change: resource.allow_name_change,
                allow_kind_change: resource.allow_kind_change,
                root: resource.root,
            }
        })
        .collect())
}

/// A patch whose labels and annotations are written anew, as texts: a null
/// among them does not delete there.
fn with_texts(root: Map) -> Map {
    let mut patch = Resource::new(root, std::sync::Arc::default());
    for field in ["labels", "annotations"] {
        let texts = patch.texts(field);
        patch.set_texts(field, &texts);
    }
    patch.root
}

/// The whole of `patchesStrategicMerge`.
pub(crate) struct StrategicMerge {
    patches: Vec<MergePatch>,
}

impl StrategicMerge {
    /// Reads patches that are given as paths or as YAML.
    ///
    /// # Errors
    /// A file is missing or holds no patch.
    pub(crate) fn new(
        entries: &[String],
        inline: &str,
        loader: &Loader<'_>,
        limits: &Limits,
    ) -> Result<Self, String> {
        if entries.is_empty() && inline.is_empty() {
            return Err("empty file path and empty patch content".to_owned());
        }
        let mut patches = Vec::new();
        for entry in entries {
            if let Ok(read) = read_patches(entry, limits) {
                patches.extend(read);
                continue;
            }
            let content = loader
                .load(entry)
                .map_err(|error| error.text().to_owned())?;
            let text = sluice_yaml::decode(&content).map_err(|error| error.to_string())?;
            let found = read::read(&text, limits).map_err(|error| error.message(entry))?;
            patches.extend(found.into_iter().map(|found| MergePatch {
                root: found.root,
                allow_name_change: false,
                allow_kind_change: false,
            }));
        }
        if !inline.is_empty() {
            patches.extend(read_patches(inline, limits)?);
        }
        if patches.is_empty() {
            return Err(format!(
                "patch appears to be empty; files=[{}], Patch={inline}",
                entries.join(" ")
            ));
        }
        for patch in &mut patches {
            patch.root = with_texts(std::mem::take(&mut patch.root));
        }
        Ok(StrategicMerge { patches })
    }

    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        for patch in &self.patches {
            let at = objects.by_id(&patch.id(schema), schema)?;
            patch.apply_at(at, objects, schema)?;
        }
        Ok(())
    }
}

/// One entry of `patches`.
pub(crate) struct Patch {
    source: String,
    target: Option<Target>,
    body: Body,
}

/// A selector that complains only when it is used.
struct Target {
    selector: Result<Compiled, String>,
    shown: String,
}

impl Target {
    fn new(selector: &kustomization::Selector) -> Self {
        Target {
            selector: Compiled::new(selector),
            shown: crate::selector::show(selector),
        }
    }

    /// The objects that it selects.
    fn select(&self, objects: &mut ResMap, schema: &Schema) -> Result<Vec<usize>, String> {
        let selector = self.selector.as_ref().map_err(Clone::clone)?;
        objects.select(selector, schema)
    }

    /// As [`Target::select`], for a merge, which says what it looked for.
    fn find(&self, objects: &mut ResMap, schema: &Schema) -> Result<Vec<usize>, String> {
        self.select(objects, schema).map_err(|error| {
            format!(
                "unable to find patch target {} in `resources`: {error}",
                crate::output::go_quote(&self.shown)
            )
        })
    }
}

enum Body {
    Merge(Vec<MergePatch>),
    Json(Vec<Operation>),
}

impl Patch {
    /// Reads the patch of an entry.
    ///
    /// # Errors
    /// kustomize's texts, without the mention of the plugin.
    pub(crate) fn new(
        args: &kustomization::Patch,
        config: &str,
        loader: &Loader<'_>,
        limits: &Limits,
    ) -> Result<Self, String> {
        let inline = args.patch.trim();
        let text;
        let source;
        match (inline.is_empty(), args.path.is_empty()) {
            (true, true) => {
                return Err(format!("must specify one of patch and path in\n{config}"));
            }
            (false, false) => {
                return Err(format!(
                    "patch and path can't be set at the same time\n{config}"
                ));
            }
            (false, true) => {
                text = inline.to_owned();
                source = format!("[patch: {}]", crate::output::go_quote(inline));
            }
            (true, false) => {
                let content = loader.load(&args.path).map_err(|error| {
                    format!(
                        "failed to get the patch file from path({}): {}",
                        args.path,
                        error.text()
                    )
                })?;
                text = sluice_yaml::decode(&content)
                    .map_err(|error| error.to_string())?
                    .into_owned();
                source = format!("[path: {}]", crate::output::go_quote(&args.path));
            }
        }
        let merge = read_patches(&text, limits);
        let json = jsonpatch::parse(&text, limits);
        let body = match (merge, json) {
            (Ok(merge), Ok(json)) if !merge.is_empty() && !json.is_empty() => {
                return Err(format!(
                    "illegally qualifies as both an SM and JSON patch: {source}"
                ));
            }
            (Ok(mut merge), _) => {
                if let Some(options) = &args.options {
                    for patch in &mut merge {
                        patch.allow_name_change |= options.allow_name_change;
                        patch.allow_kind_change |= options.allow_kind_change;
                    }
                }
                Body::Merge(merge)
            }
            (Err(_), Ok(json)) => Body::Json(json),
            (Err(_), Err(_)) => {
                return Err(format!("unable to parse SM or JSON patch from {source}"));
            }
        };
        Ok(Patch {
            source,
            target: args.target.as_ref().map(Target::new),
            body,
        })
    }

    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        match (&self.body, &self.target) {
            (Body::Merge(patches), _) if patches.is_empty() => Ok(()),
            (Body::Merge(patches), Some(target)) => {
                let [patch] = patches.as_slice() else {
                    return Err(format!(
                        "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set `patches.target` field: {}",
                        self.source
                    ));
                };
                merge_selected(patch, target, objects, schema)
            }
            (Body::Merge(patches), None) => merge_by_id(patches, objects, schema),
            (Body::Json(operations), _) if operations.is_empty() => Ok(()),
            (Body::Json(_), None) => Err(format!(
                "must specify a target for JSON patch {}",
                self.source
            )),
            (Body::Json(operations), Some(target)) => {
                patch_selected(operations, target, objects, schema)
            }
        }
    }
}

fn merge_selected(
    patch: &MergePatch,
    target: &Target,
    objects: &mut ResMap,
    schema: &Schema,
) -> Result<(), String> {
    let selected = target.find(objects, schema)?;
    if selected.is_empty() {
        return Ok(());
    }
    let size = weight_of_map(&patch.root);
    for at in selected {
        objects.allowance.spend(size)?;
        let before = objects.resources[at].current_id(schema);
        patch.apply_to_any(&mut objects.resources[at], schema)?;
        objects.changed(at, &before, schema);
    }
    objects.drop_empty();
    if patch.may_rename() {
        objects.check_unique(schema)?;
    }
    Ok(())
}

fn merge_by_id(
    patches: &[MergePatch],
    objects: &mut ResMap,
    schema: &Schema,
) -> Result<(), String> {
    for patch in patches {
        let id = patch.id(schema);
        let at = objects.by_id(&id, schema).map_err(|error| {
            format!("no resource matches strategic merge patch \"{id}\": {error}")
        })?;
        patch.apply_at(at, objects, schema)?;
    }
    Ok(())
}

fn patch_selected(
    operations: &[Operation],
    target: &Target,
    objects: &mut ResMap,
    schema: &Schema,
) -> Result<(), String> {
    for at in target.select(objects, schema)? {
        let resource = &mut objects.resources[at];
        resource.record_id(schema);
        let before = resource.current_id(schema);
        apply_json(operations, resource, &mut objects.allowance)?;
        objects.changed(at, &before, schema);
    }
    Ok(())
}

fn apply_json(
    operations: &[Operation],
    resource: &mut Resource,
    allowance: &mut Allowance,
) -> Result<(), String> {
    // What is recorded of an object are annotations to kustomize, so that
    // there is a map for the patch to add to.
    if resource.has_records()
        && let Some(metadata) = resource.root.map_under("metadata")
    {
        metadata.map_under("annotations");
    }
    let root = std::mem::take(&mut resource.root);
    let mut value = Node::Map(root).to_json()?;
    jsonpatch::lose_precision(&mut value);
    jsonpatch::apply(&mut value, operations, allowance)?;
    jsonpatch::lose_precision(&mut value);
    if jsonpatch::replaces_annotations(operations) {
        resource.notes = Default::default();
    }
    match Node::from_json(&value) {
        Node::Map(root) => {
            // Nothing can be put back where there is no metadata.
            if root.get("metadata").is_some_and(Node::is_null) {
                resource.forget_records();
            }
            resource.root = root;
            // With the records, kustomize writes all annotations anew.
            let texts = resource.texts("annotations");
            if !texts.is_empty() {
                resource.set_texts("annotations", &texts);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// One entry of `patchesJson6902`.
pub(crate) struct JsonPatch {
    target: Target,
    operations: Vec<Operation>,
}

impl JsonPatch {
    /// Reads the patch of an entry.
    ///
    /// # Errors
    /// kustomize's texts, without the mention of the plugin.
    pub(crate) fn new(
        args: &kustomization::Patch,
        loader: &Loader<'_>,
        limits: &Limits,
    ) -> Result<Self, String> {
        let Some(target) = args
            .target
            .as_ref()
            .filter(|target| !target.name.is_empty())
        else {
            return Err("must specify the target name".to_owned());
        };
        let text = match (args.path.is_empty(), args.patch.is_empty()) {
            (true, true) => return Err("empty file path and empty jsonOp".to_owned()),
            (false, false) => {
                return Err("must specify a file path or jsonOp, not both".to_owned());
            }
            (true, false) => args.patch.clone(),
            (false, true) => {
                let content = loader
                    .load(&args.path)
                    .map_err(|error| error.text().to_owned())?;
                let text = sluice_yaml::decode(&content)
                    .map_err(|error| error.to_string())?
                    .into_owned();
                if text.is_empty() {
                    return Err(format!("patch file is empty: {}", args.path));
                }
                text
            }
        };
        let operations = jsonpatch::parse(&text, limits).map_err(|error| {
            // YAML that cannot become JSON is told without its text.
            if !text.starts_with('[') && as_json(&text, limits).is_none() {
                return error;
            }
            let shown = match text.starts_with('[') {
                true => text.clone(),
                false => as_json(&text, limits).unwrap_or_default(),
            };
            format!("decoding {shown}: {error}")
        })?;
        if operations.is_empty() {
            return Err(format!(
                "patch appears to be empty; file={}, JsonOp={}",
                args.path, text
            ));
        }
        Ok(JsonPatch {
            target: Target::new(target),
            operations,
        })
    }

    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        for at in self.target.select(objects, schema)? {
            let before = objects.resources[at].current_id(schema);
            apply_json(
                &self.operations,
                &mut objects.resources[at],
                &mut objects.allowance,
            )?;
            objects.changed(at, &before, schema);
        }
        Ok(())
    }
}

fn as_json(text: &str, limits: &Limits) -> Option<String> {
    let value = sluice_yaml::from_str_with(text, sluice_yaml::Dialect::Sigs, limits).ok()?;
    Some(value.to_string())
}
