//! A reconciliation from the artifact to the final status.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use sluice_api::event::Severity;
use sluice_api::inventory::{ObjectId, ResourceRef};
use sluice_api::kustomize::Kustomization;
use sluice_api::reason;
use sluice_api::reason::kustomize::{
    BUILD_FAILED, HEALTH_CHECK_FAILED, PRUNE_FAILED, RECONCILIATION_FAILED,
    RECONCILIATION_SUCCEEDED,
};
use sluice_envsubst::Undefined;
use sluice_objects::change::{self, Action, Change};
use sluice_objects::inventory;
use sluice_objects::stage;
use sluice_objects::wait::{Awaited, Failing, Verdict, judge, pending, timeout_text};
use sluice_runtime::controller::Next;
use tokio::time::Instant;

use super::apply::{Ended, Errand};
use super::health::Impossible;
use super::{
    Basis, Cx, Due, HealthWait, LIGHT_RUNS, POLL, Reconciler, Revisions, Run, Wait, request,
};
use crate::cluster::Target;
use crate::desired::variables::Variables;
use crate::gate::Pass;
use crate::plan::{Item, Seen, Takeover, Trust};
use crate::prune::prune;
use crate::registry::Attention;
use crate::status::{Draft, Outcome, Step};
use crate::timing;
use crate::world::{Fetched, World};

/// A wait shows in the status when it takes longer than this and no other Kustomization needs a worker.
const TELL_AFTER: Duration = Duration::from_secs(2);
/// A wait shows in the status in any case after this.
const TELL_ANYWAY_AFTER: Duration = Duration::from_secs(15);

/// How a run ended badly.
struct Failed {
    reason: &'static str,
    message: String,
}

impl Failed {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl Run {
    fn new(ks: &Kustomization, pass: Pass) -> Self {
        let draft = Draft::of(ks);
        let last = draft.status.last_applied_revision.as_deref();
        Self {
            generation: ks.metadata.generation,
            request: request(ks).map(str::to_owned),
            began: Instant::now(),
            was_healthy: draft.is_healthy(),
            is_new_revision: last != Some(pass.artifact.revision.as_str()),
            old: draft.inventory().to_vec(),
            changes: Vec::new(),
            digest: String::new(),
            wait: Wait::Nothing,
            artifact: pass.artifact,
            checks: pass.checks,
            draft,
        }
    }

    /// Whether this run is about what another one would be about.
    fn is_for(&self, ks: &Kustomization, pass: &Pass) -> bool {
        self.generation == ks.metadata.generation
            && self.artifact == pass.artifact
            && self.request.as_deref() == request(ks)
    }

    fn revisions(&self) -> Revisions {
        Revisions::of(&self.artifact)
    }

    fn revision(&self) -> &str {
        &self.artifact.revision
    }
}

impl<W: World> Reconciler<W> {
    /// Begins a run, or goes on with a parked one.
    pub(super) async fn run(&self, cx: &mut Cx<'_>, pass: Pass) -> Next {
        cx.memory.told_blocked = None;
        cx.memory.due = Due::Never;
        // What changes from here on is looked at when the run ends.
        cx.entry.shared().attention = Attention::None;
        self.registry.block(&cx.entry, None);
        let parked = cx
            .memory
            .run
            .take()
            .filter(|run| run.is_for(&cx.ks, &pass) && !matches!(run.wait, Wait::Health(_)));
        if parked.is_none() && !cx.ks.spec.depends_on.is_empty() {
            tracing::info!("All dependencies are ready, proceeding with reconciliation");
        }
        let run = parked.unwrap_or_else(|| Box::new(Run::new(&cx.ks, pass)));
        self.go_on(cx, run).await
    }

    /// Looks again at what a parked run waits for.
    pub(super) async fn resume(&self, cx: &mut Cx<'_>) -> Next {
        let Some(mut run) = cx.memory.run.take() else {
            return self.until_due(cx);
        };
        let Ok(target) = self.world.connect(&cx.ks).await else {
            return self.go_on(cx, run).await;
        };
        match std::mem::replace(&mut run.wait, Wait::Nothing) {
            Wait::Gone(going) => {
                for (gvk, id) in &going {
                    if !matches!(target.get(gvk, id).await, Ok(None)) {
                        run.wait = Wait::Gone(going);
                        return self.park(cx, run, Duration::from_secs(2));
                    }
                }
                self.go_on(cx, run).await
            }
            Wait::Health(wait) => {
                // An object that is gone or was changed will not become healthy by waiting.
                if !self.drifted(cx, &target).is_empty() {
                    let next = self.repair(cx).await;
                    if cx.memory.due == Due::Now {
                        return next;
                    }
                }
                self.check_health(cx, run, wait, &target).await
            }
            wait => {
                run.wait = wait;
                self.go_on(cx, run).await
            }
        }
    }

