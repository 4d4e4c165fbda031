//! A world in memory: one Kustomization, its source, and a cluster that counts and may stop.

// Each test file uses a part of it, and helpers of tests may panic.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use kustomize_controller::cluster::{Answer, Guard, Mode, Refusal, Scope, Target};
use kustomize_controller::desired::variables::{Loaded, Variables};
use kustomize_controller::desired::{self, Built};
use kustomize_controller::plan::{Admission, Seen};
use kustomize_controller::reconcile::Reconciler;
use kustomize_controller::settings::{Args, GATES, Gates, Settings};
use kustomize_controller::source::{Reference, Source};
use kustomize_controller::world::{Fetched, World};
use serde_json::{Value, json};
use sluice_api::artifact::Artifact;
use sluice_api::inventory::ObjectId;
use sluice_api::kustomize::{Kustomization, KustomizationStatus};
use sluice_objects::object::{self, Gvk, subject};
use sluice_objects::observe::{Depth, observe};
use sluice_objects::takeover::Managers;
use sluice_runtime::controller::Next;
use sluice_runtime::events::Notice;
use sluice_runtime::informer::ObjectKey;
use tokio::sync::Notify;

/// Everything that outlives a crash, and the crash itself.
#[derive(Default)]
pub struct State {
    pub ks: Option<Kustomization>,
    pub others: BTreeMap<ObjectKey, Kustomization>,
    pub artifact: Option<Artifact>,
    /// What each revision builds, or why it does not.
    pub builds: BTreeMap<String, Result<Vec<Value>, String>>,
    pub live: BTreeMap<String, Value>,
    pub version: u64,
    pub notices: Vec<Notice>,
    /// Requests to the cluster and writes of the Kustomization, as text.
    pub requests: Vec<String>,
    /// Requests that are refused, by a part of their text.
    pub refusals: Vec<(String, Refusal)>,
    /// Objects whose deletion does not end.
    pub held: HashSet<String>,
    /// Kinds whose new objects are not healthy at once.
    pub slow: HashSet<String>,
    /// Kinds that are not watched.
    pub unwatched: HashSet<String>,
    /// Kinds that the cluster does not know.
    pub unknown: HashSet<String>,
    /// The effect after which everything stops.
    pub crash_after: Option<usize>,
    pub effects: usize,
    /// What went wrong with the invariants.
    pub violations: Vec<String>,
}

#[derive(Clone, Default)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    crashed: Arc<Notify>,
}

pub const NAMESPACE: &str = "apps";
pub const NAME: &str = "app";

pub fn key() -> ObjectKey {
    ObjectKey::new(NAMESPACE, NAME)
}

/// A Kustomization with a spec that is merged into the default one.
pub fn kustomization(spec: Value) -> Kustomization {
    let mut object = json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "generation": 1, "uid": "ks", "resourceVersion": "1"},
        "spec": {"interval": "1h", "path": "./app", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "app"}},
        "status": {"observedGeneration": -1},
    });
    json_patch::merge(&mut object["spec"], &spec);
    serde_json::from_value(object).unwrap()
}

pub fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": {"k": value}})
}

pub fn artifact(revision: &str) -> Artifact {
    Artifact {
        revision: revision.to_owned(),
        url: format!("http://x/{revision}"),
        digest: revision.to_owned(),
        ..Artifact::default()
    }
}

impl Fake {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Publishes a revision that builds these objects.
    pub fn publish(&self, revision: &str, objects: Vec<Value>) {
        let mut state = self.state();
        state.builds.insert(revision.to_owned(), Ok(objects));
        state.artifact = Some(artifact(revision));
    }

    pub fn reconciler(&self, flags: &[&str]) -> Reconciler<Fake> {
        use clap::Parser as _;
        let args = Args::try_parse_from([&["c"], flags].concat()).unwrap();
        let gates = Gates::of(&args.common.gates(GATES).unwrap());
        Reconciler {
            world: self.clone(),
            settings: Settings::new(args, gates).unwrap(),
            registry: Arc::default(),
        }
    }

