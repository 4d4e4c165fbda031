//! Validation of CustomResourceDefinitions, as far as everyday mistakes go.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::builtin::tools::{Errors, Path, has, items, same, text};
use crate::failure::FieldError;
use crate::names;

/// What is wrong with a definition; `old` is the one that it replaces.
pub fn validate_definition(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors::new();
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let names = &spec["names"];
    let expected = format!("{}.{}", text(&names["plural"]), text(&spec["group"]));
    if text(&object["metadata"]["name"]) != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid(
            "metadata.name",
            &object["metadata"]["name"],
            why,
        ));
    }
    validate_group(&spec["group"], &path.child("group"), &mut errors);
    crate::builtin::pod::check_supported(
        &spec["scope"],
        &["Cluster", "Namespaced"],
        &path.child("scope"),
        &mut errors,
    );
    validate_versions(spec, &path, &mut errors);
    validate_names(names, &path.child("names"), &mut errors);
    if let Some(old) = old {
        validate_update(object, old, &mut errors);
    }
    errors
}

fn validate_group(group: &Value, path: &Path, errors: &mut Errors) {
    let given: Value = text(group).into();
    if text(group).is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        let found = names::dns_subdomain(text(group));
        if !found.is_empty() {
            errors.push(FieldError::invalid(path, &given, found.join(",")));
        } else if text(group).split('.').count() < 2 {
            errors.push(FieldError::invalid(
                path,
                &given,
                "should be a domain with at least one dot",
            ));
        }
    }
}

fn validate_names(names_value: &Value, path: &Path, errors: &mut Errors) {
    let label = |name: &str, value: &str, errors: &mut Errors| {
        let found = names::dns1035_label(value);
        if !found.is_empty() {
            errors.push(FieldError::invalid(
                path.child(name),
                &names_value[name],
                found.join(","),
            ));
        }
    };
    for name in ["plural", "singular", "kind", "listKind"] {
        let value = text(&names_value[name]);
        let lower = value.to_lowercase();
        match (name, value.is_empty()) {
            ("plural" | "singular", true) => errors.push(FieldError::invalid(
                path.child(name),
                &"".into(),
                names::dns1035_label("").join(","),
            )),
            ("plural" | "singular", false) => label(name, value, errors),
            (_, true) => errors.push(FieldError::required(path.child(name), "")),
            (_, false) => {
                let found = names::dns1035_label(&lower);
                if !found.is_empty() {
                    let why = format!(
                        "may have mixed case, but should otherwise match: {}",
                        found.join(",")
                    );
                    errors.push(FieldError::invalid(
                        path.child(name),
                        &names_value[name],
                        why,
                    ));
                }
            }
        }
    }
    for list in ["shortNames", "categories"] {
        for (at, name) in items(&names_value[list]).iter().enumerate() {
            let found = names::dns1035_label(text(name));
            if !found.is_empty() {
                errors.push(FieldError::invalid(
                    path.child(list).index(at),
                    name,
                    found.join(","),
                ));
            }
        }
    }
    let (kind, list) = (text(&names_value["kind"]), text(&names_value["listKind"]));
    if !kind.is_empty() && kind == list {
        let why = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(
            path.child("listKind"),
            &names_value["listKind"],
            why,
        ));
    }
}

fn validate_versions(spec: &Value, path: &Path, errors: &mut Errors) {
    let versions = items(&spec["versions"]);
    let list = path.child("versions");
    let mut seen = BTreeSet::new();
    let mut storage = 0;
    for (at, version) in versions.iter().enumerate() {
        let path = list.index(at);
        let name: Value = text(&version["name"]).into();
        if !seen.insert(text(&version["name"]).to_owned()) {
            let why = "must contain unique version names";
            errors.push(FieldError::invalid(&list, &spec["versions"], why));
        }
        let found = names::dns1035_label(text(&name));
        if !found.is_empty() {
            errors.push(FieldError::invalid(
                path.child("name"),
                &name,
                found.join(","),
            ));
        }
        storage += usize::from(version["storage"] == true);
        let schema = &version["schema"]["openAPIV3Schema"];
        if has(schema) {
            super::structural::validate_schema(
                schema,
                &path.child("schema").child("openAPIV3Schema"),
                errors,
            );
        } else {
            let path = path.child("schema").child("openAPIV3Schema");
            errors.push(FieldError::required(path, "schemas are required"));
        }
        validate_columns(
            &version["additionalPrinterColumns"],
            &path.child("additionalPrinterColumns"),
            errors,
        );
        validate_subresources(
            &version["subresources"],
            &path.child("subresources"),
            errors,
        );
    }
    if storage != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(&list, &spec["versions"], why));
    }
}

