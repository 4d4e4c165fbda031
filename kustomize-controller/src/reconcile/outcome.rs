//! How a run ends: the wait for health, and the last status.

use std::time::Duration;

use sluice_api::event::Severity;
use sluice_api::reason;
use sluice_api::reason::kustomize::{
    BUILD_FAILED, HEALTH_CHECK_FAILED, RECONCILIATION_FAILED, RECONCILIATION_SUCCEEDED,
};
use sluice_objects::wait::{Awaited, Failing, Verdict, judge, pending, timeout_text};
use sluice_runtime::controller::Next;
use tokio::time::Instant;

use super::run::Failed;
use super::{Cx, HealthWait, POLL, Reconciler, Run, Wait, request};
use crate::registry::Attention;
use crate::status::{Outcome, Step};
use crate::timing;
use crate::world::World;

/// A wait shows in the status when it takes longer than this and no other Kustomization needs a worker.
const TELL_AFTER: Duration = Duration::from_secs(2);
/// A wait shows in the status in any case after this.
const TELL_ANYWAY_AFTER: Duration = Duration::from_secs(30);

impl<W: World> Reconciler<W> {
    /// Looks at the health of the objects, and ends or parks the run.
    pub(super) async fn check_health(
        &self,
        cx: &mut Cx<'_>,
        mut run: Box<Run>,
        mut wait: HealthWait,
        target: &W::Target,
    ) -> Next {
        // From before the look on, so that no change falls between it and the wait.
        cx.entry.shared().attention = Attention::All;
        let objects = cx.entry.shared().objects.clone();
        let mut polled = std::mem::take(&mut cx.memory.polled);
        let awaited = self
            .assess(target, &objects, &wait.subjects, &run.checks, &mut polled)
            .await;
        let failing = if self.settings.gates.disable_fail_fast {
            Failing::Slow
        } else {
            Failing::Fast
        };
        let now = Instant::now();
        let next_poll = polled.values().map(|(at, _)| *at + POLL).min();
        cx.memory.polled = polled;
        match judge(&awaited, failing) {
            Verdict::Passed => {
                cx.memory.polled.clear();
                self.healthy(cx, run, &wait).await
            }
            Verdict::Failed(text) => self.unhealthy(cx, run, &wait, text).await,
            Verdict::Pending if wait.until <= now => {
                let text = timeout_text(&awaited);
                self.unhealthy(cx, run, &wait, text).await
            }
            Verdict::Pending => {
                if let Err(text) = self.tell_wait(cx, &mut run, &mut wait, &awaited).await {
                    return self
                        .fail(cx, run, Failed::new(RECONCILIATION_FAILED, text))
                        .await;
                }
                let told = if wait.is_told {
                    None
                } else {
                    Some(self.tell_at(&wait))
                };
                let at = [Some(wait.until), next_poll, told]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap_or(wait.until);
                let delay = at.saturating_duration_since(now);
                run.wait = Wait::Health(wait);
                self.park(cx, run, delay)
            }
        }
    }

    /// When a wait is to be told of.
    fn tell_at(&self, wait: &HealthWait) -> Instant {
        let now = Instant::now();
        match wait.since + TELL_AFTER {
            early if early > now => early,
            // It is time already, but others had to go first.
            _ => (now + Duration::from_secs(1)).min((wait.since + TELL_ANYWAY_AFTER).max(now)),
        }
    }

    /// Shows a wait in the status once it is long enough to be worth a write.
    async fn tell_wait(
        &self,
        cx: &mut Cx<'_>,
        run: &mut Run,
        wait: &mut HealthWait,
        awaited: &[Awaited],
    ) -> Result<(), String> {
        let waited = wait.since.elapsed();
        let is_time = waited >= TELL_ANYWAY_AFTER || (waited >= TELL_AFTER && self.world.is_idle());
        if wait.is_told || !is_time {
            return Ok(());
        }
        let revision = run.revision().to_owned();
        tracing::info!(
            revision,
            waiting_for = pending(awaited),
            "health checks are running"
        );
        run.draft.progress(
            Step::Checking,
            &revision,
            timing::timeout(&cx.ks.spec),
            self.now(),
        );
        wait.is_told = true;
        self.write(cx, &run.draft).await
    }

