//! Deployments: ReplicaSets for each revision, rolled from the old to the new.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::workload::{Context, Simulation, condition, hash, int_or_percent, reference};
use super::{Next, Outcome};
use crate::status::Result;
use crate::store::Object;
use crate::verbs::delete::DeleteOptions;
use crate::verbs::selector::Selector;

const TABLE: &str = "deployments.apps";
const SETS: &str = "replicasets.apps";
const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const COMPONENT: &str = "deployment-controller";

/// A ReplicaSet with its parsed value.
type Set = (Arc<Object>, Value);

/// Looks at one Deployment.
pub(super) fn reconcile(cx: &Context<'_>, key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(TABLE).get(key) else {
        return Ok(Next::Done);
    };
    let value = object.value();
    let selector = Selector::of_label_selector(&value["spec"]["selector"]);
    let mut sets: Vec<Set> = cx
        .children(&object, &value, SETS, &selector)
        .into_iter()
        .map(|set| (set.clone(), set.value()))
        .collect();
    sets.sort_by(|(a, x), (b, y)| {
        let time = |value: &Value| {
            value["metadata"]["creationTimestamp"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (time(x), a.name()).cmp(&(time(y), b.name()))
    });
    let rollout = Rollout {
        cx,
        object: &object,
        value: &value,
    };
    if object.deleting {
        return rollout.write_status(&sets, None);
    }
    rollout.run(sets)
}

struct Rollout<'a> {
    cx: &'a Context<'a>,
    object: &'a Arc<Object>,
    value: &'a Value,
}

/// Whether two pod templates are the same, but for the hash label.
fn same_template(a: &Value, b: &Value) -> bool {
    let plain = |template: &Value| {
        let mut template = template.clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove(HASH);
        }
        template
    };
    plain(a) == plain(b)
}

