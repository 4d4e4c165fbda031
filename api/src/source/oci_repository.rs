//! OCIRepository: files of an artifact in a container registry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::{CloudProvider, OciVerification};
use crate::artifact::Artifact;
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN, PATTERN_WITHOUT_HOURS};
use crate::kinds::{Column, Controller, InitialStatus, Kind, SOURCE_CATEGORIES, SOURCE_GROUP};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Files of an artifact in a container registry.
    OciRepository {
        spec: OciRepositorySpec,
        status: OciRepositoryStatus,
        kind: Kind {
            group: SOURCE_GROUP,
            version: "v1",
            kind: "OCIRepository",
            plural: "ocirepositories",
            short_names: &["ocirepo"],
            categories: SOURCE_CATEGORIES,
            columns: &[
                Column::text("URL", ".spec.url"),
                Column::READY,
                Column::STATUS,
                Column::AGE,
            ],
            annotations: &[],
            initial_status: InitialStatus::Unobserved,
            controller: Controller::Source,
        },
    }
}

/// Which artifact to fetch, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciRepositorySpec {
    /// Address of the repository, `oci://` and no tag.
    #[schemars(extend("pattern" = "^oci://.*$"))]
    pub url: String,
    /// Version to fetch; the tag `latest` by default.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<OciRepositoryRef>,
    /// Layer to take; the first by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_selector: Option<OciLayerSelector>,
    /// Where the credentials come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// Secret with the credentials, of type `kubernetes.io/dockerconfigjson`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Signatures to verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<OciVerification>,
    /// ServiceAccount whose image pull secrets are used, or to get credentials of the
    /// provider as.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub service_account_name: Option<String>,
    /// Secret with `ca.crt`, `tls.crt` and `tls.key` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Secret with the proxy's `address`, `username` and `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// How often to look for a new version.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// How long one remote operation may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN_WITHOUT_HOURS, "default" = "60s"))]
    pub timeout: Option<DurationText>,
    /// Files to leave out, in the form of `.gitignore`; replaces the default rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether plain HTTP may be used.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// Whether to stop looking for new versions.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// Version of an artifact. Of several fields that are set, the first of digest, semver and
/// tag decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciRepositoryRef {
    /// Digest of the manifest.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub digest: Option<String>,
    /// Range of versions; the highest tag in it is used.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub semver: Option<String>,
    /// Regular expression that tags have to match to count as versions.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub semver_filter: Option<String>,
    /// Tag.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub tag: Option<String>,
}

/// Layer of an artifact, and what to do with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciLayerSelector {
    /// Media type of the layer, of which the first is taken.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub media_type: Option<String>,
    /// What to do with the layer: `extract` (the default) or `copy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<OciLayerOperation>,
}

wire_enum! {
    /// What to do with a layer.
    pub enum OciLayerOperation {
        /// Unpack it and pack the files anew.
        Extract = "extract",
        /// Keep it as it is.
        Copy = "copy",
    }
}

/// What source-controller last fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciRepositoryStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
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
    /// `spec.ignore` of the last artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// `spec.layerSelector` of the last artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_layer_selector: Option<OciLayerSelector>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}
