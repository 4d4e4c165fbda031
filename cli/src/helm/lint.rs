//! `helm lint`.

use std::path::{Path, PathBuf};

use clap::Args;
use sluice_helm::Schemas;
use sluice_helm::disk::read_lint;
use sluice_helm::lint::{Findings, LintOptions, Message, Severity, lint};

use super::options::ValueOptions;
use super::template::kube_version;
use super::{Done, Environment, fail, world};

/// Arguments of `helm lint`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LintArgs {
    /// Charts to look at
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Version of Kubernetes
    #[arg(long, default_value = "", hide_default_value = true)]
    kube_version: String,
    /// Only print warnings and errors
    #[arg(long)]
    quiet: bool,
    /// Fail on warnings
    #[arg(long)]
    strict: bool,
    /// Do not hold values against the chart's schema
    #[arg(long)]
    skip_schema_validation: bool,
    /// Look at the charts below as well
    #[arg(long)]
    with_subcharts: bool,
    #[command(flatten)]
    values: ValueOptions,
}

impl LintArgs {
    /// Lints and prints.
    ///
    /// # Errors
    /// A chart is not as it should be.
    pub(crate) fn run(&self, env: &mut Environment<'_>) -> Done {
        if self.paths.is_empty() {
            return fail(
                "\"helm lint\" requires at least 1 argument\n\nUsage:  helm lint PATH [flags]",
            );
        }
        let mut paths = self.paths.clone();
        if self.with_subcharts {
            for path in &self.paths {
                collect_below(path, &mut paths)?;
            }
        }
        let options = LintOptions {
            user: self.values.merge()?,
            namespace: env.namespace(),
            kube_version: match self.kube_version.as_str() {
                "" => None,
                text => Some(kube_version(text)?),
            },
            schemas: match self.skip_schema_validation {
                true => Schemas::Skip,
                false => Schemas::Check,
            },
        };
        let (mut failed, mut text) = (0, String::new());
        for path in &paths {
            let lowest = match self.strict {
                true => Severity::Warning,
                false => Severity::Error,
            };
            let (lines, bad) = match read_lint(path) {
                Err(error) => (vec![format!("Error {error}")], true),
                Ok(linted) => {
                    let Findings { messages, logged } = lint(&linted, &options, world());
                    for line in logged {
                        writeln!(env.err, "{line}")?;
                    }
                    let bad = messages.iter().any(|m| m.severity >= lowest);
                    (self.lines(&messages), bad)
                }
            };
            failed += usize::from(bad);
            if self.quiet && lines.is_empty() {
                continue;
            }
            text.push_str(&format!("==> Linting {}\n", path.display()));
            for line in &lines {
                text.push_str(line);
                text.push('\n');
            }
            text.push('\n');
        }
        let summary = format!("{} chart(s) linted, {failed} chart(s) failed", paths.len());
        if failed > 0 {
            env.out.write_all(text.as_bytes())?;
            env.out.flush()?;
            return fail(summary);
        }
        if !self.quiet || !text.is_empty() {
            text.push_str(&summary);
            text.push('\n');
        }
        Ok(env.out.write_all(text.as_bytes())?)
    }

    fn lines(&self, messages: &[Message]) -> Vec<String> {
        let shown = |m: &&Message| !self.quiet || m.severity > Severity::Info;
        messages
            .iter()
            .filter(shown)
            .map(Message::to_string)
            .collect()
    }
}

/// Finds the chart folders below a chart, depth first, by name.
fn collect_below(path: &Path, found: &mut Vec<PathBuf>) -> Done {
    let Ok(entries) = std::fs::read_dir(path.join("charts")) else {
        return Ok(());
    };
    let mut below: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("Chart.yaml").is_file())
        .collect();
    below.sort();
    for path in below {
        found.push(path.clone());
        collect_below(&path, found)?;
    }
    Ok(())
}
