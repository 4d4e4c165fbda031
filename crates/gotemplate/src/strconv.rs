//! Go's strconv: quoting, unquoting, numbers from text and text from numbers.

use crate::text::{decode_rune, is_print, push_rune, runes};

/// Which runes a quoted string may hold unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuoteTo {
    /// All that are printable.
    Unicode,
    /// Printable ASCII only.
    Ascii,
}

/// Returns `bytes` as a double-quoted Go string literal.
pub fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, '"', QuoteTo::Unicode)
}

/// As [`quote`] with the delimiter and the set of unescaped runes given.
pub fn quote_with(bytes: &[u8], delimiter: char, to: QuoteTo) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(delimiter);
    for (rune, raw) in runes(bytes) {
        if rune == char::REPLACEMENT_CHARACTER && raw.len() == 1 {
            out.push_str(&format!("\\x{:02x}", raw[0]));
        } else {
            push_escaped(&mut out, rune, delimiter, to);
        }
    }
    out.push(delimiter);
    out
}

/// Returns a rune as a single-quoted Go literal; a number that is no rune
/// becomes U+FFFD.
pub fn quote_rune(code: u32, to: QuoteTo) -> String {
    let rune = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut out = String::from("'");
    push_escaped(&mut out, rune, '\'', to);
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, rune: char, delimiter: char, to: QuoteTo) {
    match rune {
        _ if rune == delimiter || rune == '\\' => {
            out.push('\\');
            out.push(rune);
        }
        _ if rune.is_ascii() && is_print(rune) => out.push(rune),
        _ if to == QuoteTo::Unicode && is_print(rune) => out.push(rune),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ if rune < ' ' || rune == '\x7f' => {
            out.push_str(&format!("\\x{:02x}", rune as u32));
        }
        _ if (rune as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", rune as u32)),
        _ => out.push_str(&format!("\\U{:08x}", rune as u32)),
    }
}

/// Reads a Go string literal in double or back quotes. `None` is Go's
/// `invalid syntax`.
pub fn unquote(literal: &str) -> Option<Vec<u8>> {
    let bytes = literal.as_bytes();
    let (&open, &close) = (bytes.first()?, bytes.last()?);
    if bytes.len() < 2 || open != close {
        return None;
    }
    let inner = &bytes[1..bytes.len() - 1];
    match open {
        b'`' => {
            if inner.contains(&b'`') {
                return None;
            }
            Some(inner.iter().copied().filter(|b| *b != b'\r').collect())
        }
        b'"' => {
            let mut out = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                if matches!(rest[0], b'"' | b'\n') {
                    return None;
                }
                let (unit, tail) = unquote_char(rest, b'"')?;
                match unit {
                    Unit::Byte(b) => out.push(b),
                    Unit::Rune(r) => push_rune(&mut out, r),
                    Unit::Raw(raw) => out.extend_from_slice(raw),
                }
                rest = tail;
            }
            Some(out)
        }
        _ => None,
    }
}

/// What one element of a literal stands for.
enum Unit<'a> {
    /// `\x41` or `\101`: a byte in a string, a code in a rune.
    Byte(u8),
    /// An escaped rune.
    Rune(char),
    /// Unescaped bytes of one rune.
    Raw(&'a [u8]),
}

