//! `toYaml`, `fromYaml` and their kin.

use sluice_gotemplate::strconv::format_float;
use sluice_gotemplate::{ANY_MAP, ANY_SLICE, CallError, List, Map, Serial, Str, Value};
use sluice_yaml::{Booleans, Dialect, Limits, Resolved, resolve};

use super::convert::{ANY, STRING, string, utf8};
use super::jsontext::{error_map, mismatch, to_json_value};
use super::{Entry, fail, fixed};

/// How deep a value may nest in `toYamlPretty`.
const MAX_DEPTH: usize = 1000;

pub(crate) const TABLE: &[Entry] = &[
    fixed("toYaml", &[ANY], STRING, |_, a| match to_yaml(&a[0]) {
        Ok(text) => string(text),
        // Swallowing the error is the documented behaviour.
        Err(_) => string(""),
    }),
    fixed("mustToYaml", &[ANY], STRING, |_, a| string(to_yaml(&a[0])?)),
    fixed("toYamlPretty", &[ANY], STRING, |_, a| {
        let mut out = String::new();
        let written = Pretty { out: &mut out }.document(&a[0]);
        match written {
            Ok(()) => string(out.strip_suffix('\n').unwrap_or(&out)),
            Err(_) => string(""),
        }
    }),
    fixed("fromYaml", &[STRING], ANY_MAP, |_, a| {
        Ok(match read(&utf8(&a[0])) {
            Ok(Value::Map(map)) => Value::Map(map),
            Ok(Value::Nil) => Value::Map(Map::new()),
            Ok(other) => error_map(&decoding(&other, "map[string]interface {}")),
            Err(error) => error_map(&error),
        })
    }),
    fixed("fromYamlArray", &[STRING], ANY_SLICE, |_, a| {
        Ok(match read(&utf8(&a[0])) {
            Ok(Value::List(list)) => Value::List(list),
            Ok(Value::Nil) => Value::List(List::typed(ANY_SLICE, Vec::new())),
            Ok(other) => Value::list(vec![decoding(&other, "[]interface {}").into()]),
            Err(error) => Value::list(vec![error.into()]),
        })
    }),
];

fn decoding(value: &Value, into: &str) -> String {
    format!(
        "error unmarshaling JSON: while decoding JSON: {}",
        mismatch(value, into)
    )
}

fn read(text: &str) -> Result<Value, String> {
    sluice_yaml::from_str_with(text, Dialect::Sigs, &Limits::default())
        .map(|json| Value::from_json(&json))
        .map_err(|error| format!("error converting YAML to JSON: {error}"))
}

/// Writes a value as Helm's `toYaml`, without the last line break.
pub(crate) fn to_yaml(value: &Value) -> Result<String, CallError> {
    let json =
        to_json_value(value, 0).map_err(|error| error.within("error marshaling into JSON"))?;
    let mut text =
        sluice_yaml::to_string(&json).map_err(|error| CallError::new(error.to_string()))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// go-yaml v3's layout: sequences indented below their key, nothing folded,
/// numbers as they are.
struct Pretty<'o> {
    out: &'o mut String,
}

