//! Create, update, patch and apply, down to the store.

use std::sync::Arc;

use serde_json::Value;

use super::schema::{self, Force, Input, Manager};
use super::{DryRun, Write, convert, meta, strategy};
use crate::admission;
use crate::app::time_text;
use crate::status::{Cause, Result, Status};
use crate::store::{Expect, Object, key};

/// How often a write is tried again when another one comes first.
const ATTEMPTS: usize = 32;

/// A change of an existing object.
pub enum Patch<'a> {
    /// PUT.
    Replace(&'a Value),
    /// `application/json-patch+json`.
    Json(&'a json_patch::Patch),
    /// `application/merge-patch+json`.
    Merge(&'a Value),
    /// `application/strategic-merge-patch+json`.
    Strategic(&'a Value),
    /// Anything that the server itself computes from the object in the version of the resource.
    With(&'a (dyn Fn(&mut Value) -> Result<()> + Sync)),
}

fn refuse(write: &Write<'_>, name: &str, causes: Vec<Cause>) -> Result<()> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(
        &write.resource.group,
        &write.resource.kind,
        name,
        causes,
    ))
}

/// Creates an object from a body in the version of the resource.
///
/// # Errors
/// Whatever the real server answers: 400, 403, 404, 409, 422.
pub fn create(write: &mut Write<'_>, input: Input<'_>) -> Result<Arc<Object>> {
    let mut value = schema::read(write, input)?;
    schema::default(write.resource, &mut value);
    create_complete(write, value, None)
}

/// Creates an object whose fields are complete; `applied` is the configuration where it comes from an apply.
fn create_complete(
    write: &mut Write<'_>,
    mut value: Value,
    applied: Option<(&Value, Force)>,
) -> Result<Arc<Object>> {
    let resource = write.resource;
    meta::settle_namespace(write, &mut value)?;
    let time = time_text(write.app.now());
    let manager = Manager {
        name: write.manager,
        subresource: write.subresource,
        time: &time,
    };
    value["apiVersion"] = resource.api_version.as_str().into();
    value["kind"] = resource.kind.as_str().into();
    if applied.is_none() {
        schema::track(resource, None, &mut value, &manager);
    }
    admission::before_create(write, &mut value)?;
    meta::fill_new(write, &mut value);
    let reserved = strategy::prepare_new(write, &mut value)?;
    let name = meta::text(&value, "name").to_owned();
    refuse(write, &name, schema::validate_new(resource, &value))?;
    admission::check_create(write, &value)?;
    if name.is_empty() {
        return Err(Status::invalid(
            &resource.group,
            &resource.kind,
            "",
            vec![Cause {
                reason: "FieldValueRequired".into(),
                message: "Required value: name or generateName is required".into(),
                field: "metadata.name".into(),
            }],
        ));
    }
    let mut value = convert::to_storage(resource, value);
    schema::stored(resource, &mut value);
    let object_key = key(write.namespace.filter(|_| resource.namespaced), &name);
    if write.dry_run == DryRun::All {
        if resource.table.get(&object_key).is_some() {
            return Err(Status::already_exists(
                &resource.group,
                &resource.plural,
                &name,
            ));
        }
        return Ok(Arc::new(Object::preview(object_key, &value)));
    }
    let store = &write.app.store;
    let made = store
        .put(&resource.table, &object_key, Expect::Absent, value)
        .map_err(|_| Status::already_exists(&resource.group, &resource.plural, &name))?;
    reserved.keep();
    Ok(made)
}

/// Changes an object.
///
/// # Errors
/// Whatever the real server answers: 400, 404, 409, 415, 422.
pub fn update(write: &mut Write<'_>, patch: &Patch<'_>) -> Result<Arc<Object>> {
    let resource = write.resource;
    let object_key = key(write.namespace.filter(|_| resource.namespaced), write.name);
    for _ in 0..ATTEMPTS {
        let Some(current) = resource.table.get(&object_key) else {
            return Err(Status::not_found(
                &resource.group,
                &resource.plural,
                write.name,
            ));
        };
        let before = convert::from_storage(resource, current.value());
        let mut after = patched(write, &before, patch)?;
        let asked = meta::text(&after, "resourceVersion").to_owned();
        if !asked.is_empty() && asked != current.version.to_string() {
            return Err(Status::modified(
                &resource.group,
                &resource.plural,
                write.name,
            ));
        }
        schema::default(resource, &mut after);
        if let Some(done) = commit(write, &current, &before, after, None)? {
            return Ok(done);
        }
    }
    Err(Status::modified(
        &resource.group,
        &resource.plural,
        write.name,
    ))
}

fn patched(write: &mut Write<'_>, before: &Value, patch: &Patch<'_>) -> Result<Value> {
    let resource = write.resource;
    let mut after = before.clone();
    match patch {
        Patch::Replace(value) => after = (*value).clone(),
        Patch::Merge(value) => json_patch::merge(&mut after, value),
        Patch::Strategic(value) => after = schema::strategic_merge(resource, before, value)?,
        Patch::With(change) => change(&mut after)?,
        Patch::Json(patch) => json_patch::patch(&mut after, patch).map_err(|_| {
            let message = "the server rejected our request due to an error in our request";
            Status::generic(422, "Invalid", message)
        })?,
    }
    after = match patch {
        Patch::Replace(_) => after,
        Patch::Strategic(value) => schema::read_patched(write, after, &go_map(value))?,
        _ => {
            let shown = after.to_string();
            schema::read_patched(write, after, &shown)?
        }
    };
    let named = meta::text(&after, "name");
    if !named.is_empty() && named != write.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            write.name
        )));
    }
    if let Patch::Replace(_) = patch {
        let given = meta::text(&after, "uid");
        let own = meta::text(before, "uid");
        if !given.is_empty() && given != own {
            let group = if resource.custom.is_some() {
                format!("{}/", resource.group)
            } else {
                String::new()
            };
            let namespace = write
                .namespace
                .map(|namespace| format!("{namespace}/"))
                .unwrap_or_default();
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{namespace}{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object meta: {own}",
                resource.plural, write.name
            );
            return Err(Status::conflict(
                &resource.group,
                &resource.plural,
                write.name,
                &why,
            ));
        }
    }
    Ok(after)
}

