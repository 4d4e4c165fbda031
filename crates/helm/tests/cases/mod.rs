//! The golden cases: what goes in, and what Helm makes of it.
//!
//! A file `*.txt` holds charts:
//!
//! ```text
//! === name_of_the_case
//! args: --set a=1 -n ns        more arguments of `helm template r c`
//! -- templates/a.yaml --       a file of the chart; Chart.yaml may be left out
//! ...
//! -- templates/b.yaml (no newline) --
//! ...
//! -- @over.yaml --             a file beside the chart, for `-f over.yaml`
//! ...
//! -- OUT --                    what is printed
//! -- ERR --                    what is reported instead
//! ```
//!
//! A file `*.expr` holds texts of templates, each a chart of its own with the
//! values of `values.yaml`; line breaks and backslashes are escaped:
//!
//! ```text
//! > {{ upper "a" }}
//! < A                          what is printed
//! ! ...                        what is reported instead
//! ```
//!
//! `cargo xtask goldens --suite helm --verify` compares with the real Helm,
//! `--update` writes what it says.

use sluice_helm::chart::{File, load_files};
use sluice_helm::disk::{read_folder, write_file};
use sluice_helm::template::{Hooks, TemplateOptions, show_only, template};
use sluice_helm::values::{
    SetKind, Table, merge_tables, read_values, set_json, set_literal, set_values,
};
use sluice_helm::{Action, Crds, KubeVersion, Limits, Schemas, World};

/// Chart.yaml of cases that bring none.
pub const CHART: &str = "apiVersion: v2\nname: c\nversion: 0.1.0\n";

/// One case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Case {
    /// A claim.
    pub name: String,
    /// Further arguments of the command.
    pub args: Vec<String>,
    /// Files of the chart, and with `@` those beside it.
    pub files: Vec<(String, Vec<u8>)>,
    /// What is printed.
    pub out: Option<String>,
    /// What is reported instead.
    pub err: Option<String>,
}

/// Reads the cases of a file.
pub fn parse(text: &str) -> Vec<Case> {
    let parts: Vec<&str> = text.split("\n=== ").collect();
    let last = parts.len() - 1;
    parts
        .into_iter()
        .enumerate()
        // The line break in front of the next case belongs to this one.
        .map(|(i, part)| {
            if i < last {
                format!("{part}\n")
            } else {
                part.to_owned()
            }
        })
        .filter(|part| !part.trim().is_empty())
        .map(|part| parse_case(part.strip_prefix("=== ").unwrap_or(&part)))
        .collect()
}

fn parse_case(text: &str) -> Case {
    let mut lines = text.lines();
    let mut case = Case {
        name: lines.next().unwrap_or_default().trim().to_owned(),
        ..Case::default()
    };
    let mut section: Option<String> = None;
    let mut body = String::new();
    for line in lines {
        let header = line
            .strip_prefix("-- ")
            .and_then(|rest| rest.strip_suffix(" --"));
        if let Some(header) = header {
            close(&mut case, section.take(), &mut body);
            section = Some(header.to_owned());
        } else if section.is_some() {
            body.push_str(line);
            body.push('\n');
        } else if let Some(args) = line.strip_prefix("args: ") {
            case.args = args.split(' ').map(str::to_owned).collect();
        } else {
            panic!("{}: unknown line `{line}`", case.name);
        }
    }
    close(&mut case, section, &mut body);
    if !case.files.iter().any(|(name, _)| name == "Chart.yaml") {
        let chart = CHART.as_bytes().to_vec();
        case.files.insert(0, ("Chart.yaml".to_owned(), chart));
    }
    case
}

fn close(case: &mut Case, section: Option<String>, body: &mut String) {
    let Some(section) = section else { return };
    let body = std::mem::take(body);
    match section.as_str() {
        "OUT" => case.out = Some(body),
        "ERR" => case.err = Some(body),
        header => {
            let file = match header.strip_suffix(" (no newline)") {
                Some(name) => (name, body.strip_suffix('\n').unwrap_or(&body).to_owned()),
                None => (header, body),
            };
            case.files.push((file.0.to_owned(), file.1.into_bytes()));
        }
    }
}

/// One template text and what comes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// The text of the template.
    pub text: String,
    /// What is printed, or reported.
    pub outcome: Option<Result<String, String>>,
}

/// Reads the expressions of a file.
pub fn parse_expressions(text: &str) -> Vec<Expression> {
    let mut all: Vec<Expression> = Vec::new();
    for line in text.lines() {
        let rest = unescape(line.get(2..).unwrap_or_default());
        match (line.as_bytes().first(), all.last_mut()) {
            (Some(b'>'), _) => all.push(Expression {
                text: rest,
                outcome: None,
            }),
            (Some(b'<'), Some(last)) => last.outcome = Some(Ok(rest)),
            (Some(b'!'), Some(last)) => last.outcome = Some(Err(rest)),
            _ => {}
        }
    }
    all
}

