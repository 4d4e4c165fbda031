//! Patterns of `#` and `%`: `*` any run (slashes too), `?` one character, `[a-z]`, `[^a]`, `\` escapes.

/// One element of a pattern.
#[derive(Debug, PartialEq)]
enum Token {
    Star,
    Any,
    Literal(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Glob(Vec<Token>);

/// The lengths, in characters, of the prefixes that a pattern matches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matches {
    pub shortest: usize,
    pub longest: usize,
}

impl Glob {
    /// Compiles a pattern; `None` when it is malformed.
    pub(crate) fn compile(pattern: &[char]) -> Option<Glob> {
        let mut tokens = Vec::new();
        let mut chars = pattern.iter().copied();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Literal(chars.next()?),
                '[' => class(&mut chars)?,
                c => Token::Literal(c),
            });
        }
        Some(Glob(tokens))
    }

    /// Number of elements, for bounding the work.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Finds the non-empty prefixes of `value` that match, in one pass over it.
    pub(crate) fn prefixes(&self, value: &[char]) -> Option<Matches> {
        // active[i]: the first i elements have matched what was read so far.
        let mut active = vec![false; self.0.len() + 1];
        active[0] = true;
        self.skip_stars(&mut active);
        let mut found: Option<Matches> = None;
        for (read, c) in value.iter().enumerate() {
            let mut next = vec![false; active.len()];
            for (i, token) in self.0.iter().enumerate().filter(|(i, _)| active[*i]) {
                match token {
                    Token::Star => next[i] = true,
                    token => next[i + 1] |= token.accepts(*c),
                }
            }
            self.skip_stars(&mut next);
            active = next;
            if active[self.0.len()] {
                found
                    .get_or_insert(Matches {
                        shortest: read + 1,
                        longest: 0,
                    })
                    .longest = read + 1;
            }
            if !active.contains(&true) {
                break;
            }
        }
        found
    }

    /// A star also matches nothing.
    fn skip_stars(&self, active: &mut [bool]) {
        for (i, token) in self.0.iter().enumerate() {
            if active[i] && *token == Token::Star {
                active[i + 1] = true;
            }
        }
    }
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Token::Star | Token::Any => true,
            Token::Literal(l) => *l == c,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(lo, hi)| (*lo..=*hi).contains(&c)) != *negated
            }
        }
    }
}

/// Parses a class behind its `[`.
fn class(chars: &mut (impl Iterator<Item = char> + Clone)) -> Option<Token> {
    let negated = chars.clone().next() == Some('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        if chars.clone().next() == Some(']') && !ranges.is_empty() {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        let lo = class_char(chars)?;
        let hi = if chars.clone().next() == Some('-') {
            chars.next();
            class_char(chars)?
        } else {
            lo
        };
        ranges.push((lo, hi));
    }
}

/// One end of a range: `-` and `]` need a backslash.
fn class_char(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}