    /// Takes the requests made since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    /// Takes the notices sent since the last call, as `reason: message`.
    pub fn notices(&self) -> Vec<String> {
        let notices = std::mem::take(&mut self.state().notices);
        notices
            .iter()
            .map(|n| format!("{}: {}", n.reason, n.message))
            .collect()
    }

    pub fn status(&self) -> KustomizationStatus {
        self.state()
            .ks
            .as_ref()
            .and_then(|ks| ks.status.clone())
            .unwrap_or_default()
    }

    pub fn ready(&self) -> String {
        let status = self.status();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready");
        ready
            .map(|c| format!("{} {}: {}", c.status, c.reason, c.message))
            .unwrap_or_default()
    }

    pub fn inventory(&self) -> Vec<String> {
        self.status()
            .inventory
            .map(|i| i.entries.into_iter().map(|e| e.id).collect())
            .unwrap_or_default()
    }

    pub fn live_names(&self) -> Vec<String> {
        self.state().live.keys().cloned().collect()
    }

    /// Changes a live object behind the controller's back.
    pub fn edit(&self, subject: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        state.version += 1;
        let version = state.version.to_string();
        if let Some(live) = state.live.get_mut(subject) {
            change(live);
            live["metadata"]["resourceVersion"] = json!(version);
        }
    }

    pub fn remove(&self, subject: &str) {
        self.state().live.remove(subject);
    }

    /// A turn, or `None` when the crash came.
    pub async fn turn(&self, reconciler: &Reconciler<Fake>) -> Option<Next> {
        let key = key();
        tokio::select! {
            biased;
            next = reconciler.turn(&key) => Some(next),
            () = self.crashed.notified() => None,
        }
    }

    /// Turns until nothing is due within `patience`; `false` when the crash came.
    pub async fn settle(&self, reconciler: &Reconciler<Fake>, patience: Duration) -> bool {
        for _ in 0..200 {
            match self.turn(reconciler).await {
                None => return false,
                Some(Next::Wait | Next::Gone) => return true,
                Some(Next::After(delay)) if delay > patience => return true,
                Some(Next::After(delay)) => tokio::time::sleep(delay).await,
                Some(Next::Soon | Next::Failed(_)) => {
                    tokio::time::sleep(Duration::from_secs(1)).await
                }
            }
        }
        panic!("it does not settle: {:?}", self.requests());
    }

