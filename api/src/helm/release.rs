//! HelmRelease: a chart, installed with values and kept up to date.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actions::{Install, Rollback, Test, Uninstall, Upgrade};
use super::chart::{ChartReference, HelmChartTemplate};
use super::snapshot::ReleaseSnapshot;
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN};
use crate::inventory::ResourceInventory;
use crate::kinds::{
    APPLIER_CATEGORIES, Column, Controller, HELM_GROUP, InitialStatus, Kind, NO_SUBSTITUTION,
};
use crate::kustomize::{CommonMetadata, HealthCheckExpr, IgnoreRule, Image, Patch, ValuesKind};
use crate::reference::{DependencyReference, KubeConfigReference};
use crate::resource::resource;
use crate::wire::{is_false, non_empty, plain_integer, wire_enum};

resource! {
    /// Chart, installed with values and kept up to date.
    HelmRelease {
        spec: HelmReleaseSpec,
        status: HelmReleaseStatus,
        kind: Kind {
            group: HELM_GROUP,
            version: "v2",
            kind: "HelmRelease",
            plural: "helmreleases",
            short_names: &["hr"],
            categories: APPLIER_CATEGORIES,
            columns: &[Column::AGE, Column::READY, Column::STATUS],
            annotations: NO_SUBSTITUTION,
            initial_status: InitialStatus::Unobserved,
            controller: Controller::Helm,
        },
    }
}

/// Which chart to install, with which values, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "(has(self.chart) && !has(self.chartRef)) || (!has(self.chart) && has(self.chartRef))",
        "message": "either chart or chartRef must be set",
    },
]))]
pub struct HelmReleaseSpec {
    /// HelmChart to make for the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<HelmChartTemplate>,
    /// Source whose artifact is the chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_ref: Option<ChartReference>,
    /// How often to reconcile.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// Credentials of the cluster to install in; this one by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// Whether to stop reconciling.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Name of the release; made from target namespace and name by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 53))]
    pub release_name: Option<String>,
    /// Namespace of the release; that of the HelmRelease by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 63))]
    pub target_namespace: Option<String>,
    /// Namespace of Helm's records; that of the HelmRelease by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 63))]
    pub storage_namespace: Option<String>,
    /// HelmReleases that have to be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// How long one operation may take; 5 minutes by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub timeout: Option<DurationText>,
    /// How many records Helm keeps; 5 by default, zero for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = plain_integer)]
    pub max_history: Option<i64>,
    /// ServiceAccount to install as.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub service_account_name: Option<String>,
    /// Whether the connection to the cluster is kept during a reconciliation; by default
    /// yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_client: Option<bool>,
    /// What to do when the cluster differs from the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_detection: Option<DriftDetection>,
    /// How to install.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install: Option<Install>,
    /// How to upgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// How to test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
    /// How to roll back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// How to uninstall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uninstall: Option<Uninstall>,
    /// ConfigMaps and Secrets to take values from; later ones win, and `values` over all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesReference>,
    /// Values for the chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub values: Option<Value>,
    /// Labels and annotations to set on all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Changes of what was rendered, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_renderers: Vec<PostRenderer>,
    /// Whether hooks are changed as well; `combined` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_render_strategy: Option<PostRenderStrategy>,
    /// How to wait for objects to be ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_strategy: Option<WaitStrategy>,
    /// How to tell whether objects of certain kinds are healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<HealthCheckExpr>,
}

/// What to do when the cluster differs from the release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftDetection {
    /// Whether to correct, to warn, or not to look; the last by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<DriftDetectionMode>,
    /// Parts of objects that may differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
}

wire_enum! {
    /// What to do when the cluster differs from the release.
    pub enum DriftDetectionMode {
        /// Correct it.
        Enabled = "enabled",
        /// Say so.
        Warn = "warn",
        /// Do not look.
        Disabled = "disabled",
    }
}

/// ConfigMap or Secret in the same namespace that holds values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValuesReference {
    /// Kind of the object.
    pub kind: ValuesKind,
    /// Name of the object.
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub name: String,
    /// Key in it; `values.yaml` by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 253, "pattern" = r"^[\-._a-zA-Z0-9]+$"))]
    pub values_key: Option<String>,
    /// Path of the one value that it holds; by default it holds a tree of values.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 250, "pattern" = r"^([a-zA-Z0-9_\-.\\\/]|\[[0-9]{1,5}\])+$"))]
    pub target_path: Option<String>,
    /// Whether the object or key may be missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// Whether the value is taken as a text without a look at its form.
    #[serde(default, skip_serializing_if = "is_false")]
    pub literal: bool,
}

/// Change of what was rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostRenderer {
    /// Change by Kustomize.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizePostRenderer>,
}

/// Change by Kustomize.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizePostRenderer {
    /// Patches to apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Images to use instead of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
}

wire_enum! {
    /// Which rendered objects are changed.
    pub enum PostRenderStrategy {
        /// All but hooks.
        NoHooks = "nohooks",
        /// All, hooks and others together.
        Combined = "combined",
        /// All, hooks and others apart.
        Separate = "separate",
    }
}

/// How to wait for objects to be ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitStrategy {
    /// Way to wait.
    pub name: WaitStrategyName,
}

wire_enum! {
    /// A way to wait for objects to be ready.
    pub enum WaitStrategyName {
        /// By their status, as Kustomizations do.
        Poller = "poller",
        /// As Helm 3 did.
        Legacy = "legacy",
    }
}

/// What helm-controller last did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// HelmChart that was made for the release, as `<namespace>/<name>`.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub helm_chart: Option<String>,
    /// Namespace of Helm's records.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 63))]
    pub storage_namespace: Option<String>,
    /// Last releases, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ReleaseSnapshot>,
    /// Objects that the release manages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ResourceInventory>,
    /// Generation that was last attempted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_generation: Option<i64>,
    /// Version of the chart that was last attempted.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_attempted_revision: Option<String>,
    /// Digest of the chart that was last attempted.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_attempted_revision_digest: Option<String>,
    /// Digest of the values that were last attempted.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_attempted_config_digest: Option<String>,
    /// Not in use; see `lastAttemptedConfigDigest`.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_attempted_values_checksum: Option<String>,
    /// Not in use; see `history`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = plain_integer)]
    pub last_release_revision: Option<i64>,
    /// Action that was last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action: Option<ReleaseAction>,
    /// How long that action took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action_duration: Option<DurationText>,
    /// Number of failures since the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<i64>,
    /// Number of failed installs since the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_failures: Option<i64>,
    /// Number of failed upgrades since the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_failures: Option<i64>,
    /// Digest of `spec.postRenderers` of the last release.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub observed_post_renderers_digest: Option<String>,
    /// Digest of `spec.commonMetadata` of the last release.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub observed_common_metadata_digest: Option<String>,
    /// Forced release that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_force_at: Option<String>,
    /// Reset of failures that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reset_at: Option<String>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}

wire_enum! {
    /// An action that makes a release.
    pub enum ReleaseAction {
        /// Install.
        Install = "install",
        /// Upgrade.
        Upgrade = "upgrade",
    }
}
