//! Built-in plugins that are configured by objects of their own, under
//! `generators`, `transformers` and `validators`.

mod config;

use std::sync::Arc;

use serde_json::Value;
use sluice_yaml::{Dialect, Limits};

use crate::build::{Accumulator, Builder, Layer};
use crate::fieldspec::FieldSpec;
use crate::generate;
use crate::gojson::{self, GoJson, Scalars, Unknown};
use crate::kustomization::{self, GeneratorOptions, HelmChart, HelmGlobals, ReplacementField};
use crate::loader::Loader;
use crate::node::{Map, Node};
use crate::read;
use crate::replacement::Replacement;
use crate::resmap::ResMap;
use crate::resource::{Maker, Origin, Resource};
use crate::selector::Compiled;
use crate::transform::{
    Affix, Annotations, Images, JsonPatch, Labels, Namespace, Patch, Replicas, Side, Specs,
    StrategicMerge, SubjectMode, Transformer, ValueAdd,
};

use config::{Args, ConfigMapPlugin, IamArgs, ReplacementFile, SecretPlugin, ValueAddArgs};

/// An object that configures a plugin.
pub(crate) struct Plugin {
    pub kind: String,
    /// The id of the object, for errors.
    id: String,
    config: Value,
    maker: Option<Arc<Maker>>,
    origin: Arc<Origin>,
}

type Result<T> = std::result::Result<T, String>;

const TRANSFORMERS: [&str; 14] = [
    "AnnotationsTransformer",
    "HashTransformer",
    "ImageTagTransformer",
    "LabelTransformer",
    "NamespaceTransformer",
    "PatchJson6902Transformer",
    "PatchStrategicMergeTransformer",
    "PatchTransformer",
    "PrefixSuffixTransformer",
    "PrefixTransformer",
    "SuffixTransformer",
    "ReplacementTransformer",
    "ReplicaCountTransformer",
    "ValueAddTransformer",
];

const GENERATORS: [&str; 4] = [
    "ConfigMapGenerator",
    "SecretGenerator",
    "HelmChartInflationGenerator",
    "IAMPolicyGenerator",
];

/// Reads the replacements of a kustomization, those in files included.
///
/// # Errors
/// A file is missing or malformed, or a replacement is incomplete.
pub(crate) fn replacements(
    fields: &[ReplacementField],
    loader: &Loader<'_>,
    limits: &Limits,
) -> Result<Vec<Replacement>> {
    let mut out = Vec::new();
    for field in fields {
        let has_inline =
            field.source.is_some() || field.targets.is_some() || field.source_value.is_some();
        if !field.path.is_empty() && has_inline {
            return Err("cannot specify both path and inline replacement".to_owned());
        }
        if field.path.is_empty() {
            out.push(Replacement::new(field));
            continue;
        }
        let content = loader
            .load(&field.path)
            .map_err(|error| error.text().to_owned())?;
        let text = sluice_yaml::decode(&content).map_err(|error| error.to_string())?;
        let value = sluice_yaml::from_str_with(&text, Dialect::Sigs, limits)
            .map_err(|error| format!("error converting YAML to JSON: {error}"))?;
        let inner: Vec<ReplacementField> = match value {
            Value::Array(_) => decode_file::<Vec<ReplacementFile>>(&value)?
                .into_iter()
                .map(ReplacementField::from)
                .collect(),
            Value::Object(_) => vec![decode_file::<ReplacementFile>(&value)?.into()],
            other => {
                let kind = match other {
                    Value::String(_) => "string",
                    Value::Bool(_) => "bool",
                    Value::Number(number) if number.is_f64() => "float64",
                    Value::Number(_) => "int",
                    _ => "invalid",
                };
                return Err(format!(
                    "unsupported replacement type encountered within replacement path: {kind}"
                ));
            }
        };
        for field in &inner {
            out.push(Replacement::new(field));
        }
    }
    Ok(out)
}

/// Replacements as error texts show them.
pub(crate) fn show_replacements(fields: &[ReplacementField]) -> Value {
    let mut list = fields.to_vec().write().unwrap_or_default();
    let targets = list
        .as_array_mut()
        .into_iter()
        .flatten()
        .filter_map(|field| field.get_mut("targets")?.as_array_mut())
        .flatten()
        .filter_map(Value::as_object_mut);
    for target in targets {
        target.entry("select").or_insert(Value::Null);
    }
    serde_json::json!({ "Replacements": list })
}

