//! Variable substitution in manifests, as Flux's `spec.postBuild` does it.
//!
//! One pass over a text: `${name}` and its operators are replaced, `$$` becomes `$`,
//! everything else stays. The dialect is that of Flux, not of a shell: `:+` and `:?` act as
//! `:-`, patterns of `/` are literal, lengths and offsets count bytes.
//!
//! ```
//! use sluice_envsubst::{Limits, Undefined, substitute};
//!
//! let lookup = |name: &str| (name == "region").then_some("eu-west-1");
//! let text = substitute("zone: ${region}${suffix:=a}", lookup, Undefined::Refuse, &Limits::default());
//! assert_eq!(text.expect("both are defined"), "zone: eu-west-1a");
//! ```
//!
//! Not here: where variables come from, which objects are exempt, and the re-reading of the
//! text as YAML. The text is parsed as a whole before anything is looked up, so a syntax
//! error wins over an undefined variable.

mod eval;
mod glob;
mod parse;

use std::sync::OnceLock;

use regex::Regex;

/// The pattern that names of variables have to match, as Flux prints it.
pub const NAME_PATTERN: &str = "^[_[:alpha:]][_[:alpha:][:digit:]]*$";

/// What a variable without a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undefined {
    /// It is the empty string.
    Empty,
    /// It is an error, unless the expression has a default (Flux's strict mode).
    Refuse,
}

/// How much one substitution may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the result, and of every intermediate value.
    pub output_bytes: usize,
    /// Expressions inside expressions.
    pub depth: usize,
    /// Steps of one pattern match: length of the value times length of the pattern.
    pub match_steps: usize,
}

impl Default for Limits {
    /// 32 MiB of output, 64 levels, 2^26 steps: far above any manifest, far below harm.
    fn default() -> Self {
        Limits {
            output_bytes: 32 << 20,
            depth: 64,
            match_steps: 1 << 26,
        }
    }
}

/// Why a text could not be substituted, and where. Displays as Flux's own text, without the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Byte offset in the text of the `${` that starts the (innermost) expression.
    pub offset: usize,
    /// Line of that offset, from 1.
    pub line: usize,
}

/// The ways a substitution fails; texts are Flux's where Flux has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The expression goes on where it should end.
    #[error("bad substitution")]
    BadSubstitution,
    /// Neither an operator nor `}` follows the name.
    #[error("missing closing brace")]
    MissingClosingBrace,
    /// No name follows `${`.
    #[error("unable to parse variable name")]
    VariableName,
    /// An argument that may not be empty is, or the text ends inside one.
    #[error("unable to parse substitution within function")]
    FunctionArgument,
    /// A variable without value in strict mode.
    #[error("variable not set (strict mode): {0:?}")]
    NotSet(String),
    /// `${name:pos:len}` with a length below zero.
    #[error("substring length of `{0}` is negative")]
    NegativeLength(String),
    /// `${name:pos:len}` would cut a character in two.
    #[error("substring of `{0}` splits a character")]
    SplitCharacter(String),
    /// Expressions are nested deeper than [`Limits::depth`].
    #[error("expressions are nested more than {0} levels deep")]
    TooDeep(usize),
    /// The result would be longer than [`Limits::output_bytes`].
    #[error("the result is longer than {0} bytes")]
    TooLong(usize),
    /// A pattern would need more than [`Limits::match_steps`].
    #[error("the pattern is too expensive for the value of `{0}`")]
    TooExpensive(String),
}

/// A variable whose name no expression could reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' var name is invalid, must match '{NAME_PATTERN}'")]
pub struct InvalidName(pub String);

/// Checks the name of a variable against [`NAME_PATTERN`] (ASCII letters, digits, `_`; no digit first).
///
/// # Errors
/// [`InvalidName`] with Flux's text.
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    let mut chars = name.bytes();
    let head = chars
        .next()
        .is_some_and(|c| c == b'_' || c.is_ascii_alphabetic());
    if head && chars.all(|c| c == b'_' || c.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(InvalidName(name.to_owned()))
    }
}

/// Replaces every expression of `text`, asking `lookup` for values (`None`: not defined).
///
/// A NUL character ends the text, as it does in Flux.
///
/// # Errors
/// The first malformed expression, else the first variable that `undefined` refuses, else a
/// broken limit. Errors quote names of variables, never values.
pub fn substitute<'v>(
    text: &str,
    lookup: impl Fn(&str) -> Option<&'v str>,
    undefined: Undefined,
    limits: &Limits,
) -> Result<String, Error> {
    let text = text.find('\0').map_or(text, |end| &text[..end]);
    let located = |(kind, offset): (ErrorKind, usize)| {
        let line = text.as_bytes()[..offset]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1;
        Error { kind, offset, line }
    };
    let template = parse::parse(text, limits.depth).map_err(located)?;
    eval::Evaluation {
        lookup: &lookup,
        undefined,
        limits,
    }
    .whole(&template)
    .map_err(located)
}

/// Whether a character may be part of a name inside `${…}`: Unicode letters, decimal digits, `_`.
fn is_name_char(c: char) -> bool {
    static CLASS: OnceLock<Regex> = OnceLock::new();
    if c.is_ascii() {
        return c == '_' || c.is_ascii_alphanumeric();
    }
    let class =
        CLASS.get_or_init(|| Regex::new(r"^[\p{L}\p{Nd}]$").expect("the pattern is constant"));
    class.is_match(c.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests;
