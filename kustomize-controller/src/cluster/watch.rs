//! Watches over the managed objects, one for each kind in use.
//!
//! A watch selects by the owner label, so it sees what this process' Kustomizations (and others)
//! manage and nothing else. Each event is reduced to an [`Observed`] as it arrives; nothing of the
//! object itself is kept. Kinds whose health and content are in their metadata are watched as
//! metadata only.
//!
//! The watches use the controller's own identity. Where that may not list a kind, the kind counts as
//! unknown, and its objects are read one by one with the identity of their Kustomization.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::ApiResource;
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sluice_api::inventory::ObjectId;
use sluice_api::key;
use sluice_objects::object::{self, Gvk};
use sluice_objects::observe::{Depth, Observed, observe};
use sluice_objects::prune::Owner;
use sluice_objects::takeover::Managers;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::mapper::Mapper;
use crate::plan::Seen;

/// Most kinds that are watched at a time; further ones count as unknown.
const MAX_KINDS: usize = 500;
/// Objects of one page of a list: the first listing must not need much memory.
const PAGE: u32 = 100;
/// How often in a row, with growing pauses, a kind is asked for that the server does not know.
const MAX_ABSENCES: u32 = 8;
/// How long a new watch may take to list before its kind counts as unknown for now.
const PATIENCE: Duration = Duration::from_secs(10);

/// Told of each change of a managed object: whose it is or was, which one, and how it is now.
pub type Listener = Arc<dyn Fn(&Owner, &ObjectId, &Seen) + Send + Sync>;

/// All watches of a cluster.
pub struct Observer {
    client: Client,
    managers: Managers,
    listener: Listener,
    stop: CancellationToken,
    kinds: RwLock<HashMap<Gvk, Arc<Watched>>>,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// Namespace and name.
type Key = (Box<str>, Box<str>);

/// One watch.
struct Watched {
    state: watch::Sender<State>,
    known: Mutex<Known>,
}

/// What a watch knows.
#[derive(Default)]
struct Known {
    objects: HashMap<Key, Observed>,
    /// The last deletions with their versions, against answers that come late.
    deleted: VecDeque<(Key, u64)>,
}

/// Deletions that are remembered.
const DELETIONS: usize = 256;

impl Known {
    fn delete(&mut self, key: &Key, version: u64) {
        self.objects.remove(key);
        if self.deleted.len() >= DELETIONS {
            self.deleted.pop_front();
        }
        self.deleted.push_back((key.clone(), version));
    }
}

/// How a watch is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not listed yet.
    Listing,
    /// It knows all objects.
    Synced,
    /// The server refuses it.
    Refused,
}

impl Watched {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer {
    /// An observer without watches.
    pub fn new(
        client: Client,
        managers: Managers,
        listener: Listener,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            managers,
            listener,
            stop,
            kinds: RwLock::default(),
        }
    }

    /// The watch over a kind, if there is one.
    fn of(&self, gvk: &Gvk) -> Option<Arc<Watched>> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get(gvk).cloned()
    }

    /// The watch over a kind, if it knows all objects.
    fn synced(&self, gvk: &Gvk) -> Option<Arc<Watched>> {
        self.of(gvk)
            .filter(|watched| *watched.state.borrow() == State::Synced)
    }

    /// Begins to watch the kinds that are not watched yet, and waits until all have listed or failed to.
    pub async fn watch(self: &Arc<Self>, kinds: &[Gvk], mapper: &Mapper) {
        let mut waiting = Vec::new();
        for gvk in kinds {
            let watched = match self.of(gvk) {
                Some(watched) => Some(watched),
                None => self.start(gvk, mapper).await,
            };
            waiting.extend(watched.map(|watched| watched.state.subscribe()));
        }
        let listed = |mut state: watch::Receiver<State>| async move {
            let _ = state
                .wait_for(|state| *state != State::Listing)
                .await
                .map(|state| *state);
        };
        let all = futures::future::join_all(waiting.into_iter().map(listed));
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }

    async fn start(self: &Arc<Self>, gvk: &Gvk, mapper: &Mapper) -> Option<Arc<Watched>> {
        let resource = mapper.resource(gvk).await.ok()?;
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = kinds.get(gvk) {
            return Some(watched.clone());
        }
        if kinds.len() >= MAX_KINDS {
            return None;
        }
        let watched = Arc::new(Watched {
            state: watch::Sender::new(State::Listing),
            known: Mutex::default(),
        });
        kinds.insert(gvk.clone(), watched.clone());
        drop(kinds);
        let resource = ApiResource {
            group: gvk.group.clone(),
            version: gvk.version.clone(),
            api_version: gvk.api_version(),
            kind: gvk.kind.clone(),
            plural: resource.plural.into_string(),
        };
        let depth = Depth::of(gvk);
        let run = Run {
            observer: self.clone(),
            gvk: gvk.clone(),
            depth,
            watched: watched.clone(),
        };
        let config = watcher::Config::default()
            .labels(key::KUSTOMIZE_NAME)
            .page_size(PAGE);
        match depth {
            Depth::Content => {
                let api: Api<Whole> = Api::all_with(self.client.clone(), &resource);
                tokio::spawn(run.follow(watcher(api, config), |whole| whole.value));
            }
            Depth::Version | Depth::Generation => {
                let api: Api<PartialObjectMeta<DynamicObject>> =
                    Api::all_with(self.client.clone(), &resource);
                tokio::spawn(run.follow(watcher(api, config), |partial| {
                    from_metadata(partial.metadata)
                }));
            }
        }
        Some(watched)
    }

    /// Takes over the answer to an own write, so that the next decision sees it even if the watch is
    /// slower. What the watch has already gone beyond is ignored.
    pub fn learn(&self, gvk: &Gvk, live: &Value) {
        let Some(watched) = self.synced(gvk) else {
            return;
        };
        let observed = observe(live, Depth::of(gvk), &self.managers, jiff::Timestamp::now());
        let key = (object::namespace(live).into(), object::name(live).into());
        let mut known = watched.known();
        let is_old = known
            .objects
            .get(&key)
            .is_some_and(|kept| kept.version > observed.version)
            || known
                .deleted
                .iter()
                .any(|(gone, version)| *gone == key && *version >= observed.version);
        if !is_old && observed.owner.is_some() {
            known.objects.insert(key, observed);
        }
    }

    /// What is known of an object.
    pub fn seen(&self, gvk: &Gvk, id: &ObjectId) -> Seen {
        let Some(watched) = self.synced(gvk) else {
            return Seen::Unknown;
        };
        let known = watched.known();
        match known
            .objects
            .get(&(id.namespace.as_str().into(), id.name.as_str().into()))
        {
            Some(observed) => Seen::Live(observed.clone()),
            None => Seen::Absent,
        }
    }
}

