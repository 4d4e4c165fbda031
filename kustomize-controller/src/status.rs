//! What the status of a Kustomization says at each moment. Pure: a draft is changed and handed out.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_api::condition::{self, Condition, HEALTHY, READY, RECONCILING, STALLED, Status};
use sluice_api::duration::DurationText;
use sluice_api::history::{MAX_SNAPSHOTS, ORIGIN_REVISION, REVISION, Snapshot};
use sluice_api::inventory::{ResourceInventory, ResourceRef};
use sluice_api::kustomize::{Kustomization, KustomizationStatus};
use sluice_api::reason::{self, PROGRESSING, PROGRESSING_WITH_RETRY, SUCCEEDED};
use sluice_api::time::Time;

use crate::timing;

/// Condition types that only this controller writes.
pub const OWNED: [&str; 4] = [READY, RECONCILING, STALLED, HEALTHY];

/// The step that a run is at, as its progress message names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The artifact is being fetched.
    Fetching,
    /// Manifests are being built.
    Building,
    /// Objects are being compared and applied.
    Applying,
    /// Health is waited for.
    Checking,
}

impl Step {
    /// The message for a revision and an effective timeout.
    pub fn message(self, revision: &str, timeout: Duration) -> String {
        let what = match self {
            Step::Fetching => "Fetching manifests",
            Step::Building => "Building manifests",
            Step::Applying => "Detecting drift",
            Step::Checking => "Running health checks",
        };
        format!(
            "{what} for revision {revision} with a timeout of {}",
            timing::go(timeout)
        )
    }
}

/// A status in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The status as it would be written now.
    pub status: KustomizationStatus,
    generation: Option<i64>,
}

impl Draft {
    /// Begins with the status that an object has.
    pub fn of(ks: &Kustomization) -> Self {
        Self {
            status: ks.status.clone().unwrap_or_default(),
            generation: ks.metadata.generation,
        }
    }

    fn set(
        &mut self,
        kind: &str,
        status: Status,
        reason: &str,
        message: impl Into<String>,
        now: Time,
    ) {
        let new = Condition::new(kind, status, reason, message, self.generation, now);
        condition::set(&mut self.status.conditions, new);
    }

    /// A run has come to a step.
    pub fn progress(&mut self, step: Step, revision: &str, timeout: Duration, now: Time) {
        let message = step.message(revision, timeout);
        condition::set_reconciling(
            &mut self.status.conditions,
            PROGRESSING,
            message.clone(),
            self.generation,
            now,
        );
        self.set(
            READY,
            Status::Unknown,
            PROGRESSING,
            "Reconciliation in progress",
            now,
        );
        if step == Step::Checking {
            self.set(HEALTHY, Status::Unknown, PROGRESSING, message, now);
        }
    }

    /// Ready is false; the object stays as it is otherwise.
    pub fn not_ready(&mut self, reason: &str, message: impl Into<String>, now: Time) {
        self.set(READY, Status::False, reason, message, now);
    }

    /// Ready is false until somebody changes something.
    pub fn stalled(&mut self, reason: &str, message: &str, now: Time) {
        condition::set_stalled(
            &mut self.status.conditions,
            reason,
            message,
            self.generation,
            now,
        );
        self.not_ready(reason, message, now);
    }

    /// The generation counts as observed though it could not be reconciled.
    pub fn observe(&mut self) {
        self.status.observed_generation = self.generation;
    }

    /// All objects are healthy after `took`.
    pub fn healthy(&mut self, took: Duration, now: Time) {
        let message = format!("Health check passed in {}", timing::go(took));
        self.set(HEALTHY, Status::True, SUCCEEDED, message, now);
    }

    /// Objects are not healthy.
    pub fn unhealthy(&mut self, message: &str, now: Time) {
        self.set(
            HEALTHY,
            Status::False,
            reason::kustomize::HEALTH_CHECK_FAILED,
            message,
            now,
        );
    }

    /// Nothing says anything about health.
    pub fn without_health(&mut self) {
        condition::remove(&mut self.status.conditions, HEALTHY);
    }

