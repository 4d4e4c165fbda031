//! Objects of any kind, and what all of the toolkit's kinds have in common.

use kube::api::DynamicObject;
use serde_json::Value;
use sluice_api::condition::READY;
use sluice_api::key;

/// An object of a kind that is known at run time only.
pub type Object = DynamicObject;

/// The text at a JSON pointer outside of `metadata`, empty if there is none.
pub fn text<'a>(object: &'a Object, pointer: &str) -> &'a str {
    object
        .data
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The name.
pub fn name(object: &Object) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

/// The namespace.
pub fn namespace(object: &Object) -> &str {
    object.metadata.namespace.as_deref().unwrap_or_default()
}

/// Whether the object is suspended.
pub fn is_suspended(object: &Object) -> bool {
    object.data.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

/// The reconciliation request that was last handled.
pub fn last_handled(object: &Object) -> &str {
    text(object, "/status/lastHandledReconcileAt")
}

/// The annotations that ask for a reconciliation.
pub fn request(token: &str, others: &[&str]) -> Value {
    let annotations: serde_json::Map<_, _> = [key::RECONCILE_REQUEST]
        .iter()
        .chain(others)
        .map(|key| (String::from(*key), Value::from(token)))
        .collect();
    serde_json::json!({ "metadata": { "annotations": annotations } })
}

/// A condition as the object has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// What it says.
    pub message: &'a str,
}

/// The condition of a type, if there is one.
pub fn condition<'a>(object: &'a Object, type_: &str) -> Option<Condition<'a>> {
    let conditions = object.data.pointer("/status/conditions")?.as_array()?;
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == type_)?;
    Some(Condition {
        status: found["status"].as_str().unwrap_or_default(),
        message: found["message"].as_str().unwrap_or_default(),
    })
}

/// The Ready condition, if there is one.
pub fn ready(object: &Object) -> Option<Condition<'_>> {
    condition(object, READY)
}
