//! The transformations that the fields of a kustomization ask for.

use super::*;

impl<'o> Builder<'o> {
    pub(super) fn transform(
        &mut self,
        layer: &Layer<'o>,
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let mut steps: Vec<(Transformer, Option<Arc<Maker>>)> = Vec::new();
        let built_in = self.built_in_transformers(layer, &accumulator.config);
        for transformer in self.all_or_first_error(built_in, &layer.file)? {
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
    /// kustomize's order, or what is wrong with each of them.
    fn built_in_transformers(
        &self,
        layer: &Layer<'o>,
        config: &Config,
    ) -> Vec<Result<Transformer>> {
        let kustomization = &layer.kustomization;
        let limits = &self.options.limits;
        let mut out = Vec::new();
        if !kustomization.patches_strategic_merge.is_empty() {
            let entries = &kustomization.patches_strategic_merge;
            let step = StrategicMerge::new(entries, "", &layer.loader, limits).map_err(|error| {
                let list: Vec<Value> = entries.iter().map(|e| Value::from(e.as_str())).collect();
                trouble(
                    "PatchStrategicMergeTransformer",
                    &serde_json::json!({ "paths": list }),
                    &error,
                )
            });
            out.push(step.map(Transformer::StrategicMerge));
        }
        for args in &kustomization.patches {
            let value = args
                .write()
                .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            let text = sluice_yaml::to_string(&value).unwrap_or_default();
            let step = Patch::new(args, &text, &layer.loader, limits)
                .map_err(|error| trouble("PatchTransformer", &value, &error));
            out.push(step.map(|step| Transformer::Patch(Box::new(step))));
        }
        if !kustomization.namespace.is_empty() {
            out.push(Ok(Transformer::Namespace(Namespace::new(
                &kustomization.namespace,
                &config.namespace,
                false,
                SubjectMode::DefaultOnly,
            ))));
        }
        if !kustomization.name_prefix.is_empty() {
            out.push(Ok(Transformer::Affix(Affix {
                side: Side::Prefix,
                text: kustomization.name_prefix.clone(),
                specs: Specs::new(&config.name_prefix),
            })));
        }
        if !kustomization.name_suffix.is_empty() {
            out.push(Ok(Transformer::Affix(Affix {
                side: Side::Suffix,
                text: kustomization.name_suffix.clone(),
                specs: Specs::new(&config.name_suffix),
            })));
        }
        match self.label_transformers(kustomization, config) {
            Ok(labels) => out.extend(labels.into_iter().map(Ok)),
            Err(error) => out.push(Err(error)),
        }
        if !kustomization.common_annotations.is_empty() {
            out.push(Ok(Transformer::Annotations(Annotations {
                pairs: kustomization.common_annotations.clone(),
                specs: Specs::new(&config.common_annotations),
            })));
        }
        for args in &kustomization.patches_json6902 {
            let step = JsonPatch::new(args, &layer.loader, limits).map_err(|error| {
                let mut value = args
                    .write()
                    .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
                if let Some(map) = value.as_object_mut()
                    && let Some(patch) = map.remove("patch")
                {
                    map.insert("jsonOp".to_owned(), patch);
                }
                trouble("PatchJson6902Transformer", &value, &error)
            });
            out.push(step.map(Transformer::JsonPatch));
        }
        for replica in &kustomization.replicas {
            out.push(Ok(Transformer::Replicas(Replicas {
                replica: replica.clone(),
                specs: Specs::new(&config.replicas),
            })));
        }
        for image in &kustomization.images {
            let step = Images::new(image, Specs::new(&config.images));
            out.push(step.map(Transformer::Images));
        }
        if !kustomization.replacements.is_empty() {
            // An empty list is left out of the plugin's configuration.
            let mut fields = kustomization.replacements.clone();
            for field in &mut fields {
                field.targets = field.targets.take().filter(|targets| !targets.is_empty());
            }
            let list =
                crate::plugins::replacements(&fields, &layer.loader, limits).map_err(|error| {
                    trouble(
                        "ReplacementTransformer",
                        &crate::plugins::show_replacements(&kustomization.replacements),
                        &error,
                    )
                });
            out.push(list.map(Transformer::Replacements));
        }
        out
    }

    fn label_transformers(
        &self,
        kustomization: &Kustomization,
        config: &Config,
    ) -> Result<Vec<Transformer>> {
        let mut out = Vec::new();
        if kustomization.labels.is_empty() && kustomization.common_labels.is_empty() {
            return Ok(out);
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
        Ok(out)
    }
}

/// Notes a transformation on every object.
fn note(objects: &mut ResMap, maker: &Arc<Maker>) {
    for resource in &mut objects.resources {
        if resource.notes.origin.is_none() {
            resource.notes.origin = Some(maker.clone());
        } else {
            resource.notes.transformations.push(maker.clone());
        }
        // The note is one of the annotations, which are all written anew.
        let texts = resource.texts("annotations");
        if !texts.is_empty() {
            resource.set_texts("annotations", &texts);
        }
    }
}
