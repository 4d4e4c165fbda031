//! The formats that a schema can ask of a text. The answers are the original's
//! words for what is wrong.

use sluice_gotemplate::regexp::Regexp;

use crate::funcs::gotime::{Zone, parse};

type Check = Result<(), String>;

fn bad<T>(why: impl Into<String>) -> Result<T, String> {
    Err(why.into())
}

/// Checks a text; formats that nobody knows are satisfied by everything.
pub(super) fn check(format: &str, text: &str) -> Check {
    match format {
        "regex" => regex(text),
        "date" => date(text),
        "time" => time(text),
        "date-time" => date_time(text),
        "duration" => duration(text),
        "period" => period(text),
        "email" => email(text),
        "hostname" => hostname(text),
        "ipv4" => ipv4(text),
        "ipv6" => ipv6(text),
        "uri" | "iri" => uri(text),
        "uri-reference" | "iri-reference" => crate::funcs::check_url(text),
        "uri-template" => uri_template(text),
        "json-pointer" => json_pointer(text),
        "relative-json-pointer" => relative_json_pointer(text),
        "uuid" => uuid(text),
        "semver" => semver(text),
        _ => Ok(()),
    }
}

/// Checks a regular expression.
pub(super) fn regex(text: &str) -> Check {
    Regexp::new(text).map(|_| ()).map_err(|e| e.to_string())
}

fn date(text: &str) -> Check {
    parse("2006-01-02", text, &Zone::Utc).map(|_| ())
}

fn two_digits(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 2)?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn time(text: &str) -> Check {
    if text.len() < 9 {
        return bad("less than 9 characters long");
    }
    let bytes = text.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return bad("missing colon in correct place");
    }
    let (Some(h), Some(m), Some(s)) = (
        two_digits(text, 0),
        two_digits(text, 3),
        two_digits(text, 6),
    ) else {
        return bad("hour/min/sec must be integers");
    };
    if h > 23 || m > 59 || s > 60 {
        return bad("hour/min/sec out of range");
    }
    let mut rest = &text[8..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return bad("no digits in second fraction");
        }
        rest = &fraction[digits..];
    }
    let (mut hour, mut minute) = (h as i32, m as i32);
    if !rest.eq_ignore_ascii_case("z") {
        if rest.len() != 6 {
            return bad("offset must be 6 characters long");
        }
        let sign = match rest.as_bytes()[0] {
            b'+' => -1,
            b'-' => 1,
            _ => return bad("offset must begin with plus/minus"),
        };
        if rest.as_bytes()[3] != b':' {
            return bad("missing colon in offset in correct place");
        }
        let (Some(zh), Some(zm)) = (two_digits(rest, 1), two_digits(rest, 4)) else {
            return bad("hour/min in offset must be integers");
        };
        if zh > 23 || zm > 59 {
            return bad("hour/min in offset out of range");
        }
        let total = (hour * 60 + minute) + sign * (zh as i32 * 60 + zm as i32);
        let total = total.rem_euclid(24 * 60);
        hour = total / 60;
        minute = total % 60;
    }
    if s >= 60 && (hour != 23 || minute != 59) {
        return bad("invalid leap second");
    }
    Ok(())
}

fn date_time(text: &str) -> Check {
    if text.len() < 20 {
        return bad("less than 20 characters long");
    }
    if !matches!(text.as_bytes()[10], b't' | b'T') {
        return bad("11th character must be t or T");
    }
    let (Some(day), Some(clock)) = (text.get(..10), text.get(11..)) else {
        return bad("invalid date element");
    };
    date(day).map_err(|e| format!("invalid date element: {e}"))?;
    time(clock).map_err(|e| format!("invalid time element: {e}"))
}

fn duration(text: &str) -> Check {
    let Some(rest) = text.strip_prefix('P') else {
        return bad("must start with P");
    };
    if rest.is_empty() {
        return bad("nothing after P");
    }
    let units = |part: &str, mut allowed: &str, what: &str| -> Check {
        let mut part = part;
        if part.is_empty() {
            return bad("no time elements");
        }
        while !part.is_empty() {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return bad("missing number");
            }
            let Some(unit) = part[digits..].chars().next() else {
                return bad("missing unit");
            };
            let Some(at) = allowed.find(unit) else {
                return if what.contains(unit) {
                    bad(format!("unit {unit:?} out of order"))
                } else {
                    bad(format!("invalid unit {unit:?}"))
                };
            };
            allowed = &allowed[at + 1..];
            part = &part[digits + 1..];
        }
        Ok(())
    };
    if let Some(week) = rest.strip_suffix('W') {
        return if !week.is_empty() && week.bytes().all(|b| b.is_ascii_digit()) {
            Ok(())
        } else {
            bad("invalid week")
        };
    }
    match rest.split_once('T') {
        None => units(rest, "YMD", "YMD"),
        Some((days, clock)) => {
            if !days.is_empty() {
                units(days, "YMD", "YMD")?;
            }
            units(clock, "HMS", "HMS")
        }
    }
}

