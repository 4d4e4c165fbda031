use std::collections::BTreeMap;

use sluice_api::condition::Condition;
use sluice_api::event::Severity;
use sluice_api::reference::LocalObjectReference;
use sluice_api::source::{GitRepositoryInclude, GitRepositoryVerification};

use super::*;

const ONE: &str = "main@sha1:1111111111111111111111111111111111111111";
const TWO: &str = "main@sha1:2222222222222222222222222222222222222222";

fn at(second: i64) -> Time {
    Time::new(jiff::Timestamp::from_second(second).unwrap())
}

fn artifact(revision: &str, digest: &str) -> Artifact {
    Artifact {
        revision: revision.into(),
        digest: digest.into(),
        url: format!("http://old/{digest}"),
        ..Artifact::default()
    }
}

fn new_object() -> GitRepository {
    let mut object = GitRepository::default();
    object.metadata.generation = Some(1);
    object.status = Some(GitRepositoryStatus {
        observed_generation: Some(-1),
        ..GitRepositoryStatus::default()
    });
    object
}

/// An object after a first pass that went well.
fn ready_object() -> GitRepository {
    let mut object = new_object();
    let finished = first_pass(&object);
    object.status = Some(finished.status);
    object
}

fn first_pass(object: &GitRepository) -> Finished {
    let mut pass = Pass::begin(object, at(10));
    pass.storage(InStorage::Nothing, None);
    pass.source();
    pass.includes(vec![]);
    pass.fetched();
    pass.unverified();
    assert_eq!(pass.revision(ONE, "one".into()), Need::Build);
    pass.stored(artifact(ONE, "d1"));
    pass.done()
}

/// Takes a pass up to the point where the remote is asked.
fn begun(object: &GitRepository) -> Pass {
    let mut pass = Pass::begin(object, at(20));
    pass.storage(InStorage::Intact, Some("http://new/d1".into()));
    pass.source();
    pass.includes(vec![]);
    pass
}

fn ask(object: &mut GitRepository, token: &str) {
    object.metadata.annotations = Some(BTreeMap::from([(
        RECONCILE_REQUEST.to_owned(),
        token.to_owned(),
    )]));
}

/// `Type=Status/Reason generation message`
fn shown(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|c| {
            format!(
                "{}={}/{} {} {}",
                c.type_,
                c.status,
                c.reason,
                c.observed_generation.unwrap_or(0),
                c.message
            )
        })
        .collect()
}

/// `severity reason message`
fn told(notes: &[Note]) -> Vec<String> {
    notes
        .iter()
        .map(|n| format!("{} {} {}", n.severity.as_str(), n.reason, n.message))
        .collect()
}

fn broken() -> Failure {
    Failure::retry(FETCH_FAILED, source::GIT_OPERATION_FAILED, "broken")
}

#[test]
fn a_first_pass_makes_the_object_ready_and_tells_of_the_artifact() {
    let finished = first_pass(&new_object());
    assert_eq!(
        shown(&finished.status.conditions),
        [
            format!("Ready=True/Succeeded 1 stored artifact for revision '{ONE}'"),
            format!("ArtifactInStorage=True/Succeeded 1 stored artifact for revision '{ONE}'"),
        ]
    );
    assert_eq!(finished.status.observed_generation, Some(1));
    assert_eq!(
        told(&finished.notes),
        ["info NewArtifact stored artifact for commit 'one'"]
    );
    let key = |name| format!("source.toolkit.fluxcd.io/{name}");
    assert_eq!(
        finished.notes[0].metadata,
        BTreeMap::from([
            (key("revision"), ONE.to_owned()),
            (key("digest"), "d1".to_owned())
        ])
    );
    assert_eq!(finished.not_ready, None);
}

#[test]
fn a_first_failure_leaves_the_generation_unobserved() {
    let mut pass = Pass::begin(&new_object(), at(10));
    pass.storage(InStorage::Nothing, None);
    let finished = pass.failed(&broken());
    assert_eq!(
        shown(&finished.status.conditions),
        [
            "Reconciling=True/ProgressingWithRetry 1 building artifact",
            "Ready=False/GitOperationFailed 1 broken",
            "FetchFailed=True/GitOperationFailed 1 broken",
        ]
    );
    assert_eq!(finished.status.observed_generation, Some(-1));
    assert_eq!(told(&finished.notes), ["error GitOperationFailed broken"]);
}

#[test]
fn an_unchanged_poll_changes_nothing_and_tells_nothing() {
    let mut object = ready_object();
    if let Some(artifact) = object
        .status
        .as_mut()
        .and_then(|status| status.artifact.as_mut())
    {
        artifact.url = "http://new/d1".into();
    }
    let mut pass = begun(&object);
    assert!(pass.may_be_unchanged() && pass.is_stored(ONE) && !pass.is_stored(TWO));
    assert_eq!(pass.progress(), None);
    pass.unchanged(ONE, ("GitOperationSucceeded", "no changes".into()));
    let finished = pass.done_unchanged();
    assert_eq!(Some(finished.status), object.status);
    assert_eq!(finished.notes, []);
}

