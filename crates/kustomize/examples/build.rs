//! Prints what a directory with a kustomization file builds:
//! `cargo run -p sluice-kustomize --example build -- DIR`.

use std::process::ExitCode;

use sluice_kustomize::{DiskFs, Options, build_text};

fn main() -> ExitCode {
    let dir = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let path = match std::path::absolute(&dir) {
        Ok(path) => path,
        Err(error) => {
            eprintln!("{dir}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match build_text(
        &DiskFs::default(),
        &path.to_string_lossy(),
        &Options::default(),
    ) {
        Ok(built) => {
            print!("{}", built.yaml);
            std::mem::forget(built);
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}
