//! Pods on simulated nodes: scheduled, running and ready at once, unless told otherwise.
//!
//! It is the scheduler and the kubelet in one. Nothing runs: a pod of a Job, and one that is not restarted, succeeds.

use std::time::Duration;

use serde_json::{Value, json};

use super::workload::{Context, Simulation, condition, controller_of};
use super::{Next, Outcome};
use crate::app::App;
use crate::objects::meta;
use crate::status::Result;
use crate::store::{Expect, Object};

const SCHEDULER: &str = "default-scheduler";

/// Looks at one pod.
pub(super) fn reconcile(cx: &Context<'_>, key: &str) -> Outcome {
    let table = cx.app.store.table("pods");
    let Some(object) = table.get(key) else {
        return Ok(Next::Done);
    };
    let pod = object.value();
    if object.deleting {
        return stop(cx, &object, &pod);
    }
    if matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    ) {
        return Ok(Next::Done);
    }
    if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        if pod["spec"]["schedulerName"]
            .as_str()
            .is_some_and(|name| name != SCHEDULER)
        {
            return Ok(Next::Done);
        }
        if pod["spec"]["schedulingGates"]
            .as_array()
            .is_some_and(|gates| !gates.is_empty())
        {
            return Ok(Next::Done);
        }
        return schedule(cx, &object, &pod);
    }
    run(cx, &object, &pod)
}

/// A deleted pod stops at once; it is gone unless finalizers hold it.
fn stop(cx: &Context<'_>, object: &Object, pod: &Value) -> Outcome {
    if !meta::finalizers(pod).is_empty() {
        return Ok(Next::Done);
    }
    let table = cx.app.store.table("pods");
    // A race means that something changed: the change brings the pod back here.
    let _ = cx.app.store.remove(
        &table,
        &object.key,
        Expect::Version(object.version),
        pod.clone(),
    );
    Ok(Next::Done)
}

/// The nodes that take pods, by name.
pub(super) fn nodes(app: &App) -> Vec<Value> {
    app.store
        .table("nodes")
        .all()
        .iter()
        .map(|node| node.value())
        .filter(|node| node["spec"]["unschedulable"] != true)
        .collect()
}

/// Whether the node has the labels that the pod asks for.
pub(super) fn fits(pod_spec: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let selected = pod_spec["nodeSelector"]
        .as_object()
        .into_iter()
        .flatten()
        .all(|(key, value)| labels[key] == *value);
    let required =
        &pod_spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = required["nodeSelectorTerms"].as_array();
    selected && terms.is_none_or(|terms| terms.iter().any(|term| term_fits(term, node)))
}

fn term_fits(term: &Value, node: &Value) -> bool {
    let holds = |requirement: &Value, found: Option<&str>| {
        let values = requirement["values"].as_array();
        let listed =
            |text: &str| values.is_some_and(|values| values.iter().any(|value| value == text));
        let number = |text: &str| text.parse::<i64>().ok();
        let bound = values
            .and_then(|values| values.first())
            .and_then(Value::as_str)
            .and_then(number);
        match requirement["operator"].as_str() {
            Some("In") => found.is_some_and(listed),
            Some("NotIn") => !found.is_some_and(listed),
            Some("Exists") => found.is_some(),
            Some("DoesNotExist") => found.is_none(),
            Some("Gt") => found.and_then(number) > bound && bound.is_some(),
            Some("Lt") => found
                .and_then(number)
                .is_some_and(|found| Some(found) < bound),
            _ => false,
        }
    };
    let all = |key: &str| term[key].as_array().into_iter().flatten();
    let labels = &node["metadata"]["labels"];
    all("matchExpressions").all(|one| {
        holds(
            one,
            labels[one["key"].as_str().unwrap_or_default()].as_str(),
        )
    }) && all("matchFields").all(|one| holds(one, node["metadata"]["name"].as_str()))
}

