//! Create, replace, patch and apply, down to the store.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_schema::failure::Failure;
use sluice_schema::managed::{self, Update};
use sluice_schema::write::{self as rules, Hooks, Written};

use super::service::{self, Reserved};
use super::{Body, DryRun, PatchType, Typed, Write, convert, meta};
use crate::admission;
use crate::app::time_text;
use crate::random;
use crate::status::{Result, Status};
use crate::store::{Expect, Object, key};

/// How often a write is tried again when another one comes first.
const ATTEMPTS: usize = 32;

/// Whether an apply takes fields that others own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It fails with a conflict.
    No,
    /// It takes them.
    Yes,
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        Status {
            code: failure.code,
            reason: failure.reason,
            message: failure.message,
            details: failure.details,
            warnings: Vec::new(),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure {
            code: status.code,
            reason: status.reason,
            message: status.message,
            details: status.details,
        }
    }
}

/// What this server adds to a write.
struct Server<'w, 'a> {
    write: &'w Write<'a>,
    reserved: Reserved,
    warnings: Vec<String>,
}

impl Hooks for Server<'_, '_> {
    fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    fn uid(&mut self) -> String {
        random::uid()
    }

    fn name_suffix(&mut self) -> String {
        random::suffix()
    }

    fn admit(&mut self, object: &mut Value, old: Option<&Value>) -> Result<(), Failure> {
        Ok(admission::admit(
            self.write,
            object,
            old,
            &mut self.warnings,
        )?)
    }

    fn check(&mut self, object: &Value, old: Option<&Value>) -> Result<(), Failure> {
        Ok(admission::check(
            self.write,
            object,
            old,
            &mut self.warnings,
        )?)
    }

    fn allocate(&mut self, object: &mut Value, old: Option<&Value>) -> Result<(), Failure> {
        let services =
            self.write.resource.custom.is_none() && &*self.write.resource.table.name == "services";
        if services && self.write.subresource.is_empty() {
            self.reserved = service::allocate(self.write, old, object)?;
        }
        Ok(())
    }
}

