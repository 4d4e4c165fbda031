//! Chart.yaml: its fields, how they are read, and what makes them valid.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sluice_gotemplate::strconv::{format_float, quote};
use sluice_gotemplate::text::{is_print, is_space};
use sluice_version::{Constraint, Version};
use sluice_yaml::{Booleans, Dialect, Kind, Limits, Node, Resolved, resolve};

use super::ChartError;
use crate::ordered::Ordered;

/// What Chart.yaml says about a chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// The chart's name.
    pub name: String,
    /// The project's home page.
    pub home: String,
    /// Where the sources are.
    pub sources: Vec<String>,
    /// The chart's version, as written.
    pub version: String,
    /// One sentence about the chart.
    pub description: String,
    /// Words to search by.
    pub keywords: Vec<String>,
    /// Who looks after the chart.
    pub maintainers: Vec<Option<Maintainer>>,
    /// The address of an icon.
    pub icon: String,
    /// `v1` or `v2`.
    pub api_version: String,
    /// A condition, for charts that are dependencies.
    pub condition: String,
    /// Tags, for charts that are dependencies.
    pub tags: String,
    /// The version of what the chart installs.
    pub app_version: String,
    /// Whether the chart should no longer be used.
    pub deprecated: bool,
    /// Free annotations; `None` when there are none.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Which Kubernetes versions the chart works with.
    pub kube_version: String,
    /// The charts that this one brings along; `None` when the key is absent.
    pub dependencies: Option<Vec<Option<Dependency>>>,
    /// `application`, `library` or empty.
    pub chart_type: String,
}

/// Who looks after a chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Maintainer {
    /// Name of the person or group.
    pub name: String,
    /// Where to write to.
    pub email: String,
    /// Where to read about them.
    pub url: String,
}

/// A chart that another one brings along.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Which of its versions will do.
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Paths of values that switch it on or off.
    pub condition: String,
    /// Groups of dependencies that are switched together.
    pub tags: Vec<String>,
    /// Whether it takes part; decided when dependencies are processed.
    pub enabled: bool,
    /// Values to take over from it.
    pub import_values: Vec<Json>,
    /// Another name for it.
    pub alias: String,
}

/// Chart.lock: the exact versions of the dependencies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// When it was written, as it is written.
    pub generated: String,
    /// Checksum of the dependencies it was made for.
    pub digest: String,
    /// The dependencies with exact versions.
    pub dependencies: Option<Vec<Option<Dependency>>>,
}

/// Reads YAML with the errors of Go's decoder.
pub(crate) struct Fields<'n> {
    pairs: Vec<(String, &'n Node<'n>)>,
    owner: &'static str,
    is_null: bool,
}

pub(crate) type Read<T> = Result<T, String>;

/// The text of a scalar where a string is wanted: numbers and booleans are
/// written as their values, not as they stand.
fn scalar_text(node: &Node<'_>) -> Option<String> {
    let Kind::Scalar { .. } = &node.kind else {
        return None;
    };
    let text = node.as_str()?;
    if !plain_untagged(node) {
        return Some(text.to_owned());
    }
    Some(match resolve(text, Booleans::Yaml11) {
        Resolved::Bool(b) => b.to_string(),
        Resolved::Int(n) => n.to_string(),
        Resolved::Uint(n) => n.to_string(),
        Resolved::Float(f) => format_float(f),
        Resolved::Null => return Some(String::new()),
        Resolved::Timestamp | Resolved::Merge | Resolved::Str => text.to_owned(),
    })
}

fn plain_untagged(node: &Node<'_>) -> bool {
    let is_plain = match &node.kind {
        Kind::Scalar { style, .. } => *style == sluice_yaml::ScalarStyle::Plain,
        _ => false,
    };
    is_plain && node.tag().is_none()
}

fn is_null(node: &Node<'_>) -> bool {
    plain_untagged(node)
        && node
            .as_str()
            .is_some_and(|text| resolve(text, Booleans::Yaml11) == Resolved::Null)
}

