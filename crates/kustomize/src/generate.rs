//! ConfigMaps and Secrets from texts and files.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fs;
use crate::kustomization::{ConfigMapArgs, GeneratorOptions, SecretArgs};
use crate::loader::Loader;
use crate::node::{Map, Node, Scalar};
use crate::resource::{Behavior, Origin, Resource};

/// Base64 of this length or more is broken into lines.
const BASE64_LINE: usize = 70;
/// Go's line scanner ends silently at a line longer than this.
const LONGEST_ENV_LINE: usize = 64 * 1024;

/// What both kinds have.
pub(crate) struct Args<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub behavior: &'a str,
    pub literals: &'a [String],
    pub files: &'a [String],
    pub envs: &'a [String],
    pub options: Option<&'a GeneratorOptions>,
    /// The type of a Secret; none for a ConfigMap.
    pub secret: Option<&'a str>,
}

impl<'a> From<&'a ConfigMapArgs> for Args<'a> {
    fn from(args: &'a ConfigMapArgs) -> Self {
        Args {
            namespace: &args.namespace,
            name: &args.name,
            behavior: &args.behavior,
            literals: &args.literals,
            files: &args.files,
            envs: &args.envs,
            options: args.options.as_ref(),
            secret: None,
        }
    }
}

impl<'a> From<&'a SecretArgs> for Args<'a> {
    fn from(args: &'a SecretArgs) -> Self {
        Args {
            namespace: &args.namespace,
            name: &args.name,
            behavior: &args.behavior,
            literals: &args.literals,
            files: &args.files,
            envs: &args.envs,
            options: args.options.as_ref(),
            secret: Some(if args.kind.is_empty() {
                "Opaque"
            } else {
                &args.kind
            }),
        }
    }
}

/// Options of an entry over those of all.
pub(crate) fn merge_options(
    global: Option<&GeneratorOptions>,
    own: Option<&GeneratorOptions>,
) -> Option<GeneratorOptions> {
    let Some(global) = global else {
        return own.cloned();
    };
    let mut out = global.clone();
    if let Some(own) = own {
        out.labels.extend(own.labels.clone());
        out.annotations.extend(own.annotations.clone());
        out.disable_name_suffix_hash |= own.disable_name_suffix_hash;
        out.immutable |= own.immutable;
    }
    Some(out)
}

/// Makes the object of an entry.
///
/// # Errors
/// kustomize's texts for missing files, malformed sources and repeated keys.
pub(crate) fn generate(
    args: &Args<'_>,
    options: Option<&GeneratorOptions>,
    loader: &Loader<'_>,
    origin: Arc<Origin>,
) -> Result<Resource, String> {
    if args.name.is_empty() {
        return Err("a configmap must have a name".to_owned());
    }
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    let wrap = |kind: &str, list: &[String], error: String| {
        format!("loading KV pairs: {kind}: [{}]: {error}", list.join(" "))
    };
    for path in args.envs {
        read_env_file(path, loader, &mut pairs)
            .map_err(|error| wrap("env source files", args.envs, error))?;
    }
    for literal in args.literals {
        let pair = parse_literal(literal).map_err(|error| {
            format!(
                "loading KV pairs: literal sources {}: {error}",
                go_list(args.literals)
            )
        })?;
        pairs.push(pair);
    }
    for source in args.files {
        let pair =
            read_file(source, loader).map_err(|error| wrap("file sources", args.files, error))?;
        pairs.push(pair);
    }
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut binary: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in pairs {
        if texts.contains_key(&key) || binary.contains_key(&key) {
            return Err(format!(
                "configmap {} illegally repeats the key `{key}`",
                args.name
            ));
        }
        if args.secret.is_some() {
            texts.insert(key, encode(&value));
            continue;
        }
        match String::from_utf8(value) {
            Ok(text) => texts.insert(key, text),
            Err(error) => binary.insert(key, encode(error.as_bytes())),
        };
    }
    let kind = if args.secret.is_some() {
        "Secret"
    } else {
        "ConfigMap"
    };
    let mut root = Map::default();
    root.set("apiVersion", Node::string("v1"));
    root.set("kind", Node::string(kind));
    let mut metadata = Map::default();
    metadata.set("name", Node::string(args.name));
    if !args.namespace.is_empty() {
        metadata.set("namespace", Node::string(args.namespace));
    }
    root.set("metadata", Node::Map(metadata));
    if let Some(secret_type) = args.secret {
        root.set("type", Node::string(secret_type));
    }
    if !texts.is_empty() || args.secret.is_some() {
        root.set("data", Node::Map(text_map(&texts)));
    }
    if !binary.is_empty() {
        root.set("binaryData", Node::Map(text_map(&binary)));
    }
    let mut resource = Resource::new(root, origin);
    resource.behavior = Behavior::parse(args.behavior);
    resource.needs_hash = true;
    if let Some(options) = options {
        if !options.labels.is_empty() {
            resource.set_texts("labels", &options.labels);
        }
        if !options.annotations.is_empty() {
            resource.set_texts("annotations", &options.annotations);
        }
        if options.immutable {
            resource
                .root
                .set("immutable", Node::Scalar(Scalar::plain("true")));
        }
        resource.needs_hash = !options.disable_name_suffix_hash;
    }
    Ok(resource)
}

