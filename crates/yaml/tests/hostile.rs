//! Texts that are meant to hurt: bounded time and memory, clear errors.

use sluice_yaml::{
    Dialect, ErrorKind, Limits, decode, documents_from_str, from_str, from_str_with,
    parse_documents, to_string,
};

fn message(text: &str) -> String {
    from_str(text).expect_err("hostile").to_string()
}

#[test]
fn alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let refs = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
    }
    assert_eq!(message(&text), "yaml: document contains excessive aliasing");
}

#[test]
fn long_text_in_many_aliases_is_refused() {
    let text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        "*a, ".repeat(25_000)
    );
    assert_eq!(message(&text), "yaml: document contains excessive aliasing");
}

#[test]
fn alias_to_its_own_ancestor_is_refused() {
    assert_eq!(
        message("a: &a {b: [*a]}"),
        "yaml: anchor 'a' value contains itself"
    );
}

#[test]
fn aliases_cannot_nest_beyond_the_depth_limit() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..2000 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    let error = from_str(&text).unwrap_err();
    assert!(
        error.to_string().contains("excessive aliasing") || error.to_string().contains("max depth"),
        "{error}"
    );
}

#[test]
fn deep_nesting_is_refused_in_every_form() {
    let deep = 100_000;
    let block: String = (0..2000)
        .map(|n| format!("{}a:\n", " ".repeat(n)))
        .collect();
    for text in [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        "? ".repeat(deep),
        format!("{}{}", "[".repeat(deep), "]".repeat(deep)),
        block,
    ] {
        let error = from_str(&text).unwrap_err();
        assert_eq!(error.to_string(), "yaml: exceeded max depth of 200");
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}

#[test]
fn nesting_within_the_limit_is_read_and_written() {
    let text = format!("{}{}", "[".repeat(190), "]".repeat(190));
    let value = from_str(&text).unwrap();
    assert!(to_string(&value).unwrap().starts_with("- - - "));
}

#[test]
fn too_long_text_is_refused_before_it_is_read() {
    let limits = Limits {
        max_bytes: 10,
        ..Limits::default()
    };
    let error = parse_documents("a: 0123456789", &limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "yaml: text of 13 bytes is longer than the limit of 10 bytes"
    );
}

#[test]
fn node_budget_counts_every_node() {
    let limits = Limits {
        max_nodes: 100,
        ..Limits::default()
    };
    let text = "- x\n".repeat(101);
    let error = from_str_with(&text, Dialect::Sigs, &limits).unwrap_err();
    assert_eq!(error.to_string(), "yaml: document has more than 100 nodes");
}

#[test]
fn long_lines_and_long_keys_take_linear_time() {
    for text in [
        format!("a: {}\n", "x ".repeat(1_000_000)),
        format!("a: \"{}\"\n", "\\n".repeat(1_000_000)),
        format!("{}\n", "a\n".repeat(500_000)),
        format!("[{}]\n", "a, ".repeat(300_000)),
        format!("a: |\n{}", "\n".repeat(1_000_000)),
        format!("{}a: b\n", "# c\n".repeat(500_000)),
    ] {
        let _ = from_str(&text);
    }
}

#[test]
fn bytes_that_are_not_text_are_named() {
    let of = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    assert_eq!(of(b"a: \xff"), "yaml: invalid leading UTF-8 octet");
    assert_eq!(of(b"a: \xc3("), "yaml: invalid trailing UTF-8 octet");
    assert_eq!(of(b"a: \xc3"), "yaml: incomplete UTF-8 octet sequence");
    assert_eq!(decode(b"\xef\xbb\xbfa").unwrap(), "a");
    assert_eq!(decode(b"\xff\xfea\0").unwrap(), "a");
    assert_eq!(decode(b"\xfe\xff\0a").unwrap(), "a");
}

#[test]
fn manifests_come_with_their_lines() {
    let text = "# head\n---\n\nkind: A\n---\n# nothing\n---\nkind: B\n...\n---\nnull\n";
    let found: Vec<_> = documents_from_str(text)
        .unwrap()
        .into_iter()
        .map(|(value, span)| {
            (
                value["kind"].as_str().unwrap().to_owned(),
                span.start.line_number(),
            )
        })
        .collect();
    assert_eq!(found, [("A".to_owned(), 4), ("B".to_owned(), 8)]);
}
