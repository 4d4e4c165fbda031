//! HelmChart: a chart from a chart repository or from files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::ChartVerification;
use crate::artifact::Artifact;
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN};
use crate::kinds::{Column, Controller, InitialStatus, Kind, SOURCE_CATEGORIES, SOURCE_GROUP};
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Chart from a chart repository or from files.
    HelmChart {
        spec: HelmChartSpec,
        status: HelmChartStatus,
        kind: Kind {
            group: SOURCE_GROUP,
            version: "v1",
            kind: "HelmChart",
            plural: "helmcharts",
            short_names: &["hc"],
            categories: SOURCE_CATEGORIES,
            columns: &[
                Column::text("Chart", ".spec.chart"),
                Column::text("Version", ".spec.version"),
                Column::text("Source Kind", ".spec.sourceRef.kind"),
                Column::text("Source Name", ".spec.sourceRef.name"),
                Column::AGE,
                Column::READY,
                Column::STATUS,
            ],
            annotations: &[],
            initial_status: InitialStatus::Unobserved,
            controller: Controller::Source,
        },
    }
}

/// Which chart to fetch or package, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.verify) || self.sourceRef.kind == 'HelmRepository'",
        "message": "spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'",
    },
]))]
pub struct HelmChartSpec {
    /// Name of the chart in a HelmRepository, or its path in another source.
    pub chart: String,
    /// Version or range of versions in a HelmRepository.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("default" = "*"))]
    pub version: Option<String>,
    /// Source of the chart.
    pub source_ref: LocalHelmChartSourceReference,
    /// How often to look for a new version.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// What makes a new artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "ChartVersion"))]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// Files to merge into the chart's values, instead of `values.yaml`; later ones win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Whether values files that are not there are skipped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_missing_values_files: bool,
    /// Whether to stop looking for new versions.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Signatures to verify, of charts in a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<ChartVerification>,
}

/// Source of a chart in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalHelmChartSourceReference {
    /// API version of the source.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub api_version: Option<String>,
    /// Kind of the source.
    pub kind: ChartSourceKind,
    /// Name of the source.
    pub name: String,
}

wire_enum! {
    /// A kind of source that a chart can come from.
    pub enum ChartSourceKind {
        /// A chart repository.
        HelmRepository = "HelmRepository",
        /// A Git repository.
        GitRepository = "GitRepository",
        /// A bucket.
        Bucket = "Bucket",
    }
}

wire_enum! {
    /// What makes a new artifact of a chart.
    pub enum ReconcileStrategy {
        /// A new version of the chart.
        ChartVersion = "ChartVersion",
        /// A new revision of its source.
        Revision = "Revision",
    }
}

/// What source-controller last fetched or packaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Revision of the source that was last used.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub observed_source_artifact_revision: Option<String>,
    /// Name of the chart that was last resolved.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub observed_chart_name: Option<String>,
    /// Values files that were last merged, where missing ones are skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_values_files: Vec<String>,
    /// Address of the last artifact that does not change.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub url: Option<String>,
    /// Last artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}
