//! Sluice, a GitOps toolkit for Kubernetes: the command line.

pub mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sluice, a GitOps toolkit for Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "sluice", version)]
struct Cli {
    #[arg(long, global = true)]
    kubeconfig: Option<PathBuf>,
    #[arg(long, global = true)]
    context: Option<String>,
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    #[arg(long, global = true, value_parser = sluice_runtime::args::duration)]
    timeout: Option<std::time::Duration>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a repository.
    Up(up::UpArgs),
}

/// Parses the arguments and runs.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    sluice_runtime::client::install_tls();
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return ExitCode::FAILURE;
    };
    let around = up::Surroundings {
        kubeconfig: cli.kubeconfig,
        context: cli.context,
        namespace: cli.namespace,
        timeout: cli.timeout,
    };
    let Command::Up(args) = cli.command;
    let outcome = runtime.block_on(up::run(args, around));
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| {
        eprintln!("✗ {error:#}");
        ExitCode::FAILURE
    })
}
