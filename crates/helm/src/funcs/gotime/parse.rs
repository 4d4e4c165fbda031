//! Reading times by a layout.

use super::*;

/// What a text said so far.
struct Parsed {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: u32,
    half: Option<Half>,
    utc: bool,
    offset: Option<i64>,
    zone_name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Am,
    Pm,
}

/// Why a field could not be read.
enum Trouble {
    Bad,
    Range(&'static str),
}

type Read<'v, T> = Result<(T, &'v str), Trouble>;

/// Reads a time after a layout, in `local` where the text names no zone.
///
/// The error is Go's text.
pub(crate) fn parse(layout: &str, text: &str, local: &Zone) -> Result<Time, String> {
    let mut parsed = Parsed {
        year: 0,
        month: None,
        day: None,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
        half: None,
        utc: false,
        offset: None,
        zone_name: String::new(),
    };
    let mut value = text;
    let mut rest = layout;
    let cannot = |element: &str, at: &str| {
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(text.as_bytes()),
            quote(layout.as_bytes()),
            quote(at.as_bytes()),
            quote(element.as_bytes())
        )
    };
    loop {
        let chunk = next_chunk(rest);
        let prefix = chunk.as_ref().map_or(rest, |c| c.before);
        value = skip(value, prefix).map_err(|at| cannot(prefix, at))?;
        let Some(chunk) = chunk else {
            break;
        };
        rest = chunk.after;
        match parsed.read(chunk.field, value, rest) {
            Ok(after) => value = after,
            Err(Trouble::Bad) => return Err(cannot(chunk.text, value)),
            Err(Trouble::Range(what)) => {
                return Err(format!(
                    "parsing time {}: {what} out of range",
                    quote(text.as_bytes())
                ));
            }
        }
    }
    if !value.is_empty() {
        return Err(format!(
            "parsing time {}: extra text: {}",
            quote(text.as_bytes()),
            quote(value.as_bytes())
        ));
    }
    parsed.finish(local).map_err(|what| {
        format!(
            "parsing time {}: {what} out of range",
            quote(text.as_bytes())
        )
    })
}

/// Skips literal text; a blank in the layout skips any number of blanks.
fn skip<'v>(mut value: &'v str, prefix: &str) -> Result<&'v str, &'v str> {
    let mut prefix = prefix;
    while let Some(c) = prefix.chars().next() {
        if c == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(value);
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        value = value.strip_prefix(c).ok_or(value)?;
        prefix = &prefix[c.len_utf8()..];
    }
    Ok(value)
}

fn split_digits(value: &str, count: usize) -> Read<'_, i64> {
    match value.get(..count) {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((digits.parse().unwrap_or(0), &value[count..]))
        }
        _ => Err(Trouble::Bad),
    }
}

/// One or two digits; exactly two when `fixed`.
fn two_digits(value: &str, fixed: bool) -> Read<'_, i64> {
    let second = value.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if !second {
        if fixed {
            return Err(Trouble::Bad);
        }
        return split_digits(value, 1);
    }
    split_digits(value, 2)
}

fn name_of<'v>(names: &[&str], length: Option<usize>, value: &'v str) -> Read<'v, i64> {
    for (at, name) in names.iter().enumerate() {
        let wanted = &name[..length.unwrap_or(name.len())];
        if let Some(head) = value.get(..wanted.len())
            && head.eq_ignore_ascii_case(wanted)
        {
            return Ok((at as i64, &value[wanted.len()..]));
        }
    }
    Err(Trouble::Bad)
}

