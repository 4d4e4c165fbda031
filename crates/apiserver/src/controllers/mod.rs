//! The built-in controllers: each a function from one object (by its key) to the writes that it needs now.
//!
//! ```text
//!  store feed -> triggers (which keys are concerned) -> queue (each key once) -> reconcile -> writes -> store feed
//!                                                         ^                        |
//!                                                         +----- after a delay ----+
//! ```
//!
//! One task runs them all, one key at a time: nothing here waits, and a write that loses a race is tried again from
//! the new state.

mod actor;
mod bootstrap;
mod crd;
mod garbage;
mod namespace;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::store::{Change, Table};
pub use actor::Actor;

/// How many keys are handled before others on the runtime get their turn.
const BATCH: usize = 64;
/// How long a failed reconcile waits.
const RETRY: Duration = Duration::from_millis(200);

/// Which controller a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Crd,
    Namespace,
    Garbage,
}

/// One thing to look at.
type Key = (Kind, Arc<str>);

/// What a reconcile wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing until something changes.
    Done,
    /// Another look after this time.
    After(Duration),
}

/// The error of a reconcile: it is tried again.
type Outcome = crate::status::Result<Next>;

#[derive(Default)]
struct Queue {
    ready: VecDeque<Key>,
    queued: HashSet<Key>,
    later: BTreeMap<(Instant, u64), Key>,
    count: u64,
}

impl Queue {
    fn add(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn add_after(&mut self, key: Key, delay: Duration) {
        self.count += 1;
        self.later.insert((Instant::now() + delay, self.count), key);
    }

    fn pop(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        Some(key)
    }

    /// Moves what is due; gives the time of the next.
    fn tick(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some((&at, _)) = self.later.first_key_value() {
            if at.0 > now {
                return Some(at.0);
            }
            if let Some((_, key)) = self.later.pop_first() {
                self.add(key);
            }
        }
        None
    }
}

/// All controllers with their state.
struct Controllers {
    app: Arc<App>,
    queue: Queue,
    garbage: garbage::Graph,
}

/// Makes what every cluster has, and starts the controllers.
pub fn start(app: &Arc<App>, stopping: &CancellationToken, tasks: &TaskTracker) {
    bootstrap::ensure(app);
    let Some(mut feed) = app.store.feed() else {
        return;
    };
    let mut all = Controllers {
        app: app.clone(),
        queue: Queue::default(),
        garbage: garbage::Graph::default(),
    };
    let stopping = stopping.clone();
    let run = async move {
        all.begin();
        let mut changes = Vec::new();
        loop {
            all.work().await;
            let next = all.queue.tick();
            if !all.queue.ready.is_empty() {
                continue;
            }
            let sleep = next.map(|at| tokio::time::sleep_until(at.into()));
            tokio::select! {
                got = feed.recv_many(&mut changes, 1024) => {
                    if got == 0 {
                        return;
                    }
                    for (table, change) in changes.drain(..) {
                        all.trigger(&table, &change);
                    }
                }
                () = async { match sleep { Some(sleep) => sleep.await, None => std::future::pending().await } } => {}
                () = stopping.cancelled() => return,
            }
        }
    };
    tasks.spawn(run);
}

impl Controllers {
    /// Looks at everything that is there.
    fn begin(&mut self) {
        for table in self.app.store.tables() {
            for object in table.all() {
                let version = object.version;
                let change = Change {
                    version,
                    kind: crate::store::ChangeKind::Put,
                    before: None,
                    object,
                };
                self.trigger(&table, &change);
            }
        }
    }

    /// Queues the keys that a change concerns.
    fn trigger(&mut self, table: &Arc<Table>, change: &Change) {
        self.garbage.follow(table, change, &mut self.queue);
        let key = &change.object.key;
        match &*table.name {
            "customresourcedefinitions.apiextensions.k8s.io" => {
                self.queue.add((Kind::Crd, key.clone()))
            }
            "namespaces" => self.queue.add((Kind::Namespace, key.clone())),
            _ => {
                if change.kind == crate::store::ChangeKind::Remove {
                    self.note_removed(table, change);
                }
            }
        }
    }

    /// An object is gone: somebody may have waited for that.
    fn note_removed(&mut self, table: &Arc<Table>, change: &Change) {
        if let Some(namespace) = change.object.namespace() {
            let going = self
                .app
                .store
                .table("namespaces")
                .get(namespace)
                .is_some_and(|found| found.deleting);
            if going || matches!(&*table.name, "serviceaccounts" | "configmaps") {
                self.queue.add((Kind::Namespace, namespace.into()));
            }
        }
        if let Some(custom) = self
            .app
            .registry
            .index()
            .find_table(&table.name)
            .and_then(|r| r.custom.clone())
            && custom.terminating
        {
            self.queue
                .add((Kind::Crd, custom.definition.as_str().into()));
        }
    }

    async fn work(&mut self) {
        for _ in 0..BATCH {
            let Some(key) = self.queue.pop() else { return };
            let outcome = match key.0 {
                Kind::Crd => crd::reconcile(&self.app, &key.1),
                Kind::Namespace => namespace::reconcile(&self.app, &key.1),
                Kind::Garbage => self.garbage.reconcile(&self.app, &key.1),
            };
            match outcome {
                Ok(Next::Done) => {}
                Ok(Next::After(delay)) => self.queue.add_after(key, delay),
                Err(status) => {
                    tracing::debug!(key = ?key, error = %status, "a built-in controller tries again");
                    self.queue.add_after(key, RETRY);
                }
            }
        }
        tokio::task::yield_now().await;
    }
}
