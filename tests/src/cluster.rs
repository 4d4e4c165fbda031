//! The cluster that a scenario runs on, under the scenario's control.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use kube::{Client, Config};
use sluice_runtime::logging::{self, Encoding, Verbosity};

/// Names a kubeconfig: scenarios run there instead of on an embedded server.
pub const KUBECONFIG: &str = "SLUICE_TEST_KUBECONFIG";
/// Names a program that stops that cluster's API server and starts it again on the same data.
pub const RESTART: &str = "SLUICE_TEST_RESTART";

/// Where scenarios run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On an embedded API server.
    Embedded,
    /// On a real one.
    Real,
}

/// Where scenarios run.
pub fn place() -> Place {
    match std::env::var_os(KUBECONFIG) {
        None => Place::Embedded,
        Some(_) => Place::Real,
    }
}

/// What a process needs once: TLS, and the controllers' logs on standard error if `SLUICE_TEST_LOG` is set.
pub fn install() {
    sluice_runtime::client::install_tls();
    static LOGS: std::sync::Once = std::sync::Once::new();
    if std::env::var_os("SLUICE_TEST_LOG").is_some() {
        LOGS.call_once(|| logging::install(Encoding::Console, Verbosity::Debug));
    }
}

/// A running cluster with the CRDs.
pub struct Cluster {
    /// A client with all rights, that no proxy sees.
    pub client: Client,
    /// Settings of such a client.
    pub config: Config,
    /// A kubeconfig of the same.
    pub kubeconfig: PathBuf,
    state: PathBuf,
    embedded: Option<sluice_apiserver::Server>,
}

impl Cluster {
    /// Starts an embedded one with its state in `state`, or connects to the real one.
    ///
    /// # Errors
    /// It does not start or answer.
    pub async fn start(state: &Path) -> anyhow::Result<Self> {
        install();
        std::fs::create_dir_all(state)?;
        let cluster = match std::env::var_os(KUBECONFIG) {
            None => {
                let started = sluice::up::cluster::embedded(state).await?;
                Self {
                    client: sluice_runtime::client::connect(started.config.clone())?,
                    config: started.config,
                    kubeconfig: state.join("kubeconfig"),
                    state: state.to_owned(),
                    embedded: Some(started.server),
                }
            }
            Some(path) => {
                let kubeconfig = PathBuf::from(path);
                let named = sluice_runtime::client::Cluster {
                    kubeconfig: Some(kubeconfig.clone()),
                    context: None,
                };
                let config = named.config().await?;
                Self {
                    client: sluice_runtime::client::connect(config.clone())?,
                    config,
                    kubeconfig,
                    state: state.to_owned(),
                    embedded: None,
                }
            }
        };
        sluice::up::cluster::install_crds(&cluster.client, true).await?;
        Ok(cluster)
    }

    /// Stops its API server, does `meanwhile`, and starts it again on the same data and address.
    ///
    /// # Errors
    /// It does not start again, or `meanwhile` fails.
    pub async fn restart(
        &mut self,
        meanwhile: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(server) = self.embedded.take() else {
            let program = std::env::var_os(RESTART)
                .with_context(|| format!("a real cluster is restarted by what {RESTART} names"))?;
            meanwhile()?;
            let restarted = tokio::process::Command::new(program).status().await?;
            ensure!(restarted.success(), "the cluster does not start again");
            return Ok(());
        };
        let address = server.address();
        server.shutdown().await;
        meanwhile()?;
        let started = sluice::up::cluster::embedded(&self.state).await?;
        ensure!(started.server.address() == address, "another address");
        self.embedded = Some(started.server);
        Ok(())
    }

    /// Stops an embedded server; a real one goes on.
    pub async fn stop(self) {
        if let Some(server) = self.embedded {
            server.shutdown().await;
        }
    }
}
