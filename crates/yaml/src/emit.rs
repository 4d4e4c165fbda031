//! From JSON values to text, byte for byte as `sigs.k8s.io/yaml` writes it.
//!
//! Block style, two blanks of indentation, sequences not indented below their
//! key, keys in go-yaml's order, lines folded behind column 80.

use serde_json::{Number, Value};

use crate::decode::has_forbidden;
use crate::error::{Error, ErrorKind};
use crate::float;
use crate::resolve::{Booleans, Resolved, resolve};
use crate::sort::compare_keys;

/// Behind this column a line is broken at the next blank.
const WIDTH: usize = 80;
/// The longest key, in bytes, that is written without `?`.
const LONGEST_SIMPLE_KEY: usize = 128;

/// Writes one value, with a line break at the end.
///
/// # Errors
/// Text with control characters that YAML cannot carry (U+007F to U+009F,
/// U+FFFE, U+FFFF): the Go writer goes through YAML and fails as well.
pub fn to_string(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_value(value, &mut out)?;
    Ok(out)
}

/// Writes values as the documents of a stream, `---` between them.
///
/// # Errors
/// As [`to_string`].
pub fn write_documents<'v>(values: impl IntoIterator<Item = &'v Value>) -> Result<String, Error> {
    let mut out = String::new();
    for value in values {
        append_document(value, &mut out)?;
    }
    Ok(out)
}

/// Appends a value to a stream of documents, behind `---` unless it is the first.
///
/// # Errors
/// As [`to_string`]; the stream has a part of the document then.
pub fn append_document(value: &Value, stream: &mut String) -> Result<(), Error> {
    if !stream.is_empty() {
        stream.push_str("---\n");
    }
    write_value(value, stream)
}

fn write_value(value: &Value, out: &mut String) -> Result<(), Error> {
    let line = out.len();
    let mut emitter = Emitter { out, line };
    match value {
        Value::Object(map) if !map.is_empty() => emitter.mapping(map, 0, true)?,
        Value::Array(items) if !items.is_empty() => emitter.sequence(items, 0, true)?,
        scalar => {
            emitter.inline(scalar, 0)?;
            emitter.newline();
        }
    }
    Ok(())
}

pub(crate) struct Emitter<'o> {
    pub out: &'o mut String,
    /// Where the current line begins.
    pub line: usize,
}

