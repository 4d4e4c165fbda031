//! The index of a chart repository: reading, looking up, generating, merging.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sluice_version::{Constraint, Version};
use sluice_yaml::{Dialect, Documents, Limits, Node};

use crate::chart::{Fields, Metadata, Read};
use crate::ordered::Ordered;

/// Most versions that one index may list.
const MAX_VERSIONS: usize = 500_000;

/// An index.yaml.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    /// When it was made, as it is written.
    pub generated: String,
    /// The versions of every chart, highest first.
    pub entries: BTreeMap<String, Vec<ChartVersion>>,
    /// Free annotations.
    pub annotations: BTreeMap<String, String>,
    /// Keys that charts are signed with.
    pub public_keys: Vec<String>,
}

/// One version of a chart in an index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChartVersion {
    /// What its Chart.yaml says.
    pub metadata: Metadata,
    /// Where it can be had; relative to the index, or absolute.
    pub urls: Vec<String>,
    /// When it was made, as it is written.
    pub created: String,
    /// Whether it was taken back.
    pub removed: bool,
    /// SHA-256 of the archive, in hexadecimal.
    pub digest: String,
}

/// Why an index cannot be read, or a chart is not in it. The texts are Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The bytes are no index.
    #[error("{0}")]
    Read(String),
    /// There is nothing in the index file.
    #[error("empty index.yaml file")]
    Empty,
    /// The index does not say which API it follows.
    #[error("no API version specified")]
    NoApiVersion,
    /// It lists more than an index may.
    #[error("an index may list {MAX_VERSIONS} versions at most")]
    TooMuch,
    /// There is no chart of that name.
    #[error("no chart name found")]
    NoName,
    /// No version of the chart will do.
    #[error("no chart version found for {name}-{version}")]
    NoVersion {
        /// The chart.
        name: String,
        /// Which version was wanted.
        version: String,
    },
    /// What was wanted is no constraint.
    #[error(transparent)]
    Constraint(#[from] sluice_version::ConstraintError),
}

impl Index {
    /// Reads an index. Entries that are no valid charts are left out; what is
    /// wrong with them is appended to `skipped`.
    ///
    /// # Errors
    /// [`IndexError`] with Helm's text; repeated keys are refused.
    pub fn parse(bytes: &[u8], skipped: &mut Vec<String>) -> Result<Self, IndexError> {
        if bytes.is_empty() {
            return Err(IndexError::Empty);
        }
        let converting =
            |e: sluice_yaml::Error| IndexError::Read(format!("error converting YAML to JSON: {e}"));
        let text = sluice_yaml::decode(bytes).map_err(converting)?;
        let mut reader = Documents::new(&text, Dialect::Sigs, &Limits::default());
        let Some(document) = reader.next_document().map_err(converting)? else {
            return Err(IndexError::NoApiVersion);
        };
        let repeated = repeated_keys(&document.root);
        if !repeated.is_empty() {
            return Err(IndexError::Read(format!(
                "error converting YAML to JSON: yaml: unmarshal errors:\n{}",
                repeated.join("\n")
            )));
        }
        let mut index = Index::default();
        let api_version = index
            .read(&document.root, skipped)
            .map_err(IndexError::Read)?;
        if index.entries.values().map(Vec::len).sum::<usize>() > MAX_VERSIONS {
            return Err(IndexError::TooMuch);
        }
        if api_version.is_empty() {
            return Err(IndexError::NoApiVersion);
        }
        index.sort();
        Ok(index)
    }

