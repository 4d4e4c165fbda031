//! One version: its three readings, its order, its increments.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Longest version text that is read, in bytes.
const MAX_LEN: usize = 256;

/// Why a text is not a version. The texts are the library's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The strict reading was given nothing.
    #[error("version string empty")]
    Empty,
    /// The text does not have the form of a version.
    #[error("invalid semantic version")]
    Invalid,
    /// The text is longer than 256 bytes.
    #[error("version string is too long (max {MAX_LEN} bytes)")]
    TooLong,
    /// A numeric part does not fit 64 bits.
    #[error(
        "error parsing version segment: strconv.ParseUint: parsing \"{segment}\": value out of range"
    )]
    Overflow {
        /// The digits of the part.
        segment: String,
    },
    /// A number has a leading zero where none may be.
    #[error("version segment starts with 0")]
    LeadingZero,
    /// A numeric part of the strict reading holds something else than digits.
    #[error("invalid characters in version")]
    InvalidCharacters,
    /// The pre-release holds a character that may not be there, or an empty part.
    #[error("invalid prerelease string")]
    InvalidPrerelease,
    /// The build metadata holds a character that may not be there, or an empty part.
    #[error("invalid metadata string")]
    InvalidMetadata,
}

/// A semantic version that remembers how it was written.
///
/// Equality, order and hash follow precedence: build metadata and spelling
/// (`v1.2` against `1.2.0`) do not count. [`Display`](fmt::Display) writes the
/// normalised form, [`original`](Version::original) the text that was read.
#[derive(Debug, Clone)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre: String,
    metadata: String,
    original: String,
}

