//! Server-side apply.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use super::conflict::Conflicts;
use super::entries::{Entry, ManagedError, Operation, decode, encode};
use super::last_applied::{allowed_conflicts, refresh_annotation};
use super::update::{Change, Force, adapt, hand_over, track};
use super::{
    Kind, api_version, object_name, same_object, set_managed_fields, stripped,
    without_managed_fields,
};
use crate::fields::Set;
use crate::schema::{Schema, TypeId};
use crate::typed::{Duplicates, compare, merge, remove, to_field_set, validate, with_named_fields};

/// One server-side apply.
#[derive(Debug, Clone, Copy)]
pub struct ApplyRequest<'a> {
    /// The object before; [`Kind::empty`] for one that does not exist. In the version of the request.
    pub live: &'a Value,
    /// What is applied.
    pub patch: &'a Value,
    /// The group, version and kind of the resource, as `group/version, Kind=kind`.
    pub kind: &'a crate::GroupVersionKind,
    /// `fieldManager`.
    pub manager: &'a str,
    /// The subresource applied to; empty for the object itself.
    pub subresource: &'a str,
    /// `force`.
    pub force: bool,
    /// The time to record, as `2006-01-02T15:04:05Z`.
    pub now: &'a str,
}

/// The result of an apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object with its `managedFields`. Before admission, the strategy of the kind, and validation.
    pub object: Value,
    /// Whether anything but `managedFields` differs from the live object.
    pub changed: bool,
}

/// Why an apply is refused.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// Code 400.
    #[error("{0}")]
    BadRequest(String),
    /// Code 409.
    #[error(transparent)]
    Conflict(#[from] Conflicts),
    /// Code 500, without a reason.
    #[error("failed to create typed {what} object ({object}): {why}")]
    Typed {
        /// `patch` or `live`.
        what: &'static str,
        /// The object.
        object: String,
        /// What does not fit.
        why: String,
    },
    /// Code 500, without a reason.
    #[error("failed to decode managed fields: {0}")]
    Managed(#[from] ManagedError),
    /// Code 500, without a reason.
    #[error("failed to convert new object ({object}) to proper version: {why}")]
    Convert {
        /// The object.
        object: String,
        /// What cannot be read.
        why: String,
    },
}

/// Applies a configuration.
///
/// # Errors
/// See [`ApplyError`]; texts are the server's.
pub fn apply(kind: &dyn Kind, request: &ApplyRequest<'_>) -> Result<Applied, ApplyError> {
    let patch = request.patch;
    let given = (
        api_version(patch),
        patch["kind"].as_str().unwrap_or_default(),
    );
    if given
        != (
            request.kind.api_version().as_str(),
            request.kind.kind.as_str(),
        )
    {
        let gvk = crate::GroupVersionKind::from_api_version(given.0, given.1);
        return Err(ApplyError::BadRequest(format!(
            "invalid object type: {gvk}"
        )));
    }
    let managed = decode(request.live)?;
    let empty;
    let managed = if managed.is_empty() {
        // Fields that were there before anybody applied get an owner of their own.
        empty = kind.empty(given.0);
        let entry = Entry::new(
            "before-first-apply",
            Operation::Update,
            given.0,
            request.subresource,
            Set::new(),
        );
        track(kind, &empty, request.live, Vec::new(), entry, request.now).unwrap_or_default()
    } else {
        managed
    };
    let force = if request.force { Force::Yes } else { Force::No };
    let is_kubectl = request.manager == "kubectl";
    let again = (is_kubectl && force == Force::No).then(|| managed.clone());
    let result = match apply_structured(kind, request, managed, force) {
        Err(ApplyError::Conflict(conflicts)) if let Some(managed) = again => {
            // What kubectl's client-side apply owned may become kubectl's server-side apply's.
            match allowed_conflicts(kind, request.live, given.0) {
                Some(allowed) => {
                    let rest = conflicts.outside(&allowed);
                    if !rest.0.is_empty() {
                        return Err(rest.into());
                    }
                    apply_structured(kind, request, managed, Force::Yes)?
                }
                None => return Err(conflicts.into()),
            }
        }
        result => result?,
    };
    let (new, mut managed, at) = result;
    let changed = new.is_some();
    let mut object = match new {
        Some(new) => {
            if let Some(at) = at {
                managed[at].time = Some(Cow::Borrowed(request.now));
            }
            let name = object_name(&new);
            kind.complete(new)
                .map_err(|why| ApplyError::Convert { object: name, why })?
        }
        None => without_managed_fields(request.live),
    };
    let entries = encode(managed);
    if is_kubectl {
        refresh_annotation(&mut object, patch);
    }
    set_managed_fields(&mut object, entries);
    Ok(Applied { object, changed })
}

/// The merged object if it differs, the entries, and the position of the applier's entry if it owns anything.
type Structured<'a> = (Option<Value>, Vec<Entry<'a>>, Option<usize>);

