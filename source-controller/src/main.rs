//! The source-controller binary.

use std::process::ExitCode;

use clap::Parser as _;
use source_controller::{Options, SourceArgs, run};

fn main() -> ExitCode {
    let args = SourceArgs::parse();
    let common = args.common.clone();
    sluice_runtime::host::main(&common, |config, stop| {
        run(args, config, stop, Options::default())
    })
}