/// Server-side apply.
///
/// # Errors
/// 409 where other managers own fields and `force` is not given, and whatever create and update answer.
pub fn apply(write: &mut Write<'_>, config: &Value, force: Force) -> Result<Arc<Object>> {
    let resource = write.resource;
    let object_key = key(write.namespace.filter(|_| resource.namespaced), write.name);
    for _ in 0..ATTEMPTS {
        let time = time_text(write.app.now());
        let manager = Manager {
            name: write.manager,
            subresource: write.subresource,
            time: &time,
        };
        let Some(current) = resource.table.get(&object_key) else {
            if !write.subresource.is_empty() || !meta::text(config, "resourceVersion").is_empty() {
                return Err(Status::not_found(
                    &resource.group,
                    &resource.plural,
                    write.name,
                ));
            }
            let mut value = schema::apply(resource, None, config, force, &manager)?;
            meta::of(&mut value)
                .entry("name")
                .or_insert_with(|| write.name.into());
            schema::default(resource, &mut value);
            match create_complete(write, value, Some((config, force))) {
                Err(status) if status.reason == "AlreadyExists" => continue,
                other => return other,
            }
        };
        let before = convert::from_storage(resource, current.value());
        let asked = meta::text(config, "resourceVersion");
        if !asked.is_empty() && asked != current.version.to_string() {
            return Err(Status::modified(
                &resource.group,
                &resource.plural,
                write.name,
            ));
        }
        let mut after = schema::apply(resource, Some(&before), config, force, &manager)?;
        schema::default(resource, &mut after);
        if let Some(done) = commit(write, &current, &before, after, Some(()))? {
            return Ok(done);
        }
    }
    Err(Status::modified(
        &resource.group,
        &resource.plural,
        write.name,
    ))
}

/// Brings a changed value into the store. None where another write came first.
fn commit(
    write: &mut Write<'_>,
    current: &Arc<Object>,
    before: &Value,
    mut after: Value,
    applied: Option<()>,
) -> Result<Option<Arc<Object>>> {
    let resource = write.resource;
    let mut causes = Vec::new();
    if meta::text(&after, "uid").is_empty() {
        meta::of(&mut after).insert("uid".into(), meta::text(before, "uid").into());
    }
    meta::settle_namespace(write, &mut after)?;
    after["apiVersion"] = resource.api_version.as_str().into();
    after["kind"] = resource.kind.as_str().into();
    let time = time_text(write.app.now());
    let manager = Manager {
        name: write.manager,
        subresource: write.subresource,
        time: &time,
    };
    if applied.is_none() {
        schema::track(resource, Some(before), &mut after, &manager);
    }
    admission::before_update(write, before, &mut after)?;
    meta::check_update(before, &after, &mut causes);
    meta::keep_on_update(before, &mut after);
    let reserved = strategy::prepare_change(write, before, &mut after)?;
    causes.extend(schema::validate_change(resource, before, &after));
    refuse(write, write.name, causes)?;
    admission::check_update(write, before, &after)?;
    meta::of(&mut after).insert("resourceVersion".into(), current.version.to_string().into());
    schema::ignore_time_changes(before, &mut after);
    if *before == after {
        return Ok(Some(current.clone()));
    }
    let mut value = convert::to_storage(resource, after);
    schema::stored(resource, &mut value);
    if write.dry_run == DryRun::All {
        return Ok(Some(Arc::new(Object::preview(current.key.clone(), &value))));
    }
    let at = Expect::Version(current.version);
    let store = &write.app.store;
    // A deleted object goes with its last finalizer.
    if current.deleting && removable(&value) {
        return Ok(store.remove(&resource.table, &current.key, at, value).ok());
    }
    let Ok(written) = store.put(&resource.table, &current.key, at, value) else {
        return Ok(None);
    };
    reserved.keep();
    Ok(Some(written))
}

/// Whether nothing holds a deleted object any more.
fn removable(value: &Value) -> bool {
    let grace = value["metadata"]["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(0);
    let held = value["kind"] == "Namespace"
        && value["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
    meta::finalizers(value).is_empty() && grace == 0 && !held
}

/// A JSON value as Go's `%v` shows it: `map[a:1 b:[x y]]`.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let all: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", go_map(value)))
                .collect();
            format!("map[{}]", all.join(" "))
        }
        Value::Array(list) => format!(
            "[{}]",
            list.iter().map(go_map).collect::<Vec<_>>().join(" ")
        ),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        other => other.to_string(),
    }
}
