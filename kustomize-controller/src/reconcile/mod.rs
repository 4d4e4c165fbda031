//! One turn of one Kustomization: look, decide, act, and say when to look again.
//!
//! ```text
//!             trigger, interval, retry
//!                      |
//!  Blocked <-- gate -- + --> run: fetch, build, plan, apply, prune ──> health ──> InSync
//!     ^  dependency    |                  |                  |            |           | object changed
//!     +----------------+              stage wait         recreation   object changed   v
//!                                         └───── parked, no worker ─────┘           repair
//! ```
//!
//! A turn never waits for the world to change. When it would have to, it parks: what it knows stays in
//! [`Memory`], and the next turn goes on from there. A parked run that is not current any more is
//! dropped; all that it did is in the status and in the cluster.

mod apply;
mod finalize;
mod health;
mod outcome;
mod run;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sluice_api::artifact::Artifact;
use sluice_api::condition::Condition;
use sluice_api::event::{
    META_COMMIT_STATUS, META_COMMIT_STATUS_UPDATE, META_ORIGIN_REVISION, META_REVISION, Severity,
};
use sluice_api::inventory::{ObjectId, ResourceRef};
use sluice_api::key::{FINALIZER, RECONCILE_REQUEST};
use sluice_api::kinds::KUSTOMIZE_GROUP;
use sluice_api::kustomize::Kustomization;
use sluice_api::reason;
use sluice_api::time::Time;
use sluice_cel::health::Checks;
use sluice_objects::change::Change;
use sluice_objects::health::Assessment;
use sluice_objects::object::Gvk;
use sluice_objects::stage::Stage;
use sluice_runtime::controller::Next;
use sluice_runtime::events::{Notice, reference, with_own_annotations};
use sluice_runtime::informer::ObjectKey;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::depends;
use crate::gate::{self, Blocked, Blocker, Facts, Stalled, Verdict};
use crate::registry::{Attention, Damper, Entry, Registry};
use crate::settings::Settings;
use crate::source::Reference;
use crate::status::{Draft, is_ready};
use crate::timing;
use crate::world::{World, after};

/// Reconciles Kustomizations in a world.
#[derive(Debug)]
pub struct Reconciler<W> {
    /// The world.
    pub world: W,
    /// Flags and gates.
    pub settings: Settings,
    /// What is remembered.
    pub registry: Arc<Registry<Memory>>,
}

/// When a Kustomization reconciles by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Due {
    /// At once.
    #[default]
    Now,
    /// At a time.
    At(Instant),
    /// Not before something triggers it.
    Never,
}

/// What is remembered of a Kustomization besides its objects.
#[derive(Debug, Default)]
pub struct Memory {
    due: Due,
    run: Option<Box<Run>>,
    built: Option<Basis>,
    /// Reconciliations since all objects were sent or compared.
    light_runs: u32,
    damper: Damper,
    polled: HashMap<ObjectId, (Instant, Assessment)>,
    finalizing: Option<finalize::Finalizing>,
    /// Message of the last notice about dependencies.
    told_blocked: Option<String>,
}

/// What the remembered objects were built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Basis {
    inputs: u64,
    digest: String,
}

/// One reconciliation, across its waits.
#[derive(Debug)]
pub(crate) struct Run {
    artifact: Artifact,
    checks: Checks,
    generation: Option<i64>,
    request: Option<String>,
    began: Instant,
    draft: Draft,
    was_healthy: bool,
    is_new_revision: bool,
    /// The inventory at the beginning.
    old: Vec<ResourceRef>,
    /// What was done so far, by object.
    changes: Vec<Change>,
    digest: String,
    wait: Wait,
}

/// What a parked run waits for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wait {
    /// Nothing: it is not parked.
    Nothing,
    /// Objects that are being recreated have to be gone.
    Gone(Vec<(Gvk, ObjectId)>),
    /// The objects of a stage have to be healthy.
    Stage(Stage, Instant),
    /// All checked objects have to be healthy.
    Health(HealthWait),
}

/// The last wait of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HealthWait {
    since: Instant,
    until: Instant,
    is_told: bool,
    subjects: Vec<health::Subject>,
}

/// One turn's view of its Kustomization.
pub(crate) struct Cx<'t> {
    ks: Arc<Kustomization>,
    entry: Arc<Entry<Memory>>,
    memory: MutexGuard<'t, Memory>,
}