fn unquote_char(bytes: &[u8], delimiter: u8) -> Option<(Unit<'_>, &[u8])> {
    let (_, width) = decode_rune(bytes)?;
    if bytes[0] == delimiter {
        return None;
    }
    if bytes[0] != b'\\' {
        return Some((Unit::Raw(&bytes[..width]), &bytes[width..]));
    }
    let kind = *bytes.get(1)?;
    let rest = &bytes[2..];
    let simple = |b: u8| Some((Unit::Byte(b), rest));
    match kind {
        b'a' => simple(7),
        b'b' => simple(8),
        b'f' => simple(12),
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'v' => simple(11),
        b'\\' => simple(b'\\'),
        b'\'' | b'"' if kind == delimiter => simple(kind),
        b'x' => {
            let value = digits(rest.get(..2)?, 16)?;
            Some((Unit::Byte(u8::try_from(value).ok()?), &rest[2..]))
        }
        b'u' | b'U' => {
            let len = if kind == b'u' { 4 } else { 8 };
            let value = digits(rest.get(..len)?, 16)?;
            Some((Unit::Rune(char::from_u32(value)?), &rest[len..]))
        }
        b'0'..=b'7' => {
            let value = digits(bytes.get(1..4)?, 8)?;
            Some((Unit::Byte(u8::try_from(value).ok()?), &bytes[4..]))
        }
        _ => None,
    }
}

fn digits(bytes: &[u8], radix: u32) -> Option<u32> {
    bytes.iter().try_fold(0u32, |value, b| {
        let digit = char::from(*b).to_digit(radix)?;
        value.checked_mul(radix)?.checked_add(digit)
    })
}

/// Why a rune literal such as `'a'` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuneError {
    /// Go's `invalid syntax`.
    Syntax,
    /// More than one rune between the quotes.
    Trailing,
}

/// Reads a Go rune literal, quotes included; returns its code.
pub fn unquote_rune(literal: &str) -> Result<i64, RuneError> {
    let bytes = literal.as_bytes();
    let inner = bytes.get(1..).ok_or(RuneError::Syntax)?;
    let (unit, tail) = unquote_char(inner, b'\'').ok_or(RuneError::Syntax)?;
    if tail != b"'" {
        return Err(RuneError::Trailing);
    }
    Ok(match unit {
        Unit::Byte(b) => i64::from(b),
        Unit::Rune(r) => i64::from(u32::from(r)),
        Unit::Raw(raw) => decode_rune(raw).map_or(0, |(r, _)| i64::from(u32::from(r))),
    })
}

/// Why a number could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text is not a number.
    #[error("invalid syntax")]
    Syntax,
    /// The number does not fit.
    #[error("value out of range")]
    Range,
}

/// Reads an unsigned integer as `strconv.ParseUint(text, 0, 64)`: prefixes
/// `0x 0o 0b 0`, underscores between digits.
pub fn parse_uint(text: &str) -> Result<u64, NumberError> {
    let bytes = text.as_bytes();
    let (radix, body) = match bytes {
        [] => return Err(NumberError::Syntax),
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => (16, rest),
        [b'0', b'b' | b'B', rest @ ..] if !rest.is_empty() => (2, rest),
        [b'0', b'o' | b'O', rest @ ..] if !rest.is_empty() => (8, rest),
        [b'0', rest @ ..] => (8, if rest.is_empty() { bytes } else { rest }),
        _ => (10, bytes),
    };
    let mut value: u64 = 0;
    let mut overflow = false;
    for b in body {
        if *b == b'_' {
            continue;
        }
        let digit = char::from(*b).to_digit(radix).ok_or(NumberError::Syntax)?;
        if !overflow {
            match value
                .checked_mul(u64::from(radix))
                .and_then(|v| v.checked_add(u64::from(digit)))
            {
                Some(v) => value = v,
                None => overflow = true,
            }
        }
    }
    if body.contains(&b'_') && !underscores_well_placed(text) {
        return Err(NumberError::Syntax);
    }
    if overflow {
        return Err(NumberError::Range);
    }
    Ok(value)
}