/// A text of several lines is a literal, and stays one when it is patched.
fn text_node(text: &str) -> Node {
    let mut scalar = Scalar::string(text);
    if text.contains('\n') {
        scalar.style = sluice_yaml::ScalarStyle::Literal;
    }
    Node::Scalar(scalar).put_in_quotes_if_ambiguous()
}

/// A mapping of texts; values of several lines are literals, so quotes never
/// matter.
pub(crate) fn text_map(texts: &BTreeMap<String, String>) -> Map {
    Map::of(
        texts
            .iter()
            .map(|(key, value)| (Scalar::plain(key), text_node(value)))
            .collect(),
    )
}

fn go_list(list: &[String]) -> String {
    format!("[{}]", list.join(" "))
}

fn encode(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() < BASE64_LINE {
        return text;
    }
    let mut out = String::with_capacity(text.len() + text.len() / BASE64_LINE + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(BASE64_LINE.min(rest.len()));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out
}

fn parse_literal(text: &str) -> Result<(String, Vec<u8>), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let Some((key, value)) = pair else {
        return Err(format!("invalid literal source {text}, expected key=value"));
    };
    let bytes = value.as_bytes();
    let quoted =
        bytes.len() >= 2 && matches!(bytes[0], b'"' | b'\'') && bytes[0] == bytes[bytes.len() - 1];
    let value = if quoted {
        &value[1..value.len() - 1]
    } else {
        value
    };
    Ok((key.to_owned(), value.as_bytes().to_vec()))
}

fn read_file(source: &str, loader: &Loader<'_>) -> Result<(String, Vec<u8>), String> {
    let (key, path) = match source.matches('=').count() {
        0 => (fs::base(source), source),
        1 => {
            let (key, path) = source.split_once('=').unwrap_or((source, ""));
            if key.is_empty() {
                return Err(format!(
                    "missing key name for file path \"{path}\" in source \"{source}\""
                ));
            }
            if path.is_empty() {
                return Err(format!(
                    "missing file path for key name \"{key}\" in source \"{source}\""
                ));
            }
            (key, path)
        }
        _ => {
            return Err(format!(
                "source \"{source}\" key name or file path contains '='"
            ));
        }
    };
    let content = loader.load(path).map_err(|error| error.text().to_owned())?;
    Ok((key.to_owned(), content.into_owned()))
}

fn read_env_file(
    path: &str,
    loader: &Loader<'_>,
    pairs: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), String> {
    let content = loader.load(path).map_err(|error| error.text().to_owned())?;
    for (number, line) in content.split(|b| *b == b'\n').enumerate() {
        if line.len() >= LONGEST_ENV_LINE {
            return Ok(());
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            return Err(format!(
                "line {} has invalid utf8 bytes : {}",
                go_bytes(line),
                String::from_utf8_lossy(line)
            ));
        };
        let text = if number == 0 {
            text.strip_prefix('\u{feff}').unwrap_or(text)
        } else {
            text
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() {
            continue;
        }
        pairs.push((key.to_owned(), value.as_bytes().to_vec()));
    }
    Ok(())
}

/// Go's `%v` of bytes.
fn go_bytes(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!("[{}]", numbers.join(" "))
}
