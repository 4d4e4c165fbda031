//! Volumes of pods, PersistentVolumes and PersistentVolumeClaims.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::container::{Volumes, check_descending, check_no_backsteps};
use super::environment::validate_field_ref;
use super::meta::{self, NameRule, validate_selector};
use super::tools::{
    Errors, Path, check, check_immutable, count, fill, has, int, items, object, same, text,
};
use super::{Rules, apps::spec_of};
use crate::failure::FieldError;
use crate::names;
use crate::quantity::Quantity;

pub(super) const PERSISTENT_VOLUME: Rules = Rules {
    defaults: |value| {
        let spec = spec_of(value);
        fill(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(spec, "volumeMode", "Filesystem");
        default_phase(value);
    },
    prepare_create: |value| {
        default_phase(value);
        value["status"]["lastPhaseTransitionTime"] = value["metadata"]["creationTimestamp"].clone();
    },
    validate: validate_volume,
    validate_update: |new, old, errors| {
        meta::validate(new, false, NameRule::Subdomain, errors);
        meta::validate_update(new, old, errors);
        validate_volume(new, errors);
        let source = |object: &Value| {
            let mut spec = object["spec"].clone();
            if let Some(spec) = spec.as_object_mut() {
                spec.retain(|key, _| is_source(key));
            }
            spec
        };
        if !same(&source(new), &source(old)) {
            let why = "spec.persistentvolumesource is immutable after creation";
            errors.push(FieldError::forbidden("spec.persistentvolumesource", why));
        }
        let name = "volumeMode";
        check_immutable(
            errors,
            &Path::new(name),
            &new["spec"][name],
            &old["spec"][name],
        );
    },
    ..Rules::COMMON
};

pub(super) const PERSISTENT_VOLUME_CLAIM: Rules = Rules {
    defaults: default_claim,
    prepare_create: default_phase,
    validate: |object, errors| validate_claim_spec(&object["spec"], &Path::new("spec"), errors),
    validate_update: |new, old, errors| {
        meta::validate(new, true, NameRule::Subdomain, errors);
        meta::validate_update(new, old, errors);
        validate_claim_spec(&new["spec"], &Path::new("spec"), errors);
        validate_claim_update(new, old, errors);
    },
    warn: |object, _| super::warnings::of_claim(object),
    ..Rules::COMMON
};

fn default_phase(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        fill(object(map, "status"), "phase", "Pending");
    }
}

/// Fills the defaults of a claim; also of one in a StatefulSet.
pub(super) fn default_claim(value: &mut Value) {
    default_phase(value);
    fill(spec_of(value), "volumeMode", "Filesystem");
}

fn is_source(key: &str) -> bool {
    !matches!(
        key,
        "accessModes"
            | "capacity"
            | "claimRef"
            | "mountOptions"
            | "nodeAffinity"
            | "persistentVolumeReclaimPolicy"
            | "storageClassName"
            | "volumeAttributesClassName"
            | "volumeMode"
    )
}

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

fn validate_access_modes(modes: &Value, path: &Path, errors: &mut Errors) {
    let mut single = false;
    let mut others = false;
    for mode in items(modes) {
        if !MODES.contains(&text(mode)) {
            errors.push(FieldError::not_supported(path, mode, &MODES));
        }
        single |= mode == "ReadWriteOncePod";
        others |= mode != "ReadWriteOncePod" && MODES.contains(&text(mode));
    }
    if single && others {
        let why = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(path, why));
    }
}

fn validate_volume(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    if count(&spec["accessModes"]) == 0 {
        errors.push(FieldError::required(path.child("accessModes"), ""));
    }
    validate_access_modes(&spec["accessModes"], &path.child("accessModes"), errors);
    let capacity = &spec["capacity"];
    if count(capacity) == 0 {
        errors.push(FieldError::required(path.child("capacity"), ""));
    }
    if !has(&capacity["storage"]) || count(capacity) > 1 {
        errors.push(FieldError::not_supported(
            path.child("capacity"),
            capacity,
            &["storage"],
        ));
    }
    if let Ok(amount) = Quantity::parse(text(&capacity["storage"]))
        && (amount.is_negative() || amount.is_zero())
    {
        let path = path.child("capacity").key("storage");
        errors.push(FieldError::invalid(
            path,
            &capacity["storage"],
            "must be greater than zero",
        ));
    }
    let policies = ["Delete", "Recycle", "Retain"];
    let policy = &spec["persistentVolumeReclaimPolicy"];
    if !text(policy).is_empty() && !policies.contains(&text(policy)) {
        let path = path.child("persistentVolumeReclaimPolicy");
        errors.push(FieldError::not_supported(path, policy, &policies));
    }
    let sources = super::tools::entries(spec)
        .filter(|(key, _)| is_source(key))
        .count();
    if sources == 0 {
        errors.push(FieldError::required(&path, "must specify a volume type"));
    }
    if let Some(host) = spec["hostPath"].as_object() {
        validate_host_path(
            &Value::Object(host.clone()),
            &path.child("hostPath"),
            errors,
        );
    }
    let class = &spec["storageClassName"];
    if !text(class).is_empty() {
        check(
            errors,
            &path.child("storageClassName"),
            class,
            names::dns_subdomain(text(class)),
        );
    }
    let mode = &spec["volumeMode"];
    if has(mode) && !matches!(text(mode), "Block" | "Filesystem") {
        errors.push(FieldError::not_supported(
            path.child("volumeMode"),
            mode,
            &["Block", "Filesystem"],
        ));
    }
}