fn replicas(set: &Value) -> i64 {
    set["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn count(value: &Value, name: &str) -> i64 {
    value["status"][name].as_i64().unwrap_or(0)
}

fn revision(value: &Value) -> i64 {
    value["metadata"]["annotations"][REVISION]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Sets a condition the way the real controller does: nothing happens where status and reason are the same already;
/// a new one goes to the end; the transition time stays where the status does.
fn set_condition(
    status: &mut Value,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let known = condition(status, kind).cloned();
    if known
        .as_ref()
        .is_some_and(|known| known["status"] == value && known["reason"] == reason)
    {
        return;
    }
    replace_condition(status, kind, value, reason, message, now);
}

fn replace_condition(
    status: &mut Value,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let known = condition(status, kind).filter(|known| known["status"] == value);
    let time = known.map_or(Value::from(now), |known| {
        known["lastTransitionTime"].clone()
    });
    let new = json!({
        "type": kind, "status": value, "lastUpdateTime": now, "lastTransitionTime": time,
        "reason": reason, "message": message,
    });
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    if let Some(list) = status["conditions"].as_array_mut() {
        list.retain(|condition| condition["type"] != kind);
        list.push(new);
    }
}

impl Rollout<'_> {
    fn wanted(&self) -> i64 {
        self.value["spec"]["replicas"].as_i64().unwrap_or(1)
    }

    fn rolling(&self) -> bool {
        self.value["spec"]["strategy"]["type"] != "Recreate"
    }

    /// maxSurge and maxUnavailable in pods.
    fn limits(&self) -> (i64, i64) {
        if !self.rolling() {
            return (0, 0);
        }
        let rolling = &self.value["spec"]["strategy"]["rollingUpdate"];
        let surge = int_or_percent(&rolling["maxSurge"], "25%", self.wanted(), true);
        let unavailable = int_or_percent(&rolling["maxUnavailable"], "25%", self.wanted(), false);
        if surge == 0 && unavailable == 0 {
            (0, 1)
        } else {
            (surge, unavailable.min(self.wanted()))
        }
    }

    fn run(&self, mut sets: Vec<Set>) -> Outcome {
        let template = &self.value["spec"]["template"];
        let new = sets
            .iter()
            .position(|(_, set)| same_template(&set["spec"]["template"], template));
        let paused = self.value["spec"]["paused"] == true;
        let new = match new {
            Some(at) => {
                let (object, value) = self.refresh_new(&sets[at], &sets)?;
                sets[at] = (object, value);
                Some(at)
            }
            None if paused => None,
            None => {
                let made = self.create_new(&sets)?;
                sets.push(made);
                Some(sets.len() - 1)
            }
        };
        if paused {
            self.scale_proportionally(&mut sets, new)?;
            return self.write_status(&sets, new);
        }
        let changed = if self.rolling() {
            self.roll(&mut sets, new)?
        } else {
            self.recreate(&mut sets, new)?
        };
        if !changed {
            self.clean_up(&sets, new)?;
        }
        self.write_status(&sets, new)
    }

    fn max_old_revision(sets: &[Set], new: Option<&str>) -> i64 {
        let old = sets.iter().filter(|(object, _)| Some(object.name()) != new);
        old.map(|(_, set)| revision(set)).max().unwrap_or(0)
    }

    /// The annotations of a ReplicaSet: those of the Deployment, its revision, and how many pods were wanted.
    fn annotations(&self, before: &Value, new_revision: i64) -> Map<String, Value> {
        let mut all = before.as_object().cloned().unwrap_or_default();
        for (key, text) in self.value["metadata"]["annotations"]
            .as_object()
            .into_iter()
            .flatten()
        {
            if ![LAST_APPLIED, REVISION, HISTORY, DESIRED, MAX].contains(&key.as_str()) {
                all.insert(key.clone(), text.clone());
            }
        }
        let old = all.get(REVISION).and_then(Value::as_str).map(str::to_owned);
        let known = old
            .as_deref()
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(0);
        if known < new_revision {
            if let Some(old) = old.filter(|old| !old.is_empty()) {
                let history = match all.get(HISTORY).and_then(Value::as_str) {
                    Some(history) if !history.is_empty() => format!("{history},{old}"),
                    _ => old,
                };
                all.insert(HISTORY.into(), history.into());
            }
            all.insert(REVISION.into(), new_revision.to_string().into());
        }
        let (surge, _) = self.limits();
        all.insert(DESIRED.into(), self.wanted().to_string().into());
        all.insert(MAX.into(), (self.wanted() + surge).to_string().into());
        all
    }

    /// Brings the new ReplicaSet's annotations up to date, and the Deployment's revision with them.
    fn refresh_new(&self, (object, set): &Set, sets: &[Set]) -> Result<Set> {
        let next = Self::max_old_revision(sets, Some(object.name())) + 1;
        let annotations = Value::Object(self.annotations(&set["metadata"]["annotations"], next));
        let min_ready = self.value["spec"].get("minReadySeconds").cloned();
        let same = set["metadata"]["annotations"] == annotations
            && set["spec"].get("minReadySeconds").cloned() == min_ready;
        let found = if same {
            (object.clone(), set.clone())
        } else {
            let updated = self.cx.actor.update(
                SETS,
                object.namespace(),
                object.name(),
                "",
                &|value: &mut Value| {
                    value["metadata"]["annotations"] = annotations.clone();
                    if let Some(seconds) = &min_ready {
                        value["spec"]["minReadySeconds"] = seconds.clone();
                    }
                    Ok(())
                },
            )?;
            let value = updated.value();
            (updated, value)
        };
        let text = found.1["metadata"]["annotations"][REVISION]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let adopted = condition(&self.value["status"], "Progressing").is_none();
        if self.value["metadata"]["annotations"][REVISION] != *text || adopted {
            let message = format!("Found new replica set {:?}", object.name());
            self.note_revision(&text, adopted.then_some(("FoundNewReplicaSet", message)))?;
        }
        Ok(found)
    }

    fn note_revision(&self, revision: &str, progress: Option<(&str, String)>) -> Result<()> {
        let now = &self.cx.now;
        self.cx.actor.update(
            TABLE,
            self.object.namespace(),
            self.object.name(),
            "status",
            &|value: &mut Value| {
                value["metadata"]["annotations"][REVISION] = revision.into();
                if let Some((reason, message)) = &progress {
                    set_condition(
                        &mut value["status"],
                        "Progressing",
                        "True",
                        reason,
                        message,
                        now,
                    );
                }
                Ok(())
            },
        )?;
        Ok(())
    }

    fn create_new(&self, sets: &[Set]) -> Result<Set> {
        let spec = &self.value["spec"];
        let collisions = self.value["status"]["collisionCount"].as_i64().unwrap_or(0);
        let hash = hash(&json!([spec["template"], collisions]));
        let name = format!("{}-{hash}", self.object.name());
        let next = Self::max_old_revision(sets, None) + 1;
        let mut template = spec["template"].clone();
        template["metadata"]["labels"][HASH] = hash.as_str().into();
        let mut selector = spec["selector"].clone();
        selector["matchLabels"][HASH] = hash.as_str().into();
        let (surge, _) = self.limits();
        let total: i64 = sets.iter().map(|(_, set)| replicas(set)).sum();
        let wanted = self.wanted();
        let initial = if self.rolling() {
            (wanted + surge - total).clamp(0, wanted)
        } else if total > 0 {
            0
        } else {
            wanted
        };
        let mut set = json!({
            "metadata": {
                "name": name, "labels": template["metadata"]["labels"],
                "annotations": self.annotations(&Value::Null, next),
                "ownerReferences": [reference(self.value)],
            },
            "spec": {"replicas": initial, "selector": selector, "template": template},
        });
        if let Some(seconds) = spec.get("minReadySeconds") {
            set["spec"]["minReadySeconds"] = seconds.clone();
        }
        match self.cx.actor.create(SETS, self.object.namespace(), set) {
            Ok(made) => {
                if initial > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {initial}");
                    self.cx.event(
                        self.value,
                        COMPONENT,
                        "Normal",
                        "ScalingReplicaSet",
                        &message,
                    );
                }
                let message = format!("Created new replica set {name:?}");
                self.note_revision(&next.to_string(), Some(("NewReplicaSetCreated", message)))?;
                let value = made.value();
                Ok((made, value))
            }
            Err(status) if status.reason == "AlreadyExists" => {
                // Another template with the same hash: the next one differs.
                self.cx.actor.update(
                    TABLE,
                    self.object.namespace(),
                    self.object.name(),
                    "status",
                    &|value: &mut Value| {
                        value["status"]["collisionCount"] = (collisions + 1).into();
                        Ok(())
                    },
                )?;
                Err(status)
            }
            Err(status) => Err(status),
        }
    }

    /// Gives a ReplicaSet another size. Says whether it had another.
    fn scale(&self, set: &mut Set, size: i64) -> Result<bool> {
        let before = replicas(&set.1);
        let (surge, _) = self.limits();
        let (desired, max) = (
            self.wanted().to_string(),
            (self.wanted() + surge).to_string(),
        );
        let annotations = &set.1["metadata"]["annotations"];
        let noted = annotations[DESIRED] == *desired && annotations[MAX] == *max;
        if before == size && noted {
            return Ok(false);
        }
        let updated = self.cx.actor.update(
            SETS,
            set.0.namespace(),
            set.0.name(),
            "",
            &|value: &mut Value| {
                value["spec"]["replicas"] = size.into();
                value["metadata"]["annotations"][DESIRED] = desired.as_str().into();
                value["metadata"]["annotations"][MAX] = max.as_str().into();
                Ok(())
            },
        )?;
        if before != size {
            let way = if size > before { "up" } else { "down" };
            let message = format!(
                "Scaled {way} replica set {} from {before} to {size}",
                set.0.name()
            );
            self.cx.event(
                self.value,
                COMPONENT,
                "Normal",
                "ScalingReplicaSet",
                &message,
            );
        }
        *set = (updated.clone(), updated.value());
        Ok(before != size)
    }

    fn roll(&self, sets: &mut [Set], new: Option<usize>) -> Result<bool> {
        let Some(new) = new else { return Ok(false) };
        let wanted = self.wanted();
        let (surge, unavailable) = self.limits();
        let total: i64 = sets.iter().map(|(_, set)| replicas(set)).sum();
        let own = replicas(&sets[new].1);
        let size = if own > wanted {
            wanted
        } else {
            let room = (wanted + surge - total).max(0);
            (own + room.min(wanted - own)).max(own)
        };
        if self.scale(&mut sets[new], size)? {
            return Ok(true);
        }
        // Old ones go as far as enough pods stay available.
        let old: Vec<usize> = (0..sets.len())
            .filter(|at| *at != new && replicas(&sets[*at].1) > 0)
            .collect();
        if old.is_empty() {
            return Ok(false);
        }
        let minimum = wanted - unavailable;
        let new_unavailable = replicas(&sets[new].1) - count(&sets[new].1, "availableReplicas");
        let mut budget = total - minimum - new_unavailable;
        if budget <= 0 {
            return Ok(false);
        }
        let mut changed = false;
        // Pods that are not ready anyway go first.
        for at in &old {
            let size = replicas(&sets[*at].1);
            let unhealthy = (size - count(&sets[*at].1, "availableReplicas")).min(budget);
            if unhealthy > 0 {
                changed |= self.scale(&mut sets[*at], size - unhealthy)?;
                budget -= unhealthy;
            }
        }
        let available: i64 = sets
            .iter()
            .map(|(_, set)| count(set, "availableReplicas"))
            .sum();
        let mut spare = available - minimum;
        for at in &old {
            let size = replicas(&sets[*at].1);
            let less = size.min(spare);
            if less > 0 {
                changed |= self.scale(&mut sets[*at], size - less)?;
                spare -= less;
            }
        }
        Ok(changed)
    }

    fn recreate(&self, sets: &mut [Set], new: Option<usize>) -> Result<bool> {
        let Some(new) = new else { return Ok(false) };
        let mut changed = false;
        for at in (0..sets.len()).filter(|at| *at != new) {
            if replicas(&sets[at].1) > 0 {
                changed |= self.scale(&mut sets[at], 0)?;
            }
        }
        let running = (0..sets.len()).any(|at| {
            at != new
                && (count(&sets[at].1, "replicas") > 0
                    || count(&sets[at].1, "terminatingReplicas") > 0)
        });
        if changed || running {
            return Ok(changed);
        }
        let wanted = self.wanted();
        self.scale(&mut sets[new], wanted)
    }

    /// A paused Deployment only changes its size.
    fn scale_proportionally(&self, sets: &mut [Set], new: Option<usize>) -> Result<()> {
        let active: Vec<usize> = (0..sets.len())
            .filter(|at| replicas(&sets[*at].1) > 0)
            .collect();
        let one = match active.as_slice() {
            [] => new.or(sets.len().checked_sub(1)),
            [one] => Some(*one),
            many => many
                .iter()
                .copied()
                .find(|at| Some(*at) == new)
                .or_else(|| many.last().copied()),
        };
        let Some(one) = one else { return Ok(()) };
        let others: i64 = active
            .iter()
            .filter(|at| **at != one)
            .map(|at| replicas(&sets[*at].1))
            .sum();
        let size = (self.wanted() - others).max(0);
        self.scale(&mut sets[one], size)?;
        Ok(())
    }

    /// Forgets the oldest revisions beyond the limit once the rollout is complete.
    fn clean_up(&self, sets: &[Set], new: Option<usize>) -> Result<()> {
        let limit = self.value["spec"]["revisionHistoryLimit"]
            .as_i64()
            .unwrap_or(10)
            .max(0) as usize;
        let kept = new.map(|at| sets[at].0.name().to_owned());
        let mut old: Vec<&Set> = sets
            .iter()
            .filter(|(object, set)| {
                Some(object.name()) != kept.as_deref()
                    && !object.deleting
                    && replicas(set) == 0
                    && count(set, "replicas") == 0
            })
            .collect();
        if old.len() <= limit {
            return Ok(());
        }
        old.sort_by_key(|(_, set)| revision(set));
        let resource = self.cx.actor.resource(SETS)?;
        for (object, _) in old.iter().take(old.len() - limit) {
            self.cx
                .actor
                .delete(resource, object, &DeleteOptions::default())?;
        }
        Ok(())
    }

    fn write_status(&self, sets: &[Set], new: Option<usize>) -> Outcome {
        // Written since: the revision and the first condition.
        let Some(current) = self.cx.app.store.table(TABLE).get(&self.object.key) else {
            return Ok(Next::Done);
        };
        let before = current.value();
        let (status, next) = self.status(&before, sets, new);
        if before["status"] != status {
            self.cx.actor.update(
                TABLE,
                current.namespace(),
                current.name(),
                "status",
                &|value: &mut Value| {
                    value["status"] = status.clone();
                    Ok(())
                },
            )?;
        }
        Ok(next)
    }

    fn status(&self, before: &Value, sets: &[Set], new: Option<usize>) -> (Value, Next) {
        let now = &self.cx.now;
        let old = &before["status"];
        let sum = |name: &str| -> i64 { sets.iter().map(|(_, set)| count(set, name)).sum() };
        let wanted = self.wanted();
        let updated = new.map_or(0, |at| count(&sets[at].1, "replicas"));
        let (total, ready, available) = (
            sum("replicas"),
            sum("readyReplicas"),
            sum("availableReplicas"),
        );
        let sized: i64 = sets.iter().map(|(_, set)| replicas(set)).sum();
        let mut status = json!({"observedGeneration": self.value["metadata"]["generation"].as_i64().unwrap_or(0)});
        let numbers = [
            ("replicas", total),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", (sized - available).max(0)),
        ];
        for (name, number) in numbers {
            if number != 0 {
                status[name] = number.into();
            }
        }
        status["terminatingReplicas"] = sum("terminatingReplicas").into();
        for kept in ["collisionCount", "conditions"] {
            if let Some(value) = old.get(kept) {
                status[kept] = value.clone();
            }
        }
        let (_, unavailable) = self.limits();
        if available >= wanted - unavailable {
            let message = "Deployment has minimum availability.";
            set_condition(
                &mut status,
                "Available",
                "True",
                "MinimumReplicasAvailable",
                message,
                now,
            );
        } else {
            let message = "Deployment does not have minimum availability.";
            set_condition(
                &mut status,
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                message,
                now,
            );
        }
        let mut next = Next::Done;
        move_failures(&mut status, sets, new);
        if self.value["spec"]["paused"] == true {
            set_condition(
                &mut status,
                "Progressing",
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused",
                now,
            );
            return (status, next);
        }
        let progressing = condition(old, "Progressing").cloned();
        if progressing
            .as_ref()
            .is_some_and(|known| known["reason"] == "DeploymentPaused")
        {
            set_condition(
                &mut status,
                "Progressing",
                "Unknown",
                "DeploymentResumed",
                "Deployment is resumed",
                now,
            );
        }
        let deadline = self.value["spec"]["progressDeadlineSeconds"]
            .as_i64()
            .unwrap_or(600);
        let done = total == updated
            && progressing
                .as_ref()
                .is_some_and(|known| known["reason"] == "NewReplicaSetAvailable");
        if done || deadline >= i64::from(i32::MAX) {
            return (status, next);
        }
        let name = new.map(|at| sets[at].0.name()).unwrap_or_default();
        let complete = updated == wanted && total == wanted && available == wanted;
        let moved = updated > count(before, "updatedReplicas")
            || total - updated < count(before, "replicas") - count(before, "updatedReplicas")
            || ready > count(before, "readyReplicas")
            || available > count(before, "availableReplicas");
        let failing = self.failing(sets, new);
        if complete {
            let message = format!("ReplicaSet {name:?} has successfully progressed.");
            set_condition(
                &mut status,
                "Progressing",
                "True",
                "NewReplicaSetAvailable",
                &message,
                now,
            );
        } else if moved && !failing {
            let message = format!("ReplicaSet {name:?} is progressing.");
            replace_condition(
                &mut status,
                "Progressing",
                "True",
                "ReplicaSetUpdated",
                &message,
                now,
            );
        } else {
            let known = condition(&status, "Progressing");
            let since = known
                .and_then(|known| known["lastUpdateTime"].as_str())
                .and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let left = since.map_or(deadline, |since| {
                since.as_second() + deadline - self.cx.app.now().as_second()
            });
            let over = known.is_some_and(|known| known["reason"] == "ProgressDeadlineExceeded");
            if left <= 0 || failing || over {
                let message = format!("ReplicaSet {name:?} has timed out progressing.");
                set_condition(
                    &mut status,
                    "Progressing",
                    "False",
                    "ProgressDeadlineExceeded",
                    &message,
                    now,
                );
            } else {
                next = Next::After(Duration::from_secs(left as u64 + 1));
            }
        }
        (status, next)
    }

    /// Whether the annotation says that the new pods never get ready.
    fn failing(&self, sets: &[Set], new: Option<usize>) -> bool {
        let template = new.map(|at| &sets[at].1["spec"]["template"]);
        let all = [
            template.and_then(Simulation::of),
            Simulation::of(self.value),
        ];
        all.into_iter()
            .flatten()
            .next()
            .is_some_and(|simulation| simulation.fail.is_some())
            && self.wanted() > 0
    }
}

/// A Deployment fails as its ReplicaSets do: as the new one, or else as the first of the others.
fn move_failures(status: &mut Value, sets: &[Set], new: Option<usize>) {
    let of = |set: &Set| condition(&set.1["status"], "ReplicaFailure").cloned();
    let found = new
        .and_then(|at| of(&sets[at]))
        .or_else(|| sets.iter().find_map(of));
    match found {
        Some(failure) => {
            let text = |name: &str| failure[name].as_str().unwrap_or_default();
            let since = text("lastTransitionTime");
            set_condition(
                status,
                "ReplicaFailure",
                text("status"),
                text("reason"),
                text("message"),
                since,
            );
        }
        None => {
            if let Some(list) = status["conditions"].as_array_mut() {
                list.retain(|known| known["type"] != "ReplicaFailure");
            }
        }
    }
}
