//! Watches what `sluice up` shows: sources, Kustomizations, and every object that carries an owner label.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use sluice_api::inventory::ObjectId;
use sluice_api::key::KUSTOMIZE_NAME;
use sluice_api::kustomize::Kustomization;
use sluice_api::source::GitRepository;
use sluice_runtime::informer::{self, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use sluice_objects::health;

use super::tree::{ObjectState, Observed, Others};
use super::view::State;

/// The watches and what they have seen so far.
#[derive(Clone)]
pub struct Observer {
    client: Client,
    repositories: Store<GitRepository>,
    kustomizations: Store<Kustomization>,
    objects: Arc<Mutex<HashMap<ObjectId, ObjectState>>>,
    changed: Arc<Notify>,
    others: Others,
    stop: CancellationToken,
}

/// How an object is, from its live state at the moment it was seen: the rules of the controllers' health checks.
fn judge(object: &DynamicObject, now: jiff::Timestamp) -> ObjectState {
    let live = serde_json::to_value(object).unwrap_or_default();
    let assessment = health::assess(&live, now);
    let state = match assessment.status {
        health::Status::Current => State::Ready,
        health::Status::Failed => State::Failed,
        _ => State::Working,
    };
    ObjectState {
        state,
        message: match state {
            State::Ready => String::new(),
            _ => assessment.message.into(),
        },
        since: now,
    }
}

impl Observer {
    /// Starts watching; ends with `stop`.
    pub fn start(client: Client, others: Others, stop: CancellationToken) -> Self {
        let observer = Self {
            client,
            repositories: Store::default(),
            kustomizations: Store::default(),
            objects: Arc::default(),
            changed: Arc::default(),
            others,
            stop,
        };
        let (wake, kinds) = (observer.changed.clone(), Arc::new(Notify::new()));
        tokio::spawn(informer::run(
            Api::all(observer.client.clone()),
            watcher::Config::default(),
            observer.repositories.clone(),
            observer.stop.clone(),
            move |_| wake.notify_one(),
        ));
        let (wake, look) = (observer.changed.clone(), kinds.clone());
        tokio::spawn(informer::run(
            Api::all(observer.client.clone()),
            watcher::Config::default(),
            observer.kustomizations.clone(),
            observer.stop.clone(),
            move |_| {
                wake.notify_one();
                look.notify_one();
            },
        ));
        tokio::spawn(observer.clone().follow_kinds(kinds));
        observer
    }

    /// Waits for a change since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What has been seen.
    pub fn observed(&self) -> Observed {
        Observed {
            repositories: self.repositories.all(),
            kustomizations: self.kustomizations.all(),
            objects: self.lock().clone(),
            others: self.others,
        }
    }

    /// Starts a watch for each kind that an inventory names and that is not watched yet.
    async fn follow_kinds(self, look: Arc<Notify>) {
        let mut watched: HashSet<(String, String)> = HashSet::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = look.notified() => {}
            }
            let began = tokio::time::Instant::now();
            let missing: HashSet<(String, String)> = self
                .kustomizations
                .all()
                .iter()
                .filter_map(|k| k.status.as_ref()?.inventory.as_ref())
                .flat_map(|inventory| &inventory.entries)
                .filter_map(|entry| Some((entry.object_id().ok()?, &entry.version)))
                .map(|(id, version)| (join(&id.group, version), id.kind))
                .filter(|kind| !watched.contains(kind))
                .collect();
            if missing.is_empty() {
                rest(began, &self.stop).await;
                continue;
            }
            let discovery = Discovery::new(self.client.clone()).run_aggregated().await;
            let Ok(discovery) = discovery else { continue };
            for (api_version, kind) in missing {
                let Some(resource) = resolve(&discovery, &api_version, &kind) else {
                    continue;
                };
                watched.insert((api_version, kind));
                tokio::spawn(self.clone().follow_objects(resource));
            }
        }
    }

    async fn follow_objects(self, resource: ApiResource) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let config = watcher::Config::default().labels(KUSTOMIZE_NAME);
        let stream = watcher::watcher(api, config)
            .modify(|object| object.managed_fields_mut().clear())
            .default_backoff();
        let mut stream = std::pin::pin!(stream);
        let mut listed: HashSet<ObjectId> = HashSet::new();
        loop {
            let event = tokio::select! {
                () = self.stop.cancelled() => return,
                event = stream.next() => event,
            };
            let id = |object: &DynamicObject| ObjectId {
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
                group: resource.group.clone(),
                kind: resource.kind.clone(),
            };
            match event {
                None => return,
                Some(Err(_)) => continue,
                Some(Ok(Event::Init)) => listed.clear(),
                Some(Ok(Event::InitApply(object))) => {
                    listed.insert(id(&object));
                    self.put(id(&object), judge(&object, jiff::Timestamp::now()));
                }
                Some(Ok(Event::InitDone)) => self.lock().retain(|id, _| {
                    id.group != resource.group || id.kind != resource.kind || listed.contains(id)
                }),
                Some(Ok(Event::Apply(object))) => {
                    self.put(id(&object), judge(&object, jiff::Timestamp::now()));
                }
                Some(Ok(Event::Delete(object))) => {
                    self.lock().remove(&id(&object));
                }
            }
            self.changed.notify_one();
        }
    }

    /// Keeps a state; the moment stays that of the first time it was like this.
    fn put(&self, id: ObjectId, mut new: ObjectState) {
        let mut objects = self.lock();
        if let Some(old) = objects.get(&id)
            && old.state == new.state
        {
            new.since = old.since;
        }
        objects.insert(id, new);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectId, ObjectState>> {
        self.objects
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Waits after a look at everything that began then: a look costs as much as there is to see, and most of the
/// processor is left to those who do the work.
pub async fn rest(began: tokio::time::Instant, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(began.elapsed() * 9) => {}
    }
}

fn join(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

fn resolve(discovery: &Discovery, api_version: &str, kind: &str) -> Option<ApiResource> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (resource, _) = discovery.resolve_gvk(&GroupVersionKind::gvk(group, version, kind))?;
    Some(resource)
}