    /// Counts an effect that has happened; never returns if it was the last one.
    async fn effect(&self, request: String) {
        let stops = {
            let mut state = self.state();
            state.requests.push(request);
            state.effects += 1;
            let lost = lost(&state);
            state.violations.extend(lost);
            state.crash_after == Some(state.effects)
        };
        if stops {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn refusal(&self, request: &str) -> Option<Refusal> {
        let state = self.state();
        state
            .refusals
            .iter()
            .find(|(part, _)| request.contains(part))
            .map(|(_, refusal)| refusal.clone())
    }

    fn next_version(&self) -> String {
        let mut state = self.state();
        state.version += 1;
        state.version.to_string()
    }
}

/// Objects that carry our labels and that the status does not know.
fn lost(state: &State) -> Vec<String> {
    let Some(ks) = &state.ks else {
        return Vec::new();
    };
    let inventory = ks
        .status
        .as_ref()
        .and_then(|s| s.inventory.clone())
        .unwrap_or_default();
    let known: HashSet<_> = inventory.entries.iter().map(|e| e.id.as_str()).collect();
    let owner = desired::owner(ks);
    let own = state
        .live
        .values()
        .filter(|live| sluice_objects::prune::Owner::of(live).as_ref() == Some(&owner));
    own.map(object::id)
        .filter(|id| !known.contains(id.to_string().as_str()))
        .map(|id| format!("{} is lost", subject(&id)))
        .collect()
}

impl Target for Fake {
    async fn scope(&self, gvk: &Gvk) -> Result<Scope, Refusal> {
        if self.state().unknown.contains(&gvk.kind) {
            return Err(Refusal::unknown_kind(format!(
                "no matches for kind \"{}\" in version \"{}\"",
                gvk.kind,
                gvk.api_version()
            )));
        }
        Ok(match gvk.kind.as_str() {
            "Namespace" | "CustomResourceDefinition" => Scope::Cluster,
            _ => Scope::Namespaced,
        })
    }

    async fn preferred(&self, group: &str, kind: &str) -> Result<Gvk, Refusal> {
        let gvk = Gvk {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
        };
        self.scope(&gvk).await.map(|_| gvk)
    }

    async fn observe(&self, _: &[Gvk]) {}

    fn seen(&self, gvk: &Gvk, id: &ObjectId) -> Seen {
        let state = self.state();
        if state.unwatched.contains(&gvk.kind) {
            return Seen::Unknown;
        }
        match state.live.get(&subject(id)) {
            Some(live)
                if object::labels(live)
                    .is_some_and(|l| l.contains_key("kustomize.toolkit.fluxcd.io/name")) =>
            {
                Seen::Live(observe(
                    live,
                    Depth::of(gvk),
                    &Managers::default(),
                    Timestamp::UNIX_EPOCH,
                ))
            }
            _ => Seen::Absent,
        }
    }

    fn admission(&self, _: &Gvk) -> Admission {
        Admission::None
    }

    async fn apply(
        &self,
        _: &Gvk,
        id: &ObjectId,
        manifest: &Value,
        mode: Mode,
        guard: Guard,
    ) -> Result<Answer, Refusal> {
        let word = if mode == Mode::DryRun {
            "check"
        } else {
            "apply"
        };
        let request = format!("{word} {}", subject(id));
        if let Some(refusal) = self.refusal(&request) {
            self.effect(format!("{request} refused")).await;
            return Err(refusal);
        }
        let live = self.state().live.get(&subject(id)).cloned();
        if live.is_some() && guard == Guard::Absent {
            self.effect(format!("{request} conflict")).await;
            return Err(Refusal {
                code: 409,
                reason: "Conflict".into(),
                message: "the object has been modified".into(),
            });
        }
        let created = live.is_none();
        let mut object = manifest.clone();
        let old = live.unwrap_or_else(
            || json!({"metadata": {"uid": format!("uid-{}", self.next_version())}}),
        );
        for field in ["uid", "resourceVersion", "deletionTimestamp"] {
            if let Some(value) = old["metadata"].get(field) {
                object["metadata"][field] = value.clone();
            }
        }
        if let Some(status) = old.get("status") {
            object["status"] = status.clone();
        }
        if created && self.state().slow.contains(&id.kind) {
            object["status"] = json!({"observedGeneration": 0});
        }
        if object != old && mode == Mode::Real {
            object["metadata"]["resourceVersion"] = json!(self.next_version());
        }
        if mode == Mode::Real {
            self.state().live.insert(subject(id), object.clone());
        }
        self.effect(request).await;
        Ok(Answer { object, created })
    }

    async fn get(&self, _: &Gvk, id: &ObjectId) -> Result<Option<Value>, Refusal> {
        let found = self.state().live.get(&subject(id)).cloned();
        self.effect(format!("get {}", subject(id))).await;
        Ok(found)
    }

    async fn patch(&self, _: &Gvk, id: &ObjectId, operations: &Value) -> Result<Value, Refusal> {
        let version = self.next_version();
        let patched = {
            let mut state = self.state();
            let live = state
                .live
                .get_mut(&subject(id))
                .ok_or_else(|| Refusal::not_found("gone"))?;
            let patch: json_patch::Patch = serde_json::from_value(operations.clone()).unwrap();
            json_patch::patch(live, &patch).map_err(|error| Refusal::local(error.to_string()))?;
            live["metadata"]["resourceVersion"] = json!(version);
            live.clone()
        };
        self.effect(format!("patch {}", subject(id))).await;
        Ok(patched)
    }

    async fn delete(&self, _: &Gvk, id: &ObjectId, version: Option<u64>) -> Result<(), Refusal> {
        let request = format!("delete {}", subject(id));
        if let Some(refusal) = self.refusal(&request) {
            self.effect(format!("{request} refused")).await;
            return Err(refusal);
        }
        {
            let mut state = self.state();
            let name = subject(id);
            let current = state
                .live
                .get(&name)
                .map(|live| object::text(live, &["metadata", "resourceVersion"]).to_owned());
            if version.is_some() && current.is_some() && current != version.map(|v| v.to_string()) {
                return Err(Refusal {
                    code: 409,
                    reason: "Conflict".into(),
                    message: "version".into(),
                });
            }
            if state.held.contains(&name) {
                if let Some(live) = state.live.get_mut(&name) {
                    live["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                }
            } else {
                state.live.remove(&name);
            }
        }
        self.effect(request).await;
        Ok(())
    }

    async fn pods(&self, _: &str, _: &str) -> Result<Vec<Value>, Refusal> {
        Ok(Vec::new())
    }
}

impl World for Fake {
    type Files = String;
    type Target = Fake;

    fn now(&self) -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn kustomization(&self, _: &ObjectKey) -> Option<Arc<Kustomization>> {
        self.state().ks.clone().map(Arc::new)
    }

    async fn dependency(&self, key: &ObjectKey) -> Result<Arc<Kustomization>, String> {
        let found = self.state().others.get(key).cloned().map(Arc::new);
        found.ok_or_else(|| {
            format!(
                "kustomizations.kustomize.toolkit.fluxcd.io \"{}\" not found",
                key.name
            )
        })
    }

    fn source(&self, _: &Reference) -> Source {
        match &self.state().artifact {
            Some(artifact) => Source::Artifact(artifact.clone()),
            None => Source::Absent,
        }
    }

    async fn fetch(
        &self,
        _: &Kustomization,
        artifact: &Artifact,
    ) -> Result<Fetched<String>, String> {
        Ok(Fetched::Files(artifact.revision.clone()))
    }

    async fn load(&self, _: &Kustomization) -> Vec<Loaded> {
        Vec::new()
    }

    async fn connect(&self, _: &Kustomization) -> Result<Fake, String> {
        Ok(self.clone())
    }

    async fn build(
        &self,
        _: &Arc<Kustomization>,
        files: String,
        variables: Option<Variables>,
    ) -> Result<Built, String> {
        let built = self.state().builds.get(&files).cloned();
        desired::seal(
            built.unwrap_or_else(|| Ok(Vec::new()))?,
            variables.as_ref(),
            false,
        )
    }

    async fn write_status(
        &self,
        ks: &Arc<Kustomization>,
        status: &KustomizationStatus,
    ) -> Result<Option<Arc<Kustomization>>, String> {
        if ks.status.as_ref() == Some(status) {
            return Ok(None);
        }
        let version = self.next_version();
        let written = {
            let mut state = self.state();
            let Some(ks) = state.ks.as_mut() else {
                return Ok(None);
            };
            ks.status = Some(status.clone());
            ks.metadata.resource_version = Some(version);
            ks.clone()
        };
        self.effect("status".to_owned()).await;
        Ok(Some(Arc::new(written)))
    }

    async fn write_finalizers(
        &self,
        _: &Arc<Kustomization>,
        finalizers: &[String],
    ) -> Result<Option<Arc<Kustomization>>, String> {
        let written = {
            let mut state = self.state();
            let Some(ks) = state.ks.as_mut() else {
                return Ok(None);
            };
            ks.metadata.finalizers = Some(finalizers.to_vec());
            let written = ks.clone();
            if finalizers.is_empty() && ks.metadata.deletion_timestamp.is_some() {
                state.ks = None;
            }
            written
        };
        self.effect("finalizers".to_owned()).await;
        Ok(Some(Arc::new(written)))
    }

    fn service_account(&self, ks: &Kustomization) -> String {
        ks.spec.service_account_name.clone().unwrap_or_default()
    }

    async fn has_service_account(&self, _: &str, name: &str) -> Result<bool, String> {
        Ok(name != "absent")
    }

    fn emit(&self, notice: Notice) {
        self.state().notices.push(notice);
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn jittered(&self, interval: Duration) -> Duration {
        interval
    }
}
