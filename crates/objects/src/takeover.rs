//! Taking over the fields that others applied before.
//!
//! What `kubectl apply/edit/patch` and former tools own of a managed object becomes ours, so that the
//! next apply removes what the manifest does not hold. The sets of fields are united, never dropped:
//! an owner that vanished would leave its fields behind forever. Other managers (autoscalers,
//! controllers) and everything written through a subresource stay as they are.

use serde_json::{Map, Value, json};
use sluice_api::key;

use crate::fields;
use crate::object;

/// Whose fields are taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Managers {
    /// Prefixes of further managers (`--override-manager`), for both operations.
    pub overridden: Vec<String>,
}

impl Managers {
    fn disowns(&self, entry: &Value) -> bool {
        let (manager, operation) = (text(entry, "manager"), text(entry, "operation"));
        let is_update = operation == "Update";
        text(entry, "subresource").is_empty()
            && (is_update || operation == "Apply")
            && (manager.starts_with("kubectl")
                || is_update && manager.starts_with("before-first-apply")
                || is_update && manager.starts_with(key::KUSTOMIZE_APPLY_MANAGER)
                || self
                    .overridden
                    .iter()
                    .any(|prefix| !prefix.is_empty() && manager.starts_with(prefix)))
    }
}

/// Annotations that former tools left on objects.
const ANNOTATIONS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    key::KUSTOMIZE_CHECKSUM,
    "fluxcd.io/sync-checksum",
];
/// Labels that former tools left on objects.
const LABELS: [&str; 1] = ["fluxcd.io/sync-gc-mark"];

fn text<'v>(entry: &'v Value, field: &str) -> &'v str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn managed_fields(live: &Value) -> &[Value] {
    object::at(live, &["metadata", "managedFields"])
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether there is anything to take over or clean up; needs `managedFields` without their sets.
pub fn is_needed(live: &Value, managers: &Managers) -> bool {
    let has = |map: Option<&Map<String, Value>>, keys: &[&str]| {
        map.is_some_and(|m| keys.iter().any(|k| m.contains_key(*k)))
    };
    has(object::annotations(live), &ANNOTATIONS)
        || has(object::labels(live), &LABELS)
        || managed_fields(live)
            .iter()
            .any(|entry| managers.disowns(entry))
}

/// The JSON patch that takes over; `None` when there is nothing to do.
///
/// It holds only for the version of the object that was read: a `test` on `resourceVersion` comes
/// first, for a manager that wrote meanwhile must not be forgotten.
pub fn patch(live: &Value, managers: &Managers) -> Option<Value> {
    if !is_needed(live, managers) {
        return None;
    }
    let mut operations = vec![json!({
        "op": "test", "path": "/metadata/resourceVersion",
        "value": object::text(live, &["metadata", "resourceVersion"]),
    })];
    let mut remove = |map: Option<&Map<String, Value>>, field: &str, keys: &[&str]| {
        for key in keys
            .iter()
            .filter(|key| map.is_some_and(|m| m.contains_key(**key)))
        {
            let escaped = key.replace('~', "~0").replace('/', "~1");
            operations
                .push(json!({"op": "remove", "path": format!("/metadata/{field}/{escaped}")}));
        }
    };
    remove(object::annotations(live), "annotations", &ANNOTATIONS);
    remove(object::labels(live), "labels", &LABELS);
    if let Some(entries) = united(managed_fields(live), managers) {
        operations
            .push(json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}));
    }
    Some(Value::Array(operations))
}

/// The entries with all that is taken over in ours, which comes last; `None` when nothing is.
fn united(entries: &[Value], managers: &Managers) -> Option<Vec<Value>> {
    let is_ours = |entry: &Value| {
        text(entry, "manager") == key::KUSTOMIZE_APPLY_MANAGER
            && text(entry, "operation") == "Apply"
            && text(entry, "subresource").is_empty()
    };
    let (taken, mut kept): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|e| managers.disowns(e) && !is_ours(e));
    let first = taken.first()?;
    let mut ours = match kept.iter().position(is_ours) {
        Some(index) => kept.remove(index),
        None => {
            let mut renamed = first.clone();
            renamed["manager"] = json!(key::KUSTOMIZE_APPLY_MANAGER);
            renamed["operation"] = json!("Apply");
            renamed
        }
    };
    for entry in &taken {
        if let (Some(own), Some(other)) = (ours.get_mut("fieldsV1"), entry.get("fieldsV1")) {
            fields::unite(own, other);
        }
    }
    kept.push(ours);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, field: &str) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {format!("f:{field}"): {}}}})
    }

    fn live(entries: Vec<Value>) -> Value {
        json!({"metadata": {"resourceVersion": "7", "managedFields": entries}})
    }

    #[test]
    fn kubectl_s_fields_become_ours() {
        let ours = entry("kustomize-controller", "Apply", "a");
        let mut status = entry("kubectl-edit", "Update", "s");
        status["subresource"] = json!("status");
        let hpa = entry("kube-controller-manager", "Update", "r");
        let live = live(vec![
            ours,
            entry("kubectl-edit", "Update", "b"),
            hpa.clone(),
            status.clone(),
            entry("kubectl", "Apply", "c"),
            entry("kustomize-controller", "Update", "d"),
            entry("before-first-apply", "Update", "e"),
        ]);
        let mut united = entry("kustomize-controller", "Apply", "a");
        united["fieldsV1"] =
            json!({"f:data": {"f:a": {}, "f:b": {}, "f:c": {}, "f:d": {}, "f:e": {}}});
        assert_eq!(
            patch(&live, &Managers::default()),
            Some(json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "replace", "path": "/metadata/managedFields", "value": [hpa, status, united]},
            ]))
        );
    }

    #[test]
    fn without_an_entry_of_ours_the_first_one_is_renamed() {
        let live = live(vec![
            entry("kubectl-client-side-apply", "Update", "a"),
            entry("kubectl-edit", "Update", "b"),
        ]);
        let patch = patch(&live, &Managers::default()).unwrap();
        let entries = &patch[1]["value"];
        assert_eq!(entries.as_array().unwrap().len(), 1);
        assert_eq!(
            (&entries[0]["manager"], &entries[0]["operation"]),
            (&json!("kustomize-controller"), &json!("Apply"))
        );
        assert_eq!(
            entries[0]["fieldsV1"],
            json!({"f:data": {"f:a": {}, "f:b": {}}})
        );
    }

    #[test]
    fn left_over_metadata_is_removed() {
        let live = json!({"metadata": {"resourceVersion": "7",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "keep": "1"},
            "labels": {"fluxcd.io/sync-gc-mark": "x"}}});
        assert_eq!(
            patch(&live, &Managers::default())
                .unwrap()
                .as_array()
                .unwrap()[1..],
            [
                json!({"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"}),
                json!({"op": "remove", "path": "/metadata/labels/fluxcd.io~1sync-gc-mark"}),
            ]
        );
    }

    #[test]
    fn others_are_left_alone() {
        let live = live(vec![
            entry("kustomize-controller", "Apply", "a"),
            entry("helm", "Update", "b"),
            entry("flux-client-side-apply", "Apply", "c"),
        ]);
        assert!(!is_needed(&live, &Managers::default()));
        assert_eq!(patch(&live, &Managers::default()), None);
        let managers = Managers {
            overridden: vec!["helm".into()],
        };
        assert!(is_needed(&live, &managers));
    }
}
