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
use crate::{helm, image, kustomize, notification, source};

/// The schemas of a kind's two halves. Implemented by every kind's type.
pub trait Schema {
    /// What an object of the kind is.
    const DESCRIPTION: &'static str;

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
        definition::<source::GitRepository>(&source::GitRepository::KIND),
        definition::<source::OciRepository>(&source::OciRepository::KIND),
        definition::<source::Bucket>(&source::Bucket::KIND),
        definition::<source::HelmRepository>(&source::HelmRepository::KIND),
        definition::<source::HelmChart>(&source::HelmChart::KIND),
        definition::<source::ExternalArtifact>(&source::ExternalArtifact::KIND),
        definition::<kustomize::Kustomization>(&kustomize::Kustomization::KIND),
        definition::<helm::HelmRelease>(&helm::HelmRelease::KIND),
        definition::<notification::Provider>(&notification::Provider::KIND),
        definition::<notification::Alert>(&notification::Alert::KIND),
        definition::<notification::Receiver>(&notification::Receiver::KIND),
        definition::<image::ImageRepository>(&image::ImageRepository::KIND),
        definition::<image::ImagePolicy>(&image::ImagePolicy::KIND),
        definition::<image::ImageUpdateAutomation>(&image::ImageUpdateAutomation::KIND),
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
    let mut schema = json!({
        "type": "object",
        "description": T::DESCRIPTION,
        "properties": properties,
    });
    make_structural(&mut schema);
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
                "schema": { "openAPIV3Schema": schema },
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::kinds;