fn schedule(cx: &Context<'_>, object: &Object, pod: &Value) -> Outcome {
    let nodes = nodes(cx.app);
    let mut fitting: Vec<&Value> = nodes
        .iter()
        .filter(|node| fits(&pod["spec"], node))
        .collect();
    let claims_waiting = unbound_claim(cx, pod);
    if fitting.is_empty() || claims_waiting.is_some() {
        let message = claims_waiting.unwrap_or_else(|| {
            let all = nodes.len();
            format!(
                "0/{all} nodes are available: {all} node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/{all} nodes are available: {all} Preemption is not helpful for scheduling."
            )
        });
        let known = condition(&pod["status"], "PodScheduled");
        if known.is_none_or(|known| known["message"] != *message) {
            update_status(cx, object, "kube-scheduler", &|status: &mut Value| {
                let unscheduled = json!({
                    "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": cx.now,
                    "reason": "Unschedulable", "message": message, "observedGeneration": pod["metadata"]["generation"],
                });
                put_condition(status, unscheduled);
            })?;
            cx.event(pod, SCHEDULER, "Warning", "FailedScheduling", &message);
        }
        return Ok(Next::Done);
    }
    // Spread over the nodes by name, so that a run gives the same result each time.
    fitting.sort_by_key(|node| {
        node["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    let ordinal = object.name().bytes().map(usize::from).sum::<usize>();
    let node = fitting[ordinal % fitting.len()]["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    cx.actor.update("pods", object.namespace(), object.name(), "binding", &|pod: &mut Value| {
        pod["spec"]["nodeName"] = node.as_str().into();
        let generation = pod["metadata"]["generation"].clone();
        put_condition(&mut pod["status"], json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": cx.now,
            "observedGeneration": generation,
        }));
        Ok(())
    })?;
    let namespace = object.namespace().unwrap_or_default();
    let message = format!(
        "Successfully assigned {namespace}/{} to {node}",
        object.name()
    );
    cx.event(pod, SCHEDULER, "Normal", "Scheduled", &message);
    Ok(Next::Done)
}

/// What a pod waits for whose claim is not bound.
fn unbound_claim(cx: &Context<'_>, pod: &Value) -> Option<String> {
    let namespace = pod["metadata"]["namespace"].as_str();
    let claims = cx.app.store.table("persistentvolumeclaims");
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let Some(name) = volume["persistentVolumeClaim"]["claimName"].as_str() else {
            continue;
        };
        match claims.get(&crate::store::key(namespace, name)) {
            None => return Some(format!("persistentvolumeclaim {name:?} not found")),
            Some(claim) if claim.value()["status"]["phase"] != "Bound" => {
                return Some("pod has unbound immediate PersistentVolumeClaims".into());
            }
            Some(_) => {}
        }
    }
    None
}

fn put_condition(status: &mut Value, new: Value) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    if let Some(list) = status["conditions"].as_array_mut() {
        match list.iter_mut().find(|known| known["type"] == new["type"]) {
            Some(known) => {
                let same = known["status"] == new["status"];
                let time = known["lastTransitionTime"].clone();
                *known = new;
                if same {
                    known["lastTransitionTime"] = time;
                }
            }
            None => list.push(new),
        }
    }
}

fn update_status(
    cx: &Context<'_>,
    object: &Object,
    manager: &'static str,
    change: &(dyn Fn(&mut Value) + Sync),
) -> Result<()> {
    let actor = super::Actor::new(cx.app, manager);
    actor.update(
        "pods",
        object.namespace(),
        object.name(),
        "status",
        &|pod: &mut Value| {
            if !pod["status"].is_object() {
                pod["status"] = json!({});
            }
            change(&mut pod["status"]);
            Ok(())
        },
    )?;
    Ok(())
}

