//! Bucket: files of an object store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::CloudProvider;
use crate::artifact::Artifact;
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN, PATTERN_WITHOUT_HOURS};
use crate::kinds::{Column, Controller, InitialStatus, Kind, SOURCE_CATEGORIES, SOURCE_GROUP};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Files of an object store.
    Bucket {
        spec: BucketSpec,
        status: BucketStatus,
        kind: Kind {
            group: SOURCE_GROUP,
            version: "v1",
            kind: "Bucket",
            plural: "buckets",
            short_names: &[],
            categories: SOURCE_CATEGORIES,
            columns: &[
                Column::text("Endpoint", ".spec.endpoint"),
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

/// Which bucket to fetch, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.provider == 'aws' || self.provider == 'generic' || !has(self.sts)",
        "message": "STS configuration is only supported for the 'aws' and 'generic' Bucket providers",
    },
    {
        "rule": "self.provider != 'aws' || !has(self.sts) || self.sts.provider == 'aws'",
        "message": "'aws' is the only supported STS provider for the 'aws' Bucket provider",
    },
    {
        "rule": "self.provider != 'generic' || !has(self.sts) || self.sts.provider == 'ldap'",
        "message": "'ldap' is the only supported STS provider for the 'generic' Bucket provider",
    },
    {
        "rule": "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.secretRef)",
        "message": "spec.sts.secretRef is not required for the 'aws' STS provider",
    },
    {
        "rule": "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.certSecretRef)",
        "message": "spec.sts.certSecretRef is not required for the 'aws' STS provider",
    },
    {
        "rule": "self.provider != 'generic' || !has(self.serviceAccountName)",
        "message": "ServiceAccountName is not supported for the 'generic' Bucket provider",
    },
    {
        "rule": "!has(self.secretRef) || !has(self.serviceAccountName)",
        "message": "cannot set both .spec.secretRef and .spec.serviceAccountName",
    },
]))]
pub struct BucketSpec {
    /// Kind of object store, and where the credentials come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// Name of the bucket, or of the container for Azure.
    pub bucket_name: String,
    /// Host of the object store, or the account's URL for Azure.
    pub endpoint: String,
    /// Token service to get credentials from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sts: Option<BucketSts>,
    /// Whether plain HTTP is used.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// Region of the bucket.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub region: Option<String>,
    /// Prefix of the objects to fetch.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub prefix: Option<String>,
    /// Secret with the credentials: `accesskey` and `secretkey`, or those of the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// ServiceAccount to get credentials of the provider as.
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
    /// How often to look for changes.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// How long listing, and how long downloading may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN_WITHOUT_HOURS, "default" = "60s"))]
    pub timeout: Option<DurationText>,
    /// Objects to leave out, in the form of `.gitignore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether to stop looking for changes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// Token service to get credentials from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketSts {
    /// Kind of token service.
    pub provider: StsProvider,
    /// Address of the token service.
    #[schemars(extend("pattern" = "^(http|https)://.*$"))]
    pub endpoint: String,
    /// Secret with `username` and `password` for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Secret with `ca.crt`, `tls.crt` and `tls.key` for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
}

wire_enum! {
    /// A kind of token service.
    pub enum StsProvider {
        /// That of AWS.
        Aws = "aws",
        /// That of MinIO for LDAP.
        Ldap = "ldap",
    }
}

/// What source-controller last fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketStatus {
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
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}
