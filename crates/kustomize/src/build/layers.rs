//! Layers: their kustomization files, resources, bases and components.

use super::*;

impl<'o> Builder<'o> {
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
        let file = fs::join(loader.root(), name);
        self.place = Some(Place {
            file: file.clone(),
            line: None,
        });
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
        self.place = None;
        Ok(Layer {
            file,
            loader,
            kustomization: parsed.kustomization,
            outer_namespace: outer_namespace.to_owned(),
            depth,
        })
    }

    /// Takes the schema that a layer names, unless there is one already.
    pub(super) fn set_schema(&mut self, layer: &Layer<'o>) -> Result<()> {
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
        self.accumulate_rest(layer, accumulator).inspect_err(|_| {
            self.place.get_or_insert_with(|| Place {
                file: layer.file.clone(),
                line: None,
            });
        })
    }

    /// All that comes after the resources of a layer.
    fn accumulate_rest(&mut self, layer: &Layer<'o>, accumulator: &mut Accumulator) -> Result<()> {
        let kustomization = &layer.kustomization;
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
                format!(
                    "merging vars {}: {error}",
                    crate::vars::show_raw(&kustomization.vars)
                )
            })
    }

    /// Reads every entry, be it a file or a layer.
    pub(crate) fn accumulate_resources(
        &mut self,
        layer: &Layer<'o>,
        paths: &[String],
        accumulator: &mut Accumulator,
    ) -> Result<()> {
        let mut first: Option<(String, Option<Place>)> = None;
        for path in paths {
            let Err(error) = self.accumulate_entry(layer, path, accumulator) else {
                continue;
            };
            let place = self.place.take();
            // The build has failed, but the other entries may have errors of
            // their own that are worth telling in the same run.
            match &first {
                None => first = Some((error, place)),
                Some(_) => {
                    let message = format!("accumulating resources: {error}");
                    self.errors.push(Error::new(message, place));
                }
            }
        }
        match first {
            Some((error, place)) => {
                self.place = place;
                Err(error)
            }
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
        let found = read::read_file(&content, &self.options.limits).map_err(|error| {
            let message = describe(&error.message(path));
            self.place = Some(Place {
                file: layer.loader.absolute(path),
                line: error.line(),
            });
            match error {
                ReadError::Malformed { .. } => FileError::Malformed(message),
                ReadError::Invalid { .. } => FileError::Other(message),
            }
        })?;
        let file = layer.loader.absolute(path);
        let maker = self.maker_of_file(layer, path, &file);
        let mut own = ResMap::new();
        for found in found {
            let origin = Origin {
                file: file.clone(),
                line: found.line,
                base: layer.loader.root().to_owned(),
                generator: None,
            };
            let mut resource = Resource::new(found.root, Arc::new(origin));
            resource.notes.origin.clone_from(&maker);
            own.append(resource, &self.schema)
                .map_err(|error| FileError::Other(describe(&error)))?;
        }
        for resource in own.resources {
            accumulator
                .objects
                .append(resource, &self.schema)
                .map_err(|error| {
                    FileError::Other(format!("merging resources from '{path}': {error}"))
                })?;
        }
        Ok(())
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
            let unreadable = |error: String| {
                describe(format!(
                    "unable to parse open API definition from '{path}': {error}"
                ))
            };
            let text =
                sluice_yaml::decode(&content).map_err(|error| unreadable(error.to_string()))?;
            let definitions = if text.starts_with('{') {
                serde_json::from_str(&text).map_err(|error| unreadable(go_json_error(&error)))?
            } else {
                sluice_yaml::from_str_with(&text, Dialect::Sigs, &self.options.limits)
                    .map_err(|error| unreadable(error.to_string()))?
            };
            accumulator
                .config
                .to_mut()
                .add_crd_schema(&definitions)
                .map_err(|error| format!("merging CRDs [{}]: {error}", paths.join(" ")))?;
        }
        Ok(())
    }
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

/// What Go says of broken JSON, as far as that can be told.
fn go_json_error(error: &serde_json::Error) -> String {
    if error.is_eof() {
        "unexpected end of JSON input".to_owned()
    } else {
        error.to_string()
    }
}
