//! The kustomization file as data.
//!
//! Every field of kustomize v5.8.1, the deprecated ones included, under the
//! names it has in the file. [`Kustomization::parse`] reads a file with
//! kustomize's rules and error texts; [`Kustomization::to_yaml`] writes one,
//! which is how a controller completes a user's file before it builds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_yaml::{Dialect, Limits};

use crate::gojson::{self, GoJson as _, Scalars, Unknown, go_struct};

/// The names under which a kustomization file is looked for, in this order.
pub const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The `apiVersion` of a Kustomization.
pub const API_VERSION: &str = "kustomize.config.k8s.io/v1beta1";
/// The `apiVersion` of a Component.
pub const COMPONENT_API_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";

go_struct! {
    /// The content of a kustomization file.
    pub struct Kustomization("Kustomization") {
        /// `kustomize.config.k8s.io/v1beta1`, or `v1alpha1` for a Component.
        api_version: String = "TypeMeta.apiVersion",
        /// `Kustomization` or `Component`.
        kind: String = "TypeMeta.kind",
        /// Accepted and without effect.
        metadata: Option<ObjectMeta> = "metadata",
        /// `version` or `path` of the schema to merge by.
        openapi: BTreeMap<String, String> = "openapi",
        /// Put before every name.
        name_prefix: String = "namePrefix",
        /// Put behind every name.
        name_suffix: String = "nameSuffix",
        /// The namespace of every object that can have one.
        namespace: String = "namespace",
        /// Deprecated: labels on everything, selectors and templates included.
        common_labels: BTreeMap<String, String> = "commonLabels",
        /// Labels, each set with its reach.
        labels: Vec<Label> = "labels",
        /// Annotations on everything.
        common_annotations: BTreeMap<String, String> = "commonAnnotations",
        /// Deprecated: strategic-merge patches, inline or as paths.
        patches_strategic_merge: Vec<String> = "patchesStrategicMerge",
        /// Deprecated: JSON patches.
        patches_json6902: Vec<Patch> = "patchesJson6902",
        /// Patches of either sort.
        patches: Vec<Patch> = "patches",
        /// New names, tags and digests of images.
        images: Vec<Image> = "images",
        /// Deprecated spelling of `images`.
        image_tags: Vec<Image> = "imageTags",
        /// Values copied from field to field.
        replacements: Vec<ReplacementField> = "replacements",
        /// New replica counts.
        replicas: Vec<Replica> = "replicas",
        /// Deprecated: values for `$(NAME)`.
        vars: Vec<Var> = "vars",
        /// The order of the output.
        sort_options: Option<SortOptions> = "sortOptions",
        /// Files, directories and URLs to build from.
        resources: Vec<String> = "resources",
        /// Components to apply.
        components: Vec<String> = "components",
        /// Files with schemas of custom types.
        crds: Vec<String> = "crds",
        /// Deprecated spelling of `resources`.
        bases: Vec<String> = "bases",
        /// ConfigMaps to generate.
        config_map_generator: Vec<ConfigMapArgs> = "configMapGenerator",
        /// Secrets to generate.
        secret_generator: Vec<SecretArgs> = "secretGenerator",
        /// Where charts are.
        helm_globals: Option<HelmGlobals> = "helmGlobals",
        /// Charts to render.
        helm_charts: Vec<HelmChart> = "helmCharts",
        /// Deprecated form of `helmCharts`.
        helm_chart_inflation_generator: Vec<HelmChartArgs> = "helmChartInflationGenerator",
        /// Options of all generators.
        generator_options: Option<GeneratorOptions> = "generatorOptions",
        /// Files with further field specs.
        configurations: Vec<String> = "configurations",
        /// Generator plugins: paths or inline objects.
        generators: Vec<String> = "generators",
        /// Transformer plugins: paths or inline objects.
        transformers: Vec<String> = "transformers",
        /// Validator plugins: paths or inline objects.
        validators: Vec<String> = "validators",
        /// Which notes on its making an object gets.
        build_metadata: Vec<String> = "buildMetadata",
    }
}

go_struct! {
    /// Metadata of the file itself.
    pub struct ObjectMeta("ObjectMeta") {
        /// A name.
        name: String = "name",
        /// A namespace.
        namespace: String = "namespace",
        /// Labels.
        labels: BTreeMap<String, String> = "labels",
        /// Annotations.
        annotations: BTreeMap<String, String> = "annotations",
    }
}

