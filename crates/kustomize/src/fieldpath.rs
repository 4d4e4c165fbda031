//! Paths of replacements: fields, indices, matchers and wildcards.

use sluice_gotemplate::regexp::Regexp;

use crate::node::{Map, Node, Scalar, Share, Tag};
use crate::selector::{is_literal, regex};

/// Splits a path at its dots; `\.` is a dot, and what stands in brackets stays
/// together.
pub(crate) fn split(path: &str) -> Vec<String> {
    let path = path.strip_prefix('.').unwrap_or(path);
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('.') {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push('.');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    let mut out = Vec::with_capacity(parts.len());
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            out.push(part);
            continue;
        }
        let mut joined = part;
        for next in parts.by_ref() {
            joined.push('.');
            joined.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        if joined.contains('=') {
            out.push(joined);
        } else {
            out.push(joined.trim_matches(['[', ']']).to_owned());
        }
    }
    out
}

/// What a missing leaf becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreateKind {
    Scalar,
    Map,
    Seq,
}

impl CreateKind {
    pub(crate) fn of(node: &Node) -> Self {
        match node {
            Node::Scalar(_) => CreateKind::Scalar,
            Node::Map(_) => CreateKind::Map,
            Node::Seq(_) => CreateKind::Seq,
        }
    }

    fn fresh(self) -> Node {
        match self {
            CreateKind::Scalar => Node::Scalar(Scalar {
                text: String::new(),
                tag: Tag::Infer,
                style: sluice_yaml::ScalarStyle::Plain,
                comments: None,
                share: Share::default(),
            }),
            CreateKind::Map => Node::map(),
            CreateKind::Seq => Node::seq(Vec::new()),
        }
    }
}

pub(crate) fn is_index(part: &str) -> bool {
    number(part).is_some_and(|number| number >= 0)
}

/// A whole number, signed or not, as Go's `Atoi` reads it.
fn number(part: &str) -> Option<i64> {
    part.parse().ok()
}

pub(crate) fn is_matcher(part: &str) -> bool {
    part.starts_with('[') && part.ends_with(']')
}

/// Field and value of a matcher.
fn matcher(part: &str) -> Result<(&str, &str), String> {
    part[1..part.len() - 1].split_once('=').ok_or_else(|| {
        "list path element must contain fieldName=fieldValue for element to match".to_owned()
    })
}

/// What a matcher compares: a field of an element, or the element itself,
/// whose text is empty when it is a mapping or a list.
fn own_text<'n>(item: &'n Node, field: &str) -> Option<&'n str> {
    if field.is_empty() {
        return Some(item.text().unwrap_or_default());
    }
    item.get(field).and_then(Node::text)
}

fn wrong_kind(expected: &str, node: &Node) -> String {
    format!(
        "wrong node kind: expected {expected} but got {}: node contents:\n{}",
        node.kind().go_name(),
        crate::output::show(node)
    )
}

