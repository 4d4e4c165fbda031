//! From tokens to documents.
//!
//! A recursive descent over the tokens; the depth limit of the scanner bounds
//! the recursion. Errors carry the marks that go-yaml's do.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::decode;
use crate::error::{Error, ErrorKind, Mark, Span};
use crate::json::Dialect;
use crate::limits::Limits;
use crate::node::{CollectionStyle, Document, Kind, Node, Props};
use crate::scan::{ScalarStyle, Scanner, Tok, Token};

type Result<T> = std::result::Result<T, Error>;

/// Reads a stream document by document.
///
/// After an error the stream is over.
pub struct Documents<'a> {
    scanner: Scanner<'a>,
    dialect: Dialect,
    limits: Limits,
    handles: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    anchors: HashMap<&'a str, Anchor<'a>>,
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
    /// A document may begin without `---`.
    implicit: bool,
    done: bool,
    /// Errors of the reader come before those of the scanner.
    broken: Option<Error>,
}

enum Anchor<'a> {
    /// The node is being read: an alias to it would contain itself.
    Open,
    Closed(Box<Closed<'a>>),
}

struct Closed<'a> {
    node: Node<'a>,
    size: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    height: usize,
}

/// Where a node stands, which decides what may follow.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Block,
    /// In a block mapping, where a sequence need not be indented.
    BlockOrIndentless,
    Flow,
}

impl<'a> Documents<'a> {
    /// Reads `text` within `limits`. The dialect decides only which error is
    /// found first and how it is worded.
    pub fn new(text: &'a str, dialect: Dialect, limits: &Limits) -> Self {
        let lookahead = match dialect {
            Dialect::GoYaml3 => 2,
            Dialect::Sigs | Dialect::SigsStrict => 0,
        };
        Documents {
            scanner: Scanner::new(text, limits.max_depth, lookahead),
            dialect,
            limits: limits.clone(),
            handles: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            alias_nodes: 0,
            alias_bytes: 0,
            implicit: true,
            done: false,
            broken: decode::check(text, limits).err(),
        }
    }

