//! Files of other GitRepositories in the artifact of one. Pure.

use std::sync::Arc;

use sluice_api::artifact::Artifact;
use sluice_api::condition::{INCLUDE_UNAVAILABLE, STORAGE_OPERATION_FAILED};
use sluice_api::reason::source;
use sluice_api::source::GitRepositoryInclude;
use sluice_artifact::layout::{Dir, File, Node};
use sluice_artifact::tree::{Entry, Tree};
use std::time::Duration;

use crate::common::failure::Failure;

/// What was found of an included GitRepository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Included {
    /// It is not there.
    Missing,
    /// It is there and may have an artifact. Whether it is ready does not matter.
    Found(Option<Artifact>),
}

/// The artifact of each include, in their order.
///
/// # Errors
/// When one has none: the caller looks again after `retry_after`.
pub fn artifacts(
    includes: &[GitRepositoryInclude],
    look_up: impl Fn(&str) -> Included,
    retry_after: Duration,
) -> Result<Vec<Artifact>, Failure> {
    let unavailable =
        |reason, message| Failure::waiting(INCLUDE_UNAVAILABLE, reason, message, retry_after);
    let mut artifacts = Vec::with_capacity(includes.len());
    for include in includes {
        let name = &include.repository.name;
        match look_up(name) {
            Included::Missing => {
                let message = format!(
                    "could not get resource for include '{name}': \
                     GitRepository.source.toolkit.fluxcd.io \"{name}\" not found"
                );
                return Err(unavailable(source::NOT_FOUND, message));
            }
            Included::Found(None) => {
                let message = format!("no artifact available for include '{name}'");
                return Err(unavailable(source::NO_ARTIFACT, message));
            }
            Included::Found(Some(artifact)) => artifacts.push(artifact),
        }
    }
    Ok(artifacts)
}

/// A file in the layout of an artifact under construction.
#[derive(Debug, Clone)]
pub enum Content<B> {
    /// From the repository itself.
    Own(B),
    /// From an included artifact.
    Included(Arc<Tree>, String),
}

/// The names of a path that cannot leave its folder: `..` goes up only as far as the root.
pub fn confined(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            other => names.push(other),
        }
    }
    names
}

/// Puts what `include` asks for of `tree` into `root`.
///
/// # Errors
/// When the path is not in the tree, or its destination is taken.
pub fn place<B>(
    root: &mut Dir<Content<B>>,
    include: &GitRepositoryInclude,
    tree: &Arc<Tree>,
) -> Result<(), Failure> {
    let from = include.from_path.as_deref().unwrap_or_default();
    let fail = |why: String| {
        let message = format!(
            "failed to copy '{}' include from {from} to {}: {why}",
            include.repository.name,
            include.target()
        );
        Failure::retry(STORAGE_OPERATION_FAILED, source::COPY_FAILURE, message)
    };
    let path = confined(from).join("/");
    let node = copy(tree, &path)
        .ok_or_else(|| fail(format!("no such file or directory `{path}` in it")))?;
    let target: Vec<&[u8]> = confined(include.target())
        .into_iter()
        .map(str::as_bytes)
        .collect();
    // Like a rename: a file takes the place of a file, a folder only that of an empty folder.
    if let (Node::File(_), Some(Node::File(_))) = (&node, root.get(target.iter().copied())) {
        root.take(&target);
    }
    root.place(&target, node)
        .map_err(|error| fail(error.to_string()))
}

