//! Writes values as YAML in the many ways in which people write it.

use serde_json::Value;

use super::random::Random;

/// Marks a text that is written as it stands, without quotes.
const RAW: char = '\u{1}';

/// A scalar that is written as it stands.
pub fn raw(text: &str) -> Value {
    Value::String(format!("{RAW}{text}"))
}

/// Which liberties a file takes.
#[derive(Clone, Copy)]
pub struct Style {
    /// Lists are indented under their key.
    indented_lists: bool,
    /// Spaces a level.
    indent: usize,
    /// In percent: flow collections, quotes, comments.
    odd: usize,
    shuffled: bool,
}

impl Style {
    /// A style for a file.
    pub fn new(random: &mut Random) -> Self {
        Style {
            indented_lists: random.chance(40),
            indent: *random.pick(&[2, 2, 2, 4, 3]),
            odd: *random.pick(&[0, 2, 5, 12]),
            shuffled: random.chance(40),
        }
    }
}

/// A document, with a line break at its end.
pub fn document(value: &Value, style: Style, random: &mut Random) -> String {
    let mut text = lines(value, style, random).join("\n");
    text.push('\n');
    text
}

fn lines(value: &Value, style: Style, random: &mut Random) -> Vec<String> {
    if is_collection(value) && random.chance(style.odd) && weight(value) < 8 {
        return vec![flow(value, random)];
    }
    let mut out = Vec::new();
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut entries: Vec<_> = map.iter().collect();
            if style.shuffled {
                random.shuffle(&mut entries);
            }
            for (name, value) in entries {
                if random.below(300) < style.odd {
                    out.push(random.word(&["# a comment", "  # indented", ""]));
                }
                let name = key(name, style, random);
                let below = lines(value, style, random);
                let is_block = is_collection(value) && !is_flow(&below);
                if !is_block {
                    let mut below = below.into_iter();
                    let first = below.next().unwrap_or_default();
                    let gap = if first.is_empty() { "" } else { " " };
                    let comment =
                        if random.below(400) < style.odd && first.len() < 40 && below.len() == 0 {
                            " # remark"
                        } else {
                            ""
                        };
                    out.push(format!("{name}:{gap}{first}{comment}"));
                    out.extend(below.map(|line| shift(&line, style.indent)));
                    continue;
                }
                out.push(format!("{name}:"));
                let by = match value {
                    Value::Array(_) if !style.indented_lists => 0,
                    _ => style.indent,
                };
                out.extend(below.iter().map(|line| shift(line, by)));
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut below = lines(item, style, random);
                // A comment cannot stand behind a dash.
                below.splice(..0, None::<String>);
                while below.first().is_some_and(|line| {
                    line.trim_start().starts_with('#') || (line.is_empty() && is_collection(item))
                }) {
                    below.remove(0);
                }
                let mut below = below.into_iter();
                out.push(
                    format!("- {}", below.next().unwrap_or_default())
                        .trim_end()
                        .to_owned(),
                );
                out.extend(below.map(|line| shift(&line, 2)));
            }
        }
        other => out.extend(scalar(other, style, random)),
    }
    out
}

fn is_collection(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn is_flow(lines: &[String]) -> bool {
    lines.len() == 1 && (lines[0].starts_with('{') || lines[0].starts_with('['))
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(weight).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::String(text) if text.contains('\n') => 100,
        _ => 1,
    }
}

fn shift(line: &str, by: usize) -> String {
    format!("{}{line}", " ".repeat(by))
}

fn key(name: &str, style: Style, random: &mut Random) -> String {
    if let Some(text) = name.strip_prefix(RAW) {
        return text.to_owned();
    }
    if is_plain(name) && random.below(150) >= style.odd {
        return name.to_owned();
    }
    quoted(name, random)
}

fn flow(value: &Value, random: &mut Random) -> String {
    let style = Style {
        indented_lists: false,
        indent: 2,
        odd: 0,
        shuffled: false,
    };
    match value {
        Value::Object(map) => {
            let parts: Vec<_> = map
                .iter()
                .map(|(name, value)| {
                    format!("{}: {}", key(name, style, random), flow(value, random))
                })
                .collect();
            format!("{{{}}}", parts.join(", "))
        }
        Value::Array(items) => {
            let parts: Vec<_> = items.iter().map(|item| flow(item, random)).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::String(text) if !text.starts_with(RAW) && !is_plain(text) => double(text),
        other => scalar(other, style, random).remove(0),
    }
}

fn scalar(value: &Value, style: Style, random: &mut Random) -> Vec<String> {
    let Value::String(text) = value else {
        return vec![value.to_string()];
    };
    if let Some(text) = text.strip_prefix(RAW) {
        return vec![text.to_owned()];
    }
    let block = text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.contains(['\r', '\u{85}', '\u{2028}', '\u{feff}', '\0'])
        && text.lines().all(|line| !line.starts_with('\t'));
    if block && random.chance(75) {
        let body = text.trim_end_matches('\n');
        let breaks = text.len() - body.len();
        let header = match breaks {
            0 => "|-",
            1 => "|",
            _ => "|+",
        };
        let mut out = vec![header.to_owned()];
        out.extend(body.split('\n').map(str::to_owned));
        out.extend((1..breaks).map(|_| String::new()));
        return out;
    }
    if is_plain(text) && random.below(100) >= style.odd * 2 {
        return vec![text.clone()];
    }
    vec![quoted(text, random)]
}

fn quoted(text: &str, random: &mut Random) -> String {
    if random.chance(50) && !text.contains(|c: char| c.is_control() || c == '\u{feff}') {
        return format!("'{}'", text.replace('\'', "''"));
    }
    double(text)
}

fn double(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || c == '\u{feff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// True for texts that are strings to every YAML dialect without quotes.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
    ];
    let first = text.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '$')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_./-$()@=+".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}
