//! The real world: an API server, artifacts over HTTP, a queue.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::{Api, Client};
use sluice_api::artifact::Artifact;
use sluice_api::key::KUSTOMIZE_STATUS_MANAGER;
use sluice_api::kustomize::{Kustomization, KustomizationStatus, ValuesKind};
use sluice_artifact::fetch::Options;
use sluice_artifact::{Fetched as Download, Fetcher, Tree};
use sluice_runtime::controller::jittered;
use sluice_runtime::events::{Notice, Recorder};
use sluice_runtime::informer::ObjectKey;
use sluice_runtime::patch;
use sluice_runtime::queue::Queue;

use crate::cluster::remote::Remotes;
use crate::cluster::{Identity, Live};
use crate::depends::AfterExpression;
use crate::desired::files::Files;
use crate::desired::variables::{Loaded, Variables};
use crate::desired::{self, Built};
use crate::reconcile::Memory;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::source::{Reference, Source};
use crate::status::OWNED;
use crate::stores::{Stores, wake_dependents};
use crate::world::{Fetched, World};

/// Longest time that reading one object may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Downloads artifacts. A digest is taken from memory only for an address that it was had from: a
/// source whose artifact is not where it says must not look healthy.
#[derive(Debug)]
struct Downloads {
    options: Options,
    shared: Fetcher,
    addresses: Mutex<HashMap<String, String>>,
}

/// Digests whose address is remembered.
const MAX_ADDRESSES: usize = 4096;

impl Downloads {
    fn new(options: Options) -> std::io::Result<Self> {
        Ok(Self {
            shared: Fetcher::new(options.clone())?,
            options,
            addresses: Mutex::default(),
        })
    }

