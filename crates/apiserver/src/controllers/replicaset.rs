//! ReplicaSets and ReplicationControllers: as many pods as wanted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::workload::{Context, is_active, is_ready, pod_of, until_available};
use super::{Next, Outcome};
use crate::status::Status;
use crate::store::Object;
use crate::verbs::delete::DeleteOptions;
use crate::verbs::selector::Selector;

/// How many pods are made in one go, as the real controller's burst.
const BURST: usize = 500;

/// Looks at one ReplicaSet or ReplicationController.
pub(super) fn reconcile(cx: &Context<'_>, table: &str, key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(table).get(key) else {
        return Ok(Next::Done);
    };
    let value = object.value();
    let selector = match table {
        "replicationcontrollers" => Selector::of_map(&value["spec"]["selector"]),
        _ => Selector::of_label_selector(&value["spec"]["selector"]),
    };
    let pods: Vec<(Arc<Object>, Value)> = cx
        .children(&object, &value, "pods", &selector)
        .into_iter()
        .map(|pod| (pod.clone(), pod.value()))
        .collect();
    let mut active: Vec<&(Arc<Object>, Value)> =
        pods.iter().filter(|(_, pod)| is_active(pod)).collect();
    let wanted = value["spec"]["replicas"].as_i64().unwrap_or(1).max(0) as usize;
    if !object.deleting && active.len() != wanted {
        let failed = scale(cx, &value, &mut active, wanted).err();
        write_status(cx, table, &object, &value, &pods, failed.as_ref())?;
        // The pods that were made or deleted bring this key back; the status is then counted.
        return failed.map_or(Ok(Next::Done), Err);
    }
    write_status(cx, table, &object, &value, &pods, None)
}

/// The conditions of a status: what cannot be made or deleted is said once, until it works again.
fn conditions(before: &Value, failed: Option<&Status>, more: bool, now: &str) -> Option<Value> {
    let mut all = before.as_array().cloned().unwrap_or_default();
    let known = all.iter().any(|known| known["type"] == "ReplicaFailure");
    match failed {
        Some(status) if !known => {
            let reason = if more { "FailedCreate" } else { "FailedDelete" };
            all.push(json!({
                "type": "ReplicaFailure", "status": "True", "reason": reason, "message": status.message,
                "lastTransitionTime": now,
            }));
        }
        None => all.retain(|known| known["type"] != "ReplicaFailure"),
        Some(_) => {}
    }
    (!all.is_empty()).then(|| all.into())
}

fn scale(
    cx: &Context<'_>,
    value: &Value,
    active: &mut [&(Arc<Object>, Value)],
    wanted: usize,
) -> crate::status::Result<()> {
    let (name, namespace) = (
        value["metadata"]["name"].as_str().unwrap_or_default(),
        value["metadata"]["namespace"].as_str(),
    );
    let component = match value["kind"].as_str() {
        Some("ReplicationController") => "replication-controller",
        _ => "replicaset-controller",
    };
    if active.len() < wanted {
        for _ in 0..(wanted - active.len()).min(BURST) {
            let mut pod = pod_of(&value["spec"]["template"], value);
            pod["metadata"]["generateName"] = format!("{name}-").into();
            match cx.actor.create("pods", namespace, pod) {
                Ok(pod) => {
                    let message = format!("Created pod: {}", pod.name());
                    cx.event(value, component, "Normal", "SuccessfulCreate", &message);
                }
                Err(status) => {
                    let message = format!("Error creating: {status}");
                    cx.event(value, component, "Warning", "FailedCreate", &message);
                    return Err(status);
                }
            }
        }
        return Ok(());
    }
    // Pods that are not ready go first, then the newest.
    active.sort_by_key(|(object, pod)| {
        let scheduled = pod["spec"]["nodeName"].is_string();
        (scheduled, is_ready(pod), std::cmp::Reverse(object.version))
    });
    let resource = cx.actor.resource("pods")?;
    for (pod, _) in active.iter().take(active.len() - wanted) {
        cx.actor.delete(resource, pod, &DeleteOptions::default())?;
        let message = format!("Deleted pod: {}", pod.name());
        cx.event(value, component, "Normal", "SuccessfulDelete", &message);
    }
    Ok(())
}

fn write_status(
    cx: &Context<'_>,
    table: &str,
    object: &Object,
    value: &Value,
    pods: &[(Arc<Object>, Value)],
    failed: Option<&Status>,
) -> Outcome {
    let min_ready = value["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let template = Selector::of_map(&value["spec"]["template"]["metadata"]["labels"]);
    let now = cx.app.now();
    let (mut replicas, mut labeled, mut ready, mut available, mut terminating) = (0, 0, 0, 0, 0);
    let mut soonest: Option<Duration> = None;
    for (_, pod) in pods {
        if !is_active(pod) {
            terminating += i64::from(pod["metadata"]["deletionTimestamp"].is_string());
            continue;
        }
        replicas += 1;
        labeled += i64::from(template.matches_map(&pod["metadata"]["labels"]));
        if is_ready(pod) {
            ready += 1;
            match until_available(pod, min_ready, now) {
                None => available += 1,
                Some(left) => soonest = Some(soonest.map_or(left, |soonest| soonest.min(left))),
            }
        }
    }
    let mut status = json!({
        "replicas": replicas, "observedGeneration": value["metadata"]["generation"].as_i64().unwrap_or(0),
    });
    for (name, count) in [
        ("fullyLabeledReplicas", labeled),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ] {
        if count != 0 {
            status[name] = count.into();
        }
    }
    if table == "replicasets.apps" {
        status["terminatingReplicas"] = terminating.into();
    }
    let more = replicas < value["spec"]["replicas"].as_i64().unwrap_or(1);
    let found = conditions(&value["status"]["conditions"], failed, more, &cx.now);
    if let Some(found) = found {
        status["conditions"] = found;
    }
    if value["status"] != status {
        cx.actor.update(
            table,
            object.namespace(),
            object.name(),
            "status",
            &|value: &mut Value| {
                value["status"] = status.clone();
                Ok(())
            },
        )?;
    }
    Ok(soonest.map_or(Next::Done, Next::After))
}
