//! ImageUpdateAutomation: chosen tags written back to Git.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::image_policy::ImageRef;
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN};
use crate::kinds::{Column, Controller, IMAGE_GROUP, InitialStatus, Kind};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::source::GitRepositoryRef;
use crate::time::Time;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Tags that ImagePolicies chose, written back to Git.
    ImageUpdateAutomation {
        spec: ImageUpdateAutomationSpec,
        status: ImageUpdateAutomationStatus,
        kind: Kind {
            group: IMAGE_GROUP,
            version: "v1",
            kind: "ImageUpdateAutomation",
            plural: "imageupdateautomations",
            short_names: &["iua", "imgupd", "imgauto"],
            categories: &["all", "fluxcd", "fluxcd-images"],
            columns: &[
                Column::READY,
                Column::STATUS,
                Column::text("Last run", ".status.lastAutomationRunTime").wide(),
                Column::AGE,
            ],
            annotations: &[],
            initial_status: InitialStatus::Unobserved,
            controller: Controller::ImageAutomation,
        },
    }
}

/// What to update, and how to commit it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdateAutomationSpec {
    /// GitRepository to update.
    pub source_ref: GitSourceReference,
    /// How to check out, commit and push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSpec>,
    /// How often to update.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// ImagePolicies to write back; all of the namespace by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_selector: Option<LabelSelector>,
    /// What to change in the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = {"strategy": "Setters"}))]
    pub update: Option<UpdateStrategy>,
    /// Whether to stop updating.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// GitRepository to update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSourceReference {
    /// API version of the source.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub api_version: Option<String>,
    /// Kind of the source.
    #[schemars(extend("default" = "GitRepository"))]
    pub kind: GitSourceKind,
    /// Name of the source.
    pub name: String,
    /// Namespace of the source; that of the automation by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub namespace: Option<String>,
}

wire_enum! {
    /// A kind of source that can be updated.
    pub enum GitSourceKind {
        /// A Git repository.
        GitRepository = "GitRepository",
    }
}

/// How to check out, commit and push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSpec {
    /// What to check out; what the GitRepository says by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout: Option<GitCheckout>,
    /// How to commit.
    pub commit: GitCommit,
    /// Where to push; to what was checked out by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<GitPush>,
}

/// What to check out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitCheckout {
    /// Revision to check out.
    #[serde(rename = "ref")]
    pub reference: GitRepositoryRef,
}

/// How to commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitCommit {
    /// Author of the commits.
    pub author: CommitUser,
    /// Key to sign commits with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SigningKey>,
    /// Template of the commit message.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub message_template: Option<String>,
    /// Values for the template, as `.Values`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub message_template_values: BTreeMap<String, String>,
}

/// Author of commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitUser {
    /// Name of the author.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// Mail address of the author.
    pub email: String,
}

/// Key to sign commits with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// Secret with the key: `git.asc`, or `identity`, and `passphrase`.
    pub secret_ref: LocalObjectReference,
    /// Kind of the key; `gpg` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_: Option<SigningKeyType>,
}

wire_enum! {
    /// A kind of key.
    pub enum SigningKeyType {
        /// An OpenPGP key.
        Gpg = "gpg",
        /// An SSH key.
        Ssh = "ssh",
    }
}

/// Where to push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitPush {
    /// Branch to push to; created if it is not there.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub branch: Option<String>,
    /// Refspec to push as well.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub refspec: Option<String>,
    /// Options to send to the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// What to change in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// How to find what to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Setters"))]
    pub strategy: Option<UpdateStrategyName>,
    /// Directory or file to change; all by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub path: Option<String>,
}

wire_enum! {
    /// How to find what to change.
    pub enum UpdateStrategyName {
        /// By marks in comments.
        Setters = "Setters",
    }
}

/// Objects whose labels match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Labels that the objects have to have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// What else has to be true of the labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// What has to be true of one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// Key of the label.
    pub key: String,
    /// Relation to the values: `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// Values of the label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// What image-automation-controller last did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdateAutomationStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it last ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_automation_run_time: Option<Time>,
    /// Commit that was last pushed.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_push_commit: Option<String>,
    /// When it was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_push_time: Option<Time>,
    /// Revision of the source that was last worked on.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub observed_source_revision: Option<String>,
    /// Images that were last written, by policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed_policies: BTreeMap<String, ImageRef>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}
