//! What the program of this package does: be a controller in a process of its own, which tests can kill.

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the controller that the arguments of the process name, with its flags: `NAME FLAGS`.
pub fn run() -> ExitCode {
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
