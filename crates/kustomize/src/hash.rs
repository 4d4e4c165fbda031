//! The hash that generated objects carry in their names.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::node::{Map, Node};
use crate::resmap::ResMap;
use crate::schema::Schema;

/// Appends the hash to the names of all objects that are to have one.
///
/// # Errors
/// The content cannot be turned into JSON.
pub(crate) fn run(objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
    let mut changed = false;
    for resource in &mut objects.resources {
        if !resource.needs_hash {
            continue;
        }
        let hash = hash(&resource.root)?;
        resource.record_id(schema);
        let name = format!("{}-{hash}", resource.name());
        resource.set_name(&name);
        changed = true;
    }
    if changed {
        objects.touch();
    }
    Ok(())
}

/// The hash of an object's content; its name does not count.
///
/// # Errors
/// The content cannot be turned into JSON.
pub(crate) fn hash(root: &Map) -> Result<String, String> {
    let kind = root.get("kind").and_then(Node::text).unwrap_or("");
    let field = |name: &str| -> Result<Value, String> {
        match root.get(name) {
            Some(Node::Scalar(scalar)) if !scalar.is_null() => {
                Ok(Value::from(scalar.text.as_str()))
            }
            Some(Node::Seq(_)) => Ok(Value::Null),
            Some(node) if !node.is_null() => node_json(node),
            _ => Ok(Value::String(String::new())),
        }
    };
    let only_map = |name: &str| -> Result<Option<Value>, String> {
        match root.get(name) {
            Some(node @ Node::Map(_)) => node_json(node).map(Some),
            _ => Ok(None),
        }
    };
    let mut out = String::from("{");
    let put = |out: &mut String, key: &str, value: &Value| {
        if out.len() > 1 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write_json(value, out);
    };
    match kind {
        "ConfigMap" => {
            if let Some(value) = only_map("binaryData")? {
                put(&mut out, "binaryData", &value);
            }
            put(&mut out, "data", &field("data")?);
            put(&mut out, "kind", &Value::from(kind));
            put(&mut out, "name", &Value::from(""));
        }
        "Secret" => {
            put(&mut out, "data", &field("data")?);
            put(&mut out, "kind", &Value::from(kind));
            put(&mut out, "name", &Value::from(""));
            if let Some(value) = only_map("stringData")? {
                put(&mut out, "stringData", &value);
            }
            put(&mut out, "type", &field("type")?);
        }
        _ => {
            let Value::Object(map) = crate::node::map_to_json(root)? else {
                return Ok(String::new());
            };
            for (key, value) in &map {
                put(&mut out, key, value);
            }
        }
    }
    out.push('}');
    Ok(encode(&out))
}

/// The content as the hash sees it: every number has passed through a float.
fn node_json(node: &Node) -> Result<Value, String> {
    let mut value = node.to_json()?;
    round(&mut value);
    Ok(value)
}

fn round(value: &mut Value) {
    const EXACT: f64 = (1_u64 << 53) as f64;
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| float.abs() >= EXACT) {
                *value = Value::from(float);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(round),
        Value::Object(map) => map.values_mut().for_each(round),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Ten hexadecimal digits, with those that could spell words replaced.
fn encode(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    hex::encode(digest)
        .chars()
        .take(10)
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            c => c,
        })
        .collect()
}

/// JSON as Go's encoder writes it: sorted keys, `<>&` escaped.
pub(crate) fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&go_number(number)),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

/// A number as Go's JSON encoder writes it.
pub(crate) fn go_number(number: &serde_json::Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    if float == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&float.abs()) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    if text.contains("e-") {
        text
    } else {
        text.replace('e', "e+")
    }
}

pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
