//! Looking and acting for one GitRepository: the API, the storage, the remote. Every effect may be
//! cut off at any moment and repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use sluice_api::artifact::Artifact;
use sluice_api::condition::{FETCH_FAILED, SOURCE_VERIFIED};
use sluice_api::event::Severity;
use sluice_api::key::FINALIZER;
use sluice_api::reason::{FAILED, source};
use sluice_api::source::{GitRepository, GitRepositoryRef, GitRepositoryStatus};
use sluice_api::time::Time;
use sluice_artifact::store::Integrity;
use sluice_artifact::{ArtifactPath, Digest, Store as Storage};
use sluice_git::client::{Purpose, Submodules};
use sluice_git::reference::{Resolution, Strategy};
use sluice_git::snapshot::{Commit, Snapshot};
use sluice_git::{Reference, Remote, RemoteUrl, Resolved};
use sluice_runtime::controller::{Next, jittered};
use sluice_runtime::events::{Notice, Recorder, reference, with_own_annotations};
use sluice_runtime::informer::{ObjectKey, Store};
use sluice_runtime::patch;

use crate::common::failure::{Class, Failure};
use crate::common::note::Note;
use crate::git::build::{self, BuildError, Plan};
use crate::git::credentials::Gate;
use crate::git::include::{self, Included};
use crate::git::pass::{Finished, InStorage, Need, Pass};
use crate::git::{RULES, verify};
use crate::identity;
use crate::local::LocalRepositories;
use crate::proxy::EnvironmentProxy;

/// Field manager of everything that this controller writes.
const MANAGER: &str = sluice_api::key::SOURCE_MANAGER;
/// Work that takes longer than this shows in the status before it is done.
const SHOWN_AFTER: Duration = Duration::from_millis(300);
/// Time that one look for stale artifacts may take.
const GARBAGE_BUDGET: Duration = Duration::from_secs(5);
/// Limit of a Git operation where the object names none, as the CRD has it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that passes over GitRepositories need.
pub struct Reconciler {
    /// The API.
    pub client: Client,
    /// The objects as the watch shows them.
    pub objects: Store<GitRepository>,
    /// Where artifacts go.
    pub storage: Arc<Storage>,
    /// Talks to remotes.
    pub git: sluice_git::Client,
    /// Folder of the object stores of remotes.
    pub caches: PathBuf,
    /// Repositories that are read from the disk instead.
    pub local: LocalRepositories,
    /// Credentials that have to be exchanged for others first.
    pub identities: identity::Exchange,
    /// Where events go.
    pub recorder: Recorder,
    /// Share by which intervals vary, in percent.
    pub jitter: u8,
    /// Delay before another look at a missing include.
    pub requeue_dependency: Duration,
    /// Whether single objects may have identities of their own.
    pub object_identity: Gate,
    /// The proxy of the environment for what is not HTTP.
    pub socks: EnvironmentProxy,
}

/// One object in the hands of a worker.
struct Turn {
    api: Api<GitRepository>,
    key: ObjectKey,
    object: Arc<GitRepository>,
    /// The status as the API has it.
    written: GitRepositoryStatus,
}

/// How the work on an object ended, short of failing.
enum End {
    Done,
    Unchanged,
    /// The object changed under the work: what comes next starts from the new one.
    Superseded,
}

/// What a look at the remote brought.
enum Look {
    /// The wanted revision is stored.
    Stored(String),
    /// It was fetched.
    Fetched(Resolved, Snapshot),
}

