//! How Go prints values: several of the server's error texts quote a value with one of its verbs.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// `%q`: a string in double quotes with Go's escapes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x80 && c.is_control() => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c) || c == '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `%v` of a float: the shortest form, with an exponent below 1e-4 and from 1e21.
pub fn float(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    value.to_string()
}

fn number(value: &Number) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(int), _) => int.to_string(),
        (None, Some(value)) => float(value),
        (None, None) => value.to_string(),
    }
}

/// `%v` of a decoded JSON value.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => number(value),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let items: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", plain(value)))
                .collect();
            format!("map[{}]", items.join(" "))
        }
    }
}

/// `%#v` of a decoded JSON value.
pub fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::String(text) => quote(text),
        Value::Bool(_) | Value::Number(_) => plain(value),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let item =
                |(key, value): (&String, &Value)| format!("{}:{}", quote(key), syntax(value));
            let items: Vec<String> = map.iter().map(item).collect();
            format!("map[string]interface {{}}{{{}}}", items.join(", "))
        }
    }
}

/// `%T` of a decoded JSON value.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(value) if value.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_go_prints_them() {
        let value = json!({"b": [1, 1.5, "x", null], "a": true});
        assert_eq!(plain(&value), "map[a:true b:[1 1.5 x <nil>]]");
        assert_eq!(
            syntax(&value),
            r#"map[string]interface {}{"a":true, "b":[]interface {}{1, 1.5, "x", interface {}(nil)}}"#
        );
        assert_eq!(quote("a\"\n\u{1}é"), r#""a\"\n\x01é""#);
        assert_eq!(
            [1e21, 1e-5, 100000.0, 0.0].map(float),
            ["1e+21", "1e-05", "100000", "0"]
        );
    }
}