impl Parsed {
    fn read<'v>(&mut self, field: Field, value: &'v str, layout: &str) -> Result<&'v str, Trouble> {
        let (after, result) = match field {
            Field::Year2 => {
                let (year, after) = split_digits(value, 2)?;
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
                (after, Ok(()))
            }
            Field::Year => {
                let (year, after) = split_digits(value, 4)?;
                self.year = year;
                (after, Ok(()))
            }
            Field::MonthName | Field::MonthShort => {
                let length = (field == Field::MonthShort).then_some(3);
                let (month, after) = name_of(&MONTHS, length, value)?;
                self.month = Some(month + 1);
                (after, Ok(()))
            }
            Field::Month | Field::Month2 => {
                let (month, after) = two_digits(value, field == Field::Month2)?;
                self.month = Some(month);
                (after, within(month, 1, 12, "month"))
            }
            Field::WeekdayName => (name_of(&DAYS, None, value)?.1, Ok(())),
            Field::WeekdayShort => (name_of(&DAYS, Some(3), value)?.1, Ok(())),
            Field::Day | Field::DaySpaced | Field::Day2 => {
                let value = match field {
                    Field::DaySpaced => value.strip_prefix(' ').unwrap_or(value),
                    _ => value,
                };
                let (day, after) = two_digits(value, field == Field::Day2)?;
                self.day = Some(day);
                (after, Ok(()))
            }
            Field::YearDaySpaced | Field::YearDay3 => {
                let trimmed = match field {
                    Field::YearDaySpaced => {
                        let one = value.strip_prefix(' ').unwrap_or(value);
                        one.strip_prefix(' ').unwrap_or(one)
                    }
                    _ => value,
                };
                let digits = trimmed
                    .bytes()
                    .take(3)
                    .take_while(u8::is_ascii_digit)
                    .count();
                if digits == 0 || (field == Field::YearDay3 && digits != 3) {
                    return Err(Trouble::Bad);
                }
                let (day, after) = split_digits(trimmed, digits)?;
                self.year_day = Some(day);
                (after, Ok(()))
            }
            Field::Hour => {
                let (hour, after) = two_digits(value, false)?;
                self.hour = hour;
                (after, within(hour, 0, 23, "hour"))
            }
            Field::Hour12 | Field::Hour12Zero => {
                let (hour, after) = two_digits(value, field == Field::Hour12Zero)?;
                self.hour = hour;
                (after, within(hour, 0, 12, "hour"))
            }
            Field::Minute | Field::Minute2 => {
                let (minute, after) = two_digits(value, field == Field::Minute2)?;
                self.minute = minute;
                (after, within(minute, 0, 59, "minute"))
            }
            Field::Second | Field::Second2 => {
                let (second, after) = two_digits(value, field == Field::Second2)?;
                self.second = second;
                within(second, 0, 59, "second")?;
                (self.unasked_fraction(after, layout), Ok(()))
            }
            Field::UpperPm | Field::LowerPm => {
                let (am, pm) = match field {
                    Field::UpperPm => ("AM", "PM"),
                    _ => ("am", "pm"),
                };
                if let Some(after) = value.strip_prefix(pm) {
                    self.half = Some(Half::Pm);
                    (after, Ok(()))
                } else if let Some(after) = value.strip_prefix(am) {
                    self.half = Some(Half::Am);
                    (after, Ok(()))
                } else {
                    return Err(Trouble::Bad);
                }
            }
            Field::Offset(form, utc) => {
                if let (Utc::AsZ, Some(after)) = (utc, value.strip_prefix('Z')) {
                    self.utc = true;
                    return Ok(after);
                }
                let (offset, after) = read_offset(value, form)?;
                self.offset = Some(offset);
                (after, Ok(()))
            }
            Field::ZoneName => {
                if let Some(after) = value.strip_prefix("UTC") {
                    self.utc = true;
                    return Ok(after);
                }
                let length = zone_name_length(value).ok_or(Trouble::Bad)?;
                self.zone_name = value[..length].to_owned();
                (&value[length..], Ok(()))
            }
            Field::Fraction { digits, trims, .. } => {
                let marked = value.starts_with(['.', ',']);
                let available = value.bytes().skip(1).take_while(u8::is_ascii_digit).count();
                if trims {
                    if !marked || available == 0 {
                        return Ok(value);
                    }
                    self.nanos = fraction(&value[1..1 + available]);
                    (&value[1 + available..], Ok(()))
                } else {
                    if !marked || available < digits {
                        return Err(Trouble::Bad);
                    }
                    self.nanos = fraction(&value[1..1 + digits]);
                    (&value[1 + digits..], Ok(()))
                }
            }
        };
        result.map(|()| after)
    }

    /// A fraction behind the seconds is taken even if the layout has none.
    fn unasked_fraction<'v>(&mut self, value: &'v str, layout: &str) -> &'v str {
        let digits = value.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        if !value.starts_with(['.', ',']) || digits == 0 {
            return value;
        }
        if let Some(chunk) = next_chunk(layout)
            && matches!(chunk.field, Field::Fraction { .. })
        {
            return value;
        }
        self.nanos = fraction(&value[1..1 + digits]);
        &value[1 + digits..]
    }

    fn finish(mut self, local: &Zone) -> Result<Time, &'static str> {
        match self.half {
            Some(Half::Pm) if self.hour < 12 => self.hour += 12,
            Some(Half::Am) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        if let Some(year_day) = self.year_day {
            let length = if leap { 366 } else { 365 };
            if year_day < 1 || year_day > length {
                return Err("day-of-year");
            }
            let c = civil_of((days_from_civil(self.year, 1, 1) + year_day - 1) * DAY_SECONDS);
            if self.month.is_some_and(|m| m != c.month) {
                return Err("day-of-year does not match month");
            }
            if self.day.is_some_and(|d| d != c.day) {
                return Err("day-of-year does not match day");
            }
            self.month = Some(c.month);
            self.day = Some(c.day);
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let days_in_month =
            days_from_civil(self.year, month + 1, 1) - days_from_civil(self.year, month, 1);
        if day < 1 || day > days_in_month {
            return Err("day");
        }
        let c = Civil {
            year: self.year,
            month,
            day,
            hour: self.hour,
            minute: self.minute,
            second: self.second,
            weekday: 0,
            year_day: 0,
        };
        if self.utc {
            return Ok(date(&c, self.nanos, Zone::Utc));
        }
        let mut time = date(&c, self.nanos, Zone::Utc);
        if let Some(offset) = self.offset {
            time.seconds -= offset;
            let (name, here) = local.at(time.seconds);
            time.zone = if here == offset && (self.zone_name.is_empty() || name == self.zone_name) {
                local.clone()
            } else {
                Zone::Fixed(self.zone_name, offset)
            };
            return Ok(time);
        }
        if !self.zone_name.is_empty() {
            let (name, here) = local.at(time.seconds);
            if name == self.zone_name {
                time.seconds -= here;
                time.zone = local.clone();
                return Ok(time);
            }
            let offset = match self.zone_name.strip_prefix("GMT") {
                Some(hours) => hours.parse::<i64>().unwrap_or(0) * 3600,
                None => 0,
            };
            time.zone = Zone::Fixed(self.zone_name, offset);
            return Ok(time);
        }
        Ok(date(&c, self.nanos, local.clone()))
    }
}

