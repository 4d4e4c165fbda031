//! What the Go libraries make of some hundred texts and values, recorded by
//! `cd crates/yaml/tests/oracle && go run . ../goldens/*.jsonl`.

use serde_json::Value;
use sluice_yaml::{Dialect, Limits, from_str_with, to_string};

fn lines(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a golden line is JSON"))
}

/// The recorded answer as a value or an error text.
fn recorded(answer: &Value) -> Result<Value, String> {
    match answer {
        Value::String(json) => Ok(serde_json::from_str(json).expect("an answer is JSON")),
        other => Err(other["error"].as_str().unwrap_or_default().to_owned()),
    }
}

#[test]
fn texts_are_read_as_go_reads_them() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("goldens/read.jsonl")) {
        let text = line["text"].as_str().unwrap();
        for (name, dialect) in [
            ("sigs", Dialect::Sigs),
            ("strict", Dialect::SigsStrict),
            ("v3", Dialect::GoYaml3),
        ] {
            let want = recorded(&line[name]);
            let got = from_str_with(text, dialect, &Limits::default()).map_err(|e| e.to_string());
            if got != want {
                wrong.push(format!("{name} {text:?}\n  want {want:?}\n  got  {got:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn values_are_written_as_go_writes_them() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("goldens/write.jsonl")) {
        let want = match &line["yaml"] {
            Value::String(yaml) => Ok(yaml.clone()),
            other => Err(other["error"].as_str().unwrap_or_default().to_owned()),
        };
        let got = to_string(&line["value"]).map_err(|e| e.to_string());
        if got != want {
            wrong.push(format!(
                "{}\n  want {want:?}\n  got  {got:?}",
                line["value"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
