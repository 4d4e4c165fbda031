//! What CustomResourceDefinitions add to the served resources.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use sha2::{Digest as _, Sha512};
use sluice_schema::custom::{CustomKind, CustomTypes};

use super::{Group, GroupVersion, Resource, Subresource, strings, table_name};
use crate::store::{Object, Store};

/// One of `additionalPrinterColumns`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Header.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// OpenAPI format.
    pub format: String,
    /// Description.
    pub description: String,
    /// 0 is always shown.
    pub priority: i64,
    /// The JSONPath, starting with a dot.
    pub path: String,
}

/// One version of a custom resource.
#[derive(Debug)]
pub struct Custom {
    /// The version's entry in the CustomResourceDefinition.
    pub source: Value,
    /// Name of the CustomResourceDefinition.
    pub definition: String,
    /// Printer columns; None for the default ones.
    pub columns: Option<Vec<Column>>,
    /// Paths of `selectableFields`, without the leading dot.
    pub selectable: Vec<String>,
    /// The text of a `Warning` header where the version is deprecated.
    pub deprecation: Option<String>,
    /// The `apiVersion` under which objects are stored.
    pub storage_api_version: String,
    /// The rules of its objects.
    pub kind: CustomKind,
    /// The version of the store since which they hold: older objects are brought into form when they are read.
    pub since: u64,
    /// Whether the definition is being deleted: nothing can be created any more.
    pub terminating: bool,
    types: Arc<CustomTypes>,
    digest: OnceLock<[u8; 64]>,
}

/// A CustomResourceDefinition as far as serving goes.
#[derive(Debug)]
pub(super) struct Definition {
    group: String,
    namespaced: bool,
    established: bool,
    names: Names,
    versions: Vec<(String, bool, Arc<Custom>)>,
}

#[derive(Debug)]
struct Names {
    plural: String,
    singular: String,
    kind: String,
    list_kind: String,
    short: Vec<String>,
    categories: Vec<String>,
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

impl Definition {
    pub fn read(object: &Object) -> Self {
        Self::read_after(object, None)
    }

    /// Reads the object; what has not changed since `known` is taken from there.
    pub fn read_after(object: &Object, known: Option<&Definition>) -> Self {
        let value = object.value();
        let (spec, status) = (&value["spec"], &value["status"]);
        let names = &status["acceptedNames"];
        let condition = |kind: &str| {
            let mut all = status["conditions"].as_array().into_iter().flatten();
            all.any(|condition| condition["type"] == kind && condition["status"] == "True")
        };
        let group = text(spec, "group");
        let all = || spec["versions"].as_array().into_iter().flatten();
        let storage = all().find(|version| version["storage"] == true);
        let storage = storage
            .map(|version| text(version, "name"))
            .unwrap_or_default();
        let types = Arc::new(CustomTypes::of(&value));
        let version = |source: &Value| {
            let name = text(source, "name");
            let custom = Custom::read(
                source,
                &value,
                &format!("{group}/{storage}"),
                object.deleting,
                &types,
                object.version,
            );
            let before =
                known.and_then(|known| known.versions.iter().find(|(known, ..)| *known == name));
            let custom = match before {
                Some((.., before)) if before.same(&custom) => before.clone(),
                Some((.., before)) if before.source == custom.source => Arc::new(Custom {
                    since: before.since,
                    ..custom
                }),
                _ => Arc::new(custom),
            };
            (name, source["served"] == true, custom)
        };
        Definition {
            namespaced: spec["scope"] == "Namespaced",
            established: condition("Established"),
            names: Names {
                plural: text(names, "plural"),
                singular: text(names, "singular"),
                kind: text(names, "kind"),
                list_kind: text(names, "listKind"),
                short: strings(names, "shortNames"),
                categories: strings(names, "categories"),
            },
            versions: all().map(version).collect(),
            group,
        }
    }

