//! CustomResourceDefinitions: names, the Established condition, and the removal of their objects.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Actor, Next, Outcome};
use crate::app::{App, time_text};
use crate::objects::meta;
use crate::registry::table_name;
use crate::store::Object;
use crate::verbs::delete::DeleteOptions;

const TABLE: &str = "customresourcedefinitions.apiextensions.k8s.io";
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

fn condition<'a>(value: &'a Value, kind: &str) -> Option<&'a Value> {
    value["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn set_condition(
    value: &mut Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    let same = condition(value, kind).filter(|known| known["status"] == status);
    let time = same.map_or(Value::from(now), |known| {
        known["lastTransitionTime"].clone()
    });
    let new = json!({
        "type": kind, "status": status, "lastTransitionTime": time, "reason": reason, "message": message,
    });
    if !value["status"]["conditions"].is_array() {
        value["status"]["conditions"] = json!([]);
    }
    if let Some(list) = value["status"]["conditions"].as_array_mut() {
        match list.iter_mut().find(|condition| condition["type"] == kind) {
            Some(known) => *known = new,
            None => list.push(new),
        }
    }
}

/// Looks at one definition.
pub(super) fn reconcile(app: &App, name: &str) -> Outcome {
    let Some(object) = app.store.table(TABLE).get(name) else {
        return Ok(Next::Done);
    };
    if object.deleting {
        return remove(app, &object);
    }
    let value = object.value();
    let now = time_text(app.now());
    let actor = Actor::new(app, "kube-apiserver");
    let names = accepted(app, name, &value);
    if value["status"]["acceptedNames"] != names.accepted
        || condition(&value, "NamesAccepted").is_none()
        || names.changed
    {
        actor.update(TABLE, None, name, "status", &|value: &mut Value| {
            value["status"]["acceptedNames"] = names.accepted.clone();
            match &names.conflict {
                None => set_condition(
                    value,
                    "NamesAccepted",
                    "True",
                    "NoConflicts",
                    "no conflicts found",
                    &now,
                ),
                Some((reason, message)) => {
                    set_condition(value, "NamesAccepted", "False", reason, message, &now)
                }
            }
            if names.conflict.is_some() && condition(value, "Established").is_none() {
                set_condition(
                    value,
                    "Established",
                    "False",
                    "NotAccepted",
                    "not all names are accepted",
                    &now,
                );
            }
            Ok(())
        })?;
        if names.conflict.is_some() {
            return Ok(Next::Done);
        }
    }
    let established =
        condition(&value, "Established").is_some_and(|known| known["status"] == "True");
    if names.conflict.is_none() && !established {
        actor.update(TABLE, None, name, "status", &|value: &mut Value| {
            let message = "the initial names have been accepted";
            set_condition(
                value,
                "Established",
                "True",
                "InitialNamesAccepted",
                message,
                &now,
            );
            Ok(())
        })?;
    }
    Ok(Next::Done)
}

struct Names {
    accepted: Value,
    conflict: Option<(&'static str, String)>,
    changed: bool,
}

/// The names that no other definition of the group has.
fn accepted(app: &App, own: &str, value: &Value) -> Names {
    let spec = &value["spec"]["names"];
    let group = &value["spec"]["group"];
    let mut taken: Vec<String> = Vec::new();
    let mut kinds: Vec<String> = Vec::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for other in app
        .store
        .table(TABLE)
        .all()
        .iter()
        .filter(|other| other.name() != own)
    {
        let other = other.value();
        if other["spec"]["group"] == *group {
            let names = &other["status"]["acceptedNames"];
            taken.extend([text(&names["plural"]), text(&names["singular"])]);
            taken.extend(
                names["shortNames"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(text),
            );
            kinds.extend([text(&names["kind"]), text(&names["listKind"])]);
        }
    }
    let mut accepted = json!({});
    let mut conflict = None;
    let before = &value["status"]["acceptedNames"];
    let mut take = |key: &str, used: &[String], reason: &'static str| {
        let wanted = &spec[key];
        if wanted.is_null() {
            return;
        }
        let clash = match wanted {
            Value::Array(list) => list.iter().map(text).find(|name| used.contains(name)),
            one => Some(text(one)).filter(|name| used.contains(name)),
        };
        match clash {
            None => accepted[key] = wanted.clone(),
            Some(name) => {
                if let Some(known) = before.get(key).filter(|known| **known != "") {
                    accepted[key] = known.clone();
                }
                conflict = Some((reason, format!("{name:?} is already in use")));
            }
        }
    };
    take("plural", &taken, "PluralConflict");
    take("singular", &taken, "SingularConflict");
    take("shortNames", &taken, "ShortNamesConflict");
    take("kind", &kinds, "KindConflict");
    take("listKind", &kinds, "ListKindConflict");
    if let Some(categories) = spec.get("categories") {
        accepted["categories"] = categories.clone();
    }
    for key in ["plural", "kind"] {
        if accepted.get(key).is_none() {
            accepted[key] = "".into();
        }
    }
    let known = condition(value, "NamesAccepted").map(|known| known["status"] == "True");
    let changed = known != Some(conflict.is_none());
    Names {
        accepted,
        conflict,
        changed,
    }
}

/// Deletes the objects of a definition that is going away, then lets it go.
fn remove(app: &App, object: &Object) -> Outcome {
    let value = object.value();
    if !meta::finalizers(&value).contains(&FINALIZER) {
        return Ok(Next::Done);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let plural = text(&value["spec"]["names"]["plural"]);
    let table = app
        .store
        .table(&table_name(&text(&value["spec"]["group"]), &plural));
    let actor = Actor::new(app, "kube-apiserver");
    let now = time_text(app.now());
    let index = app.registry.index();
    if let Some(resource) = index.find_table(&table.name) {
        for instance in table.all().iter().filter(|instance| !instance.deleting) {
            actor.delete(resource, instance, &DeleteOptions::default())?;
        }
        if !table.is_empty() {
            actor.update(
                TABLE,
                None,
                object.name(),
                "status",
                &|value: &mut Value| {
                    let message = "CustomResource deletion is in progress";
                    set_condition(
                        value,
                        "Terminating",
                        "True",
                        "InstanceDeletionInProgress",
                        message,
                        &now,
                    );
                    Ok(())
                },
            )?;
            return Ok(Next::After(Duration::from_millis(200)));
        }
    }
    let finished = actor.update(TABLE, None, object.name(), "", &|value: &mut Value| {
        let kept: Vec<String> = meta::finalizers(value)
            .into_iter()
            .filter(|name| *name != FINALIZER)
            .map(str::to_owned)
            .collect();
        meta::set_finalizers(value, &kept);
        Ok(())
    });
    match finished {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(Next::Done),
    }
}