/// The name of what a node is, in the words of Go's JSON decoder.
fn json_kind(node: &Node<'_>) -> &'static str {
    match &node.kind {
        Kind::Mapping { .. } => "object",
        Kind::Sequence { .. } => "array",
        _ if !plain_untagged(node) => "string",
        _ => match node.as_str().map(|t| resolve(t, Booleans::Yaml11)) {
            Some(Resolved::Bool(_)) => "bool",
            Some(Resolved::Int(_) | Resolved::Uint(_) | Resolved::Float(_)) => "number",
            _ => "string",
        },
    }
}

fn mismatch<T>(node: &Node<'_>, place: &str, wanted: &str) -> Read<T> {
    Err(format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go {place} \
         of type {wanted}",
        json_kind(node)
    ))
}

impl<'n> Fields<'n> {
    pub(crate) fn of(
        node: &'n Node<'n>,
        owner: &'static str,
        place: &str,
        wanted: &str,
    ) -> Read<Self> {
        if is_null(node) {
            return Ok(Fields {
                pairs: Vec::new(),
                owner,
                is_null: true,
            });
        }
        let Some(pairs) = node.as_mapping() else {
            return mismatch(node, place, wanted);
        };
        Ok(Fields {
            pairs: pairs
                .iter()
                .filter_map(|(key, value)| Some((scalar_text(key)?, value)))
                .collect(),
            owner,
            is_null: false,
        })
    }

    /// Whether there is a null instead of fields.
    pub(crate) fn is_nothing(&self) -> bool {
        self.is_null
    }

    /// The last of repeated keys counts; Go also takes other cases of letters.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node<'n>> {
        self.pairs
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .or_else(|| {
                self.pairs
                    .iter()
                    .rev()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
            })
            .map(|(_, node)| *node)
    }

    fn place(&self, name: &str) -> String {
        format!("struct field {}.{name}", self.owner)
    }

    pub(crate) fn text(&self, name: &str) -> Read<String> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(node) => match scalar_text(node) {
                Some(text) => Ok(text),
                None => mismatch(node, &self.place(name), "string"),
            },
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Read<bool> {
        let Some(node) = self.get(name) else {
            return Ok(false);
        };
        if is_null(node) {
            return Ok(false);
        }
        match node.as_str().map(|t| resolve(t, Booleans::Yaml11)) {
            Some(Resolved::Bool(b)) if plain_untagged(node) => Ok(b),
            _ => mismatch(node, &self.place(name), "bool"),
        }
    }

    pub(crate) fn items(&self, name: &str, wanted: &str) -> Read<Option<&'n [Node<'n>]>> {
        let Some(node) = self.get(name) else {
            return Ok(None);
        };
        if is_null(node) {
            return Ok(None);
        }
        match node.as_sequence() {
            Some(items) => Ok(Some(items)),
            None => mismatch(node, &self.place(name), wanted),
        }
    }

    pub(crate) fn texts(&self, name: &str) -> Read<Vec<String>> {
        let items = self.items(name, "[]string")?.unwrap_or_default();
        items
            .iter()
            .map(|item| match scalar_text(item) {
                Some(text) => Ok(text),
                None => mismatch(item, &self.place(name), "string"),
            })
            .collect()
    }

    pub(crate) fn text_map(&self, name: &str) -> Read<Option<BTreeMap<String, String>>> {
        let Some(node) = self.get(name) else {
            return Ok(None);
        };
        if is_null(node) {
            return Ok(None);
        }
        let Some(pairs) = node.as_mapping() else {
            return mismatch(node, &self.place(name), "map[string]string");
        };
        let mut map = BTreeMap::new();
        for (key, value) in pairs {
            let Some(text) = scalar_text(value) else {
                return mismatch(value, &self.place(name), "string");
            };
            map.insert(scalar_text(key).unwrap_or_default(), text);
        }
        Ok(Some(map))
    }

    fn dependencies(&self) -> Read<Option<Vec<Option<Dependency>>>> {
        let Some(items) = self.items("dependencies", "[]*v2.Dependency")? else {
            return Ok(None);
        };
        let all: Read<Vec<Option<Dependency>>> = items
            .iter()
            .map(|item| {
                if is_null(item) {
                    return Ok(None);
                }
                let place = self.place("dependencies");
                let fields = Fields::of(item, "Dependency.dependencies", &place, "v2.Dependency")?;
                Ok(Some(Dependency {
                    name: fields.text("name")?,
                    version: fields.text("version")?,
                    repository: fields.text("repository")?,
                    condition: fields.text("condition")?,
                    tags: fields.texts("tags")?,
                    enabled: fields.flag("enabled")?,
                    import_values: fields
                        .items("import-values", "[]interface {}")?
                        .unwrap_or_default()
                        .iter()
                        .map(|node| {
                            sluice_yaml::to_json(node, Dialect::Sigs).map_err(|e| e.to_string())
                        })
                        .collect::<Read<Vec<Json>>>()?,
                    alias: fields.text("alias")?,
                }))
            })
            .collect();
        all.map(Some)
    }
}

