//! CustomResourceDefinitions, made from the types of this crate.
//!
//! `cargo xtask crds` writes them to `manifests/crds/`. The schema of a type
//! comes from `schemars` and is then brought into the form that Kubernetes
//! wants ("structural") and that the published CRDs have: an optional field may
//! be absent, but not null.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::kinds::{InitialStatus, Kind};

/// The schemas of a kind's two halves. Implemented by every kind's type.
pub trait Schema {
    /// The schema of `spec`.
    fn spec(generator: &mut SchemaGenerator) -> schemars::Schema;

    /// The schema of `status`, if the kind has one.
    fn status(_: &mut SchemaGenerator) -> Option<schemars::Schema> {
        None
    }
}

/// The CRDs of all kinds, in the order of [`crate::kinds::ALL`].
pub fn all() -> Vec<Value> {
    vec![
        definition::<crate::source::GitRepository>(&crate::source::GitRepository::KIND),
        definition::<crate::kustomize::Kustomization>(&crate::kustomize::Kustomization::KIND),
    ]
}

fn definition<T: Schema>(kind: &Kind) -> Value {
    let mut generator = SchemaSettings::openapi3()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    let mut properties = json!({
        "apiVersion": {
            "type": "string",
            "description": "Group and version of the object's schema.",
        },
        "kind": {
            "type": "string",
            "description": "Kind of the object.",
        },
        "metadata": { "type": "object" },
        "spec": T::spec(&mut generator),
    });
    if let Some(status) = T::status(&mut generator) {
        properties["status"] = status.to_value();
    }
    if kind.initial_status == InitialStatus::Unobserved {
        properties["status"]["default"] = json!({ "observedGeneration": -1 });
    }
    if let Some(properties) = properties.as_object_mut() {
        properties.values_mut().for_each(make_structural);
    }
    let mut metadata = json!({ "name": kind.crd_name() });
    if !kind.annotations.is_empty() {
        metadata["annotations"] = kind
            .annotations
            .iter()
            .map(|(key, value)| (String::from(*key), Value::from(*value)))
            .collect::<Map<_, _>>()
            .into();
    }
    let mut names = json!({
        "kind": kind.kind,
        "listKind": format!("{}List", kind.kind),
        "plural": kind.plural,
        "singular": kind.singular(),
    });
    if !kind.short_names.is_empty() {
        names["shortNames"] = kind.short_names.into();
    }
    if !kind.categories.is_empty() {
        names["categories"] = kind.categories.into();
    }
    let subresources = match kind.initial_status {
        InitialStatus::Never => json!({}),
        InitialStatus::Absent | InitialStatus::Unobserved => json!({ "status": {} }),
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced",
            "versions": [{
                "name": kind.version,
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns(kind),
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": properties,
                    },
                },
                "subresources": subresources,
            }],
        },
    })
}

fn columns(kind: &Kind) -> Vec<Value> {
    kind.columns
        .iter()
        .map(|column| {
            let mut value = json!({
                "name": column.name,
                "type": column.type_,
                "jsonPath": column.path,
            });
            if column.priority != 0 {
                value["priority"] = column.priority.into();
            }
            value
        })
        .collect()
}

/// Brings a schema and all below it into the form of Kubernetes.
fn make_structural(schema: &mut Value) {
    let Value::Object(schema) = schema else {
        return;
    };
    drop_null(schema);
    schema.remove("title");
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(make_structural);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(key) {
            make_structural(below);
        }
    }
}

/// Takes null out of what a schema admits: `schemars` adds it for an `Option`.
fn drop_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        alternatives.retain(|alternative| alternative["type"] != "null");
        if let [Value::Object(only)] = alternatives.as_mut_slice() {
            let only = std::mem::take(only);
            schema.remove("anyOf");
            for (key, value) in only {
                schema.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|type_| type_ != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    schema.remove("nullable");
}