/// Reads a signed integer as `strconv.ParseInt(text, 0, 64)`.
pub fn parse_int(text: &str) -> Result<i64, NumberError> {
    let (negative, body) = match text.as_bytes().first() {
        Some(b'+') => (false, &text[1..]),
        Some(b'-') => (true, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_uint(body)?;
    if negative {
        if magnitude > 1 << 63 {
            return Err(NumberError::Range);
        }
        return Ok((magnitude as i64).wrapping_neg());
    }
    i64::try_from(magnitude).map_err(|_| NumberError::Range)
}

/// Whether underscores stand only between digits or after a base prefix.
pub fn underscores_well_placed(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    if let Some(b'+' | b'-') = bytes.first() {
        bytes = &bytes[1..];
    }
    let mut previous = '^';
    let mut hex = false;
    if bytes.len() >= 2
        && bytes[0] == b'0'
        && let b'b' | b'o' | b'x' | b'B' | b'O' | b'X' = bytes[1]
    {
        hex = bytes[1].eq_ignore_ascii_case(&b'x');
        bytes = &bytes[2..];
        previous = '0';
    }
    for b in bytes {
        match b {
            b'0'..=b'9' => previous = '0',
            b'a'..=b'f' | b'A'..=b'F' if hex => previous = '0',
            b'_' if previous == '0' => previous = '_',
            b'_' => return false,
            _ if previous == '_' => return false,
            _ => previous = '!',
        }
    }
    previous != '_'
}

/// Reads a float as `strconv.ParseFloat(text, 64)`: decimal and hexadecimal,
/// underscores only with a base prefix, `inf`, `infinity` and `nan` in any case.
pub fn parse_float(text: &str) -> Result<f64, NumberError> {
    let bytes = text.as_bytes();
    let (sign, body) = match bytes.first() {
        Some(b'+') => (1.0, &text[1..]),
        Some(b'-') => (-1.0, &text[1..]),
        _ => (1.0, text),
    };
    if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        return Ok(sign * f64::INFINITY);
    }
    if body.eq_ignore_ascii_case("nan") {
        return if body.len() == text.len() {
            Ok(f64::NAN)
        } else {
            Err(NumberError::Syntax)
        };
    }
    if let [b'0', b'x' | b'X', digits @ ..] = body.as_bytes()
        && !digits.is_empty()
    {
        if body.contains('_') && !underscores_well_placed(text) {
            return Err(NumberError::Syntax);
        }
        let value = parse_hex_float(digits)?;
        return if value.is_infinite() {
            Err(NumberError::Range)
        } else {
            Ok(sign * value)
        };
    }
    let plain = body
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !plain || !body.bytes().any(|b| b.is_ascii_digit()) || body.starts_with(['+', '-']) {
        return Err(NumberError::Syntax);
    }
    let value: f64 = body.parse().map_err(|_| NumberError::Syntax)?;
    if value.is_infinite() {
        return Err(NumberError::Range);
    }
    Ok(sign * value)
}

/// Reads the part of a hexadecimal float behind `0x`; the exponent is required.
fn parse_hex_float(bytes: &[u8]) -> Result<f64, NumberError> {
    let mut mantissa: u64 = 0;
    let mut exponent: i64 = 0;
    let mut seen_point = false;
    let mut seen_digit = false;
    let mut sticky = false;
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'_' => {}
            b'.' if !seen_point => seen_point = true,
            _ => {
                let Some(digit) = char::from(b).to_digit(16) else {
                    break;
                };
                seen_digit = true;
                if mantissa >> 58 == 0 {
                    mantissa = mantissa << 4 | u64::from(digit);
                    if seen_point {
                        exponent -= 4;
                    }
                } else {
                    sticky |= digit != 0;
                    if !seen_point {
                        exponent += 4;
                    }
                }
            }
        }
        at += 1;
    }
    if !seen_digit || !matches!(bytes.get(at), Some(b'p' | b'P')) {
        return Err(NumberError::Syntax);
    }
    let text = std::str::from_utf8(&bytes[at + 1..]).map_err(|_| NumberError::Syntax)?;
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::Syntax);
    }
    let power: i64 = digits.parse().unwrap_or(if digits.starts_with('-') {
        -100_000
    } else {
        100_000
    });
    if sticky {
        mantissa |= 1;
    }
    let total = (exponent + power.clamp(-100_000, 100_000)).clamp(-3000, 3000);
    let mut value = mantissa as f64;
    // Two steps keep subnormal results from flushing to zero too early.
    let half = (total / 2) as i32;
    value *= 2f64.powi(half);
    value *= 2f64.powi(total as i32 - half);
    Ok(value)
}

