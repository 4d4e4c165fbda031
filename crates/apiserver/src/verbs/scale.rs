//! The scale subresource.

use serde_json::{Map, Value, json};

use super::{Call, Done, Outcome, body};
use crate::app::App;
use crate::http::request::Verb;
use crate::objects::{self, meta};
use crate::registry::Resource;
use crate::status::{Cause, Result, Status};

/// Follows `.a.b`; dots only, as the API allows no more for scale paths.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .filter(|part| !part.is_empty())
        .fold(value, |value, part| &value[part])
}

fn set_at(value: &mut Value, path: &str, new: Value) {
    let mut place = value;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[part];
    }
    *place = new;
}

/// Where the numbers of a resource are: spec, status, selector.
fn paths(resource: &Resource) -> (&str, &str, Option<&str>) {
    match resource
        .custom
        .as_ref()
        .and_then(|custom| custom.kind.scale())
    {
        Some(scale) => (&scale.spec, &scale.status, scale.selector.as_deref()),
        None => (".spec.replicas", ".status.replicas", None),
    }
}

/// The text of a label selector.
fn selector_text(selector: &Value) -> String {
    let mut terms: Vec<(String, String)> = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            (
                key.clone(),
                format!("{key}={}", value.as_str().unwrap_or_default()),
            )
        })
        .collect();
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("Exists") => key.to_owned(),
            _ => format!("!{key}"),
        };
        terms.push((key.to_owned(), text));
    }
    terms.sort();
    terms
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(",")
}

/// The Scale of an object.
///
/// # Errors
/// 500 where a custom resource has no number of replicas.
pub fn of(resource: &Resource, value: &Value) -> Result<Value> {
    let (spec, status, selector) = paths(resource);
    let replicas = at(value, spec);
    if resource.custom.is_some() && replicas.is_null() {
        return Err(Status::internal(format!(
            "the spec replicas field {spec:?} does not exist"
        )));
    }
    let mut metadata = Map::new();
    for key in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(member) = value["metadata"].get(key) {
            metadata.insert(key.into(), member.clone());
        }
    }
    let selector = match selector {
        Some(path) => at(value, path).as_str().unwrap_or_default().to_owned(),
        None if resource.custom.is_some() => String::new(),
        None if resource.plural == "replicationcontrollers" => {
            selector_text(&json!({"matchLabels": value["spec"]["selector"]}))
        }
        None => selector_text(&value["spec"]["selector"]),
    };
    let mut shown = json!({"replicas": at(value, status).as_i64().unwrap_or(0)});
    if !selector.is_empty() {
        shown["selector"] = selector.into();
    }
    let mut spec = json!({});
    if let Some(count) = replicas.as_i64().filter(|count| *count != 0) {
        spec["replicas"] = count.into();
    }
    Ok(json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": shown,
    }))
}

/// Get, update and patch of the subresource.
///
/// # Errors
/// 400, 404, 409 or 422.
pub fn run(app: &App, call: &Call) -> Result<Done> {
    let resource = &*call.resource;
    let current = super::read::get(resource, call.namespace(), call.name())?;
    if call.verb == Verb::Get {
        let value = crate::objects::convert::from_storage(resource, &current);
        return Ok(Done {
            outcome: Outcome::Value(200, of(resource, &value)?),
            warnings: Vec::new(),
        });
    }
    let shown = of(resource, &current.value())?;
    let wanted = match call.verb {
        Verb::Update => {
            let value = body::value(&call.body, body::of(&call.content_type)?, "Scale")?;
            if value["kind"] != "Scale" {
                return Err(Status::bad_request(format!(
                    "expected kind \"Scale\", got {:?}",
                    value["kind"].as_str().unwrap_or_default()
                )));
            }
            value
        }
        _ => {
            let media = body::of_patch(resource, &call.content_type)?;
            let patch = body::value(&call.body, media, "Scale")?;
            let mut value = shown.clone();
            if media == body::Media::JsonPatch {
                let patch = body::json_patch(patch)?;
                json_patch::patch(&mut value, &patch)
                    .map_err(|error| Status::generic(422, "Invalid", error.to_string()))?;
            } else {
                json_patch::merge(&mut value, &patch);
            }
            value
        }
    };
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let cause = Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
            field: "spec.replicas".into(),
        };
        return Err(Status::invalid(
            "autoscaling",
            "Scale",
            call.name(),
            vec![cause],
        ));
    }
    let asked = match call.verb {
        Verb::Update => meta::text(&wanted, "resourceVersion").to_owned(),
        _ => String::new(),
    };
    let manager = call.manager()?;
    let mut write = call.write(app, &manager)?;
    let (path, ..) = paths(resource);
    let change = |value: &mut Value| {
        if !asked.is_empty() && asked != meta::text(value, "resourceVersion") {
            return Err(Status::modified(
                &resource.group,
                &resource.plural,
                call.name(),
            ));
        }
        set_at(value, path, replicas.into());
        Ok(())
    };
    let object = objects::change(&mut write, &change)?;
    let value = crate::objects::convert::from_storage(resource, &object);
    Ok(Done {
        outcome: Outcome::Value(200, of(resource, &value)?),
        warnings: write.warnings,
    })
}
