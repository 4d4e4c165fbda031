//! What `helm lint` asks of rendered templates and of CRDs.

use serde_json::Value as Json;
use sluice_gotemplate::strconv::quote;
use sluice_yaml::Dialect;

use super::{LintOptions, Linted, Linter, Present, Severity, deprecations, names};
use crate::capabilities::Capabilities;
use crate::chart::{Chart, ChartError, Fields, Read, with_root};
use crate::dependencies::process_dependencies;
use crate::render::{Action, ReleaseInfo, RenderError, RenderOptions, Rendered, render};
use crate::session::{Mode, World};
use crate::values::{Nulls, split_documents};

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
        Err(error) => Err((error.to_string(), Vec::new())),
        Ok(chart) => run(chart, options, world).map(|rendered| (chart, rendered)),
    };
    let (chart, rendered) = match rendered {
        Ok((chart, mut rendered)) => {
            linter.logged.append(&mut rendered.noted);
            (chart, rendered)
        }
        Err((text, mut noted)) => {
            linter.logged.append(&mut noted);
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
            // The first document that does not parse ends it all.
            if check_content(linter, name, &content, minor) == Going::Stop {
                return;
            }
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

fn run(
    chart: &Chart,
    options: &LintOptions,
    world: World,
) -> Result<Rendered, (String, Vec<String>)> {
    let early = |text: String| (text, Vec::new());
    let mut chart = chart.clone();
    process_dependencies(&mut chart, &options.user, Nulls::Helm4, &mut Vec::new())
        .map_err(|e| early(e.to_string()))?;
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
    .map_err(|error| {
        let text = error.to_string();
        match error {
            RenderError::Exec { noted, .. } => (text, noted),
            _ => early(text),
        }
    })
}

/// Whether further templates are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    On,
    Stop,
}

fn check_content(linter: &mut Linter, path: &str, content: &str, minor: u64) -> Going {
    let first = content.lines().find(|line| !line.trim().is_empty());
    if let Some(line) = first.filter(|line| line.starts_with([' ', '\t'])) {
        let text = format!(
            "document starts with an illegal indent: {}, which may cause parsing problems",
            quote(line.as_bytes())
        );
        linter.add(Severity::Warning, path, text);
    }
    for head in heads(content) {
        let head = match head {
            Ok(head) => head,
            Err(problem) => {
                let text = format!("unable to parse YAML: {problem}");
                linter.add(Severity::Error, path, text);
                return Going::Stop;
            }
        };
        linter.check(Severity::Warning, path, check_name(&head));
        let deprecated = deprecations::warning(&head.api_version, &head.kind, minor);
        linter.check(Severity::Warning, path, deprecated.map_or(Ok(()), Err));
        linter.check(Severity::Error, path, check_selector(&head, content));
        linter.check(Severity::Error, path, check_list(&head));
    }
    Going::On
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
    /// Reads a document; nothing has no head.
    fn read(document: &[u8]) -> Read<Option<Head>> {
        with_root(document, |root| {
            let Some(root) = root else { return Ok(None) };
            let json = sluice_yaml::to_json(root, Dialect::Sigs)
                .map_err(|e| format!("error converting YAML to JSON: {e}"))?;
            let place = "struct field k8sYamlStruct.Metadata";
            let fields = Fields::of(root, "k8sYamlStruct", "value", "rules.k8sYamlStruct")?;
            if fields.is_nothing() {
                return Ok(None);
            }
            let (api_version, kind) = (fields.text("apiVersion")?, fields.text("Kind")?);
            let owner = "k8sYamlMetadata.Metadata";
            let name = match fields.get("Metadata") {
                None => String::new(),
                Some(node) => {
                    let metadata = Fields::of(node, owner, place, "rules.k8sYamlMetadata")?;
                    metadata.text("Namespace")?;
                    metadata.text("Name")?
                }
            };
            let items = json.get("items").and_then(Json::as_array);
            let keeps_items = items.into_iter().flatten().any(|item| {
                item.pointer("/metadata/annotations/helm.sh~1resource-policy")
                    .is_some()
            });
            Ok(Some(Head {
                api_version,
                kind,
                name,
                keeps_items,
            }))
        })
    }
}

/// The heads of the documents of a text; the last one may be an error. The text
/// is taken for JSON if it starts like JSON, until that goes wrong.
fn heads(content: &str) -> Vec<Read<Head>> {
    if content.trim_start().starts_with('{') {
        let mut all = Vec::new();
        for value in serde_json::Deserializer::from_str(content).into_iter::<Json>() {
            match value {
                Ok(value) => match Head::read(value.to_string().as_bytes()).transpose() {
                    Some(head) => all.push(head),
                    None => continue,
                },
                Err(error) if error.is_eof() => all.push(Err("unexpected EOF".to_owned())),
                Err(_) => return yaml_heads(content),
            }
        }
        return all;
    }
    yaml_heads(content)
}

fn yaml_heads(content: &str) -> Vec<Read<Head>> {
    let documents = match split_documents(content.as_bytes()) {
        Ok(documents) => documents,
        Err(problem) => return vec![Err(problem)],
    };
    let mut all = Vec::new();
    for document in documents {
        let read = match document.ends_with(b"\n") {
            true => Head::read(document),
            false => Head::read(&[document, b"\n"].concat()),
        };
        let is_over = read.is_err();
        all.extend(read.transpose());
        if is_over {
            break;
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
        // By the name inside of whichever chart has it.
        let name = match name.rfind("/crds/") {
            Some(at) => &name[at + 1..],
            None => name.as_str(),
        };
        for head in heads(&String::from_utf8_lossy(&file.data)) {
            let head = match head {
                Ok(head) => head,
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
