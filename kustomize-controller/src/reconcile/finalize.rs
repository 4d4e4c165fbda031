//! What becomes of the objects of a Kustomization that is deleted.

use std::time::Duration;

use sluice_api::event::Severity;
use sluice_api::inventory::ObjectId;
use sluice_api::key::FINALIZER;
use sluice_api::kustomize::{DeletionPolicy, Kustomization};
use sluice_objects::change::{self, Action};
use sluice_objects::inventory::{self, Stale};
use sluice_objects::object::Gvk;
use sluice_objects::subject;
use sluice_runtime::controller::Next;
use tokio::time::Instant;

use super::{Cx, Due, Reconciler, Revisions};
use crate::cluster::Target;
use crate::desired::owner;
use crate::prune::prune;
use crate::registry::Attention;
use crate::status::{Draft, is_ready};
use crate::timing;
use crate::world::World;

/// A deletion that waits for its objects to go.
#[derive(Debug)]
pub struct Finalizing {
    began: Instant,
    until: Instant,
    going: Vec<(Gvk, ObjectId)>,
}

/// What a policy says about the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stay,
    Delete,
    DeleteAndWait,
}

fn fate(ks: &Kustomization) -> Fate {
    match &ks.spec.deletion_policy {
        None | Some(DeletionPolicy::MirrorPrune) if ks.spec.prune => Fate::Delete,
        Some(DeletionPolicy::Delete) => Fate::Delete,
        Some(DeletionPolicy::WaitForTermination) => Fate::DeleteAndWait,
        _ => Fate::Stay,
    }
}

impl<W: World> Reconciler<W> {
    /// Deletes what the policy says, then lets the Kustomization go.
    pub(super) async fn finalize(&self, cx: &mut Cx<'_>) -> Next {
        cx.memory.due = Due::Never;
        if !cx
            .ks
            .metadata
            .finalizers
            .iter()
            .flatten()
            .any(|finalizer| finalizer == FINALIZER)
        {
            return Next::Wait;
        }
        let began = cx
            .memory
            .finalizing
            .as_ref()
            .map_or_else(Instant::now, |finalizing| finalizing.began);
        match self.delete_objects(cx, began).await {
            Ok(Some(next)) => next,
            Ok(None) => self.let_go(cx, began).await,
            Err(error) => {
                // Through the back-off, with another look at the status then.
                cx.memory.due = Due::Now;
                Next::Failed(error)
            }
        }
    }

    /// Deletes the objects; `Some` when there is more to wait for.
    async fn delete_objects(
        &self,
        cx: &mut Cx<'_>,
        began: Instant,
    ) -> Result<Option<Next>, String> {
        let draft = Draft::of(&cx.ks);
        let fate = fate(&cx.ks);
        if cx.ks.spec.suspend || fate == Fate::Stay || draft.inventory().is_empty() {
            return Ok(None);
        }
        let reason = draft.reason().to_owned();
        let revisions = || Revisions {
            revision: draft.status.last_applied_revision.clone(),
            origin: draft.status.last_applied_origin_revision.clone(),
        };
        let stale = inventory::stale(draft.inventory(), &[]).map_err(|error| error.to_string())?;
        let account = self.world.service_account(&cx.ks);
        let namespace = cx.ks.metadata.namespace.clone().unwrap_or_default();
        if !account.is_empty() && !self.world.has_service_account(&namespace, &account).await? {
            let list: Vec<_> = stale.iter().map(|entry| subject(&entry.id)).collect();
            let message = format!("unable to prune objects: \n{}", list.join("\n"));
            tracing::error!("{message}");
            self.notify(cx, Severity::Error, &reason, message, revisions());
            return Ok(None);
        }
        let target = self.world.connect(&cx.ks).await?;
        if cx.memory.finalizing.is_none() {
            let kinds: Vec<Gvk> = stale.iter().map(gvk_of).collect();
            target.observe(&kinds).await;
            let report = prune(&target, &owner(&cx.ks), &stale, self.concurrency()).await;
            if let Some(error) = report.failure() {
                self.notify(
                    cx,
                    Severity::Error,
                    &reason,
                    "pruning for deleted resource failed",
                    revisions(),
                );
                return Err(error);
            }
            if !report.changes.is_empty() {
                self.notify(
                    cx,
                    Severity::Info,
                    &reason,
                    change::lines(&report.changes),
                    revisions(),
                );
            }
            if fate == Fate::Delete {
                return Ok(None);
            }
            let deleted = report
                .changes
                .iter()
                .zip(&stale)
                .filter(|(change, _)| change.action == Action::Deleted);
            cx.memory.finalizing = Some(Finalizing {
                began,
                until: Instant::now() + timing::timeout(&cx.ks.spec),
                going: deleted
                    .map(|(_, entry)| (gvk_of(entry), entry.id.clone()))
                    .collect(),
            });
        }
        let Some(finalizing) = &cx.memory.finalizing else {
            return Ok(None);
        };
        // From before the look on, so that no change falls between it and the wait.
        cx.entry.shared().attention = Attention::All;
        let mut remaining = 0;
        for (gvk, id) in &finalizing.going {
            if !matches!(target.get(gvk, id).await, Ok(None)) {
                remaining += 1;
            }
        }
        let now = Instant::now();
        if remaining == 0 {
            return Ok(None);
        }
        if finalizing.until <= now {
            self.notify(
                cx,
                Severity::Error,
                &reason,
                "failed to wait for resources termination",
                revisions(),
            );
            return Ok(None);
        }
        let delay = finalizing
            .until
            .saturating_duration_since(now)
            .min(Duration::from_secs(2));
        Ok(Some(Next::After(delay.max(Duration::from_millis(1)))))
    }

    /// Removes the finalizer.
    async fn let_go(&self, cx: &mut Cx<'_>, began: Instant) -> Next {
        cx.memory.finalizing = None;
        let finalizers = cx.ks.metadata.finalizers.clone().unwrap_or_default();
        let rest: Vec<_> = finalizers
            .into_iter()
            .filter(|finalizer| finalizer != FINALIZER)
            .collect();
        let draft = Draft::of(&cx.ks);
        match self.world.write_finalizers(&cx.ks, &rest).await {
            Ok(_) => {
                if is_ready(&draft.status.conditions) {
                    self.notify_finished(cx, &draft.status.conditions, began.elapsed(), &draft);
                }
                cx.entry.shared().objects.clear();
                Next::Wait
            }
            Err(error) => {
                cx.memory.due = Due::Now;
                Next::Failed(error)
            }
        }
    }
}

/// The kind of an object that is managed no longer.
pub(super) fn gvk_of(entry: &Stale) -> Gvk {
    Gvk {
        group: entry.id.group.clone(),
        version: entry.version.clone(),
        kind: entry.id.kind.clone(),
    }
}
