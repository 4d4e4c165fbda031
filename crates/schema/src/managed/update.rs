//! Ownership of fields that are written other than by server-side apply.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::conflict::Conflicts;
use super::entries::{Entry, Operation, decode, decode_list, encode};
use super::{Kind, api_version, set_managed_fields, stripped};
use crate::fields::Set;
use crate::typed::{Comparison, Duplicates, compare, reconcile, validate};

/// Entries of updates beyond this number are merged, the oldest first.
const MAX_UPDATE_MANAGERS: usize = 10;

/// A write whose result is known.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// The object before; [`Kind::empty`] for one that is created. In the version of the request.
    pub live: &'a Value,
    /// The manager's name; `fieldManager`, or the first part of the user agent.
    pub manager: &'a str,
    /// The subresource written to; empty for the object itself.
    pub subresource: &'a str,
    /// The time to record, as `2006-01-02T15:04:05Z`.
    pub now: &'a str,
}

/// Whether conflicts are an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Force {
    /// They are.
    No,
    /// Fields change hands.
    Yes,
}

/// Replaces `metadata.managedFields` of `new` by what it is after the write.
///
/// `new` is the object as the server read it: in normal form, defaulted, and still with the `managedFields` that the
/// request had, if any. Errors never fail the write: they leave the object without `managedFields`.
pub fn update(kind: &dyn Kind, request: Update<'_>, new: &mut Value) {
    let given = new
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .and_then(|map| map.remove("managedFields"));
    let entries = update_entries(kind, request, new, given.as_ref()).unwrap_or_default();
    set_managed_fields(new, entries);
}

fn is_reset(given: Option<&Value>) -> bool {
    match given.and_then(Value::as_array).map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    }
}

/// None where the object does not fit its type.
fn update_entries(
    kind: &dyn Kind,
    request: Update<'_>,
    new: &Value,
    given: Option<&Value>,
) -> Option<Vec<Value>> {
    let of_live = || decode(request.live).unwrap_or_default();
    let managed = if !request.subresource.is_empty() {
        // Subresources cannot set them.
        of_live()
    } else if is_reset(given) {
        Vec::new()
    } else {
        decode_list(given)
            .ok()
            .filter(|entries| !entries.is_empty())
            .unwrap_or_else(of_live)
    };
    let exists = request.live["metadata"]["uid"]
        .as_str()
        .is_some_and(|uid| !uid.is_empty());
    if managed.is_empty() && exists {
        // Tracking starts with the first apply.
        return Some(Vec::new());
    }
    let version = api_version(new);
    let entry = Entry::new(
        request.manager,
        Operation::Update,
        version,
        request.subresource,
        Set::new(),
    );
    let managed = track(kind, request.live, new, managed, entry, request.now)?;
    Some(encode(cap(managed)))
}

/// The entries after `new` took the place of `live`.
pub(super) fn track<'a>(
    kind: &'a dyn Kind,
    live: &'a Value,
    new: &'a Value,
    managed: Vec<Entry<'a>>,
    mut entry: Entry<'a>,
    now: &'a str,
) -> Option<Vec<Entry<'a>>> {
    let version = api_version(new);
    let (schema, id) = (kind.schema(), kind.type_of(version)?);
    for object in [new, live] {
        validate(schema, id, object, Duplicates::Allow).ok()?;
    }
    let managed = adapt(kind, managed);
    let reset = kind.reset_fields(version, &entry.subresource);
    let comparison = compare(schema, id, live, new).without(reset);
    let change = Change {
        live,
        new,
        comparison: &comparison,
        subresource: &entry.subresource,
    };
    let mut managed = hand_over(kind, &change, managed, None, Force::Yes).ok()?;
    let set = comparison.modified.union(comparison.added);
    let set = set.recursive_difference(reset).difference(stripped());
    if !set.is_empty() {
        entry.time = Some(Cow::Borrowed(now));
        match managed.iter_mut().find(|known| known.same_manager(&entry)) {
            Some(known) => {
                entry.set = set.union(std::mem::take(&mut known.set));
                *known = entry;
            }
            None => {
                entry.set = set;
                managed.push(entry);
            }
        }
    }
    Some(managed)
}

/// The entries under the types of today: what became atomic is owned as a whole.
pub(super) fn adapt<'a>(kind: &dyn Kind, managed: Vec<Entry<'a>>) -> Vec<Entry<'a>> {
    let known = |entry: &Entry<'a>| kind.type_of(&entry.api_version);
    let adapt = |mut entry: Entry<'a>| {
        let id = known(&entry)?;
        if let Some(set) = reconcile(kind.schema(), id, &entry.set) {
            entry.set = set;
        }
        Some(entry)
    };
    managed.into_iter().filter_map(adapt).collect()
}

/// A write of an object.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    /// The object before.
    pub live: &'a Value,
    /// The object after.
    pub new: &'a Value,
    /// What differs.
    pub comparison: &'a Comparison<'a>,
    /// The subresource written to.
    pub subresource: &'a str,
}

