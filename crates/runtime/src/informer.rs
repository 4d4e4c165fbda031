//! A local copy of the objects of one kind, kept current by a watch, that tells its listener of each change.
//!
//! It relists by itself after an expired watch and retries a missing kind (its CRD may come later)
//! with back-off. `managedFields` are dropped before anything is kept: they are most of an object's
//! memory and no controller decides on them here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, RwLock};

use futures::StreamExt as _;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Namespace (empty for cluster-scoped objects) and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of an object.
    pub fn of<K: Resource>(object: &K) -> Self {
        Self::new(
            object.meta().namespace.clone().unwrap_or_default(),
            object.meta().name.clone().unwrap_or_default(),
        )
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One change of a kept object.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a, K> {
    /// It is there now: created, or met for the first time.
    Added(&'a K),
    /// It was there in another version.
    Updated {
        /// The version before.
        old: &'a K,
        /// The version now.
        new: &'a K,
    },
    /// It is gone.
    Deleted(&'a K),
}

impl<'a, K> Change<'a, K> {
    /// The object in its newest known version.
    pub fn object(&self) -> &'a K {
        match self {
            Self::Added(object) | Self::Deleted(object) => object,
            Self::Updated { new, .. } => new,
        }
    }
}

/// The local copy; clones share it.
#[derive(Debug)]
pub struct Store<K> {
    objects: Arc<RwLock<HashMap<ObjectKey, Kept<K>>>>,
    progress: watch::Sender<Progress>,
}

/// What is known of one object.
#[derive(Debug)]
struct Kept<K> {
    /// The newest version.
    current: Arc<K>,
    /// The last version that the watch told of: what the listener compares the next one with. An own write
    /// may have been newer than a change of somebody else that the watch has yet to tell.
    seen: Option<Arc<K>>,
}

/// How far a copy is, for those who wait for it.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    is_synced: bool,
    changes: u64,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            progress: self.progress.clone(),
        }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self {
            objects: Arc::default(),
            progress: watch::Sender::default(),
        }
    }
}

