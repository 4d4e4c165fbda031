//! From a target to its objects: layers, depth first.
//!
//! ```text
//! build(target)
//!   accumulate(layer)   resources -> configurations, crds -> generators
//!                       -> components -> transformers -> validators -> vars
//!   hashes -> name references -> vars -> local config -> sort -> notes
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use sluice_yaml::Dialect;

use crate::config::Config;
use crate::error::{Error, Errors};
use crate::fs;
use crate::generate;
use crate::kustomization::{FILE_NAMES, Kustomization};
use crate::loader::{LoadError, Loader};
use crate::node::Node;
use crate::options::{Options, Reorder};
use crate::output::{self, Wanted};
use crate::read::{self, ReadError};
use crate::resmap::ResMap;
use crate::resource::{Behavior, Maker, Origin, Resource};
use crate::schema::Schema;
use crate::sort::{Ranks, SortKey};
use crate::transform::{
    Affix, Annotations, Images, JsonPatch, Labels, Namespace, Patch, Replicas, Side, Specs,
    StrategicMerge, SubjectMode, Transformer,
};
use crate::vars::Vars;
use crate::{hash, nameref};

/// Layers nested deeper than this are refused.
const DEEPEST_LAYER: usize = 200;

/// The version that `managed-by` names.
const VERSION: &str = "kustomize-v5.8.1";

/// What a layer has so far.
pub(crate) struct Accumulator {
    pub objects: ResMap,
    pub config: Cow<'static, Config>,
    pub vars: Vars,
}

impl Accumulator {
    pub(crate) fn new() -> Self {
        Accumulator {
            objects: ResMap::new(),
            config: Cow::Borrowed(Config::defaults()),
            vars: Vars::default(),
        }
    }

    /// Takes over what a child layer has.
    fn absorb(&mut self, child: Accumulator, schema: &Schema) -> Result<()> {
        for resource in child.objects.resources {
            self.objects.append(resource, schema)?;
        }
        if let Cow::Owned(config) = &child.config {
            self.config.to_mut().merge(config)?;
        }
        self.vars.absorb(child.vars)
    }
}

/// One layer: its kustomization and where it is.
pub(crate) struct Layer<'o> {
    pub loader: Loader<'o>,
    pub kustomization: Kustomization,
    /// The path of the kustomization file.
    pub file: String,
    /// The namespace of the nearest enclosing layer that has one.
    pub outer_namespace: String,
    pub depth: usize,
}

/// The state of one build.
pub(crate) struct Builder<'o> {
    pub options: &'o Options<'o>,
    pub schema: Schema,
    pub wanted: Wanted,
    pub target_root: String,
    pub warnings: Vec<String>,
    /// Errors of siblings, reported together.
    pub errors: Vec<Error>,
}

type Result<T> = std::result::Result<T, String>;

/// What is left when all is done.
pub(crate) struct Finished {
    pub resources: Vec<(Value, Arc<Origin>)>,
    pub warnings: Vec<String>,
}

/// Builds a target.
pub(crate) fn run<'o>(
    file_system: &'o dyn fs::FileSystem,
    path: &str,
    options: &'o Options<'o>,
) -> std::result::Result<Finished, Errors> {
    let mut builder = Builder {
        options,
        schema: Schema::new(options.schema_mode),
        wanted: Wanted::default(),
        target_root: String::new(),
        warnings: Vec::new(),
        errors: Vec::new(),
    };
    match builder.run(file_system, path) {
        Ok(resources) => Ok(Finished {
            resources,
            warnings: builder.warnings,
        }),
        Err(message) => {
            let mut errors = builder.errors;
            errors.insert(0, Error::new(message));
            Err(Errors {
                errors,
                warnings: builder.warnings,
            })
        }
    }
}