/// Takes from all managers but `own` what changes or goes.
///
/// # Errors
/// The fields that they own and that change, without force.
pub(super) fn hand_over<'a>(
    kind: &dyn Kind,
    change: &Change<'_>,
    managed: Vec<Entry<'a>>,
    own: Option<usize>,
    force: Force,
) -> Result<Vec<Entry<'a>>, Conflicts> {
    let Change {
        live,
        new,
        comparison,
        subresource,
    } = *change;
    let version = api_version(new);
    // Objects and comparisons in the other versions of entries.
    let mut converted: BTreeMap<String, Option<(Value, Value)>> = BTreeMap::new();
    for entry in managed.iter().filter(|entry| entry.api_version != version) {
        converted
            .entry(entry.api_version.to_string())
            .or_insert_with(|| {
                Some((
                    kind.convert(live, &entry.api_version)?,
                    kind.convert(new, &entry.api_version)?,
                ))
            });
    }
    let compare_in =
        |version: &String, (old, new): &'_ (Value, Value)| -> Option<Comparison<'static>> {
            let comparison = compare(kind.schema(), kind.type_of(version)?, old, new);
            let comparison = comparison.without(kind.reset_fields(version, subresource));
            Some(Comparison {
                removed: comparison.removed.into_owned(),
                modified: comparison.modified.into_owned(),
                added: comparison.added.into_owned(),
            })
        };
    let others: BTreeMap<&String, Comparison<'static>> = converted
        .iter()
        .filter_map(|(version, objects)| Some((version, compare_in(version, objects.as_ref()?)?)))
        .collect();
    let mut lost: Vec<(usize, Set<'a>)> = Vec::new();
    let mut kept: Vec<Option<Entry<'a>>> = Vec::with_capacity(managed.len());
    for (at, entry) in managed.into_iter().enumerate() {
        let comparison = match entry.api_version == version {
            true => Some(comparison),
            false => others.get(&entry.api_version.to_string()),
        };
        if own == Some(at) {
            kept.push(Some(entry));
            continue;
        }
        // Entries of versions that are no more are dropped.
        let Some(comparison) = comparison else {
            kept.push(None);
            continue;
        };
        if comparison.is_same() {
            kept.push(Some(entry));
            continue;
        }
        let conflict = entry.set.intersection(&comparison.modified);
        let conflict = conflict.union(entry.set.intersection(&comparison.added));
        let mut entry = entry;
        if !comparison.removed.is_empty() {
            entry.set = entry.set.difference(&comparison.removed);
        }
        if !conflict.is_empty() {
            lost.push((at, conflict));
        }
        kept.push(Some(entry));
    }
    if force == Force::No && !lost.is_empty() {
        let of = |(at, set): &'_ (usize, Set<'a>)| Some((kept[*at].clone()?, set.clone()));
        let sets: Vec<(Entry<'a>, Set<'a>)> = lost.iter().filter_map(of).collect();
        return Err(Conflicts::of(sets.iter().map(|(entry, set)| (entry, set))));
    }
    for (at, set) in &lost {
        if let Some(entry) = &mut kept[*at] {
            entry.set = std::mem::take(&mut entry.set).difference(set);
        }
    }
    Ok(kept
        .into_iter()
        .flatten()
        .filter(|entry| !entry.set.is_empty())
        .collect())
}

/// Merges the oldest entries of updates into one entry for each version, down to the allowed number.
fn cap<'a>(mut managed: Vec<Entry<'a>>) -> Vec<Entry<'a>> {
    let is_update = |entry: &&Entry<'a>| entry.operation == Operation::Update;
    let mut count = managed.iter().filter(is_update).count();
    if count <= MAX_UPDATE_MANAGERS {
        return managed;
    }
    let order = |entry: &Entry<'a>| (entry.time.clone().unwrap_or_default(), entry.identifier());
    let mut oldest: Vec<(String, Cow<'a, str>)> = {
        let mut updates: Vec<&Entry<'a>> = managed.iter().filter(is_update).collect();
        updates.sort_by_key(|entry| order(entry));
        updates
            .iter()
            .map(|entry| (entry.identifier(), entry.api_version.clone()))
            .collect()
    };
    let mut first: BTreeMap<Cow<'a, str>, String> = BTreeMap::new();
    for (identifier, version) in oldest.drain(..) {
        if count <= MAX_UPDATE_MANAGERS {
            break;
        }
        let position = |managed: &[Entry<'a>], id: &str| {
            managed.iter().position(|entry| entry.identifier() == id)
        };
        let Some(first) = first.get(&version) else {
            first.insert(version, identifier);
            continue;
        };
        let bucket = Entry {
            manager: "ancient-changes".into(),
            ..Entry::new("", Operation::Update, "", "", Set::new())
        };
        let bucket = Entry {
            api_version: version,
            ..bucket
        };
        let bucket_id = bucket.identifier();
        if position(&managed, &bucket_id).is_none() {
            let set = match position(&managed, first) {
                Some(at) => managed.remove(at).set,
                None => Set::new(),
            };
            managed.push(Entry { set, ..bucket });
        }
        if identifier != bucket_id
            && let Some(at) = position(&managed, &identifier)
        {
            let old = managed.remove(at);
            if let Some(at) = position(&managed, &bucket_id) {
                managed[at].set = std::mem::take(&mut managed[at].set).union(old.set);
                managed[at].time = old.time;
            }
            count -= 1;
        }
    }
    managed
}

/// Takes the old `managedFields` over where only their times have changed, so that nothing is written.
///
/// `new` must carry the resource version of `old`.
pub fn ignore_time_changes(old: &Value, new: &mut Value) {
    let entries = |object: &Value| {
        object["metadata"]["managedFields"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let (before, after) = (entries(old), entries(new));
    if before.len() != after.len() || before == after {
        return;
    }
    let timeless = |entry: &Value| {
        let mut entry = entry.clone();
        entry.as_object_mut().map(|map| map.remove("time"));
        entry
    };
    if before.iter().map(timeless).eq(after.iter().map(timeless)) && super::same_object(old, new) {
        set_managed_fields(new, before);
    }
}
