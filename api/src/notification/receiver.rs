//! Receiver: a webhook that makes objects reconcile.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WatchedKind;
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN};
use crate::kinds::{
    Column, Controller, InitialStatus, Kind, NO_SUBSTITUTION, NOTIFICATION_CATEGORIES,
    NOTIFICATION_GROUP,
};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Webhook that makes objects reconcile.
    Receiver {
        spec: ReceiverSpec,
        status: ReceiverStatus,
        kind: Kind {
            group: NOTIFICATION_GROUP,
            version: "v1",
            kind: "Receiver",
            plural: "receivers",
            short_names: &[],
            categories: NOTIFICATION_CATEGORIES,
            columns: &[Column::AGE, Column::READY, Column::STATUS],
            annotations: NO_SUBSTITUTION,
            initial_status: InitialStatus::Unobserved,
            controller: Controller::Notification,
        },
    }
}

/// Which calls to accept, and what to reconcile then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)",
        "message": "generic-oidc receivers must define at least one oidcProvider",
    },
    {
        "rule": "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0",
        "message": "oidcProviders can only be set when type is generic-oidc",
    },
    {
        "rule": "self.type != 'generic-oidc' || !has(self.secretRef)",
        "message": "secretRef cannot be set when type is generic-oidc",
    },
    {
        "rule": "self.type == 'generic-oidc' || has(self.secretRef)",
        "message": "secretRef is required when type is not generic-oidc",
    },
]))]
pub struct ReceiverSpec {
    /// Kind of the caller.
    pub type_: ReceiverType,
    /// How often to look at the Secret again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN, "default" = "10m"))]
    pub interval: Option<DurationText>,
    /// Events to accept; all by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Objects to reconcile.
    pub resources: Vec<ReceiverResource>,
    /// CEL expression over `res` and `req` that tells which objects to reconcile.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub resource_filter: Option<String>,
    /// Secret with the `token` that calls are checked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Issuers whose tokens are accepted, for the type `generic-oidc`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuerURL"]))]
    pub oidc_providers: Vec<OidcProvider>,
    /// Whether to stop accepting calls.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

wire_enum! {
    /// A kind of caller.
    pub enum ReceiverType {
        /// Anybody who knows the path.
        Generic = "generic",
        /// Anybody who signs the call.
        GenericHmac = "generic-hmac",
        /// Anybody with a token of an issuer.
        GenericOidc = "generic-oidc",
        /// GitHub.
        GitHub = "github",
        /// GitLab.
        GitLab = "gitlab",
        /// Bitbucket Server.
        Bitbucket = "bitbucket",
        /// Harbor.
        Harbor = "harbor",
        /// Docker Hub.
        DockerHub = "dockerhub",
        /// Quay.
        Quay = "quay",
        /// Google Container Registry.
        Gcr = "gcr",
        /// Nexus.
        Nexus = "nexus",
        /// Azure Container Registry.
        Acr = "acr",
        /// A sender of CDEvents.
        CdEvents = "cdevents",
    }
}

/// Objects to reconcile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverResource {
    /// API version of the objects.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub api_version: Option<String>,
    /// Kind of the objects.
    pub kind: WatchedKind,
    /// Name of the object, or `*` for all.
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub name: String,
    /// Namespace of the objects; that of the Receiver by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub namespace: Option<String>,
    /// Labels that the objects have to have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// CEL expression over `res` and `req` that tells which of the objects to reconcile.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub filter: Option<String>,
}

/// Issuer whose tokens are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcProvider {
    /// Address of the issuer.
    #[serde(rename = "issuerURL")]
    #[schemars(extend("pattern" = "^https?://"))]
    pub issuer_url: String,
    /// Audience that tokens have to be for; `notification-controller` by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub audience: Option<String>,
    /// Named values for use in the validations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<OidcVariable>,
    /// What has to be true of the token.
    #[schemars(extend("minItems" = 1))]
    pub validations: Vec<OidcValidation>,
}

/// Named value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcVariable {
    /// Name of the value.
    pub name: String,
    /// CEL expression for the value.
    pub expression: String,
}

/// What has to be true of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcValidation {
    /// CEL expression that has to be true.
    pub expression: String,
    /// What to answer if it is not.
    pub message: String,
}

/// What notification-controller made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Path that calls are accepted at.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub webhook_path: Option<String>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}
