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
use crate::source::{Reference, Source};
use crate::status::{Draft, Step};
use crate::timing;
use crate::world::{Fetched, World};

/// Time until the first look at objects that are being recreated, and between the later ones.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LATER_LOOK: Duration = Duration::from_secs(2);

/// How a run ended badly.
pub(super) struct Failed {
    /// Reason of the Ready condition.
    pub reason: &'static str,
    /// What went wrong.
    pub message: String,
}

impl Failed {
    /// A failure with its reason and message.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
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

    pub(super) fn revisions(&self) -> Revisions {
        Revisions::of(&self.artifact)
    }

    pub(super) fn revision(&self) -> &str {
        &self.artifact.revision
    }
}

impl<W: World> Reconciler<W> {
    /// Begins a run, or goes on with a parked one.
    pub(super) async fn run(&self, cx: &mut Cx<'_>, pass: Pass) -> Next {
        cx.memory.told_blocked = None;
        cx.memory.due = Due::Never;
        {
            let mut shared = cx.entry.shared();
            // What changes from here on is looked at when the run ends.
            shared.attention = Attention::None;
            shared.attempting = Some(pass.artifact.revision.clone());
        }
        self.registry.block(&cx.entry, None);
        // A source that moved on before the line above was not told of: the status speaks of another run.
        if self.is_superseded(&cx.ks, &pass) {
            return self.now_again(cx);
        }
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

    /// Whether the source has another revision than the one that passed the gate.
    fn is_superseded(&self, ks: &Kustomization, pass: &Pass) -> bool {
        match self.world.source(&Reference::of(ks)) {
            Source::Artifact(now) => now.revision != pass.artifact.revision,
            Source::Absent | Source::Empty => false,
        }
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
                        return self.park(cx, run, LATER_LOOK);
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

    pub(super) fn park(&self, cx: &mut Cx<'_>, run: Box<Run>, delay: Duration) -> Next {
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
                    // Most go at once, and may have gone before their changes were attended to.
                    _ => FIRST_LOOK,
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