/// Reads the first document of a text and hands its root to `read`.
pub(crate) fn with_root<T>(
    text: &[u8],
    read: impl FnOnce(Option<&Node<'_>>) -> Read<T>,
) -> Read<T> {
    let converting = |e: sluice_yaml::Error| format!("error converting YAML to JSON: {e}");
    let text = sluice_yaml::decode(text).map_err(converting)?;
    let documents = first_document(&text).map_err(converting)?;
    read(documents.first().map(|d| &d.root))
}

fn first_document<'a>(text: &'a str) -> Result<Vec<sluice_yaml::Document<'a>>, sluice_yaml::Error> {
    let mut reader = sluice_yaml::Documents::new(text, Dialect::Sigs, &Limits::default());
    Ok(reader.next_document()?.into_iter().collect())
}

impl Metadata {
    /// Reads Chart.yaml over what is already known (requirements.yaml is read
    /// over Chart.yaml). The error is Go's text.
    pub(crate) fn read_over(&mut self, text: &[u8]) -> Read<()> {
        with_root(text, |root| match root {
            Some(root) => self.read_fields(&Fields::of(root, "Metadata", "value", "v2.Metadata")?),
            None => Ok(()),
        })
    }

    /// Reads the name alone. The error is Go's text.
    pub(crate) fn name_in(text: &[u8]) -> Read<String> {
        let mut metadata = Metadata::default();
        metadata.read_over(text)?;
        Ok(metadata.name)
    }

    /// Reads the fields of a mapping over what is already known.
    pub(crate) fn read_fields(&mut self, fields: &Fields<'_>) -> Read<()> {
        let keep = |name: &str, old: &String| -> Read<String> {
            match fields.get(name) {
                Some(node) if !is_null(node) => fields.text(name),
                _ => Ok(old.clone()),
            }
        };
        self.name = keep("name", &self.name)?;
        self.home = keep("home", &self.home)?;
        self.version = keep("version", &self.version)?;
        self.description = keep("description", &self.description)?;
        self.icon = keep("icon", &self.icon)?;
        self.api_version = keep("apiVersion", &self.api_version)?;
        self.condition = keep("condition", &self.condition)?;
        self.tags = keep("tags", &self.tags)?;
        self.app_version = keep("appVersion", &self.app_version)?;
        self.kube_version = keep("kubeVersion", &self.kube_version)?;
        self.chart_type = keep("type", &self.chart_type)?;
        if fields.get("sources").is_some() {
            self.sources = fields.texts("sources")?;
        }
        if fields.get("keywords").is_some() {
            self.keywords = fields.texts("keywords")?;
        }
        if fields.get("deprecated").is_some() {
            self.deprecated = fields.flag("deprecated")?;
        }
        if let Some(annotations) = fields.text_map("annotations")? {
            self.annotations = Some(annotations);
        }
        if let Some(dependencies) = fields.dependencies()? {
            self.dependencies = Some(dependencies);
        }
        if let Some(items) = fields.items("maintainers", "[]*v2.Maintainer")? {
            self.maintainers = items
                .iter()
                .map(|item| {
                    if is_null(item) {
                        return Ok(None);
                    }
                    let place = fields.place("maintainers");
                    let one = Fields::of(item, "Maintainer.maintainers", &place, "v2.Maintainer")?;
                    Ok(Some(Maintainer {
                        name: one.text("name")?,
                        email: one.text("email")?,
                        url: one.text("url")?,
                    }))
                })
                .collect::<Read<Vec<_>>>()?;
        }
        Ok(())
    }