/// One watch at work.
struct Run {
    observer: Arc<Observer>,
    gvk: Gvk,
    depth: Depth,
    watched: Arc<Watched>,
}

impl Run {
    async fn follow<K>(
        self,
        stream: impl futures::Stream<Item = watcher::Result<Event<K>>> + Send,
        value_of: fn(K) -> Value,
    ) where
        K: Send,
    {
        let mut stream = std::pin::pin!(stream.default_backoff());
        let mut fresh: HashMap<Key, Observed> = HashMap::new();
        let mut absences = 0;
        loop {
            let event = tokio::select! {
                () = self.observer.stop.cancelled() => return,
                event = stream.next() => event,
            };
            match event {
                None => return,
                Some(Err(error)) => {
                    absences = if self.failed(&error) { absences + 1 } else { 0 };
                    if absences >= MAX_ABSENCES {
                        // The kind is gone. Whoever needs it again begins a new watch.
                        let mut kinds = self
                            .observer
                            .kinds
                            .write()
                            .unwrap_or_else(PoisonError::into_inner);
                        kinds.remove(&self.gvk);
                        return;
                    }
                }
                Some(Ok(Event::Init)) => fresh.clear(),
                Some(Ok(Event::InitApply(object))) => {
                    let (key, observed) = self.reduce(value_of(object));
                    fresh.insert(key, observed);
                }
                Some(Ok(Event::InitDone)) => self.replace(std::mem::take(&mut fresh)),
                Some(Ok(Event::Apply(object))) => {
                    let (key, observed) = self.reduce(value_of(object));
                    if let Some(before) = self.put(&key, &observed) {
                        self.tell(&key, before.as_ref(), Some(&observed));
                    }
                }
                Some(Ok(Event::Delete(object))) => {
                    let (key, observed) = self.reduce(value_of(object));
                    if self.drop(&key, &observed) {
                        self.tell(&key, Some(&observed), None);
                    }
                }
            }
        }
    }

    /// Takes over an event, unless an answer to a later write is known already. Returns what was known.
    fn put(&self, key: &Key, observed: &Observed) -> Option<Option<Observed>> {
        let mut known = self.watched.known();
        let is_old = known
            .objects
            .get(key)
            .is_some_and(|kept| kept.version > observed.version);
        (!is_old).then(|| known.objects.insert(key.clone(), observed.clone()))
    }

    /// Takes over a deletion, unless the object is known to have been created again.
    fn drop(&self, key: &Key, observed: &Observed) -> bool {
        let mut known = self.watched.known();
        let is_old = known
            .objects
            .get(key)
            .is_some_and(|kept| kept.version > observed.version);
        if !is_old {
            known.delete(key, observed.version);
        }
        !is_old
    }

