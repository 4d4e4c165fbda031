//! The bars of the Helm engine, measured beside the real Helm in one run.
//!
//! Build first: `cargo build --release -p sluice -p xtask`, then run
//! `target/release/xtask bench helm`. Wall time is the median of the runs, peak
//! memory the largest that Linux saw.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sluice_helm::Crds;
use sluice_helm::chart::{Chart, File, load_files};
use sluice_helm::disk::load_chart;
use sluice_helm::template::{Hooks, TemplateOptions, template};
use sluice_helm::values::Table;

use super::cases::world;

/// How often each command runs.
const RUNS: usize = 5;

/// Measures and prints ratios.
///
/// # Errors
/// Helm or `target/release/sluice` cannot be run.
pub fn run() -> anyhow::Result<()> {
    let helm = super::helm()?;
    let sluice = crate::root().join("target/release/sluice");
    ensure!(
        sluice.exists(),
        "build first: cargo build --release -p sluice -p xtask"
    );
    let folder = tempfile::tempdir()?;
    println!("| What | helm | sluice | ratio | memory |\n|---|---|---|---|---|");
    if let Some(shared) = std::env::var_os("SLUICE_SHARED") {
        let charts = forty(&Path::new(&shared).join("charts"))?;
        row(&helm, &sluice, "40 public charts, cold", &charts)?;
    }
    let ordinary = write(folder.path(), "ordinary", &ordinary())?;
    row(
        &helm,
        &sluice,
        "a chart of 60 templates, cold",
        std::slice::from_ref(&ordinary),
    )?;
    let library = write(folder.path(), "library", &library())?;
    row(
        &helm,
        &sluice,
        "a release of a library chart, cold",
        &[library],
    )?;
    let tpl = write(folder.path(), "tpl", &many_tpl(10_000))?;
    row(&helm, &sluice, "10,000 tpl calls, cold", &[tpl])?;
    for size in [100, 200] {
        let umbrella = write(folder.path(), &format!("umbrella{size}"), &umbrella(size))?;
        row(
            &helm,
            &sluice,
            &format!("an umbrella of {size} charts, cold"),
            &[umbrella],
        )?;
    }
    warm(&helm, &ordinary)
}

/// A program's median time and peak memory over some charts.
struct Measured {
    time: Duration,
    memory: u64,
}

fn row(helm: &Path, sluice: &Path, what: &str, charts: &[PathBuf]) -> anyhow::Result<()> {
    let theirs = measure(helm, &["template", "rel"], charts)?;
    let ours = measure(sluice, &["helm", "template", "rel"], charts)?;
    println!(
        "| {what} | {:.1?} | {:.1?} | {:.1}x | {:.0} MiB / {:.0} MiB = 1/{:.1} |",
        theirs.time,
        ours.time,
        theirs.time.as_secs_f64() / ours.time.as_secs_f64(),
        theirs.memory as f64 / 1024.0,
        ours.memory as f64 / 1024.0,
        theirs.memory as f64 / ours.memory as f64,
    );
    Ok(())
}

fn measure(program: &Path, args: &[&str], charts: &[PathBuf]) -> anyhow::Result<Measured> {
    let mut times = Vec::new();
    let mut memory = 0;
    for _ in 0..RUNS {
        let mut total = Duration::ZERO;
        for chart in charts {
            let started = Instant::now();
            memory = memory.max(once(program, args, chart)?);
            total += started.elapsed();
        }
        times.push(total);
    }
    times.sort();
    Ok(Measured {
        time: times[RUNS / 2],
        memory,
    })
}

/// Runs a program once; returns its peak memory in KiB.
fn once(program: &Path, args: &[&str], chart: &Path) -> anyhow::Result<u64> {
    let mut child = Command::new(program)
        .args(args)
        .arg(chart)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running `{}`", program.display()))?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The peak is read until the process is gone; it only grows.
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let value = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
            peak = value.unwrap_or(peak).max(peak);
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::park_timeout(Duration::from_micros(500));
    };
    ensure!(
        ended.success(),
        "{} fails on {}",
        program.display(),
        chart.display()
    );
    Ok(peak)
}

fn forty(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "tgz"))
        .collect();
    all.sort();
    // Charts that do not render without values are left out.
    all.retain(|path| super::charts::render(path, None).is_ok());
    all.truncate(40);
    Ok(all)
}

type Texts = Vec<(String, String)>;

fn write(folder: &Path, name: &str, files: &Texts) -> anyhow::Result<PathBuf> {
    let root = folder.join(name);
    for (file, text) in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().context("a parent")?)?;
        std::fs::write(path, text)?;
    }
    Ok(root)
}

fn chart_file(name: &str) -> (String, String) {
    (
        "Chart.yaml".to_owned(),
        format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n"),
    )
}

const HELPERS: &str = r#"{{- define "c.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}
"#;

