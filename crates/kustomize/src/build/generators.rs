//! Generators of a layer, and what becomes of the objects that they make.

use super::*;

impl<'o> Builder<'o> {
    pub(super) fn generate(
        &mut self,
        layer: &Layer<'o>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
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
        for chart in &kustomization.helm_charts {
            crate::helm::check(chart, self.options.helm).map_err(|error| {
                let mut config = chart.write().unwrap_or_default();
                let globals = kustomization.helm_globals.as_ref().and_then(|g| g.write());
                if let (Some(config), Some(Value::Object(globals))) =
                    (config.as_object_mut(), globals)
                {
                    config.extend(globals);
                }
                trouble("HelmChartInflationGenerator", &config, &error)
            })?;
        }
        let plugins = self.generator_plugins(layer)?;
        let mut problems: Vec<Result<()>> = Vec::new();
        for (kind, args) in config_maps.chain(secrets) {
            let origin = Arc::new(Origin {
                file: layer.file.clone(),
                line: 0,
                base: layer.loader.root().to_owned(),
                generator: Some(format!("{kind} {}", args.name)),
            });
            let options = generate::merge_options(global, args.options);
            let made = generate::generate(&args, options.as_ref(), &layer.loader, origin);
            let absorbed = made.and_then(|mut made| {
                made.notes.origin = self.built_in_maker(layer, kind);
                self.absorb_generated(made, &mut accumulator.objects)
                    .map_err(|error| format!("merging from generator {kind}: {error}"))
            });
            if absorbed.is_err() {
                problems.push(absorbed);
            }
        }
        self.all_or_first_error(problems, &layer.file)?;
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
            &self.options.limits,
        )?;
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
                if merged.is_empty() {
                    made.root.remove(field);
                } else {
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
        let asked = std::mem::replace(&mut made.behavior, old.behavior);
        if old.notes.origin.is_some() && asked != Behavior::Replace {
            made.notes = std::mem::take(&mut old.notes);
        }
        made.variables = std::mem::take(&mut old.variables);
        let before = old.current_id(schema);
        *old = made;
        objects.changed(at, &before, schema);
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