    fn park(&self, cx: &mut Cx<'_>, run: Box<Run>, delay: Duration) -> Next {
        cx.entry.shared().attention = Attention::All;
        cx.memory.run = Some(run);
        Next::After(delay.max(Duration::from_millis(1)))
    }

    /// From the artifact to the health checks.
    async fn go_on(&self, cx: &mut Cx<'_>, mut run: Box<Run>) -> Next {
        match self.to_applied(cx, &mut run).await {
            Ok(Reached::Applied(target, order)) => self.after_apply(cx, run, &target, order).await,
            Ok(Reached::Parked(wait)) => {
                let delay = match &wait {
                    Wait::Stage(_, until) => {
                        until.saturating_duration_since(Instant::now()).min(POLL)
                    }
                    _ => Duration::from_secs(2),
                };
                run.wait = wait;
                self.park(cx, run, delay)
            }
            Ok(Reached::NoArtifact) => self.without_artifact(cx, run).await,
            Err(failed) => self.fail(cx, run, failed).await,
        }
    }

    /// The variables of a Kustomization that has any.
    pub(super) async fn variables(&self, cx: &Cx<'_>) -> Option<Variables> {
        let post_build = cx.ks.spec.post_build.as_ref()?;
        let undefined = match self.settings.gates.strict_substitutions {
            true => Undefined::Refuse,
            false => Undefined::Empty,
        };
        let loaded = self.world.load(&cx.ks).await;
        Some(Variables::new(post_build, &loaded, undefined))
    }

    async fn to_applied(
        &self,
        cx: &mut Cx<'_>,
        run: &mut Run,
    ) -> Result<Reached<W::Target>, Failed> {
        let timeout = timing::timeout(&cx.ks.spec);
        let revision = run.revision().to_owned();
        run.draft
            .progress(Step::Fetching, &revision, timeout, self.now());
        let variables = self.variables(cx).await;
        let inputs = inputs(run, variables.as_ref());
        if let Some(reached) = self.unchanged(cx, run, inputs).await {
            return Ok(reached);
        }
        let files = match self.world.fetch(&cx.ks, &run.artifact).await {
            Ok(Fetched::Files(files)) => files,
            Ok(Fetched::Gone) => return Ok(Reached::NoArtifact),
            Ok(Fetched::NoPath(text)) | Err(text) => {
                return Err(Failed::new(reason::ARTIFACT_FAILED, text));
            }
        };
        run.draft.status.last_attempted_revision = Some(revision.clone());
        run.draft
            .progress(Step::Building, &revision, timeout, self.now());
        let target = self
            .world
            .connect(&cx.ks)
            .await
            .map_err(|text| Failed::new(RECONCILIATION_FAILED, text))?;
        let built = self
            .world
            .build(&cx.ks, files, variables)
            .await
            .map_err(|text| Failed::new(BUILD_FAILED, text))?;
        run.digest = built.digest.clone();
        run.draft
            .progress(Step::Applying, &revision, timeout, self.now());
        let items = self
            .items(cx, &target, built)
            .await
            .map_err(|text| Failed::new(RECONCILIATION_FAILED, text))?;
        let order: Vec<ObjectId> = items.iter().map(|item| item.id.clone()).collect();
        self.write_union(cx, run, &items)
            .await
            .map_err(|text| Failed::new(RECONCILIATION_FAILED, text))?;

        let errand = Errand {
            trust: self.trust(cx, run),
            takeover: Takeover::Always,
            is_first: run.old.is_empty() && run.draft.status.last_applied_revision.is_none(),
            waited: std::mem::replace(&mut run.wait, Wait::Nothing),
        };
        let mut changes = std::mem::take(&mut run.changes);
        let ended = self.apply(cx, &target, &items, &errand, &mut changes).await;
        run.changes = changes;
        match ended {
            Ended::Parked(wait) => Ok(Reached::Parked(wait)),
            Ended::Failed { error, uncertain } => {
                self.keep_inventory(run, &items, &uncertain);
                let written = change::written(&run.changes);
                let lines = if written.is_empty() {
                    String::new()
                } else {
                    format!("{written}\n")
                };
                Err(Failed::new(
                    RECONCILIATION_FAILED,
                    format!("{error}\n{lines}"),
                ))
            }
            Ended::Complete => {
                cx.memory.built = Some(Basis {
                    inputs,
                    digest: run.digest.clone(),
                });
                cx.memory.light_runs = if errand.trust == Trust::Memory {
                    cx.memory.light_runs + 1
                } else {
                    0
                };
                let current: HashSet<&ObjectId> = order.iter().collect();
                cx.entry
                    .shared()
                    .objects
                    .retain(|id, _| current.contains(id));
                Ok(Reached::Applied(target, order))
            }
        }
    }

