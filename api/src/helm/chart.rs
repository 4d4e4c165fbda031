//! Where the chart of a HelmRelease comes from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{DurationText, PATTERN};
use crate::reference::LocalObjectReference;
use crate::source::{ChartSourceKind, ReconcileStrategy, VerificationProvider};
use crate::wire::{is_false, non_empty, wire_enum};

/// HelmChart to make for the release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplate {
    /// Labels and annotations of the HelmChart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<HelmChartTemplateMetadata>,
    /// Specification of the HelmChart.
    pub spec: HelmChartTemplateSpec,
}

/// Labels and annotations of the HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplateMetadata {
    /// Labels to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Specification of the HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartTemplateSpec {
    /// Name of the chart in a HelmRepository, or its path in another source.
    #[schemars(extend("minLength" = 1, "maxLength" = 2048))]
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
    pub source_ref: ChartSourceReference,
    /// How often to look for a new version; the release's interval by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: Option<DurationText>,
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
    /// Signatures to verify, of charts in a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<ChartTemplateVerification>,
}

/// Source of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartSourceReference {
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
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub name: String,
    /// Namespace of the source; that of the release by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 63))]
    pub namespace: Option<String>,
}

/// What has to be signed, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartTemplateVerification {
    /// Tool that made the signature.
    #[schemars(extend("default" = "cosign"))]
    pub provider: VerificationProvider,
    /// Secret with the public keys of the trusted signers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
}

/// Source whose artifact is the chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartReference {
    /// API version of the source.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub api_version: Option<String>,
    /// Kind of the source.
    pub kind: ChartReferenceKind,
    /// Name of the source.
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub name: String,
    /// Namespace of the source; that of the release by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 63))]
    pub namespace: Option<String>,
}

wire_enum! {
    /// A kind of source whose artifact can be a chart.
    pub enum ChartReferenceKind {
        /// An OCI artifact.
        OciRepository = "OCIRepository",
        /// A chart.
        HelmChart = "HelmChart",
        /// An artifact that somebody else provides.
        ExternalArtifact = "ExternalArtifact",
    }
}