/// Returns a float in Go's `%g` form with the shortest digits that read back,
/// which is what `%v`, `print` and `strval` give.
pub fn format_float(value: f64) -> String {
    format_float_with(value, 'g', None)
}

/// Returns a float as `strconv.FormatFloat(value, form, precision, 64)`; `None`
/// is the shortest precision that reads back. `form` is one of `e E f F g G`.
pub fn format_float_with(value: f64, form: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let upper = form.is_ascii_uppercase();
    let text = match form.to_ascii_lowercase() {
        'e' => go_exponent(&match precision {
            Some(p) => format!("{value:.p$e}"),
            None => format!("{value:e}"),
        }),
        'f' => match precision {
            Some(p) => format!("{value:.p$}"),
            None => format!("{value}"),
        },
        _ => {
            let precision = precision.map(|p| p.max(1));
            let scientific = match precision {
                Some(p) => format!("{value:.*e}", p - 1),
                None => format!("{value:e}"),
            };
            let (mantissa, exponent) = split_exponent(&scientific);
            let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
            // Go trims the zeros that the precision asked for but the number lacks.
            let significant = match precision {
                Some(_) => trimmed_digits(mantissa),
                None => digits,
            };
            let threshold = match precision {
                None => 6,
                Some(p) => {
                    let whole = exponent + 1;
                    if p > significant && significant as i64 >= whole {
                        significant
                    } else {
                        p
                    }
                }
            };
            if exponent < -4 || exponent >= threshold as i64 {
                let kept = significant.max(1) - 1;
                go_exponent(&match precision {
                    Some(_) => format!("{value:.kept$e}"),
                    None => scientific.clone(),
                })
            } else {
                let decimals = (significant as i64 - exponent - 1).max(0) as usize;
                format!("{value:.decimals$}")
            }
        }
    };
    if upper {
        text.to_ascii_uppercase()
    } else {
        text
    }
}

/// Counts the digits of a mantissa without its trailing zeros.
fn trimmed_digits(mantissa: &str) -> usize {
    let all: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    all.iter()
        .rposition(|b| *b != b'0')
        .map_or(0, |last| last + 1)
}

/// Splits Rust's `1.5e-7` into mantissa text and exponent.
fn split_exponent(scientific: &str) -> (&str, i64) {
    match scientific.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (scientific, 0),
    }
}

