//! Charts: what they consist of and how they are read.
//!
//! ```text
//! folder --disk--+                                       +-> metadata, lock
//!                +--> files (name, bytes, time) --load---+-> values, schema
//! tgz --archive--+                                       +-> templates, files, charts/
//! ```

mod archive;
mod ignore;
mod load;
mod metadata;

use std::sync::Arc;

pub use archive::{ArchiveError, MAX_ARCHIVE_BYTES, MAX_FILE_BYTES, read_archive, write_archive};
pub use ignore::glob_matches;
pub use ignore::{IgnoreError, IgnoreRules, PathKind};
pub use load::{ApiVersions, load_archive, load_files, load_files_as};
pub use metadata::{Dependency, Lock, Maintainer, Metadata};
pub(crate) use metadata::{Fields, Read, version_fits, with_root};

use crate::values::Table;

/// A moment on disk: seconds and nanoseconds since 1970.
pub type ModTime = (i64, u32);

/// A file of a chart, its name relative to the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// The name, with slashes.
    pub name: String,
    /// The bytes.
    pub data: Arc<[u8]>,
    /// When it was last changed; `None` when nobody knows.
    pub modified: Option<ModTime>,
}

impl File {
    /// Makes a file that nobody knows the age of.
    pub fn new(name: impl Into<String>, data: impl Into<Arc<[u8]>>) -> Self {
        File {
            name: name.into(),
            data: data.into(),
            modified: None,
        }
    }
}

/// A chart that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What Chart.yaml says.
    pub metadata: Metadata,
    /// What Chart.lock says.
    pub lock: Option<Lock>,
    /// Everything below `templates/`.
    pub templates: Vec<File>,
    /// The default values.
    pub values: Table,
    /// values.schema.json as it stands.
    pub schema: Option<File>,
    /// All other files.
    pub files: Vec<File>,
    /// The charts below `charts/`.
    pub dependencies: Vec<Chart>,
    /// When Chart.yaml was last changed.
    pub modified: Option<ModTime>,
    /// All files in the order in which they came, for packing and showing.
    pub raw: Vec<File>,
}

/// Why a chart could not be read. The texts are Helm's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChartError {
    /// A file of the chart does not parse.
    #[error("cannot load {file}: {problem}")]
    Load {
        /// The file's name.
        file: String,
        /// Go's words for what is wrong.
        problem: String,
    },
    /// There is no Chart.yaml.
    #[error("Chart.yaml file is missing")]
    Missing,
    /// The metadata is not valid.
    #[error("validation: {problem}")]
    Invalid {
        /// What is not valid.
        problem: String,
    },
    /// The chart follows an API that is not out yet.
    #[error("invalid chart apiVersion")]
    ApiVersion,
    /// The chart follows an API that does not exist.
    #[error("unsupported chart version")]
    UnsupportedVersion,
    /// A chart below `charts/` could not be read.
    #[error("error unpacking subchart {name} in {parent}: {cause}")]
    Subchart {
        /// The entry below `charts/`.
        name: String,
        /// The chart that holds it.
        parent: String,
        /// What is wrong with it.
        cause: Box<ChartError>,
    },
    /// The archive is not one, or holds what it must not.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// .helmignore does not parse.
    #[error(transparent)]
    Ignore(#[from] IgnoreError),
    /// Charts below charts nest too deeply.
    #[error("charts nest deeper than {0} levels")]
    Depth(usize),
}

impl ChartError {
    /// Whether something is no gzip that should be.
    pub(crate) fn is_about_gzip(&self) -> bool {
        match self {
            ChartError::Archive(ArchiveError::NotGzip) => true,
            ChartError::Subchart { cause, .. } => cause.is_about_gzip(),
            _ => false,
        }
    }
}

impl Chart {
    /// Returns the chart's name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether the chart only lends its partial templates.
    pub fn is_library(&self) -> bool {
        self.metadata.chart_type == "library"
    }

    /// Returns `name-version`.
    pub fn full_name(&self) -> String {
        format!("{}-{}", self.metadata.name, self.metadata.version)
    }

    /// Returns a file by its name, templates and special files not among them.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|f| f.name == name)
    }

    /// Returns the custom resource definitions of the chart, then those of its
    /// dependencies: the full name (`app/charts/db/crds/x.yaml`) and the file.
    pub fn crds(&self) -> Vec<(String, &File)> {
        let mut all = Vec::new();
        self.collect_crds(self.name(), &mut all);
        all
    }

    fn collect_crds<'c>(&'c self, path: &str, all: &mut Vec<(String, &'c File)>) {
        let own = self.files.iter().filter(|file| {
            let lower = file.name.to_ascii_lowercase();
            file.name.starts_with("crds/")
                && [".yaml", ".yml", ".json"]
                    .iter()
                    .any(|e| lower.ends_with(e))
        });
        all.extend(own.map(|file| (format!("{path}/{}", file.name), file)));
        for dependency in &self.dependencies {
            let inner = format!("{path}/charts/{}", dependency.name());
            dependency.collect_crds(&inner, all);
        }
    }
}
