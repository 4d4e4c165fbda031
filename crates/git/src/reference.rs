//! Which commit a `spec.ref` means, given the refs of the remote. Pure.
//!
//! Precedence is commit, name, tag, semver, branch, and `master` when nothing is given. (The API text
//! puts semver above tag; what Flux does is the other way round.)

use git2::Oid;
use sluice_version::{Constraint, Version};

use crate::advertisement::Advertisement;
use crate::error::{Error, TransportError};

/// The branch that stands in when nothing is named.
pub const DEFAULT_BRANCH: &str = "master";

/// A revision as a user names it; empty texts count as absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reference {
    /// A branch's short name.
    pub branch: String,
    /// A tag's short name.
    pub tag: String,
    /// A range of versions among the tags.
    pub semver: String,
    /// A full ref name.
    pub name: String,
    /// A full commit hash.
    pub commit: String,
}

/// Which field of a [`Reference`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// A branch, perhaps the default one.
    Branch,
    /// A tag.
    Tag,
    /// The highest version among the tags.
    Semver,
    /// A full ref name.
    Name,
    /// A commit.
    Commit,
}

/// The commit that a reference means now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// `<ref>@sha1:<hash>` or `sha1:<hash>`.
    pub revision: String,
    /// The commit.
    pub commit: Oid,
    /// The tag that led to it, when one did.
    pub tag: Option<Tag>,
    /// What to fetch.
    pub want: Want,
}

/// A tag that led to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its short name.
    pub name: String,
    /// What its ref leads to: a tag object, or the commit itself for a lightweight tag.
    pub object: Oid,
}

/// What to fetch for a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// This object, which a ref leads to, without history.
    Tip(Oid),
    /// These histories, to find the commit in them.
    Histories(Vec<Oid>),
}

/// The outcome of looking at the refs alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The commit is known.
    Known(Resolved),
    /// Several tags have the same version, differing in build metadata only; the one whose commit
    /// is youngest is meant. Never empty.
    Tied(Vec<Resolved>),
}

impl Reference {
    /// The field that decides.
    pub fn strategy(&self) -> Strategy {
        if !self.commit.is_empty() {
            Strategy::Commit
        } else if !self.name.is_empty() {
            Strategy::Name
        } else if !self.tag.is_empty() {
            Strategy::Tag
        } else if !self.semver.is_empty() {
            Strategy::Semver
        } else {
            Strategy::Branch
        }
    }

    /// The branch that is meant when a branch decides.
    pub fn branch_or_default(&self) -> &str {
        if self.branch.is_empty() {
            DEFAULT_BRANCH
        } else {
            &self.branch
        }
    }

    /// Finds the commit that the reference means among the refs of the remote `url` (for messages).
    ///
    /// # Errors
    /// When the ref, a matching version, or the commit is not there.
    pub fn resolve(&self, refs: &Advertisement, url: &str) -> Result<Resolution, Error> {
        let missing = |cause| Error::Clone {
            url: url.to_owned(),
            cause,
        };
        let strategy = self.strategy();
        if strategy == Strategy::Name && (self.name.starts_with('/') || self.name.ends_with('/')) {
            return Err(Error::InvalidName(self.name.clone()));
        }
        if refs.is_empty() {
            return Err(match strategy {
                Strategy::Branch => Error::EmptyRepository,
                Strategy::Name => Error::UnresolvedName(self.name.clone()),
                _ => missing(TransportError::EmptyRepository),
            });
        }
        match strategy {
            Strategy::Branch => {
                let branch = self.branch_or_default();
                let full = format!("refs/heads/{branch}");
                let tip = refs
                    .target(&full)
                    .ok_or_else(|| missing(TransportError::RefNotFound(full)))?;
                Ok(Resolution::Known(tip_of(branch, tip)))
            }
            Strategy::Tag => {
                let full = format!("refs/tags/{}", self.tag);
                tag_of(refs, &self.tag, &self.tag)
                    .map(Resolution::Known)
                    .ok_or_else(|| missing(TransportError::RefNotFound(full)))
            }
            Strategy::Semver => self.resolve_semver(refs),
            Strategy::Name => self.resolve_name(refs).map(Resolution::Known),
            Strategy::Commit => self.resolve_commit(refs, url).map(Resolution::Known),
        }
    }

