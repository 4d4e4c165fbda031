//! Times and durations as Go reads and writes them.

use crate::gofmt::quote;

/// Seconds or microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `2006-01-02T15:04:05Z`
    Seconds,
    /// `2006-01-02T15:04:05.000000Z`
    Micros,
}

/// Reads an RFC 3339 time and writes it in UTC with the given precision.
///
/// # Errors
/// Go's text of what cannot be parsed.
pub fn normal_time(text: &str, precision: Precision) -> Result<String, String> {
    let layout = match precision {
        Precision::Seconds => "2006-01-02T15:04:05Z07:00",
        Precision::Micros => "2006-01-02T15:04:05.000000Z07:00",
    };
    let wrong = |rest: &str, part: &str| {
        format!(
            "parsing time {} as \"{layout}\": cannot parse {} as \"{part}\"",
            quote(text),
            quote(rest)
        )
    };
    if let Some((rest, part)) = misfit(text, precision) {
        return Err(wrong(rest, part));
    }
    let out_of_range = |what: &str| format!("parsing time {}: {what} out of range", quote(text));
    let time: jiff::Timestamp = text.parse().map_err(|_| out_of_range(range_of(text)))?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC);
    Ok(match precision {
        Precision::Seconds => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Precision::Micros => {
            let micros = time.subsec_nanosecond() / 1000;
            format!("{}.{micros:06}Z", time.strftime("%Y-%m-%dT%H:%M:%S"))
        }
    })
}

/// The first part of the layout that the text does not have, with what is there instead.
fn misfit(text: &str, precision: Precision) -> Option<(&str, &'static str)> {
    let mut rest = text;
    let digits = |text: &str, count: usize| {
        text.len() >= count && text.as_bytes()[..count].iter().all(u8::is_ascii_digit)
    };
    for (part, separator) in [
        ("2006", "-"),
        ("01", "-"),
        ("02", "T"),
        ("15", ":"),
        ("04", ":"),
        ("05", ""),
    ] {
        if !digits(rest, part.len()) {
            return Some((rest, part));
        }
        rest = &rest[part.len()..];
        let Some(after) = rest.strip_prefix(separator) else {
            return Some((rest, separator));
        };
        rest = after;
    }
    let fraction = rest.strip_prefix(['.', ',']);
    if let Some(fraction) = fraction {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if precision == Precision::Micros && count < 6 {
            return Some((rest, ".000000"));
        }
        if count > 0 {
            rest = &fraction[count..];
        }
    } else if precision == Precision::Micros {
        return Some((rest, ".000000"));
    }
    let zone = rest.strip_prefix(['+', '-']).is_some_and(|zone| {
        zone.len() == 5 && digits(zone, 2) && zone.as_bytes()[2] == b':' && digits(&zone[3..], 2)
    });
    (rest != "Z" && !zone).then_some((rest, "Z07:00"))
}

fn range_of(text: &str) -> &'static str {
    let number = |at: usize| {
        text.get(at..at + 2)
            .and_then(|digits| digits.parse::<u32>().ok())
            .unwrap_or(0)
    };
    match (number(5), number(11), number(14), number(17)) {
        (0 | 13.., ..) => "month",
        (_, 24.., ..) => "hour",
        (_, _, 60.., _) => "minute",
        (_, _, _, 60..) => "second",
        _ => "day",
    }
}

/// Reads a Go duration such as `1h30m`; in nanoseconds.
///
/// # Errors
/// Go's text.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0f64;
    let mut exact: i128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(format!("time: missing unit in duration {}", quote(text))),
            unit => {
                return Err(format!(
                    "time: unknown unit {} in duration {}",
                    quote(unit),
                    quote(text)
                ));
            }
        };
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| invalid())?
        };
        let part: f64 = if fraction.is_empty() {
            0.0
        } else {
            format!("0.{fraction}").parse().map_err(|_| invalid())?
        };
        exact += whole.checked_mul(nanos).ok_or_else(invalid)?;
        total += part * nanos as f64;
        if exact > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = after;
    }
    i64::try_from(sign * (exact + total as i128)).map_err(|_| invalid())
}

/// Writes a duration as Go does: `1h30m0s`, `1.5s`, `100ms`.
pub fn format_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".into();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let decimal = |size: u64, unit: u64| {
        let (whole, rest) = (size / unit, size % unit);
        if rest == 0 {
            return whole.to_string();
        }
        let digits = format!("{:0width$}", rest, width = unit.ilog10() as usize);
        format!("{whole}.{}", digits.trim_end_matches('0'))
    };
    let text = match size {
        0..1_000 => format!("{size}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(size, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(size, 1_000_000)),
        _ => {
            let seconds = size / 1_000_000_000;
            let rest = decimal(size % 60_000_000_000, 1_000_000_000);
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{rest}s"),
                (0, minutes) => format!("{minutes}m{rest}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        let seconds = |text| normal_time(text, Precision::Seconds);
        assert_eq!(
            seconds("2024-02-29T12:00:00.9+02:00"),
            Ok("2024-02-29T10:00:00Z".into())
        );
        assert_eq!(
            normal_time("2024-02-29T12:00:00.123456789Z", Precision::Micros),
            Ok("2024-02-29T12:00:00.123456Z".into())
        );
        assert_eq!(
            seconds("x"),
            Err("parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"".into())
        );
        assert_eq!(
            seconds("2024-01-01"),
            Err("parsing time \"2024-01-01\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"T\"".into())
        );
        assert_eq!(
            seconds("2024-13-01T00:00:00Z"),
            Err("parsing time \"2024-13-01T00:00:00Z\": month out of range".into())
        );
    }

    #[test]
    fn durations_read_and_write_as_in_go() {
        for (given, written) in [
            ("1h", "1h0m0s"),
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("100ms", "100ms"),
            ("0", "0s"),
            ("-5m", "-5m0s"),
        ] {
            assert_eq!(
                parse_duration(given).map(format_duration),
                Ok(written.into())
            );
        }
        assert_eq!(
            parse_duration("5"),
            Err("time: missing unit in duration \"5\"".into())
        );
        assert_eq!(
            parse_duration("x"),
            Err("time: invalid duration \"x\"".into())
        );
        assert_eq!(
            parse_duration("5y"),
            Err("time: unknown unit \"y\" in duration \"5y\"".into())
        );
    }
}
