//! What the workload controllers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Actor, garbage};
use crate::app::{App, time_text};
use crate::store::Object;
use crate::verbs::selector::Selector;

/// Makes a workload late or fail: `delay=5s`, `fail`, `fail=REASON`, several separated by commas.
pub(super) const SIMULATE: &str = "sluice.dev/simulate";

/// What a controller works with.
pub(super) struct Context<'a> {
    pub app: &'a App,
    pub graph: &'a garbage::Graph,
    pub actor: Actor<'a>,
    /// The current time as the API writes it.
    pub now: String,
}

impl<'a> Context<'a> {
    pub fn new(app: &'a App, graph: &'a garbage::Graph) -> Self {
        let now = time_text(app.now());
        Context {
            app,
            graph,
            actor: Actor::new(app, "kube-controller-manager"),
            now,
        }
    }

    /// The objects of a table that this owner controls, and those that match its selector and that nobody controls,
    /// which it adopts.
    pub fn children(
        &self,
        owner: &Object,
        owner_value: &Value,
        table: &str,
        selector: &Selector,
    ) -> Vec<Arc<Object>> {
        let mut found = self.graph.dependents(self.app, &owner.uid, table);
        found.retain(|child| controls(owner, child));
        if owner.deleting || selector.is_empty() {
            return found;
        }
        let namespace = owner.namespace().unwrap_or_default();
        for orphan in self.graph.free(self.app, table, namespace) {
            if !orphan.deleting && selector.matches(&orphan) {
                let reference = reference(owner_value);
                let adopted = self.actor.update(
                    table,
                    orphan.namespace(),
                    orphan.name(),
                    "",
                    &|value: &mut Value| {
                        let list = &mut value["metadata"]["ownerReferences"];
                        match list {
                            Value::Array(list) => list.push(reference.clone()),
                            other => *other = json!([reference]),
                        }
                        Ok(())
                    },
                );
                found.extend(adopted);
            }
        }
        found
    }

    /// The object's name and the time as a number that no earlier event has, so that events sort by their age.
    fn event_name(&self, name: &str) -> String {
        static LATEST: AtomicU64 = AtomicU64::new(0);
        let now = u64::try_from(self.app.now().as_nanosecond()).unwrap_or_default();
        let before = LATEST.fetch_max(now, Ordering::Relaxed);
        let unique = if before < now {
            now
        } else {
            LATEST.fetch_add(1, Ordering::Relaxed) + 1
        };
        format!("{name}.{unique:x}")
    }

    /// The event that says the same of an object.
    fn known_event(&self, about: &Value, reason: &str, message: &str) -> Option<Arc<Object>> {
        let namespace = about["metadata"]["namespace"].as_str().unwrap_or("default");
        let name = about["metadata"]["name"].as_str().unwrap_or_default();
        let known = self.app.store.table("events");
        let known = known
            .list(&format!("{namespace}/{name}."), None, None)
            .ok()?;
        known.objects.into_iter().find(|event| {
            event.json().contains(reason) && {
                let event = event.value();
                event["reason"] == reason
                    && event["message"] == message
                    && event["involvedObject"]["uid"] == about["metadata"]["uid"]
            }
        })
    }

    /// Records an event about an object; the same event again is counted.
    pub fn event(&self, about: &Value, component: &str, kind: &str, reason: &str, message: &str) {
        let metadata = &about["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or("default");
        let name = metadata["name"].as_str().unwrap_or_default();
        if let Some(known) = self.known_event(about, reason, message) {
            let counted = self.actor.update(
                "events",
                Some(namespace),
                known.name(),
                "",
                &|event: &mut Value| {
                    event["count"] = (event["count"].as_i64().unwrap_or(1) + 1).into();
                    event["lastTimestamp"] = self.now.as_str().into();
                    Ok(())
                },
            );
            if let Err(error) = counted {
                tracing::debug!(%error, "cannot count an event");
            }
            return;
        }
        let event = json!({
            "metadata": {"name": self.event_name(name), "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name,
                "namespace": metadata["namespace"], "resourceVersion": metadata["resourceVersion"],
                "uid": metadata["uid"],
            },
            "reason": reason, "message": message, "source": {"component": component},
            "firstTimestamp": self.now, "lastTimestamp": self.now, "count": 1, "type": kind,
            "eventTime": null, "reportingComponent": component, "reportingInstance": "",
        });
        if let Err(error) = self.actor.create("events", Some(namespace), event) {
            tracing::debug!(%error, "cannot record an event");
        }
    }
}

/// The uid of the owner that controls an object.
pub(super) fn controller_of(object: &Object) -> Option<Value> {
    if object.owners.is_empty() {
        return None;
    }
    let metadata = object.metadata_value();
    let mut owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    owners.find(|owner| owner["controller"] == true).cloned()
}

fn controls(owner: &Object, child: &Object) -> bool {
    let mut owners = child.owners.iter();
    owners
        .find(|reference| reference.controls)
        .is_some_and(|reference| reference.uid == owner.uid)
}

/// The owner reference of a controller.
pub(super) fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

/// Ten letters or digits that change with the value, in the alphabet of generated names.
pub(super) fn hash(value: &Value) -> String {
    let mut hash: u32 = 2_166_136_261;
    for byte in value.to_string().bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    }
    let alphabet = b"bcdfghjklmnpqrstvwxz2456789";
    hash.to_string()
        .bytes()
        .map(|digit| alphabet[usize::from(digit) % alphabet.len()] as char)
        .collect()
}

