//! What the controller remembers of each Kustomization while it runs, and who wakes it.
//!
//! A Kustomization that waits is an entry here and nothing else: no task, no worker. What may end its
//! wait (an object that changed, a dependency that became ready, a deadline) puts its key back into
//! the queue. Nothing here outlives the process, and nothing has to: the status holds what must not
//! be lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_api::inventory::ObjectId;
use sluice_objects::change::Action;
use sluice_objects::health::Assessment;
use sluice_objects::object::Gvk;
use sluice_objects::observe::Compared;
use sluice_objects::stage::Stage;
use sluice_objects::switches::{self, Switches};
use sluice_runtime::informer::ObjectKey;
use tokio::time::Instant;

use crate::plan::{Applied, Seen};

/// What is remembered of one managed object.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its kind.
    pub gvk: Gvk,
    /// When it is applied.
    pub stage: Stage,
    /// What the labels and annotations of its manifest say.
    pub switches: Switches,
    /// What the last apply left.
    pub applied: Applied,
    /// What the last apply did.
    pub action: Action,
    /// How it was right after.
    pub health: Assessment,
    /// Whether it removes itself when it is done (a Job with a time to live).
    pub may_vanish: bool,
}

impl Kept {
    /// Whether the live object is not as the last apply left it, in a way that a repair can mend.
    pub fn has_drifted(&self, seen: &Seen) -> bool {
        match (seen, &self.applied.mark) {
            (Seen::Unknown, _) => false,
            (Seen::Absent, Some(_)) => !self.may_vanish,
            (Seen::Absent, None) => false,
            (Seen::Live(live), _) if live.is_deleting => false,
            (Seen::Live(live), _) if switches::skips(self.switches, Some(live.switches)) => false,
            (Seen::Live(live), None) => !switches::skips(self.switches, Some(live.switches)),
            (Seen::Live(live), Some(mark)) => mark.compare(live) == Compared::Different,
        }
    }

    /// Whether a reconciliation has to take the live object back: from another owner, or from managers
    /// that left fields on it. That alone is no drift, it stays so until then. Two owners of one object
    /// would otherwise fight without a pause.
    pub fn wants_takeover(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Live(live)
                if live.is_deleting || switches::skips(self.switches, Some(live.switches)) =>
            {
                false
            }
            Seen::Live(live) => {
                let mark = self.applied.mark.as_ref();
                mark.is_some_and(|mark| mark.compare(live) == Compared::Taken)
                    || (live.is_foreign && switches::takes_over(self.switches, live.switches))
            }
            Seen::Unknown | Seen::Absent => false,
        }
    }
}

/// What changes of its objects mean for a Kustomization.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Attention {
    /// Nothing: it is not in force now.
    #[default]
    None,
    /// Drift is repaired.
    Drift,
    /// Every change may end a wait.
    All,
}

/// What other tasks may look at.
#[derive(Debug, Default)]
pub struct Shared {
    /// The managed objects.
    pub objects: HashMap<ObjectId, Kept>,
    /// Which of their changes matter.
    pub attention: Attention,
    /// The Kustomization that this one waits for, and what the status says of it.
    pub blocked_on: Option<(ObjectKey, String)>,
    /// Whether a reconciliation is due, and what caused it.
    pub trigger: Option<String>,
    /// Revision of the reconciliation that is under way; the status says it only at the end.
    pub attempting: Option<String>,
}

/// One Kustomization.
#[derive(Debug)]
pub struct Entry<M> {
    shared: Mutex<Shared>,
    /// What only its own turns look at.
    pub memory: tokio::sync::Mutex<M>,
}

impl<M> Entry<M> {
    /// What other tasks may look at; to be held shortly.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All Kustomizations.
#[derive(Debug)]
pub struct Registry<M> {
    entries: Mutex<HashMap<ObjectKey, Arc<Entry<M>>>>,
    /// How many of them wait for another one.
    blocked: AtomicUsize,
}

impl<M: Default> Default for Registry<M> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            blocked: AtomicUsize::new(0),
        }
    }
}

impl<M: Default> Registry<M> {
    fn entries(&self) -> MutexGuard<'_, HashMap<ObjectKey, Arc<Entry<M>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a Kustomization, made if there is none.
    pub fn entry(&self, key: &ObjectKey) -> Arc<Entry<M>> {
        let make = || {
            Arc::new(Entry {
                shared: Mutex::default(),
                memory: tokio::sync::Mutex::default(),
            })
        };
        self.entries()
            .entry(key.clone())
            .or_insert_with(make)
            .clone()
    }