impl Pretty<'_> {
    fn document(&mut self, value: &Value) -> Result<(), CallError> {
        if let Some(entries) = entries_of(value) {
            return self.map(&entries, 0, true, 0);
        }
        match value {
            Value::List(list) if !list.items().is_empty() => self.list(list.items(), 0, true, 0),
            scalar => {
                self.scalar(scalar, 0, 0)?;
                self.out.push('\n');
                Ok(())
            }
        }
    }

    fn indent(&mut self, by: usize) {
        self.out.extend(std::iter::repeat_n(' ', by));
    }

    fn map(
        &mut self,
        entries: &[(Str, Value)],
        indent: usize,
        at_line_start: bool,
        depth: usize,
    ) -> Result<(), CallError> {
        if depth > MAX_DEPTH {
            return fail("value nests too deeply for YAML");
        }
        for (i, (key, value)) in entries.iter().enumerate() {
            if i > 0 || at_line_start {
                self.indent(indent);
            }
            let key = key.to_text();
            if key.len() > 128 || key.contains('\n') {
                self.out.push_str("? ");
                self.text(&key, indent)?;
                self.out.push('\n');
                self.indent(indent);
                self.out.push(':');
            } else {
                self.text(&key, indent)?;
                self.out.push(':');
            }
            if let Some(inner) = entries_of(value) {
                self.out.push('\n');
                self.map(&inner, indent + 2, true, depth + 1)?;
                continue;
            }
            match value {
                Value::List(inner) if !inner.items().is_empty() => {
                    self.out.push('\n');
                    self.list(inner.items(), indent + 2, true, depth + 1)?;
                }
                scalar => {
                    self.out.push(' ');
                    self.scalar(scalar, indent, depth + 1)?;
                    self.out.push('\n');
                }
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        items: &[Value],
        indent: usize,
        at_line_start: bool,
        depth: usize,
    ) -> Result<(), CallError> {
        if depth > MAX_DEPTH {
            return fail("value nests too deeply for YAML");
        }
        for (i, item) in items.iter().enumerate() {
            if i > 0 || at_line_start {
                self.indent(indent);
            }
            self.out.push_str("- ");
            if let Some(inner) = entries_of(item) {
                self.map(&inner, indent + 2, false, depth + 1)?;
                continue;
            }
            match item {
                Value::List(inner) if !inner.items().is_empty() => {
                    self.list(inner.items(), indent + 2, false, depth + 1)?;
                }
                scalar => {
                    self.scalar(scalar, indent, depth + 1)?;
                    self.out.push('\n');
                }
            }
        }
        Ok(())
    }

    fn scalar(&mut self, value: &Value, indent: usize, depth: usize) -> Result<(), CallError> {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Int(..) => match value.own_text() {
                Some(text) => self.text(&text, indent)?,
                None => self.out.push_str(&super::convert::int(value).to_string()),
            },
            Value::Uint(_, n) => self.out.push_str(&n.to_string()),
            Value::Float(f) => self.out.push_str(&match *f {
                f if f.is_nan() => ".nan".to_owned(),
                f if f == f64::INFINITY => ".inf".to_owned(),
                f if f == f64::NEG_INFINITY => "-.inf".to_owned(),
                f => format_float(f),
            }),
            Value::Str(s) => match std::str::from_utf8(s) {
                Ok(text) => self.text(text, indent)?,
                Err(_) => {
                    self.out.push_str("!!binary ");
                    self.text(&lines_of_base64(s), indent)?;
                }
            },
            Value::Map(_) => self.out.push_str("{}"),
            Value::List(_) => self.out.push_str("[]"),
            Value::Bytes(bytes) => {
                let items: Vec<Value> = bytes.iter().map(|b| Value::int(i64::from(*b))).collect();
                if items.is_empty() {
                    self.out.push_str("[]");
                } else {
                    self.out.push('\n');
                    self.list(&items, indent + 2, true, depth)?;
                    self.out.pop();
                }
            }
            Value::Complex(..) => return fail("cannot marshal type: complex128"),
            Value::Object(object) => match object.serial() {
                Serial::Value(value) => self.scalar(&value, indent, depth + 1)?,
                // Only one without any; the others are written as maps.
                Serial::Fields(_) => self.out.push_str("{}"),
            },
        }
        Ok(())
    }

    fn text(&mut self, text: &str, indent: usize) -> Result<(), CallError> {
        if text.contains('\n') && block_allowed(text) {
            let chomp = match text.strip_suffix('\n') {
                None => "-",
                Some(rest) if rest.ends_with('\n') || rest.is_empty() => "+",
                Some(_) => "",
            };
            let hint = if text.starts_with([' ', '\n', '\t']) {
                "2"
            } else {
                ""
            };
            self.out.push('|');
            self.out.push_str(hint);
            self.out.push_str(chomp);
            let body = text.strip_suffix('\n').unwrap_or(text);
            for line in body.split('\n') {
                self.out.push('\n');
                if !line.is_empty() {
                    self.indent(indent + 2);
                    self.out.push_str(line);
                }
            }
            return Ok(());
        }
        match style(text)? {
            Style::Plain => self.out.push_str(text),
            Style::Single => {
                self.out.push('\'');
                self.out.push_str(&text.replace('\'', "''"));
                self.out.push('\'');
            }
            Style::Double => double_quoted(self.out, text),
        }
        Ok(())
    }
}

/// The entries of a map, in go-yaml's order, or of a struct, in its own; nothing
/// for what is written on one line.
fn entries_of(value: &Value) -> Option<Vec<(Str, Value)>> {
    let entries = match value {
        Value::Map(map) => {
            let mut entries = map.snapshot();
            entries.sort_by(|(a, _), (b, _)| natural_order(&a.to_text(), &b.to_text()));
            entries
        }
        Value::Object(object) => match object.serial() {
            // Structs are written with lower-case names.
            Serial::Fields(fields) => fields
                .into_iter()
                .map(|(name, value)| (Str::from(name.to_lowercase().as_str()), value))
                .collect(),
            Serial::Value(_) => return None,
        },
        _ => return None,
    };
    (!entries.is_empty()).then_some(entries)
}

