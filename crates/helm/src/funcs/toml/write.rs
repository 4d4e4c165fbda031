//! `toToml`.

use super::*;

/// A table in the order in which it is written.
type Table = Vec<(String, Value)>;

pub(super) fn encode(value: &Value) -> Result<String, CallError> {
    let mut writer = Writer { out: String::new() };
    if is_table_array(value) {
        return fail("toml: top-level values must be Go maps or structs");
    }
    match as_table(value) {
        Some(table) => writer.table(&[], &table, 0)?,
        None => match value {
            Value::Nil => return fail("reflect: call of reflect.Value.Type on zero Value"),
            other => writer.element(other, 0)?,
        },
    }
    Ok(writer.out)
}

struct Writer {
    out: String,
}

fn as_table(value: &Value) -> Option<Table> {
    match value {
        Value::Map(map) => Some(
            map.snapshot()
                .into_iter()
                .map(|(key, value)| (key.to_string(), value))
                .collect(),
        ),
        Value::Object(object) => match object.serial() {
            Serial::Value(inner @ Value::Map(_)) => as_table(&inner),
            Serial::Value(_) => None,
            Serial::Fields(fields) => Some(
                fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            ),
        },
        _ => None,
    }
}

/// Whether a list is written as `[[…]]`.
fn is_table_array(value: &Value) -> bool {
    match value {
        Value::List(list) => {
            !list.items().is_empty() && list.items().iter().all(|item| as_table(item).is_some())
        }
        _ => false,
    }
}

fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Writer {
    fn indent(&mut self, depth: usize) {
        self.out.push_str(&"  ".repeat(depth.saturating_sub(1)));
    }

    /// Plain keys first, then tables, each sorted.
    fn table(&mut self, path: &[String], table: &Table, depth: usize) -> Result<(), CallError> {
        if depth > MAX_DEPTH {
            return fail("toml: value nests too deeply");
        }
        let (tables, plain): (Vec<_>, Vec<_>) = table
            .iter()
            .filter(|(_, value)| !value.is_nil())
            .partition(|(_, value)| as_table(value).is_some() || is_table_array(value));
        for (key, value) in plain {
            self.indent(path.len() + 1);
            self.out.push_str(&bare_or_quoted(key));
            self.out.push_str(" = ");
            self.element(value, depth + 1)?;
            self.out.push('\n');
        }
        for (key, value) in tables {
            let mut inner = path.to_vec();
            inner.push(bare_or_quoted(key));
            match value {
                Value::List(list) => {
                    for item in list.items() {
                        if let Some(item) = as_table(item) {
                            self.blank_line();
                            self.indent(inner.len());
                            self.out.push_str(&format!("[[{}]]\n", inner.join(".")));
                            self.table(&inner, &item, depth + 1)?;
                        }
                    }
                }
                other => {
                    if let Some(inner_table) = as_table(other) {
                        if inner.len() == 1 {
                            self.blank_line();
                        }
                        self.indent(inner.len());
                        self.out.push_str(&format!("[{}]\n", inner.join(".")));
                        self.table(&inner, &inner_table, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn blank_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn element(&mut self, value: &Value, depth: usize) -> Result<(), CallError> {
        if depth > MAX_DEPTH {
            return fail("toml: value nests too deeply");
        }
        match value {
            Value::Nil => return fail("toml: cannot encode array with nil element"),
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Int(_, n) => match value.own_text() {
                Some(text) => self.out.push_str(&quoted(&text)),
                None => self.out.push_str(&n.to_string()),
            },
            Value::Uint(_, n) => self.out.push_str(&n.to_string()),
            Value::Float(f) => self.out.push_str(&match *f {
                f if f.is_nan() => "nan".to_owned(),
                f if f == f64::INFINITY => "+inf".to_owned(),
                f if f == f64::NEG_INFINITY => "-inf".to_owned(),
                f => {
                    let text = format_float(f);
                    if text.contains(['e', '.']) {
                        text
                    } else {
                        text + ".0"
                    }
                }
            }),
            Value::Complex(..) => return fail("unsupported type: complex128"),
            Value::Str(s) => self.out.push_str(&quoted(&s.to_text())),
            Value::Bytes(bytes) => {
                let items: Vec<String> = bytes.iter().map(u8::to_string).collect();
                self.out.push_str(&format!("[{}]", items.join(", ")));
            }
            Value::List(list) => {
                self.out.push('[');
                for (i, item) in list.items().iter().enumerate() {
                    if i > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(_) => self.inline(&as_table(value).unwrap_or_default(), depth)?,
            Value::Object(object) => match object.serial() {
                Serial::Value(Value::Str(s)) if object.named().name == "time.Time" => {
                    self.out.push_str(&s.to_text());
                }
                Serial::Value(other) => self.element(&other, depth + 1)?,
                Serial::Fields(_) => match as_table(value) {
                    Some(table) => self.inline(&table, depth)?,
                    None => return fail("unsupported type"),
                },
            },
        }
        Ok(())
    }

    fn inline(&mut self, table: &Table, depth: usize) -> Result<(), CallError> {
        self.out.push('{');
        for (i, (key, value)) in table.iter().filter(|(_, v)| !v.is_nil()).enumerate() {
            if i > 0 {
                self.out.push_str(", ");
            }
            self.out.push_str(&bare_or_quoted(key));
            self.out.push_str(" = ");
            self.element(value, depth + 1)?;
        }
        self.out.push('}');
        Ok(())
    }
}

// Reading.