impl Reconciler {
    /// One turn of an object.
    pub async fn turn(self: Arc<Self>, key: ObjectKey) -> Next {
        let Some(object) = self.objects.get(&key) else {
            return Next::Gone;
        };
        let api = Api::namespaced(self.client.clone(), &key.namespace);
        if object.metadata.deletion_timestamp.is_some() {
            return self.delete(&api, &key, &object).await;
        }
        let object = match self.finalize(&api, object).await {
            Ok(object) => object,
            Err(next) => return next,
        };
        let written = object.status.clone().unwrap_or_default();
        let mut turn = Turn {
            api,
            key,
            object,
            written,
        };
        let now = Time::new(Timestamp::now());
        if turn.object.spec.suspend {
            let finished = Pass::suspended(&turn.object, now);
            return match self.close(&mut turn, finished).await {
                Ok(_) => Next::Wait,
                Err(error) => Next::Failed(error),
            };
        }
        let mut pass = Pass::begin(&turn.object, now);
        // The state of a whole pass is large; it does not belong on the worker's own future.
        let outcome = Box::pin(self.work(&mut turn, &mut pass)).await;
        let finished = match &outcome {
            Ok(End::Superseded) => return Next::Wait,
            Ok(End::Done) => pass.done(),
            Ok(End::Unchanged) => pass.done_unchanged(),
            Err(failure) => pass.failed(failure),
        };
        let not_ready = match self.close(&mut turn, finished).await {
            Ok(not_ready) => not_ready,
            Err(error) => return Next::Failed(error),
        };
        self.next(&turn.object, &outcome, not_ready)
    }

    fn next(
        &self,
        object: &GitRepository,
        outcome: &Result<End, Failure>,
        not_ready: Option<String>,
    ) -> Next {
        let interval = || match object.spec.interval.parse() {
            Ok(interval) => interval.to_std(),
            Err(_) => DEFAULT_TIMEOUT,
        };
        match outcome {
            Ok(_) => match not_ready {
                Some(message) => Next::Failed(message),
                None => Next::After(jittered(interval(), self.jitter)),
            },
            Err(Failure {
                class: Class::Stalled,
                ..
            }) => Next::Wait,
            Err(Failure {
                class: Class::Waiting(delay),
                ..
            }) if delay.is_zero() => Next::After(interval()),
            Err(Failure {
                class: Class::Waiting(delay),
                ..
            }) => Next::After(*delay),
            Err(failure) => Next::Failed(failure.message.clone()),
        }
    }

    /// Makes sure that the object carries our finalizer.
    async fn finalize(
        &self,
        api: &Api<GitRepository>,
        object: Arc<GitRepository>,
    ) -> Result<Arc<GitRepository>, Next> {
        if object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
        {
            return Ok(object);
        }
        let mut finalizers = object.finalizers().to_vec();
        finalizers.push(FINALIZER.to_owned());
        match patch::finalizers(api, MANAGER, object.as_ref(), &finalizers).await {
            Ok(Some(written)) => {
                self.objects.learn(written.clone());
                Ok(Arc::new(written))
            }
            Ok(None) => Err(Next::Wait),
            Err(error) if is_conflict(&error) => Err(Next::Soon),
            Err(error) => Err(Next::Failed(format!(
                "failed to add the finalizer: {error}"
            ))),
        }
    }

    async fn delete(
        &self,
        api: &Api<GitRepository>,
        key: &ObjectKey,
        object: &GitRepository,
    ) -> Next {
        if !object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
        {
            return Next::Wait;
        }
        let (storage, cache) = (Arc::clone(&self.storage), self.cache(key));
        let folder = ArtifactPath::new("GitRepository", &key.namespace, &key.name, "none");
        let removed = blocking(move || {
            let removed = match folder {
                Ok(folder) => storage
                    .remove_all(&folder)
                    .map_err(|error| error.to_string())?,
                Err(_) => false,
            };
            sluice_git::cache::remove(&cache).map_err(|error| error.to_string())?;
            Ok(removed)
        })
        .await;
        match removed {
            Ok(removed) => {
                if removed
                    || object
                        .status
                        .as_ref()
                        .is_some_and(|status| status.artifact.is_some())
                {
                    let message = "garbage collected artifacts for deleted resource";
                    self.send(
                        object,
                        Note::trace(source::GARBAGE_COLLECTION_SUCCEEDED, message),
                    );
                }
            }
            Err(error) => {
                let message = format!("garbage collection for deleted resource failed: {error}");
                self.send(
                    object,
                    Note::error(source::GARBAGE_COLLECTION_FAILED, message.clone()),
                );
                return Next::Failed(message);
            }
        }
        let rest: Vec<String> = object
            .finalizers()
            .iter()
            .filter(|finalizer| *finalizer != FINALIZER)
            .cloned()
            .collect();
        match patch::finalizers(api, MANAGER, object, &rest).await {
            Ok(_) => Next::Gone,
            Err(error) if is_conflict(&error) => Next::Soon,
            Err(error) => Next::Failed(format!("failed to remove the finalizer: {error}")),
        }
    }

