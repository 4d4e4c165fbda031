//! Conditions under work, and the rules by which a pass ends: which of them sum up to Ready, and
//! what becomes of Reconciling and Stalled.

use sluice_api::condition::{self, Condition, ConditionType, READY, RECONCILING, STALLED, Status};
use sluice_api::reason::{PROGRESSING, PROGRESSING_WITH_RETRY};
use sluice_api::time::Time;

use crate::common::failure::{Class, Failure};

/// How a condition's status is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// True is good.
    Positive,
    /// True is bad; the condition is there only while true.
    Negative,
}

/// The conditions of a kind.
#[derive(Debug)]
pub struct Rules {
    /// What Ready is made of; of equally grave conditions the first one decides.
    pub summary: &'static [(ConditionType, Polarity)],
    /// Conditions that make Ready false as soon as they are, whatever the others say.
    pub decisive: &'static [ConditionType],
    /// Conditions whose end is a recovery worth an event.
    pub failures: &'static [ConditionType],
    /// Conditions that nobody else may write.
    pub owned: &'static [ConditionType],
}

/// Whether the stored artifact is known not to be what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// It is not: Ready is unknown until the work is done.
    Found,
    /// Nothing is known yet: Ready stays what it is.
    None,
}

/// Conditions of one object at one generation and moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    conditions: Vec<Condition>,
    generation: i64,
    now: Time,
}

impl Draft {
    /// Starts from the recorded conditions.
    pub fn new(conditions: Vec<Condition>, generation: i64, now: Time) -> Draft {
        Draft {
            conditions,
            generation,
            now,
        }
    }

    /// The conditions as they are now.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The time that changes carry.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Sets a condition; its transition time moves when status, reason or message do.
    pub fn set(
        &mut self,
        type_: ConditionType,
        status: Status,
        reason: &str,
        message: impl Into<String>,
    ) {
        let new = Condition::new(
            type_,
            status,
            reason,
            message,
            Some(self.generation),
            self.now,
        );
        condition::set(&mut self.conditions, new);
    }

    /// Makes a condition true.
    pub fn mark(&mut self, type_: ConditionType, reason: &str, message: impl Into<String>) {
        self.set(type_, Status::True, reason, message);
    }

    /// Removes a condition.
    pub fn delete(&mut self, type_: ConditionType) {
        condition::remove(&mut self.conditions, type_);
    }

    /// Whether a condition is there with that status.
    pub fn is(&self, type_: ConditionType, status: Status) -> bool {
        condition::is(&self.conditions, type_, status)
    }

    /// Says what is being done: Reconciling always, Ready only if it has no say at the moment.
    pub fn progress(&mut self, drift: Drift, message: impl Into<String>) {
        let message = message.into();
        let open =
            condition::find(&self.conditions, READY).is_none_or(|c| c.status == Status::Unknown);
        self.delete(STALLED);
        self.mark(RECONCILING, PROGRESSING, message.clone());
        if open || drift == Drift::Found {
            self.set(READY, Status::Unknown, PROGRESSING, message);
        }
    }

    /// Ends a pass. Returns what follows from it.
    pub fn end(&mut self, rules: &Rules, outcome: Outcome<'_>) -> Ending {
        let mut observed = Observed::Yes;
        if outcome == Outcome::Done {
            self.delete(RECONCILING);
        }
        // Whatever is still under way here will need another try.
        if let Some(reconciling) =
            condition::find(&self.conditions, RECONCILING).filter(|c| c.status == Status::True)
        {
            let message = reconciling.message.clone();
            self.mark(RECONCILING, PROGRESSING_WITH_RETRY, message);
        }
        match outcome {
            Outcome::Failed(Failure {
                class: Class::Stalled,
                reason,
                message,
                ..
            }) => {
                self.delete(RECONCILING);
                self.mark(STALLED, reason, message.clone());
            }
            Outcome::Failed(_) => {
                self.delete(STALLED);
                observed = Observed::No;
            }
            Outcome::Unchanged => {
                self.delete(STALLED);
                self.delete(RECONCILING);
            }
            Outcome::Done | Outcome::Suspended => self.delete(STALLED),
        }
        self.sum_up(rules);
        if self.conditions.is_empty() {
            observed = Observed::No;
        }
        let ready = condition::find(&self.conditions, READY);
        let not_ready = ready
            .filter(|c| c.status != Status::True)
            .map(|c| c.message.clone());
        Ending {
            observed,
            not_ready,
        }
    }

