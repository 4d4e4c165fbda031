//! Why a pass did not get to its end, and what that means for the next one.

use std::time::Duration;

use sluice_api::condition::ConditionType;

/// What becomes of a failed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing happens until somebody changes something.
    Stalled,
    /// Something else is missing; another look after this time, without ado.
    Waiting(Duration),
    /// Another try, later and later.
    Retry,
}

/// The end of a pass that failed. Conditions, events and logs are derived from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What becomes of the object.
    pub class: Class,
    /// The condition that becomes true, if the failure has one.
    pub condition: Option<ConditionType>,
    /// One-word reason.
    pub reason: &'static str,
    /// What failed, on what, why. Without secrets.
    pub message: String,
}

impl Failure {
    /// A failure that is tried again.
    pub fn retry(
        condition: ConditionType,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Failure {
        Failure {
            class: Class::Retry,
            condition: Some(condition),
            reason,
            message: message.into(),
        }
    }

    /// A failure that only a change of the object can cure.
    pub fn stalled(
        condition: ConditionType,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Failure {
        Failure {
            class: Class::Stalled,
            condition: Some(condition),
            reason,
            message: message.into(),
        }
    }

    /// A failure because of something that is not there yet.
    pub fn waiting(
        condition: ConditionType,
        reason: &'static str,
        message: impl Into<String>,
        delay: Duration,
    ) -> Failure {
        Failure {
            class: Class::Waiting(delay),
            condition: Some(condition),
            reason,
            message: message.into(),
        }
    }

    /// A failure that is tried again and has no condition of its own.
    pub fn plain(reason: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            class: Class::Retry,
            condition: None,
            reason,
            message: message.into(),
        }
    }
}
