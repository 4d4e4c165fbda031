//! Generators and checks of the repository, run as `cargo xtask COMMAND`.

mod conversations;
mod crds;
mod e2e;
mod files;
mod goldens;
mod helm;
mod openapi;
mod protobuf;
mod tidy;

use std::path::{Path, PathBuf};

use clap::Parser;

#[derive(Parser)]
#[command(about = "Generators and checks of the repository")]
enum Command {
    /// Records the conversations of `crates/schema` with a running kube-apiserver
    Conversations(conversations::Args),
    /// Measures an engine beside the tool that it stands in for
    Bench {
        /// `helm`
        suite: String,
    },
    /// Renders public charts here and with the real Helm
    Charts(helm::charts::Args),
    /// Writes the CRDs of `api/` to `manifests/crds/`, checks or compares them
    Crds(crds::Args),
    /// Runs the end-to-end suites on a real Kubernetes control plane
    E2e(e2e::Args),
    /// Compares what is kept as goldens with the real kustomize or Helm, or remakes it
    Goldens {
        /// `--verify` or `--update`, behind `--suite helm` for Helm
        #[arg(allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Compares random templates with the real Helm
    HelmRandom(helm::random::Args),
    /// Remakes the tables of built-in kinds from a running kube-apiserver
    Openapi(openapi::Args),
    /// Remakes the field numbers of built-in kinds from their published definitions
    Protobuf(protobuf::Args),
    /// Checks the rules of the house
    Tidy,
}

/// Runs the command of the process.
///
/// # Errors
/// What the command's own module says.
pub fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Conversations(args) => conversations::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::E2e(args) => e2e::run(&args),
        Command::Bench { suite } => match suite.as_str() {
            "helm" => helm::bench::run(),
            other => anyhow::bail!("there is no benchmark `{other}`"),
        },
        Command::Charts(args) => helm::charts::run(&args),
        Command::Goldens { args } => match args.as_slice() {
            [suite, name, rest @ ..] if suite == "--suite" && name == "helm" => {
                helm::goldens::run(rest)
            }
            _ => goldens::run(&args),
        },
        Command::HelmRandom(args) => helm::random::run(&args),
        Command::Openapi(args) => openapi::run(&args),
        Command::Protobuf(args) => protobuf::run(&args),
        Command::Tidy => tidy::run(),
    }
}

/// The root of the repository that this program was built from.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
