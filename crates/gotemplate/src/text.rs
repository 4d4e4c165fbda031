//! Byte strings as Go has them, and Go's view of Unicode.
//!
//! A Go string is a sequence of bytes that is usually, but not necessarily,
//! UTF-8: `trunc` may cut a letter in half and `b64dec` returns what it finds.
//! [`Str`] is that string. It is shared, immutable and cheap to clone.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use regex::Regex;

/// A Go string: shared immutable bytes, usually UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Arc<[u8]>);

impl Str {
    /// Returns the bytes as text; what is not UTF-8 becomes U+FFFD.
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Returns the empty string.
    pub fn empty() -> Self {
        static EMPTY: LazyLock<Str> = LazyLock::new(|| Str(Arc::from(&[][..])));
        EMPTY.clone()
    }
}

impl Deref for Str {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Str(Arc::from(text.as_bytes()))
    }
}

impl From<Arc<[u8]>> for Str {
    fn from(bytes: Arc<[u8]>) -> Self {
        Str(bytes)
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Str(Arc::from(text.into_bytes()))
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        Str(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        Str(Arc::from(bytes))
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_text(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// Decodes the first rune of `bytes` as Go does: an invalid byte is U+FFFD of
/// width 1. Returns the rune and its width, or `None` at the end.
pub fn decode_rune(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let width = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Some((char::REPLACEMENT_CHARACTER, 1)),
    };
    let decoded = bytes
        .get(..width)
        .and_then(|b| std::str::from_utf8(b).ok())
        .and_then(|s| s.chars().next());
    match decoded {
        Some(c) => Some((c, width)),
        None => Some((char::REPLACEMENT_CHARACTER, 1)),
    }
}

/// Iterates over the runes of a byte string: the rune, and the bytes it came from.
pub fn runes(bytes: &[u8]) -> impl Iterator<Item = (char, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (rune, width) = decode_rune(rest)?;
        let (raw, tail) = rest.split_at(width);
        rest = tail;
        Some((rune, raw))
    })
}

/// Counts runes as Go's `utf8.RuneCount` does.
pub fn rune_count(bytes: &[u8]) -> usize {
    runes(bytes).count()
}

/// Appends one rune in UTF-8.
pub fn push_rune(out: &mut Vec<u8>, rune: char) {
    let mut buffer = [0; 4];
    out.extend_from_slice(rune.encode_utf8(&mut buffer).as_bytes());
}

fn class(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the constant is a regular expression")
}

fn is_class(regex: &Regex, rune: char) -> bool {
    let mut buffer = [0; 4];
    regex.is_match(rune.encode_utf8(&mut buffer))
}

/// Whether Go's `unicode.IsLetter` holds.
pub fn is_letter(rune: char) -> bool {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{L}$"));
    if rune.is_ascii() {
        return rune.is_ascii_alphabetic();
    }
    is_class(&LETTER, rune)
}

/// Whether Go's `unicode.IsDigit` holds.
pub fn is_digit(rune: char) -> bool {
    static DIGIT: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{Nd}$"));
    if rune.is_ascii() {
        return rune.is_ascii_digit();
    }
    is_class(&DIGIT, rune)
}

/// Whether Go's `unicode.IsPunct` holds.
pub fn is_punct(rune: char) -> bool {
    static PUNCT: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{P}$"));
    is_class(&PUNCT, rune)
}

/// Whether Go's `unicode.IsPrint` (and `strconv.IsPrint`) holds: letters, marks,
/// numbers, punctuation, symbols and the ASCII space.
pub fn is_print(rune: char) -> bool {
    static PRINT: LazyLock<Regex> = LazyLock::new(|| class(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$"));
    if rune.is_ascii() {
        return matches!(rune, ' '..='~');
    }
    is_class(&PRINT, rune)
}

/// Whether Go's `unicode.IsSpace` holds.
pub fn is_space(rune: char) -> bool {
    matches!(
        rune,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Whether Go's `unicode.IsUpper` holds.
pub fn is_upper(rune: char) -> bool {
    static UPPER: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{Lu}$"));
    if rune.is_ascii() {
        return rune.is_ascii_uppercase();
    }
    is_class(&UPPER, rune)
}

/// Whether Go's `unicode.IsLower` holds.
pub fn is_lower(rune: char) -> bool {
    static LOWER: LazyLock<Regex> = LazyLock::new(|| class(r"^\p{Ll}$"));
    if rune.is_ascii() {
        return rune.is_ascii_lowercase();
    }
    is_class(&LOWER, rune)
}

/// Returns the rune in upper case where that is one rune, as Go's simple mapping.
pub fn to_upper(rune: char) -> char {
    let mut mapped = rune.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => rune,
    }
}

/// Returns the rune in lower case where that is one rune, as Go's simple mapping.
pub fn to_lower(rune: char) -> char {
    let mut mapped = rune.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(lower), None) => lower,
        // The one rune whose full mapping is longer than its simple one.
        _ if rune == '\u{130}' => 'i',
        _ => rune,
    }
}

/// Returns the rune in title case, which Go keeps apart for a few digraphs.
pub fn to_title(rune: char) -> char {
    match rune {
        '\u{1c4}' | '\u{1c5}' | '\u{1c6}' => '\u{1c5}',
        '\u{1c7}' | '\u{1c8}' | '\u{1c9}' => '\u{1c8}',
        '\u{1ca}' | '\u{1cb}' | '\u{1cc}' => '\u{1cb}',
        '\u{1f1}' | '\u{1f2}' | '\u{1f3}' => '\u{1f2}',
        other => to_upper(other),
    }
}

/// Replaces every rune; an invalid byte counts as U+FFFD and is replaced too.
pub fn map_runes(bytes: &[u8], mut replace: impl FnMut(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (rune, _) in runes(bytes) {
        push_rune(&mut out, replace(rune));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_bytes_are_single_replacement_runes() {
        let got: Vec<(char, usize)> = runes(b"a\xc3\xa9\xe2\x82z\xff")
            .map(|(r, raw)| (r, raw.len()))
            .collect();
        let bad = char::REPLACEMENT_CHARACTER;
        assert_eq!(
            got,
            [('a', 1), ('é', 2), (bad, 1), (bad, 1), ('z', 1), (bad, 1)]
        );
    }

    #[test]
    fn printable_is_gos_notion() {
        for (rune, want) in [
            (' ', true),
            ('é', true),
            ('日', true),
            ('\u{301}', true),
            ('😀', true),
            ('\u{a0}', false),
            ('\u{200b}', false),
            ('\u{7f}', false),
            ('\n', false),
        ] {
            assert_eq!(is_print(rune), want, "{rune:?}");
        }
    }
}
