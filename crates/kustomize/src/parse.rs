//! From parsed YAML to the tree that transformations work on.

use sluice_yaml::{Booleans, CollectionStyle, Comment, Document, Kind, ScalarStyle, Span, resolve};

use crate::node::{Comments, Map, Node, Repeated, Scalar, Seq, Share, Tag};

type YamlPairs<'a> = Vec<(sluice_yaml::Node<'a>, sluice_yaml::Node<'a>)>;

/// Where a document was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// In a file of manifests or patches: a key `<<` that is quoted, and so is
    /// none to merge, is lost with its value.
    InFile,
    /// Inside of a text.
    InText,
}

/// Turns a document into a tree: merge keys are expanded, aliases stand for
/// themselves, comments stay at their nodes. `line_of` gives the line that an
/// error names for a line of the source.
///
/// # Errors
/// Keys that are not scalars and merge keys without mappings, with go-yaml's
/// texts.
pub(crate) fn tree(
    document: Document<'_>,
    found: Found,
    line_of: &dyn Fn(u32) -> usize,
) -> Result<Node, String> {
    let mut reader = Reader {
        found,
        line_of,
        comments: Cursor {
            list: document.comments,
            at: 0,
        },
    };
    let mut node = reader.node(document.root)?;
    // What is left stands behind the last node.
    let rest = reader.comments.take_all();
    if !rest.is_empty() {
        match &mut node {
            Node::Map(map) => {
                if let Some((key, _)) = map.pairs.last_mut() {
                    key.comments.get_or_insert_default().foot.extend(rest);
                }
            }
            Node::Seq(seq) => {
                if let Some(comments) = seq.items.last_mut().map(comments_of) {
                    comments.get_or_insert_default().foot.extend(rest);
                }
            }
            Node::Scalar(scalar) => {
                scalar.comments.get_or_insert_default().foot.extend(rest);
            }
        }
    }
    Ok(node)
}

fn comments_of(node: &mut Node) -> &mut Option<Box<Comments>> {
    match node {
        Node::Scalar(scalar) => &mut scalar.comments,
        Node::Map(map) => &mut map.comments,
        Node::Seq(seq) => &mut seq.comments,
    }
}

/// The comments that have not found their node yet.
struct Cursor<'a> {
    list: Vec<Comment<'a>>,
    at: usize,
}

impl Cursor<'_> {
    /// The comments on lines of their own before a place: those that an empty
    /// line or a deeper column parts from it belong to what is before.
    fn take_before(&mut self, span: Span) -> (Vec<String>, Vec<String>) {
        let from = self.at;
        while self
            .list
            .get(self.at)
            .is_some_and(|comment| comment.span.start.offset < span.start.offset)
        {
            self.at += 1;
        }
        let taken = &self.list[from..self.at];
        let mut head_from = taken.len();
        let mut next_line = span.start.line;
        for (at, comment) in taken.iter().enumerate().rev() {
            let start = comment.span.start;
            if !comment.own_line || start.line + 1 != next_line || start.column > span.start.column
            {
                break;
            }
            next_line = start.line;
            head_from = at;
        }
        let text = |comment: &Comment<'_>| comment.text.to_owned();
        (
            taken[..head_from].iter().map(text).collect(),
            taken[head_from..].iter().map(text).collect(),
        )
    }

    /// The comment behind a place in its line.
    fn take_in_line(&mut self, line: u32) -> Option<String> {
        let comment = self.list.get(self.at)?;
        if comment.own_line || comment.span.start.line != line {
            return None;
        }
        self.at += 1;
        Some(comment.text.to_owned())
    }

    fn take_all(&mut self) -> Vec<String> {
        let rest = self.list[self.at..]
            .iter()
            .map(|comment| comment.text.to_owned())
            .collect();
        self.at = self.list.len();
        rest
    }
}

struct Reader<'r, 'a> {
    found: Found,
    line_of: &'r dyn Fn(u32) -> usize,
    comments: Cursor<'a>,
}

