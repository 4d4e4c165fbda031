//! Between the version of a request and the version in the store.

use std::borrow::Cow;

use serde_json::Value;
use sluice_schema::builtin;

use crate::registry::{Custom, Resource};
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

/// Brings a value into another version of its kind.
fn to(resource: &Resource, mut value: Value, api_version: &str) -> Value {
    if value["apiVersion"] == api_version {
        return value;
    }
    if resource.custom.is_none() {
        value = builtin::convert_version(&value, api_version);
    }
    value["apiVersion"] = api_version.into();
    value
}

/// A stored object in the version of the resource, under the schema of today.
pub fn from_storage(resource: &Resource, object: &Object) -> Value {
    let mut value = to(resource, object.value(), &resource.api_version);
    if let Some(custom) = outdated(resource, object) {
        custom.kind.refresh(&mut value);
    }
    value
}

/// The definition of a custom resource that has changed since the object was written.
fn outdated<'r>(resource: &'r Resource, object: &Object) -> Option<&'r Custom> {
    resource
        .custom
        .as_deref()
        .filter(|custom| object.version < custom.since)
}

/// Brings a value in the version of the resource into that of the store.
pub fn to_storage(resource: &Resource, value: Value) -> Value {
    to(resource, value, storage_api_version(resource))
}

/// The text of a stored object in the version of the resource.
pub fn text<'a>(resource: &Resource, object: &'a Object) -> Cow<'a, str> {
    if outdated(resource, object).is_none() && object.api_version() == resource.api_version {
        return Cow::Borrowed(object.json());
    }
    if resource.custom.is_none() || outdated(resource, object).is_some() {
        let value = from_storage(resource, object);
        return Cow::Owned(
            Object::preview(object.key.clone(), &value)
                .json()
                .to_owned(),
        );
    }
    let kind = Value::from(resource.kind.as_str());
    let version = Value::from(resource.api_version.as_str());
    Cow::Owned(format!(
        "{{\"kind\":{kind},\"apiVersion\":{version},{}",
        object.body()
    ))
}
