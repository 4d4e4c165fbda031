//! Compares the golden cases of the kustomize engine with the real one.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

#[path = "../../crates/kustomize/tests/cases/mod.rs"]
pub mod cases;

use cases::{Case, Content};

/// What the judge says of itself.
const JUDGE: &str = "Kustomize Version: v5.8.1";
const DIRECTORY: &str = "crates/kustomize/tests/goldens";

/// Runs `cargo xtask goldens --verify | --update`, from the top of the
/// repository. `SLUICE_ORACLES` is the folder with the kubectl whose kustomize is
/// the judge, `KUBECTL` the program itself.
///
/// # Errors
/// The judge cannot be run, or `--verify` finds a difference.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let update = match args {
        [arg] if arg == "--update" => true,
        [arg] if arg == "--verify" => false,
        _ => bail!("usage: cargo xtask goldens --verify | --update"),
    };
    let kubectl = kubectl()?;
    let mut different = 0;
    let mut count = 0;
    let mut paths: Vec<PathBuf> = fs::read_dir(DIRECTORY)
        .with_context(|| format!("reading `{DIRECTORY}`"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let mut written = String::new();
        for case in cases::parse(&text) {
            count += 1;
            let judged = judge(&kubectl, &case)?;
            if (&judged.out, &judged.err, &judged.warn) != (&case.out, &case.err, &case.warn) {
                different += 1;
                println!("{}: {}", path.display(), case.name);
                if !update {
                    println!(
                        "  stored {:?}\n  judged {:?}",
                        outcome(&case),
                        outcome(&judged)
                    );
                }
            }
            write_case(&text, &judged, &mut written)?;
        }
        if update && written != text {
            fs::write(&path, written)?;
        }
    }
    println!("{count} cases, {different} different");
    if different > 0 && !update {
        bail!("{different} golden cases differ from kustomize");
    }
    Ok(())
}

fn outcome(case: &Case) -> (&Option<String>, &Option<String>, &Option<String>) {
    (&case.out, &case.err, &case.warn)
}

/// The kubectl whose kustomize judges.
///
/// # Errors
/// None is installed.
pub fn kubectl() -> anyhow::Result<PathBuf> {
    let path = find_kubectl();
    let output = Command::new(&path)
        .args(["version", "--client"])
        .output()
        .with_context(|| format!("running `{}`", path.display()))?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    if !version.contains(JUDGE) {
        bail!(
            "`{}` is not the judge, which says `{JUDGE}`:\n{version}",
            path.display()
        );
    }
    Ok(path)
}

fn find_kubectl() -> PathBuf {
    if let Some(path) = std::env::var_os("KUBECTL") {
        return path.into();
    }
    let installed = std::env::var_os("SLUICE_ORACLES")
        .map(|dir| Path::new(&dir).join("kubectl"))
        .filter(|path| path.exists());
    installed.unwrap_or_else(|| "kubectl".into())
}

/// Puts the files of a case into a directory.
///
/// # Errors
/// The directory cannot be written.
pub fn lay_out(case: &Case, dir: &Path) -> anyhow::Result<()> {
    for file in &case.files {
        let path = dir.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match &file.content {
            Content::Bytes(bytes) => fs::write(&path, bytes)?,
            Content::Directory => fs::create_dir_all(&path)?,
            #[cfg(unix)]
            Content::Link(target) => std::os::unix::fs::symlink(target, &path)?,
            #[cfg(not(unix))]
            Content::Link(_) => bail!("links need a Unix system"),
        }
    }
    Ok(())
}

/// The case with the outcome that the real kustomize has.
///
/// # Errors
/// kustomize cannot be run.
pub fn judge(kubectl: &Path, case: &Case) -> anyhow::Result<Case> {
    let dir = std::env::temp_dir().join(format!("sluice-golden-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let dir = dir.canonicalize()?;
    lay_out(case, &dir)?;
    let output = Command::new(kubectl)
        .arg("kustomize")
        .args(&case.args)
        .arg(dir.join(&case.target))
        .output()
        .with_context(|| format!("running `{}`", kubectl.display()))?;
    fs::remove_dir_all(&dir)?;
    let clean =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir.display().to_string(), "/R");
    let stderr = clean(&output.stderr);
    let mut judged = case.clone();
    (judged.out, judged.err, judged.warn) = (None, None, None);
    if output.status.success() {
        judged.out = Some(clean(&output.stdout));
        let warnings: String = stderr
            .lines()
            .map(without_log_prefix)
            .filter(|line| !is_of_the_command(line))
            .map(|line| format!("{line}\n"))
            .collect();
        judged.warn = Some(warnings).filter(|text| !text.is_empty());
    } else {
        let error = match stderr.find("panic: ") {
            // Only what it says, not where.
            Some(at) => stderr[at..].lines().next().unwrap_or_default(),
            None => stderr.split_once("error: ").map_or("", |(_, error)| error),
        };
        judged.err = Some(format!("{}\n", without_pointers(error.trim_end())));
    }
    Ok(judged)
}

/// Drops the time, process and place that kubectl logs in front of a line.
fn without_log_prefix(line: &str) -> &str {
    match line.split_once("] ") {
        Some((prefix, rest)) if prefix.starts_with('I') && prefix.contains(".go:") => rest,
        _ => line,
    }
}

/// Lines about flags and for developers, which a library does not print.
fn is_of_the_command(line: &str) -> bool {
    [
        "MakePrimitiveReplacer: ",
        "Flag --",
        "Warning: Sorting order",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

/// Replaces addresses, which differ in every run.
fn without_pointers(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        if part.len() - rest.len() >= 8 {
            out.push_str("POINTER");
            out.push_str(rest);
        } else {
            out.push_str("0x");
            out.push_str(part);
        }
    }
    out
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
            skip = matches!(line, "-- OUT --" | "-- ERR --" | "-- WARN --");
        }
        if !skip {
            writeln!(out, "{line}")?;
        }
    }
    for (name, text) in [
        ("OUT", &judged.out),
        ("ERR", &judged.err),
        ("WARN", &judged.warn),
    ] {
        if let Some(text) = text {
            write!(out, "-- {name} --\n{text}")?;
        }
    }
    Ok(())
}
