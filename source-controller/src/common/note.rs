//! Events of a pass before they are sent, as values.

use std::collections::BTreeMap;

use sluice_api::artifact::Artifact;
use sluice_api::event::{META_DIGEST, META_REVISION, Severity};
use sluice_api::kinds::SOURCE_GROUP;

use crate::common::failure::{Class, Failure};

/// Something worth telling about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How grave it is; traces are for the cluster's own events only.
    pub severity: Severity,
    /// One-word reason.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
    /// Keys with the group's prefix.
    pub metadata: BTreeMap<String, String>,
}

impl Note {
    /// A detail that is not passed on to receivers.
    pub fn trace(reason: &'static str, message: impl Into<String>) -> Note {
        Note {
            severity: Severity::Trace,
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
        }
    }

    /// A failure.
    pub fn error(reason: &'static str, message: impl Into<String>) -> Note {
        Note {
            severity: Severity::Error,
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
        }
    }

    /// News about an artifact.
    pub fn artifact(reason: &'static str, message: impl Into<String>, artifact: &Artifact) -> Note {
        let key = |name: &str| format!("{SOURCE_GROUP}/{name}");
        let metadata = BTreeMap::from([
            (key(META_REVISION), artifact.revision.clone()),
            (key(META_DIGEST), artifact.digest.clone()),
        ]);
        Note {
            severity: Severity::Info,
            reason,
            message: message.into(),
            metadata,
        }
    }

    /// What a failed pass has to tell.
    pub fn failure(failure: &Failure) -> Note {
        match failure.class {
            Class::Waiting(_) => Note::trace(failure.reason, failure.message.clone()),
            Class::Stalled | Class::Retry => Note::error(failure.reason, failure.message.clone()),
        }
    }
}
