//! Deletes what is not wanted any more.

use futures::FutureExt as _;
use sluice_api::inventory::ResourceRef;
use sluice_objects::change::{Action, Change};
use sluice_objects::inventory::{self, Stale};
use sluice_objects::object::Gvk;
use sluice_objects::prune::{Failure, Live, Owner, Verdict, failure_text, verdict};
use sluice_objects::stage;

use crate::cluster::{Refusal, Target, each};
use crate::plan::Seen;

/// What became of the objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Each object and what happened to it, in the order of deletion.
    pub changes: Vec<Change>,
    /// Why some could not be deleted.
    pub failures: Vec<Failure>,
    /// The inventory entries of those.
    pub undeleted: Vec<ResourceRef>,
}

impl Report {
    /// The text for a deletion that failed, if it did.
    pub fn failure(&self) -> Option<String> {
        (!self.failures.is_empty()).then(|| failure_text(&self.failures))
    }
}

/// Deletes objects that belong to `owner`, in the given order of ranks; all are attempted.
pub async fn prune<T: Target>(
    target: &T,
    owner: &Owner,
    stale: &[Stale],
    concurrency: usize,
) -> Report {
    let mut report = Report::default();
    let mut rest = stale;
    while let Some(first) = rest.first() {
        let rank = |entry: &Stale| stage::rank(&entry.id.kind);
        let (wave, later) = rest.split_at(rest.partition_point(|entry| rank(entry) == rank(first)));
        rest = later;
        let deletions = wave
            .iter()
            .map(|entry| delete(target, owner, entry).boxed());
        let results = each(deletions.collect(), concurrency).await;
        for (entry, result) in wave.iter().zip(results) {
            let action = match result {
                Ok(action) => action,
                Err(failure) => {
                    report.failures.push(failure);
                    report
                        .undeleted
                        .push(inventory::entry(&entry.id, &entry.version));
                    Action::Unknown
                }
            };
            report.changes.push(Change {
                id: entry.id.clone(),
                action,
            });
        }
    }
    report
}

async fn delete<T: Target>(target: &T, owner: &Owner, entry: &Stale) -> Result<Action, Failure> {
    let id = &entry.id;
    let query = |refusal: Refusal| Failure::Query {
        id: id.clone(),
        error: refusal.to_string(),
    };
    let gvk = Gvk {
        group: id.group.clone(),
        version: entry.version.clone(),
        kind: id.kind.clone(),
    };
    // A kind that the cluster does not know any more has no objects; Flux fails on it forever.
    let gvk = match target.scope(&gvk).await {
        Ok(_) => gvk,
        Err(refusal) if refusal.is_unknown_kind() => {
            match target.preferred(&id.group, &id.kind).await {
                Ok(preferred) => preferred,
                Err(refusal) if refusal.is_unknown_kind() => return Ok(Action::Deleted),
                Err(refusal) => return Err(query(refusal)),
            }
        }
        Err(refusal) => return Err(query(refusal)),
    };
    if let Seen::Live(observed) = target.seen(&gvk, id) {
        let live = Live {
            owner: observed.owner.clone(),
            switches: observed.switches,
        };
        match verdict(owner, Some(&live)) {
            Verdict::Keep => return Ok(Action::Skipped),
            Verdict::Gone | Verdict::Delete => {
                let version = Some(observed.version).filter(|version| *version != 0);
                match target.delete(&gvk, id, version).await {
                    Ok(()) => return Ok(Action::Deleted),
                    // What was seen is not current any more: read it.
                    Err(refusal) if refusal.is_conflict() => {}
                    Err(refusal) => {
                        return Err(Failure::Delete {
                            id: id.clone(),
                            error: refusal.to_string(),
                        });
                    }
                }
            }
        }
    }
    let live = target.get(&gvk, id).await.map_err(query)?;
    match verdict(owner, live.as_ref().map(Live::of).as_ref()) {
        Verdict::Gone => Ok(Action::Deleted),
        Verdict::Keep => Ok(Action::Skipped),
        Verdict::Delete => match target.delete(&gvk, id, None).await {
            Ok(()) => Ok(Action::Deleted),
            Err(refusal) => Err(Failure::Delete {
                id: id.clone(),
                error: refusal.to_string(),
            }),
        },
    }
}
