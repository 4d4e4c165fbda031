//! ImageRepository: the tags of an image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN, PATTERN_WITHOUT_HOURS};
use crate::kinds::{Column, Controller, IMAGE_GROUP, InitialStatus, Kind};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::source::{AccessFrom, CloudProvider};
use crate::time::Time;
use crate::wire::{is_false, non_empty, plain_integer};

resource! {
    /// Tags of an image.
    ImageRepository {
        spec: ImageRepositorySpec,
        status: ImageRepositoryStatus,
        kind: Kind {
            group: IMAGE_GROUP,
            version: "v1",
            kind: "ImageRepository",
            plural: "imagerepositories",
            short_names: &["imgrepo", "imagerepo"],
            categories: &[],
            columns: &[
                Column::text("Image", ".spec.image"),
                Column::text("Tags", ".status.lastScanResult.tagCount"),
                Column::READY,
                Column::STATUS,
                Column::text("Last scan", ".status.lastScanResult.scanTime").wide(),
                Column::AGE,
            ],
            annotations: &[],
            initial_status: InitialStatus::Unobserved,
            controller: Controller::ImageReflector,
        },
    }
}

/// Which image to scan, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageRepositorySpec {
    /// Name of the image, without a tag.
    pub image: String,
    /// How often to scan.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// How long one scan may take; `interval` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN_WITHOUT_HOURS))]
    pub timeout: Option<DurationText>,
    /// Secret with the credentials, of type `kubernetes.io/dockerconfigjson`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Secret with the proxy's `address`, `username` and `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// ServiceAccount whose image pull secrets are used, or to get credentials of the
    /// provider as.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 253))]
    pub service_account_name: Option<String>,
    /// Secret with `ca.crt`, `tls.crt` and `tls.key` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Whether to stop scanning.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// ImagePolicies of other namespaces that may refer to it; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Regular expressions of tags to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = ["^.*\\.sig$"], "maxItems" = 25))]
    pub exclusion_list: Vec<String>,
    /// Where the credentials come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// Whether plain HTTP may be used.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
}

/// What image-reflector-controller last found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageRepositoryStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Full name of the image, registry and all.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub canonical_image_name: Option<String>,
    /// Last scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scan_result: Option<ScanResult>,
    /// `spec.exclusionList` of the last scan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_exclusion_list: Vec<String>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScanResult {
    /// Checksum of the tags.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub revision: Option<String>,
    /// Number of tags.
    #[schemars(transform = plain_integer)]
    pub tag_count: i64,
    /// When it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_time: Option<Time>,
    /// Last tags in the order of the alphabet, ten at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest_tags: Vec<String>,
}