fn apply_structured<'a>(
    kind: &'a dyn Kind,
    request: &ApplyRequest<'a>,
    managed: Vec<Entry<'a>>,
    force: Force,
) -> Result<Structured<'a>, ApplyError> {
    let (live, patch) = (request.live, request.patch);
    let version = api_version(patch);
    if !patch["metadata"]["managedFields"].is_null() {
        return Err(ApplyError::BadRequest(
            "metadata.managedFields must be nil".into(),
        ));
    }
    let schema = kind.schema();
    let Some(id) = kind.type_of(version) else {
        let text = format!("no corresponding type for {}", request.kind);
        return Err(ApplyError::Typed {
            what: "patch",
            object: object_name(patch),
            why: text,
        });
    };
    for (what, object, duplicates) in [
        ("patch", patch, Duplicates::Refuse),
        ("live", live, Duplicates::Allow),
    ] {
        validate(schema, id, object, duplicates).map_err(|why| ApplyError::Typed {
            what,
            object: object_name(object),
            why: why.to_string(),
        })?;
    }
    let mut managed = adapt(kind, managed);
    let reset = kind.reset_fields(version, request.subresource);
    let set = to_field_set(schema, id, patch).recursive_difference(reset);
    let mut entry = Entry::new(
        request.manager,
        Operation::Apply,
        version,
        request.subresource,
        set,
    );
    let at = match managed.iter().position(|known| known.same_manager(&entry)) {
        Some(at) => at,
        None => {
            managed.push(Entry {
                set: Set::new(),
                ..entry.clone()
            });
            managed.len() - 1
        }
    };
    entry.time = managed[at].time.clone();
    let last = std::mem::replace(&mut managed[at], entry);
    let merged = merge(schema, id, without_managed_fields(live), patch);
    let merged = match last.api_version == version && last.set.is_subset(&managed[at].set) {
        // Nothing that was applied before is missing now, so nothing is to be removed.
        true => merged,
        false => prune(kind, merged, &managed, version, last),
    };
    let comparison = compare(schema, id, live, &merged).without(reset);
    let identity = managed[at].clone();
    let change = Change {
        live,
        new: &merged,
        comparison: &comparison,
        subresource: request.subresource,
    };
    let mut managed = hand_over(kind, &change, managed, Some(at), force)?;
    let at = managed
        .iter()
        .position(|known| known.same_manager(&identity));
    if let Some(at) = at {
        managed[at].set = std::mem::take(&mut managed[at].set).difference(stripped());
    }
    let gone = at.filter(|at| managed[*at].set.is_empty());
    let at = match gone {
        Some(at) => {
            managed.remove(at);
            None
        }
        None => at,
    };
    let new = (!same_object(live, &merged)).then_some(merged);
    Ok((new, managed, at))
}

/// Removes from the merged object what its applier applied before and does not apply now, unless others own it.
fn prune(
    kind: &dyn Kind,
    merged: Value,
    managed: &[Entry<'_>],
    version: &str,
    last: Entry<'_>,
) -> Value {
    if last.set.is_empty() {
        return merged;
    }
    let schema = kind.schema();
    let last_version = last.api_version.as_ref();
    let (Some(id), Some(in_last)) = (
        kind.type_of(last_version),
        kind.convert(&merged, last_version),
    ) else {
        return merged;
    };
    let last_set = with_named_fields(schema, id, last.set.into_owned());
    let mut pruned = in_last.clone();
    remove(schema, id, &mut pruned, &last_set);
    let mut owned: BTreeMap<&str, Set<'_>> = BTreeMap::new();
    for entry in managed {
        let set = owned.entry(&entry.api_version).or_default();
        *set = std::mem::take(set).union(entry.set.clone());
    }
    // The version of the pruned object first: a conversion may need what is added back.
    let mut versions: Vec<(&str, Set<'_>)> = owned.into_iter().collect();
    versions.sort_by_key(|(version, _)| *version != last_version);
    let mut whole = in_last;
    for (version, set) in versions {
        let (Some(id), Some(as_whole), Some(as_pruned)) = (
            kind.type_of(version),
            kind.convert(&whole, version),
            kind.convert(&pruned, version),
        ) else {
            continue;
        };
        pruned = add_back(schema, id, &as_whole, &as_pruned, set);
        whole = as_whole;
    }
    let (Some(whole), Some(pruned)) = (
        kind.convert(&whole, last_version),
        kind.convert(&pruned, last_version),
    ) else {
        return merged;
    };
    // Only what was applied before goes; what others put beside it stays.
    let before = with_named_fields(schema, id, to_field_set(schema, id, &whole));
    let after = with_named_fields(schema, id, to_field_set(schema, id, &pruned));
    let gone = before
        .difference(&after)
        .intersection(&last_set)
        .into_owned();
    let mut result = whole;
    remove(schema, id, &mut result, &gone);
    kind.convert(&result, version).unwrap_or(merged)
}

/// The pruned object with what somebody owns.
fn add_back(schema: &Schema, id: TypeId, whole: &Value, pruned: &Value, owned: Set<'_>) -> Value {
    let all = with_named_fields(schema, id, to_field_set(schema, id, whole));
    let kept = with_named_fields(schema, id, to_field_set(schema, id, pruned)).into_owned();
    let owned = with_named_fields(schema, id, owned.into_owned());
    let gone = all.difference(&kept.union(owned)).into_owned();
    let mut result = whole.clone();
    remove(schema, id, &mut result, &gone);
    result
}
