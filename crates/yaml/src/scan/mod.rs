//! From text to tokens.
//!
//! YAML is scanned as go-yaml scans it (YAML 1.1 with its line breaks, its
//! 1024-character rule for implicit keys, its errors), because what the
//! Kubernetes tools accept and refuse is decided there. Indentation and
//! implicit keys are turned into explicit tokens, so that the parser behind it
//! is a plain grammar.

mod scalars;
mod tags;

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::error::{Error, ErrorKind, Mark, Span};

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalarStyle {
    /// Bare text; the only style whose type depends on the text.
    Plain,
    /// `'text'`
    SingleQuoted,
    /// `"text"`
    DoubleQuoted,
    /// `|` block.
    Literal,
    /// `>` block.
    Folded,
}

/// A comment, from `#` to the end of its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment<'a> {
    /// The text with its `#`, without trailing white space.
    pub text: &'a str,
    /// Where it is.
    pub span: Span,
    /// True when only white space is before it in its line.
    pub own_line: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tok<'a> {
    StreamEnd,
    Version(u32, u32),
    TagHandle(&'a str, Cow<'a, str>),
    DocumentStart,
    DocumentEnd,
    BlockSequence,
    BlockMapping,
    BlockEnd,
    FlowSequence,
    FlowSequenceEnd,
    FlowMapping,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    Tag(Cow<'a, str>, Cow<'a, str>),
    Scalar(Cow<'a, str>, ScalarStyle),
}

#[derive(Debug, Clone)]
pub(crate) struct Token<'a> {
    pub tok: Tok<'a>,
    pub start: Mark,
    pub end: Mark,
}

/// A token that may turn out to be an implicit key once `:` is seen.
#[derive(Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    number: usize,
    mark: Mark,
}

pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
    line: u32,
    /// Offset of the first byte of the current line.
    line_start: usize,
    /// Bytes of the current line that continue a character, so that columns
    /// count characters without decoding.
    continuation: usize,
    tokens: VecDeque<Token<'a>>,
    /// How many tokens were handed out.
    taken: usize,
    indent: i64,
    indents: Vec<i64>,
    key_allowed: bool,
    /// One slot for block context and one for each open flow collection.
    keys: Vec<SimpleKey>,
    max_depth: usize,
    /// How many tokens beyond the next are scanned before it is handed out.
    lookahead: usize,
    ended: bool,
    pub comments: Vec<Comment<'a>>,
}

type Result<T> = std::result::Result<T, Error>;

/// What a byte can mean inside a plain scalar.
const ORDINARY: u8 = 0;
const BLANK: u8 = 1;
const COLON: u8 = 2;
const FLOW: u8 = 3;
const WIDE: u8 = 4;

const PLAIN_CLASS: [u8; 256] = {
    let mut table = [ORDINARY; 256];
    table[b' ' as usize] = BLANK;
    table[b'\t' as usize] = BLANK;
    table[b'\n' as usize] = BLANK;
    table[b'\r' as usize] = BLANK;
    table[0] = BLANK;
    table[b':' as usize] = COLON;
    table[b',' as usize] = FLOW;
    table[b'?' as usize] = FLOW;
    table[b'[' as usize] = FLOW;
    table[b']' as usize] = FLOW;
    table[b'{' as usize] = FLOW;
    table[b'}' as usize] = FLOW;
    let mut i = 0x80;
    while i < 256 {
        table[i] = WIDE;
        i += 1;
    }
    table
};

impl<'a> Scanner<'a> {
    /// `text` must have passed [`crate::decode::check`]: no byte 0.
    /// go-yaml v3 scans two tokens ahead, so that of two errors another one
    /// comes first than in v2.
    pub fn new(text: &'a str, max_depth: usize, lookahead: usize) -> Self {
        Scanner {
            text,
            bytes: text.as_bytes(),
            pos: if text.starts_with('\u{feff}') { 3 } else { 0 },
            line: 0,
            line_start: if text.starts_with('\u{feff}') { 3 } else { 0 },
            continuation: 0,
            tokens: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            key_allowed: true,
            keys: vec![SimpleKey::default()],
            max_depth,
            lookahead,
            ended: false,
            comments: Vec::new(),
        }
    }