/// Makes a write with the rules of its kind.
fn ruled<T>(
    write: &mut Write<'_>,
    act: impl FnOnce(&rules::Write<'_>, &mut Server<'_, '_>) -> Result<T, Failure>,
) -> Result<(T, Reserved)> {
    let Some(kind) = Typed::of(write.resource) else {
        return Err(Status::method_not_allowed());
    };
    let now = time_text(write.app.now());
    let request = rules::Write {
        resource: kind.rules(),
        namespace: write.own_namespace().unwrap_or_default(),
        name: write.name,
        subresource: write.subresource,
        manager: write.manager,
        validation: write.validation,
        now: &now,
    };
    let mut server = Server {
        write,
        reserved: Reserved::default(),
        warnings: Vec::new(),
    };
    let done = act(&request, &mut server);
    let (reserved, warnings) = (server.reserved, server.warnings);
    match done {
        Ok(done) => {
            for warning in warnings {
                write.warn(warning);
            }
            Ok((done, reserved))
        }
        Err(failure) => {
            let mut status = Status::from(failure);
            for warning in warnings {
                if !status.warnings.contains(&warning) {
                    status.warnings.push(warning);
                }
            }
            Err(status)
        }
    }
}

/// Reads the body of a request for a resource without objects.
///
/// # Errors
/// 400.
pub fn read(write: &mut Write<'_>, body: Body<'_>) -> Result<Value> {
    let Some(kind) = Typed::of(write.resource) else {
        return Err(Status::method_not_allowed());
    };
    let found = kind.rules().read(body, write.validation)?;
    write.warnings.extend(found.warnings);
    Ok(found.object)
}

/// The typed form of a document that a webhook has changed, with its defaults.
///
/// # Errors
/// Why it is no object of the kind.
pub fn reread(resource: &crate::registry::Resource, document: Value) -> Result<Value, String> {
    let Some(kind) = Typed::of(resource) else {
        return Ok(document);
    };
    let decoded = kind.rules().reread(document, true)?;
    Ok(decoded.object)
}

/// Records in `managedFields` who made an object that is not stored.
pub fn track(write: &Write<'_>, object: &mut Value) {
    let Some(kind) = Typed::of(write.resource) else {
        return;
    };
    let now = time_text(write.app.now());
    let live = kind.rules().empty(&write.resource.api_version);
    let update = Update {
        live: &live,
        manager: write.manager,
        subresource: write.subresource,
        now: &now,
    };
    managed::update(kind.rules(), update, object);
}

/// Creates an object.
///
/// # Errors
/// Whatever the real server answers: 400, 403, 404, 409, 422.
pub fn create(write: &mut Write<'_>, body: Body<'_>) -> Result<Arc<Object>> {
    let (written, reserved) = ruled(write, |request, server| request.create(body, server))?;
    store_new(write, written, reserved)
}

fn store_new(write: &mut Write<'_>, written: Written, reserved: Reserved) -> Result<Arc<Object>> {
    let resource = write.resource;
    let name = meta::text(&written.object, "name").to_owned();
    let exists = || Status::already_exists(&resource.group, &resource.plural, &name);
    let object_key = key(write.own_namespace(), &name);
    let value = convert::to_storage(resource, written.object);
    if write.dry_run == DryRun::All {
        if resource.table.get(&object_key).is_some() {
            return Err(exists());
        }
        return Ok(Arc::new(Object::preview(object_key, &value)));
    }
    let made = write
        .app
        .store
        .put(&resource.table, &object_key, Expect::Absent, value)
        .map_err(|_| exists())?;
    reserved.keep();
    Ok(made)
}

/// One attempt at a write of an object that may exist; tried again when another write comes first.
fn attempts(
    write: &mut Write<'_>,
    mut act: impl FnMut(
        &rules::Write<'_>,
        Option<&Value>,
        &mut Server<'_, '_>,
    ) -> Result<Written, Failure>,
) -> Result<Arc<Object>> {
    let resource = write.resource;
    let object_key = key(write.own_namespace(), write.name);
    for _ in 0..ATTEMPTS {
        let current = resource.table.get(&object_key);
        let before = current
            .as_ref()
            .map(|current| convert::from_storage(resource, current));
        let (written, reserved) = ruled(write, |request, server| {
            act(request, before.as_ref(), server)
        })?;
        let done = match &current {
            None => match store_new(write, written, reserved) {
                Err(status) if status.reason == "AlreadyExists" => continue,
                other => return other,
            },
            Some(current) => store_changed(write, current, written, reserved),
        };
        if let Some(done) = done {
            return Ok(done);
        }
    }
    Err(Status::modified(
        &resource.group,
        &resource.plural,
        write.name,
    ))
}

/// Brings a changed object into the store. None where another write came first.
fn store_changed(
    write: &mut Write<'_>,
    current: &Arc<Object>,
    written: Written,
    reserved: Reserved,
) -> Option<Arc<Object>> {
    let resource = write.resource;
    if !written.changed {
        reserved.keep();
        return Some(current.clone());
    }
    let value = convert::to_storage(resource, written.object);
    if write.dry_run == DryRun::All {
        return Some(Arc::new(Object::preview(current.key.clone(), &value)));
    }
    let at = Expect::Version(current.version);
    let store = &write.app.store;
    // A deleted object goes with its last finalizer.
    let done = if current.deleting && removable(&value) {
        store.remove(&resource.table, &current.key, at, value)
    } else {
        store.put(&resource.table, &current.key, at, value)
    };
    let done = done.ok()?;
    reserved.keep();
    Some(done)
}

/// Whether nothing holds a deleted object any more.
fn removable(value: &Value) -> bool {
    let grace = value["metadata"]["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(0);
    let held = value["kind"] == "Namespace"
        && value["spec"]["finalizers"]
            .as_array()
            .is_some_and(|f| !f.is_empty());
    meta::finalizers(value).is_empty() && grace == 0 && !held
}

/// PUT.
///
/// # Errors
/// Whatever the real server answers: 400, 403, 404, 409, 422.
pub fn replace(write: &mut Write<'_>, body: &Body<'_>) -> Result<Arc<Object>> {
    attempts(write, |request, live, server| {
        request.replace(live, body.clone(), server)
    })
}

/// PATCH other than apply.
///
/// # Errors
/// Whatever the real server answers: 400, 403, 404, 409, 415, 422.
pub fn patch(write: &mut Write<'_>, kind: PatchType, patch: &[u8]) -> Result<Arc<Object>> {
    attempts(write, |request, live, server| {
        request.patch(live, kind, patch, server)
    })
}

/// Server-side apply. `strict` are errors of the text that strict field validation refuses.
///
/// # Errors
/// 409 where other managers own fields and `force` is not given, and whatever create and patch answer.
pub fn apply(
    write: &mut Write<'_>,
    config: &Value,
    strict: &[String],
    force: Force,
) -> Result<Arc<Object>> {
    attempts(write, |request, live, server| {
        request.apply(live, config, strict, force == Force::Yes, server)
    })
}

/// A change that the server itself makes to an object in the version of the resource.
///
/// # Errors
/// 404, what `change` says, and whatever replace answers.
pub fn change(
    write: &mut Write<'_>,
    change: &dyn Fn(&mut Value) -> Result<()>,
) -> Result<Arc<Object>> {
    attempts(write, |request, live, server| {
        let Some(live) = live else {
            return request.replace(None, Body::Value(named(request.name), Vec::new()), server);
        };
        let mut object = live.clone();
        change(&mut object)?;
        request.replace(Some(live), Body::Value(object, Vec::new()), server)
    })
}

/// `namespaces/finalize`: replaces the finalizers of the spec; the namespace goes with the last one.
///
/// # Errors
/// 404 or 409.
pub fn finalize(write: &mut Write<'_>, finalizers: &[String]) -> Result<Arc<Object>> {
    let resource = write.resource;
    for _ in 0..ATTEMPTS {
        let current = resource.table.get(write.name);
        let current = current
            .ok_or_else(|| Status::not_found(&resource.group, &resource.plural, write.name))?;
        let mut object = current.value();
        let changed = object["spec"]["finalizers"] != json!(finalizers);
        object["spec"] = if finalizers.is_empty() {
            json!({})
        } else {
            json!({ "finalizers": finalizers })
        };
        let written = Written {
            object,
            created: false,
            changed,
        };
        if let Some(done) = store_changed(write, &current, written, Reserved::default()) {
            return Ok(done);
        }
    }
    Err(Status::modified(
        &resource.group,
        &resource.plural,
        write.name,
    ))
}

/// Enough of an object to be told that it does not exist.
fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}
