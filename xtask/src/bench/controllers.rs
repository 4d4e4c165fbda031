//! The two controllers as processes on a real kube-apiserver and etcd: many Kustomizations from one
//! repository, beside a bare client that sends the least number of requests, and Flux's figures for the
//! same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Arguments of `cargo xtask bench controllers`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with `bench/`, `control-plane/` and `recordings/`
    #[arg(long, env = "SLUICE_SHARED")]
    shared: PathBuf,
    /// How many Kustomizations
    #[arg(long, default_value_t = 1000)]
    n: u32,
    /// Folder with Flux's own source-controller and kustomize-controller, to measure them as well; without
    /// it the figures that were recorded elsewhere are shown
    #[arg(long)]
    flux: Option<PathBuf>,
    /// Leave out the bare client
    #[arg(long)]
    no_floor: bool,
    /// Objects of a Kustomization whose unchanged reconciliation is counted
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    noop: Vec<u32>,
}

/// Objects of a unit without additions.
const UNIT: u32 = 4;
/// Cores that all programs share.
const CORES: f64 = 2.0;

/// Runs and prints the table.
///
/// # Errors
/// A run does not come to its end.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let shared = args.shared.canonicalize()?;
    super::binary("source-controller")?;
    let kustomize = super::binary("kustomize-controller")?;
    let binaries = kustomize.parent().context("a folder")?;
    let many = measure(&shared, binaries, args.n, UNIT)?;
    let floor = match args.no_floor {
        true => None,
        false => Some(floor(&shared, args.n)?),
    };
    let flux = match &args.flux {
        Some(folder) => Some(measure(&shared, folder, args.n, UNIT)?),
        None => recorded_flux(&shared, args.n)?,
    };
    let n = f64::from(args.n);
    let number = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_f64);
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.1}"));
    println!(
        "\n| {} Kustomizations | Sluice | bare client | Flux 2.9 |",
        args.n
    );
    println!("|---|---|---|---|");
    let least = floor.as_ref().and_then(|f| number(f, "/floor_s"));
    // What the control plane still does after the last answer counts as well.
    let least_cpu = floor
        .as_ref()
        .and_then(|f| number(f, "/cpu_ms_a_unit"))
        .map(|ms| ms * n / 1000.0 / CORES);
    for (what, path) in [("install, s", "/install_s"), ("upgrade, s", "/upgrade_s")] {
        let ours = number(&many, path);
        let theirs = flux.as_ref().and_then(|flux| number(flux, path));
        println!(
            "| {what} | {} | {} | {} |",
            shown(ours),
            shown(least),
            shown(theirs)
        );
        if let (Some(ours), Some(least)) = (ours, least) {
            println!("| … x bare client | {:.2} | 1 | |", ours / least);
        }
        if let (Some(ours), Some(least)) = (ours, least_cpu) {
            println!(
                "| … x the control plane's CPU for it on two cores | {:.2} | 1 ({least:.1} s) | |",
                ours / least
            );
        }
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            println!("| … x faster than Flux | {:.1} | | 1 |", theirs / ours);
        }
    }
    for (what, path, per) in [
        (
            "requests of an install, each",
            "/install_requests/kustomize-controller",
            n,
        ),
        (
            "requests of an upgrade, each",
            "/upgrade_requests/kustomize-controller",
            n,
        ),
        (
            "peak RSS of source-controller, MiB",
            "/final/source/peak_mib",
            1.0,
        ),
        (
            "peak RSS of kustomize-controller, MiB",
            "/final/kustomize/peak_mib",
            1.0,
        ),
        ("CPU of source-controller, s", "/final/source/cpu_s", 1.0),
        (
            "CPU of kustomize-controller, s",
            "/final/kustomize/cpu_s",
            1.0,
        ),
        ("a deleted object is back, s", "/drift_s", 1.0),
        (
            "requests of an unchanged reconciliation, 4 objects",
            "/noop_requests_each/kustomize-controller",
            1.0,
        ),
    ] {
        let of = |value: &Value| number(value, path).map(|v| v / per);
        println!(
            "| {what} | {} | | {} |",
            shown(of(&many)),
            shown(flux.as_ref().and_then(of))
        );
    }
    for objects in &args.noop {
        let few = measure(&shared, binaries, 5, *objects)?;
        println!(
            "| requests of an unchanged reconciliation, {objects} objects | {} | | |",
            shown(number(&few, "/noop_requests_each/kustomize-controller"))
        );
    }
    Ok(())
}

/// One run of the controllers in `binaries` with `n` Kustomizations of `objects` objects.
fn measure(shared: &Path, binaries: &Path, n: u32, objects: u32) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out.jsonl");
    let source = format!(
        "{} --storage-path={{storage}} --storage-addr=127.0.0.1:{{port}} \
         --storage-adv-addr=127.0.0.1:{{port}} --metrics-addr=127.0.0.1:{{metrics}} \
         --health-addr=127.0.0.1:{{health}} --concurrent=10 --log-level=error",
        binaries.join("source-controller").display()
    );
    let kustomize = format!(
        "{} --metrics-addr=127.0.0.1:{{metrics}} --health-addr=127.0.0.1:{{health}} \
         --concurrent=20 --log-level=error",
        binaries.join("kustomize-controller").display()
    );
    let status = Command::new(shared.join("bench/mttp.py"))
        .arg("--n")
        .arg(n.to_string())
        .arg("--extra-objects")
        .arg(objects.saturating_sub(UNIT).to_string())
        .arg("--crds")
        .arg(crate::root().join("manifests/crds"))
        .args(["--source", &source, "--kustomize", &kustomize])
        .arg("--out")
        .arg(&out)
        .status()
        .context("bench/mttp.py cannot be run")?;
    ensure!(status.success(), "bench/mttp.py failed");
    last_line(&std::fs::read_to_string(&out)?)
}

/// What the least number of requests costs on this machine.
fn floor(shared: &Path, n: u32) -> anyhow::Result<Value> {
    // It takes a folder with CRDs and nothing else.
    let crds = tempfile::tempdir()?;
    for entry in std::fs::read_dir(crate::root().join("manifests/crds"))? {
        let entry = entry?;
        if entry.file_name() != "kustomization.yaml" {
            std::fs::copy(entry.path(), crds.path().join(entry.file_name()))?;
        }
    }
    let output = Command::new(shared.join("bench/floor.py"))
        .arg("--n")
        .arg(n.to_string())
        .arg("--crds")
        .arg(crds.path())
        .output()
        .context("bench/floor.py cannot be run")?;
    ensure!(
        output.status.success(),
        "bench/floor.py failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    last_line(&String::from_utf8(output.stdout)?)
}

/// What Flux's own controllers gave for as many, if that was recorded.
fn recorded_flux(shared: &Path, n: u32) -> anyhow::Result<Option<Value>> {
    let text = std::fs::read_to_string(shared.join("bench/flux-2.9.jsonl"))?;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let value: Value = serde_json::from_str(line)?;
        if value["n"] == n {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn last_line(text: &str) -> anyhow::Result<Value> {
    let line = text.lines().last().context("nothing was printed")?;
    Ok(serde_json::from_str(line)?)
}
