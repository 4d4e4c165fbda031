//! Applies the desired objects, stage by stage, and repairs drift with the same steps.

use std::collections::HashMap;
use std::time::Duration;

use sluice_api::event::Severity;
use sluice_api::inventory::ObjectId;
use sluice_api::reason;
use sluice_objects::change::{self, Change};
use sluice_objects::object::{Gvk, subject};
use sluice_objects::stage::Stage;
use sluice_objects::wait::{Failing, Verdict, judge, pending, timeout_text};
use sluice_runtime::controller::Next;
use tokio::time::Instant;

use super::{Cx, Reconciler, Revisions, Wait, health};
use crate::act::{Act, Done, Failure};
use crate::cluster::{Target, scopes};
use crate::desired::{self, Built};
use crate::plan::{Admission, Applied, Item, Policy, Takeover, Trust, plan};
use crate::registry::{Attention, Kept};
use crate::source::{Reference, Source};
use crate::world::{Fetched, World};

/// How long an awaited stage may take.
const STAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// What an apply is for.
#[derive(Debug)]
pub(super) struct Errand {
    /// How far memory reaches.
    pub trust: Trust,
    /// When others' fields are taken over.
    pub takeover: Takeover,
    /// Whether nothing was ever applied.
    pub is_first: bool,
    /// What the run waited for before.
    pub waited: Wait,
}

/// How applying ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    /// All objects are applied.
    Complete,
    /// It has to go on later.
    Parked(Wait),
    /// An object was refused, or a stage did not become healthy.
    Failed {
        /// What went wrong.
        error: String,
        /// Objects that may or may not have been written.
        uncertain: Vec<ObjectId>,
    },
}

impl<W: World> Reconciler<W> {
    /// How many requests of one Kustomization are under way at a time.
    pub(super) fn concurrency(&self) -> usize {
        self.settings.args.concurrent_ssa.max(1)
    }

    /// Applies sorted items. What is done goes to `changes` and into the registry at once, so that a
    /// run that is cut off here goes on from there.
    pub(super) async fn apply(
        &self,
        cx: &mut Cx<'_>,
        target: &W::Target,
        items: &[Item],
        errand: &Errand,
        changes: &mut Vec<Change>,
    ) -> Ended {
        let mut applied: HashMap<ObjectId, Applied> = {
            let shared = cx.entry.shared();
            shared
                .objects
                .iter()
                .map(|(id, kept)| (id.clone(), kept.applied.clone()))
                .collect()
        };
        for stage in Stage::ALL {
            let kinds = kinds_of(items.iter().filter(|item| item.stage == stage));
            if kinds.is_empty() {
                continue;
            }
            target.observe(&kinds).await;
            let admission: HashMap<&Gvk, Admission> = kinds
                .iter()
                .map(|gvk| (gvk, target.admission(gvk)))
                .collect();
            let policy = Policy {
                trust: errand.trust,
                takeover: errand.takeover,
                is_first: errand.is_first,
                migrate: self.settings.gates.migrate_api_version,
                admission: &|gvk| admission.get(gvk).copied().unwrap_or(Admission::Possible),
            };
            let plan = plan(
                items,
                |item| target.seen(&item.gvk, &item.id),
                &applied,
                &policy,
            );
            let Some(planned) = plan.stages.iter().find(|planned| planned.stage == stage) else {
                continue;
            };
            let act = Act {
                target,
                items,
                applied: &applied,
                managers: &self.settings.managers,
                takeover: errand.takeover,
                force: cx.ks.spec.force,
                migrate: self.settings.gates.migrate_api_version,
                concurrency: self.concurrency(),
                now: self.world.now(),
            };
            let report = act.stage(planned).await;
            for done in &report.done {
                applied.insert(done.change.id.clone(), done.applied.clone());
                note(changes, &done.change);
            }
            self.keep(cx, items, &report.done);
            if let Some(failure) = report.failure {
                let uncertain = match self.may_be_written(target, items, &failure).await {
                    true => vec![failure.id.clone()],
                    false => Vec::new(),
                };
                for id in &uncertain {
                    cx.entry.shared().objects.remove(id);
                }
                return Ended::Failed {
                    error: failure.to_string(),
                    uncertain,
                };
            }
            if !report.going.is_empty() {
                let gvk_of = |id: &ObjectId| {
                    items
                        .iter()
                        .find(|item| item.id == *id)
                        .map(|item| item.gvk.clone())
                };
                let going: Vec<_> = report
                    .going
                    .into_iter()
                    .filter_map(|id| Some((gvk_of(&id)?, id)))
                    .collect();
                let names: Vec<_> = going.iter().map(|(_, id)| subject(id)).collect();
                tracing::info!(
                    waiting_for = names.join(", "),
                    "objects that are recreated have not gone yet"
                );
                return Ended::Parked(Wait::Gone(going));
            }
            if stage.is_awaited()
                && let Some(ended) = self
                    .await_stage(cx, target, stage, items, &errand.waited)
                    .await
            {
                return ended;
            }
        }
        Ended::Complete
    }

