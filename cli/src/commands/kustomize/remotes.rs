//! What URLs in a kustomization name: files over HTTP, and Git repositories.

use std::sync::Arc;
use std::time::Duration;

use sluice_artifact::layout::{Dir, Node};
use sluice_git::client::{Options, Purpose, Submodules};
use sluice_git::snapshot::{Blob, Stores};
use sluice_git::{Client, Reference, Remote, RemoteUrl, Session};
use sluice_kustomize::{Checkout, MemoryFs, RemoteError, RemoteLoader, RepoSpec};

/// Longest body or file, in bytes.
const LONGEST: u64 = 64 << 20;
/// Most bytes of a checkout.
const MOST_BYTES: u64 = 1 << 30;
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(27);
/// The top of a checkout.
const TOP: &str = "/repository";

/// Fetches with our own Git and HTTP, without credentials but those in the URLs.
pub struct Remotes;

impl RemoteLoader for Remotes {
    fn fetch(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        apart(fetch(url.to_owned()), PATIENCE)
    }

    fn clone_repository(&self, spec: &RepoSpec) -> Result<Checkout, RemoteError> {
        let patience = Duration::from_secs(spec.timeout_seconds);
        let files = apart(check_out(spec.clone()), patience)?;
        Ok(Checkout {
            fs: Arc::new(files),
            dir: TOP.to_owned(),
        })
    }
}

fn other(error: impl std::fmt::Display) -> RemoteError {
    RemoteError::Other(error.to_string())
}

/// Runs a future on a thread of its own, since the engine knows of no runtime.
fn apart<T: Send>(
    work: impl Future<Output = Result<T, RemoteError>> + Send,
    patience: Duration,
) -> Result<T, RemoteError> {
    sluice_runtime::client::install_tls();
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(other)?;
        runtime.block_on(async {
            tokio::time::timeout(patience, work)
                .await
                .map_err(|_| RemoteError::Timeout(format!("{}s", patience.as_secs())))?
        })
    };
    std::thread::scope(|scope| {
        scope
            .spawn(run)
            .join()
            .unwrap_or_else(|_| Err(RemoteError::Other("fetching panicked".to_owned())))
    })
}

