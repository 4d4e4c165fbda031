//! Which resources are served: the built-in ones, and those of CustomResourceDefinitions.
//!
//! An [`Index`] is an immutable view that a request takes once; it is replaced when a CustomResourceDefinition
//! changes.

mod builtin;
mod custom;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::store::{Object, Store, Table};

pub use custom::{Column, Custom};

/// A kind that a subresource reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subresource {
    /// Its name, such as `status`.
    pub name: String,
    /// Group and version of its kind where they are not the resource's own.
    pub group_version: Option<(String, String)>,
    /// Its kind.
    pub kind: String,
    /// The verbs of discovery.
    pub verbs: Vec<String>,
}

/// One resource in one served version.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Served version.
    pub version: String,
    /// `GROUP/VERSION`, or `VERSION` for the core group.
    pub api_version: String,
    /// Plural name.
    pub plural: String,
    /// Singular name.
    pub singular: String,
    /// Kind.
    pub kind: String,
    /// Kind of a list.
    pub list_kind: String,
    /// Whether objects are in a namespace.
    pub namespaced: bool,
    /// Short names.
    pub short_names: Vec<String>,
    /// Categories.
    pub categories: Vec<String>,
    /// The verbs of discovery.
    pub verbs: Vec<String>,
    /// Subresources in the order of discovery.
    pub subresources: Vec<Subresource>,
    /// Where the objects are.
    pub table: Arc<Table>,
    /// What a CustomResourceDefinition says about this version.
    pub custom: Option<Arc<Custom>>,
}

impl Resource {
    /// The subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    /// Whether the verb is served.
    pub fn serves(&self, verb: &str) -> bool {
        self.verbs.iter().any(|served| served == verb)
    }
}

/// One served version of a group.
#[derive(Debug)]
pub struct GroupVersion {
    /// Version.
    pub version: String,
    /// Resources in the order of discovery.
    pub resources: Vec<Arc<Resource>>,
}

/// One group with its versions, the preferred one first.
#[derive(Debug)]
pub struct Group {
    /// Name; empty for the core group.
    pub name: String,
    /// Versions, the preferred one first.
    pub versions: Vec<GroupVersion>,
}

/// What is served at one moment.
#[derive(Debug, Default)]
pub struct Index {
    /// Groups in the order of discovery, the core group first.
    pub groups: Vec<Group>,
    by_path: HashMap<(String, String, String), Arc<Resource>>,
    by_kind: HashMap<(String, String), Arc<Resource>>,
    by_table: HashMap<Arc<str>, Arc<Resource>>,
    /// Grows with every change.
    pub generation: u64,
}

impl Index {
    /// The resource of a group, version and plural name.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.by_path
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The resource of an apiVersion and a kind.
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.by_kind.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// The resource in its preferred version by the table that holds its objects.
    pub fn find_table(&self, name: &str) -> Option<&Arc<Resource>> {
        self.by_table.get(name)
    }

    /// Whether the group has this version.
    pub fn group_version(&self, group: &str, version: &str) -> Option<&GroupVersion> {
        let group = self.groups.iter().find(|known| known.name == group)?;
        group.versions.iter().find(|known| known.version == version)
    }

    fn of(groups: Vec<Group>, generation: u64) -> Self {
        let mut index = Index {
            groups: Vec::new(),
            generation,
            ..Index::default()
        };
        for resource in groups
            .iter()
            .flat_map(|g| &g.versions)
            .flat_map(|v| &v.resources)
        {
            let path = (
                resource.group.clone(),
                resource.version.clone(),
                resource.plural.clone(),
            );
            index.by_path.insert(path, resource.clone());
            let kind = (resource.api_version.clone(), resource.kind.clone());
            index
                .by_kind
                .entry(kind)
                .or_insert_with(|| resource.clone());
            index
                .by_table
                .entry(resource.table.name.clone())
                .or_insert_with(|| resource.clone());
        }
        index.groups = groups;
        index
    }
}

/// The served resources, now.
pub struct Registry {
    store: Arc<Store>,
    index: RwLock<Arc<Index>>,
    customs: RwLock<BTreeMap<String, Arc<custom::Definition>>>,
}

impl Registry {
    /// The built-in resources, and those of the CustomResourceDefinitions in the store.
    pub fn new(store: Arc<Store>) -> Self {
        let registry = Registry {
            index: RwLock::new(Arc::new(Index::default())),
            customs: RwLock::default(),
            store,
        };
        let definitions = registry
            .store
            .table("customresourcedefinitions.apiextensions.k8s.io");
        let customs = definitions
            .all()
            .iter()
            .map(|object| {
                (
                    object.name().to_owned(),
                    Arc::new(custom::Definition::read(object)),
                )
            })
            .collect();
        *registry
            .customs
            .write()
            .unwrap_or_else(PoisonError::into_inner) = customs;
        registry.rebuild();
        registry
    }

    /// What is served now.
    pub fn index(&self) -> Arc<Index> {
        self.index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes note of a CustomResourceDefinition that was written or removed.
    pub fn custom_changed(&self, name: &str, object: Option<&Object>) {
        {
            let mut customs = self.customs.write().unwrap_or_else(PoisonError::into_inner);
            match object {
                Some(object) => {
                    let known = customs.get(name);
                    let read = custom::Definition::read_after(object, known.map(Arc::as_ref));
                    customs.insert(name.to_owned(), Arc::new(read))
                }
                None => customs.remove(name),
            };
        }
        self.rebuild();
    }

    fn rebuild(&self) {
        let customs = self.customs.read().unwrap_or_else(PoisonError::into_inner);
        let mut groups = builtin::groups(&self.store);
        custom::add_groups(&mut groups, customs.values().map(Arc::as_ref), &self.store);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let generation = index.generation + 1;
        *index = Arc::new(Index::of(groups, generation));
    }
}

/// The table name of a group and plural name.
pub fn table_name(group: &str, plural: &str) -> String {
    match group {
        "" => plural.to_owned(),
        // One storage under two names.
        "events.k8s.io" if plural == "events" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    }
}

/// A list of strings at `key`.
fn strings(value: &Value, key: &str) -> Vec<String> {
    let texts = value[key]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
