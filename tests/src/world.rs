//! A cluster that follows a repository, whoever runs the controllers.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kube::api::{Api, DynamicObject};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use sluice::up::repository;
use sluice::up::roots::Wanted;
use sluice::up::session::{ClusterChoice, Consent, Session, Settings};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, KUBECONFIG};
use crate::controllers::{Ground, Process, Programs, Which};
use crate::git_http::{self, Access};
use crate::objects::{self, git_repositories, is_ready_at, message, request};
use crate::{WorkTree, eventually};

/// Who runs the controllers.
#[derive(Debug, Clone)]
pub enum Host {
    /// `sluice up`, in this process.
    Up,
    /// Two processes that share nothing but the API and the artifact download.
    Processes(Programs),
}

/// A cluster that follows a repository.
pub struct World {
    client: Client,
    running: Running,
}

enum Running {
    Up(Box<Session>),
    Processes(Box<Separate>),
}

struct Separate {
    cluster: Cluster,
    source: Process,
    kustomize: Process,
}

impl World {
    /// Starts it on `tree` with its state in `state`; `path` is the folder in it that describes the
    /// cluster.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(
        host: &Host,
        tree: &WorkTree,
        path: &str,
        state: &Path,
    ) -> anyhow::Result<Self> {
        crate::cluster::install();
        std::fs::create_dir_all(state)?;
        match host {
            Host::Up => Box::pin(Self::up(tree, path, state)).await,
            Host::Processes(programs) => Self::processes(programs, tree, path, state).await,
        }
    }

    async fn up(tree: &WorkTree, path: &str, state: &Path) -> anyhow::Result<Self> {
        let cluster = match std::env::var_os(KUBECONFIG) {
            None => ClusterChoice::Embedded,
            Some(kubeconfig) => ClusterChoice::Existing {
                kubeconfig: Some(kubeconfig.into()),
                context: None,
                consent: Consent::Given,
            },
        };
        let settings = Settings {
            repository: repository::open(&tree.folder().to_string_lossy())?,
            wanted: Wanted {
                path: Some(path.to_owned()),
                branch: None,
                tag: None,
                namespace: "flux-system".to_owned(),
                target_namespace: None,
            },
            state: state.to_owned(),
            cluster,
        };
        let session = Session::start(settings, CancellationToken::new()).await?;
        Ok(Self {
            client: session.client.clone(),
            running: Running::Up(Box::new(session)),
        })
    }

    async fn processes(
        programs: &Programs,
        tree: &WorkTree,
        path: &str,
        state: &Path,
    ) -> anyhow::Result<Self> {
        let cluster = Cluster::start(&state.join("cluster")).await?;
        let ground = Ground::new(&state.join("controllers"))?;
        let start = |which| Process::start(programs, which, &ground, &cluster.kubeconfig);
        let (source, kustomize) = (start(Which::Source)?, start(Which::Kustomize)?);
        let root: PathBuf = state.join("git");
        if !root.exists() {
            tree.serve_below(&root, "fleet")?;
        }
        let git = git_http::serve(&root, Access::Open, None).await;
        let client = cluster.client.clone();
        sluice::up::cluster::ensure_namespace(&client, "flux-system").await?;
        for object in root_objects(&git.url("fleet"), path) {
            sluice::up::cluster::apply(&client, &object).await?;
        }
        // What was committed while nobody ran is not waited for until the next interval.
        request(&git_repositories(&client, "flux-system"), "flux-system").await?;
        Ok(Self {
            client,
            running: Running::Processes(Box::new(Separate {
                cluster,
                source,
                kustomize,
            })),
        })
    }

    /// Stops it gracefully.
    ///
    /// # Errors
    /// A process ended by itself, or with an error.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.running {
            Running::Up(session) => session.end().await,
            Running::Processes(separate) => {
                separate.kustomize.stop().await?;
                separate.source.stop().await?;
                separate.cluster.stop().await;
            }
        }
        Ok(())
    }

    /// Commits to the repository; `sluice up` sees that by itself, source-controller is told as by a
    /// webhook. Returns the revision.
    ///
    /// # Errors
    /// The repository cannot be written or the API server refuses.
    pub async fn commit(
        &self,
        tree: &WorkTree,
        message: &str,
        write: &[(&str, &str)],
        delete: &[&str],
    ) -> anyhow::Result<String> {
        let revision = tree.commit(message, write, delete)?;
        if let Running::Processes(_) = self.running {
            request(
                &git_repositories(&self.client, "flux-system"),
                "flux-system",
            )
            .await?;
        }
        Ok(revision)
    }

    /// The kubeconfig of the cluster behind a world whose state is in `state`.
    pub fn kubeconfig(state: &Path) -> PathBuf {
        let given = std::env::var_os(KUBECONFIG).map(PathBuf::from);
        given.unwrap_or_else(|| state.join("kubeconfig"))
    }

    /// A client with all rights.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The objects of a kind. `resource` is `plural.version.group`, as kubectl writes it.
    pub fn api(&self, resource: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        objects::objects(&self.client, resource, kind, namespace)
    }

    /// The Kustomizations in `flux-system`.
    pub fn kustomizations(&self) -> Api<DynamicObject> {
        objects::kustomizations(&self.client, "flux-system")
    }

    /// Waits until every Kustomization is ready at `revision`.
    ///
    /// # Errors
    /// It takes too long; says what is not ready.
    pub async fn ready_at(&self, revision: &str) -> anyhow::Result<()> {
        let api = self.kustomizations();
        eventually(&format!("everything to be ready at {revision}"), || async {
            let listed = api.list(&Default::default()).await?;
            let behind: Vec<String> = listed
                .iter()
                .filter(|k| !is_ready_at(k, revision))
                .map(|k| format!("{}: {}", k.name_any(), message(k)))
                .collect();
            match (behind.is_empty(), listed.items.is_empty()) {
                (true, false) => Ok(()),
                (true, true) => bail!("there is no Kustomization"),
                _ => bail!("{}", behind.join("; ")),
            }
        })
        .await
        .context("not all is ready")
    }
}

/// The objects that make a cluster follow a repository, as `flux bootstrap` writes them.
fn root_objects(url: &str, path: &str) -> [Value; 2] {
    let metadata = json!({"name": "flux-system", "namespace": "flux-system"});
    [
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": metadata,
            "spec": {"interval": "1m", "url": url, "ref": {"branch": "main"}}}),
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata,
            "spec": {"interval": "10m", "path": path, "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}}),
    ]
}
