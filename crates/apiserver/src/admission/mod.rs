//! The admission plugins that are always on, as far as they change or refuse something here.

mod escalation;
mod limits;
mod matching;
mod pod;
mod policy;
mod quota;
mod webhook;
mod webhook_call;

use matching::Request;
pub use policy::Policies;
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

/// What the plugins do to a new or changed object.
///
/// # Errors
/// 403, 404 or 405.
pub fn admit(
    write: &Write<'_>,
    value: &mut Value,
    old: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    complete(write, value, old)?;
    webhook::change(write, value, old, warnings)
}

fn complete(write: &Write<'_>, value: &mut Value, old: Option<&Value>) -> Result<()> {
    if let Some(old) = old {
        return if is_rbac(write) {
            escalation::check(write, Some(old), value)
        } else {
            Ok(())
        };
    }
    let name = meta::text(value, "name").to_owned();
    namespace_accepts(write.app, write, &name)?;
    if write
        .resource
        .custom
        .as_ref()
        .is_some_and(|custom| custom.terminating)
    {
        let text = "create not allowed while custom resource definition is terminating";
        return Err(Status::generic(405, "MethodNotAllowed", text));
    }
    if write.resource.custom.is_some() {
        return Ok(());
    }
    match &*write.resource.table.name {
        "pods" => {
            pod::complete(write, value)?;
            limits::complete_pod(write, value)?;
        }
        "persistentvolumeclaims" => {
            claim(write.app, value);
            limits::check_claim(write, value)?;
        }
        "persistentvolumes" => add_finalizer(value, "kubernetes.io/pv-protection"),
        _ if is_rbac(write) => escalation::check(write, None, value)?,
        _ => {}
    }
    Ok(())
}

/// What policies and plugins say of a new or changed object that is valid.
///
/// # Errors
/// 403, or what a policy or a webhook answers.
pub fn check(
    write: &Write<'_>,
    value: &Value,
    old: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let request = Request::of(write, Some(value), old);
    policy::check(&request, warnings)?;
    webhook::check(&request, warnings)?;
    quota::check(write, value, old)
}

/// What policies and webhooks say of a deletion.
///
/// # Errors
/// What they answer.
pub fn check_delete(write: &Write<'_>, old: &Value, warnings: &mut Vec<String>) -> Result<()> {
    let request = Request::of(write, None, Some(old));
    policy::check(&request, warnings)?;
    webhook::check(&request, warnings)
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

fn is_rbac(write: &Write<'_>) -> bool {
    write.resource.group == "rbac.authorization.k8s.io" && write.resource.custom.is_none()
}
