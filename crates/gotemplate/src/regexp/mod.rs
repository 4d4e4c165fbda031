//! Go's regular expressions (RE2) on Rust's engine.
//!
//! Both are leftmost-first and linear in time; they differ in syntax. A Go
//! expression is read here, checked with Go's error texts, and written again in
//! Rust's syntax: `\d \w \s \b` are ASCII in Go, `\Q…\E`, `\z` and `\C` exist,
//! look-around and back references do not. Matching is over bytes, so that a
//! string that is not UTF-8 can be searched as well.

mod translate;

use regex::bytes::{Regex, RegexBuilder};

use crate::printing::format::can_backquote;
use crate::strconv::quote_with;
use crate::text::{Str, decode_rune, runes};

pub use translate::translate;
use translate::translate_with_names;

/// The largest compiled expression, in bytes of Rust's engine.
const SIZE_LIMIT: usize = 16 << 20;

/// Go's limit for `{n,m}`.
const MAX_REPEAT: u32 = 1000;

/// How deep groups may nest.
const MAX_DEPTH: usize = 250;

/// A Go expression that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {kind}: `{part}`")]
pub struct RegexpError {
    /// What is wrong, in the words of Go's regexp/syntax.
    pub kind: &'static str,
    /// The offending part of the expression.
    pub part: String,
}

impl RegexpError {
    /// Returns the text with which Go's `MustCompile` panics.
    pub fn panic_text(&self, expression: &str) -> String {
        let quoted = match can_backquote(expression.as_bytes()) {
            true => format!("`{expression}`"),
            false => quote_with(expression.as_bytes(), '"', crate::strconv::QuoteTo::Unicode),
        };
        format!("regexp: Compile({quoted}): {self}")
    }
}

/// A compiled Go expression.
#[derive(Debug, Clone)]
pub struct Regexp {
    engine: Regex,
    /// Names of the groups; Go lets a name occur twice, Rust does not.
    names: Vec<Option<String>>,
}

impl Regexp {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`RegexpError`] with Go's text.
    pub fn new(expression: &str) -> Result<Self, RegexpError> {
        let (rust, names) = translate_with_names(expression)?;
        let engine = RegexBuilder::new(&rust)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| RegexpError {
                kind: "expression too large",
                part: expression.to_owned(),
            })?;
        Ok(Regexp { engine, names })
    }

    /// Whether the expression matches anywhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.engine.is_match(text)
    }

    /// Returns the first match, empty when there is none.
    pub fn find<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        self.engine.find(text).map_or(&[], |m| m.as_bytes())
    }

    /// Returns the first match as a range of bytes.
    pub fn find_range(&self, text: &[u8]) -> Option<(usize, usize)> {
        self.engine.find(text).map(|m| (m.start(), m.end()))
    }

    /// Returns the groups of the first match, group 0 first; a group that took
    /// no part is `None`.
    pub fn captures<'t>(&self, text: &'t [u8]) -> Option<Vec<Option<&'t [u8]>>> {
        let found = self.engine.captures(text)?;
        Some(found.iter().map(|g| g.map(|m| m.as_bytes())).collect())
    }

    /// Returns the names of the groups, group 0 first.
    pub fn group_names(&self) -> &[Option<String>] {
        &self.names
    }

    /// Returns at most `n` matches as ranges of bytes, all of them for `n < 0`.
    /// An empty match right behind another match does not count.
    pub fn find_all(&self, text: &[u8], n: i64) -> Vec<(usize, usize)> {
        let limit = usize::try_from(n).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut at = 0;
        let mut previous_end = None;
        while found.len() < limit && at <= text.len() {
            let Some(m) = self.engine.find_at(text, at) else {
                break;
            };
            let (start, end) = (m.start(), m.end());
            let adjacent_empty = start == end && previous_end == Some(start);
            at = if end > start {
                end
            } else {
                // Go on by one rune.
                end + decode_rune(&text[end..]).map_or(1, |(_, width)| width)
            };
            previous_end = Some(end);
            if !adjacent_empty {
                found.push((start, end));
            }
        }
        found
    }

    /// Replaces every match by `replacement`, in which `$1`, `${1}` and `${name}`
    /// stand for groups.
    pub fn replace_all(&self, text: &[u8], replacement: &[u8]) -> Vec<u8> {
        if !replacement.contains(&b'$') {
            return self.replace_all_literal(text, replacement);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        for (start, end) in self.find_all(text, -1) {
            out.extend_from_slice(&text[copied..start]);
            if let Some(groups) = self.engine.captures_at(text, start) {
                let groups: Vec<Option<&[u8]>> =
                    groups.iter().map(|g| g.map(|m| m.as_bytes())).collect();
                expand(&mut out, replacement, &groups, &self.names);
            }
            copied = end;
        }
        out.extend_from_slice(&text[copied..]);
        out
    }

    /// Replaces every match by `replacement` as it stands.
    pub fn replace_all_literal(&self, text: &[u8], replacement: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut copied = 0;
        for (start, end) in self.find_all(text, -1) {
            out.extend_from_slice(&text[copied..start]);
            out.extend_from_slice(replacement);
            copied = end;
        }
        out.extend_from_slice(&text[copied..]);
        out
    }

    /// Splits `text` at the matches into at most `n` pieces; all for `n < 0`,
    /// none for 0.
    pub fn split<'t>(&self, text: &'t [u8], n: i64) -> Vec<&'t [u8]> {
        if n == 0 {
            return Vec::new();
        }
        if text.is_empty() && !self.engine.as_str().is_empty() {
            return vec![text];
        }
        let mut pieces = Vec::new();
        let mut begin = 0;
        let mut end = 0;
        for (match_start, match_end) in self.find_all(text, n) {
            if n > 0 && pieces.len() as i64 == n - 1 {
                break;
            }
            end = match_start;
            if match_end != 0 {
                pieces.push(&text[begin..end]);
            }
            begin = match_end;
        }
        if end != text.len() {
            pieces.push(&text[begin..]);
        }
        pieces
    }
}

