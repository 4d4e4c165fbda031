//! The event that controllers post to notification-controller, in JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The group of events, and the prefix of the annotations that they carry along.
pub const GROUP: &str = "event.toolkit.fluxcd.io";

/// The prefix of an object's annotations that are copied into its events.
pub const ANNOTATION_PREFIX: &str = "event.toolkit.fluxcd.io/";

/// Metadata key (behind a group prefix): revision of the source.
pub const META_REVISION: &str = "revision";
/// Metadata key: revision that an OCI artifact was built from.
pub const META_ORIGIN_REVISION: &str = "originRevision";
/// Metadata key: old name of the digest, dropped by the receiver.
pub const META_CHECKSUM: &str = "checksum";
/// Metadata key: digest of the artifact, dropped by the receiver.
pub const META_DIGEST: &str = "digest";
/// Metadata key: tells two events with the same text apart.
pub const META_TOKEN: &str = "token";
/// Metadata key: commit to report a status on.
pub const META_COMMIT: &str = "commit";
/// Metadata key: marks an event that is for commit statuses only.
pub const META_COMMIT_STATUS: &str = "commit_status";
/// The value of [`META_COMMIT_STATUS`].
pub const META_COMMIT_STATUS_UPDATE: &str = "update";
/// Metadata key: change request to comment on.
pub const META_CHANGE_REQUEST: &str = "change_request";
/// Metadata key of helm-controller: digest of the chart's artifact.
pub const META_OCI_DIGEST: &str = "oci-digest";
/// Metadata key of helm-controller: version of the app in the chart.
pub const META_APP_VERSION: &str = "app-version";

/// How grave an event is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the cluster's own events only; never posted.
    Trace,
    /// Something went as it should.
    #[default]
    Info,
    /// Something went wrong.
    Error,
}

impl Severity {
    /// The severity as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Info => "info",
            Self::Error => "error",
        }
    }
}

/// The object that an event is about: `v1` ObjectReference without a field path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InvolvedObject {
    /// The kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The unique id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Group and version of the kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The resource version that the event was written at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
}

/// Something that happened to an object, as posted to notification-controller
/// (`event.toolkit.fluxcd.io/v1beta1`, never stored in a cluster).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What it is about.
    pub involved_object: InvolvedObject,
    /// How grave it is.
    pub severity: Severity,
    /// When it happened.
    pub timestamp: Time,
    /// What happened, for people.
    pub message: String,
    /// What happened, as one word for programs.
    pub reason: String,
    /// More about it; keys have a group prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The controller that says so.
    pub reporting_controller: String,
    /// The host that the controller runs on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reporting_instance: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_the_posted_form() {
        let wire = json!({
            "involvedObject": {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "name": "apps",
                "namespace": "flux-system",
                "resourceVersion": "12",
                "uid": "u",
            },
            "severity": "info",
            "timestamp": "2026-01-02T03:04:05Z",
            "message": "done",
            "reason": "ReconciliationSucceeded",
            "metadata": { "kustomize.toolkit.fluxcd.io/revision": "main@sha1:1" },
            "reportingController": "kustomize-controller",
            "reportingInstance": "pod-1",
        });
        let event: Event = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(event.severity, Severity::Info);
        assert_eq!(serde_json::to_value(&event).unwrap(), wire);
    }
}
