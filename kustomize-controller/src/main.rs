//! The kustomize-controller.

use std::process::ExitCode;

use clap::Parser as _;
use kustomize_controller::{Args, run};

fn main() -> ExitCode {
    let args = Args::parse();
    let common = args.common.clone();
    sluice_runtime::host::main(&common, |config, stop| run(args, config, stop))
}
