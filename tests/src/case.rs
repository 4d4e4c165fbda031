//! A place where something goes wrong and nothing else may: a namespace with a repository, a
//! Kustomization that a test breaks, and a bystander that has to stay as it is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
use source_controller::LocalRepositories;

use crate::artifacts::ArtifactServer;
use crate::cluster::Cluster;
use crate::controllers::{Controllers, Ground};
use crate::git_http::{self, Access};
use crate::objects::{
    self, at, config_maps, create, git_repositories, is_ready_at, kustomizations, message, ready,
    request, trace,
};
use crate::{WorkTree, eventually};

/// User and password of the private Git server.
pub const LOGIN: (&str, &str) = ("user", "right");
/// Address of repositories that are read from the disk: this and the name of the case.
const ON_DISK: &str = "https://disk.example.test";
/// The cases that are read from the disk.
const CASES_ON_DISK: [&str; 1] = ["gigabyte-blob"];

/// What all cases share.
pub struct Stage {
    /// The cluster.
    pub cluster: Cluster,
    /// A Git server that serves everybody.
    pub git: git_http::Server,
    /// A Git server with the same repositories that wants a [`LOGIN`].
    pub private: git_http::Server,
    /// Artifacts made by hand.
    pub artifacts: ArtifactServer,
    folder: PathBuf,
    _controllers: Controllers,
}

impl Stage {
    /// Starts the cluster and the controllers.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        let cluster = Cluster::start(&folder.join("cluster")).await?;
        let config = cluster.config.clone();
        Self::on(cluster, &config, folder).await
    }

    /// Starts the controllers on a cluster, which they reach by `config`.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn on(
        cluster: Cluster,
        config: &kube::Config,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let root = folder.join("git");
        std::fs::create_dir_all(&root)?;
        let git = git_http::serve(&root, Access::Open, None).await;
        let private = git_http::serve(&root, Access::Basic(LOGIN.0, LOGIN.1), None).await;
        let mut local = LocalRepositories::default();
        for name in CASES_ON_DISK {
            local.add(
                &format!("{ON_DISK}/{name}"),
                folder.join("trees").join(name),
            );
        }
        let ground = Ground::new(&folder.join("controllers"))?;
        let controllers = Controllers::start(&ground, config, local)?;
        Ok(Self {
            cluster,
            git,
            private,
            artifacts: ArtifactServer::start().await?,
            folder: folder.to_owned(),
            _controllers: controllers,
        })
    }
}

/// What a message has to be.
#[derive(Debug, Clone)]
pub enum Says<'a> {
    /// This text.
    Exactly(String),
    /// A text with all of these in it.
    All(&'a [&'a str]),
}

impl Says<'_> {
    fn is_said_in(&self, message: &str) -> bool {
        match self {
            Self::Exactly(text) => message == text,
            Self::All(parts) => parts.iter().all(|part| message.contains(part)),
        }
    }
}

/// A namespace where one thing goes wrong. The names in it are always the same: GitRepository `app`,
/// Kustomizations `faulty` and `bystander` with the ConfigMaps `kept` and `bystander`.
pub struct Case<'s> {
    /// What it shares with others.
    pub stage: &'s Stage,
    /// Its namespace.
    pub namespace: String,
    /// Its repository.
    pub tree: WorkTree,
    /// The newest revision.
    pub revision: String,
    before: Vec<(String, String)>,
}

/// A ConfigMap as a manifest.
pub fn config_map(namespace: &str, name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\ndata:\n  value: \"{value}\"\n"
    )
}