fn period(text: &str) -> Check {
    let Some((start, end)) = text.split_once('/') else {
        return bad("missing slash");
    };
    if start.starts_with('P') {
        duration(start).map_err(|e| format!("invalid start duration: {e}"))?;
        return date_time(end).map_err(|e| format!("invalid end date-time: {e}"));
    }
    date_time(start).map_err(|e| format!("invalid start date-time: {e}"))?;
    if end.starts_with('P') {
        return duration(end).map_err(|e| format!("invalid end duration: {e}"));
    }
    date_time(end).map_err(|e| format!("invalid end date-time: {e}"))
}

fn hostname(text: &str) -> Check {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 {
        return bad("more than 253 characters long");
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return bad("label must be 1 to 63 characters long");
        }
        if label.starts_with('-') {
            return bad("label starts with hyphen");
        }
        if label.ends_with('-') {
            return bad("label ends with hyphen");
        }
        for c in label.chars() {
            if !(c.is_ascii_alphanumeric() || c == '-') {
                return bad(format!("invalid character {}", quoted(c)));
            }
        }
    }
    Ok(())
}

fn quoted(c: char) -> String {
    sluice_gotemplate::strconv::quote_rune(c as u32, sluice_gotemplate::strconv::QuoteTo::Unicode)
}

fn email(text: &str) -> Check {
    if text.len() > 254 {
        return bad("more than 255 characters long");
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return bad("missing @");
    };
    if local.len() > 64 {
        return bad("local part more than 64 characters long");
    }
    let is_quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    if is_quoted {
        let inner = &local[1..local.len() - 1];
        if inner.contains(['\\', '"']) {
            return bad("backslash and quote not allowed within quoted local part");
        }
    } else {
        if local.starts_with('.') {
            return bad("starts with dot");
        }
        if local.ends_with('.') {
            return bad("ends with dot");
        }
        if local.contains("..") {
            return bad("consecutive dots");
        }
        for c in local.chars() {
            if !(c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c)) {
                return bad(format!("invalid character {}", quoted(c)));
            }
        }
    }
    if let Some(address) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        if let Some(v6) = address.strip_prefix("IPv6:") {
            return ipv6(v6).map_err(|e| format!("invalid ipv6 address: {e}"));
        }
        return ipv4(address).map_err(|e| format!("invalid ipv4 address: {e}"));
    }
    hostname(domain).map_err(|e| format!("invalid domain: {e}"))
}

fn ipv4(text: &str) -> Check {
    let groups: Vec<&str> = text.split('.').collect();
    if groups.len() != 4 {
        return bad("expected four decimals");
    }
    for group in groups {
        if group.len() > 1 && group.starts_with('0') {
            return bad("leading zeros");
        }
        match group.parse::<i64>() {
            Ok(n) if (0..=255).contains(&n) => {}
            Ok(_) => return bad("decimal must be between 0 and 255"),
            Err(_) => {
                return bad(format!(
                    "strconv.Atoi: parsing {}: invalid syntax",
                    sluice_gotemplate::strconv::quote(group.as_bytes())
                ));
            }
        }
    }
    Ok(())
}

fn ipv6(text: &str) -> Check {
    if !text.contains(':') {
        return bad("missing colon");
    }
    match text.parse::<std::net::Ipv6Addr>() {
        Ok(_) => Ok(()),
        Err(_) => bad(format!(
            "ParseAddr({}): unable to parse IP",
            sluice_gotemplate::strconv::quote(text.as_bytes())
        )),
    }
}

fn uri(text: &str) -> Check {
    crate::funcs::check_url(text)?;
    if crate::funcs::is_absolute_url(text) {
        Ok(())
    } else {
        bad("relative url")
    }
}

fn uri_template(text: &str) -> Check {
    let mut open = false;
    for c in text.chars() {
        match c {
            '{' if open => return bad("nested open brace"),
            '{' => open = true,
            '}' if !open => return bad("close brace without open brace"),
            '}' => open = false,
            _ => {}
        }
    }
    if open {
        return bad("no matching closing brace");
    }
    crate::funcs::check_url(&text.replace(['{', '}'], ""))
}

fn json_pointer(text: &str) -> Check {
    if text.is_empty() {
        return Ok(());
    }
    if !text.starts_with('/') {
        return bad("not starting with /");
    }
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '~' && !matches!(chars.next(), Some('0' | '1')) {
            return bad("~ must be followed by 0 or 1");
        }
    }
    Ok(())
}

fn relative_json_pointer(text: &str) -> Check {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return bad("must start with non-negative integer");
    }
    if digits > 1 && text.starts_with('0') {
        return bad("starts with zero");
    }
    match &text[digits..] {
        "#" => Ok(()),
        rest => json_pointer(rest),
    }
}

fn uuid(text: &str) -> Check {
    let parts: Vec<&str> = text.split('-').collect();
    if parts.len() != 5 {
        return bad("must have 5 elements");
    }
    for (i, (part, length)) in parts.iter().zip([8, 4, 4, 4, 12]).enumerate() {
        if part.len() != length {
            return bad(format!(
                "element {} must be {length} characters long",
                i + 1
            ));
        }
        if let Some(c) = part.chars().find(|c| !c.is_ascii_hexdigit()) {
            return bad(format!("non-hex character {}", quoted(c)));
        }
    }
    Ok(())
}

fn semver(text: &str) -> Check {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    if core.split('.').count() != 3 {
        return bad("versionCore must have 3 numbers separated by dot");
    }
    sluice_version::Version::parse_strict(text)
        .map(|_| ())
        .map_err(|e| e.to_string())
}
