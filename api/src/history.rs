//! The history that a Kustomization's status keeps of its reconciliations.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::DurationText;
use crate::time::Time;

/// How many snapshots a status keeps.
pub const MAX_SNAPSHOTS: usize = 5;

/// The metadata key of the source's revision.
pub const REVISION: &str = "revision";

/// The metadata key of the revision that an OCI artifact was built from.
pub const ORIGIN_REVISION: &str = "originRevision";

/// What one build was and how its reconciliations went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Digest of the built objects, in the form `<algorithm>:<checksum>`.
    pub digest: String,
    /// When this build was first reconciled with this status.
    pub first_reconciled: Time,
    /// When it was last reconciled.
    pub last_reconciled: Time,
    /// How long the last reconciliation took.
    pub last_reconciled_duration: DurationText,
    /// How the last reconciliation ended: a reason of the Ready condition.
    pub last_reconciled_status: String,
    /// How many reconciliations there were.
    pub total_reconciliations: i64,
    /// More about it, such as the revision of the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