/// Reconciliations without a look at every object, before one with it.
const LIGHT_RUNS: u32 = 10;
/// Time between two looks at what cannot be watched.
const POLL: Duration = Duration::from_secs(5);

impl<W: World> Reconciler<W> {
    /// A turn of one Kustomization. Turns of the same one must not overlap.
    pub async fn turn(&self, key: &ObjectKey) -> Next {
        let entry = self.registry.entry(key);
        let memory_of = entry.clone();
        let memory = memory_of.memory.lock().await;
        // Taken before anything is looked at: a trigger that comes later is for the next turn.
        let trigger = entry.shared().trigger.take();
        let Some(ks) = self.world.kustomization(key) else {
            self.registry.forget(key);
            return Next::Gone;
        };
        let is_due = match memory.due {
            Due::Now => true,
            Due::At(at) => at <= Instant::now(),
            Due::Never => false,
        };
        let mut cx = Cx {
            ks,
            entry: entry.clone(),
            memory,
        };
        if trigger.is_none() && !is_due {
            return self.woken(&mut cx).await;
        }
        self.cancel_wait(&mut cx, trigger.as_deref()).await;
        self.pass_gate(&mut cx, trigger.is_some()).await
    }

    /// A turn that no trigger and no interval caused: an object changed, or a parked run looks again.
    async fn woken(&self, cx: &mut Cx<'_>) -> Next {
        if cx.memory.finalizing.is_some() {
            return self.finalize(cx).await;
        }
        if cx.memory.run.is_some() {
            return self.resume(cx).await;
        }
        if cx.entry.shared().attention == Attention::Drift {
            return self.repair(cx).await;
        }
        self.until_due(cx)
    }

    /// The next turn by the clock.
    fn until_due(&self, cx: &Cx<'_>) -> Next {
        match cx.memory.due {
            Due::Now => Next::After(Duration::from_millis(1)),
            Due::At(at) => after((at - Instant::now()).max(Duration::from_millis(1))),
            Due::Never => Next::Wait,
        }
    }

    /// The next turn at once.
    fn now_again(&self, cx: &mut Cx<'_>) -> Next {
        cx.memory.due = Due::Now;
        cx.entry.shared().attention = Attention::None;
        Next::After(Duration::from_millis(1))
    }

    fn sleep(&self, cx: &mut Cx<'_>, delay: Duration) -> Next {
        cx.memory.due = match delay.is_zero() {
            true => Due::Never,
            false => Due::At(Instant::now() + delay),
        };
        after(delay)
    }

    /// Drops a parked run that something newer replaces. With the gate
    /// `CancelHealthCheckOnNewRevision` the status says so.
    async fn cancel_wait(&self, cx: &mut Cx<'_>, trigger: Option<&str>) {
        let Some(run) = cx.memory.run.as_mut() else {
            return;
        };
        let (Wait::Health(_), Some(cause)) = (&run.wait, trigger) else {
            return;
        };
        tracing::info!("New reconciliation triggered, canceling health checks");
        if !self.settings.gates.cancel_health_check {
            return;
        }
        let Some(mut run) = cx.memory.run.take() else {
            return;
        };
        let now = self.now();
        let reason = reason::HEALTH_CHECK_CANCELED;
        run.draft.not_ready(
            reason,
            format!("New reconciliation triggered by {cause}"),
            now,
        );
        run.draft.finish(run.request.as_deref());
        let message =
            format!("Health checks canceled due to new reconciliation triggered by {cause}");
        self.notify(
            cx,
            Severity::Info,
            reason,
            message,
            Revisions::of(&run.artifact),
        );
        self.write(cx, &run.draft).await.ok();
    }

    /// Decides what becomes of the Kustomization, and does it.
    async fn pass_gate(&self, cx: &mut Cx<'_>, is_triggered: bool) -> Next {
        for _ in 0..3 {
            let verdict = self.judge(&cx.ks).await;
            if !matches!(verdict, Verdict::Go(_)) {
                self.leave(cx);
            }
            match verdict {
                Verdict::Finalize => return self.finalize(cx).await,
                Verdict::AddFinalizer => match self.add_finalizer(cx).await {
                    Ok(true) => {}
                    Ok(false) => return Next::Wait,
                    Err(error) => return Next::Failed(error),
                },
                Verdict::Suspended => return self.suspended(cx).await,
                Verdict::Stalled(stalled) => return self.stalled(cx, &stalled).await,
                Verdict::Blocked(blocked) => return self.blocked(cx, blocked, is_triggered).await,
                Verdict::Go(pass) => return self.run(cx, *pass).await,
            }
        }
        Next::Soon
    }

