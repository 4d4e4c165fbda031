//! From rendered files to manifests, hooks and notes.

use std::sync::LazyLock;

use serde_json::Value as Json;
use sluice_gotemplate::regexp::Regexp;
use sluice_yaml::Limits;

use crate::chart::Chart;
use crate::render::Rendered;

/// The order in which kinds are installed; others come last, by name.
pub const INSTALL_ORDER: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// The order in which kinds are uninstalled; others come last, by name.
pub const UNINSTALL_ORDER: &[&str] = &[
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
];

/// What a document says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its `kind`; empty for a document that holds only comments.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its annotations.
    pub annotations: Vec<(String, String)>,
}

/// One document to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The template it came from.
    pub source: String,
    /// Its text.
    pub content: String,
    /// What it says about itself.
    pub head: Head,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookEvent {
    /// Before an installation.
    PreInstall,
    /// After an installation.
    PostInstall,
    /// Before a deletion.
    PreDelete,
    /// After a deletion.
    PostDelete,
    /// Before an upgrade.
    PreUpgrade,
    /// After an upgrade.
    PostUpgrade,
    /// Before a rollback.
    PreRollback,
    /// After a rollback.
    PostRollback,
    /// When the release is tested.
    Test,
}

impl HookEvent {
    /// Returns the event's name in annotations and records.
    pub fn as_str(self) -> &'static str {
        match self {
            HookEvent::PreInstall => "pre-install",
            HookEvent::PostInstall => "post-install",
            HookEvent::PreDelete => "pre-delete",
            HookEvent::PostDelete => "post-delete",
            HookEvent::PreUpgrade => "pre-upgrade",
            HookEvent::PostUpgrade => "post-upgrade",
            HookEvent::PreRollback => "pre-rollback",
            HookEvent::PostRollback => "post-rollback",
            HookEvent::Test => "test",
        }
    }

    /// Reads an event's name; `test-success` is the old name of `test`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "pre-install" => HookEvent::PreInstall,
            "post-install" => HookEvent::PostInstall,
            "pre-delete" => HookEvent::PreDelete,
            "post-delete" => HookEvent::PostDelete,
            "pre-upgrade" => HookEvent::PreUpgrade,
            "post-upgrade" => HookEvent::PostUpgrade,
            "pre-rollback" => HookEvent::PreRollback,
            "post-rollback" => HookEvent::PostRollback,
            "test" | "test-success" => HookEvent::Test,
            _ => return None,
        })
    }
}

/// The last run of a hook. Times are RFC 3339 texts, empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookRun {
    /// When it started.
    pub started_at: String,
    /// When it ended.
    pub completed_at: String,
    /// `Unknown`, `Running`, `Succeeded`, `Failed` or empty.
    pub phase: String,
}

/// A document that runs at certain events instead of being installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The object's name.
    pub name: String,
    /// The object's kind.
    pub kind: String,
    /// The template it came from.
    pub path: String,
    /// Its text.
    pub manifest: String,
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// How its last run went.
    pub last_run: HookRun,
    /// Hooks of an event run by rising weight.
    pub weight: i64,
    /// When the object is deleted again.
    pub delete_policies: Vec<String>,
    /// When its logs are shown.
    pub output_log_policies: Vec<String>,
}

/// What a rendering comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The documents in the order of installation.
    pub manifests: Vec<Manifest>,
    /// The hooks in the order in which they are stored.
    pub hooks: Vec<Hook>,
    /// The notes of the chart.
    pub notes: String,
}

/// Whose notes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notes {
    /// Those of the chart itself.
    #[default]
    Own,
    /// Those of charts below as well.
    WithSubcharts,
}

/// A rendered file that is no YAML. The text is Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {file}: {problem}")]
pub struct ManifestError {
    /// The template it came from.
    pub file: String,
    /// Go's words for what is wrong.
    pub problem: String,
}

/// Splits rendered files into documents, takes hooks and notes out, and sorts.
/// The files are used up, unless there is an error. `warnings` receives what
/// Helm would log.
///
/// # Errors
/// [`ManifestError`] for the first document that is no YAML.
pub fn collect(
    chart: &Chart,
    rendered: &mut Rendered,
    notes: Notes,
    warnings: &mut Vec<String>,
) -> Result<Output, ManifestError> {
    let mut heads = Vec::new();
    for (path, content) in &rendered.files {
        if !holds_manifests(path, content) {
            continue;
        }
        for document in split_documents(content) {
            heads.push(read_head(document).map_err(|problem| ManifestError {
                file: path.clone(),
                problem,
            })?);
        }
    }
    let mut heads = heads.into_iter();
    let mut output = Output::default();
    let own_notes = format!("{}/templates/NOTES.txt", chart.name());
    for (path, content) in std::mem::take(&mut rendered.files) {
        if path.ends_with("NOTES.txt") {
            if notes == Notes::WithSubcharts || path == own_notes {
                if !output.notes.is_empty() {
                    output.notes.push('\n');
                }
                output.notes.push_str(&String::from_utf8_lossy(&content));
            }
            continue;
        }
        if !holds_manifests(&path, &content) {
            continue;
        }
        let documents = split_documents(&content);
        if let [whole] = documents[..]
            && whole.len() == content.len()
        {
            let head = heads.next().unwrap_or_default();
            let text = String::from_utf8(content)
                .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
            sort_in(&mut output, &path, text, head, warnings);
            continue;
        }
        for document in documents {
            let head = heads.next().unwrap_or_default();
            let text = String::from_utf8_lossy(document).into_owned();
            sort_in(&mut output, &path, text, head, warnings);
        }
    }
    output
        .manifests
        .sort_by(|a, b| by_kind(&a.head.kind, &b.head.kind, INSTALL_ORDER));
    output
        .hooks
        .sort_by(|a, b| by_kind(&a.kind, &b.kind, INSTALL_ORDER));
    Ok(output)
}

