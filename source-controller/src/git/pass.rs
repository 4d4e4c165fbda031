//! One pass over one GitRepository: what was seen goes in, conditions and events come out. Nothing
//! here reads or writes anything; the caller looks and acts, in this order:
//!
//! ```text
//! begin -> storage -> (credentials) -> includes -> (refs) -> revision -> stored | up to date -> end
//!                                                    `-> unchanged ----------------------------^
//! ```

use sluice_api::artifact::Artifact;
use sluice_api::condition::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, INCLUDE_UNAVAILABLE, READY,
    SOURCE_VERIFIED, STORAGE_OPERATION_FAILED, Status,
};
use sluice_api::key::RECONCILE_REQUEST;
use sluice_api::reason::{SUCCEEDED, source};
use sluice_api::source::{GitRepository, GitRepositorySpec, GitRepositoryStatus};
use sluice_api::time::Time;

use crate::common::conditions::{Draft, Drift, Ending, Observed, Outcome, recovered};
use crate::common::failure::Failure;
use crate::common::note::Note;
use crate::git::{RULES, content};

/// What is in storage of the recorded artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InStorage {
    /// Nothing is recorded.
    Nothing,
    /// The recorded file is there and whole.
    Intact,
    /// It is not there, or its record is unusable.
    Missing,
    /// It was there with another content and is removed now; says why.
    Spoilt(String),
}

/// Whether an artifact with this revision is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Everything is as it was: no artifact is needed.
    Nothing,
    /// The artifact has to be built.
    Build,
}

/// A pass under way.
#[derive(Debug, Clone)]
pub struct Pass {
    spec: GitRepositorySpec,
    generation: i64,
    requested: Option<String>,
    before: GitRepositoryStatus,
    /// The status as it will be written, save its conditions.
    status: GitRepositoryStatus,
    draft: Draft,
    notes: Vec<Note>,
    includes: Vec<Artifact>,
    /// What events call the commit.
    subject: Option<String>,
}

/// The end of a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The status to write.
    pub status: GitRepositoryStatus,
    /// The events to send once it is written.
    pub notes: Vec<Note>,
    /// Set when the pass went through and the object is not ready all the same: try again.
    pub not_ready: Option<String>,
}

impl Pass {
    /// Starts a pass without having looked at anything but the object.
    pub fn begin(object: &GitRepository, now: Time) -> Pass {
        let mut pass = Pass::look(object, now);
        pass.draft
            .progress(Drift::None, "reconciliation in progress");
        let observed = pass.before.observed_generation.unwrap_or(0);
        if observed != pass.generation {
            let message = format!(
                "processing object: new generation {observed} -> {}",
                pass.generation
            );
            pass.draft.progress(Drift::None, message);
        }
        pass
    }