/// An integer or a percentage of `total`.
pub(super) fn int_or_percent(value: &Value, default: &str, total: i64, up: bool) -> i64 {
    let text = match value {
        Value::Number(number) => return number.as_i64().unwrap_or(0),
        Value::String(text) => text.as_str(),
        _ => default,
    };
    match text
        .strip_suffix('%')
        .and_then(|percent| percent.parse::<i64>().ok())
    {
        Some(percent) if up => (percent * total + 99) / 100,
        Some(percent) => percent * total / 100,
        None => text.parse().unwrap_or(0),
    }
}

/// A condition of a status list.
pub(super) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// Whether a condition is true.
pub(super) fn is_true(status: &Value, kind: &str) -> bool {
    condition(status, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    is_true(&pod["status"], "Ready")
}

/// Whether a pod counts: it is neither over nor going away.
pub(super) fn is_active(pod: &Value) -> bool {
    !matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    ) && !pod["metadata"]["deletionTimestamp"].is_string()
}

/// How long a ready pod has to stay ready to be available; None once it is.
pub(super) fn until_available(
    pod: &Value,
    min_ready: i64,
    now: jiff::Timestamp,
) -> Option<Duration> {
    let ready = condition(&pod["status"], "Ready")?;
    if ready["status"] != "True" || min_ready == 0 {
        return None;
    }
    let since: jiff::Timestamp = ready["lastTransitionTime"].as_str()?.parse().ok()?;
    let left = since.as_second() + min_ready - now.as_second();
    (left > 0).then(|| Duration::from_secs(left as u64))
}

/// What a workload's annotation asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Simulation {
    /// Time until it is ready.
    pub delay: Option<Duration>,
    /// It never gets ready, for this reason.
    pub fail: Option<String>,
}

impl Simulation {
    /// Reads the annotation of an object.
    pub fn of(object: &Value) -> Option<Self> {
        let text = object["metadata"]["annotations"][SIMULATE].as_str()?;
        let mut found = Simulation::default();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                Some(("delay", time)) => found.delay = parse_duration(time),
                Some(("fail", reason)) => found.fail = Some(reason.trim().to_owned()),
                None if part == "fail" => found.fail = Some(String::new()),
                _ => {}
            }
        }
        Some(found)
    }
}

/// Reads `500ms`, `5s`, `2m`, `1h` or a number of seconds.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match &text[digits..] {
        "ms" => number,
        "" | "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(milliseconds))
}

/// A pod of a template: labels, annotations and finalizers of the template's metadata, and its spec.
pub(super) fn pod_of(template: &Value, owner: &Value) -> Value {
    let mut metadata = json!({"ownerReferences": [reference(owner)]});
    for key in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"]
            .get(key)
            .filter(|value| !value.is_null())
        {
            metadata[key] = value.clone();
        }
    }
    json!({"metadata": metadata, "spec": template["spec"]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulations_are_read_from_the_annotation() {
        let read =
            |text: &str| Simulation::of(&json!({"metadata": {"annotations": {SIMULATE: text}}}));
        assert_eq!(
            read("delay=5s").unwrap().delay,
            Some(Duration::from_secs(5))
        );
        assert_eq!(read("fail").unwrap().fail, Some(String::new()));
        let both = read("delay=100ms, fail=ImagePullBackOff").unwrap();
        assert_eq!(
            (both.delay, both.fail.as_deref()),
            (Some(Duration::from_millis(100)), Some("ImagePullBackOff"))
        );
        assert_eq!(Simulation::of(&json!({"metadata": {}})), None);
    }

    #[test]
    fn percentages_round_as_the_rolling_update_does() {
        let of = |value: Value, up| int_or_percent(&value, "25%", 2, up);
        assert_eq!(
            (
                of(json!("25%"), true),
                of(json!("25%"), false),
                of(json!(3), true),
                of(Value::Null, true)
            ),
            (1, 0, 3, 1)
        );
    }
}
