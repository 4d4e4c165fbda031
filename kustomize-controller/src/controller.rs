//! Puts the controller together: watches, triggers, workers.
//!
//! ```text
//! Kustomization ── spec, request ───────┐
//! source ────────── new revision ───────┤
//! ConfigMap, Secret ── labelled ones ───┼─> trigger + queue ─> workers ─> turn
//! Kustomization ─── became ready ───────┤
//! managed objects ─ changed, deleted ───┘ (queue only)
//! ```

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use sluice_api::artifact::Artifact;
use sluice_api::condition::{self, RECONCILING, Status};
use sluice_api::key::RECONCILE_REQUEST;
use sluice_api::kustomize::{Kustomization, SourceKind, ValuesKind};
use sluice_artifact::fetch::Options;
use sluice_runtime::controller::{self, Kind};
use sluice_runtime::host::Host;
use sluice_runtime::informer::{self, Change, ObjectKey, Store};
use sluice_runtime::queue::Queue;
use tokio_util::sync::CancellationToken;

use crate::cluster::Live;
use crate::cluster::admission::Policies;
use crate::cluster::mapper::Mapper;
use crate::cluster::remote::{Allowed, Remotes};
use crate::cluster::watch::Observer;
use crate::depends::AfterExpression;
use crate::edge::{Edge, Parts};
use crate::reconcile::{Memory, Reconciler};
use crate::registry::Registry;
use crate::settings::{Args, CONTROLLER, GATES, Gates, Settings};
use crate::source::Reference;
use crate::status::is_ready;
use crate::stores::{Stores, wake_dependents};

/// The reconciled kind as logs and metrics name it.
const KIND: Kind = Kind {
    kind: "Kustomization",
    group: "kustomize.toolkit.fluxcd.io",
    controller: "kustomization",
};

/// How long the first listings may take before work begins without them.
const FIRST_LISTING: Duration = Duration::from_secs(30);

/// What triggers share.
#[derive(Clone)]
struct Triggers {
    stores: Stores,
    registry: Arc<Registry<Memory>>,
    queue: Arc<Queue<ObjectKey>>,
    settings: Arc<Settings>,
}

impl Triggers {
    fn fire(&self, key: ObjectKey, cause: &str) {
        self.registry.trigger(&key, cause);
        self.queue.add(key);
    }

    /// A Kustomization appeared, changed or went.
    fn kustomization(&self, change: Change<'_, Kustomization>) {
        let key = ObjectKey::of(change.object());
        match change {
            Change::Added(_) => self.fire(key.clone(), &format!("Kustomization/{key}")),
            Change::Updated { old, new } if is_asked(old, new) => {
                self.fire(key.clone(), &format!("Kustomization/{key}"));
            }
            Change::Updated { .. } => {}
            Change::Deleted(_) => self.queue.add(key.clone()),
        }
        let after = AfterExpression::of(self.settings.gates);
        wake_dependents(&key, &self.stores, &self.registry, &self.queue, after);
    }

    /// A source has an artifact.
    fn source(&self, kind: &SourceKind, key: ObjectKey, artifact: &Artifact) {
        let reference = Reference {
            kind: kind.clone(),
            key,
        };
        for ks in self.stores.kustomizations.all() {
            let key = ObjectKey::of(ks.as_ref());
            let is_at = |revision: &str| match self.registry.attempting(&key) {
                Some(attempting) => attempting == revision,
                None => is_at(&ks, revision),
            };
            if Reference::of(&ks) == reference && !is_at(&artifact.revision) {
                self.fire(key, &reference.subject());
            }
        }
    }

    /// A ConfigMap or Secret changed that the user wants to be noticed.
    fn config(&self, kind: &'static str, changed: &ObjectKey) {
        for ks in self.stores.kustomizations.all() {
            let is_near = ks.metadata.namespace.as_deref() == Some(changed.namespace.as_str());
            if is_near && refers_to(&ks, kind, &changed.name) {
                self.fire(ObjectKey::of(ks.as_ref()), &format!("{kind}/{changed}"));
            }
        }
    }
}

/// Whether a change of a Kustomization asks for a reconciliation.
fn is_asked(old: &Kustomization, new: &Kustomization) -> bool {
    let request = |ks: &Kustomization| {
        ks.metadata
            .annotations
            .as_ref()?
            .get(RECONCILE_REQUEST)
            .cloned()
    };
    old.metadata.generation != new.metadata.generation
        || old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
        || (request(new).is_some() && request(old) != request(new))
}

/// Whether the status of a Kustomization says that it has a revision, or is at it.
fn is_at(ks: &Kustomization, revision: &str) -> bool {
    let Some(status) = &ks.status else {
        return false;
    };
    let is_busy = condition::is(&status.conditions, RECONCILING, Status::True);
    status.last_attempted_revision.as_deref() == Some(revision)
        && (is_busy || is_ready(&status.conditions))
}

