//! Tables: what `kubectl get` shows, computed by the server.
//!
//! Columns of built-in kinds are data of the real server; their cells are computed here as its printers do.

mod core;
mod custom;
mod format;
mod jsonpath;
mod policy;
mod workloads;

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::registry::Resource;

/// How much of each object a row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All.
    Object,
}

/// The columns of the built-in kinds: `columnDefinitions` of the empty Tables that kube-apiserver 1.36 answers.
const COLUMNS: &[u8] = include_bytes!("../../data/columns.json.gz");

/// `GROUP/VERSION RESOURCE` -> column definitions.
fn builtin_columns() -> &'static HashMap<String, Value> {
    static ALL: OnceLock<HashMap<String, Value>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut text = String::new();
        flate2::read::GzDecoder::new(COLUMNS)
            .read_to_string(&mut text)
            .expect("the committed file is gzip of text");
        let all: Value = serde_json::from_str(&text).expect("the committed file is JSON");
        let descriptions = &all["descriptions"];
        let column = |column: &Value| {
            let description = column[4]
                .as_u64()
                .map(|at| descriptions[at as usize].clone())
                .unwrap_or_default();
            json!({
                "name": column[0], "type": column[1], "format": column[2], "priority": column[3],
                "description": description,
            })
        };
        let tables = all["tables"].as_object().into_iter().flatten();
        let list = |columns: &Value| {
            columns
                .as_array()
                .into_iter()
                .flatten()
                .map(column)
                .collect()
        };
        tables
            .map(|(name, columns)| (name.clone(), list(columns)))
            .collect()
    })
}

/// What computes the cells of a built-in kind.
type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// The printer of a built-in resource; None for those with name and time of creation alone.
fn printer(table: &str) -> Option<Cells> {
    let (plural, group) = table.split_once('.').unwrap_or((table, ""));
    let found: Option<Cells> = match group {
        "" => core::printer(plural),
        "apps" | "batch" | "autoscaling" => workloads::printer(plural),
        _ => policy::printer(plural),
    };
    found
}

/// The table of these objects, which are in the version of the resource.
pub fn of(resource: &Resource, objects: &[Value], include: Include, now: Timestamp) -> Value {
    let (columns, cells): (Value, Vec<Vec<Value>>) = if resource.custom.is_some() {
        custom::table(resource, objects, now)
    } else {
        let key = format!("{} {}", resource.api_version, resource.plural);
        let columns = builtin_columns().get(&key).cloned();
        let columns = columns.unwrap_or_else(|| {
            builtin_columns()
                .get("v1 limitranges")
                .cloned()
                .unwrap_or_default()
        });
        let printer = printer(&resource.table.name).unwrap_or(name_and_creation);
        (
            columns,
            objects.iter().map(|object| printer(object, now)).collect(),
        )
    };
    let rows: Vec<Value> = objects
        .iter()
        .zip(cells)
        .map(|(object, cells)| row(resource, object, cells, include))
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": columns, "rows": rows,
    })
}

fn name_and_creation(object: &Value, _: Timestamp) -> Vec<Value> {
    vec![
        object["metadata"]["name"].clone(),
        object["metadata"]["creationTimestamp"].clone(),
    ]
}

fn row(resource: &Resource, object: &Value, cells: Vec<Value>, include: Include) -> Value {
    let mut row = json!({ "cells": cells });
    if &*resource.table.name == "pods" {
        let (reason, message) = match object["status"]["phase"].as_str() {
            Some("Succeeded") => ("Succeeded", "The pod has completed successfully."),
            Some("Failed") => ("Failed", "The pod failed."),
            _ => ("", ""),
        };
        if !reason.is_empty() {
            row["conditions"] = json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]);
        }
    }
    match include {
        Include::None => {}
        Include::Object => row["object"] = object.clone(),
        Include::Metadata => {
            row["object"] = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
            });
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_schema::tables::discovery;

    #[test]
    fn every_listed_kind_has_as_many_cells_as_columns() {
        let now = "2026-11-25T01:00:00Z".parse().unwrap();
        for group in discovery::groups() {
            for version in &group.versions {
                for resource in version
                    .resources
                    .iter()
                    .filter(|r| r.verbs.iter().any(|verb| verb == "list"))
                {
                    let api_version = if group.name.is_empty() {
                        version.name.clone()
                    } else {
                        format!("{}/{}", group.name, version.name)
                    };
                    let key = format!("{api_version} {}", resource.name);
                    let columns = builtin_columns()[&key].as_array().unwrap().len();
                    let table = crate::registry::table_name(&group.name, &resource.name);
                    let print = printer(&table).unwrap_or(name_and_creation);
                    assert_eq!(print(&json!({}), now).len(), columns, "{key}");
                }
            }
        }
    }
}
