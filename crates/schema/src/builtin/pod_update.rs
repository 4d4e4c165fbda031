//! Pods and pod templates as objects of their own.

use serde_json::{Value, json};

use super::meta;
use super::pod::{validate_spec, validate_template};
use super::tools::{Errors, Path, entries, fill, has, int, items, items_mut, object, same, text};
use super::{Generation, Rules, apps::spec_of};
use crate::failure::FieldError;

pub(super) const POD: Rules = Rules {
    generation: Generation::Spec,
    defaults: default_pod,
    prepare_create: |value| {
        let class = quality_of_service(&value["spec"]);
        value["status"] = json!({ "phase": "Pending", "qosClass": class });
    },
    validate: |object, errors| {
        validate_spec(&object["spec"], &Path::new("spec"), errors);
        validate_images(object, errors);
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_pod_update(new, old, errors);
    },
    ..Rules::COMMON
};

pub(super) const POD_TEMPLATE: Rules = Rules {
    generation: Generation::Field("template"),
    validate: |object, errors| {
        validate_template(&object["template"], &Path::new("template"), errors)
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_template(&new["template"], &Path::new("template"), errors);
    },
    ..Rules::COMMON
};

fn default_pod(value: &mut Value) {
    let spec = spec_of(value);
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).map(items_mut).unwrap_or_default() {
            let limits = container["resources"]["limits"].clone();
            if let (Value::Object(limits), Some(container)) = (limits, container.as_object_mut())
                && !limits.is_empty()
            {
                let requests = object(object(container, "resources"), "requests");
                for (name, limit) in limits {
                    requests.entry(name).or_insert(limit);
                }
            }
        }
    }
    fill(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).map(items_mut).unwrap_or_default() {
                for port in container
                    .get_mut("ports")
                    .map(items_mut)
                    .unwrap_or_default()
                {
                    let number = port["containerPort"].clone();
                    if int(&port["hostPort"]) == 0 && has(&number) {
                        port["hostPort"] = number;
                    }
                }
            }
        }
    }
    // Deprecated alias.
    let account = spec
        .get("serviceAccountName")
        .or_else(|| spec.get("serviceAccount"))
        .cloned();
    if let Some(account) = account {
        fill(spec, "serviceAccountName", account.clone());
        fill(spec, "serviceAccount", account);
    }
}

/// The class of a pod by its limits and requests.
fn quality_of_service(spec: &Value) -> &'static str {
    let containers = || {
        items(&spec["containers"])
            .iter()
            .chain(items(&spec["initContainers"]))
    };
    let counted = |name: &str| matches!(name, "cpu" | "memory");
    let zero = |value: &Value| {
        crate::quantity::Quantity::parse(text(value)).is_ok_and(|value| value.is_zero())
    };
    let mut any = false;
    let mut guaranteed = true;
    for container in containers() {
        let (limits, requests) = (
            &container["resources"]["limits"],
            &container["resources"]["requests"],
        );
        let set = |values: &Value| {
            entries(values)
                .filter(|(name, value)| counted(name) && !zero(value))
                .count()
        };
        any |= set(limits) + set(requests) > 0;
        guaranteed &= set(limits) == 2
            && ["cpu", "memory"]
                .iter()
                .all(|name| !has(&requests[name]) || same(&requests[name], &limits[name]));
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn validate_images(object: &Value, errors: &mut Errors) {
    for list in ["containers", "initContainers"] {
        for (at, container) in items(&object["spec"][list]).iter().enumerate() {
            let image = &container["image"];
            if text(image) != text(image).trim() {
                let path = Path::new("spec").child(list).index(at).child("image");
                errors.push(FieldError::invalid(
                    path,
                    image,
                    "must not have leading or trailing whitespace",
                ));
            }
        }
    }
}

fn validate_pod_update(new: &Value, old: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let (spec, before) = (&new["spec"], &old["spec"]);
    for list in ["containers", "initContainers"] {
        let (now, then) = (items(&spec[list]).len(), items(&before[list]).len());
        if now != then {
            errors.push(FieldError::forbidden(
                path.child(list),
                "pod updates may not add or remove containers",
            ));
            return;
        }
    }
    for list in ["containers", "initContainers"] {
        for (at, container) in items(&spec[list]).iter().enumerate() {
            if text(&container["image"]).is_empty() {
                errors.push(FieldError::required(
                    path.child(list).index(at).child("image"),
                    "",
                ));
            }
        }
    }
    let (now, then) = (
        &spec["activeDeadlineSeconds"],
        &before["activeDeadlineSeconds"],
    );
    if has(then) && (!has(now) || int(now) > int(then)) {
        let why = format!(
            "must be less than or equal to previous value '{}'",
            int(then)
        );
        errors.push(FieldError::invalid(
            path.child("activeDeadlineSeconds"),
            now,
            why,
        ));
    }
    let known = items(&before["tolerations"]);
    let kept = known
        .iter()
        .all(|toleration| items(&spec["tolerations"]).contains(toleration));
    if !kept {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden(path.child("tolerations"), why));
    }
    let mut fixed = spec.clone();
    for list in ["containers", "initContainers"] {
        for (at, container) in items_mut(&mut fixed[list]).iter_mut().enumerate() {
            container["image"] = before[list][at]["image"].clone();
        }
        if fixed[list].is_null() {
            fixed.as_object_mut().map(|map| map.remove(list));
        }
    }
    for name in ["activeDeadlineSeconds", "tolerations"] {
        super::tools::copy_path(before, &mut fixed, &[name]);
    }
    if int(&before["terminationGracePeriodSeconds"]) < 0
        && spec["terminationGracePeriodSeconds"] == 1
    {
        super::tools::copy_path(before, &mut fixed, &["terminationGracePeriodSeconds"]);
    }
    if items(&spec["schedulingGates"])
        .iter()
        .all(|gate| items(&before["schedulingGates"]).contains(gate))
    {
        super::tools::copy_path(before, &mut fixed, &["schedulingGates"]);
    }
    if !same(&fixed, before) {
        let why = format!(
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
             `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n{}",
            difference(before, &fixed)
        );
        errors.push(FieldError::forbidden(path, why));
    }
}

/// What differs between two specs: one line a field.
///
/// The server prints the structs of its internal version there, whose form is not part of its API.
pub(super) fn difference(old: &Value, new: &Value) -> String {
    let mut lines = Vec::new();
    collect(&Path::root(), old, new, &mut lines);
    lines.join("\n")
}

fn collect(path: &Path, old: &Value, new: &Value, lines: &mut Vec<String>) {
    if same(old, new) {
        return;
    }
    if let (Some(a), Some(b)) = (old.as_object(), new.as_object()) {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            collect(&path.child(key), &old[key], &new[key], lines);
        }
        return;
    }
    lines.push(format!("- {path}: {old}"));
    lines.push(format!("+ {path}: {new}"));
}

/// A pod template as an error about it prints it.
pub(super) fn internal_template(template: &Value) -> String {
    template.to_string()
}
