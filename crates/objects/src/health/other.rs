//! Kinds that run no Pods, and Pods.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Assessment, Status, condition};
use crate::object;

/// How long a Pod may find no node.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn definition(live: &Value) -> Assessment {
    if let Some(names) = condition(live, "NamesAccepted").filter(|c| c.status == "False") {
        return Assessment::failed(names.message);
    }
    match condition(live, "Established") {
        Some(c) if c.status == "True" => Assessment::current(),
        Some(c) if c.status == "False" && c.reason != "Installing" => Assessment::failed(c.message),
        _ => Assessment::in_progress("install in progress"),
    }
}

pub(super) fn service(live: &Value) -> Assessment {
    let spec = |field| object::text(live, &["spec", field]);
    if spec("type") == "LoadBalancer" && spec("clusterIP").is_empty() {
        return Assessment::in_progress("cluster IP not set");
    }
    Assessment::current()
}

pub(super) fn claim(live: &Value) -> Assessment {
    match object::text(live, &["status", "phase"]) {
        "Bound" => Assessment::current(),
        _ => Assessment::in_progress("claim is not bound"),
    }
}

pub(super) fn is_unschedulable(pod: &Value) -> bool {
    condition(pod, "PodScheduled")
        .is_some_and(|c| c.status == "False" && c.reason == "Unschedulable")
}

pub(super) fn pod(live: &Value, now: Timestamp) -> Assessment {
    match object::text(live, &["status", "phase"]) {
        // A Pod that has failed will not change any more: that is all that is asked here.
        "Succeeded" | "Failed" => Assessment::current(),
        "Running" => {
            if condition(live, "Ready").is_some_and(|c| c.status == "True") {
                return Assessment::current();
            }
            match crashing(live).as_slice() {
                [] => Assessment::in_progress("pod is running but is not ready"),
                names => Assessment::failed(format!(
                    "containers in CrashLoopBackOff: {}",
                    names.join(",")
                )),
            }
        }
        "Pending" if is_unschedulable(live) => {
            let created =
                object::text(live, &["metadata", "creationTimestamp"]).parse::<Timestamp>();
            match created {
                Ok(created) if now.duration_since(created) > PATIENCE => {
                    Assessment::failed("pod could not be scheduled")
                }
                _ => Assessment::in_progress("pod has not been scheduled"),
            }
        }
        "Pending" => Assessment::in_progress("pod is in the Pending phase"),
        "" => Assessment::in_progress("pod phase not available"),
        other => Assessment::new(Status::Unknown, format!("unknown phase {other}")),
    }
}

/// Names of the containers that wait before they are started once more.
fn crashing(pod: &Value) -> Vec<&str> {
    let lists = ["initContainerStatuses", "containerStatuses"]
        .map(|list| object::at(pod, &["status", list]));
    let containers = lists
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten();
    containers
        .filter(|c| object::text(c, &["state", "waiting", "reason"]) == "CrashLoopBackOff")
        .map(|c| object::text(c, &["name"]))
        .collect()
}

pub(super) fn by_ready_condition(live: &Value) -> Assessment {
    match condition(live, "Ready") {
        Some(c) if c.status != "True" => Assessment::in_progress(c.message),
        _ => Assessment::current(),
    }
}
