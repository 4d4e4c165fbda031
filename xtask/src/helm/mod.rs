//! Comparisons of the Helm engine with the real Helm.
//!
//! `HELM` names the helm that judges.

pub mod bench;
pub mod charts;
pub mod goldens;
pub mod random;
pub mod records;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

#[path = "../../../crates/helm/tests/cases/mod.rs"]
pub mod cases;

/// How long one helm may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The helm that judges.
///
/// # Errors
/// `HOME` is not set.
pub fn helm() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("HELM") {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    let path = Path::new(&home).join(".cache/sluice-oracles/helm");
    Ok(if path.exists() { path } else { "helm".into() })
}

/// What a helm said.
pub struct Said {
    /// Whether it went well.
    pub ok: bool,
    /// What it printed.
    pub out: String,
    /// What it reported, without its log.
    pub err: String,
}

/// Runs helm in a folder, within a minute.
///
/// # Errors
/// It cannot be run, or takes too long.
pub fn ask(helm: &Path, folder: &Path, args: &[&str]) -> anyhow::Result<Said> {
    let (out, err) = (folder.join(".out"), folder.join(".err"));
    let mut child = Command::new(helm)
        .args(args)
        .current_dir(folder)
        .env("HELM_CACHE_HOME", folder.join(".cache"))
        .env("HELM_CONFIG_HOME", folder.join(".config"))
        .env("HELM_DATA_HOME", folder.join(".data"))
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out)?)
        .stderr(std::fs::File::create(&err)?)
        .spawn()
        .with_context(|| format!("running `{}`", helm.display()))?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > TIMEOUT {
            child.kill()?;
            child.wait()?;
            bail!("helm {} takes more than a minute", args.join(" "));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    };
    let read = |path: &Path| -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
    };
    let err: String = read(&err)?
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("level="))
        .collect();
    Ok(Said {
        ok: status.success(),
        out: read(&out)?,
        err,
    })
}

/// Puts a case into a folder: its chart as `c`, other files beside it.
///
/// # Errors
/// The folder cannot be written.
pub fn lay_out(case: &cases::Case, folder: &Path) -> anyhow::Result<()> {
    for (name, data) in &case.files {
        let path = match name.strip_prefix('@') {
            Some(beside) => folder.join(beside),
            None => folder.join("c").join(name),
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, data)?;
    }
    Ok(())
}

/// What helm makes of a case.
///
/// # Errors
/// Helm cannot be run.
pub fn judge(helm: &Path, case: &cases::Case) -> anyhow::Result<Result<String, String>> {
    let folder = tempfile::tempdir()?;
    lay_out(case, folder.path())?;
    let mut args = vec!["template", "r", "c"];
    args.extend(case.args.iter().map(String::as_str));
    let said = ask(helm, folder.path(), &args)?;
    if said.ok {
        return Ok(Ok(said.out));
    }
    let text = said.err.strip_prefix("Error: ").unwrap_or(&said.err);
    Ok(Err(text.strip_suffix('\n').unwrap_or(text).to_owned()))
}

/// Replaces addresses of memory, which differ in every run.
pub fn without_pointers(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        out.push_str(if part.len() - rest.len() >= 8 {
            "POINTER"
        } else {
            "0x"
        });
        out.push_str(if part.len() - rest.len() >= 8 {
            rest
        } else {
            part
        });
    }
    out
}

/// Does something for many inputs on all cores; results keep their order.
pub fn parallel<T: Sync, R: Send>(
    inputs: &[T],
    work: impl Fn(&T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut results: Vec<(usize, anyhow::Result<R>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        match inputs.get(at) {
                            Some(input) => done.push((at, work(input))),
                            None => break done,
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
