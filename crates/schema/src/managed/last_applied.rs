//! The bridge from kubectl's client-side apply: its annotation with the configuration that it applied last.

use serde_json::Value;

use super::{Kind, api_version};
use crate::fields::Set;
use crate::typed::{Duplicates, compare, to_field_set, validate};

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// All annotations of an object together, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

fn annotation(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][ANNOTATION]
        .as_str()
        .filter(|text| !text.is_empty())
}

/// Fields that the annotation holds as the live object has them: server-side apply may take these from
/// client-side apply. None if there is no usable annotation.
pub(super) fn allowed_conflicts(
    kind: &dyn Kind,
    live: &Value,
    version: &str,
) -> Option<Set<'static>> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    if api_version(&last) != version {
        return None;
    }
    let (schema, id) = (kind.schema(), kind.type_of(version)?);
    validate(schema, id, &last, Duplicates::Refuse).ok()?;
    let comparison = compare(schema, id, &last, live);
    let set = to_field_set(schema, id, &last);
    let set = set
        .difference(&comparison.modified)
        .difference(&comparison.added)
        .difference(&comparison.removed);
    Some(set.into_owned())
}

/// Keeps the annotation up to date with what kubectl applies, where there is one and it fits.
pub(super) fn refresh_annotation(object: &mut Value, patch: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = patch.clone();
    if let Some(metadata) = applied["metadata"].as_object_mut()
        && let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
    {
        annotations.remove(ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    let text = format!("{applied}\n");
    let annotations = &mut object["metadata"]["annotations"];
    let others = annotations
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != ANNOTATION);
    let size: usize = others
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if let Some(annotations) = annotations.as_object_mut() {
        if size + ANNOTATION.len() + text.len() > MAX_ANNOTATIONS {
            annotations.remove(ANNOTATION);
        } else {
            annotations.insert(ANNOTATION.into(), text.into());
        }
    }
}