fn validate_columns(columns: &Value, path: &Path, errors: &mut Errors) {
    for (at, column) in items(columns).iter().enumerate() {
        let path = path.index(at);
        if text(&column["name"]).is_empty() {
            errors.push(FieldError::required(path.child("name"), ""));
        }
        let kinds = ["boolean", "date", "integer", "number", "string"];
        let kind = text(&column["type"]);
        if kind.is_empty() {
            let why = format!("must be one of {}", kinds.join(","));
            errors.push(FieldError::required(path.child("type"), why));
        } else if !kinds.contains(&kind) {
            let why = format!("must be one of {}", kinds.join(","));
            errors.push(FieldError::invalid(
                path.child("type"),
                &column["type"],
                why,
            ));
        }
        let json_path = text(&column["jsonPath"]);
        if json_path.is_empty() {
            errors.push(FieldError::required(path.child("jsonPath"), ""));
        } else if !json_path.starts_with('.') {
            let why = "must be a simple json path starting with .";
            errors.push(FieldError::invalid(
                path.child("jsonPath"),
                &column["jsonPath"],
                why,
            ));
        }
    }
}

fn validate_subresources(subresources: &Value, path: &Path, errors: &mut Errors) {
    let scale = &subresources["scale"];
    if !has(scale) {
        return;
    }
    let path = path.child("scale");
    for (name, parent, required) in [
        ("specReplicasPath", ".spec.", true),
        ("statusReplicasPath", ".status.", true),
        ("labelSelectorPath", ".", false),
    ] {
        let given = text(&scale[name]);
        let path = path.child(name);
        if given.is_empty() {
            if required {
                errors.push(FieldError::required(path, ""));
            }
        } else if !given.starts_with(parent) {
            let why = match name {
                "labelSelectorPath" => {
                    "should be a json path under either .spec or .status".to_owned()
                }
                _ => format!(
                    "should be a json path under {}",
                    parent.trim_end_matches('.')
                ),
            };
            errors.push(FieldError::invalid(path, &scale[name], why));
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let established = items(&old["status"]["conditions"])
        .iter()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    let path = Path::new("spec");
    let mut fixed = |path: &Path, now: &Value, then: &Value| {
        if !same(now, then) {
            errors.push(FieldError::invalid(path, now, "field is immutable"));
        }
    };
    let (spec, before) = (&new["spec"], &old["spec"]);
    fixed(&path.child("group"), &spec["group"], &before["group"]);
    fixed(
        &path.child("names").child("plural"),
        &spec["names"]["plural"],
        &before["names"]["plural"],
    );
    if established {
        fixed(&path.child("scope"), &spec["scope"], &before["scope"]);
        fixed(
            &path.child("names").child("kind"),
            &spec["names"]["kind"],
            &before["names"]["kind"],
        );
    }
    let served: Vec<&str> = items(&spec["versions"])
        .iter()
        .map(|version| text(&version["name"]))
        .collect();
    for (at, stored) in items(&new["status"]["storedVersions"]).iter().enumerate() {
        if !served.contains(&text(stored)) {
            let path = Path::new("status").child("storedVersions").index(at);
            let why = "missing from spec.versions; v1 was previously a storage version, and must remain in \
                       spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 \
                       from status.storedVersions";
            let why = why.replace("v1", text(stored));
            errors.push(FieldError::invalid(path, stored, why));
        }
    }
}
