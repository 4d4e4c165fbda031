//! The surroundings of a controller: what it gets before it starts, and how a process starts and stops.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use kube::api::Api;
use kube::runtime::watcher;
use kube::{Client, Config, Resource};
use tokio_util::sync::CancellationToken;

use crate::args::CommonArgs;
use crate::client::{Cluster, connect, install_tls};
use crate::events::{Destination, Recorder};
use crate::gates::FeatureGates;
use crate::leader::{Candidate, Election, lease_name};
use crate::metrics::Metrics;
use crate::serve::{self, Readiness};

/// What a controller is given.
pub struct Host {
    /// Name of the controller: field manager of its status, component of its events.
    pub controller: &'static str,
    /// The shared flags.
    pub args: CommonArgs,
    /// The feature gates.
    pub gates: FeatureGates,
    /// The connection settings, for clients with other identities.
    pub config: Config,
    /// The client with the controller's own identity.
    pub client: Client,
    /// Where events go.
    pub recorder: Recorder,
    /// The process' metrics.
    pub metrics: Arc<Metrics>,
    /// To be set when the controller is ready.
    pub ready: Readiness,
    /// Cancelled when the process stops.
    pub stop: CancellationToken,
    outbox: tokio::task::JoinHandle<()>,
}

impl Host {
    /// Connects, starts the probe and metrics servers and the event outbox.
    ///
    /// # Errors
    /// Unknown feature gates, an address that is taken, unusable connection settings.
    pub async fn start(
        controller: &'static str,
        args: CommonArgs,
        gates: &[(&'static str, bool)],
        mut config: Config,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let gates = args.gates(gates)?;
        let agent = format!("{controller}/{}", env!("CARGO_PKG_VERSION"));
        config.headers.push((
            http::header::USER_AGENT,
            http::HeaderValue::from_str(&agent).context("user agent")?,
        ));
        let client = connect(config.clone())?;
        let metrics = Arc::new(Metrics::default());
        let ready = Readiness::default();
        if args.health_addr != "0" {
            let listener = serve::listen(&args.health_addr).await?;
            tokio::spawn(serve::probes(listener, ready.clone(), stop.clone()));
        }
        if args.metrics_addr != "0" {
            let listener = serve::listen(&args.metrics_addr).await?;
            tokio::spawn(serve::metrics(listener, metrics.clone(), stop.clone()));
        }
        let destination = Destination {
            controller: controller.to_owned(),
            instance: host_name(),
            post_to: (!args.events_addr.is_empty()).then(|| args.events_addr.clone()),
        };
        let (recorder, outbox) =
            Recorder::start(client.clone(), destination, metrics.clone(), stop.clone());
        Ok(Self {
            controller,
            args,
            gates,
            config,
            client,
            recorder,
            metrics,
            ready,
            stop,
            outbox,
        })
    }

    /// The objects of a namespaced kind that this controller may watch.
    pub fn watched<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self.args.namespace() {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Settings of the watch on the reconciled kind, with the sharding selector.
    pub fn watch_config(&self) -> watcher::Config {
        let config = watcher::Config::default().any_semantic();
        if self.args.watch_label_selector.is_empty() {
            config
        } else {
            config.labels(&self.args.watch_label_selector)
        }
    }

    /// Waits until this replica leads, and stops the process when it no longer does. Returns at once
    /// without leader election; `false` if the process was stopped while waiting.
    pub async fn lead(&self) -> bool {
        if !self.args.enable_leader_election {
            return true;
        }
        let election = Election {
            lease: lease_name(self.controller, &self.args.watch_label_selector),
            identity: format!("{}_{:016x}", host_name(), fastrand::u64(..)),
            lease_duration: self.args.leader_election_lease_duration,
            renew_deadline: self.args.leader_election_renew_deadline,
            retry_period: self.args.leader_election_retry_period,
            release_on_cancel: self.args.leader_election_release_on_cancel,
        };
        let namespace = if self.args.runtime_namespace.is_empty() {
            self.config.default_namespace.clone()
        } else {
            self.args.runtime_namespace.clone()
        };
        let mut candidate =
            Candidate::new(Api::namespaced(self.client.clone(), &namespace), election);
        if !candidate.acquire(&self.stop).await {
            return false;
        }
        let stop = self.stop.clone();
        tokio::spawn(async move {
            if let Err(error) = candidate.hold(stop.clone()).await {
                tracing::error!(error = format!("{error:#}"), "stopping");
                stop.cancel();
            }
        });
        true
    }

    /// Lets the outbox send what it holds; to be called after the controllers have ended.
    pub async fn finish(self) {
        drop(self.recorder);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), self.outbox).await;
    }
}

/// The name of this machine or pod.
pub fn host_name() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| {
            std::fs::read_to_string("/etc/hostname")
                .ok()
                .map(|name| name.trim().to_owned())
        })
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The whole of a controller's `main`: TLS, logs, signals, connection, exit code.
///
/// `args` are the parsed flags of which `common` are the shared ones; `run` works until the token is
/// cancelled, which `SIGTERM` and `SIGINT` do.
pub fn main<F, Fut>(common: &CommonArgs, run: F) -> ExitCode
where
    F: FnOnce(Config, CancellationToken) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    install_tls();
    crate::logging::install(common.log_encoding, common.log_level);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(error = error.to_string(), "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(cancel_on_signal(stop.clone()));
        let config = Cluster::default().config().await?;
        run(config, stop).await
    });
    // Work on blocking threads, such as a fetch, may be cut off.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "problem running the controller"
            );
            ExitCode::FAILURE
        }
    }
}

/// Cancels `stop` on `SIGTERM` or `SIGINT`; a second signal ends the process at once.
pub async fn cancel_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("cannot listen for signals");
        return;
    };
    for round in 0.. {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if round > 0 {
            std::process::exit(130);
        }
        stop.cancel();
    }
}