    fn resource(&self, version: &str, custom: &Arc<Custom>, store: &Store) -> Resource {
        let api_version = format!("{}/{version}", self.group);
        let subresource =
            |name: &str, group_version: Option<(String, String)>, kind: &str| Subresource {
                name: name.into(),
                group_version,
                kind: kind.into(),
                verbs: ["get", "patch", "update"].map(String::from).into(),
            };
        let mut subresources = Vec::new();
        if custom.source["subresources"]["status"].is_object() {
            subresources.push(subresource("status", None, &self.names.kind));
        }
        if custom.kind.scale().is_some() {
            let scale = Some(("autoscaling".to_owned(), "v1".to_owned()));
            subresources.push(subresource("scale", scale, "Scale"));
        }
        let verbs = [
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "create",
            "update",
            "watch",
        ];
        Resource {
            group: self.group.clone(),
            version: version.to_owned(),
            api_version,
            plural: self.names.plural.clone(),
            singular: self.names.singular.clone(),
            kind: self.names.kind.clone(),
            list_kind: self.names.list_kind.clone(),
            namespaced: self.namespaced,
            short_names: self.names.short.clone(),
            categories: self.names.categories.clone(),
            verbs: verbs.map(String::from).into(),
            subresources,
            table: store.table(&table_name(&self.group, &self.names.plural)),
            custom: Some(custom.clone()),
        }
    }
}

impl Custom {
    fn read(
        source: &Value,
        definition: &Value,
        storage: &str,
        terminating: bool,
        types: &Arc<CustomTypes>,
        since: u64,
    ) -> Self {
        let spec = &definition["spec"];
        let column = |column: &Value| Column {
            name: text(column, "name"),
            kind: text(column, "type"),
            format: text(column, "format"),
            description: text(column, "description"),
            priority: column["priority"].as_i64().unwrap_or(0),
            path: text(column, "jsonPath"),
        };
        let columns = source["additionalPrinterColumns"].as_array();
        let selectable = source["selectableFields"].as_array().into_iter().flatten();
        let deprecation = (source["deprecated"] == true).then(|| {
            source["deprecationWarning"].as_str().map_or_else(
                || {
                    let (group, version) = (text(spec, "group"), text(source, "name"));
                    format!(
                        "{group}/{version} {} is deprecated",
                        text(&spec["names"], "kind")
                    )
                },
                str::to_owned,
            )
        });
        Custom {
            definition: text(&definition["metadata"], "name"),
            columns: columns
                .filter(|columns| !columns.is_empty())
                .map(|columns| columns.iter().map(column).collect()),
            selectable: selectable
                .map(|field| text(field, "jsonPath").trim_start_matches('.').to_owned())
                .collect(),
            deprecation,
            storage_api_version: storage.to_owned(),
            kind: CustomKind::new(definition, source, types.clone()),
            since,
            source: source.clone(),
            terminating,
            types: types.clone(),
            digest: OnceLock::new(),
        }
    }

    fn same(&self, other: &Custom) -> bool {
        self.source == other.source
            && self.storage_api_version == other.storage_api_version
            && self.kind.same(&other.kind)
            && self.terminating == other.terminating
            && self.types.same(&other.types)
    }

    /// Changes with the version's entry in the definition.
    pub fn digest(&self) -> &[u8; 64] {
        self.digest
            .get_or_init(|| Sha512::digest(self.source.to_string()).into())
    }

    /// `schema.openAPIV3Schema`.
    pub fn schema(&self) -> &Value {
        &self.source["schema"]["openAPIV3Schema"]
    }
}

/// Appends the groups of the established definitions, by name, their versions by priority.
pub(super) fn add_groups<'a>(
    groups: &mut Vec<Group>,
    definitions: impl Iterator<Item = &'a Definition>,
    store: &Store,
) {
    let mut found: BTreeMap<&str, BTreeMap<Priority<'_>, Vec<Arc<Resource>>>> = BTreeMap::new();
    for definition in definitions.filter(|definition| definition.established) {
        for (version, served, custom) in &definition.versions {
            if *served {
                let resource = Arc::new(definition.resource(version, custom, store));
                let versions = found.entry(&definition.group).or_default();
                versions
                    .entry(Priority(version))
                    .or_default()
                    .push(resource);
            }
        }
    }
    for (name, versions) in found {
        let of = |(version, resources): (Priority<'_>, _)| GroupVersion {
            version: version.0.to_owned(),
            resources,
        };
        let mut added: Vec<GroupVersion> = versions.into_iter().map(of).collect();
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => {
                added.retain(|version| {
                    !group
                        .versions
                        .iter()
                        .any(|known| known.version == version.version)
                });
                group.versions.append(&mut added);
            }
            None => groups.push(Group {
                name: name.to_owned(),
                versions: added,
            }),
        }
    }
}

/// Orders versions as Kubernetes does: stable ones first, then beta, then alpha, newest first; others by name.
#[derive(Debug, PartialEq, Eq)]
struct Priority<'a>(&'a str);

impl Priority<'_> {
    /// (stage, major, minor) of `v1`, `v2beta3`, ...; None for any other text.
    fn parts(&self) -> Option<(u8, u64, u64)> {
        let rest = self.0.strip_prefix('v')?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let major = rest[..digits].parse().ok()?;
        let rest = &rest[digits..];
        if rest.is_empty() {
            return Some((2, major, 0));
        }
        let stages = [("beta", 1), ("alpha", 0)];
        stages
            .iter()
            .find_map(|(name, stage)| Some((*stage, major, rest.strip_prefix(name)?.parse().ok()?)))
    }
}

impl Ord for Priority<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.parts(), other.parts()) {
            (Some(mine), Some(theirs)) => theirs.cmp(&mine).then_with(|| self.0.cmp(other.0)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(other.0),
        }
    }
}

impl PartialOrd for Priority<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let mut versions = [
            "foo1",
            "v1alpha1",
            "v2beta1",
            "v10",
            "v1",
            "v2",
            "v11alpha2",
            "v1beta2",
            "bar",
        ]
        .map(Priority);
        versions.sort();
        let names = versions.map(|version| version.0);
        assert_eq!(
            names,
            [
                "v10",
                "v2",
                "v1",
                "v2beta1",
                "v1beta2",
                "v11alpha2",
                "v1alpha1",
                "bar",
                "foo1"
            ]
        );
    }
}