    /// Reads Chart.yaml and refuses keys that repeat or that nobody knows. The
    /// error is Go's text.
    pub(crate) fn read_strictly(text: &[u8]) -> Read<()> {
        with_root(text, |root| {
            let Some(root) = root else {
                return Ok(());
            };
            let repeated = crate::index::repeated_keys(root);
            if !repeated.is_empty() {
                return Err(format!(
                    "error converting YAML to JSON: yaml: unmarshal errors:\n{}",
                    repeated.join("\n")
                ));
            }
            match unknown_key(root, METADATA_KEYS) {
                None => Ok(()),
                Some(key) => Err(format!(
                    "error unmarshaling JSON: while decoding JSON: json: unknown field {}",
                    quote(key.as_bytes())
                )),
            }
        })
    }

    /// Checks the metadata as Helm does, and tidies its texts.
    pub(crate) fn validate(&mut self) -> Result<(), ChartError> {
        let invalid = |text: String| Err(ChartError::Invalid { problem: text });
        self.sanitise();
        if self.api_version.is_empty() {
            return invalid("chart.metadata.apiVersion is required".to_owned());
        }
        if self.name.is_empty() {
            return invalid("chart.metadata.name is required".to_owned());
        }
        if self.name == "." || self.name == ".." {
            return invalid(format!(
                "chart.metadata.name {} is not allowed",
                quote(self.name.as_bytes())
            ));
        }
        if self.name.contains('/') || self.name.contains('\\') {
            return invalid(format!(
                "chart.metadata.name {} is invalid",
                quote(self.name.as_bytes())
            ));
        }
        if self.version.is_empty() {
            return invalid("chart.metadata.version is required".to_owned());
        }
        if Version::parse(&self.version).is_err() {
            return invalid(format!(
                "chart.metadata.version {} is invalid",
                quote(self.version.as_bytes())
            ));
        }
        if !matches!(self.chart_type.as_str(), "" | "application" | "library") {
            return invalid("chart.metadata.type must be application or library".to_owned());
        }
        if self.maintainers.iter().any(Option::is_none) {
            return invalid("maintainers must not contain empty or null nodes".to_owned());
        }
        let mut seen: Vec<&str> = Vec::new();
        for dependency in self.dependencies.iter().flatten() {
            let Some(dependency) = dependency else {
                return invalid("dependencies must not contain empty or null nodes".to_owned());
            };
            let alias_fits = dependency
                .alias
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !alias_fits {
                return invalid(format!(
                    "dependency {} has disallowed characters in the alias",
                    quote(dependency.name.as_bytes())
                ));
            }
            let key = dependency.key();
            if seen.contains(&key) {
                return invalid(format!(
                    "more than one dependency with name or alias {}",
                    quote(key.as_bytes())
                ));
            }
            seen.push(key);
        }
        Ok(())
    }

