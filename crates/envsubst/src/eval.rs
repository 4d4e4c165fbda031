//! Expressions to text.

use std::borrow::Cow;

use crate::parse::{Argument, End, Expression, Failure, Operator, Part, Reach, Replace};
use crate::{ErrorKind, Limits, Undefined, glob::Glob};

/// What an evaluation needs to know besides the expressions.
pub(crate) struct Evaluation<'e, F> {
    pub lookup: &'e F,
    pub undefined: Undefined,
    pub limits: &'e Limits,
}

impl<'v, F: Fn(&str) -> Option<&'v str>> Evaluation<'_, F> {
    /// Evaluates a whole text.
    pub(crate) fn whole(&self, parts: &[Part<'_>]) -> Result<String, Failure> {
        self.parts(parts, 0)
    }

    fn parts(&self, parts: &[Part<'_>], offset: usize) -> Result<String, Failure> {
        let mut output = String::new();
        for part in parts {
            match part {
                Part::Text(text) => self.append(&mut output, text, offset)?,
                Part::Expression(expression) => {
                    let value = self.expression(expression)?;
                    self.append(&mut output, &value, expression.offset)?;
                }
            }
        }
        Ok(output)
    }

    fn append(&self, output: &mut String, text: &str, offset: usize) -> Result<(), Failure> {
        self.bounded(output.len().saturating_add(text.len()), offset)?;
        output.push_str(text);
        Ok(())
    }

    fn bounded(&self, length: usize, offset: usize) -> Result<(), Failure> {
        let limit = self.limits.output_bytes;
        if length > limit {
            Err((ErrorKind::TooLong(limit), offset))
        } else {
            Ok(())
        }
    }

    fn argument<'a>(&self, argument: &'a Argument<'_>) -> Result<Cow<'a, str>, Failure> {
        match argument {
            Argument::Literal(text) => Ok(Cow::Borrowed(text)),
            Argument::Expression(expression) => {
                Ok(Cow::Owned(self.expression(expression)?.into_owned()))
            }
        }
    }

    /// The value of the variable itself.
    fn value(&self, name: &str, offset: usize) -> Result<&'v str, Failure> {
        match ((self.lookup)(name), self.undefined) {
            (Some(value), _) => Ok(value),
            (None, Undefined::Empty) => Ok(""),
            (None, Undefined::Refuse) => Err((ErrorKind::NotSet(name.to_owned()), offset)),
        }
    }

    /// Arguments come before the variable: one that is not defined fails the expression even if it is not used.
    fn expression(&self, e: &Expression<'_>) -> Result<Cow<'v, str>, Failure> {
        let fail = |kind: fn(String) -> ErrorKind| Err((kind(e.name.to_owned()), e.offset));
        match &e.operator {
            Operator::Value => self.value(e.name, e.offset).map(Cow::Borrowed),
            Operator::Length => Ok(Cow::Owned(self.value(e.name, e.offset)?.len().to_string())),
            Operator::Case(sign) => {
                let value = self.value(e.name, e.offset)?;
                self.bounded(value.len().saturating_mul(2), e.offset)?;
                Ok(change_case(value, sign))
            }
            Operator::Default(parts) => {
                let default = self.parts(parts, e.offset)?;
                Ok(match (self.lookup)(e.name).unwrap_or_default() {
                    "" => Cow::Owned(default),
                    value => Cow::Borrowed(value),
                })
            }
            Operator::Substring { start, length } => {
                let start = integer(&self.argument(start)?);
                let length = length
                    .as_ref()
                    .map(|l| self.argument(l))
                    .transpose()?
                    .map(|l| integer(&l));
                let value = self.value(e.name, e.offset)?;
                match substring(value, start, length) {
                    Substring::Text(text) => Ok(Cow::Borrowed(text)),
                    Substring::Negative => fail(ErrorKind::NegativeLength),
                    Substring::Split => fail(ErrorKind::SplitCharacter),
                }
            }
            Operator::Strip {
                end,
                reach,
                pattern,
            } => {
                let pattern = self.argument(pattern)?;
                let value = self.value(e.name, e.offset)?;
                match strip(value, &pattern, *end, *reach, self.limits.match_steps) {
                    Some(text) => Ok(Cow::Borrowed(text)),
                    None => fail(ErrorKind::TooExpensive),
                }
            }
            Operator::Replace {
                what,
                pattern,
                with,
            } => {
                let pattern = self.argument(pattern)?;
                let with = with.as_ref().map(|w| self.argument(w)).transpose()?;
                let value = self.value(e.name, e.offset)?;
                let text = with.as_deref().unwrap_or_default();
                // An upper bound for every form: one replacement at each place the pattern may start.
                let places = match what {
                    Replace::All => value.matches(&*pattern).count(),
                    _ => 1,
                };
                self.bounded(
                    value
                        .len()
                        .saturating_add(places.saturating_mul(text.len())),
                    e.offset,
                )?;
                Ok(replace(value, *what, &pattern, with.as_deref()))
            }
        }
    }
}

enum Substring<'v> {
    Text(&'v str),
    Negative,
    Split,
}

/// A decimal number as Go's `Atoi` reads it.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A number that could not be read leaves the value as it is; `length` is `None` when none was given.
fn substring(value: &str, start: Option<i64>, length: Option<Option<i64>>) -> Substring<'_> {
    let (Some(start), Ok(size)) = (start, i64::try_from(value.len())) else {
        return Substring::Text(value);
    };
    let start = if start < 0 {
        size.saturating_add(start).max(0)
    } else {
        start
    };
    let end = match length {
        None => size,
        Some(None) => return Substring::Text(value),
        Some(Some(length)) => start.saturating_add(length).min(size),
    };
    if start >= size {
        return Substring::Text("");
    }
    if end < start {
        return Substring::Negative;
    }
    let range =
        usize::try_from(start).unwrap_or_default()..usize::try_from(end).unwrap_or_default();
    value.get(range).map_or(Substring::Split, Substring::Text)
}