fn copy<B>(tree: &Arc<Tree>, path: &str) -> Option<Node<Content<B>>> {
    match tree.entry(path)? {
        Entry::File { mode, .. } => {
            let content = Content::Included(Arc::clone(tree), path.to_owned());
            Some(Node::File(File { mode, content }))
        }
        Entry::Dir => {
            let mut dir = Dir::new();
            for (name, _) in tree.list(path).ok()? {
                let below = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}/{name}")
                };
                dir.set(name.as_bytes(), copy(tree, &below)?);
            }
            Some(Node::Dir(dir))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;
    use sluice_api::reference::LocalObjectReference;
    use sluice_artifact::layout::FileMode;
    use sluice_artifact::pack::{self, PackLimits, pack};
    use sluice_artifact::sourceignore::Rules;
    use sluice_artifact::unpack::{Limits, unpack};

    fn include(name: &str, from: Option<&str>, to: Option<&str>) -> GitRepositoryInclude {
        GitRepositoryInclude {
            repository: LocalObjectReference { name: name.into() },
            from_path: from.map(str::to_owned),
            to_path: to.map(str::to_owned),
        }
    }

    fn tree(paths: &[&str]) -> Arc<Tree> {
        let mut bytes = Vec::new();
        let layout = layout(paths);
        pack(
            &layout,
            &Rules::none(),
            &PackLimits::default(),
            &mut bytes,
            |_| Ok(pack::Content::bytes(b"x")),
        )
        .unwrap();
        Arc::new(unpack(&bytes[..], &Limits::default()).unwrap())
    }

    fn layout(paths: &[&str]) -> Dir<Content<()>> {
        let mut root = Dir::new();
        for path in paths {
            let names: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            let file = File {
                mode: FileMode::Regular,
                content: Content::Own(()),
            };
            root.place(&names, Node::File(file)).unwrap();
        }
        root
    }

    fn paths(dir: &Dir<Content<()>>, above: &str) -> Vec<String> {
        dir.iter()
            .flat_map(|(name, node)| {
                let path = format!("{above}{}", String::from_utf8_lossy(name));
                match node {
                    Node::File(_) => vec![path],
                    Node::Dir(dir) => paths(dir, &format!("{path}/")),
                }
            })
            .collect()
    }

    fn placed(include: &GitRepositoryInclude) -> Result<Vec<String>, String> {
        let mut root = layout(&["a.yaml", "taken/x"]);
        place(&mut root, include, &tree(&["deploy/b.yaml", "other"]))
            .map_err(|failure| failure.message)?;
        Ok(paths(&root, ""))
    }

    #[test]
    fn included_files_land_where_they_are_asked_for_and_never_outside() {
        assert_eq!(
            placed(&include("base", None, None)).unwrap(),
            ["a.yaml", "base/deploy/b.yaml", "base/other", "taken/x"]
        );
        assert_eq!(
            placed(&include("base", Some("deploy"), Some("vendor/base"))).unwrap(),
            ["a.yaml", "taken/x", "vendor/base/b.yaml"]
        );
        assert_eq!(
            placed(&include("base", Some("../../deploy"), Some("../../out"))).unwrap(),
            ["a.yaml", "out/b.yaml", "taken/x"]
        );
        assert_eq!(
            placed(&include("base", Some("other"), Some("a.yaml"))).unwrap(),
            ["a.yaml", "taken/x"]
        );
    }

    #[test]
    fn a_taken_destination_and_a_missing_path_say_so() {
        assert_eq!(
            placed(&include("base", None, Some("taken"))).unwrap_err(),
            "failed to copy 'base' include from  to taken: `taken` exists and is not an empty directory"
        );
        assert_eq!(
            placed(&include("base", Some("nope"), None)).unwrap_err(),
            "failed to copy 'base' include from nope to base: no such file or directory `nope` in it"
        );
    }

    #[test]
    fn an_include_without_artifact_is_waited_for() {
        let both = [include("a", None, None), include("b", None, None)];
        let artifact = Artifact {
            revision: "r".into(),
            ..Artifact::default()
        };
        let wait = Duration::from_secs(30);
        let found = artifacts(&both, |_| Included::Found(Some(artifact.clone())), wait).unwrap();
        assert_eq!(found.len(), 2);
        let missing = artifacts(
            &both,
            |name| {
                if name == "a" {
                    Included::Found(Some(artifact.clone()))
                } else {
                    Included::Missing
                }
            },
            wait,
        )
        .unwrap_err();
        assert_eq!(
            (missing.class, missing.reason),
            (Class::Waiting(wait), source::NOT_FOUND)
        );
        let none = artifacts(&both, |_| Included::Found(None), wait).unwrap_err();
        assert_eq!(
            (none.reason, none.message.as_str()),
            (source::NO_ARTIFACT, "no artifact available for include 'a'")
        );
    }
}
