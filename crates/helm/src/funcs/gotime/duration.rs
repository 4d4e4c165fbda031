//! Durations as Go writes and reads them.

use sluice_gotemplate::strconv::quote;

/// Reads a Go duration into nanoseconds. The error is Go's text.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text.as_bytes()));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let whole: u64 = match &rest[..whole_digits] {
            "" => 0,
            digits => digits.parse().map_err(|_| invalid())?,
        };
        rest = &rest[whole_digits..];
        let mut decimals = "";
        if let Some(after) = rest.strip_prefix('.') {
            let count = after.bytes().take_while(u8::is_ascii_digit).count();
            decimals = &after[..count];
            rest = &after[count..];
        }
        if whole_digits == 0 && decimals.is_empty() {
            return Err(invalid());
        }
        let unit_length = rest
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(rest.len());
        if unit_length == 0 {
            return Err(format!(
                "time: missing unit in duration {}",
                quote(text.as_bytes())
            ));
        }
        let unit_text = &rest[..unit_length];
        rest = &rest[unit_length..];
        let unit: u64 = match unit_text {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => {
                return Err(format!(
                    "time: unknown unit {} in duration {}",
                    quote(unit_text.as_bytes()),
                    quote(text.as_bytes())
                ));
            }
        };
        let mut nanos = whole.checked_mul(unit).ok_or_else(invalid)?;
        let kept = &decimals[..decimals.len().min(18)];
        if !kept.is_empty() {
            let numerator: u64 = kept.parse().map_err(|_| invalid())?;
            let scale = 10f64.powi(kept.len() as i32);
            nanos += (numerator as f64 * (unit as f64 / scale)) as u64;
        }
        total = total.checked_add(nanos).ok_or_else(invalid)?;
        if total > 1 << 63 {
            return Err(invalid());
        }
    }
    if negative {
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// Writes nanoseconds as Go's `Duration.String`.
pub(crate) fn duration_text(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let decimal = |unit: u64| {
        let (whole, rest) = (magnitude / unit, magnitude % unit);
        if rest == 0 {
            return whole.to_string();
        }
        let width = unit.ilog10() as usize;
        let digits = format!("{rest:0width$}");
        format!("{whole}.{}", digits.trim_end_matches('0'))
    };
    if magnitude < 1_000 {
        return format!("{sign}{magnitude}ns");
    }
    if magnitude < 1_000_000 {
        return format!("{sign}{}µs", decimal(1_000));
    }
    if magnitude < 1_000_000_000 {
        return format!("{sign}{}ms", decimal(1_000_000));
    }
    let seconds = magnitude / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let in_minute = magnitude - (seconds - seconds % 60) * 1_000_000_000;
    let (whole, rest) = (in_minute / 1_000_000_000, in_minute % 1_000_000_000);
    let tail = if rest == 0 {
        whole.to_string()
    } else {
        let digits = format!("{rest:09}");
        format!("{whole}.{}", digits.trim_end_matches('0'))
    };
    if hours > 0 {
        format!("{sign}{hours}h{minutes}m{tail}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m{tail}s")
    } else {
        format!("{sign}{tail}s")
    }
}

/// Rounds nanoseconds half away from zero to a multiple of `unit`.
pub(crate) fn round_duration(nanos: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanos;
    }
    let rest = nanos % unit;
    if rest.unsigned_abs() * 2 < unit.unsigned_abs() {
        return nanos - rest;
    }
    // What does not fit becomes the longest there is.
    let missing = unit - rest.saturating_abs();
    match nanos < 0 {
        true => nanos.saturating_sub(missing),
        false => nanos.saturating_add(missing),
    }
}
