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
    // An update is only told that the name is fixed.
    if old.is_none() && text(&object["metadata"]["name"]) != expected {
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
    validate_conversion(spec, &path, &mut errors);
    if old.is_none() {
        validate_approval(object, &mut errors);
    }
    if spec["preserveUnknownFields"] == true && old.is_none() {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema \
                   instead";
        let path = path.child("preserveUnknownFields");
        errors.push(FieldError::invalid(
            path,
            &spec["preserveUnknownFields"],
            why,
        ));
    }
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

/// Where the errors of a part of the versions are told: once, where it is the same in all of them.
fn place(spec: &Value, path: &Path, name: &str) -> Vec<(Value, Path)> {
    let versions = items(&spec["versions"]);
    let at = |version: &Path| match name {
        "schema" => version.child("schema").child("openAPIV3Schema"),
        name => version.child(name),
    };
    let value = |version: &Value| match name {
        "schema" => version["schema"]["openAPIV3Schema"].clone(),
        name => version[name].clone(),
    };
    let list = path.child("versions");
    let first = versions.first().map(value).unwrap_or_default();
    if versions.iter().all(|version| value(version) == first) {
        let path = match name {
            "schema" => path.child("validation").child("openAPIV3Schema"),
            name => path.child(name),
        };
        return vec![(first, path)];
    }
    let each = versions.iter().enumerate();
    each.map(|(number, version)| (value(version), at(&list.index(number))))
        .collect()
}

/// Versions as errors print them: the fields of the server's internal type, without what they have in common.
fn printed(versions: &[Value]) -> String {
    let version = |version: &Value| {
        let deprecation = match &version["deprecationWarning"] {
            Value::String(text) => Value::from(text.as_str()),
            _ => Value::Null,
        };
        crate::builtin::tools::internal(&[
            ("Name", &version["name"]),
            ("Served", &version["served"]),
            ("Storage", &version["storage"]),
            ("Deprecated", &(version["deprecated"] == true).into()),
            ("DeprecationWarning", &deprecation),
            ("Schema", &Value::Null),
            ("Subresources", &Value::Null),
            ("AdditionalPrinterColumns", &Value::Null),
            ("SelectableFields", &Value::Null),
        ])
    };
    let versions: Vec<String> = versions.iter().map(version).collect();
    format!("[{}]", versions.join(","))
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
            errors.push(FieldError::invalid_printed(&list, &printed(versions), why));
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
        if !has(&version["schema"]["openAPIV3Schema"]) {
            let path = path.child("schema").child("openAPIV3Schema");
            errors.push(FieldError::required(path, ""));
        }
        let warning = &version["deprecationWarning"];
        let at = path.child("deprecationWarning");
        if let Some(text) = warning.as_str() {
            if version["deprecated"] != true {
                let why = "can only be set for deprecated versions";
                errors.push(FieldError::invalid(at, warning, why));
            } else if text.is_empty() {
                errors.push(FieldError::invalid(
                    at,
                    warning,
                    "must not be an empty string",
                ));
            }
        }
    }
    for (schema, path) in place(spec, path, "schema") {
        if has(&schema) {
            super::structural::validate_schema(&schema, &path, errors);
        }
    }
    for (columns, path) in place(spec, path, "additionalPrinterColumns") {
        validate_columns(&columns, &path, errors);
    }
    for (subresources, path) in place(spec, path, "subresources") {
        validate_subresources(&subresources, &path, errors);
    }
    let schema = &versions.first().unwrap_or(&Value::Null)["schema"]["openAPIV3Schema"];
    for (fields, path) in place(spec, path, "selectableFields") {
        validate_selectable(&fields, schema, &path, errors);
    }
    if storage != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid_printed(&list, &printed(versions), why));
    }
    if storage == 0 {
        let why = "must have at least one stored version";
        errors.push(FieldError::invalid(
            "status.storedVersions",
            &Value::Null,
            why,
        ));
    }
}