impl<'s> Case<'s> {
    /// Makes the namespace and waits until all in it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn begin(stage: &'s Stage, name: &str) -> anyhow::Result<Self> {
        let url = if CASES_ON_DISK.contains(&name) {
            format!("{ON_DISK}/{name}")
        } else {
            stage.git.url(name)
        };
        Self::begin_at(stage, name, json!({"url": url})).await
    }

    /// The same with more in the GitRepository's specification.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn begin_at(stage: &'s Stage, name: &str, source: Value) -> anyhow::Result<Self> {
        let client = &stage.cluster.client;
        sluice::up::cluster::ensure_namespace(client, name).await?;
        let folder = stage.folder.join("trees").join(name);
        let tree = WorkTree::with(
            &folder,
            &[
                ("bystander/map.yaml", &config_map(name, "bystander", "one")),
                ("faulty/kept.yaml", &config_map(name, "kept", "one")),
            ],
        )?;
        tree.serve_below(&stage.folder.join("git"), name)?;
        let mut case = Self {
            stage,
            namespace: name.to_owned(),
            tree,
            revision: String::new(),
            before: Vec::new(),
        };
        case.revision = case.commit(&[("README.md", "A case.\n")], &[]).await?;
        let mut spec = json!({"interval": "1h", "ref": {"branch": "main"}, "timeout": "10s"});
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, source) {
            spec.extend(more);
        }
        create(&case.sources(), git_repository(name, spec)).await?;
        for name in ["faulty", "bystander"] {
            case.add(name, json!({"path": format!("./{name}")})).await?;
        }
        case.is_ready().await.context("before anything is broken")?;
        case.before = case.traces().await?;
        Ok(case)
    }

    /// A case that was begun before.
    ///
    /// # Errors
    /// It is not there.
    pub async fn again(stage: &'s Stage, name: &str, tree: WorkTree) -> anyhow::Result<Self> {
        let mut case = Self {
            stage,
            namespace: name.to_owned(),
            tree,
            revision: String::new(),
            before: Vec::new(),
        };
        case.before = case.traces().await?;
        request(&case.sources(), "app").await?;
        Ok(case)
    }

    /// Creates a Kustomization of the repository.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn add(&self, name: &str, more: Value) -> anyhow::Result<()> {
        let mut spec = json!({"interval": "1h", "retryInterval": "1s", "timeout": "30s", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "app"}});
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
            spec.extend(more);
        }
        let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec});
        create(&self.kustomizations(), object).await?;
        Ok(())
    }

    /// The case's Kustomizations.
    pub fn kustomizations(&self) -> Api<DynamicObject> {
        kustomizations(&self.stage.cluster.client, &self.namespace)
    }

    /// The case's GitRepositories.
    pub fn sources(&self) -> Api<DynamicObject> {
        git_repositories(&self.stage.cluster.client, &self.namespace)
    }

    /// The case's ConfigMaps.
    pub fn config_maps(&self) -> Api<DynamicObject> {
        config_maps(&self.stage.cluster.client, &self.namespace)
    }

    /// The case's objects of a kind; `resource` is `plural.version.group`.
    pub fn objects(&self, resource: &str, kind: &str) -> Api<DynamicObject> {
        objects::objects(&self.stage.cluster.client, resource, kind, &self.namespace)
    }

    /// A ConfigMap of the case as a manifest.
    pub fn map(&self, name: &str, value: &str) -> String {
        config_map(&self.namespace, name, value)
    }

    /// Commits, and tells the source of it as a webhook does. Returns the revision.
    ///
    /// # Errors
    /// The repository cannot be written or the API server refuses.
    pub async fn commit(
        &mut self,
        write: &[(&str, &str)],
        delete: &[&str],
    ) -> anyhow::Result<String> {
        self.revision = self.tree.commit("a change", write, delete)?;
        if self.sources().get_opt("app").await?.is_some() {
            request(&self.sources(), "app").await?;
        }
        Ok(self.revision.clone())
    }

    /// Makes an earlier revision the newest content again.
    ///
    /// # Errors
    /// The repository cannot be written or the API server refuses.
    pub async fn revert_to(&mut self, revision: &str) -> anyhow::Result<()> {
        self.revision = self.tree.revert_to(revision)?;
        request(&self.sources(), "app").await
    }

    /// Waits until the Kustomization `faulty` says why it is not ready.
    ///
    /// # Errors
    /// It says something else, or nothing.
    pub async fn fails(&self, reason: &str, says: Says<'_>) -> anyhow::Result<String> {
        self.is_not_ready(&self.kustomizations(), "faulty", reason, says)
            .await
    }

    /// Waits until the GitRepository says why it is not ready.
    ///
    /// # Errors
    /// It says something else, or nothing.
    pub async fn source_fails(&self, reason: &str, says: Says<'_>) -> anyhow::Result<String> {
        self.is_not_ready(&self.sources(), "app", reason, says)
            .await
    }

    async fn is_not_ready(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        reason: &str,
        says: Says<'_>,
    ) -> anyhow::Result<String> {
        let says = &says;
        eventually(&format!("{reason}, {says:?}"), || async move {
            let object = api.get(name).await?;
            let ready = ready(&object).context("no Ready condition")?;
            let said = message(&object);
            let as_wanted = ready["status"] == "False" && ready["reason"] == reason;
            ensure!(as_wanted && says.is_said_in(&said), "{ready}");
            Ok(said)
        })
        .await
    }

    /// The warnings about an object are one and the same text, which is that of its condition.
    ///
    /// # Errors
    /// There is none, or there are others.
    pub async fn has_one_warning(&self, kind: &str, name: &str, text: &str) -> anyhow::Result<()> {
        let events = self.objects("events.v1", "Event");
        eventually("a warning", || async {
            let listed = events.list(&ListParams::default()).await?;
            let about = |event: &&DynamicObject| {
                at(event, "/involvedObject/kind") == kind
                    && at(event, "/involvedObject/name") == name
                    && at(event, "/type") == "Warning"
            };
            let said: std::collections::BTreeSet<_> = listed
                .iter()
                .filter(about)
                .filter_map(|event| at(event, "/message").as_str())
                .collect();
            // The server cuts what is too long.
            let same = said.len() == 1 && said.iter().all(|said| text.starts_with(said));
            ensure!(same, "{said:?} instead of `{text}`");
            Ok(())
        })
        .await
    }

    async fn traces(&self) -> anyhow::Result<Vec<(String, String)>> {
        let maps = self.config_maps();
        Ok(vec![
            trace(&maps, "kept").await?,
            trace(&maps, "bystander").await?,
        ])
    }

    /// Nothing was pruned, changed or forgotten, here or next to it.
    ///
    /// # Errors
    /// Something was.
    pub async fn nothing_happened(&self) -> anyhow::Result<()> {
        ensure!(self.traces().await? == self.before, "objects were touched");
        for (name, map) in [("faulty", "kept"), ("bystander", "bystander")] {
            let kustomization = self.kustomizations().get(name).await?;
            let entries = at(&kustomization, "/status/inventory/entries");
            let id = format!("{}_{map}__ConfigMap", self.namespace);
            let kept = entries.as_array().into_iter().flatten();
            ensure!(
                kept.into_iter().any(|entry| entry["id"] == *id),
                "`{name}` forgot `{map}`: {entries}"
            );
        }
        Ok(())
    }

    /// The bystander is ready at the newest revision.
    ///
    /// # Errors
    /// It does not become so.
    pub async fn bystander_goes_on(&self) -> anyhow::Result<()> {
        self.comes_to("bystander").await?;
        self.nothing_happened().await
    }

    /// Waits until a Kustomization is ready at the newest revision.
    ///
    /// # Errors
    /// It does not become so.
    pub async fn comes_to(&self, name: &str) -> anyhow::Result<()> {
        let api = self.kustomizations();
        eventually(&format!("`{name}` to be ready"), || async {
            let object = api.get(name).await?;
            if is_ready_at(&object, &self.revision) {
                return Ok(());
            }
            let conditions = at(&object, "/status/conditions");
            bail!("not ready at {}: {conditions}", self.revision)
        })
        .await
    }

    /// Waits until the GitRepository is ready at the newest revision.
    ///
    /// # Errors
    /// It does not become so.
    pub async fn source_comes_to(&self, revision: &str) -> anyhow::Result<()> {
        let api = self.sources();
        eventually("the source to be ready", || async {
            let object = api.get("app").await?;
            ensure!(
                is_ready_at(&object, revision),
                "not ready at {revision}: {}",
                object.data["status"]
            );
            Ok(())
        })
        .await
    }

    /// Waits until all is ready at the newest revision, without having lost anything.
    ///
    /// # Errors
    /// It does not become so.
    pub async fn is_ready(&self) -> anyhow::Result<()> {
        self.source_comes_to(&self.revision).await?;
        self.comes_to("faulty").await?;
        self.comes_to("bystander").await
    }

    /// Waits until all is ready at the newest revision, with the same objects as at first.
    ///
    /// # Errors
    /// It does not become so.
    pub async fn recovers(&self) -> anyhow::Result<()> {
        self.is_ready().await.context("after the cause was gone")?;
        self.nothing_happened().await
    }
}

fn git_repository(namespace: &str, spec: Value) -> Value {
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "app", "namespace": namespace}, "spec": spec})
}
