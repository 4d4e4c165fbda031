//! Kinds that run Pods.

use serde_json::Value;

use super::{Assessment, condition};
use crate::object;

fn status(live: &Value, field: &str) -> i64 {
    object::integer(live, &["status", field]).unwrap_or_default()
}

/// `spec.replicas`, which controllers take as 1 when it is absent.
fn wanted(live: &Value) -> i64 {
    object::integer(live, &["spec", "replicas"]).unwrap_or(1)
}

/// The first count that is not reached.
fn behind(counts: &[(&str, i64, i64)]) -> Option<Assessment> {
    let (what, have, want) = counts.iter().find(|(_, have, want)| have < want)?;
    Some(Assessment::in_progress(format!("{what}: {have}/{want}")))
}

fn surplus(have: i64, want: i64) -> Option<Assessment> {
    (have > want).then(|| Assessment::in_progress(format!("pending termination: {}", have - want)))
}

pub(super) fn deployment(live: &Value) -> Assessment {
    let progressing = condition(live, "Progressing");
    if progressing
        .as_ref()
        .is_some_and(|c| c.reason == "ProgressDeadlineExceeded")
    {
        return Assessment::failed("progress deadline exceeded");
    }
    let (spec, replicas, updated) = (
        wanted(live),
        status(live, "replicas"),
        status(live, "updatedReplicas"),
    );
    let (available, ready) = (
        status(live, "availableReplicas"),
        status(live, "readyReplicas"),
    );
    let counts = behind(&[("replicas", replicas, spec), ("updated", updated, spec)])
        .or_else(|| surplus(replicas, spec))
        .or_else(|| behind(&[("available", available, updated), ("ready", ready, spec)]));
    if let Some(counts) = counts {
        return counts;
    }
    // Without a deadline the controller does not report progress.
    let deadline = object::integer(live, &["spec", "progressDeadlineSeconds"]);
    let has_deadline = deadline.is_some_and(|seconds| seconds != i64::from(i32::MAX));
    let is_done =
        progressing.is_some_and(|c| c.status == "True" && c.reason == "NewReplicaSetAvailable");
    if has_deadline && !is_done {
        return Assessment::in_progress("replica set not available");
    }
    if condition(live, "Available").is_none_or(|c| c.status != "True") {
        return Assessment::in_progress("deployment not available");
    }
    Assessment::current()
}

pub(super) fn stateful_set(live: &Value) -> Assessment {
    if object::text(live, &["spec", "updateStrategy", "type"]) == "OnDelete" {
        return Assessment::current();
    }
    let (spec, replicas, ready) = (
        wanted(live),
        status(live, "replicas"),
        status(live, "readyReplicas"),
    );
    let counts = behind(&[("replicas", replicas, spec), ("ready", ready, spec)])
        .or_else(|| surplus(replicas, spec));
    if let Some(counts) = counts {
        return counts;
    }
    let partition = object::integer(
        live,
        &["spec", "updateStrategy", "rollingUpdate", "partition"],
    );
    if let Some(partition) = partition.filter(|p| *p != 0) {
        let updated = status(live, "updatedReplicas");
        return behind(&[("partitioned rollout", updated, spec - partition)])
            .unwrap_or_else(Assessment::current);
    }
    if let Some(counts) = behind(&[("current", status(live, "currentReplicas"), spec)]) {
        return counts;
    }
    let revision = |field| object::text(live, &["status", field]);
    if revision("currentRevision") != revision("updateRevision") {
        return Assessment::in_progress("waiting for updated revision to match current");
    }
    Assessment::current()
}

pub(super) fn replica_set(live: &Value) -> Assessment {
    if condition(live, "ReplicaFailure").is_some_and(|c| c.status == "True") {
        return Assessment::in_progress("replica failure");
    }
    let spec = wanted(live);
    let counts = behind(&[
        ("labelled", status(live, "fullyLabeledReplicas"), spec),
        ("available", status(live, "availableReplicas"), spec),
        ("ready", status(live, "readyReplicas"), spec),
    ]);
    counts
        .or_else(|| surplus(status(live, "replicas"), spec))
        .unwrap_or_else(Assessment::current)
}

pub(super) fn daemon_set(live: &Value) -> Assessment {
    // Both are set as soon as the controller has seen it.
    for path in [["metadata", "generation"], ["status", "observedGeneration"]] {
        if object::integer(live, &path).is_none() {
            return Assessment::in_progress(format!("{}.{} not found", path[0], path[1]));
        }
    }
    let Some(desired) = object::integer(live, &["status", "desiredNumberScheduled"]) else {
        return Assessment::in_progress("missing .status.desiredNumberScheduled");
    };
    behind(&[
        ("current", status(live, "currentNumberScheduled"), desired),
        ("updated", status(live, "updatedNumberScheduled"), desired),
        ("available", status(live, "numberAvailable"), desired),
        ("ready", status(live, "numberReady"), desired),
    ])
    .unwrap_or_else(Assessment::current)
}

/// Flux's own rule: a Job is current when complete, not when it has started.
pub(super) fn job(live: &Value) -> Assessment {
    let is = |kind| condition(live, kind).filter(|c| c.status == "True");
    if object::at(live, &["spec", "suspend"]).and_then(Value::as_bool) == Some(true) {
        return Assessment::new(super::Status::Current, "job is suspended");
    }
    if is("Complete").is_some() {
        return Assessment::current();
    }
    match is("Failed") {
        Some(failed) => Assessment::failed(failed.message),
        None => Assessment::in_progress("job in progress"),
    }
}