impl<'o> Builder<'o> {
    fn run(
        &mut self,
        file_system: &'o dyn fs::FileSystem,
        path: &str,
    ) -> Result<Vec<(Value, Arc<Origin>)>> {
        let loader = Loader::target(
            file_system,
            path,
            self.options.load_restrictions,
            self.options.remote,
        )?;
        self.target_root = loader.root().to_owned();
        let layer = self.load_layer(loader, "", 0)?;
        self.set_schema(&layer)?;
        let metadata = &layer.kustomization.build_metadata;
        let asked = |name: &str| metadata.iter().any(|option| option == name);
        self.wanted = Wanted {
            origin: asked("originAnnotations"),
            transformations: asked("transformerAnnotations"),
        };
        let managed = self.options.managed_by_label || asked("managedByLabel");
        let ranks = sort_order(&layer.kustomization, self.options.reorder)?;

        let mut accumulator = Accumulator::new();
        self.accumulate(&layer, &mut accumulator)?;
        let Accumulator {
            mut objects,
            config,
            vars,
        } = accumulator;
        hash::run(&mut objects, &self.schema)?;
        nameref::fix(&mut objects, &config, &self.schema)?;
        if !vars.is_empty() {
            let unused = vars.resolve(&mut objects, &config, &self.schema)?;
            if !unused.is_empty() {
                self.warnings.push(format!(
                    "well-defined vars that were never replaced: {}",
                    unused.join(",")
                ));
            }
        }
        self.drop_local_config(&mut objects)?;
        let mut resources = objects.resources;
        if let Some(ranks) = ranks {
            sort(&mut resources, &ranks, &self.schema);
        }
        self.finish(resources, managed)
    }

    /// Objects that serve the build only are not printed.
    fn drop_local_config(&self, objects: &mut ResMap) -> Result<()> {
        objects.resources.retain(|resource| {
            resource
                .annotation("config.kubernetes.io/local-config")
                .is_none_or(|text| text == "false")
        });
        for resource in &objects.resources {
            read::check_identity(&resource.root)?;
        }
        objects.check_unique(&self.schema)
    }

    fn finish(&self, resources: Vec<Resource>, managed: bool) -> Result<Vec<(Value, Arc<Origin>)>> {
        let mut out = Vec::with_capacity(resources.len());
        for mut resource in resources {
            if managed {
                let metadata = resource.root.map_under("metadata");
                if let Some(labels) = metadata.and_then(|metadata| metadata.map_under("labels")) {
                    labels.set("app.kubernetes.io/managed-by", Node::string(VERSION));
                }
            }
            output::finish_annotations(&mut resource, self.wanted);
            let value = output::to_json(&resource)
                .map_err(|error| output::explain(&resource.root, &error))?;
            out.push((value, resource.origin));
        }
        Ok(out)
    }

