use proptest::prelude::*;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

fn object(api_version: &str, kind: &str, parts: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
    object
        .as_object_mut()
        .unwrap()
        .extend(parts.as_object().cloned().unwrap_or_default());
    object
}

#[track_caller]
fn check(api_version: &str, kind: &str, table: &[(Value, Status)]) {
    for (parts, expected) in table {
        let got = assess(&object(api_version, kind, parts.clone()), now());
        assert_eq!(got.status, *expected, "{kind} {parts} {}", got.message);
    }
}

use Status::{Current, Failed, InProgress, Terminating, Unknown};

fn conditions_of(list: &[(&str, &str, &str)]) -> Value {
    list.iter().map(|(kind, status, reason)| json!({"type": kind, "status": status, "reason": reason, "message": "m"})).collect()
}

#[test]
fn generic_rules_hold_for_any_kind() {
    let status =
        |list: &[(&str, &str, &str)]| json!({"status": {"conditions": conditions_of(list)}});
    check(
        "example.com/v1",
        "Widget",
        &[
            (json!({}), Current),
            (json!({"status": {}}), Current),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
                Terminating,
            ),
            (
                json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1}}),
                InProgress,
            ),
            (
                json!({"metadata": {"generation": 2}, "status": {"observedGeneration": -1}}),
                InProgress,
            ),
            (
                json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 2}}),
                Current,
            ),
            (json!({"metadata": {"generation": 2}}), Current),
            (status(&[("Ready", "True", "")]), Current),
            (status(&[("Ready", "False", "")]), InProgress),
            (status(&[("Ready", "Unknown", "")]), InProgress),
            (
                status(&[("Reconciling", "True", ""), ("Stalled", "True", "")]),
                InProgress,
            ),
            (
                status(&[("Ready", "True", ""), ("Stalled", "True", "")]),
                Failed,
            ),
            (
                status(&[("Reconciling", "False", ""), ("Ready", "True", "")]),
                Current,
            ),
            (json!({"status": {"conditions": "odd"}}), Current),
        ],
    );
}

fn deployment(change: impl FnOnce(&mut Value)) -> Value {
    let mut parts = json!({
        "spec": {"replicas": 2, "progressDeadlineSeconds": 600},
        "status": {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2,
            "conditions": conditions_of(&[("Progressing", "True", "NewReplicaSetAvailable"), ("Available", "True", "")])},
    });
    change(&mut parts);
    parts
}

#[test]
fn deployments() {
    let set = |pointer: &'static str, value: Value| {
        deployment(|d| *d.pointer_mut(pointer).unwrap() = value)
    };
    check(
        "apps/v1",
        "Deployment",
        &[
            (deployment(|_| {}), Current),
            (set("/status/replicas", json!(1)), InProgress),
            (set("/status/replicas", json!(3)), InProgress),
            (set("/status/updatedReplicas", json!(1)), InProgress),
            (set("/status/availableReplicas", json!(1)), InProgress),
            (set("/status/readyReplicas", json!(1)), InProgress),
            (
                set("/status/conditions/0/reason", json!("ReplicaSetUpdated")),
                InProgress,
            ),
            (
                set(
                    "/status/conditions/0/reason",
                    json!("ProgressDeadlineExceeded"),
                ),
                Failed,
            ),
            (
                set("/status/conditions/1/status", json!("False")),
                InProgress,
            ),
            (
                json!({"spec": {"replicas": 0, "progressDeadlineSeconds": 600}}),
                InProgress,
            ),
            (json!({"status": {}}), InProgress),
            (
                deployment(|d| {
                    d["spec"] = json!({"replicas": 2});
                    d["status"]["conditions"] = conditions_of(&[("Available", "True", "")]);
                }),
                Current,
            ),
            (
                deployment(|d| {
                    d["spec"]["progressDeadlineSeconds"] = json!(i32::MAX);
                    d["status"]["conditions"] = conditions_of(&[("Available", "True", "")]);
                }),
                Current,
            ),
        ],
    );
}