    /// Writes Ready from the conditions that it is made of.
    fn sum_up(&mut self, rules: &Rules) {
        let gravity = |condition: &Condition, polarity| match (condition.status, polarity) {
            (Status::True, Polarity::Negative) => 0,
            (Status::False, Polarity::Positive) => 1,
            (Status::True, Polarity::Positive) => 2,
            (Status::False, Polarity::Negative) => 3,
            (Status::Unknown, _) => 4,
        };
        let found = rules.summary.iter().filter_map(|(type_, polarity)| {
            let condition = condition::find(&self.conditions, type_)?;
            Some((gravity(condition, *polarity), condition))
        });
        // The first of the gravest, as `min_by_key` gives the first of equals.
        let Some((gravity, deciding)) = found.min_by_key(|(gravity, _)| *gravity) else {
            return;
        };
        let status = match gravity {
            0 | 1 => Status::False,
            2 | 3 => Status::True,
            _ => Status::Unknown,
        };
        let (mut status, mut source) = (status, deciding.clone());
        for type_ in rules.decisive {
            if let Some(condition) = condition::find(&self.conditions, type_)
                && condition.status == Status::False
            {
                (status, source) = (Status::False, condition.clone());
            }
        }
        self.set(READY, status, &source.reason, source.message);
    }
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// All steps were taken.
    Done,
    /// There was nothing to do; the last result stands.
    Unchanged,
    /// The object is suspended; nothing was tried.
    Suspended,
    /// A step failed.
    Failed(&'a Failure),
}

/// Whether a generation has had its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// `status.observedGeneration` becomes the generation.
    Yes,
    /// It stays.
    No,
}

/// What follows from the end of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Whether the generation counts as observed.
    pub observed: Observed,
    /// The message of Ready, if Ready is there and not true.
    pub not_ready: Option<String>,
}

