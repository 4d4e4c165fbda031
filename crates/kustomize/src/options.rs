//! What a caller decides about a build.

use std::sync::Arc;

use sluice_yaml::Limits;

use crate::fs::FileSystem;
use crate::git_url::RepoSpec;
use crate::helm::HelmInflator;
use crate::schema::SchemaMode;

/// Options of a build; the default is what the `kustomize` command does.
#[derive(Clone, Default)]
pub struct Options<'o> {
    /// Where files may be read from.
    pub load_restrictions: LoadRestrictions,
    /// The order of the output when the target says nothing.
    pub reorder: Reorder,
    /// Adds the label `app.kubernetes.io/managed-by`.
    pub managed_by_label: bool,
    /// What a custom schema does to the built-in one.
    pub schema_mode: SchemaMode,
    /// Fetches what URLs name; none refuses them.
    pub remote: Option<&'o dyn RemoteLoader>,
    /// Renders charts; none refuses them.
    pub helm: Option<&'o dyn HelmInflator>,
    /// Bounds on the YAML that is read.
    pub limits: Limits,
}

/// Where the files of a layer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadRestrictions {
    /// In or below the directory of the layer.
    #[default]
    RootOnly,
    /// Anywhere.
    None,
}

/// The order of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reorder {
    /// By kind, in the order in which objects can be created.
    #[default]
    Legacy,
    /// As the objects were read.
    None,
}

/// Fetches files and repositories for a build.
pub trait RemoteLoader: Send + Sync {
    /// The body that a URL answers with.
    ///
    /// # Errors
    /// The server cannot be reached or answers with an error.
    fn fetch(&self, url: &str) -> Result<Vec<u8>, RemoteError>;

    /// A checkout of a repository.
    ///
    /// # Errors
    /// The repository or the revision cannot be had.
    fn clone_repository(&self, spec: &RepoSpec) -> Result<Checkout, RemoteError>;
}

/// The files of a repository at a revision.
pub struct Checkout {
    /// The files.
    pub fs: Arc<dyn FileSystem>,
    /// The top directory of the repository in them.
    pub dir: String,
}

/// Why something remote could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// A server's answer other than 2xx.
    #[error("HTTP Error: status code {code} ({text})")]
    Status {
        /// The status.
        code: u16,
        /// Its standard text, e.g. `Not Found`.
        text: String,
    },
    /// It took too long.
    #[error("hit {0} timeout running git")]
    Timeout(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}
