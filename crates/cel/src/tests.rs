use proptest::prelude::*;
use serde_json::json;

use super::*;

fn ready(source: &str) -> Result<bool, String> {
    let own = json!({"metadata": {"namespace": "apps", "labels": {"team": "a"}}, "status": {"lastAppliedRevision": "r", "n": 3}});
    let dep = json!({"metadata": {"namespace": "apps"}, "spec": {"suspend": true, "path": "./x"}, "status": {"list": [1, 2]}});
    let predicate = Predicate::compile(source, &["self", "dep"]).map_err(|e| e.to_string())?;
    predicate
        .evaluate(&[("self", &own), ("dep", &dep)])
        .map_err(|e| e.to_string())
}

#[test]
fn expressions_see_both_objects() {
    for source in [
        "dep.spec.suspend == true && dep.metadata.namespace == self.metadata.namespace",
        "has(dep.spec.suspend)",
        "!has(dep.status.absent)",
        "self.status.n * 2 == 6",
        "self.status.n > 2.5",
        "dep.spec.path.startsWith('./')",
        "dep.status.list.exists(i, i == 2)",
        "dep.status.list.all(i, i > 0) && size(dep.status.list) == 2",
        "dep.status.list.map(i, i + 1) == [2, 3]",
        "'team' in self.metadata.labels",
        "dep.metadata.?labels.orValue({}) == {}",
        "dep.?metadata.?labels.?app.orValue('none') == 'none'",
        "dep[?'metadata'].hasValue() && !dep.?x.hasValue()",
        "sets.contains([1, 2, 3], dep.status.list)",
        "self.metadata.labels.team.upperAscii() == 'A'",
        "dep.spec.suspend ? self.status.n == 3 : false",
        "'x' == \"x\"",
    ] {
        assert_eq!(ready(source), Ok(true), "{source}");
    }
    assert_eq!(ready("dep.spec.path == \"x\""), Ok(false));
}

#[test]
fn an_expression_has_to_be_boolean_for_all_values() {
    for (source, kind) in [
        ("dep.spec.suspend", "dyn"),
        ("'a'", "string"),
        ("1 + 1", "int"),
        ("dep", "map(string, dyn)"),
        ("size(dep.status.list)", "int"),
        ("true ? dep.spec.suspend : true", "dyn"),
    ] {
        let text = format!("CEL expression output type mismatch: expected bool, got {kind}");
        assert_eq!(ready(source), Err(text), "{source}");
    }
}

#[test]
fn unknown_names_and_syntax_errors_show_the_place() {
    assert_eq!(
        ready("deb.spec.suspend == true").unwrap_err(),
        "failed to parse the CEL expression 'deb.spec.suspend == true': ERROR: <input>:1:1: undeclared reference to 'deb' \
         (in container '')\n | deb.spec.suspend == true\n | ^"
    );
    assert_eq!(
        ready("true &&\n dep.x == old.x").unwrap_err(),
        "failed to parse the CEL expression 'true &&\n dep.x == old.x': ERROR: <input>:2:11: undeclared reference to 'old' \
         (in container '')\n |  dep.x == old.x\n | ..........^"
    );
    assert!(
        ready("dep.frobnicate() == 1")
            .unwrap_err()
            .contains("undeclared reference to 'frobnicate'")
    );
    assert!(ready("dep.x ==").unwrap_err().contains("Syntax error"));
    assert!(Predicate::compile(&"(".repeat(5000), &[]).is_err());
    assert!(
        Predicate::parse(&"1+".repeat(20_000))
            .unwrap_err()
            .to_string()
            .len()
            < 200
    );
}

#[test]
fn run_time_errors_can_be_cured_by_other_values() {
    let source = "dep.status.lastAppliedRevision == self.status.lastAppliedRevision";
    let error = Predicate::compile(source, &["self", "dep"])
        .unwrap()
        .evaluate(&[("self", &json!({})), ("dep", &json!({"status": {}}))]);
    let error = error.unwrap_err();
    assert!(!error.is_terminal());
    assert_eq!(
        error.to_string(),
        "failed to evaluate the CEL expression 'dep.status.lastAppliedRevision == self.status.lastAppliedRevision': \
         no such key: lastAppliedRevision"
    );
    assert!(
        Predicate::compile("dep.x", &["dep"])
            .unwrap_err()
            .is_terminal()
    );
}

#[test]
fn cost_is_bounded() {
    let list: Vec<_> = (0..5000).collect();
    let loops = |n: usize| {
        let head: String = (0..n).map(|i| format!("l.all(x{i}, ")).collect();
        format!("{head}true{}", ")".repeat(n))
    };
    let predicate = Predicate::compile(&loops(3), &["l"]).unwrap();
    let error = predicate
        .evaluate(&[("l", &json!(list))])
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("actual cost limit exceeded"), "{error}");
    assert_eq!(
        Predicate::compile(&loops(1), &["l"])
            .unwrap()
            .evaluate(&[("l", &json!(list))]),
        Ok(true)
    );
}

#[test]
fn size_is_bounded_before_anything_descends() {
    let nested =
        |n: usize, open: &str, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
    for (open, close) in [("(", ")"), ("[", "]"), ("f(", ")")] {
        assert!(Predicate::parse(&nested(80, open, close)).is_ok(), "{open}");
        assert!(
            Predicate::parse(&nested(81, open, close)).is_err(),
            "{open}"
        );
    }
    for chain in [".b", "[0]", "+1", "&&a", "==1", ".f()"] {
        let fits = 800
            / (chain
                .bytes()
                .filter(|b| !b.is_ascii_alphanumeric() && !b"()]".contains(b))
                .count());
        let text = |n: usize| format!("a{}", chain.repeat(n));
        let deep = Predicate::parse(&text(fits)).unwrap();
        assert!(deep.evaluate(&[]).is_err());
        assert!(Predicate::parse(&text(fits + 1)).is_err(), "{chain}");
    }
}

#[test]
fn errors_never_quote_values() {
    let secret = json!({"data": {"password": "hunter2"}});
    for source in [
        "data.password + 1 == 2",
        "data.password.x == 1",
        "data.password[0] == 1",
        "-data.password == 1",
        "int(data.password) == 1",
        "data.password < 1",
    ] {
        let Ok(predicate) = Predicate::parse(source) else {
            continue;
        };
        if let Err(error) = predicate.evaluate(&[("data", &secret["data"])]) {
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(source in r#"([a-z.]{1,3}|[()\[\]{}!?:,+*/<>=&|"' -]|&&|==|has\(|1){0,14}"#) {
        if let Ok(predicate) = Predicate::parse(&source) {
            let _ = predicate.evaluate(&[("a", &json!({"b": [1, "x", null]}))]);
        }
        let _ = Predicate::compile(&source, &["a"]);
    }
}