    /// Whether the objects were healthy when last checked.
    pub fn is_healthy(&self) -> bool {
        condition::is(&self.status.conditions, HEALTHY, Status::True)
    }

    /// A revision is applied, pruned and healthy.
    pub fn succeeded(&mut self, revision: &str, origin_revision: Option<&str>, now: Time) {
        self.status.last_applied_revision = Some(revision.to_owned());
        self.status.last_applied_origin_revision = origin_revision.map(str::to_owned);
        let message = format!("Applied revision: {revision}");
        self.set(
            READY,
            Status::True,
            reason::kustomize::RECONCILIATION_SUCCEEDED,
            message,
            now,
        );
        condition::remove(&mut self.status.conditions, STALLED);
        condition::remove(&mut self.status.conditions, RECONCILING);
    }

    /// Replaces the inventory.
    pub fn set_inventory(&mut self, entries: Vec<ResourceRef>) {
        self.status.inventory = Some(ResourceInventory { entries });
    }

    /// The managed objects.
    pub fn inventory(&self) -> &[ResourceRef] {
        self.status
            .inventory
            .as_ref()
            .map_or(&[], |inventory| &inventory.entries)
    }

    /// Adds a reconciliation to the history: the snapshot of the same digest and outcome counts it and
    /// comes first.
    pub fn record(&mut self, outcome: &Outcome<'_>, now: Time) {
        let history = &mut self.status.history;
        let known = history
            .iter()
            .position(|s| s.digest == outcome.digest && s.last_reconciled_status == outcome.reason);
        let mut metadata = BTreeMap::from([(REVISION.to_owned(), outcome.revision.to_owned())]);
        if let Some(origin) = outcome.origin_revision {
            metadata.insert(ORIGIN_REVISION.to_owned(), origin.to_owned());
        }
        let before = known.map(|index| history.remove(index));
        let snapshot = Snapshot {
            digest: outcome.digest.to_owned(),
            first_reconciled: before.as_ref().map_or(now, |s| s.first_reconciled),
            last_reconciled: now,
            last_reconciled_duration: DurationText::from(timing::go(outcome.took).as_str()),
            last_reconciled_status: outcome.reason.to_owned(),
            total_reconciliations: before.map_or(0, |s| s.total_reconciliations) + 1,
            metadata,
        };
        history.insert(0, snapshot);
        history.truncate(MAX_SNAPSHOTS);
    }

    /// The last touch of every run, however it ended: the request is handled, and the outcome shows
    /// in generation and progress.
    pub fn finish(&mut self, requested_at: Option<&str>) {
        if let Some(at) = requested_at {
            self.status.last_handled_reconcile_at = Some(at.to_owned());
        }
        let conditions = &mut self.status.conditions;
        if is_ready(conditions) {
            self.status.observed_generation = self.generation;
        } else if let Some(progress) = conditions.iter_mut().find(|c| c.type_ == RECONCILING) {
            progress.reason = PROGRESSING_WITH_RETRY.to_owned();
        }
    }

    /// The reason of the Ready condition; empty when there is none.
    pub fn reason(&self) -> &str {
        condition::find(&self.status.conditions, READY).map_or("", |c| &c.reason)
    }
}

/// Ready, and neither stalled nor being worked on.
pub fn is_ready(conditions: &[Condition]) -> bool {
    condition::is(conditions, READY, Status::True)
        && !condition::is(conditions, STALLED, Status::True)
        && !condition::is(conditions, RECONCILING, Status::True)
}

