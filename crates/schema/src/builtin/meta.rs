//! Validation of object metadata, common to all kinds.

use serde_json::Value;

use super::tools::{Errors, Path, check, check_not_negative, entries, int, items, text};
use crate::failure::FieldError;
use crate::gofmt;
use crate::gvk::split_api_version;
use crate::names;

const MAX_ANNOTATIONS: usize = 256 * 1024;

/// How the names of a kind are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// A DNS subdomain.
    Subdomain,
    /// A DNS label.
    Label,
    /// A DNS label that starts with a letter.
    Label1035,
    /// Whatever fits into a URL path.
    PathSegment,
}

impl NameRule {
    /// What is wrong with a name.
    pub fn check(self, name: &str) -> Vec<String> {
        match self {
            NameRule::Subdomain => names::dns_subdomain(name),
            NameRule::Label => names::dns_label(name),
            NameRule::Label1035 => names::dns1035_label(name),
            NameRule::PathSegment => names::path_segment(name),
        }
    }

    /// What is wrong with the start of a name that is to be generated.
    pub fn check_prefix(self, name: &str) -> Vec<String> {
        match self {
            NameRule::PathSegment => names::path_segment_prefix(name),
            rule => rule.check(&names::mask_trailing_dash(name)),
        }
    }
}

/// Validates the metadata of an object.
pub(crate) fn validate(object: &Value, namespaced: bool, rule: NameRule, errors: &mut Errors) {
    let meta = &object["metadata"];
    let path = Path::new("metadata");
    let (generate, name) = (&meta["generateName"], &meta["name"]);
    if !text(generate).is_empty() {
        check(
            errors,
            &path.child("generateName"),
            generate,
            rule.check_prefix(text(generate)),
        );
    }
    if text(name).is_empty() {
        errors.push(FieldError::required(
            path.child("name"),
            "name or generateName is required",
        ));
    } else {
        check(errors, &path.child("name"), name, rule.check(text(name)));
    }
    let namespace = &meta["namespace"];
    match (namespaced, text(namespace).is_empty()) {
        (true, true) => errors.push(FieldError::required(path.child("namespace"), "")),
        (true, false) => check(
            errors,
            &path.child("namespace"),
            namespace,
            names::dns_label(text(namespace)),
        ),
        (false, true) => {}
        (false, false) => errors.push(FieldError::forbidden(
            path.child("namespace"),
            "not allowed on this type",
        )),
    }
    check_not_negative(errors, &path.child("generation"), &meta["generation"]);
    validate_labels(&meta["labels"], &path.child("labels"), errors);
    validate_annotations(&meta["annotations"], &path.child("annotations"), errors);
    validate_owners(
        &meta["ownerReferences"],
        &path.child("ownerReferences"),
        errors,
    );
    validate_finalizers(&meta["finalizers"], &path.child("finalizers"), errors);
    validate_managed_fields(&meta["managedFields"], &path.child("managedFields"), errors);
}

/// Validates labels.
pub(crate) fn validate_labels(labels: &Value, path: &Path, errors: &mut Errors) {
    for (key, value) in entries(labels) {
        check(errors, path, &key.into(), names::qualified_name(key));
        check(errors, path, value, names::label_value(text(value)));
    }
}

/// Validates annotations.
pub(crate) fn validate_annotations(annotations: &Value, path: &Path, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in entries(annotations) {
        check(
            errors,
            path,
            &key.into(),
            names::qualified_name(&key.to_lowercase()),
        );
        size += key.len() + text(value).len();
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long(path, MAX_ANNOTATIONS));
    }
}

fn validate_owners(owners: &Value, path: &Path, errors: &mut Errors) {
    let mut first: Option<String> = None;
    for owner in items(owners) {
        let (_, version) = split_api_version(text(&owner["apiVersion"]));
        let parts = [
            (
                "apiVersion",
                version.is_empty(),
                "version must not be empty",
            ),
            ("kind", text(&owner["kind"]).is_empty(), "must not be empty"),
            ("name", text(&owner["name"]).is_empty(), "must not be empty"),
            ("uid", text(&owner["uid"]).is_empty(), "must not be empty"),
        ];
        for (name, missing, why) in parts {
            if missing {
                errors.push(FieldError::invalid(
                    path.child(name),
                    &text(&owner[name]).into(),
                    why,
                ));
            }
        }
        if owner["apiVersion"] == "v1" && owner["kind"] == "Event" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(path, owner, why));
        }
        if owner["controller"] == true {
            let this = format!("{}/{}", text(&owner["kind"]), text(&owner["name"]));
            match &first {
                Some(first) => errors.push(FieldError::invalid(
                    path,
                    owners,
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                         and {this}"
                    ),
                )),
                None => first = Some(this),
            }
        }
    }
}