/// Whether a Kustomization reads a ConfigMap or Secret of its namespace.
fn refers_to(ks: &Kustomization, kind: &str, name: &str) -> bool {
    let spec = &ks.spec;
    let values = spec
        .post_build
        .iter()
        .flat_map(|post_build| &post_build.substitute_from);
    let is_value = values.into_iter().any(|reference| {
        let is_kind = match reference.kind {
            ValuesKind::ConfigMap => kind == "ConfigMap",
            _ => kind == "Secret",
        };
        is_kind && reference.name == name
    });
    let cluster = spec.kube_config.as_ref();
    let is_cluster = match kind {
        "ConfigMap" => cluster
            .and_then(|c| c.config_map_ref.as_ref())
            .is_some_and(|r| r.name == name),
        _ => cluster
            .and_then(|c| c.secret_ref.as_ref())
            .is_some_and(|r| r.name == name),
    };
    let keys = spec
        .decryption
        .as_ref()
        .and_then(|decryption| decryption.secret_ref.as_ref());
    is_value || is_cluster || (kind == "Secret" && keys.is_some_and(|r| r.name == name))
}

/// Runs the controller until `stop`.
///
/// # Errors
/// Flags that cannot be used, an address that is taken, a cluster that cannot be connected to.
pub async fn run(args: Args, config: kube::Config, stop: CancellationToken) -> anyhow::Result<()> {
    let host = Host::start(CONTROLLER, args.common.clone(), GATES, config, stop).await?;
    let settings = Settings::new(args, Gates::of(&host.gates))?;
    host.ready.set(true);
    if host.lead().await {
        work(&host, settings).await?;
    }
    host.finish().await;
    Ok(())
}

async fn work(host: &Host, settings: Settings) -> anyhow::Result<()> {
    let stores = Stores::default();
    let registry: Arc<Registry<Memory>> = Arc::default();
    let queue = Arc::new(Queue::new(settings.args.common.backoff()));
    let triggers = Triggers {
        stores: stores.clone(),
        registry: registry.clone(),
        queue: queue.clone(),
        settings: Arc::new(settings.clone()),
    };
    let observer = observer(host, &settings, &triggers);
    let mapper = Arc::new(Mapper::new(host.client.clone()));
    let policies = Policies::start(&host.client, &host.stop);
    let edge = Edge::new(Parts {
        client: host.client.clone(),
        stores: stores.clone(),
        fetch: fetch_options(&settings),
        local: Live::new(host.client.clone(), mapper).watched(observer, policies),
        remotes: Remotes::new(Allowed {
            exec: settings.args.insecure_kubeconfig_exec,
            insecure_tls: settings.args.insecure_kubeconfig_tls,
        }),
        recorder: host.recorder.clone(),
        queue: queue.clone(),
        registry: registry.clone(),
        settings: settings.clone(),
    })?;
    watch_all(host, &settings, &triggers).await;
    let concurrency = settings.args.concurrent;
    let reconciler = Arc::new(Reconciler {
        world: edge,
        settings,
        registry,
    });
    let turn = move |key: ObjectKey| {
        let reconciler = reconciler.clone();
        async move { Box::pin(reconciler.turn(&key)).await }
    };
    controller::run(
        KIND,
        queue,
        concurrency,
        host.metrics.clone(),
        host.stop.clone(),
        turn,
    )
    .await;
    Ok(())
}

fn fetch_options(settings: &Settings) -> Options {
    let variable = |name: &str| std::env::var(name).ok();
    Options {
        retries: settings.args.http_retry,
        source_controller: variable("SOURCE_CONTROLLER_LOCALHOST").filter(|host| !host.is_empty()),
        source_watcher: variable("SOURCE_WATCHER_LOCALHOST"),
        ..Options::default()
    }
}

/// Watches managed objects; a change that matters puts the owner's key into the queue.
fn observer(host: &Host, settings: &Settings, triggers: &Triggers) -> Arc<Observer> {
    let (registry, queue) = (triggers.registry.clone(), triggers.queue.clone());
    let listener: crate::cluster::watch::Listener = Arc::new(move |owner, id, seen| {
        let key = ObjectKey::new(owner.namespace.clone(), owner.name.clone());
        if registry.is_woken(&key, id, |_| seen.clone()) {
            queue.add(key);
        }
    });
    let managers = settings.managers.clone();
    Arc::new(Observer::new(
        host.client.clone(),
        managers,
        listener,
        host.stop.clone(),
    ))
}

