//! DaemonSets: a pod on each node that fits.

use std::sync::Arc;

use serde_json::{Value, json};

use super::workload::{Context, int_or_percent, is_ready, pod_of, until_available};
use super::{Next, Outcome, pod, revision};
use crate::status::Result;
use crate::store::Object;
use crate::verbs::delete::DeleteOptions;
use crate::verbs::selector::Selector;

const TABLE: &str = "daemonsets.apps";
const HASH: &str = "controller-revision-hash";

type Pod = (Arc<Object>, Value);

/// Looks at one DaemonSet.
pub(super) fn reconcile(cx: &Context<'_>, key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(TABLE).get(key) else {
        return Ok(Next::Done);
    };
    let set = object.value();
    if object.deleting {
        return Ok(Next::Done);
    }
    let selector = Selector::of_label_selector(&set["spec"]["selector"]);
    let revisions = revision::current(cx, &object, &set, HASH)?;
    let pods: Vec<Pod> = cx
        .children(&object, &set, "pods", &selector)
        .into_iter()
        .map(|pod| (pod.clone(), pod.value()))
        .collect();
    let nodes: Vec<String> = pod::nodes(cx.app)
        .iter()
        .filter(|node| pod::fits(&set["spec"]["template"]["spec"], node))
        .filter_map(|node| node["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    act(cx, &set, &pods, &nodes, &revisions.hash)?;
    let used: Vec<String> = pods
        .iter()
        .filter_map(|(pod, _)| Some(format!("{}-{}", object.name(), pod.label(HASH)?)))
        .collect();
    let used: Vec<&str> = used.iter().map(String::as_str).collect();
    revision::clean_up(cx, &set, &revisions, &used)?;
    write_status(cx, &object, &set, &pods, &nodes, &revisions.hash)
}

/// The node that a pod is for: where it is, or where its affinity sends it.
fn node_of(pod: &Value) -> Option<&str> {
    pod["spec"]["nodeName"].as_str().filter(|name| !name.is_empty()).or_else(|| {
        let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0].as_str()
    })
}

fn act(cx: &Context<'_>, set: &Value, pods: &[Pod], nodes: &[String], hash: &str) -> Result<()> {
    let resource = cx.actor.resource("pods")?;
    let live = |node: &str| {
        pods.iter()
            .find(|(pod, value)| !pod.deleting && node_of(value) == Some(node))
    };
    for node in nodes {
        let present = pods
            .iter()
            .any(|(_, value)| node_of(value) == Some(node.as_str()));
        if !present {
            create(cx, set, node, hash)?;
        }
    }
    for (object, _) in pods.iter().filter(|(pod, value)| {
        let misplaced = node_of(value).is_none_or(|node| !nodes.iter().any(|known| known == node));
        let over = matches!(
            value["status"]["phase"].as_str(),
            Some("Failed" | "Succeeded")
        );
        !pod.deleting && (misplaced || over)
    }) {
        cx.actor
            .delete(resource, object, &DeleteOptions::default())?;
    }
    if set["spec"]["updateStrategy"]["type"] == "OnDelete" {
        return Ok(());
    }
    let limit = &set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    let limit = int_or_percent(limit, "1", nodes.len() as i64, true).max(1);
    let unavailable = nodes
        .iter()
        .filter(|node| live(node).is_none_or(|(_, pod)| !is_ready(pod)))
        .count() as i64;
    let old = nodes
        .iter()
        .filter_map(|node| live(node))
        .filter(|(pod, _)| pod.label(HASH) != Some(hash));
    let mut room = limit - unavailable;
    for (object, value) in old {
        if !is_ready(value) || room > 0 {
            room -= i64::from(is_ready(value));
            cx.actor
                .delete(resource, object, &DeleteOptions::default())?;
        }
    }
    Ok(())
}

fn create(cx: &Context<'_>, set: &Value, node: &str, hash: &str) -> Result<()> {
    let mut pod = pod_of(&set["spec"]["template"], set);
    let name = set["metadata"]["name"].as_str().unwrap_or_default();
    pod["metadata"]["generateName"] = format!("{name}-").into();
    pod["metadata"]["labels"][HASH] = hash.into();
    let generation = set["metadata"]["generation"].as_i64().unwrap_or(1);
    pod["metadata"]["labels"]["pod-template-generation"] = generation.to_string().into();
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}],
    });
    let kinds = [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ];
    if !pod["spec"]["tolerations"].is_array() {
        pod["spec"]["tolerations"] = json!([]);
    }
    if let Some(list) = pod["spec"]["tolerations"].as_array_mut() {
        for (kind, effect) in kinds {
            let key = format!("node.kubernetes.io/{kind}");
            list.push(json!({"effect": effect, "key": key, "operator": "Exists"}));
        }
    }
    let made = cx
        .actor
        .create("pods", set["metadata"]["namespace"].as_str(), pod)?;
    let message = format!("Created pod: {}", made.name());
    cx.event(
        set,
        "daemonset-controller",
        "Normal",
        "SuccessfulCreate",
        &message,
    );
    Ok(())
}

fn write_status(
    cx: &Context<'_>,
    object: &Object,
    set: &Value,
    pods: &[Pod],
    nodes: &[String],
    hash: &str,
) -> Outcome {
    let min_ready = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let now = cx.app.now();
    let (mut scheduled, mut ready, mut available, mut updated, mut next) = (0, 0, 0, 0, Next::Done);
    for node in nodes {
        let found = pods
            .iter()
            .find(|(pod, value)| !pod.deleting && node_of(value) == Some(node.as_str()));
        let Some((pod, value)) = found else { continue };
        scheduled += 1;
        updated += i64::from(pod.label(HASH) == Some(hash));
        if is_ready(value) {
            ready += 1;
            match until_available(value, min_ready, now) {
                None => available += 1,
                Some(left) => next = Next::After(left),
            }
        }
    }
    let wanted = nodes.len() as i64;
    let mut status = json!({
        "currentNumberScheduled": scheduled, "desiredNumberScheduled": wanted, "numberMisscheduled": 0,
        "numberReady": ready, "observedGeneration": set["metadata"]["generation"].as_i64().unwrap_or(0),
    });
    let numbers = [
        ("updatedNumberScheduled", updated),
        ("numberAvailable", available),
        ("numberUnavailable", wanted - available),
    ];
    for (name, count) in numbers {
        if count != 0 {
            status[name] = count.into();
        }
    }
    if set["status"] != status {
        cx.actor.update(
            TABLE,
            object.namespace(),
            object.name(),
            "status",
            &|set: &mut Value| {
                set["status"] = status.clone();
                Ok(())
            },
        )?;
    }
    Ok(next)
}
