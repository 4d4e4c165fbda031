//! Sluice, a GitOps toolkit for Kubernetes: the command line.
//!
//! The commands of `flux`, with its arguments, columns, messages and exit
//! codes, and `sluice up`. What a command decides is decided by the engines that
//! the controllers use; here is what people see of it.
//!
//! ```text
//! arguments -> Cli -> command (commands/) -> Session: cluster, terminal, deadline
//!                        |
//!                        +-> resources/: the table of kinds
//! ```

mod age;
mod cluster;
mod commands;
mod error;
mod helm;
mod object;
mod per_kind;
mod preview;
mod resources;
mod session;
mod table;
mod terminal;
pub mod up;
mod wait;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use tokio::time::timeout_at;

use crate::commands::{
    build, completion, create, delete, diff, events, export, get, reconcile, resume, suspend, tree,
};
use crate::error::{Failure, News, Outcome};
use crate::per_kind::PerKind;
use crate::session::{GlobalArgs, Session};
use crate::terminal::Terminal;

/// GitOps for Kubernetes
#[derive(Parser)]
#[command(
    name = "sluice",
    disable_version_flag = true,
    disable_help_subcommand = true
)]
struct Cli {
    /// Print the version
    #[arg(short = 'v', long)]
    version: bool,
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a repository on a cluster of its own, or on another one
    Up(up::UpArgs),
    /// Print a script that completes commands in a shell
    Completion(completion::Completion),
    #[command(flatten)]
    Local(LocalCommand),
    #[command(flatten)]
    Cluster(ClusterCommand),
}

/// The commands that need no cluster.
#[derive(Subcommand)]
enum LocalCommand {
    /// Build kustomizations as the kustomize command does
    #[command(subcommand)]
    Kustomize(commands::kustomize::Kustomize),
    /// Render, check and pack charts as the helm command does
    Helm(Box<helm::Helm>),
}

/// [`Cli`] without the commands that its first word rules out: these are over
/// sooner than the tree of all commands is made.
#[derive(Parser)]
#[command(
    name = "sluice",
    disable_version_flag = true,
    disable_help_subcommand = true
)]
struct LocalCli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: LocalCommand,
}

/// The commands that ask a cluster something and end.
#[derive(Subcommand)]
enum ClusterCommand {
    /// Show objects and their state
    Get(get::Get),
    /// Make a controller look at an object now
    #[command(subcommand)]
    Reconcile(PerKind<reconcile::ReconcileArgs>),
    /// Make controllers leave objects alone
    #[command(subcommand)]
    Suspend(PerKind<suspend::SuspendArgs>),
    /// Make controllers take care of objects again
    #[command(subcommand)]
    Resume(PerKind<resume::ResumeArgs>),
    /// Make an object
    #[command(arg_required_else_help = true)]
    Create(create::Create),
    /// Delete an object
    #[command(subcommand)]
    Delete(PerKind<delete::DeleteArgs>),
    /// Print objects as YAML
    #[command(subcommand)]
    Export(PerKind<export::ExportArgs>),
    /// Show what an object manages
    #[command(subcommand)]
    Tree(tree::Tree),
    /// Show what happened to objects
    Events(events::Events),
    /// Print what a controller would apply
    #[command(subcommand)]
    Build(build::Build),
    /// Show what a controller would change
    #[command(subcommand)]
    Diff(diff::Diff),
}

impl ClusterCommand {
    /// Whether the command ends at the timeout by design.
    fn is_stream(&self) -> bool {
        match self {
            Self::Get(command) => command.is_stream(),
            Self::Events(command) => command.is_stream(),
            _ => false,
        }
    }

    async fn run(&self, session: &mut Session) -> Outcome {
        match self {
            Self::Get(command) => command.run(session).await,
            Self::Reconcile(command) => reconcile::run(command, session).await,
            Self::Suspend(command) => suspend::run(command, session).await,
            Self::Resume(command) => resume::run(command, session).await,
            Self::Create(command) => command.run(session).await,
            Self::Delete(command) => delete::run(command, session).await,
            Self::Export(command) => export::run(command, session).await,
            Self::Tree(command) => command.run(session).await,
            Self::Events(command) => command.run(session).await,
            Self::Build(command) => command.run(session).await,
            Self::Diff(command) => command.run(session).await,
        }
    }
}

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    execute(std::env::args_os(), Terminal::standard())
}

/// Runs a command line, whose first argument is the name of the program, with other streams than those
/// of the process. Returns the exit code.
pub fn run_with(
    arguments: impl IntoIterator<Item = OsString>,
    data: Box<dyn Write + Send>,
    progress: Box<dyn Write + Send>,
) -> ExitCode {
    execute(arguments, Terminal::new(data, progress))
}