/// Validates the spec of a claim.
pub(super) fn validate_claim_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    if count(&spec["accessModes"]) == 0 {
        errors.push(FieldError::required(
            path.child("accessModes"),
            "at least 1 access mode is required",
        ));
    }
    if has(&spec["selector"]) {
        validate_selector(&spec["selector"], &path.child("selector"), errors);
    }
    validate_access_modes(&spec["accessModes"], &path.child("accessModes"), errors);
    let amount = &spec["resources"]["requests"]["storage"];
    let storage = path.child("resources").key("storage");
    match Quantity::parse(text(amount)) {
        _ if !has(amount) => errors.push(FieldError::required(storage, "")),
        Ok(quantity) if quantity.is_negative() || quantity.is_zero() => {
            errors.push(FieldError::invalid(
                path.child("resources").key("storage"),
                amount,
                "must be greater than zero",
            ));
        }
        _ => {}
    }
    let class = &spec["storageClassName"];
    if !text(class).is_empty() {
        check(
            errors,
            &path.child("storageClassName"),
            class,
            names::dns_subdomain(text(class)),
        );
    }
    let mode = &spec["volumeMode"];
    if has(mode) && !matches!(text(mode), "Block" | "Filesystem") {
        errors.push(FieldError::not_supported(
            path.child("volumeMode"),
            mode,
            &["Block", "Filesystem"],
        ));
    }
}

fn validate_claim_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (spec, before) = (&new["spec"], &old["spec"]);
    let mut fixed = spec.clone();
    // A bound claim grows, and an unbound one is bound.
    let bound = old["status"]["phase"] == "Bound";
    if bound || !has(&before["resources"]["requests"]["storage"]) {
        fixed["resources"]["requests"] = before["resources"]["requests"].clone();
    }
    if !has(&before["volumeName"]) {
        fixed.as_object_mut().map(|map| map.remove("volumeName"));
    }
    if !has(&before["storageClassName"]) && !text(&spec["storageClassName"]).is_empty() {
        fixed
            .as_object_mut()
            .map(|map| map.remove("storageClassName"));
    }
    if !has(&before["volumeAttributesClassName"]) || bound {
        fixed["volumeAttributesClassName"] = before["volumeAttributesClassName"].clone();
    }
    if !same(&fixed, before) {
        let why = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
             claims\n{}",
            claim_difference(before, &fixed)
        );
        errors.push(FieldError::forbidden("spec", why));
    }
    let amount =
        |spec: &Value| Quantity::parse(text(&spec["resources"]["requests"]["storage"])).ok();
    if let (Some(now), Some(then)) = (amount(spec), amount(before))
        && bound
        && now < then
    {
        let path = Path::new("spec")
            .child("resources")
            .child("requests")
            .child("storage");
        errors.push(FieldError::forbidden(
            path,
            "field can not be less than status.capacity",
        ));
    }
}

/// The difference of two claims as the server shows it: of the JSON of its internal type, with three lines around.
fn claim_difference(before: &Value, now: &Value) -> String {
    let (before, now) = (internal_claim(before), internal_claim(now));
    let difference = similar::TextDiff::from_lines(&before, &now);
    difference.unified_diff().context_radius(3).to_string()
}

