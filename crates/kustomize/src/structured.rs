//! Replacements in JSON or YAML that stands inside a text.

use sluice_yaml::Limits;

use crate::fieldpath::{self, CreateKind};
use crate::growth::{Allowance, weight};
use crate::node::{Map, Node};

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No scalar is on the way of the path.
    NotStructured,
    /// The text was rewritten.
    Written,
    /// The document lacks the field.
    NoField,
    /// The text is no document, or the path does not suit it.
    Failed(String),
}

/// Writes into the document inside a scalar on the way of the path.
pub(crate) fn write(
    root: &mut Map,
    path: &[String],
    value: &Node,
    create: Option<CreateKind>,
    allowance: &mut Allowance,
) -> Outcome {
    let Some((prefix, rest)) = find_text(root, path) else {
        return Outcome::NotStructured;
    };
    let mut outcome = None;
    let mut whole = Node::Map(std::mem::take(root));
    // The prefix was just found, so the visit meets exactly this scalar.
    let _ = fieldpath::visit(&mut whole, prefix, None, &mut |node| {
        if let Node::Scalar(scalar) = node
            && outcome.is_none()
        {
            outcome = Some(
                match replace_in(&scalar.text, rest, value, create, allowance) {
                    Ok(Some(text)) => {
                        scalar.text = text;
                        Outcome::Written
                    }
                    Ok(None) => Outcome::NoField,
                    Err(problem) => Outcome::Failed(problem),
                },
            );
        }
        Ok(())
    });
    if let Node::Map(map) = whole {
        *root = map;
    }
    outcome.unwrap_or(Outcome::NotStructured)
}

/// The shortest proper beginning of the path that leads to a scalar.
fn find_text<'p>(root: &Map, path: &'p [String]) -> Option<(&'p [String], &'p [String])> {
    let mut here: Option<&Node> = None;
    for at in 1..path.len() {
        let (prefix, rest) = path.split_at(at);
        let part = &prefix[at - 1..];
        let next = match here {
            None => root.get(&part[0]),
            Some(node) => fieldpath::get(node, part).ok()?,
        }?;
        if matches!(next, Node::Scalar(_)) {
            return Some((prefix, rest));
        }
        here = Some(next);
    }
    None
}

/// The text with the field set; `None` when there is no such field.
fn replace_in(
    text: &str,
    path: &[String],
    value: &Node,
    create: Option<CreateKind>,
    allowance: &mut Allowance,
) -> Result<Option<String>, String> {
    allowance.spend(text.len())?;
    let limits = Limits::default();
    let document = sluice_yaml::Documents::new(text, sluice_yaml::Dialect::GoYaml3, &limits)
        .next_document()
        .map_err(|error| error.to_string())?;
    let Some(document) = document else {
        let expected = match path.first() {
            Some(part) if fieldpath::is_index(part) || fieldpath::is_matcher(part) => {
                "SequenceNode"
            }
            _ => "MappingNode",
        };
        return Err(format!(
            "wrong node kind: expected {expected} but got : node contents:\nnull\n"
        ));
    };
    let mut node = crate::parse::tree(document, crate::parse::Found::InText, &|line| {
        line as usize + 1
    })?;
    if node.is_null() {
        // What is created under a null is lost.
        return Ok(create.map(|_| text.to_owned()));
    }
    let mut count = 0;
    let visited = fieldpath::visit(&mut node, path, create, &mut |field| {
        count += 1;
        allowance.spend(weight(value))?;
        match (field, value) {
            (Node::Scalar(field), value) => {
                field.text = value.text().unwrap_or_default().to_owned();
            }
            (field, value) => *field = value.clone(),
        }
        Ok(())
    });
    match visited {
        Ok(()) if count == 0 => Ok(None),
        Ok(()) => Ok(Some(write_back(text, &node))),
        Err(fieldpath::VisitError::Path(problem) | fieldpath::VisitError::Field(problem)) => {
            Err(problem)
        }
    }
}

/// The document in the form that the text had.
fn write_back(text: &str, node: &Node) -> String {
    let json = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
    if json {
        let pretty = text.contains('\n') && text.contains("  ");
        // What JSON cannot hold leaves the text as it was.
        let Ok(value) = node.to_json() else {
            return text.to_owned();
        };
        return if pretty {
            pretty_json(&value)
        } else {
            let mut out = String::new();
            crate::hash::write_json(&value, &mut out);
            out
        };
    }
    crate::yaml3::to_text(node).trim_end().to_owned()
}

/// JSON with an indentation of two, as Go writes it.
fn pretty_json(value: &serde_json::Value) -> String {
    fn write(value: &serde_json::Value, indent: usize, out: &mut String) {
        let pad = |out: &mut String, indent: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", indent));
        };
        match value {
            serde_json::Value::Array(items) if !items.is_empty() => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    pad(out, indent + 1);
                    write(item, indent + 1, out);
                }
                pad(out, indent);
                out.push(']');
            }
            serde_json::Value::Object(map) if !map.is_empty() => {
                out.push('{');
                for (at, (key, item)) in map.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    pad(out, indent + 1);
                    crate::hash::write_text(key, out);
                    out.push_str(": ");
                    write(item, indent + 1, out);
                }
                pad(out, indent);
                out.push('}');
            }
            other => crate::hash::write_json(other, out),
        }
    }
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}
