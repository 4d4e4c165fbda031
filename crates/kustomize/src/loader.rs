//! Where a layer may read from.
//!
//! A layer reads files in and below its own directory, unless the build lifts
//! that, and other layers from anywhere but above itself.

use std::borrow::Cow;
use std::sync::Arc;

use crate::fs::{self, FileSystem, FsError};
use crate::git_url::RepoSpec;
use crate::options::{LoadRestrictions, RemoteError, RemoteLoader};

/// Reads the files of one layer.
#[derive(Clone)]
pub(crate) struct Loader<'o> {
    fs: Source<'o>,
    /// The directory of the layer, real and absolute.
    root: String,
    restrictions: LoadRestrictions,
    remote: Option<&'o dyn RemoteLoader>,
    /// The layers that led here, the target first.
    stack: Vec<Visited>,
    /// The clone that the layer lies in.
    repo: Option<Arc<Clone>>,
}

/// The files of the build, or of a clone.
#[derive(Clone)]
enum Source<'o> {
    Given(&'o dyn FileSystem),
    Cloned(Arc<dyn FileSystem>),
}

impl Source<'_> {
    fn get(&self) -> &dyn FileSystem {
        match self {
            Source::Given(fs) => *fs,
            Source::Cloned(fs) => fs.as_ref(),
        }
    }
}

#[derive(Debug, Clone)]
struct Visited {
    root: String,
    repo: Option<String>,
    /// Which clone the root is in: roots of different ones never meet.
    clone: usize,
}

/// A repository that was fetched for the build.
#[derive(Debug)]
pub(crate) struct Clone {
    pub spec: RepoSpec,
    /// Its top directory in its own file system.
    pub dir: String,
    number: usize,
}

/// Why a file could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// In kustomize's words.
    Message(String),
    /// A server's answer that ends the build.
    HttpStatus(String),
}

impl LoadError {
    pub(crate) fn text(&self) -> &str {
        match self {
            LoadError::Message(text) | LoadError::HttpStatus(text) => text,
        }
    }
}

impl<'o> Loader<'o> {
    /// A loader at the target of a build.
    ///
    /// # Errors
    /// The path is not a directory.
    pub(crate) fn target(
        fs: &'o dyn FileSystem,
        path: &str,
        restrictions: LoadRestrictions,
        remote: Option<&'o dyn RemoteLoader>,
    ) -> Result<Self, String> {
        let origin = Loader {
            fs: Source::Given(fs),
            root: "/".to_owned(),
            restrictions,
            remote,
            stack: Vec::new(),
            repo: None,
        };
        if path.is_empty() {
            return Err("unable to load root: no path specified".to_owned());
        }
        if let Some(spec) = RepoSpec::parse(path) {
            return origin.cloned(spec?);
        }
        let root = origin.directory(&fs::join("/", path))?;
        Ok(origin.at(root))
    }

    fn at(&self, root: String) -> Self {
        let mut stack = self.stack.clone();
        stack.push(Visited {
            root: root.clone(),
            repo: self.repo.as_ref().map(|repo| repo.spec.clone_url()),
            clone: self.clone_number(),
        });
        Loader {
            root,
            stack,
            ..self.clone()
        }
    }

    fn clone_number(&self) -> usize {
        self.repo.as_ref().map_or(0, |repo| repo.number)
    }

    /// The directory of the layer.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The clone that the layer lies in.
    pub(crate) fn repo(&self) -> Option<&Clone> {
        self.repo.as_deref()
    }

    pub(crate) fn file_system(&self) -> &dyn FileSystem {
        self.fs.get()
    }

    /// A directory as a real path.
    fn directory(&self, path: &str) -> Result<String, String> {
        let fs = self.fs.get();
        match fs.real_path(path) {
            Err(error) => Err(format!(
                "must build at directory: not a valid directory: evalsymlink failure on '{path}' : {error}"
            )),
            Ok(real) if !fs.is_dir(&real) => Err(format!(
                "must build at directory: '{real}': file is not directory"
            )),
            Ok(real) => Ok(real),
        }
    }