fn internal_claim(spec: &Value) -> String {
    let mut out = String::from("{\n");
    let resources = &spec["resources"];
    let inner = [
        ("Limits", &resources["limits"]),
        ("Requests", &resources["requests"]),
    ];
    let fields = [
        ("AccessModes", &spec["accessModes"]),
        ("Selector", &spec["selector"]),
        ("Resources", resources),
        ("VolumeName", &spec["volumeName"]),
        ("StorageClassName", &spec["storageClassName"]),
        ("VolumeMode", &spec["volumeMode"]),
        ("DataSource", &spec["dataSource"]),
        ("DataSourceRef", &spec["dataSourceRef"]),
        (
            "VolumeAttributesClassName",
            &spec["volumeAttributesClassName"],
        ),
    ];
    for (at, (name, value)) in fields.iter().enumerate() {
        let text = match *name {
            "Resources" => {
                let part = |(name, value): &(&str, &Value)| {
                    format!("  \"{name}\": {}", indented(value, 2))
                };
                let parts: Vec<String> = inner.iter().map(part).collect();
                format!("{{\n{}\n }}", parts.join(",\n"))
            }
            "VolumeName" => Value::from(text(value)).to_string(),
            _ => indented(value, 1),
        };
        let comma = if at + 1 < fields.len() { "," } else { "" };
        out.push_str(&format!(" \"{name}\": {text}{comma}\n"));
    }
    out + "}\n"
}

/// JSON with a space for each level.
fn indented(value: &Value, depth: usize) -> String {
    let pad = " ".repeat(depth + 1);
    let end = " ".repeat(depth);
    match value {
        Value::Object(map) if !map.is_empty() => {
            let member = |(key, member): (&String, &Value)| {
                let key = Value::from(key.as_str());
                format!("{pad}{key}: {}", indented(member, depth + 1))
            };
            let members: Vec<String> = map.iter().map(member).collect();
            format!("{{\n{}\n{end}}}", members.join(",\n"))
        }
        Value::Array(items) if !items.is_empty() => {
            let item = |item: &Value| format!("{pad}{}", indented(item, depth + 1));
            let items: Vec<String> = items.iter().map(item).collect();
            format!("[\n{}\n{end}]", items.join(",\n"))
        }
        value => value.to_string(),
    }
}