/// How a run ended, for the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome<'o> {
    /// Digest of what was built.
    pub digest: &'o str,
    /// Reason of the Ready condition.
    pub reason: &'o str,
    /// Revision of the source.
    pub revision: &'o str,
    /// Revision that it was built from.
    pub origin_revision: Option<&'o str>,
    /// How long it took.
    pub took: Duration,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Time {
        Time::new(jiff::Timestamp::from_second(second).unwrap())
    }

    fn draft(status: serde_json::Value) -> Draft {
        let ks = json!({"metadata": {"name": "a", "generation": 3}, "spec": {"interval": "1h", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "a"}}, "status": status});
        Draft::of(&serde_json::from_value(ks).unwrap())
    }

    fn shown(draft: &Draft) -> Vec<String> {
        draft
            .status
            .conditions
            .iter()
            .map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message))
            .collect()
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_run_that_succeeds() {
        let mut draft = draft(json!({"observedGeneration": -1}));
        draft.progress(Step::Checking, "main@sha1:1", MINUTE, at(1));
        assert_eq!(
            shown(&draft),
            [
                "Reconciling=True Progressing: Running health checks for revision main@sha1:1 with a timeout of 1m0s",
                "Ready=Unknown Progressing: Reconciliation in progress",
                "Healthy=Unknown Progressing: Running health checks for revision main@sha1:1 with a timeout of 1m0s",
            ]
        );
        draft.healthy(Duration::from_millis(1500), at(2));
        draft.succeeded("main@sha1:1", None, at(2));
        draft.finish(Some("now"));
        assert_eq!(
            shown(&draft),
            [
                "Ready=True ReconciliationSucceeded: Applied revision: main@sha1:1",
                "Healthy=True Succeeded: Health check passed in 1.5s",
            ]
        );
        assert_eq!(draft.status.observed_generation, Some(3));
        assert_eq!(
            draft.status.last_handled_reconcile_at.as_deref(),
            Some("now")
        );
    }

    #[test]
    fn a_run_that_fails_leaves_its_last_step_and_the_generation_behind() {
        let mut draft = draft(json!({"observedGeneration": 2}));
        draft.progress(Step::Building, "r", MINUTE, at(1));
        draft.not_ready("BuildFailed", "no", at(1));
        draft.finish(None);
        assert_eq!(
            shown(&draft),
            [
                "Reconciling=True ProgressingWithRetry: Building manifests for revision r with a timeout of 1m0s",
                "Ready=False BuildFailed: no",
            ]
        );
        assert_eq!(draft.status.observed_generation, Some(2));
    }

    #[test]
    fn a_blocked_one_keeps_its_other_conditions() {
        let mut draft = draft(json!({}));
        draft.stalled("AccessDenied", "no", at(1));
        draft.not_ready("ArtifactFailed", "absent", at(2));
        draft.finish(None);
        assert_eq!(
            shown(&draft),
            [
                "Stalled=True AccessDenied: no",
                "Ready=False ArtifactFailed: absent"
            ]
        );
        draft.progress(Step::Fetching, "r", MINUTE, at(3));
        assert!(!condition::is(
            &draft.status.conditions,
            STALLED,
            Status::True
        ));
    }

    #[test]
    fn a_suspended_one_that_was_ready_counts_as_observed() {
        let mut draft = draft(json!({"observedGeneration": 2}));
        draft.succeeded("r", None, at(1));
        draft.finish(None);
        assert_eq!(draft.status.observed_generation, Some(3));
    }

    #[test]
    fn history_counts_by_digest_and_outcome_and_keeps_five() {
        let mut draft = draft(json!({}));
        let record = |draft: &mut Draft, digest: &str, reason: &str, second| {
            let outcome = Outcome {
                digest,
                reason,
                revision: "r",
                origin_revision: None,
                took: MINUTE,
            };
            draft.record(&outcome, at(second));
        };
        record(&mut draft, "a", "Succeeded", 1);
        record(&mut draft, "a", "Failed", 2);
        record(&mut draft, "a", "Succeeded", 3);
        let first = &draft.status.history[0];
        assert_eq!(
            (
                first.total_reconciliations,
                first.first_reconciled,
                first.last_reconciled
            ),
            (2, at(1), at(3))
        );
        assert_eq!(first.last_reconciled_duration.as_str(), "1m0s");
        assert_eq!(draft.status.history.len(), 2);
        for digest in ["b", "c", "d", "e", "f"] {
            record(&mut draft, digest, "Succeeded", 4);
        }
        let digests: Vec<_> = draft
            .status
            .history
            .iter()
            .map(|s| s.digest.as_str())
            .collect();
        assert_eq!(digests, ["f", "e", "d", "c", "b"]);
    }
}
