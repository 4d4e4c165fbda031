//! The dates and times of YAML, in the four layouts that go-yaml knows.

use std::fmt::Write as _;

/// A date with an optional time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp {
    date: (u16, u8, u8),
    time: (u8, u8, u8),
    nanos: u32,
    /// Minutes east of UTC.
    offset: Option<i16>,
}

/// Parses `2006-1-2`, `2006-1-2 15:4:5.9` and `2006-1-2T15:4:5.9Z07:00`.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let year: u16 = text[..4].parse().ok()?;
    let mut rest = &bytes[5..];
    let month = take_number(&mut rest)?;
    take(&mut rest, b'-')?;
    let day = take_number(&mut rest)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(month, year) {
        return None;
    }
    let mut stamp = Timestamp {
        date: (year, month, day),
        time: (0, 0, 0),
        nanos: 0,
        offset: None,
    };
    let zoned = match rest.first() {
        None => return Some(stamp),
        Some(b'T' | b't') => true,
        Some(b' ') => false,
        _ => return None,
    };
    rest = &rest[1..];
    if !zoned {
        // Go lets a blank in the layout stand for any run of them.
        while rest.first() == Some(&b' ') {
            rest = &rest[1..];
        }
    }
    let hour = take_number(&mut rest)?;
    take(&mut rest, b':')?;
    let minute = take_number(&mut rest)?;
    take(&mut rest, b':')?;
    let second = take_number(&mut rest)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    stamp.time = (hour, minute, second);
    if matches!(rest, [b'.' | b',', b'0'..=b'9', ..]) {
        rest = &rest[1..];
        let mut scale = 100_000_000;
        while let Some(digit) = rest.first().filter(|b| b.is_ascii_digit()) {
            stamp.nanos += u32::from(digit - b'0') * scale;
            scale /= 10;
            rest = &rest[1..];
        }
    }
    if !zoned {
        return rest.is_empty().then_some(stamp);
    }
    stamp.offset = Some(match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
        {
            let hours = i16::from((h1 - b'0') * 10 + (h2 - b'0'));
            let minutes = i16::from((m1 - b'0') * 10 + (m2 - b'0'));
            if hours > 24 || minutes > 60 {
                return None;
            }
            let total = hours * 60 + minutes;
            if *sign == b'-' { -total } else { total }
        }
        _ => return None,
    });
    Some(stamp)
}

impl Timestamp {
    /// The text of RFC 3339 that Go writes into JSON.
    pub(crate) fn to_rfc3339(self) -> String {
        let (year, month, day) = self.date;
        let (hour, minute, second) = self.time;
        let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if self.nanos > 0 {
            let digits = format!("{:09}", self.nanos);
            out.push('.');
            out.push_str(digits.trim_end_matches('0'));
        }
        match self.offset.unwrap_or(0) {
            0 => out.push('Z'),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                // Writing to a string cannot fail.
                let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            }
        }
        out
    }
}

/// One or two digits.
fn take_number(rest: &mut &[u8]) -> Option<u8> {
    let first = rest.first().filter(|b| b.is_ascii_digit())? - b'0';
    *rest = &rest[1..];
    match rest.first().filter(|b| b.is_ascii_digit()) {
        Some(second) => {
            let value = first * 10 + (second - b'0');
            *rest = &rest[1..];
            Some(value)
        }
        None => Some(first),
    }
}

fn take(rest: &mut &[u8], byte: u8) -> Option<()> {
    if rest.first() != Some(&byte) {
        return None;
    }
    *rest = &rest[1..];
    Some(())
}

fn days_in(month: u8, year: u16) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}
