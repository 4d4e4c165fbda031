//! Compares the golden cases of the Helm engine with the real Helm, or remakes
//! them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::cases::{self, Case, Expression};

const FOLDER: &str = "crates/helm/tests/goldens";

/// Runs `cargo xtask goldens --suite helm --verify | --update`.
///
/// # Errors
/// Helm cannot be run, or `--verify` finds a difference.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let update = match args {
        [arg] if arg == "--update" => true,
        [arg] if arg == "--verify" => false,
        _ => bail!("usage: cargo xtask goldens --suite helm --verify | --update"),
    };
    let helm = super::helm()?;
    let folder = crate::root().join(FOLDER);
    let values = std::fs::read_to_string(folder.join("values.yaml"))?;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| format!("reading `{FOLDER}`"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    let (mut count, mut different) = (0, 0);
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        let (written, found, changed) = match path.extension().and_then(|e| e.to_str()) {
            Some("expr") => expressions(&helm, &text, &values)?,
            Some("txt") => charts(&helm, &text)?,
            _ => continue,
        };
        count += found;
        for name in &changed {
            println!("{}: {name}", path.display());
        }
        different += changed.len();
        if update && written != text {
            std::fs::write(&path, written)?;
        }
    }
    println!("{count} cases, {different} different");
    if different > 0 && !update {
        bail!("{different} golden cases differ from helm");
    }
    Ok(())
}

type Judged = (String, usize, Vec<String>);

fn charts(helm: &Path, text: &str) -> anyhow::Result<Judged> {
    let cases = cases::parse(text);
    let outcomes = super::parallel(&cases, |case| super::judge(helm, case))?;
    let mut written = String::new();
    let mut changed = Vec::new();
    for (case, outcome) in cases.iter().zip(outcomes) {
        let judged = Case {
            out: outcome.clone().ok(),
            err: outcome.err().map(|text| text + "\n"),
            ..case.clone()
        };
        if judged != *case {
            changed.push(case.name.clone());
        }
        write_case(text, &judged, &mut written)?;
    }
    Ok((written, cases.len(), changed))
}

/// Writes the case as it stands in the file, with the new outcome.
fn write_case(text: &str, judged: &Case, out: &mut String) -> anyhow::Result<()> {
    let header = format!("=== {}\n", judged.name);
    let start = text
        .find(&header)
        .with_context(|| format!("case `{}` is not in its file", judged.name))?;
    let body = &text[start..];
    let end = body[1..].find("\n=== ").map_or(body.len(), |at| at + 2);
    let mut skip = false;
    for line in body[..end].lines() {
        if line.starts_with("-- ") && line.ends_with(" --") {
            skip = matches!(line, "-- OUT --" | "-- ERR --");
        }
        if !skip {
            writeln!(out, "{line}")?;
        }
    }
    for (name, text) in [("OUT", &judged.out), ("ERR", &judged.err)] {
        if let Some(text) = text {
            write!(out, "-- {name} --\n{text}")?;
        }
    }
    Ok(())
}

fn expressions(helm: &Path, text: &str, values: &str) -> anyhow::Result<Judged> {
    let all = cases::parse_expressions(text);
    let outcomes = super::parallel(&all, |one| expression(helm, one, values))?;
    let mut written = String::new();
    let mut changed = Vec::new();
    for (one, outcome) in all.iter().zip(outcomes) {
        if one.outcome.as_ref() != Some(&outcome) {
            changed.push(one.text.clone());
        }
        let (mark, said) = match &outcome {
            Ok(text) => ('<', text),
            Err(text) => ('!', text),
        };
        writeln!(written, "> {}", cases::escape(&one.text))?;
        writeln!(written, "{mark} {}", cases::escape(said))?;
    }
    Ok((written, all.len(), changed))
}

fn expression(
    helm: &Path,
    expression: &Expression,
    values: &str,
) -> anyhow::Result<Result<String, String>> {
    let outcome = super::judge(helm, &cases::case_of(expression, values))?;
    Ok(outcome.map(|text| cases::printed(&text)))
}
