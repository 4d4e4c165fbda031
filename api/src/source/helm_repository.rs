//! HelmRepository: the index of a chart repository.

use std::collections::BTreeMap;

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
    /// Index of a chart repository, or the credentials of a registry with charts.
    HelmRepository {
        spec: HelmRepositorySpec,
        status: HelmRepositoryStatus,
        kind: Kind {
            group: SOURCE_GROUP,
            version: "v1",
            kind: "HelmRepository",
            plural: "helmrepositories",
            short_names: &["helmrepo"],
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

/// Which repository to use, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmRepositorySpec {
    /// Address of the repository.
    #[schemars(extend("pattern" = "^(http|https|oci)://.*$"))]
    pub url: String,
    /// Secret with the credentials: `username` and `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Secret with `ca.crt`, `tls.crt` and `tls.key` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Whether the credentials are sent to other hosts that the index names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pass_credentials: bool,
    /// How often to look for changes; every minute by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: Option<DurationText>,
    /// Whether a registry may be used over plain HTTP.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure: bool,
    /// How long one request may take; a minute by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN_WITHOUT_HOURS))]
    pub timeout: Option<DurationText>,
    /// Whether to stop looking for changes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Who may refer to the repository; not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Kind of repository: `default`, with an index, or `oci`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_: Option<HelmRepositoryType>,
    /// Where the credentials of a registry come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "generic"))]
    pub provider: Option<CloudProvider>,
}

wire_enum! {
    /// A kind of chart repository.
    pub enum HelmRepositoryType {
        /// One with an index.
        Default = "default",
        /// A container registry.
        Oci = "oci",
    }
}

/// Who may refer to an object from another namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessFrom {
    /// Namespaces that may, of which one has to match.
    pub namespace_selectors: Vec<NamespaceSelector>,
}

/// Namespaces with all of these labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels of the namespace; none matches all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// What source-controller last fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmRepositoryStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Address of the last index that does not change.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub url: Option<String>,
    /// Last index.
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
