//! GitRepository: an artifact of a Git repository's files at one revision.
//!
//! A pass observes (the object, its storage, the Secrets, the included repositories, the refs of
//! the remote), decides, and acts (fetch, pack, publish, write the status). Deciding is in [`pass`],
//! [`content`], [`credentials`], [`mod@include`] and [`verify`] and does no IO; looking and acting is in
//! [`reconcile`] and [`build`].
//!
//! An unchanged poll is one round trip to the remote: no disk write, no API write.

pub mod build;
pub mod content;
pub mod credentials;
pub mod include;
pub mod pass;
pub mod reconcile;
mod remote;
pub mod verify;

use sluice_api::condition::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, INCLUDE_UNAVAILABLE, READY, RECONCILING,
    SOURCE_VERIFIED, STALLED, STORAGE_OPERATION_FAILED,
};

use crate::common::conditions::{Polarity, Rules};

/// The conditions of a GitRepository.
pub static RULES: Rules = Rules {
    summary: &[
        (STORAGE_OPERATION_FAILED, Polarity::Negative),
        (FETCH_FAILED, Polarity::Negative),
        (INCLUDE_UNAVAILABLE, Polarity::Negative),
        (ARTIFACT_OUTDATED, Polarity::Negative),
        (ARTIFACT_IN_STORAGE, Polarity::Positive),
        (SOURCE_VERIFIED, Polarity::Positive),
        (STALLED, Polarity::Negative),
        (RECONCILING, Polarity::Negative),
    ],
    decisive: &[SOURCE_VERIFIED],
    failures: &[FETCH_FAILED, INCLUDE_UNAVAILABLE, STORAGE_OPERATION_FAILED],
    owned: &[
        SOURCE_VERIFIED,
        FETCH_FAILED,
        INCLUDE_UNAVAILABLE,
        ARTIFACT_OUTDATED,
        ARTIFACT_IN_STORAGE,
        STORAGE_OPERATION_FAILED,
        READY,
        RECONCILING,
        STALLED,
    ],
};
