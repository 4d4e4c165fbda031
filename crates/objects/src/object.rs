//! Reading manifests: identity, metadata, lists.

use std::fmt;

use serde_json::{Map, Value};
use sluice_api::inventory::ObjectId;

/// Group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// API version without the group.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl Gvk {
    /// From an `apiVersion` (`v1`, `apps/v1`) and a kind. A text with more than one slash has no
    /// meaning and yields `None`.
    pub fn new(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = match api_version.split_once('/') {
            None => ("", api_version),
            Some((_, version)) if version.contains('/') => return None,
            Some(parts) => parts,
        };
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        })
    }

    /// Of an object; `None` when apiVersion or kind are missing or malformed.
    pub fn of(object: &Value) -> Option<Self> {
        let kind = object.get("kind")?.as_str().filter(|k| !k.is_empty())?;
        let version = object
            .get("apiVersion")?
            .as_str()
            .filter(|v| !v.is_empty())?;
        Self::new(version, kind)
    }

    /// The `apiVersion` of an object of this kind.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }
}

impl fmt::Display for Gvk {
    /// Writes `Kind.version.group` as kustomize does, with its placeholders for what is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &str, placeholder: &'static str| match text {
            "" => placeholder.to_owned(),
            text => text.to_owned(),
        };
        let (kind, version) = (or(&self.kind, "[noKind]"), or(&self.version, "[noVer]"));
        write!(f, "{kind}.{version}.{}", or(&self.group, "[noGrp]"))
    }
}

/// `Kind.group`, or `Kind` in the core group: how Kubernetes prints a group and a kind.
pub fn group_kind(group: &str, kind: &str) -> String {
    match group {
        "" => kind.to_owned(),
        group => format!("{kind}.{group}"),
    }
}

/// `Kind/namespace/name`, or `Kind/name` without namespace: how events and errors name an object.
pub fn subject(id: &ObjectId) -> String {
    let ObjectId {
        kind,
        namespace,
        name,
        ..
    } = id;
    match namespace.as_str() {
        "" => format!("{kind}/{name}"),
        namespace => format!("{kind}/{namespace}/{name}"),
    }
}

/// The identity of an object; parts that are missing are empty.
pub fn id(object: &Value) -> ObjectId {
    let gvk = Gvk::of(object);
    ObjectId {
        namespace: namespace(object).to_owned(),
        name: name(object).to_owned(),
        group: gvk.as_ref().map(|g| g.group.clone()).unwrap_or_default(),
        kind: text(object, &["kind"]).to_owned(),
    }
}

/// The text at a path of keys; empty where there is none.
pub fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// The value at a path of keys.
pub fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// The integer at a path of keys.
pub fn integer(object: &Value, path: &[&str]) -> Option<i64> {
    at(object, path).and_then(Value::as_i64)
}

/// `metadata.name`, or empty.
pub fn name(object: &Value) -> &str {
    text(object, &["metadata", "name"])
}

/// `metadata.namespace`, or empty.
pub fn namespace(object: &Value) -> &str {
    text(object, &["metadata", "namespace"])
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    at(object, &["metadata", "labels"])?.as_object()
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    at(object, &["metadata", "annotations"])?.as_object()
}

/// The map at a path of keys, created where it is missing. `None` if something else is in the way.
pub fn map_mut<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut value = object;
    for key in path {
        let map = value.as_object_mut()?;
        let next = map.entry(*key).or_insert(Value::Null);
        if next.is_null() {
            *next = Value::Object(Map::new());
        }
        value = next;
    }
    value.as_object_mut()
}

/// Sets labels of an object, over those that are there.
pub fn set_labels<'a>(object: &mut Value, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    set_pairs(object, "labels", pairs);
}

/// Sets annotations of an object, over those that are there.
pub fn set_annotations<'a>(
    object: &mut Value,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    set_pairs(object, "annotations", pairs);
}

fn set_pairs<'a>(
    object: &mut Value,
    field: &str,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let mut pairs = pairs.into_iter().peekable();
    if pairs.peek().is_none() {
        return;
    }
    if let Some(map) = map_mut(object, &["metadata", field]) {
        map.extend(pairs.map(|(k, v)| (k.to_owned(), Value::from(v))));
    }
}

/// The objects of a built set: lists taken apart, and documents dropped that are no objects (no
/// kind, apiVersion or name) or that configure kustomize itself.
pub fn flatten(documents: Vec<Value>) -> Vec<Value> {
    let mut objects = Vec::with_capacity(documents.len());
    for mut document in documents {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => objects.extend(items),
            Some(other) => {
                document["items"] = other;
                objects.push(document);
            }
            None => objects.push(document),
        }
    }
    objects.retain(|object| {
        Gvk::of(object).is_some_and(|gvk| {
            let is_build_file =
                gvk.group == "kustomize.config.k8s.io" && gvk.kind == "Kustomization";
            !is_build_file && !name(object).is_empty()
        })
    });
    objects
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn api_versions_have_one_slash_at_most() {
        let gvk = Gvk::new("apps/v1", "Deployment").unwrap();
        assert_eq!((gvk.group.as_str(), gvk.version.as_str()), ("apps", "v1"));
        assert_eq!(gvk.api_version(), "apps/v1");
        assert_eq!(gvk.to_string(), "Deployment.v1.apps");
        let core = Gvk::new("v1", "ConfigMap").unwrap();
        assert_eq!(core.api_version(), "v1");
        assert_eq!(core.to_string(), "ConfigMap.v1.[noGrp]");
        assert_eq!(Gvk::new("a/b/c", "ConfigMap"), None);
    }

    #[test]
    fn lists_are_taken_apart_and_what_is_no_object_goes() {
        let object = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
        let documents = vec![
            object("ConfigMap", "a"),
            json!({"apiVersion": "v1", "kind": "List", "items": [object("ConfigMap", "b"), object("Secret", "c")]}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}),
            json!({"kind": "ConfigMap", "metadata": {"name": "no-version"}}),
            json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "metadata": {"name": "k"}}),
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "k"}}),
            json!({"apiVersion": "example.com/v1", "kind": "Menu", "metadata": {"name": "m"}, "items": {"a": 1}}),
            Value::Null,
            json!([1]),
        ];
        let subjects: Vec<_> = flatten(documents).iter().map(|o| subject(&id(o))).collect();
        assert_eq!(
            subjects,
            [
                "ConfigMap/a",
                "ConfigMap/b",
                "Secret/c",
                "Kustomization/k",
                "Menu/m"
            ]
        );
    }

    #[test]
    fn metadata_is_created_where_it_is_missing() {
        let mut object = json!({"metadata": {"name": "a", "labels": null}});
        set_labels(&mut object, [("a", "1")]);
        set_annotations(&mut object, []);
        assert_eq!(
            object,
            json!({"metadata": {"name": "a", "labels": {"a": "1"}}})
        );
        set_annotations(&mut object, [("b", "2")]);
        assert_eq!(annotations(&object).unwrap()["b"], "2");
    }
}