go_struct! {
    /// A set of labels and where it goes.
    pub struct Label("Label") {
        /// The labels.
        pairs: BTreeMap<String, String> = "pairs",
        /// Into selectors and templates as well.
        include_selectors: bool = "includeSelectors",
        /// Into templates as well.
        include_templates: bool = "includeTemplates",
        /// Further places.
        fields: Vec<FieldSpec> = "fields",
    }
}

go_struct! {
    /// A field of some kinds of objects.
    pub struct FieldSpec("FieldSpec") {
        /// Only this API group; empty for any.
        group: String = "Gvk.group",
        /// Only this version; empty for any.
        version: String = "Gvk.version",
        /// Only this kind; empty for any.
        kind: String = "Gvk.kind",
        /// The path, `/` between its parts.
        path: String = "path",
        /// Whether a missing field is created.
        create: bool = "create",
    }
}

go_struct! {
    /// A patch and what it applies to.
    pub struct Patch("Patch") {
        /// The file that holds it.
        path: String = "path",
        /// The patch itself.
        patch: String = "patch",
        /// What it applies to.
        target: Option<Selector> = "target",
        /// What it may change.
        options: Option<PatchOptions> = "options",
    }
}

go_struct! {
    /// What a patch may change beyond fields.
    pub struct PatchOptions("PatchArgs") {
        /// The name.
        allow_name_change: bool = "allowNameChange",
        /// The kind.
        allow_kind_change: bool = "allowKindChange",
    }
}

go_struct! {
    /// Selects objects; the parts of the id are anchored regular expressions.
    pub struct Selector("Selector") {
        /// API group.
        group: String = "ResId.Gvk.group",
        /// Version.
        version: String = "ResId.Gvk.version",
        /// Kind.
        kind: String = "ResId.Gvk.kind",
        /// Name.
        name: String = "ResId.name",
        /// Namespace.
        namespace: String = "ResId.namespace",
        /// A selector on annotations, in the syntax of label selectors.
        annotation_selector: String = "annotationSelector",
        /// A selector on labels.
        label_selector: String = "labelSelector",
    }
}

go_struct! {
    /// A change of an image reference.
    pub struct Image("Image") {
        /// The image to change (a regular expression).
        name: String = "name",
        /// Its new name.
        new_name: String = "newName",
        /// A text to put behind its tag.
        tag_suffix: String = "tagSuffix",
        /// Its new tag.
        new_tag: String = "newTag",
        /// Its new digest.
        digest: String = "digest",
    }
}

go_struct! {
    /// A replica count for workloads of a name.
    pub struct Replica("Replica") {
        /// The name.
        name: String = "name",
        /// The count.
        count: i64 = "count",
    }
}

go_struct! {
    /// A replacement, inline or in a file.
    pub struct ReplacementField("ReplacementField") {
        /// The file that holds it.
        path: String = "path",
        /// Where the value comes from.
        source: Option<SourceSelector> = "Replacement.source",
        /// Where it goes.
        targets: Option<Vec<TargetSelector>> = "Replacement.targets",
        /// The value itself.
        source_value: Option<String> = "Replacement.sourceValue",
    }
}

go_struct! {
    /// The object and field that a value comes from.
    pub struct SourceSelector("SourceSelector") {
        /// API group.
        group: String = "ResId.Gvk.group",
        /// Version.
        version: String = "ResId.Gvk.version",
        /// Kind.
        kind: String = "ResId.Gvk.kind",
        /// Name.
        name: String = "ResId.name",
        /// Namespace.
        namespace: String = "ResId.namespace",
        /// The field; `metadata.name` when empty.
        field_path: String = "fieldPath",
        /// Which part of the value.
        options: Option<FieldOptions> = "options",
    }
}

go_struct! {
    /// The objects and fields that a value goes to.
    pub struct TargetSelector("TargetSelector") {
        /// The objects.
        select: Option<Selector> = "select",
        /// Objects to leave out.
        reject: Vec<Selector> = "reject",
        /// The fields; `metadata.name` when empty.
        field_paths: Vec<String> = "fieldPaths",
        /// Which part of the value, and whether to create the field.
        options: Option<FieldOptions> = "options",
    }
}

go_struct! {
    /// A part of a value.
    pub struct FieldOptions("FieldOptions") {
        /// What separates the parts.
        delimiter: String = "delimiter",
        /// Which part.
        index: i32 = "index",
        /// Accepted and without effect.
        encoding: String = "encoding",
        /// Whether a missing field is created.
        create: bool = "create",
    }
}

