//! From the text of a manifest file to objects.

use sluice_yaml::{Dialect, Documents, Limits};

use crate::node::{Map, Node};
use crate::parse;

/// An object with the line where it begins, from 1.
pub(crate) struct Found {
    pub root: Map,
    pub line: usize,
}

/// Why a text holds no objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The YAML is broken: go-yaml's text, and the line in the file.
    Malformed {
        message: String,
        line: Option<usize>,
    },
    /// The YAML is fine, what it says is not.
    Invalid {
        message: String,
        line: Option<usize>,
    },
}

impl ReadError {
    pub(crate) fn message(&self, path: &str) -> String {
        match self {
            ReadError::Malformed { message, .. } => {
                format!("MalformedYAMLError: {message} in File: {path}")
            }
            ReadError::Invalid { message, .. } => message.clone(),
        }
    }

    pub(crate) fn line(&self) -> Option<usize> {
        match self {
            ReadError::Malformed { line, .. } | ReadError::Invalid { line, .. } => *line,
        }
    }
}

/// A piece of the text between separators, with its first line.
struct Chunk<'t> {
    text: &'t str,
    first_line: usize,
}

/// Splits at lines that start with `---`, as kustomize does before any YAML
/// is parsed.
fn split(text: &str) -> Result<Vec<Chunk<'_>>, ReadError> {
    let mut chunks = Vec::new();
    let mut first_line = 0;
    let mut rest = text;
    while let Some(at) = rest.find("\n---") {
        let separator = &rest[at + 1..];
        let Some(end) = separator.find('\n') else {
            break;
        };
        let line = &separator[..end];
        let behind = line[3..].trim_matches([' ', '\t']);
        let lines_before = rest[..at].matches('\n').count();
        if !behind.is_empty() && !behind.starts_with('#') {
            return Err(ReadError::Invalid {
                message: format!("invalid document separator: {}", line.trim()),
                line: Some(first_line + lines_before + 2),
            });
        }
        chunks.push(Chunk {
            // With its line break, which a literal at the end is to keep.
            text: &rest[..=at],
            first_line,
        });
        first_line += lines_before + 2;
        rest = &separator[end + 1..];
    }
    chunks.push(Chunk {
        text: rest,
        first_line,
    });
    Ok(chunks)
}

/// Reads every object of a file.
///
/// # Errors
/// Bytes that are no text, malformed YAML, or objects without kind or name.
pub(crate) fn read_file(content: &[u8], limits: &Limits) -> Result<Vec<Found>, ReadError> {
    let text = sluice_yaml::decode(content).map_err(|error| ReadError::Malformed {
        message: error.to_string(),
        line: None,
    })?;
    if matches!(content, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        // kustomize looks for separators in the bytes and sees none in UTF-16,
        // and of what it does not part it reads the first document.
        let whole = Chunk {
            text: &text,
            first_line: 0,
        };
        return read_chunks(vec![whole], limits);
    }
    read(&text, limits)
}

/// Reads every object of a text.
///
/// # Errors
/// Malformed YAML, or objects without kind or name.
pub(crate) fn read(text: &str, limits: &Limits) -> Result<Vec<Found>, ReadError> {
    let unix;
    let text = if text.contains('\r') {
        unix = text.replace("\r\n", "\n");
        unix.as_str()
    } else {
        text
    };
    read_chunks(split(text)?, limits)
}

