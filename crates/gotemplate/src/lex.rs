//! Splits template text into tokens.
//!
//! One token is read at a time, so that an error in the text is reported where
//! Go reports it, after what precedes it has been parsed.

use crate::text::{decode_rune, is_digit, is_letter, is_print};

/// The pair of marks around an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiters {
    /// Opens an action.
    pub left: String,
    /// Closes an action.
    pub right: String,
}

impl Default for Delimiters {
    fn default() -> Self {
        Delimiters {
            left: "{{".to_owned(),
            right: "}}".to_owned(),
        }
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    // Keywords.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    pub(crate) fn is_keyword(self) -> bool {
        matches!(
            self,
            Kind::Block
                | Kind::Break
                | Kind::Continue
                | Kind::Dot
                | Kind::Define
                | Kind::Else
                | Kind::End
                | Kind::If
                | Kind::Nil
                | Kind::Range
                | Kind::Template
                | Kind::With
        )
    }
}

/// A token: its kind, place and text. What an error says is in
/// [`Lexer::problem`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub kind: Kind,
    pub pos: usize,
    pub text: &'a [u8],
    pub line: usize,
}

const LEFT_COMMENT: &[u8] = b"/*";
const RIGHT_COMMENT: &[u8] = b"*/";

pub(crate) struct Lexer<'a> {
    input: &'a [u8],
    left: &'a [u8],
    right: &'a [u8],
    pos: usize,
    start: usize,
    line: usize,
    start_line: usize,
    inside_action: bool,
    paren_depth: usize,
    /// What is wrong with the text, once an error has been read.
    pub problem: Option<String>,
    /// Whether `break` and `continue` are keywords rather than functions.
    pub loop_words: bool,
}

