//! Replacements in JSON or YAML that stands inside a text.

use sluice_yaml::Limits;

use crate::fieldpath::{self, CreateKind};
use crate::node::{Map, Node, Tag};

/// Writes into the document inside a scalar on the way of the path. Returns
/// whether that could be done; otherwise nothing has changed.
pub(crate) fn write(
    root: &mut Map,
    path: &[String],
    value: &Node,
    create: Option<CreateKind>,
) -> bool {
    let Some((prefix, rest)) = find_text(root, path) else {
        return false;
    };
    let mut done = false;
    let mut whole = Node::Map(std::mem::take(root));
    // The prefix was just found, so the visit meets exactly this scalar.
    let _ = fieldpath::visit(&mut whole, prefix, None, &mut |node| {
        if let Node::Scalar(scalar) = node
            && !done
            && let Some(text) = replace_in(&scalar.text, rest, value, create)
        {
            scalar.text = text;
            done = true;
        }
        Ok(())
    });
    if let Node::Map(map) = whole {
        *root = map;
    }
    done
}

/// The shortest proper beginning of the path that leads to a scalar.
fn find_text<'p>(root: &Map, path: &'p [String]) -> Option<(&'p [String], &'p [String])> {
    let mut here: Option<&Node> = None;
    for at in 1..path.len() {
        let (prefix, rest) = path.split_at(at);
        let next = match here {
            None => root.get(&prefix[at - 1]),
            Some(node) => fieldpath::get(node, &prefix[at - 1..]).ok()?,
        }?;
        if let Node::Scalar(scalar) = next {
            return (!scalar.is_null() && !scalar.text.is_empty()).then_some((prefix, rest));
        }
        here = Some(next);
    }
    None
}

fn replace_in(
    text: &str,
    path: &[String],
    value: &Node,
    create: Option<CreateKind>,
) -> Option<String> {
    let document =
        sluice_yaml::Documents::new(text, sluice_yaml::Dialect::GoYaml3, &Limits::default())
            .next_document()
            .ok()??;
    let mut node = Node::from_yaml(document.root, &|line| line as usize + 1).ok()?;
    if matches!(node, Node::Scalar(_)) {
        return None;
    }
    let mut count = 0;
    fieldpath::visit(&mut node, path, create, &mut |field| {
        count += 1;
        match (field, value) {
            (Node::Scalar(field), Node::Scalar(value)) => {
                field.text.clone_from(&value.text);
                if field.tag == Tag::Infer {
                    field.tag = value.tag;
                }
            }
            (field, value) => *field = value.clone(),
        }
        Ok(())
    })
    .ok()?;
    if count == 0 {
        return None;
    }
    let json = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
    if json {
        let pretty = text.contains('\n') && text.contains("  ");
        let value = node.to_json().ok()?;
        return Some(if pretty {
            pretty_json(&value)
        } else {
            let mut out = String::new();
            crate::hash::write_json(&value, &mut out);
            out
        });
    }
    let value = node.to_json().ok()?;
    let written = sluice_yaml::to_string(&value).ok()?;
    Some(written.trim_end().to_owned())
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