    /// Writes the end of a pass and, once it is written, tells of it. Returns why the object is not
    /// ready although the pass went through.
    async fn close(&self, turn: &mut Turn, finished: Finished) -> Result<Option<String>, String> {
        self.write(turn, &finished.status).await?;
        for note in finished.notes {
            self.send(&turn.object, note);
        }
        Ok(finished.not_ready)
    }

    async fn write(&self, turn: &mut Turn, status: &GitRepositoryStatus) -> Result<(), String> {
        let json = |status: &GitRepositoryStatus| serde_json::to_value(status).unwrap_or_default();
        let (old, new) = (json(&turn.written), json(status));
        let written = patch::status(
            &turn.api,
            MANAGER,
            turn.object.as_ref(),
            &old,
            &new,
            RULES.owned,
        )
        .await
        .map_err(|error| format!("failed to write the status: {error}"))?;
        if let Some(written) = written {
            turn.written = written.status.clone().unwrap_or_default();
            self.objects.learn(written.clone());
            turn.object = Arc::new(written);
        }
        Ok(())
    }

    fn send(&self, object: &GitRepository, note: Note) {
        match note.severity {
            Severity::Trace => tracing::debug!(reason = note.reason, "{}", note.message),
            Severity::Info => tracing::info!(reason = note.reason, "{}", note.message),
            // Failed passes are logged by the work loop.
            Severity::Error => {}
        }
        self.recorder.send(Notice {
            object: reference(object),
            severity: note.severity,
            reason: note.reason.to_owned(),
            message: note.message,
            metadata: with_own_annotations(note.metadata, object.metadata.annotations.as_ref()),
        });
    }

    fn cache(&self, key: &ObjectKey) -> PathBuf {
        self.caches.join(&key.namespace).join(&key.name)
    }