    fn sanitise(&mut self) {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            sanitise(text);
        }
        for text in self.sources.iter_mut().chain(&mut self.keywords) {
            sanitise(text);
        }
        for maintainer in self.maintainers.iter_mut().flatten() {
            sanitise(&mut maintainer.name);
            sanitise(&mut maintainer.email);
            sanitise(&mut maintainer.url);
        }
        for dependency in self.dependencies.iter_mut().flatten().flatten() {
            sanitise(&mut dependency.name);
            sanitise(&mut dependency.version);
            sanitise(&mut dependency.repository);
            sanitise(&mut dependency.condition);
            for tag in &mut dependency.tags {
                sanitise(tag);
            }
        }
    }

    /// Whether a Kubernetes version satisfies the chart's constraint. What is
    /// no constraint is satisfied by nothing.
    pub fn supports_kubernetes(&self, version: &str) -> bool {
        if self.kube_version.is_empty() {
            return true;
        }
        match (
            Constraint::parse(&self.kube_version),
            Version::parse(version),
        ) {
            (Ok(constraint), Ok(version)) => constraint.check(&version),
            _ => false,
        }
    }

    /// Writes the metadata with Helm's JSON keys, absent ones left out, in the
    /// order of Helm's struct.
    pub(crate) fn to_ordered(&self) -> Ordered {
        let mut fields = Vec::new();
        let push = |fields: &mut Vec<(&'static str, Ordered)>, key, value: &String| {
            if !value.is_empty() {
                fields.push((key, value.as_str().into()));
            }
        };
        push(&mut fields, "name", &self.name);
        push(&mut fields, "home", &self.home);
        let strings =
            |list: &[String]| Ordered::List(list.iter().map(|s| s.as_str().into()).collect());
        if !self.sources.is_empty() {
            fields.push(("sources", strings(&self.sources)));
        }
        push(&mut fields, "version", &self.version);
        push(&mut fields, "description", &self.description);
        if !self.keywords.is_empty() {
            fields.push(("keywords", strings(&self.keywords)));
        }
        if !self.maintainers.is_empty() {
            let all = self
                .maintainers
                .iter()
                .flatten()
                .map(Maintainer::to_ordered);
            fields.push(("maintainers", Ordered::List(all.collect())));
        }
        push(&mut fields, "icon", &self.icon);
        push(&mut fields, "apiVersion", &self.api_version);
        push(&mut fields, "condition", &self.condition);
        push(&mut fields, "tags", &self.tags);
        push(&mut fields, "appVersion", &self.app_version);
        if self.deprecated {
            fields.push(("deprecated", Ordered::Plain(Json::Bool(true))));
        }
        if let Some(annotations) = self.annotations.as_ref().filter(|a| !a.is_empty()) {
            let map = annotations
                .iter()
                .map(|(k, v)| (k.clone(), Json::String(v.clone())))
                .collect();
            fields.push(("annotations", Ordered::Plain(Json::Object(map))));
        }
        push(&mut fields, "kubeVersion", &self.kube_version);
        let dependencies = self.dependencies.iter().flatten().flatten();
        let dependencies: Vec<Ordered> = dependencies.map(Dependency::to_ordered).collect();
        if !dependencies.is_empty() {
            fields.push(("dependencies", Ordered::List(dependencies)));
        }
        push(&mut fields, "type", &self.chart_type);
        Ordered::Struct(fields)
    }
}

impl Maintainer {
    fn to_ordered(&self) -> Ordered {
        let fields = [
            ("name", &self.name),
            ("email", &self.email),
            ("url", &self.url),
        ];
        Ordered::Struct(
            fields
                .into_iter()
                .filter(|(_, v)| !v.is_empty())
                .map(|(k, v)| (k, v.as_str().into()))
                .collect(),
        )
    }
}

impl Dependency {
    /// The name under which the dependency is known: its alias or its name.
    pub fn key(&self) -> &str {
        if self.alias.is_empty() {
            &self.name
        } else {
            &self.alias
        }
    }