    fn schemas() -> &'static [(String, Value)] {
        static SCHEMAS: LazyLock<Vec<(String, Value)>> = LazyLock::new(make_schemas);
        &SCHEMAS
    }

    fn make_schemas() -> Vec<(String, Value)> {
        all()
            .into_iter()
            .map(|mut crd| {
                let name = crd["metadata"]["name"].as_str().unwrap().to_owned();
                let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
                (name, schema)
            })
            .collect()
    }

    fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
        visit(path, schema.as_object().unwrap());
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                walk(&format!("{path}.{name}"), property, visit);
            }
        }
        for key in ["items", "additionalProperties"] {
            if let Some(below) = schema.get(key) {
                walk(&format!("{path}[]"), below, visit);
            }
        }
    }

    #[test]
    fn schemas_are_structural_and_admit_no_null() {
        let known: BTreeSet<&str> = [
            "additionalProperties",
            "default",
            "description",
            "enum",
            "format",
            "items",
            "maxItems",
            "maxLength",
            "minItems",
            "minLength",
            "minimum",
            "pattern",
            "properties",
            "required",
            "type",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-list-type",
            "x-kubernetes-map-type",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-validations",
        ]
        .into();
        for (name, schema) in schemas() {
            walk(name, schema, &mut |path, schema| {
                for key in schema.keys() {
                    assert!(known.contains(key.as_str()), "{path}: {key}");
                }
                let free = schema.contains_key("x-kubernetes-preserve-unknown-fields");
                assert!(free || schema["type"].is_string(), "{path}: {schema:?}");
                let values = schema.get("enum").and_then(Value::as_array);
                assert!(values.is_none_or(|values| !values.contains(&Value::Null)));
            });
        }
    }

    #[test]
    fn every_field_is_described() {
        for (name, schema) in schemas() {
            let Value::Object(properties) = &schema["properties"] else {
                panic!("{name} has no properties");
            };
            for part in ["spec", "status"] {
                let Some(part_schema) = properties.get(part) else {
                    continue;
                };
                walk(
                    &format!("{name}.{part}"),
                    part_schema,
                    &mut |path, schema| {
                        // The items of a list of texts need no words of their own.
                        assert!(
                            path.ends_with("[]") || schema.contains_key("description"),
                            "{path}"
                        );
                    },
                );
            }
        }
    }

    #[test]
    fn every_kind_has_its_definition() {
        let names: Vec<_> = schemas().iter().map(|(name, _)| name.clone()).collect();
        let expected: Vec<_> = kinds::ALL.iter().map(|kind| kind.crd_name()).collect();
        assert_eq!(names, expected);
    }

    /// Makes up a value that a schema admits. `choices` decides which optional
    /// fields it has; texts, lists and maps are not empty and optional flags
    /// are set, since a field without content is not written back.
    fn sample(schema: &Value, choices: &mut impl Iterator<Item = u8>) -> Value {
        if let Some(values) = schema["enum"].as_array() {
            let choice = usize::from(choices.next().unwrap_or(0));
            return values[choice % values.len()].clone();
        }
        match schema["type"].as_str() {
            Some("object") if schema.get("properties").is_some() => {
                let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
                let mut object = Map::new();
                for (name, property) in schema["properties"].as_object().unwrap() {
                    if required.contains(&name.as_str().into())
                        || !choices.next().unwrap_or(0).is_multiple_of(4)
                    {
                        object.insert(name.clone(), sample(property, choices));
                    }
                }
                object.into()
            }
            Some("object") => match schema.get("additionalProperties") {
                Some(values) => json!({ "key": sample(values, choices) }),
                None => json!({ "name": "a" }),
            },
            Some("array") => {
                let length = 1 + choices.next().unwrap_or(0) % 3;
                (0..length)
                    .map(|_| sample(&schema["items"], choices))
                    .collect()
            }
            Some("boolean") => true.into(),
            Some("integer") => i64::from(choices.next().unwrap_or(7)).into(),
            Some("string") if schema["format"] == "date-time" => "2026-01-02T03:04:05Z".into(),
            Some("string") => match schema["pattern"].as_str() {
                Some(crate::duration::PATTERN) => "1h0.5m".into(),
                _ => format!("text-{}", choices.next().unwrap_or(0)).into(),
            },
            _ => json!({ "any": [1, 0.5, null, { "thing": true }] }),
        }
    }

    fn comes_back<T>(kind: &kinds::Kind, choices: &[u8])
    where
        T: Serialize + DeserializeOwned,
    {
        let schemas = schemas();
        let (_, schema) = schemas
            .iter()
            .find(|(name, _)| *name == kind.crd_name())
            .unwrap();
        let mut object = sample(schema, &mut choices.iter().copied());
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        object["metadata"] = json!({ "name": "a" });
        if object.get("spec").is_none() {
            object["spec"] = sample(&schema["properties"]["spec"], &mut std::iter::repeat(0));
        }
        let typed: T = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), object);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn every_object_that_the_schema_admits_comes_back(
            choices in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            comes_back::<source::GitRepository>(&source::GitRepository::KIND, &choices);
            comes_back::<source::OciRepository>(&source::OciRepository::KIND, &choices);
            comes_back::<source::Bucket>(&source::Bucket::KIND, &choices);
            comes_back::<source::HelmRepository>(&source::HelmRepository::KIND, &choices);
            comes_back::<source::HelmChart>(&source::HelmChart::KIND, &choices);
            comes_back::<source::ExternalArtifact>(&source::ExternalArtifact::KIND, &choices);
            comes_back::<kustomize::Kustomization>(&kustomize::Kustomization::KIND, &choices);
            comes_back::<helm::HelmRelease>(&helm::HelmRelease::KIND, &choices);
            comes_back::<notification::Provider>(&notification::Provider::KIND, &choices);
            comes_back::<notification::Alert>(&notification::Alert::KIND, &choices);
            comes_back::<notification::Receiver>(&notification::Receiver::KIND, &choices);
            comes_back::<image::ImageRepository>(&image::ImageRepository::KIND, &choices);
            comes_back::<image::ImagePolicy>(&image::ImagePolicy::KIND, &choices);
            comes_back::<image::ImageUpdateAutomation>(
                &image::ImageUpdateAutomation::KIND,
                &choices,
            );
        }
    }

    #[test]
    fn an_object_without_a_specification_is_read() {
        let object: kustomize::Kustomization = serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": { "name": "a" },
            "status": { "observedGeneration": -1 },
        }))
        .unwrap();
        assert_eq!(object.spec, kustomize::KustomizationSpec::default());
        assert_eq!(object.status.unwrap().observed_generation, Some(-1));
    }

    #[test]
    fn an_unknown_value_of_an_enumeration_is_kept() {
        let wire = json!({ "kind": "Novelty", "name": "a" });
        let reference: kustomize::CrossNamespaceSourceReference =
            serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(
            reference.kind,
            kustomize::SourceKind::Other("Novelty".to_owned())
        );
        assert_eq!(serde_json::to_value(reference).unwrap(), wire);
    }
}