async fn fetch(url: String) -> Result<Vec<u8>, RemoteError> {
    let client = sluice_git::http::client(&Default::default(), None).map_err(other)?;
    let mut response = client.get(url.as_str()).send().await.map_err(other)?;
    let status = response.status();
    if !status.is_success() {
        return Err(RemoteError::Status {
            code: status.as_u16(),
            text: status.canonical_reason().unwrap_or_default().to_owned(),
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(other)? {
        if (body.len() + chunk.len()) as u64 > LONGEST {
            return Err(RemoteError::Other(format!(
                "the body of `{url}` is longer than {LONGEST} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn check_out(spec: RepoSpec) -> Result<MemoryFs, RemoteError> {
    let scratch = tempfile::tempdir().map_err(other)?;
    let url = spec.clone_url();
    let remote = Remote::new(RemoteUrl::parse_lenient(&url).map_err(other)?);
    let client = Client::new(Options::default());
    let session = client
        .connect(&remote, Purpose::Clone)
        .await
        .map_err(other)?;
    let reference = reference(&session, &spec.revision);
    let resolution = reference
        .resolve(session.refs(), &remote.shown())
        .map_err(other)?;
    let (_, snapshot) = session
        .fetch(resolution, scratch.path())
        .await
        .map_err(other)?;
    let submodules = if spec.submodules {
        Submodules::Recurse
    } else {
        Submodules::Skip
    };
    let checkout = client
        .check_out(&remote, snapshot, submodules, scratch.path())
        .await
        .map_err(other)?;
    let stores = Stores::open(&checkout.snapshots, LONGEST).map_err(other)?;
    let mut files = MemoryFs::new();
    let mut budget = MOST_BYTES;
    copy(&checkout.layout, TOP, &stores, &mut files, &mut budget)?;
    Ok(files)
}

/// What a revision is, as `git fetch` would find it: a commit, a branch, a tag or any ref.
fn reference(session: &Session, revision: &str) -> Reference {
    let has = |name: &str| session.refs().target(name).is_some();
    let named = |name: String| Reference {
        name,
        ..Reference::default()
    };
    if revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Reference {
            commit: revision.to_owned(),
            ..Reference::default()
        };
    }
    let revision = if revision.is_empty() {
        "HEAD"
    } else {
        revision
    };
    for prefix in ["", "refs/", "refs/tags/", "refs/heads/"] {
        let name = format!("{prefix}{revision}");
        if has(&name) {
            return named(name);
        }
    }
    named(revision.to_owned())
}

fn copy(
    dir: &Dir<Blob>,
    path: &str,
    stores: &Stores,
    files: &mut MemoryFs,
    budget: &mut u64,
) -> Result<(), RemoteError> {
    files.make_dir(path);
    for (name, node) in dir.iter() {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let path = format!("{path}/{name}");
        match node {
            Node::Dir(below) => copy(below, &path, stores, files, budget)?,
            Node::File(file) => {
                let mut content = stores.content(&file.content).map_err(other)?;
                let over = || RemoteError::Other(format!("`{path}` makes the checkout too large"));
                if content.size > LONGEST {
                    return Err(over());
                }
                *budget = budget.checked_sub(content.size).ok_or_else(over)?;
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut content.reader, &mut bytes).map_err(other)?;
                files.write(&path, bytes);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sluice_kustomize::{Options as BuildOptions, build};

    use super::*;

    /// Writes files and commits them on top of what there is.
    fn commit(repository: &git2::Repository, files: &[(&str, &str)]) -> git2::Oid {
        let dir = repository.workdir().expect("it has a work tree");
        let mut index = repository.index().expect("there is one");
        for (path, content) in files {
            let file = dir.join(path);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
            std::fs::write(file, content).expect("writable");
            index.add_path(Path::new(path)).expect("it is there");
        }
        let tree = index.write_tree().expect("writable");
        index.write().expect("writable");
        let tree = repository.find_tree(tree).expect("just written");
        let head = repository.head().and_then(|head| head.peel_to_commit());
        let parents: Vec<git2::Commit<'_>> = head.into_iter().collect();
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let me = git2::Signature::now("Test", "test@example.com").expect("valid");
        repository
            .commit(Some("HEAD"), &me, &me, "next", &tree, &parents)
            .expect("writable")
    }

    /// A repository whose `base` has a ConfigMap; tag `v1` and branch `other` are
    /// its first commit, whose id is returned.
    fn repository(dir: &Path) -> String {
        let repository = git2::Repository::init(dir).expect("it can be made");
        let of = |name: &str| {
            let object = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
            let files = [
                ("base/kustomization.yaml", "resources: [a.yaml]\n"),
                ("base/a.yaml", &object),
                ("kustomization.yaml", "resources: [base]\n"),
            ];
            commit(&repository, &files)
        };
        let first = of("one");
        of("two");
        let first = repository.find_commit(first).expect("just written");
        repository
            .tag_lightweight("v1", first.as_object(), false)
            .expect("writable");
        repository.branch("other", &first, false).expect("writable");
        first.id().to_string()
    }

    /// The names of what a kustomization with one resource builds.
    fn names(resource: &str) -> Result<Vec<String>, String> {
        let mut files = MemoryFs::new();
        let kustomization = format!("resources: [\"{resource}\"]\nnamePrefix: p-\n");
        files.write("/top/kustomization.yaml", kustomization);
        let options = BuildOptions {
            remote: Some(&Remotes),
            ..BuildOptions::default()
        };
        let built = build(&files, "/top", &options).map_err(|errors| errors.to_string())?;
        let name = |resource: &sluice_kustomize::Resource| {
            resource.object["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Ok(built.resources.iter().map(name).collect())
    }

    #[test]
    fn repositories_are_resources() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("repo.git");
        let commit = repository(&path);
        let url = format!("file://{}", path.display());
        let built = |rest: &str| names(&format!("{url}{rest}"));
        let name = |name: &str| Ok(vec![name.to_owned()]);
        assert_eq!(built(""), name("p-two"));
        assert_eq!(built("//base"), name("p-two"));
        assert_eq!(built("/base"), name("p-two"));
        assert_eq!(built("//base?ref=v1"), name("p-one"));
        assert_eq!(built("//base?ref=other&timeout=20s"), name("p-one"));
        assert_eq!(built("?version=refs/heads/other"), name("p-one"));
        assert_eq!(built(&format!("//base?ref={commit}")), name("p-one"));
        assert_eq!(built("//base?submodules=false"), name("p-two"));
    }

    #[test]
    fn what_a_repository_lacks_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("repo.git");
        repository(&path);
        let url = format!("file://{}", path.display());
        let error = names(&format!("{url}//base?ref=none")).unwrap_err();
        assert!(error.contains("none"), "{error}");
        let error = names(&format!("{url}//nowhere")).unwrap_err();
        assert!(error.contains("nowhere"), "{error}");
        let error = names(&format!("file://{}/absent.git", dir.path().display())).unwrap_err();
        assert!(error.contains("absent"), "{error}");
    }

    #[test]
    fn bases_of_a_repository_stay_in_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("repo.git");
        repository(&path);
        let again = git2::Repository::open(&path).expect("just made");
        commit(
            &again,
            &[("kustomization.yaml", "resources: [../outside]\n")],
        );
        let error = names(&format!("file://{}", path.display())).unwrap_err();
        assert!(error.contains("outside"), "{error}");
    }
}