impl<K> Store<K> {
    /// The object with this key.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read().get(key).map(|kept| kept.current.clone())
    }

    /// All objects, in no order.
    pub fn all(&self) -> Vec<Arc<K>> {
        let objects = self.read();
        objects.values().map(|kept| kept.current.clone()).collect()
    }

    /// Whether the first listing is complete.
    pub fn is_synced(&self) -> bool {
        self.progress.borrow().is_synced
    }

    /// Waits until the first listing is complete.
    pub async fn until_synced(&self) {
        self.until(|| self.is_synced().then_some(())).await;
    }

    /// Waits until `look` finds something. It looks once now, and again after each change of the copy.
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let mut progress = self.progress.subscribe();
        loop {
            if let Some(found) = look() {
                return found;
            }
            if progress.changed().await.is_err() {
                // The sender lives as long as `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Keeps a version that came as the answer to an own write, so that the next decision sees it
    /// even if the watch is slower. An older version than the one kept is ignored where the
    /// versions can be compared.
    pub fn learn(&self, object: K)
    where
        K: Resource,
    {
        let (key, object) = (ObjectKey::of(&object), Arc::new(object));
        match self.write().entry(key) {
            Entry::Occupied(mut entry) => entry.get_mut().advance(object),
            Entry::Vacant(entry) => {
                let (current, seen) = (object, None);
                entry.insert(Kept { current, seen });
            }
        }
        self.tell(|_| {});
    }

    /// Keeps a version that the watch tells of; returns the one that it told of before.
    fn see(&self, object: Arc<K>) -> Option<Arc<K>>
    where
        K: Resource,
    {
        match self.write().entry(ObjectKey::of(object.as_ref())) {
            Entry::Occupied(mut entry) => entry.get_mut().see(object),
            Entry::Vacant(entry) => {
                entry.insert(Kept::new(object));
                None
            }
        }
    }

    /// Wakes those who wait for a change.
    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(|progress| {
            progress.changes = progress.changes.wrapping_add(1);
            change(progress);
        });
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<ObjectKey, Kept<K>>> {
        self.objects
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ObjectKey, Kept<K>>> {
        self.objects
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<K: Resource> Kept<K> {
    fn new(object: Arc<K>) -> Self {
        Self {
            current: object.clone(),
            seen: Some(object),
        }
    }

    /// Takes over a version unless a newer one is kept.
    fn advance(&mut self, object: Arc<K>) {
        if version(object.as_ref()) >= version(self.current.as_ref()) {
            self.current = object;
        }
    }

    fn see(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        self.advance(object.clone());
        self.seen.replace(object)
    }
}

/// The resource version as a number; 0 where a server uses something else.
fn version<K: Resource>(object: &K) -> u64 {
    object
        .meta()
        .resource_version
        .as_deref()
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

/// Keeps `store` current and calls `changed` for each change, until `stop`.
///
/// `changed` runs on the watch's task: it may only compute and enqueue.
pub async fn run<K>(
    api: Api<K>,
    config: watcher::Config,
    store: Store<K>,
    stop: CancellationToken,
    mut changed: impl FnMut(Change<'_, K>) + Send,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let stream = watcher::watcher(api, config)
        .modify(|object| object.managed_fields_mut().clear())
        .default_backoff();
    let mut stream = std::pin::pin!(stream);
    let mut relist: Option<HashMap<ObjectKey, Arc<K>>> = None;
    let mut failing = false;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = stream.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => {
                // Said once per outage; the watcher goes on trying.
                if !failing {
                    tracing::error!(
                        kind,
                        error = error.to_string(),
                        "cannot watch, trying again"
                    );
                }
                failing = true;
            }
            Some(Ok(event)) => {
                failing = false;
                apply(&store, &mut relist, event, &mut changed);
            }
        }
    }
}

fn apply<K: Resource>(
    store: &Store<K>,
    relist: &mut Option<HashMap<ObjectKey, Arc<K>>>,
    event: Event<K>,
    changed: &mut impl FnMut(Change<'_, K>),
) {
    match event {
        Event::Init => *relist = Some(HashMap::new()),
        Event::InitApply(object) => {
            if let Some(fresh) = relist {
                fresh.insert(ObjectKey::of(&object), Arc::new(object));
            }
        }
        Event::InitDone => {
            let fresh = relist.take().unwrap_or_default();
            let mut told = Vec::with_capacity(fresh.len());
            let gone = {
                let mut objects = store.write();
                let mut old = std::mem::take(&mut *objects);
                for (key, new) in fresh {
                    let (kept, seen) = match old.remove(&key) {
                        Some(mut kept) => {
                            let seen = kept.see(new.clone());
                            (kept, seen)
                        }
                        None => (Kept::new(new.clone()), None),
                    };
                    objects.insert(key, kept);
                    told.push((seen, new));
                }
                old
            };
            store.tell(|progress| progress.is_synced = true);
            for (seen, new) in &told {
                match seen {
                    None => changed(Change::Added(new)),
                    Some(old) if old.meta().resource_version == new.meta().resource_version => {}
                    Some(old) => changed(Change::Updated { old, new }),
                }
            }
            for kept in gone.values() {
                changed(Change::Deleted(&kept.current));
            }
        }
        Event::Apply(object) => {
            let new = Arc::new(object);
            let old = store.see(new.clone());
            store.tell(|_| {});
            match &old {
                None => changed(Change::Added(&new)),
                Some(old) => changed(Change::Updated { old, new: &new }),
            }
        }
        Event::Delete(object) => {
            store.write().remove(&ObjectKey::of(&object));
            store.tell(|_| {});
            changed(Change::Deleted(&object));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    fn object(name: &str, version: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                namespace: Some("apps".into()),
                name: Some(name.into()),
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn play(store: &Store<ConfigMap>, events: Vec<Event<ConfigMap>>) -> Vec<String> {
        let mut said = Vec::new();
        let mut relist = None;
        for event in events {
            apply(store, &mut relist, event, &mut |change| {
                let name = change.object().metadata.name.clone().unwrap_or_default();
                said.push(match change {
                    Change::Added(_) => format!("+{name}"),
                    Change::Updated { .. } => format!("~{name}"),
                    Change::Deleted(_) => format!("-{name}"),
                });
            });
        }
        said.sort();
        said
    }

    #[test]
    fn a_relist_tells_only_what_changed() {
        let store = Store::default();
        let first = vec![
            Event::Init,
            Event::InitApply(object("a", "1")),
            Event::InitApply(object("b", "2")),
            Event::InitDone,
        ];
        assert!(!store.is_synced());
        assert_eq!(play(&store, first), ["+a", "+b"]);
        assert!(store.is_synced());
        let second = vec![
            Event::Init,
            Event::InitApply(object("b", "2")),
            Event::InitApply(object("c", "3")),
            Event::InitDone,
        ];
        assert_eq!(play(&store, second), ["+c", "-a"]);
    }

    #[test]
    fn the_store_stays_whole_during_a_relist() {
        let store = Store::default();
        play(&store, vec![Event::Apply(object("a", "1"))]);
        play(
            &store,
            vec![Event::Init, Event::InitApply(object("b", "2"))],
        );
        assert!(store.get(&ObjectKey::new("apps", "a")).is_some());
        assert_eq!(store.all().len(), 1);
    }

    #[test]
    fn an_own_write_hides_no_change_that_the_watch_has_yet_to_tell() {
        let store = Store::default();
        let generation = |version: &str, generation: i64| {
            let mut object = object("a", version);
            object.metadata.generation = Some(generation);
            object
        };
        play(&store, vec![Event::Apply(generation("1", 1))]);
        // Somebody changed the specification (version 2) just before our write (version 3).
        store.learn(generation("3", 2));
        let mut changes = Vec::new();
        for version in ["2", "3"] {
            let event = Event::Apply(generation(version, 2));
            apply(&store, &mut None, event, &mut |change| {
                if let Change::Updated { old, new } = change {
                    changes.push((old.metadata.generation, new.metadata.generation));
                }
            });
            let kept = store.get(&ObjectKey::new("apps", "a")).expect("kept");
            assert_eq!(kept.metadata.resource_version.as_deref(), Some("3"));
        }
        assert_eq!(changes, [(Some(1), Some(2)), (Some(2), Some(2))]);
    }

    #[tokio::test]
    async fn a_wait_looks_again_after_each_change() {
        let store: Store<ConfigMap> = Store::default();
        let version = || {
            let kept = store.get(&ObjectKey::new("apps", "a"))?;
            kept.metadata.resource_version.clone()
        };
        let mut looks = 0;
        let until_third = store.until(|| {
            looks += 1;
            version().filter(|version| version == "3")
        });
        let changes = async {
            for version in ["1", "2", "3"] {
                play(&store, vec![Event::Apply(object("a", version))]);
                tokio::task::yield_now().await;
            }
        };
        let (found, ()) = tokio::join!(until_third, changes);
        assert_eq!(found, "3");
        assert!((2..=4).contains(&looks), "{looks}");
        assert!(!store.is_synced());
        play(&store, vec![Event::Init, Event::InitDone]);
        store.until_synced().await;
    }

    #[test]
    fn an_own_write_is_learned_unless_the_watch_was_faster() {
        let store = Store::default();
        play(&store, vec![Event::Apply(object("a", "5"))]);
        store.learn(object("a", "4"));
        let key = ObjectKey::new("apps", "a");
        let kept = store.get(&key).expect("kept");
        assert_eq!(kept.metadata.resource_version.as_deref(), Some("5"));
        store.learn(object("a", "6"));
        let kept = store.get(&key).expect("kept");
        assert_eq!(kept.metadata.resource_version.as_deref(), Some("6"));
    }
}
