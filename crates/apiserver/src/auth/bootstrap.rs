//! The roles and bindings that every cluster has.

use serde_json::Value;

/// What kube-apiserver 1.36 makes at its start (`kubectl get clusterroles,clusterrolebindings,roles,rolebindings -A
/// -o json` there), without what the server itself fills in.
const OBJECTS: &str = include_str!("../../data/rbac.jsonl");

/// The objects, without uid and times.
pub fn objects() -> Vec<Value> {
    OBJECTS
        .lines()
        .map(|line| serde_json::from_str(line).expect("the committed file is JSON"))
        .collect()
}
