//! source-controller: fetches sources and serves them as artifacts.
//!
//! ```text
//! GitRepository --watch--> queue --> pass --> fetch --> pack --> storage <--HTTP-- other controllers
//!                                     `--> status, events
//! ```
//!
//! It behaves as Flux's source-controller 1.9 with the same flags. GitRepository is reconciled;
//! objects of the other kinds are left alone. [`run`] is the whole controller; the binary adds a
//! process around it, and `sluice up` runs it beside others.

pub mod advertise;
pub mod args;
pub mod caches;
pub mod common;
pub mod git;
pub mod identity;
pub mod local;
pub mod proxy;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use kube::Config;
use sluice_api::key::{RECONCILE_REQUEST, SOURCE_MANAGER};
use sluice_api::source::GitRepository;
use sluice_artifact::store::{Retention, Store as Storage};
use sluice_git::ssh::Algorithms;
use sluice_runtime::controller::{self, Kind};
use sluice_runtime::host::{Host, host_name};
use sluice_runtime::informer::{self, Change, ObjectKey, Store};
use sluice_runtime::queue::Queue;
use sluice_runtime::serve;
use tokio_util::sync::CancellationToken;

pub use args::SourceArgs;
pub use local::LocalRepositories;

use caches::CacheDir;
use git::credentials::{Gate, OBJECT_IDENTITY_GATE};
use git::reconcile::Reconciler;
use proxy::EnvironmentProxy;

/// The feature gates and their defaults.
const GATES: &[(&str, bool)] = &[
    ("CacheSecretsAndConfigMaps", false),
    (OBJECT_IDENTITY_GATE, false),
];

/// Kinds of Flux's source-controller that are left alone here, by the names that metrics have for
/// their controllers.
const LATER: [&str; 4] = ["bucket", "helmchart", "helmrepository", "ocirepository"];

/// What a process that runs the controller inside itself may set beyond the flags.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the object stores of Git remotes. It can be lost at any time.
    pub git_cache: PathBuf,
    /// Repositories that are read from the disk.
    pub local: LocalRepositories,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            git_cache: std::env::temp_dir().join("source-controller-git"),
            local: LocalRepositories::default(),
        }
    }
}

/// Runs the controller until `stop`.
///
/// # Errors
/// Unknown feature gates or algorithms, a storage folder that is not there, an address that is
/// taken, unusable connection settings.
pub async fn run(
    args: SourceArgs,
    config: Config,
    stop: CancellationToken,
    options: Options,
) -> anyhow::Result<()> {
    let algorithm = args
        .artifact_digest_algo
        .parse()
        .context("--artifact-digest-algo")?;
    if !args.storage_path.is_dir() {
        bail!(
            "storage path `{}` is not a directory",
            args.storage_path.display()
        );
    }
    let host = Host::start(
        SOURCE_MANAGER,
        args.common.clone(),
        GATES,
        config,
        stop.clone(),
    )
    .await?;
    let object_identity = if host.gates.enabled(OBJECT_IDENTITY_GATE) {
        Gate::On
    } else {
        Gate::Off
    };
    if !args.default_service_account.is_empty() && object_identity == Gate::Off {
        bail!("--default-service-account needs the feature gate {OBJECT_IDENTITY_GATE}");
    }
    if !host.lead().await {
        return Ok(());
    }

    let listener = serve::listen(&args.storage_addr).await?;
    let port = listener.local_addr().context("file server")?.port();
    let advertised = advertise::advertised(
        &args.storage_adv_addr,
        &args.storage_addr,
        &host_name(),
        port,
    );
    let retention = Retention {
        ttl: args.artifact_retention_ttl,
        records: args.artifact_retention_records,
    };
    let storage = Storage::open(&args.storage_path, advertised, algorithm, retention)
        .context("artifact storage")?;
    let storage = Arc::new(storage);
    let files = tokio::spawn({
        let (storage, stop) = (Arc::clone(&storage), stop.clone());
        async move { sluice_artifact::serve::serve(listener, storage.root(), stop.cancelled()).await }
    });

    let caches = CacheDir::take(&options.git_cache).context("folder for Git object stores")?;
    let reconciler = Arc::new(reconciler(
        &args,
        &host,
        storage,
        &caches,
        options.local,
        object_identity,
    ));
    tokio::spawn(sweep(Arc::clone(&reconciler), stop.clone()));
    let queue = Arc::new(Queue::new(args.common.backoff()));
    let watch = tokio::spawn(informer::run(
        host.watched::<GitRepository>(),
        host.watch_config(),
        reconciler.objects.clone(),
        stop.clone(),
        {
            let queue = Arc::clone(&queue);
            move |change| enqueue(&queue, change)
        },
    ));
    let kind = Kind {
        kind: "GitRepository",
        group: "source.toolkit.fluxcd.io",
        controller: "gitrepository",
    };
    for other in LATER {
        // Dashboards and alerts expect the series of every kind.
        host.metrics
            .announce(other, i64::try_from(args.concurrent).unwrap_or(i64::MAX));
    }
    host.ready.set(true);
    controller::run(
        kind,
        queue,
        args.concurrent,
        Arc::clone(&host.metrics),
        stop.clone(),
        move |key| Arc::clone(&reconciler).turn(key),
    )
    .await;
    let _ = watch.await;
    let served = files.await;
    host.finish().await;
    served.context("file server")?.context("file server")
}

