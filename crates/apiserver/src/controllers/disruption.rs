//! PodDisruptionBudgets: how many pods may be evicted, and the evictions that this allows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::workload::{Context, int_or_percent, is_ready, is_true};
use super::{Next, Outcome};
use crate::app::{App, time_text};
use crate::objects::DryRun;
use crate::status::{Result, Status};
use crate::store::{Expect, Object, Store, key};
use crate::verbs::selector::Selector;

pub(super) const BUDGETS: &str = "poddisruptionbudgets.policy";
/// How often a budget is read again when another write changes it first.
const ATTEMPTS: usize = 32;

/// Looks at one budget.
pub(super) fn reconcile(cx: &Context<'_>, budget_key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(BUDGETS).get(budget_key) else {
        return Ok(Next::Done);
    };
    let budget = object.value();
    let status = status(&cx.app.store, &object, &budget, &cx.now);
    if status != budget["status"] {
        cx.actor.update(
            BUDGETS,
            object.namespace(),
            object.name(),
            "status",
            &|budget: &mut Value| {
                budget["status"] = status.clone();
                Ok(())
            },
        )?;
    }
    Ok(Next::Done)
}

/// The pods that a budget is about, but for those that are over.
fn pods(store: &Store, object: &Object, budget: &Value) -> Vec<(Arc<Object>, Value)> {
    let Some(selector) = selector(budget) else {
        return Vec::new();
    };
    let prefix = format!("{}/", object.namespace().unwrap_or_default());
    let all = store.table("pods").list(&prefix, None, None);
    let chosen = all.map(|all| all.objects).unwrap_or_default().into_iter();
    chosen
        .filter(|pod| selector.matches(pod))
        .map(|pod| {
            let value = pod.value();
            (pod, value)
        })
        .filter(|(_, pod)| {
            !matches!(
                pod["status"]["phase"].as_str(),
                Some("Succeeded" | "Failed")
            )
        })
        .collect()
}

/// None for a budget that selects nothing: one without a selector.
fn selector(budget: &Value) -> Option<Selector> {
    let found = &budget["spec"]["selector"];
    (!found.is_null()).then(|| Selector::of_label_selector(found))
}

fn status(store: &Store, object: &Object, budget: &Value, now: &str) -> Value {
    let pods = pods(store, object, budget);
    let (expected, desired) = wanted(store, object, budget, &pods);
    // Evictions that the pod's deletion has caught up with are forgotten.
    let mut disrupted = budget["status"]["disruptedPods"].clone();
    if let Some(map) = disrupted.as_object_mut() {
        map.retain(|name, _| {
            pods.iter()
                .any(|(pod, _)| pod.name() == name && !pod.deleting)
        });
    }
    let healthy = pods
        .iter()
        .filter(|(pod, value)| {
            !pod.deleting && is_ready(value) && disrupted.get(pod.name()).is_none()
        })
        .count() as i64;
    let allowed = match expected {
        0 => 0,
        _ => (healthy - desired).max(0),
    };
    let generation = &budget["metadata"]["generation"];
    let (value, reason) = match allowed {
        0 => ("False", "InsufficientPods"),
        _ => ("True", "SufficientPods"),
    };
    let was = super::workload::condition(&budget["status"], "DisruptionAllowed");
    let since = was
        .filter(|was| was["status"] == value)
        .and_then(|was| was["lastTransitionTime"].as_str())
        .unwrap_or(now);
    let mut status = json!({
        "conditions": [{
            "type": "DisruptionAllowed", "status": value, "reason": reason, "message": "",
            "observedGeneration": generation, "lastTransitionTime": since,
        }],
        "currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed,
        "expectedPods": expected, "observedGeneration": generation,
    });
    if disrupted.as_object().is_some_and(|map| !map.is_empty()) {
        status["disruptedPods"] = disrupted;
    }
    status
}

/// How many pods there should be, and how many of them have to be healthy.
fn wanted(
    store: &Store,
    object: &Object,
    budget: &Value,
    pods: &[(Arc<Object>, Value)],
) -> (i64, i64) {
    let spec = &budget["spec"];
    let scale = || scale(store, object, pods);
    if !spec["maxUnavailable"].is_null() {
        let expected = scale();
        let unavailable = int_or_percent(&spec["maxUnavailable"], "0", expected, true);
        return (expected, (expected - unavailable).max(0));
    }
    match &spec["minAvailable"] {
        Value::String(_) => {
            let expected = scale();
            let least = int_or_percent(&spec["minAvailable"], "0", expected, true);
            (expected, least)
        }
        least => (pods.len() as i64, least.as_i64().unwrap_or(0)),
    }
}

