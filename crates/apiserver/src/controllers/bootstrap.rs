//! What every cluster has from the start.

use serde_json::{Value, json};

use super::Actor;
use super::namespace;
use crate::app::App;
use crate::auth;

/// The namespaces of every cluster.
const NAMESPACES: &[&str] = &["kube-system", "kube-public", "kube-node-lease", "default"];

/// Makes what is missing.
pub fn ensure(app: &App) {
    let actor = Actor::new(app, "kube-apiserver");
    for name in NAMESPACES {
        ensure_object(
            &actor,
            app,
            "namespaces",
            None,
            json!({"metadata": {"name": name}}),
        );
        if let Err(error) = namespace::fill(app, name) {
            tracing::warn!(%error, namespace = name, "cannot make the default objects of a namespace");
        }
    }
    for object in auth::bootstrap_objects() {
        let table = match object["kind"].as_str() {
            Some("ClusterRole") => "clusterroles.rbac.authorization.k8s.io",
            _ => "clusterrolebindings.rbac.authorization.k8s.io",
        };
        ensure_object(&actor, app, table, None, object);
    }
}

fn ensure_object(actor: &Actor<'_>, app: &App, table: &str, namespace: Option<&str>, value: Value) {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    if app
        .store
        .table(table)
        .get(&crate::store::key(namespace, name))
        .is_some()
    {
        return;
    }
    let label = format!("{table} {name}");
    if let Err(error) = actor.create(table, namespace, value) {
        tracing::warn!(%error, object = label, "cannot make an object that every cluster has");
    }
}