impl<'o> Builder<'o> {
    /// Reads the objects that configure plugins: inline, from files or from
    /// directories.
    fn plugin_objects(&mut self, layer: &Layer<'o>, entries: &[String]) -> Result<ResMap> {
        let mut accumulator = Accumulator::new();
        let mut paths = Vec::new();
        for entry in entries {
            let Ok(found) = read::read(entry, &self.options.limits) else {
                paths.push(entry.clone());
                continue;
            };
            for found in found {
                let origin = Origin {
                    file: layer.file.clone(),
                    line: 0,
                    base: layer.loader.root().to_owned(),
                    generator: None,
                };
                accumulator
                    .objects
                    .append(Resource::new(found.root, Arc::new(origin)), &self.schema)?;
            }
        }
        self.accumulate_resources(layer, &paths, &mut accumulator)?;
        Ok(accumulator.objects)
    }

    fn plugins(&mut self, layer: &Layer<'o>, entries: &[String]) -> Result<Vec<Plugin>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let objects = self.plugin_objects(layer, entries)?;
        let notes = self.keeps_notes();
        objects
            .resources
            .into_iter()
            .map(|resource| {
                let id = resource.current_id(&self.schema);
                if resource.api_version() != "builtin" {
                    return Err(format!(
                        "external plugins disabled; unable to load external plugin '{}'",
                        id.gvk.kind
                    ));
                }
                let maker = notes.then(|| {
                    let by = [
                        resource.api_version().to_owned(),
                        id.gvk.kind.clone(),
                        id.name.clone(),
                        id.namespace.clone(),
                    ];
                    self.maker_of_plugin(layer, &resource.origin.file, by)
                });
                Ok(Plugin {
                    id: id.to_string(),
                    kind: id.gvk.kind,
                    config: crate::node::map_to_json(&resource.root)?,
                    maker,
                    origin: resource.origin,
                })
            })
            .collect()
    }

    /// The generators under `generators`.
    pub(crate) fn generator_plugins(&mut self, layer: &Layer<'o>) -> Result<Vec<Plugin>> {
        let plugins = self
            .plugins(layer, &layer.kustomization.generators)
            .map_err(|error| {
                format!("loading generator plugins: failed to load generator: {error}")
            })?;
        for plugin in &plugins {
            if !GENERATORS.contains(&plugin.kind.as_str()) {
                let what = if TRANSFORMERS.contains(&plugin.kind.as_str()) {
                    format!("plugin {} not a generator", plugin.id)
                } else {
                    format!("unable to load builtin {}.builtin.[noGrp]", plugin.kind)
                };
                return Err(format!(
                    "loading generator plugins: failed to load generator: {what}"
                ));
            }
            self.check_generator(plugin).map_err(|error| {
                format!(
                    "loading generator plugins: failed to load generator: plugin {} fails configuration: {error}",
                    plugin.id
                )
            })?;
        }
        Ok(plugins)
    }

    /// Reads what a generator is configured with.
    fn check_generator(&self, plugin: &Plugin) -> Result<()> {
        match plugin.kind.as_str() {
            "ConfigMapGenerator" => decode::<ConfigMapPlugin>(&plugin.config).map(drop),
            "SecretGenerator" => decode::<SecretPlugin>(&plugin.config).map(drop),
            "HelmChartInflationGenerator" => {
                let chart: HelmChart = decode(&plugin.config)?;
                crate::helm::check(&chart, self.options.helm).map(drop)
            }
            _ => decode::<IamArgs>(&plugin.config).map(drop),
        }
    }