/// Whether a rendered file is split into manifests at all.
pub(crate) fn holds_manifests(path: &str, content: &[u8]) -> bool {
    let base = path.rsplit('/').next().unwrap_or_default();
    !path.ends_with("NOTES.txt") && !base.starts_with('_') && !content.trim_ascii().is_empty()
}

fn sort_in(
    output: &mut Output,
    path: &str,
    content: String,
    head: Head,
    warnings: &mut Vec<String>,
) {
    let annotation = |name: &str| {
        head.annotations
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let Some(types) = annotation("helm.sh/hook") else {
        output.manifests.push(Manifest {
            source: path.to_owned(),
            content,
            head,
        });
        return;
    };
    let words =
        |text: &str| -> Vec<String> { text.split(',').map(|w| w.trim().to_lowercase()).collect() };
    let policies = |name: &str| annotation(name).map_or_else(Vec::new, |text| words(&text));
    let events: Option<Vec<HookEvent>> = words(&types)
        .iter()
        .map(|word| HookEvent::from_name(word))
        .collect();
    // A hook with an event that nobody knows is dropped, as Helm does.
    let Some(events) = events else {
        warnings.push(format!(
            "level=INFO msg=\"skipping unknown hooks\" hookTypes={}",
            crate::log::value(&types)
        ));
        return;
    };
    let weight = annotation("helm.sh/hook-weight")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    output.hooks.push(Hook {
        name: head.name.clone(),
        kind: head.kind.clone(),
        path: path.to_owned(),
        manifest: content,
        events,
        last_run: HookRun::default(),
        weight,
        delete_policies: policies("helm.sh/hook-delete-policy"),
        output_log_policies: policies("helm.sh/hook-output-log-policy"),
    });
}

/// Orders two kinds by a list; kinds that are not in it come last, by name.
pub fn by_kind(a: &str, b: &str, order: &[&str]) -> std::cmp::Ordering {
    let place = |kind: &str| order.iter().position(|known| *known == kind);
    match (place(a), place(b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Splits a text into its documents as Helm does, by looking for `---` at the
/// start of a line.
pub fn split_documents(content: &[u8]) -> Vec<&[u8]> {
    static SEPARATOR: LazyLock<Regexp> = LazyLock::new(|| {
        Regexp::new(r"(?:^|\s*\n)---\s*").expect("the constant is a regular expression")
    });
    let trimmed = trim_start(content);
    if !contains_dashes(trimmed) {
        return if trimmed.is_empty() {
            Vec::new()
        } else {
            vec![trimmed]
        };
    }
    SEPARATOR
        .split(trimmed, -1)
        .into_iter()
        .map(trim_start)
        .filter(|piece| !piece.is_empty())
        .collect()
}

fn contains_dashes(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|w| w == b"---")
}

/// Drops Unicode white space from the start.
fn trim_start(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((rune, width)) = sluice_gotemplate::text::decode_rune(rest) {
        if !sluice_gotemplate::text::is_space(rune) {
            break;
        }
        rest = &rest[width..];
    }
    rest
}

/// Reads what a document says about itself. The error is Go's text.
pub(crate) fn read_head(document: &[u8]) -> Result<Head, String> {
    let converting = |e: sluice_yaml::Error| format!("error converting YAML to JSON: {e}");
    let text = sluice_yaml::decode(document).map_err(converting)?;
    let fields = ["apiVersion", "kind", "metadata"];
    let json =
        sluice_yaml::fields_from_str(&text, &fields, &Limits::default()).map_err(converting)?;
    head_of(&json)
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn head_of(json: &Json) -> Result<Head, String> {
    let wrong = |value: &Json, place: &str, wanted: &str| {
        format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go \
             {place} of type {wanted}",
            kind_of(value)
        )
    };
    let mut head = Head::default();
    let object = match json {
        Json::Null => return Ok(head),
        Json::Object(object) => object,
        other => return Err(wrong(other, "value", "util.SimpleHead")),
    };
    let text = |value: Option<&Json>, place: &str| match value {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(s)) => Ok(s.clone()),
        Some(Json::Bool(b)) => Ok(b.to_string()),
        Some(Json::Number(n)) => Ok(number_text(n)),
        Some(other) => Err(wrong(other, place, "string")),
    };
    head.api_version = text(
        object.get("apiVersion"),
        "struct field SimpleHead.apiVersion",
    )?;
    head.kind = text(object.get("kind"), "struct field SimpleHead.kind")?;
    let metadata = match object.get("metadata") {
        None | Some(Json::Null) => return Ok(head),
        Some(Json::Object(metadata)) => metadata,
        Some(other) => {
            return Err(wrong(
                other,
                "struct field SimpleHead.metadata",
                "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string \
                 \"json:\\\"annotations\\\"\" }",
            ));
        }
    };
    head.name = text(metadata.get("name"), "struct field .metadata.name")?;
    match metadata.get("annotations") {
        None | Some(Json::Null) => {}
        Some(Json::Object(annotations)) => {
            for (key, value) in annotations {
                let value = text(Some(value), "struct field .metadata.annotations")?;
                head.annotations.push((key.clone(), value));
            }
        }
        Some(other) => {
            return Err(wrong(
                other,
                "struct field .metadata.annotations",
                "map[string]string",
            ));
        }
    }
    Ok(head)
}

fn number_text(n: &serde_json::Number) -> String {
    match n.as_f64() {
        Some(f) if n.is_f64() => sluice_gotemplate::strconv::format_float(f),
        _ => n.to_string(),
    }
}

/// Whether custom resource definitions stand in front of the manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Crds {
    /// They do not.
    #[default]
    Leave,
    /// They do.
    Include,
}

/// Writes the manifests as one text, the way records hold them.
pub fn manifest_text(output: &Output) -> String {
    let mut text = String::new();
    for manifest in &output.manifests {
        push_source(&mut text, &manifest.source, &manifest.content);
    }
    text
}

pub(crate) fn push_source(text: &mut String, source: &str, content: &str) {
    text.extend(under_source(source, content));
}

/// A document below the name of what it came from, in pieces.
pub(crate) fn under_source<'t>(source: &'t str, content: &'t str) -> [&'t str; 5] {
    ["---\n# Source: ", source, "\n", content, "\n"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{File, load_files};

    #[test]
    fn documents_split_where_helm_splits_them() {
        for (text, want) in [
            ("a: 1\n---\nb: 2\n", vec!["a: 1", "b: 2\n"]),
            ("---\n\n---\na: 1\n\n\n---", vec!["---\na: 1"]),
            ("a: |\n  x\n  ---\n", vec!["a: |\n  x\n  ---\n"]),
            ("\n\n a: 1", vec!["a: 1"]),
            ("--- a: 1", vec!["a: 1"]),
            ("# only\n", vec!["# only\n"]),
            (" \n", vec![]),
        ] {
            let got: Vec<String> = split_documents(text.as_bytes())
                .iter()
                .map(|d| String::from_utf8_lossy(d).into_owned())
                .collect();
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn heads_coerce_annotations_and_refuse_what_is_no_object() {
        let head = read_head(b"kind: A\nmetadata: {name: n, annotations: {a: 1, b: true, c: 1.5}}")
            .expect("reads");
        assert_eq!(
            head.annotations,
            [("a", "1"), ("b", "true"), ("c", "1.5")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(
            read_head(b"abc").expect_err("a text"),
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go \
             value of type util.SimpleHead"
        );
        assert_eq!(
            read_head(b"kind: [a]").expect_err("a list"),
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go \
             struct field SimpleHead.kind of type string"
        );
    }

    #[test]
    fn hooks_of_unknown_events_are_noted() {
        let hook = |types: &str| {
            let text = format!("kind: A\nmetadata:\n  annotations: {{helm.sh/hook: {types:?}}}\n");
            let mut rendered = Rendered::default();
            rendered
                .files
                .insert("c/templates/a.yaml".to_owned(), text.into_bytes());
            let chart = File::new(
                "Chart.yaml",
                &b"apiVersion: v2\nname: c\nversion: 1.0.0\n"[..],
            );
            let chart = load_files(vec![chart]).expect("a chart");
            let mut warnings = Vec::new();
            let output = collect(&chart, &mut rendered, Notes::Own, &mut warnings);
            let output = output.expect("valid");
            (
                output.hooks.len() + output.manifests.len(),
                warnings.join("\n"),
            )
        };
        for (types, noted) in [
            ("bogus,pre-install", "bogus,pre-install"),
            ("Crd-Install", "Crd-Install"),
            ("pre-install, a b , c", "\"pre-install, a b , c\""),
            ("", "\"\""),
            ("a=b", "\"a=b\""),
            ("é", "é"),
        ] {
            let line = format!("level=INFO msg=\"skipping unknown hooks\" hookTypes={noted}");
            assert_eq!(hook(types), (0, line), "{types}");
        }
        assert_eq!(hook(" Pre-Install "), (1, String::new()));
    }

    #[test]
    fn kinds_sort_by_the_order_and_then_by_name() {
        let mut kinds = vec!["Zeta", "Service", "Alpha", "Namespace", "Deployment"];
        kinds.sort_by(|a, b| by_kind(a, b, INSTALL_ORDER));
        assert_eq!(
            kinds,
            ["Namespace", "Service", "Deployment", "Alpha", "Zeta"]
        );
    }
}
