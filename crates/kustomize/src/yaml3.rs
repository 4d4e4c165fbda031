//! Trees as go-yaml v3 writes them: order, quotes, flow style and comments are
//! those of the source, only the indentation is its own.
//!
//! Builds print through `sluice_yaml`; this is for YAML inside of texts, and
//! for the nodes that error messages show.

use sluice_yaml::{Booleans, ScalarStyle, Spot, resolve, write_styled};

use crate::node::{Comments, Map, Node, Scalar, Seq, Tag};

/// Writes a tree; the text ends with a line break.
pub(crate) fn to_text(node: &Node) -> String {
    let mut out = String::new();
    match node {
        Node::Map(map) if is_block_map(map) => write_map(map, 0, true, &mut out),
        Node::Seq(seq) if is_block_seq(seq) => write_seq(seq, 0, true, &mut out),
        other => {
            write_inline(other, 0, Spot::Block, &mut out);
            out.push('\n');
        }
    }
    out
}

/// As [`to_text`], with the comments at the node itself.
pub(crate) fn to_text_with_comments(node: &Node) -> String {
    let Some(comments) = node.comments() else {
        return to_text(node);
    };
    let mut out = String::new();
    write_head(Some(comments), 0, &mut out);
    out.push_str(to_text(node).trim_end_matches('\n'));
    write_line(Some(comments), &mut out);
    out.push('\n');
    write_foot(Some(comments), 0, true, &mut out);
    out
}

/// What is left of a text in folded style after go-yaml has written and read
/// it, as kustomize does before it prints: a line that follows a longer-indented
/// one, and line breaks at the end, may become more than they were.
pub(crate) fn refolded(text: &str) -> String {
    let mut written = String::from("- ");
    write_styled(text, ScalarStyle::Folded, Spot::Block, 0, &mut written);
    written.push('\n');
    let read = sluice_yaml::from_str(&written);
    match read.as_ref().map(|list| &list[0]) {
        Ok(serde_json::Value::String(read)) => read.clone(),
        // What cannot be read again stays as it is.
        _ => text.to_owned(),
    }
}

fn is_block_map(map: &Map) -> bool {
    !map.flow && !map.pairs.is_empty()
}

fn is_block_seq(seq: &Seq) -> bool {
    !seq.flow && !seq.items.is_empty()
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn write_head(comments: Option<&Comments>, indent: usize, out: &mut String) {
    for line in comments.into_iter().flat_map(|comments| &comments.head) {
        pad(indent, out);
        out.push_str(line);
        out.push('\n');
    }
}

fn write_foot(comments: Option<&Comments>, indent: usize, last: bool, out: &mut String) {
    let lines = comments.map_or(&[][..], |comments| &comments.foot);
    for line in lines {
        pad(indent, out);
        out.push_str(line);
        out.push('\n');
    }
    if !lines.is_empty() && !last {
        out.push('\n');
    }
}

fn write_line(comments: Option<&Comments>, out: &mut String) {
    if let Some(line) = comments.and_then(|comments| comments.line.as_ref()) {
        out.push(' ');
        out.push_str(line);
    }
}

/// Writes pairs; `indented` says that the first one needs its indentation.
fn write_map(map: &Map, indent: usize, indented: bool, out: &mut String) {
    let last = map.pairs.len() - 1;
    for (at, (key, value)) in map.pairs.iter().enumerate() {
        let comments = key.comments.as_deref();
        if at > 0 || indented {
            write_head(comments, indent, out);
            pad(indent, out);
        }
        write_scalar(key, Spot::Key, indent, out);
        out.push(':');
        match value {
            Node::Map(map) if is_block_map(map) => {
                write_line(comments, out);
                out.push('\n');
                write_map(map, indent + 2, true, out);
            }
            Node::Seq(seq) if is_block_seq(seq) => {
                write_line(comments, out);
                out.push('\n');
                write_seq(seq, indent, true, out);
            }
            other => {
                let before = out.len();
                out.push(' ');
                write_inline(other, indent, Spot::Block, out);
                if out.len() == before + 1 {
                    // A blank null leaves no trace behind the colon.
                    out.truncate(before);
                }
                write_line(other.comments(), out);
                out.push('\n');
            }
        }
        write_foot(comments, indent, at == last, out);
    }
}

fn write_seq(seq: &Seq, indent: usize, indented: bool, out: &mut String) {
    let last = seq.items.len() - 1;
    for (at, item) in seq.items.iter().enumerate() {
        let comments = item.comments();
        if at > 0 || indented {
            write_head(comments, indent, out);
            pad(indent, out);
        }
        out.push('-');
        match item {
            Node::Map(map) if is_block_map(map) => {
                out.push(' ');
                write_map(map, indent + 2, false, out);
            }
            Node::Seq(seq) if is_block_seq(seq) => {
                out.push(' ');
                write_seq(seq, indent + 2, false, out);
            }
            other => {
                let before = out.len();
                out.push(' ');
                write_inline(other, indent, Spot::Block, out);
                if out.len() == before + 1 {
                    out.truncate(before);
                }
                write_line(comments, out);
                out.push('\n');
            }
        }
        write_foot(comments, indent, at == last, out);
    }
}

fn write_inline(node: &Node, indent: usize, spot: Spot, out: &mut String) {
    match node {
        Node::Scalar(scalar) => write_scalar(scalar, spot, indent, out),
        Node::Map(map) => {
            out.push('{');
            for (at, (key, value)) in map.pairs.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_scalar(key, Spot::Flow, indent, out);
                out.push_str(": ");
                write_inline(value, indent, Spot::Flow, out);
            }
            out.push('}');
        }
        Node::Seq(seq) => {
            out.push('[');
            for (at, item) in seq.items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_inline(item, indent, Spot::Flow, out);
            }
            out.push(']');
        }
    }
}

fn write_scalar(scalar: &Scalar, spot: Spot, indent: usize, out: &mut String) {
    let mut style = scalar.style;
    if style == ScalarStyle::Plain {
        let resolved = Tag::of(resolve(&scalar.text, Booleans::Yaml12));
        match scalar.tag {
            _ if scalar.text.contains('\n') => style = ScalarStyle::Literal,
            Tag::Str if resolved != Tag::Str => style = ScalarStyle::DoubleQuoted,
            Tag::Infer | Tag::Str | Tag::BlankInFlow => {}
            tag if tag != resolved => {
                out.push_str(tag.short());
                out.push(' ');
            }
            _ => {}
        }
    }
    write_styled(&scalar.text, style, spot, indent, out);
}
