//! GitRepository: files of a Git repository at one revision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN, PATTERN_WITHOUT_HOURS};
use crate::kinds::{Column, Controller, InitialStatus, Kind, SOURCE_CATEGORIES, SOURCE_GROUP};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Files of a Git repository at one revision.
    GitRepository {
        spec: GitRepositorySpec,
        status: GitRepositoryStatus,
        kind: Kind {
            group: SOURCE_GROUP,
            version: "v1",
            kind: "GitRepository",
            plural: "gitrepositories",
            short_names: &["gitrepo"],
            categories: SOURCE_CATEGORIES,
            columns: &[
                Column::text("URL", ".spec.url"),
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

/// Which repository to fetch, at which revision, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.serviceAccountName) || (has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))",
    "message": "serviceAccountName can only be set when provider is 'azure' or 'aws'",
}]))]
pub struct GitRepositorySpec {
    /// Address of the repository, over HTTP or SSH.
    #[schemars(extend("pattern" = "^(http|https|ssh)://.*$"))]
    pub url: String,
    /// Secret with the credentials: `username` and `password` or `bearerToken`,
    /// or `identity` and `known_hosts`; `ca.crt`, `tls.crt` and `tls.key` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Where the credentials come from; `generic` by default, which is the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<GitProvider>,
    /// ServiceAccount to get credentials of the provider as.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub service_account_name: Option<String>,
    /// How often to look for a new revision.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// How long one Git operation may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN_WITHOUT_HOURS, "default" = "60s"))]
    pub timeout: Option<DurationText>,
    /// Revision to fetch; the branch `master` by default.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRepositoryRef>,
    /// Signatures to verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<GitRepositoryVerification>,
    /// Secret with the proxy's `address`, `username` and `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// Files to leave out, in the form of `.gitignore`; replaces the default rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether to stop looking for new revisions.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Whether to fetch submodules as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recurse_submodules: bool,
    /// Other repositories to place into this one's files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<GitRepositoryInclude>,
    /// Directories to fetch instead of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
}

wire_enum! {
    /// Where Git credentials come from.
    pub enum GitProvider {
        /// The Secret, or none.
        Generic = "generic",
        /// Workload identity of AWS.
        Aws = "aws",
        /// Workload identity of Azure.
        Azure = "azure",
        /// A GitHub App.
        GitHub = "github",
    }
}

/// Revision of a Git repository. Of several fields that are set, the first of
/// commit, name, tag, semver and branch decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryRef {
    /// Branch to follow.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub branch: Option<String>,
    /// Tag to use.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub tag: Option<String>,
    /// Range of versions; the highest tag in it is used.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub semver: Option<String>,
    /// Full name of a reference, such as `refs/pull/420/head`.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// Commit to use, with the branch that it is on for a smaller fetch.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub commit: Option<String>,
}

/// What has to be signed, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryVerification {
    /// What to verify: the commit (`HEAD`), the tag, or both.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "HEAD"))]
    pub mode: Option<GitVerificationMode>,
    /// Secret with the public keys of the trusted signers.
    pub secret_ref: LocalObjectReference,
}

wire_enum! {
    /// What has to be signed.
    pub enum GitVerificationMode {
        /// The commit; an old spelling.
        LowerHead = "head",
        /// The commit.
        Head = "HEAD",
        /// The tag.
        Tag = "Tag",
        /// The tag and the commit.
        TagAndHead = "TagAndHEAD",
    }
}

/// Files of another GitRepository in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryInclude {
    /// GitRepository to take the files from.
    pub repository: LocalObjectReference,
    /// Directory in it; all by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub from_path: Option<String>,
    /// Directory to place them in; the repository's name by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub to_path: Option<String>,
}

impl GitRepositoryInclude {
    /// The directory to place the files in.
    pub fn target(&self) -> &str {
        self.to_path.as_deref().unwrap_or(&self.repository.name)
    }
}

/// What source-controller last fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Last artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Artifacts that were placed into it, in the order of `spec.include`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,
    /// `spec.ignore` of the last artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// `spec.recurseSubmodules` of the last artifact.
    #[serde(default, skip_serializing_if = "is_false")]
    pub observed_recurse_submodules: bool,
    /// `spec.include` of the last artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<GitRepositoryInclude>,
    /// `spec.sparseCheckout` of the last artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,
    /// What was verified of the last artifact.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_verification_mode: Option<String>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}
