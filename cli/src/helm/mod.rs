//! `sluice helm`: Helm's commands that need no release, with its arguments,
//! output and exit codes.
//!
//! The engine decides; here files are read, charts are fetched, and results are
//! printed.

mod cluster;
mod dependency;
mod lint;
mod options;
mod package;
mod registry;
mod repositories;
mod show;
mod template;
mod verify;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use sluice_helm::{Limits, World, on_deep_stack};

use crate::session::GlobalArgs;

/// `sluice helm`.
#[derive(Debug, Args)]
pub struct Helm {
    #[command(flatten)]
    global: HelmGlobals,
    #[command(subcommand)]
    command: HelmCommand,
}

/// The options of all of Helm's commands that `sluice` does not have anyway.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Helm")]
pub(crate) struct HelmGlobals {
    /// Print more about what goes on
    #[arg(long, global = true)]
    debug: bool,
    /// Context of the kubeconfig to use
    #[arg(long, global = true, env = "HELM_KUBECONTEXT")]
    kube_context: Option<String>,
    /// Address of the API server
    #[arg(long, global = true, env = "HELM_KUBEAPISERVER")]
    kube_apiserver: Option<String>,
    /// Bearer token
    #[arg(long, global = true, env = "HELM_KUBETOKEN", hide_env_values = true)]
    kube_token: Option<String>,
    /// File with names and addresses of repositories
    #[arg(long, global = true, env = "HELM_REPOSITORY_CONFIG")]
    repository_config: Option<std::path::PathBuf>,
    /// Accepted for the sake of scripts: indexes are not kept
    #[arg(long, global = true, hide = true)]
    repository_cache: Option<std::path::PathBuf>,
    /// File with names and passwords for registries
    #[arg(long, global = true, env = "HELM_REGISTRY_CONFIG")]
    registry_config: Option<std::path::PathBuf>,
    /// Accepted for the sake of scripts: charts are not kept
    #[arg(long, global = true, hide = true)]
    content_cache: Option<std::path::PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum HelmCommand {
    /// Render a chart's templates and print the manifests
    Template(Box<template::TemplateArgs>),
    /// Look for what is wrong with charts
    Lint(lint::LintArgs),
    /// Print what a chart says about itself
    #[command(subcommand)]
    Show(show::Show),
    /// Manage the charts that a chart brings along
    #[command(subcommand, visible_aliases = ["dep", "dependencies"])]
    Dependency(dependency::DependencyCommand),
    /// Pack chart folders into archives
    Package(package::PackageArgs),
    /// Check who vouches for an archive
    Verify(verify::VerifyArgs),
}

/// A command that failed: the text behind `Error: `.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HelmError(pub(crate) String);

impl<E: std::error::Error> From<E> for HelmError {
    fn from(error: E) -> Self {
        HelmError(error.to_string())
    }
}

/// Says what is wrong with the arguments, as Helm does.
pub(crate) fn refuse(complaint: &str) -> ExitCode {
    // There is nobody left to tell when this fails.
    let _ = writeln!(std::io::stderr(), "Error: {complaint}");
    ExitCode::FAILURE
}

pub(crate) type Done<T = ()> = Result<T, HelmError>;

pub(crate) fn fail<T>(text: impl Into<String>) -> Done<T> {
    Err(HelmError(text.into()))
}

/// What the commands print to, and what they are told.
pub(crate) struct Environment<'e> {
    pub(crate) out: &'e mut dyn Write,
    pub(crate) err: &'e mut dyn Write,
    pub(crate) helm: &'e HelmGlobals,
    pub(crate) global: &'e GlobalArgs,
}

impl Environment<'_> {
    /// The namespace of the release.
    pub(crate) fn namespace(&self) -> String {
        let variable = || {
            std::env::var("HELM_NAMESPACE")
                .ok()
                .filter(|n| !n.is_empty())
        };
        self.global
            .namespace
            .clone()
            .or_else(variable)
            .or_else(|| self.global.cluster.context_namespace())
            .unwrap_or_else(|| "default".to_owned())
    }
}

/// The time since 1970: seconds and nanoseconds.
pub(crate) fn now() -> (i64, u32) {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map(|d| {
            (
                i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
                d.subsec_nanos(),
            )
        })
        .unwrap_or_default()
}

/// The world that templates see: this machine's clock and chance, no cluster.
pub(crate) fn world() -> World {
    let zone = jiff::tz::TimeZone::system();
    let entropy = |buffer: &mut [u8]| {
        if aws_lc_rs::rand::fill(buffer).is_err() {
            // The library's source cannot fail on any system it supports.
            buffer.fill(0);
        }
    };
    World {
        zone: zone.iana_name().unwrap_or_default().to_owned(),
        resolver: Some(Arc::new(|host: &str| {
            use std::net::ToSocketAddrs as _;
            let addresses = (host, 0).to_socket_addrs().map_err(|e| e.to_string())?;
            let mut addresses = addresses.map(|address| address.ip().to_string());
            addresses
                .next()
                .ok_or_else(|| format!("lookup {host}: no such host"))
        })),
        ..World::offline(now(), Box::new(entropy))
    }
}

impl Helm {
    /// Runs the command and prints its error, if there is one.
    pub fn run(&self, global: &GlobalArgs) -> ExitCode {
        let depth = Limits::default().depth;
        on_deep_stack(depth, || self.run_here(global)).unwrap_or_else(|text| refuse(&text))
    }

    fn run_here(&self, global: &GlobalArgs) -> ExitCode {
        let mut env = Environment {
            out: &mut std::io::BufWriter::new(std::io::stdout().lock()),
            err: &mut std::io::stderr().lock(),
            helm: &self.global,
            global,
        };
        let done = self.command.run(&mut env);
        let flushed = env.out.flush();
        match (done, flushed) {
            (Ok(()), Ok(())) => ExitCode::SUCCESS,
            // Nobody reads the output any more.
            (Ok(()), Err(_)) => ExitCode::SUCCESS,
            (Err(HelmError(text)), _) => {
                // There is nobody left to tell when this fails.
                let _ = writeln!(env.err, "Error: {text}");
                ExitCode::FAILURE
            }
        }
    }
}

impl HelmCommand {
    fn run(&self, env: &mut Environment<'_>) -> Done {
        match self {
            HelmCommand::Template(args) => args.run(env),
            HelmCommand::Lint(args) => args.run(env),
            HelmCommand::Show(command) => command.run(env),
            HelmCommand::Dependency(command) => command.run(env),
            HelmCommand::Package(args) => args.run(env),
            HelmCommand::Verify(args) => args.run(env),
        }
    }
}

#[cfg(test)]
mod tests;
