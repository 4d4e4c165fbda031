//! Where objects live: tables in memory with one order of all writes, a window of history for watches and for lists
//! of a past version, and a log on disk.
//!
//! ```text
//!  write -> (lock: check version, number it, insert, remember in history) -> log queue -> one commit for all waiting
//!                      |                                                                     |
//!                      +-> built-in controllers, at once                                     +-> watchers, answers
//! ```
//!
//! A write is visible in memory at once, but nothing that leaves the process (an answer, a watch event) does so
//! before the write is on disk: [`Store::durable`] waits for that. Built-in controllers need not wait, as the log
//! keeps the order: a crash loses their write too, never only what it was based on.
//!
//! What it is not: it knows no schema, no defaults, no permissions.

mod disk;
mod object;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use serde_json::Value;
use tokio::sync::{mpsc, watch};

pub use disk::StoreError;
pub use object::{Object, key};
pub use table::{Change, ChangeKind, Table};

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No object of that key.
    Absent,
    /// The object as written at this version.
    Version(u64),
}

/// Another write came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raced;

/// A change with the table that it is in, as the built-in controllers get it.
pub type Feed = (Arc<Table>, Change);

/// Called for every change, in order, before the writer goes on.
pub type Observer = Box<dyn Fn(&Table, &Change) + Send + Sync>;

/// All tables, and the order of their writes.
pub struct Store {
    tables: RwLock<BTreeMap<Arc<str>, Arc<Table>>>,
    /// Held for every write: the order of versions is the order of insertions.
    writer: Mutex<()>,
    latest: AtomicU64,
    durable: watch::Sender<u64>,
    log: Option<disk::Log>,
    feed: OnceLock<mpsc::UnboundedSender<Feed>>,
    observer: OnceLock<Observer>,
}

