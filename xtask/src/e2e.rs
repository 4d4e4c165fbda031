//! The end-to-end suites on a real Kubernetes control plane.
//!
//! They need what a stranger's clone does not have: a folder with the control plane and the recordings of
//! what Flux does, named by `--shared`. Nothing is skipped: what is missing fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// Arguments of `cargo xtask e2e`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with `control-plane/` and `recordings/`.
    #[arg(long, env = "SLUICE_SHARED")]
    shared: PathBuf,
    /// Only the suites whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Recordings that are played: every GitRepository scenario, and the Kustomization scenarios that need
/// nothing beyond what is built.
const SCENARIOS: &str = include_str!("../../tests/recordings.txt");

/// Test programs of `tests/` that take a cluster, and those of their tests that need one of their own.
const TESTS: &[(&str, &[&str])] = &[
    ("fleet", &[""]),
    ("faults", &[""]),
    ("preview", &[""]),
    ("processes", &[""]),
    ("requests", &[""]),
    (
        "kill",
        &["kustomize_controller_killed", "source_controller_killed"],
    ),
    ("outages", &["a_restart", "expired_watches"]),
];

/// Runs every suite; all of them, even after one has failed.
///
/// # Errors
/// A suite failed, or what it needs is missing.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let shared = args
        .shared
        .canonicalize()
        .with_context(|| format!("`{}` is not there", args.shared.display()))?;
    let mut failed = Vec::new();
    type Suite = fn(&Path) -> anyhow::Result<()>;
    let suites: [(&str, Suite); 6] = [
        ("sshd", sshd),
        ("charts", charts),
        ("records", records),
        ("kubectl", kubectl),
        ("scenarios", scenarios),
        ("recordings", recordings),
    ];
    for (name, suite) in suites {
        if !name.contains(&args.only) {
            continue;
        }
        println!("== {name}");
        if let Err(error) = suite(&shared) {
            println!("{name} failed: {error:#}");
            failed.push(name);
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// A running control plane; stopped and erased when dropped.
struct ControlPlane {
    folder: PathBuf,
    state: tempfile::TempDir,
}

impl ControlPlane {
    fn start(shared: &Path) -> anyhow::Result<Self> {
        let folder = shared.join("control-plane");
        let state = tempfile::tempdir()?;
        let started = Command::new(folder.join("start"))
            .arg(state.path())
            .args(["--nodes", "2"])
            .status()
            .with_context(|| format!("`{}/start` cannot be run", folder.display()))?;
        ensure!(started.success(), "the control plane does not start");
        Ok(Self { folder, state })
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.path().join("kubeconfig")
    }

    /// A program that stops it and starts it again on the same data.
    fn restarter(&self) -> anyhow::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let program = self.state.path().join("restart");
        let (folder, state) = (self.folder.display(), self.state.path().display());
        let text = format!(
            "#!/bin/sh\nset -e\n'{folder}/stop' '{state}'\n'{folder}/start' '{state}' --nodes 2\n"
        );
        std::fs::write(&program, text)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        Ok(program)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let _ = Command::new(self.folder.join("stop"))
            .arg(self.state.path())
            .status();
    }
}

/// Git over SSH against the OpenSSH server of this machine.
fn sshd(_: &Path) -> anyhow::Result<()> {
    let status = Command::new(env!("CARGO"))
        .args([
            "test",
            "--package",
            "sluice-git",
            "--features",
            "sshd-tests",
            "--test",
            "sshd",
        ])
        .current_dir(crate::root())
        .status()?;
    ensure!(
        status.success(),
        "git over ssh does not work against OpenSSH"
    );
    Ok(())
}

/// Public charts, rendered here and with the real Helm.
fn charts(shared: &Path) -> anyhow::Result<()> {
    crate::helm::charts::run(&crate::helm::charts::Args::all(shared))
}

/// Release records, handed back and forth between us and the real Helm.
fn records(shared: &Path) -> anyhow::Result<()> {
    let cluster = ControlPlane::start(shared)?;
    crate::helm::records::run(&cluster.kubeconfig())
}

/// What kubectl prints with the embedded server and with the real one.
fn kubectl(shared: &Path) -> anyhow::Result<()> {
    let cluster = ControlPlane::start(shared)?;
    crate::kubectl::both(&cluster.kubeconfig())
}

/// The scenarios of `tests/`, each on a fresh real cluster.
fn scenarios(shared: &Path) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for &(program, tests) in TESTS {
        for test in tests {
            let cluster = ControlPlane::start(shared)?;
            let status = Command::new(env!("CARGO"))
                .args(["test", "--package", "sluice-tests", "--test", program])
                .args(["--", test])
                .env("SLUICE_TEST_KUBECONFIG", cluster.kubeconfig())
                .env("SLUICE_TEST_RESTART", cluster.restarter()?)
                .current_dir(crate::root())
                .status()?;
            if !status.success() {
                failed.push(format!("{program} {test}"));
            }
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// What Flux did, played against our binaries.
fn recordings(shared: &Path) -> anyhow::Result<()> {
    let root = crate::root();
    let folder = shared.join("recordings");
    let files: Vec<PathBuf> = SCENARIOS
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|name| folder.join(name).join("scenario.yaml"))
        .collect();
    if let Some(missing) = files.iter().find(|file| !file.exists()) {
        bail!("there is no recording `{}`", missing.display());
    }
    let status = Command::new(folder.join("play"))
        .arg("--bin")
        .arg(root.join("target/debug"))
        .arg("--departures")
        .arg(root.join("tests/departures.yaml"))
        .arg("--check")
        .args(&files)
        .status()
        .context("the player cannot be run")?;
    ensure!(status.success(), "our controllers differ from Flux's");
    Ok(())
}
