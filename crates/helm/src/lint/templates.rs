//! What `helm lint` asks of rendered templates and of CRDs.

use serde_json::Value as Json;
use sluice_gotemplate::strconv::quote;
use sluice_yaml::{Dialect, Documents, Limits};

use super::{LintOptions, Linted, Linter, Present, Severity, deprecations, names};
use crate::capabilities::Capabilities;
use crate::chart::{Chart, ChartError};
use crate::dependencies::process_dependencies;
use crate::funcs::mismatch;
use crate::render::{Action, ReleaseInfo, RenderOptions, Rendered, render};
use crate::session::{Mode, World};
use crate::values::{Nulls, to_template};

const FOLDER: &str = "templates/";

pub(super) fn check(
    linter: &mut Linter,
    linted: &Linted,
    chart: &Result<Chart, ChartError>,
    options: &LintOptions,
    world: World,
) {
    match linted.templates {
        Present::Nothing => {
            linter.add(Severity::Warning, FOLDER, "directory does not exist");
            return;
        }
        Present::File => {
            linter.add(Severity::Error, FOLDER, "not a directory");
            return;
        }
        Present::Folder => {}
    }
    let rendered = match chart {
        Err(error) => Err(error.to_string()),
        Ok(chart) => run(chart, options, world).map(|rendered| (chart, rendered)),
    };
    let (chart, rendered) = match rendered {
        Ok(found) => found,
        Err(text) => {
            linter.add(Severity::Error, FOLDER, text);
            return;
        }
    };
    let minor = capabilities(options).kube_version.minor;
    let minor = minor.trim_end_matches('+').parse().unwrap_or(0);
    for template in &chart.templates {
        let name = &template.name;
        let extension = name
            .rsplit('/')
            .next()
            .and_then(|base| base.rfind('.').map(|at| &base[at..]))
            .unwrap_or_default();
        if !matches!(extension, ".yaml" | ".yml" | ".tpl" | ".txt") {
            let text = format!(
                "file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, \
                 or .txt"
            );
            linter.add(Severity::Error, name, text);
        }
        if !matches!(extension, ".yaml" | ".yml") {
            continue;
        }
        let content = rendered.files.get(&format!("{}/{name}", chart.name()));
        let content = content.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        if let Some(content) = content.filter(|text| !text.trim().is_empty()) {
            check_content(linter, name, &content, minor);
        }
    }
}

fn capabilities(options: &LintOptions) -> Capabilities {
    let mut capabilities = Capabilities::default();
    if let Some(version) = &options.kube_version {
        capabilities.kube_version = version.clone();
    }
    capabilities
}

fn run(chart: &Chart, options: &LintOptions, world: World) -> Result<Rendered, String> {
    let mut chart = chart.clone();
    process_dependencies(&mut chart, &options.user, Nulls::Helm4, &mut Vec::new())
        .map_err(|e| e.to_string())?;
    let release = ReleaseInfo {
        name: "test-release".to_owned(),
        namespace: options.namespace.clone(),
        revision: 0,
        action: Action::Lint,
    };
    let render_options = RenderOptions {
        schemas: options.schemas,
        mode: Mode::Lint,
        ..RenderOptions::default()
    };
    render(
        &chart,
        &options.user,
        &release,
        &capabilities(options),
        world,
        &render_options,
    )
    .map_err(|e| e.to_string())
}

fn check_content(linter: &mut Linter, path: &str, content: &str, minor: u64) {
    let first = content.lines().find(|line| !line.trim().is_empty());
    if let Some(line) = first.filter(|line| line.starts_with([' ', '\t'])) {
        let text = format!(
            "document starts with an illegal indent: {}, which may cause parsing problems",
            quote(line.as_bytes())
        );
        linter.add(Severity::Warning, path, text);
    }
    for document in documents(content) {
        let head = match document.and_then(|json| Head::of(&json)) {
            Ok(Some(head)) => head,
            Ok(None) => continue,
            Err(problem) => {
                let text = format!("unable to parse YAML: {problem}");
                linter.add(Severity::Error, path, text);
                return;
            }
        };
        linter.check(Severity::Warning, path, check_name(&head));
        let deprecated = deprecations::warning(&head.api_version, &head.kind, minor);
        linter.check(Severity::Warning, path, deprecated.map_or(Ok(()), Err));
        linter.check(Severity::Error, path, check_selector(&head, content));
        linter.check(Severity::Error, path, check_list(&head));
    }
}

