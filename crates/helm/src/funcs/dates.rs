//! Sprig's dates. The present is the session's, the local zone as well.

use std::any::Any;

use sluice_gotemplate::{CallError, IntType, Method, Named, Object, Serial, Type, Under, Value};

use super::convert::{ANY, BOOL, INT, NIL_POINTER, STRING, int, string, utf8};
use super::gotime::{
    Civil, Time, ZERO_SECONDS, Zone, date, duration_text, parse, parse_duration, round_duration,
};
use super::{Answer, Body, Entry, fail, fixed};
use crate::session::Session;

const TIME: Type = Type::Named(&TIME_TYPE);
const DURATION: Type = Type::Named(&DURATION_TYPE);
const INT64: Type = Type::Int64;
const SECOND: i64 = 1_000_000_000;

const DATE_IN_ZONE: Body = |run, a| {
    let time = to_time(run.host, &a[1]).within(zone_or_utc(run.host, &utf8(&a[2])));
    string(time.format(&utf8(&a[0])))
};
const MODIFY: Body = |_, a| {
    let time = time_of(&a[1])?;
    Ok(match parse_duration(&utf8(&a[0])) {
        Ok(nanos) => time_value(time.plus(nanos)),
        Err(_) => a[1].clone(),
    })
};
const MUST_MODIFY: Body = |_, a| {
    let time = time_of(&a[1])?;
    match parse_duration(&utf8(&a[0])) {
        Ok(nanos) => Ok(time_value(time.plus(nanos))),
        Err(error) => fail(error),
    }
};

pub(crate) const TABLE: &[Entry] = &[
    fixed("now", &[], TIME, |run, _| Ok(time_value(run.host.now()))),
    fixed("date", &[STRING, ANY], STRING, |run, a| {
        let time = to_time(run.host, &a[1]).within(run.host.local_zone());
        string(time.format(&utf8(&a[0])))
    }),
    fixed("dateInZone", &[STRING, ANY, STRING], STRING, DATE_IN_ZONE),
    fixed("date_in_zone", &[STRING, ANY, STRING], STRING, DATE_IN_ZONE),
    fixed("htmlDate", &[ANY], STRING, |run, a| {
        string(
            to_time(run.host, &a[0])
                .within(run.host.local_zone())
                .format("2006-01-02"),
        )
    }),
    fixed("htmlDateInZone", &[ANY, STRING], STRING, |run, a| {
        let zone = zone_or_utc(run.host, &utf8(&a[1]));
        string(to_time(run.host, &a[0]).within(zone).format("2006-01-02"))
    }),
    fixed("dateModify", &[STRING, TIME], TIME, MODIFY),
    fixed("date_modify", &[STRING, TIME], TIME, MODIFY),
    fixed("mustDateModify", &[STRING, TIME], TIME, MUST_MODIFY),
    fixed("must_date_modify", &[STRING, TIME], TIME, MUST_MODIFY),
    fixed("ago", &[ANY], STRING, |run, a| {
        let now = run.host.now();
        let then = match &a[0] {
            Value::Int(IntType::Int32, _) => now.clone(),
            other => to_time(run.host, other),
        };
        string(duration_text(round_duration(now.since(&then), SECOND)))
    }),
    fixed("duration", &[ANY], STRING, |_, a| {
        let seconds = match &a[0] {
            Value::Str(s) => {
                let text = s.to_text();
                let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
                let plain = !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit());
                if plain { text.parse().unwrap_or(0) } else { 0 }
            }
            Value::Int(IntType::Int64, n) => *n,
            _ => 0,
        };
        string(duration_text(seconds.wrapping_mul(SECOND)))
    }),
    fixed("durationRound", &[ANY], STRING, |run, a| {
        let nanos = match &a[0] {
            Value::Str(s) => parse_duration(&s.to_text()).unwrap_or(0),
            Value::Int(IntType::Int64, n) => *n,
            other => match time_of(other) {
                Ok(time) => run.host.now().since(&time),
                Err(_) => 0,
            },
        };
        string(largest_unit(nanos))
    }),
    fixed("toDate", &[STRING, STRING], TIME, |run, a| {
        let time = parse(&utf8(&a[0]), &utf8(&a[1]), &run.host.local_zone());
        Ok(time_value(time.unwrap_or_else(|_| Time::zero())))
    }),
    fixed("mustToDate", &[STRING, STRING], TIME, |run, a| match parse(
        &utf8(&a[0]),
        &utf8(&a[1]),
        &run.host.local_zone(),
    ) {
        Ok(time) => Ok(time_value(time)),
        Err(error) => fail(error),
    }),
    fixed("unixEpoch", &[TIME], STRING, |_, a| {
        string(time_of(&a[0])?.seconds.to_string())
    }),
];

/// A time in a template.
struct TimeObject(Time);