fn change_case<'v>(value: &'v str, sign: &str) -> Cow<'v, str> {
    let first = |change: fn(char) -> char| {
        let mut chars = value.chars();
        let head = chars.next().map(change);
        Cow::Owned(head.into_iter().chain(chars).collect())
    };
    match sign {
        "^" => first(upper),
        "," => first(lower),
        "^^" => Cow::Owned(value.chars().map(upper).collect()),
        ",," => Cow::Owned(value.chars().map(lower).collect()),
        _ => Cow::Borrowed(value),
    }
}

/// Unicode's simple upper case: one character for one.
fn upper(c: char) -> char {
    let mut full = c.to_uppercase();
    match (full.next(), full.next()) {
        (Some(u), None) => u,
        // The Greek letters with iota subscript whose full mapping is two letters long.
        _ => match u32::from(c) {
            0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => {
                char::from_u32(u32::from(c) + 8).unwrap_or(c)
            }
            0x1fb3 | 0x1fc3 | 0x1ff3 => char::from_u32(u32::from(c) + 9).unwrap_or(c),
            _ => c,
        },
    }
}

/// Unicode's simple lower case: one character for one.
fn lower(c: char) -> char {
    let mut full = c.to_lowercase();
    match (full.next(), full.next()) {
        (Some(l), None) => l,
        _ if c == '\u{130}' => 'i',
        _ => c,
    }
}

/// Cuts the match off; `None` when finding it would take more than `limit` steps.
fn strip<'v>(
    value: &'v str,
    pattern: &str,
    end: End,
    reach: Reach,
    limit: usize,
) -> Option<&'v str> {
    let directed = |text: &str| -> Vec<char> {
        match end {
            End::Prefix => text.chars().collect(),
            End::Suffix => text.chars().rev().collect(),
        }
    };
    let Some(glob) = Glob::compile(&directed(pattern)) else {
        return Some(value);
    };
    let chars = directed(value);
    if chars.len().saturating_mul(glob.len()) > limit {
        return None;
    }
    let Some(found) = glob.prefixes(&chars) else {
        return Some(value);
    };
    let count = match reach {
        Reach::Shortest => found.shortest,
        Reach::Longest => found.longest,
    };
    let bytes: usize = chars[..count].iter().map(|c| c.len_utf8()).sum();
    Some(match end {
        End::Prefix => &value[bytes..],
        End::Suffix => &value[..value.len() - bytes],
    })
}

/// Replaces literal text; `with` is `None` when nothing follows the last slash.
fn replace<'v>(value: &'v str, what: Replace, pattern: &str, with: Option<&str>) -> Cow<'v, str> {
    match (what, with) {
        (Replace::All, with) => Cow::Owned(value.replace(pattern, with.unwrap_or_default())),
        (Replace::First, with) => Cow::Owned(value.replacen(pattern, with.unwrap_or_default(), 1)),
        // Without a replacement these two change nothing: so it is upstream.
        (Replace::At(_), None) => Cow::Borrowed(value),
        (Replace::At(End::Prefix), Some(with)) => value
            .strip_prefix(pattern)
            .map_or(Cow::Borrowed(value), |rest| {
                Cow::Owned(format!("{with}{rest}"))
            }),
        (Replace::At(End::Suffix), Some(with)) => value
            .strip_suffix(pattern)
            .map_or(Cow::Borrowed(value), |rest| {
                Cow::Owned(format!("{rest}{with}"))
            }),
    }
}