fn read_chunks(chunks: Vec<Chunk<'_>>, limits: &Limits) -> Result<Vec<Found>, ReadError> {
    let single = chunks.len() == 1;
    let mut queue: Vec<(Node, usize)> = Vec::new();
    for chunk in chunks {
        if let Some((node, line)) = read_chunk(&chunk, limits)? {
            let items = if single { list_items(&node) } else { None };
            match items {
                Some(items) => queue.extend(items.into_iter().map(|item| (item, line))),
                None => queue.push((node, line)),
            }
        }
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < queue.len() {
        let (node, line) = std::mem::replace(&mut queue[at], (Node::map(), 0));
        at += 1;
        if node.is_nothing() {
            continue;
        }
        let invalid = |message: String| ReadError::Invalid {
            message,
            line: Some(line),
        };
        let Node::Map(mut root) = node else {
            return Err(invalid("missing Resource metadata".to_owned()));
        };
        check_identity(&root).map_err(invalid)?;
        let kind = root
            .get("kind")
            .and_then(Node::text)
            .unwrap_or("")
            .to_owned();
        if kind.ends_with("List") {
            match root.remove("items") {
                Some(Node::Seq(seq)) => {
                    queue.extend(seq.items.into_iter().map(|item| (item, line)));
                    continue;
                }
                Some(items) if items.is_null() => continue,
                Some(_) => {
                    return Err(invalid(format!(
                        "expected array in {kind}/items, but found {}",
                        "string"
                    )));
                }
                None => {}
            }
        }
        found.push(Found { root, line });
    }
    Ok(found)
}

fn read_chunk(chunk: &Chunk<'_>, limits: &Limits) -> Result<Option<(Node, usize)>, ReadError> {
    let malformed = |error: sluice_yaml::Error| ReadError::Malformed {
        message: error.to_string(),
        line: error.line().map(|line| line + chunk.first_line),
    };
    let document = Documents::new(chunk.text, Dialect::GoYaml3, limits)
        .next_document()
        .map_err(malformed)?;
    let Some(document) = document else {
        return Ok(None);
    };
    let line = document.root.span.start.line_number() + chunk.first_line;
    // kustomize writes the object out and reads it again before it notices
    // repeated keys, so blank lines do not count.
    let counts: std::cell::OnceCell<Vec<usize>> = std::cell::OnceCell::new();
    let line_of = |line: u32| {
        let counts = counts.get_or_init(|| {
            let mut count = 0;
            let lines = chunk.text.lines().map(|line| {
                count += usize::from(!line.trim().is_empty() && !line.starts_with("---"));
                count
            });
            lines.collect()
        });
        counts
            .get(line as usize)
            .or(counts.last())
            .copied()
            .unwrap_or(0)
    };
    let node = parse::tree(document, parse::Found::InFile, &line_of).map_err(|message| {
        ReadError::Invalid {
            message,
            line: Some(line),
        }
    })?;
    Ok(if node.is_nothing() {
        None
    } else {
        Some((node, line))
    })
}

/// The items of a document that is nothing but a list of objects.
fn list_items(node: &Node) -> Option<Vec<Node>> {
    let kind = node.get("kind").and_then(Node::text)?;
    if kind != "List" && kind != "ResourceList" {
        return None;
    }
    match node.get("items") {
        Some(Node::Seq(items)) => Some(items.items.clone()),
        Some(_) => Some(Vec::new()),
        None => node.get("functionConfig").map(|_| Vec::new()),
    }
}

/// Every object needs a kind, and a name unless it is a list.
///
/// # Errors
/// kustomize's texts.
pub(crate) fn check_identity(root: &Map) -> Result<(), String> {
    let text = |key: &str| root.get(key).and_then(Node::text).unwrap_or("");
    let metadata = root.get("metadata");
    if root.get("apiVersion").is_none() && root.get("kind").is_none() && metadata.is_none() {
        return Err("missing Resource metadata".to_owned());
    }
    let of = |field: &str| {
        metadata
            .and_then(|metadata| metadata.get(field))
            .and_then(Node::text)
            .unwrap_or("")
    };
    let shown = || {
        let pairs = |field: &str| {
            let map = metadata
                .and_then(|metadata| metadata.get(field))
                .and_then(Node::as_map);
            let mut texts: Vec<String> = map.map_or_else(Vec::new, |map| {
                map.pairs
                    .iter()
                    .map(|(key, value)| format!("{}:{}", key.text, value.text().unwrap_or("")))
                    .collect()
            });
            texts.sort();
            texts.join(" ")
        };
        format!(
            "{{{{{} {}}} {{{{{} {}}} map[{}] map[{}]}}}}",
            text("apiVersion"),
            text("kind"),
            of("name"),
            of("namespace"),
            pairs("labels"),
            pairs("annotations")
        )
    };
    if text("kind").is_empty() {
        return Err(format!("missing kind in object {}", shown()));
    }
    if of("name").is_empty() && !text("kind").ends_with("List") {
        return Err(format!("missing metadata.name in object {}", shown()));
    }
    Ok(())
}