/// Starts the watches of all kinds, and waits until what is there is known.
async fn watch_all(host: &Host, settings: &Settings, triggers: &Triggers) {
    let stores = &triggers.stores;
    let plain = || watcher::Config::default().page_size(200);
    let of = |triggers: &Triggers| {
        let triggers = triggers.clone();
        move |change: Change<'_, Kustomization>| triggers.kustomization(change)
    };
    // Sources first, so that no Kustomization is told that its source is missing.
    follow_source(
        host,
        &stores.git,
        SourceKind::GitRepository,
        triggers,
        |o| o.status.as_ref()?.artifact.as_ref(),
    );
    follow_source(
        host,
        &stores.oci,
        SourceKind::OciRepository,
        triggers,
        |o| o.status.as_ref()?.artifact.as_ref(),
    );
    follow_source(host, &stores.bucket, SourceKind::Bucket, triggers, |o| {
        o.status.as_ref()?.artifact.as_ref()
    });
    if settings.gates.external_artifact {
        let kind = SourceKind::ExternalArtifact;
        follow_source(host, &stores.external, kind, triggers, |o| {
            o.status.as_ref()?.artifact.as_ref()
        });
    }
    let sources = async {
        stores.git.until_synced().await;
        stores.oci.until_synced().await;
        stores.bucket.until_synced().await;
    };
    first_listing(&host.stop, sources).await;
    let config = host.watch_config().page_size(200);
    let api = host.watched::<Kustomization>();
    tokio::spawn(informer::run(
        api,
        config,
        stores.kustomizations.clone(),
        host.stop.clone(),
        of(triggers),
    ));
    if !settings.gates.disable_config_watchers {
        let selector = &settings.args.common.watch_configs_label_selector;
        follow_config::<ConfigMap>(host, plain().labels(selector), "ConfigMap", triggers);
        follow_config::<Secret>(host, plain().labels(selector), "Secret", triggers);
    }
    first_listing(&host.stop, stores.kustomizations.until_synced()).await;
}

/// Waits for first listings, a while.
async fn first_listing(stop: &CancellationToken, listed: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        _ = tokio::time::timeout(FIRST_LISTING, listed) => {}
    }
}

/// Watches one kind of source.
fn follow_source<K>(
    host: &Host,
    store: &Store<K>,
    kind: SourceKind,
    triggers: &Triggers,
    artifact: fn(&K) -> Option<&Artifact>,
) where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let triggers = triggers.clone();
    let changed = move |change: Change<'_, K>| {
        let is_same = |old: &K, new: &K| {
            artifact(old).map(|a| &a.revision) == artifact(new).map(|a| &a.revision)
        };
        let object = match change {
            Change::Updated { old, new } if is_same(old, new) => return,
            Change::Deleted(_) => return,
            change => change.object(),
        };
        if let Some(found) = artifact(object) {
            triggers.source(&kind, ObjectKey::of(object), found);
        }
    };
    let config = watcher::Config::default().page_size(200);
    tokio::spawn(informer::run(
        host.watched::<K>(),
        config,
        store.clone(),
        host.stop.clone(),
        changed,
    ));
}

/// Watches the metadata of one kind of configuration.
fn follow_config<K>(host: &Host, config: watcher::Config, kind: &'static str, triggers: &Triggers)
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let triggers = triggers.clone();
    let api: Api<PartialObjectMeta<K>> = match host.args.namespace() {
        Some(namespace) => Api::namespaced(host.client.clone(), namespace),
        None => Api::all(host.client.clone()),
    };
    let changed = move |change: Change<'_, PartialObjectMeta<K>>| {
        triggers.config(kind, &ObjectKey::of(change.object()));
    };
    tokio::spawn(informer::run(
        api,
        config,
        Store::default(),
        host.stop.clone(),
        changed,
    ));
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;

    fn kustomization() -> Kustomization {
        let condition = json!({"type": "Ready", "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let object = json!({"metadata": {"name": "app", "namespace": "apps", "generation": 1},
            "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "app"}},
            "status": {"observedGeneration": 1, "lastAttemptedRevision": "one", "conditions": [condition]}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_source_that_goes_back_is_followed_while_the_status_still_says_the_old_revision() {
        let args = Args::try_parse_from([CONTROLLER]).unwrap();
        let gates = Gates::of(&args.common.gates(GATES).unwrap());
        let triggers = Triggers {
            stores: Stores::default(),
            registry: Arc::default(),
            queue: Arc::new(Queue::new(args.common.backoff())),
            settings: Arc::new(Settings::new(args, gates).unwrap()),
        };
        triggers.stores.kustomizations.learn(kustomization());
        let key = ObjectKey::new("apps", "app");
        let is_told = |attempting: Option<&str>, revision: &str| {
            let entry = triggers.registry.entry(&key);
            entry.shared().attempting = attempting.map(str::to_owned);
            let artifact = Artifact {
                revision: revision.to_owned(),
                ..Artifact::default()
            };
            triggers.source(&SourceKind::GitRepository, key.clone(), &artifact);
            entry.shared().trigger.take().is_some()
        };
        assert!(!is_told(None, "one"), "it is there already");
        assert!(is_told(None, "two"));
        assert!(!is_told(Some("two"), "two"), "it is on its way there");
        assert!(is_told(Some("two"), "one"), "it is on its way elsewhere");
    }
}
