//! The log of writes on disk: one redb file, one commit for all writes that wait.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::{Database, ReadableTable, TableDefinition};
use tokio::sync::watch;

use super::{Change, ChangeKind, Object, Table, lock};

/// `RESOURCE.GROUP` NUL key -> the object's text.
const OBJECTS: TableDefinition<'_, &str, &str> = TableDefinition::new("objects");
/// `RESOURCE.GROUP` -> the version of its last change.
const CHANGED: TableDefinition<'_, &str, u64> = TableDefinition::new("changed");
/// The cache of the database: it is read once, at the start.
const CACHE_BYTES: usize = 4 << 20;

/// The store's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("`{}` is in use by another process", .0.display())]
    Busy(PathBuf),
    /// The file cannot be read or written, or is damaged.
    #[error("cannot open `{}`", .0.display())]
    Open(PathBuf, #[source] Box<redb::Error>),
    /// The file holds an object that cannot be read.
    #[error("`{}` holds an unreadable object `{}`", .0.display(), .1.escape_default())]
    Object(PathBuf, String),
}

/// The tables by name, each with the version of its last change and its objects by key.
type Tables = BTreeMap<Arc<str>, (u64, BTreeMap<Arc<str>, Arc<Object>>)>;

/// What the file held.
pub(super) struct Loaded {
    pub tables: Tables,
    pub version: u64,
    pub log: Log,
}

#[derive(Default)]
struct Queue {
    changes: Vec<(Arc<Table>, Change)>,
    stopping: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

/// The writer of the file.
pub(super) struct Log {
    shared: Arc<Shared>,
    database: Mutex<Option<Database>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Reads the file at `path`, made where it is not there.
pub(super) fn load(path: &Path) -> Result<Loaded, StoreError> {
    let failed = |error: redb::Error| StoreError::Open(path.to_owned(), Box::new(error));
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    let database = builder.create(path).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Busy(path.to_owned()),
        error => failed(error.into()),
    })?;
    let mut tables = Tables::new();
    let mut version = 1;
    let write = database
        .begin_write()
        .map_err(|error| failed(error.into()))?;
    {
        let changed = write
            .open_table(CHANGED)
            .map_err(|error| failed(error.into()))?;
        for row in changed.iter().map_err(|error| failed(error.into()))? {
            let (name, last) = row.map_err(|error| failed(error.into()))?;
            version = version.max(last.value());
            tables.insert(name.value().into(), (last.value(), BTreeMap::new()));
        }
        let objects = write
            .open_table(OBJECTS)
            .map_err(|error| failed(error.into()))?;
        for row in objects.iter().map_err(|error| failed(error.into()))? {
            let (row_key, text) = row.map_err(|error| failed(error.into()))?;
            let damaged = || StoreError::Object(path.to_owned(), row_key.value().to_owned());
            let (name, key) = row_key.value().split_once('\0').ok_or_else(damaged)?;
            let key: Arc<str> = key.into();
            let object =
                Object::from_json(key.clone(), text.value().as_bytes()).ok_or_else(damaged)?;
            version = version.max(object.version);
            let entry = tables.entry(name.into()).or_default();
            entry.0 = entry.0.max(object.version);
            entry.1.insert(key, Arc::new(object));
        }
    }
    write.commit().map_err(|error| failed(error.into()))?;
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        filled: Condvar::new(),
    });
    let log = Log {
        shared,
        database: Mutex::new(Some(database)),
        thread: Mutex::new(None),
    };
    Ok(Loaded {
        tables,
        version,
        log,
    })
}

impl Log {
    /// Starts writing. `durable` is told the version up to which all is on disk.
    pub fn start(&self, durable: watch::Sender<u64>) {
        let Some(database) = lock(&self.database).take() else {
            return;
        };
        let shared = self.shared.clone();
        let spawned = std::thread::Builder::new()
            .name("apiserver-log".into())
            .spawn(move || run(&database, &shared, &durable));
        match spawned {
            Ok(thread) => *lock(&self.thread) = Some(thread),
            Err(error) => tracing::error!(%error, "cannot start the thread that writes the store"),
        }
    }

    /// Queues a change.
    pub fn push(&self, table: Arc<Table>, change: Change) {
        lock(&self.shared.queue).changes.push((table, change));
        self.shared.filled.notify_one();
    }

    /// Writes what is queued and ends the thread.
    pub fn stop(&self) {
        lock(&self.shared.queue).stopping = true;
        self.shared.filled.notify_one();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

fn run(database: &Database, shared: &Shared, durable: &watch::Sender<u64>) {
    loop {
        let batch = {
            let mut queue = lock(&shared.queue);
            while queue.changes.is_empty() && !queue.stopping {
                queue = shared
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.changes.is_empty() {
                return;
            }
            std::mem::take(&mut queue.changes)
        };
        if let Err(error) = commit(database, &batch) {
            // Without its log the server must not acknowledge anything any more.
            tracing::error!(%error, "cannot write the store; the API server accepts no more writes");
            durable.send_replace(u64::MAX);
            return;
        }
        let Some((_, last)) = batch.last() else {
            continue;
        };
        let version = last.version;
        durable.send_replace(version);
        let mut announced: HashMap<&Arc<str>, (&Arc<Table>, u64)> = HashMap::new();
        for (table, change) in &batch {
            announced.insert(&table.name, (table, change.version));
        }
        for (table, version) in announced.into_values() {
            table.announce(version);
        }
    }
}

fn commit(database: &Database, batch: &[(Arc<Table>, Change)]) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut objects = write.open_table(OBJECTS)?;
        let mut changed = write.open_table(CHANGED)?;
        let mut last: HashMap<&str, u64> = HashMap::new();
        for (table, change) in batch {
            let key = format!("{}\0{}", table.name, change.object.key);
            match change.kind {
                ChangeKind::Put => objects.insert(key.as_str(), change.object.json())?,
                ChangeKind::Remove => objects.remove(key.as_str())?,
            };
            last.insert(&table.name, change.version);
        }
        for (name, version) in last {
            changed.insert(name, version)?;
        }
    }
    write.commit()?;
    Ok(())
}