    /// The entry of a Kustomization, if there is one.
    pub fn find(&self, key: &ObjectKey) -> Option<Arc<Entry<M>>> {
        self.entries().get(key).cloned()
    }

    /// Forgets a Kustomization that is gone.
    pub fn forget(&self, key: &ObjectKey) {
        let gone = self.entries().remove(key);
        if let Some(entry) = gone {
            self.block(&entry, None);
        }
    }

    /// Notes what a Kustomization waits for.
    pub fn block(&self, entry: &Entry<M>, on: Option<(ObjectKey, String)>) {
        let mut shared = entry.shared();
        let (was, is) = (shared.blocked_on.is_some(), on.is_some());
        shared.blocked_on = on;
        match (was, is) {
            (false, true) => self.blocked.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.blocked.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// Asks for a reconciliation; `cause` is told when it ends a wait.
    pub fn trigger(&self, key: &ObjectKey, cause: &str) {
        self.entry(key).shared().trigger = Some(cause.to_owned());
    }

    /// The revision of the reconciliation that is under way, if one is.
    pub fn attempting(&self, key: &ObjectKey) -> Option<String> {
        self.find(key)?.shared().attempting.clone()
    }

    /// The Kustomizations that wait for another one, with what their status says of it.
    pub fn waiting_for(&self, key: &ObjectKey) -> Vec<(ObjectKey, String)> {
        if self.blocked.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let entries = self.entries();
        let waiting = entries.iter().filter_map(|(dependent, entry)| {
            let blocked = entry.shared().blocked_on.clone();
            let (_, message) = blocked.filter(|(on, _)| on == key)?;
            Some((dependent.clone(), message))
        });
        waiting.collect()
    }

    /// Whether a change of one of its objects has to wake a Kustomization; `seen` tells how the
    /// object is now.
    pub fn is_woken(
        &self,
        key: &ObjectKey,
        id: &ObjectId,
        seen: impl FnOnce(&Gvk) -> Seen,
    ) -> bool {
        let Some(entry) = self.find(key) else {
            return false;
        };
        let shared = entry.shared();
        match (shared.attention, shared.objects.get(id)) {
            (Attention::None, _) => false,
            (Attention::All, _) => true,
            (Attention::Drift, Some(kept)) => kept.has_drifted(&seen(&kept.gvk)),
            (Attention::Drift, None) => false,
        }
    }
}

/// Slows down the repair of an object that is changed again and again.
#[derive(Debug, Default)]
pub struct Damper(HashMap<ObjectId, (u32, Instant)>);

/// Pause after the second repair in a row, doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(600);
/// Quiet time after which an object counts as calm again.
const CALM: Duration = Duration::from_secs(900);

impl Damper {
    /// When an object may be repaired again.
    pub fn next(&self, id: &ObjectId) -> Option<Instant> {
        let (repairs, last) = self.0.get(id)?;
        let pause = match repairs {
            0 | 1 => Duration::ZERO,
            n => FIRST_PAUSE
                .saturating_mul(2_u32.saturating_pow(n - 2))
                .min(LAST_PAUSE),
        };
        Some(*last + pause)
    }

    /// Counts a repair.
    pub fn repaired(&mut self, id: &ObjectId, now: Instant) {
        self.0
            .retain(|_, (_, last)| now.duration_since(*last) < CALM);
        let entry = self.0.entry(id.clone()).or_insert((0, now));
        *entry = (entry.0.saturating_add(1), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn repairs_slow_down_and_calm_is_rewarded() {
        let id = ObjectId {
            name: "a".into(),
            ..ObjectId::default()
        };
        let mut damper = Damper::default();
        assert_eq!(damper.next(&id), None);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let now = Instant::now();
            damper.repaired(&id, now);
            let next = damper.next(&id).unwrap();
            pauses.push((next - now).as_secs());
            tokio::time::sleep_until(next).await;
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
        tokio::time::sleep(CALM).await;
        damper.repaired(&id, Instant::now());
        assert_eq!(damper.next(&id), Some(Instant::now()));
    }
}