go_struct! {
    /// A value for `$(NAME)`.
    pub struct Var("Var") {
        /// The name.
        name: String = "name",
        /// The object that the value comes from.
        objref: VarTarget = "objref",
        /// The field.
        fieldref: FieldSelector = "fieldref",
    }
}

go_struct! {
    /// The object that a variable reads.
    pub struct VarTarget("Target") {
        /// `group/version`.
        api_version: String = "apiVersion",
        /// API group.
        group: String = "Gvk.group",
        /// Version.
        version: String = "Gvk.version",
        /// Kind.
        kind: String = "Gvk.kind",
        /// Name.
        name: String = "name",
        /// Namespace.
        namespace: String = "namespace",
    }
}

go_struct! {
    /// A field, by its path.
    pub struct FieldSelector("FieldSelector") {
        /// The path; `metadata.name` when empty.
        fieldpath: String = "fieldPath",
    }
}

go_struct! {
    /// How the output is ordered.
    pub struct SortOptions("SortOptions") {
        /// `legacy` or `fifo`.
        order: SortOrder = "order",
        /// The ranks of kinds in legacy order.
        legacy_sort_options: Option<LegacySortOptions> = "legacySortOptions",
    }
}

go_struct! {
    /// Kinds that come first and last.
    pub struct LegacySortOptions("LegacySortOptions") {
        /// Kinds that come first.
        order_first: Vec<String> = "orderFirst",
        /// Kinds that come last.
        order_last: Vec<String> = "orderLast",
    }
}

/// The order that a file asks for: a text with a type of its own in Go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SortOrder(pub String);

impl gojson::GoJson for SortOrder {
    fn go_type() -> String {
        "types.SortOrder".to_owned()
    }

    fn read(&mut self, value: &Value, decoder: &mut gojson::Decoder) {
        match value {
            Value::String(text) => self.0.clone_from(text),
            other => decoder.mismatch(other, "types.SortOrder"),
        }
    }

    fn write(&self) -> Option<Value> {
        self.0.write()
    }
}

go_struct! {
    /// A ConfigMap to generate.
    pub struct ConfigMapArgs("ConfigMapArgs") {
        /// Its namespace.
        namespace: String = "GeneratorArgs.namespace",
        /// Its name, before the hash.
        name: String = "GeneratorArgs.name",
        /// `create`, `merge` or `replace`.
        behavior: String = "GeneratorArgs.behavior",
        /// `key=value` texts.
        literals: Vec<String> = "GeneratorArgs.KvPairSources.literals",
        /// Files, as `[key=]path`.
        files: Vec<String> = "GeneratorArgs.KvPairSources.files",
        /// Files of `key=value` lines.
        envs: Vec<String> = "GeneratorArgs.KvPairSources.envs",
        /// Deprecated: one more of `envs`.
        env: String = "GeneratorArgs.KvPairSources.env",
        /// Options of this one.
        options: Option<GeneratorOptions> = "GeneratorArgs.options",
    }
}

go_struct! {
    /// A Secret to generate.
    pub struct SecretArgs("SecretArgs") {
        /// Its namespace.
        namespace: String = "GeneratorArgs.namespace",
        /// Its name, before the hash.
        name: String = "GeneratorArgs.name",
        /// `create`, `merge` or `replace`.
        behavior: String = "GeneratorArgs.behavior",
        /// `key=value` texts.
        literals: Vec<String> = "GeneratorArgs.KvPairSources.literals",
        /// Files, as `[key=]path`.
        files: Vec<String> = "GeneratorArgs.KvPairSources.files",
        /// Files of `key=value` lines.
        envs: Vec<String> = "GeneratorArgs.KvPairSources.envs",
        /// Deprecated: one more of `envs`.
        env: String = "GeneratorArgs.KvPairSources.env",
        /// Options of this one.
        options: Option<GeneratorOptions> = "GeneratorArgs.options",
        /// The type of the Secret; `Opaque` when empty.
        kind: String = "type",
    }
}

go_struct! {
    /// Options of generators.
    pub struct GeneratorOptions("GeneratorOptions") {
        /// Labels of the objects.
        labels: BTreeMap<String, String> = "labels",
        /// Annotations of the objects.
        annotations: BTreeMap<String, String> = "annotations",
        /// No hash behind the name.
        disable_name_suffix_hash: bool = "disableNameSuffixHash",
        /// Make the object immutable.
        immutable: bool = "immutable",
    }
}