fn execute(arguments: impl IntoIterator<Item = OsString>, mut terminal: Terminal) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_helm = arguments.get(1).is_some_and(|word| word == "helm");
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) if is_helm && !is_help(&error) => return helm::refuse(&complaint(&error)),
        Err(error) => return refuse(&error, &mut terminal),
    };
    // Work on local files is over sooner than this is done.
    if !matches!(cli.command, Some(Command::Local(_))) {
        sluice_runtime::client::install_tls();
    }
    match run(cli, terminal.clone()) {
        Ok(code) => code,
        Err(failure) => {
            match failure.news() {
                Some(News::Failure(text)) => terminal.failure(text),
                Some(News::Warning(text)) => terminal.warning(text),
                None => {}
            }
            ExitCode::from(failure.code())
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = arguments.get(1).and_then(|word| word.to_str());
    if !matches!(first, Some("helm" | "kustomize")) {
        return Cli::try_parse_from(arguments);
    }
    let local = LocalCli::try_parse_from(arguments)?;
    Ok(Cli {
        version: false,
        global: local.global,
        command: Some(Command::Local(local.command)),
    })
}

fn run(cli: Cli, mut terminal: Terminal) -> Outcome<ExitCode> {
    if cli.version {
        let version = env!("CARGO_PKG_VERSION");
        terminal.print(&format!("sluice version {version}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    match cli.command {
        None => {
            let help = <Cli as clap::CommandFactory>::command().render_help();
            terminal.print(&help.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Up(args)) => run_up(args, cli.global),
        Some(Command::Completion(command)) => {
            let mut tree = <Cli as clap::CommandFactory>::command();
            terminal.print(&command.script(&mut tree))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Local(LocalCommand::Kustomize(command))) => {
            command.run(&mut terminal)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Local(LocalCommand::Helm(command))) => Ok(command.run(&cli.global)),
        Some(Command::Cluster(command)) => {
            run_command(&command, &cli.global, terminal)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs `sluice up`, which serves a cluster and controllers on all cores until
/// it is stopped.
fn run_up(args: up::UpArgs, global: GlobalArgs) -> Outcome<ExitCode> {
    let around = up::Surroundings {
        kubeconfig: global.cluster.kubeconfig,
        context: global.cluster.context,
        namespace: global.namespace,
        timeout: global.timeout,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(up::run(args, around));
    runtime.shutdown_background();
    Ok(outcome?)
}

/// Runs a command that asks a cluster something and ends.
fn run_command(command: &ClusterCommand, global: &GlobalArgs, terminal: Terminal) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut session = Session::new(global, terminal)?;
        if command.is_stream() {
            return command.run(&mut session).await;
        }
        let deadline = session.deadline;
        match timeout_at(deadline, command.run(&mut session)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::new("context deadline exceeded")),
        }
    })
}

/// Says what is wrong with the arguments, without the usage. Help is no fault.
fn refuse(error: &clap::Error, terminal: &mut Terminal) -> ExitCode {
    if is_help(error) {
        let _ = terminal.print(&error.render().to_string());
        return ExitCode::SUCCESS;
    }
    terminal.failure(&complaint(error));
    ExitCode::FAILURE
}

fn is_help(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::MissingSubcommand
    )
}

/// The complaint in the words of `flux` where it has some.
fn complaint(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("unknown command {name:?} for \"sluice\"")
        }
        ErrorKind::UnknownArgument => match context(ContextKind::InvalidArg) {
            Some(flag) if flag.starts_with("--") => format!("unknown flag: {flag}"),
            Some(flag) if flag.starts_with('-') => {
                let letter = flag.trim_start_matches('-');
                format!("unknown shorthand flag: '{letter}' in {flag}")
            }
            other => format!(
                "unknown command {:?} for \"sluice\"",
                other.unwrap_or_default()
            ),
        },
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Cli, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_tree_holds_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_commands_of_flux_are_understood() {
        for line in [
            "sluice get all -A",
            "sluice get ks -n apps --status-selector ready=false",
            "sluice -n apps get kustomizations web --show-source --no-header",
            "sluice get source git",
            "sluice get sources all -A",
            "sluice get images all",
            "sluice get image policy web -w",
            "sluice get alert-providers",
            "sluice reconcile ks web --with-source",
            "sluice reconcile hr web --force --reset",
            "sluice reconcile source git fleet --timeout 1m",
            "sluice suspend kustomization a b c",
            "sluice suspend image update --all",
            "sluice resume ks --all --wait",
            "sluice resume ks web --wait=false",
            "sluice create source git fleet --url https://h/r --branch main --export",
            "sluice create ks web --source fleet.flux-system --path ./web --interval 5m",
            "sluice delete source helm charts -s",
            "sluice export ks --all",
            "sluice export source git fleet --with-credentials",
            "sluice export source external fleet",
            "sluice tree ks web --compact -o json",
            "sluice events -A --for Kustomization/web --types Normal,Warning -w",
            "sluice completion zsh",
            "sluice build ks web --path . --dry-run --kustomization-file ks.yaml -r",
            "sluice diff kustomization web --path . --local-sources a/b/c=d,e/f/g=h",
            "sluice diff ks web --path . --progress-bar=false",
            "sluice --version",
            "sluice",
        ] {
            assert!(words(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said_in_one_line() {
        for (line, text) in [
            ("sluice bogus", r#"unknown command "bogus" for "sluice""#),
            ("sluice get ks --bogus", "unknown flag: --bogus"),
            ("sluice get ks -x", "unknown shorthand flag: 'x' in -x"),
            (
                "sluice get ks --timeout 5",
                r#"invalid value '5' for '--timeout <TIMEOUT>': time: missing unit in duration "5""#,
            ),
        ] {
            let error = words(line).err().expect(line);
            assert_eq!(complaint(&error), text);
        }
        assert!(words("sluice reconcile alert web").is_err());
    }
}