    /// Whether an object may be there although its write failed.
    async fn may_be_written(&self, target: &W::Target, items: &[Item], failure: &Failure) -> bool {
        let refusal = &failure.refusal;
        let item = items.iter().find(|item| item.id == failure.id);
        match item {
            _ if refusal.is_definite() => false,
            // A server that failed has an answer to this; one that did not answer may still be at it.
            Some(item) if refusal.code != 0 => {
                !matches!(target.get(&item.gvk, &item.id).await, Ok(None))
            }
            _ => true,
        }
    }

    /// Looks whether the objects of a stage are healthy; `None` when the next stage may begin.
    async fn await_stage(
        &self,
        cx: &mut Cx<'_>,
        target: &W::Target,
        stage: Stage,
        items: &[Item],
        waited: &Wait,
    ) -> Option<Ended> {
        let objects: HashMap<ObjectId, Kept> = {
            let shared = cx.entry.shared();
            let own = items.iter().filter(|item| item.stage == stage);
            own.filter_map(|item| Some((item.id.clone(), shared.objects.get(&item.id)?.clone())))
                .collect()
        };
        let subjects = health::of_stage(&objects, stage);
        // From before the look on, so that no change falls between it and the wait.
        cx.entry.shared().attention = Attention::All;
        let polled = &mut cx.memory.polled;
        let awaited = self
            .assess(target, &objects, &subjects, &Default::default(), polled)
            .await;
        let failed = |error| {
            Some(Ended::Failed {
                error,
                uncertain: Vec::new(),
            })
        };
        match judge(&awaited, Failing::Slow) {
            Verdict::Passed => {
                cx.entry.shared().attention = Attention::None;
                None
            }
            Verdict::Failed(text) => failed(text),
            Verdict::Pending => {
                let until = match waited {
                    Wait::Stage(which, until) if *which == stage => *until,
                    _ => {
                        let waiting_for = pending(&awaited);
                        tracing::info!(waiting_for, "the next stage waits for this one");
                        Instant::now() + STAGE_TIMEOUT
                    }
                };
                match until <= Instant::now() {
                    true => failed(timeout_text(&awaited)),
                    false => Some(Ended::Parked(Wait::Stage(stage, until))),
                }
            }
        }
    }

    /// Remembers what was done.
    fn keep(&self, cx: &mut Cx<'_>, items: &[Item], done: &[Done]) {
        let by_id: HashMap<&ObjectId, &Item> = items.iter().map(|item| (&item.id, item)).collect();
        let mut shared = cx.entry.shared();
        for done in done {
            let Some(item) = by_id.get(&done.change.id) else {
                continue;
            };
            shared.objects.insert(
                item.id.clone(),
                Kept {
                    gvk: item.gvk.clone(),
                    stage: item.stage,
                    switches: item.switches,
                    applied: done.applied.clone(),
                    action: done.change.action,
                    health: done.health.clone(),
                    may_vanish: removes_itself(item),
                },
            );
        }
    }

