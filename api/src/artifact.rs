//! The artifact of a source as its status describes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The metadata key under which an OCI artifact names the revision that it was
/// built from.
pub const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";

/// The metadata key under which an OCI artifact names the repository that it
/// was built from.
pub const ORIGIN_SOURCE: &str = "org.opencontainers.image.source";

/// Product of a source, served over HTTP to the controllers that consume it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Path of the file below the root of the artifact storage.
    pub path: String,
    /// HTTP address of the file.
    pub url: String,
    /// Revision of the source, in the form of its kind, such as `main@sha1:<commit>`.
    pub revision: String,
    /// Digest of the file, in the form `<algorithm>:<checksum>`.
    #[schemars(extend("pattern" = "^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"))]
    pub digest: String,
    /// When the file was last written.
    pub last_update_time: Time,
    /// Size of the file in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Annotations that came with the source, such as those of an OCI manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Artifact {
    /// The revision that an OCI artifact was built from, where it says so.
    pub fn origin_revision(&self) -> Option<&str> {
        self.metadata
            .get(ORIGIN_REVISION)
            .map(String::as_str)
            .filter(|revision| !revision.is_empty())
    }
}