fn within(n: i64, low: i64, high: i64, what: &'static str) -> Result<(), Trouble> {
    if n < low || n > high {
        return Err(Trouble::Range(what));
    }
    Ok(())
}

fn fraction(digits: &str) -> u32 {
    let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().unwrap_or(0)
}

fn read_offset(value: &str, form: OffsetForm) -> Read<'_, i64> {
    let sign = match value.bytes().next() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(Trouble::Bad),
    };
    let colon = |rest| str::strip_prefix(rest, ':').ok_or(Trouble::Bad);
    let (h, mut rest) = split_digits(&value[1..], 2)?;
    let (mut m, mut s) = (0, 0);
    match form {
        OffsetForm::Hour => {}
        OffsetForm::HourMinute => (m, rest) = split_digits(rest, 2)?,
        OffsetForm::HourColonMinute => (m, rest) = split_digits(colon(rest)?, 2)?,
        OffsetForm::HourMinuteSecond => {
            (m, rest) = split_digits(rest, 2)?;
            (s, rest) = split_digits(rest, 2)?;
        }
        OffsetForm::HourColonMinuteColonSecond => {
            (m, rest) = split_digits(colon(rest)?, 2)?;
            (s, rest) = split_digits(colon(rest)?, 2)?;
        }
    }
    within(h, 0, 24, "time zone offset hour")?;
    within(m, 0, 60, "time zone offset minute")?;
    within(s, 0, 60, "time zone offset second")?;
    Ok((sign * (h * 3600 + m * 60 + s), rest))
}

/// Recognises an abbreviation of a zone as Go does: three or four capitals, or
/// a sign and hours.
fn zone_name_length(value: &str) -> Option<usize> {
    for special in ["ChST", "MeST"] {
        if value.starts_with(special) {
            return Some(4);
        }
    }
    if let Some(hours) = value.strip_prefix("GMT") {
        return Some(3 + signed_hours(hours));
    }
    if value.starts_with(['+', '-']) {
        let length = signed_hours(value);
        return (length > 0).then_some(length);
    }
    let capitals = value
        .bytes()
        .take(6)
        .take_while(u8::is_ascii_uppercase)
        .count();
    match capitals {
        5 if value.as_bytes()[4] == b'T' => Some(5),
        4 if value.as_bytes()[3] == b'T' || value.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// The length of `+h` or `-hh` up to 23 hours, 0 when there is none.
fn signed_hours(value: &str) -> usize {
    if !value.starts_with(['+', '-']) {
        return 0;
    }
    let digits: &str = &value[1..];
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    match digits[..count].parse::<i64>() {
        Ok(hours) if hours <= 23 => 1 + count,
        _ => 0,
    }
}

// Durations.
