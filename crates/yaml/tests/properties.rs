//! What holds for every text and every value.

use proptest::prelude::*;
use serde_json::{Map, Value};
use sluice_yaml::{
    Dialect, Limits, fields_from_str, from_str, from_str_with, parse_documents, to_string,
};

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z0-9:#,\\-?|> '\"\\\\\n\t.~]{0,12}",
        "\\PC{0,8}",
        "(yes|no|on|null|true|0x1f|0755|1_0|1:30|2020-01-01|1e3|<<|=|~|)",
        "([a-z]{1,12} ){0,20}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(value in values()) {
        if let Ok(text) = to_string(&value) {
            // U+0085 and a key `<<` do not survive the trip in Go either.
            let json = value.to_string();
            if !json.contains('\u{85}') && !json.contains("\"<<\":") {
                prop_assert_eq!(from_str(&text), Ok(value), "{}", text);
            }
        }
    }

    #[test]
    fn no_text_panics(text in "[a-c\\-:?#,&*!|>'\"%@`{}\\[\\] \n\t.~0-9é\u{85}\u{2028}]{0,40}") {
        for dialect in [Dialect::Sigs, Dialect::SigsStrict, Dialect::GoYaml3] {
            let _ = from_str_with(&text, dialect, &Limits::default());
        }
    }

    #[test]
    fn a_few_fields_are_those_of_the_whole(
        text in "([ab]: |[ab]: &x |<<: \\*x
|- |\\{|\\}|[ab], |b: \\.inf
|'a': |1
|~: | ){0,12}",
    ) {
        let part = fields_from_str(&text, &["a"], &Limits::default());
        let mut whole = from_str_with(&text, Dialect::Sigs, &Limits::default());
        if let Ok(Value::Object(fields)) = &mut whole {
            fields.retain(|key, _| key == "a");
        }
        prop_assert_eq!(part, whole);
    }

    #[test]
    fn spans_lie_within_the_text(text in "[a-c\\-: \n\\[\\]{},'\"|#]{0,40}") {
        fn check(node: &sluice_yaml::Node<'_>, len: usize) -> bool {
            let (start, end) = (node.span.start.offset as usize, node.span.end.offset as usize);
            start <= end && end <= len
                && node.as_sequence().is_none_or(|items| items.iter().all(|n| check(n, len)))
                && node.as_mapping().is_none_or(|pairs| {
                    pairs.iter().all(|(k, v)| check(k, len) && check(v, len))
                })
        }
        if let Ok(documents) = parse_documents(&text, &Limits::default()) {
            for document in documents {
                prop_assert!(check(&document.root, text.len()), "{:?}", document);
            }
        }
    }
}