#[test]
fn stateful_sets() {
    let status = |replicas: i64, ready: i64, current: i64, updated: i64, revisions: [&str; 2]| {
        json!({"replicas": replicas,
        "readyReplicas": ready, "currentReplicas": current, "updatedReplicas": updated,
        "currentRevision": revisions[0], "updateRevision": revisions[1]})
    };
    let partition = json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}});
    check(
        "apps/v1",
        "StatefulSet",
        &[
            (
                json!({"spec": {"updateStrategy": {"type": "OnDelete"}}}),
                Current,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": status(2, 2, 2, 2, ["a", "a"])}),
                Current,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": status(1, 1, 1, 1, ["a", "a"])}),
                InProgress,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": status(2, 1, 2, 2, ["a", "a"])}),
                InProgress,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": status(3, 2, 2, 2, ["a", "a"])}),
                InProgress,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": status(2, 2, 1, 1, ["a", "b"])}),
                InProgress,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": status(2, 2, 2, 2, ["a", "b"])}),
                InProgress,
            ),
            (
                json!({"spec": partition, "status": status(3, 3, 1, 1, ["a", "b"])}),
                InProgress,
            ),
            (
                json!({"spec": partition, "status": status(3, 3, 1, 2, ["a", "b"])}),
                Current,
            ),
        ],
    );
}

#[test]
fn replica_and_daemon_sets() {
    let replicas = |n: i64| json!({"fullyLabeledReplicas": n, "availableReplicas": n, "readyReplicas": n, "replicas": n});
    check(
        "apps/v1",
        "ReplicaSet",
        &[
            (
                json!({"spec": {"replicas": 2}, "status": replicas(2)}),
                Current,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": replicas(1)}),
                InProgress,
            ),
            (
                json!({"spec": {"replicas": 2}, "status": replicas(3)}),
                InProgress,
            ),
            (
                json!({"spec": {"replicas": 0}, "status": {"conditions": conditions_of(&[("ReplicaFailure", "True", "")])}}),
                InProgress,
            ),
        ],
    );
    let scheduled = |n: i64| {
        json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": n,
        "updatedNumberScheduled": n, "numberAvailable": n, "numberReady": n})
    };
    let meta = json!({"generation": 1});
    check(
        "apps/v1",
        "DaemonSet",
        &[
            (json!({"metadata": meta, "status": scheduled(2)}), Current),
            (
                json!({"metadata": meta, "status": scheduled(1)}),
                InProgress,
            ),
            (json!({"metadata": meta}), InProgress),
            (
                json!({"metadata": meta, "status": {"observedGeneration": 1}}),
                InProgress,
            ),
            (json!({"status": scheduled(2)}), InProgress),
        ],
    );
}

#[test]
fn jobs_are_done_when_complete() {
    let with = |list: &[(&str, &str, &str)]| json!({"status": {"startTime": "x", "conditions": conditions_of(list)}});
    check(
        "batch/v1",
        "Job",
        &[
            (json!({}), InProgress),
            (with(&[]), InProgress),
            (with(&[("Complete", "True", "")]), Current),
            (with(&[("Failed", "True", "")]), Failed),
            (with(&[("Failed", "False", "")]), InProgress),
            (json!({"spec": {"suspend": true}}), Current),
            (
                json!({"metadata": {"deletionTimestamp": "x"}, "spec": {"suspend": true}}),
                Current,
            ),
        ],
    );
    check(
        "batch/v1",
        "CronJob",
        &[(
            json!({"status": {"conditions": conditions_of(&[("Ready", "False", "")])}}),
            Current,
        )],
    );
}

