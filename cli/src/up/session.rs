//! A running `sluice up`: a cluster, the controllers, and the repository that they follow.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use kube::{Client, Config};
use sluice_api::key::RECONCILE_REQUEST;
use source_controller::{LocalRepositories, SourceArgs};
use tokio_util::sync::CancellationToken;

use super::repository::Repository;
use super::roots::{self, Wanted};
use super::tree::Others;
use super::{cluster, follow};

/// Whether CRDs may be installed into a cluster that is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Yes.
    Given,
    /// The user has to be asked.
    Ask,
}

/// The cluster to run against.
#[derive(Debug, Clone)]
pub enum ClusterChoice {
    /// The embedded one.
    Embedded,
    /// One that is there.
    Existing {
        /// Its kubeconfig; the usual places if unset.
        kubeconfig: Option<PathBuf>,
        /// Context in it.
        context: Option<String>,
        /// Whether its CRDs may be installed.
        consent: Consent,
    },
}

/// What a session runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The repository.
    pub repository: Repository,
    /// What of it.
    pub wanted: Wanted,
    /// Folder of the embedded cluster's state and of the artifacts.
    pub state: PathBuf,
    /// The cluster.
    pub cluster: ClusterChoice,
}

/// A running session.
pub struct Session {
    /// A client with the rights of the controllers.
    pub client: Client,
    /// Settings of that client.
    pub config: Config,
    /// Ends the session when cancelled.
    pub stop: CancellationToken,
    /// The request that the root source was given, to be looked at now.
    pub request: String,
    controllers: Controllers,
    following: tokio::task::JoinHandle<anyhow::Result<()>>,
    embedded: Option<cluster::Embedded>,
}

impl Session {
    /// Connects, makes sure that nobody else does the work, starts the controllers and applies the root.
    ///
    /// # Errors
    /// Anything that keeps it from starting: the reason and what to do.
    pub async fn start(settings: Settings, stop: CancellationToken) -> anyhow::Result<Self> {
        let repository = Arc::new(settings.repository.clone());
        let mut root = roots::choose(&repository, &settings.wanted)?;
        let (config, embedded) = connect(&settings).await?;
        let client = sluice_runtime::client::connect(config.clone())?;
        prepare(&settings.cluster, &client).await?;
        let controllers = start_controllers(&settings.state, &config, &repository, &stop)?;
        let namespace = root
            .source
            .pointer("/metadata/namespace")
            .and_then(serde_json::Value::as_str)
            .unwrap_or(&settings.wanted.namespace);
        cluster::ensure_namespace(&client, namespace).await?;
        let target = root.kustomization.pointer("/spec/targetNamespace");
        if let Some(target) = target.and_then(serde_json::Value::as_str) {
            cluster::ensure_namespace(&client, target).await?;
        }
        let request = jiff::Timestamp::now().to_string();
        root.source["metadata"]["annotations"][RECONCILE_REQUEST] = request.clone().into();
        cluster::apply(&client, &root.source).await?;
        cluster::apply(&client, &root.kustomization).await?;
        if let Some(file) = &root.file {
            eprintln!("► running what `{file}` describes");
        }
        let following = tokio::spawn(follow::follow(client.clone(), repository, stop.clone()));
        Ok(Self {
            client,
            config,
            stop,
            request,
            controllers,
            following,
            embedded,
        })
    }

    /// Which controllers besides ours there can be.
    pub fn others(&self) -> Others {
        match self.embedded {
            Some(_) => Others::None,
            None => Others::Any,
        }
    }

    /// Stops everything, within two seconds.
    pub async fn end(self) {
        self.stop.cancel();
        let ended = async {
            let _ = self.following.await;
            for controller in self.controllers {
                if let Ok(Err(error)) = controller.await {
                    eprintln!("✗ {error:#}");
                }
            }
        };
        // Whatever does not end in time may be cut off: every effect is safe to repeat.
        let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
        if let Some(embedded) = self.embedded {
            embedded.server.shutdown().await;
        }
    }
}

/// Removes the state, and refuses to remove anything else.
///
/// # Errors
/// The folder holds something else or cannot be removed.
pub fn forget(state: &Path) -> anyhow::Result<()> {
    if !state.exists() {
        return Ok(());
    }
    let ours = state.join("kubeconfig").exists() || state.join("cluster").exists();
    let empty = std::fs::read_dir(state)
        .map(|mut entries| entries.next().is_none())
        .unwrap_or(false);
    if !ours && !empty {
        bail!(
            "`{}` does not look like the state of sluice; it is not removed",
            state.display()
        );
    }
    std::fs::remove_dir_all(state).with_context(|| format!("cannot remove `{}`", state.display()))
}

