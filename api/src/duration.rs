//! Durations as Go reads and prints them, because the API's `interval`,
//! `timeout` and the like are Go durations and conditions print them.
//!
//! [`GoDuration`] is a value, [`DurationText`] what stands in an object: the
//! text is kept as the user wrote it, so that `1h` does not turn into `1h0m0s`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The pattern of durations in hours and below.
pub const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// The pattern of timeouts, which admit no hours in most kinds.
pub const PATTERN_WITHOUT_HOURS: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$";

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The magnitude of the smallest duration, one more than that of the largest.
const MAGNITUDE_LIMIT: u64 = 1 << 63;

/// Why a text is no duration. The texts are Go's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text does not have the form of a duration, or its value is out of range.
    #[error("time: invalid duration {}", quote(.text))]
    Invalid {
        /// The whole text.
        text: String,
    },
    /// A number stands without a unit.
    #[error("time: missing unit in duration {}", quote(.text))]
    MissingUnit {
        /// The whole text.
        text: String,
    },
    /// A number has a unit that Go does not know.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// Quotes a text as Go's `time` package does in its errors.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            ' '..='\u{7f}' => quoted.push(character),
            other => {
                let mut buffer = [0; 4];
                for byte in other.encode_utf8(&mut buffer).bytes() {
                    quoted.push_str(&format!("\\x{byte:02x}"));
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

/// A signed span of time in nanoseconds: Go's `time.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

impl GoDuration {
    /// A duration of so many nanoseconds.
    pub const fn from_nanos(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// A duration of so many whole seconds, the largest or smallest duration if
    /// that does not fit.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND as i64))
    }

    /// The duration in nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The same span for Rust's clocks; a negative one is zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Drops what is below a multiple of `unit`, as Go's `Truncate`.
    pub fn truncate(self, unit: GoDuration) -> Self {
        if unit.0 <= 0 {
            return self;
        }
        Self(self.0 - self.0 % unit.0)
    }

    /// Rounds to the nearest multiple of `unit`, halves away from zero, as Go's
    /// `Round`. A result that does not fit becomes the largest or smallest
    /// duration.
    pub fn round(self, unit: GoDuration) -> Self {
        if unit.0 <= 0 {
            return self;
        }
        let rest = i128::from(self.0 % unit.0);
        let (value, step) = (i128::from(self.0), i128::from(unit.0));
        let rounded = if 2 * rest.abs() < step {
            value - rest
        } else {
            value - rest + step * rest.signum()
        };
        let bounded = rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Self(bounded as i64)
    }
}

impl From<Duration> for GoDuration {
    /// A span that is too long becomes the longest one.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    /// Reads an optional sign and one or more decimal numbers with a unit each
    /// (`h`, `m`, `s`, `ms`, `us`, `ns`), such as `1h15m30.918s`; a lone `0`
    /// needs no unit.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || DurationError::Invalid {
            text: text.to_owned(),
        };
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if digits == "0" {
            return Ok(Self(0));
        }
        if digits.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        let mut rest = digits;
        while !rest.is_empty() {
            let (part, after) = read_part(rest, text)?;
            total = total
                .checked_add(part)
                .filter(|total| *total <= MAGNITUDE_LIMIT)
                .ok_or_else(invalid)?;
            rest = after;
        }
        match (negative, i64::try_from(total)) {
            (false, Ok(value)) => Ok(Self(value)),
            (true, Ok(value)) => Ok(Self(-value)),
            (true, Err(_)) => Ok(Self(i64::MIN)),
            (false, Err(_)) => Err(invalid()),
        }
    }
}

/// Reads one number with its unit from the start of `rest`; gives nanoseconds
/// and what follows. `text` is the whole duration, for errors.
fn read_part<'a>(rest: &'a str, text: &str) -> Result<(u64, &'a str), DurationError> {
    let invalid = || DurationError::Invalid {
        text: text.to_owned(),
    };
    let (whole_digits, rest) = split_digits(rest);
    let (fraction_digits, rest) = match rest.strip_prefix('.') {
        Some(after) => split_digits(after),
        None => ("", rest),
    };
    if whole_digits.is_empty() && fraction_digits.is_empty() {
        return Err(invalid());
    }
    let whole = match whole_digits {
        "" => 0,
        digits => digits
            .parse::<u64>()
            .ok()
            .filter(|whole| *whole <= MAGNITUDE_LIMIT)
            .ok_or_else(invalid)?,
    };
    let unit_end = rest
        .find(|character: char| character == '.' || character.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit_name, rest) = rest.split_at(unit_end);
    if unit_name.is_empty() {
        return Err(DurationError::MissingUnit {
            text: text.to_owned(),
        });
    }
    let unit = unit_nanos(unit_name).ok_or_else(|| DurationError::UnknownUnit {
        unit: unit_name.to_owned(),
        text: text.to_owned(),
    })?;
    let value = whole
        .checked_mul(unit)
        .filter(|value| *value <= MAGNITUDE_LIMIT)
        .ok_or_else(invalid)?;
    // Both fit well below the limit of u64, so that the sum cannot overflow.
    let value = value + fraction_nanos(fraction_digits, unit);
    if value > MAGNITUDE_LIMIT {
        return Err(invalid());
    }
    Ok((value, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn unit_nanos(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        // Both the micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    })
}

/// The value of a decimal fraction of a unit. Digits beyond what 63 bits hold
/// are dropped, and the rest is scaled in floating point: both as Go does, so
/// that the last nanosecond agrees.
fn fraction_nanos(digits: &str, unit: u64) -> u64 {
    let mut fraction: u64 = 0;
    let mut scale: f64 = 1.0;
    for digit in digits.bytes().map(|byte| u64::from(byte - b'0')) {
        let next = fraction
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(digit))
            .filter(|next| *next <= MAGNITUDE_LIMIT);
        match next {
            Some(next) => fraction = next,
            None => break,
        }
        scale *= 10.0;
    }
    (fraction as f64 * (unit as f64 / scale)) as u64
}

impl fmt::Display for GoDuration {
    /// Prints as Go does: `0s`, `1.5ms`, `2m0s`, `1h0m0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        match nanos {
            0 => f.write_str("0s"),
            1..MICROSECOND => write!(f, "{nanos}ns"),
            MICROSECOND..MILLISECOND => write_decimal(f, nanos, MICROSECOND, "\u{b5}s"),
            MILLISECOND..SECOND => write_decimal(f, nanos, MILLISECOND, "ms"),
            _ => {
                if nanos >= HOUR {
                    write!(f, "{}h", nanos / HOUR)?;
                }
                if nanos >= MINUTE {
                    write!(f, "{}m", nanos % HOUR / MINUTE)?;
                }
                write_decimal(f, nanos % MINUTE, SECOND, "s")
            }
        }
    }
}

