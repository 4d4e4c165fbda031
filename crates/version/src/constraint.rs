//! Constraint expressions.
//!
//! ```text
//! expression := group ('||' group)*
//! group      := term (separator term)*        separator: spaces or one comma
//! term       := operator? version             version: parts may be x, X, * or absent
//! a - b      is rewritten to  >= a, <= b  before anything else is read
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::quote::go_quoted;
use crate::version::{Version, compare_prerelease, is_identifier_byte};

/// Longest expression that is read, in bytes.
const MAX_LEN: usize = 512;

/// Most groups that an expression may have.
const MAX_GROUPS: usize = 32;

/// Why an expression is not a constraint. The texts are the library's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// A group does not follow the grammar. Carries the group after hyphen
    /// ranges were rewritten, which is what the original prints.
    #[error("improper constraint: {}", go_quoted(.group))]
    Improper {
        /// The offending group.
        group: String,
    },
    /// A term follows the grammar, but its version does not parse (`1xx`, an
    /// overflow, a pre-release number with a leading zero).
    #[error("constraint parser error")]
    Version,
    /// The expression is longer than 512 bytes.
    #[error("constraint string is too long (max {MAX_LEN} bytes)")]
    TooLong,
    /// The expression has more than 32 groups.
    #[error("too many constraint groups (max {MAX_GROUPS})")]
    TooManyGroups,
}

/// Whether pre-releases may match constraints that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prereleases {
    /// Only a group that itself names a pre-release admits them.
    #[default]
    WhereNamed,
    /// Every group admits them.
    Everywhere,
}

/// A parsed constraint: groups joined by OR, terms joined by AND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    groups: Vec<Group>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    terms: Vec<Term>,
    names_prerelease: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    op: Op,
    version: Version,
    wild: Wild,
}

/// Which parts of a term's version were left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wild {
    /// None: `1.2.3`.
    None,
    /// The patch: `1.2`, `1.2.x`.
    Patch,
    /// Minor and patch: `1`, `1.x`, `1.x.3`.
    Minor,
    /// All: `*`.
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Tilde,
    Caret,
}

/// Longer spellings first, so that a prefix does not win.
const OPS: [(&str, Op); 12] = [
    ("!=", Op::NotEqual),
    (">=", Op::GreaterEqual),
    ("=>", Op::GreaterEqual),
    ("<=", Op::LessEqual),
    ("=<", Op::LessEqual),
    ("~>", Op::Tilde),
    ("=", Op::Equal),
    (">", Op::Greater),
    ("<", Op::Less),
    ("~", Op::Tilde),
    ("^", Op::Caret),
    ("", Op::Equal),
];

impl Constraint {
    /// Reads a constraint expression. The empty expression is not one.
    ///
    /// # Errors
    /// [`ConstraintError`] with the text that Helm and Flux print.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_LEN {
            return Err(ConstraintError::TooLong);
        }
        let expanded = expand_hyphen_ranges(text);
        if expanded.split("||").count() > MAX_GROUPS {
            return Err(ConstraintError::TooManyGroups);
        }
        let groups = expanded
            .split("||")
            .map(Group::parse)
            .collect::<Result<_, _>>()?;
        Ok(Constraint {
            groups,
            text: text.to_owned(),
        })
    }

    /// The constraint that every release satisfies, `*`.
    pub fn any() -> Self {
        Constraint::parse("*").expect("the constant is a constraint")
    }

    /// Whether `version` satisfies the constraint. A pre-release satisfies only
    /// groups in which some term names a pre-release (`>=1.0.0-0`).
    pub fn check(&self, version: &Version) -> bool {
        self.check_with(version, Prereleases::WhereNamed)
    }

    /// As [`check`](Constraint::check), with the choice of pre-releases given.
    pub fn check_with(&self, version: &Version, prereleases: Prereleases) -> bool {
        self.groups.iter().any(|group| {
            let admits_prereleases = match prereleases {
                Prereleases::Everywhere => true,
                Prereleases::WhereNamed => group.names_prerelease,
            };
            (version.prerelease().is_empty() || admits_prereleases)
                && group.terms.iter().all(|term| term.admits(version))
        })
    }

    /// Returns the expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Constraint::parse(text)
    }
}

impl Group {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        let improper = || ConstraintError::Improper {
            group: text.to_owned(),
        };
        // The whole group must follow the grammar before any number is read.
        let mut raws = Vec::new();
        let mut rest = text.trim_start_matches(is_space);
        loop {
            let (raw, after) = RawTerm::read(rest).ok_or_else(improper)?;
            raws.push(raw);
            let past_space = after.trim_start_matches(is_space);
            if past_space.is_empty() {
                break;
            }
            rest = match past_space.strip_prefix(',') {
                Some(tail) => tail.trim_start_matches(is_space),
                None if past_space.len() < after.len() => past_space,
                None => return Err(improper()),
            };
        }
        let terms: Vec<Term> = raws.iter().map(Term::from_raw).collect::<Result<_, _>>()?;
        let names_prerelease = terms
            .iter()
            .any(|term| !term.version.prerelease().is_empty());
        Ok(Group {
            terms,
            names_prerelease,
        })
    }
}

