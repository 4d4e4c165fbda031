//! The Kubernetes client of a process.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Installs the process-wide TLS provider. Every `main` calls it first; more calls change nothing.
pub fn install_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Which cluster to talk to.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// A kubeconfig file; unset means `KUBECONFIG`, then the pod's own credentials, then `~/.kube/config`.
    pub kubeconfig: Option<std::path::PathBuf>,
    /// A context in it; unset means its current one.
    pub context: Option<String>,
}

impl Cluster {
    /// Reads the connection settings.
    ///
    /// # Errors
    /// No kubeconfig is there, it cannot be read or has no such context.
    pub async fn config(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = match &self.kubeconfig {
            Some(path) => from_file(path, &options).await?,
            None if self.context.is_some() => Config::from_kubeconfig(&options)
                .await
                .context("cannot read the kubeconfig")?,
            None => Config::infer().await.context(
                "no cluster: neither a kubeconfig nor in-cluster credentials were found",
            )?,
        };
        Ok(config)
    }
}

async fn from_file(path: &Path, options: &KubeConfigOptions) -> anyhow::Result<Config> {
    let describe = || format!("cannot use kubeconfig `{}`", path.display());
    let kubeconfig = Kubeconfig::read_from(path).with_context(describe)?;
    Config::from_custom_kubeconfig(kubeconfig, options)
        .await
        .with_context(describe)
}

/// A client with the settings that controllers need: our own deadlines and back-off.
///
/// # Errors
/// The TLS settings are unusable.
pub fn connect(mut config: Config) -> anyhow::Result<Client> {
    config.connect_timeout = Some(Duration::from_secs(10));
    Client::try_from(config).context("cannot set up the Kubernetes client")
}