    /// All are healthy: that is told if it is news, and the run succeeds.
    pub(super) async fn healthy(
        &self,
        cx: &mut Cx<'_>,
        mut run: Box<Run>,
        wait: &HealthWait,
    ) -> Next {
        let took = wait.since.elapsed();
        let is_written = run.changes.iter().any(|change| change.action.is_change());
        if !run.was_healthy || (run.is_new_revision && is_written) {
            let message = format!("Health check passed in {}", timing::go(took));
            // At this point of a run the Ready condition always says this.
            self.notify(
                cx,
                Severity::Info,
                reason::PROGRESSING,
                message,
                run.revisions(),
            );
        }
        run.draft.healthy(took, self.now());
        self.succeed(cx, run).await
    }

    /// Some are not, and will not become so; `text` names them.
    pub(super) async fn unhealthy(
        &self,
        cx: &mut Cx<'_>,
        mut run: Box<Run>,
        wait: &HealthWait,
        text: String,
    ) -> Next {
        let revision = run.revision().to_owned();
        run.draft.progress(
            Step::Checking,
            &revision,
            timing::timeout(&cx.ks.spec),
            self.now(),
        );
        run.draft.unhealthy(&text, self.now());
        let message = format!(
            "health check failed after {}: {text}",
            timing::go(wait.since.elapsed())
        );
        cx.memory.polled.clear();
        self.fail(cx, run, Failed::new(HEALTH_CHECK_FAILED, message))
            .await
    }

    /// Everything is applied, pruned and healthy.
    pub(super) async fn succeed(&self, cx: &mut Cx<'_>, mut run: Box<Run>) -> Next {
        let took = run.began.elapsed();
        let now = self.now();
        let origin = run.artifact.origin_revision().map(str::to_owned);
        let revision = run.revision().to_owned();
        run.draft.succeeded(&revision, origin.as_deref(), now);
        let outcome = Outcome {
            digest: &run.digest,
            reason: RECONCILIATION_SUCCEEDED,
            revision: &revision,
            origin_revision: origin.as_deref(),
            took,
        };
        run.draft.record(&outcome, now);
        run.draft.finish(request(&cx.ks));
        cx.entry.shared().attention = Attention::Drift;
        let interval = timing::interval(&cx.ks.spec);
        let next = self.sleep(cx, self.world.jittered(interval));
        let conditions = run.draft.status.conditions.clone();
        self.notify_finished(cx, &conditions, took, &run.draft);
        match self.write_last(cx, &run.draft, next).await {
            // Between the end of the apply and now something may have changed unnoticed.
            Next::After(delay) if self.has_news(cx).await => {
                Next::After(delay.min(Duration::from_millis(1)))
            }
            next => next,
        }
    }

    async fn has_news(&self, cx: &Cx<'_>) -> bool {
        match self.world.connect(&cx.ks).await {
            Ok(target) => !self.drifted(cx, &target).is_empty(),
            Err(_) => false,
        }
    }

    /// Something went wrong: the status says it, an event tells it, and it is tried again later.
    pub(super) async fn fail(&self, cx: &mut Cx<'_>, mut run: Box<Run>, failed: Failed) -> Next {
        let took = run.began.elapsed();
        let retry = timing::retry_interval(&cx.ks.spec);
        tracing::error!(
            revision = run.revision(),
            error = failed.message,
            "Reconciliation failed after {}, next try in {}",
            timing::go(took),
            timing::go(retry)
        );
        let now = self.now();
        run.draft
            .not_ready(failed.reason, failed.message.clone(), now);
        if !run.digest.is_empty() && failed.reason != BUILD_FAILED {
            let (revision, digest) = (run.revision().to_owned(), run.digest.clone());
            let origin = run.artifact.origin_revision().map(str::to_owned);
            let outcome = Outcome {
                digest: &digest,
                reason: failed.reason,
                revision: &revision,
                origin_revision: origin.as_deref(),
                took,
            };
            run.draft.record(&outcome, now);
        }
        run.draft.finish(request(&cx.ks));
        self.notify(
            cx,
            Severity::Error,
            failed.reason,
            failed.message,
            run.revisions(),
        );
        cx.entry.shared().attention = Attention::None;
        let next = self.sleep(cx, retry);
        self.write_last(cx, &run.draft, next).await
    }

    /// The artifact is not where the source says, which the source will mend.
    pub(super) async fn without_artifact(&self, cx: &mut Cx<'_>, mut run: Box<Run>) -> Next {
        let delay = self.settings.args.common.requeue_dependency;
        let message = format!(
            "Source is not ready, artifact not found, retrying in {}",
            timing::go(delay)
        );
        tracing::info!("{message}");
        run.draft
            .not_ready(reason::ARTIFACT_FAILED, message, self.now());
        run.draft.finish(request(&cx.ks));
        cx.entry.shared().attention = Attention::None;
        let next = self.sleep(cx, delay);
        self.write_last(cx, &run.draft, next).await
    }
}
