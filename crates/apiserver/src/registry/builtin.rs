//! The resources of Kubernetes itself, as kube-apiserver 1.36 serves them by default.

use std::sync::Arc;

use sluice_schema::tables::discovery;

use super::{Group, GroupVersion, Resource, Subresource, table_name};
use crate::store::Store;

/// The built-in groups over the tables of `store`.
pub(super) fn groups(store: &Store) -> Vec<Group> {
    let group = |group: &discovery::Group| Group {
        name: group.name.clone(),
        versions: group
            .versions
            .iter()
            .map(|version| GroupVersion {
                version: version.name.clone(),
                resources: version
                    .resources
                    .iter()
                    .map(|known| Arc::new(resource(&group.name, &version.name, known, store)))
                    .collect(),
            })
            .collect(),
    };
    discovery::groups().iter().map(group).collect()
}

fn resource(group: &str, version: &str, known: &discovery::Resource, store: &Store) -> Resource {
    let subresource = |sub: &discovery::Subresource| Subresource {
        name: sub.name.clone(),
        group_version: sub
            .version
            .clone()
            .map(|version| (sub.group.clone().unwrap_or_default(), version)),
        kind: sub.kind.clone(),
        verbs: sub.verbs.clone(),
    };
    Resource {
        api_version: if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        },
        group: group.to_owned(),
        version: version.to_owned(),
        plural: known.name.clone(),
        singular: known.singular.clone(),
        list_kind: format!("{}List", known.kind),
        kind: known.kind.clone(),
        namespaced: known.namespaced,
        short_names: known.short_names.clone(),
        categories: known.categories.clone(),
        verbs: known.verbs.clone(),
        subresources: known.subresources.iter().map(subresource).collect(),
        table: store.table(&table_name(group, &known.name)),
        custom: None,
    }
}
