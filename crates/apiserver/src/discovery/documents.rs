//! The discovery documents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::objects::convert;
use crate::registry::{Group, GroupVersion, Index, Resource};

/// `/version`.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.3+sluice", "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, platform()),
    })
}

fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `/api`.
pub fn core_versions(app: &App) -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": app.address.to_string()}],
    })
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

fn group_members(group: &Group) -> Map<String, Value> {
    let entry = |version: &GroupVersion| json!({"groupVersion": api_version(&group.name, &version.version), "version": version.version});
    let versions: Vec<Value> = group.versions.iter().map(entry).collect();
    let mut map = Map::new();
    map.insert("name".into(), group.name.as_str().into());
    map.insert(
        "preferredVersion".into(),
        versions.first().cloned().unwrap_or_default(),
    );
    map.insert("versions".into(), versions.into());
    map
}

/// `/apis`.
pub fn group_list(index: &Index) -> Value {
    let named = index.groups.iter().filter(|group| !group.name.is_empty());
    let groups: Vec<Value> = named
        .map(|group| Value::Object(group_members(group)))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub fn group(index: &Index, name: &str) -> Option<Value> {
    let group = index
        .groups
        .iter()
        .find(|group| group.name == name && !name.is_empty())?;
    let mut map = group_members(group);
    map.insert("kind".into(), "APIGroup".into());
    map.insert("apiVersion".into(), "v1".into());
    Some(Value::Object(map))
}

/// What the real server calls the hash of a storage version.
fn storage_hash(resource: &Resource) -> String {
    let stored = convert::storage_api_version(resource);
    let (group, version) = stored.rsplit_once('/').unwrap_or(("", stored));
    let digest = Sha256::digest(format!("{group}/{version}/{}", resource.kind));
    BASE64.encode(&digest[..8])
}

/// `/api/v1`, `/apis/GROUP/VERSION`.
pub fn resource_list(index: &Index, group: &str, version: &str) -> Option<Value> {
    let found = index.group_version(group, version)?;
    let mut all = Vec::new();
    for resource in &found.resources {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs,
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        if resource.serves("list") && resource.plural != "componentstatuses" {
            entry["storageVersionHash"] = storage_hash(resource).into();
        }
        all.push(entry);
        for sub in &resource.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, sub.name), "singularName": "",
                "namespaced": resource.namespaced, "kind": sub.kind, "verbs": sub.verbs,
            });
            if let Some((group, version)) = &sub.group_version {
                entry["group"] = group.as_str().into();
                entry["version"] = version.as_str().into();
            }
            all.push(entry);
        }
    }
    let list = api_version(group, version);
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": list, "resources": all}),
    )
}

/// `/api` or `/apis` as APIGroupDiscoveryList.
pub fn aggregated(index: &Index, core: bool, version: &str) -> Value {
    let resource = |resource: &std::sync::Arc<Resource>| {
        let kind = |own: Option<&(String, String)>, kind: &str| match (own, &resource.custom) {
            (Some((group, version)), _) => {
                json!({"group": group, "version": version, "kind": kind})
            }
            (None, Some(_)) => {
                json!({"group": resource.group, "version": resource.version, "kind": kind})
            }
            (None, None) => json!({"group": "", "version": "", "kind": kind}),
        };
        let mut entry = json!({
            "resource": resource.plural, "responseKind": kind(None, &resource.kind),
            "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": resource.singular, "verbs": resource.verbs,
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        if !resource.subresources.is_empty() {
            let subs = resource.subresources.iter().map(|sub| {
                json!({
                    "subresource": sub.name, "responseKind": kind(sub.group_version.as_ref(), &sub.kind),
                    "verbs": sub.verbs,
                })
            });
            entry["subresources"] = subs.collect();
        }
        entry
    };
    let group = |group: &Group| {
        let versions = group.versions.iter().map(|version| {
            let resources: Vec<Value> = version.resources.iter().map(resource).collect();
            json!({"version": version.version, "resources": resources, "freshness": "Current"})
        });
        let name = if group.name.is_empty() {
            json!({})
        } else {
            json!({"name": group.name})
        };
        json!({"metadata": name, "versions": versions.collect::<Vec<_>>()})
    };
    let items: Vec<Value> = index
        .groups
        .iter()
        .filter(|g| g.name.is_empty() == core)
        .map(group)
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {},
        "items": items,
    })
}

/// `/`.
pub fn paths(index: &Index) -> Value {
    let mut paths = vec![
        "/.well-known/openid-configuration".to_owned(),
        "/api".into(),
        "/apis".into(),
    ];
    for group in &index.groups {
        let prefix = if group.name.is_empty() {
            "/api".to_owned()
        } else {
            format!("/apis/{}", group.name)
        };
        if !group.name.is_empty() {
            paths.push(prefix.clone());
        }
        paths.extend(
            group
                .versions
                .iter()
                .map(|version| format!("{prefix}/{}", version.version)),
        );
    }
    paths.extend(
        [
            "/healthz",
            "/livez",
            "/openapi/v2",
            "/openapi/v3",
            "/openid/v1/jwks",
            "/readyz",
            "/version",
        ]
        .map(String::from),
    );
    paths.sort();
    json!({ "paths": paths })
}
