//! Repositories that are on this machine under the address of a remote one.
//!
//! `sluice up REPO` runs what is in REPO: a GitRepository whose address is REPO's own, in any
//! spelling, is read from the disk. In a cluster there is none.

use std::path::PathBuf;

use sluice_git::RemoteUrl;

/// Addresses and the repositories on this machine that stand for them.
#[derive(Debug, Clone, Default)]
pub struct LocalRepositories {
    known: Vec<(RemoteUrl, PathBuf)>,
}

impl LocalRepositories {
    /// Adds a repository: `address` in any spelling that `git clone` takes, `path` to its work tree,
    /// `.git` folder or bare repository. An address that cannot be read is left out.
    pub fn add(&mut self, address: &str, path: impl Into<PathBuf>) {
        if let Ok(address) = RemoteUrl::parse_lenient(address) {
            self.known.push((address, path.into()));
        }
    }

    /// The repository that stands for an address.
    pub fn find(&self, address: &str) -> Option<PathBuf> {
        if self.known.is_empty() {
            return None;
        }
        let address = RemoteUrl::parse(address).ok()?;
        self.known
            .iter()
            .find(|(known, _)| known.same_repository(&address))
            .map(|(_, path)| path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_of_a_known_address_is_found() {
        let mut local = LocalRepositories::default();
        assert_eq!(local.find("https://host/app"), None);
        local.add("git@host:org/app.git", "/srv/app");
        assert_eq!(local.find("https://host/org/app"), Some("/srv/app".into()));
        assert_eq!(
            local.find("ssh://git@host/org/app.git"),
            Some("/srv/app".into())
        );
        assert_eq!(local.find("https://host/org/other"), None);
        assert_eq!(local.find("not a url"), None);
    }
}