    fn resolve_semver(&self, refs: &Advertisement) -> Result<Resolution, Error> {
        let constraint = Constraint::parse(&self.semver)?;
        let mut names: Vec<&str> = refs.tags().collect();
        names.sort_unstable();
        let matching = sluice_version::matches(&constraint, names, Version::parse_three_part);
        let tied: Vec<Resolved> = matching
            .iter()
            .take_while(|version| Some(*version) == matching.first())
            .filter_map(|version| tag_of(refs, version.original(), version.original()))
            .collect();
        match tied.len() {
            0 => Err(Error::NoMatch(self.semver.clone())),
            1 => Ok(tied
                .into_iter()
                .next()
                .map(Resolution::Known)
                .ok_or_else(|| Error::NoMatch(self.semver.clone()))?),
            _ if tied.iter().all(|r| r.commit == tied[0].commit) => {
                // One commit under several spellings: the last in the order of names.
                tied.into_iter()
                    .next_back()
                    .map(Resolution::Known)
                    .ok_or_else(|| Error::NoMatch(self.semver.clone()))
            }
            _ => Ok(Resolution::Tied(tied)),
        }
    }

    fn resolve_name(&self, refs: &Advertisement) -> Result<Resolved, Error> {
        let name = self.name.as_str();
        let unresolved = || Error::UnresolvedName(self.name.clone());
        let plain = name.strip_suffix("^{}").unwrap_or(name);
        if let Some(tag) = plain.strip_prefix("refs/tags/") {
            return tag_of(refs, tag, name).ok_or_else(unresolved);
        }
        let commit = refs.commit(name).ok_or_else(unresolved)?;
        if name.starts_with("refs/heads/") {
            return Ok(tip_of(name, commit));
        }
        // Flux looks for the commit in the history of the branches. A server that serves any commit
        // by its hash is spared that.
        let want = if refs.serves_any_commit() || refs.branch_tips().contains(&commit) {
            Want::Tip(commit)
        } else {
            Want::Histories(refs.branch_tips())
        };
        Ok(Resolved {
            revision: format!("{name}@sha1:{commit}"),
            commit,
            tag: None,
            want,
        })
    }

    fn resolve_commit(&self, refs: &Advertisement, url: &str) -> Result<Resolved, Error> {
        let not_found = || Error::CommitNotFound(self.commit.clone());
        let tips = if self.branch.is_empty() {
            refs.branch_tips()
        } else {
            let full = format!("refs/heads/{}", self.branch);
            match refs.target(&full) {
                Some(tip) => vec![tip],
                None => {
                    let cause = TransportError::RefNotFound(full);
                    return Err(Error::Clone {
                        url: url.to_owned(),
                        cause,
                    });
                }
            }
        };
        if self.commit.len() != 40 {
            return Err(not_found());
        }
        let commit = Oid::from_str(&self.commit).map_err(|_| not_found())?;
        let prefix = if self.name.is_empty() {
            &self.branch
        } else {
            &self.name
        };
        let revision = if prefix.is_empty() {
            format!("sha1:{commit}")
        } else {
            format!("{prefix}@sha1:{commit}")
        };
        let anywhere = self.branch.is_empty() && (refs.serves_any_commit() || refs.has_tip(commit));
        let want = if tips.contains(&commit) || anywhere {
            Want::Tip(commit)
        } else {
            Want::Histories(tips)
        };
        Ok(Resolved {
            revision,
            commit,
            tag: None,
            want,
        })
    }
}

fn tip_of(name: &str, commit: Oid) -> Resolved {
    Resolved {
        revision: format!("{name}@sha1:{commit}"),
        commit,
        tag: None,
        want: Want::Tip(commit),
    }
}

/// `tag` is the short name, `shown` what the revision begins with.
fn tag_of(refs: &Advertisement, tag: &str, shown: &str) -> Option<Resolved> {
    let full = format!("refs/tags/{tag}");
    let object = refs.target(&full)?;
    let commit = refs.commit(&full)?;
    Some(Resolved {
        revision: format!("{shown}@sha1:{commit}"),
        commit,
        tag: Some(Tag {
            name: tag.to_owned(),
            object,
        }),
        want: Want::Tip(object),
    })
}

/// Brings a recorded revision into today's form: `main/<hash>` and `HEAD/<hash>` are what artifacts
/// had before revisions named their hash algorithm.
pub fn normalise_revision(revision: &str) -> String {
    if revision.contains('@') || revision.contains(':') {
        return revision.to_owned();
    }
    match revision.rsplit_once('/') {
        Some((name, hash)) if hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            if name == "HEAD" {
                format!("sha1:{hash}")
            } else {
                format!("{name}@sha1:{hash}")
            }
        }
        _ => revision.to_owned(),
    }
}