#[test]
fn an_unchanged_poll_that_was_asked_for_answers() {
    let mut object = ready_object();
    ask(&mut object, "t1");
    let mut pass = begun(&object);
    pass.unchanged(ONE, ("GitOperationSucceeded", "no changes".into()));
    let finished = pass.done_unchanged();
    assert_eq!(
        finished.status.last_handled_reconcile_at.as_deref(),
        Some("t1")
    );
    assert_eq!(
        told(&finished.notes),
        ["trace GitOperationSucceeded no changes"]
    );
}

#[test]
fn another_advertised_address_is_written_without_a_new_artifact() {
    let mut pass = begun(&ready_object());
    pass.unchanged(ONE, ("GitOperationSucceeded", String::new()));
    let artifact = pass.done_unchanged().status.artifact.unwrap();
    assert_eq!(
        (artifact.url.as_str(), artifact.digest.as_str()),
        ("http://new/d1", "d1")
    );
}

#[test]
fn a_new_revision_shows_while_it_is_built() {
    let mut pass = begun(&ready_object());
    pass.fetched();
    assert_eq!(pass.revision(TWO, "two".into()), Need::Build);
    assert_eq!(
        shown(&pass.progress().unwrap().conditions),
        [
            format!(
                "Reconciling=True/Progressing 1 building artifact: new upstream revision '{TWO}'"
            ),
            format!("Ready=Unknown/Progressing 1 building artifact: new upstream revision '{TWO}'"),
            format!("ArtifactInStorage=True/Succeeded 1 stored artifact for revision '{ONE}'"),
            format!("ArtifactOutdated=True/NewRevision 1 new upstream revision '{TWO}'"),
        ]
    );
    pass.stored(artifact(TWO, "d2"));
    let finished = pass.done();
    assert_eq!(finished.status.conditions.len(), 2);
    assert_eq!(
        told(&finished.notes),
        ["info NewArtifact stored artifact for commit 'two'"]
    );
}

#[test]
fn a_new_commit_with_the_same_files_is_no_news() {
    let mut pass = begun(&ready_object());
    pass.revision(TWO, "two".into());
    pass.stored(artifact(TWO, "d1"));
    assert_eq!(pass.done().notes, []);
}

#[test]
fn a_failure_keeps_the_artifact_and_its_end_is_told() {
    let mut object = ready_object();
    object.metadata.generation = Some(2);
    let finished = begun(&object).failed(&broken());
    assert_eq!(
        shown(&finished.status.conditions),
        [
            "Reconciling=True/ProgressingWithRetry 2 processing object: new generation 1 -> 2"
                .to_owned(),
            "Ready=False/GitOperationFailed 2 broken".into(),
            "FetchFailed=True/GitOperationFailed 2 broken".into(),
            format!("ArtifactInStorage=True/Succeeded 1 stored artifact for revision '{ONE}'"),
        ]
    );
    assert_eq!(finished.status.observed_generation, Some(1));
    assert!(finished.status.artifact.is_some());

    object.status = Some(finished.status);
    let mut pass = begun(&object);
    pass.unchanged(ONE, ("GitOperationSucceeded", "no changes".into()));
    let finished = pass.done_unchanged();
    assert_eq!(
        told(&finished.notes),
        [
            format!("info Succeeded stored artifact for commit '{ONE}'"),
            "trace GitOperationSucceeded no changes".into(),
        ]
    );
    assert_eq!(finished.status.observed_generation, Some(2));
    assert_eq!(finished.status.conditions.len(), 2);
}

#[test]
fn a_lost_or_spoilt_file_is_built_again() {
    for (found, notes) in [
        (InStorage::Missing, vec![]),
        (
            InStorage::Spoilt("computed digest doesn't match 'd1'".into()),
            vec![
                "error ArtifactVerificationFailed failed to verify integrity of artifact: computed digest doesn't match 'd1'",
            ],
        ),
    ] {
        let mut pass = Pass::begin(&ready_object(), at(20));
        pass.storage(found, Some("http://new/d1".into()));
        assert_eq!(pass.artifact(), None);
        assert!(!pass.may_be_unchanged());
        assert_eq!(
            shown(&pass.progress().unwrap().conditions),
            [
                "Reconciling=True/Progressing 1 building artifact: disappeared from storage",
                "Ready=Unknown/Progressing 1 building artifact: disappeared from storage",
            ]
        );
        pass.revision(ONE, "one".into());
        pass.stored(artifact(ONE, "d1"));
        assert_eq!(told(&pass.done().notes), notes);
    }
}

#[test]
fn settings_that_shape_the_artifact_ask_for_a_new_one() {
    let mut object = ready_object();
    object.spec.ignore = Some("/x".into());
    let mut pass = begun(&object);
    assert!(pass.content_changed() && !pass.is_stored(ONE));
    assert_eq!(pass.revision(ONE, "one".into()), Need::Build);
    pass.stored(artifact(ONE, "d2"));
    let finished = pass.done();
    assert_eq!(finished.status.observed_ignore.as_deref(), Some("/x"));
    assert_eq!(
        told(&finished.notes),
        ["info NewArtifact stored artifact for commit 'one'"]
    );
}