/// What the annotation of what controls the pod asks for, the topmost first, or its own.
fn simulation(cx: &Context<'_>, object: &Object, pod: &Value) -> Simulation {
    let mut found = Simulation::of(pod);
    let mut owner = controller_of(object);
    let index = cx.app.registry.index();
    for _ in 0..4 {
        let Some(reference) = owner.take() else { break };
        let text = |key: &str| reference[key].as_str().unwrap_or_default();
        let Some(resource) = index.find_kind(text("apiVersion"), text("kind")) else {
            break;
        };
        let key = crate::store::key(object.namespace(), text("name"));
        let Some(above) = resource.table.get(&key) else {
            break;
        };
        owner = controller_of(&above);
        // A ReplicaSet keeps annotations that its Deployment no longer has.
        let copies = owner.is_some() && text("kind") == "ReplicaSet";
        if !copies && let Some(simulation) = Simulation::of(&above.value()) {
            found = Some(simulation);
        }
    }
    found.unwrap_or_default()
}

fn run(cx: &Context<'_>, object: &Object, pod: &Value) -> Outcome {
    let simulation = simulation(cx, object, pod);
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let created: Option<jiff::Timestamp> = pod["metadata"]["creationTimestamp"]
        .as_str()
        .and_then(|text| text.parse().ok());
    let age = created.map_or(Duration::MAX, |created| {
        Duration::try_from(cx.app.now().duration_since(created)).unwrap_or_default()
    });
    let late = simulation
        .delay
        .and_then(|delay| delay.checked_sub(age))
        .filter(|left| !left.is_zero());
    let ends = ends(object, pod);
    let wanted = match (&simulation.fail, late) {
        (_, Some(_)) => State::Starting,
        (Some(reason), None) if ends && reason.is_empty() => State::Failed,
        (Some(reason), None) => State::Crashing(if reason.is_empty() {
            "CrashLoopBackOff"
        } else {
            reason
        }),
        (None, None) if ends => State::Succeeded,
        (None, None) => State::Running,
    };
    let known = pod["status"]["containerStatuses"].is_array();
    let status = status(cx, pod, &wanted);
    if known && phase == status["phase"] && same_state(&pod["status"], &status) {
        return Ok(late.map_or(Next::Done, Next::After));
    }
    update_status(cx, object, "kubelet", &|current: &mut Value| {
        let mut status = status.clone();
        status["qosClass"] = current["qosClass"].clone();
        let conditions = status["conditions"].take();
        if let (Some(into), Some(from)) = (current.as_object_mut(), status.as_object()) {
            for (key, value) in from.iter().filter(|(key, _)| *key != "conditions") {
                into.insert(key.clone(), value.clone());
            }
        }
        for new in conditions.as_array().into_iter().flatten() {
            put_condition(current, new.clone());
        }
    })?;
    Ok(late.map_or(Next::Done, Next::After))
}

/// Whether the pod's containers end by themselves.
fn ends(object: &Object, pod: &Value) -> bool {
    let owner = controller_of(object);
    match owner.as_ref().and_then(|owner| owner["kind"].as_str()) {
        Some("Job") => true,
        Some(_) => false,
        None => matches!(
            pod["spec"]["restartPolicy"].as_str(),
            Some("Never" | "OnFailure")
        ),
    }
}

enum State<'a> {
    Starting,
    Running,
    Succeeded,
    Failed,
    Crashing(&'a str),
}

/// Whether containers and readiness are as wanted already.
fn same_state(known: &Value, wanted: &Value) -> bool {
    let brief = |status: &Value| -> Vec<(Value, Value)> {
        let all = status["containerStatuses"].as_array().into_iter().flatten();
        all.map(|one| {
            (
                one["ready"].clone(),
                one["state"]["waiting"]["reason"].clone(),
            )
        })
        .collect()
    };
    let ready = |status: &Value| condition(status, "Ready").map(|known| known["status"].clone());
    brief(known) == brief(wanted) && ready(known) == ready(wanted)
}

