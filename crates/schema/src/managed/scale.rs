//! Ownership of the one field that the scale subresource writes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::entries::{Entry, ManagedError, decode_list, encode};
use crate::fields::{PathElement, Set};

const SCALE: &str = "autoscaling/v1";

/// Where each version of a resource keeps the number of replicas: names of fields by `apiVersion`.
///
/// An empty path says that a version has no scale subresource.
pub type ScalePaths = BTreeMap<String, Vec<String>>;

fn path(names: &[String]) -> Vec<PathElement<'_>> {
    names.iter().map(|name| PathElement::field(name)).collect()
}

fn replicas<'a>() -> Vec<PathElement<'a>> {
    vec![PathElement::field("spec"), PathElement::field("replicas")]
}

fn set_of(path: Vec<PathElement<'_>>) -> Set<'_> {
    let mut set = Set::new();
    set.insert(path);
    set
}

/// The `managedFields` of a Scale: the owners of the number of replicas.
///
/// # Errors
/// If the entries of the resource cannot be read.
pub fn scale_from_parent(
    entries: Option<&Value>,
    paths: &ScalePaths,
) -> Result<Vec<Value>, ManagedError> {
    let owns = |entry: Entry<'_>| {
        let names = paths
            .get(&*entry.api_version)
            .filter(|names| !names.is_empty())?;
        let set = set_of(replicas()).into_owned();
        entry.set.has_path(&path(names)).then(|| {
            own(Entry {
                api_version: SCALE.into(),
                set,
                ..entry
            })
        })
    };
    Ok(encode(
        decode_list(entries)?.into_iter().filter_map(owns).collect(),
    ))
}

fn own(entry: Entry<'_>) -> Entry<'static> {
    let text = |text: std::borrow::Cow<'_, str>| text.into_owned().into();
    Entry {
        manager: text(entry.manager),
        operation: entry.operation,
        api_version: text(entry.api_version),
        subresource: text(entry.subresource),
        time: entry.time.map(text),
        set: entry.set.into_owned(),
    }
}

/// The `managedFields` of a resource after a write to its Scale.
///
/// # Errors
/// If either list cannot be read.
pub fn scale_to_parent(
    parent: Option<&Value>,
    scale: Option<&Value>,
    api_version: &str,
    paths: &ScalePaths,
) -> Result<Vec<Value>, ManagedError> {
    let parent = decode_list(parent)?;
    let mut scale = decode_list(scale)?;
    let mut result: Vec<Entry<'_>> = Vec::new();
    for mut entry in parent.iter().cloned() {
        // Entries of unknown versions go.
        let Some(names) = paths.get(&*entry.api_version) else {
            continue;
        };
        let path = path(names);
        if names.is_empty() || !entry.set.has_path(&path) {
            result.push(entry);
            continue;
        }
        // Updates through the Scale bear another version, so only appliers are found again.
        match scale.iter().position(|known| known.same_manager(&entry)) {
            Some(at) => {
                scale.remove(at);
                result.push(entry);
            }
            None => {
                entry.set = entry.set.difference(&set_of(path));
                if !entry.set.is_empty() {
                    result.push(entry);
                }
            }
        }
    }
    let names = paths
        .get(api_version)
        .map(Vec::as_slice)
        .unwrap_or_default();
    for entry in scale
        .into_iter()
        .filter(|entry| entry.set.has_path(&replicas()))
    {
        let time = parent
            .iter()
            .find(|known| known.same_manager(&entry))
            .and_then(|known| known.time.clone());
        let set = set_of(path(names));
        result.push(Entry {
            api_version: api_version.into(),
            time,
            set,
            ..entry
        });
    }
    Ok(encode(result))
}