/// Expands a replacement as Go's `Regexp.Expand`.
pub fn expand(
    out: &mut Vec<u8>,
    template: &[u8],
    groups: &[Option<&[u8]>],
    names: &[Option<String>],
) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|b| *b == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        if rest.get(1) == Some(&b'$') {
            out.push(b'$');
            rest = &rest[2..];
            continue;
        }
        let Some((name, length)) = reference(rest) else {
            out.push(b'$');
            rest = &rest[1..];
            continue;
        };
        rest = &rest[length..];
        let group = if name.bytes().all(|b| b.is_ascii_digit()) {
            name.parse().ok().and_then(|i: usize| *groups.get(i)?)
        } else {
            // Of groups with one name, the first that took part counts.
            names
                .iter()
                .zip(groups)
                .find_map(|(known, group)| group.filter(|_| known.as_deref() == Some(&name)))
        };
        if let Some(group) = group {
            out.extend_from_slice(group);
        }
    }
    out.extend_from_slice(rest);
}

/// Reads `$name` or `${name}`; returns the name and the length of the whole.
fn reference(text: &[u8]) -> Option<(String, usize)> {
    let braced = text.get(1) == Some(&b'{');
    let body = &text[if braced { 2 } else { 1 }..];
    let mut length = 0;
    for (rune, raw) in runes(body) {
        if !(crate::text::is_letter(rune) || crate::text::is_digit(rune) || rune == '_') {
            break;
        }
        length += raw.len();
    }
    if length == 0 {
        return None;
    }
    let name = String::from_utf8_lossy(&body[..length]).into_owned();
    if braced {
        if body.get(length) != Some(&b'}') {
            return None;
        }
        return Some((name, length + 3));
    }
    Some((name, length + 1))
}

/// Escapes what has a meaning in an expression, Go's `QuoteMeta`.
pub fn quote_meta(text: &[u8]) -> Str {
    let mut out = Vec::with_capacity(text.len());
    for b in text {
        if br"\.+*?()|[]{}^$".contains(b) {
            out.push(b'\\');
        }
        out.push(*b);
    }
    Str::from(out)
}

#[cfg(test)]
mod tests;
