//! The resources of Kubernetes itself, as kube-apiserver 1.36 serves them by default.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{Group, GroupVersion, Resource, Subresource, strings, table_name};
use crate::store::Store;

/// The discovery documents of kube-apiserver 1.36, remade with `data/remake`.
const DISCOVERY: &str = include_str!("../../data/discovery.json");

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(DISCOVERY).expect("the committed file is JSON"))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// The built-in groups over the tables of `store`.
pub(super) fn groups(store: &Store) -> Vec<Group> {
    let list = |value: &'static Value, key: &str| value[key].as_array().into_iter().flatten();
    let group = |value: &'static Value| {
        let name = text(value, "group");
        let version = |value: &'static Value| {
            let version = text(value, "version");
            let resource = |value| Arc::new(resource(&name, &version, value, store));
            GroupVersion {
                resources: list(value, "resources").map(resource).collect(),
                version: version.clone(),
            }
        };
        Group {
            versions: list(value, "versions").map(version).collect(),
            name: name.clone(),
        }
    };
    document()
        .as_array()
        .into_iter()
        .flatten()
        .map(group)
        .collect()
}

fn resource(group: &str, version: &str, value: &Value, store: &Store) -> Resource {
    let plural = text(value, "name");
    let kind = text(value, "kind");
    let subresource = |value: &Value| Subresource {
        name: text(value, "name"),
        group_version: value["version"]
            .is_string()
            .then(|| (text(value, "group"), text(value, "version"))),
        kind: text(value, "kind"),
        verbs: strings(value, "verbs"),
    };
    Resource {
        api_version: if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        },
        group: group.to_owned(),
        version: version.to_owned(),
        singular: text(value, "singular"),
        list_kind: format!("{kind}List"),
        kind,
        namespaced: value["namespaced"] == true,
        short_names: strings(value, "shortNames"),
        categories: strings(value, "categories"),
        verbs: strings(value, "verbs"),
        subresources: value["subresources"]
            .as_array()
            .into_iter()
            .flatten()
            .map(subresource)
            .collect(),
        table: store.table(&table_name(group, &plural)),
        plural,
        custom: None,
    }
}
