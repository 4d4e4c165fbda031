//! `snakecase`, `kebabcase` and `camelcase`.

use sluice_gotemplate::text::{is_digit, is_lower, is_punct, is_upper, runes, to_lower, to_upper};

use super::convert::{STRING, string, text};
use super::{Entry, fixed};

pub(crate) const TABLE: &[Entry] = &[
    fixed("snakecase", &[STRING], STRING, |_, a| {
        string(joined_words(text(&a[0]), '_'))
    }),
    fixed("kebabcase", &[STRING], STRING, |_, a| {
        string(joined_words(text(&a[0]), '-'))
    }),
    fixed("camelcase", &[STRING], STRING, |_, a| {
        string(pascal(text(&a[0])))
    }),
];

fn is_connector(rune: char) -> bool {
    matches!(rune, '-' | '_') || sluice_gotemplate::text::is_space(rune)
}

/// What a run of runes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Connector,
    Punctuation,
    Upper,
    /// A capital with lower-case letters behind it.
    Capitalised,
    Lower,
    Number,
    Other,
}

/// Splits off the first run.
fn first_word(all: &[char]) -> (Word, usize) {
    let run = |accept: fn(char) -> bool| all.iter().take_while(|r| accept(**r)).count();
    let first = all[0];
    if is_connector(first) {
        return (Word::Connector, run(is_connector));
    }
    if is_punct(first) {
        return (Word::Punctuation, run(|r| is_punct(r) && !is_connector(r)));
    }
    if is_upper(first) {
        let capitals = run(is_upper);
        let followed = all.get(capitals).is_some_and(|r| is_lower(*r));
        if !followed {
            return (Word::Upper, capitals);
        }
        if capitals > 1 {
            // The last capital belongs to the next word.
            return (Word::Upper, capitals - 1);
        }
        let rest = all[1..].iter().take_while(|r| is_lower(**r)).count();
        return (Word::Capitalised, 1 + rest);
    }
    if is_lower(first) {
        return (Word::Lower, run(is_lower));
    }
    if is_digit(first) {
        return (Word::Number, run(is_digit));
    }
    let other =
        run(|r| !is_connector(r) && !is_punct(r) && !is_upper(r) && !is_lower(r) && !is_digit(r));
    (Word::Other, other.max(1))
}

fn joined_words(bytes: &[u8], connector: char) -> String {
    let all: Vec<char> = runes(bytes).map(|(r, _)| r).collect();
    let mut out = String::with_capacity(bytes.len() + 4);
    let mut at = 0;
    // Whether the next word needs a connector before it.
    let mut pending = false;
    while at < all.len() {
        let (word, length) = first_word(&all[at..]);
        let run = &all[at..at + length];
        at += length;
        match word {
            Word::Connector => {
                out.extend(std::iter::repeat_n(connector, length));
                pending = false;
            }
            Word::Punctuation => {
                out.extend(run);
                pending = false;
            }
            Word::Number => {
                let next = all
                    .get(at..)
                    .filter(|rest| !rest.is_empty())
                    .map(first_word);
                if let Some((Word::Lower, letters)) = next {
                    // Digits lead a word of lower-case letters: 2xx, 2m3s.
                    if pending {
                        out.push(connector);
                    }
                    out.extend(run);
                    out.extend(&all[at..at + letters]);
                    at += letters;
                    while let Some(rest) = all.get(at..).filter(|rest| !rest.is_empty()) {
                        let (more, length) = first_word(rest);
                        if !matches!(more, Word::Number | Word::Lower) {
                            break;
                        }
                        out.extend(&all[at..at + length]);
                        at += length;
                    }
                } else {
                    out.extend(run);
                }
                pending = true;
            }
            Word::Upper | Word::Capitalised | Word::Lower | Word::Other => {
                if pending {
                    out.push(connector);
                }
                out.extend(run.iter().map(|r| to_lower(*r)));
                pending = true;
            }
        }
    }
    out
}

fn pascal(bytes: &[u8]) -> String {
    let all: Vec<char> = runes(bytes).map(|(r, _)| r).collect();
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    let leading = all.iter().take_while(|r| is_connector(**r)).count();
    out.extend(&all[..leading]);
    at += leading;
    if leading == all.len() {
        // The original writes the last one twice when there is nothing else.
        out.extend(all.last());
    }
    while at < all.len() {
        let word = all[at..].iter().take_while(|r| !is_connector(**r)).count();
        push_pascal_word(&mut out, &all[at..at + word]);
        at += word;
        let connectors = all[at..].iter().take_while(|r| is_connector(**r)).count();
        let last = at + connectors == all.len();
        let kept = if last {
            connectors
        } else {
            connectors.saturating_sub(1)
        };
        out.extend(&all[at..at + kept]);
        at += connectors;
    }
    out
}

/// The first letter in upper case; if it was one already, the capitals behind
/// it in lower case.
fn push_pascal_word(out: &mut String, word: &[char]) {
    let Some((first, rest)) = word.split_first() else {
        return;
    };
    out.push(to_upper(*first));
    if !is_upper(*first) {
        out.extend(rest);
        return;
    }
    let capitals = rest.iter().take_while(|r| is_upper(**r)).count();
    out.extend(rest[..capitals].iter().map(|r| to_lower(*r)));
    out.extend(&rest[capitals..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_and_kebab_split_words_as_xstrings_does() {
        for (input, want) in [
            ("HTTPServer", "http_server"),
            ("http2xx", "http_2xx"),
            ("Duration2m3s", "duration_2m3s"),
            ("Bld4Floor3rd", "bld4_floor_3rd"),
            ("HTTP2Server", "http2_server"),
            ("a1B2", "a1_b2"),
            ("FooBar-baz.qux", "foo_bar_baz.qux"),
            ("_a_", "_a_"),
            ("aBC", "a_bc"),
            ("ABC", "abc"),
            ("a b", "a_b"),
            ("", ""),
        ] {
            assert_eq!(joined_words(input.as_bytes(), '_'), want, "{input}");
        }
        assert_eq!(joined_words(b"my--x", '-'), "my--x");
    }

    #[test]
    fn camel_is_pascal() {
        for (input, want) in [
            ("HTTPServer", "Httpserver"),
            ("XMLHttpRequest", "XmlhttpRequest"),
            ("FOO_BAR", "FooBar"),
            ("fooBAR", "FooBAR"),
            ("aBC", "ABC"),
            ("FOO1BAR", "Foo1BAR"),
            ("_a__b_", "_A_B_"),
            ("_-", "_--"),
            ("", ""),
        ] {
            assert_eq!(pascal(input.as_bytes()), want, "{input}");
        }
    }
}
