//! How the objects that are waited for are.

use std::collections::HashMap;

use futures::FutureExt as _;
use sluice_api::inventory::ObjectId;
use sluice_api::kustomize::Kustomization;
use sluice_cel::health::Checks;
use sluice_objects::health::{Assessment, Status, assess, pods_to_ask, with_pods};
use sluice_objects::object::Gvk;
use sluice_objects::wait::{Awaited, namespace_missing_text};
use tokio::time::Instant;

use super::{POLL, Reconciler};
use crate::cluster::{Scope, Target, each};
use crate::plan::Seen;
use crate::registry::Kept;
use crate::world::World;

/// One object whose health counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    id: ObjectId,
    /// Its kind, or why the cluster does not know it.
    gvk: Result<Gvk, String>,
    source: Source,
    may_vanish: bool,
}

/// Where its health is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// In the watch over managed objects.
    Watch,
    /// By reading it.
    Poll,
}

/// Why nothing can be waited for at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Impossible {
    /// A check names something that is no API version: found out before the wait begins.
    Version(String),
    /// A check lacks a namespace.
    Namespace(String),
}

impl<W: World> Reconciler<W> {
    /// The objects whose health decides on a Kustomization; empty when none does.
    pub(super) async fn subjects(
        &self,
        ks: &Kustomization,
        target: &W::Target,
        objects: &HashMap<ObjectId, Kept>,
        order: &[ObjectId],
        checks: &Checks,
    ) -> Result<Vec<Subject>, Impossible> {
        let mut subjects = if ks.spec.wait {
            let kept = order.iter().filter_map(|id| Some((id, objects.get(id)?)));
            let counted =
                kept.filter(|(_, kept)| kept.action != sluice_objects::change::Action::Skipped);
            counted
                .map(|(id, kept)| managed(id, kept, checks))
                .collect()
        } else {
            self.listed(ks, target, objects, checks).await?
        };
        // It would wait for itself.
        let (namespace, name) = (
            ks.metadata.namespace.as_deref(),
            ks.metadata.name.as_deref(),
        );
        subjects.retain(|subject| {
            let ObjectId {
                kind,
                namespace: ns,
                name: n,
                ..
            } = &subject.id;
            !(kind == "Kustomization" && Some(ns.as_str()) == namespace && Some(n.as_str()) == name)
        });
        Ok(subjects)
    }

    /// The objects of `spec.healthChecks`, which need not be managed ones.
    async fn listed(
        &self,
        ks: &Kustomization,
        target: &W::Target,
        objects: &HashMap<ObjectId, Kept>,
        checks: &Checks,
    ) -> Result<Vec<Subject>, Impossible> {
        let mut subjects = Vec::new();
        for check in &ks.spec.health_checks {
            let version = check.api_version.as_deref().unwrap_or("apps/v1");
            let Some(gvk) = Gvk::new(version, &check.kind) else {
                return Err(Impossible::Version(format!(
                    "unexpected GroupVersion string: {version}"
                )));
            };
            let id = ObjectId {
                namespace: check.namespace.clone().unwrap_or_default(),
                name: check.name.clone(),
                group: gvk.group.clone(),
                kind: gvk.kind.clone(),
            };
            if let Some(kept) = objects.get(&id) {
                subjects.push(managed(&id, kept, checks));
                continue;
            }
            let preferred = target.preferred(&gvk.group, &gvk.kind).await;
            let gvk = preferred.map_err(|refusal| refusal.to_string());
            if let Ok(gvk) = &gvk
                && id.namespace.is_empty()
                && target.scope(gvk).await == Ok(Scope::Namespaced)
            {
                return Err(Impossible::Namespace(namespace_missing_text(&id)));
            }
            subjects.push(Subject {
                id,
                gvk,
                source: Source::Poll,
                may_vanish: false,
            });
        }
        Ok(subjects)
    }

