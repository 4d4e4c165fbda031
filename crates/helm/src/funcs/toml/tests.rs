use super::*;

#[test]
fn tables_are_written_as_burntsushi_writes_them() {
    let value = Value::map([
        ("a", Value::Float(1.0)),
        (
            "b",
            Value::map([
                ("c", Value::int(2)),
                ("d", Value::map([("e", Value::from("x\ny"))])),
            ]),
        ),
        ("l", Value::list(vec![Value::int(1), Value::from("a")])),
        ("n", Value::Nil),
        (
            "t",
            Value::list(vec![Value::map([("k", Value::Bool(true))])]),
        ),
    ]);
    assert_eq!(
        encode(&value).expect("encodes"),
        "a = 1.0\nl = [1, \"a\"]\n\n[b]\n  c = 2\n  [b.d]\n    e = \"x\\ny\"\n\n[[t]]\n  k = true\n"
    );
}

#[test]
fn texts_read_into_tables() {
    let map = decode("a = 1\n[b.c]\nd = \"x\"\n[[e]]\nf = [1, 2.5]\n[[e]]\n").expect("reads");
    assert!(matches!(map.get(b"a"), Some(Value::Int(_, 1))));
    assert!(matches!(map.get(b"e"), Some(Value::List(l)) if l.items().len() == 2));
    assert_eq!(
        decode("a = ").expect_err("no value"),
        "toml: line 1 (last key \"a\"): unexpected EOF; expected value"
    );
    assert!(decode("a = 1\na = 2").is_err());
}
