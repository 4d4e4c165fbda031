//! ExternalArtifact: an artifact that somebody else than source-controller provides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::condition::Condition;
use crate::kinds::{Column, Controller, InitialStatus, Kind, SOURCE_CATEGORIES, SOURCE_GROUP};
use crate::reference::NamespacedObjectKindReference;
use crate::resource::resource;

resource! {
    /// Artifact that somebody else than source-controller provides.
    ExternalArtifact {
        spec: ExternalArtifactSpec,
        status: ExternalArtifactStatus,
        kind: Kind {
            group: SOURCE_GROUP,
            version: "v1",
            kind: "ExternalArtifact",
            plural: "externalartifacts",
            short_names: &["ea"],
            categories: SOURCE_CATEGORIES,
            columns: &[
                Column::AGE,
                Column::READY,
                Column::STATUS,
                Column::text("Source", ".spec.sourceRef.name"),
            ],
            annotations: &[],
            initial_status: InitialStatus::Absent,
            controller: Controller::Source,
        },
    }
}

/// Where the artifact comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactSpec {
    /// Object that the artifact is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ref: Option<NamespacedObjectKindReference>,
}

/// What its provider last made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalArtifactStatus {
    /// Last artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