    /// The next token without taking it.
    pub fn peek(&mut self) -> Result<&Token<'a>> {
        self.fill()?;
        Ok(self.tokens.front().expect("fill leaves a token"))
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Result<Token<'a>> {
        self.fill()?;
        self.taken += 1;
        Ok(self.tokens.pop_front().expect("fill leaves a token"))
    }

    /// Scans until the first token is certain: an implicit key gets its KEY
    /// token in front only when its `:` is found.
    fn fill(&mut self) -> Result<()> {
        loop {
            if self.tokens.len() > self.lookahead || (self.ended && !self.tokens.is_empty()) {
                let head = self.taken;
                let mut waits = false;
                for at in 0..self.keys.len() {
                    let key = self.keys[at];
                    if key.possible && key.number == head && self.key_still_valid(at)? {
                        waits = true;
                        break;
                    }
                }
                if !waits {
                    return Ok(());
                }
            }
            self.fetch()?;
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            offset: self.pos as u32,
            line: self.line,
            column: self.column() as u32,
        }
    }

    #[inline]
    fn column(&self) -> usize {
        self.pos - self.line_start - self.continuation
    }

    #[inline]
    fn at(&self, ahead: usize) -> u8 {
        self.bytes.get(self.pos + ahead).copied().unwrap_or(0)
    }

    /// Length in bytes of the line break at `pos + ahead`, 0 if there is none.
    #[inline]
    fn break_len(&self, ahead: usize) -> usize {
        match self.at(ahead) {
            b'\n' => 1,
            b'\r' => 1 + usize::from(self.at(ahead + 1) == b'\n'),
            0xC2 if self.at(ahead + 1) == 0x85 => 2,
            0xE2 if self.at(ahead + 1) == 0x80 && matches!(self.at(ahead + 2), 0xA8 | 0xA9) => 3,
            _ => 0,
        }
    }

    #[inline]
    fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.at(ahead), b' ' | b'\t')
    }

    /// White space, line break or end of text.
    #[inline]
    fn is_blankz(&self, ahead: usize) -> bool {
        matches!(self.at(ahead), b' ' | b'\t' | 0) || self.break_len(ahead) > 0
    }

    /// Moves over one character that is not a line break.
    #[inline]
    fn skip(&mut self) {
        let len = char_len(self.at(0));
        self.pos += len;
        self.continuation += len - 1;
    }

    fn skip_break(&mut self) {
        self.pos += self.break_len(0);
        self.line += 1;
        self.line_start = self.pos;
        self.continuation = 0;
    }

    /// Moves over a line break and appends what it stands for.
    fn read_break(&mut self, out: &mut String) {
        let len = self.break_len(0);
        if len == 3 {
            out.push_str(&self.text[self.pos..self.pos + 3]);
        } else if len > 0 {
            out.push('\n');
        }
        self.skip_break();
    }

    fn error<T>(&self, context: Mark, problem: &str) -> Result<T> {
        Err(Error::in_context(
            ErrorKind::Scanner,
            problem,
            context,
            self.mark(),
        ))
    }

    fn push(&mut self, tok: Tok<'a>, start: Mark) {
        let end = self.mark();
        self.tokens.push_back(Token { tok, start, end });
    }

    fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    fn fetch(&mut self) -> Result<()> {
        self.skip_to_token();
        self.unroll_indent(self.column() as i64);
        let start = self.mark();
        let byte = self.at(0);
        if byte == 0 {
            return self.fetch_stream_end();
        }
        if self.column() == 0 {
            if byte == b'%' {
                return self.fetch_directive();
            }
            if let Some(tok) = self.document_indicator() {
                self.unroll_indent(-1);
                self.remove_key()?;
                self.key_allowed = false;
                for _ in 0..3 {
                    self.skip();
                }
                self.push(tok, start);
                return Ok(());
            }
        }
        match byte {
            b'[' => self.fetch_flow_start(Tok::FlowSequence),
            b'{' => self.fetch_flow_start(Tok::FlowMapping),
            b']' => self.fetch_flow_end(Tok::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(Tok::FlowMappingEnd),
            b',' => {
                self.remove_key()?;
                self.key_allowed = true;
                self.skip();
                self.push(Tok::FlowEntry, start);
                Ok(())
            }
            b'-' if self.is_blankz(1) => self.fetch_block_entry(),
            b'?' if self.in_flow() || self.is_blankz(1) => self.fetch_key(),
            b':' if self.in_flow() || self.is_blankz(1) => self.fetch_value(),
            b'*' | b'&' => self.fetch_anchor(),
            b'!' => self.fetch_tag(),
            b'|' | b'>' if !self.in_flow() => self.fetch_block_scalar(byte == b'|'),
            b'\'' | b'"' => self.fetch_flow_scalar(byte == b'\''),
            _ => {
                let starts_plain = match byte {
                    b'-' => !self.is_blank(1),
                    b'?' | b':' => !self.in_flow() && !self.is_blankz(1),
                    b' ' | b'\t' | b'\r' | b'\n' => false,
                    b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>'
                    | b'\'' | b'"' | b'%' | b'@' | b'`' => false,
                    _ => true,
                };
                if starts_plain {
                    self.fetch_plain_scalar()
                } else {
                    self.error(start, "found character that cannot start any token")
                }
            }
        }
    }

    /// Skips white space, comments and line breaks up to the next token.
    fn skip_to_token(&mut self) {
        loop {
            while self.at(0) == b' '
                || (self.at(0) == b'\t' && (self.in_flow() || !self.key_allowed))
            {
                self.pos += 1;
            }
            if self.at(0) == b'#' {
                self.skip_comment();
            }
            if self.break_len(0) == 0 {
                return;
            }
            self.skip_break();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// Skips to the end of the line and remembers the comment.
    fn skip_comment(&mut self) {
        let start = self.mark();
        let own_line = self.bytes[self.line_start..self.pos]
            .iter()
            .all(|b| matches!(b, b' ' | b'\t'));
        while self.at(0) != 0 && self.break_len(0) == 0 {
            self.skip();
        }
        let text = self.text[start.offset as usize..self.pos].trim_end();
        let end = self.mark();
        self.comments.push(Comment {
            text,
            span: Span { start, end },
            own_line,
        });
    }

    fn document_indicator(&self) -> Option<Tok<'a>> {
        if self.column() != 0 || !self.is_blankz(3) {
            return None;
        }
        match &self.bytes[self.pos..(self.pos + 3).min(self.bytes.len())] {
            b"---" => Some(Tok::DocumentStart),
            b"..." => Some(Tok::DocumentEnd),
            _ => None,
        }
    }

    // Implicit keys.

    /// An implicit key ends on its line and within 1024 characters.
    fn key_still_valid(&mut self, at: usize) -> Result<bool> {
        let key = self.keys[at];
        if !key.possible {
            return Ok(false);
        }
        let stale = key.mark.line < self.line || key.mark.offset as usize + 1024 < self.pos;
        if stale {
            if key.required {
                return self.error(key.mark, "could not find expected ':'");
            }
            self.keys[at].possible = false;
        }
        Ok(!stale)
    }

    fn save_key(&mut self) -> Result<()> {
        if !self.key_allowed {
            return Ok(());
        }
        let required = !self.in_flow() && self.indent == self.column() as i64;
        let key = SimpleKey {
            possible: true,
            required,
            number: self.taken + self.tokens.len(),
            mark: self.mark(),
        };
        self.remove_key()?;
        *self.keys.last_mut().expect("block context has a slot") = key;
        Ok(())
    }

    fn remove_key(&mut self) -> Result<()> {
        let key = *self.keys.last().expect("block context has a slot");
        if key.possible && key.required {
            return self.error(key.mark, "could not find expected ':'");
        }
        self.keys
            .last_mut()
            .expect("block context has a slot")
            .possible = false;
        Ok(())
    }

    // Indentation.

    /// Opens a block collection when the column is deeper than the indent.
    fn roll_indent(
        &mut self,
        column: i64,
        number: Option<usize>,
        tok: Tok<'a>,
        mark: Mark,
    ) -> Result<()> {
        if self.in_flow() || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        self.check_depth()?;
        let token = Token {
            tok,
            start: mark,
            end: mark,
        };
        match number {
            Some(number) => self.tokens.insert(number - self.taken, token),
            None => self.tokens.push_back(token),
        }
        Ok(())
    }

    fn check_depth(&self) -> Result<()> {
        if self.indents.len() + self.keys.len() > self.max_depth + 1 {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("exceeded max depth of {}", self.max_depth),
                Some(self.mark()),
            ));
        }
        Ok(())
    }

    /// Closes the block collections that are deeper than the column.
    fn unroll_indent(&mut self, column: i64) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            let mark = self.mark();
            self.push(Tok::BlockEnd, mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    // One function a kind of token.

    fn fetch_stream_end(&mut self) -> Result<()> {
        if self.ended {
            let mark = self.mark();
            self.push(Tok::StreamEnd, mark);
            return Ok(());
        }
        self.ended = true;
        // The end acts as a line break, so that a last line without one ends.
        if self.column() != 0 {
            self.line += 1;
            self.line_start = self.pos;
            self.continuation = 0;
        }
        self.unroll_indent(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let mark = self.mark();
        self.push(Tok::StreamEnd, mark);
        Ok(())
    }

    fn fetch_flow_start(&mut self, tok: Tok<'a>) -> Result<()> {
        self.save_key()?;
        self.keys.push(SimpleKey::default());
        self.check_depth()?;
        self.key_allowed = true;
        let start = self.mark();
        self.skip();
        self.push(tok, start);
        Ok(())
    }

    fn fetch_flow_end(&mut self, tok: Tok<'a>) -> Result<()> {
        self.remove_key()?;
        if self.in_flow() {
            self.keys.pop();
        }
        self.key_allowed = false;
        let start = self.mark();
        self.skip();
        self.push(tok, start);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<()> {
        let start = self.mark();
        if !self.in_flow() {
            if !self.key_allowed {
                return self.error(
                    start,
                    "block sequence entries are not allowed in this context",
                );
            }
            self.roll_indent(self.column() as i64, None, Tok::BlockSequence, start)?;
        }
        self.remove_key()?;
        self.key_allowed = true;
        self.skip();
        self.push(Tok::BlockEntry, start);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<()> {
        let start = self.mark();
        if !self.in_flow() {
            if !self.key_allowed {
                return self.error(start, "mapping keys are not allowed in this context");
            }
            self.roll_indent(self.column() as i64, None, Tok::BlockMapping, start)?;
        }
        self.remove_key()?;
        self.key_allowed = !self.in_flow();
        self.skip();
        self.push(Tok::Key, start);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<()> {
        let start = self.mark();
        let slot = self.keys.len() - 1;
        if self.key_still_valid(slot)? {
            let key = self.keys[slot];
            self.tokens.insert(
                key.number - self.taken,
                Token {
                    tok: Tok::Key,
                    start: key.mark,
                    end: key.mark,
                },
            );
            self.roll_indent(
                i64::from(key.mark.column),
                Some(key.number),
                Tok::BlockMapping,
                key.mark,
            )?;
            self.keys[slot].possible = false;
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return self.error(start, "mapping values are not allowed in this context");
                }
                self.roll_indent(self.column() as i64, None, Tok::BlockMapping, start)?;
            }
            self.key_allowed = !self.in_flow();
        }
        self.skip();
        self.push(Tok::Value, start);
        Ok(())
    }

    fn fetch_anchor(&mut self) -> Result<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark();
        let alias = self.at(0) == b'*';
        self.skip();
        let from = self.pos;
        while is_name_byte(self.at(0)) {
            self.pos += 1;
        }
        let ends_well = self.is_blankz(0)
            || matches!(
                self.at(0),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        if self.pos == from || !ends_well {
            return self.error(
                start,
                "did not find expected alphabetic or numeric character",
            );
        }
        let name = &self.text[from..self.pos];
        self.push(
            if alias {
                Tok::Alias(name)
            } else {
                Tok::Anchor(name)
            },
            start,
        );
        Ok(())
    }

    fn fetch_flow_scalar(&mut self, single: bool) -> Result<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark();
        let text = self.scan_quoted(single, start)?;
        let style = if single {
            ScalarStyle::SingleQuoted
        } else {
            ScalarStyle::DoubleQuoted
        };
        self.push(Tok::Scalar(text, style), start);
        Ok(())
    }

    fn fetch_plain_scalar(&mut self) -> Result<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark();
        let (text, end) = self.scan_plain(start)?;
        self.tokens.push_back(Token {
            tok: Tok::Scalar(text, ScalarStyle::Plain),
            start,
            end,
        });
        Ok(())
    }

    fn fetch_block_scalar(&mut self, literal: bool) -> Result<()> {
        self.remove_key()?;
        self.key_allowed = true;
        let start = self.mark();
        let (text, end) = self.scan_block_scalar(literal, start)?;
        let style = if literal {
            ScalarStyle::Literal
        } else {
            ScalarStyle::Folded
        };
        self.tokens.push_back(Token {
            tok: Tok::Scalar(text, style),
            start,
            end,
        });
        Ok(())
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[inline]
fn char_len(first: u8) -> usize {
    match first {
        0..=0xBF => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0.. => 4,
    }
}