impl Version {
    /// Reads a version leniently: an optional `v`, one to three numeric parts
    /// (a missing one is 0, leading zeros are tolerated), an optional
    /// `-prerelease`, an optional `+metadata`.
    ///
    /// # Errors
    /// [`VersionError`] when the text is not a version in this sense.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_LEN {
            return Err(VersionError::TooLong);
        }
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = cut(bare, '+');
        let (core, pre) = cut(rest, '-');
        let numbers: Vec<&str> = core.split('.').collect();
        if numbers.len() > 3 || !numbers.iter().all(|n| is_number(n)) {
            return Err(VersionError::Invalid);
        }
        for extra in [pre, metadata].into_iter().flatten() {
            if !is_dotted_identifiers(extra) {
                return Err(VersionError::Invalid);
            }
        }
        let number = |at: usize| match numbers.get(at) {
            Some(digits) => parse_number(digits),
            None => Ok(0),
        };
        let version = Version {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            pre: pre.unwrap_or_default().to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        };
        validate_prerelease(&version.pre)?;
        Ok(version)
    }

    /// Reads a version leniently but asks for three numeric parts, as Flux does
    /// with tags: the text must have at least two dots.
    ///
    /// # Errors
    /// [`VersionError`] as [`Version::parse`], [`VersionError::Invalid`] when
    /// there are fewer than two dots.
    pub fn parse_three_part(text: &str) -> Result<Self, VersionError> {
        if text.split('.').count() < 3 {
            return Err(VersionError::Invalid);
        }
        Self::parse(text)
    }

    /// Reads a version by the letter of semver 2.0.0: `x.y.z`, no `v`, no
    /// leading zeros. Helm reads chart tags of OCI registries this way.
    ///
    /// # Errors
    /// [`VersionError`] when the text is not a version in this sense.
    pub fn parse_strict(text: &str) -> Result<Self, VersionError> {
        if text.is_empty() {
            return Err(VersionError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(VersionError::TooLong);
        }
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(tail)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(VersionError::Invalid);
        };
        let (rest, metadata) = cut(tail, '+');
        let (patch, pre) = cut(rest, '-');
        for number in [major, minor, patch] {
            if !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(VersionError::InvalidCharacters);
            }
            if number.len() > 1 && number.starts_with('0') {
                return Err(VersionError::LeadingZero);
            }
            if number.is_empty() {
                return Err(VersionError::Invalid);
            }
        }
        if let Some(pre) = pre {
            validate_prerelease(pre)?;
            if pre.is_empty() {
                return Err(VersionError::InvalidPrerelease);
            }
        }
        if metadata.is_some_and(|m| !is_dotted_identifiers(m)) {
            return Err(VersionError::InvalidMetadata);
        }
        Ok(Version {
            major: parse_number(major)?,
            minor: parse_number(minor)?,
            patch: parse_number(patch)?,
            pre: pre.unwrap_or_default().to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        })
    }

    /// Makes the version `major.minor.patch` without pre-release or metadata.
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Version {
            major,
            minor,
            patch,
            pre: String::new(),
            metadata: String::new(),
            original: format!("{major}.{minor}.{patch}"),
        }
    }

    /// Returns the major number.
    pub fn major(&self) -> u64 {
        self.major
    }

    /// Returns the minor number.
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// Returns the patch number.
    pub fn patch(&self) -> u64 {
        self.patch
    }

    /// Returns the pre-release without its dash, empty when there is none.
    pub fn prerelease(&self) -> &str {
        &self.pre
    }

    /// Returns the build metadata without its plus, empty when there is none.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// Returns the text as it was read.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Returns this version with other build metadata (empty for none).
    ///
    /// # Errors
    /// [`VersionError::InvalidMetadata`] when the text cannot be metadata.
    pub fn with_metadata(&self, metadata: &str) -> Result<Self, VersionError> {
        if !metadata.is_empty() && !is_dotted_identifiers(metadata) {
            return Err(VersionError::InvalidMetadata);
        }
        let mut version = self.clone();
        version.metadata = metadata.to_owned();
        Ok(version.respelled())
    }

    /// Returns this version with another pre-release (empty for none).
    ///
    /// # Errors
    /// [`VersionError`] when the text cannot be a pre-release.
    pub fn with_prerelease(&self, pre: &str) -> Result<Self, VersionError> {
        validate_prerelease(pre)?;
        let mut version = self.clone();
        version.pre = pre.to_owned();
        Ok(version.respelled())
    }

    /// Returns the next major version: pre-release and metadata are dropped.
    pub fn inc_major(&self) -> Self {
        self.incremented(self.major.wrapping_add(1), 0, 0)
    }

    /// Returns the next minor version: pre-release and metadata are dropped.
    pub fn inc_minor(&self) -> Self {
        self.incremented(self.major, self.minor.wrapping_add(1), 0)
    }

    /// Returns the next patch version. The next patch of a pre-release is the
    /// release itself.
    pub fn inc_patch(&self) -> Self {
        let step = u64::from(self.pre.is_empty());
        self.incremented(self.major, self.minor, self.patch.wrapping_add(step))
    }

    fn incremented(&self, major: u64, minor: u64, patch: u64) -> Self {
        Version {
            major,
            minor,
            patch,
            pre: String::new(),
            metadata: String::new(),
            original: self.original.clone(),
        }
        .respelled()
    }

    /// Rewrites the original text after a change; a leading `v` is kept.
    fn respelled(mut self) -> Self {
        let prefix = if self.original.starts_with('v') {
            "v"
        } else {
            ""
        };
        self.original = format!("{prefix}{self}");
        self
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_prerelease(&self.pre, &other.pre))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.major, self.minor, self.patch, &self.pre).hash(state);
    }
}

/// Splits at the first `mark`: what is before it, and what is after it if it is there.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

pub(crate) fn is_identifier_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-'
}

fn is_dotted_identifiers(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(is_identifier_byte))
}

fn parse_number(digits: &str) -> Result<u64, VersionError> {
    digits.parse().map_err(|_| VersionError::Overflow {
        segment: digits.to_owned(),
    })
}

fn validate_prerelease(pre: &str) -> Result<(), VersionError> {
    if pre.is_empty() {
        return Ok(());
    }
    for part in pre.split('.') {
        if is_number(part) && part.len() > 1 && part.starts_with('0') {
            return Err(VersionError::LeadingZero);
        }
        if part.is_empty() || !part.bytes().all(is_identifier_byte) {
            return Err(VersionError::InvalidPrerelease);
        }
    }
    Ok(())
}