fn validate_finalizers(finalizers: &Value, path: &Path, errors: &mut Errors) {
    let (mut orphan, mut foreground) = (false, false);
    for finalizer in items(finalizers) {
        check(
            errors,
            path,
            finalizer,
            names::qualified_name(text(finalizer)),
        );
        orphan |= finalizer == "orphan";
        foreground |= finalizer == "foregroundDeletion";
    }
    if orphan && foreground {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(path, finalizers, why));
    }
}

fn validate_managed_fields(list: &Value, path: &Path, errors: &mut Errors) {
    for (at, entry) in items(list).iter().enumerate() {
        let path = path.index(at);
        if !matches!(text(&entry["operation"]), "Apply" | "Update") {
            let given = text(&entry["operation"]).into();
            errors.push(FieldError::invalid(
                path.child("operation"),
                &given,
                "must be `Apply` or `Update`",
            ));
        }
        if !matches!(text(&entry["fieldsType"]), "" | "FieldsV1") {
            errors.push(FieldError::invalid(
                path.child("fieldsType"),
                &entry["fieldsType"],
                "must be `FieldsV1`",
            ));
        }
        validate_manager(text(&entry["manager"]), &path.child("manager"), errors);
        if text(&entry["subresource"]).len() > 256 {
            errors.push(FieldError::too_long(path.child("subresource"), 256));
        }
    }
}

/// Validates the name of a field manager.
pub(crate) fn validate_manager(manager: &str, path: &Path, errors: &mut Errors) {
    if manager.len() > 128 {
        errors.push(FieldError::too_long(path, 128));
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let why = format!("invalid character U+{:04X} (at position {at})", c as u32);
        errors.push(FieldError::invalid(path, &manager.into(), why));
    }
}

/// Validates what an update makes of metadata.
pub(crate) fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let path = Path::new("metadata");
    let (new, old) = (&new["metadata"], &old["metadata"]);
    if !old["deletionTimestamp"].is_null() {
        let known = items(&old["finalizers"]);
        let mut added: Vec<String> = items(&new["finalizers"])
            .iter()
            .filter(|finalizer| !known.contains(finalizer))
            .map(|finalizer| gofmt::quote(text(finalizer)))
            .collect();
        added.sort();
        added.dedup();
        if !added.is_empty() {
            errors.push(FieldError::forbidden(
                path.child("finalizers"),
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.join(", ")
                ),
            ));
        }
    }
    if text(&new["resourceVersion"]).is_empty() {
        let why = "must be specified for an update";
        errors.push(FieldError::invalid(
            path.child("resourceVersion"),
            &"".into(),
            why,
        ));
    }
    if int(&new["generation"]) < int(&old["generation"]) {
        errors.push(FieldError::invalid(
            path.child("generation"),
            &new["generation"],
            "must not be decremented",
        ));
    }
    let immutable = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for name in immutable {
        if new[name] != old[name] {
            errors.push(FieldError::invalid(
                path.child(name),
                &new[name],
                "field is immutable",
            ));
        }
    }
    validate_labels(&new["labels"], &path.child("labels"), errors);
    validate_annotations(&new["annotations"], &path.child("annotations"), errors);
    validate_owners(
        &new["ownerReferences"],
        &path.child("ownerReferences"),
        errors,
    );
    validate_managed_fields(&new["managedFields"], &path.child("managedFields"), errors);
}

/// Validates a label selector.
pub(crate) fn validate_selector(selector: &Value, path: &Path, errors: &mut Errors) {
    validate_labels(&selector["matchLabels"], &path.child("matchLabels"), errors);
    for (at, requirement) in items(&selector["matchExpressions"]).iter().enumerate() {
        let path = path.child("matchExpressions").index(at);
        let values = items(&requirement["values"]);
        match text(&requirement["operator"]) {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
                path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                errors.push(FieldError::invalid(
                    path.child("operator"),
                    &other.into(),
                    why,
                ));
            }
        }
        let key = &text(&requirement["key"]).into();
        check(
            errors,
            &path.child("key"),
            key,
            names::qualified_name(text(key)),
        );
        for (at, value) in values.iter().enumerate() {
            check(
                errors,
                &path.child("values").index(at),
                value,
                names::label_value(text(value)),
            );
        }
    }
}

/// Whether a selector selects an object with these labels; one without requirements selects everything.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let equal =
        entries(&selector["matchLabels"]).all(|(key, value)| labels.get(key) == Some(value));
    equal
        && items(&selector["matchExpressions"])
            .iter()
            .all(|requirement| {
                let value = labels.get(text(&requirement["key"]));
                let listed =
                    || value.is_some_and(|value| items(&requirement["values"]).contains(value));
                match text(&requirement["operator"]) {
                    "In" => listed(),
                    "NotIn" => !listed(),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
}
