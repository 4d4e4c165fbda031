//! StatefulSets: pods with an identity, made in order, replaced from the last to the first.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::workload::{Context, is_ready, pod_of, reference, until_available};
use super::{Next, Outcome, revision};
use crate::status::Result;
use crate::store::{Object, key};
use crate::verbs::delete::DeleteOptions;
use crate::verbs::selector::Selector;

const TABLE: &str = "statefulsets.apps";
const HASH: &str = "controller-revision-hash";
const REVISION_HASH: &str = "controller.kubernetes.io/hash";

type Pod = (Arc<Object>, Value);

/// Looks at one StatefulSet.
pub(super) fn reconcile(cx: &Context<'_>, set_key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(TABLE).get(set_key) else {
        return Ok(Next::Done);
    };
    let set = object.value();
    if object.deleting {
        return Ok(Next::Done);
    }
    let selector = Selector::of_label_selector(&set["spec"]["selector"]);
    let revisions = revision::current(cx, &object, &set, REVISION_HASH)?;
    let mut pods: Vec<Pod> = cx
        .children(&object, &set, "pods", &selector)
        .into_iter()
        .map(|pod| (pod.clone(), pod.value()))
        .collect();
    pods.sort_by_key(|(pod, _)| ordinal(pod.name()));
    let current = set["status"]["currentRevision"]
        .as_str()
        .filter(|text| !text.is_empty())
        .unwrap_or(&revisions.current);
    let acted = act(cx, &set, &object, &pods, &revisions.current, current)?;
    let next = write_status(cx, &object, &set, &pods, &revisions.current, current)?;
    if !acted {
        let used: Vec<&str> = pods
            .iter()
            .filter_map(|(pod, _)| pod.label(HASH))
            .chain([current])
            .collect();
        revision::clean_up(cx, &set, &revisions, &used)?;
    }
    Ok(next)
}

fn ordinal(name: &str) -> i64 {
    name.rsplit_once('-')
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(-1)
}

