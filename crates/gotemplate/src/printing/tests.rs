use super::*;
use crate::value::{List, Map};

fn printf(format: &str, args: &[Value]) -> String {
    String::from_utf8(sprintf(format.as_bytes(), args, 1 << 20).expect("within limits"))
        .expect("text")
}

#[test]
fn verbs_print_as_go_prints_them() {
    let s = || Value::from("héllo");
    let list = || Value::list(vec![Value::from("a"), Value::int(2), Value::Nil]);
    let map = || Value::map([("b", Value::Float(2.0)), ("a", Value::int(1))]);
    for (format, args, want) in [
        ("%v %v", vec![list(), map()], "[a 2 <nil>] map[a:1 b:2]"),
        (
            "%#v %#v",
            vec![list(), map()],
            "[]interface {}{\"a\", 2, interface {}(nil)} \
             map[string]interface {}{\"a\":1, \"b\":2}",
        ),
        ("%d", vec![Value::Float(3.0)], "%!d(float64=3)"),
        ("%s", vec![Value::int(3)], "%!s(int=3)"),
        ("%s", vec![list()], "[a %!s(int=2) <nil>]"),
        (
            "%s|%v|%d",
            vec![Value::Nil, Value::Nil, Value::Nil],
            "%!s(<nil>)|<nil>|%!d(<nil>)",
        ),
        (
            "%6d|%-6d|%06d|%+d",
            vec![
                Value::int(42),
                Value::int(42),
                Value::int(-42),
                Value::int(42),
            ],
            "    42|42    |-00042|+42",
        ),
        (
            "%x %X %#x %o %#o %O %b %c %q %U",
            vec![
                Value::int(255),
                Value::int(255),
                Value::int(255),
                Value::int(8),
                Value::int(8),
                Value::int(8),
                Value::int(5),
                Value::int(65),
                Value::int(65),
                Value::int(65),
            ],
            "ff FF 0xff 10 010 0o10 101 A 'A' U+0041",
        ),
        ("%x", vec![Value::int(-255)], "-ff"),
        (
            "%5.1f|%-8.2f|%08.3f|%e|%g|%G",
            vec![
                Value::Float(3.25),
                Value::Float(1.0),
                Value::Float(-1.5),
                Value::Float(12345.678),
                Value::Float(1e6),
                Value::Float(1e-7),
            ],
            "  3.2|1.00    |-001.500|1.234568e+04|1e+06|1E-07",
        ),
        (
            "%s|%8s|%-8s|%.3s|%q|%x|% x|%+q",
            vec![s(), s(), s(), s(), s(), s(), s(), s()],
            "héllo|   héllo|héllo   |hél|\"héllo\"|68c3a96c6c6f|68 c3 a9 6c 6c 6f|\"h\\u00e9llo\"",
        ),
        (
            "%t %v",
            vec![Value::Bool(true), Value::Bool(false)],
            "true false",
        ),
        (
            "%T %T %T",
            vec![Value::int(1), list(), Value::Nil],
            "int []interface {} <nil>",
        ),
        ("%d %d", vec![Value::int(1)], "1 %!d(MISSING)"),
        ("%d", vec![Value::int(1), Value::int(2)], "1%!(EXTRA int=2)"),
        ("x", vec![Value::Nil], "x%!(EXTRA <nil>)"),
        ("%z %!", vec![Value::int(1)], "%!z(int=1) %!!(MISSING)"),
        ("100%", vec![], "100%!(NOVERB)"),
        ("%[2]d %[1]d", vec![Value::int(1), Value::int(2)], "2 1"),
        ("%[3]d", vec![Value::int(1)], "%!d(BADINDEX)"),
        (
            "%*d|%-*d|%.*f",
            vec![
                Value::int(4),
                Value::int(1),
                Value::int(4),
                Value::int(1),
                Value::int(1),
                Value::Float(2.25),
            ],
            "   1|1   |2.2",
        ),
        (
            "%*d",
            vec![Value::from("x"), Value::int(1)],
            "%!(BADWIDTH)1",
        ),
        ("%%", vec![], "%"),
        ("%v", vec![Value::Bytes(Str::from("hi"))], "[104 105]"),
        ("%s", vec![Value::Bytes(Str::from("hi"))], "hi"),
        (
            "%#v",
            vec![Value::List(List::nil(crate::types::ANY_SLICE))],
            "[]interface {}(nil)",
        ),
        (
            "%#g %#.3g",
            vec![Value::Float(1.0), Value::Float(2.5)],
            "1.00000 2.50",
        ),
        ("%x", vec![Value::Float(3.0)], "0x1.8p+01"),
        ("%v", vec![Value::Complex(1.0, -2.0)], "(1-2i)"),
        (
            "%05s|%-05d|",
            vec![Value::from("a"), Value::int(3)],
            "0000a|3    |",
        ),
        (
            "% d|%+.2e",
            vec![Value::int(3), Value::Float(12345.0)],
            " 3|+1.23e+04",
        ),
        ("%6.3d|%.0d", vec![Value::int(7), Value::int(0)], "   007|"),
        ("%#q", vec![Value::from("a`b")], "\"a`b\""),
        ("%#q", vec![Value::from("a\"b")], "`a\"b`"),
    ] {
        assert_eq!(printf(format, &args), want, "{format}");
    }
}

#[test]
fn print_spaces_only_between_non_strings() {
    let values = [
        Value::int(1),
        Value::int(2),
        Value::from("a"),
        Value::from("b"),
        Value::int(3),
    ];
    assert_eq!(sprint(&values, 100).expect("fits"), b"1 2ab3");
    assert_eq!(sprintln(&values, 100).expect("fits"), b"1 2 a b 3\n");
}

#[test]
fn endless_values_and_outputs_stop() {
    let map = Map::new();
    map.insert("self", map.clone());
    let value = Value::Map(map.clone());
    assert!(sprint_value(&value, 1 << 20).is_err());
    map.take();
    let wide = sprintf(
        "%1000000d".repeat(10).as_bytes(),
        &vec![Value::int(1); 10],
        1 << 20,
    );
    assert!(wide.is_err());
}