    /// The next document, or `None` at the end of the stream.
    ///
    /// # Errors
    /// Malformed text or an exceeded limit.
    pub fn next_document(&mut self) -> Result<Option<Document<'a>>> {
        if self.done {
            return Ok(None);
        }
        let document = match self.broken.take() {
            Some(error) => Err(error),
            None => self.document(),
        };
        self.done = !matches!(document, Ok(Some(_)));
        document.map_err(|error| match self.dialect {
            Dialect::GoYaml3 => error.of_go_yaml3(),
            Dialect::Sigs | Dialect::SigsStrict => error,
        })
    }

    fn document(&mut self) -> Result<Option<Document<'a>>> {
        if !self.implicit {
            while self.scanner.peek()?.tok == Tok::DocumentEnd {
                self.scanner.next()?;
            }
        }
        let first = self.scanner.peek()?;
        let mut start = first.start;
        let explicit = match first.tok {
            Tok::StreamEnd => return Ok(None),
            Tok::Version(..) | Tok::TagHandle(..) | Tok::DocumentStart => true,
            _ => !self.implicit,
        };
        self.handles = vec![
            (Cow::Borrowed("!"), Cow::Borrowed("!")),
            (Cow::Borrowed("!!"), Cow::Borrowed("tag:yaml.org,2002:")),
        ];
        if explicit {
            self.directives()?;
            let token = self.scanner.peek()?;
            start = token.start;
            if token.tok != Tok::DocumentStart {
                return Err(Error::new(
                    ErrorKind::Parser,
                    "did not find expected <document start>",
                    Some(start),
                ));
            }
            self.scanner.next()?;
        }
        self.implicit = false;
        self.anchors.clear();
        (self.nodes, self.alias_nodes, self.alias_bytes) = (0, 0, 0);

        let token = self.scanner.peek()?;
        let empty = matches!(
            token.tok,
            Tok::Version(..)
                | Tok::TagHandle(..)
                | Tok::DocumentStart
                | Tok::DocumentEnd
                | Tok::StreamEnd
        );
        let root = if empty && explicit {
            let mark = token.start;
            self.empty_scalar(mark)?
        } else {
            self.node(Place::Block)?
        };
        let end = root.span.end;
        if self.scanner.peek()?.tok == Tok::DocumentEnd {
            self.scanner.next()?;
        }
        let mut comments = std::mem::take(&mut self.scanner.comments);
        // Comments behind the content that the scanner has already seen stay
        // with this document; a reader of comments looks at their places.
        comments.shrink_to_fit();
        Ok(Some(Document {
            root,
            span: Span { start, end },
            comments,
        }))
    }

    fn directives(&mut self) -> Result<()> {
        let mut version = false;
        let mut own = 0;
        loop {
            let token = self.scanner.peek()?;
            let start = token.start;
            let fail = |problem| Err(Error::new(ErrorKind::Parser, problem, Some(start)));
            match &token.tok {
                Tok::Version(major, minor) => {
                    if version {
                        return fail("found duplicate %YAML directive");
                    }
                    if (*major, *minor) != (1, 1) {
                        return fail("found incompatible YAML document");
                    }
                    version = true;
                }
                Tok::TagHandle(handle, prefix) => {
                    let known = self.handles.len() - own;
                    if self.handles[known..].iter().any(|(h, _)| h == handle) {
                        return fail("found duplicate %TAG directive");
                    }
                    self.handles.push((Cow::Borrowed(handle), prefix.clone()));
                    own += 1;
                }
                _ => return Ok(()),
            }
            self.scanner.next()?;
        }
    }

    fn count(&mut self, nodes: usize, mark: Mark) -> Result<()> {
        self.nodes += nodes;
        if self.nodes > self.limits.max_nodes {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("document has more than {} nodes", self.limits.max_nodes),
                Some(mark),
            ));
        }
        Ok(())
    }

    fn empty_scalar(&mut self, mark: Mark) -> Result<Node<'a>> {
        self.count(1, mark)?;
        Ok(Node {
            kind: Kind::Scalar {
                text: Cow::Borrowed(""),
                style: ScalarStyle::Plain,
            },
            props: None,
            span: Span {
                start: mark,
                end: mark,
            },
        })
    }

    fn node(&mut self, place: Place) -> Result<Node<'a>> {
        let first = self.scanner.peek()?;
        let start = first.start;
        if let Tok::Alias(name) = first.tok {
            let end = first.end;
            self.scanner.next()?;
            return self.alias(name, Span { start, end });
        }
        self.count(1, start)?;
        let mut props: Option<Box<Props<'a>>> = None;
        let mut end = start;
        loop {
            let token = self.scanner.peek()?;
            let taken = props.as_deref();
            match token.tok {
                Tok::Anchor(_) if taken.is_none_or(|p| p.anchor.is_none()) => {}
                Tok::Tag(..) if taken.is_none_or(|p| p.tag.is_none()) => {}
                _ => break,
            }
            let token = self.scanner.next()?;
            end = token.end;
            let props = props.get_or_insert_default();
            match token.tok {
                Tok::Anchor(name) => {
                    props.anchor = Some(name);
                    self.anchors.insert(name, Anchor::Open);
                }
                Tok::Tag(handle, suffix) => {
                    props.tag = Some(self.short_tag(handle, suffix, start, token.start)?);
                }
                _ => {}
            }
        }
        let kind;
        let token = self.scanner.peek()?;
        match &token.tok {
            Tok::BlockEntry if place == Place::BlockOrIndentless => {
                let items = self.indentless_sequence(&mut end)?;
                kind = Kind::Sequence {
                    items,
                    style: CollectionStyle::Block,
                };
            }
            Tok::Scalar(..) => {
                let token = self.scanner.next()?;
                end = token.end;
                let Tok::Scalar(text, style) = token.tok else {
                    unreachable!("peeked")
                };
                kind = Kind::Scalar { text, style };
            }
            Tok::FlowSequence => kind = self.flow_sequence(&mut end)?,
            Tok::FlowMapping => kind = self.flow_mapping(&mut end)?,
            Tok::BlockSequence if place != Place::Flow => kind = self.block_sequence(&mut end)?,
            Tok::BlockMapping if place != Place::Flow => kind = self.block_mapping(&mut end)?,
            _ if props.is_some() => {
                kind = Kind::Scalar {
                    text: Cow::Borrowed(""),
                    style: ScalarStyle::Plain,
                };
            }
            _ => {
                return Err(Error::in_context(
                    ErrorKind::Parser,
                    "did not find expected node content",
                    start,
                    token.start,
                ));
            }
        }
        let node = Node {
            kind,
            props,
            span: Span { start, end },
        };
        if let Some(name) = node.anchor() {
            let size = measure(&node);
            self.count(size.nodes, start)?;
            self.anchors.insert(
                name,
                Anchor::Closed(Box::new(Closed {
                    node: node.clone(),
                    size,
                })),
            );
        }
        Ok(node)
    }

    fn alias(&mut self, name: &'a str, span: Span) -> Result<Node<'a>> {
        let fail =
            |problem: String| Err(Error::new(ErrorKind::Composer, problem, Some(span.start)));
        let (mut node, size) = match self.anchors.get(name) {
            None => return fail(format!("unknown anchor '{name}' referenced")),
            Some(Anchor::Open) => return fail(format!("anchor '{name}' value contains itself")),
            Some(Anchor::Closed(closed)) => {
                let size = closed.size;
                let nodes = self.nodes + size.nodes;
                let aliased = self.alias_nodes + size.nodes;
                if aliased > 100
                    && nodes > 1000
                    && aliased as f64 / nodes as f64 > allowed_alias_share(nodes)
                {
                    return fail("document contains excessive aliasing".to_owned());
                }
                if self.alias_bytes + size.bytes > self.limits.max_alias_bytes {
                    return fail("document contains excessive aliasing".to_owned());
                }
                if size.height > self.limits.max_depth {
                    return fail(format!("exceeded max depth of {}", self.limits.max_depth));
                }
                (closed.node.clone(), size)
            }
        };
        self.count(size.nodes, span.start)?;
        self.alias_nodes += size.nodes;
        self.alias_bytes += size.bytes;
        let props = node.props.get_or_insert_default();
        props.anchor = None;
        props.alias = Some(name);
        node.span = span;
        Ok(node)
    }

    fn short_tag(
        &self,
        handle: Cow<'a, str>,
        suffix: Cow<'a, str>,
        start: Mark,
        mark: Mark,
    ) -> Result<Cow<'a, str>> {
        const LONG: &str = "tag:yaml.org,2002:";
        let full: Cow<'a, str> = if handle.is_empty() {
            suffix
        } else {
            let prefix = self.handles.iter().rev().find(|(h, _)| *h == handle);
            let Some((_, prefix)) = prefix else {
                return Err(Error::in_context(
                    ErrorKind::Parser,
                    "found undefined tag handle",
                    start,
                    mark,
                ));
            };
            Cow::Owned(format!("{prefix}{suffix}"))
        };
        Ok(match full.strip_prefix(LONG) {
            Some(short) => Cow::Owned(format!("!!{short}")),
            None => full,
        })
    }

    fn block_sequence(&mut self, end: &mut Mark) -> Result<Kind<'a>> {
        let open = self.scanner.next()?.start;
        let mut items = Vec::new();
        loop {
            let token = self.scanner.next()?;
            match token.tok {
                Tok::BlockEntry => {
                    let next = self.scanner.peek()?;
                    items.push(match next.tok {
                        Tok::BlockEntry | Tok::BlockEnd => self.empty_scalar(token.end)?,
                        _ => self.node(Place::Block)?,
                    });
                }
                Tok::BlockEnd => {
                    *end = items.last().map_or(token.end, |n: &Node<'_>| n.span.end);
                    return Ok(Kind::Sequence {
                        items,
                        style: CollectionStyle::Block,
                    });
                }
                _ => {
                    return Err(Error::in_context(
                        ErrorKind::Parser,
                        "did not find expected '-' indicator",
                        open,
                        token.start,
                    ));
                }
            }
        }
    }

    fn indentless_sequence(&mut self, end: &mut Mark) -> Result<Vec<Node<'a>>> {
        let mut items = Vec::new();
        while self.scanner.peek()?.tok == Tok::BlockEntry {
            let token = self.scanner.next()?;
            let next = self.scanner.peek()?;
            let item = match next.tok {
                Tok::BlockEntry | Tok::Key | Tok::Value | Tok::BlockEnd => {
                    self.empty_scalar(token.end)?
                }
                _ => self.node(Place::Block)?,
            };
            *end = item.span.end;
            items.push(item);
        }
        Ok(items)
    }

    fn block_mapping(&mut self, end: &mut Mark) -> Result<Kind<'a>> {
        let open = self.scanner.next()?.start;
        let mut pairs: Vec<(Node<'a>, Node<'a>)> = Vec::new();
        loop {
            let token = self.scanner.next()?;
            match token.tok {
                Tok::Key => {}
                Tok::BlockEnd => {
                    *end = pairs.last().map_or(token.end, |(_, v)| v.span.end);
                    return Ok(Kind::Mapping {
                        pairs,
                        style: CollectionStyle::Block,
                    });
                }
                _ => {
                    return Err(Error::in_context(
                        ErrorKind::Parser,
                        "did not find expected key",
                        open,
                        token.start,
                    ));
                }
            }
            let key = self.block_pair_part(token.end)?;
            let value = if self.scanner.peek()?.tok == Tok::Value {
                let mark = self.scanner.next()?.end;
                self.block_pair_part(mark)?
            } else {
                let mark = self.scanner.peek()?.start;
                self.empty_scalar(mark)?
            };
            pairs.push((key, value));
        }
    }

    fn block_pair_part(&mut self, mark: Mark) -> Result<Node<'a>> {
        match self.scanner.peek()?.tok {
            Tok::Key | Tok::Value | Tok::BlockEnd => self.empty_scalar(mark),
            _ => self.node(Place::BlockOrIndentless),
        }
    }

    fn flow_sequence(&mut self, end: &mut Mark) -> Result<Kind<'a>> {
        let open = self.scanner.next()?.start;
        let mut items = Vec::new();
        let mut first = true;
        while self.scanner.peek()?.tok != Tok::FlowSequenceEnd {
            if !first {
                self.flow_comma(open, "did not find expected ',' or ']'")?;
            }
            first = false;
            let token = self.scanner.peek()?;
            match token.tok {
                Tok::Key => items.push(self.flow_pair()?),
                Tok::FlowSequenceEnd => {}
                _ => items.push(self.node(Place::Flow)?),
            }
        }
        *end = self.scanner.next()?.end;
        Ok(Kind::Sequence {
            items,
            style: CollectionStyle::Flow,
        })
    }

    fn flow_comma(&mut self, open: Mark, problem: &str) -> Result<()> {
        let token: Token<'a> = self.scanner.next()?;
        if token.tok == Tok::FlowEntry {
            return Ok(());
        }
        Err(Error::in_context(
            ErrorKind::Parser,
            problem,
            open,
            token.start,
        ))
    }

    /// A single pair in a flow sequence: `[a: b]`.
    fn flow_pair(&mut self) -> Result<Node<'a>> {
        let token = self.scanner.next()?;
        let start = token.start;
        self.count(1, start)?;
        let next = self.scanner.peek()?;
        let key = match next.tok {
            Tok::Value | Tok::FlowEntry | Tok::FlowSequenceEnd => {
                // go-yaml swallows the token after an empty key.
                let mark = self.scanner.next()?.end;
                self.empty_scalar(mark)?
            }
            _ => self.node(Place::Flow)?,
        };
        let value = self.flow_value(&Tok::FlowSequenceEnd)?;
        let end = value.span.end;
        Ok(Node {
            kind: Kind::Mapping {
                pairs: vec![(key, value)],
                style: CollectionStyle::Flow,
            },
            props: None,
            span: Span { start, end },
        })
    }

    fn flow_value(&mut self, closing: &Tok<'a>) -> Result<Node<'a>> {
        let token = self.scanner.peek()?;
        let mut mark = token.start;
        if token.tok == Tok::Value {
            self.scanner.next()?;
            let next = self.scanner.peek()?;
            mark = next.start;
            if next.tok != Tok::FlowEntry && next.tok != *closing {
                return self.node(Place::Flow);
            }
        }
        self.empty_scalar(mark)
    }

    fn flow_mapping(&mut self, end: &mut Mark) -> Result<Kind<'a>> {
        let open = self.scanner.next()?.start;
        let mut pairs = Vec::new();
        let mut first = true;
        while self.scanner.peek()?.tok != Tok::FlowMappingEnd {
            if !first {
                self.flow_comma(open, "did not find expected ',' or '}'")?;
            }
            first = false;
            let token = self.scanner.peek()?;
            match token.tok {
                Tok::Key => {
                    self.scanner.next()?;
                    let next = self.scanner.peek()?;
                    let mark = next.start;
                    let key = match next.tok {
                        Tok::Value | Tok::FlowEntry | Tok::FlowMappingEnd => {
                            self.empty_scalar(mark)?
                        }
                        _ => self.node(Place::Flow)?,
                    };
                    let value = self.flow_value(&Tok::FlowMappingEnd)?;
                    pairs.push((key, value));
                }
                Tok::FlowMappingEnd => {}
                _ => {
                    let key = self.node(Place::Flow)?;
                    let mark = self.scanner.peek()?.start;
                    let value = self.empty_scalar(mark)?;
                    pairs.push((key, value));
                }
            }
        }
        *end = self.scanner.next()?.end;
        Ok(Kind::Mapping {
            pairs,
            style: CollectionStyle::Flow,
        })
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<Document<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_document().transpose()
    }
}

/// go-yaml's bound: a small document may be nearly all aliases, a large one
/// at most a tenth.
fn allowed_alias_share(nodes: usize) -> f64 {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let nodes = nodes as f64;
    if nodes <= LOW {
        0.99
    } else if nodes >= HIGH {
        0.10
    } else {
        0.99 - 0.89 * ((nodes - LOW) / (HIGH - LOW))
    }
}

fn measure(node: &Node<'_>) -> Size {
    let mut size = Size {
        nodes: 1,
        bytes: 0,
        height: 0,
    };
    let mut add = |child: &Node<'_>| {
        let inner = measure(child);
        size.nodes += inner.nodes;
        size.bytes += inner.bytes;
        size.height = size.height.max(inner.height + 1);
    };
    match &node.kind {
        Kind::Scalar { text, .. } => size.bytes = text.len(),
        Kind::Sequence { items, .. } => items.iter().for_each(add),
        Kind::Mapping { pairs, .. } => pairs.iter().for_each(|(k, v)| {
            add(k);
            add(v);
        }),
    }
    size
}
