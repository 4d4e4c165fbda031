//! What admission plugins of the server add to objects, as far as it is a function of the object.

use serde_json::{Value, json};

use super::tools::{fill, items, text};

/// Pods tolerate a lost node for five minutes.
pub fn default_tolerations(pod: &mut Value) {
    let keys = [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ];
    let tolerated = |key: &str| {
        items(&pod["spec"]["tolerations"]).iter().any(|toleration| {
            let effect = text(&toleration["effect"]);
            let any_key = toleration["key"] == key || text(&toleration["key"]).is_empty();
            any_key && matches!(effect, "" | "NoExecute")
        })
    };
    let added: Vec<Value> = keys
        .into_iter()
        .filter(|key| !tolerated(key))
        .map(|key| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }))
        .collect();
    if added.is_empty() {
        return;
    }
    match pod["spec"]["tolerations"].as_array_mut() {
        Some(list) => list.extend(added),
        None => pod["spec"]["tolerations"] = added.into(),
    }
}

/// The priority of a pod by its class: its value and preemption policy.
pub fn priority_defaults(pod: &mut Value, priority: i64, preemption: &str) {
    if let Some(spec) = pod["spec"].as_object_mut() {
        spec.insert("priority".into(), priority.into());
        fill(spec, "preemptionPolicy", preemption);
    }
}

/// The finalizer that keeps a claim or volume while it is used.
pub fn object_protection_finalizer(kind: &str) -> Option<&'static str> {
    match kind {
        "PersistentVolumeClaim" => Some("kubernetes.io/pvc-protection"),
        "PersistentVolume" => Some("kubernetes.io/pv-protection"),
        _ => None,
    }
}
