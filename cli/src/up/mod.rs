//! `sluice up`: from a Git repository to a healthy cluster in one command.
//!
//! ```text
//! repository ─ roots ─┐                              ┌─ observe ─ tree ─ view ─ screen
//!   (what to run)     ├─> cluster (embedded or real) ┤
//! follow (new commits)┘        ^                     └─ source-controller, kustomize-controller
//!                              └──── the same API for all of them
//! ```
//!
//! The controllers run in this process, but nothing in them knows: they talk to the API server and
//! download artifacts as they do in a cluster.

pub mod cluster;
pub mod example;
mod follow;
mod observe;
pub mod repository;
pub mod roots;
mod screen;
pub mod session;
pub mod tree;
pub mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use sluice_runtime::logging::{self, Encoding, Verbosity};
use tokio_util::sync::CancellationToken;

use observe::Observer;
use roots::Wanted;
use screen::{Form, Screen};
use session::{ClusterChoice, Consent, Session, Settings};
use view::State;

/// Field manager of what `sluice up` writes itself.
pub const MANAGER: &str = "sluice";

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A tree on a terminal, lines in a pipe.
    Text,
    /// JSON lines.
    Json,
}

/// Arguments of `sluice up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// The repository: a folder in a work tree, a bare repository, or a URL. The example if left out.
    pub repo: Option<String>,
    /// Branch to follow; by default the one that is checked out.
    #[arg(long, conflicts_with = "tag")]
    pub branch: Option<String>,
    /// Tag to run.
    #[arg(long)]
    pub tag: Option<String>,
    /// Folder in the repository that describes the cluster.
    #[arg(long)]
    pub path: Option<String>,
    /// Namespace to put everything of the repository into; created if it is not there.
    #[arg(long)]
    pub target_namespace: Option<String>,
    /// Folder for the state of the embedded cluster and the artifacts.
    #[arg(long, default_value = ".sluice")]
    pub state: PathBuf,
    /// Forget the state first.
    #[arg(long)]
    pub fresh: bool,
    /// End when all is ready (exit code 0) or `--timeout` is over (exit code 1, with the reasons).
    #[arg(long)]
    pub once: bool,
    /// Install the CRDs into a cluster without asking.
    #[arg(long)]
    pub yes: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Output,
    /// Read GitRepositories that name a remote of REPO from that remote, not from REPO.
    #[arg(long)]
    pub no_local_remotes: bool,
}

/// Settings that come from the flags of the whole CLI.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `--kubeconfig`; the embedded cluster if neither it nor a context is given.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
}

/// Default of `--timeout` with `--once`.
const ONCE: Duration = Duration::from_secs(300);

/// Runs until interrupted, or until all is ready with `--once`.
///
/// # Errors
/// Anything that keeps it from starting: the reason and what to do.
pub async fn run(args: UpArgs, around: Surroundings) -> anyhow::Result<ExitCode> {
    // What fails inside the controllers and the embedded server is said on standard error.
    logging::install(Encoding::Console, Verbosity::Error);
    let stop = CancellationToken::new();
    tokio::spawn(sluice_runtime::host::cancel_on_signal(stop.clone()));
    let settings = settings(&args, &around)?;
    let session = Session::start(settings, stop).await?;
    let code = show(&args, &around, &session).await;
    session.end().await;
    code
}

/// What the flags mean.
fn settings(args: &UpArgs, around: &Surroundings) -> anyhow::Result<Settings> {
    if args.fresh {
        session::forget(&args.state)?;
    }
    std::fs::create_dir_all(&args.state)
        .with_context(|| format!("cannot create `{}`", args.state.display()))?;
    let (mut repository, path) = match &args.repo {
        Some(given) => (repository::open(given)?, args.path.clone()),
        None => {
            let folder = args.state.join("example");
            example::lay_out(&folder)?;
            eprintln!(
                "► no repository given: running the example in {}",
                folder.display()
            );
            let repository = repository::open(&folder.to_string_lossy())?;
            (repository, Some(example::PATH.to_owned()))
        }
    };
    if args.no_local_remotes {
        repository.addresses.clear();
    }
    let wanted = Wanted {
        path,
        branch: args.branch.clone(),
        tag: args.tag.clone(),
        namespace: around
            .namespace
            .clone()
            .unwrap_or_else(|| "flux-system".to_owned()),
        target_namespace: args.target_namespace.clone(),
    };
    let cluster = match (&around.kubeconfig, &around.context) {
        (None, None) => ClusterChoice::Embedded,
        (kubeconfig, context) => ClusterChoice::Existing {
            kubeconfig: kubeconfig.clone(),
            context: context.clone(),
            consent: if args.yes {
                Consent::Given
            } else {
                Consent::Ask
            },
        },
    };
    Ok(Settings {
        repository,
        wanted,
        state: args.state.clone(),
        cluster,
    })
}

/// Shows the tree until it is interrupted, or settled with `--once`.
async fn show(args: &UpArgs, around: &Surroundings, session: &Session) -> anyhow::Result<ExitCode> {
    let form = match args.output {
        Output::Json => Form::Json,
        Output::Text => Form::of_stdout(),
    };
    let mut screen = Screen::new(form);
    let observer = Observer::start(
        session.client.clone(),
        session.others(),
        session.stop.clone(),
    );
    let limit = around.timeout.unwrap_or(ONCE);
    let deadline = tokio::time::Instant::now() + limit;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = session.stop.cancelled() => return Ok(ExitCode::SUCCESS),
            () = observer.changed() => {}
            _ = second.tick(), if screen.ticks() => {}
            () = tokio::time::sleep_until(deadline), if args.once => {
                report(&screen, limit);
                return Ok(ExitCode::FAILURE);
            }
        }
        let began = tokio::time::Instant::now();
        let observed = observer.observed();
        let tree = tree::build(&observed);
        let settled = tree::is_settled(&tree, &observed, &session.request);
        if screen.show(tree, jiff::Timestamp::now()).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        if args.once && settled {
            return Ok(ExitCode::SUCCESS);
        }
        observe::rest(began, &session.stop).await;
    }
}

/// Says what is not ready.
fn report(screen: &Screen, limit: Duration) {
    eprintln!("✗ not all is ready after {} s:", limit.as_secs());
    for node in screen.shown() {
        if matches!(node.state, State::Ready | State::Suspended) {
            continue;
        }
        let why = match &node.waits_for {
            Some(waits_for) => format!("waits for {waits_for}"),
            None => node.message.clone(),
        };
        eprintln!("  {}/{}/{}: {why}", node.kind, node.namespace, node.name);
        if node.message.contains("namespace not specified") {
            eprintln!("    give the objects a namespace, or run with --target-namespace NAME");
        }
        for child in node.children.iter().filter(|c| c.state != State::Ready) {
            let why = match &child.waits_for {
                Some(waits_for) => format!("waits for {waits_for}"),
                None => child.message.clone(),
            };
            eprintln!(
                "    {}/{}/{}: {why}",
                child.kind, child.namespace, child.name
            );
        }
    }
}
