//! What a schema file of `crds` says of the fields of custom types.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::fieldspec::FieldSpec;
use crate::id::Gvk;

/// Adds the field specs of every type in `definitions` that is an object.
///
/// # Errors
/// Two specs for one field that disagree.
pub(crate) fn collect(definitions: &Value, config: &mut Config) -> Result<(), String> {
    let Value::Object(types) = definitions else {
        return Ok(());
    };
    for (name, definition) in types {
        let Some(properties) = properties(definition) else {
            continue;
        };
        let is_object = ["kind", "apiVersion", "metadata"]
            .iter()
            .all(|field| properties.contains_key(*field));
        if !is_object {
            continue;
        }
        let gvk = Gvk {
            kind: name.rsplit('.').next().unwrap_or(name).to_owned(),
            ..Gvk::default()
        };
        let mut open = BTreeSet::new();
        visit(types, name, &gvk, "", &mut open, config)?;
    }
    Ok(())
}

fn properties(definition: &Value) -> Option<&Map<String, Value>> {
    let schema = definition
        .get("Schema")
        .or_else(|| definition.get("schema"))?;
    schema.get("properties")?.as_object()
}

fn visit<'t>(
    types: &'t Map<String, Value>,
    name: &'t str,
    gvk: &Gvk,
    path: &str,
    open: &mut BTreeSet<&'t str>,
    config: &mut Config,
) -> Result<(), String> {
    let Some(properties) = types.get(name).and_then(properties) else {
        return Ok(());
    };
    // A type that holds itself would never end.
    if !open.insert(name) {
        return Ok(());
    }
    for (field, schema) in properties {
        let here = if path.is_empty() {
            field.clone()
        } else {
            format!("{path}/{field}")
        };
        let spec = |path: String| FieldSpec {
            gvk: gvk.clone(),
            path,
            create: false,
        };
        if schema.get("x-kubernetes-annotation").is_some() {
            Config::add_to(&mut config.common_annotations, &spec(here.clone()))?;
        }
        if schema.get("x-kubernetes-label-selector").is_some() {
            Config::add_to(&mut config.common_labels, &spec(here.clone()))?;
        }
        if schema.get("x-kubernetes-identity").is_some() {
            Config::add_to(&mut config.name_prefix, &spec(here.clone()))?;
        }
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        if let (Some(version), Some(kind)) = (
            text("x-kubernetes-object-ref-api-version"),
            text("x-kubernetes-object-ref-kind"),
        ) {
            let key = text("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let referent = Gvk {
                version: version.to_owned(),
                kind: kind.to_owned(),
                ..Gvk::default()
            };
            config.add_name_reference(referent, spec(format!("{here}/{key}")))?;
        }
        let reference = schema.get("$ref").and_then(Value::as_str);
        if let Some((inner, _)) = reference.and_then(|name| types.get_key_value(name)) {
            visit(types, inner, gvk, &here, open, config)?;
        }
    }
    open.remove(name);
    Ok(())
}
