//! `spec.verify`: which objects have to be signed, and whether they are.

use std::time::{SystemTime, UNIX_EPOCH};

use sluice_api::condition::SOURCE_VERIFIED;
use sluice_api::reason::source;
use sluice_api::source::GitRepositorySpec;
use sluice_git::reference::Tag;
use sluice_git::snapshot::{Commit, TagObject};
use sluice_git::verify::{Object, Trusted, verify};

use crate::common::failure::Failure;
use crate::git::content::verification_mode;
use crate::git::credentials::SecretData;

/// The objects that one fetch brought.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// The commit.
    pub commit: &'a Commit,
    /// The tag that led to it.
    pub tag: Option<&'a Tag>,
    /// The tag's object, if it is annotated.
    pub tag_object: Option<&'a TagObject>,
}

/// What a verification that went well has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What was asked for: `HEAD`, `Tag` or `TagAndHEAD`.
    pub mode: &'static str,
    /// Which objects were signed with which keys.
    pub message: String,
}

/// The keys in the Secret of `spec.verify`: `*.sshpub` for SSH, anything else for OpenPGP.
pub fn trusted(secret: &SecretData) -> Trusted {
    let mut trusted = Trusted::default();
    for (key, value) in &secret.data {
        let text = String::from_utf8_lossy(value).into_owned();
        if key.ends_with(".sshpub") {
            &mut trusted.ssh
        } else {
            &mut trusted.pgp
        }
        .push(text);
    }
    trusted
}

/// Verifies what `spec.verify` asks for.
///
/// # Errors
/// When something is not signed by a trusted key.
pub fn check(
    spec: &GitRepositorySpec,
    fetched: Fetched<'_>,
    trusted: &Trusted,
) -> Result<Verified, Failure> {
    let Some(mode) = verification_mode(spec) else {
        return Err(Failure::stalled(
            SOURCE_VERIFIED,
            source::INVALID_VERIFICATION_MODE,
            "the mode of verification is unknown",
        ));
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mut message = "verified signature of".to_owned();
    if mode != "HEAD" {
        message.push_str(&check_tag(fetched, trusted, now)?);
    }
    if mode != "Tag" {
        message.push_str(&check_commit(fetched.commit, trusted, now)?);
    }
    Ok(Verified { mode, message })
}

fn check_tag(fetched: Fetched<'_>, trusted: &Trusted, now: u64) -> Result<String, Failure> {
    let Some(tag) = fetched.tag else {
        let message = "cannot verify tag object's signature if a tag reference is not specified";
        return Err(Failure::stalled(
            SOURCE_VERIFIED,
            source::INVALID_VERIFICATION_MODE,
            message,
        ));
    };
    let unsigned = |name: &str| {
        let message = format!("cannot verify signature of tag '{name}' since it is not signed");
        Failure::retry(SOURCE_VERIFIED, source::INVALID_GIT_OBJECT, message)
    };
    let Some(object) = fetched.tag_object else {
        return Err(unsigned(&tag.name));
    };
    let name = format!("{}@{}", tag.name, object.id);
    let Some(signed) = &object.signature else {
        return Err(unsigned(&name));
    };
    match verify(Some(signed), Object::Tag, trusted, now) {
        Ok(key) => Ok(format!("\n\t- tag '{name}' with key '{key}'")),
        Err(error) => {
            let message = format!("signature verification of tag '{name}' failed: {error}");
            Err(Failure::retry(
                SOURCE_VERIFIED,
                source::INVALID_TAG_SIGNATURE,
                message,
            ))
        }
    }
}

fn check_commit(commit: &Commit, trusted: &Trusted, now: u64) -> Result<String, Failure> {
    match verify(commit.signature.as_ref(), Object::Commit, trusted, now) {
        Ok(key) => Ok(format!("\n\t- commit '{}' with key '{key}'", commit.id)),
        Err(error) => {
            let message = format!(
                "signature verification of commit '{}' failed: {error}",
                commit.id
            );
            Err(Failure::retry(
                SOURCE_VERIFIED,
                source::INVALID_COMMIT_SIGNATURE,
                message,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;
    use sluice_api::reference::LocalObjectReference;
    use sluice_api::source::{GitRepositoryVerification, GitVerificationMode};
    use sluice_git::Oid;
    use sluice_git::snapshot::{Person, Signed};

    fn person() -> Person {
        Person {
            name: String::new(),
            email: String::new(),
            seconds: 0,
        }
    }

    fn outcome(
        mode: GitVerificationMode,
        tag: Option<&str>,
        object: Option<Option<Signed>>,
    ) -> (Class, &'static str, String) {
        let id = Oid::from_str(&"a".repeat(40)).unwrap();
        let commit = Commit {
            id,
            author: person(),
            committer: person(),
            message: String::new(),
            signature: None,
        };
        let tag = tag.map(|name| Tag {
            name: name.into(),
            object: id,
        });
        let tag_object = object.map(|signature| TagObject { id, signature });
        let spec = GitRepositorySpec {
            verify: Some(GitRepositoryVerification {
                mode: Some(mode),
                secret_ref: LocalObjectReference::default(),
            }),
            ..GitRepositorySpec::default()
        };
        let fetched = Fetched {
            commit: &commit,
            tag: tag.as_ref(),
            tag_object: tag_object.as_ref(),
        };
        let failure = check(&spec, fetched, &Trusted::default()).unwrap_err();
        (failure.class, failure.reason, failure.message)
    }

    #[test]
    fn what_cannot_be_verified_says_why() {
        use GitVerificationMode::{Head, Tag, TagAndHead};
        let a = "a".repeat(40);
        let signed = Signed {
            signature: "-----BEGIN PGP SIGNATURE-----\n".into(),
            payload: vec![],
        };
        assert_eq!(
            outcome(Tag, None, None),
            (
                Class::Stalled,
                source::INVALID_VERIFICATION_MODE,
                "cannot verify tag object's signature if a tag reference is not specified".into()
            )
        );
        assert_eq!(
            outcome(Tag, Some("plain"), None),
            (
                Class::Retry,
                source::INVALID_GIT_OBJECT,
                "cannot verify signature of tag 'plain' since it is not signed".into()
            )
        );
        assert_eq!(
            outcome(TagAndHead, Some("v1"), Some(None)).2,
            format!("cannot verify signature of tag 'v1@{a}' since it is not signed")
        );
        let (_, reason, message) = outcome(Tag, Some("v1"), Some(Some(signed)));
        assert_eq!(reason, source::INVALID_TAG_SIGNATURE);
        assert_eq!(
            message,
            format!(
                "signature verification of tag 'v1@{a}' failed: PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)"
            )
        );
        assert_eq!(
            outcome(Head, None, None),
            (
                Class::Retry,
                source::INVALID_COMMIT_SIGNATURE,
                format!(
                    "signature verification of commit '{a}' failed: unsupported signature type: empty"
                )
            )
        );
    }
}
