use super::*;

fn error(expression: &str) -> String {
    match translate(expression) {
        Ok(rust) => format!("compiled to {rust}"),
        Err(err) => err.to_string(),
    }
}

#[test]
fn classes_are_ascii() {
    for (expression, text, want) in [
        (r"^\w+$", "é", false),
        (r"^\d+$", "٣", false),
        (r"^\pL+$", "é", true),
        (r"^[[:alpha:]]+$", "é", false),
        (r"^[\w-]+$", "a-b_1", true),
        (r"\bfoo\b", "a foo b", true),
        (r"a{,2}", "a{,2}", true),
        (r"^\Qa.b\E$", "a.b", true),
        (r"a$", "a\n", false),
        (r"(?m)a$", "a\n", true),
        (r"(?i)ABC", "abc", true),
        (r"^[^\d]$", "x", true),
        (r"^[]a]+$", "]a", true),
        (r"^[a\]]+$", "]a", true),
        (r"x*", "", true),
        (r"^\x{e9}\xe9$", "éé", true),
        (r"#a b", "#a b", true),
    ] {
        let regexp = Regexp::new(expression).expect(expression);
        assert_eq!(regexp.is_match(text.as_bytes()), want, "{expression}");
    }
}

#[test]
fn refusals_carry_gos_text() {
    for (expression, want) in [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?<!a)", "invalid named capture: `(?<!a)`"),
        ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\y", r"invalid escape sequence: `\y`"),
        ("\\", "trailing backslash at end of expression: ``"),
        ("[z-a]", "invalid character class range: `z-a`"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
    ] {
        assert_eq!(error(expression), format!("error parsing regexp: {want}"));
    }
}

#[test]
fn empty_matches_behind_a_match_do_not_count() {
    let regexp = Regexp::new("a*").expect("valid");
    assert_eq!(regexp.find_all(b"baab", -1), [(0, 0), (1, 3), (4, 4)]);
    assert_eq!(regexp.replace_all(b"baab", b"X"), b"XbXbX");
    assert_eq!(regexp.split(b"baab", -1), [&b"b"[..], b"b"]);
}

#[test]
fn replacements_expand_groups() {
    let regexp = Regexp::new("(a)(?P<n>b)").expect("valid");
    for (replacement, want) in [
        ("${2}$1", "ba"),
        ("$1x", ""),
        ("${n}!", "b!"),
        ("$$1", "$1"),
        ("$", "$"),
        ("${", "${"),
        ("$9", ""),
    ] {
        let got = regexp.replace_all(b"ab", replacement.as_bytes());
        assert_eq!(String::from_utf8_lossy(&got), want, "{replacement}");
    }
}

#[test]
fn pieces_split_as_go_splits() {
    let regexp = Regexp::new(",").expect("valid");
    let split = |n| {
        regexp
            .split(b"a,b,c", n)
            .iter()
            .map(|p| String::from_utf8_lossy(p).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(split(-1), ["a", "b", "c"]);
    assert_eq!(split(2), ["a", "b,c"]);
    assert_eq!(split(0), Vec::<String>::new());
    assert_eq!(regexp.split(b"", -1), [b""]);
}
