//! Benchmarks: measured, printed beside the peer, never asserted. `docs/benchmarks.md` keeps the figures.
//!
//! They run the release builds in `target/release`, which have to be made first:
//! `cargo build --release --workspace --bins`.

mod controllers;
mod fleet;
mod kustomize;
mod sizes;
mod up;

use std::path::PathBuf;

use anyhow::ensure;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// The two controllers on a real control plane, beside a bare client and Flux's figures
    Controllers(controllers::Args),
    /// `sluice up`: start, commit to ready, repair, 1000 Kustomizations
    Up(up::Args),
    /// The Helm engine, beside helm
    Helm,
    /// `sluice kustomize build`, beside `kubectl kustomize`
    Kustomize(kustomize::Args),
    /// Sizes of the binaries
    Sizes,
}

/// Runs a benchmark.
///
/// # Errors
/// It cannot be run to its end.
pub fn run(bench: &Bench) -> anyhow::Result<()> {
    match bench {
        Bench::Controllers(args) => controllers::run(args),
        Bench::Up(args) => up::run(args),
        Bench::Helm => crate::helm::bench::run(),
        Bench::Kustomize(args) => kustomize::run(args),
        Bench::Sizes => sizes::run(),
    }
}

/// A release build.
fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let path = crate::root().join("target/release").join(name);
    ensure!(
        path.exists(),
        "`{}` is not there: run `cargo build --release --workspace --bins` first",
        path.display()
    );
    Ok(path)
}