impl Object for TimeObject {
    fn named(&self) -> &'static Named {
        &TIME_TYPE
    }

    fn serial(&self) -> Serial {
        Serial::Value(Value::from(self.0.rfc3339()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Makes a template value of a time.
pub(crate) fn time_value(time: Time) -> Value {
    Value::object(TimeObject(time))
}

fn time_of(value: &Value) -> Result<Time, CallError> {
    match value {
        Value::Object(object) => object
            .as_any()
            .downcast_ref::<TimeObject>()
            .map(|t| t.0.clone())
            .ok_or_else(|| CallError::new(NIL_POINTER)),
        _ => Err(CallError::new(NIL_POINTER)),
    }
}

/// Times and whole numbers of seconds are dates; everything else is the present.
fn to_time(session: &Session, value: &Value) -> Time {
    match value {
        Value::Int(IntType::Int | IntType::Int32 | IntType::Int64, seconds) => Time {
            seconds: *seconds,
            nanos: 0,
            zone: session.local_zone(),
        },
        other => time_of(other).unwrap_or_else(|_| session.now()),
    }
}

fn zone_or_utc(session: &Session, name: &str) -> Zone {
    if name == "Local" {
        return session.local_zone();
    }
    Zone::named(name).unwrap_or(Zone::Utc)
}

fn largest_unit(nanos: i64) -> String {
    const HOUR: u64 = 3_600 * SECOND as u64;
    let magnitude = nanos.unsigned_abs();
    for (unit, name) in [
        (365 * 24 * HOUR, "y"),
        (30 * 24 * HOUR, "mo"),
        (24 * HOUR, "d"),
        (HOUR, "h"),
        (HOUR / 60, "m"),
        (SECOND as u64, "s"),
    ] {
        if magnitude > unit {
            return format!("{}{name}", magnitude / unit);
        }
    }
    "0s".to_owned()
}

fn duration(nanos: i64) -> Value {
    Value::Int(IntType::Named(&DURATION_TYPE), nanos)
}

/// A method that asks a time alone.
macro_rules! ask {
    ($name:literal, $returns:expr, |$t:ident| $body:expr) => {
        Method {
            name: $name,
            params: &[],
            variadic: None,
            returns: $returns,
            call: |value, _| {
                let $t = time_of(value)?;
                Ok($body)
            },
        }
    };
}

/// A method of a time with parameters.
macro_rules! with {
    ($name:literal, $params:expr, $returns:expr, |$t:ident, $a:ident| $body:expr) => {
        Method {
            name: $name,
            params: $params,
            variadic: None,
            returns: $returns,
            call: |value, $a| {
                let $t = time_of(value)?;
                Ok($body)
            },
        }
    };
}

static TIME_TYPE: Named = Named {
    name: "time.Time",
    under: Under::Struct,
    text: Some(|value| time_of(value).map_or_else(|_| String::new(), |t| t.text())),
    action_text: None,
    methods: || TIME_TYPE_METHODS,
};

static TIME_TYPE_METHODS: &[Method] = &[
    ask!("Year", INT, |t| Value::int(t.civil().year)),
    ask!("Month", Type::Named(&MONTH_TYPE), |t| {
        Value::Int(IntType::Named(&MONTH_TYPE), t.civil().month)
    }),
    ask!("Day", INT, |t| Value::int(t.civil().day)),
    ask!("Hour", INT, |t| Value::int(t.civil().hour)),
    ask!("Minute", INT, |t| Value::int(t.civil().minute)),
    ask!("Second", INT, |t| Value::int(t.civil().second)),
    ask!("Nanosecond", INT, |t| Value::int(i64::from(t.nanos))),
    ask!("YearDay", INT, |t| Value::int(t.civil().year_day)),
    ask!("Weekday", Type::Named(&WEEKDAY_TYPE), |t| {
        Value::Int(IntType::Named(&WEEKDAY_TYPE), t.civil().weekday)
    }),
    ask!("Unix", INT64, |t| Value::int64(t.seconds)),
    ask!("UnixMilli", INT64, |t| Value::int64(scaled(&t, 1_000))),
    ask!("UnixMicro", INT64, |t| Value::int64(scaled(&t, 1_000_000))),
    ask!("UnixNano", INT64, |t| Value::int64(scaled(
        &t,
        1_000_000_000
    ))),
    ask!("UTC", TIME, |t| time_value(t.within(Zone::Utc))),
    ask!("String", STRING, |t| Value::from(t.text())),
    ask!("IsZero", BOOL, |t| Value::Bool(
        t.seconds == ZERO_SECONDS && t.nanos == 0
    )),
    with!("Format", &[STRING], STRING, |t, a| Value::from(
        t.format(&utf8(&a[0]))
    )),
    with!("Add", &[DURATION], TIME, |t, a| time_value(
        t.plus(int(&a[0]))
    )),
    with!("AddDate", &[INT, INT, INT], TIME, |t, a| {
        let c = t.civil();
        let moved = Civil {
            year: c
                .year
                .saturating_add(int(&a[0]).clamp(-1_000_000, 1_000_000)),
            month: c.month + int(&a[1]).clamp(-10_000_000, 10_000_000),
            day: c.day + int(&a[2]).clamp(-1_000_000_000, 1_000_000_000),
            ..c
        };
        time_value(date(&moved, t.nanos, t.zone.clone()))
    }),
    with!("Sub", &[TIME], DURATION, |t, a| duration(
        t.since(&time_of(&a[0])?)
    )),
    with!("Before", &[TIME], BOOL, |t, a| Value::Bool(
        t.since(&time_of(&a[0])?) < 0
    )),
    with!("After", &[TIME], BOOL, |t, a| Value::Bool(
        t.since(&time_of(&a[0])?) > 0
    )),
    with!("Equal", &[TIME], BOOL, |t, a| Value::Bool(
        t.since(&time_of(&a[0])?) == 0
    )),
    with!("Compare", &[TIME], INT, |t, a| Value::int(
        t.since(&time_of(&a[0])?).signum()
    )),
    with!("Truncate", &[DURATION], TIME, |t, a| time_value(
        t.plus(-beyond(&t, int(&a[0])))
    )),
    with!("Round", &[DURATION], TIME, |t, a| {
        let unit = int(&a[0]);
        let rest = beyond(&t, unit);
        time_value(match rest < unit - rest {
            true => t.plus(-rest),
            false => t.plus((unit - rest).max(0)),
        })
    }),
];

/// How many nanoseconds a time lies beyond the last multiple of `unit` since
/// Go's zero time; nothing when there is no unit.
fn beyond(time: &Time, unit: i64) -> i64 {
    if unit <= 0 {
        return 0;
    }
    let since = i128::from(time.seconds) - i128::from(ZERO_SECONDS);
    let since = since * i128::from(SECOND) + i128::from(time.nanos);
    i64::try_from(since.rem_euclid(i128::from(unit))).unwrap_or_default()
}

fn scaled(time: &Time, per_second: i64) -> i64 {
    time.seconds
        .wrapping_mul(per_second)
        .wrapping_add(i64::from(time.nanos) / (SECOND / per_second))
}

/// A method of a duration that gives a number.
macro_rules! measure {
    ($name:literal, $returns:expr, |$n:ident| $body:expr) => {
        Method {
            name: $name,
            params: &[],
            variadic: None,
            returns: $returns,
            call: |value, _| {
                let $n = int(value);
                Ok($body)
            },
        }
    };
}

static DURATION_TYPE: Named = Named {
    name: "time.Duration",
    under: Under::Type(Type::Int64),
    text: Some(|value| duration_text(int(value))),
    action_text: None,
    methods: || DURATION_TYPE_METHODS,
};

static DURATION_TYPE_METHODS: &[Method] = &[
    measure!("Hours", Type::Float64, |n| Value::Float(n as f64 / 3.6e12)),
    measure!("Minutes", Type::Float64, |n| Value::Float(n as f64 / 6e10)),
    measure!("Seconds", Type::Float64, |n| Value::Float(n as f64 / 1e9)),
    measure!("Milliseconds", INT64, |n| Value::int64(n / 1_000_000)),
    measure!("Microseconds", INT64, |n| Value::int64(n / 1_000)),
    measure!("Nanoseconds", INT64, |n| Value::int64(n)),
    measure!("Abs", DURATION, |n| duration(n.saturating_abs())),
    measure!("String", STRING, |n| Value::from(duration_text(n))),
    Method {
        name: "Round",
        params: &[DURATION],
        variadic: None,
        returns: DURATION,
        call: |value, a| Ok(duration(round_duration(int(value), int(&a[0])))),
    },
    Method {
        name: "Truncate",
        params: &[DURATION],
        variadic: None,
        returns: DURATION,
        call: |value, a| truncate(int(value), int(&a[0])),
    },
];

fn truncate(nanos: i64, unit: i64) -> Answer {
    Ok(duration(if unit <= 0 {
        nanos
    } else {
        nanos - nanos % unit
    }))
}

static MONTH_TYPE: Named = Named {
    name: "time.Month",
    under: Under::Type(Type::Int),
    text: Some(|value| named_by("January", int(value))),
    action_text: None,
    methods: || MONTH_TYPE_METHODS,
};

static MONTH_TYPE_METHODS: &[Method] = &[Method {
    name: "String",
    params: &[],
    variadic: None,
    returns: STRING,
    call: |value, _| string(named_by("January", int(value))),
}];

static WEEKDAY_TYPE: Named = Named {
    name: "time.Weekday",
    under: Under::Type(Type::Int),
    text: Some(|value| named_by("Monday", int(value))),
    action_text: None,
    methods: || WEEKDAY_TYPE_METHODS,
};

static WEEKDAY_TYPE_METHODS: &[Method] = &[Method {
    name: "String",
    params: &[],
    variadic: None,
    returns: STRING,
    call: |value, _| string(named_by("Monday", int(value))),
}];

/// The name of a month (from 1) or weekday (from 0, Sunday).
fn named_by(layout: &str, n: i64) -> String {
    // 1970-01-04 was a Sunday; months are shown by a day of that month.
    let seconds = match layout {
        "Monday" => (3 + n) * 86_400,
        _ => (n - 1) * 2_678_400 + 86_400,
    };
    let time = Time {
        seconds,
        nanos: 0,
        zone: Zone::Utc,
    };
    time.format(layout)
}