/// What a text is written as.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Emitter<'_> {
    fn newline(&mut self) {
        self.out.push('\n');
        self.line = self.out.len();
    }

    pub fn indent(&mut self, indent: usize) {
        const BLANKS: &str = "                                                                ";
        let mut left = indent;
        while left > 0 {
            let now = left.min(BLANKS.len());
            self.out.push_str(&BLANKS[..now]);
            left -= now;
        }
    }

    /// Breaks the line and indents the next.
    fn wrap(&mut self, indent: usize) {
        self.newline();
        self.indent(indent);
    }

    /// Characters in the current line.
    fn column(&self) -> usize {
        let line = &self.out.as_bytes()[self.line..];
        line.len() - line.iter().filter(|b| **b & 0xC0 == 0x80).count()
    }

    /// Writes the pairs of a mapping that is not empty. `indented` says that
    /// the first pair stands behind a dash.
    fn mapping(
        &mut self,
        map: &serde_json::Map<String, Value>,
        indent: usize,
        at_start: bool,
    ) -> Result<(), Error> {
        let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
        sort_pairs(&mut pairs);
        for (at, (key, value)) in pairs.into_iter().enumerate() {
            if at > 0 || at_start {
                self.indent(indent);
            }
            self.pair(key, value, indent)?;
        }
        Ok(())
    }

    fn pair(&mut self, key: &str, value: &Value, indent: usize) -> Result<(), Error> {
        let breaks = key.matches('\u{85}').count();
        if breaks > 0 {
            // To the reader, a key that goes over several lines.
            return Err(Error::new(
                ErrorKind::Emitter,
                format!("line {breaks}: did not find expected ',' or '}}'"),
                None,
            ));
        }
        let key = through_json(key)?;
        let analysis = Analysis::of(&key);
        let style = choose(&key, &analysis, Place::Key);
        if key.len() <= LONGEST_SIMPLE_KEY && !analysis.multiline {
            self.text(&key, style, indent, Place::Key);
            self.out.push(':');
        } else {
            self.out.push_str("? ");
            let style = choose(&key, &analysis, Place::Value);
            self.text(&key, style, indent, Place::Value);
            self.wrap(indent);
            self.out.push(':');
            return match value {
                Value::Object(map) if !map.is_empty() => {
                    self.out.push(' ');
                    self.mapping(map, indent + 2, false)
                }
                Value::Array(items) if !items.is_empty() => {
                    self.out.push(' ');
                    self.sequence(items, indent + 2, false)
                }
                scalar => {
                    self.out.push(' ');
                    self.inline(scalar, indent)?;
                    self.newline();
                    Ok(())
                }
            };
        }
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.newline();
                self.mapping(map, indent + 2, true)
            }
            Value::Array(items) if !items.is_empty() => {
                self.newline();
                self.sequence(items, indent, true)
            }
            scalar => {
                self.out.push(' ');
                self.inline(scalar, indent)?;
                self.newline();
                Ok(())
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, at_start: bool) -> Result<(), Error> {
        for (at, item) in items.iter().enumerate() {
            if at > 0 || at_start {
                self.indent(indent);
            }
            self.out.push_str("- ");
            match item {
                Value::Object(map) if !map.is_empty() => self.mapping(map, indent + 2, false)?,
                Value::Array(items) if !items.is_empty() => {
                    self.sequence(items, indent + 2, false)?;
                }
                scalar => {
                    self.inline(scalar, indent)?;
                    self.newline();
                }
            }
        }
        Ok(())
    }

    /// Writes a scalar or an empty collection, without a line break behind
    /// it, except that a literal ends with its last line.
    fn inline(&mut self, value: &Value, indent: usize) -> Result<(), Error> {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Number(number) => self.number(number),
            Value::String(text) => {
                let text = through_json(text)?;
                let analysis = Analysis::of(&text);
                let style = choose(&text, &analysis, Place::Value);
                self.text(&text, style, indent, Place::Value);
            }
            Value::Array(_) => self.out.push_str("[]"),
            Value::Object(_) => self.out.push_str("{}"),
        }
        Ok(())
    }

    fn number(&mut self, number: &Number) {
        // Writing through `Display` of integers is exact; floats pass JSON,
        // where Go writes whole ones as integers, before YAML types them.
        let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
            self.out.push_str(&number.to_string());
            return;
        };
        match crate::json::number_from_f64(float) {
            Some(number) if !number.is_f64() => self.out.push_str(&number.to_string()),
            _ => self.out.push_str(&float::general(float)),
        }
    }

    fn text(&mut self, text: &str, style: Style, indent: usize, place: Place) {
        let breaks = place == Place::Value;
        match style {
            Style::Plain => self.plain(text, indent + 2, breaks),
            Style::Single => self.single(text, indent + 2, breaks),
            Style::Double => self.double(text, indent + 2, breaks),
            Style::Literal => self.literal(text, indent + 2),
        }
    }

    pub fn plain(&mut self, text: &str, indent: usize, breaks: bool) {
        if !breaks || self.column() + text.len() <= WIDTH {
            self.out.push_str(text);
            return;
        }
        let mut column = self.column();
        let mut blank_before = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                if !blank_before && column > WIDTH && chars.peek() != Some(&' ') {
                    self.wrap(indent);
                    column = indent;
                } else {
                    self.out.push(' ');
                    column += 1;
                }
                blank_before = true;
            } else {
                self.out.push(c);
                column += 1;
                blank_before = false;
            }
        }
    }

    pub fn single(&mut self, text: &str, indent: usize, breaks: bool) {
        self.out.push('\'');
        let mut column = self.column();
        let mut blank_before = false;
        let mut after_break = false;
        let last = text.len();
        for (at, c) in text.char_indices() {
            let next = text[at + c.len_utf8()..].chars().next();
            if c == ' ' {
                let inside = at > 0 && at + 1 < last;
                if breaks && !blank_before && column > WIDTH && inside && next != Some(' ') {
                    self.wrap(indent);
                    column = indent;
                } else {
                    if after_break {
                        self.indent(indent);
                        column += indent;
                        after_break = false;
                    }
                    self.out.push(' ');
                    column += 1;
                }
                blank_before = true;
                continue;
            }
            blank_before = false;
            if is_break(c) {
                // U+2028 and U+2029 are breaks that stand for themselves.
                if c == '\n' && !after_break {
                    self.out.push(c);
                }
                self.out.push(c);
                self.line = self.out.len();
                column = 0;
                after_break = true;
                continue;
            }
            if after_break {
                self.indent(indent);
                column += indent;
                after_break = false;
            }
            if c == '\'' {
                self.out.push('\'');
                column += 1;
            }
            self.out.push(c);
            column += 1;
        }
        self.out.push('\'');
    }

    pub fn double(&mut self, text: &str, indent: usize, breaks: bool) {
        self.out.push('"');
        let mut column = self.column();
        let all_escaped = text.starts_with('\u{feff}');
        let mut blank_before = false;
        for (at, c) in text.char_indices() {
            if all_escaped || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
                let before = self.out.len();
                escape(c, self.out);
                column += self.out.len() - before;
                blank_before = false;
            } else if c == ' ' {
                let rest = &text[at + 1..];
                if breaks && !blank_before && column > WIDTH && at > 0 && !rest.is_empty() {
                    self.wrap(indent);
                    column = indent;
                    if rest.starts_with(' ') {
                        self.out.push('\\');
                        column += 1;
                    }
                } else {
                    self.out.push(' ');
                    column += 1;
                }
                blank_before = true;
            } else {
                self.out.push(c);
                column += 1;
                blank_before = false;
            }
        }
        self.out.push('"');
    }

    pub fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n', '\u{2028}', '\u{2029}']) {
            self.out.push('2');
        }
        let mut back = text.chars().rev();
        match (back.next(), back.next()) {
            (Some(last), _) if !is_break(last) => self.out.push('-'),
            (Some(_), None) => self.out.push('+'),
            (Some(_), Some(before)) if is_break(before) => self.out.push('+'),
            _ => {}
        }
        // The break behind the header, and the ones of the text; the last one
        // is left to the caller.
        let (body, ends) = match text.strip_suffix('\n') {
            Some(body) => (body, true),
            None => (text, false),
        };
        let _ = ends;
        self.newline();
        let mut at_line_start = true;
        for c in body.chars() {
            if is_break(c) {
                self.out.push(c);
                self.line = self.out.len();
                at_line_start = true;
            } else {
                if at_line_start {
                    self.indent(indent);
                    at_line_start = false;
                }
                self.out.push(c);
            }
        }
    }
}

