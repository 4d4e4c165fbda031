//! What scenarios need: a Git repository to commit to, a cluster that runs it, and waits for conditions.
//!
//! A scenario runs against the embedded API server, or against the cluster that the variable
//! `SLUICE_TEST_KUBECONFIG` names: where the two differ, the embedded one is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use sluice::up::repository;
use sluice::up::roots::Wanted;
use sluice::up::session::{ClusterChoice, Consent, Session, Settings};
use tokio_util::sync::CancellationToken;

/// Longest wait for a condition. A wait that takes this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A work tree that a scenario commits to.
pub struct WorkTree {
    folder: PathBuf,
}

impl WorkTree {
    /// A copy of the example fleet, as one commit.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn example(folder: &Path) -> anyhow::Result<Self> {
        sluice::up::example::lay_out(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// A repository with these files as its first commit.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn with(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main");
        git2::Repository::init_opts(folder, &options)?;
        let tree = Self {
            folder: folder.to_owned(),
        };
        tree.commit("first", files, &[])?;
        Ok(tree)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text of a file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        std::fs::read_to_string(self.folder.join(name)).with_context(|| name.to_owned())
    }

    /// Writes and deletes files and commits that. Returns the revision as the artifact has it.
    ///
    /// # Errors
    /// The folder cannot be written or there is no such file to delete.
    pub fn commit(
        &self,
        message: &str,
        write: &[(&str, &str)],
        delete: &[&str],
    ) -> anyhow::Result<String> {
        for (name, text) in write {
            let file = self.folder.join(name);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(file, text)?;
        }
        for name in delete {
            std::fs::remove_file(self.folder.join(name)).with_context(|| (*name).to_owned())?;
        }
        let repository = git2::Repository::open(&self.folder)?;
        let mut index = repository.index()?;
        index.add_all(["."], git2::IndexAddOption::DEFAULT, None)?;
        index.update_all(["."], None)?;
        index.write()?;
        let tree = repository.find_tree(index.write_tree()?)?;
        let author = git2::Signature::now("Test", "test@example.test")?;
        let parent = repository.head().ok().and_then(|h| h.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        let id = repository.commit(Some("HEAD"), &author, &author, message, &tree, &parents)?;
        Ok(format!("main@sha1:{id}"))
    }
}

/// A session of `sluice up` on a repository.
pub struct World {
    session: Session,
}

impl World {
    /// Starts `sluice up` on `tree` with its state in `state`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(tree: &WorkTree, path: &str, state: &Path) -> anyhow::Result<Self> {
        sluice_runtime::client::install_tls();
        std::fs::create_dir_all(state)?;
        let cluster = match std::env::var_os("SLUICE_TEST_KUBECONFIG") {
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
            },
            state: state.to_owned(),
            cluster,
        };
        let session = Session::start(settings, CancellationToken::new()).await?;
        Ok(Self { session })
    }

    /// Stops it gracefully.
    pub async fn stop(self) {
        self.session.end().await;
    }

    /// A client with all rights.
    pub fn client(&self) -> &Client {
        &self.session.client
    }

    /// The objects of a kind. `resource` is `plural.version.group`, as kubectl writes it.
    pub fn api(&self, resource: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let mut parts = resource.splitn(3, '.');
        let plural = parts.next().unwrap_or_default();
        let version = parts.next().unwrap_or("v1");
        let group = parts.next().unwrap_or_default();
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        if namespace.is_empty() {
            Api::all_with(self.session.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.session.client.clone(), namespace, &resource)
        }
    }

    /// A Kustomization in `flux-system`.
    pub fn kustomizations(&self) -> Api<DynamicObject> {
        self.api(
            "kustomizations.v1.kustomize.toolkit.fluxcd.io",
            "Kustomization",
            "flux-system",
        )
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
                _ => bail!("{}", behind.join("; ")),
            }
        })
        .await
    }
}

/// The value at a JSON pointer of an object.
pub fn at<'a>(object: &'a DynamicObject, pointer: &str) -> &'a Value {
    object.data.pointer(pointer).unwrap_or(&Value::Null)
}

/// The Ready condition of an object.
pub fn ready(object: &DynamicObject) -> Option<&Value> {
    at(object, "/status/conditions")
        .as_array()?
        .iter()
        .find(|c| c["type"] == "Ready")
}

/// The message of its Ready condition.
pub fn message(object: &DynamicObject) -> String {
    ready(object)
        .and_then(|c| c["message"].as_str())
        .unwrap_or("no Ready condition")
        .to_owned()
}

/// Whether it is ready, for its current generation, at this revision.
pub fn is_ready_at(object: &DynamicObject, revision: &str) -> bool {
    ready(object).is_some_and(|c| c["status"] == "True")
        && at(object, "/status/observedGeneration").as_i64() == object.metadata.generation
        && at(object, "/status/lastAppliedRevision") == revision
}

/// Asks again and again until `look` succeeds.
///
/// # Errors
/// It has not succeeded within [`PATIENCE`]; says why the last try failed.
pub async fn eventually<T, F, Fut>(what: &str, look: F) -> anyhow::Result<T>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    let started = std::time::Instant::now();
    // A poll, not a wait for a fixed time: conditions of two API servers have no common signal.
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    loop {
        pause.tick().await;
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(error.context(format!("waited in vain for {what}")));
            }
            Err(_) => {}
        }
    }
}

/// Merges a patch into an object as somebody who uses kubectl would.
///
/// # Errors
/// The API server refuses.
pub async fn edit(api: &Api<DynamicObject>, name: &str, patch: &Value) -> anyhow::Result<()> {
    let params = PatchParams {
        field_manager: Some("kubectl-edit".to_owned()),
        ..PatchParams::default()
    };
    api.patch(name, &params, &Patch::Merge(patch)).await?;
    Ok(())
}
