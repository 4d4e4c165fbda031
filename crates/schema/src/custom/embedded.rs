//! Metadata of custom resources and of the objects inside them.

use serde_json::Value;

use super::schema::{Additional, Structural, Trail};
use crate::builtin::meta;
use crate::builtin::tools::{Errors, Path, text};
use crate::failure::FieldError;
use crate::read::{Decoded, Parsed, Wording, decode};
use crate::tables;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Brings metadata into the form of the server's own type. Gives its unknown fields.
///
/// # Errors
/// The text of what cannot be read.
pub(super) fn read_metadata(metadata: &mut Value, path: &str) -> Result<Vec<String>, String> {
    if metadata.is_null() {
        return Ok(Vec::new());
    }
    let schema = tables::builtin();
    let Some(id) = schema.definition(OBJECT_META) else {
        return Ok(Vec::new());
    };
    let parsed = Parsed::from_value(metadata.take());
    let Decoded { object, strict } = decode(schema, id, parsed, None, Wording::Json)?;
    *metadata = object;
    let unknown = strict.iter().filter_map(|text| {
        let field = text.strip_prefix("unknown field \"")?.strip_suffix('"')?;
        Some(format!("{path}.{field}"))
    });
    Ok(unknown.collect())
}

/// Reads the metadata of all objects inside an object.
///
/// # Errors
/// The text of the first one that cannot be read.
pub(super) fn read_all(
    schema: &Structural,
    value: &mut Value,
    path: &Trail<'_>,
) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    match value {
        Value::Object(map) => {
            if schema.embedded
                && !path.to_string().is_empty()
                && let Some(metadata) = map.get_mut("metadata")
            {
                let at = path.child("metadata").to_string();
                let given = metadata.clone();
                let read = read_metadata(metadata, &at)
                    .map_err(|why| FieldError::invalid(&at, &given, why).to_string())?;
                unknown.extend(read);
            }
            for (name, member) in map.iter_mut() {
                let of = match (schema.properties.get(name), &schema.additional) {
                    (Some(of), _) => of,
                    (None, Some(Additional::Of(of))) => &**of,
                    _ => continue,
                };
                unknown.extend(read_all(of, member, &path.child(name))?);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                if let Some(of) = &schema.items {
                    unknown.extend(read_all(of, item, &path.index(at))?);
                }
            }
        }
        _ => {}
    }
    Ok(unknown)
}

/// Validates what every object has of an object inside another.
pub(super) fn validate(value: &Value, path: &Trail<'_>, errors: &mut Errors) {
    let at = Path::new(&path.to_string());
    for name in ["apiVersion", "kind"] {
        match value.get(name) {
            None => errors.push(FieldError::required(at.child(name), "")),
            Some(given) if text(given).is_empty() => {
                errors.push(FieldError::invalid(
                    at.child(name),
                    given,
                    "must not be empty",
                ));
            }
            Some(given) if name == "apiVersion" && text(given).matches('/').count() > 1 => {
                let why = format!("unexpected GroupVersion string: {}", text(given));
                errors.push(FieldError::invalid(at.child(name), given, why));
            }
            Some(_) => {}
        }
    }
    let (metadata, at) = (&value["metadata"], at.child("metadata"));
    meta::validate_labels(&metadata["labels"], &at.child("labels"), errors);
    meta::validate_annotations(&metadata["annotations"], &at.child("annotations"), errors);
}
