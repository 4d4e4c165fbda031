//! What the always-on plugins do to a new pod: ServiceAccount, Priority, DefaultTolerationSeconds.

use serde_json::{Value, json};
use sluice_schema::builtin;

use crate::objects::{Write, meta};
use crate::random;
use crate::status::{Result, Status};
use crate::store::key;

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn forbidden(write: &Write<'_>, pod: &Value, why: &str) -> Status {
    let given = meta::text(pod, "name");
    let name = if given.is_empty() {
        meta::text(pod, "generateName")
    } else {
        given
    };
    let _ = write;
    Status::forbidden("", "pods", name, why)
}

/// Completes a new pod.
///
/// # Errors
/// 403 where its ServiceAccount or its PriorityClass does not exist.
pub(super) fn complete(write: &Write<'_>, pod: &mut Value) -> Result<()> {
    service_account(write, pod)?;
    priority(write, pod)?;
    builtin::default_tolerations(pod);
    Ok(())
}

fn list<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Vec<Value>> {
    let member = &mut value[name];
    if !member.is_array() {
        *member = json!([]);
    }
    member.as_array_mut()
}

fn service_account(write: &Write<'_>, pod: &mut Value) -> Result<()> {
    let namespace = write.namespace.unwrap_or_default();
    let spec = &pod["spec"];
    let given = ["serviceAccountName", "serviceAccount"]
        .iter()
        .find_map(|key| spec[*key].as_str().filter(|name| !name.is_empty()));
    let name = given.unwrap_or("default").to_owned();
    let table = write.app.store.table("serviceaccounts");
    let Some(account) = table.get(&key(Some(namespace), &name)) else {
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
        );
        return Err(forbidden(write, pod, &why));
    };
    let account = account.value();
    let wanted = [&pod["spec"], &account]
        .iter()
        .find_map(|holder| holder["automountServiceAccountToken"].as_bool());
    let spec = &mut pod["spec"];
    spec["serviceAccountName"] = name.as_str().into();
    spec["serviceAccount"] = name.as_str().into();
    let secrets = account["imagePullSecrets"]
        .as_array()
        .is_some_and(|secrets| !secrets.is_empty());
    if secrets
        && spec["imagePullSecrets"]
            .as_array()
            .is_none_or(Vec::is_empty)
    {
        spec["imagePullSecrets"] = account["imagePullSecrets"].clone();
    }
    if wanted == Some(false) {
        return Ok(());
    }
    let volume = format!("kube-api-access-{}", random::suffix());
    let mount = json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH});
    let mut mounted = false;
    for kind in ["initContainers", "containers"] {
        for container in spec[kind].as_array_mut().into_iter().flatten() {
            let own = container["volumeMounts"].as_array();
            let has = own
                .is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == TOKEN_PATH));
            if !has && let Some(mounts) = list(container, "volumeMounts") {
                mounts.push(mount.clone());
                mounted = true;
            }
        }
    }
    if mounted && let Some(volumes) = list(spec, "volumes") {
        let namespace_item = json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
        volumes.push(json!({
            "name": volume,
            "projected": {
                "defaultMode": 420,
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {"downwardAPI": {"items": [namespace_item]}},
                ],
            },
        }));
    }
    Ok(())
}

fn priority(write: &Write<'_>, pod: &mut Value) -> Result<()> {
    let table = write.app.store.table("priorityclasses.scheduling.k8s.io");
    let name = pod["spec"]["priorityClassName"]
        .as_str()
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    let class = match &name {
        Some(name) => {
            let Some(class) = table.get(name) else {
                let why = format!("no PriorityClass with name {name} was found");
                return Err(forbidden(write, pod, &why));
            };
            Some(class.value())
        }
        None => table
            .all()
            .iter()
            .map(|class| class.value())
            .find(|class| class["globalDefault"] == true),
    };
    let spec = &mut pod["spec"];
    if let Some(class) = class {
        spec["priority"] = class["value"].clone();
        spec["priorityClassName"] = class["metadata"]["name"].clone();
        let policy = class["preemptionPolicy"]
            .as_str()
            .unwrap_or("PreemptLowerPriority");
        spec["preemptionPolicy"] = policy.into();
    } else {
        spec["priority"] = 0.into();
        spec["preemptionPolicy"] = "PreemptLowerPriority".into();
    }
    Ok(())
}