    async fn judge(&self, ks: &Kustomization) -> Verdict {
        let namespace = ks.metadata.namespace.clone().unwrap_or_default();
        let mut found = BTreeMap::new();
        if ks.metadata.deletion_timestamp.is_none() && !ks.spec.suspend {
            for dependency in &ks.spec.depends_on {
                let key = depends::key_of(dependency, &namespace);
                let result = self.world.dependency(&key).await;
                found.insert(key, result);
            }
        }
        let facts = Facts {
            ks,
            source: &self.world.source(&Reference::of(ks)),
            gates: self.settings.gates,
            no_cross_namespace_refs: self.settings.args.no_cross_namespace_refs,
            requeue_dependency: timing::go(self.settings.args.common.requeue_dependency),
        };
        gate::judge(&facts, |key| {
            found
                .get(key)
                .cloned()
                .unwrap_or_else(|| Err("not looked for".to_owned()))
        })
    }

    /// The Kustomization is not in force: its objects are not watched over.
    fn leave(&self, cx: &mut Cx<'_>) {
        cx.memory.run = None;
        {
            let mut shared = cx.entry.shared();
            shared.attention = Attention::None;
            shared.attempting = None;
        }
        self.registry.block(&cx.entry, None);
    }

    async fn add_finalizer(&self, cx: &mut Cx<'_>) -> Result<bool, String> {
        let mut finalizers = cx.ks.metadata.finalizers.clone().unwrap_or_default();
        finalizers.push(FINALIZER.to_owned());
        match self.world.write_finalizers(&cx.ks, &finalizers).await? {
            Some(ks) => {
                cx.ks = ks;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn suspended(&self, cx: &mut Cx<'_>) -> Next {
        tracing::info!("Reconciliation is suspended for this object");
        cx.memory.due = Due::Never;
        let mut draft = Draft::of(&cx.ks);
        draft.finish(request(&cx.ks));
        self.write_last(cx, &draft, Next::Wait).await
    }

    async fn stalled(&self, cx: &mut Cx<'_>, stalled: &Stalled) -> Next {
        tracing::error!(error = stalled.message, "Reconciliation failed terminally");
        cx.memory.due = Due::Never;
        let mut draft = Draft::of(&cx.ks);
        draft.stalled(stalled.reason, &stalled.message, self.now());
        if stalled.observed {
            draft.observe();
        }
        draft.finish(request(&cx.ks));
        let revisions = Revisions {
            revision: stalled.revision.clone(),
            origin: None,
        };
        self.notify(
            cx,
            Severity::Error,
            stalled.reason,
            stalled.message.clone(),
            revisions,
        );
        self.write_last(cx, &draft, Next::Wait).await
    }

    async fn blocked(&self, cx: &mut Cx<'_>, blocked: Blocked, is_triggered: bool) -> Next {
        let requeue = self.settings.args.common.requeue_dependency;
        let delay = match &blocked.on {
            Blocker::Source => timing::retry_interval(&cx.ks.spec),
            Blocker::Artifact | Blocker::Dependency(_) => requeue,
        };
        match &blocked.on {
            Blocker::Dependency(on) => {
                self.registry
                    .block(&cx.entry, Some((on.clone(), blocked.message.clone())));
                // It may have become ready before this one was noted as waiting.
                if let Verdict::Go(pass) = self.judge(&cx.ks).await {
                    return self.run(cx, *pass).await;
                }
                let message = format!(
                    "Dependencies do not meet ready condition, retrying in {}",
                    timing::go(requeue)
                );
                tracing::info!(message, "{}", blocked.message);
                let is_news = cx.memory.told_blocked.as_ref() != Some(&blocked.message);
                if is_news || is_triggered {
                    cx.memory.told_blocked = Some(blocked.message.clone());
                    let revisions = Revisions {
                        revision: blocked.revision.clone(),
                        origin: None,
                    };
                    self.notify(cx, Severity::Info, blocked.reason, message, revisions);
                }
            }
            Blocker::Source => {
                let source = Reference::of(&cx.ks);
                tracing::info!("Source '{}' not found", source.subject());
            }
            Blocker::Artifact => tracing::info!("{}", blocked.message),
        }
        let mut draft = Draft::of(&cx.ks);
        draft.not_ready(blocked.reason, blocked.message, self.now());
        draft.finish(request(&cx.ks));
        let next = self.sleep(cx, delay);
        self.write_last(cx, &draft, next).await
    }

    /// Writes a status in the middle of a run.
    async fn write(&self, cx: &mut Cx<'_>, draft: &Draft) -> Result<(), String> {
        let written = self.world.write_status(&cx.ks, &draft.status).await;
        if let Some(ks) = written.map_err(|error| format!("failed to update status: {error}"))? {
            cx.ks = ks;
        }
        Ok(())
    }

    /// Writes a status at the end of a turn. One that could not be written is written by the next
    /// turn, after a back-off.
    async fn write_last(&self, cx: &mut Cx<'_>, draft: &Draft, next: Next) -> Next {
        let written = self.write(cx, draft).await;
        cx.entry.shared().attempting = None;
        match written {
            Ok(()) => next,
            Err(error) => {
                cx.memory.due = Due::Now;
                Next::Failed(error)
            }
        }
    }

    fn now(&self) -> Time {
        Time::new(self.world.now())
    }

    fn notify(
        &self,
        cx: &Cx<'_>,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
        revisions: Revisions,
    ) {
        self.send(cx, severity, reason, message.into(), revisions.metadata());
    }

    fn send(
        &self,
        cx: &Cx<'_>,
        severity: Severity,
        reason: &str,
        message: String,
        metadata: BTreeMap<String, String>,
    ) {
        let reason = if reason.is_empty() {
            severity.as_str()
        } else {
            reason
        };
        self.world.emit(Notice {
            object: reference(cx.ks.as_ref()),
            severity,
            reason: reason.to_owned(),
            message,
            metadata: with_own_annotations(metadata, cx.ks.metadata.annotations.as_ref()),
        });
    }

    /// Tells that a Kustomization is ready, as every run of a ready one ends.
    fn notify_finished(
        &self,
        cx: &Cx<'_>,
        conditions: &[Condition],
        took: Duration,
        draft: &Draft,
    ) {
        if !is_ready(conditions) || cx.ks.spec.suspend {
            return;
        }
        let interval = timing::go(timing::interval(&cx.ks.spec));
        let message = format!(
            "Reconciliation finished in {}, next run in {interval}",
            timing::go(took)
        );
        let revisions = Revisions {
            revision: draft.status.last_applied_revision.clone(),
            origin: draft.status.last_applied_origin_revision.clone(),
        };
        tracing::info!(
            revision = revisions.revision.as_deref().unwrap_or_default(),
            "{message}"
        );
        let mut metadata = revisions.metadata();
        metadata.insert(
            format!("{KUSTOMIZE_GROUP}/{META_COMMIT_STATUS}"),
            META_COMMIT_STATUS_UPDATE.to_owned(),
        );
        self.send(cx, Severity::Info, draft.reason(), message, metadata);
    }
}

/// The revisions that an event carries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revisions {
    revision: Option<String>,
    origin: Option<String>,
}

impl Revisions {
    fn of(artifact: &Artifact) -> Self {
        Self {
            revision: Some(artifact.revision.clone()),
            origin: artifact.origin_revision().map(str::to_owned),
        }
    }

    fn metadata(self) -> BTreeMap<String, String> {
        let pairs = [
            (META_REVISION, self.revision),
            (META_ORIGIN_REVISION, self.origin),
        ];
        let full = |(key, value): (&str, Option<String>)| {
            Some((
                format!("{KUSTOMIZE_GROUP}/{key}"),
                value.filter(|v| !v.is_empty())?,
            ))
        };
        pairs.into_iter().filter_map(full).collect()
    }
}

/// The reconciliation that a user asked for.
fn request(ks: &Kustomization) -> Option<&str> {
    ks.metadata
        .annotations
        .as_ref()?
        .get(RECONCILE_REQUEST)
        .map(String::as_str)
}
