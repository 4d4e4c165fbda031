//! What every cluster has from the start.

use serde_json::{Value, json};

use super::Actor;
use super::{namespace, volume};
use crate::app::{App, time_text};
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
            Some("ClusterRoleBinding") => "clusterrolebindings.rbac.authorization.k8s.io",
            Some("Role") => "roles.rbac.authorization.k8s.io",
            _ => "rolebindings.rbac.authorization.k8s.io",
        };
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        ensure_object(&actor, app, table, namespace.as_deref(), object);
    }
    for (table, namespace, object) in others(app) {
        ensure_object(&actor, app, table, namespace, object);
    }
}

/// The node that takes all pods.
const NODE: &str = "sluice";

/// Objects beside namespaces and roles: table, namespace, object.
fn others(app: &App) -> Vec<(&'static str, Option<&'static str>, Value)> {
    let now = time_text(app.now());
    let capacity = json!({"cpu": "64", "memory": "256Gi", "pods": "10k"});
    let condition = |kind: &str, value: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": value, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let version = concat!("sluice-", env!("CARGO_PKG_VERSION"));
    let priority = |name: &str, value: i64, text: &str| {
        (
            "priorityclasses.scheduling.k8s.io",
            None,
            json!({"metadata": {"name": name}, "value": value, "description": text, "preemptionPolicy": "PreemptLowerPriority"}),
        )
    };
    let node = json!({
        "metadata": {
            "name": NODE,
            "labels": {
                "beta.kubernetes.io/arch": arch, "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": arch,
                "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux",
            },
            "annotations": {"sluice.dev/node": "simulated"},
        },
        "status": {
            "capacity": capacity, "allocatable": capacity,
            "conditions": [
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
            "nodeInfo": {
                "architecture": arch, "bootID": "", "containerRuntimeVersion": version, "kernelVersion": version,
                "kubeProxyVersion": "", "kubeletVersion": version, "machineID": "", "operatingSystem": "linux",
                "osImage": "", "systemUUID": "",
            },
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        },
    });
    let class = json!({
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": volume::PROVISIONER, "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": true,
    });
    let service = json!({
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "clusterIP": "10.96.0.1", "type": "ClusterIP", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": app.address.port()}],
        },
    });
    let critical = "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.";
    let node_critical =
        "Used for system critical pods that must not be moved from their current node.";
    vec![
        ("nodes", None, node),
        ("storageclasses.storage.k8s.io", None, class),
        ("services", Some("default"), service),
        priority("system-node-critical", 2_000_001_000, node_critical),
        priority("system-cluster-critical", 2_000_000_000, critical),
    ]
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
    // A create takes no status, here as everywhere: it is written by a second step.
    let (name, status) = (name.to_owned(), value.get("status").cloned());
    let made = actor
        .create(table, namespace, value)
        .and_then(|made| match &status {
            None => Ok(made),
            Some(status) => actor.update(table, namespace, &name, "status", &|object| {
                object["status"] = status.clone();
                Ok(())
            }),
        });
    if let Err(error) = made {
        tracing::warn!(%error, object = label, "cannot make an object that every cluster has");
    }
}