const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-INDEX
  labels: {{- include "c.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas | default 2 | int }}
  template:
    spec:
      containers:
      {{- range $i, $c := .Values.containers }}
      - name: {{ $c.name | lower }}
        image: "{{ $c.image.repository }}:{{ $c.image.tag | default $.Chart.Version }}"
        env:
        {{- range $k, $v := $c.env }}
        - name: {{ $k | upper | replace "-" "_" }}
          value: {{ tpl (toString $v) $ | quote }}
        {{- end }}
        resources: {{- toYaml $c.resources | nindent 10 }}
      {{- end }}
"#;

const VALUES: &str = "labels: {team: a, tier: web}\nreplicas: 3\ncontainers:\n- &c\n  name: Web\n  \
    image: {repository: r/web, tag: \"1.2\"}\n  env: {log-level: info, name: \"{{ .Release.Name }}\", \
    a: 1, b: 2}\n  resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 100m}}\n- *c\n- *c\n";

fn ordinary() -> Texts {
    let mut files = vec![
        chart_file("ordinary"),
        ("values.yaml".to_owned(), VALUES.to_owned()),
        ("templates/_h.tpl".to_owned(), HELPERS.to_owned()),
    ];
    for i in 0..60 {
        let text = DEPLOYMENT.replace("INDEX", &i.to_string());
        files.push((format!("templates/d{i:02}.yaml"), text));
    }
    files
}

fn library() -> Texts {
    let deployment = DEPLOYMENT.replace("INDEX", "app");
    vec![
        chart_file("app"),
        ("values.yaml".to_owned(), VALUES.to_owned()),
        (
            "templates/app.yaml".to_owned(),
            "{{ include \"lib.deployment\" . }}\n".to_owned(),
        ),
        (
            "charts/lib/Chart.yaml".to_owned(),
            "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n".to_owned(),
        ),
        (
            "charts/lib/templates/_lib.tpl".to_owned(),
            format!("{HELPERS}{{{{ define \"lib.deployment\" }}}}{deployment}{{{{ end }}}}\n"),
        ),
    ]
}

fn many_tpl(count: usize) -> Texts {
    vec![
        chart_file("tpl"),
        (
            "values.yaml".to_owned(),
            "t: \"{{ .Release.Name | upper }}\"\n".to_owned(),
        ),
        (
            "templates/a.yaml".to_owned(),
            format!(
                "kind: A\nl:\n{{{{- range until {count} }}}}\n- {{{{ tpl (print $.Values.t .) $ }}}}\n{{{{- end }}}}\n"
            ),
        ),
    ]
}

fn umbrella(count: usize) -> Texts {
    let mut files = vec![chart_file("umbrella")];
    for i in 0..count {
        let under = |name: &str| format!("charts/s{i:03}/{name}");
        files.push((
            under("Chart.yaml"),
            format!("apiVersion: v2\nname: s{i:03}\nversion: 1.0.0\n"),
        ));
        files.push((under("values.yaml"), VALUES.to_owned()));
        files.push((under("templates/_h.tpl"), HELPERS.to_owned()));
        files.push((
            under("templates/d.yaml"),
            DEPLOYMENT.replace("INDEX", &i.to_string()),
        ));
    }
    files
}

/// The same chart with other values in one process, beside a helm process each.
fn warm(helm: &Path, path: &Path) -> anyhow::Result<()> {
    let chart = load_chart(path)?;
    render(&chart, 0)?;
    let started = Instant::now();
    for replicas in 0..50 {
        render(&chart, replicas)?;
    }
    let ours = started.elapsed() / 50;
    let theirs = measure(helm, &["template", "rel"], &[path.to_owned()])?.time;
    let idle = measure(helm, &["template", "rel"], &[empty(path)?])?.time;
    println!(
        "| the same chart, warm, other values | {theirs:.1?} ({idle:.1?} for an empty chart) | \
         {ours:.1?} | {:.1}x ({:.1}x without helm's start) | |",
        theirs.as_secs_f64() / ours.as_secs_f64(),
        theirs.saturating_sub(idle).as_secs_f64() / ours.as_secs_f64(),
    );
    Ok(())
}

fn empty(beside: &Path) -> anyhow::Result<PathBuf> {
    let folder = beside.parent().context("a parent")?;
    let files = vec![
        chart_file("empty"),
        ("templates/a.yaml".to_owned(), "kind: A\n".to_owned()),
    ];
    ensure!(load_files(vec![File::new("Chart.yaml", files[0].1.as_bytes())]).is_ok());
    write(folder, "empty", &files)
}

fn render(chart: &Chart, replicas: i64) -> anyhow::Result<usize> {
    let mut user = Table::new();
    user.insert("replicas".to_owned(), replicas.into());
    let options = TemplateOptions::install("rel", "default");
    let templated = template(chart.clone(), &user, &options, world())?;
    Ok(templated.text(Crds::Leave, Hooks::All).len())
}