    async fn fetch(&self, artifact: &Artifact) -> Result<Option<Arc<Tree>>, String> {
        let is_elsewhere = {
            let addresses = self
                .addresses
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            addresses
                .get(&artifact.digest)
                .is_some_and(|known| *known != artifact.url)
        };
        let fetcher = match is_elsewhere {
            true => Fetcher::new(self.options.clone()).map_err(|error| error.to_string())?,
            false => self.shared.clone(),
        };
        match fetcher.fetch(&artifact.url, &artifact.digest).await {
            Ok(Download::NotFound) => Ok(None),
            Ok(Download::Tree(tree)) => {
                let mut addresses = self
                    .addresses
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if addresses.len() >= MAX_ADDRESSES {
                    addresses.clear();
                }
                addresses.insert(artifact.digest.clone(), artifact.url.clone());
                Ok(Some(tree))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The real world.
pub struct Edge {
    client: Client,
    stores: Stores,
    downloads: Downloads,
    local: Live,
    remotes: Remotes,
    settings: Settings,
    recorder: Recorder,
    queue: Arc<Queue<ObjectKey>>,
    registry: Arc<Registry<Memory>>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}

/// What an [`Edge`] is put together from.
pub struct Parts {
    /// The controller's own identity.
    pub client: Client,
    /// The watched kinds.
    pub stores: Stores,
    /// How artifacts are fetched.
    pub fetch: Options,
    /// The cluster of the controller itself.
    pub local: Live,
    /// Other clusters.
    pub remotes: Remotes,
    /// Flags and gates.
    pub settings: Settings,
    /// Where notices go.
    pub recorder: Recorder,
    /// What is due.
    pub queue: Arc<Queue<ObjectKey>>,
    /// What is remembered.
    pub registry: Arc<Registry<Memory>>,
}

impl Edge {
    /// Puts the parts together.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        Ok(Self {
            downloads: Downloads::new(parts.fetch)?,
            client: parts.client,
            stores: parts.stores,
            local: parts.local,
            remotes: parts.remotes,
            settings: parts.settings,
            recorder: parts.recorder,
            queue: parts.queue,
            registry: parts.registry,
        })
    }

    fn api(&self, ks: &Kustomization) -> Api<Kustomization> {
        Api::namespaced(
            self.client.clone(),
            ks.metadata.namespace.as_deref().unwrap_or_default(),
        )
    }

    async fn remote(&self, ks: &Kustomization) -> Result<Option<Live>, String> {
        let Some(reference) = &ks.spec.kube_config else {
            return Ok(None);
        };
        let namespace = ks.metadata.namespace.clone().unwrap_or_default();
        let Some(secret) = &reference.secret_ref else {
            return Err("spec.kubeConfig.configMapRef is not available in this version, use spec.kubeConfig.secretRef".to_owned());
        };
        let name = &secret.name;
        let subject = format!("'{namespace}/{name}'");
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let data = match within(api.get(name)).await {
            Ok(secret) => secret.data.unwrap_or_default(),
            Err(error) if error.is_absent => {
                return Err(format!(
                    "unable to read KubeConfig secret {subject} error: Secret \"{name}\" not found"
                ));
            }
            Err(error) => {
                return Err(format!(
                    "unable to read KubeConfig secret {subject} error: {}",
                    error.text
                ));
            }
        };
        let found = match &secret.key {
            Some(key) => data.get(key),
            None => data.get("value").or_else(|| data.get("value.yaml")),
        };
        let Some(kubeconfig) = found else {
            let key = secret.key.as_deref().unwrap_or("value");
            return Err(format!(
                "KubeConfig secret {subject} does not contain a '{key}' key with a kubeconfig"
            ));
        };
        self.remotes.connect(&kubeconfig.0).await.map(Some)
    }
}

/// A failed read.
#[derive(Debug, Clone)]
struct ReadError {
    is_absent: bool,
    text: String,
}

/// What the objects hold that `postBuild.substituteFrom` names, in its order.
pub async fn load(client: &Client, ks: &Kustomization) -> Vec<Loaded> {
    let namespace = ks.metadata.namespace.as_deref().unwrap_or_default();
    let references = ks
        .spec
        .post_build
        .iter()
        .flat_map(|post_build| &post_build.substitute_from);
    let mut loaded = Vec::new();
    for reference in references {
        let data: Result<BTreeMap<String, String>, ReadError> = match reference.kind {
            ValuesKind::ConfigMap => {
                let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
                within(api.get(&reference.name))
                    .await
                    .map(|map| map.data.unwrap_or_default())
            }
            _ => {
                let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
                let text = |(key, value): (String, k8s_openapi::ByteString)| {
                    (key, String::from_utf8_lossy(&value.0).into_owned())
                };
                let secret = within(api.get(&reference.name)).await;
                secret.map(|secret| {
                    secret
                        .data
                        .unwrap_or_default()
                        .into_iter()
                        .map(text)
                        .collect()
                })
            }
        };
        loaded.push(match data {
            Ok(data) => Loaded::Found(data),
            Err(error) if error.is_absent => Loaded::Missing(error.text),
            Err(error) => Loaded::Failed(error.text),
        });
    }
    loaded
}

/// Waits for an answer, but not forever.
async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ReadError> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(ReadError {
            is_absent: status.code == 404,
            text: status.message.clone(),
        }),
        Ok(Err(error)) => Err(ReadError {
            is_absent: false,
            text: error.to_string(),
        }),
        Err(_) => Err(ReadError {
            is_absent: false,
            text: format!("no answer within {}s", DEADLINE.as_secs()),
        }),
    }
}

/// The directory that a Kustomization's files would be unpacked in: the same for each run.
fn root_of(ks: &Kustomization) -> String {
    let mut hasher = DefaultHasher::new();
    ks.metadata.uid.hash(&mut hasher);
    let directory = std::env::temp_dir();
    format!(
        "{}/kustomization-{}",
        directory.display(),
        hasher.finish() % 10_000_000_000
    )
}

impl Edge {
    /// Waits until the source of `ks` has another artifact, or the same at another address. The retries of a
    /// download from a server that is gone would otherwise hold back what has replaced it.
    async fn moved_on(&self, ks: &Kustomization, artifact: &Artifact) {
        let has_moved = |source: &Source| match source {
            Source::Artifact(now) => now.url != artifact.url || now.digest != artifact.digest,
            Source::Absent | Source::Empty => false,
        };
        self.stores.until(&Reference::of(ks), has_moved).await;
        // Its change may have been told before this turn began.
        self.queue.add(ObjectKey::of(ks));
    }
}

impl World for Edge {
    type Files = (Files, String);
    type Target = Live;

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn kustomization(&self, key: &ObjectKey) -> Option<Arc<Kustomization>> {
        self.stores.kustomizations.get(key)
    }

    async fn dependency(&self, key: &ObjectKey) -> Result<Arc<Kustomization>, String> {
        if let Some(found) = self.stores.kustomizations.get(key) {
            return Ok(found);
        }
        // Another shard's, perhaps.
        let api: Api<Kustomization> = Api::namespaced(self.client.clone(), &key.namespace);
        within(api.get(&key.name))
            .await
            .map(Arc::new)
            .map_err(|error| error.text)
    }

