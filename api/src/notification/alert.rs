//! Alert: which events go to which provider.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WatchedKind;
use crate::kinds::{
    Column, Controller, InitialStatus, Kind, NO_SUBSTITUTION, NOTIFICATION_CATEGORIES,
    NOTIFICATION_GROUP,
};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Which events go to which provider.
    Alert {
        spec: AlertSpec,
        kind: Kind {
            group: NOTIFICATION_GROUP,
            version: "v1beta3",
            kind: "Alert",
            plural: "alerts",
            short_names: &[],
            categories: NOTIFICATION_CATEGORIES,
            columns: &[Column::AGE],
            annotations: NO_SUBSTITUTION,
            initial_status: InitialStatus::Never,
            controller: Controller::Notification,
        },
    }
}

/// Which events to send, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertSpec {
    /// Provider to send to.
    pub provider_ref: LocalObjectReference,
    /// Events to send: `info` for all, `error` for failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "info"))]
    pub event_severity: Option<AlertSeverity>,
    /// Objects whose events are sent.
    pub event_sources: Vec<EventSource>,
    /// Regular expressions for messages, of which one has to match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inclusion_list: Vec<String>,
    /// Regular expressions for messages, of which none may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusion_list: Vec<String>,
    /// Metadata to add to events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_metadata: BTreeMap<String, String>,
    /// Old form of the metadata key `summary`.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 255))]
    pub summary: Option<String>,
    /// Whether to stop sending.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

wire_enum! {
    /// The least severity of the events to send.
    pub enum AlertSeverity {
        /// All events.
        Info = "info",
        /// Failures.
        Error = "error",
    }
}

/// Objects whose events are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSource {
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
    /// Namespace of the objects; that of the Alert by default.
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
}
