//! Renders public charts with their default and their ci values, here and with
//! the real Helm.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use sluice_helm::Crds;
use sluice_helm::template::{Hooks, TemplateOptions, template};
use sluice_helm::values::{Table, read_values};

/// Arguments of `cargo xtask charts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with `charts/`: archives `NAME-VERSION.tgz` and values `NAME-VERSION.ci/*`
    #[arg(long, env = "SLUICE_SHARED")]
    shared: PathBuf,
    /// Only charts whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

impl Args {
    /// All charts of a folder.
    pub fn all(shared: &Path) -> Self {
        Args {
            shared: shared.to_owned(),
            only: String::new(),
        }
    }
}

/// Compares every chart with every set of values.
///
/// A difference is unexplained unless two runs of helm differ in the same lines,
/// which then hold something random.
///
/// # Errors
/// Helm cannot be run, or there is an unexplained difference.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let helm = super::helm()?;
    let mut runs: Vec<(PathBuf, Option<PathBuf>)> = Vec::new();
    for path in sorted(&args.shared.join("charts"))? {
        let name = path.to_string_lossy().into_owned();
        if !name.ends_with(".tgz") || !name.contains(&args.only) {
            continue;
        }
        let ci = PathBuf::from(format!("{}.ci", name.trim_end_matches(".tgz")));
        runs.push((path.clone(), None));
        if ci.is_dir() {
            let values = sorted(&ci)?.into_iter().map(|v| (path.clone(), Some(v)));
            runs.extend(values);
        }
    }
    ensure!(!runs.is_empty(), "there are no charts");
    let outcomes = super::parallel(&runs, |(chart, values)| {
        compare(&helm, chart, values.as_deref())
    })?;
    let (mut random, mut different) = (0, 0);
    for ((chart, values), outcome) in runs.iter().zip(outcomes) {
        let values = values.as_deref().map(Path::display);
        match outcome {
            Compared::Same => {}
            Compared::Random => random += 1,
            Compared::Different(text) => {
                different += 1;
                println!(
                    "{} {}",
                    chart.display(),
                    values.map_or_else(String::new, |v| v.to_string())
                );
                println!("{text}");
            }
        }
    }
    println!(
        "{} runs, {} identical, {random} that differ only where helm differs from itself, \
         {different} different",
        runs.len(),
        runs.len() - random - different
    );
    ensure!(different == 0, "{different} runs differ from helm");
    Ok(())
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

enum Compared {
    Same,
    Random,
    Different(String),
}

fn compare(helm: &Path, chart: &Path, values: Option<&Path>) -> anyhow::Result<Compared> {
    let folder = tempfile::tempdir()?;
    let chart_text = chart.to_string_lossy();
    let mut args = vec![
        "template",
        "rel",
        &*chart_text,
        "--include-crds",
        "-n",
        "ns",
    ];
    let values_text = values.map(Path::to_string_lossy);
    if let Some(values) = &values_text {
        args.extend(["-f", values]);
    }
    let said = super::ask(helm, folder.path(), &args)?;
    let theirs = if said.ok { Ok(said.out) } else { Err(said.err) };
    let ours = render(chart, values).map_err(|text| format!("Error: {text}\n"));
    if ours == theirs {
        return Ok(Compared::Same);
    }
    let (Ok(ours), Ok(theirs)) = (&ours, &theirs) else {
        return Ok(Compared::Different(format!(
            "  helm {theirs:.300?}\n  ours {ours:.300?}"
        )));
    };
    let again = super::ask(helm, folder.path(), &args)?.out;
    let differing = |other: &str| -> Vec<usize> {
        let pairs = theirs.lines().zip(other.lines()).enumerate();
        pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect()
    };
    let random = differing(&again);
    let lines = |text: &str| text.lines().count();
    let unexplained: Vec<usize> = differing(ours)
        .into_iter()
        .filter(|line| !random.contains(line))
        .collect();
    if unexplained.is_empty() && lines(ours) == lines(theirs) {
        return Ok(Compared::Random);
    }
    let mut text = String::new();
    for line in unexplained.iter().take(3) {
        let nth = |text: &str| text.lines().nth(*line).unwrap_or_default().to_owned();
        text.push_str(&format!(
            "  line {line}\n  helm {}\n  ours {}\n",
            nth(theirs),
            nth(ours)
        ));
    }
    if lines(ours) != lines(theirs) {
        text.push_str(&format!(
            "  helm {} lines, ours {}\n",
            lines(theirs),
            lines(ours)
        ));
    }
    Ok(Compared::Different(text))
}

/// What our engine makes of the chart.
pub fn render(chart: &Path, values: Option<&Path>) -> Result<String, String> {
    let user = match values {
        None => Table::new(),
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
            read_values(&bytes).map_err(|e| format!("failed to parse {}: {e}", path.display()))?
        }
    };
    let chart = sluice_helm::disk::load_chart(chart).map_err(|e| e.to_string())?;
    let options = TemplateOptions::install("rel", "ns");
    template(chart, &user, &options, super::cases::world())
        .map(|templated| templated.text(Crds::Include, Hooks::All))
        .map_err(|error| error.command_text())
}
