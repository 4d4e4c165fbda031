//! The document tree: what a text says, with styles, tags and places kept.

use std::borrow::Cow;

use crate::error::Span;
use crate::scan::{Comment, ScalarStyle};

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<'a> {
    /// The content; an empty document holds an empty plain scalar.
    pub root: Node<'a>,
    /// From the `---` (or the content, without one) to the end of the content.
    pub span: Span,
    /// The comments in and before the document, in their order.
    pub comments: Vec<Comment<'a>>,
}

impl Document<'_> {
    /// True when the document holds nothing but comments.
    pub fn is_empty(&self) -> bool {
        self.root.props.is_none()
            && matches!(&self.root.kind, Kind::Scalar { text, style: ScalarStyle::Plain } if text.is_empty())
    }
}

/// Whether a collection is written with brackets or with indentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionStyle {
    /// By indentation.
    Block,
    /// `[a, b]` or `{a: b}`.
    Flow,
}

/// One node: a scalar, a sequence or a mapping.
///
/// Aliases are expanded: the node is a copy of the anchored one, with
/// [`Props::alias`] set.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'a> {
    /// The content.
    pub kind: Kind<'a>,
    /// Tag, anchor and alias, which most nodes lack.
    pub props: Option<Box<Props<'a>>>,
    /// Where it is written; for an expanded alias, where the `*name` is.
    pub span: Span,
}

/// The content of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind<'a> {
    /// A single value, not yet typed.
    Scalar {
        /// The text after quotes, escapes and folding are undone.
        text: Cow<'a, str>,
        /// How it is written.
        style: ScalarStyle,
    },
    /// A list.
    Sequence {
        /// The elements.
        items: Vec<Node<'a>>,
        /// How it is written.
        style: CollectionStyle,
    },
    /// Pairs in the order of the text; keys may repeat, `<<` is kept.
    Mapping {
        /// Keys and values.
        pairs: Vec<(Node<'a>, Node<'a>)>,
        /// How it is written.
        style: CollectionStyle,
    },
}

/// The rarer properties of a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Props<'a> {
    /// The tag in short form (`!!int`, `!Ref`); `None` when none is written.
    pub tag: Option<Cow<'a, str>>,
    /// The name behind `&`.
    pub anchor: Option<&'a str>,
    /// The name behind `*` when the node is an expanded alias.
    pub alias: Option<&'a str>,
}

impl<'a> Node<'a> {
    /// The tag in short form, when one is written.
    pub fn tag(&self) -> Option<&str> {
        self.props.as_ref()?.tag.as_deref()
    }

    /// The anchor that the node defines.
    pub fn anchor(&self) -> Option<&'a str> {
        self.props.as_ref()?.anchor
    }

    /// The alias that the node was expanded from.
    pub fn alias(&self) -> Option<&'a str> {
        self.props.as_ref()?.alias
    }

    /// The text of a scalar.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The pairs of a mapping.
    pub fn as_mapping(&self) -> Option<&[(Node<'a>, Node<'a>)]> {
        match &self.kind {
            Kind::Mapping { pairs, .. } => Some(pairs),
            _ => None,
        }
    }

    /// The elements of a sequence.
    pub fn as_sequence(&self) -> Option<&[Node<'a>]> {
        match &self.kind {
            Kind::Sequence { items, .. } => Some(items),
            _ => None,
        }
    }

    /// The value under a key of a mapping; the last one when it repeats.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.as_mapping()?
            .iter()
            .rev()
            .find(|(k, _)| k.as_str() == Some(key))
            .map(|(_, value)| value)
    }

    /// True for a plain scalar without a tag, whose text decides its type.
    pub(crate) fn is_untagged_plain(&self) -> bool {
        self.tag().is_none()
            && matches!(
                self.kind,
                Kind::Scalar {
                    style: ScalarStyle::Plain,
                    ..
                }
            )
    }
}