    /// Reads the kustomization file of a layer.
    pub(crate) fn load_layer(
        &mut self,
        loader: Loader<'o>,
        outer_namespace: &str,
        depth: usize,
    ) -> Result<Layer<'o>> {
        if depth > DEEPEST_LAYER {
            return Err(format!(
                "layers are nested deeper than {DEEPEST_LAYER} at '{}'",
                loader.root()
            ));
        }
        let mut found: Option<(&str, Vec<u8>)> = None;
        for name in FILE_NAMES {
            if let Ok(content) = loader.load(name) {
                if found.is_some() {
                    return Err(format!(
                        "Found multiple kustomization files under: {}\n",
                        loader.root()
                    ));
                }
                found = Some((name, content.into_owned()));
            }
        }
        let Some((name, content)) = found else {
            return Err(format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
                loader.root()
            ));
        };
        let text = sluice_yaml::decode(&content)
            .map_err(|error| format!("invalid Kustomization: {error}"))?;
        let parsed = Kustomization::parse(&text, &self.options.limits)?;
        self.warnings.extend(parsed.warnings);
        let problems = parsed.kustomization.check();
        if !problems.is_empty() {
            return Err(format!(
                "Failed to read kustomization file under {}:\n{}",
                loader.root(),
                problems.join("\n")
            ));
        }
        Ok(Layer {
            file: fs::join(loader.root(), name),
            loader,
            kustomization: parsed.kustomization,
            outer_namespace: outer_namespace.to_owned(),
            depth,
        })
    }

    /// Takes the schema that a layer names, unless there is one already.
    fn set_schema(&mut self, layer: &Layer<'o>) -> Result<()> {
        let fields = &layer.kustomization.openapi;
        let path = fields.get("path").filter(|path| !path.is_empty());
        let version = fields.get("version").filter(|version| !version.is_empty());
        let content = match path {
            Some(path) => Some(
                layer
                    .loader
                    .load(path)
                    .map_err(|error| error.text().to_owned())?,
            ),
            None => None,
        };
        if path.is_some() && version.is_some() {
            return Err("builtin version and custom schema provided, cannot use both".to_owned());
        }
        if let Some(version) = version
            && version != "v1.21.2"
        {
            return Err("the specified OpenAPI version is not built in".to_owned());
        }
        let Some(content) = content.filter(|_| !self.schema.has_custom()) else {
            return Ok(());
        };
        let text = sluice_yaml::decode(&content).map_err(|error| error.to_string())?;
        let document = sluice_yaml::from_str_with(&text, Dialect::Sigs, &self.options.limits)
            .map_err(|error| format!("invalid OpenAPI schema: {error}"))?;
        self.schema.set_custom(&document)
    }

    /// Does everything that one layer says.
    pub(crate) fn accumulate(
        &mut self,
        layer: &Layer<'o>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let kustomization = &layer.kustomization;
        self.accumulate_resources(layer, &kustomization.resources, accumulator)
            .map_err(|error| format!("accumulating resources: {error}"))?;
        self.merge_configurations(layer, accumulator)?;
        self.merge_crds(layer, accumulator)?;
        self.generate(layer, accumulator)?;
        self.accumulate_components(layer, accumulator)
            .map_err(|error| format!("accumulating components: {error}"))?;
        self.transform(layer, accumulator)?;
        self.validate(layer, accumulator)?;
        if kustomization.vars.is_empty() {
            return Ok(());
        }
        accumulator
            .vars
            .add(&kustomization.vars, &mut accumulator.objects, &self.schema)
            .map_err(|error| {
                let names: Vec<&str> = kustomization
                    .vars
                    .iter()
                    .map(|var| var.name.as_str())
                    .collect();
                format!("merging vars [{}]: {error}", names.join(" "))
            })
    }

    /// Reads every entry, be it a file or a layer.
    pub(crate) fn accumulate_resources(
        &mut self,
        layer: &Layer<'o>,
        paths: &[String],
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let mut first: Option<String> = None;
        for path in paths {
            let Err(error) = self.accumulate_entry(layer, path, accumulator) else {
                continue;
            };
            // The build has failed, but the other entries may have errors of
            // their own that are worth telling in the same run.
            match &first {
                None => first = Some(error),
                Some(_) => self
                    .errors
                    .push(Error::new(format!("accumulating resources: {error}"))),
            }
        }
        match first {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn accumulate_entry(
        &mut self,
        layer: &Layer<'o>,
        path: &str,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let Err(of_file) = self.accumulate_file(layer, path, accumulator) else {
            return Ok(());
        };
        if let FileError::Http(message) = of_file {
            return Err(message);
        }
        let of_directory = match layer.loader.child(path) {
            Ok(loader) => {
                match self.accumulate_directory(layer, loader, accumulator, Want::Layer) {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        Err(match of_file {
            FileError::Malformed(message) => message,
            FileError::Other(message) | FileError::Http(message) => {
                format!("accumulation err='{message}': {of_directory}")
            }
        })
    }

    fn accumulate_file(
        &mut self,
        layer: &Layer<'o>,
        path: &str,
        accumulator: &mut Accumulator,
    ) -> std::result::Result<(), FileError> {
        let describe = |text: &str| format!("accumulating resources from '{path}': {text}");
        let content = layer.loader.load(path).map_err(|error| match &error {
            LoadError::HttpStatus(text) => FileError::Http(describe(text)),
            LoadError::Message(text) => FileError::Other(describe(text)),
        })?;
        let text = decode_keeping_carriage(&content).map_err(|error| {
            FileError::Malformed(describe(&format!(
                "MalformedYAMLError: {error} in File: {path}"
            )))
        })?;
        let found = read::read(&text, &self.options.limits).map_err(|error| {
            let message = describe(&error.message(path));
            if let Some(line) = error.line() {
                self.errors.push(Error {
                    message: String::new(),
                    file: Some(layer.loader.absolute(path)),
                    line: Some(line),
                });
            }
            match error {
                ReadError::Malformed { .. } => FileError::Malformed(message),
                ReadError::Invalid { .. } => FileError::Other(message),
            }
        })?;
        let file = layer.loader.absolute(path);
        let maker = self.maker_of_file(layer, path, &file);
        for found in found {
            let origin = Origin {
                file: file.clone(),
                line: found.line,
                base: layer.loader.root().to_owned(),
                generator: None,
            };
            let mut resource = Resource::new(found.root, Arc::new(origin));
            resource.notes.origin.clone_from(&maker);
            accumulator
                .objects
                .append(resource, &self.schema)
                .map_err(|error| {
                    FileError::Other(format!("merging resources from '{path}': {error}"))
                })?;
        }
        Ok(())
    }

    fn keeps_notes(&self) -> bool {
        self.wanted.origin || self.wanted.transformations
    }

    fn maker_of_file(&self, layer: &Layer<'o>, path: &str, file: &str) -> Option<Arc<Maker>> {
        if !self.wanted.origin {
            return None;
        }
        let mut maker = Maker::default();
        match layer.loader.repo() {
            Some(clone) => {
                maker.repo = clone.spec.clone_url();
                maker.git_ref.clone_from(&clone.spec.revision);
                maker.path = fs::relative(&clone.dir, file);
            }
            None if path.contains("://") => maker.path = path.to_owned(),
            None => maker.path = fs::relative(&self.target_root, file),
        }
        Some(Arc::new(maker))
    }

    /// What a plugin of a layer is called in notes.
    pub(crate) fn maker_of_plugin(
        &self,
        layer: &Layer<'o>,
        configured_in: &str,
        configured_by: [String; 4],
    ) -> Arc<Maker> {
        let mut maker = Maker {
            configured_by: Some(configured_by),
            ..Maker::default()
        };
        match layer.loader.repo() {
            Some(clone) => {
                maker.repo = clone.spec.clone_url();
                maker.git_ref.clone_from(&clone.spec.revision);
                maker.configured_in = fs::relative(&clone.dir, configured_in);
            }
            None => maker.configured_in = fs::relative(&self.target_root, configured_in),
        }
        Arc::new(maker)
    }

    fn built_in_maker(&self, layer: &Layer<'o>, kind: &str) -> Option<Arc<Maker>> {
        self.keeps_notes().then(|| {
            let by = [
                "builtin".to_owned(),
                kind.to_owned(),
                String::new(),
                String::new(),
            ];
            self.maker_of_plugin(layer, &layer.file, by)
        })
    }

    fn accumulate_directory(
        &mut self,
        parent: &Layer<'o>,
        loader: Loader<'o>,
        accumulator: &mut Accumulator,
        want: Want,
    ) -> Result<()> {
        let root = loader.root().to_owned();
        let namespace = if parent.kustomization.namespace.is_empty() {
            parent.outer_namespace.clone()
        } else {
            parent.kustomization.namespace.clone()
        };
        let layer = self
            .load_layer(loader, &namespace, parent.depth + 1)
            .map_err(|error| format!("couldn't make target for path '{root}': {error}"))?;
        self.set_schema(&layer)?;
        let kind = layer.kustomization.kind.as_str();
        match want {
            Want::Component if kind != "Component" => {
                return Err(format!(
                    "expected kind 'Component' for path '{root}' but got '{kind}'"
                ));
            }
            Want::Layer if kind == "Component" => {
                return Err(format!("expected kind != 'Component' for path '{root}'"));
            }
            _ => {}
        }
        let recursed = |error: String| format!("recursed accumulation of path '{root}': {error}");
        if want == Want::Component {
            return self.accumulate(&layer, accumulator).map_err(recursed);
        }
        let mut child = Accumulator::new();
        self.accumulate(&layer, &mut child).map_err(recursed)?;
        accumulator
            .absorb(child, &self.schema)
            .map_err(|error| format!("recursed merging from path '{root}': {error}"))
    }

    fn accumulate_components(
        &mut self,
        layer: &Layer<'o>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        for path in &layer.kustomization.components {
            let loader = layer
                .loader
                .child(path)
                .map_err(|error| format!("loader.New {}", output::go_quote(&error)))?;
            self.accumulate_directory(layer, loader, accumulator, Want::Component)
                .map_err(|error| format!("accumulateDirectory: {}", output::go_quote(&error)))?;
        }
        Ok(())
    }

    fn merge_configurations(
        &mut self,
        layer: &Layer<'o>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let paths = &layer.kustomization.configurations;
        if paths.is_empty() {
            return Ok(());
        }
        let mut own = Config::default();
        for path in paths {
            let content = layer
                .loader
                .load(path)
                .map_err(|error| error.text().to_owned())?;
            let text = sluice_yaml::decode(&content).map_err(|error| error.to_string())?;
            let config = Config::parse(&text, &self.options.limits)?;
            own.merge(&config)?;
        }
        // The layer's own additions must agree with the defaults first.
        let mut complete = Config::defaults().clone();
        complete.merge(&own)?;
        accumulator
            .config
            .to_mut()
            .merge(&own)
            .map_err(|error| format!("merging config: {error}"))
    }

    fn merge_crds(&mut self, layer: &Layer<'o>, accumulator: &mut Accumulator) -> Result<()> {
        let paths = &layer.kustomization.crds;
        let describe = |error: String| format!("loading CRDs [{}]: {error}", paths.join(" "));
        for path in paths {
            let content = layer
                .loader
                .load(path)
                .map_err(|error| describe(error.text().to_owned()))?;
            let unreadable =
                || describe(format!("unable to parse open API definition from '{path}'"));
            let text = sluice_yaml::decode(&content).map_err(|_| unreadable())?;
            let definitions =
                sluice_yaml::from_str_with(&text, Dialect::Sigs, &self.options.limits)
                    .map_err(|_| unreadable())?;
            accumulator
                .config
                .to_mut()
                .add_crd_schema(&definitions)
                .map_err(|error| format!("merging CRDs [{}]: {error}", paths.join(" ")))?;
        }
        Ok(())
    }

    fn generate(&mut self, layer: &Layer<'o>, accumulator: &mut Accumulator) -> Result<()> {
        let kustomization = &layer.kustomization;
        let global = kustomization.generator_options.as_ref();
        let config_maps = kustomization
            .config_map_generator
            .iter()
            .map(|args| ("ConfigMapGenerator", generate::Args::from(args)));
        let secrets = kustomization
            .secret_generator
            .iter()
            .map(|args| ("SecretGenerator", generate::Args::from(args)));
        // All are configured before the first runs.
        let plugins = self.generator_plugins(layer)?;
        for (kind, args) in config_maps.chain(secrets) {
            let origin = Arc::new(Origin {
                file: layer.file.clone(),
                line: 0,
                base: layer.loader.root().to_owned(),
                generator: Some(format!("{kind} {}", args.name)),
            });
            let options = generate::merge_options(global, args.options);
            let mut made = generate::generate(&args, options.as_ref(), &layer.loader, origin)?;
            made.notes.origin = self.built_in_maker(layer, kind);
            self.absorb_generated(made, &mut accumulator.objects)
                .map_err(|error| format!("merging from generator {kind}: {error}"))?;
        }
        for chart in &kustomization.helm_charts {
            let resources =
                self.inflate_chart(layer, chart, kustomization.helm_globals.as_ref())?;
            for resource in resources {
                self.absorb_generated(resource, &mut accumulator.objects)
                    .map_err(|error| {
                        format!("merging from generator HelmChartInflationGenerator: {error}")
                    })?;
            }
        }
        for plugin in plugins {
            for resource in self.run_generator_plugin(layer, &plugin)? {
                self.absorb_generated(resource, &mut accumulator.objects)
                    .map_err(|error| format!("merging from generator {}: {error}", plugin.kind))?;
            }
        }
        Ok(())
    }

    pub(crate) fn inflate_chart(
        &self,
        layer: &Layer<'o>,
        chart: &crate::kustomization::HelmChart,
        globals: Option<&crate::kustomization::HelmGlobals>,
    ) -> Result<Vec<Resource>> {
        let namespace = if !chart.namespace.is_empty() {
            chart.namespace.as_str()
        } else if layer.kustomization.namespace.is_empty() {
            layer.outer_namespace.as_str()
        } else {
            layer.kustomization.namespace.as_str()
        };
        let globals = globals.cloned().unwrap_or_default();
        let text = crate::helm::inflate(
            chart,
            &globals,
            namespace,
            &layer.loader,
            self.options.helm,
        )
        .map_err(|error| {
            let config = crate::gojson::GoJson::write(chart)
                .and_then(|value| sluice_yaml::to_string(&value).ok())
                .unwrap_or_default();
            format!(
                "trouble configuring builtin HelmChartInflationGenerator with config: `\n{config}`: {error}"
            )
        })?;
        let found =
            read::read(&text, &self.options.limits).map_err(|error| error.message(&chart.name))?;
        let origin = Arc::new(Origin {
            file: layer.file.clone(),
            line: 0,
            base: layer.loader.root().to_owned(),
            generator: Some(format!("HelmChartInflationGenerator {}", chart.name)),
        });
        let maker = self.built_in_maker(layer, "HelmChartInflationGenerator");
        Ok(found
            .into_iter()
            .map(|found| {
                let mut resource = Resource::new(found.root, origin.clone());
                resource.helm_generated = true;
                resource.notes.origin.clone_from(&maker);
                resource
            })
            .collect())
    }

    /// Adds a generated object, or merges it into the one that has its id.
    pub(crate) fn absorb_generated(&self, mut made: Resource, objects: &mut ResMap) -> Result<()> {
        let schema = &self.schema;
        let id = made.current_id(schema);
        let found = objects.with_any(&id, schema);
        let at = match found.as_slice() {
            [] => {
                return match made.behavior {
                    Behavior::Merge | Behavior::Replace => Err(format!(
                        "id {} does not exist; cannot merge or replace",
                        go_id(&id)
                    )),
                    Behavior::Create | Behavior::Unspecified => objects.append(made, schema),
                };
            }
            [at] => *at,
            several => {
                let ids: Vec<String> = several
                    .iter()
                    .map(|&at| output::json_with_records(&objects.resources[at]))
                    .collect();
                return Err(format!(
                    "found multiple objects [{}] that could accept merge of {id}",
                    ids.join(" ")
                ));
            }
        };
        if !matches!(made.behavior, Behavior::Merge | Behavior::Replace) {
            return Err(format!(
                "id {} exists; can not use behavior: '{}', behavior must be merge or replace",
                go_id(&id),
                made.behavior.name()
            ));
        }
        let old = &mut objects.resources[at];
        for field in ["labels", "annotations"] {
            let mut texts = old.texts(field);
            texts.extend(made.texts(field));
            made.set_texts(field, &texts);
        }
        if made.behavior == Behavior::Merge {
            for field in ["data", "binaryData"] {
                let texts = |resource: &Resource| {
                    resource.root.get(field).and_then(Node::as_map).map(|map| {
                        map.pairs
                            .iter()
                            .map(|(key, value)| {
                                let text = value.text().filter(|_| !value.is_null());
                                (key.text.clone(), text.unwrap_or_default().to_owned())
                            })
                            .collect::<std::collections::BTreeMap<_, _>>()
                    })
                };
                let mut merged = texts(old).unwrap_or_default();
                merged.extend(texts(&made).unwrap_or_default());
                if !merged.is_empty() {
                    let map = generate::text_map(&merged);
                    made.root.set(field, Node::Map(map));
                }
            }
        }
        made.set_name(old.name());
        made.set_namespace(old.namespace());
        made.needs_hash &= old.needs_hash;
        made.previous = std::mem::take(&mut old.previous);
        made.prefixes = std::mem::take(&mut old.prefixes);
        made.suffixes = std::mem::take(&mut old.suffixes);
        made.behavior = old.behavior;
        *old = made;
        objects.touch();
        Ok(())
    }

    fn transform(&mut self, layer: &Layer<'o>, accumulator: &mut Accumulator) -> Result<()> {
        let mut steps: Vec<(Transformer, Option<Arc<Maker>>)> = Vec::new();
        for transformer in self.built_in_transformers(layer, &accumulator.config)? {
            let maker = self.built_in_maker(layer, transformer.kind());
            steps.push((transformer, maker));
        }
        steps.extend(self.transformer_plugins(layer, &layer.kustomization.transformers)?);
        for (transformer, maker) in &steps {
            transformer.run(&mut accumulator.objects, &self.schema)?;
            if let Some(maker) = maker {
                note(&mut accumulator.objects, maker);
            }
            accumulator.objects.drop_empty();
        }
        Ok(())
    }

    /// The transformations that the fields of a kustomization ask for, in
    /// kustomize's order.
    fn built_in_transformers(
        &self,
        layer: &Layer<'o>,
        config: &Config,
    ) -> Result<Vec<Transformer>> {
        let kustomization = &layer.kustomization;
        let limits = &self.options.limits;
        let mut out = Vec::new();
        if !kustomization.patches_strategic_merge.is_empty() {
            let entries = &kustomization.patches_strategic_merge;
            let step =
                StrategicMerge::new(entries, "", &layer.loader, limits).map_err(|error| {
                    let list: Vec<Value> =
                        entries.iter().map(|e| Value::from(e.as_str())).collect();
                    trouble(
                        "PatchStrategicMergeTransformer",
                        &serde_json::json!({ "paths": list }),
                        &error,
                    )
                })?;
            out.push(Transformer::StrategicMerge(step));
        }
        for args in &kustomization.patches {
            let value = crate::gojson::GoJson::write(args)
                .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            let text = sluice_yaml::to_string(&value).unwrap_or_default();
            let step = Patch::new(args, &text, &layer.loader, limits)
                .map_err(|error| trouble("PatchTransformer", &value, &error))?;
            out.push(Transformer::Patch(Box::new(step)));
        }
        if !kustomization.namespace.is_empty() {
            out.push(Transformer::Namespace(Namespace::new(
                &kustomization.namespace,
                &config.namespace,
                false,
                SubjectMode::DefaultOnly,
            )));
        }
        if !kustomization.name_prefix.is_empty() {
            out.push(Transformer::Affix(Affix {
                side: Side::Prefix,
                text: kustomization.name_prefix.clone(),
                specs: Specs::new(&config.name_prefix),
            }));
        }
        if !kustomization.name_suffix.is_empty() {
            out.push(Transformer::Affix(Affix {
                side: Side::Suffix,
                text: kustomization.name_suffix.clone(),
                specs: Specs::new(&config.name_suffix),
            }));
        }
        self.label_transformers(kustomization, config, &mut out)?;
        if !kustomization.common_annotations.is_empty() {
            out.push(Transformer::Annotations(Annotations {
                pairs: kustomization.common_annotations.clone(),
                specs: Specs::new(&config.common_annotations),
            }));
        }
        for args in &kustomization.patches_json6902 {
            let step = JsonPatch::new(args, &layer.loader, limits).map_err(|error| {
                let mut value = crate::gojson::GoJson::write(args)
                    .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
                if let Some(map) = value.as_object_mut()
                    && let Some(patch) = map.remove("patch")
                {
                    map.insert("jsonOp".to_owned(), patch);
                }
                trouble("PatchJson6902Transformer", &value, &error)
            })?;
            out.push(Transformer::JsonPatch(step));
        }
        for replica in &kustomization.replicas {
            out.push(Transformer::Replicas(Replicas {
                replica: replica.clone(),
                specs: Specs::new(&config.replicas),
            }));
        }
        for image in &kustomization.images {
            out.push(Transformer::Images(Images::new(
                image,
                Specs::new(&config.images),
            )?));
        }
        if !kustomization.replacements.is_empty() {
            let list =
                crate::plugins::replacements(&kustomization.replacements, &layer.loader, limits)
                    .map_err(|error| {
                        trouble(
                            "ReplacementTransformer",
                            &crate::plugins::show_replacements(&kustomization.replacements),
                            &error,
                        )
                    })?;
            out.push(Transformer::Replacements(list));
        }
        Ok(out)
    }

    fn label_transformers(
        &self,
        kustomization: &Kustomization,
        config: &Config,
        out: &mut Vec<Transformer>,
    ) -> Result<()> {
        if kustomization.labels.is_empty() && kustomization.common_labels.is_empty() {
            return Ok(());
        }
        for label in &kustomization.labels {
            let mut specs: Vec<_> = label
                .fields
                .iter()
                .map(crate::fieldspec::FieldSpec::from)
                .collect();
            let merge = |list: &mut Vec<_>, more: &[_]| {
                crate::fieldspec::merge_all(list, more)
                    .map_err(|error| format!("failed to merge labels: {error}"))
            };
            merge(&mut specs, &config.labels)?;
            if label.include_selectors {
                merge(&mut specs, &config.common_labels)?;
            } else {
                if label.include_templates {
                    merge(&mut specs, &config.template_labels)?;
                }
                let own = crate::fieldspec::FieldSpec::any("metadata/labels", true);
                merge(&mut specs, &[own])?;
            }
            out.push(Transformer::Labels(Labels {
                pairs: label.pairs.clone(),
                specs: Specs::new(&specs),
            }));
        }
        out.push(Transformer::Labels(Labels {
            pairs: kustomization.common_labels.clone(),
            specs: Specs::new(&config.common_labels),
        }));
        Ok(())
    }
}

/// An id as Go's `%#v` shows it.
fn go_id(id: &crate::id::ResId) -> String {
    let quote = output::go_quote;
    format!(
        "resid.ResId{{Gvk:resid.Gvk{{Group:{}, Version:{}, Kind:{}, isClusterScoped:{}}}, Name:{}, Namespace:{}}}",
        quote(&id.gvk.group),
        quote(&id.gvk.version),
        quote(&id.gvk.kind),
        id.cluster_scoped,
        quote(&id.name),
        quote(&id.namespace)
    )
}

/// What a directory has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Layer,
    Component,
}

/// Why an entry is no file of objects.
enum FileError {
    Malformed(String),
    Http(String),
    Other(String),
}

/// kustomize's words for a plugin whose configuration is wrong.
pub(crate) fn trouble(kind: &str, config: &Value, error: &str) -> String {
    let text = sluice_yaml::to_string(config).unwrap_or_default();
    format!("trouble configuring builtin {kind} with config: `\n{text}`: {error}")
}

/// Decodes bytes, leaving line ends to the reader.
fn decode_keeping_carriage(
    content: &[u8],
) -> std::result::Result<Cow<'_, str>, sluice_yaml::Error> {
    sluice_yaml::decode(content)
}

/// Notes a transformation on every object.
fn note(objects: &mut ResMap, maker: &Arc<Maker>) {
    for resource in &mut objects.resources {
        if resource.notes.origin.is_none() {
            resource.notes.origin = Some(maker.clone());
        } else {
            resource.notes.transformations.push(maker.clone());
        }
    }
}

/// The ranks to sort by, none for the order of reading.
fn sort_order(kustomization: &Kustomization, reorder: Reorder) -> Result<Option<Ranks>> {
    let Some(options) = &kustomization.sort_options else {
        return Ok(match reorder {
            Reorder::Legacy => Some(Ranks::standard()),
            Reorder::None => None,
        });
    };
    let legacy = options.legacy_sort_options.as_ref();
    match options.order.0.as_str() {
        "legacy" => Ok(Some(match legacy {
            Some(lists) => Ranks::new(
                lists.order_first.iter().map(String::as_str),
                lists.order_last.iter().map(String::as_str),
            ),
            None => Ranks::standard(),
        })),
        "fifo" if legacy.is_some() => Err(
            "the field 'sortOptions.legacySortOptions' is set but the selected sort order is 'fifo', not 'legacy'".to_owned(),
        ),
        "fifo" => Ok(None),
        _ => Err("the field 'sortOptions.order' must be one of [fifo, legacy]".to_owned()),
    }
}

fn sort(resources: &mut Vec<Resource>, ranks: &Ranks, schema: &Schema) {
    let mut keyed: Vec<(SortKey, Resource)> = std::mem::take(resources)
        .into_iter()
        .map(|resource| (SortKey::new(&resource.current_id(schema), ranks), resource))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| a.compare(b));
    resources.extend(keyed.into_iter().map(|(_, resource)| resource));
}