    /// Takes the object up without any intention to work on it.
    fn look(object: &GitRepository, now: Time) -> Pass {
        let before = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or(0);
        Pass {
            spec: object.spec.clone(),
            generation,
            requested: object
                .metadata
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(RECONCILE_REQUEST).cloned()),
            draft: Draft::new(before.conditions.clone(), generation, now),
            status: before.clone(),
            before,
            notes: Vec::new(),
            includes: Vec::new(),
            subject: None,
        }
    }

    /// The pass over a suspended object: its summary is brought up to date and nothing else.
    pub fn suspended(object: &GitRepository, now: Time) -> Finished {
        Pass::look(object, now).finish(Outcome::Suspended)
    }

    /// The artifact that is recorded now.
    pub fn artifact(&self) -> Option<&Artifact> {
        self.status.artifact.as_ref()
    }

    /// Whether the refs of the remote alone can tell that there is nothing to do.
    pub fn may_be_unchanged(&self) -> bool {
        self.status.artifact.is_some() && self.draft.is(ARTIFACT_IN_STORAGE, Status::True)
    }

    /// Adds an event.
    pub fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Takes in what is in storage. `url` is where the recorded artifact is served now.
    pub fn storage(&mut self, found: InStorage, url: Option<String>) {
        self.draft.delete(STORAGE_OPERATION_FAILED);
        match found {
            InStorage::Intact => {
                if let (Some(artifact), Some(url)) = (&mut self.status.artifact, url) {
                    artifact.url = url;
                }
                return;
            }
            InStorage::Nothing => self.draft.progress(Drift::Found, "building artifact"),
            InStorage::Missing | InStorage::Spoilt(_) => {
                self.draft
                    .progress(Drift::Found, "building artifact: disappeared from storage");
            }
        }
        if let InStorage::Spoilt(why) = found {
            let message = format!("failed to verify integrity of artifact: {why}");
            self.note(Note::error(source::ARTIFACT_VERIFICATION_FAILED, message));
        }
        self.status.artifact = None;
        self.draft.delete(ARTIFACT_IN_STORAGE);
    }

    /// Starts on the source: a verification that failed is about to be made again.
    pub fn source(&mut self) {
        if self.draft.is(SOURCE_VERIFIED, Status::False) {
            self.draft.delete(SOURCE_VERIFIED);
        }
    }

    /// Takes in the artifacts of the included repositories, in the order of `spec.include`.
    pub fn includes(&mut self, artifacts: Vec<Artifact>) {
        if content::includes_differ(&artifacts, &self.status.included_artifacts) {
            let message =
                "building artifact: included artifacts differ from last observed includes";
            self.draft.progress(Drift::Found, message);
        }
        self.draft.delete(INCLUDE_UNAVAILABLE);
        self.includes = artifacts;
    }

    /// Whether settings or included artifacts ask for another artifact of the same revision.
    pub fn content_changed(&self) -> bool {
        content::changed(&self.spec, &self.status, &self.includes)
    }

    /// Whether `revision` is stored with the settings of now.
    pub fn is_stored(&self, revision: &str) -> bool {
        self.has_revision(revision) && !self.content_changed()
    }

    fn has_revision(&self, revision: &str) -> bool {
        let stored = self.status.artifact.as_ref();
        stored.is_some_and(|a| sluice_git::reference::normalise_revision(&a.revision) == revision)
    }

    /// The remote was reached and has what is asked for.
    pub fn fetched(&mut self) {
        self.draft.delete(FETCH_FAILED);
    }

    /// The refs alone show that `revision` is stored already. `told` is the event's reason and text.
    pub fn unchanged(&mut self, revision: &str, told: (&'static str, String)) {
        self.fetched();
        self.store_condition(revision);
        self.subject = Some(revision.to_owned());
        self.note(Note::trace(told.0, told.1));
    }

    /// Takes in the fetched commit. Says whether its artifact has to be built.
    pub fn revision(&mut self, revision: &str, subject: String) -> Need {
        self.subject = Some(subject);
        if !self.has_revision(revision) {
            let message = format!("new upstream revision '{revision}'");
            if self.status.artifact.is_some() {
                self.draft
                    .mark(ARTIFACT_OUTDATED, source::NEW_REVISION, message.clone());
            }
            self.draft
                .progress(Drift::Found, format!("building artifact: {message}"));
        }
        if self.is_stored(revision) {
            Need::Nothing
        } else {
            Need::Build
        }
    }

    /// Records the outcome of a verification that went well.
    pub fn verified(&mut self, mode: &'static str, message: String) {
        self.status.source_verification_mode = Some(mode.to_owned());
        self.draft.mark(SOURCE_VERIFIED, SUCCEEDED, message.clone());
        self.note(Note::trace(SUCCEEDED, message));
    }

    /// Records that nothing has to be verified.
    pub fn unverified(&mut self) {
        self.status.source_verification_mode = None;
        self.draft.delete(SOURCE_VERIFIED);
    }

    /// The artifact of `revision` is the stored one.
    pub fn up_to_date(&mut self, revision: &str) {
        self.note(Note::trace(
            source::ARTIFACT_UP_TO_DATE,
            format!("artifact up-to-date with remote revision: '{revision}'"),
        ));
        self.store_condition(revision);
    }

    /// A new artifact is stored.
    pub fn stored(&mut self, artifact: Artifact) {
        let revision = artifact.revision.clone();
        self.status.artifact = Some(artifact);
        self.status.included_artifacts = self.includes.clone();
        self.status.observed_ignore = self.spec.ignore.clone();
        self.status.observed_recurse_submodules = self.spec.recurse_submodules;
        self.status.observed_include = self.spec.include.clone();
        self.status.observed_sparse_checkout = self.spec.sparse_checkout.clone();
        self.draft.delete(STORAGE_OPERATION_FAILED);
        self.store_condition(&revision);
    }

    fn store_condition(&mut self, revision: &str) {
        self.draft.delete(ARTIFACT_OUTDATED);
        let message = format!("stored artifact for revision '{revision}'");
        self.draft.mark(ARTIFACT_IN_STORAGE, SUCCEEDED, message);
    }

    /// The status as it is in the middle of the work; `None` for a routine look, which is nobody's
    /// business until it finds something.
    pub fn progress(&self) -> Option<GitRepositoryStatus> {
        let asked = self.requested != self.before.last_handled_reconcile_at;
        let edited = self.before.observed_generation != Some(self.generation);
        (asked || edited || self.draft.is(READY, Status::Unknown)).then(|| GitRepositoryStatus {
            conditions: self.draft.conditions().to_vec(),
            ..self.status.clone()
        })
    }

    /// Ends the pass after all steps.
    pub fn done(self) -> Finished {
        self.finish(Outcome::Done)
    }

    /// Ends the pass after [`Pass::unchanged`].
    pub fn done_unchanged(self) -> Finished {
        self.finish(Outcome::Unchanged)
    }

    /// Ends the pass at a failed step.
    pub fn failed(mut self, failure: &Failure) -> Finished {
        if let Some(condition) = failure.condition {
            let status = if condition == SOURCE_VERIFIED {
                Status::False
            } else {
                Status::True
            };
            self.draft
                .set(condition, status, failure.reason, failure.message.clone());
        }
        self.note(Note::failure(failure));
        self.finish(Outcome::Failed(failure))
    }

    fn finish(mut self, outcome: Outcome<'_>) -> Finished {
        let Ending {
            observed,
            not_ready,
        } = self.draft.end(&RULES, outcome);
        if observed == Observed::Yes {
            self.status.observed_generation = Some(self.generation);
        }
        if self.requested.is_some() {
            // Also after a failure and while suspended: whoever asked stops waiting.
            self.status.last_handled_reconcile_at = self.requested.clone();
        }
        let mut notes = std::mem::take(&mut self.notes);
        let went_through = matches!(outcome, Outcome::Done | Outcome::Unchanged);
        if went_through && let Some(note) = self.news() {
            notes.insert(0, note);
        }
        let status = GitRepositoryStatus {
            conditions: self.draft.conditions().to_vec(),
            ..self.status
        };
        let not_ready = not_ready.filter(|_| went_through);
        if outcome == Outcome::Unchanged && status == self.before {
            // A poll that changes nothing writes nothing, an event neither.
            notes.clear();
        }
        Finished {
            status,
            notes,
            not_ready,
        }
    }

    /// The event about a new artifact, or about the end of a failure.
    fn news(&self) -> Option<Note> {
        let artifact = self.status.artifact.as_ref()?;
        let message = format!(
            "stored artifact for commit '{}'",
            self.subject.as_deref().unwrap_or_default()
        );
        let known = self
            .before
            .artifact
            .as_ref()
            .is_some_and(|before| before.digest == artifact.digest);
        if !known {
            return Some(Note::artifact(source::NEW_ARTIFACT, message, artifact));
        }
        recovered(&RULES, &self.before.conditions, self.draft.conditions())
            .then(|| Note::artifact(SUCCEEDED, message, artifact))
    }
}

#[cfg(test)]
mod tests;
