use proptest::prelude::*;

use super::*;

const VALUES: &[(&str, &str)] = &[
    ("a", "abcABC"),
    ("e", ""),
    ("s", "foo/bar/foo"),
    ("neg", "-2"),
    ("n", "3"),
    ("u", "éa"),
    ("big", "straße ŉ"),
];

fn run(text: &str, undefined: Undefined) -> Result<String, Error> {
    let lookup = |name: &str| VALUES.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    substitute(text, lookup, undefined, &Limits::default())
}

fn lenient(text: &str) -> String {
    run(text, Undefined::Empty).unwrap_or_else(|e| format!("error {e}"))
}

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(&lenient(text), expected, "{text}");
    }
}

const WITHIN: &str = "error unable to parse substitution within function";
const BAD: &str = "error bad substitution";
const BRACE: &str = "error missing closing brace";
const NAME: &str = "error unable to parse variable name";

#[test]
fn flux_vectors_hold() {
    check(&[
        ("${a-def}", BRACE),
        ("${e:-def}", "def"),
        ("${a:+alt}", "abcABC"),
        ("${e:+alt}", "alt"),
        ("${m:?x}", "x"),
        ("${1}", ""),
        ("$$a", "$a"),
        ("$$$a", "$$a"),
        ("${#u}", "3"),
        ("${u^}", "Éa"),
        ("${a:1:2}", "bc"),
        ("${a: -2}", "abcABC"),
        ("${a:${neg}}", "BC"),
        ("${a:99}", ""),
        ("${a:x}", "abcABC"),
        ("${a:}", WITHIN),
        ("${a::2}", WITHIN),
        ("${a:1${n}}", BAD),
        ("${s#*/}", "bar/foo"),
        ("${s##*/}", "foo"),
        ("${s%/*}", "foo/bar"),
        ("${s%%/*}", "foo"),
        ("${s#*}", "oo/bar/foo"),
        ("${s##*}", ""),
        ("${s/foo/}", "/bar/foo"),
        ("${s//foo/}", "/bar/"),
        ("${s/#foo/X}", "X/bar/foo"),
        ("${s/#foo/}", "foo/bar/foo"),
        ("${s/%foo/X}", "foo/bar/X"),
        ("${s/fo*/X}", "foo/bar/foo"),
        ("${s/\\//-}", "foo-bar/foo"),
        ("${s/foo/x/y}", "x/y/bar/foo"),
        ("${s/foo/$$}", "$/bar/foo"),
        ("${s/foo/${a}}", "abcABC/bar/foo"),
        ("${m:={\"k\":1}}", "{\"k\":1}"),
        ("${a:={\"k\":1}}", "abcABC}"),
        ("${m:=x${a}y}", "xabcABCy"),
        ("${m:=$$}", "$$"),
        ("${m=}", ""),
        ("${a}}", "abcABC}"),
        ("${a.b}", BRACE),
        ("some ${a}$${v$${a}$a${a}", "some abcABC${v${a}$aabcABC"),
        ("something $${var=${a}}", "something ${var=abcABC}"),
    ]);
}

#[test]
fn dollars_that_start_nothing_stay() {
    check(&[
        ("", ""),
        ("$", "$"),
        ("$var $(cmd) \\$ \\n", "$var $(cmd) \\$ \\n"),
        ("$${x}", "${x}"),
        ("$$$${x}", "$${x}"),
        ("$$${a}", "$abcABC"),
        ("tail$$", "tail$"),
    ]);
}

#[test]
fn names_end_at_the_first_other_character() {
    check(&[
        ("${}", NAME),
        ("${ x}", NAME),
        ("${{ x }}", NAME),
        ("${", NAME),
        ("${a", BRACE),
        ("${a ", BRACE),
        ("${a+x}", BRACE),
        ("${a?x}", BRACE),
        ("${é٣}", ""),
        ("${½}", NAME),
        ("${#}", BAD),
        ("${#a^}", BAD),
    ]);
}