go_struct! {
    /// Where charts and Helm's own files are.
    pub struct HelmGlobals("HelmGlobals") {
        /// The directory of charts; `charts` when empty.
        chart_home: String = "chartHome",
        /// Helm's own directory.
        config_home: String = "configHome",
    }
}

go_struct! {
    /// A chart to render.
    pub struct HelmChart("HelmChart") {
        /// Name of the chart.
        name: String = "name",
        /// Version of the chart.
        version: String = "version",
        /// Repository of the chart.
        repo: String = "repo",
        /// Name of the release.
        release_name: String = "releaseName",
        /// Namespace of the release.
        namespace: String = "namespace",
        /// A file of further values.
        additional_values_files: Vec<String> = "additionalValuesFiles",
        /// A file of values instead of the chart's.
        values_file: String = "valuesFile",
        /// Values.
        values_inline: Map<String, Value> = "valuesInline",
        /// `merge`, `override` or `replace`.
        values_merge: String = "valuesMerge",
        /// Render CRDs too.
        include_crds: bool = "includeCRDs",
        /// Leave hooks out.
        skip_hooks: bool = "skipHooks",
        /// API versions that the chart is told of.
        api_versions: Vec<String> = "apiVersions",
        /// The Kubernetes version that the chart is told of.
        kube_version: String = "kubeVersion",
        /// A template for the name of the release.
        name_template: String = "nameTemplate",
        /// Leave tests out.
        skip_tests: bool = "skipTests",
        /// Verbose output of Helm.
        debug: bool = "debug",
        /// Development versions too.
        devel: bool = "devel",
    }
}

go_struct! {
    /// A chart in the old form.
    pub struct HelmChartArgs("HelmChartArgs") {
        /// Name of the chart.
        chart_name: String = "chartName",
        /// Version of the chart.
        chart_version: String = "chartVersion",
        /// URL of its repository.
        chart_repo_url: String = "chartRepoUrl",
        /// The directory of charts.
        chart_home: String = "chartHome",
        /// Dropped.
        chart_repo_name: String = "chartRepoName",
        /// Dropped.
        helm_bin: String = "helmBin",
        /// Helm's own directory.
        helm_home: String = "helmHome",
        /// A file of values.
        values: String = "values",
        /// Values.
        values_local: Map<String, Value> = "valuesLocal",
        /// How the two are merged.
        values_merge: String = "valuesMerge",
        /// Name of the release.
        release_name: String = "releaseName",
        /// Dropped.
        release_namespace: String = "releaseNamespace",
        /// Dropped.
        extra_args: Vec<String> = "extraArgs",
    }
}

/// A file that was read, with what there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The content, deprecated fields moved to their successors.
    pub kustomization: Kustomization,
    /// Deprecation warnings, worded as kustomize prints them.
    pub warnings: Vec<String>,
}

impl Kustomization {
    /// Reads a kustomization file: YAML 1.1, first document, unknown fields
    /// refused. Deprecated fields are moved to where they belong now, and
    /// `kind` and `apiVersion` are filled in.
    ///
    /// # Errors
    /// kustomize's text for malformed YAML, unknown fields, wrong types and an
    /// empty file; wrong `kind` or `apiVersion` are left to
    /// [`Kustomization::check`].
    pub fn parse(text: &str, limits: &Limits) -> Result<Parsed, String> {
        let value = sluice_yaml::from_str_with(text, Dialect::Sigs, limits)
            .map_err(|error| format!("invalid Kustomization: {error}"))?;
        Self::from_value(&value)
    }

    /// As [`Kustomization::parse`], from the JSON form of a file.
    ///
    /// # Errors
    /// As [`Kustomization::parse`].
    pub fn from_value(value: &Value) -> Result<Parsed, String> {
        let mut kustomization: Kustomization =
            gojson::decode(value, Unknown::Refuse, Scalars::Strict)
                .map_err(|error| format!("invalid Kustomization: {error}"))?;
        let is_set = |(key, value): (&String, &Value)| {
            !["apiversion", "kind"].contains(&key.to_ascii_lowercase().as_str())
                && !value.is_null()
                && value.as_str() != Some("")
        };
        let empty = !value.as_object().is_some_and(|map| map.iter().any(is_set));
        let warnings = deprecation_warnings(value);
        kustomization.move_deprecated_fields();
        if empty {
            return Err("kustomization.yaml is empty".to_owned());
        }
        Ok(Parsed {
            kustomization,
            warnings,
        })
    }