/// The parts of a document that are looked at.
struct Head {
    api_version: String,
    kind: String,
    name: String,
    /// Whether an item of a list says that it is to be kept.
    keeps_items: bool,
}

impl Head {
    fn of(json: &Json) -> Result<Option<Head>, String> {
        match json {
            Json::Null => return Ok(None),
            Json::Object(_) => {}
            other => {
                return Err(format!(
                    "error unmarshaling JSON: while decoding JSON: {}",
                    mismatch(&to_template(other), "rules.k8sYamlStruct")
                ));
            }
        }
        let text = |pointer: &str| {
            json.pointer(pointer)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let items = json.get("items").and_then(Json::as_array);
        let keeps_items = items.into_iter().flatten().any(|item| {
            item.pointer("/metadata/annotations/helm.sh~1resource-policy")
                .is_some()
        });
        Ok(Some(Head {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            name: text("/metadata/name"),
            keeps_items,
        }))
    }
}

/// The documents of a text; the last one may be an error.
fn documents(content: &str) -> Vec<Result<Json, String>> {
    let mut all = Vec::new();
    for piece in crate::manifest::yaml_pieces(content) {
        let mut reader = Documents::new(piece, Dialect::Sigs, &Limits::default());
        let read = reader.next_document().and_then(|document| match document {
            None => Ok(Json::Null),
            Some(document) => sluice_yaml::to_json(&document.root, Dialect::Sigs),
        });
        match read {
            Ok(json) => all.push(Ok(json)),
            Err(error) => {
                all.push(Err(format!("error converting YAML to JSON: {error}")));
                break;
            }
        }
    }
    all
}

fn check_name(head: &Head) -> Result<(), String> {
    let name = quote(head.name.as_bytes());
    let problems: Vec<String> = names::problems(&head.kind, &head.name)
        .into_iter()
        .map(|problem| format!("metadata.name: Invalid value: {name}: {problem}"))
        .collect();
    let all = match problems.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(format!(
        "object name does not conform to Kubernetes naming requirements: {name}: {all}"
    ))
}

fn check_selector(head: &Head, content: &str) -> Result<(), String> {
    let selects = matches!(
        head.kind.as_str(),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet"
    );
    if selects && !content.contains("matchLabels") && !content.contains("matchExpressions") {
        return Err(format!(
            "a {} must contain matchLabels or matchExpressions, and {} does not",
            head.kind,
            quote(head.name.as_bytes())
        ));
    }
    Ok(())
}

fn check_list(head: &Head) -> Result<(), String> {
    if head.kind == "List" && head.keeps_items {
        return Err("annotation 'helm.sh/resource-policy' within List objects are ignored".into());
    }
    Ok(())
}

pub(super) fn check_crds(linter: &mut Linter, linted: &Linted, chart: &Result<Chart, ChartError>) {
    match linted.crds {
        Present::Nothing => return,
        Present::File => {
            linter.add(Severity::Error, "crds/", "not a directory");
            return;
        }
        Present::Folder => {}
    }
    let chart = match chart {
        Ok(chart) => chart,
        Err(error) => {
            linter.add(Severity::Error, "crds/", error.to_string());
            return;
        }
    };
    for (name, file) in chart.crds() {
        let name = name.split_once('/').map_or(name.as_str(), |(_, rest)| rest);
        for document in documents(&String::from_utf8_lossy(&file.data)) {
            let head = match document.and_then(|json| Head::of(&json)) {
                Ok(Some(head)) => head,
                Ok(None) => continue,
                Err(problem) => {
                    let text = format!("unable to parse YAML: {problem}");
                    linter.add(Severity::Error, name, text);
                    break;
                }
            };
            if !head.api_version.starts_with("apiextensions.k8s.io") {
                let text = "apiVersion is not in 'apiextensions.k8s.io'";
                linter.add(Severity::Error, name, text);
            }
            if head.kind != "CustomResourceDefinition" {
                let text = "object kind is not 'CustomResourceDefinition'";
                linter.add(Severity::Error, name, text);
            }
        }
    }
}
