//! From objects to the text that is printed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::node::{Map, Node, Scalar};
use crate::resource::{Maker, Resource};

/// Annotations that no output has.
const STRIPPED: [&str; 18] = [
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "internal.config.kubernetes.io/helm-generated",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
];
const STRIPPED_TOO: &str = "config.k8s.io/id";
pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// Which notes are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub origin: bool,
    pub transformations: bool,
    /// Some option is set, be it one that means nothing.
    pub any: bool,
}

/// Rebuilds the annotations: texts only, sorted, without the internal ones,
/// with the notes that are asked for; none at all when none are left.
pub(crate) fn finish_annotations(resource: &mut Resource, wanted: Wanted) {
    let mut texts: BTreeMap<String, String> = resource.texts("annotations");
    texts.retain(|key, _| {
        !STRIPPED.contains(&key.as_str())
            && key != STRIPPED_TOO
            && key != ORIGIN
            && key != TRANSFORMATIONS
    });
    if wanted.origin
        && let Some(maker) = &resource.notes.origin
    {
        texts.insert(ORIGIN.to_owned(), maker.to_yaml());
    }
    if wanted.transformations && !resource.notes.transformations.is_empty() {
        let list: Vec<Value> = resource
            .notes
            .transformations
            .iter()
            .map(|maker| maker.to_value())
            .collect();
        texts.insert(TRANSFORMATIONS.to_owned(), ordered_yaml_list(&list));
    }
    resource.set_texts("annotations", &texts);
}

impl Maker {
    /// The pairs in the order in which kustomize writes them.
    fn to_value(&self) -> Value {
        let mut map = serde_json::Map::new();
        let mut put = |key: &str, text: &str| {
            if !text.is_empty() {
                map.insert(key.to_owned(), Value::String(text.to_owned()));
            }
        };
        put("path", &self.path);
        put("repo", &self.repo);
        put("ref", &self.git_ref);
        put("configuredIn", &self.configured_in);
        if let Some(by) = &self.configured_by {
            let mut inner = serde_json::Map::new();
            for (key, text) in ["apiVersion", "kind", "name", "namespace"].iter().zip(by) {
                if !text.is_empty() {
                    inner.insert((*key).to_owned(), Value::String(text.clone()));
                }
            }
            map.insert("configuredBy".to_owned(), Value::Object(inner));
        }
        Value::Object(map)
    }

    pub(crate) fn to_yaml(&self) -> String {
        ordered_yaml(&self.to_value(), "")
    }
}

/// Keys of the notes in their order; other keys do not occur.
const NOTE_KEYS: [&str; 9] = [
    "path",
    "repo",
    "ref",
    "configuredIn",
    "configuredBy",
    "apiVersion",
    "kind",
    "name",
    "namespace",
];

fn ordered_yaml(value: &Value, indent: &str) -> String {
    let mut out = String::new();
    for key in NOTE_KEYS {
        match value.get(key) {
            Some(Value::String(text)) => {
                let written = sluice_yaml::to_string(&Value::String(text.clone()))
                    .unwrap_or_else(|_| format!("{text}\n"));
                out.push_str(&format!("{indent}{key}: {written}"));
            }
            Some(inner) => {
                out.push_str(&format!("{indent}{key}:\n"));
                out.push_str(&ordered_yaml(inner, &format!("{indent}  ")));
            }
            None => {}
        }
    }
    out
}

fn ordered_yaml_list(list: &[Value]) -> String {
    let mut out = String::new();
    for value in list {
        let text = ordered_yaml(value, "  ");
        out.push_str("- ");
        out.push_str(text.strip_prefix("  ").unwrap_or(&text));
    }
    out
}

/// The JSON form of an object that is about to be printed.
///
/// # Errors
/// What JSON cannot hold, with the text that kustomize's output stage gives.
pub(crate) fn to_json(resource: &Resource) -> Result<Value, String> {
    let mut value = map_json(&resource.root)?;
    // A list without metadata gets some.
    if let Value::Object(map) = &mut value
        && map
            .get("kind")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.ends_with("List"))
        && !map.contains_key("metadata")
    {
        map.insert("metadata".to_owned(), Value::Object(serde_json::Map::new()));
    }
    Ok(value)
}

fn map_json(root: &Map) -> Result<Value, String> {
    crate::node::map_to_json(root)
}