    /// A loader for another layer, as `resources` names it.
    ///
    /// # Errors
    /// No such directory, a cycle, or a place outside a clone.
    pub(crate) fn child(&self, path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Err("new root cannot be empty".to_owned());
        }
        if let Some(spec) = RepoSpec::parse(path) {
            return self.cloned(spec?);
        }
        if path.starts_with('/') {
            return Err(format!("new root '{path}' cannot be absolute"));
        }
        let root = self.directory(&fs::join(&self.root, path))?;
        if let Some(repo) = &self.repo
            && !fs::is_within(&root, &repo.dir)
        {
            return Err(format!(
                "security; bases in kustomizations found in cloned git repos must be within the repo, but base '{root}' is outside '{}'",
                repo.dir
            ));
        }
        for visited in self.stack.iter().rev() {
            if visited.clone == self.clone_number() && fs::is_within(&visited.root, &root) {
                return Err(format!(
                    "cycle detected: candidate root '{root}' contains visited root '{}'",
                    visited.root
                ));
            }
        }
        Ok(self.at(root))
    }

    /// A loader for a repository.
    fn cloned(&self, spec: RepoSpec) -> Result<Self, String> {
        let url = spec.clone_url();
        for visited in self.stack.iter().rev() {
            if let Some(known) = &visited.repo
                && known.starts_with(&url)
            {
                return Err(format!(
                    "cycle detected: URI '{}' referenced by previous URI '{known}'",
                    spec.raw
                ));
            }
        }
        let Some(remote) = self.remote else {
            return Err(format!(
                "remote resources are not allowed here: refusing to clone '{}'",
                spec.raw
            ));
        };
        let checkout = remote
            .clone_repository(&spec)
            .map_err(|error| error.to_string())?;
        let dir = checkout
            .fs
            .real_path(&checkout.dir)
            .map_err(|error| error.to_string())?;
        let inner = Loader {
            fs: Source::Cloned(checkout.fs),
            root: dir.clone(),
            restrictions: LoadRestrictions::RootOnly,
            remote: self.remote,
            stack: self.stack.clone(),
            repo: Some(Arc::new(Clone {
                number: self.stack.iter().map(|v| v.clone).max().unwrap_or(0) + 1,
                spec,
                dir: dir.clone(),
            })),
        };
        let path = inner.repo().map_or("", |repo| repo.spec.path.as_str());
        let root = inner.directory(&fs::join(&dir, path))?;
        if !fs::is_within(&root, &dir) {
            return Err(format!(
                "security; bases in kustomizations found in cloned git repos must be within the repo, but base '{root}' is outside '{dir}'"
            ));
        }
        Ok(inner.at(root))
    }

    /// The content of a file that the layer names.
    ///
    /// # Errors
    /// The file is missing, outside the root, or a server refuses it.
    pub(crate) fn load(&self, path: &str) -> Result<Cow<'_, [u8]>, LoadError> {
        if path.starts_with("http://") || path.starts_with("https://") {
            return self.fetch(path).map(Cow::Owned);
        }
        let path = self.absolute(path);
        let real = match self.restrictions {
            LoadRestrictions::RootOnly => self.restricted(&path).map_err(LoadError::Message)?,
            LoadRestrictions::None => path,
        };
        self.fs.get().read(&real).map_err(|error| {
            LoadError::Message(match error {
                FsError::NotFound(_) => format!("open {real}: no such file or directory"),
                other => other.to_string(),
            })
        })
    }

    pub(crate) fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            fs::clean(path)
        } else {
            fs::join(&self.root, path)
        }
    }

    /// The real path of a file below the root.
    fn restricted(&self, path: &str) -> Result<String, String> {
        let fs = self.fs.get();
        if fs::dir(path) == self.root && fs.is_plain_file(path) {
            // The root is real, and so is a file in it that is no link.
            return Ok(path.to_owned());
        }
        let real = fs
            .real_path(path)
            .map_err(|error| format!("evalsymlink failure on '{path}' : {error}"))?;
        if fs.is_dir(&real) {
            return Err(format!("'{real}' must resolve to a file"));
        }
        if !fs::is_within(fs::dir(&real), &self.root) {
            return Err(format!(
                "security; file '{real}' is not in or below '{}'",
                self.root
            ));
        }
        Ok(real)
    }

    fn fetch(&self, url: &str) -> Result<Vec<u8>, LoadError> {
        let Some(remote) = self.remote else {
            return Err(LoadError::Message(format!(
                "remote resources are not allowed here: refusing to fetch '{url}'"
            )));
        };
        match remote.fetch(url) {
            Ok(body) => Ok(body),
            Err(RemoteError::Status { code, text }) => {
                if RepoSpec::parse(url).is_some_and(|spec| spec.is_ok()) {
                    return Err(LoadError::Message("URL is a git repository".to_owned()));
                }
                Err(LoadError::HttpStatus(format!(
                    "HTTP Error: status code {code} ({text})"
                )))
            }
            Err(error) => Err(LoadError::Message(error.to_string())),
        }
    }
}
