//! The columns of custom resources, and of kinds without columns of their own: name and age.

use serde_json::{Value, json};

use crate::registry::Resource;

/// Column definitions and the cells of each object.
pub fn table(_resource: &Resource, objects: &[Value]) -> (Value, Vec<Vec<Value>>) {
    let columns = json!([
        {"name": "Name", "type": "string", "format": "name", "description": "Name must be unique within a namespace.", "priority": 0},
        {"name": "Age", "type": "date", "format": "", "description": "Age", "priority": 0},
    ]);
    let cells = objects
        .iter()
        .map(|object| {
            vec![
                object["metadata"]["name"].clone(),
                object["metadata"]["creationTimestamp"].clone(),
            ]
        })
        .collect();
    (columns, cells)
}