/// The commit hash at the end of a revision.
pub fn revision_hash(revision: &str) -> &str {
    revision.rsplit_once(':').map_or(revision, |(_, hash)| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    fn oid(digit: char) -> Oid {
        Oid::from_str(&hash(digit)).unwrap()
    }

    fn refs(capabilities: &str) -> Advertisement {
        let mut refs = Advertisement::default();
        for (i, (id, name)) in [
            ('3', "refs/heads/main"),
            ('4', "refs/heads/feature/x"),
            ('5', "refs/pull/1/head"),
            ('1', "refs/tags/v1.0.0"),
            ('a', "refs/tags/v1.1.0"),
            ('2', "refs/tags/v1.1.0^{}"),
            ('3', "refs/tags/1.9"),
            ('3', "refs/tags/v1.10.0+build"),
            ('4', "refs/tags/v2.0.0-rc.1"),
        ]
        .into_iter()
        .enumerate()
        {
            let capabilities = if i == 0 {
                format!("\0{capabilities}")
            } else {
                String::new()
            };
            refs.add_line(format!("{} {name}{capabilities}", hash(id)).as_bytes())
                .unwrap();
        }
        refs
    }

    fn reference(fields: &str) -> Reference {
        let mut reference = Reference::default();
        for field in fields.split_whitespace() {
            let (key, value) = field.split_once('=').unwrap();
            let value = value.to_owned();
            match key {
                "branch" => reference.branch = value,
                "tag" => reference.tag = value,
                "semver" => reference.semver = value,
                "name" => reference.name = value,
                "commit" => reference.commit = value,
                other => panic!("{other}"),
            }
        }
        reference
    }

    fn known(fields: &str) -> Resolved {
        match reference(fields).resolve(&refs("shallow"), "URL").unwrap() {
            Resolution::Known(resolved) => resolved,
            Resolution::Tied(tied) => panic!("{tied:?}"),
        }
    }

    #[test]
    fn each_way_to_name_a_revision_gives_the_revision_that_flux_gives() {
        let (one, two, three, four) = (hash('1'), hash('2'), hash('3'), hash('4'));
        for (fields, want) in [
            ("branch=main".to_owned(), format!("main@sha1:{three}")),
            ("branch=feature/x".into(), format!("feature/x@sha1:{four}")),
            ("tag=v1.0.0".into(), format!("v1.0.0@sha1:{one}")),
            ("tag=v1.1.0".into(), format!("v1.1.0@sha1:{two}")),
            (
                "semver=>=1.0.0".into(),
                format!("v1.10.0+build@sha1:{three}"),
            ),
            (
                "semver=>=1.0.0-0".into(),
                format!("v2.0.0-rc.1@sha1:{four}"),
            ),
            (format!("commit={one}"), format!("sha1:{one}")),
            (
                format!("branch=main commit={two}"),
                format!("main@sha1:{two}"),
            ),
            (
                "name=refs/heads/main".into(),
                format!("refs/heads/main@sha1:{three}"),
            ),
            (
                "name=refs/tags/v1.1.0".into(),
                format!("refs/tags/v1.1.0@sha1:{two}"),
            ),
            (
                "name=refs/tags/v1.1.0^{}".into(),
                format!("refs/tags/v1.1.0^{{}}@sha1:{two}"),
            ),
            (
                format!("name=refs/heads/main commit={one}"),
                format!("refs/heads/main@sha1:{one}"),
            ),
            (
                "branch=main tag=v1.0.0 semver=>=1.0.0".into(),
                format!("v1.0.0@sha1:{one}"),
            ),
            (
                "name=refs/heads/feature/x tag=v1.0.0 branch=main".into(),
                format!("refs/heads/feature/x@sha1:{four}"),
            ),
        ] {
            assert_eq!(known(&fields).revision, want, "{fields}");
        }
    }

    #[test]
    fn history_is_fetched_only_where_nothing_cheaper_finds_the_commit() {
        assert_eq!(known("tag=v1.1.0").want, Want::Tip(oid('a')));
        assert_eq!(
            known(&format!("commit={}", hash('3'))).want,
            Want::Tip(oid('3'))
        );
        assert_eq!(
            known(&format!("commit={}", hash('9'))).want,
            Want::Histories(vec![oid('4'), oid('3')])
        );
        assert_eq!(
            known(&format!("branch=main commit={}", hash('4'))).want,
            Want::Histories(vec![oid('3')])
        );
        assert_eq!(
            known("name=refs/pull/1/head").want,
            Want::Histories(vec![oid('4'), oid('3')])
        );
        let generous = refs("allow-reachable-sha1-in-want");
        for fields in [
            "name=refs/pull/1/head".to_owned(),
            format!("commit={}", hash('9')),
        ] {
            let resolution = reference(&fields).resolve(&generous, "URL").unwrap();
            assert!(
                matches!(
                    resolution,
                    Resolution::Known(Resolved {
                        want: Want::Tip(_),
                        ..
                    })
                ),
                "{fields}"
            );
        }
        let strict = reference(&format!("branch=main commit={}", hash('9')))
            .resolve(&generous, "URL")
            .unwrap();
        assert!(matches!(
            strict,
            Resolution::Known(Resolved {
                want: Want::Histories(_),
                ..
            })
        ));
    }

    #[test]
    fn equal_versions_are_left_to_the_dates_of_their_commits() {
        let mut refs = refs("");
        refs.add_line(format!("{} refs/tags/v1.10.0+other", hash('6')).as_bytes())
            .unwrap();
        let resolution = reference("semver=1.x").resolve(&refs, "URL").unwrap();
        let Resolution::Tied(tied) = resolution else {
            panic!("{resolution:?}")
        };
        assert_eq!(
            tied.iter().map(|r| r.commit).collect::<Vec<_>>(),
            [oid('3'), oid('6')]
        );
    }

    #[test]
    fn what_is_missing_is_told_in_the_words_of_flux() {
        let fault = |fields: &str| {
            let refs = refs("");
            let reference = if fields == "bad range" {
                Reference {
                    semver: "not a range".into(),
                    ..Reference::default()
                }
            } else {
                reference(fields)
            };
            reference.resolve(&refs, "URL").unwrap_err().to_string()
        };
        for (fields, want) in [
            (
                "",
                "unable to clone 'URL': couldn't find remote ref \"refs/heads/master\"",
            ),
            (
                "branch=nope",
                "unable to clone 'URL': couldn't find remote ref \"refs/heads/nope\"",
            ),
            (
                "tag=nope",
                "unable to clone 'URL': couldn't find remote ref \"refs/tags/nope\"",
            ),
            ("semver=>=3.0.0", "no match found for semver: >=3.0.0"),
            (
                "bad range",
                "semver parse error: improper constraint: \"not a range\"",
            ),
            (
                "name=refs/heads/nope",
                "unable to resolve ref 'refs/heads/nope' to a specific commit",
            ),
            (
                "name=refs/pull/9/head",
                "unable to resolve ref 'refs/pull/9/head' to a specific commit",
            ),
            (
                "name=/refs/heads/main",
                "ref /refs/heads/main is invalid; Git refs cannot begin or end with a slash '/'",
            ),
            (
                "branch=main commit=0123456",
                "unable to resolve commit object for '0123456': object not found",
            ),
            (
                "branch=nope commit=0123456789012345678901234567890123456789",
                "unable to clone 'URL': couldn't find remote ref \"refs/heads/nope\"",
            ),
        ] {
            assert_eq!(fault(fields), want, "{fields}");
        }
        let empty = Advertisement::default();
        let fault = |fields| {
            reference(fields)
                .resolve(&empty, "URL")
                .unwrap_err()
                .to_string()
        };
        assert_eq!(fault("branch=main"), "git repository is empty");
        assert_eq!(
            fault("tag=x"),
            "unable to clone 'URL': remote repository is empty"
        );
    }

    #[test]
    fn old_revisions_are_brought_into_form() {
        let h = hash('a');
        for (old, new) in [
            (format!("main/{h}"), format!("main@sha1:{h}")),
            (format!("feature/x/{h}"), format!("feature/x@sha1:{h}")),
            (format!("HEAD/{h}"), format!("sha1:{h}")),
            (format!("main@sha1:{h}"), format!("main@sha1:{h}")),
            (format!("sha1:{h}"), format!("sha1:{h}")),
            ("other".to_owned(), "other".to_owned()),
        ] {
            assert_eq!(normalise_revision(&old), new);
        }
        assert_eq!(revision_hash(&format!("main@sha1:{h}")), h);
    }
}
