//! Between the version of a request and the version in the store.

use std::borrow::Cow;

use serde_json::Value;

use crate::registry::Resource;
use crate::store::Object;

/// The `apiVersion` under which objects of the resource are stored.
pub fn storage_api_version(resource: &Resource) -> &str {
    match (
        &resource.custom,
        resource.group.as_str(),
        resource.plural.as_str(),
    ) {
        (Some(custom), ..) => &custom.storage_api_version,
        (None, "autoscaling", "horizontalpodautoscalers") => "autoscaling/v2",
        (None, "events.k8s.io", "events") => "v1",
        _ => &resource.api_version,
    }
}

/// Whether objects differ by more than their apiVersion between the store and this resource.
fn differs(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_str(), resource.version.as_str()),
        ("events.k8s.io", _) | ("autoscaling", "v1")
    ) && resource.custom.is_none()
}

/// Brings a stored value into the version of the resource.
pub fn from_storage(resource: &Resource, mut value: Value) -> Value {
    if differs(resource) {
        match resource.group.as_str() {
            "events.k8s.io" => rename(&mut value, EVENT_FIELDS, Direction::FromStorage),
            _ => autoscaler_to_v1(&mut value),
        }
    }
    value["apiVersion"] = resource.api_version.as_str().into();
    value
}

/// Brings a value in the version of the resource into that of the store.
pub fn to_storage(resource: &Resource, mut value: Value) -> Value {
    if differs(resource) {
        match resource.group.as_str() {
            "events.k8s.io" => rename(&mut value, EVENT_FIELDS, Direction::ToStorage),
            _ => autoscaler_to_v2(&mut value),
        }
    }
    value["apiVersion"] = storage_api_version(resource).into();
    value
}

/// Brings a value from one version of the resource into another.
pub fn between(resource: &Resource, value: &Value, api_version: &str) -> Value {
    let mut value = value.clone();
    let from = value["apiVersion"].as_str().unwrap_or_default().to_owned();
    match (from.as_str(), api_version) {
        _ if resource.custom.is_some() => {}
        ("v1", "events.k8s.io/v1") => rename(&mut value, EVENT_FIELDS, Direction::FromStorage),
        ("events.k8s.io/v1", "v1") => rename(&mut value, EVENT_FIELDS, Direction::ToStorage),
        ("autoscaling/v2", "autoscaling/v1") => autoscaler_to_v1(&mut value),
        ("autoscaling/v1", "autoscaling/v2") => autoscaler_to_v2(&mut value),
        _ => {}
    }
    value["apiVersion"] = api_version.into();
    value
}

/// The text of a stored object in the version of the resource.
pub fn text<'a>(resource: &Resource, object: &'a Object) -> Cow<'a, str> {
    if differs(resource) {
        let value = from_storage(resource, object.value());
        return Cow::Owned(
            Object::preview(object.key.clone(), &value)
                .json()
                .to_owned(),
        );
    }
    if object.api_version() == resource.api_version {
        return Cow::Borrowed(object.json());
    }
    let kind = Value::from(resource.kind.as_str());
    let version = Value::from(resource.api_version.as_str());
    Cow::Owned(format!(
        "{{\"kind\":{kind},\"apiVersion\":{version},{}",
        object.body()
    ))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    FromStorage,
    ToStorage,
}

/// Names of the same thing in core/v1 and in events.k8s.io/v1.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("source", "deprecatedSource"),
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
];

fn rename(value: &mut Value, names: &[(&str, &str)], direction: Direction) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    for (stored, shown) in names {
        let (from, to) = if direction == Direction::ToStorage {
            (shown, stored)
        } else {
            (stored, shown)
        };
        if let Some(member) = map.remove(*from) {
            map.insert((*to).to_owned(), member);
        }
    }
}

fn autoscaler_to_v1(value: &mut Value) {
    let utilization = value["spec"]["metrics"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|metric| metric["type"] == "Resource" && metric["resource"]["name"] == "cpu")
        .map(|metric| metric["resource"]["target"]["averageUtilization"].clone());
    if let Some(spec) = value["spec"].as_object_mut() {
        spec.remove("metrics");
        spec.remove("behavior");
        if let Some(utilization) = utilization.filter(Value::is_number) {
            spec.insert("targetCPUUtilizationPercentage".into(), utilization);
        }
    }
    if let Some(status) = value["status"].as_object_mut() {
        status.remove("conditions");
        status.remove("currentMetrics");
        for key in ["currentReplicas", "desiredReplicas"] {
            status.entry(key).or_insert_with(|| 0.into());
        }
    }
}

fn autoscaler_to_v2(value: &mut Value) {
    if let Some(spec) = value["spec"].as_object_mut()
        && let Some(utilization) = spec.remove("targetCPUUtilizationPercentage")
    {
        let target = serde_json::json!({"type": "Utilization", "averageUtilization": utilization});
        let metric =
            serde_json::json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        spec.insert("metrics".into(), Value::Array(vec![metric]));
    }
}