    fn read(&mut self, root: &Node<'_>, skipped: &mut Vec<String>) -> Read<String> {
        let fields = Fields::of(root, "IndexFile", "value", "repo.IndexFile")?;
        self.generated = fields.text("generated")?;
        self.annotations = fields.text_map("annotations")?.unwrap_or_default();
        self.public_keys = fields.texts("publicKeys")?;
        let entries = fields.get("entries").and_then(Node::as_mapping);
        for (name, versions) in entries.unwrap_or_default() {
            let name = name.as_str().unwrap_or_default().to_owned();
            let mut kept = Vec::new();
            for (place, node) in versions
                .as_sequence()
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                match ChartVersion::read(node)? {
                    Err(problem) => skipped.push(format!(
                        "skipping loading invalid entry for chart {name:?} {place}: {problem}"
                    )),
                    Ok(version) => kept.push(version),
                }
            }
            self.entries.insert(name, kept);
        }
        fields.text("apiVersion")
    }

    /// Finds a version: the one that is written exactly so, or else the highest
    /// that satisfies `version` as a constraint. Nothing stands for `*`.
    ///
    /// # Errors
    /// [`IndexError`] when there is none.
    pub fn get(&self, name: &str, version: &str) -> Result<&ChartVersion, IndexError> {
        let versions = self
            .entries
            .get(name)
            .filter(|versions| !versions.is_empty())
            .ok_or(IndexError::NoName)?;
        let constraint = Constraint::parse(if version.is_empty() { "*" } else { version })?;
        let exact = versions
            .iter()
            .find(|v| !version.is_empty() && v.metadata.version == version);
        exact
            .or_else(|| {
                versions.iter().find(|v| {
                    Version::parse(&v.metadata.version).is_ok_and(|v| constraint.check(&v))
                })
            })
            .ok_or_else(|| IndexError::NoVersion {
                name: name.to_owned(),
                version: version.to_owned(),
            })
    }

    /// Adds a version, and keeps the order.
    pub fn add(&mut self, version: ChartVersion) {
        let known = self
            .entries
            .entry(version.metadata.name.clone())
            .or_default();
        known.push(version);
        sort(known);
    }

    /// Takes over what another index has and this one has not. A version that
    /// both have stays as it is here.
    pub fn merge(&mut self, other: &Index) {
        for (name, versions) in &other.entries {
            let known = self.entries.entry(name.clone()).or_default();
            for version in versions {
                let has = known
                    .iter()
                    .any(|k| k.metadata.version == version.metadata.version);
                if !has {
                    known.push(version.clone());
                }
            }
            sort(known);
        }
    }

    fn sort(&mut self) {
        self.entries
            .values_mut()
            .for_each(|versions| sort(versions));
    }

    /// Writes index.yaml.
    ///
    /// # Errors
    /// A text holds what YAML cannot carry.
    pub fn to_yaml(&self) -> Result<String, sluice_yaml::Error> {
        let entries = self.entries.iter().map(|(name, versions)| {
            let all = versions.iter().map(|v| v.to_ordered().to_json()).collect();
            (name.clone(), Json::Array(all))
        });
        let mut root = serde_json::Map::new();
        root.insert("apiVersion".to_owned(), Json::from("v1"));
        if !self.annotations.is_empty() {
            let texts = self.annotations.iter();
            let texts = texts.map(|(k, v)| (k.clone(), Json::from(v.as_str())));
            root.insert("annotations".to_owned(), Json::Object(texts.collect()));
        }
        root.insert("entries".to_owned(), Json::Object(entries.collect()));
        root.insert("generated".to_owned(), Json::from(self.generated.as_str()));
        if !self.public_keys.is_empty() {
            root.insert("publicKeys".to_owned(), self.public_keys.clone().into());
        }
        sluice_yaml::to_string(&Json::Object(root))
    }
}

/// Highest first; what is no version comes last. Equal ones keep their order.
fn sort(versions: &mut [ChartVersion]) {
    versions.sort_by_cached_key(|v| std::cmp::Reverse(Version::parse(&v.metadata.version).ok()));
}

impl ChartVersion {
    /// Makes the entry of an archive: `url` is where it can be had, `created`
    /// an RFC 3339 time.
    pub fn of_archive(metadata: Metadata, archive: &[u8], url: String, created: String) -> Self {
        ChartVersion {
            metadata,
            urls: vec![url],
            created,
            removed: false,
            digest: crate::package::sha256(archive),
        }
    }

    /// The inner error is about the chart only, which is then left out.
    fn read(node: &Node<'_>) -> Read<Result<Self, String>> {
        let fields = Fields::of(
            node,
            "ChartVersion.entries",
            "struct field IndexFile.entries",
            "repo.ChartVersion",
        )?;
        let mut version = ChartVersion {
            urls: fields.texts("urls")?,
            created: fields.text("created")?,
            removed: fields.flag("removed")?,
            digest: fields.text("digest")?,
            ..ChartVersion::default()
        };
        version.metadata.read_fields(&fields)?;
        if version.metadata.api_version.is_empty() {
            version.metadata.api_version = "v1".to_owned();
        }
        // Several entries of one dependency are tolerated in an index.
        Ok(match version.metadata.validate() {
            Err(error) => Err(error.to_string()),
            Ok(()) => Ok(version),
        })
    }

    fn to_ordered(&self) -> Ordered {
        let mut fields = match self.metadata.to_ordered() {
            Ordered::Struct(fields) => fields,
            Ordered::Plain(_) | Ordered::List(_) => Vec::new(),
        };
        let urls = self.urls.iter().map(|url| url.as_str().into()).collect();
        fields.push(("urls", Ordered::List(urls)));
        if !self.created.is_empty() {
            fields.push(("created", self.created.as_str().into()));
        }
        if self.removed {
            fields.push(("removed", Ordered::Plain(Json::Bool(true))));
        }
        if !self.digest.is_empty() {
            fields.push(("digest", self.digest.as_str().into()));
        }
        Ordered::Struct(fields)
    }

    /// The absolute address of the archive, for an index that was had from
    /// `repository`: its query is kept for relative addresses.
    ///
    /// # Errors
    /// The addresses do not make one.
    pub fn url(&self, repository: &str) -> Result<String, String> {
        let Some(reference) = self.urls.first() else {
            return Err(format!(
                "chart {:?} has no downloadable URLs",
                self.metadata.name
            ));
        };
        if crate::funcs::is_absolute_url(reference) {
            return Ok(reference.clone());
        }
        let mut base = url::Url::parse(repository).map_err(|e| format!("{repository}: {e}"))?;
        let query = base.query().map(str::to_owned);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut full = base.join(reference).map_err(|e| e.to_string())?;
        if full.query().is_none() {
            full.set_query(query.as_deref());
        }
        Ok(full.into())
    }
}