/// Writes `nanos` in units of `unit`, with as many decimals as it needs.
fn write_decimal(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", nanos / unit)?;
    let mut fraction = nanos % unit;
    if fraction > 0 {
        let mut width = unit.ilog10() as usize;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            width -= 1;
        }
        write!(f, ".{fraction:0width$}")?;
    }
    f.write_str(name)
}

/// A duration as it stands in an object, text and all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(String);

impl DurationText {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the text.
    ///
    /// # Errors
    ///
    /// Fails when the text is no Go duration, which an API server with the
    /// CRDs of this crate does not let through.
    pub fn parse(&self) -> Result<GoDuration, DurationError> {
        self.0.parse()
    }
}

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<GoDuration> for DurationText {
    fn from(duration: GoDuration) -> Self {
        Self(duration.to_string())
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("-5s", -5_000_000_000),
            ("-0", 0),
            ("5.0s", 5_000_000_000),
            ("5.6s", 5_600_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1.004s", 1_004_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            ("13ms", 13_000_000),
            ("3h30m", 12_600_000_000_000),
            ("10.5s4m", 250_500_000_000),
            ("1m0s", 60_000_000_000),
            ("9007199254.740993ms", 9_007_199_254_740_993),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("-9223372036854.775808ms", i64::MIN),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("0.9223372036854775808h", 3_320_413_933_267),
            ("0.100000000000000000000h", 360_000_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_durations_are_refused_in_the_words_of_go() {
        let cases = [
            ("", r#"time: invalid duration """#),
            ("3", r#"time: missing unit in duration "3""#),
            ("-", r#"time: invalid duration "-""#),
            ("s", r#"time: invalid duration "s""#),
            (".", r#"time: invalid duration ".""#),
            (".s", r#"time: invalid duration ".s""#),
            ("+.s", r#"time: invalid duration "+.s""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("5m 3s", r#"time: unknown unit "m " in duration "5m 3s""#),
            (
                "\u{e9}1s\n\"",
                r#"time: invalid duration "\xc3\xa91s\x0a\"""#,
            ),
            (
                "9223372036854775808ns",
                r#"time: invalid duration "9223372036854775808ns""#,
            ),
            (
                "-9223372036854775809ns",
                r#"time: invalid duration "-9223372036854775809ns""#,
            ),
            (
                "18446744073709551616s",
                r#"time: invalid duration "18446744073709551616s""#,
            ),
            ("3000000h", r#"time: invalid duration "3000000h""#),
        ];
        for (text, message) in cases {
            let error = text.parse::<GoDuration>().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (1_000_000_000, "1s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(GoDuration(nanos).to_string(), text);
        }
    }

    #[test]
    fn rounding_takes_halves_away_from_zero() {
        let second = GoDuration::from_secs(1);
        let cases = [
            (1_499_999_999, 1, 1),
            (1_500_000_000, 2, 1),
            (-1_500_000_000, -2, -1),
            (999_999_999, 1, 0),
        ];
        for (nanos, rounded, truncated) in cases {
            let duration = GoDuration(nanos);
            assert_eq!(duration.round(second), GoDuration::from_secs(rounded));
            assert_eq!(duration.truncate(second), GoDuration::from_secs(truncated));
        }
        assert_eq!(GoDuration(i64::MAX).round(second), GoDuration(i64::MAX));
    }

    #[test]
    fn the_text_in_an_object_is_kept() {
        let text: DurationText = serde_json::from_value("60m".into()).unwrap();
        assert_eq!(text.parse(), Ok(GoDuration::from_secs(3600)));
        assert_eq!(serde_json::to_value(&text).unwrap(), "60m");
    }

    proptest! {
        #[test]
        fn printing_and_reading_gives_the_same_duration(nanos in any::<i64>()) {
            // Go scales fractions in floating point; its own printer's output
            // is read back exactly since there are at most nine decimals.
            let duration = GoDuration(nanos);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[-+]?[0-9.hmsnu\u{b5}]{0,40}") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