/// Looks a value up, by the rules for sources.
///
/// # Errors
/// A part that does not suit the node it meets.
pub(crate) fn get<'n>(root: &'n Node, path: &[String]) -> Result<Option<&'n Node>, String> {
    let mut here = root;
    for part in path {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        if here.is_null() {
            return Ok(None);
        }
        let next = if part == "*" {
            return Err("wildcard is not supported in PathGetter".to_owned());
        } else if part == "-" {
            here.as_seq()
                .ok_or_else(|| wrong_kind("SequenceNode", here))?
                .last()
        } else if let Some(index) = number(part) {
            let at = usize::try_from(index)
                .map_err(|_| format!("array index {index} cannot be negative"))?;
            let items = here
                .as_seq()
                .ok_or_else(|| wrong_kind("SequenceNode", here))?;
            items.get(at)
        } else if is_matcher(part) {
            let (field, value) = matcher(part)?;
            let items = here
                .as_seq()
                .ok_or_else(|| wrong_kind("SequenceNode", here))?;
            items
                .iter()
                .find(|item| own_text(item, field) == Some(value))
        } else {
            here.as_map()
                .ok_or_else(|| wrong_kind("MappingNode", here))?
                .get(part)
        };
        match next {
            Some(node) => here = node,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

/// As [`get`], in an object. A path without parts is none.
///
/// # Errors
/// As [`get`].
pub(crate) fn get_in(root: &Map, path: &[String]) -> Result<Option<Node>, String> {
    let is_blank = |part: &&String| part.trim().is_empty();
    let Some(at) = path.iter().position(|part| !is_blank(&part)) else {
        return Ok(Some(Node::Map(root.clone())));
    };
    let (part, rest) = (path[at].trim(), &path[at + 1..]);
    if part == "*" || part == "-" || number(part).is_some() || is_matcher(part) {
        return get(&Node::Map(root.clone()), &path[at..]).map(|found| found.cloned());
    }
    match root.get(part) {
        Some(node) => get(node, rest).map(|found| found.cloned()),
        None => Ok(None),
    }
}

/// Looks a scalar up, by the rules for sources; fields and elements that
/// matchers name are made when they are missing, indices are not, and there is
/// nothing below a null.
///
/// # Errors
/// As [`get`].
pub(crate) fn get_or_create<'n>(
    root: &'n mut Node,
    path: &[&str],
) -> Result<Option<&'n mut Node>, String> {
    let mut here = root;
    let parts: Vec<&str> = path.iter().map(|part| part.trim()).collect();
    for (at, part) in parts.iter().enumerate() {
        if part.is_empty() {
            continue;
        }
        if here.is_null() {
            return Ok(None);
        }
        if *part == "*" {
            return Err("wildcard is not supported in PathGetter".to_owned());
        }
        let index = number(part);
        if *part != "-" && index.is_none() && !is_matcher(part) {
            let Node::Map(map) = here else {
                return Err(wrong_kind("MappingNode", here));
            };
            let place = match map.position(part) {
                Some(place) => place,
                None => {
                    let fresh = match parts.get(at + 1) {
                        None => CreateKind::Scalar.fresh(),
                        Some(next) if is_index(next) || is_matcher(next) => Node::seq(Vec::new()),
                        Some(_) => Node::map(),
                    };
                    map.pairs.push((Scalar::untagged(*part), fresh));
                    map.pairs.len() - 1
                }
            };
            here = &mut map.pairs[place].1;
            continue;
        }
        let Node::Seq(items) = here else {
            return Err(wrong_kind("SequenceNode", here));
        };
        let place = if let Some(index) = index {
            usize::try_from(index).map_err(|_| format!("array index {index} cannot be negative"))?
        } else if *part == "-" {
            match items.len().checked_sub(1) {
                Some(last) => last,
                None => return Ok(None),
            }
        } else {
            let (field, value) = matcher(part)?;
            let found = items
                .iter()
                .position(|item| own_text(item, field) == Some(value));
            found.unwrap_or_else(|| {
                items.push(matched(field, value));
                items.len() - 1
            })
        };
        match items.get_mut(place) {
            Some(item) => here = item,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

/// The element that a matcher asks for.
fn matched(field: &str, value: &str) -> Node {
    if field.is_empty() {
        return Node::Scalar(Scalar::plain(value));
    }
    Node::Map(Map::of(vec![(
        Scalar::untagged(field),
        Node::Scalar(Scalar::plain(value)),
    )]))
}

/// Why a visit failed: on the way, or at a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VisitError {
    Path(String),
    Field(String),
}

type Visitor<'v> = dyn FnMut(&mut Node) -> Result<(), String> + 'v;

/// Calls `leaf` on every field that the path matches, by the rules for
/// targets; with `create`, missing fields are made.
///
/// # Errors
/// A part that does not suit the node it meets, or what `leaf` says.
pub(crate) fn visit(
    node: &mut Node,
    path: &[String],
    create: Option<CreateKind>,
    leaf: &mut Visitor<'_>,
) -> Result<(), VisitError> {
    let [part, rest @ ..] = path else {
        return leaf(node).map_err(VisitError::Field);
    };
    if part == "*" {
        return match node {
            Node::Seq(items) => items
                .iter_mut()
                .try_for_each(|item| visit(item, rest, create, leaf)),
            other => Err(VisitError::Path(wrong_kind("SequenceNode", other))),
        };
    }
    if is_index(part) {
        return visit_index(node, part, rest, create, leaf);
    }
    if is_matcher(part) {
        return visit_matching(node, part, rest, create, leaf);
    }
    if part.is_empty() {
        // Not a field: it asks for a text, and for an empty one.
        return match node {
            Node::Scalar(scalar) if scalar.text.is_empty() => visit(node, rest, create, leaf),
            Node::Scalar(_) => Ok(()),
            other => Err(VisitError::Path(wrong_kind("ScalarNode", other))),
        };
    }
    visit_field(node, part, rest, create, leaf)
}

/// The node that a missing part becomes, given what follows it.
fn missing(rest: &[String], create: CreateKind) -> Node {
    match rest.first() {
        None => create.fresh(),
        Some(next) if is_index(next) || is_matcher(next) => Node::seq(Vec::new()),
        Some(_) => Node::map(),
    }
}

fn visit_field(
    node: &mut Node,
    part: &str,
    rest: &[String],
    create: Option<CreateKind>,
    leaf: &mut Visitor<'_>,
) -> Result<(), VisitError> {
    if node.is_null() {
        match create {
            Some(_) => *node = Node::map(),
            None => return Ok(()),
        }
    }
    let Node::Map(map) = node else {
        return Err(VisitError::Path(wrong_kind("MappingNode", node)));
    };
    if let Some(slot) = map.get_mut(part) {
        if slot.is_null() && !rest.is_empty() {
            match create {
                Some(create) => *slot = missing(rest, create),
                None => return Ok(()),
            }
        }
        return visit(slot, rest, create, leaf);
    }
    let Some(create) = create else {
        return Ok(());
    };
    map.pairs
        .push((Scalar::untagged(part), missing(rest, create)));
    let at = map.pairs.len() - 1;
    visit(&mut map.pairs[at].1, rest, Some(create), leaf)
}

fn visit_index(
    node: &mut Node,
    part: &str,
    rest: &[String],
    create: Option<CreateKind>,
    leaf: &mut Visitor<'_>,
) -> Result<(), VisitError> {
    if node.is_null() && create.is_some() {
        *node = Node::seq(Vec::new());
    }
    let Node::Seq(items) = node else {
        return Err(VisitError::Path(wrong_kind("SequenceNode", node)));
    };
    let index = number(part)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| VisitError::Path(format!("{part} is no index")))?;
    if index == items.len()
        && let Some(create) = create
    {
        items.push(missing(rest, create));
    }
    let length = items.len();
    match items.get_mut(index) {
        Some(item) => visit(item, rest, create, leaf),
        None => Err(VisitError::Path(format!(
            "index {index} specified but only {length} elements found"
        ))),
    }
}

/// What a matcher of targets compares: the YAML of the field of an element or of
/// the element itself, with its quotes and comments.
fn own_yaml(item: &Node, field: &str) -> Option<String> {
    let node = match field {
        "" => item,
        field => item.get(field)?,
    };
    Some(crate::yaml3::to_text_with_comments(node).trim().to_owned())
}

/// Elements whose field, or which themselves, match an unanchored pattern. What
/// a path has behind a matcher of elements themselves does not count.
fn visit_matching(
    node: &mut Node,
    part: &str,
    rest: &[String],
    create: Option<CreateKind>,
    leaf: &mut Visitor<'_>,
) -> Result<(), VisitError> {
    let (field, value) = matcher(part).map_err(VisitError::Path)?;
    let rest = if field.is_empty() { &[] } else { rest };
    if node.is_null() && create.is_some() {
        *node = Node::seq(Vec::new());
    }
    let Node::Seq(items) = node else {
        return Err(VisitError::Path(wrong_kind("SequenceNode", node)));
    };
    let pattern: Option<Regexp> = if is_literal(value) {
        None
    } else {
        Some(regex(value).map_err(VisitError::Path)?)
    };
    let fits = |text: &str| match &pattern {
        Some(pattern) => pattern.is_match(text.as_bytes()),
        None => text.contains(value),
    };
    let mut found = false;
    for item in items.iter_mut() {
        if own_yaml(item, field).is_some_and(|text| fits(&text)) {
            found = true;
            visit(item, rest, create, leaf)?;
        }
    }
    if found || create.is_none() {
        return Ok(());
    }
    let mut item = matched(field, value);
    visit(&mut item, rest, create, leaf)?;
    items.push(item);
    Ok(())
}