async fn connect(settings: &Settings) -> anyhow::Result<(Config, Option<cluster::Embedded>)> {
    let ClusterChoice::Existing {
        kubeconfig,
        context,
        ..
    } = &settings.cluster
    else {
        let embedded = cluster::embedded(&settings.state).await?;
        eprintln!(
            "► embedded cluster at {}, export KUBECONFIG={}",
            embedded.config.cluster_url,
            settings.state.join("kubeconfig").display()
        );
        return Ok((embedded.config.clone(), Some(embedded)));
    };
    let cluster = sluice_runtime::client::Cluster {
        kubeconfig: kubeconfig.clone(),
        context: context.clone(),
    };
    Ok((cluster.config().await?, None))
}

/// Makes sure that nobody else does the work and that the CRDs are there.
async fn prepare(choice: &ClusterChoice, client: &Client) -> anyhow::Result<()> {
    let ClusterChoice::Existing { consent, .. } = choice else {
        cluster::install_extensions(client).await?;
        cluster::install_crds(client, true).await?;
        return Ok(());
    };
    let running = cluster::running_controllers(client).await?;
    if !running.is_empty() {
        bail!(
            "the cluster has controllers of the same kinds already, two would fight: {}; scale them to zero first",
            running.join(", ")
        );
    }
    let missing = cluster::install_crds(client, *consent == Consent::Given).await?;
    if missing.is_empty() {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "the cluster lacks {} CRDs ({}); give --yes to install them",
            missing.len(),
            missing.join(", ")
        );
    }
    eprint!("Install {} CRDs into this cluster? [y/N] ", missing.len());
    std::io::stderr().flush().context("standard error")?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("standard input")?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was installed");
    }
    cluster::install_crds(client, true).await?;
    Ok(())
}

/// The port of the artifact server: that of the last session on the same state if it is still free, so
/// that the addresses which objects carry stay true.
fn artifact_port(state: &Path) -> anyhow::Result<u16> {
    let file = state.join("artifact-port");
    let last = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    let bind = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port));
    let listener = bind(last)
        .or_else(|_| bind(0))
        .context("cannot listen on 127.0.0.1")?;
    let port = listener.local_addr().context("artifact server")?.port();
    std::fs::write(&file, port.to_string())
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    Ok(port)
}

type Controllers = Vec<tokio::task::JoinHandle<anyhow::Result<()>>>;

fn start_controllers(
    state: &Path,
    config: &Config,
    repository: &Repository,
    stop: &CancellationToken,
) -> anyhow::Result<Controllers> {
    let artifacts = state.join("artifacts");
    std::fs::create_dir_all(&artifacts)
        .with_context(|| format!("cannot create `{}`", artifacts.display()))?;
    // Both serve on free ports of this machine only; probes and metrics are for clusters.
    let quiet = ["--metrics-addr=0", "--health-addr=0"];
    let mut flags = vec!["source-controller".into(), "--storage-path".into()];
    flags.push(artifacts.into_os_string());
    flags.push(format!("--storage-addr=127.0.0.1:{}", artifact_port(state)?).into());
    flags.extend(quiet.map(Into::into));
    let source = SourceArgs::try_parse_from(flags).context("source-controller")?;
    let mut local = LocalRepositories::default();
    if let Some(folder) = &repository.local {
        for address in &repository.addresses {
            local.add(address, folder);
        }
    }
    let options = source_controller::Options {
        git_cache: state.join("git"),
        local,
    };
    let source = source_controller::run(source, config.clone(), stop.clone(), options);
    // Whoever runs a repository here wants to see it work as far as it can: all kinds of sources are allowed.
    let mut flags = vec![
        "kustomize-controller",
        "--feature-gates=ExternalArtifact=true",
    ];
    flags.extend(quiet);
    let kustomize =
        kustomize_controller::Args::try_parse_from(flags).context("kustomize-controller")?;
    let kustomize = kustomize_controller::run(kustomize, config.clone(), stop.clone());
    Ok(vec![tokio::spawn(source), tokio::spawn(kustomize)])
}