    /// How the subjects are now. What has to be read is read at most every few seconds.
    pub(super) async fn assess(
        &self,
        target: &W::Target,
        objects: &HashMap<ObjectId, Kept>,
        subjects: &[Subject],
        checks: &Checks,
        polled: &mut HashMap<ObjectId, (Instant, Assessment)>,
    ) -> Vec<Awaited> {
        let now = Instant::now();
        polled.retain(|_, (at, _)| now.duration_since(*at) < POLL);
        let looks = subjects.iter().map(|subject| {
            let known = polled.get(&subject.id).map(|(_, health)| health.clone());
            async move {
                match (watched(target, objects, subject), known) {
                    (Some(health), _) => (health, false),
                    (None, Some(health)) => (health, false),
                    (None, None) => (self.read(target, subject, checks).await, true),
                }
            }
            .boxed()
        });
        let results = each(looks.collect(), self.concurrency()).await;
        let mut awaited = Vec::with_capacity(subjects.len());
        for (subject, (health, was_read)) in subjects.iter().zip(results) {
            if was_read {
                polled.insert(subject.id.clone(), (now, health.clone()));
            }
            awaited.push(Awaited {
                id: subject.id.clone(),
                health,
                may_vanish: subject.may_vanish,
            });
        }
        awaited
    }

    /// Reads one object, and its Pods where they tell failure from progress.
    async fn read(&self, target: &W::Target, subject: &Subject, checks: &Checks) -> Assessment {
        let unknown = |error: String| Assessment::new(Status::Unknown, error);
        let gvk = match &subject.gvk {
            Ok(gvk) => gvk,
            Err(error) => return unknown(error.clone()),
        };
        let live = match target.get(gvk, &subject.id).await {
            Ok(Some(live)) => live,
            Ok(None) => return Assessment::new(Status::NotFound, ""),
            Err(refusal) => return unknown(refusal.to_string()),
        };
        if let Some(custom) = checks.assess(&live) {
            return custom;
        }
        let now = self.world.now();
        let health = assess(&live, now);
        let Some(selector) = pods_to_ask(&live, &health) else {
            return health;
        };
        match target.pods(&subject.id.namespace, &selector).await {
            Ok(pods) => with_pods(health, &pods, now),
            Err(refusal) => unknown(refusal.to_string()),
        }
    }
}

/// A managed object as a subject.
fn managed(id: &ObjectId, kept: &Kept, checks: &Checks) -> Subject {
    let is_custom = checks.covers(&id.group, &id.kind);
    Subject {
        id: id.clone(),
        gvk: Ok(kept.gvk.clone()),
        source: if is_custom {
            Source::Poll
        } else {
            Source::Watch
        },
        may_vanish: kept.may_vanish,
    }
}

/// The managed objects of one stage, whatever was done about them.
pub(super) fn of_stage(
    objects: &HashMap<ObjectId, Kept>,
    stage: sluice_objects::stage::Stage,
) -> Vec<Subject> {
    let own = objects.iter().filter(|(_, kept)| kept.stage == stage);
    own.map(|(id, kept)| managed(id, kept, &Checks::default()))
        .collect()
}

/// What the watch says of a subject; `None` when it has to be read.
fn watched<T: Target>(
    target: &T,
    objects: &HashMap<ObjectId, Kept>,
    subject: &Subject,
) -> Option<Assessment> {
    if subject.source == Source::Poll {
        return None;
    }
    let gvk = subject.gvk.as_ref().ok()?;
    let kept = objects.get(&subject.id)?;
    let health = match target.seen(gvk, &subject.id) {
        Seen::Unknown => return None,
        Seen::Live(live) => live.health,
        // It may be there without the labels that the watch selects by.
        Seen::Absent if kept.applied.mark.is_none() => return None,
        Seen::Absent => Assessment::new(Status::NotFound, ""),
    };
    // Their Pods tell more.
    let asks_pods =
        gvk.group == "apps" && matches!(gvk.kind.as_str(), "StatefulSet" | "ReplicaSet");
    (!asks_pods || health.status != Status::InProgress).then_some(health)
}
