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
fn durations_beyond_all_bounds_round_to_the_longest() {
    for (nanos, unit, want) in [
        (i64::MAX, 7_200_000_000_000, i64::MAX),
        (i64::MIN, 7_200_000_000_000, i64::MIN),
        (i64::MAX, i64::MAX, i64::MAX),
        (i64::MIN, 2, i64::MIN),
        (-3, 2, -4),
        (3, 2, 4),
        (-1, 3, 0),
        (5, -1, 5),
    ] {
        assert_eq!(round_duration(nanos, unit), want, "{nanos} {unit}");
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
