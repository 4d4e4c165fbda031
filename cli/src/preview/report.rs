//! The difference between an object as it is and as it would be, for people: where, what kind of
//! change, and both sides, in the form that users of `flux diff` know.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

/// How many unchanged lines are shown around a change in a text of several lines.
const CONTEXT: usize = 4;
/// The keys that tell the entries of a list apart, in the order in which they are tried.
const IDENTIFIERS: [&str; 3] = ["name", "key", "id"];

/// The differences, each as a path and what changed there; empty if there are none.
pub fn differences(before: &Value, after: &Value) -> String {
    let mut report = Report::default();
    report.compare(&mut Vec::new(), before, after);
    report.text
}

#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn compare(&mut self, path: &mut Vec<String>, before: &Value, after: &Value) {
        match (before, after) {
            (before, after) if before == after => {}
            (Value::Object(before), Value::Object(after)) => self.maps(path, before, after),
            (Value::Array(before), Value::Array(after)) => self.lists(path, before, after),
            _ => self.entry(path, &change(before, after)),
        }
    }

    fn maps(
        &mut self,
        path: &mut Vec<String>,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) {
        let only = |one: &Map<String, Value>, other: &Map<String, Value>| {
            let pairs = one.iter().filter(|(key, _)| !other.contains_key(*key));
            pairs
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect::<Map<_, _>>()
        };
        let (removed, added) = (only(before, after), only(after, before));
        let mut details = String::new();
        for (mark, entries, verb) in [('-', removed, "removed"), ('+', added, "added")] {
            if !entries.is_empty() {
                let what = counted(entries.len(), "map entry", "map entries");
                let yaml = yaml(&Value::Object(entries));
                let _ = write!(
                    details,
                    "  {mark} {what} {verb}:\n{}",
                    indented(&yaml, "    ")
                );
            }
        }
        if !details.is_empty() {
            self.entry(path, &details);
        }
        for (key, value) in before {
            if let Some(other) = after.get(key) {
                path.push(key.clone());
                self.compare(path, value, other);
                path.pop();
            }
        }
    }

    fn lists(&mut self, path: &mut Vec<String>, before: &[Value], after: &[Value]) {
        let identifier = IDENTIFIERS
            .into_iter()
            .find(|key| is_identified(before, key) && is_identified(after, key));
        let name = |entry: &Value| match identifier {
            Some(key) => entry[key].as_str().unwrap_or_default().to_owned(),
            None => entry.to_string(),
        };
        let is_in = |entry: &Value, list: &[Value]| list.iter().any(|e| name(e) == name(entry));
        let only = |one: &[Value], other: &[Value]| {
            let entries = one.iter().filter(|entry| !is_in(entry, other));
            entries.cloned().collect::<Vec<_>>()
        };
        let (removed, added) = (only(before, after), only(after, before));
        let mut details = String::new();
        let order = |one: &[Value], other: &[Value]| {
            let kept = one.iter().filter(|entry| is_in(entry, other));
            kept.map(name).collect::<Vec<_>>()
        };
        let (old, new) = (order(before, after), order(after, before));
        if old != new {
            let names = |names: &[String]| names.join(", ");
            let _ = write!(
                details,
                "  ⇆ order changed\n    - {}\n    + {}\n",
                names(&old),
                names(&new)
            );
        }
        for (mark, entries, verb) in [('-', removed, "removed"), ('+', added, "added")] {
            if !entries.is_empty() {
                let what = counted(entries.len(), "list entry", "list entries");
                let yaml = yaml(&Value::Array(entries));
                let _ = write!(
                    details,
                    "  {mark} {what} {verb}:\n{}",
                    indented(&yaml, "    ")
                );
            }
        }
        if !details.is_empty() {
            self.entry(path, &details);
        }
        if identifier.is_some() {
            for entry in before {
                if let Some(other) = after.iter().find(|other| name(other) == name(entry)) {
                    path.push(name(entry));
                    self.compare(path, entry, other);
                    path.pop();
                }
            }
        }
    }

    fn entry(&mut self, path: &[String], details: &str) {
        let path = match path {
            [] => "(root level)".to_owned(),
            path => path.join("."),
        };
        let _ = write!(self.text, "\n{path}\n{details}");
    }
}

