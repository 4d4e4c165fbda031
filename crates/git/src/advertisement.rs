//! The refs that a remote lists, and what its server is able to do.

use std::collections::HashMap;

use git2::Oid;

use crate::error::TransportError;

/// What one listing of a remote's refs says.
#[derive(Debug, Clone, Default)]
pub struct Advertisement {
    refs: HashMap<String, Oid>,
    /// What an annotated tag finally leads to, by the tag's ref.
    peeled: HashMap<String, Oid>,
    capabilities: Vec<String>,
}

impl Advertisement {
    /// Builds a listing from a local repository, whose "server" is libgit2.
    pub(crate) fn from_local(
        refs: HashMap<String, Oid>,
        peeled: HashMap<String, Oid>,
    ) -> Advertisement {
        Advertisement {
            refs,
            peeled,
            capabilities: Vec::new(),
        }
    }

    /// Adds one line of the listing, without its line end.
    ///
    /// # Errors
    /// When the line is none of the kinds that a listing has.
    pub(crate) fn add_line(&mut self, line: &[u8]) -> Result<(), TransportError> {
        let malformed = TransportError::Malformed("a line of the ref listing cannot be read");
        let (line, capabilities) = match line.iter().position(|b| *b == 0) {
            Some(nul) => (&line[..nul], Some(&line[nul + 1..])),
            None => (line, None),
        };
        if let Some(capabilities) = capabilities.filter(|_| self.capabilities.is_empty()) {
            self.capabilities = String::from_utf8_lossy(capabilities)
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect();
            match self.capability("object-format") {
                None | Some("sha1") => {}
                Some(other) => return Err(TransportError::ObjectFormat(other.to_owned())),
            }
        }
        let line = std::str::from_utf8(line).map_err(|_| malformed)?;
        if line.starts_with("shallow ") || line.starts_with("version ") {
            return Ok(());
        }
        let malformed = || TransportError::Malformed("a line of the ref listing cannot be read");
        let (id, name) = line.split_once(' ').ok_or_else(malformed)?;
        if id.len() != 40 {
            return Err(malformed());
        }
        let id = Oid::from_str(id).map_err(|_| malformed())?;
        match name.strip_suffix("^{}") {
            // An empty repository has nothing but its capabilities to show.
            Some("capabilities") if id.is_zero() => {}
            Some(tag) => {
                self.peeled.insert(tag.to_owned(), id);
            }
            None => {
                self.refs.insert(name.to_owned(), id);
            }
        }
        Ok(())
    }

    /// Whether the remote has no refs at all.
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// The object that a full ref name leads to; a tag object for annotated tags.
    pub fn target(&self, name: &str) -> Option<Oid> {
        match name.strip_suffix("^{}") {
            Some(tag) => self.peeled.get(tag).copied(),
            None => self.refs.get(name).copied(),
        }
    }

    /// The commit that a full ref name leads to.
    pub fn commit(&self, name: &str) -> Option<Oid> {
        let tag = name.strip_suffix("^{}").unwrap_or(name);
        self.peeled.get(tag).copied().or_else(|| self.target(name))
    }

    /// Short names of all tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.refs
            .keys()
            .filter_map(|name| name.strip_prefix("refs/tags/"))
    }

    /// Tips of all branches, in the order of their names.
    pub fn branch_tips(&self) -> Vec<Oid> {
        let mut branches: Vec<_> = self
            .refs
            .iter()
            .filter(|(name, _)| name.starts_with("refs/heads/"))
            .collect();
        branches.sort();
        let mut tips: Vec<Oid> = Vec::with_capacity(branches.len());
        for (_, tip) in branches {
            if !tips.contains(tip) {
                tips.push(*tip);
            }
        }
        tips
    }

    /// Whether some ref leads to this commit.
    pub fn has_tip(&self, commit: Oid) -> bool {
        self.refs
            .values()
            .chain(self.peeled.values())
            .any(|id| *id == commit)
    }

    /// Whether the server can do something.
    pub fn supports(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|c| c == capability)
    }

    /// The value of a capability of the form `name=value`.
    pub fn capability(&self, name: &str) -> Option<&str> {
        self.capabilities
            .iter()
            .find_map(|c| c.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether any reachable commit may be asked for by name.
    pub fn serves_any_commit(&self) -> bool {
        self.supports("allow-reachable-sha1-in-want") || self.supports("allow-any-sha1-in-want")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    #[test]
    fn refs_tags_and_capabilities_are_read() {
        let mut listing = Advertisement::default();
        listing
            .add_line(
                format!("{A} HEAD\0shallow symref=HEAD:refs/heads/main agent=git/2").as_bytes(),
            )
            .unwrap();
        for line in [
            format!("{A} refs/heads/main"),
            format!("{B} refs/tags/v1"),
            format!("{A} refs/tags/v1^{{}}"),
        ] {
            listing.add_line(line.as_bytes()).unwrap();
        }
        let oid = |text| Oid::from_str(text).unwrap();
        assert_eq!(listing.target("refs/tags/v1"), Some(oid(B)));
        assert_eq!(listing.commit("refs/tags/v1"), Some(oid(A)));
        assert_eq!(listing.commit("refs/tags/v1^{}"), Some(oid(A)));
        assert_eq!(listing.commit("refs/heads/main"), Some(oid(A)));
        assert_eq!(listing.commit("refs/heads/main^{}"), None);
        assert_eq!(listing.tags().collect::<Vec<_>>(), ["v1"]);
        assert_eq!(listing.branch_tips(), [oid(A)]);
        assert!(listing.supports("shallow") && !listing.supports("agent"));
        assert_eq!(listing.capability("symref"), Some("HEAD:refs/heads/main"));
        assert!(listing.has_tip(oid(B)) && !listing.serves_any_commit());
    }

    #[test]
    fn an_empty_repository_and_another_hash_are_told_apart() {
        let mut listing = Advertisement::default();
        listing
            .add_line(format!("{:0>40} capabilities^{{}}\0shallow", 0).as_bytes())
            .unwrap();
        assert!(listing.is_empty());
        let sha256 =
            Advertisement::default().add_line(format!("{A} HEAD\0object-format=sha256").as_bytes());
        assert!(matches!(sha256, Err(TransportError::ObjectFormat(f)) if f == "sha256"));
        for bad in ["", "x", "zz refs/heads/a", "aaaa refs/heads/a"] {
            assert!(
                Advertisement::default().add_line(bad.as_bytes()).is_err(),
                "{bad}"
            );
        }
    }
}