#[test]
fn included_artifacts_ask_for_a_new_one_when_they_change() {
    let mut object = ready_object();
    object.spec.include = vec![GitRepositoryInclude {
        repository: LocalObjectReference {
            name: "base".into(),
        },
        ..GitRepositoryInclude::default()
    }];
    let included = vec![artifact("base@sha1:1", "b1")];
    let mut pass = begun(&object);
    pass.includes(included.clone());
    assert!(pass.content_changed());
    assert!(
        shown(&pass.progress().unwrap().conditions)[0]
            .ends_with("included artifacts differ from last observed includes")
    );
    pass.revision(ONE, "one".into());
    pass.stored(artifact(ONE, "d2"));
    object.status = Some(pass.done().status);

    let mut pass = begun(&object);
    pass.includes(included);
    assert!(pass.is_stored(ONE));
    let mut pass = begun(&object);
    pass.includes(vec![artifact("base@sha1:1", "b2")]);
    assert!(!pass.is_stored(ONE));
}

#[test]
fn waiting_for_an_include_is_no_error() {
    let mut pass = Pass::begin(&new_object(), at(10));
    pass.storage(InStorage::Nothing, None);
    let wait = std::time::Duration::from_secs(30);
    let failure = Failure::waiting(
        INCLUDE_UNAVAILABLE,
        source::NO_ARTIFACT,
        "no artifact",
        wait,
    );
    let finished = pass.failed(&failure);
    assert_eq!(
        shown(&finished.status.conditions),
        [
            "Reconciling=True/ProgressingWithRetry 1 building artifact",
            "Ready=False/NoArtifact 1 no artifact",
            "IncludeUnavailable=True/NoArtifact 1 no artifact",
        ]
    );
    assert_eq!(finished.notes[0].severity, Severity::Trace);
}

#[test]
fn a_verification_that_was_made_stands_until_it_is_turned_off() {
    let mut object = new_object();
    object.spec.verify = Some(GitRepositoryVerification::default());
    let mut pass = Pass::begin(&object, at(10));
    pass.storage(InStorage::Nothing, None);
    pass.source();
    pass.verified("HEAD", "verified".into());
    pass.revision(ONE, "one".into());
    pass.stored(artifact(ONE, "d1"));
    let finished = pass.done();
    assert_eq!(
        told(&finished.notes),
        [
            "info NewArtifact stored artifact for commit 'one'",
            "trace Succeeded verified"
        ]
    );
    object.status = Some(finished.status);
    assert!(begun(&object).is_stored(ONE));

    // Turned off with the same revision, it stands; a failed one is forgotten at the next look.
    object.spec.verify = None;
    let mut pass = begun(&object);
    assert!(pass.is_stored(ONE));
    pass.unchanged(ONE, ("GitOperationSucceeded", String::new()));
    let status = pass.done_unchanged().status;
    assert_eq!(status.source_verification_mode.as_deref(), Some("HEAD"));
    let mut pass = begun(&object);
    pass.unverified();
    pass.revision(TWO, "two".into());
    pass.stored(artifact(TWO, "d2"));
    let status = pass.done().status;
    assert_eq!(status.source_verification_mode, None);
    assert_eq!(status.conditions.len(), 2);
}

#[test]
fn a_forged_commit_is_told_in_ready_and_publishes_nothing() {
    let mut object = ready_object();
    object.spec.verify = Some(GitRepositoryVerification::default());
    let mut pass = begun(&object);
    pass.fetched();
    let failure = Failure::retry(SOURCE_VERIFIED, source::INVALID_COMMIT_SIGNATURE, "forged");
    pass.note(Note::trace("X", "x"));
    let finished = pass.failed(&failure);
    assert_eq!(
        shown(&finished.status.conditions)[..2],
        [
            "Reconciling=True/ProgressingWithRetry 1 reconciliation in progress",
            "Ready=False/InvalidCommitSignature 1 forged",
        ]
    );
    assert_eq!(finished.status.artifact.unwrap().revision, ONE);
}

#[test]
fn a_suspended_object_answers_and_keeps_its_state() {
    let mut object = ready_object();
    object.metadata.generation = Some(2);
    object.spec.suspend = true;
    ask(&mut object, "t1");
    let finished = Pass::suspended(&object, at(20));
    assert_eq!(finished.status.observed_generation, Some(2));
    assert_eq!(
        finished.status.last_handled_reconcile_at.as_deref(),
        Some("t1")
    );
    assert_eq!(
        shown(&finished.status.conditions),
        [
            format!("Ready=True/Succeeded 2 stored artifact for revision '{ONE}'"),
            format!("ArtifactInStorage=True/Succeeded 1 stored artifact for revision '{ONE}'"),
        ]
    );
    assert_eq!((finished.notes, finished.not_ready), (vec![], None));
}

#[test]
fn artifacts_of_old_flux_count_as_what_they_are() {
    let mut object = ready_object();
    if let Some(artifact) = object
        .status
        .as_mut()
        .and_then(|status| status.artifact.as_mut())
    {
        artifact.revision = ONE.replace("@sha1:", "/");
    }
    assert!(begun(&object).is_stored(ONE));
}
