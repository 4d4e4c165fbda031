//! `sluice up` as somebody who tries it meets it: how soon it serves, how soon a commit is ready, how soon
//! a deleted object is back.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::fleet::Fleet;

/// Arguments of `cargo xtask bench up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often each figure is taken
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How many Kustomizations the large fleet has
    #[arg(long, default_value_t = 1000)]
    large: u32,
}

/// Kustomizations of the small fleet, of four objects each: 51 objects with what is around them.
const SMALL: u32 = 12;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs and prints the table.
///
/// # Errors
/// `sluice up` does not do what is waited for.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut rows: Vec<(&str, Vec<f64>)> = [
        "process start to API server ready, ms",
        "process start to first reconciliation, ms",
        "process start to all ready, 51 objects, ms",
        "commit to ready, 51 objects, ms",
        "deleted object is back, ms",
    ]
    .map(|name| (name, Vec::new()))
    .into();
    for _ in 0..args.rounds {
        for (row, figure) in rows.iter_mut().zip(small()?) {
            row.1.push(figure);
        }
    }
    println!("| what | median | least | most |\n|---|---|---|---|");
    for (name, mut figures) in rows {
        figures.sort_by(f64::total_cmp);
        if let (Some(least), Some(most)) = (figures.first(), figures.last()) {
            let median = figures[figures.len() / 2];
            println!("| {name} | {median:.0} | {least:.0} | {most:.0} |");
        }
    }
    let (install, upgrade, peak) = large(args.large)?;
    println!(
        "| {} Kustomizations of 4 objects, embedded: start to all ready, s | {install:.1} | | |",
        args.large
    );
    println!("| … commit to all ready, s | {upgrade:.1} | | |");
    println!("| … peak RSS of the one process, MiB | {peak:.0} | | |");
    Ok(())
}

/// One start with the small fleet.
fn small() -> anyhow::Result<[f64; 5]> {
    let folder = tempfile::tempdir()?;
    let fleet = Fleet::create(&folder.path().join("fleet"), SMALL)?;
    let mut up = Up::start(&fleet, &folder.path().join("state"))?;
    let served = up.until("the API server", |line| matches!(line, Line::Served))?;
    let first = up.until(
        "a reconciliation",
        |line| matches!(line, Line::Ready { kind, .. } if kind == "GitRepository"),
    )?;
    let all = up.until_all(SMALL, None)?;
    let began = Instant::now();
    let commit = fleet.commit(2)?;
    up.until_all(SMALL, Some(&commit))?;
    let committed = began.elapsed();
    let back = up.repair(&folder.path().join("state/kubeconfig"))?;
    up.stop()?;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok([ms(served), ms(first), ms(all), ms(committed), ms(back)])
}

/// Seconds until the large fleet is ready, and ready again after a commit; peak RSS in MiB.
fn large(units: u32) -> anyhow::Result<(f64, f64, f64)> {
    let folder = tempfile::tempdir()?;
    let fleet = Fleet::create(&folder.path().join("fleet"), units)?;
    let mut up = Up::start(&fleet, &folder.path().join("state"))?;
    let install = up.until_all(units, None)?;
    let began = Instant::now();
    let commit = fleet.commit(2)?;
    up.until_all(units, Some(&commit))?;
    let upgrade = began.elapsed();
    let peak = up.peak()?;
    up.stop()?;
    Ok((install.as_secs_f64(), upgrade.as_secs_f64(), peak))
}

enum Line {
    /// The kubeconfig was told.
    Served,
    /// Something is ready.
    Ready {
        kind: String,
        name: String,
        revision: String,
    },
    Other,
}

/// A running `sluice up`.
struct Up {
    child: Child,
    began: Instant,
    lines: Receiver<(Instant, Line)>,
}

impl Up {
    fn start(fleet: &Fleet, state: &Path) -> anyhow::Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(super::binary("sluice")?)
            .arg("up")
            .arg(fleet.folder())
            .args(["--path", "cluster", "--output", "json", "--state"])
            .arg(state)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (send, lines) = channel();
        let (out, err) = (
            child.stdout.take().context("standard output")?,
            child.stderr.take().context("standard error")?,
        );
        let told = send.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = told.send((Instant::now(), json_line(&line)));
            }
        });
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                let line = match line.contains("kubeconfig") {
                    true => Line::Served,
                    false => Line::Other,
                };
                let _ = send.send((Instant::now(), line));
            }
        });
        Ok(Self {
            child,
            began,
            lines,
        })
    }

    /// Waits for a line; the time since the start.
    fn until(
        &mut self,
        what: &str,
        mut is_it: impl FnMut(&Line) -> bool,
    ) -> anyhow::Result<Duration> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((at, line)) if is_it(&line) => return Ok(at - self.began),
                Ok(_) => {}
                Err(_) => bail!("waited in vain for {what}"),
            }
        }
    }

    /// Waits until every unit, and what made them, is ready, at a commit if one is given.
    fn until_all(&mut self, units: u32, commit: Option<&str>) -> anyhow::Result<Duration> {
        let mut ready = HashSet::new();
        self.until("every Kustomization", |line| {
            if let Line::Ready {
                kind,
                name,
                revision,
            } = line
                && kind == "Kustomization"
                && commit.is_none_or(|commit| revision.contains(commit))
            {
                ready.insert(name.clone());
            }
            ready.len() > units as usize
        })
    }

    /// Deletes a Service; how long until another is there.
    fn repair(&self, kubeconfig: &Path) -> anyhow::Result<Duration> {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig)?;
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            let client = kube::Client::try_from(config)?;
            let resource = kube::discovery::ApiResource::from_gvk(&kube::core::GroupVersionKind {
                group: String::new(),
                version: "v1".to_owned(),
                kind: "Service".to_owned(),
            });
            let api: kube::Api<kube::core::DynamicObject> =
                kube::Api::namespaced_with(client, "apps", &resource);
            let name = "unit-1";
            let uid = api.get(name).await?.metadata.uid;
            let began = Instant::now();
            api.delete(name, &Default::default()).await?;
            while began.elapsed() < PATIENCE {
                if let Some(found) = api.get_opt(name).await?
                    && found.metadata.uid != uid
                {
                    return Ok(began.elapsed());
                }
            }
            bail!("the Service does not come back")
        })
    }

    /// Largest resident memory so far, in MiB.
    fn peak(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("no VmHWM")?.parse::<f64>()? / 1024.0)
    }

    /// Interrupts it and waits for its end.
    fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill")
            .arg("-INT")
            .arg(self.child.id().to_string())
            .status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn json_line(line: &str) -> Line {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return Line::Other;
    };
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match text("state").as_str() {
        "ready" => Line::Ready {
            kind: text("kind"),
            name: text("name"),
            revision: text("revision"),
        },
        _ => Line::Other,
    }
}