/// Go's words for keys that repeat in a mapping, at any depth.
pub(crate) fn repeated_keys(node: &Node<'_>) -> Vec<String> {
    let mut found = Vec::new();
    collect_repeated(node, &mut found);
    found
}

fn collect_repeated(node: &Node<'_>, found: &mut Vec<String>) {
    for item in node.as_sequence().unwrap_or_default() {
        collect_repeated(item, found);
    }
    let mut seen = std::collections::HashSet::new();
    for (key, value) in node.as_mapping().unwrap_or_default() {
        if let Some(name) = key.as_str()
            && !seen.insert(name)
        {
            found.push(format!(
                "  line {}: key {} already set in map",
                key.span.start.line_number(),
                sluice_gotemplate::strconv::quote(name.as_bytes())
            ));
        }
        collect_repeated(value, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: v1\nentries:\n  web:\n  - {apiVersion: v2, name: web, \
        version: 1.0.0, urls: [web-1.0.0.tgz]}\n  - {apiVersion: v2, name: web, version: \
        2.0.0-rc1, urls: [\"https://o/web.tgz\"]}\n  - {apiVersion: v2, name: web, version: \
        1.2.0, urls: [a/web-1.2.0.tgz]}\n  - {apiVersion: v2, name: web}\ngenerated: \
        \"2026-01-01T00:00:00Z\"\n";

    fn index() -> Index {
        let mut skipped = Vec::new();
        let index = Index::parse(TEXT.as_bytes(), &mut skipped).expect("parses");
        assert_eq!(
            skipped,
            [
                "skipping loading invalid entry for chart \"web\" 3: validation: \
              chart.metadata.version is required"
            ]
        );
        index
    }

    #[test]
    fn the_highest_release_that_fits_is_found() {
        let index = index();
        for (wanted, found) in [
            ("", "1.2.0"),
            ("*", "1.2.0"),
            ("1.0.0", "1.0.0"),
            ("<1.2", "1.0.0"),
            (">0.0.0-0", "2.0.0-rc1"),
        ] {
            let version = index.get("web", wanted).expect(wanted);
            assert_eq!(version.metadata.version, found, "{wanted}");
        }
        assert_eq!(index.get("no", ""), Err(IndexError::NoName));
        assert_eq!(
            index.get("web", "9").map_err(|e| e.to_string()),
            Err("no chart version found for web-9".to_owned())
        );
    }

    #[test]
    fn addresses_are_relative_to_the_repository() {
        let index = index();
        let url = |version, repository: &str| {
            index
                .get("web", version)
                .expect(version)
                .url(repository)
                .expect("an address")
        };
        assert_eq!(
            url("1.2.0", "https://h/charts"),
            "https://h/charts/a/web-1.2.0.tgz"
        );
        assert_eq!(
            url("1.0.0", "https://h/charts/?key=1"),
            "https://h/charts/web-1.0.0.tgz?key=1"
        );
        assert_eq!(url("2.0.0-rc1", "https://h"), "https://o/web.tgz");
    }

    #[test]
    fn repeated_keys_are_refused_with_their_line() {
        let error = Index::parse(
            b"apiVersion: v1\nentries: {}\nentries: {}\n",
            &mut Vec::new(),
        );
        assert_eq!(
            error.map_err(|e| e.to_string()),
            Err(
                "error converting YAML to JSON: yaml: unmarshal errors:\n  line 3: key \
                 \"entries\" already set in map"
                    .to_owned()
            )
        );
        assert_eq!(Index::parse(b"", &mut Vec::new()), Err(IndexError::Empty));
        assert_eq!(
            Index::parse(b"entries: {}", &mut Vec::new()),
            Err(IndexError::NoApiVersion)
        );
    }

    #[test]
    fn what_is_written_reads_back_and_merging_keeps_what_is_known() {
        let mut one = index();
        let text = one.to_yaml().expect("writes");
        assert_eq!(
            Index::parse(text.as_bytes(), &mut Vec::new()),
            Ok(one.clone())
        );
        let mut other = Index::default();
        for version in ["1.0.0", "3.0.0"] {
            let metadata = Metadata {
                name: "web".to_owned(),
                version: version.to_owned(),
                api_version: "v2".to_owned(),
                ..Metadata::default()
            };
            other.add(ChartVersion::of_archive(
                metadata,
                b"x",
                "new.tgz".to_owned(),
                String::new(),
            ));
        }
        one.merge(&other);
        let versions: Vec<_> = one.entries["web"]
            .iter()
            .map(|v| (v.metadata.version.as_str(), v.urls[0].as_str()))
            .collect();
        assert_eq!(
            versions,
            [
                ("3.0.0", "new.tgz"),
                ("2.0.0-rc1", "https://o/web.tgz"),
                ("1.2.0", "a/web-1.2.0.tgz"),
                ("1.0.0", "web-1.0.0.tgz")
            ]
        );
    }
}
