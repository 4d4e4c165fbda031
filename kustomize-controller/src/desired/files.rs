//! The files that a build may see.

use std::borrow::Cow;
use std::sync::Arc;

use sluice_artifact::Tree;
use sluice_kustomize::{FileSystem, FsError};

/// An artifact's tree at a root directory.
///
/// Nothing exists outside of the root. Artifacts hold no links, so there is no way out.
#[derive(Debug, Clone)]
pub struct Files {
    tree: Arc<Tree>,
    root: String,
}

impl Files {
    /// The tree as it would lie at `root`, an absolute and clean path.
    pub fn new(tree: Arc<Tree>, root: impl Into<String>) -> Self {
        Self {
            tree,
            root: root.into(),
        }
    }

    /// The directory that the tree lies at.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The absolute path of a directory that a user names: below the root whatever it says.
    pub fn resolve(&self, path: &str) -> String {
        // Cleaning an absolute path drops every `..` that would leave it.
        match sluice_kustomize::clean_path(&format!("/{path}")).as_str() {
            "/" => self.root.clone(),
            below => format!("{}{below}", self.root),
        }
    }

    /// The path below the root; `None` for one that is not in or below it.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(&self.root)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    fn outside(&self, operation: &str, path: &str) -> FsError {
        FsError::Other(format!(
            "fs-security-constraint {operation} {path}: path '{path}' is not in or below '{}'",
            self.root
        ))
    }

    /// The shortest leading part of a path that leads nowhere or through a file.
    fn broken(&self, path: &str) -> FsError {
        let Some(below) = self.below(path) else {
            return FsError::NotFound(path.to_owned());
        };
        let mut here = String::new();
        for part in below.split('/').filter(|part| !part.is_empty()) {
            if !here.is_empty() && !self.tree.is_dir(&here) {
                return FsError::NotADirectory(path.to_owned());
            }
            here = format!("{here}/{part}");
            if !self.tree.exists(&here) {
                return FsError::NotFound(format!("{}{here}", self.root));
            }
        }
        FsError::NotFound(path.to_owned())
    }
}

/// Files with at most one written over them: the completed kustomization file of the directory that is
/// built. Nothing is written to where the files come from.
#[derive(Debug, Clone)]
pub struct Overlay<F> {
    under: F,
    written: Option<(String, Vec<u8>)>,
}

impl<F: FileSystem> Overlay<F> {
    /// Files as they are.
    pub fn new(under: F) -> Self {
        Self {
            under,
            written: None,
        }
    }

    /// Puts a file in place of the one at that path, or of none.
    pub fn write(&mut self, path: &str, content: Vec<u8>) {
        self.written = Some((path.to_owned(), content));
    }

    fn written(&self, path: &str) -> Option<&[u8]> {
        let (written, content) = self.written.as_ref()?;
        (written == path).then_some(content)
    }
}

