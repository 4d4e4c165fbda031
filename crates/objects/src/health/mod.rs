//! Whether an object is as healthy as its controller can make it: kstatus, with Flux's Job rule.
//!
//! Two parts: rules that hold for every kind ([`assess`]) and rules of kinds (`workload`,
//! `other`). Nothing here decides how long to wait; that is [`crate::wait`].

mod other;
mod workload;

use jiff::Timestamp;
use serde_json::Value;

use crate::object::{self, Gvk};

/// How an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Its controller is done with it.
    Current,
    /// Its controller is at work, or has not seen the last change yet.
    InProgress,
    /// Its controller cannot go on.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It does not exist.
    NotFound,
    /// It could not be found out.
    Unknown,
}

impl Status {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Current => "Current",
            Status::InProgress => "InProgress",
            Status::Failed => "Failed",
            Status::Terminating => "Terminating",
            Status::NotFound => "NotFound",
            Status::Unknown => "Unknown",
        }
    }
}

/// A status and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The status.
    pub status: Status,
    /// Why, for people; with [`Status::Unknown`] the error.
    pub message: Box<str>,
}

impl Assessment {
    /// A status with its reason.
    pub fn new(status: Status, message: impl Into<Box<str>>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// Healthy, with nothing to say.
    pub fn current() -> Self {
        Self::new(Status::Current, "")
    }

    fn in_progress(message: impl Into<Box<str>>) -> Self {
        Self::new(Status::InProgress, message)
    }

    fn failed(message: impl Into<Box<str>>) -> Self {
        Self::new(Status::Failed, message)
    }
}

/// Assesses an object. `now` is for Pods, which may stay unschedulable for a moment.
///
/// An object without anything to judge by is current. A false Ready condition means work in
/// progress, never failure; only Stalled, exceeded deadlines and the like are failures.
pub fn assess(live: &Value, now: Timestamp) -> Assessment {
    let Some(Gvk { group, kind, .. }) = Gvk::of(live) else {
        return Assessment::current();
    };
    if (group.as_str(), kind.as_str()) == ("batch", "Job") {
        return workload::job(live);
    }
    if let Some(early) = generic(live) {
        return early;
    }
    match (group.as_str(), kind.as_str()) {
        ("apps" | "extensions", "Deployment") => workload::deployment(live),
        ("apps", "StatefulSet") => workload::stateful_set(live),
        ("apps" | "extensions", "ReplicaSet") => workload::replica_set(live),
        ("apps" | "extensions", "DaemonSet") => workload::daemon_set(live),
        ("batch", "CronJob") | ("", "ConfigMap" | "Secret") | ("policy", "PodDisruptionBudget") => {
            Assessment::current()
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => other::definition(live),
        ("", "Service") => other::service(live),
        ("", "PersistentVolumeClaim") => other::claim(live),
        ("", "Pod") => other::pod(live, now),
        _ => other::by_ready_condition(live),
    }
}

/// The rules that come before those of a kind.
fn generic(live: &Value) -> Option<Assessment> {
    if !object::text(live, &["metadata", "deletionTimestamp"]).is_empty() {
        return Some(Assessment::new(
            Status::Terminating,
            "scheduled for deletion",
        ));
    }
    let generation = object::integer(live, &["metadata", "generation"]);
    let observed = object::integer(live, &["status", "observedGeneration"]);
    if let (Some(generation), Some(observed)) = (generation, observed)
        && generation != observed
    {
        return Some(Assessment::in_progress(format!(
            "generation is {generation}, but the latest observed generation is {observed}"
        )));
    }
    conditions(live).find_map(|condition| match (condition.kind, condition.status) {
        ("Reconciling", "True") => Some(Assessment::in_progress(condition.message)),
        ("Stalled", "True") => Some(Assessment::failed(condition.message)),
        _ => None,
    })
}

/// One entry of `status.conditions`.
struct Condition<'v> {
    kind: &'v str,
    status: &'v str,
    reason: &'v str,
    message: &'v str,
}

fn conditions(live: &Value) -> impl Iterator<Item = Condition<'_>> {
    let list = object::at(live, &["status", "conditions"]).and_then(Value::as_array);
    list.into_iter().flatten().map(|condition| Condition {
        kind: object::text(condition, &["type"]),
        status: object::text(condition, &["status"]),
        reason: object::text(condition, &["reason"]),
        message: object::text(condition, &["message"]),
    })
}

fn condition<'v>(live: &'v Value, kind: &str) -> Option<Condition<'v>> {
    conditions(live).find(|condition| condition.kind == kind)
}

/// Whether the Pods of this object have to be looked at to tell work in progress from failure, and
/// by which label selector (`a=b,c=d` and set expressions).
pub fn pods_to_ask(live: &Value, assessment: &Assessment) -> Option<String> {
    let gvk = Gvk::of(live)?;
    let asks = gvk.group == "apps" && matches!(gvk.kind.as_str(), "StatefulSet" | "ReplicaSet");
    (asks && assessment.status == Status::InProgress)
        .then(|| selector_text(live))
        .flatten()
}

/// `spec.selector` as a label selector; `None` when it selects nothing.
fn selector_text(live: &Value) -> Option<String> {
    let selector = object::at(live, &["spec", "selector"])?;
    let mut parts = Vec::new();
    for (key, value) in selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        parts.push(format!("{key}={}", value.as_str()?));
    }
    for expression in selector
        .get("matchExpressions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let key = object::text(expression, &["key"]);
        let values = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let values = values
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(",");
        parts.push(match object::text(expression, &["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

/// What becomes of an assessment once the selected Pods are known: failed Pods fail their owner,
/// except those that go away or find no node.
pub fn with_pods(assessment: Assessment, pods: &[Value], now: Timestamp) -> Assessment {
    let has_failed = |pod: &&Value| {
        let mut pod = (*pod).clone();
        pod["apiVersion"] = Value::from("v1");
        pod["kind"] = Value::from("Pod");
        !other::is_unschedulable(&pod) && assess(&pod, now).status == Status::Failed
    };
    match pods.iter().filter(has_failed).count() {
        0 => assessment,
        count => Assessment::failed(format!("{count} pods have failed")),
    }
}

#[cfg(test)]
mod tests;
