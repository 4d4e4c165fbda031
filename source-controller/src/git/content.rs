//! Whether what goes into an artifact, besides the commit, is still what went into the stored one.

use sluice_api::artifact::Artifact;
use sluice_api::source::{GitRepositorySpec, GitRepositoryStatus, GitVerificationMode};

/// Whether settings that shape the artifact, or included artifacts, differ from those of the stored
/// artifact, or a verification is due that was not made yet.
///
/// `includes` are the artifacts of `spec.include` as they are now, in its order.
pub fn changed(
    spec: &GitRepositorySpec,
    status: &GitRepositoryStatus,
    includes: &[Artifact],
) -> bool {
    spec.ignore != status.observed_ignore
        || spec.recurse_submodules != status.observed_recurse_submodules
        || spec.sparse_checkout != status.observed_sparse_checkout
        || spec.include != status.observed_include
        || includes_differ(includes, &status.included_artifacts)
        || verification_due(spec, status)
}

/// Whether the included artifacts differ in number, revision or digest.
pub fn includes_differ(now: &[Artifact], before: &[Artifact]) -> bool {
    now.len() != before.len()
        || now
            .iter()
            .zip(before)
            .any(|(a, b)| a.revision != b.revision || a.digest != b.digest)
}

/// What has to be verified, in the form that the status records: `HEAD`, `Tag` or `TagAndHEAD`;
/// `None` if nothing has to be, or if the mode is one that this version does not know.
pub fn verification_mode(spec: &GitRepositorySpec) -> Option<&'static str> {
    let verify = spec.verify.as_ref()?;
    Some(match &verify.mode {
        None | Some(GitVerificationMode::LowerHead | GitVerificationMode::Head) => "HEAD",
        Some(GitVerificationMode::Other(mode)) => return (mode.is_empty()).then_some("HEAD"),
        Some(GitVerificationMode::Tag) => "Tag",
        Some(GitVerificationMode::TagAndHead) => "TagAndHEAD",
    })
}

fn verification_due(spec: &GitRepositorySpec, status: &GitRepositoryStatus) -> bool {
    if spec.verify.is_none() {
        return false;
    }
    match (
        verification_mode(spec),
        status.source_verification_mode.as_deref(),
    ) {
        (None, _) | (Some(_), None) => true,
        (Some(wanted), Some(made)) => made != "TagAndHEAD" && wanted != made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_api::reference::LocalObjectReference;
    use sluice_api::source::{GitRepositoryInclude, GitRepositoryVerification};

    fn artifact(revision: &str, digest: &str) -> Artifact {
        Artifact {
            revision: revision.into(),
            digest: digest.into(),
            ..Artifact::default()
        }
    }

    #[test]
    fn each_setting_that_shapes_the_artifact_counts() {
        let (spec, status) = (GitRepositorySpec::default(), GitRepositoryStatus::default());
        assert!(!changed(&spec, &status, &[]));
        type Edit = fn(&mut GitRepositorySpec);
        let edits: [Edit; 4] = [
            |s| s.ignore = Some(String::new()),
            |s| s.recurse_submodules = true,
            |s| s.sparse_checkout = vec!["./a".into()],
            |s| s.include = vec![GitRepositoryInclude::default()],
        ];
        for edit in edits {
            let mut spec = spec.clone();
            edit(&mut spec);
            assert!(changed(&spec, &status, &[]));
        }
        let unrelated = GitRepositorySpec {
            url: "https://x".into(),
            suspend: true,
            ..spec
        };
        assert!(!changed(&unrelated, &status, &[]));
    }

    #[test]
    fn included_artifacts_count_by_revision_and_digest_in_their_order() {
        let (a, b) = (artifact("1", "x"), artifact("2", "y"));
        assert!(!includes_differ(
            &[a.clone(), b.clone()],
            &[a.clone(), b.clone()]
        ));
        assert!(includes_differ(
            &[b.clone(), a.clone()],
            &[a.clone(), b.clone()]
        ));
        assert!(includes_differ(
            &[artifact("1", "z")],
            std::slice::from_ref(&a)
        ));
        assert!(includes_differ(
            &[artifact("3", "x")],
            std::slice::from_ref(&a)
        ));
        assert!(includes_differ(&[], &[a]));
        let elsewhere = Artifact {
            url: "http://other".into(),
            ..b.clone()
        };
        assert!(!includes_differ(&[elsewhere], &[b]));
    }

    #[test]
    fn a_stricter_verification_is_due_and_a_laxer_one_is_made() {
        use GitVerificationMode::{Head, LowerHead, Tag, TagAndHead};
        let due = |mode, made: Option<&str>| {
            let spec = GitRepositorySpec {
                verify: Some(GitRepositoryVerification {
                    mode,
                    secret_ref: LocalObjectReference::default(),
                }),
                ..GitRepositorySpec::default()
            };
            let status = GitRepositoryStatus {
                source_verification_mode: made.map(str::to_owned),
                ..GitRepositoryStatus::default()
            };
            changed(&spec, &status, &[])
        };
        for (mode, made, want) in [
            (None, None, true),
            (None, Some("HEAD"), false),
            (Some(LowerHead), Some("HEAD"), false),
            (Some(Head), Some("Tag"), true),
            (Some(Tag), Some("HEAD"), true),
            (Some(Tag), Some("TagAndHEAD"), false),
            (Some(Head), Some("TagAndHEAD"), false),
            (Some(TagAndHead), Some("HEAD"), true),
            (Some(TagAndHead), Some("Tag"), true),
            (Some(TagAndHead), Some("TagAndHEAD"), false),
        ] {
            assert_eq!(due(mode.clone(), made), want, "{mode:?} {made:?}");
        }
    }
}