impl<F: FileSystem> FileSystem for Overlay<F> {
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, FsError> {
        match self.written(path) {
            Some(content) => Ok(Cow::Borrowed(content)),
            None => self.under.read(path),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.written(path).is_some() || self.under.exists(path)
    }

    fn is_dir(&self, path: &str) -> bool {
        self.under.is_dir(path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FsError> {
        let mut names = self.under.list(path)?;
        let written = self
            .written
            .as_ref()
            .and_then(|(written, _)| written.strip_prefix(path)?.strip_prefix('/'));
        if let Some(name) = written.filter(|name| !name.contains('/'))
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
            names.sort();
        }
        Ok(names)
    }

    fn real_path(&self, path: &str) -> Result<String, FsError> {
        match self.written(path) {
            Some(_) => Ok(path.to_owned()),
            None => self.under.real_path(path),
        }
    }
}

impl FileSystem for Files {
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, FsError> {
        let below = self.below(path).ok_or_else(|| self.outside("read", path))?;
        match self.tree.read(below) {
            Ok(bytes) => Ok(Cow::Owned(bytes.to_vec())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(self.broken(path)),
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
                Err(FsError::IsDirectory(path.to_owned()))
            }
            Err(error) => Err(FsError::Other(format!("read {path}: {error}"))),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.below(path)
            .is_some_and(|below| self.tree.exists(below))
    }

    fn is_dir(&self, path: &str) -> bool {
        self.below(path)
            .is_some_and(|below| self.tree.is_dir(below))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FsError> {
        let below = self.below(path).ok_or_else(|| self.outside("open", path))?;
        let entries = self.tree.list(below).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotADirectory => FsError::NotADirectory(path.to_owned()),
            _ => self.broken(path),
        })?;
        Ok(entries.map(|(name, _)| name.to_owned()).collect())
    }

    fn real_path(&self, path: &str) -> Result<String, FsError> {
        if self.exists(path) {
            Ok(path.to_owned())
        } else {
            Err(self.broken(path))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use sluice_artifact::layout::{Dir, FileMode, Node};
    use sluice_artifact::pack::{Content, PackLimits, pack};
    use sluice_artifact::sourceignore::Rules;
    use sluice_artifact::unpack;

    use super::*;

    /// A tree with these files, made as an artifact is.
    pub(in super::super) fn tree(files: &[(&str, &str)]) -> Files {
        let mut root: Dir<Vec<u8>> = Dir::new();
        for (path, content) in files {
            let names: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            let file = sluice_artifact::layout::File {
                mode: FileMode::Regular,
                content: content.as_bytes().to_vec(),
            };
            root.place(&names, Node::File(file)).unwrap();
        }
        let mut packed = Vec::new();
        pack(
            &root,
            &Rules::none(),
            &PackLimits::default(),
            &mut packed,
            |content| Ok(Content::bytes(content)),
        )
        .unwrap();
        let tree = unpack(packed.as_slice(), &sluice_artifact::Limits::default()).unwrap();
        Files::new(Arc::new(tree), "/tmp/kustomization-1")
    }

    #[test]
    fn nothing_exists_outside_of_the_root() {
        let files = tree(&[("app/a.yaml", "x")]);
        assert!(
            files.exists("/tmp/kustomization-1/app/a.yaml") && files.is_dir("/tmp/kustomization-1")
        );
        for outside in ["/etc/passwd", "/tmp", "/tmp/kustomization-11/app", "/"] {
            assert!(
                !files.exists(outside) && !files.is_dir(outside),
                "{outside}"
            );
            let error = files.read(outside).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "fs-security-constraint read {outside}: path '{outside}' is not in or below '/tmp/kustomization-1'"
                )
            );
            assert_eq!(
                files.real_path(outside),
                Err(FsError::NotFound(outside.to_owned()))
            );
            assert!(files.list(outside).is_err());
        }
    }

    #[test]
    fn paths_of_users_stay_below_the_root() {
        let files = tree(&[("app/a.yaml", "x")]);
        for (path, resolved) in [
            ("", ""),
            ("./", ""),
            ("./app", "/app"),
            ("../../app", "/app"),
            ("/app/../..", ""),
            ("a//b/", "/a/b"),
        ] {
            assert_eq!(
                files.resolve(path),
                format!("/tmp/kustomization-1{resolved}"),
                "{path}"
            );
        }
    }

    #[test]
    fn errors_name_the_first_missing_part() {
        let files = tree(&[("app/a.yaml", "x")]);
        let path = |below: &str| format!("/tmp/kustomization-1/{below}");
        assert_eq!(
            files.read(&path("b/c/d")),
            Err(FsError::NotFound(path("b")))
        );
        assert_eq!(
            files.read(&path("app")),
            Err(FsError::IsDirectory(path("app")))
        );
        assert_eq!(
            files.read(&path("app/a.yaml/x")),
            Err(FsError::NotADirectory(path("app/a.yaml/x")))
        );
    }

    #[test]
    fn one_file_can_be_written_over() {
        let mut files = Overlay::new(tree(&[("app/a.yaml", "x")]));
        files.write(
            "/tmp/kustomization-1/app/kustomization.yaml",
            b"new".to_vec(),
        );
        assert_eq!(
            files
                .read("/tmp/kustomization-1/app/kustomization.yaml")
                .unwrap()
                .as_ref(),
            b"new"
        );
        assert_eq!(
            files.list("/tmp/kustomization-1/app").unwrap(),
            ["a.yaml", "kustomization.yaml"]
        );
    }
}
