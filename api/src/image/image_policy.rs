//! ImagePolicy: the tag of an image to use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN};
use crate::kinds::{Column, Controller, IMAGE_GROUP, InitialStatus, Kind};
use crate::reference::NamespacedObjectReference;
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Tag of an image to use.
    ImagePolicy {
        spec: ImagePolicySpec,
        status: ImagePolicyStatus,
        kind: Kind {
            group: IMAGE_GROUP,
            version: "v1",
            kind: "ImagePolicy",
            plural: "imagepolicies",
            short_names: &["imgpol", "imagepol"],
            categories: &[],
            columns: &[
                Column::text("Image", ".status.latestRef.name"),
                Column::text("Tag", ".status.latestRef.tag"),
                Column::READY,
                Column::STATUS,
                Column::AGE,
            ],
            annotations: &[],
            initial_status: InitialStatus::Unobserved,
            controller: Controller::ImageReflector,
        },
    }
}

/// Which tag to use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.interval) || (has(self.digestReflectionPolicy) && self.digestReflectionPolicy == 'Always')",
        "message": "spec.interval is only accepted when spec.digestReflectionPolicy is set to 'Always'",
    },
    {
        "rule": "has(self.interval) || !has(self.digestReflectionPolicy) || self.digestReflectionPolicy != 'Always'",
        "message": "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'",
    },
]))]
pub struct ImagePolicySpec {
    /// ImageRepository to take the tags from.
    pub image_repository_ref: NamespacedObjectReference,
    /// How to choose a tag.
    pub policy: ImagePolicyChoice,
    /// Tags to choose from; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_tags: Option<TagFilter>,
    /// When to look up the digest of the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Never"))]
    pub digest_reflection_policy: Option<ReflectionPolicy>,
    /// How often to look up the digest, if always.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: Option<DurationText>,
    /// Whether to stop choosing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
}

/// How to choose a tag. One of the fields has to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicyChoice {
    /// By version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<SemVerPolicy>,
    /// By the alphabet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alphabetical: Option<AlphabeticalPolicy>,
    /// By number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numerical: Option<NumericalPolicy>,
}

/// Choice of the highest version in a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SemVerPolicy {
    /// Range of versions.
    pub range: String,
}

/// Choice by the alphabet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlphabeticalPolicy {
    /// Order: `asc` chooses the last, `desc` the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "asc"))]
    pub order: Option<PolicyOrder>,
}

/// Choice by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NumericalPolicy {
    /// Order: `asc` chooses the highest, `desc` the lowest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "asc"))]
    pub order: Option<PolicyOrder>,
}

wire_enum! {
    /// The order of tags, of which the last is chosen.
    pub enum PolicyOrder {
        /// Ascending.
        Ascending = "asc",
        /// Descending.
        Descending = "desc",
    }
}

/// Tags to choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagFilter {
    /// Regular expression that tags have to match.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub pattern: Option<String>,
    /// What to order instead of the tag, made from groups of the pattern.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub extract: Option<String>,
}

wire_enum! {
    /// When to look up the digest of a tag.
    pub enum ReflectionPolicy {
        /// At every interval.
        Always = "Always",
        /// When the tag changes.
        IfNotPresent = "IfNotPresent",
        /// Not at all.
        Never = "Never",
    }
}

/// What image-reflector-controller last chose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicyStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Image that was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_ref: Option<ImageRef>,
    /// Image that was chosen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_previous_ref: Option<ImageRef>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}

/// Image at one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageRef {
    /// Name of the image, as the ImageRepository has it.
    pub name: String,
    /// Tag.
    pub tag: String,
    /// Digest.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub digest: Option<String>,
}
