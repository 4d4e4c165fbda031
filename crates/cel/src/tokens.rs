//! Where the parts of an expression stand in its text.
//!
//! The parser keeps no places. But the parts of an expression come in the order of the text, so that a walk through
//! them finds each by looking for the next word or sign of its kind.

/// The words and signs of an expression, with a mark that moves forwards.
pub(crate) struct Tokens<'s> {
    found: Vec<(usize, &'s str)>,
    next: usize,
}

impl<'s> Tokens<'s> {
    pub fn of(source: &'s str) -> Self {
        let bytes = source.as_bytes();
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            match bytes[at] {
                b if b.is_ascii_whitespace() => {
                    at += 1;
                    continue;
                }
                b'/' if bytes.get(at + 1) == Some(&b'/') => {
                    while at < bytes.len() && bytes[at] != b'\n' {
                        at += 1;
                    }
                    continue;
                }
                quote @ (b'"' | b'\'') => at = end_of_text(bytes, at, quote),
                b if b.is_ascii_alphanumeric() || b == b'_' => {
                    let is_number = b.is_ascii_digit();
                    let inside =
                        |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (is_number && b == b'.');
                    while at < bytes.len() && inside(bytes[at]) {
                        at += 1;
                    }
                }
                _ => {
                    let pair = source.get(at..at + 2).unwrap_or_default();
                    let long = matches!(pair, "&&" | "||" | "==" | "!=" | "<=" | ">=");
                    at += if long { 2 } else { 1 };
                    while !source.is_char_boundary(at) {
                        at += 1;
                    }
                }
            }
            if let Some(text) = source.get(start..at) {
                found.push((start, text));
            }
        }
        Tokens { found, next: 0 }
    }

    /// The place of the next token that is this word; where the mark is if there is none.
    pub fn word(&mut self, word: &str) -> usize {
        let from = &self.found[self.next.min(self.found.len())..];
        match from.iter().position(|(_, text)| *text == word) {
            Some(position) => {
                let at = from[position].0;
                self.next += position + 1;
                at
            }
            None => self.here(),
        }
    }

    /// The place of the next token that is this sign.
    pub fn sign(&mut self, sign: &str) -> usize {
        self.word(sign)
    }

    /// The place of the next token.
    pub fn here(&self) -> usize {
        self.found
            .get(self.next)
            .or(self.found.last())
            .map_or(0, |(at, _)| *at)
    }
}

/// Where the text that starts at `at` ends.
fn end_of_text(bytes: &[u8], at: usize, quote: u8) -> usize {
    let triple = [quote; 3];
    let long = bytes[at..].starts_with(&triple);
    let mut at = at + if long { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            _ if long && bytes[at..].starts_with(&triple) => return at + 3,
            b if !long && b == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}