#[test]
fn case_operators_map_one_character_to_one() {
    check(&[
        ("${a^}", "AbcABC"),
        ("${a^^}", "ABCABC"),
        ("${a,}", "abcABC"),
        ("${a,,}", "abcabc"),
        ("${a^,}", "abcABC"),
        ("${a,^}", "abcABC"),
        ("${a^^^}", BAD),
        ("${e^}", ""),
        ("${big^^}", "STRAßE ŉ"),
    ]);
}

#[test]
fn defaults_test_emptiness_and_nest() {
    check(&[
        ("${e=d}", "d"),
        ("${a=d}", "abcABC"),
        ("${m==d}", "=d"),
        ("${m:=-d}", "-d"),
        ("${m:=${e:=${n}}}", "3"),
        ("${m:=\\}", "\\"),
        ("${m:=x", WITHIN),
        ("${m:=${e", BRACE),
        ("${m:=a\nb}", "a\nb"),
    ]);
}

#[test]
fn substrings_count_bytes() {
    check(&[
        ("${a:2}", "cABC"),
        ("${a:1::2}", "bc"),
        ("${a:1:99}", "bcABC"),
        ("${a:1:x}", "abcABC"),
        ("${a:1:2:3}", "abcABC"),
        ("${a:0:0}", ""),
        ("${a:1:}", WITHIN),
        ("${a:99:1}", ""),
        ("${a:9999999999999999999}", "abcABC"),
        ("${a:0:-1}", "error substring length of `a` is negative"),
        ("${u:1}", "error substring of `u` splits a character"),
        ("${u:2}", "a"),
    ]);
    // A negative start that reaches before the value starts at its beginning.
    let far = substitute(
        "${x:${far}}",
        |n| Some(if n == "far" { "-9" } else { "ab" }),
        Undefined::Refuse,
        &Limits::default(),
    );
    assert_eq!(far, Ok("ab".to_owned()));
}

#[test]
fn patterns_strip_what_matches_and_never_nothing() {
    check(&[
        ("${a#[a-c]}", "bcABC"),
        ("${a##[^A-Z]*}", ""),
        ("${a#?b}", "cABC"),
        ("${a#\\a}", "bcABC"),
        ("${a#x}", "abcABC"),
        ("${a#}", WITHIN),
        ("${a%}", WITHIN),
        ("${a#[}", "abcABC"),
        ("${a#[]a]}", "abcABC"),
        ("${a#[a-]}", "abcABC"),
        ("${a#a\\}", "abcABC"),
        ("${a%[A-C]}", "abcABC"),
        ("${a%?}", "abcAB"),
        ("${a%%B*}", "abcA"),
        ("${a#x${n}}", BAD),
        ("${u#?}", "a"),
        ("${e#*}", ""),
    ]);
}

#[test]
fn replacements_are_literal() {
    check(&[
        ("${s//o/0}", "f00/bar/f00"),
        ("${s/%foo/}", "foo/bar/foo"),
        ("${s/#bar/X}", "foo/bar/foo"),
        ("${s/foo//x}", "x/bar/foo"),
        ("${s/o\\/b/\\\\}", "fo\\ar/foo"),
        ("${s///x}", WITHIN),
        ("${s/foo}", BAD),
        ("${s/foo} then /x}", "foo/bar/foo"),
        ("${s/f${n}/x}", BAD),
        ("${s/foo/x${n}}", BAD),
        ("${s/${e}/x}", "xfoo/bar/foo"),
        ("${n//${e}/x}", "x3x"),
    ]);
}

#[test]
fn strict_mode_refuses_what_is_not_set() {
    let strict = |text| run(text, Undefined::Refuse).map_err(|e| e.to_string());
    assert_eq!(
        strict("${m}"),
        Err("variable not set (strict mode): \"m\"".to_owned())
    );
    assert_eq!(
        strict("${#m}"),
        Err("variable not set (strict mode): \"m\"".to_owned())
    );
    assert_eq!(
        strict("${m/a/b}"),
        Err("variable not set (strict mode): \"m\"".to_owned())
    );
    assert_eq!(
        strict("${a:=${m}}"),
        Err("variable not set (strict mode): \"m\"".to_owned())
    );
    assert_eq!(strict("${e}"), Ok(String::new()));
    assert_eq!(
        strict("${m:=d}${m:-d}${m:?d}${m:+d}${m=d}"),
        Ok("ddddd".to_owned())
    );
    // Syntax is checked first.
    assert_eq!(
        strict("${m} ${a.b}"),
        Err("missing closing brace".to_owned())
    );
}

