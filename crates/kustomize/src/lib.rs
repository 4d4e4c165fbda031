//! kustomize build, native: a pure function from files to objects.
//!
//! [`build`] makes of a directory with a kustomization file what
//! `kustomize build` v5.8.1 makes of it: the same objects in the same order,
//! and with [`Build::to_yaml`] the same bytes. It reads through a
//! [`FileSystem`] and keeps no state, so that builds can run on all cores at
//! once; URLs and charts go through traits that the caller may leave out.
//!
//! What it is not: an editor of kustomization files, or a host for plugins
//! that are programs or containers; those are refused.

mod build;
mod config;
mod crds;
mod disk;
mod error;
mod fieldpath;
mod fieldspec;
mod fs;
mod generate;
mod git_url;
mod gojson;
mod growth;
mod hash;
mod helm;
mod id;
mod jsonpatch;
mod kustomization;
mod loader;
mod merge;
mod nameref;
mod node;
mod options;
mod output;
mod parse;
mod plugins;
mod read;
mod replacement;
mod resmap;
mod resource;
mod schema;
mod selector;
mod sort;
mod structured;
mod transform;
mod vars;
mod yaml3;

pub use disk::DiskFs;
pub use error::{Error, Errors};
pub use fs::{FileSystem, FsError, MemoryFs, clean as clean_path};
pub use git_url::RepoSpec;
pub use helm::{ChartRequest, HelmInflator};
pub use id::{Gvk, ResId};
pub use kustomization::*;
pub use options::{Checkout, LoadRestrictions, Options, RemoteError, RemoteLoader, Reorder};
pub use resource::Origin;
pub use schema::SchemaMode;

use serde_json::Value;

/// The outcome of a build.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// The objects, in the order of the output.
    pub resources: Vec<Resource>,
    /// What kustomize would say on standard error, one a line.
    pub warnings: Vec<String>,
}

/// An object and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The object.
    pub object: Value,
    /// Its file and line, or its generator.
    pub origin: std::sync::Arc<Origin>,
}

impl Build {
    /// The objects as kustomize prints them.
    ///
    /// # Errors
    /// A text with control characters that YAML cannot carry.
    pub fn to_yaml(&self) -> Result<String, Errors> {
        let mut yaml = String::new();
        for resource in &self.resources {
            append(&resource.object, &mut yaml)?;
        }
        Ok(yaml)
    }
}

/// Writes one more object; an error says which one it is.
fn append(object: &serde_json::Value, yaml: &mut String) -> Result<(), Errors> {
    sluice_yaml::append_document(object, yaml).map_err(|error| {
        let message = output::explain_object(object, &error.to_string());
        Errors {
            errors: vec![Error::new(message, None)],
            warnings: Vec::new(),
        }
    })
}

/// Builds the directory at `path`, an absolute path in `fs`, or the repository
/// at a URL.
///
/// # Errors
/// Every problem that could be found in one pass, worded as kustomize words
/// them.
pub fn build(fs: &dyn FileSystem, path: &str, options: &Options<'_>) -> Result<Build, Errors> {
    let mut finished = build::run(fs, path, options)?;
    let resources = std::mem::take(&mut finished.resources)
        .into_iter()
        .map(|mut resource| {
            Ok(Resource {
                object: finished.object(&mut resource)?,
                origin: resource.origin,
            })
        })
        .collect::<Result<_, Errors>>()?;
    Ok(Build {
        resources,
        warnings: finished.warnings,
    })
}

/// As [`build`] and [`Build::to_yaml`] at once, with one object at a time in its
/// final form, which takes less memory.
///
/// # Errors
/// As [`build`] and [`Build::to_yaml`].
pub fn build_text(
    fs: &dyn FileSystem,
    path: &str,
    options: &Options<'_>,
) -> Result<BuiltText, Errors> {
    let mut finished = build::run(fs, path, options)?;
    let mut resources = std::mem::take(&mut finished.resources);
    let mut yaml = String::new();
    for resource in &mut resources {
        let object = finished.object(resource)?;
        append(&object, &mut yaml)?;
    }
    Ok(BuiltText {
        yaml,
        warnings: finished.warnings,
        _objects: resources,
    })
}

/// The outcome of [`build_text`].
///
/// It holds on to the objects that it was written from: to free them takes a
/// fifth of the time of a build, which a process that ends now can save with
/// [`std::mem::forget`].
#[derive(Debug)]
pub struct BuiltText {
    /// The objects as kustomize prints them.
    pub yaml: String,
    /// What kustomize would say on standard error, one a line.
    pub warnings: Vec<String>,
    _objects: Vec<resource::Resource>,
}