    /// Mends objects of a ready Kustomization that were changed or deleted by somebody else. The
    /// status stays as it is; an event tells what was mended.
    pub(super) async fn repair(&self, cx: &mut Cx<'_>) -> Next {
        let Ok(target) = self.world.connect(&cx.ks).await else {
            return self.until_due(cx);
        };
        let drifted = self.drifted(cx, &target);
        if drifted.is_empty() {
            return self.until_due(cx);
        }
        let now = Instant::now();
        let allowed = |id: &ObjectId| cx.memory.damper.next(id).unwrap_or(now);
        let (ready, later): (Vec<_>, Vec<_>) =
            drifted.into_iter().partition(|id| allowed(id) <= now);
        let next_try = later.iter().map(allowed).min();
        if ready.is_empty() {
            return self.until_due_or(cx, next_try);
        }
        let Some(items) = self.rebuild(cx, &target).await else {
            // What to restore cannot be had: the reconciliation will say why.
            return self.now_again(cx);
        };
        let items: Vec<Item> = items
            .into_iter()
            .filter(|item| !later.contains(&item.id))
            .collect();
        let mut changes = Vec::new();
        let errand = Errand {
            trust: Trust::Memory,
            takeover: Takeover::WithDrift,
            is_first: false,
            waited: Wait::Nothing,
        };
        let ended = self.apply(cx, &target, &items, &errand, &mut changes).await;
        for id in &ready {
            cx.memory.damper.repaired(id, now);
        }
        let written = change::written(&changes);
        if !written.is_empty() {
            let revisions = Revisions {
                revision: cx
                    .ks
                    .status
                    .as_ref()
                    .and_then(|s| s.last_applied_revision.clone()),
                origin: cx
                    .ks
                    .status
                    .as_ref()
                    .and_then(|s| s.last_applied_origin_revision.clone()),
            };
            tracing::info!(
                output_json = change::by_subject(&changes).to_string(),
                "drift repaired"
            );
            self.notify(cx, Severity::Info, reason::PROGRESSING, written, revisions);
        }
        match ended {
            Ended::Complete => self.until_due_or(cx, next_try),
            Ended::Parked(_) | Ended::Failed { .. } => self.now_again(cx),
        }
    }

    fn until_due_or(&self, cx: &Cx<'_>, other: Option<Instant>) -> Next {
        let wait = other.map(|at| (at - Instant::now()).max(Duration::from_millis(1)));
        match (self.until_due(cx), wait) {
            (Next::After(due), Some(wait)) => Next::After(due.min(wait)),
            (Next::Wait, Some(wait)) => Next::After(wait),
            (next, _) => next,
        }
    }

    /// The objects that are not as the last apply left them.
    pub(super) fn drifted(&self, cx: &Cx<'_>, target: &W::Target) -> Vec<ObjectId> {
        let shared = cx.entry.shared();
        let drifted = shared
            .objects
            .iter()
            .filter(|(id, kept)| kept.has_drifted(&target.seen(&kept.gvk, id)));
        drifted.map(|(id, _)| id.clone()).collect()
    }

    /// Builds once more what is applied; `None` if something else comes out, or nothing.
    async fn rebuild(&self, cx: &Cx<'_>, target: &W::Target) -> Option<Vec<Item>> {
        let Source::Artifact(artifact) = self.world.source(&Reference::of(&cx.ks)) else {
            return None;
        };
        let Ok(Fetched::Files(files)) = self.world.fetch(&cx.ks, &artifact).await else {
            return None;
        };
        let built = self.build(cx, files).await.ok()?;
        if Some(&built.digest) != cx.memory.built.as_ref().map(|basis| &basis.digest) {
            return None;
        }
        self.items(cx, target, built).await.ok()
    }

    /// Builds with variables loaded now.
    pub(super) async fn build(&self, cx: &Cx<'_>, files: W::Files) -> Result<Built, String> {
        let variables = self.variables(cx).await;
        self.world.build(&cx.ks, files, variables).await
    }

    /// Makes the built objects ready to be applied to a cluster.
    pub(super) async fn items(
        &self,
        cx: &Cx<'_>,
        target: &W::Target,
        built: Built,
    ) -> Result<Vec<Item>, String> {
        let scopes = scopes(target, &built.objects).await;
        let scopes = scopes.map_err(|refusal| refusal.to_string())?;
        let scope = |gvk: &Gvk| scopes.get(&(gvk.group.clone(), gvk.kind.clone())).copied();
        desired::items(&cx.ks, built.objects, &self.settings.custom_kinds, scope)
            .map_err(|error| error.to_string())
    }
}

/// The kinds of items, each once.
fn kinds_of<'i>(items: impl Iterator<Item = &'i Item>) -> Vec<Gvk> {
    let mut kinds: Vec<_> = items.map(|item| item.gvk.clone()).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// A Job that is removed when it has run must not be started again because it is gone.
fn removes_itself(item: &Item) -> bool {
    item.gvk.group == "batch"
        && item.gvk.kind == "Job"
        && item
            .manifest
            .pointer("/spec/ttlSecondsAfterFinished")
            .is_some_and(|ttl| !ttl.is_null())
}

/// Adds what happened to an object. That it was written is not forgotten when it is later found to be
/// as it should be.
fn note(changes: &mut Vec<Change>, change: &Change) {
    match changes.iter_mut().find(|known| known.id == change.id) {
        Some(known) if change.action.is_change() => known.action = change.action,
        Some(_) => {}
        None => changes.push(change.clone()),
    }
}