    /// Writes the dependency with Helm's JSON keys, in the order of its struct.
    pub(crate) fn to_ordered(&self) -> Ordered {
        let mut fields = vec![("name", self.name.as_str().into())];
        if !self.version.is_empty() {
            fields.push(("version", self.version.as_str().into()));
        }
        fields.push(("repository", self.repository.as_str().into()));
        if !self.condition.is_empty() {
            fields.push(("condition", self.condition.as_str().into()));
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|s| s.as_str().into()).collect();
            fields.push(("tags", Ordered::List(tags)));
        }
        if self.enabled {
            fields.push(("enabled", Ordered::Plain(Json::Bool(true))));
        }
        if !self.import_values.is_empty() {
            let imports = Json::Array(self.import_values.clone());
            fields.push(("import-values", Ordered::Plain(imports)));
        }
        if !self.alias.is_empty() {
            fields.push(("alias", self.alias.as_str().into()));
        }
        Ordered::Struct(fields)
    }
}

impl Lock {
    /// Reads Chart.lock. The error is Go's text.
    pub(crate) fn read(text: &[u8]) -> Read<Lock> {
        with_root(text, |root| {
            let Some(root) = root else {
                return Ok(Lock::default());
            };
            let fields = Fields::of(root, "Lock", "value", "v2.Lock")?;
            Ok(Lock {
                generated: fields.text("generated")?,
                digest: fields.text("digest")?,
                dependencies: fields.dependencies()?,
            })
        })
    }
}

/// The keys of Chart.yaml.
const METADATA_KEYS: &[&str] = &[
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];

/// The keys of a dependency.
const DEPENDENCY_KEYS: &[&str] = &[
    "name",
    "version",
    "repository",
    "condition",
    "tags",
    "enabled",
    "import-values",
    "alias",
];

/// The first key, in the order of a sorted map, that is none of `known`; lists
/// of structs are looked into.
fn unknown_key(node: &Node<'_>, known: &[&str]) -> Option<String> {
    let mut pairs: Vec<_> = node
        .as_mapping()?
        .iter()
        .filter_map(|(key, value)| Some((scalar_text(key)?, value)))
        .collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.into_iter().find_map(|(key, value)| {
        if !known.iter().any(|k| k.eq_ignore_ascii_case(&key)) {
            return Some(key);
        }
        let inner: &[&str] = match key.as_str() {
            "dependencies" => DEPENDENCY_KEYS,
            "maintainers" => &["name", "email", "url"],
            _ => return None,
        };
        let items = value.as_sequence().unwrap_or_default();
        items.iter().find_map(|item| unknown_key(item, inner))
    })
}

/// Blanks become spaces, what does not print goes.
fn sanitise(text: &mut String) {
    let clean = |c: char| {
        if is_space(c) {
            Some(' ')
        } else if is_print(c) {
            Some(c)
        } else {
            None
        }
    };
    if text.chars().any(|c| clean(c) != Some(c)) {
        *text = text.chars().filter_map(clean).collect();
    }
}

/// Whether a chart version fits a dependency's constraint. An empty constraint
/// fits nothing.
pub(crate) fn version_fits(constraint: &str, version: &str) -> bool {
    match (Constraint::parse(constraint), Version::parse(version)) {
        (Ok(constraint), Ok(version)) => constraint.check(&version),
        _ => false,
    }
}

/// Reads nothing but whether a text is one YAML document at all.
pub(super) fn check_api_version(text: &[u8]) -> Result<(), ChartError> {
    let read = with_root(text, |root| {
        let Some(root) = root else {
            return Ok(String::new());
        };
        // Everything is converted, also what is not looked at.
        sluice_yaml::to_json(root, Dialect::Sigs)
            .map_err(|e| format!("error converting YAML to JSON: {e}"))?;
        Fields::of(root, "chartBase", "value", "loader.chartBase")?.text("apiVersion")
    });
    match read {
        Err(problem) => Err(ChartError::Load {
            file: "Chart.yaml".to_owned(),
            problem,
        }),
        Ok(version) => match version.as_str() {
            "" | "v1" | "v2" => Ok(()),
            "v3" => Err(ChartError::ApiVersion),
            _ => Err(ChartError::UnsupportedVersion),
        },
    }
}