/// Volume types in the order in which the server looks at them, with the name in the path of errors.
const SOURCES: [(&str, &str); 30] = [
    ("emptyDir", "emptyDir"),
    ("hostPath", "hostPath"),
    ("gitRepo", "gitRepo"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    ("rbd", "rbd"),
    ("cinder", "cinder"),
    ("cephfs", "cephFS"),
    ("quobyte", "quobyte"),
    ("downwardAPI", "downwarAPI"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("configMap", "configMap"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("storageos", "storageos"),
    ("projected", "projected"),
    ("scaleIO", "scaleIO"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
    ("image", "image"),
];

/// Validates volumes; returns the names of those that are valid.
pub(super) fn validate_volumes<'a>(
    volumes: &'a Value,
    path: &Path,
    errors: &mut Errors,
) -> Volumes<'a> {
    let mut valid = BTreeSet::new();
    for (at, volume) in items(volumes).iter().enumerate() {
        let path = path.index(at);
        let name = text(&volume["name"]);
        let before = errors.len();
        validate_source(volume, &path, errors);
        if name.is_empty() {
            errors.push(FieldError::required(path.child("name"), ""));
        } else {
            check(
                errors,
                &path.child("name"),
                &volume["name"],
                names::dns_label(name),
            );
        }
        if valid.contains(name) {
            errors.push(FieldError::duplicate(path.child("name"), &volume["name"]));
        }
        if errors.len() == before {
            valid.insert(name);
        }
    }
    valid
}

fn validate_source(volume: &Value, path: &Path, errors: &mut Errors) {
    let mut found = false;
    for (name, shown) in SOURCES.iter().filter(|(name, _)| has(&volume[*name])) {
        if found {
            errors.push(FieldError::forbidden(
                path.child(shown),
                "may not specify more than 1 volume type",
            ));
            continue;
        }
        found = true;
        let (source, path) = (&volume[*name], path.child(name));
        let required = |field: &str, errors: &mut Errors| {
            if text(&source[field]).is_empty() {
                errors.push(FieldError::required(path.child(field), ""));
            }
        };
        match *name {
            "emptyDir" => {
                let limit = Quantity::parse(text(&source["sizeLimit"]));
                let why = "SizeLimit field must be a valid resource quantity";
                let wrong = limit.is_ok_and(|limit| limit.is_negative());
                errors.extend(wrong.then(|| FieldError::forbidden(path.child("sizeLimit"), why)));
            }
            "hostPath" => validate_host_path(source, &path, errors),
            "secret" => {
                required("secretName", errors);
                validate_mode_and_items(source, &path, errors);
            }
            "configMap" => {
                required("name", errors);
                validate_mode_and_items(source, &path, errors);
            }
            "nfs" => {
                required("server", errors);
                required("path", errors);
                if !text(&source["path"]).starts_with('/') {
                    let given: Value = text(&source["path"]).into();
                    errors.push(FieldError::invalid(
                        path.child("path"),
                        &given,
                        "must be an absolute path",
                    ));
                }
            }
            "persistentVolumeClaim" => required("claimName", errors),
            "downwardAPI" => {
                check_mode(&source["defaultMode"], &path.child("defaultMode"), errors);
                for file in items(&source["items"]) {
                    validate_downward_file(file, &path, errors);
                }
            }
            "projected" => validate_projected(source, &path, errors),
            "csi" => required("driver", errors),
            "ephemeral" => {
                let template = &source["volumeClaimTemplate"];
                let path = path.child("volumeClaimTemplate");
                if has(template) {
                    validate_claim_spec(&template["spec"], &path.child("spec"), errors);
                } else {
                    errors.push(FieldError::required(path, ""));
                }
            }
            _ => {}
        }
    }
    if !found {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}

fn validate_host_path(source: &Value, path: &Path, errors: &mut Errors) {
    if text(&source["path"]).is_empty() {
        errors.push(FieldError::required(path.child("path"), ""));
        return;
    }
    check_no_backsteps(&source["path"], &path.child("path"), errors);
    let types = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    let given = &source["type"];
    if has(given) && !types.contains(&text(given)) {
        errors.push(FieldError::not_supported(path.child("type"), given, &types));
    }
}

fn check_mode(mode: &Value, path: &Path, errors: &mut Errors) {
    if has(mode) && !(0..=0o777).contains(&int(mode)) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(FieldError::invalid(path, mode, why));
    }
}

fn check_local_path(value: &Value, path: &Path, errors: &mut Errors) {
    check_descending(value, path, errors);
    if text(value).starts_with("..") && !text(value).starts_with("../") {
        errors.push(FieldError::invalid(path, value, "must not start with '..'"));
    }
}

fn validate_item(item: &Value, path: &Path, errors: &mut Errors) {
    for name in ["key", "path"] {
        if text(&item[name]).is_empty() {
            errors.push(FieldError::required(path.child(name), ""));
        }
    }
    check_local_path(&item["path"], &path.child("path"), errors);
    check_mode(&item["mode"], &path.child("mode"), errors);
}

fn validate_mode_and_items(source: &Value, path: &Path, errors: &mut Errors) {
    check_mode(&source["defaultMode"], &path.child("defaultMode"), errors);
    for (at, item) in items(&source["items"]).iter().enumerate() {
        validate_item(item, &path.child("items").index(at), errors);
    }
}

fn validate_downward_file(file: &Value, path: &Path, errors: &mut Errors) {
    if text(&file["path"]).is_empty() {
        errors.push(FieldError::required(path.child("path"), ""));
    }
    check_local_path(&file["path"], &path.child("path"), errors);
    if has(&file["fieldRef"]) {
        let supported = [
            "metadata.annotations",
            "metadata.labels",
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
        ];
        validate_field_ref(
            &file["fieldRef"],
            &supported,
            &path.child("fieldRef"),
            errors,
        );
        if has(&file["resourceFieldRef"]) {
            let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(FieldError::invalid(path, &json!("resource"), why));
        }
    } else if !has(&file["resourceFieldRef"]) {
        errors.push(FieldError::required(
            path,
            "one of fieldRef and resourceFieldRef is required",
        ));
    }
    check_mode(&file["mode"], &path.child("mode"), errors);
}

fn validate_projected(source: &Value, path: &Path, errors: &mut Errors) {
    check_mode(&source["defaultMode"], &path.child("defaultMode"), errors);
    for (at, projection) in items(&source["sources"]).iter().enumerate() {
        let item = path.child("sources").index(at);
        let mut count = 0;
        for name in ["secret", "configMap"] {
            let (source, path) = (&projection[name], item.child(name));
            if has(source) {
                count += 1;
                if text(&source["name"]).is_empty() {
                    errors.push(FieldError::required(path.child("name"), ""));
                }
                for (at, item) in items(&source["items"]).iter().enumerate() {
                    validate_item(item, &path.child("items").index(at), errors);
                }
            }
        }
        if has(&projection["downwardAPI"]) {
            count += 1;
            for file in items(&projection["downwardAPI"]["items"]) {
                validate_downward_file(file, &item.child("downwardAPI"), errors);
            }
        }
        let token = &projection["serviceAccountToken"];
        if has(token) {
            count += 1;
            let seconds = &token["expirationSeconds"];
            if int(seconds) < 600 {
                let why = "may not specify a duration less than 10 minutes";
                let path = item.child("serviceAccountToken").child("expirationSeconds");
                errors.push(FieldError::invalid(path, seconds, why));
            }
            if text(&token["path"]).is_empty() {
                errors.push(FieldError::required(path.child("path"), ""));
            }
        }
        if count > 1 {
            let why = "may not specify more than 1 volume type per source";
            errors.push(FieldError::forbidden(item, why));
        }
    }
}
