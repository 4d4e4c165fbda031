//! The formats of texts that the server checks. Others are accepted as they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

/// Every format that the server knows, for texts and for numbers.
pub(super) const KNOWN: &[&str] = &[
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "date-time",
    "datetime",
    "double",
    "duration",
    "email",
    "float",
    "hexcolor",
    "hostname",
    "int32",
    "int64",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static HOSTNAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"^([a-zA-Z0-9]((-?[a-zA-Z0-9]{0,62})?)|([a-zA-Z0-9](([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)\.)+[a-zA-Z]{2,63})$",
    )
});
static UUID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
});
static COLOR: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"));
static RGB: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"^rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)$"));
static MAC: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern("^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}([:-][0-9a-fA-F]{2}){0,2}$"));
static SSN: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$"));
static OBJECT_ID: LazyLock<Option<Regex>> = LazyLock::new(|| pattern("^[0-9a-fA-F]{24}$"));
static DAYS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)^\s*\d+\s*(ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)\s*$",
    )
});

fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(text))
}

/// Whether a text has the format.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "byte" => STANDARD.decode(text).is_ok(),
        "cidr" => is_network(text),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "date-time" | "datetime" => is_time(text),
        "duration" => crate::read::parse_duration(text).is_ok() || is(&DAYS, text),
        "email" => is_mail(text),
        "hostname" => text.len() <= 255 && is(&HOSTNAME, text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "mac" => is(&MAC, text),
        "uri" => is_uri(text),
        "uuid" => is(&UUID, text),
        "uuid3" => is(&UUID, text) && version(text) == Some('3'),
        "uuid4" => is(&UUID, text) && version(text) == Some('4'),
        "uuid5" => is(&UUID, text) && version(text) == Some('5'),
        "hexcolor" => is(&COLOR, text),
        "rgbcolor" => is(&RGB, text),
        "ssn" => is(&SSN, text),
        "bsonobjectid" => is(&OBJECT_ID, text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "creditcard" => is_card(text),
        _ => true,
    }
}

fn version(uuid: &str) -> Option<char> {
    uuid.chars().filter(|c| *c != '-').nth(12)
}

fn is_time(text: &str) -> bool {
    text.len() >= 20
        && matches!(text.as_bytes()[10], b'T' | b't')
        && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn is_mail(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace)
    })
}

/// What Go's `ParseRequestURI` takes: an absolute URI or an absolute path.
fn is_uri(text: &str) -> bool {
    if text.starts_with('/') {
        return !text.contains(char::is_control);
    }
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
            && rest.starts_with('/')
            && !rest.contains(|c: char| c.is_control() || c == ' ')
    })
}

/// The digits of a number that may be grouped.
fn digits(text: &str) -> Vec<u32> {
    text.chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| match c {
            'X' | 'x' => 10,
            c => c.to_digit(10).unwrap_or(99),
        })
        .collect()
}

fn is_isbn10(text: &str) -> bool {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .zip(1..)
        .map(|(digit, place)| digit * place)
        .sum();
    let body = digits.iter().take(9).all(|digit| *digit < 10);
    digits.len() == 10 && body && digits[9] <= 10 && sum.is_multiple_of(11)
}

fn is_isbn13(text: &str) -> bool {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .zip([1, 3].into_iter().cycle())
        .map(|(digit, weight)| digit * weight)
        .sum();
    digits.len() == 13 && digits.iter().all(|digit| *digit < 10) && sum.is_multiple_of(10)
}

fn is_card(text: &str) -> bool {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    (13..=19).contains(&digits.len())
        && digits.iter().all(|digit| *digit < 10)
        && sum.is_multiple_of(10)
}