    /// All steps of a pass.
    async fn work(&self, turn: &mut Turn, pass: &mut Pass) -> Result<End, Failure> {
        self.look_at_storage(pass).await?;
        pass.source();
        let spec = turn.object.spec.clone();
        let remote = self.remote(&spec, &turn.key.namespace).await?;
        let includes = include::artifacts(
            &spec.include,
            |name| self.included(turn, name),
            self.requeue_dependency,
        )?;
        pass.includes(includes.clone());

        let reference = wanted(spec.reference.as_ref());
        let strategy = reference.strategy();
        let purpose = match strategy {
            Strategy::Name => Purpose::List,
            Strategy::Branch | Strategy::Tag if pass.may_be_unchanged() => Purpose::List,
            _ => Purpose::Clone,
        };
        let known = (pass.may_be_unchanged() && !pass.content_changed())
            .then(|| pass.artifact().map(|artifact| artifact.revision.clone()))
            .flatten();
        let limit = spec
            .timeout
            .as_ref()
            .and_then(|timeout| timeout.parse().ok())
            .map_or(DEFAULT_TIMEOUT, |timeout| timeout.to_std());
        let cache = self.cache(&turn.key);

        let look = Box::pin(self.look(remote.clone(), reference, purpose, known, cache.clone()));
        let look = within(limit, &remote, purpose, look);
        let (resolved, snapshot) = match self.shown(turn, pass, look).await {
            None => return Ok(End::Superseded),
            Some(look) => match look.map_err(|error| failed(&error))? {
                Look::Stored(revision) => {
                    pass.unchanged(&revision, unchanged_note(strategy, &revision));
                    return Ok(End::Unchanged);
                }
                Look::Fetched(resolved, snapshot) => (resolved, snapshot),
            },
        };
        let revision = resolved.revision.clone();
        let submodules = match spec.recurse_submodules && spec.sparse_checkout.is_empty() {
            true => Submodules::Recurse,
            false => Submodules::Skip,
        };
        let check_out = self
            .git
            .check_out(&remote, snapshot.clone(), submodules, &cache);
        let check_out = within(limit, &remote, Purpose::Clone, check_out);
        let Some(checkout) = self.shown(turn, pass, check_out).await else {
            return Ok(End::Superseded);
        };
        let checkout = checkout.map_err(|error| failed(&error))?;
        let prefixes = spec.sparse_checkout.clone();
        let checkout = blocking_step(move || build::select(checkout, &prefixes)).await?;
        pass.fetched();

        let (commit, tag) = self.read(&remote, &snapshot, &cache).await?;
        match &spec.verify {
            None => pass.unverified(),
            Some(verification) => {
                let secret = self
                    .secret(&turn.key.namespace, &verification.secret_ref.name)
                    .await;
                let secret = secret.map_err(|error| {
                    let message = format!("public keys secret error: {}", error.message);
                    Failure::retry(SOURCE_VERIFIED, source::VERIFICATION_ERROR, message)
                })?;
                let fetched = verify::Fetched {
                    commit: &commit,
                    tag: resolved.tag.as_ref(),
                    tag_object: tag.as_ref(),
                };
                let verified = verify::check(&spec, fetched, &verify::trusted(&secret))?;
                pass.verified(verified.mode, verified.message);
            }
        }
        if pass.revision(&revision, commit.subject()) == Need::Nothing {
            pass.up_to_date(&revision);
            return Ok(End::Done);
        }
        let file = format!("{}.tar.gz", resolved.commit);
        let path = ArtifactPath::new("GitRepository", &turn.key.namespace, &turn.key.name, &file)
            .map_err(|error| Failure::plain(FAILED, error.to_string()))?;
        let plan = Plan {
            checkout,
            includes: spec.include.iter().cloned().zip(includes).collect(),
            ignore: spec.ignore.clone(),
            path: path.clone(),
        };
        let storage = Arc::clone(&self.storage);
        let local = matches!(remote.url, RemoteUrl::Local(_));
        let publish = tokio::task::spawn_blocking(move || match build::publish(plan, &storage) {
            Ok(stored) => Ok(stored),
            Err(BuildError::Failed(failure)) => Err(failure),
            Err(BuildError::Damaged(failure)) => {
                if !local && let Err(error) = sluice_git::cache::remove(&cache) {
                    tracing::warn!(%error, "a damaged git object store cannot be removed");
                }
                Err(failure)
            }
        });
        // Never left alone: a later pass must not be overtaken by what this one still writes.
        let published = self.shown_to_the_end(turn, pass, publish).await;
        let stored = published.map_err(|error| Failure::plain(FAILED, error.to_string()))??;
        pass.stored(Artifact {
            url: self.storage.url(&path),
            path: path.to_string(),
            revision,
            digest: stored.digest.to_string(),
            last_update_time: Time::new(Timestamp::now()),
            size: i64::try_from(stored.size).ok(),
            metadata: BTreeMap::new(),
        });
        Ok(End::Done)
    }