/// Whether one of the failures in `before` is over in `after`, and none is left.
pub fn recovered(rules: &Rules, before: &[Condition], after: &[Condition]) -> bool {
    let failing = |conditions: &[Condition]| {
        rules
            .failures
            .iter()
            .any(|type_| condition::is(conditions, type_, Status::True))
    };
    failing(before) && !failing(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_api::condition::{
        ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, SOURCE_VERIFIED,
        STORAGE_OPERATION_FAILED,
    };
    use sluice_api::reason::{SUCCEEDED, source};

    use crate::git::RULES;

    fn draft() -> Draft {
        Draft::new(Vec::new(), 2, Time::default())
    }

    /// `Type=Status/Reason` of each condition.
    fn shown(draft: &Draft) -> Vec<String> {
        draft
            .conditions()
            .iter()
            .map(|c| format!("{}={}/{}", c.type_, c.status, c.reason))
            .collect()
    }

    fn retry() -> Failure {
        Failure::retry(FETCH_FAILED, source::GIT_OPERATION_FAILED, "broken")
    }

    #[test]
    fn progress_leaves_a_settled_ready_alone_unless_there_is_drift() {
        let mut draft = draft();
        draft.progress(Drift::None, "first");
        assert_eq!(
            shown(&draft),
            ["Reconciling=True/Progressing", "Ready=Unknown/Progressing"]
        );
        draft.set(READY, Status::True, SUCCEEDED, "fine");
        draft.progress(Drift::None, "second");
        assert_eq!(
            shown(&draft),
            ["Reconciling=True/Progressing", "Ready=True/Succeeded"]
        );
        draft.progress(Drift::Found, "third");
        assert_eq!(
            shown(&draft),
            ["Reconciling=True/Progressing", "Ready=Unknown/Progressing"]
        );
    }

    #[test]
    fn success_copies_the_artifact_s_condition_to_ready() {
        let mut draft = draft();
        draft.progress(Drift::Found, "building");
        draft.mark(ARTIFACT_IN_STORAGE, SUCCEEDED, "stored");
        let ending = draft.end(&RULES, Outcome::Done);
        assert_eq!(
            ending,
            Ending {
                observed: Observed::Yes,
                not_ready: None
            }
        );
        assert_eq!(
            shown(&draft),
            ["Ready=True/Succeeded", "ArtifactInStorage=True/Succeeded"]
        );
    }

    #[test]
    fn a_failure_keeps_the_message_of_reconciling_and_decides_ready() {
        let mut draft = draft();
        draft.mark(ARTIFACT_IN_STORAGE, SUCCEEDED, "stored");
        draft.progress(Drift::None, "processing");
        draft.mark(FETCH_FAILED, source::GIT_OPERATION_FAILED, "broken");
        draft.mark(ARTIFACT_OUTDATED, source::NEW_REVISION, "new");
        let ending = draft.end(&RULES, Outcome::Failed(&retry()));
        assert_eq!(
            ending,
            Ending {
                observed: Observed::No,
                not_ready: Some("broken".into())
            }
        );
        assert_eq!(
            shown(&draft),
            [
                "Reconciling=True/ProgressingWithRetry",
                "Ready=False/GitOperationFailed",
                "ArtifactInStorage=True/Succeeded",
                "ArtifactOutdated=True/NewRevision",
                "FetchFailed=True/GitOperationFailed",
            ]
        );
        assert_eq!(draft.conditions()[0].message, "processing");
    }

    #[test]
    fn a_dead_end_is_observed_and_not_retried() {
        let mut draft = draft();
        draft.progress(Drift::None, "processing");
        draft.mark(FETCH_FAILED, source::URL_INVALID, "bad");
        let failure = Failure::stalled(FETCH_FAILED, source::URL_INVALID, "bad");
        let ending = draft.end(&RULES, Outcome::Failed(&failure));
        assert_eq!(ending.observed, Observed::Yes);
        assert_eq!(
            shown(&draft),
            [
                "Stalled=True/URLInvalid",
                "Ready=False/URLInvalid",
                "FetchFailed=True/URLInvalid"
            ]
        );
    }

    #[test]
    fn a_failed_verification_overrides_every_other_message() {
        let mut draft = draft();
        draft.mark(
            STORAGE_OPERATION_FAILED,
            source::ARCHIVE_OPERATION_FAILED,
            "disk",
        );
        draft.set(
            SOURCE_VERIFIED,
            Status::False,
            source::INVALID_COMMIT_SIGNATURE,
            "forged",
        );
        draft.end(&RULES, Outcome::Failed(&retry()));
        assert_eq!(shown(&draft)[0], "Ready=False/InvalidCommitSignature");
    }

    #[test]
    fn a_suspended_object_keeps_what_it_said() {
        let mut draft = draft();
        draft.mark(RECONCILING, PROGRESSING_WITH_RETRY, "processing");
        draft.mark(FETCH_FAILED, source::GIT_OPERATION_FAILED, "broken");
        draft.mark(STALLED, "Old", "old");
        let ending = draft.end(&RULES, Outcome::Suspended);
        assert_eq!(ending.observed, Observed::Yes);
        assert_eq!(
            shown(&draft),
            [
                "Reconciling=True/ProgressingWithRetry",
                "Ready=False/GitOperationFailed",
                "FetchFailed=True/GitOperationFailed",
            ]
        );
        let mut new = self::draft();
        assert_eq!(new.end(&RULES, Outcome::Suspended).observed, Observed::No);
        assert!(new.conditions().is_empty());
    }

    #[test]
    fn only_the_end_of_the_last_failure_is_a_recovery() {
        let mut before = draft();
        before.mark(FETCH_FAILED, source::GIT_OPERATION_FAILED, "x");
        let none = draft();
        let mut other = draft();
        other.mark(STORAGE_OPERATION_FAILED, source::COPY_FAILURE, "x");
        let check = |before: &Draft, after: &Draft| {
            recovered(&RULES, before.conditions(), after.conditions())
        };
        assert!(check(&before, &none));
        assert!(!check(&before, &other));
        assert!(!check(&none, &none));
    }
}
