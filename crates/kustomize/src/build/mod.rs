//! From a target to its objects: layers, depth first.
//!
//! ```text
//! build(target)
//!   accumulate(layer)   resources -> configurations, crds -> generators
//!                       -> components -> transformers -> validators -> vars
//!   hashes -> name references -> vars -> local config -> sort -> notes
//! ```

mod generators;
mod layers;
mod notes;
mod transformers;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use sluice_yaml::Dialect;

use crate::config::Config;
use crate::error::{Error, Errors, Place};
use crate::fs;
use crate::generate;
use crate::gojson::GoJson as _;
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
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

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
        self.objects.allowance.absorb(&child.objects.allowance);
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
    /// Errors beside the one that ends the build.
    errors: Vec<Error>,
    /// Where the error is that is on its way up.
    place: Option<Place>,
}

type Result<T> = std::result::Result<T, String>;

/// What is left when all is done, in the order of the output.
pub(crate) struct Finished {
    pub resources: Vec<Resource>,
    pub warnings: Vec<String>,
    schema: Schema,
    wanted: Wanted,
    managed: bool,
}

impl Finished {
    /// Gives an object its last labels and annotations, and its final form.
    ///
    /// # Errors
    /// What JSON cannot hold.
    pub(crate) fn object(&self, resource: &mut Resource) -> std::result::Result<Value, Errors> {
        let failed = |message: String| Errors {
            errors: vec![Error::new(message, None)],
            warnings: self.warnings.clone(),
        };
        if self.managed {
            crate::transform::set_label(resource, MANAGED_BY, VERSION, &self.schema)
                .map_err(failed)?;
        }
        output::finish_annotations(resource, self.wanted);
        output::to_json(resource).map_err(|error| failed(output::explain(&resource.root, &error)))
    }
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
        place: None,
    };
    match builder.run(file_system, path) {
        Ok((resources, managed)) => Ok(Finished {
            resources,
            warnings: builder.warnings,
            schema: builder.schema,
            wanted: builder.wanted,
            managed,
        }),
        Err(message) => {
            let mut errors = builder.errors;
            errors.insert(0, Error::new(message, builder.place));
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
    ) -> Result<(Vec<Resource>, bool)> {
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
            any: !metadata.is_empty(),
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
        Ok((resources, managed))
    }

    /// All parts, or the first problem; the others are told beside it.
    fn all_or_first_error<T>(&mut self, parts: Vec<Result<T>>, file: &str) -> Result<Vec<T>> {
        let mut good = Vec::with_capacity(parts.len());
        let mut first = None;
        for part in parts {
            match part {
                Ok(part) => good.push(part),
                Err(error) if first.is_none() => first = Some(error),
                Err(error) => {
                    let place = Place {
                        file: file.to_owned(),
                        line: None,
                    };
                    self.errors.push(Error::new(error, Some(place)));
                }
            }
        }
        match first {
            None => Ok(good),
            Some(error) => Err(error),
        }
    }

    /// Objects that serve the build only are not printed.
    fn drop_local_config(&self, objects: &mut ResMap) -> Result<()> {
        for resource in &objects.resources {
            read::check_identity(&resource.root).map_err(|_| output::identity_problem(resource))?;
            if resource.root.get("kind").is_some_and(Node::is_null) {
                return Err("ERROR node-referrerOriginal 'Kind' mismatch '' != 'null'".to_owned());
            }
        }
        objects.resources.retain(|resource| {
            resource
                .annotation("config.kubernetes.io/local-config")
                .is_none_or(|text| text == "false")
        });
        objects.check_unique(&self.schema)
    }
}

/// kustomize's words for a plugin whose configuration is wrong.
pub(crate) fn trouble(kind: &str, config: &Value, error: &str) -> String {
    let text = sluice_yaml::to_string(config).unwrap_or_default();
    format!("trouble configuring builtin {kind} with config: `\n{text}`: {error}")
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
