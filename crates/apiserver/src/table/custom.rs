//! The columns of custom resources.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::format::{human_duration, seconds_since};
use super::{builtin_columns, jsonpath};
use crate::registry::{Column, Resource};

/// Column definitions and the cells of each object.
pub(super) fn table(
    resource: &Resource,
    objects: &[Value],
    now: Timestamp,
) -> (Value, Vec<Vec<Value>>) {
    let custom = resource.custom.as_ref();
    let default = [Column {
        name: "Age".into(),
        kind: "date".into(),
        format: String::new(),
        description: description("v1 limitranges", 1),
        priority: 0,
        path: ".metadata.creationTimestamp".into(),
    }];
    let columns: &[Column] = match custom.and_then(|custom| custom.columns.as_deref()) {
        Some(columns) => columns,
        None => &default,
    };
    let mut definitions = vec![json!({
        "name": "Name", "type": "string", "format": "name", "description": description("v1 limitranges", 0), "priority": 0,
    })];
    definitions.extend(columns.iter().map(|column| {
        let text = if column.description.is_empty() {
            format!(
                "Custom resource definition column (in JSONPath format): {}",
                column.path
            )
        } else {
            column.description.clone()
        };
        json!({
            "name": column.name, "type": column.kind, "format": column.format, "description": text,
            "priority": column.priority,
        })
    }));
    let cells = |object: &Value| {
        let name = object["metadata"]["name"].clone();
        std::iter::once(name)
            .chain(columns.iter().map(|column| cell(object, column, now)))
            .collect()
    };
    (definitions.into(), objects.iter().map(cells).collect())
}

fn description(table: &str, at: usize) -> String {
    let columns = builtin_columns().get(table);
    columns
        .and_then(|columns| columns[at]["description"].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn cell(object: &Value, column: &Column, now: Timestamp) -> Value {
    let Some(value) = jsonpath::find(object, &column.path).and_then(|found| found.first().copied())
    else {
        return Value::Null;
    };
    match (column.kind.as_str(), value) {
        ("string", Value::String(text)) => text.as_str().into(),
        ("string", Value::Null) => "<nil>".into(),
        ("string", other) => other.to_string().into(),
        ("integer", Value::Number(number)) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|n| n as i64))
            .into(),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(_)) => match seconds_since(value, now) {
            Some(seconds) => human_duration(seconds).into(),
            None => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}