    /// Waits for work; if it takes longer than a moment, the status shows what is being done, and
    /// the object is watched for changes. `None` when it changed: the work is dropped then.
    async fn shown<T>(
        &self,
        turn: &mut Turn,
        pass: &Pass,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(SHOWN_AFTER, &mut work).await {
            return Some(done);
        }
        self.show(turn, pass).await;
        let generation = turn.object.metadata.generation;
        let changed = || {
            let current = self.objects.get(&turn.key);
            let is_same = current.is_some_and(|object| {
                object.metadata.generation == generation
                    && object.metadata.deletion_timestamp.is_none()
            });
            (!is_same).then_some(())
        };
        tokio::select! {
            biased;
            done = &mut work => Some(done),
            () = self.objects.until(changed) => None,
        }
    }

    /// As [`Reconciler::shown`], for work that has to be seen through.
    async fn shown_to_the_end<T>(
        &self,
        turn: &mut Turn,
        pass: &Pass,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(SHOWN_AFTER, &mut work).await {
            return done;
        }
        self.show(turn, pass).await;
        work.await
    }

    async fn show(&self, turn: &mut Turn, pass: &Pass) {
        // A progress report that cannot be written is no reason to stop the work.
        if let Some(progress) = pass.progress()
            && let Err(error) = self.write(turn, &progress).await
        {
            tracing::debug!(error, "the progress is not shown");
        }
    }

    /// Collects garbage and checks the recorded artifact.
    async fn look_at_storage(&self, pass: &mut Pass) -> Result<(), Failure> {
        let Some(artifact) = pass.artifact().cloned() else {
            pass.storage(InStorage::Nothing, None);
            return Ok(());
        };
        let Ok(path) = artifact.path.parse::<ArtifactPath>() else {
            pass.storage(InStorage::Missing, None);
            return Ok(());
        };
        let storage = Arc::clone(&self.storage);
        let url = self.storage.url(&path);
        let (collected, found) = blocking_step(move || {
            let collected = storage.collect_garbage(&path, SystemTime::now(), GARBAGE_BUDGET);
            let spoilt = |why: String| storage.remove(&path).map(|()| InStorage::Spoilt(why));
            let found = match artifact.digest.parse::<Digest>() {
                Err(error) => spoilt(error.to_string()),
                Ok(digest) => match storage.verify(&path, &digest) {
                    Ok(Integrity::Intact) => Ok(InStorage::Intact),
                    Ok(Integrity::Missing) => Ok(InStorage::Missing),
                    Ok(Integrity::Altered(_)) => {
                        spoilt(format!("computed digest doesn't match '{digest}'"))
                    }
                    Err(error) => Err(error),
                },
            };
            let found = found.map_err(|error| {
                Failure::retry(
                    sluice_api::condition::STORAGE_OPERATION_FAILED,
                    source::STAT_OPERATION_FAILED,
                    format!("failed to check the stored artifact: {error}"),
                )
            })?;
            Ok((collected, found))
        })
        .await?;
        match collected {
            Ok(0) => {}
            Ok(n) => pass.note(Note::trace(
                source::GARBAGE_COLLECTION_SUCCEEDED,
                format!("garbage collected {n} artifacts"),
            )),
            Err(error) => tracing::warn!(%error, "stale artifacts cannot be removed"),
        }
        pass.storage(found, Some(url));
        Ok(())
    }

    fn included(&self, turn: &Turn, name: &str) -> Included {
        match self
            .objects
            .get(&ObjectKey::new(turn.key.namespace.clone(), name))
        {
            None => Included::Missing,
            Some(object) => Included::Found(
                object
                    .status
                    .as_ref()
                    .and_then(|status| status.artifact.clone()),
            ),
        }
    }