impl Reader<'_, '_> {
    fn node(&mut self, node: sluice_yaml::Node<'_>) -> Result<Node, String> {
        let tag = node.props.as_ref().and_then(|props| props.tag.as_deref());
        match node.kind {
            Kind::Scalar { text, style } => scalar(text.into_owned(), style, tag).map(Node::Scalar),
            Kind::Sequence { items, style } => self.sequence(items, style),
            Kind::Mapping { pairs, style } => self.mapping(pairs, style).map(Node::Map),
        }
    }

    fn sequence(
        &mut self,
        items: Vec<sluice_yaml::Node<'_>>,
        style: CollectionStyle,
    ) -> Result<Node, String> {
        let mut seq = Seq {
            items: Vec::with_capacity(items.len()),
            flow: style == CollectionStyle::Flow,
            comments: None,
        };
        let mut items = items.into_iter().peekable();
        while let Some(item) = items.next() {
            let span = item.span;
            let next = items.peek().map(|next| next.span.start.line);
            let (foot, head) = self.comments.take_before(span);
            if let Some(last) = seq.items.last_mut().filter(|_| !foot.is_empty()) {
                comments_of(last).get_or_insert_default().foot.extend(foot);
            }
            let mut node = self.node(item)?;
            if seq.flow {
                stay_text(&mut node);
            }
            let line = match owns_line(span, next, style) {
                true => self.comments.take_in_line(span.end.line),
                false => None,
            };
            if !head.is_empty() || line.is_some() {
                let comments = comments_of(&mut node).get_or_insert_default();
                comments.head = head;
                comments.line = comments.line.take().or(line);
            }
            seq.items.push(node);
        }
        Ok(Node::Seq(seq))
    }

    fn mapping(&mut self, pairs: YamlPairs<'_>, style: CollectionStyle) -> Result<Map, String> {
        let is_merge = |key: &sluice_yaml::Node<'_>| {
            key.tag().is_none()
                && matches!(&key.kind, Kind::Scalar { text, style: ScalarStyle::Plain } if text == "<<")
        };
        let mut map = Map {
            pairs: Vec::with_capacity(pairs.len()),
            flow: style == CollectionStyle::Flow,
            repeated: repeated_keys(&pairs, self.line_of),
            comments: None,
        };
        let mut merges = Vec::new();
        let mut pairs = pairs.into_iter().peekable();
        while let Some((key, value)) = pairs.next() {
            let next = pairs.peek().map(|(key, _)| key.span.start.line);
            if is_merge(&key) {
                merges.push(value);
                continue;
            }
            if self.found == Found::InFile && key.as_str() == Some("<<") {
                continue;
            }
            let key_span = key.span;
            let (foot, head) = self.comments.take_before(key_span);
            if let Some((last, _)) = map.pairs.last_mut().filter(|_| !foot.is_empty()) {
                last.comments.get_or_insert_default().foot.extend(foot);
            }
            let mut key = match self.node(key)? {
                Node::Scalar(key) => key,
                other => {
                    let kind = match other {
                        Node::Map(_) => "!!map",
                        _ => "!!seq",
                    };
                    return Err(format!(
                        "yaml: unmarshal errors:\n  line {}: cannot unmarshal {kind} into string",
                        (self.line_of)(key_span.start.line)
                    ));
                }
            };
            let span = value.span;
            if span.start.line > key_span.start.line
                && let Some(line) = self.comments.take_in_line(key_span.start.line)
            {
                key.comments.get_or_insert_default().line = Some(line);
            }
            if !head.is_empty() {
                key.comments.get_or_insert_default().head = head;
            }
            let mut value = self.node(value)?;
            if map.flow {
                stay_text(&mut value);
            }
            if owns_line(span, next, style)
                && let Some(line) = self.comments.take_in_line(span.end.line)
            {
                comments_of(&mut value).get_or_insert_default().line = Some(line);
            }
            if style == CollectionStyle::Flow
                && let Node::Scalar(scalar) = &mut value
                && scalar.tag == Tag::Null
                && scalar.text.is_empty()
            {
                scalar.tag = Tag::BlankInFlow;
            }
            map.pairs.push((key, value));
        }
        for merge in merges {
            self.merge(&mut map, merge)?;
        }
        Ok(map)
    }

    /// Adds the pairs of `<<` that the mapping does not have.
    fn merge(&mut self, map: &mut Map, merge: sluice_yaml::Node<'_>) -> Result<(), String> {
        let sources = match merge.kind {
            Kind::Sequence { items, .. } => items,
            _ => vec![merge],
        };
        for source in sources {
            let Node::Map(source) = self.node(source)? else {
                return Err("map merge requires map or sequence of maps as the value".to_owned());
            };
            for (key, value) in source.pairs {
                if map.get(&key.text).is_none() {
                    map.pairs.push((key, value));
                }
            }
        }
        Ok(())
    }
}