/// An address that stays the same for a pod.
fn address(pod: &Value) -> String {
    if let Some(known) = pod["status"]["podIP"].as_str() {
        return known.to_owned();
    }
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let bits = uid.bytes().fold(7u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    format!("10.244.{}.{}", bits >> 8 & 0xff, 1 + bits % 254)
}

fn status(cx: &Context<'_>, pod: &Value, state: &State<'_>) -> Value {
    let now = cx.now.as_str();
    let spec = &pod["spec"];
    let start = pod["status"]["startTime"].as_str().unwrap_or(now);
    let ready = matches!(state, State::Running);
    let container = |one: &Value, init: bool| {
        let name = one["name"].as_str().unwrap_or_default();
        let running = json!({"running": {"startedAt": start}});
        let done = |code: i64, reason: &str| json!({"terminated": {"exitCode": code, "finishedAt": now, "reason": reason, "startedAt": start}});
        let (state, last, restarts, started) = match state {
            _ if init => (done(0, "Completed"), json!({}), 0, false),
            State::Starting | State::Running => (running, json!({}), 0, true),
            State::Succeeded => (done(0, "Completed"), json!({}), 0, false),
            State::Failed => (done(1, "Error"), json!({}), 0, false),
            State::Crashing(reason) => {
                let (message, last) = match *reason {
                    "CrashLoopBackOff" => (
                        format!(
                            "back-off 5m0s restarting failed container={name} pod={}_{}({})",
                            pod["metadata"]["name"].as_str().unwrap_or_default(),
                            pod["metadata"]["namespace"].as_str().unwrap_or_default(),
                            pod["metadata"]["uid"].as_str().unwrap_or_default()
                        ),
                        done(1, "Error"),
                    ),
                    "ImagePullBackOff" | "ErrImagePull" => (
                        format!("Back-off pulling image {}", one["image"]),
                        json!({}),
                    ),
                    other => (format!("simulated: {other}"), json!({})),
                };
                let restarts = i64::from(*reason == "CrashLoopBackOff") * 5;
                (
                    json!({"waiting": {"reason": reason, "message": message}}),
                    last,
                    restarts,
                    false,
                )
            }
        };
        json!({
            "name": name, "image": one["image"], "imageID": "", "ready": ready || init, "restartCount": restarts,
            "started": started, "state": state, "lastState": last,
        })
    };
    let list = |key: &str, init: bool| -> Vec<Value> {
        spec[key]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| container(one, init))
            .collect()
    };
    let phase = match state {
        State::Starting | State::Running => "Running",
        State::Succeeded => "Succeeded",
        State::Failed => "Failed",
        State::Crashing("ImagePullBackOff" | "ErrImagePull" | "CreateContainerConfigError") => {
            "Pending"
        }
        State::Crashing(_) => "Running",
    };
    let names: Vec<&str> = spec["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["name"].as_str())
        .collect();
    let generation = pod["metadata"]["generation"].clone();
    let simple = |kind: &str, value: bool| {
        json!({
            "type": kind, "status": if value { "True" } else { "False" }, "lastProbeTime": null,
            "lastTransitionTime": now, "observedGeneration": generation,
        })
    };
    let readiness = |kind: &str| {
        let mut one = simple(kind, ready);
        match state {
            State::Running => {}
            State::Succeeded => one["reason"] = "PodCompleted".into(),
            State::Failed => one["reason"] = "PodFailed".into(),
            State::Starting | State::Crashing(_) => {
                one["reason"] = "ContainersNotReady".into();
                one["message"] =
                    format!("containers with unready status: [{}]", names.join(" ")).into();
            }
        }
        one
    };
    let address = address(pod);
    let mut status = json!({
        "phase": phase, "startTime": start, "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [simple("Initialized", true), readiness("Ready"), readiness("ContainersReady")],
        "containerStatuses": list("containers", false),
    });
    let init = list("initContainers", true);
    if !init.is_empty() {
        status["initContainerStatuses"] = init.into();
    }
    status
}