    /// Runs one generator.
    pub(crate) fn run_generator_plugin(
        &self,
        layer: &Layer<'o>,
        plugin: &Plugin,
    ) -> Result<Vec<Resource>> {
        let made = |args: generate::Args<'_>, options: Option<&GeneratorOptions>| {
            let mut made =
                generate::generate(&args, options, &layer.loader, plugin.origin.clone())?;
            made.notes.origin.clone_from(&plugin.maker);
            Ok(vec![made])
        };
        match plugin.kind.as_str() {
            "ConfigMapGenerator" => {
                let args = decode::<ConfigMapPlugin>(&plugin.config)?.into_args();
                made((&args).into(), args.options.as_ref())
            }
            "SecretGenerator" => {
                let args = decode::<SecretPlugin>(&plugin.config)?.into_args();
                made((&args).into(), args.options.as_ref())
            }
            "HelmChartInflationGenerator" => {
                let chart: HelmChart = decode(&plugin.config)?;
                let globals: HelmGlobals = decode(&plugin.config)?;
                let mut resources = self.inflate_chart(layer, &chart, Some(&globals))?;
                for resource in &mut resources {
                    resource.notes.origin.clone_from(&plugin.maker);
                }
                Ok(resources)
            }
            _ => {
                let args: IamArgs = decode(&plugin.config)?;
                Ok(vec![iam_account(&args, plugin)?])
            }
        }
    }

    /// The transformers of a list of plugin objects.
    pub(crate) fn transformer_plugins(
        &mut self,
        layer: &Layer<'o>,
        entries: &[String],
    ) -> Result<Vec<(Transformer, Option<Arc<Maker>>)>> {
        let mut out = Vec::new();
        for plugin in self.plugins(layer, entries)? {
            if !TRANSFORMERS.contains(&plugin.kind.as_str()) {
                return Err(if GENERATORS.contains(&plugin.kind.as_str()) {
                    format!("plugin {} not a transformer", plugin.id)
                } else {
                    format!("unable to load builtin {}.builtin.[noGrp]", plugin.kind)
                });
            }
            let steps = self
                .configure(layer, &plugin)
                .map_err(|error| format!("plugin {} fails configuration: {error}", plugin.id))?;
            let last = steps.len().saturating_sub(1);
            for (at, transformer) in steps.into_iter().enumerate() {
                // One note for a plugin, whatever it does.
                let maker = plugin.maker.clone().filter(|_| at == last);
                out.push((transformer, maker));
            }
        }
        Ok(out)
    }

    fn configure(&self, layer: &Layer<'o>, plugin: &Plugin) -> Result<Vec<Transformer>> {
        let args: Args = decode(&plugin.config).map_err(|error| {
            // This one says what it was doing.
            match plugin.kind.as_str() {
                "NamespaceTransformer" => {
                    format!("unmarshalling NamespaceTransformer config: {error}")
                }
                _ => error,
            }
        })?;
        let limits = &self.options.limits;
        let own: Vec<FieldSpec> = args
            .field_specs
            .iter()
            .flatten()
            .map(FieldSpec::from)
            .collect();
        let specs = || Specs::new(&own);
        let affix = |side: Side, text: &str| {
            Transformer::Affix(Affix {
                side,
                text: text.to_owned(),
                specs: specs(),
            })
        };
        let needs_specs = || {
            if args.field_specs.is_none() {
                return Err("fieldSpecs is not expected to be nil".to_owned());
            }
            Ok(())
        };
        let patch = kustomization::Patch {
            path: args.path.clone(),
            patch: args.patch.clone(),
            target: args.target.clone(),
            options: args.options.clone(),
        };
        let one = |transformer| Ok(vec![transformer]);
        match plugin.kind.as_str() {
            "AnnotationsTransformer" => one(Transformer::Annotations(Annotations {
                pairs: args.annotations.clone(),
                specs: specs(),
            })),
            "LabelTransformer" => one(Transformer::Labels(Labels {
                pairs: args.labels.clone(),
                specs: specs(),
            })),
            "HashTransformer" => one(Transformer::Hash),
            "NamespaceTransformer" => {
                let mode = match args.set_role_binding_subjects.as_str() {
                    "" | "defaultOnly" => SubjectMode::DefaultOnly,
                    "allServiceAccounts" => SubjectMode::AllServiceAccounts,
                    "none" => SubjectMode::None,
                    other => {
                        return Err(format!(
                            "invalid value \"{other}\" for setRoleBindingSubjects: must be one of \"defaultOnly\", \"none\" or \"allServiceAccounts\""
                        ));
                    }
                };
                let metadata = args.metadata.clone().unwrap_or_default();
                one(Transformer::Namespace(Namespace::new(
                    &metadata.namespace,
                    &own,
                    args.unset_only,
                    mode,
                )))
            }
            "PrefixTransformer" => {
                needs_specs()?;
                one(affix(Side::Prefix, &args.prefix))
            }
            "SuffixTransformer" => {
                needs_specs()?;
                one(affix(Side::Suffix, &args.suffix))
            }
            "PrefixSuffixTransformer" => {
                needs_specs()?;
                Ok(vec![
                    affix(Side::Prefix, &args.prefix),
                    affix(Side::Suffix, &args.suffix),
                ])
            }
            "ImageTagTransformer" => {
                one(Transformer::Images(Images::new(&args.image_tag, specs())?))
            }
            "ReplicaCountTransformer" => one(Transformer::Replicas(Replicas {
                replica: args.replica.clone(),
                specs: specs(),
            })),
            "PatchTransformer" => {
                let text = sluice_yaml::to_string(&plugin.config).unwrap_or_default();
                one(Transformer::Patch(Box::new(Patch::new(
                    &patch,
                    &text,
                    &layer.loader,
                    limits,
                )?)))
            }
            "PatchStrategicMergeTransformer" => one(Transformer::StrategicMerge(
                StrategicMerge::new(&args.paths, &args.patches, &layer.loader, limits)?,
            )),
            "PatchJson6902Transformer" => {
                let patch = kustomization::Patch {
                    patch: args.json_op.clone(),
                    ..patch
                };
                one(Transformer::JsonPatch(JsonPatch::new(
                    &patch,
                    &layer.loader,
                    limits,
                )?))
            }
            "ReplacementTransformer" => one(Transformer::Replacements(replacements(
                &args.replacements,
                &layer.loader,
                limits,
            )?)),
            "ValueAddTransformer" => one(Transformer::ValueAdd(value_add(
                &plugin.config,
                layer,
                limits,
            )?)),
            other => Err(format!("unable to load builtin {other}.builtin.[noGrp]")),
        }
    }

    /// Runs the validators: transformers that must not change anything.
    pub(crate) fn validate(
        &mut self,
        layer: &Layer<'o>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let steps = self.transformer_plugins(layer, &layer.kustomization.validators)?;
        for (transformer, _) in steps {
            let mut copy = ResMap::new();
            for resource in &mut accumulator.objects.resources {
                crate::node::forget_changes(&mut resource.root);
            }
            copy.resources.clone_from(&accumulator.objects.resources);
            transformer.run(&mut copy, &self.schema)?;
            let without_mark = |resource: &Resource| {
                let mut resource = resource.clone();
                let mut labels = resource.texts("labels");
                if labels.remove("validated-by").is_some() {
                    resource.set_texts("labels", &labels);
                }
                resource
            };
            if copy.resources.len() != accumulator.objects.resources.len() {
                return Err(
                    "validator shouldn't modify the resource map: lists have different number of entries"
                        .to_owned(),
                );
            }
            for (after, before) in copy.resources.iter().zip(&accumulator.objects.resources) {
                let (before, after) = (without_mark(before), without_mark(after));
                // A field that is written anew with what it held counts.
                if before.previous.len() != after.previous.len()
                    || before.root != after.root
                    || crate::node::was_changed(&after.root)
                {
                    return Err(format!(
                        "validator shouldn't modify the resource map: nodes unequal: \n -- {},\n -- {}\n\n--",
                        crate::output::json_with_records(&before),
                        crate::output::json_with_records(&after)
                    ));
                }
            }
            accumulator.objects = copy;
        }
        Ok(())
    }
}

