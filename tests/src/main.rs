//! A controller as a process of its own, for scenarios that kill it: `sluice-tests NAME FLAGS`.
//!
//! Tests of this package cannot know where the controllers' own binaries are; this program does what
//! they do.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    match arguments.peek().map(String::as_str) {
        Some("source-controller") => {
            let args = source_controller::SourceArgs::parse_from(arguments);
            let common = args.common.clone();
            sluice_runtime::host::main(&common, |config, stop| {
                source_controller::run(args, config, stop, source_controller::Options::default())
            })
        }
        Some("kustomize-controller") => {
            let args = kustomize_controller::Args::parse_from(arguments);
            let common = args.common.clone();
            sluice_runtime::host::main(&common, |config, stop| {
                kustomize_controller::run(args, config, stop)
            })
        }
        _ => {
            eprintln!("sluice-tests source-controller|kustomize-controller FLAGS");
            ExitCode::FAILURE
        }
    }
}