#[test]
fn a_nul_ends_the_text() {
    assert_eq!(lenient("x${a}\0${"), "xabcABC");
    assert_eq!(lenient("${a\0}"), BRACE);
}

#[test]
fn errors_say_where() {
    let e = run("one\ntwo ${a}\n  three ${b:=${c.d}}\n", Undefined::Empty).unwrap_err();
    assert_eq!(
        (e.line, e.offset, e.kind),
        (3, 26, ErrorKind::MissingClosingBrace)
    );
}

#[test]
fn cost_is_bounded() {
    let big = "x".repeat(4000);
    let limits = Limits {
        output_bytes: 10_000,
        depth: 3,
        match_steps: 100_000,
    };
    let run = |text: &str| {
        substitute(text, |_| Some(big.as_str()), Undefined::Refuse, &limits).map_err(|e| e.kind)
    };
    assert_eq!(run("${a}${a}${a}"), Err(ErrorKind::TooLong(10_000)));
    assert_eq!(run("${a//x/${a}}"), Err(ErrorKind::TooLong(10_000)));
    assert_eq!(
        run("${a#${a}}"),
        Err(ErrorKind::TooExpensive("a".to_owned()))
    );
    assert_eq!(run("${a:=${a:=${a:=${a}}}}"), Err(ErrorKind::TooDeep(3)));
    assert_eq!(run("${a:=${a:=${a}}}").map(|s| s.len()), Ok(4000));
}

#[test]
fn names_are_ascii_identifiers() {
    for good in ["a", "_", "A_1", "cluster_env"] {
        assert_eq!(check_name(good), Ok(()));
    }
    for bad in ["", "1a", "my-key", "app.conf", "é", "a b", "a\n"] {
        let text = format!(
            "'{bad}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'"
        );
        assert_eq!(check_name(bad).unwrap_err().to_string(), text);
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in r#"([$]\{?|[{}#%/\\^,:=+?\[\]*-]|[aesunm1_]|neg|é|\PC|\n){0,40}"#) {
        let _ = run(&text, Undefined::Empty);
        let _ = run(&text, Undefined::Refuse);
    }

    #[test]
    fn text_without_dollars_is_unchanged(text in r"[^$\x00]{0,60}") {
        prop_assert_eq!(run(&text, Undefined::Refuse), Ok(text));
    }

    #[test]
    fn doubled_dollars_escape_everything(text in r"[^\x00]{0,60}") {
        prop_assert_eq!(run(&text.replace('$', "$$"), Undefined::Refuse), Ok(text));
    }

    #[test]
    fn stripping_all_agrees_with_finding_the_longest(value in "[ab/]{0,12}", pattern in r"[ab/*?]{1,5}") {
        // An independent matcher, by recursion.
        fn matches(p: &[u8], s: &[u8]) -> bool {
            match (p.split_first(), s.split_first()) {
                (None, rest) => rest.is_none(),
                (Some((b'*', p)), _) => (0..=s.len()).any(|i| matches(p, &s[i..])),
                (Some((b'?', p)), Some((_, s))) => matches(p, s),
                (Some((c, p)), Some((d, s))) => c == d && matches(p, s),
                (Some(_), None) => false,
            }
        }
        let ends: Vec<usize> =
            (1..=value.len()).filter(|i| matches(pattern.as_bytes(), &value.as_bytes()[..*i])).collect();
        let go = |op: &str| {
            substitute(&format!("${{v{op}{pattern}}}"), |_| Some(value.as_str()), Undefined::Refuse, &Limits::default())
        };
        prop_assert_eq!(go("#"), Ok(value[ends.first().copied().unwrap_or(0)..].to_owned()));
        prop_assert_eq!(go("##"), Ok(value[ends.last().copied().unwrap_or(0)..].to_owned()));
    }
}
