//! Release records: what Helm keeps of every revision of a release.
//!
//! ```text
//! Release --json--> text --gzip, base64--> Secret | ConfigMap
//! ```
//!
//! Fields, their order and their texts are Helm's, so that `helm` and this
//! engine can take turns on the same release. Times are kept as the texts that
//! stand in the record. Storing and finding records is somebody else's.

mod driver;
mod json;

use std::collections::BTreeMap;

use crate::chart::{Chart, File, Lock, Metadata, ModTime};
use crate::manifest::{Hook, Output};
use crate::values::Table;

pub use driver::{
    Driver, LabelSource, RecordError, Stamp, check_labels, deployed_selector, from_object,
    history_selector, record_name, to_object,
};
pub use json::{decode_json, encode_json};

/// How a release is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// Nobody knows.
    #[default]
    Unknown,
    /// It is the one that counts.
    Deployed,
    /// It was uninstalled, its record kept.
    Uninstalled,
    /// A later revision took its place.
    Superseded,
    /// Its installation or upgrade failed.
    Failed,
    /// It is being uninstalled.
    Uninstalling,
    /// It is being installed.
    PendingInstall,
    /// It is being upgraded.
    PendingUpgrade,
    /// It is being rolled back.
    PendingRollback,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 9] = [
        Status::Unknown,
        Status::Deployed,
        Status::Uninstalled,
        Status::Superseded,
        Status::Failed,
        Status::Uninstalling,
        Status::PendingInstall,
        Status::PendingUpgrade,
        Status::PendingRollback,
    ];

    /// Its name in records and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Unknown => "unknown",
            Status::Deployed => "deployed",
            Status::Uninstalled => "uninstalled",
            Status::Superseded => "superseded",
            Status::Failed => "failed",
            Status::Uninstalling => "uninstalling",
            Status::PendingInstall => "pending-install",
            Status::PendingUpgrade => "pending-upgrade",
            Status::PendingRollback => "pending-rollback",
        }
    }

    /// Reads a name; what nobody knows is [`Status::Unknown`].
    pub fn from_name(name: &str) -> Self {
        let known = Status::ALL.into_iter().find(|s| s.as_str() == name);
        known.unwrap_or_default()
    }

    /// Whether something is under way.
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback
        )
    }
}

/// How objects were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplyMethod {
    /// By the server.
    ServerSide,
    /// By patches made here.
    ClientSide,
}

impl ApplyMethod {
    /// Its name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            ApplyMethod::ServerSide => "ssa",
            ApplyMethod::ClientSide => "csa",
        }
    }
}

/// How a release came about and how it is doing. Times are RFC 3339 texts,
/// empty for none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info {
    /// When its first revision was installed.
    pub first_deployed: String,
    /// When this revision was deployed.
    pub last_deployed: String,
    /// When it was deleted.
    pub deleted: String,
    /// What happened last, for people.
    pub description: String,
    /// How it is doing.
    pub status: Status,
    /// The rendered notes.
    pub notes: String,
}

/// What a record keeps of the chart. Charts below are not kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordedChart {
    /// Chart.yaml with its dependencies as they were chosen.
    pub metadata: Metadata,
    /// Chart.lock.
    pub lock: Option<Lock>,
    /// The templates.
    pub templates: Vec<File>,
    /// The default values; `None` when the chart has no values.yaml.
    pub values: Option<Table>,
    /// values.schema.json.
    pub schema: Option<File>,
    /// All other files.
    pub files: Vec<File>,
    /// When Chart.yaml was last changed.
    pub modified: Option<ModTime>,
}

/// One revision of a release.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Release {
    /// The release's name.
    pub name: String,
    /// How it is doing.
    pub info: Info,
    /// The chart.
    pub chart: RecordedChart,
    /// The values of the user.
    pub config: Table,
    /// All manifests as one text.
    pub manifest: String,
    /// The hooks.
    pub hooks: Vec<Hook>,
    /// The revision, from 1.
    pub version: i64,
    /// The namespace.
    pub namespace: String,
    /// How objects were applied; Helm 3 does not say.
    pub apply_method: Option<ApplyMethod>,
    /// Labels of the record, kept outside of its text.
    pub labels: BTreeMap<String, String>,
}

impl RecordedChart {
    /// Takes what a record keeps of a chart whose dependencies were processed.
    pub fn of(chart: &Chart) -> Self {
        let has_values =
            !chart.values.is_empty() || chart.raw.iter().any(|f| f.name == "values.yaml");
        RecordedChart {
            metadata: chart.metadata.clone(),
            lock: chart.lock.clone(),
            templates: chart.templates.clone(),
            values: has_values.then(|| chart.values.clone()),
            schema: chart.schema.clone(),
            files: chart.files.clone(),
            modified: chart.modified,
        }
    }

    /// The chart to render again, without the charts that were below it.
    pub fn to_chart(&self) -> Chart {
        Chart {
            metadata: self.metadata.clone(),
            lock: self.lock.clone(),
            templates: self.templates.clone(),
            values: self.values.clone().unwrap_or_default(),
            schema: self.schema.clone(),
            files: self.files.clone(),
            dependencies: Vec::new(),
            modified: self.modified,
            raw: Vec::new(),
        }
    }
}

impl Release {
    /// Makes the first record of a rendered chart; `now` is an RFC 3339 text.
    pub fn pending_install(
        name: &str,
        namespace: &str,
        chart: &Chart,
        config: Table,
        output: &Output,
        now: &str,
    ) -> Self {
        Release {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            version: 1,
            info: Info {
                first_deployed: now.to_owned(),
                last_deployed: now.to_owned(),
                description: "Initial install underway".to_owned(),
                status: Status::PendingInstall,
                notes: output.notes.clone(),
                ..Info::default()
            },
            chart: RecordedChart::of(chart),
            config,
            manifest: crate::manifest::manifest_text(output),
            hooks: output.hooks.clone(),
            apply_method: Some(ApplyMethod::ServerSide),
            labels: BTreeMap::new(),
        }
    }
}

/// Whether a text can name a release.
pub fn is_valid_name(name: &str) -> bool {
    let label = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= 53 && name.split('.').all(label)
}

#[cfg(test)]
mod tests;