/// Orders two pre-release texts; a release (empty) is above every pre-release.
pub(crate) fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut left = a.split('.');
    let mut right = b.split('.');
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => compare_part(x, y),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A part that does not fit 64 bits counts as text, as in the original.
fn compare_part(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(x), Ok(y)) => x.cmp(&y),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn lenient_reading_normalises_and_keeps_the_text() {
        for (text, want) in [
            ("1", "1.0.0"),
            ("v1.2", "1.2.0"),
            ("v01.002.3", "1.2.3"),
            ("1.2.3-rc.1+b.5", "1.2.3-rc.1+b.5"),
            ("1.2-a", "1.2.0-a"),
            ("1+x-y", "1.0.0+x-y"),
            ("1.2.3--", "1.2.3--"),
        ] {
            let version = v(text);
            assert_eq!(version.to_string(), want, "{text}");
            assert_eq!(version.original(), text);
        }
    }

    #[test]
    fn lenient_reading_refuses_with_the_librarys_text() {
        for (text, want) in [
            ("", "invalid semantic version"),
            ("a", "invalid semantic version"),
            ("V1", "invalid semantic version"),
            ("vv1", "invalid semantic version"),
            ("1.2.3.4", "invalid semantic version"),
            ("1..2", "invalid semantic version"),
            ("1.2.3-", "invalid semantic version"),
            ("1.2.3-a..b", "invalid semantic version"),
            ("1.2.3+", "invalid semantic version"),
            (" 1", "invalid semantic version"),
            ("1\n", "invalid semantic version"),
            ("+1", "invalid semantic version"),
            ("1.2.3-01", "version segment starts with 0"),
            (
                "99999999999999999999999.1",
                "error parsing version segment: strconv.ParseUint: parsing \
                 \"99999999999999999999999\": value out of range",
            ),
        ] {
            let err = Version::parse(text).expect_err(text);
            assert_eq!(err.to_string(), want, "{text}");
        }
        let long = format!("1.2.3+{}", "a".repeat(256));
        assert_eq!(
            Version::parse(&long).expect_err("too long").to_string(),
            "version string is too long (max 256 bytes)"
        );
    }

    #[test]
    fn strict_reading_wants_the_letter_of_the_standard() {
        assert!(Version::parse_strict("1.2.3-a.0+b.01").is_ok());
        for (text, want) in [
            ("", VersionError::Empty),
            ("1.2", VersionError::Invalid),
            ("v1.2.3", VersionError::InvalidCharacters),
            ("1.02.3", VersionError::LeadingZero),
            ("1.2.3.4", VersionError::InvalidCharacters),
            ("1.2.3-01", VersionError::LeadingZero),
            ("1.2.3-a_b", VersionError::InvalidPrerelease),
            ("1.2.3+a_b", VersionError::InvalidMetadata),
            ("1.2.", VersionError::Invalid),
        ] {
            assert_eq!(Version::parse_strict(text).expect_err(text), want, "{text}");
        }
    }

    #[test]
    fn three_parts_are_asked_of_tags() {
        assert!(Version::parse_three_part("v1.2.3").is_ok());
        assert!(Version::parse_three_part("v1.2.3-a.b").is_ok());
        assert!(Version::parse_three_part("1.2").is_err());
        assert!(Version::parse_three_part("1.2-a").is_err());
    }

    #[test]
    fn order_is_precedence() {
        let rising = [
            "0.9.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1",
            "1.0.1",
            "1.10.0",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(v(a).cmp(&v(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(v("v1.2+a"), v("1.2.0+b"));
    }

    #[test]
    fn increments_drop_what_is_behind() {
        assert_eq!(v("v1.2.3-a+b").inc_patch().original(), "v1.2.3");
        assert_eq!(v("1.2.3+b").inc_patch().to_string(), "1.2.4");
        assert_eq!(v("1.2.3-a").inc_minor().to_string(), "1.3.0");
        assert_eq!(v("v1.2.3").inc_major().original(), "v2.0.0");
        let tagged = v("1.2.3+old").with_metadata("0123456789ab").expect("hex");
        assert_eq!(tagged.original(), "1.2.3+0123456789ab");
        assert!(tagged.with_metadata("a_b").is_err());
    }
}
