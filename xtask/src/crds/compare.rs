//! Differences of two CRDs, words aside.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Names the tool that made the CRD, which ours are not made with.
const GENERATOR: &str = "controller-gen.kubebuilder.io/version";

/// Lists how `ours` differs from `theirs`: where, and what stands there.
///
/// Descriptions are left out, and so is the order of required fields and of the
/// values of an enumeration.
pub fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", &comparable(ours), &comparable(theirs), &mut found);
    found
}

fn walk(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let path = format!("{path}/{key}");
                match (ours.get(key), theirs.get(key)) {
                    (Some(ours), Some(theirs)) => walk(&path, ours, theirs, found),
                    (Some(ours), None) => found.push(format!("{path}: only ours: {ours}")),
                    (None, Some(theirs)) => found.push(format!("{path}: only theirs: {theirs}")),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                walk(&format!("{path}/{index}"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

/// A CRD without what does not count.
fn comparable(crd: &Value) -> Value {
    let mut crd = crd.clone();
    if let Some(Value::Object(annotations)) = crd.pointer_mut("/metadata/annotations") {
        annotations.remove(GENERATOR);
    }
    if crd.pointer("/metadata/annotations") == Some(&Value::Object(Map::new()))
        && let Some(Value::Object(metadata)) = crd.get_mut("metadata")
    {
        metadata.remove("annotations");
    }
    if let Some(Value::Array(versions)) = crd.pointer_mut("/spec/versions") {
        for version in versions {
            if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
                normalise(schema);
            }
        }
    }
    crd
}

/// Removes a schema's descriptions and sorts what is a set.
fn normalise(schema: &mut Value) {
    let Value::Object(schema) = schema else {
        return;
    };
    schema.remove("description");
    for key in ["required", "enum"] {
        if let Some(Value::Array(values)) = schema.get_mut(key) {
            values.sort_by_key(Value::to_string);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(normalise);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(key) {
            normalise(below);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn crd(schema: Value) -> Value {
        json!({
            "metadata": { "name": "a", "annotations": { GENERATOR: "v0" } },
            "spec": { "versions": [{ "schema": { "openAPIV3Schema": schema } }] },
        })
    }

    #[test]
    fn words_order_and_generator_do_not_count() {
        let ours = json!({
            "metadata": { "name": "a" },
            "spec": { "versions": [{ "schema": { "openAPIV3Schema": {
                "type": "object",
                "description": "Ours.",
                "required": ["a", "b"],
                "properties": { "description": { "type": "string", "enum": ["x", "y"] } },
            } } }] },
        });
        let theirs = crd(json!({
            "type": "object",
            "required": ["b", "a"],
            "properties": {
                "description": { "type": "string", "description": "T.", "enum": ["y", "x"] },
            },
        }));
        assert!(differences(&ours, &theirs).is_empty());
    }

    #[test]
    fn every_other_difference_is_named() {
        let ours = crd(json!({
            "type": "object",
            "properties": { "a": { "type": "string" }, "b": { "type": "string" } },
        }));
        let theirs = crd(json!({
            "type": "object",
            "properties": { "a": { "type": "integer" }, "c": { "type": "string" } },
        }));
        let root = "/spec/versions/0/schema/openAPIV3Schema/properties";
        assert_eq!(
            differences(&ours, &theirs),
            [
                format!("{root}/a/type: ours \"string\", theirs \"integer\""),
                format!("{root}/b: only ours: {{\"type\":\"string\"}}"),
                format!("{root}/c: only theirs: {{\"type\":\"string\"}}"),
            ]
        );
    }
}
