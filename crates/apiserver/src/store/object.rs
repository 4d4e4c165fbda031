//! One stored object: its compact JSON and what lists, watches and the garbage collector ask about it.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

/// The uid and the flags of one owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `metadata.ownerReferences[].uid`.
    pub uid: Box<str>,
    /// `metadata.ownerReferences[].blockOwnerDeletion`.
    pub blocks_deletion: bool,
    /// `metadata.ownerReferences[].controller`.
    pub controls: bool,
}

/// An object as it is stored and sent.
///
/// The text always starts `{"kind":K,"apiVersion":A,"metadata":{...}`, so that an answer without type (an item of a
/// typed list), with another API version, or with metadata only is cut out of it without parsing.
pub struct Object {
    /// `NAMESPACE/NAME`, or `NAME` for a cluster-scoped object.
    pub key: Arc<str>,
    /// The version at which the object was written.
    pub version: u64,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.labels`.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// `metadata.ownerReferences`.
    pub owners: Box<[Owner]>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    json: Box<str>,
    /// Where the text goes on after kind and apiVersion (at the `"` of `"metadata"`).
    body: u32,
    /// Where the metadata object's text starts and ends.
    metadata: (u32, u32),
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.key, self.version)
    }
}

/// The store's key of an object.
pub fn key(namespace: Option<&str>, name: &str) -> Arc<str> {
    match namespace {
        Some(namespace) => {
            let mut text = String::with_capacity(namespace.len() + 1 + name.len());
            let _ = write!(text, "{namespace}/{name}");
            text.into()
        }
        None => name.into(),
    }
}

impl Object {
    /// Encodes `value`, whose `metadata.resourceVersion` becomes `version`.
    pub fn new(key: Arc<str>, version: u64, mut value: Value) -> Self {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".into(), version.to_string().into());
        }
        Self::encode(key, version, &value)
    }

    fn encode(key: Arc<str>, version: u64, value: &Value) -> Self {
        let empty = serde_json::Map::new();
        let map = value.as_object().unwrap_or(&empty);
        let mut out: Vec<u8> = Vec::with_capacity(1024);
        let text = |out: &mut Vec<u8>, value: &Value| {
            // Writing JSON into memory fails for maps with keys that are not strings only.
            let _ = serde_json::to_writer(out, value);
        };
        let null = Value::Null;
        out.extend_from_slice(b"{\"kind\":");
        text(&mut out, map.get("kind").unwrap_or(&null));
        out.extend_from_slice(b",\"apiVersion\":");
        text(&mut out, map.get("apiVersion").unwrap_or(&null));
        out.push(b',');
        let body = out.len();
        out.extend_from_slice(b"\"metadata\":");
        let start = out.len();
        text(&mut out, map.get("metadata").unwrap_or(&null));
        let end = out.len();
        for (name, member) in map {
            if !matches!(name.as_str(), "kind" | "apiVersion" | "metadata") {
                out.push(b',');
                let _ = serde_json::to_writer(&mut out, name);
                out.push(b':');
                text(&mut out, member);
            }
        }
        out.push(b'}');
        let metadata = &value["metadata"];
        let string = |value: &Value| value.as_str().unwrap_or_default().into();
        Object {
            key,
            version,
            uid: string(&metadata["uid"]),
            labels: metadata["labels"]
                .as_object()
                .map(|labels| {
                    labels
                        .iter()
                        .map(|(k, v)| (k.as_str().into(), string(v)))
                        .collect()
                })
                .unwrap_or_default(),
            owners: metadata["ownerReferences"]
                .as_array()
                .map(|owners| {
                    let owner = |owner: &Value| Owner {
                        uid: string(&owner["uid"]),
                        blocks_deletion: owner["blockOwnerDeletion"] == true,
                        controls: owner["controller"] == true,
                    };
                    owners.iter().map(owner).collect()
                })
                .unwrap_or_default(),
            deleting: metadata["deletionTimestamp"].is_string(),
            json: String::from_utf8(out).unwrap_or_default().into_boxed_str(),
            body: body as u32,
            metadata: (start as u32, end as u32),
        }
    }

    /// Encodes `value` as it is, for an answer to a request that stores nothing.
    pub fn preview(key: Arc<str>, value: &Value) -> Self {
        let version = value["metadata"]["resourceVersion"].as_str();
        Self::encode(
            key,
            version
                .and_then(|version| version.parse().ok())
                .unwrap_or(0),
            value,
        )
    }

    /// Reads an object back from the text that [`Object::json`] gave. None where it is not such a text.
    pub fn from_json(key: Arc<str>, json: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(json).ok()?;
        let version = value["metadata"]["resourceVersion"]
            .as_str()?
            .parse()
            .ok()?;
        Some(Self::encode(key, version, &value))
    }

    /// The object's whole text.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The `apiVersion` of the text.
    pub fn api_version(&self) -> &str {
        let head = &self.json[..self.body as usize];
        let Some((_, version)) = head.split_once("\"apiVersion\":\"") else {
            return "";
        };
        version.trim_end_matches("\",")
    }

    /// The object's text after kind and apiVersion, without the opening brace.
    pub fn body(&self) -> &str {
        &self.json[self.body as usize..]
    }

    /// The text of the metadata object, braces included.
    pub fn metadata(&self) -> &str {
        &self.json[self.metadata.0 as usize..self.metadata.1 as usize]
    }

    /// The object as a value of its own.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// The metadata as a value of its own.
    pub fn metadata_value(&self) -> Value {
        serde_json::from_str(self.metadata()).unwrap_or_default()
    }

    /// The namespace, if the object is in one.
    pub fn namespace(&self) -> Option<&str> {
        self.key.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.key
            .rsplit_once('/')
            .map_or(&*self.key, |(_, name)| name)
    }

    /// The value of one label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let at = self
            .labels
            .binary_search_by(|(key, _)| (**key).cmp(name))
            .ok()?;
        Some(&self.labels[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_of_the_text_are_found_without_parsing() {
        let value = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
            "metadata": {"name": "x", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "1"},
                "ownerReferences": [{"uid": "o", "blockOwnerDeletion": true}]},
        });
        let object = Object::new(key(Some("n"), "x"), 7, value);
        assert!(
            object
                .json()
                .starts_with(r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"#)
        );
        assert!(
            object.body().starts_with(r#""metadata":{"#)
                && object.body().ends_with(r#","data":{"a":"b"}}"#)
        );
        assert_eq!(object.metadata_value()["resourceVersion"], "7");
        assert_eq!((object.namespace(), object.name()), (Some("n"), "x"));
        assert_eq!((object.label("b"), object.label("c")), (Some("2"), None));
        assert!(object.owners[0].blocks_deletion);
        let again = Object::from_json(object.key.clone(), object.json().as_bytes()).unwrap();
        assert_eq!((again.json(), again.version), (object.json(), 7));
    }
}