/// Writes a text on one line.
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

/// The case that an expression stands for. The text is behind a `#`, so that
/// what it prints is a comment.
pub fn case_of(expression: &Expression, values: &str) -> Case {
    Case {
        files: vec![
            ("Chart.yaml".to_owned(), CHART.as_bytes().to_vec()),
            ("values.yaml".to_owned(), values.as_bytes().to_vec()),
            (
                "templates/a.txt".to_owned(),
                format!("#{}", expression.text).into_bytes(),
            ),
        ],
        ..Case::default()
    }
}

/// What an expression printed, without what stands around it.
pub fn printed(text: &str) -> String {
    let rest = text
        .strip_prefix("---\n# Source: c/templates/a.txt\n#")
        .unwrap_or(text);
    rest.strip_suffix('\n').unwrap_or(rest).to_owned()
}

/// The world of the cases: no chance, no cluster, a fixed time.
pub fn world() -> World {
    World::offline((1_700_000_000, 0), Box::new(|buffer| buffer.fill(7)))
}

/// What we make of a case: what is printed, or the text of the error.
pub fn outcome(case: &Case) -> Result<String, String> {
    outcome_within(case, Limits::default())
}

/// What we make of a case whose templates may use only so much.
pub fn outcome_within(case: &Case, limits: Limits) -> Result<String, String> {
    let mut files: Vec<File> = case
        .files
        .iter()
        .filter(|(name, _)| !name.starts_with('@'))
        .map(|(name, data)| File::new(name.as_str(), data.as_slice()))
        .collect();
    if files.iter().any(|file| file.name == ".helmignore") {
        // Only a folder on disk has that rule.
        let folder = tempfile::tempdir().expect("a folder");
        for file in &files {
            write_file(&folder.path().join(&file.name), &file.data).map_err(|e| e.to_string())?;
        }
        files = read_folder(folder.path()).map_err(|e| e.to_string())?;
    }
    // As a folder is read.
    files.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    let mut options = TemplateOptions {
        limits,
        ..TemplateOptions::install("r", "default")
    };
    let mut crds = Crds::Leave;
    let mut hooks = Hooks::All;
    let mut only = Vec::new();
    let mut inputs: [Vec<(usize, String)>; 2] = Default::default();
    let mut args = case.args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().unwrap_or_default();
        match arg.as_str() {
            "-n" => options.release.namespace = value(),
            "--is-upgrade" => options.release.action = Action::Upgrade,
            "--include-crds" => crds = Crds::Include,
            "--no-hooks" => hooks = Hooks::None,
            "--skip-tests" => hooks = Hooks::WithoutTests,
            "--skip-schema-validation" => options.schemas = Schemas::Skip,
            "--show-only" => only.push(value()),
            "--kube-version" => {
                let version = KubeVersion::parse(&value()).map_err(|e| e.to_string())?;
                options.capabilities.kube_version = version;
            }
            "--api-versions" => options.capabilities.api_versions.push(value()),
            "-f" => inputs[0].push((0, value())),
            "--set-json" => inputs[1].push((0, value())),
            "--set" => inputs[1].push((1, value())),
            "--set-string" => inputs[1].push((2, value())),
            "--set-literal" => inputs[1].push((3, value())),
            other => panic!("{}: unknown argument `{other}`", case.name),
        }
    }
    let mut user = Table::new();
    for (_, name) in &inputs[0] {
        let wanted = format!("@{name}");
        let file = case.files.iter().find(|(name, _)| *name == wanted);
        let (_, data) = file.expect("the values file is in the case");
        let table = read_values(data).map_err(|e| format!("failed to parse {name}: {e}"))?;
        user = merge_tables(user, table);
    }
    inputs[1].sort_by_key(|(order, _)| *order);
    for (kind, line) in &inputs[1] {
        let failed = |option: &str, e: String| format!("failed parsing {option} data: {e}");
        match kind {
            0 => set_json(line, &mut user).map_err(|e| e.to_string())?,
            1 => set_values(line, SetKind::Typed, &mut user)
                .map_err(|e| failed("--set", e.to_string()))?,
            2 => set_values(line, SetKind::Text, &mut user)
                .map_err(|e| failed("--set-string", e.to_string()))?,
            _ => {
                set_literal(line, &mut user).map_err(|e| failed("--set-literal", e.to_string()))?
            }
        }
    }
    let chart = load_files(files).map_err(|e| e.to_string())?;
    let templated = template(chart, &user, &options, world()).map_err(|e| e.command_text())?;
    let text = templated.text(crds, hooks);
    if only.is_empty() {
        return Ok(text);
    }
    show_only(&only, &text)
}