/// Rewrites Rust's `1.5e7` to Go's `1.5e+07`.
fn go_exponent(scientific: &str) -> String {
    let (mantissa, exponent) = split_exponent(scientific);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_is_cut_in_two_where_a_base_may_stand() {
        for text in ["日.5", "é1", "0é", "0xé", "-日", "0", "0x"] {
            assert_eq!(parse_float(text).is_ok(), text == "0", "{text}");
            assert_eq!(parse_int(text).is_ok(), text == "0", "{text}");
            assert_eq!(parse_uint(text).is_ok(), text == "0", "{text}");
        }
    }

    #[test]
    fn shortest_floats_follow_gos_thresholds() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (123456.0, "123456"),
            (999999.0, "999999"),
            (1000000.0, "1e+06"),
            (1234567.0, "1.234567e+06"),
            (100000.5, "100000.5"),
            (12345678.5, "1.23456785e+07"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e20, "1e+20"),
            (1e100, "1e+100"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(format_float(value), want);
        }
    }

    #[test]
    fn given_precisions_round_and_trim() {
        for (value, form, precision, want) in [
            (1234.5678, 'f', 2, "1234.57"),
            (12345.6789, 'e', 2, "1.23e+04"),
            (1234.5678, 'g', 3, "1.23e+03"),
            (100.0, 'g', 6, "100"),
            (100000.0, 'g', 3, "1e+05"),
            (0.0, 'g', 3, "0"),
            (1e-5, 'G', 3, "1E-05"),
            (2.5, 'f', 0, "2"),
            (1234567.0, 'g', 7, "1234567"),
            (1234567.0, 'g', 10, "1234567"),
        ] {
            assert_eq!(format_float_with(value, form, Some(precision)), want);
        }
    }

    #[test]
    fn integers_read_in_every_base() {
        for (text, want) in [
            ("31", Ok(31)),
            ("0x1f", Ok(31)),
            ("0b11", Ok(3)),
            ("0o17", Ok(15)),
            ("017", Ok(15)),
            ("1_000", Ok(1000)),
            ("0x_1", Ok(1)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("+5", Ok(5)),
            ("0", Ok(0)),
            ("08", Err(NumberError::Syntax)),
            ("1__0", Err(NumberError::Syntax)),
            ("_1", Err(NumberError::Syntax)),
            ("1_", Err(NumberError::Syntax)),
            ("0x", Err(NumberError::Syntax)),
            ("", Err(NumberError::Syntax)),
            ("-", Err(NumberError::Syntax)),
            ("9223372036854775808", Err(NumberError::Range)),
        ] {
            assert_eq!(parse_int(text), want, "{text}");
        }
    }

    #[test]
    fn floats_read_as_go_reads_them() {
        for (text, want) in [
            ("1.5", Ok(1.5)),
            (".5", Ok(0.5)),
            ("5.", Ok(5.0)),
            ("1e3", Ok(1000.0)),
            ("-Inf", Ok(f64::NEG_INFINITY)),
            ("0x1p4", Ok(16.0)),
            ("0x1.8p1", Ok(3.0)),
            ("0x1", Err(NumberError::Syntax)),
            ("1_0", Err(NumberError::Syntax)),
            ("1e400", Err(NumberError::Range)),
            ("", Err(NumberError::Syntax)),
            (".", Err(NumberError::Syntax)),
            ("e3", Err(NumberError::Syntax)),
            ("++1", Err(NumberError::Syntax)),
            ("1 ", Err(NumberError::Syntax)),
        ] {
            assert_eq!(parse_float(text), want, "{text}");
        }
    }

    #[test]
    fn literals_unquote() {
        assert_eq!(
            unquote(r#""a\n\x41\101\u00e9\"\\""#),
            Some("a\nAA\u{e9}\"\\".as_bytes().to_vec())
        );
        assert_eq!(unquote(r#""\xff""#), Some(vec![0xff]));
        assert_eq!(unquote("`a\\n\r\n`"), Some(b"a\\n\n".to_vec()));
        for bad in [
            r#""\'""#,
            r#""\q""#,
            r#""\400""#,
            r#""\ud800""#,
            "\"a\nb\"",
            "\"",
        ] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
        assert_eq!(unquote_rune("'a'"), Ok(97));
        assert_eq!(unquote_rune(r"'\''"), Ok(39));
        assert_eq!(unquote_rune("'日'"), Ok(0x65e5));
        assert_eq!(unquote_rune("'ab'"), Err(RuneError::Trailing));
        assert_eq!(unquote_rune("''"), Err(RuneError::Syntax));
    }

    #[test]
    fn quoting_escapes_what_go_escapes() {
        assert_eq!(
            quote("a\"\\\n\u{7f}\u{a0}\u{200b}é😀".as_bytes()),
            "\"a\\\"\\\\\\n\\x7f\\u00a0\\u200bé😀\""
        );
        assert_eq!(quote(b"\xff"), "\"\\xff\"");
        assert_eq!(
            quote_with("é😀".as_bytes(), '"', QuoteTo::Ascii),
            "\"\\u00e9\\U0001f600\""
        );
        assert_eq!(quote_rune(65, QuoteTo::Unicode), "'A'");
        assert_eq!(quote_rune(39, QuoteTo::Unicode), r"'\''");
    }
}
