//! Rules of the house that no compiler checks.
//!
//! The engines stay pure, `main.rs` stays short, nothing is called done that is not, and no text
//! carries a path of the machine it was written on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// Crates that are deterministic functions of their arguments.
const ENGINES: &[&str] = &[
    "api",
    "crates/envsubst",
    "crates/gotemplate",
    "crates/helm",
    "crates/kustomize",
    "crates/objects",
    "crates/openpgp",
    "crates/schema",
    "crates/version",
    "crates/yaml",
];

/// Files in an engine's folder that are adapters to the outside, for callers that want one.
const ADAPTERS: &[&str] = &["crates/helm/src/disk.rs", "crates/kustomize/src/disk.rs"];

/// What an engine must not name outside its tests.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "files come in as an argument"),
    ("std::env::", "the environment comes in as an argument"),
    ("SystemTime::now", "time comes in as an argument"),
    ("Instant::now", "time comes in as an argument"),
    ("Timestamp::now", "time comes in as an argument"),
    ("tokio::", "an engine does not wait"),
    ("reqwest", "an engine has no network"),
];

/// Longest file without a reason.
const LONG: usize = 800;
/// The comment that gives the reason, on one of the first lines of a longer file.
const LONG_BECAUSE: &str = "// long because:";

/// The comment that gives the reason for a sleep, on the line above it.
const SLEEPS_BECAUSE: &str = "// sleeps because:";

/// Checks the tree; prints each violation.
///
/// # Errors
/// There is at least one violation, or git cannot list the files.
pub fn run() -> anyhow::Result<()> {
    let root = crate::root();
    let mut violations = Vec::new();
    for file in tracked(&root)? {
        let Ok(text) = std::fs::read_to_string(root.join(&file)) else {
            continue;
        };
        check(&file, &text, &mut violations);
    }
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations", violations.len());
    }
    println!("tidy");
    Ok(())
}

fn tracked(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("git ls-files")?;
    let names = String::from_utf8(output.stdout).context("file names")?;
    Ok(names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect())
}

fn check(file: &Path, text: &str, violations: &mut Vec<String>) {
    let name = file.display().to_string();
    let mut say = |line: usize, what: &str| violations.push(format!("{name}:{line}: {what}"));
    if file.extension().is_none_or(|e| e != "rs") {
        return;
    }
    let lines = text.lines().count();
    let reasoned = text.lines().take(40).any(|l| l.contains(LONG_BECAUSE));
    if lines > LONG && !reasoned {
        say(
            lines,
            &format!("longer than {LONG} lines without a `{LONG_BECAUSE}`"),
        );
    }
    if name.ends_with("src/main.rs") && lines > 20 {
        say(lines, "main.rs is longer than 20 lines");
    }
    let engine = !ADAPTERS.contains(&name.as_str())
        && ENGINES
            .iter()
            .any(|e| name.starts_with(&format!("{e}/src/")));
    let mut before = "";
    let mut in_tests = name.contains("/tests/") || name.ends_with("tests.rs");
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        in_tests |= line.contains("#[cfg(test)]");
        if line != line.trim_end() {
            say(number, "space at the end of the line");
        }
        if line.contains("#[ignore") && name != "xtask/src/tidy.rs" {
            say(number, "a test that does not run");
        }
        let code = line.split("//").next().unwrap_or_default();
        let reasoned = std::mem::replace(&mut before, line).contains(SLEEPS_BECAUSE);
        if in_tests {
            continue;
        }
        for (word, why) in IMPURE {
            if engine && code.contains(word) {
                say(number, &format!("`{word}` in an engine: {why}"));
            }
        }
        if code.contains("thread::sleep") && !reasoned && name != "xtask/src/tidy.rs" {
            say(number, "a sleep instead of a wait for a condition");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(name: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(Path::new(name), text, &mut found);
        found
    }

    #[test]
    fn an_engine_with_a_clock_is_found_and_its_tests_are_free() {
        let text =
            "fn f() { Instant::now(); }\n#[cfg(test)]\nmod tests { fn g() { Instant::now(); } }\n";
        assert_eq!(
            violations("crates/yaml/src/lib.rs", text),
            ["crates/yaml/src/lib.rs:1: `Instant::now` in an engine: time comes in as an argument"]
        );
        assert!(violations("crates/runtime/src/lib.rs", text).is_empty());
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        let text = "fn f() {}\n".repeat(LONG + 1);
        assert_eq!(violations("cli/src/a.rs", &text).len(), 1);
        let text = format!("{LONG_BECAUSE} a table\n{text}");
        assert!(violations("cli/src/a.rs", &text).is_empty());
    }
}