/// The replicas of all that control the pods.
fn scale(store: &Store, object: &Object, pods: &[(Arc<Object>, Value)]) -> i64 {
    let mut seen: Vec<Value> = Vec::new();
    let mut sum = 0;
    for (pod, _) in pods {
        let Some(owner) = super::workload::controller_of(pod) else {
            continue;
        };
        let Some(found) = controller(store, object.namespace(), &owner) else {
            continue;
        };
        let uid = found["metadata"]["uid"].clone();
        if !seen.contains(&uid) {
            seen.push(uid);
            sum += found["spec"]["replicas"].as_i64().unwrap_or(1);
        }
    }
    sum
}

/// What scales a pod: its controller, or the Deployment behind that.
fn controller(store: &Store, namespace: Option<&str>, owner: &Value) -> Option<Value> {
    let table = match owner["kind"].as_str()? {
        "ReplicaSet" => "replicasets.apps",
        "StatefulSet" => "statefulsets.apps",
        "Deployment" => "deployments.apps",
        "ReplicationController" => "replicationcontrollers",
        _ => return None,
    };
    let found = store
        .table(table)
        .get(&key(namespace, owner["name"].as_str()?))?;
    if owner["kind"] == "ReplicaSet"
        && let Some(behind) = super::workload::controller_of(&found)
    {
        return controller(store, namespace, &behind).or_else(|| Some(found.value()));
    }
    Some(found.value())
}

/// Takes an eviction of a pod from its budget.
///
/// # Errors
/// 429 where the budget is used up, 500 where the pod has more than one.
pub fn permit(app: &App, namespace: Option<&str>, name: &str, dry_run: DryRun) -> Result<()> {
    let store = &app.store;
    let Some(pod) = store.table("pods").get(&key(namespace, name)) else {
        return Ok(());
    };
    let value = pod.value();
    let phase = value["status"]["phase"].as_str().unwrap_or_default();
    if pod.deleting || matches!(phase, "Pending" | "Succeeded" | "Failed" | "") {
        return Ok(());
    }
    let budgets = store.table(BUDGETS);
    let prefix = format!("{}/", namespace.unwrap_or_default());
    let all = budgets.list(&prefix, None, None);
    let mut mine = Vec::new();
    for budget in all.map(|all| all.objects).unwrap_or_default() {
        if selector(&budget.value()).is_some_and(|selector| selector.matches(&pod)) {
            mine.push(budget);
        }
    }
    let budget = match mine.as_slice() {
        [] => return Ok(()),
        [budget] => budget,
        _ => {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::generic(500, "InternalError", why));
        }
    };
    for _ in 0..ATTEMPTS {
        let Some(current) = budgets.get(&budget.key) else {
            return Ok(());
        };
        let mut changed = current.value();
        let status = &mut changed["status"];
        let number = |name: &str| status[name].as_i64().unwrap_or(0);
        let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
        let allowed = number("disruptionsAllowed");
        if !is_true(&value["status"], "Ready") && healthy >= desired && desired > 0 {
            return Ok(());
        }
        if allowed <= 0 {
            let message = format!(
                "The disruption budget {} needs {desired} healthy pods and has {healthy} currently",
                current.name()
            );
            let details = json!({"causes": [{"reason": "DisruptionBudget", "message": message}]});
            return Err(Status::too_many_requests(
                "Cannot evict pod as it would violate the pod's disruption budget.",
                Some(details),
            ));
        }
        if dry_run == DryRun::All {
            return Ok(());
        }
        status["disruptionsAllowed"] = (allowed - 1).into();
        status["disruptedPods"][name] = time_text(app.now()).into();
        if budgets_put(store, &current, changed) {
            return Ok(());
        }
    }
    Err(Status::modified(
        "policy",
        "poddisruptionbudgets",
        budget.name(),
    ))
}

fn budgets_put(store: &Store, current: &Object, changed: Value) -> bool {
    let at = Expect::Version(current.version);
    store
        .put(&store.table(BUDGETS), &current.key, at, changed)
        .is_ok()
}