/// Reads a file whose type `sigs.k8s.io/yaml` knows.
fn decode_file<T: GoJson>(value: &Value) -> Result<T> {
    gojson::decode(value, Unknown::Ignore, Scalars::AsText)
        .map_err(|error| format!("error unmarshaling JSON: while decoding JSON: {error}"))
}

fn decode<T: GoJson>(config: &Value) -> Result<T> {
    gojson::decode(config, Unknown::Ignore, Scalars::AsText).map_err(|error| {
        // Every plugin has a structure of its own in Go.
        let kind = config.get("kind").and_then(Value::as_str).unwrap_or("");
        let error = error.replace("PluginConfig.", &format!("{kind}Plugin."));
        format!("error unmarshaling JSON: while decoding JSON: {error}")
    })
}

fn value_add(config: &Value, layer: &Layer<'_>, limits: &Limits) -> Result<ValueAdd> {
    let mut args: ValueAddArgs = decode(config)?;
    if args.value.is_empty() {
        args.value = crate::fs::base(layer.loader.root()).to_owned();
    }
    if !args.target_file_path.is_empty() {
        let content = layer
            .loader
            .load(&args.target_file_path)
            .map_err(|error| error.text().to_owned())?;
        let text = sluice_yaml::decode(&content).map_err(|error| error.to_string())?;
        let value = sluice_yaml::from_str_with(&text, Dialect::Sigs, limits)
            .map_err(|error| error.to_string())?;
        let more: ValueAddArgs = decode(&value)?;
        args.targets.extend(more.targets);
    }
    if args.targets.is_empty() {
        return Err("must specify at least one target".to_owned());
    }
    let targets = args
        .targets
        .iter()
        .map(|target| {
            Ok(crate::transform::ValueAddTarget {
                selector: target.selector.as_ref().map(Compiled::new).transpose()?,
                field_path: target.field_path.clone(),
                position: target.file_path_position,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(ValueAdd {
        value: args.value,
        targets,
    })
}

fn iam_account(args: &IamArgs, plugin: &Plugin) -> Result<Resource> {
    if args.cloud != "gke" {
        return Err(format!("cloud provider {} not supported yet", args.cloud));
    }
    let service = &args.kubernetes_service;
    let account = &args.service_account;
    let mut annotations = Map::default();
    annotations.set(
        "iam.gke.io/gcp-service-account",
        Node::string(format!(
            "{}@{}.iam.gserviceaccount.com",
            account.name, account.project_id
        )),
    );
    let mut metadata = Map::default();
    metadata.set("annotations", Node::Map(annotations));
    metadata.set("name", Node::string(&service.name));
    if !service.namespace.is_empty() {
        metadata.set("namespace", Node::string(&service.namespace));
    }
    let mut root = Map::default();
    root.set("apiVersion", Node::string("v1"));
    root.set("kind", Node::string("ServiceAccount"));
    root.set("metadata", Node::Map(metadata));
    let mut resource = Resource::new(root, plugin.origin.clone());
    resource.notes.origin.clone_from(&plugin.maker);
    Ok(resource)
}