/// Whether every entry is a map with a text of its own under a key.
fn is_identified(list: &[Value], key: &str) -> bool {
    let mut seen = HashSet::new();
    list.iter()
        .all(|entry| entry[key].as_str().is_some_and(|name| seen.insert(name)))
}

/// What became of one value.
fn change(before: &Value, after: &Value) -> String {
    let (old, new) = (type_of(before), type_of(after));
    if old != new {
        let sides = sides(&yaml(before), &yaml(after));
        return format!("  ± type change from {old} to {new}\n{sides}");
    }
    match (before, after) {
        (Value::String(before), Value::String(after))
            if before.contains('\n') || after.contains('\n') =>
        {
            text_change(before, after)
        }
        (Value::String(before), Value::String(after)) => {
            format!("  ± value change\n{}", sides(before, after))
        }
        _ => format!("  ± value change\n{}", sides(&yaml(before), &yaml(after))),
    }
}

fn sides(before: &str, after: &str) -> String {
    format!("    - {}\n    + {}\n", before.trim_end(), after.trim_end())
}

/// What changed in a text of several lines.
fn text_change(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let count = |tag| diff.iter_all_changes().filter(|c| c.tag() == tag).count();
    let parts = [
        (count(ChangeTag::Insert), "insert", "inserts"),
        (count(ChangeTag::Delete), "deletion", "deletions"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| counted(count, one, many))
        .collect();
    let mut text = format!(
        "  ± value change in multiline text ({})\n",
        parts.join(", ")
    );
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            text.push_str("      ...\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value().trim_end_matches('\n');
            let _ = writeln!(text, "    {}", format!("{mark} {line}").trim_end());
        }
    }
    text
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// A count in words, as far as people write them so.
fn counted(count: usize, one: &str, many: &str) -> String {
    const WORDS: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    let number = WORDS
        .get(count)
        .map_or_else(|| count.to_string(), |word| (*word).to_owned());
    format!("{number} {}", if count == 1 { one } else { many })
}

fn yaml(value: &Value) -> String {
    sluice_yaml::to_string(value).unwrap_or_else(|_| format!("{value}\n"))
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_change_is_told_at_its_path() {
        let before = json!({
            "metadata": {"labels": {"a": "1", "old": "x"}},
            "spec": {
                "replicas": 1,
                "port": "80",
                "containers": [
                    {"name": "web", "image": "web:1"},
                    {"name": "sidecar", "image": "s:1"},
                ],
                "args": ["-v", "--a"],
            },
            "data": {"file": "one\ntwo\nthree\n"},
        });
        let after = json!({
            "metadata": {"labels": {"a": "1", "new": "y", "other": "z"}},
            "spec": {
                "replicas": 2,
                "port": 80,
                "containers": [
                    {"name": "sidecar", "image": "s:1"},
                    {"name": "web", "image": "web:2"},
                ],
                "args": ["-v", "--b"],
            },
            "data": {"file": "one\n2\nthree\n"},
        });
        insta::assert_snapshot!(differences(&before, &after), @r#"
        data.file
          ± value change in multiline text (one insert, one deletion)
              one
            - two
            + 2
              three

        metadata.labels
          - one map entry removed:
            old: x
          + two map entries added:
            new: "y"
            other: z

        spec.args
          - one list entry removed:
            - --a
          + one list entry added:
            - --b

        spec.containers
          ⇆ order changed
            - web, sidecar
            + sidecar, web

        spec.containers.web.image
          ± value change
            - web:1
            + web:2

        spec.port
          ± type change from string to int
            - "80"
            + 80

        spec.replicas
          ± value change
            - 1
            + 2
        "#);
        assert_eq!(differences(&before, &before), "");
    }
}