/// Sorts with a relation that need not be a total order, for which the
/// standard sort may panic: when it is one, both agree.
fn sort_pairs(pairs: &mut [(&String, &Value)]) {
    // Maps of manifests are small and nearly sorted by code point already.
    for at in 1..pairs.len() {
        let mut to = at;
        while to > 0 && compare_keys(pairs[to - 1].0, pairs[to].0).is_gt() {
            pairs.swap(to - 1, to);
            to -= 1;
        }
    }
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Key,
    Value,
}

/// What the characters of a text allow.
pub(crate) struct Analysis {
    pub multiline: bool,
    pub plain: bool,
    /// Plain in `[]` and `{}`, where commas and brackets mean something.
    pub flow_plain: bool,
    pub single: bool,
    pub block: bool,
    /// As a block to go-yaml v3, which lets tabs stand in one.
    pub block_with_tabs: bool,
}

impl Analysis {
    pub fn of(text: &str) -> Self {
        if text.is_empty() {
            return Analysis {
                multiline: false,
                plain: true,
                flow_plain: false,
                single: true,
                block: false,
                block_with_tabs: false,
            };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let mut flow_indicators = false;
        let mut special = false;
        let mut tabs = false;
        let mut breaks = false;
        let (mut leading, mut trailing_space, mut trailing_break) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let (mut after_space, mut after_break) = (false, false);
        let mut after_blank = true;
        let end = text.len();
        for (at, c) in text.char_indices() {
            let next = at + c.len_utf8();
            if c.is_ascii_alphanumeric() {
                (after_space, after_break, after_blank) = (false, false, false);
                continue;
            }
            let before_blank = || text[next..].chars().next().is_none_or(is_blank_or_break);
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`'
                    if at == 0 =>
                {
                    indicators = true;
                }
                '-' | '?' | ':' if at == 0 => indicators |= before_blank(),
                ':' => indicators |= before_blank(),
                '#' => indicators |= after_blank,
                _ => {}
            }
            match c {
                ',' | '?' | '[' | ']' | '{' | '}' | ':' => flow_indicators = true,
                '\t' => tabs = true,
                c if !is_printable(c) => special = true,
                _ => {}
            }
            let is_line_break = is_break(c);
            if c == ' ' {
                leading |= at == 0;
                trailing_space |= next == end;
                break_space |= after_break;
                (after_space, after_break) = (true, false);
            } else if is_line_break {
                breaks = true;
                leading |= at == 0;
                trailing_break |= next == end;
                space_break |= after_space;
                (after_space, after_break) = (false, true);
            } else {
                (after_space, after_break) = (false, false);
            }
            after_blank = is_blank_or_break(c);
        }
        let broken = space_break || special;
        let plain = !(indicators
            || breaks
            || leading
            || trailing_space
            || trailing_break
            || break_space
            || broken
            || tabs);
        Analysis {
            multiline: breaks,
            plain,
            flow_plain: plain && !flow_indicators,
            single: !(break_space || broken || tabs),
            block: !(trailing_space || broken || tabs),
            block_with_tabs: !(trailing_space || broken),
        }
    }
}

/// The style for a text: the one that go-yaml asks for, given way to quotes
/// where the characters forbid it.
fn choose(text: &str, analysis: &Analysis, place: Place) -> Style {
    let single_or_double = if analysis.single {
        Style::Single
    } else {
        Style::Double
    };
    if text.contains('\n') {
        return if analysis.block && place == Place::Value {
            Style::Literal
        } else {
            Style::Double
        };
    }
    if !reads_as_string(text) {
        return Style::Double;
    }
    if analysis.plain {
        Style::Plain
    } else {
        single_or_double
    }
}

/// True when the bare text is a string to a reader of YAML 1.1.
fn reads_as_string(text: &str) -> bool {
    match resolve(text, Booleans::Yaml11) {
        Resolved::Str => !is_base60(text),
        Resolved::Merge => true,
        _ => false,
    }
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.contains(':') {
        return false;
    }
    let mut parts = text.split(':');
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !parts.next().is_some_and(digits) {
        return false;
    }
    let rest: Vec<&str> = parts.collect();
    let sixtieth = |s: &str| matches!(s.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let (last, init) = rest.split_last().expect("the text holds a colon");
    let last_fits = match last.split_once('.') {
        Some((whole, fraction)) => sixtieth(whole) && digits(fraction),
        None => sixtieth(last),
    };
    last_fits && init.iter().all(|part| sixtieth(part))
}

pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(crate) fn is_blank_or_break(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\0') || is_break(c)
}

/// What libyaml prints as it is: nothing beyond the first plane.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

fn escape(c: char, out: &mut String) {
    use std::fmt::Write as _;
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c => {
            // Writing to a string cannot fail.
            let _ = match c as u32 {
                code @ 0..=0xFF => write!(out, "\\x{code:02X}"),
                code @ 0..=0xFFFF => write!(out, "\\u{code:04X}"),
                code => write!(out, "\\U{code:08X}"),
            };
            return;
        }
    };
    out.push('\\');
    out.push(short);
}

/// What a text becomes on its way through JSON into a YAML reader, which is
/// how the Go writer gets it: U+0085 is a folded line break there.
fn through_json(text: &str) -> Result<std::borrow::Cow<'_, str>, Error> {
    if text
        .bytes()
        .all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\t'))
    {
        return Ok(text.into());
    }
    // Characters below U+0020 arrive escaped.
    let raw: String = text.chars().filter(|c| *c >= ' ').collect();
    if has_forbidden(raw.as_bytes()) {
        return Err(Error::new(
            ErrorKind::Emitter,
            "control characters are not allowed",
            None,
        ));
    }
    if !text.contains('\u{85}') {
        return Ok(text.into());
    }
    Ok(fold_next_lines(text).into())
}

/// Folds U+0085 as a double-quoted scalar does: blanks round it go, one
/// becomes a space, several become one line break fewer.
fn fold_next_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{85}') {
        let head = rest[..at].trim_end_matches([' ']);
        out.push_str(head);
        let mut breaks = 0;
        rest = &rest[at..];
        loop {
            let trimmed = rest.trim_start_matches(' ');
            match trimmed.strip_prefix('\u{85}') {
                Some(after) => {
                    breaks += 1;
                    rest = after;
                }
                None => {
                    rest = trimmed;
                    break;
                }
            }
        }
        if breaks == 1 {
            out.push(' ');
        } else {
            (1..breaks).for_each(|_| out.push('\n'));
        }
    }
    out.push_str(rest);
    out
}
