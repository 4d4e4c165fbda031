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
mod daemonset;
mod deployment;
mod disruption;
mod event;
mod garbage;
mod job;
mod namespace;
mod pod;
mod policy;
mod quota;
mod replicaset;
mod revision;
mod role;
mod service;
mod statefulset;
mod volume;
mod workload;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::store::{Change, ChangeKind, Object, Table};
pub use actor::Actor;
pub use disruption::permit as permit_eviction;
pub use quota::usage as quota_usage;

/// How many keys are handled before others on the runtime get their turn.
const BATCH: usize = 64;
/// How long a failed reconcile waits the first time; then twice as long each time.
const RETRY: Duration = Duration::from_millis(200);
/// How long it waits at most.
const RETRY_MOST: Duration = Duration::from_secs(60);

/// Which controller a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Crd,
    Namespace,
    Garbage,
    Deployment,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    Pod,
    Claim,
    Volume,
    Service,
    Budget,
    Policy,
    Quota,
    Roles,
    Events,
}

impl Kind {
    /// The controller that looks at the objects of a table.
    fn of(table: &str) -> Option<Self> {
        Some(match table {
            "customresourcedefinitions.apiextensions.k8s.io" => Kind::Crd,
            "namespaces" => Kind::Namespace,
            "deployments.apps" => Kind::Deployment,
            "replicasets.apps" => Kind::ReplicaSet,
            "replicationcontrollers" => Kind::ReplicationController,
            "statefulsets.apps" => Kind::StatefulSet,
            "daemonsets.apps" => Kind::DaemonSet,
            "jobs.batch" => Kind::Job,
            "cronjobs.batch" => Kind::CronJob,
            "pods" => Kind::Pod,
            "persistentvolumeclaims" => Kind::Claim,
            "persistentvolumes" => Kind::Volume,
            "services" => Kind::Service,
            disruption::BUDGETS => Kind::Budget,
            policy::POLICIES => Kind::Policy,
            quota::QUOTAS => Kind::Quota,
            _ => return None,
        })
    }
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
    events_watched: bool,
    /// How often each key has failed in a row.
    failures: HashMap<Key, u32>,
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
        events_watched: false,
        failures: HashMap::new(),
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
                    kind: ChangeKind::Put,
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
        let object = &change.object;
        if let Some(kind) = Kind::of(&table.name) {
            self.queue.add((kind, object.key.clone()));
        }
        self.queue_controllers(object);
        self.queue_namespaced(Kind::Quota, quota::QUOTAS, object);
        match &*table.name {
            "pods" => self.pod_changed(change),
            "nodes" => self.nodes_changed(),
            "clusterroles.rbac.authorization.k8s.io" => self.queue.add((Kind::Roles, "".into())),
            "events" if change.kind == ChangeKind::Put && !self.events_watched => {
                self.events_watched = true;
                self.queue.add((Kind::Events, "".into()));
            }
            "persistentvolumeclaims" => self.claim_changed(object),
            "endpoints" | "endpointslices.discovery.k8s.io"
                if change.kind == ChangeKind::Remove =>
            {
                let service = object
                    .label("kubernetes.io/service-name")
                    .unwrap_or(object.name());
                self.queue.add((
                    Kind::Service,
                    crate::store::key(object.namespace(), service),
                ));
            }
            "deployments.apps" | "statefulsets.apps" | "daemonsets.apps" | "jobs.batch" => {
                self.queue_namespaced(Kind::Budget, disruption::BUDGETS, object);
                self.annotation_changed(change)
            }
            _ => {}
        }
        if change.kind == ChangeKind::Remove {
            self.note_removed(table, change);
        }
    }

    /// The workload that controls an object looks again.
    fn queue_controllers(&mut self, object: &Object) {
        for owner in &object.owners {
            if let Some((table, key)) = self.garbage.place(&owner.uid)
                && let Some(kind) = Kind::of(table)
            {
                self.queue.add((kind, key.clone()));
            }
        }
    }

    /// All objects of a table in the namespace of an object look again: there are few of them.
    fn queue_namespaced(&mut self, kind: Kind, table: &str, object: &Object) {
        let table = self.app.store.table(table);
        let Some(namespace) = object.namespace().filter(|_| !table.is_empty()) else {
            return;
        };
        let found = table.list(&format!("{namespace}/"), None, None);
        for other in found.map(|all| all.objects).unwrap_or_default() {
            self.queue.add((kind, other.key.clone()));
        }
    }

    fn pod_changed(&mut self, change: &Change) {
        let object = &change.object;
        let Some(namespace) = object.namespace() else {
            return;
        };
        self.queue_namespaced(Kind::Budget, disruption::BUDGETS, object);
        for service in service::selecting(&self.app.store, namespace, object) {
            self.queue.add((Kind::Service, service));
        }
        if change.kind == ChangeKind::Remove {
            let claims = self.app.store.table("persistentvolumeclaims");
            for claim in claims
                .list(&format!("{namespace}/"), None, None)
                .map(|all| all.objects)
                .unwrap_or_default()
            {
                if claim.deleting {
                    self.queue.add((Kind::Claim, claim.key.clone()));
                }
            }
        }
    }

    fn claim_changed(&mut self, object: &Object) {
        let volumes = self.app.store.table("persistentvolumes");
        for volume in volumes.all() {
            if volume.json().contains(object.name()) {
                self.queue.add((Kind::Volume, volume.key.clone()));
            }
        }
        let prefix = format!("{}/", object.namespace().unwrap_or_default());
        let pods = self
            .app
            .store
            .table("pods")
            .list(&prefix, None, None)
            .map(|all| all.objects)
            .unwrap_or_default();
        for pod in pods {
            if !pod.json().contains("\"nodeName\":") {
                self.queue.add((Kind::Pod, pod.key.clone()));
            }
        }
    }

    /// Pods may fit now, and DaemonSets have another number of pods.
    fn nodes_changed(&mut self) {
        for (kind, table) in [(Kind::DaemonSet, "daemonsets.apps"), (Kind::Pod, "pods")] {
            for object in self.app.store.table(table).all() {
                if kind != Kind::Pod || !object.json().contains("\"nodeName\":") {
                    self.queue.add((kind, object.key.clone()));
                }
            }
        }
    }

    /// Another simulation: the pods behind the workload look again.
    fn annotation_changed(&mut self, change: &Change) {
        let Some(before) = &change.before else { return };
        let of = |object: &Object| {
            workload::Simulation::of(&serde_json::json!({"metadata": object.metadata_value()}))
        };
        let marked = |object: &Object| object.metadata().contains(workload::SIMULATE);
        if (marked(before) || marked(&change.object)) && of(before) != of(&change.object) {
            let prefix = format!("{}/", change.object.namespace().unwrap_or_default());
            let pods = self
                .app
                .store
                .table("pods")
                .list(&prefix, None, None)
                .map(|all| all.objects)
                .unwrap_or_default();
            for pod in pods {
                self.queue.add((Kind::Pod, pod.key.clone()));
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

    fn reconcile(&mut self, (kind, key): &Key) -> Outcome {
        match kind {
            Kind::Crd => return crd::reconcile(&self.app, key),
            Kind::Namespace => return namespace::reconcile(&self.app, key),
            Kind::Garbage => return self.garbage.reconcile(&self.app, key),
            Kind::Roles => return role::reconcile(&self.app),
            Kind::Events => return event::expire(&self.app),
            _ => {}
        }
        let cx = workload::Context::new(&self.app, &self.garbage);
        match kind {
            Kind::Deployment => deployment::reconcile(&cx, key),
            Kind::ReplicaSet => replicaset::reconcile(&cx, "replicasets.apps", key),
            Kind::ReplicationController => {
                replicaset::reconcile(&cx, "replicationcontrollers", key)
            }
            Kind::StatefulSet => statefulset::reconcile(&cx, key),
            Kind::DaemonSet => daemonset::reconcile(&cx, key),
            Kind::Job => job::reconcile(&cx, key),
            Kind::CronJob => job::reconcile_cron(&cx, key),
            Kind::Pod => pod::reconcile(&cx, key),
            Kind::Claim => volume::reconcile_claim(&cx, key),
            Kind::Volume => volume::reconcile_volume(&cx, key),
            Kind::Service => service::reconcile(&cx, key),
            Kind::Budget => disruption::reconcile(&cx, key),
            Kind::Policy => policy::reconcile(&cx, key),
            Kind::Quota => quota::reconcile(&cx, key),
            Kind::Crd | Kind::Namespace | Kind::Garbage | Kind::Roles | Kind::Events => {
                Ok(Next::Done)
            }
        }
    }

    async fn work(&mut self) {
        for _ in 0..BATCH {
            let Some(key) = self.queue.pop() else { return };
            let outcome = self.reconcile(&key);
            match outcome {
                Ok(next) => {
                    self.failures.remove(&key);
                    if let Next::After(delay) = next {
                        self.queue.add_after(key, delay);
                    }
                }
                Err(status) => {
                    tracing::debug!(key = ?key, error = %status, "a built-in controller tries again");
                    let failures = self.failures.entry(key.clone()).or_default();
                    let delay = RETRY * 2u32.pow((*failures).min(16));
                    *failures += 1;
                    self.queue.add_after(key, delay.min(RETRY_MOST));
                }
            }
        }
        tokio::task::yield_now().await;
    }
}
