//! Helm's commands that need no cluster, as functions over an [`Environment`].
//!
//! Arguments, output and exit codes are Helm's. Nothing here decides anything:
//! the commands read files, call the engine, and print.

mod options;
mod template;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use crate::chart::Chart;
use crate::disk::{DiskError, load_chart};
use crate::session::{Deadline, Lookup, Resolver, World};

pub use options::{InstallOptions, ValueOptions};
pub use template::TemplateArgs;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum HelmCommand {
    /// Render chart templates locally and display the output.
    Template(Box<TemplateArgs>),
}

/// The world of the commands.
pub struct Environment<'e> {
    /// Where results go.
    pub out: &'e mut dyn Write,
    /// Where errors and warnings go.
    pub err: &'e mut dyn Write,
    /// Makes the world of one rendering.
    pub world: &'e dyn Fn() -> World,
    /// Fetches a chart that is not on disk: its reference and the version.
    pub fetch: &'e dyn Fn(&ChartRef) -> Result<Vec<u8>, String>,
    /// The cluster behind `--validate` and `--dry-run=server`, if there is one.
    pub cluster: Option<Cluster>,
}

/// A chart that is not on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartRef {
    /// `oci://…`, a URL, `repo/name`, or a name together with `repo_url`.
    pub reference: String,
    /// Which version.
    pub version: String,
    /// The repository given by `--repo`.
    pub repo_url: String,
}

/// What a cluster says about itself, and how to ask it for objects.
#[derive(Clone)]
pub struct Cluster {
    /// Its capabilities.
    pub capabilities: crate::Capabilities,
    /// How templates look objects up.
    pub lookup: Arc<dyn Lookup>,
}

/// A command that failed: the text behind `Error: `.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(pub String);

impl From<DiskError> for CommandError {
    fn from(error: DiskError) -> Self {
        CommandError(error.to_string())
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        CommandError(error.to_string())
    }
}

pub(crate) type Done = Result<(), CommandError>;

pub(crate) fn fail<T>(text: impl Into<String>) -> Result<T, CommandError> {
    Err(CommandError(text.into()))
}

/// Runs a command; prints its error, if there is one, and returns the exit code.
pub fn run(command: &HelmCommand, env: &mut Environment<'_>) -> u8 {
    let done = match command {
        HelmCommand::Template(args) => template::run(args, env),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            // There is nobody left to tell when this fails.
            let _ = writeln!(env.err, "Error: {error}");
            1
        }
    }
}

/// Finds a chart on disk or fetches it.
pub(crate) fn locate(reference: &ChartRef, env: &Environment<'_>) -> Result<Chart, CommandError> {
    let path = Path::new(reference.reference.trim());
    if reference.repo_url.is_empty() && path.exists() {
        return Ok(load_chart(path)?);
    }
    let looks_local = reference.reference.starts_with(['/', '.']);
    if looks_local && reference.repo_url.is_empty() {
        return fail(format!(
            "path {} not found",
            sluice_gotemplate::strconv::quote(reference.reference.as_bytes())
        ));
    }
    let bytes = (env.fetch)(reference).map_err(CommandError)?;
    crate::chart::load_archive(&bytes).map_err(|e| CommandError(e.to_string()))
}

/// What a rendering needs from its callers, for those that have a clock, a
/// source of chance and nothing else.
pub fn simple_world(
    now: (i64, u32),
    zone: String,
    entropy: crate::session::Entropy,
    deadline: Option<Deadline>,
    resolver: Option<Resolver>,
) -> World {
    World {
        now,
        zone,
        entropy,
        lookup: Arc::new(crate::session::NoCluster),
        deadline,
        resolver,
    }
}