/// A term as the grammar sees it: texts, not yet numbers.
struct RawTerm<'a> {
    op: Op,
    major: &'a str,
    minor: Option<&'a str>,
    patch: Option<&'a str>,
    /// With its dash.
    pre: &'a str,
}

impl<'a> RawTerm<'a> {
    /// Reads one term at the start of `text`; returns it and what follows.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        OPS.iter().find_map(|(spelling, op)| {
            let rest = text.strip_prefix(spelling)?;
            let (mut term, after) = Self::read_version(rest.trim_start_matches(is_space))?;
            term.op = *op;
            Some((term, after))
        })
    }

    /// Reads the version of a term: `v?` part, up to two more parts,
    /// pre-release, metadata. Takes the longest text that fits.
    fn read_version(text: &'a str) -> Option<(Self, &'a str)> {
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (major, mut rest) = take_while(rest, is_part_byte)?;
        let mut dotted = || {
            let (part, after) = take_while(rest.strip_prefix('.')?, is_part_byte)?;
            rest = after;
            Some(part)
        };
        let minor = dotted();
        let patch = if minor.is_some() { dotted() } else { None };
        let (pre, rest) = take_identifiers(rest, '-');
        let (_, rest) = take_identifiers(rest, '+');
        let term = RawTerm {
            op: Op::Equal,
            major,
            minor,
            patch,
            pre,
        };
        Some((term, rest))
    }
}

impl Term {
    fn from_raw(raw: &RawTerm<'_>) -> Result<Self, ConstraintError> {
        let open = |part: Option<&str>| part.is_none_or(|p| matches!(p, "x" | "X" | "*"));
        let minor = raw.minor.unwrap_or_default();
        let (wild, text) = if open(Some(raw.major)) {
            (Wild::All, format!("0.0.0{}", raw.pre))
        } else if open(raw.minor) {
            (Wild::Minor, format!("{}.0.0{}", raw.major, raw.pre))
        } else if open(raw.patch) {
            (Wild::Patch, format!("{}.{minor}.0{}", raw.major, raw.pre))
        } else {
            let patch = raw.patch.unwrap_or_default();
            (
                Wild::None,
                format!("{}.{minor}.{patch}{}", raw.major, raw.pre),
            )
        };
        Ok(Term {
            op: raw.op,
            version: Version::parse(&text).map_err(|_| ConstraintError::Version)?,
            wild,
        })
    }

    /// Whether `v` satisfies this term; the caller has ruled on pre-releases.
    fn admits(&self, v: &Version) -> bool {
        let c = &self.version;
        match self.op {
            Op::Equal if self.wild == Wild::None => v == c,
            Op::Equal | Op::Tilde => self.within_tilde(v),
            Op::NotEqual => self.differs(v),
            Op::Greater => match (self.wild, v.major().cmp(&c.major())) {
                (Wild::Minor | Wild::Patch, Ordering::Greater) => true,
                (Wild::Minor, _) => false,
                (Wild::Patch, Ordering::Equal) => v.minor() > c.minor(),
                _ => v > c,
            },
            Op::GreaterEqual => v >= c,
            Op::Less => v < c,
            Op::LessEqual => match self.wild {
                Wild::None => v <= c,
                Wild::Minor => v.major() <= c.major(),
                Wild::Patch | Wild::All => (v.major(), v.minor()) <= (c.major(), c.minor()),
            },
            Op::Caret => self.within_caret(v),
        }
    }

    fn within_tilde(&self, v: &Version) -> bool {
        let c = &self.version;
        if v < c {
            return false;
        }
        // A fully written zero (and `*`) sets no upper bound: a quirk of the
        // original that charts may lean on.
        let zero = (c.major(), c.minor(), c.patch()) == (0, 0, 0);
        match self.wild {
            Wild::None | Wild::All if zero => true,
            Wild::Minor => v.major() == c.major(),
            _ => (v.major(), v.minor()) == (c.major(), c.minor()),
        }
    }

    fn within_caret(&self, v: &Version) -> bool {
        let c = &self.version;
        if v < c {
            return false;
        }
        if c.major() > 0 || self.wild == Wild::Minor {
            return v.major() == c.major();
        }
        if v.major() > 0 {
            return false;
        }
        if c.minor() > 0 || self.wild == Wild::Patch {
            return v.minor() == c.minor();
        }
        v.minor() == 0 && v.patch() == c.patch()
    }

    fn differs(&self, v: &Version) -> bool {
        let c = &self.version;
        match self.wild {
            Wild::None | Wild::All => v != c,
            Wild::Minor => v.major() != c.major(),
            Wild::Patch if (v.major(), v.minor()) != (c.major(), c.minor()) => true,
            Wild::Patch if v.prerelease().is_empty() && c.prerelease().is_empty() => false,
            Wild::Patch => compare_prerelease(v.prerelease(), c.prerelease()) != Ordering::Equal,
        }
    }
}

