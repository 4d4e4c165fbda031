//! Namespace and Node.

use serde_json::{Value, json};

use super::meta::{self, NameRule};
use super::tools::{Errors, Path, fill, items, object, text};
use super::{Rules, apps::spec_of};
use crate::failure::FieldError;
use crate::names;

pub(super) const NAMESPACE: Rules = Rules {
    name: NameRule::Label,
    defaults: |value| {
        let name = value["metadata"]["name"].clone();
        if !text(&name).is_empty() {
            value["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        if let Some(map) = value.as_object_mut() {
            fill(object(map, "status"), "phase", "Active");
        }
    },
    prepare_create: |value| {
        value["status"] = json!({ "phase": "Active" });
        let spec = spec_of(value);
        let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Some(list) = finalizers.as_array_mut()
            && !list.iter().any(|name| name == "kubernetes")
        {
            list.push("kubernetes".into());
        }
    },
    prepare_update: |new, old| {
        // Finalizers have a subresource of their own.
        super::tools::copy_path(old, new, &["spec", "finalizers"]);
    },
    validate: |object, errors| {
        for finalizer in items(&object["spec"]["finalizers"]) {
            validate_finalizer(finalizer, errors);
        }
    },
    ..Rules::COMMON
};

pub(super) const NODE: Rules = Rules {
    validate: |object, errors| {
        validate_taints(&object["spec"]["taints"], errors);
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_taints(&new["spec"]["taints"], errors);
    },
    ..Rules::COMMON
};

fn validate_finalizer(finalizer: &Value, errors: &mut Errors) {
    let path = Path::new("spec").child("finalizers");
    let name = text(finalizer);
    super::tools::check(errors, &path, finalizer, names::qualified_name(name));
    if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
        let why = "name is neither a standard finalizer name nor is it fully qualified";
        errors.push(FieldError::invalid(path, finalizer, why));
    }
}

fn validate_taints(taints: &Value, errors: &mut Errors) {
    let path = Path::new("spec").child("taints");
    for (at, taint) in items(taints).iter().enumerate() {
        let path = path.index(at);
        super::tools::check(
            errors,
            &path.child("key"),
            &taint["key"],
            names::qualified_name(text(&taint["key"])),
        );
        let value = text(&taint["value"]);
        let found = names::label_value(value);
        if !found.is_empty() {
            errors.push(FieldError::invalid(
                path.child("value"),
                &value.into(),
                found.join(";"),
            ));
        }
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        super::pod::check_supported(&taint["effect"], &effects, &path.child("effect"), errors);
    }
}