/// True when a comment in the line belongs to the node: in a flow collection that
/// is so when more of it follows in another line.
fn owns_line(span: Span, next: Option<u32>, style: CollectionStyle) -> bool {
    style == CollectionStyle::Block || next.is_some_and(|line| line > span.end.line)
}

/// A time in a flow collection is put in quotes when go-yaml writes it, for its
/// colons, and is a text from then on.
fn stay_text(node: &mut Node) {
    if let Node::Scalar(scalar) = node
        && scalar.tag == Tag::Timestamp
        && scalar.text.contains(':')
    {
        scalar.tag = Tag::Str;
    }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&str>) -> Result<Scalar, String> {
    let typed = |text, tag, style| Scalar {
        text,
        tag,
        style,
        comments: None,
        share: Share::default(),
    };
    let plain = |text, tag| typed(text, tag, ScalarStyle::Plain);
    Ok(match tag {
        None if style == ScalarStyle::Plain => {
            let tag = Tag::of(resolve(&text, Booleans::Yaml12));
            plain(text, tag)
        }
        Some("!") => plain(text, Tag::Infer),
        Some("!!int") => plain(text, Tag::Int),
        Some("!!float") => plain(text, Tag::Float),
        Some("!!bool") => plain(text, Tag::Bool),
        Some("!!null") => plain(text, Tag::Null),
        Some("!!timestamp") => plain(text, Tag::Timestamp),
        Some("!!binary") => typed(text, Tag::Binary, style),
        None | Some(_) => typed(text, Tag::Str, style),
    })
}

/// go-yaml's lines about keys that occur more than once.
fn repeated_keys(pairs: &YamlPairs<'_>, line_of: &dyn Fn(u32) -> usize) -> Option<Repeated> {
    const FEW: usize = 16;
    /// Nobody reads more lines than these.
    const MOST: usize = 100;
    let text = |at: usize| pairs[at].0.as_str();
    let mut found = Vec::new();
    if pairs.len() <= FEW {
        for at in 1..pairs.len() {
            if let Some(first) =
                (0..at).find(|&first| text(first).is_some() && text(first) == text(at))
            {
                found.push((first, at));
            }
        }
    } else {
        let mut seen = std::collections::HashMap::with_capacity(pairs.len());
        for at in 0..pairs.len() {
            if let Some(key) = text(at)
                && let Some(first) = seen.insert(key, at)
            {
                found.push((first, at));
            }
        }
    }
    if found.is_empty() {
        return None;
    }
    let lines: Vec<String> = found
        .into_iter()
        .take(MOST)
        .map(|(first, at)| {
            format!(
                "line {}: mapping key {} already defined at line {}",
                line_of(pairs[at].0.span.start.line),
                crate::output::go_quote(text(at).unwrap_or_default()),
                line_of(pairs[first].0.span.start.line)
            )
        })
        .collect();
    Some(Repeated(lines.join("\n  ").into()))
}
