//! The built-in groups, versions and resources, in the order in which the server lists them.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// An API group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its versions, the preferred one first.
    pub versions: Vec<Version>,
}

/// A served version of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its name, such as `v1`.
    pub name: String,
    /// Its resources, without subresources, by name.
    pub resources: Vec<Resource>,
}

/// A resource in one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// The plural name, as in URLs.
    pub name: String,
    /// The singular name.
    pub singular: String,
    /// The kind of its objects.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// The verbs that the server answers.
    pub verbs: Vec<String>,
    /// Short names, such as `deploy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Hash of the storage version; empty where the server gives none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub storage_version_hash: String,
    /// Its subresources, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subresources: Vec<Subresource>,
}

/// A subresource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subresource {
    /// Its name, such as `status`.
    pub name: String,
    /// The kind that it reads or writes.
    pub kind: String,
    /// The group of that kind where it is not the resource's own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The version of that kind where it is not the resource's own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The verbs that the server answers.
    pub verbs: Vec<String>,
}

impl Resource {
    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources
            .iter()
            .find(|subresource| subresource.name == name)
    }
}

/// All built-in groups: the core group first, then the others as `/apis` lists them.
pub fn groups() -> &'static [Group] {
    static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let text = include_str!("../../data/discovery.json");
        serde_json::from_str(text).expect("the committed file was written from these types")
    })
}

/// The built-in resource of that group, version and plural name.
pub fn resource(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    let group = groups().iter().find(|known| known.name == group)?;
    let version = group.versions.iter().find(|known| known.name == version)?;
    version.resources.iter().find(|known| known.name == plural)
}

/// The built-in resource of that group, version and kind.
pub fn resource_of_kind(group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
    let group = groups().iter().find(|known| known.name == group)?;
    let version = group.versions.iter().find(|known| known.name == version)?;
    version.resources.iter().find(|known| known.kind == kind)
}
