//! `helm lint`: what is wrong with a chart, or might be.
//!
//! The checks, their order and their words are Helm's.

mod chartfile;
mod deprecations;
mod names;
mod templates;

use std::fmt;

use crate::capabilities::KubeVersion;
use crate::chart::{ApiVersions, Chart, ChartError, File, load_files_as};
use crate::schema::validate_against;
use crate::session::World;
use crate::values::{Table, coalesce_tables, merge_tables, read_table};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Could be better.
    Info,
    /// May go wrong.
    Warning,
    /// Is wrong.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// The file, relative to the chart.
    pub path: String,
    /// What was found.
    pub text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(f, "[{severity}] {}: {}", self.path, self.text)
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Present {
    /// Nothing.
    #[default]
    Nothing,
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// A chart to be linted.
#[derive(Debug, Clone)]
pub struct Linted {
    /// Its files, .helmignore applied.
    pub files: Vec<File>,
    /// The absolute path of its folder, for messages.
    pub folder: String,
    /// What `templates` is.
    pub templates: Present,
    /// What `crds` is.
    pub crds: Present,
}

/// What a chart is linted with.
#[derive(Debug, Clone, Default)]
pub struct LintOptions {
    /// The merged values of the user.
    pub user: Table,
    /// The namespace of the release.
    pub namespace: String,
    /// The Kubernetes version that counts; `None` for the usual one.
    pub kube_version: Option<KubeVersion>,
    /// Whether values are held against the schema.
    pub schemas: crate::Schemas,
}

/// What linting a chart brought up.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The findings, in Helm's order.
    pub messages: Vec<Message>,
    /// What Helm logs on the way, line by line.
    pub logged: Vec<String>,
}

/// Collects findings.
#[derive(Default)]
pub(crate) struct Linter {
    messages: Vec<Message>,
    logged: Vec<String>,
}

impl Linter {
    fn add(&mut self, severity: Severity, path: &str, text: impl Into<String>) {
        self.messages.push(Message {
            severity,
            path: path.to_owned(),
            text: text.into(),
        });
    }

    /// Notes an error, if it is one. Returns whether all is well.
    fn check(&mut self, severity: Severity, path: &str, outcome: Result<(), String>) -> bool {
        match outcome {
            Ok(()) => true,
            Err(text) => {
                self.add(severity, path, text);
                false
            }
        }
    }
}

/// Lints one chart. The charts below it are not looked into.
pub fn lint(linted: &Linted, options: &LintOptions, world: World) -> Findings {
    let mut linter = Linter::default();
    let chart = load_files_as(linted.files.clone(), ApiVersions::Any);
    chartfile::check(&mut linter, linted);
    check_values(&mut linter, linted, options);
    templates::check(&mut linter, linted, &chart, options, world);
    check_dependencies(&mut linter, linted, &chart);
    templates::check_crds(&mut linter, linted, &chart);
    Findings {
        messages: linter.messages,
        logged: linter.logged,
    }
}

fn file<'f>(linted: &'f Linted, name: &str) -> Option<&'f File> {
    linted.files.iter().find(|f| f.name == name)
}

fn check_values(linter: &mut Linter, linted: &Linted, options: &LintOptions) {
    const NAME: &str = "values.yaml";
    let Some(file) = file(linted, NAME) else {
        linter.add(Severity::Info, NAME, "file does not exist");
        return;
    };
    let values = match read_table(&file.data) {
        Ok(values) => values,
        Err(problem) => {
            let problem = problem.replace("type map[string]interface {}", "type common.Values");
            linter.add(
                Severity::Error,
                NAME,
                format!("unable to parse YAML: {problem}"),
            );
            return;
        }
    };
    if options.schemas == crate::Schemas::Skip {
        return;
    }
    let schema = linted.files.iter().find(|f| f.name == "values.schema.json");
    if let Some(schema) = schema.filter(|schema| !schema.data.is_empty()) {
        let user = merge_tables(Table::new(), options.user.clone());
        let values = coalesce_tables(&user, &values, &mut Vec::new());
        linter.check(
            Severity::Error,
            NAME,
            validate_against(&schema.data, &values),
        );
    }
}

fn check_dependencies(linter: &mut Linter, linted: &Linted, chart: &Result<Chart, ChartError>) {
    let chart = match chart {
        Ok(chart) => chart,
        Err(error) => {
            linter.add(
                Severity::Error,
                "",
                format!("unable to load chart\n\t{error}"),
            );
            return;
        }
    };
    let path = &linted.folder;
    let listed: Vec<&str> = chart
        .metadata
        .dependencies
        .iter()
        .flatten()
        .flatten()
        .map(|d| d.name.as_str())
        .collect();
    let there: Vec<&str> = chart.dependencies.iter().map(Chart::name).collect();
    let missing = |wanted: &[&str], all: &[&str]| -> Vec<String> {
        wanted
            .iter()
            .filter(|name| !all.contains(name))
            .map(|name| (*name).to_owned())
            .collect()
    };
    let unlisted = missing(&there, &listed);
    if !unlisted.is_empty() {
        linter.add(
            Severity::Error,
            path,
            format!(
                "chart metadata is missing these dependencies: {}",
                unlisted.join(",")
            ),
        );
    }
    let absent = missing(&listed, &there);
    if !absent.is_empty() {
        linter.add(
            Severity::Warning,
            path,
            format!(
                "chart directory is missing these dependencies: {}",
                absent.join(",")
            ),
        );
    }
}

#[cfg(test)]
mod tests;