    /// A refusal makes the kind unknown; an interrupted connection does not, the watch resumes.
    /// Returns whether the server does not know the kind.
    fn failed(&self, error: &watcher::Error) -> bool {
        let status = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        };
        tracing::debug!(
            kind = self.gvk.to_string(),
            error = error.to_string(),
            "watch interrupted"
        );
        if matches!(status, Some(401 | 403 | 404 | 405)) {
            self.watched.state.send_replace(State::Refused);
            self.watched.known().objects.clear();
        }
        status == Some(404)
    }

    fn reduce(&self, mut value: Value) -> (Key, Observed) {
        // Items of a list do not say what they are.
        if let Some(map) = value.as_object_mut() {
            map.insert("apiVersion".to_owned(), Value::from(self.gvk.api_version()));
            map.insert("kind".to_owned(), Value::from(self.gvk.kind.as_str()));
        }
        let observed = observe(
            &value,
            self.depth,
            &self.observer.managers,
            jiff::Timestamp::now(),
        );
        (
            (
                object::namespace(&value).into(),
                object::name(&value).into(),
            ),
            observed,
        )
    }

    fn replace(&self, fresh: HashMap<Key, Observed>) {
        let old = std::mem::replace(&mut self.watched.known().objects, fresh.clone());
        let was_synced = self.watched.state.send_replace(State::Synced) == State::Synced;
        if !was_synced && old.is_empty() {
            return;
        }
        for (key, new) in &fresh {
            let before = old.get(key);
            if before != Some(new) {
                self.tell(key, before, Some(new));
            }
        }
        for (key, gone) in old.iter().filter(|(key, _)| !fresh.contains_key(*key)) {
            self.tell(key, Some(gone), None);
        }
    }

    fn tell(&self, key: &Key, before: Option<&Observed>, after: Option<&Observed>) {
        let id = ObjectId {
            namespace: key.0.to_string(),
            name: key.1.to_string(),
            group: self.gvk.group.clone(),
            kind: self.gvk.kind.clone(),
        };
        let seen = after.map_or(Seen::Absent, |observed| Seen::Live(observed.clone()));
        let [before, after] =
            [before, after].map(|observed| observed.and_then(|o| o.owner.as_ref()));
        if let Some(owner) = after {
            (self.observer.listener)(owner, &id, &seen);
        }
        if let Some(owner) = before.filter(|_| before != after) {
            (self.observer.listener)(owner, &id, &seen);
        }
    }
}

/// The metadata of an object as the object would have it, without the sets of managed fields.
fn from_metadata(mut metadata: ObjectMeta) -> Value {
    for entry in metadata.managed_fields.iter_mut().flatten() {
        entry.fields_v1 = None;
    }
    let mut value = Value::Object(serde_json::Map::new());
    value["metadata"] = serde_json::to_value(&metadata).unwrap_or_default();
    value
}

/// An object as JSON that the watcher can handle.
#[derive(Debug, Clone)]
struct Whole {
    metadata: ObjectMeta,
    value: Value,
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let managed =
            object::map_mut(&mut value, &["metadata"]).and_then(|m| m.get_mut("managedFields"));
        for entry in managed.and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("fieldsV1");
            }
        }
        let text = |field: &str| {
            Some(object::text(&value, &["metadata", field]).to_owned()).filter(|t| !t.is_empty())
        };
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, value })
    }
}

impl Resource for Whole {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(kind: &ApiResource) -> Cow<'_, str> {
        kind.kind.as_str().into()
    }
    fn group(kind: &ApiResource) -> Cow<'_, str> {
        kind.group.as_str().into()
    }
    fn version(kind: &ApiResource) -> Cow<'_, str> {
        kind.version.as_str().into()
    }
    fn api_version(kind: &ApiResource) -> Cow<'_, str> {
        kind.api_version.as_str().into()
    }
    fn plural(kind: &ApiResource) -> Cow<'_, str> {
        kind.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use kube::client::Body;

    use super::*;

    /// A cluster that answers every request with this status, and counts.
    fn refusing(status: u16, asked: Arc<AtomicUsize>) -> Client {
        let service = tower::service_fn(move |_: Request<Body>| {
            asked.fetch_add(1, Ordering::Relaxed);
            let body = serde_json::json!({"kind": "Status", "status": "Failure", "message": "no",
                "reason": "No", "code": status});
            let answer = Response::builder().status(status);
            let answer = answer.body(Body::from(body.to_string().into_bytes()));
            async { Ok::<_, Infallible>(answer.unwrap()) }
        });
        Client::new(service, "default")
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_over_a_kind_that_is_gone_ends_and_one_that_is_refused_goes_on() {
        for (status, goes_on) in [(404, false), (403, true)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let client = refusing(status, asked.clone());
            let mapper = Mapper::new(client.clone());
            let listener: Listener = Arc::new(|_, _, _| {});
            let stop = CancellationToken::new();
            let observer = Arc::new(Observer::new(client, Managers::default(), listener, stop));
            let gvk = Gvk::new("v1", "ConfigMap").unwrap();
            observer.watch(std::slice::from_ref(&gvk), &mapper).await;
            assert_eq!(observer.seen(&gvk, &ObjectId::default()), Seen::Unknown);
            assert!(observer.of(&gvk).is_some());
            tokio::time::sleep(Duration::from_secs(900)).await;
            assert_eq!(observer.of(&gvk).is_some(), goes_on);
            let before = asked.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(900)).await;
            assert_eq!(asked.load(Ordering::Relaxed) > before, goes_on);
            // Whoever needs the kind again begins again.
            observer.watch(std::slice::from_ref(&gvk), &mapper).await;
            assert!(observer.of(&gvk).is_some() && asked.load(Ordering::Relaxed) > before);
        }
    }
}
