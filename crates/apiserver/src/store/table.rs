//! The objects of one resource, and the latest changes to them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Object;

/// At least this many changes are kept, whatever their age and size.
const KEEP_ALWAYS: usize = 256;
/// At most this many changes are kept.
const KEEP_CHANGES: usize = 8192;
/// At most this many bytes of objects are kept for their changes alone.
const KEEP_BYTES: usize = 32 << 20;
/// Changes older than this go; the real server's etcd keeps five minutes.
const KEEP_TIME: Duration = Duration::from_secs(300);

/// Whether an object was written or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Created or updated.
    Put,
    /// Removed.
    Remove,
}

/// One write.
#[derive(Debug, Clone)]
pub struct Change {
    /// The write's version.
    pub version: u64,
    /// What was done.
    pub kind: ChangeKind,
    /// The object before, unless it was created.
    pub before: Option<Arc<Object>>,
    /// The object after, or its last state where it was removed.
    pub object: Arc<Object>,
}

/// The version asked for is older than what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// The oldest version from which changes are known.
    pub oldest: u64,
}

/// Objects of one table at one version.
pub struct Snapshot {
    /// The objects in the order of their keys.
    pub objects: Vec<Arc<Object>>,
}

struct Rows {
    objects: BTreeMap<Arc<str>, Arc<Object>>,
    history: VecDeque<(Instant, Change)>,
    history_bytes: usize,
    /// Every change after this version is in `history`.
    floor: u64,
}

/// The objects of one resource.
pub struct Table {
    /// `RESOURCE.GROUP`.
    pub name: Arc<str>,
    rows: RwLock<Rows>,
    announced: watch::Sender<u64>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Table {
    /// A table with these objects, whose changes up to `floor` are forgotten.
    pub fn new(name: Arc<str>, floor: u64, objects: BTreeMap<Arc<str>, Arc<Object>>) -> Self {
        let rows = Rows {
            objects,
            history: VecDeque::new(),
            history_bytes: 0,
            floor,
        };
        Table {
            name,
            rows: RwLock::new(rows),
            announced: watch::channel(floor).0,
        }
    }

    /// The object of this key.
    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.rows
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .objects
            .get(key)
            .cloned()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.rows
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .objects
            .len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The objects whose key starts with `prefix` and comes behind `after`, now or as of version `at`.
    ///
    /// # Errors
    /// [`Expired`] where `at` is older than what is kept.
    pub fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at: Option<u64>,
    ) -> Result<Snapshot, Expired> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let inside = |key: &str| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let now = rows
            .objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, object)| object.clone());
        let changed_since =
            at.is_some_and(|at| rows.history.back().is_some_and(|(_, c)| c.version > at));
        let Some(at) = at.filter(|_| changed_since) else {
            return Ok(Snapshot {
                objects: now.collect(),
            });
        };
        if at < rows.floor {
            return Err(Expired { oldest: rows.floor });
        }
        // Undo what came later, newest first.
        let mut then: BTreeMap<Arc<str>, Arc<Object>> =
            now.map(|object| (object.key.clone(), object)).collect();
        for (_, change) in rows
            .history
            .iter()
            .rev()
            .take_while(|(_, change)| change.version > at)
        {
            if inside(&change.object.key) {
                match &change.before {
                    Some(before) => then.insert(before.key.clone(), before.clone()),
                    None => then.remove(&change.object.key),
                };
            }
        }
        Ok(Snapshot {
            objects: then.into_values().collect(),
        })
    }

    /// All objects now.
    pub fn all(&self) -> Vec<Arc<Object>> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.objects.values().cloned().collect()
    }

    /// The changes after version `after`, up to version `until`.
    ///
    /// # Errors
    /// [`Expired`] where some of them are no longer kept.
    pub fn changes(&self, after: u64, until: u64) -> Result<Vec<Change>, Expired> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if after < rows.floor {
            return Err(Expired { oldest: rows.floor });
        }
        let start = rows
            .history
            .partition_point(|(_, change)| change.version <= after);
        let later = rows.history.range(start..).map(|(_, change)| change);
        Ok(later
            .take_while(|change| change.version <= until)
            .cloned()
            .collect())
    }

    /// Tells when something was announced: the newest version in this table that may leave the process.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.announced.subscribe()
    }

    /// Makes a change visible.
    pub(super) fn insert(&self, change: Change) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        match change.kind {
            ChangeKind::Put => {
                rows.objects
                    .insert(change.object.key.clone(), change.object.clone());
            }
            ChangeKind::Remove => {
                rows.objects.remove(&change.object.key);
            }
        }
        let now = Instant::now();
        rows.history_bytes += change.object.json().len();
        rows.history.push_back((now, change));
        while rows.history.len() > KEEP_ALWAYS {
            let Some((written, _)) = rows.history.front() else {
                break;
            };
            let over = rows.history.len() > KEEP_CHANGES
                || rows.history_bytes > KEEP_BYTES
                || now.duration_since(*written) > KEEP_TIME;
            if !over {
                break;
            }
            if let Some((_, old)) = rows.history.pop_front() {
                rows.history_bytes -= old.object.json().len();
                rows.floor = old.version;
            }
        }
    }

    /// Tells watchers that changes up to `version` may be sent.
    pub(super) fn announce(&self, version: u64) {
        self.announced.send_replace(version);
    }
}