enum Step<'a> {
    Emit(Token<'a>),
    /// Nothing to emit; go on in the current mode.
    Again,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a [u8], delimiters: &'a Delimiters) -> Self {
        Lexer {
            input,
            left: delimiters.left.as_bytes(),
            right: delimiters.right.as_bytes(),
            pos: 0,
            start: 0,
            line: 1,
            start_line: 1,
            inside_action: false,
            paren_depth: 0,
            problem: None,
            loop_words: true,
        }
    }

    /// Returns the next token; after the end or an error, the end again.
    pub(crate) fn next_token(&mut self) -> Token<'a> {
        if self.problem.is_some() {
            return self.token(Kind::Eof);
        }
        loop {
            let step = if self.inside_action {
                self.inside()
            } else {
                self.text()
            };
            if let Step::Emit(token) = step {
                return token;
            }
        }
    }

    fn token(&mut self, kind: Kind) -> Token<'a> {
        let token = Token {
            kind,
            pos: self.start,
            text: &self.input[self.start..self.pos],
            line: self.start_line,
        };
        self.start = self.pos;
        self.start_line = self.line;
        token
    }

    fn emit(&mut self, kind: Kind) -> Step<'a> {
        Step::Emit(self.token(kind))
    }

    fn ignore(&mut self) {
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn error(&mut self, message: impl Into<String>) -> Step<'a> {
        let token = Token {
            kind: Kind::Error,
            pos: self.start,
            text: &[],
            line: self.start_line,
        };
        self.problem = Some(message.into());
        self.input = &[];
        self.start = 0;
        self.pos = 0;
        Step::Emit(token)
    }

    fn rest(&self) -> &'a [u8] {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        decode_rune(self.rest()).map(|(rune, _)| rune)
    }

    fn advance(&mut self) -> Option<char> {
        let (rune, width) = decode_rune(self.rest())?;
        self.pos += width;
        if rune == '\n' {
            self.line += 1;
        }
        Some(rune)
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        match self.rest().first() {
            Some(b) if set.contains(b) => {
                self.pos += 1;
                true
            }
            _ => false,
        }
    }

    fn accept_run(&mut self, set: &[u8]) {
        while self.accept(set) {}
    }

    fn text(&mut self) -> Step<'a> {
        let Some(at) = find(self.rest(), self.left) else {
            self.pos = self.input.len();
            if self.pos > self.start {
                self.line += newlines(&self.input[self.start..self.pos]);
                return self.emit(Kind::Text);
            }
            return self.emit(Kind::Eof);
        };
        if at > 0 {
            self.pos += at;
            let after_delimiter = &self.input[self.pos + self.left.len()..];
            let trimmed = if has_left_trim(after_delimiter) {
                trailing_space(&self.input[self.start..self.pos])
            } else {
                0
            };
            self.pos -= trimmed;
            self.line += newlines(&self.input[self.start..self.pos]);
            let token = self.token(Kind::Text);
            self.pos += trimmed;
            self.ignore();
            if !token.text.is_empty() {
                return Step::Emit(token);
            }
        }
        self.left_delimiter()
    }

    fn left_delimiter(&mut self) -> Step<'a> {
        self.pos += self.left.len();
        let marker = if has_left_trim(self.rest()) { 2 } else { 0 };
        if self.input[self.pos + marker..].starts_with(LEFT_COMMENT) {
            self.pos += marker;
            self.ignore();
            return self.comment();
        }
        let token = self.token(Kind::LeftDelim);
        self.inside_action = true;
        self.pos += marker;
        self.ignore();
        self.paren_depth = 0;
        Step::Emit(token)
    }

    fn comment(&mut self) -> Step<'a> {
        self.pos += LEFT_COMMENT.len();
        let Some(end) = find(self.rest(), RIGHT_COMMENT) else {
            return self.error("unclosed comment");
        };
        self.pos += end + RIGHT_COMMENT.len();
        let Some(trims) = self.at_right_delimiter() else {
            return self.error("comment ends before closing delimiter");
        };
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
        if trims {
            self.pos += 2;
        }
        self.pos += self.right.len();
        if trims {
            self.pos += leading_space(self.rest());
        }
        self.ignore();
        Step::Again
    }

    /// Whether the right delimiter comes next; and if so whether it trims.
    fn at_right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim(rest) && rest[2..].starts_with(self.right) {
            return Some(true);
        }
        rest.starts_with(self.right).then_some(false)
    }

    fn right_delimiter(&mut self) -> Step<'a> {
        let trims = self.at_right_delimiter() == Some(true);
        if trims {
            self.pos += 2;
            self.ignore();
        }
        self.pos += self.right.len();
        let token = self.token(Kind::RightDelim);
        if trims {
            self.pos += leading_space(self.rest());
            self.ignore();
        }
        self.inside_action = false;
        Step::Emit(token)
    }

    fn inside(&mut self) -> Step<'a> {
        if self.at_right_delimiter().is_some() {
            if self.paren_depth == 0 {
                return self.right_delimiter();
            }
            return self.error("unclosed left paren");
        }
        let Some(rune) = self.peek() else {
            return self.error("unclosed action");
        };
        match rune {
            ' ' | '\t' | '\r' | '\n' => return self.space(),
            '"' => return self.quoted(),
            '`' => return self.raw_quoted(),
            '$' => {
                self.advance();
                return self.field_or_variable(Kind::Variable);
            }
            '\'' => return self.char_constant(),
            '.' => match self.rest().get(1) {
                Some(b'0'..=b'9') | None => return self.number(),
                Some(_) => {
                    self.advance();
                    return self.field_or_variable(Kind::Field);
                }
            },
            '+' | '-' | '0'..='9' => return self.number(),
            _ if is_alphanumeric(rune) => return self.identifier(),
            _ => {}
        }
        self.advance();
        match rune {
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.advance() != Some('=') {
                    return self.error("expected :=");
                }
                self.emit(Kind::Declare)
            }
            '|' => self.emit(Kind::Pipe),
            '(' => {
                self.paren_depth += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                if self.paren_depth == 0 {
                    return self.error("unexpected right paren");
                }
                self.paren_depth -= 1;
                self.emit(Kind::RightParen)
            }
            _ if rune.is_ascii() && is_print(rune) => self.emit(Kind::Char),
            _ => self.error(format!(
                "unrecognized character in action: {}",
                unicode_point(rune)
            )),
        }
    }

    fn space(&mut self) -> Step<'a> {
        let mut count = 0;
        while let Some(' ' | '\t' | '\r' | '\n') = self.peek() {
            self.advance();
            count += 1;
        }
        // A closing delimiter that trims starts with the last of these spaces.
        let last = &self.input[self.pos - 1..];
        if has_right_trim(last) && last[2..].starts_with(self.right) {
            if last[0] == b'\n' {
                self.line -= 1;
            }
            self.pos -= 1;
            if count == 1 {
                return self.right_delimiter();
            }
        }
        self.emit(Kind::Space)
    }

    /// Reads on to the end of a word.
    fn word(&mut self) {
        loop {
            // Most words are ASCII.
            let is_plain = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
            self.pos += self.rest().iter().take_while(is_plain).count();
            match self.peek() {
                Some(rune) if !rune.is_ascii() && is_alphanumeric(rune) => self.advance(),
                _ => return,
            };
        }
    }

    fn identifier(&mut self) -> Step<'a> {
        self.word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match &self.input[self.start..self.pos] {
            b"block" => Kind::Block,
            b"break" if self.loop_words => Kind::Break,
            b"continue" if self.loop_words => Kind::Continue,
            b"define" => Kind::Define,
            b"else" => Kind::Else,
            b"end" => Kind::End,
            b"if" => Kind::If,
            b"nil" => Kind::Nil,
            b"range" => Kind::Range,
            b"template" => Kind::Template,
            b"with" => Kind::With,
            b"true" | b"false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    fn field_or_variable(&mut self, kind: Kind) -> Step<'a> {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable {
                Kind::Variable
            } else {
                Kind::Dot
            });
        }
        self.word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Step<'a> {
        let rune = self.peek().unwrap_or(char::REPLACEMENT_CHARACTER);
        self.error(format!("bad character {}", unicode_point(rune)))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(self.right),
        }
    }

    fn char_constant(&mut self) -> Step<'a> {
        self.until_quote('\'', "unterminated character constant", Kind::CharConstant)
    }

    fn quoted(&mut self) -> Step<'a> {
        self.until_quote('"', "unterminated quoted string", Kind::String)
    }

    fn until_quote(&mut self, quote: char, unterminated: &str, kind: Kind) -> Step<'a> {
        self.advance();
        loop {
            match self.advance() {
                Some('\\') => {
                    if matches!(self.advance(), None | Some('\n')) {
                        return self.error(unterminated);
                    }
                }
                None | Some('\n') => return self.error(unterminated),
                Some(rune) if rune == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_quoted(&mut self) -> Step<'a> {
        self.advance();
        loop {
            match self.advance() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Step<'a> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if let Some('+' | '-') = self.peek() {
            if !self.scan_number() || self.input[self.pos - 1] != b'i' {
                return self.bad_number();
            }
            return self.emit(Kind::Complex);
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Step<'a> {
        let text = crate::strconv::quote(&self.input[self.start..self.pos]);
        self.error(format!("bad number syntax: {text}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = b"0123456789abcdefABCDEF_";
            } else if self.accept(b"oO") {
                digits = b"01234567_";
            } else if self.accept(b"bB") {
                digits = b"01_";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        let exponent: &[u8] = match digits.len() {
            11 => b"eE",
            23 => b"pP",
            _ => b"",
        };
        if self.accept(exponent) {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.advance();
            return false;
        }
        true
    }
}

fn is_alphanumeric(rune: char) -> bool {
    rune == '_' || is_letter(rune) || is_digit(rune)
}

fn is_trim_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

fn has_left_trim(bytes: &[u8]) -> bool {
    bytes.len() >= 2 && bytes[0] == b'-' && is_trim_space(bytes[1])
}

fn has_right_trim(bytes: &[u8]) -> bool {
    bytes.len() >= 2 && is_trim_space(bytes[0]) && bytes[1] == b'-'
}

fn leading_space(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| is_trim_space(**b)).count()
}

fn trailing_space(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .take_while(|b| is_trim_space(**b))
        .count()
}

pub(crate) fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}

/// Finds `needle` in `haystack`.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + haystack[from..].iter().position(|b| *b == first)?;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Prints a rune as Go's `%#U`.
fn unicode_point(rune: char) -> String {
    let code = format!("U+{:04X}", rune as u32);
    if is_print(rune) {
        format!("{code} '{rune}'")
    } else {
        code
    }
}