/// Rewrites every `a - b` to `>= a, <= b `, wherever it stands.
fn expand_hyphen_ranges(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((low, high, after)) = read_hyphen_range(rest) {
            out.push_str(&format!(">= {low}, <= {high} "));
            rest = after;
            continue;
        }
        let mut chars = rest.chars();
        out.extend(chars.next());
        rest = chars.as_str();
    }
    out
}

/// Reads `a - b` (spaces around it included) at the start of `text`.
fn read_hyphen_range(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.trim_start_matches(is_space);
    let (_, after_low) = RawTerm::read_version(start)?;
    let low = &start[..start.len() - after_low.len()];
    let dash = after_low.trim_start_matches(is_space);
    let after_dash = dash.strip_prefix('-')?;
    let high_start = after_dash.trim_start_matches(is_space);
    if dash.len() == after_low.len() || high_start.len() == after_dash.len() {
        return None;
    }
    let (_, after_high) = RawTerm::read_version(high_start)?;
    let high = &high_start[..high_start.len() - after_high.len()];
    Some((low, high, after_high.trim_start_matches(is_space)))
}

/// White space of a regular expression's `\s`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}

/// The original's character class holds the bar by accident; a part with one
/// fails later with another error, so the accident shows.
fn is_part_byte(b: u8) -> bool {
    b.is_ascii_digit() || matches!(b, b'|' | b'x' | b'X' | b'*')
}

/// Splits off the longest non-empty run of bytes that satisfy `accept`.
fn take_while(text: &str, accept: fn(u8) -> bool) -> Option<(&str, &str)> {
    let end = text.bytes().position(|b| !accept(b)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Splits off `mark` and the dotted identifiers behind it, if they are there.
fn take_identifiers(text: &str, mark: char) -> (&str, &str) {
    let Some((_, mut rest)) = text
        .strip_prefix(mark)
        .and_then(|tail| take_while(tail, is_identifier_byte))
    else {
        return ("", text);
    };
    while let Some((_, after)) = rest
        .strip_prefix('.')
        .and_then(|tail| take_while(tail, is_identifier_byte))
    {
        rest = after;
    }
    text.split_at(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_expressions_carry_the_librarys_text() {
        for (text, want) in [
            ("", r#"improper constraint: """#),
            (" ", r#"improper constraint: " ""#),
            ("1 ||", r#"improper constraint: """#),
            ("|| 1", r#"improper constraint: """#),
            ("1.2.3,", r#"improper constraint: "1.2.3,""#),
            (",1", r#"improper constraint: ",1""#),
            ("1,,2", r#"improper constraint: "1,,2""#),
            ("1\u{a0}2", r#"improper constraint: "1\u00a02""#),
            (">=1.0 - 2.0", r#"improper constraint: ">=>= 1.0, <= 2.0 ""#),
            ("1.2.3.4", r#"improper constraint: "1.2.3.4""#),
            ("1.2.3.4 - 5", r#"improper constraint: "1.>= 2.3.4, <= 5 ""#),
            ("1.2.3-", r#"improper constraint: "1.2.3-""#),
            ("1.2.3-a.b.", r#"improper constraint: "1.2.3-a.b.""#),
            ("= > 1", r#"improper constraint: "= > 1""#),
            ("==1", r#"improper constraint: "==1""#),
            ("1 -2", r#"improper constraint: "1 -2""#),
            ("v", r#"improper constraint: "v""#),
            (">=1.0<2.0", r#"improper constraint: ">=1.0<2.0""#),
            ("main", r#"improper constraint: "main""#),
            ("1xx,,2", r#"improper constraint: "1xx,,2""#),
            ("1|2", "constraint parser error"),
            ("1xx", "constraint parser error"),
            ("1.2.3-01", "constraint parser error"),
            ("99999999999999999999999", "constraint parser error"),
        ] {
            let err = Constraint::parse(text).expect_err(text);
            assert_eq!(err.to_string(), want, "{text}");
        }
        assert_eq!(
            Constraint::parse(&"1".repeat(513))
                .expect_err("too long")
                .to_string(),
            "constraint string is too long (max 512 bytes)"
        );
        assert!(Constraint::parse(&["1"; 32].join("||")).is_ok());
        assert_eq!(
            Constraint::parse(&["z"; 33].join("||"))
                .expect_err("too many")
                .to_string(),
            "too many constraint groups (max 32)"
        );
    }

    #[test]
    fn prereleases_can_be_admitted_everywhere() {
        let constraint = Constraint::parse(">=1.2").expect("valid");
        let rc = Version::parse("1.3.0-rc.1").expect("valid");
        assert!(!constraint.check(&rc));
        assert!(constraint.check_with(&rc, Prereleases::Everywhere));
    }
}