    fn source(&self, reference: &Reference) -> Source {
        self.stores.source(reference)
    }

    async fn fetch(
        &self,
        ks: &Kustomization,
        artifact: &Artifact,
    ) -> Result<Fetched<(Files, String)>, String> {
        let found = tokio::select! {
            found = self.downloads.fetch(artifact) => found?,
            () = self.moved_on(ks, artifact) => None,
        };
        let Some(tree) = found else {
            return Ok(Fetched::Gone);
        };
        let files = Files::new(tree, root_of(ks));
        let dir = files.resolve(ks.spec.path.as_deref().unwrap_or_default());
        if !sluice_kustomize::FileSystem::exists(&files, &dir) {
            return Ok(Fetched::NoPath(format!(
                "kustomization path not found: stat {dir}: no such file or directory"
            )));
        }
        Ok(Fetched::Files((files, dir)))
    }

    async fn load(&self, ks: &Kustomization) -> Vec<Loaded> {
        load(&self.client, ks).await
    }

    async fn connect(&self, ks: &Kustomization) -> Result<Live, String> {
        let cluster = self.remote(ks).await?.unwrap_or_else(|| self.local.clone());
        let account = self.service_account(ks);
        let identity = match account.is_empty() {
            true => Identity::Own,
            false => Identity::service_account(
                ks.metadata.namespace.as_deref().unwrap_or_default(),
                &account,
            ),
        };
        cluster
            .with_identity(&identity)
            .map_err(|refusal| refusal.to_string())
    }

    async fn build(
        &self,
        ks: &Arc<Kustomization>,
        (files, dir): (Files, String),
        variables: Option<Variables>,
    ) -> Result<Built, String> {
        let ks = ks.clone();
        let build = move || desired::build(&ks, files, &dir, variables.as_ref());
        match tokio::task::spawn_blocking(build).await {
            Ok(built) => built,
            // A panic in a build is the build's failure, not the controller's.
            Err(error) => Err(format!("recovered from kustomize build panic: {error}")),
        }
    }

    async fn write_status(
        &self,
        ks: &Arc<Kustomization>,
        status: &KustomizationStatus,
    ) -> Result<Option<Arc<Kustomization>>, String> {
        let value = |status: &KustomizationStatus| serde_json::to_value(status).unwrap_or_default();
        let old = value(&ks.status.clone().unwrap_or_default());
        let new = value(status);
        let api = self.api(ks);
        let write = patch::status(
            &api,
            KUSTOMIZE_STATUS_MANAGER,
            ks.as_ref(),
            &old,
            &new,
            &OWNED,
        );
        let written = within(write).await.map_err(|error| error.text)?;
        let Some(mut written) = written else {
            return Ok(None);
        };
        written.metadata.managed_fields = None;
        self.stores.kustomizations.learn(written.clone());
        let after = AfterExpression::of(self.settings.gates);
        let key = ObjectKey::of(&written);
        wake_dependents(&key, &self.stores, &self.registry, &self.queue, after);
        Ok(Some(Arc::new(written)))
    }

    async fn write_finalizers(
        &self,
        ks: &Arc<Kustomization>,
        finalizers: &[String],
    ) -> Result<Option<Arc<Kustomization>>, String> {
        let api = self.api(ks);
        let write = patch::finalizers(&api, KUSTOMIZE_STATUS_MANAGER, ks.as_ref(), finalizers);
        let Some(mut written) = within(write).await.map_err(|error| error.text)? else {
            return Ok(None);
        };
        written.metadata.managed_fields = None;
        if written.metadata.deletion_timestamp.is_none() {
            self.stores.kustomizations.learn(written.clone());
        }
        Ok(Some(Arc::new(written)))
    }

    fn service_account(&self, ks: &Kustomization) -> String {
        ks.spec
            .service_account_name
            .clone()
            .unwrap_or_else(|| self.settings.args.default_service_account.clone())
    }

    async fn has_service_account(&self, namespace: &str, name: &str) -> Result<bool, String> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        within(api.get_opt(name))
            .await
            .map(|found| found.is_some())
            .map_err(|error| error.text)
    }

    fn emit(&self, notice: Notice) {
        self.recorder.send(notice);
    }

    fn is_idle(&self) -> bool {
        self.queue.depth() == 0
    }

    fn jittered(&self, interval: Duration) -> Duration {
        jittered(
            interval,
            self.settings.args.common.interval_jitter_percentage,
        )
    }
}