/// Base64 the way go-yaml breaks it.
fn lines_of_base64(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let coded = data_encoding::BASE64.encode(bytes);
    if coded.len() < LINE {
        return coded;
    }
    let mut out = String::new();
    for (i, c) in coded.chars().enumerate() {
        out.push(c);
        if (i + 1) % LINE == 0 {
            out.push('\n');
        }
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

/// Chooses the style of a text as go-yaml does.
fn style(text: &str) -> Result<Style, CallError> {
    if text
        .chars()
        .any(|c| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}'))
    {
        return fail("control characters are not allowed");
    }
    let special = text
        .chars()
        .any(|c| c < ' ' || c == '\u{feff}' || c as u32 > 0xffff || c == '\u{85}');
    if special {
        return Ok(Style::Double);
    }
    let plain_type = matches!(
        resolve(text, Booleans::Yaml11),
        Resolved::Str | Resolved::Merge
    ) && !is_base60(text)
        && !matches!(
            text,
            "y" | "Y"
                | "n"
                | "N"
                | "yes"
                | "Yes"
                | "YES"
                | "no"
                | "No"
                | "NO"
                | "on"
                | "On"
                | "ON"
                | "off"
                | "Off"
                | "OFF"
        );
    if !plain_type || text.is_empty() {
        return Ok(Style::Double);
    }
    let mut chars = text.chars();
    let first = chars.next().unwrap_or(' ');
    let second = chars.next();
    let indicator = match first {
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => true,
        '-' | '?' | ':' => second.is_none_or(|c| c == ' '),
        _ => false,
    };
    let broken = text.starts_with(' ')
        || text.ends_with(' ')
        || text.starts_with("---")
        || text.starts_with("...")
        || text.contains(": ")
        || text.ends_with(':')
        || text.contains(" #")
        || text.contains(['\u{2028}', '\u{2029}']);
    Ok(if indicator || broken {
        Style::Single
    } else {
        Style::Plain
    })
}

fn is_base60(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    !rest.is_empty()
        && first.starts_with(|c: char| c.is_ascii_digit())
        && number(first)
        && rest.iter().enumerate().all(|(i, part)| {
            let whole = if i + 1 == rest.len() {
                part.split_once('.').map_or(*part, |(whole, _)| whole)
            } else {
                part
            };
            !whole.is_empty()
                && whole.len() <= 2
                && whole.bytes().all(|b| b.is_ascii_digit())
                && (whole.len() == 1 || whole.as_bytes()[0] <= b'5')
        })
}

fn block_allowed(text: &str) -> bool {
    let bad = |c: char| {
        (c < ' ' && c != '\n') || matches!(c, '\u{7f}'..='\u{9f}' | '\u{feff}') || c as u32 > 0xffff
    };
    !text.contains(" \n") && !text.ends_with(' ') && !text.chars().any(bad)
}

fn double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if c < ' ' => out.push_str(&format!("\\x{:02X}", c as u32)),
            '\u{feff}' => out.push_str("\\uFEFF"),
            c if c as u32 > 0xffff => out.push_str(&format!("\\U{:08X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// go-yaml v3's order of keys: letters after other characters, digit runs by
/// their number.
fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut after_digit = false;
    for at in 0..left.len().min(right.len()) {
        let (x, y) = (left[at], right[at]);
        if x == y {
            after_digit = sluice_gotemplate::text::is_digit(x);
            continue;
        }
        let letter = sluice_gotemplate::text::is_letter;
        return match (letter(x), letter(y)) {
            (true, true) => x.cmp(&y),
            (true, false) if after_digit => std::cmp::Ordering::Less,
            (false, true) if after_digit => std::cmp::Ordering::Greater,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) => by_number(&left, &right, at),
        };
    }
    left.len().cmp(&right.len())
}

fn by_number(left: &[char], right: &[char], at: usize) -> std::cmp::Ordering {
    let zero_leads = left[at] == '0' || right[at] == '0';
    let carried = zero_leads
        && left[..at]
            .iter()
            .rev()
            .take_while(|c| sluice_gotemplate::text::is_digit(**c))
            .any(|c| *c != '0');
    let start = i64::from(carried);
    let number = |chars: &[char]| {
        chars[at..]
            .iter()
            .take_while(|c| sluice_gotemplate::text::is_digit(**c))
            .fold((start, 0usize), |(value, length), c| {
                let digit = i64::from(c.to_digit(10).unwrap_or(0));
                (value.wrapping_mul(10).wrapping_add(digit), length + 1)
            })
    };
    let (x, y) = (number(left), number(right));
    x.cmp(&y).then_with(|| left[at].cmp(&right[at]))
}
