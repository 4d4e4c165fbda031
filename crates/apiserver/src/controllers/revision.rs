//! ControllerRevisions: the templates that StatefulSets and DaemonSets have had.

use std::sync::Arc;

use serde_json::{Value, json};

use super::workload::{Context, hash, reference};
use crate::status::Result;
use crate::store::Object;
use crate::verbs::delete::DeleteOptions;

const TABLE: &str = "controllerrevisions.apps";

/// The revision of the current template, made where it is not there, and all revisions from old to new.
pub(super) struct Revisions {
    /// Name of the current one.
    pub current: String,
    /// Its hash.
    pub hash: String,
    /// All, the current one last.
    pub all: Vec<Arc<Object>>,
}

/// Looks up or makes the revision of the workload's template. `label` is the label that carries the hash.
///
/// # Errors
/// As a client would get.
pub(super) fn current(
    cx: &Context<'_>,
    owner: &Object,
    value: &Value,
    label: &str,
) -> Result<Revisions> {
    let template = &value["spec"]["template"];
    let mut data = json!({"spec": {"template": template}});
    data["spec"]["template"]["$patch"] = "replace".into();
    let mut all = cx.graph.dependents(cx.app, &owner.uid, TABLE);
    all.sort_by_key(|revision| revision.value()["revision"].as_i64().unwrap_or(0));
    let last = all
        .last()
        .map_or(0, |last| last.value()["revision"].as_i64().unwrap_or(0));
    if let Some(at) = all
        .iter()
        .position(|revision| revision.value()["data"] == data)
    {
        let mut found = all.remove(at);
        if !all.is_empty() && found.value()["revision"].as_i64() != Some(last) {
            // A template that comes back is the newest again.
            found = cx.actor.update(
                TABLE,
                found.namespace(),
                found.name(),
                "",
                &|value: &mut Value| {
                    value["revision"] = (last + 1).into();
                    Ok(())
                },
            )?;
        }
        let hash = found.label(label).unwrap_or_default().to_owned();
        let current = found.name().to_owned();
        all.push(found);
        return Ok(Revisions { current, hash, all });
    }
    let hash = hash(template);
    let name = format!("{}-{hash}", owner.name());
    let mut labels = template["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    labels[label] = hash.as_str().into();
    let revision = json!({
        "metadata": {"name": name, "labels": labels, "ownerReferences": [reference(value)]},
        "data": data, "revision": last + 1,
    });
    let made = cx.actor.create(TABLE, owner.namespace(), revision)?;
    all.push(made);
    Ok(Revisions {
        current: name,
        hash,
        all,
    })
}

/// Deletes the oldest revisions beyond the limit; those of living pods stay.
///
/// # Errors
/// As a client would get.
pub(super) fn clean_up(
    cx: &Context<'_>,
    value: &Value,
    revisions: &Revisions,
    used: &[&str],
) -> Result<()> {
    let limit = value["spec"]["revisionHistoryLimit"]
        .as_i64()
        .unwrap_or(10)
        .max(0) as usize;
    let old: Vec<&Arc<Object>> = revisions
        .all
        .iter()
        .filter(|revision| revision.name() != revisions.current && !used.contains(&revision.name()))
        .collect();
    let resource = cx.actor.resource(TABLE)?;
    for revision in old.iter().take(old.len().saturating_sub(limit)) {
        cx.actor
            .delete(resource, revision, &DeleteOptions::default())?;
    }
    Ok(())
}