/// The guard even where a thread panicked: every critical section leaves the data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store in `folder`, or an empty one in memory.
    ///
    /// # Errors
    /// The file is locked by another process, damaged, or cannot be read or made.
    pub fn open(folder: Option<&Path>) -> Result<Arc<Self>, StoreError> {
        let Some(folder) = folder else {
            return Ok(Arc::new(Self::with(BTreeMap::new(), 1, None)));
        };
        let loaded = disk::load(&folder.join("store.redb"))?;
        let tables: BTreeMap<Arc<str>, Arc<Table>> = loaded
            .tables
            .into_iter()
            .map(|(name, (floor, objects))| {
                (name.clone(), Arc::new(Table::new(name, floor, objects)))
            })
            .collect();
        let store = Arc::new(Self::with(tables, loaded.version, Some(loaded.log)));
        if let Some(log) = &store.log {
            log.start(store.durable.clone());
        }
        Ok(store)
    }

    fn with(tables: BTreeMap<Arc<str>, Arc<Table>>, version: u64, log: Option<disk::Log>) -> Self {
        Store {
            tables: RwLock::new(tables),
            writer: Mutex::new(()),
            latest: AtomicU64::new(version),
            durable: watch::channel(version).0,
            log,
            feed: OnceLock::new(),
            observer: OnceLock::new(),
        }
    }

    /// The table of a resource, `RESOURCE.GROUP`, made where it is not there.
    pub fn table(&self, name: &str) -> Arc<Table> {
        if let Some(table) = self
            .tables
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return table.clone();
        }
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let name: Arc<str> = name.into();
        tables
            .entry(name.clone())
            .or_insert_with(|| Arc::new(Table::new(name, 0, BTreeMap::new())))
            .clone()
    }

    /// Every table there is.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        self.tables
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The version of the last write.
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// The version up to which everything is on disk.
    pub fn durable_version(&self) -> u64 {
        if self.log.is_some() {
            *self.durable.borrow()
        } else {
            self.latest()
        }
    }

    /// Waits until `version` is on disk. False where that will never be: the disk refused a write.
    pub async fn durable(&self, version: u64) -> bool {
        if self.log.is_none() {
            return true;
        }
        let mut durable = self.durable.subscribe();
        durable
            .wait_for(|durable| *durable >= version)
            .await
            .is_ok_and(|durable| *durable < u64::MAX)
    }

    /// Has every later change told to `observer` at once, in order, while other writes wait. Set once.
    pub fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    /// Every later change goes to the receiver, in order. Given out once.
    pub fn feed(&self) -> Option<mpsc::UnboundedReceiver<Feed>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.feed.set(sender).ok().map(|()| receiver)
    }

    /// Writes an object if what is there is as expected. The value's `metadata.resourceVersion` is set here.
    ///
    /// # Errors
    /// [`Raced`] where it is not as expected.
    pub fn put(
        &self,
        table: &Arc<Table>,
        key: &Arc<str>,
        expect: Expect,
        value: Value,
    ) -> Result<Arc<Object>, Raced> {
        let guard = lock(&self.writer);
        let before = self.check(table, key, expect)?;
        let version = self.latest() + 1;
        let object = Arc::new(Object::new(key.clone(), version, value));
        let change = Change {
            version,
            kind: ChangeKind::Put,
            before,
            object: object.clone(),
        };
        self.publish(&guard, table, change);
        Ok(object)
    }

    /// Removes an object if it is as expected; gives its last state, at the version of the removal.
    ///
    /// # Errors
    /// [`Raced`] where it is not as expected.
    pub fn remove(
        &self,
        table: &Arc<Table>,
        key: &Arc<str>,
        expect: Expect,
        last: Value,
    ) -> Result<Arc<Object>, Raced> {
        let guard = lock(&self.writer);
        let before = self.check(table, key, expect)?;
        if before.is_none() {
            return Err(Raced);
        }
        let version = self.latest() + 1;
        let object = Arc::new(Object::new(key.clone(), version, last));
        let change = Change {
            version,
            kind: ChangeKind::Remove,
            before,
            object: object.clone(),
        };
        self.publish(&guard, table, change);
        Ok(object)
    }

    fn check(
        &self,
        table: &Table,
        key: &str,
        expect: Expect,
    ) -> Result<Option<Arc<Object>>, Raced> {
        let before = table.get(key);
        match (expect, &before) {
            (Expect::Absent, None) => Ok(before),
            (Expect::Version(version), Some(object)) if object.version == version => Ok(before),
            _ => Err(Raced),
        }
    }

    fn publish(&self, _writer: &MutexGuard<'_, ()>, table: &Arc<Table>, change: Change) {
        let version = change.version;
        table.insert(change.clone());
        self.latest.store(version, Ordering::Release);
        if let Some(observer) = self.observer.get() {
            observer(table, &change);
        }
        if let Some(feed) = self.feed.get() {
            // The receiver is gone only when the server stops.
            let _ = feed.send((table.clone(), change.clone()));
        }
        match &self.log {
            Some(log) => log.push(table.clone(), change),
            None => table.announce(version),
        }
    }

    /// Writes what is waiting and stops the log. Later writes are not kept.
    pub fn close(&self) {
        if let Some(log) = &self.log {
            log.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::table::Snapshot;
    use super::*;
    use serde_json::json;

    fn config_map(name: &str, data: &str) -> Value {
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "uid": name}, "data": {"a": data}})
    }

    #[test]
    fn stale_writes_are_refused() {
        let store = Store::open(None).unwrap();
        let table = store.table("configmaps");
        let name = key(Some("n"), "x");
        let first = store
            .put(&table, &name, Expect::Absent, config_map("x", "1"))
            .unwrap();
        assert_eq!(
            store
                .put(&table, &name, Expect::Absent, config_map("x", "2"))
                .unwrap_err(),
            Raced
        );
        let at = Expect::Version(first.version);
        store.put(&table, &name, at, config_map("x", "2")).unwrap();
        assert_eq!(
            store
                .put(&table, &name, at, config_map("x", "3"))
                .unwrap_err(),
            Raced
        );
        assert_eq!(
            store
                .remove(&table, &name, at, config_map("x", "3"))
                .unwrap_err(),
            Raced
        );
    }

    #[test]
    fn list_of_a_past_version_sees_that_version() {
        let store = Store::open(None).unwrap();
        let table = store.table("configmaps");
        let (a, b) = (key(Some("n"), "a"), key(Some("n"), "b"));
        let first = store
            .put(&table, &a, Expect::Absent, config_map("a", "1"))
            .unwrap();
        store
            .put(&table, &b, Expect::Absent, config_map("b", "1"))
            .unwrap();
        let then = store.latest();
        store
            .put(
                &table,
                &a,
                Expect::Version(first.version),
                config_map("a", "2"),
            )
            .unwrap();
        let b_now = table.get(&b).unwrap();
        store
            .remove(&table, &b, Expect::Version(b_now.version), b_now.value())
            .unwrap();
        store
            .put(
                &table,
                &key(Some("n"), "c"),
                Expect::Absent,
                config_map("c", "1"),
            )
            .unwrap();
        let names = |snapshot: Snapshot| -> Vec<String> {
            snapshot
                .objects
                .iter()
                .map(|o| format!("{}={}", o.name(), o.value()["data"]["a"]))
                .collect()
        };
        assert_eq!(
            names(table.list("n/", None, Some(then)).unwrap()),
            ["a=\"1\"", "b=\"1\""]
        );
        assert_eq!(
            names(table.list("n/", Some("n/a"), Some(then)).unwrap()),
            ["b=\"1\""]
        );
        assert_eq!(
            names(table.list("n/", None, None).unwrap()),
            ["a=\"2\"", "c=\"1\""]
        );
        assert_eq!(
            names(table.list("m/", None, None).unwrap()),
            Vec::<String>::new()
        );
    }

    #[tokio::test]
    async fn an_acknowledged_write_survives_without_a_clean_stop() {
        let folder = tempfile::tempdir().unwrap();
        let version = {
            let store = Store::open(Some(folder.path())).unwrap();
            let table = store.table("configmaps");
            for name in ["a", "b"] {
                let object = store
                    .put(
                        &table,
                        &key(Some("n"), name),
                        Expect::Absent,
                        config_map(name, "1"),
                    )
                    .unwrap();
                assert!(store.durable(object.version).await);
            }
            let a = table.get("n/a").unwrap();
            let gone = store
                .remove(&table, &a.key, Expect::Version(a.version), a.value())
                .unwrap();
            assert!(store.durable(gone.version).await);
            store.close();
            store.latest()
        };
        let store = Store::open(Some(folder.path())).unwrap();
        assert_eq!(store.latest(), version);
        let table = store.table("configmaps");
        assert!(table.get("n/a").is_none());
        assert_eq!(table.get("n/b").unwrap().value()["data"]["a"], "1");
        assert!(table.changes(version, u64::MAX).unwrap().is_empty());
        assert!(table.changes(version - 1, u64::MAX).is_err());
    }
}