    /// Reads a file as a tool does that only completes it: fields that are not
    /// known are left out, deprecated ones stay where they are, and `kind` and
    /// `apiVersion` are filled in.
    ///
    /// # Errors
    /// `sigs.k8s.io/yaml`'s text for malformed YAML and wrong types.
    pub fn parse_lenient(text: &str, limits: &Limits) -> Result<Self, String> {
        let value = sluice_yaml::from_str_with(text, Dialect::Sigs, limits)
            .map_err(|error| format!("error converting YAML to JSON: {error}"))?;
        let mut kustomization: Kustomization =
            gojson::decode(&value, Unknown::Ignore, Scalars::Strict).map_err(|error| {
                format!("error unmarshaling JSON: while decoding JSON: {error}")
            })?;
        if kustomization.kind.is_empty() {
            kustomization.kind = "Kustomization".to_owned();
        }
        if kustomization.api_version.is_empty() {
            kustomization.api_version = API_VERSION.to_owned();
        }
        Ok(kustomization)
    }

    /// The first problem of `kind` and `apiVersion`, if any, one a line.
    pub fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !["Kustomization", "Component"].contains(&self.kind.as_str()) {
            problems.push("kind should be Kustomization or Component".to_owned());
        }
        let required = required_api_version(&self.kind);
        if self.api_version != required {
            problems.push(format!("apiVersion for {} should be {required}", self.kind));
        }
        problems
    }

    /// The JSON form, without empty fields.
    pub fn to_value(&self) -> Value {
        self.write().unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// The file as YAML, without empty fields.
    ///
    /// # Errors
    /// A text with control characters that YAML cannot carry.
    pub fn to_yaml(&self) -> Result<String, sluice_yaml::Error> {
        sluice_yaml::to_string(&self.to_value())
    }

    fn move_deprecated_fields(&mut self) {
        if self.kind.is_empty() {
            self.kind = "Kustomization".to_owned();
        }
        if self.api_version.is_empty() {
            self.api_version = required_api_version(&self.kind).to_owned();
        }
        self.resources.append(&mut self.bases);
        self.images.append(&mut self.image_tags);
        for args in &mut self.config_map_generator {
            if !args.env.is_empty() {
                args.envs.push(std::mem::take(&mut args.env));
            }
        }
        for args in &mut self.secret_generator {
            if !args.env.is_empty() {
                args.envs.push(std::mem::take(&mut args.env));
            }
        }
        for old in std::mem::take(&mut self.helm_chart_inflation_generator) {
            let globals = self.helm_globals.get_or_insert_default();
            if globals.chart_home.is_empty() && !old.chart_home.is_empty() {
                globals.chart_home = old.chart_home;
            }
            if globals.config_home.is_empty() && !old.helm_home.is_empty() {
                globals.config_home = old.helm_home;
            }
            self.helm_charts.push(HelmChart {
                name: old.chart_name,
                version: old.chart_version,
                repo: old.chart_repo_url,
                release_name: old.release_name,
                values_file: old.values,
                values_inline: old.values_local,
                values_merge: old.values_merge,
                ..HelmChart::default()
            });
        }
    }
}

fn required_api_version(kind: &str) -> &'static str {
    match kind {
        "Component" => COMPONENT_API_VERSION,
        _ => API_VERSION,
    }
}

fn deprecation_warnings(value: &Value) -> Vec<String> {
    const TAIL: &str = "Run 'kustomize edit fix' to update your Kustomization automatically.";
    let successors = [
        ("bases", "resources", ""),
        ("commonLabels", "labels", ""),
        ("imageTags", "images", ""),
        ("patchesJson6902", "patches", ""),
        ("patchesStrategicMerge", "patches", ""),
        ("vars", "replacements", "[EXPERIMENTAL] "),
    ];
    let present = |name: &str| {
        value.as_object().is_some_and(|map| {
            map.iter()
                .any(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null())
        })
    };
    successors
        .iter()
        .filter(|(old, ..)| present(old))
        .map(|(old, new, note)| {
            format!("# Warning: '{old}' is deprecated. Please use '{new}' instead. {note}{TAIL}")
        })
        .collect()
}
