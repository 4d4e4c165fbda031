//! storage.k8s.io.

use serde_json::{Value, json};

use super::apps::spec_of;
use super::meta;
use super::tools::{Errors, Path, check, check_immutable, count, entries, fill, has, same, text};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const STORAGE_CLASS: Rules = Rules {
    defaults: |value| {
        if let Some(map) = value.as_object_mut() {
            fill(map, "reclaimPolicy", "Delete");
            fill(map, "volumeBindingMode", "Immediate");
        }
    },
    validate: validate_class,
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        let mut fixed = |name: &str, why: &str| {
            if !same(&new[name], &old[name]) {
                errors.push(FieldError::forbidden(name, why));
            }
        };
        fixed("parameters", "updates to parameters are forbidden.");
        fixed("provisioner", "updates to provisioner are forbidden.");
        fixed("reclaimPolicy", "updates to reclaimPolicy are forbidden.");
        let name = "volumeBindingMode";
        check_immutable(errors, &Path::new(name), &new[name], &old[name]);
    },
    ..Rules::COMMON
};

pub(super) const CSI_DRIVER: Rules = Rules {
    unconditional_update: false,
    generation: Generation::Spec,
    defaults: |value| {
        let spec = spec_of(value);
        fill(spec, "attachRequired", true);
        fill(spec, "podInfoOnMount", false);
        fill(spec, "storageCapacity", false);
        fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        if spec
            .get("volumeLifecycleModes")
            .is_none_or(|modes| count(modes) == 0)
        {
            spec.insert("volumeLifecycleModes".into(), json!(["Persistent"]));
        }
        fill(spec, "requiresRepublish", false);
        fill(spec, "seLinuxMount", false);
    },
    ..Rules::COMMON
};

pub(super) const OTHER: Rules = Rules {
    unconditional_update: false,
    ..Rules::COMMON
};

fn validate_class(object: &Value, errors: &mut Errors) {
    let (provisioner, path) = (&object["provisioner"], Path::new("provisioner"));
    if text(provisioner).is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        let lower: Value = text(provisioner).to_lowercase().into();
        check(
            errors,
            &path,
            provisioner,
            names::qualified_name(text(&lower)),
        );
    }
    for (key, _) in entries(&object["parameters"]) {
        if key.is_empty() {
            errors.push(FieldError::invalid(
                "parameters",
                &key.into(),
                "field must not be empty.",
            ));
        }
    }
    let policy = &object["reclaimPolicy"];
    if has(policy) && !matches!(text(policy), "Delete" | "Retain" | "Recycle") {
        errors.push(FieldError::not_supported(
            "reclaimPolicy",
            policy,
            &["Delete", "Retain"],
        ));
    }
    let mode = &object["volumeBindingMode"];
    if !has(mode) {
        errors.push(FieldError::required("volumeBindingMode", ""));
    } else if !matches!(text(mode), "Immediate" | "WaitForFirstConsumer") {
        let supported = ["Immediate", "WaitForFirstConsumer"];
        errors.push(FieldError::not_supported(
            "volumeBindingMode",
            mode,
            &supported,
        ));
    }
}
