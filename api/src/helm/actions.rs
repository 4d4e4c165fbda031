//! What a HelmRelease says of each of Helm's actions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{DurationText, PATTERN};
use crate::wire::{is_false, plain_integer, wire_enum};

/// How to install.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Install {
    /// How long one operation may take; that of the release by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub timeout: Option<DurationText>,
    /// What to do when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<InstallStrategy>,
    /// How to recover when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<InstallRemediation>,
    /// Whether objects of others stay theirs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_take_ownership: bool,
    /// Whether not to wait for objects to be ready.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_wait: bool,
    /// Whether not to wait for Jobs to complete.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_wait_for_jobs: bool,
    /// Whether hooks are skipped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_hooks: bool,
    /// Whether objects are not checked against the cluster's schema.
    #[serde(
        rename = "disableOpenAPIValidation",
        default,
        skip_serializing_if = "is_false"
    )]
    pub disable_open_api_validation: bool,
    /// Whether values are not checked against the chart's schema.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_schema_validation: bool,
    /// Whether the name of a release that is gone may be used again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replace: bool,
    /// Not in use; see `crds`.
    #[serde(rename = "skipCRDs", default, skip_serializing_if = "is_false")]
    pub skip_cr_ds: bool,
    /// What becomes of the chart's `crds` directory; `Create` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Whether to create the target namespace.
    #[serde(default, skip_serializing_if = "is_false")]
    pub create_namespace: bool,
    /// Whether to apply on the server; by default yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<bool>,
}

/// What to do when an install fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.retryInterval) || self.name != 'RemediateOnFailure'",
        "message": ".retryInterval cannot be set when .name is 'RemediateOnFailure'",
    },
]))]
pub struct InstallStrategy {
    /// Whether to remediate or to try again.
    pub name: ActionStrategyName,
    /// How long to wait before another try; 5 minutes by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub retry_interval: Option<DurationText>,
}

wire_enum! {
    /// What to do when an action fails.
    pub enum ActionStrategyName {
        /// Undo it, then try again as often as allowed.
        RemediateOnFailure = "RemediateOnFailure",
        /// Try again until it works.
        RetryOnFailure = "RetryOnFailure",
    }
}

/// How to recover from a failed install, which is to uninstall.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallRemediation {
    /// How often to try again; without end if negative, by default not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = plain_integer)]
    pub retries: Option<i64>,
    /// Whether failed tests are no failure; that of `test` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,
    /// Whether to remediate after the last try; by default not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,
}

wire_enum! {
    /// What becomes of a chart's `crds` directory.
    pub enum CrdsPolicy {
        /// Nothing.
        Skip = "Skip",
        /// New CRDs are created.
        Create = "Create",
        /// CRDs are created or replaced.
        CreateReplace = "CreateReplace",
    }
}

/// How to upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upgrade {
    /// How long one operation may take; that of the release by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub timeout: Option<DurationText>,
    /// What to do when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<UpgradeStrategy>,
    /// How to recover when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<UpgradeRemediation>,
    /// Whether objects of others stay theirs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_take_ownership: bool,
    /// Whether not to wait for objects to be ready.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_wait: bool,
    /// Whether not to wait for Jobs to complete.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_wait_for_jobs: bool,
    /// Whether hooks are skipped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_hooks: bool,
    /// Whether objects are not checked against the cluster's schema.
    #[serde(
        rename = "disableOpenAPIValidation",
        default,
        skip_serializing_if = "is_false"
    )]
    pub disable_open_api_validation: bool,
    /// Whether values are not checked against the chart's schema.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_schema_validation: bool,
    /// Whether objects are replaced; not with server-side apply.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Whether values of the last release are kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub preserve_values: bool,
    /// Whether objects that a failed upgrade created are deleted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cleanup_on_fail: bool,
    /// What becomes of the chart's `crds` directory; `Create` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crds: Option<CrdsPolicy>,
    /// Whether to apply on the server; by default as the last release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<ServerSideApplyMode>,
    /// What to do when the chart has another name; `Reinstall` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_name_change_strategy: Option<ChartNameChangeStrategy>,
}

/// What to do when an upgrade fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.retryInterval) || self.name == 'RetryOnFailure'",
        "message": ".retryInterval can only be set when .name is 'RetryOnFailure'",
    },
]))]
pub struct UpgradeStrategy {
    /// Whether to remediate or to try again.
    pub name: ActionStrategyName,
    /// How long to wait before another try; 5 minutes by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub retry_interval: Option<DurationText>,
}

/// How to recover from a failed upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeRemediation {
    /// How often to try again; without end if negative, by default not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = plain_integer)]
    pub retries: Option<i64>,
    /// Whether failed tests are no failure; that of `test` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_test_failures: Option<bool>,
    /// Whether to remediate after the last try; by default if there are retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediate_last_failure: Option<bool>,
    /// How to undo it; `rollback` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RemediationStrategy>,
}

wire_enum! {
    /// How to undo a failed upgrade.
    pub enum RemediationStrategy {
        /// Back to the last good release.
        Rollback = "rollback",
        /// Away with the release.
        Uninstall = "uninstall",
    }
}

wire_enum! {
    /// Whether to apply on the server.
    pub enum ServerSideApplyMode {
        /// Yes.
        Enabled = "enabled",
        /// No.
        Disabled = "disabled",
        /// As the release before.
        Auto = "auto",
    }
}

wire_enum! {
    /// What to do when the chart has another name.
    pub enum ChartNameChangeStrategy {
        /// Upgrade as ever.
        InPlaceUpdate = "InPlaceUpdate",
        /// Uninstall first.
        Reinstall = "Reinstall",
    }
}

/// How to test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Test {
    /// Whether to run the chart's tests after an install or upgrade.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enable: bool,
    /// How long one operation may take; that of the release by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub timeout: Option<DurationText>,
    /// Whether failed tests are no failure.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_failures: bool,
    /// Tests to run, or not to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<TestFilter>,
}

/// Test to run, or not to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestFilter {
    /// Name of the test.
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub name: String,
    /// Whether not to run it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exclude: bool,
}

/// How to roll back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// How long one operation may take; that of the release by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub timeout: Option<DurationText>,
    /// Whether not to wait for objects to be ready.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_wait: bool,
    /// Whether not to wait for Jobs to complete.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_wait_for_jobs: bool,
    /// Whether hooks are skipped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_hooks: bool,
    /// Not in use.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recreate: bool,
    /// Whether objects are replaced; not with server-side apply.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Whether objects that a failed rollback created are deleted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cleanup_on_fail: bool,
    /// Whether to apply on the server; by default as the release to go back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_side_apply: Option<ServerSideApplyMode>,
}

/// How to uninstall.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uninstall {
    /// How long one operation may take; that of the release by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub timeout: Option<DurationText>,
    /// Whether hooks are skipped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_hooks: bool,
    /// Whether the record of the release is kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_history: bool,
    /// Whether not to wait for objects to be gone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_wait: bool,
    /// What becomes of objects that depend on deleted ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "background"))]
    pub deletion_propagation: Option<DeletionPropagation>,
}

wire_enum! {
    /// What becomes of objects that depend on a deleted one.
    pub enum DeletionPropagation {
        /// They are deleted later.
        Background = "background",
        /// They are deleted first.
        Foreground = "foreground",
        /// They stay.
        Orphan = "orphan",
    }
}
