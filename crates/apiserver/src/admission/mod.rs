//! The admission plugins that are always on, as far as they change or refuse something here.

mod escalation;
mod pod;

pub use pod::quality_of_service;

use serde_json::{Value, json};

use crate::app::App;
use crate::objects::{Write, meta};
use crate::status::{Result, Status};

/// Namespaces that cannot be deleted.
pub const IMMORTAL: &[&str] = &["default", "kube-public", "kube-system"];

/// NamespaceLifecycle: the namespace exists and is not going away.
///
/// # Errors
/// 404 or 403.
fn namespace_accepts(app: &App, write: &Write<'_>, name: &str) -> Result<()> {
    let Some(namespace) = write.namespace.filter(|_| write.resource.namespaced) else {
        return Ok(());
    };
    let Some(found) = app.store.table("namespaces").get(namespace) else {
        return Err(Status::not_found("", "namespaces", namespace));
    };
    if found.deleting {
        let resource = write.resource;
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut status = Status::forbidden(&resource.group, &resource.plural, name, &why);
        if let Some(details) = &mut status.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        return Err(status);
    }
    Ok(())
}

/// Before the server fills in a new object.
///
/// # Errors
/// 403, 404 or 405.
pub fn before_create(write: &mut Write<'_>, value: &mut Value) -> Result<()> {
    let name = meta::text(value, "name").to_owned();
    namespace_accepts(write.app, write, &name)?;
    if write
        .resource
        .custom
        .as_ref()
        .is_some_and(|custom| custom.terminating)
    {
        return Err(Status::generic(
            405,
            "MethodNotAllowed",
            "create not allowed while custom resource definition is terminating",
        ));
    }
    if write.resource.custom.is_none() {
        match &*write.resource.table.name {
            "pods" => pod::complete(write, value)?,
            "persistentvolumeclaims" => claim(write.app, value),
            "persistentvolumes" => add_finalizer(value, "kubernetes.io/pv-protection"),
            _ => {}
        }
    }
    Ok(())
}

fn add_finalizer(value: &mut Value, name: &str) {
    let mut all: Vec<String> = meta::finalizers(value)
        .into_iter()
        .map(str::to_owned)
        .collect();
    if !all.iter().any(|known| known == name) {
        all.push(name.to_owned());
        meta::set_finalizers(value, &all);
    }
}

/// StorageObjectInUseProtection and DefaultStorageClass.
fn claim(app: &App, value: &mut Value) {
    add_finalizer(value, "kubernetes.io/pvc-protection");
    if !value["spec"]["storageClassName"].is_null() {
        return;
    }
    let classes = app.store.table("storageclasses.storage.k8s.io").all();
    let default = classes.iter().find(|class| {
        let metadata = class.metadata_value();
        metadata["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    });
    if let Some(default) = default {
        value["spec"]["storageClassName"] = default.name().into();
    }
}

/// Before a change is recorded.
///
/// # Errors
/// 403.
pub fn before_update(_write: &mut Write<'_>, _before: &Value, _after: &mut Value) -> Result<()> {
    Ok(())
}

fn is_rbac(write: &Write<'_>) -> bool {
    write.resource.group == "rbac.authorization.k8s.io" && write.resource.custom.is_none()
}

/// With the object as it would be created.
///
/// # Errors
/// 403 or 404.
pub fn check_create(write: &Write<'_>, value: &Value) -> Result<()> {
    if is_rbac(write) {
        escalation::check(write, None, value)
    } else {
        Ok(())
    }
}

/// With the object as it would become.
///
/// # Errors
/// 403 or 404.
pub fn check_update(write: &Write<'_>, before: &Value, after: &Value) -> Result<()> {
    if is_rbac(write) {
        escalation::check(write, Some(before), after)
    } else {
        Ok(())
    }
}
