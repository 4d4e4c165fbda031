//! Delete of one object and of a collection.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::selector::Selector;
use crate::admission::{self, IMMORTAL};
use crate::app::time_text;
use crate::objects::{DryRun, Write, convert, meta};
use crate::status::{Result, Status};
use crate::store::{Expect, Object, key};

/// How dependents are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without this owner.
    Orphan,
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
}

/// `DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// `gracePeriodSeconds`.
    pub grace: Option<i64>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub version: Option<String>,
    /// `dryRun`.
    pub dry_run: Vec<String>,
    /// `propagationPolicy` or what `orphanDependents` means.
    pub propagation: Option<Propagation>,
}

impl DeleteOptions {
    /// Reads the options of a body.
    ///
    /// # Errors
    /// 422 for an unknown policy.
    pub fn read(value: &Value) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut options = DeleteOptions {
            grace: value["gracePeriodSeconds"].as_i64(),
            uid: text(&value["preconditions"]["uid"]),
            version: text(&value["preconditions"]["resourceVersion"]),
            dry_run: value["dryRun"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|value| text(value).unwrap_or_default())
                .collect(),
            propagation: None,
        };
        if let Some(policy) = value["propagationPolicy"].as_str() {
            options.propagation = Some(policy_of(policy)?);
        } else if let Some(orphan) = value["orphanDependents"].as_bool() {
            options.propagation = Some(if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            });
        }
        Ok(options)
    }
}

/// Reads a propagation policy.
///
/// # Errors
/// 422 for an unknown one.
pub fn policy_of(text: &str) -> Result<Propagation> {
    match text {
        "Orphan" => Ok(Propagation::Orphan),
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        other => {
            let cause = crate::status::Cause {
                reason: "FieldValueNotSupported".into(),
                message: format!(
                    "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                ),
                field: "propagationPolicy".into(),
            };
            Err(Status::invalid(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                vec![cause],
            ))
        }
    }
}

/// What came of a delete.
pub enum Deleted {
    /// The object is gone; its last state.
    Gone(Arc<Object>),
    /// The object waits for its finalizers, its grace period or its content.
    Going(Arc<Object>),
}

/// Names of the finalizers that the garbage collector handles.
pub const ORPHAN_FINALIZER: &str = "orphan";
/// See [`ORPHAN_FINALIZER`].
pub const FOREGROUND_FINALIZER: &str = "foregroundDeletion";
const CRD_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Deletes one object.
///
/// # Errors
/// 403, 404 or 409.
pub fn delete(write: &mut Write<'_>, options: &DeleteOptions) -> Result<Deleted> {
    let resource = write.resource;
    let object_key = key(write.namespace.filter(|_| resource.namespaced), write.name);
    let table_name: &str = &resource.table.name;
    if table_name == "namespaces" && IMMORTAL.contains(&write.name) {
        let why = "this namespace may not be deleted";
        return Err(Status::forbidden("", "namespaces", write.name, why));
    }
    let mut warned = false;
    loop {
        let Some(current) = resource.table.get(&object_key) else {
            return Err(Status::not_found(
                &resource.group,
                &resource.plural,
                write.name,
            ));
        };
        check_preconditions(write, options, &current)?;
        let before = current.value();
        let mut warnings = Vec::new();
        admission::check_delete(
            write,
            &convert::from_storage(resource, &current),
            &mut warnings,
        )?;
        for warning in warnings {
            write.warn(warning);
        }
        let propagation = options
            .propagation
            .unwrap_or_else(|| default_propagation(table_name, &before));
        if options.propagation.is_none() && table_name == "jobs.batch" && !warned {
            warned = true;
            write.warn(
                "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
                 them or set propagationPolicy=Orphan to suppress this warning",
            );
        }
        let after = mark(write, &before, propagation, options.grace);
        let held = !meta::finalizers(&after).is_empty()
            || (table_name == "namespaces"
                && after["spec"]["finalizers"]
                    .as_array()
                    .is_some_and(|f| !f.is_empty()));
        let grace = after["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0);
        let at = Expect::Version(current.version);
        if !held && grace == 0 {
            if write.dry_run == DryRun::All {
                return Ok(Deleted::Gone(current));
            }
            let last = last_state(before);
            if let Ok(object) = write
                .app
                .store
                .remove(&resource.table, &object_key, at, last)
            {
                return Ok(Deleted::Gone(object));
            }
            continue;
        }
        if after == before {
            return Ok(Deleted::Going(current));
        }
        if write.dry_run == DryRun::All {
            return Ok(Deleted::Going(Arc::new(Object::preview(
                object_key, &after,
            ))));
        }
        if let Ok(object) = write.app.store.put(&resource.table, &object_key, at, after) {
            return Ok(Deleted::Going(object));
        }
    }
}

fn check_preconditions(write: &Write<'_>, options: &DeleteOptions, current: &Object) -> Result<()> {
    let resource = write.resource;
    let conflict =
        |why: String| Status::conflict(&resource.group, &resource.kind, write.name, &why);
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != &*current.uid) {
        return Err(conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            current.uid
        )));
    }
    let own = current.version.to_string();
    if let Some(version) = options
        .version
        .as_deref()
        .filter(|version| **version != own)
    {
        return Err(conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({own}). The object might have been modified"
        )));
    }
    Ok(())
}

