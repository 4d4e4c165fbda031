//! Values: how they are read, merged, and handed to templates.
//!
//! Values are JSON. A number that comes out of YAML or JSON is a float, as in
//! Go, even when it is whole; only `--set` makes integers. [`read_values`] and
//! [`from_json`] see to that, and templates see the difference.

mod coalesce;
mod set;

use serde_json::{Number, Value as Json};
use sluice_gotemplate::printing::sprint_value;
use sluice_gotemplate::{ANY_MAP, Map, Type, Value};
use sluice_yaml::{Dialect, Limits};

pub(crate) use coalesce::coalesce_shared;
pub use coalesce::{Nulls, ValuesError, coalesce, coalesce_tables, merge_with_chart};
pub use set::{SetError, SetKind, set_json, set_literal, set_values, set_values_from};

use crate::funcs::{decode_json, mismatch};

/// A table of values.
pub type Table = serde_json::Map<String, Json>;

/// Turns every number of a JSON value into a float, as Go's decoder does.
pub fn from_json(json: Json) -> Json {
    match json {
        Json::Number(n) => match n.as_f64().and_then(Number::from_f64) {
            Some(float) => Json::Number(float),
            None => Json::Number(n),
        },
        Json::Array(items) => Json::Array(items.into_iter().map(from_json).collect()),
        Json::Object(entries) => Json::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key, from_json(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Reads a values file of a chart: all documents, later ones over earlier ones.
///
/// # Errors
/// Go's text for what is wrong.
pub fn read_values(bytes: &[u8]) -> Result<Table, String> {
    let mut values = Table::new();
    for document in
        split_documents(bytes).map_err(|e| format!("error reading yaml document: {e}"))?
    {
        // The original reads line by line and ends each.
        let table = match document.ends_with(b"\n") {
            true => read_table(document),
            false => read_table(&[document, b"\n"].concat()),
        };
        let table =
            table.map_err(|problem| format!("cannot unmarshal yaml document: {problem}"))?;
        values = merge_tables(values, table);
    }
    Ok(values)
}

/// Reads one document that must be a table; nothing is an empty table.
///
/// # Errors
/// Go's text for what is wrong.
pub fn read_table(bytes: &[u8]) -> Result<Table, String> {
    let converting = |e: sluice_yaml::Error| format!("error converting YAML to JSON: {e}");
    let text = sluice_yaml::decode(bytes).map_err(converting)?;
    let json =
        sluice_yaml::from_str_with(&text, Dialect::Sigs, &Limits::default()).map_err(converting)?;
    match from_json(json) {
        Json::Object(table) => Ok(table),
        Json::Null => Ok(Table::new()),
        other => Err(format!(
            "error unmarshaling JSON: while decoding JSON: {}",
            mismatch(&Value::from_json(&other), "map[string]interface {}")
        )),
    }
}

/// Reads a JSON text into a value.
///
/// # Errors
/// Go's text for what is wrong.
pub fn read_json(text: &[u8]) -> Result<Json, String> {
    let value = decode_json(text)?;
    let json = crate::funcs::to_json_value(&value, 0).map_err(|e| e.to_string())?;
    Ok(from_json(json))
}

/// Splits a stream at lines that start with `---`.
pub(crate) fn split_documents(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        let line_end = bytes[at..]
            .iter()
            .position(|b| *b == b'\n')
            .map_or(bytes.len(), |n| at + n + 1);
        if let Some(rest) = bytes[at..line_end].strip_prefix(b"---") {
            let rest = rest.trim_ascii();
            if !rest.is_empty() && !rest.starts_with(b"#") {
                return Err(format!(
                    "invalid Yaml document separator: {}",
                    String::from_utf8_lossy(rest)
                ));
            }
            if at > start {
                documents.push(&bytes[start..at]);
            }
            start = line_end;
        }
        at = line_end;
    }
    if start < bytes.len() {
        documents.push(&bytes[start..]);
    }
    Ok(documents)
}

/// Merges `over` onto `under`: tables merge, everything else is replaced.
pub fn merge_tables(mut under: Table, over: Table) -> Table {
    for (key, value) in over {
        let merged = match (under.remove(&key), value) {
            (Some(Json::Object(old)), Json::Object(new)) => Json::Object(merge_tables(old, new)),
            (_, value) => value,
        };
        under.insert(key, merged);
    }
    under
}

/// Returns the table at a dotted path.
pub fn table_at<'t>(table: &'t Table, path: &str) -> Option<&'t Table> {
    path.split('.')
        .try_fold(table, |table, part| table.get(part)?.as_object())
}