fn validate_columns(columns: &Value, path: &Path, errors: &mut Errors) {
    let types = ["boolean", "date", "integer", "number", "string"];
    let formats = [
        "byte",
        "date",
        "date-time",
        "double",
        "float",
        "int32",
        "int64",
        "password",
    ];
    for (at, column) in items(columns).iter().enumerate() {
        let path = path.index(at);
        if text(&column["name"]).is_empty() {
            errors.push(FieldError::required(path.child("name"), ""));
        }
        let kind = text(&column["type"]);
        let one_of = |names: &[&str]| format!("must be one of {}", names.join(","));
        if kind.is_empty() {
            errors.push(FieldError::required(path.child("type"), one_of(&types)));
        } else if !types.contains(&kind) {
            errors.push(FieldError::invalid(
                path.child("type"),
                &column["type"],
                one_of(&types),
            ));
        }
        let format = text(&column["format"]);
        if !format.is_empty() && !formats.contains(&format) {
            let path = path.child("format");
            errors.push(FieldError::invalid(
                path,
                &column["format"],
                one_of(&formats),
            ));
        }
        let json_path = text(&column["jsonPath"]);
        if json_path.is_empty() {
            errors.push(FieldError::required(path.child("JSONPath"), ""));
        } else if !json_path.starts_with('.') {
            let why = "must be a simple json path starting with .";
            errors.push(FieldError::invalid(
                path.child("JSONPath"),
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
    for (name, parents) in [
        ("specReplicasPath", &[".spec"][..]),
        ("statusReplicasPath", &[".status"]),
        ("labelSelectorPath", &[".spec", ".status"]),
    ] {
        let given = text(&scale[name]);
        let path = path.child(name);
        if given.is_empty() {
            if parents.len() == 1 {
                errors.push(FieldError::required(path, ""));
            }
        } else if !parents
            .iter()
            .any(|parent| given.starts_with(&format!("{parent}.")))
        {
            let why = match parents {
                [one] => format!("should be a json path under {one}"),
                _ => "should be a json path under either .spec or .status".to_owned(),
            };
            errors.push(FieldError::invalid(path, &scale[name], why));
        }
    }
}

fn validate_selectable(fields: &Value, schema: &Value, path: &Path, errors: &mut Errors) {
    for (at, field) in items(fields).iter().enumerate() {
        let path = path.index(at).child("jsonPath");
        let given = &field["jsonPath"];
        if text(given).is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        let names = text(given).trim_start_matches('.').split('.');
        let found = names.fold(schema, |schema, name| &schema["properties"][name]);
        if !has(found) || text(given).starts_with(".metadata") {
            let why = "is an invalid path: does not refer to a valid field";
            errors.push(FieldError::invalid(path, given, why));
        } else if !matches!(text(&found["type"]), "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                       formats are allowed.";
            errors.push(FieldError::invalid(path, given, why));
        }
    }
}

fn validate_conversion(spec: &Value, path: &Path, errors: &mut Errors) {
    let conversion = &spec["conversion"];
    let path = path.child("conversion");
    let strategies = ["None", "Webhook"];
    if !strategies.contains(&text(&conversion["strategy"])) {
        let path = path.child("strategy");
        errors.push(FieldError::not_supported(
            path,
            &conversion["strategy"],
            &strategies,
        ));
    }
    if conversion["strategy"] == "Webhook" {
        if !has(&conversion["webhook"]["clientConfig"]) {
            let why = "required when strategy is set to Webhook";
            errors.push(FieldError::required(path.child("webhookClientConfig"), why));
        }
        if items(&conversion["webhook"]["conversionReviewVersions"]).is_empty() {
            errors.push(FieldError::required(
                path.child("conversionReviewVersions"),
                "",
            ));
        }
    }
}

/// Groups of Kubernetes itself need an approval.
fn validate_approval(object: &Value, errors: &mut Errors) {
    let group = text(&object["spec"]["group"]);
    let guarded = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|own| group == *own || group.ends_with(&format!(".{own}")));
    let approval = &object["metadata"]["annotations"]["api-approved.kubernetes.io"];
    if guarded && text(approval).is_empty() {
        let why = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see \
                   https://github.com/kubernetes/enhancements/pull/1111";
        errors.push(FieldError::required(
            "metadata.annotations[api-approved.kubernetes.io]",
            why,
        ));
    }
}

/// What the server warns of: formats that it does not know.
pub fn definition_warnings(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for version in items(&object["spec"]["versions"]) {
        super::structural::unknown_formats(&version["schema"]["openAPIV3Schema"], 100, &mut found);
    }
    found
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
