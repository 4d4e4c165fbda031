//! CustomResourceDefinition and APIService as objects. What a definition means is in [`crate::custom`].

use serde_json::{Value, json};

use super::apps::spec_of;
use super::meta;
use super::tools::{Errors, Path, check, fill, int, items, object, text};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const CUSTOM_RESOURCE_DEFINITION: Rules = Rules {
    generation: Generation::Spec,
    defaults: |value| {
        let spec = spec_of(value);
        let kind = spec
            .get("names")
            .map(|names| text(&names["kind"]).to_owned())
            .unwrap_or_default();
        let plural_names = object(spec, "names");
        if !kind.is_empty() {
            fill(plural_names, "singular", kind.to_lowercase());
            fill(plural_names, "listKind", format!("{kind}List"));
        }
        fill(object(spec, "conversion"), "strategy", "None");
        let storage = spec.get("versions").map(items).unwrap_or_default().iter();
        let storage = storage
            .filter(|version| version["storage"] == true)
            .map(|version| version["name"].clone())
            .next();
        if let Some(map) = value.as_object_mut() {
            let status = object(map, "status");
            if status
                .get("storedVersions")
                .is_none_or(|stored| items(stored).is_empty())
                && let Some(storage) = storage
            {
                status.insert("storedVersions".into(), json!([storage]));
            }
        }
    },
    prepare_create: |value| {
        let versions = items(&value["spec"]["versions"]).iter();
        let storage: Vec<Value> = versions
            .filter(|version| version["storage"] == true)
            .take(1)
            .map(|version| version["name"].clone())
            .collect();
        value["status"] = json!({
            "acceptedNames": { "kind": "", "plural": "" },
            "conditions": null,
            "storedVersions": storage,
        });
    },
    prepare_update: |new, old| {
        // A new storage version is stored from now on.
        let _ = old;
        let storage = items(&new["spec"]["versions"])
            .iter()
            .find(|version| version["storage"] == true);
        let name = storage.map(|version| version["name"].clone());
        if let (Some(name), Some(stored)) = (name, new["status"]["storedVersions"].as_array_mut())
            && !stored.contains(&name)
        {
            stored.push(name);
        }
    },
    validate: |object, errors| {
        errors.extend(crate::custom::validate_definition(object, None));
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        errors.extend(crate::custom::validate_definition(new, Some(old)));
    },
    warn: |new, _| crate::custom::definition_warnings(new),
    ..Rules::COMMON
};

pub(super) const API_SERVICE: Rules = Rules {
    validate: validate_api_service,
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_api_service(new, errors);
    },
    ..Rules::COMMON
};

fn validate_api_service(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let expected = format!("{}.{}", text(&spec["version"]), text(&spec["group"]));
    let name = &object["metadata"]["name"];
    if text(name) != expected {
        let why = format!(
            "must be `spec.version+\".\"+spec.group`: {}",
            crate::gofmt::quote(&expected)
        );
        errors.push(FieldError::invalid("metadata.name", name, why));
    }
    let group: Value = text(&spec["group"]).into();
    check(
        errors,
        &path.child("group"),
        &group,
        names::dns_subdomain(text(&group)),
    );
    let version: Value = text(&spec["version"]).into();
    check(
        errors,
        &path.child("version"),
        &version,
        names::dns1035_label(text(&version)),
    );
    for (name, limit) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
        let number = int(&spec[name]);
        if number <= 0 || number > limit {
            let why = format!("must be positive and less than {limit}");
            errors.push(FieldError::invalid(path.child(name), &number.into(), why));
        }
    }
}