/// Makes or deletes what is due. Says whether there was anything.
fn act(
    cx: &Context<'_>,
    set: &Value,
    object: &Object,
    pods: &[Pod],
    update: &str,
    current: &str,
) -> Result<bool> {
    let spec = &set["spec"];
    let first = spec["ordinals"]["start"].as_i64().unwrap_or(0);
    let wanted = spec["replicas"].as_i64().unwrap_or(1).max(0);
    let parallel = spec["podManagementPolicy"] == "Parallel";
    let resource = cx.actor.resource("pods")?;
    let min_ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    let healthy = |pod: &Pod| {
        is_ready(&pod.1)
            && !pod.0.deleting
            && until_available(&pod.1, min_ready, cx.app.now()).is_none()
    };
    let partition = spec["updateStrategy"]["rollingUpdate"]["partition"]
        .as_i64()
        .unwrap_or(0);
    let mut acted = false;
    for number in first..first + wanted {
        match pods.iter().find(|(pod, _)| ordinal(pod.name()) == number) {
            None => {
                let revision = if number < first + partition {
                    current
                } else {
                    update
                };
                create(cx, set, object, number, revision, update)?;
                acted = true;
            }
            Some(pod)
                if matches!(
                    pod.1["status"]["phase"].as_str(),
                    Some("Failed" | "Succeeded")
                ) && !pod.0.deleting =>
            {
                cx.actor
                    .delete(resource, &pod.0, &DeleteOptions::default())?;
                acted = true;
            }
            Some(pod) if healthy(pod) => continue,
            Some(_) => {}
        }
        if !parallel {
            // One after the other.
            return Ok(true);
        }
    }
    // Too many: from the last to the first.
    let surplus = pods
        .iter()
        .rev()
        .filter(|(pod, _)| ordinal(pod.name()) >= first + wanted || ordinal(pod.name()) < first);
    for pod in surplus {
        if !pod.0.deleting {
            cx.actor
                .delete(resource, &pod.0, &DeleteOptions::default())?;
        }
        acted = true;
        if !parallel {
            return Ok(true);
        }
    }
    if acted || spec["updateStrategy"]["type"] == "OnDelete" {
        return Ok(acted);
    }
    for pod in pods
        .iter()
        .rev()
        .filter(|(pod, _)| ordinal(pod.name()) >= first + partition)
    {
        let old = pod.0.label(HASH) != Some(update);
        if old && !pod.0.deleting {
            cx.actor
                .delete(resource, &pod.0, &DeleteOptions::default())?;
            return Ok(true);
        }
        if !healthy(pod) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn create(
    cx: &Context<'_>,
    set: &Value,
    object: &Object,
    number: i64,
    revision: &str,
    update: &str,
) -> Result<()> {
    let namespace = object.namespace();
    let name = format!("{}-{number}", object.name());
    // The template of an older revision, where the partition asks for it.
    let mut template = set["spec"]["template"].clone();
    if revision != update
        && let Some(old) = cx
            .app
            .store
            .table("controllerrevisions.apps")
            .get(&key(namespace, revision))
    {
        template = old.value()["data"]["spec"]["template"].clone();
        if let Some(map) = template.as_object_mut() {
            map.remove("$patch");
        }
    }
    let mut pod = pod_of(&template, set);
    pod["metadata"]["name"] = name.as_str().into();
    pod["metadata"]["generateName"] = format!("{}-", object.name()).into();
    let labels = &mut pod["metadata"]["labels"];
    labels["statefulset.kubernetes.io/pod-name"] = name.as_str().into();
    labels["apps.kubernetes.io/pod-index"] = number.to_string().into();
    labels[HASH] = revision.into();
    pod["spec"]["hostname"] = name.as_str().into();
    if let Some(service) = set["spec"]["serviceName"]
        .as_str()
        .filter(|service| !service.is_empty())
    {
        pod["spec"]["subdomain"] = service.into();
    }
    for claim in set["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let kind = claim["metadata"]["name"].as_str().unwrap_or_default();
        let claim_name = format!("{kind}-{name}");
        let mut made = claim.clone();
        if let Some(map) = made.as_object_mut() {
            map.remove("status");
        }
        made["metadata"]["name"] = claim_name.as_str().into();
        made["metadata"]["namespace"] = namespace.into();
        for (label, value) in set["spec"]["selector"]["matchLabels"]
            .as_object()
            .into_iter()
            .flatten()
        {
            made["metadata"]["labels"][label] = value.clone();
        }
        if set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete" {
            made["metadata"]["ownerReferences"] = json!([reference(set)]);
        }
        match cx.actor.create("persistentvolumeclaims", namespace, made) {
            Err(status) if status.reason != "AlreadyExists" => return Err(status),
            _ => {}
        }
        let volume = json!({"name": kind, "persistentVolumeClaim": {"claimName": claim_name}});
        if !pod["spec"]["volumes"].is_array() {
            pod["spec"]["volumes"] = json!([]);
        }
        if let Some(list) = pod["spec"]["volumes"].as_array_mut() {
            list.retain(|known| known["name"] != kind);
            list.push(volume);
        }
    }
    let made = cx.actor.create("pods", namespace, pod)?;
    let message = format!(
        "Create Pod {} in StatefulSet {} successful",
        made.name(),
        object.name()
    );
    cx.event(
        set,
        "statefulset-controller",
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
    update: &str,
    current: &str,
) -> Outcome {
    let min_ready = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let now = cx.app.now();
    let live: Vec<&Pod> = pods.iter().filter(|(pod, _)| !pod.deleting).collect();
    let of = |revision: &str| {
        live.iter()
            .filter(|(pod, _)| pod.label(HASH) == Some(revision))
            .count()
    };
    let ready = live.iter().filter(|(_, pod)| is_ready(pod)).count();
    let (mut available, mut soonest) = (0, None::<Duration>);
    for (_, pod) in live.iter().filter(|(_, pod)| is_ready(pod)) {
        match until_available(pod, min_ready, now) {
            None => available += 1,
            Some(left) => soonest = Some(soonest.map_or(left, |soonest| soonest.min(left))),
        }
    }
    let wanted = set["spec"]["replicas"].as_i64().unwrap_or(1).max(0) as usize;
    let (updated, mut at_current) = (of(update), of(current));
    let mut current = current;
    // A finished rollout makes the new revision the current one.
    if current != update && updated == live.len() && ready == live.len() && updated == wanted {
        current = update;
        at_current = updated;
    }
    let mut status = json!({
        "replicas": live.len(), "availableReplicas": available,
        "observedGeneration": set["metadata"]["generation"].as_i64().unwrap_or(0),
        "currentRevision": current, "updateRevision": update,
        "collisionCount": set["status"]["collisionCount"].as_i64().unwrap_or(0),
    });
    for (name, count) in [
        ("readyReplicas", ready),
        ("currentReplicas", at_current),
        ("updatedReplicas", updated),
    ] {
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
    Ok(soonest.map_or(Next::Done, Next::After))
}