fn reconciler(
    args: &SourceArgs,
    host: &Host,
    storage: Arc<Storage>,
    caches: &CacheDir,
    local: LocalRepositories,
    object_identity: Gate,
) -> Reconciler {
    let git = sluice_git::client::Options {
        algorithms: Algorithms {
            kex: names(&args.ssh_kex_algos),
            host_key: names(&args.ssh_hostkey_algos),
        },
        ..sluice_git::client::Options::default()
    };
    Reconciler {
        client: host.client.clone(),
        objects: Store::default(),
        storage,
        git: sluice_git::Client::new(git),
        caches: caches.path().to_owned(),
        local,
        identities: identity::Exchange::new(
            args.common.token_cache_max_size,
            args.common.token_cache_max_duration,
        ),
        recorder: host.recorder.clone(),
        jitter: args.common.interval_jitter_percentage,
        requeue_dependency: args.common.requeue_dependency,
        object_identity,
        socks: EnvironmentProxy::read(|name| std::env::var(name).ok()),
    }
}

/// The names of a comma-separated list; an empty flag is an empty list.
fn names(list: &[String]) -> Vec<String> {
    list.iter()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect()
}

/// Removes object stores that nobody needs, once it is known which objects there are.
async fn sweep(reconciler: Arc<Reconciler>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => return,
        () = reconciler.objects.until_synced() => {}
    }
    let swept = tokio::task::spawn_blocking(move || {
        CacheDir::sweep(&reconciler.caches, |key| {
            reconciler.objects.get(key).is_some()
        })
    });
    if let Ok(Err(error)) = swept.await {
        tracing::warn!(%error, "old git object stores cannot be removed");
    }
}

/// Makes an object due when it is new, when its specification changed, when somebody asks, and when
/// it is to be deleted. A status that we wrote ourselves makes nothing due.
fn enqueue(queue: &Queue<ObjectKey>, change: Change<'_, GitRepository>) {
    let asked = |object: &GitRepository| {
        object
            .metadata
            .annotations
            .as_ref()
            .and_then(|a| a.get(RECONCILE_REQUEST))
            .cloned()
    };
    let key = ObjectKey::of(change.object());
    match change {
        Change::Added(_) => queue.add(key),
        Change::Updated { old, new } => {
            let due = old.metadata.generation != new.metadata.generation
                || old.metadata.uid != new.metadata.uid
                || asked(old) != asked(new)
                || old.metadata.deletion_timestamp.is_some()
                    != new.metadata.deletion_timestamp.is_some();
            if due {
                queue.add(key);
            }
        }
        Change::Deleted(_) => queue.forget(&key),
    }
}