#[test]
fn pods() {
    let with = |phase: &str, list: &[(&str, &str, &str)]| json!({"status": {"phase": phase, "conditions": conditions_of(list)}});
    let unschedulable = [("PodScheduled", "False", "Unschedulable")];
    let created = |at: &str| {
        let mut pod = with("Pending", &unschedulable);
        pod["metadata"] = json!({"creationTimestamp": at});
        pod
    };
    check(
        "v1",
        "Pod",
        &[
            (json!({}), InProgress),
            (with("Succeeded", &[]), Current),
            (with("Failed", &[]), Current),
            (with("Running", &[("Ready", "True", "")]), Current),
            (with("Running", &[("Ready", "False", "")]), InProgress),
            (
                json!({"status": {"phase": "Running", "containerStatuses":
                    [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}),
                Failed,
            ),
            (with("Pending", &[]), InProgress),
            (created("2026-01-01T00:00:50Z"), InProgress),
            (created("2026-01-01T00:00:40Z"), Failed),
            (with("Odd", &[]), Unknown),
        ],
    );
}

#[test]
fn the_rest_of_the_kinds_with_rules() {
    let with = |list: &[(&str, &str, &str)]| json!({"status": {"conditions": conditions_of(list)}});
    check(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &[
            (json!({}), InProgress),
            (with(&[("NamesAccepted", "False", "")]), Failed),
            (
                with(&[("NamesAccepted", "True", ""), ("Established", "True", "")]),
                Current,
            ),
            (with(&[("Established", "False", "Installing")]), InProgress),
            (with(&[("Established", "False", "Other")]), Failed),
        ],
    );
    check(
        "v1",
        "Service",
        &[
            (json!({}), Current),
            (json!({"spec": {"type": "LoadBalancer"}}), InProgress),
            (
                json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}}),
                Current,
            ),
        ],
    );
    check(
        "v1",
        "PersistentVolumeClaim",
        &[
            (json!({}), InProgress),
            (json!({"status": {"phase": "Bound"}}), Current),
        ],
    );
    check(
        "policy/v1",
        "PodDisruptionBudget",
        &[(with(&[("Ready", "False", "")]), Current)],
    );
    check(
        "v1",
        "ConfigMap",
        &[(with(&[("Ready", "False", "")]), Current)],
    );
}

#[test]
fn failed_pods_fail_their_owner_unless_they_go_away() {
    let set = object(
        "apps/v1",
        "StatefulSet",
        json!({"spec": {"replicas": 1, "selector": {
        "matchLabels": {"app": "a"}, "matchExpressions": [{"key": "b", "operator": "In", "values": ["x", "y"]}]}}}),
    );
    let assessment = assess(&set, now());
    assert_eq!(
        pods_to_ask(&set, &assessment).as_deref(),
        Some("app=a,b in (x,y)")
    );
    assert_eq!(pods_to_ask(&set, &Assessment::current()), None);

    let crashing = json!({"metadata": {"name": "a-0"}, "status": {"phase": "Running", "containerStatuses":
        [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
    let mut going = crashing.clone();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let homeless = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Pending",
        "conditions": conditions_of(&[("PodScheduled", "False", "Unschedulable")])}});
    let with = |pods: &[Value]| with_pods(assessment.clone(), pods, now());
    assert_eq!(with(&[going, homeless]), assessment);
    assert_eq!(
        with(&[crashing]),
        Assessment::new(Failed, "1 pods have failed")
    );
}

proptest! {
    #[test]
    fn no_status_makes_it_panic(kind in prop::sample::select(&["Deployment", "Pod", "Job", "StatefulSet", "DaemonSet"][..]),
        number in any::<i64>(), text in "[A-Za-z]{0,6}") {
        let version = match kind { "Pod" => "v1", "Job" => "batch/v1", _ => "apps/v1" };
        let odd = object(version, kind, json!({
            "spec": {"replicas": number, "updateStrategy": {"rollingUpdate": {"partition": number}}, "progressDeadlineSeconds": number},
            "status": {"phase": text, "replicas": 0, "readyReplicas": i64::MAX, "observedGeneration": number,
                "desiredNumberScheduled": number, "containerStatuses": text,
                "conditions": [null, text, {"type": text}]},
        }));
        let _ = assess(&odd, now());
    }
}