/// The error of the output stage, which shows the object as Go has it.
pub(crate) fn explain(root: &Map, error: &str) -> String {
    if error.starts_with("yaml: ") {
        return format!("map[string]interface {{}}(nil): {error}");
    }
    let mut shown = String::new();
    go_map(root, &mut shown);
    format!("{shown}: {error}")
}

/// As [`explain`], for an object that could be made but not be written.
pub(crate) fn explain_object(object: &Value, error: &str) -> String {
    let mut shown = String::new();
    if let Node::Map(root) = Node::from_json(object) {
        go_map(&root, &mut shown);
    }
    format!("{shown}: {error}")
}

fn go_map(map: &Map, out: &mut String) {
    let is_text = |key: &Scalar| {
        !key.is_plain() || matches!(key.resolve(), Ok(sluice_yaml::Resolved::Str) | Err(_))
    };
    let mut pairs: Vec<_> = map.pairs.iter().collect();
    pairs.sort_by(|(a, _), (b, _)| is_text(b).cmp(&is_text(a)).then(a.text.cmp(&b.text)));
    let typed = out.is_empty() || pairs.iter().all(|(key, _)| is_text(key));
    let key_type = if typed { "string" } else { "interface {}" };
    out.push_str(&format!("map[{key_type}]interface {{}}{{"));
    for (at, (key, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        if typed || is_text(key) {
            out.push_str(&go_quote(&key.text));
        } else {
            go_value(&Node::Scalar(key.clone()), out);
        }
        out.push(':');
        go_value(value, out);
    }
    out.push('}');
}

fn go_value(node: &Node, out: &mut String) {
    match node {
        Node::Map(map) => go_map(map, out),
        Node::Seq(items) => {
            out.push_str("[]interface {}{");
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                go_value(item, out);
            }
            out.push('}');
        }
        Node::Scalar(scalar) => match node.to_json() {
            Ok(Value::Null) => out.push_str("interface {}(nil)"),
            Ok(Value::String(text)) => out.push_str(&go_quote(&text)),
            Ok(value) => out.push_str(&value.to_string()),
            Err(_) => match scalar.text.trim_start_matches(['+', '-']) {
                text if text.eq_ignore_ascii_case(".nan") => out.push_str("NaN"),
                _ if scalar.text.starts_with('-') => out.push_str("-Inf"),
                _ => out.push_str("+Inf"),
            },
        },
    }
}

/// JSON text, for errors and hashes.
pub(crate) fn json_text(root: &Map) -> String {
    map_json(root).map_or_else(|error| error, |value| value.to_string())
}

/// JSON text with the annotations in which kustomize keeps its records.
pub(crate) fn json_with_records(resource: &Resource) -> String {
    json_text(&with_records(resource).root)
}

/// What is missing in an object, told with the records as annotations.
pub(crate) fn identity_problem(resource: &Resource) -> String {
    crate::read::check_identity(&with_records(resource).root)
        .err()
        .unwrap_or_default()
}

/// The object with the records as annotations.
pub(crate) fn with_records(resource: &Resource) -> Resource {
    let mut copy = resource.clone();
    let mut texts = copy.texts("annotations");
    let mut put = |name: &str, values: Vec<&str>| {
        if !values.is_empty() {
            texts.insert(
                format!("internal.config.kubernetes.io/{name}"),
                values.join(","),
            );
        }
    };
    let previous = &resource.previous;
    put(
        "previousKinds",
        previous.iter().map(|id| id.kind.as_str()).collect(),
    );
    put(
        "previousNames",
        previous.iter().map(|id| id.name.as_str()).collect(),
    );
    put(
        "previousNamespaces",
        previous.iter().map(|id| id.namespace.as_str()).collect(),
    );
    if resource.needs_hash {
        put("needsHashSuffix", vec!["enabled"]);
    }
    let has_metadata = resource
        .root
        .get("metadata")
        .is_some_and(|node| !node.is_null());
    if has_metadata && resource.origin.generator.is_some() {
        put("generatorBehavior", vec![resource.behavior.name()]);
    }
    put(
        "prefixes",
        resource.prefixes.iter().map(String::as_str).collect(),
    );
    put(
        "suffixes",
        resource.suffixes.iter().map(String::as_str).collect(),
    );
    copy.set_texts("annotations", &texts);
    copy
}

/// A node as YAML, for errors.
pub(crate) fn show(node: &Node) -> String {
    crate::yaml3::to_text(node)
}

/// Go's `%q`.
pub(crate) fn go_quote(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
