//! Kustomization: objects built from a source, applied to a cluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patch::{CommonMetadata, HealthCheckExpr, IgnoreRule, Image, Patch};
use crate::condition::Condition;
use crate::duration::{DurationText, PATTERN};
use crate::history::Snapshot;
use crate::inventory::ResourceInventory;
use crate::kinds::{
    APPLIER_CATEGORIES, Column, Controller, InitialStatus, KUSTOMIZE_GROUP, Kind, NO_SUBSTITUTION,
};
use crate::reference::{
    DependencyReference, KubeConfigReference, LocalObjectReference, NamespacedObjectKindReference,
};
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Objects built from a source, applied to a cluster and kept there.
    Kustomization {
        spec: KustomizationSpec,
        status: KustomizationStatus,
        kind: Kind {
            group: KUSTOMIZE_GROUP,
            version: "v1",
            kind: "Kustomization",
            plural: "kustomizations",
            short_names: &["ks"],
            categories: APPLIER_CATEGORIES,
            columns: &[Column::AGE, Column::READY, Column::STATUS],
            annotations: NO_SUBSTITUTION,
            initial_status: InitialStatus::Unobserved,
            controller: Controller::Kustomize,
        },
    }
}

/// What to build, where to apply it, and how to tell that all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationSpec {
    /// Labels and annotations to set on all objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Kustomizations that have to be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// How to decrypt Secrets before they are applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,
    /// How often to reconcile.
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: DurationText,
    /// How long to wait after a failure; `interval` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub retry_interval: Option<DurationText>,
    /// Credentials of the cluster to apply to; this one by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// Directory in the source; its root by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub path: Option<String>,
    /// Variables to substitute in what was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,
    /// Whether to delete objects that are no longer in the source.
    pub prune: bool,
    /// What becomes of the objects when the Kustomization is deleted; by
    /// default they are deleted if `prune` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Objects that have to be healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<NamespacedObjectKindReference>,
    /// Prefix for the names of all objects.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 200))]
    pub name_prefix: Option<String>,
    /// Suffix for the names of all objects.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 200))]
    pub name_suffix: Option<String>,
    /// Patches to apply to what is built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Images to use instead of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// ServiceAccount to apply the objects as.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub service_account_name: Option<String>,
    /// Source of the files.
    pub source_ref: CrossNamespaceSourceReference,
    /// Whether to stop reconciling.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Namespace for all objects.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("minLength" = 1, "maxLength" = 63))]
    pub target_namespace: Option<String>,
    /// How long health checks may take; `interval` less 30 seconds by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub timeout: Option<DurationText>,
    /// Whether to recreate objects when a change of them is not allowed.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schemars(extend("default" = false))]
    pub force: bool,
    /// Whether all applied objects have to be healthy; `healthChecks` is then ignored.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wait: bool,
    /// Kustomize components to add, relative to `path`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Whether components that are not there are skipped.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_missing_components: bool,
    /// How to tell whether objects of certain kinds are healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<HealthCheckExpr>,
    /// Annotations on what is built that tell where it comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<BuildMetadata>,
    /// Parts of objects that are left as they are in the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
}

/// Source of a Kustomization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// API version of the source.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub api_version: Option<String>,
    /// Kind of the source.
    pub kind: SourceKind,
    /// Name of the source.
    pub name: String,
    /// Namespace of the source; that of the Kustomization by default.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub namespace: Option<String>,
}

wire_enum! {
    /// A kind of source that a Kustomization can be built from.
    pub enum SourceKind {
        /// An OCI artifact.
        OciRepository = "OCIRepository",
        /// A Git repository.
        GitRepository = "GitRepository",
        /// A bucket.
        Bucket = "Bucket",
        /// An artifact that somebody else provides.
        ExternalArtifact = "ExternalArtifact",
    }
}

/// How to decrypt what is in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// Format of the encryption.
    pub provider: DecryptionProvider,
    /// ServiceAccount to use the cloud's keys as.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub service_account_name: Option<String>,
    /// Secret with private keys and static credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
}

wire_enum! {
    /// A format of encryption.
    pub enum DecryptionProvider {
        /// SOPS.
        Sops = "sops",
    }
}

/// Variables to substitute in what was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Variables and their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,
    /// ConfigMaps and Secrets to take variables from; later ones win, and
    /// `substitute` over all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteReference>,
    /// Whether to substitute when there is no variable at all; by default not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

/// ConfigMap or Secret in the same namespace that holds variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubstituteReference {
    /// Kind of the object.
    pub kind: ValuesKind,
    /// Name of the object.
    #[schemars(extend("minLength" = 1, "maxLength" = 253))]
    pub name: String,
    /// Whether the object may be missing.
    #[serde(default, skip_serializing_if = "is_false")]
    #[schemars(extend("default" = false))]
    pub optional: bool,
}

wire_enum! {
    /// A kind of object that holds values.
    pub enum ValuesKind {
        /// A Secret.
        Secret = "Secret",
        /// A ConfigMap.
        ConfigMap = "ConfigMap",
    }
}

wire_enum! {
    /// When variables are substituted.
    pub enum SubstituteStrategy {
        /// If there is any variable.
        WithVariables = "WithVariables",
        /// In any case.
        Always = "Always",
    }
}

wire_enum! {
    /// What becomes of the objects of a deleted Kustomization.
    pub enum DeletionPolicy {
        /// They are deleted if `prune` is set.
        MirrorPrune = "MirrorPrune",
        /// They are deleted.
        Delete = "Delete",
        /// They are deleted, and the Kustomization stays until they are gone.
        WaitForTermination = "WaitForTermination",
        /// They stay.
        Orphan = "Orphan",
    }
}

wire_enum! {
    /// An annotation that Kustomize can put on what it builds.
    pub enum BuildMetadata {
        /// The file that an object comes from.
        OriginAnnotations = "originAnnotations",
        /// The transformers that changed an object.
        TransformerAnnotations = "transformerAnnotations",
    }
}

/// What kustomize-controller last did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizationStatus {
    /// Generation that was last reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the object in its aspects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Revision that was last applied with success.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_applied_revision: Option<String>,
    /// Revision that the applied OCI artifact was built from.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_applied_origin_revision: Option<String>,
    /// Revision that was last attempted.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_attempted_revision: Option<String>,
    /// Objects that are managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ResourceInventory>,
    /// Last reconciliations, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
    /// Reconciliation request that was last handled.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_handled_reconcile_at: Option<String>,
}
