//! Generators and checks of the repository, run as `cargo xtask COMMAND`.

mod bench;
mod conversations;
mod crds;
mod e2e;
mod files;
mod goldens;
mod helm;
mod kubectl;
mod openapi;
mod overlays;
mod protobuf;
mod tidy;

use std::path::{Path, PathBuf};

use clap::Parser;

#[derive(Parser)]
#[command(about = "Generators and checks of the repository")]
enum Command {
    /// Measures, beside the peers where there are any
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Records the conversations of `crates/schema` with a running kube-apiserver
    Conversations(conversations::Args),
    /// Renders public charts here and with the real Helm
    Charts(helm::charts::Args),
    /// Writes the CRDs of `api/` to `manifests/crds/`, checks or compares them
    Crds(crds::Args),
    /// Runs the end-to-end suites on a real Kubernetes control plane
    E2e(e2e::Args),
    /// Compares builds of random kustomizations with the real kustomize
    FuzzOverlays(overlays::Args),
    /// Compares what is kept as goldens with the real kustomize or Helm, or remakes it
    Goldens {
        /// `--verify` or `--update`, behind `--suite helm` for Helm
        #[arg(allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Compares random templates with the real Helm
    HelmRandom(helm::random::Args),
    /// Has the kubectl conversations of `tests/kubectl` with a server, and compares or records them
    Kubectl(kubectl::Args),
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
        Command::Bench(bench) => bench::run(&bench),
        Command::Conversations(args) => conversations::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::E2e(args) => e2e::run(&args),
        Command::FuzzOverlays(args) => overlays::run(&args),
        Command::Charts(args) => helm::charts::run(&args),
        Command::Goldens { args } => match args.as_slice() {
            [suite, name, rest @ ..] if suite == "--suite" && name == "helm" => {
                helm::goldens::run(rest)
            }
            _ => goldens::run(&args),
        },
        Command::HelmRandom(args) => helm::random::run(&args),
        Command::Kubectl(args) => kubectl::run(&args),
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