fn default_propagation(table: &str, object: &Value) -> Propagation {
    let finalizers = meta::finalizers(object);
    if finalizers.contains(&ORPHAN_FINALIZER) {
        return Propagation::Orphan;
    }
    if finalizers.contains(&FOREGROUND_FINALIZER) {
        return Propagation::Foreground;
    }
    match table {
        "jobs.batch" | "replicationcontrollers" => Propagation::Orphan,
        _ => Propagation::Background,
    }
}

/// The object as the garbage collector, its finalizers or its node have to see it.
fn mark(write: &Write<'_>, before: &Value, propagation: Propagation, grace: Option<i64>) -> Value {
    let mut after = before.clone();
    let table: &str = &write.resource.table.name;
    let keep: &[&str] = match propagation {
        Propagation::Orphan => &[ORPHAN_FINALIZER],
        Propagation::Foreground => &[FOREGROUND_FINALIZER],
        Propagation::Background => &[],
    };
    let mut finalizers: Vec<String> = meta::finalizers(before)
        .into_iter()
        .filter(|name| !matches!(*name, ORPHAN_FINALIZER | FOREGROUND_FINALIZER))
        .map(str::to_owned)
        .collect();
    finalizers.extend(keep.iter().map(|name| (*name).to_owned()));
    let already = before["metadata"]["deletionTimestamp"].is_string();
    if table == "customresourcedefinitions.apiextensions.k8s.io"
        && !already
        && !finalizers.iter().any(|name| name == CRD_FINALIZER)
    {
        finalizers.push(CRD_FINALIZER.into());
    }
    meta::set_finalizers(&mut after, &finalizers);
    let grace = match table {
        "pods" => pod_grace(before, grace),
        _ => 0,
    };
    let now = write.app.now();
    let generation = before["metadata"]["generation"].as_i64();
    let metadata = meta::of(&mut after);
    if already {
        // A second delete can only shorten the grace period.
        let known = before["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0);
        if grace < known {
            metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
        }
        return after;
    }
    metadata.insert(
        "deletionTimestamp".into(),
        time_text(now + SignedDuration::from_secs(grace)).into(),
    );
    if table != "namespaces" {
        metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
    }
    if let Some(generation) = generation.filter(|generation| *generation > 0) {
        metadata.insert("generation".into(), (generation + 1).into());
    }
    match table {
        "namespaces" => after["status"]["phase"] = "Terminating".into(),
        "customresourcedefinitions.apiextensions.k8s.io" => {
            let conditions = &mut after["status"]["conditions"];
            if !conditions.is_array() {
                *conditions = json!([]);
            }
            if let Some(list) = conditions.as_array_mut() {
                list.push(json!({
                    "type": "Terminating", "status": "True", "lastTransitionTime": time_text(now),
                    "reason": "InstanceDeletionPending",
                    "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
                }));
            }
        }
        _ => {}
    }
    after
}

/// Seconds that a pod gets to stop: what is asked, or what its spec says; none before it is on a node.
fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let scheduled = pod["spec"]["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let over = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if !scheduled || over {
        return 0;
    }
    let own = pod["spec"]["terminationGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(30);
    asked.unwrap_or(own).max(0)
}

/// The state that the last watch event shows: as it was.
fn last_state(before: Value) -> Value {
    before
}

/// Whether the answer to a delete is the object instead of a Status, as for these kinds of the real server.
pub fn returns_object(table: &str) -> bool {
    matches!(
        table,
        "pods"
            | "services"
            | "serviceaccounts"
            | "persistentvolumes"
            | "persistentvolumeclaims"
            | "podtemplates"
            | "resourcequotas"
            | "storageclasses.storage.k8s.io"
            | "volumeattachments.storage.k8s.io"
            | "csidrivers.storage.k8s.io"
            | "csinodes.storage.k8s.io"
            | "resourceclaims.resource.k8s.io"
            | "resourceclaimtemplates.resource.k8s.io"
            | "resourceslices.resource.k8s.io"
            | "deviceclasses.resource.k8s.io"
    )
}

/// The Status of a finished delete.
pub fn success(write: &Write<'_>, object: &Object) -> Value {
    let resource = write.resource;
    let mut details = json!({"name": object.name(), "kind": resource.plural, "uid": &*object.uid});
    if !resource.group.is_empty() {
        details["group"] = resource.group.as_str().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Deletes every selected object; gives those that there were.
///
/// # Errors
/// The first error that is not a 404.
pub fn delete_collection(
    write: &mut Write<'_>,
    selector: &Selector,
    options: &DeleteOptions,
) -> Result<Vec<Arc<Object>>> {
    let prefix = match write.namespace {
        Some(namespace) if write.resource.namespaced => format!("{namespace}/"),
        _ => String::new(),
    };
    let snapshot = write
        .resource
        .table
        .list(&prefix, None, None)
        .map_err(|_| Status::gone("expired"))?;
    let objects: Vec<_> = snapshot
        .objects
        .into_iter()
        .filter(|object| selector.matches(object))
        .collect();
    for object in &objects {
        let mut one = Write {
            namespace: object.namespace(),
            name: object.name(),
            warnings: Vec::new(),
            ..*write
        };
        match delete(&mut one, options) {
            Err(status) if status.code != 404 => return Err(status),
            _ => {
                let warnings = std::mem::take(&mut one.warnings);
                for warning in warnings {
                    write.warn(warning);
                }
            }
        }
    }
    Ok(objects)
}