    /// Asks the remote for its refs and, unless they lead to the `known` revision, for what is
    /// missing.
    async fn look(
        &self,
        remote: Remote,
        reference: Reference,
        purpose: Purpose,
        known: Option<String>,
        cache: PathBuf,
    ) -> Result<Look, sluice_git::Error> {
        let session = self.git.connect(&remote, purpose).await?;
        let resolution = reference.resolve(session.refs(), &remote.shown())?;
        if let (Resolution::Known(resolved), Some(known)) = (&resolution, &known)
            && sluice_git::reference::normalise_revision(known) == resolved.revision
        {
            let revision = resolved.revision.clone();
            session.close().await;
            return Ok(Look::Stored(revision));
        }
        let fetched = match session.fetch(resolution, &cache).await {
            Err(error) if error.is_local() && !matches!(remote.url, RemoteUrl::Local(_)) => {
                tracing::warn!(%error, "the git object store is damaged and is started afresh");
                let damaged = cache.clone();
                blocking(move || {
                    sluice_git::cache::remove(&damaged).map_err(|error| error.to_string())
                })
                .await
                .map_err(|error| sluice_git::Error::Store(std::io::Error::other(error)))?;
                self.git.obtain(&remote, &reference, &cache).await?
            }
            fetched => fetched?,
        };
        Ok(Look::Fetched(fetched.0, fetched.1))
    }

    /// Reads the commit, and the tag that led to it.
    async fn read(
        &self,
        remote: &Remote,
        snapshot: &Snapshot,
        cache: &std::path::Path,
    ) -> Result<(Commit, Option<sluice_git::snapshot::TagObject>), Failure> {
        let snapshot = snapshot.clone();
        let cache = (!matches!(remote.url, RemoteUrl::Local(_))).then(|| cache.to_owned());
        blocking_step(move || {
            let read = snapshot
                .read_commit()
                .and_then(|commit| Ok((commit, snapshot.read_tag()?)));
            if let (Err(error), Some(cache)) = (&read, &cache)
                && error.is_local()
            {
                let _ = sluice_git::cache::remove(cache);
            }
            read.map_err(|error| failed(&error))
        })
        .await
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn wanted(reference: Option<&GitRepositoryRef>) -> Reference {
    let Some(reference) = reference else {
        return Reference::default();
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Reference {
        branch: text(&reference.branch),
        tag: text(&reference.tag),
        semver: text(&reference.semver),
        name: text(&reference.name),
        commit: text(&reference.commit),
    }
}

/// What Flux tells when the refs show that nothing is new, and what it tells when it finds so only
/// after a fetch that is spared here.
fn unchanged_note(strategy: Strategy, revision: &str) -> (&'static str, String) {
    match strategy {
        Strategy::Branch | Strategy::Tag | Strategy::Name => (
            source::GIT_OPERATION_SUCCEEDED,
            format!("no changes since last reconciliation: observed revision '{revision}'"),
        ),
        Strategy::Semver | Strategy::Commit => (
            source::ARTIFACT_UP_TO_DATE,
            format!("artifact up-to-date with remote revision: '{revision}'"),
        ),
    }
}

fn failed(error: &sluice_git::Error) -> Failure {
    match error {
        sluice_git::Error::EmptyRepository => Failure::retry(
            FETCH_FAILED,
            source::EMPTY_GIT_REPOSITORY,
            error.to_string(),
        ),
        _ => Failure::retry(
            FETCH_FAILED,
            source::GIT_OPERATION_FAILED,
            format!("failed to checkout and determine revision: {error}"),
        ),
    }
}

/// Bounds a Git operation in time.
async fn within<T>(
    limit: Duration,
    remote: &Remote,
    purpose: Purpose,
    work: impl Future<Output = Result<T, sluice_git::Error>>,
) -> Result<T, sluice_git::Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => {
            let url = remote.shown();
            let cause = sluice_git::TransportError::Network("context deadline exceeded".to_owned());
            Err(match purpose {
                Purpose::List => sluice_git::Error::List { url, cause },
                Purpose::Clone => sluice_git::Error::Clone { url, cause },
            })
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| error.to_string())?
}

async fn blocking_step<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::plain(FAILED, error.to_string()))?
}
