//! What `sluice up REPO` was given: a local repository, a remote one, or nothing (the example).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sluice_git::RemoteUrl;

/// The repository to run.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Where the objects are, if they are on this machine: the folder of the `.git` folder or bare repository.
    pub local: Option<PathBuf>,
    /// The URL that the GitRepository carries.
    pub url: String,
    /// The addresses that stand for the repository on this machine: its own and those of its remotes.
    pub addresses: Vec<String>,
    /// The branch that is checked out, if any.
    pub branch: Option<String>,
}

/// Reads what the user gave.
///
/// # Errors
/// It is neither a repository on this machine nor an address of one elsewhere.
pub fn open(given: &str) -> anyhow::Result<Repository> {
    if let Some(url) = as_url(given) {
        return Ok(Repository {
            local: None,
            addresses: Vec::new(),
            url,
            branch: None,
        });
    }
    let path = Path::new(given.strip_prefix("file://").unwrap_or(given));
    let found = git2::Repository::discover(path).map_err(|error| {
        if path.exists() {
            anyhow::anyhow!(
                "`{given}` is not in a git repository ({}); run `git init` and commit there, or give another folder or a URL",
                error.message()
            )
        } else {
            anyhow::anyhow!("`{given}` is neither a folder nor a URL of a git repository")
        }
    })?;
    from_local(&found)
}

fn from_local(repository: &git2::Repository) -> anyhow::Result<Repository> {
    let folder = repository
        .path()
        .canonicalize()
        .context("repository folder")?;
    let branch = match repository.head() {
        Ok(head) => head.shorthand().ok().map(str::to_owned),
        Err(error) if error.code() == git2::ErrorCode::UnbornBranch => {
            bail!(
                "the repository `{}` has no commit yet: sluice runs what is committed",
                folder.display()
            )
        }
        Err(_) => None,
    };
    let mut addresses = Vec::new();
    let mut first = None;
    for name in repository.remotes().context("remotes")?.iter() {
        let Ok(Some(name)) = name else { continue };
        let remote = repository.find_remote(name).context("remote")?;
        let Ok(url) = remote.url() else { continue };
        addresses.push(url.to_owned());
        if name == "origin" || first.is_none() {
            first = as_url(url).or(first);
        }
    }
    // Without a remote it still needs an address of a form that the API accepts.
    let url = first.unwrap_or_else(|| local_url(&folder));
    addresses.push(url.clone());
    Ok(Repository {
        local: Some(folder),
        url,
        addresses,
        branch,
    })
}

/// A URL that stands for a folder of this machine and is never connected to.
fn local_url(folder: &Path) -> String {
    let folder = match folder.file_name() {
        Some(name) if name == ".git" => folder.parent().unwrap_or(folder),
        _ => folder,
    };
    let mut url = String::from("http://localhost");
    for part in folder.components() {
        if let std::path::Component::Normal(part) = part {
            url.push('/');
            for byte in part.to_string_lossy().bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        url.push(char::from(byte));
                    }
                    other => url.push_str(&format!("%{other:02X}")),
                }
            }
        }
    }
    url
}

/// `given` as a URL that a GitRepository can carry: itself, or the `ssh://` form of `user@host:path`.
fn as_url(given: &str) -> Option<String> {
    if ["http://", "https://", "ssh://"]
        .iter()
        .any(|scheme| given.starts_with(scheme))
    {
        return Some(given.to_owned());
    }
    if given.contains("://") {
        return None;
    }
    let (host, path) = given.split_once(':')?;
    // A path of this machine may contain a colon, but then a slash comes before it.
    if host.is_empty() || host.contains('/') || path.is_empty() {
        return None;
    }
    Some(format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

impl Repository {
    /// The folder to read instead of `url`, if that is this repository under any of its addresses.
    pub fn folder_for(&self, url: &str) -> Option<&Path> {
        let folder = self.local.as_deref()?;
        let wanted = RemoteUrl::parse(url).ok()?;
        self.addresses
            .iter()
            .filter_map(|address| RemoteUrl::parse_lenient(address).ok())
            .any(|address| address.same_repository(&wanted))
            .then_some(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(folder: &Path, remote: Option<&str>) -> git2::Repository {
        let repository = git2::Repository::init(folder).expect("init");
        let author = git2::Signature::now("t", "t@example.test").expect("signature");
        let tree = {
            let mut index = repository.index().expect("index");
            index.write_tree().expect("tree")
        };
        {
            let tree = repository.find_tree(tree).expect("tree");
            repository
                .commit(Some("HEAD"), &author, &author, "one", &tree, &[])
                .expect("commit");
        }
        if let Some(remote) = remote {
            repository.remote("origin", remote).expect("remote");
        }
        repository
    }

    #[test]
    fn a_work_tree_with_a_remote_answers_for_that_remote() {
        let folder = tempfile::tempdir().expect("folder");
        repository(folder.path(), Some("git@github.com:acme/fleet.git"));
        let found = open(&folder.path().to_string_lossy()).expect("opens");
        assert_eq!(found.url, "ssh://git@github.com/acme/fleet.git");
        assert!(found.folder_for("https://github.com/acme/fleet").is_some());
        assert!(found.folder_for("https://github.com/acme/other").is_none());
        assert!(found.branch.is_some());
    }

    #[test]
    fn a_repository_without_a_remote_has_an_address_the_api_accepts() {
        let folder = tempfile::tempdir().expect("folder");
        let below = folder.path().join("a fleet");
        repository(&below, None);
        let found = open(&below.to_string_lossy()).expect("opens");
        assert!(found.url.starts_with("http://localhost/"), "{}", found.url);
        assert!(found.url.ends_with("/a%20fleet"), "{}", found.url);
        assert!(found.folder_for(&found.url).is_some());
    }

    #[test]
    fn what_is_no_repository_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("folder");
        let error = open(&folder.path().to_string_lossy()).expect_err("no repository");
        assert!(error.to_string().contains("is not in a git repository"));
        let error = open("/no/such/folder").expect_err("nothing there");
        assert!(error.to_string().contains("neither a folder nor a URL"));
        git2::Repository::init(folder.path()).expect("init");
        let error = open(&folder.path().to_string_lossy()).expect_err("no commit");
        assert!(error.to_string().contains("has no commit yet"));
    }
}