    /// The shortest way: the same inputs as last time, and every object is as the last apply left it.
    /// Nothing is fetched, built or sent then, whatever the number of objects.
    async fn unchanged(
        &self,
        cx: &mut Cx<'_>,
        run: &mut Run,
        inputs: u64,
    ) -> Option<Reached<W::Target>> {
        let basis = cx
            .memory
            .built
            .clone()
            .filter(|basis| basis.inputs == inputs)?;
        if cx.memory.light_runs >= LIGHT_RUNS || run.wait != Wait::Nothing {
            return None;
        }
        let target = self.world.connect(&cx.ks).await.ok()?;
        let shared = cx.entry.shared();
        let is_watched = |seen| !matches!(seen, Seen::Unknown);
        let all_watched = shared.objects.iter().all(|(id, kept)| {
            let seen = target.seen(&kept.gvk, id);
            !kept.has_drifted(&seen) && !kept.wants_takeover(&seen) && is_watched(seen)
        });
        if !all_watched {
            return None;
        }
        let mut order: Vec<_> = shared
            .objects
            .iter()
            .map(|(id, kept)| (kept.stage, id.clone()))
            .collect();
        drop(shared);
        order.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| stage::order(x, y)));
        let order: Vec<_> = order.into_iter().map(|(_, id)| id).collect();
        let mut shared = cx.entry.shared();
        for id in &order {
            if let Some(kept) = shared.objects.get_mut(id) {
                let action = if kept.action == Action::Skipped {
                    Action::Skipped
                } else {
                    Action::Unchanged
                };
                kept.action = action;
                run.changes.push(Change {
                    id: id.clone(),
                    action,
                });
            }
        }
        drop(shared);
        cx.memory.light_runs += 1;
        let revision = run.revision().to_owned();
        run.digest = basis.digest;
        run.draft.status.last_attempted_revision = Some(revision.clone());
        run.draft.progress(
            Step::Applying,
            &revision,
            timing::timeout(&cx.ks.spec),
            self.now(),
        );
        Some(Reached::Applied(target, order))
    }

    /// Before anything is applied, the status names everything that was and everything that will be
    /// managed: whatever happens next, no object is forgotten.
    async fn write_union(
        &self,
        cx: &mut Cx<'_>,
        run: &mut Run,
        items: &[Item],
    ) -> Result<(), String> {
        let new: Vec<ResourceRef> = items
            .iter()
            .map(|item| inventory::entry(&item.id, &item.gvk.version))
            .collect();
        let known: HashSet<&str> = run
            .draft
            .inventory()
            .iter()
            .map(|entry| entry.id.as_str())
            .collect();
        if new.iter().all(|entry| known.contains(entry.id.as_str())) {
            return Ok(());
        }
        let union = inventory::union(run.draft.inventory(), &new);
        run.draft.set_inventory(union);
        self.write(cx, &run.draft).await
    }

    /// After an apply that failed: what was managed before, and what was written since.
    fn keep_inventory(&self, run: &mut Run, items: &[Item], uncertain: &[ObjectId]) {
        let exists = |item: &&Item| {
            let change = run.changes.iter().find(|change| change.id == item.id);
            change.is_some_and(|change| change.action != Action::Unknown)
                || uncertain.contains(&item.id)
        };
        let written: Vec<_> = items
            .iter()
            .filter(exists)
            .map(|item| inventory::entry(&item.id, &item.gvk.version))
            .collect();
        let had_none = run.old.is_empty() && written.is_empty();
        let kept = inventory::union(&written, &run.old);
        if had_none {
            run.draft.status.inventory = None;
        } else {
            run.draft.set_inventory(kept);
        }
    }

    /// How far memory reaches in this run.
    fn trust(&self, cx: &Cx<'_>, run: &Run) -> Trust {
        match &cx.memory.built {
            Some(basis) if cx.memory.light_runs >= LIGHT_RUNS && basis.digest == run.digest => {
                Trust::Resend
            }
            Some(_) => Trust::Memory,
            // This process knows nothing yet; the history may.
            None if !cx.entry.shared().objects.is_empty() => Trust::Memory,
            None => match run.draft.status.history.first() {
                Some(last)
                    if last.digest == run.digest
                        && last.last_reconciled_status == RECONCILIATION_SUCCEEDED =>
                {
                    Trust::Resend
                }
                _ => Trust::Nothing,
            },
        }
    }

    /// From the last apply to the final status, or to the wait for health.
    async fn after_apply(
        &self,
        cx: &mut Cx<'_>,
        mut run: Box<Run>,
        target: &W::Target,
        order: Vec<ObjectId>,
    ) -> Next {
        let output = match self.settings.gates.group_change_log {
            true => change::by_action(&run.changes),
            false => change::by_subject(&run.changes),
        };
        tracing::info!(
            revision = run.revision(),
            output_json = output.to_string(),
            "server-side apply completed"
        );
        let written = change::written(&run.changes);
        if !written.is_empty() {
            self.notify(
                cx,
                Severity::Info,
                run.draft.reason(),
                written,
                run.revisions(),
            );
        }
        let new: Vec<ResourceRef> = {
            let shared = cx.entry.shared();
            let version = |id: &ObjectId| {
                shared
                    .objects
                    .get(id)
                    .map(|kept| kept.gvk.version.clone())
                    .unwrap_or_default()
            };
            order
                .iter()
                .map(|id| inventory::entry(id, &version(id)))
                .collect()
        };
        if let Err(failed) = self.prune(cx, &mut run, target, new).await {
            return self.fail(cx, run, failed).await;
        }
        let subjects = {
            let objects = cx.entry.shared().objects.clone();
            self.subjects(&cx.ks, target, &objects, &order, &run.checks)
                .await
        };
        let now = Instant::now();
        let timeout = timing::timeout(&cx.ks.spec);
        match subjects {
            Err(Impossible::Version(text)) => {
                self.fail(cx, run, Failed::new(HEALTH_CHECK_FAILED, text))
                    .await
            }
            Err(Impossible::Namespace(text)) => {
                let wait = HealthWait {
                    since: now,
                    until: now + timeout,
                    is_told: false,
                    subjects: Vec::new(),
                };
                self.unhealthy(cx, run, &wait, text).await
            }
            Ok(subjects) if subjects.is_empty() => {
                run.draft.without_health();
                self.succeed(cx, run).await
            }
            Ok(subjects) => {
                let wait = HealthWait {
                    since: now,
                    until: now + timeout,
                    is_told: false,
                    subjects,
                };
                self.check_health(cx, run, wait, target).await
            }
        }
    }

    /// Deletes what is not wanted any more; the inventory is then what is managed.
    async fn prune(
        &self,
        cx: &mut Cx<'_>,
        run: &mut Run,
        target: &W::Target,
        new: Vec<ResourceRef>,
    ) -> Result<(), Failed> {
        let stale = inventory::stale(run.draft.inventory(), &new)
            .map_err(|error| Failed::new(RECONCILIATION_FAILED, error.to_string()))?;
        run.draft.set_inventory(new);
        if stale.is_empty() || !cx.ks.spec.prune {
            return Ok(());
        }
        let mut kinds: Vec<_> = stale.iter().map(super::finalize::gvk_of).collect();
        kinds.sort();
        kinds.dedup();
        target.observe(&kinds).await;
        let report = prune(
            target,
            &crate::desired::owner(&cx.ks),
            &stale,
            self.concurrency(),
        )
        .await;
        if let Some(error) = report.failure() {
            let kept = [run.draft.inventory(), &report.undeleted].concat();
            run.draft.set_inventory(kept);
            return Err(Failed::new(PRUNE_FAILED, error));
        }
        let lines = change::lines(&report.changes);
        tracing::info!("garbage collection completed: {lines}");
        self.notify(
            cx,
            Severity::Info,
            run.draft.reason(),
            lines,
            run.revisions(),
        );
        Ok(())
    }

    /// Looks at the health of the objects, and ends or parks the run.
    async fn check_health(
        &self,
        cx: &mut Cx<'_>,
        mut run: Box<Run>,
        mut wait: HealthWait,
        target: &W::Target,
    ) -> Next {
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

    async fn healthy(&self, cx: &mut Cx<'_>, mut run: Box<Run>, wait: &HealthWait) -> Next {
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

    async fn unhealthy(
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

    async fn succeed(&self, cx: &mut Cx<'_>, mut run: Box<Run>) -> Next {
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

    async fn fail(&self, cx: &mut Cx<'_>, mut run: Box<Run>, failed: Failed) -> Next {
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

    async fn without_artifact(&self, cx: &mut Cx<'_>, mut run: Box<Run>) -> Next {
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

/// How far a run came.
enum Reached<T> {
    /// All objects are applied; these are they, in the order of apply.
    Applied(T, Vec<ObjectId>),
    /// It waits.
    Parked(Wait),
    /// The artifact is not there.
    NoArtifact,
}

/// A hash of all that the build depends on.
fn inputs(run: &Run, variables: Option<&Variables>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&run.artifact.url, &run.artifact.digest, run.generation).hash(&mut hasher);
    variables
        .map(|variables| format!("{:?}", variables.values()))
        .hash(&mut hasher);
    hasher.finish()
}