/// Returns the value at a dotted path, if it is no table.
pub fn value_at<'t>(table: &'t Table, path: &str) -> Option<&'t Json> {
    let (parents, last) = match path.rsplit_once('.') {
        Some((parents, last)) => (table_at(table, parents)?, last),
        None => (table, path),
    };
    parents.get(last).filter(|value| !value.is_object())
}

/// Converts a value for templates. Tables become shared maps.
pub(crate) fn to_template(json: &Json) -> Value {
    match json {
        Json::Number(n) => match (n.is_f64(), n.as_i64()) {
            (false, Some(int)) => Value::int64(int),
            _ => Value::Float(n.as_f64().unwrap_or_default()),
        },
        Json::Array(items) => Value::list(items.iter().map(to_template).collect()),
        Json::Object(table) => Value::Map(table_to_template(table, ANY_MAP)),
        other => Value::from_json(other),
    }
}

/// Converts a table for templates, as a map of type `of`.
pub(crate) fn table_to_template(table: &Table, of: Type) -> Map {
    let entries = table
        .iter()
        .map(|(key, value)| (key.as_str().into(), to_template(value)))
        .collect();
    Map::typed(of, entries)
}

/// Converts a map of templates back; integers stay integers.
pub(crate) fn from_template(map: &Map) -> Table {
    map.snapshot()
        .into_iter()
        .map(|(key, value)| (key.to_string(), json_of(&value)))
        .collect()
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(_, n) => Json::Number(Number::from(*n)),
        Value::Uint(_, n) => Json::Number(Number::from(*n)),
        Value::Float(f) => Number::from_f64(*f).map_or(Json::Null, Json::Number),
        Value::Str(s) => Json::String(s.to_string()),
        Value::List(list) => Json::Array(list.items().iter().map(json_of).collect()),
        Value::Map(map) => Json::Object(from_template(map)),
        Value::Nil | Value::Complex(..) | Value::Bytes(_) | Value::Object(_) => Json::Null,
    }
}

/// Returns the name of a value's Go type.
pub(crate) fn show_type(json: &Json) -> String {
    to_template(json).type_name()
}

/// Prints a value as Go's `%v`.
pub(crate) fn show(json: &Json) -> String {
    show_value(&to_template(json))
}

/// Prints a value as Go's `%v`, for warnings.
pub(crate) fn show_value(value: &Value) -> String {
    sprint_value(value, 1 << 16)
        .map(|text| text.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_a_values_file_merge() {
        let values =
            read_values(b"a: 1\nb: {c: 1}\n--- # more\nb: {d: 2}\na: null\n").expect("reads");
        assert_eq!(
            Json::Object(values),
            serde_json::json!({"a": null, "b": {"c": 1.0, "d": 2.0}})
        );
        assert_eq!(
            read_values(b"a: 1\n---x\n").expect_err("bad separator"),
            "error reading yaml document: invalid Yaml document separator: x"
        );
        assert_eq!(
            read_values(b"- a").expect_err("a list"),
            "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: \
             cannot unmarshal array into Go value of type map[string]interface {}"
        );
    }

    #[test]
    fn paths_reach_into_tables() {
        let table = read_table(b"a: {b: {c: 1}}\n").expect("reads");
        assert!(table_at(&table, "a.b").is_some());
        assert!(table_at(&table, "a.b.c").is_none());
        assert_eq!(value_at(&table, "a.b.c"), Some(&serde_json::json!(1.0)));
        assert_eq!(value_at(&table, "a.b"), None);
    }
}
