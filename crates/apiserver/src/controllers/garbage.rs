//! The garbage collector: dependents go with their owners.
//!
//! Background: dependents of an owner that is gone are deleted. Foreground: an owner with the `foregroundDeletion`
//! finalizer waits for the dependents that block it. Orphan: dependents lose the reference before the owner goes.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::{Actor, Kind, Next, Outcome, Queue};
use crate::app::App;
use crate::objects::meta;
use crate::store::{Change, ChangeKind, Object, Table};
use crate::verbs::delete::{DeleteOptions, FOREGROUND_FINALIZER, ORPHAN_FINALIZER, Propagation};

/// Table and key of an object.
pub(super) type Place = (Arc<str>, Arc<str>);

/// Who depends on whom.
#[derive(Default)]
pub(super) struct Graph {
    /// Owner's uid -> its dependents.
    dependents: HashMap<Box<str>, BTreeSet<Place>>,
    /// uid -> where the object is.
    live: HashMap<Box<str>, Place>,
    /// Table -> keys of the objects in it that no controller has, for the [`ADOPTED`] tables.
    free: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// Tables of the objects that controllers adopt.
const ADOPTED: [&str; 2] = ["pods", "replicasets.apps"];

impl Graph {
    /// Takes note of a change and queues what has to be looked at.
    pub fn follow(&mut self, table: &Arc<Table>, change: &Change, queue: &mut Queue) {
        if &*table.name == "events" {
            return;
        }
        let object = &change.object;
        let place: Place = (table.name.clone(), object.key.clone());
        let owners = |object: &Object| -> Vec<Box<str>> {
            object.owners.iter().map(|o| o.uid.clone()).collect()
        };
        let before = change
            .before
            .as_ref()
            .map(|before| owners(before))
            .unwrap_or_default();
        let after = if change.kind == ChangeKind::Put {
            owners(object)
        } else {
            Vec::new()
        };
        for uid in before.iter().filter(|uid| !after.contains(uid)) {
            if let Some(all) = self.dependents.get_mut(uid) {
                all.remove(&place);
                if all.is_empty() {
                    self.dependents.remove(uid);
                }
            }
            // An owner in foreground deletion may have waited for this one.
            self.queue_owner(uid, queue);
        }
        for uid in after {
            self.dependents
                .entry(uid)
                .or_default()
                .insert(place.clone());
        }
        if ADOPTED.contains(&&*table.name) {
            let free = self.free.entry(table.name.clone()).or_default();
            let put = change.kind == ChangeKind::Put;
            if put && !object.owners.iter().any(|owner| owner.controls) {
                free.insert(object.key.clone());
            } else {
                free.remove(&object.key);
            }
        }
        if change.kind == ChangeKind::Remove {
            self.live.remove(&object.uid);
            for dependent in self.dependents.get(&object.uid).into_iter().flatten() {
                queue.add((Kind::Garbage, name(dependent)));
            }
            return;
        }
        let known = self
            .live
            .insert(object.uid.clone(), place.clone())
            .is_some();
        let fresh = !known && !object.owners.is_empty();
        let before_deleting = change.before.as_ref().is_some_and(|before| before.deleting);
        if fresh || (object.deleting && !before_deleting) || self.waits(object) {
            queue.add((Kind::Garbage, name(&place)));
        }
    }

    /// The objects of a table that name this uid as an owner, by key.
    pub fn dependents(&self, app: &App, uid: &str, table: &str) -> Vec<Arc<Object>> {
        let all = self.dependents.get(uid).into_iter().flatten();
        let own = all.filter(|(name, _)| **name == *table);
        own.filter_map(|(name, key)| app.store.table(name).get(key))
            .collect()
    }

    /// The objects of an adopted table and a namespace that no controller has, by key.
    pub fn free(&self, app: &App, table: &str, namespace: &str) -> Vec<Arc<Object>> {
        let prefix = format!("{namespace}/");
        let Some(all) = self.free.get(table) else {
            return Vec::new();
        };
        all.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded))
            .take_while(|key| key.starts_with(&prefix))
            .filter_map(|key| app.store.table(table).get(key))
            .collect()
    }

    /// Where the object of this uid is.
    pub fn place(&self, uid: &str) -> Option<&Place> {
        self.live.get(uid)
    }

    /// Whether an object is one that the collector holds, or whose owner may have gone before it was seen.
    fn waits(&self, object: &Object) -> bool {
        object.deleting
            && (has_finalizer(object, ORPHAN_FINALIZER)
                || has_finalizer(object, FOREGROUND_FINALIZER))
    }

    fn queue_owner(&self, uid: &str, queue: &mut Queue) {
        if let Some(place) = self.live.get(uid) {
            queue.add((Kind::Garbage, name(place)));
        }
    }

    /// Looks at one object: are its owners there, and does it wait for its dependents?
    pub fn reconcile(&mut self, app: &App, place: &str) -> Outcome {
        let Some((table, key)) = place.split_once('\0') else {
            return Ok(Next::Done);
        };
        let Some(object) = app.store.table(table).get(key) else {
            return Ok(Next::Done);
        };
        let index = app.registry.index();
        let Some(resource) = index.find_table(table) else {
            return Ok(Next::Done);
        };
        let actor = Actor::new(app, "kube-controller-manager");
        if object.deleting {
            return self.finalize(app, &actor, table, &object);
        }
        if object.owners.is_empty() {
            return Ok(Next::Done);
        }
        let value = object.value();
        let references = value["metadata"]["ownerReferences"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let (mut solid, mut dangling, mut waiting) = (0, Vec::new(), Vec::new());
        for reference in &references {
            let uid = reference["uid"].as_str().unwrap_or_default();
            match self.owner(app, reference, object.namespace()) {
                None => dangling.push(uid.to_owned()),
                Some(owner) if owner.deleting && has_finalizer(&owner, FOREGROUND_FINALIZER) => {
                    waiting.push(uid.to_owned());
                }
                Some(_) => solid += 1,
            }
        }
        if dangling.is_empty() && waiting.is_empty() {
            return Ok(Next::Done);
        }
        if solid > 0 {
            // Somebody else still owns it: only the dead references go.
            actor.update(
                table,
                object.namespace(),
                object.name(),
                "",
                &|value: &mut Value| {
                    drop_references(value, &dangling);
                    drop_references(value, &waiting);
                    Ok(())
                },
            )?;
            return Ok(Next::Done);
        }
        let blocked = !waiting.is_empty() && self.dependents.contains_key(&object.uid);
        let propagation = if blocked {
            Some(Propagation::Foreground)
        } else {
            None
        };
        let options = DeleteOptions {
            uid: Some(object.uid.to_string()),
            propagation: propagation.or(Some(default_policy(&value))),
            ..DeleteOptions::default()
        };
        actor.delete(resource, &object, &options)?;
        Ok(Next::Done)
    }

    /// The owner that a reference means, if it is there with that uid.
    fn owner(&self, app: &App, reference: &Value, namespace: Option<&str>) -> Option<Arc<Object>> {
        let uid = reference["uid"].as_str()?;
        if let Some((table, key)) = self.live.get(uid)
            && let Some(found) = app.store.table(table).get(key)
            && *found.uid == *uid
        {
            // A namespaced owner has to be in the same namespace.
            return found
                .namespace()
                .is_none_or(|own| Some(own) == namespace)
                .then_some(found);
        }
        // Not seen yet: look where it says.
        let index = app.registry.index();
        let (version, kind) = (
            reference["apiVersion"].as_str()?,
            reference["kind"].as_str()?,
        );
        let resource = index.find_kind(version, kind)?;
        let name = reference["name"].as_str()?;
        let found = resource.table.get(&crate::store::key(
            namespace.filter(|_| resource.namespaced),
            name,
        ))?;
        (*found.uid == *uid).then_some(found)
    }

    /// An object that is being deleted: does the garbage collector hold it?
    fn finalize(&mut self, app: &App, actor: &Actor<'_>, table: &str, object: &Object) -> Outcome {
        let dependents: Vec<Place> = self
            .dependents
            .get(&object.uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        if has_finalizer(object, ORPHAN_FINALIZER) {
            for (table, key) in &dependents {
                let Some(dependent) = app.store.table(table).get(key) else {
                    continue;
                };
                actor.update(
                    table,
                    dependent.namespace(),
                    dependent.name(),
                    "",
                    &|value: &mut Value| {
                        drop_references(value, &[object.uid.to_string()]);
                        Ok(())
                    },
                )?;
            }
            return drop_finalizer(actor, table, object, ORPHAN_FINALIZER);
        }
        if has_finalizer(object, FOREGROUND_FINALIZER) {
            let index = app.registry.index();
            let mut blocking = false;
            for (table, key) in &dependents {
                let Some(dependent) = app.store.table(table).get(key) else {
                    continue;
                };
                let blocks = dependent
                    .owners
                    .iter()
                    .any(|owner| owner.uid == object.uid && owner.blocks_deletion);
                blocking |= blocks;
                if !dependent.deleting
                    && let Some(resource) = index.find_table(table)
                {
                    let nested = self.dependents.contains_key(&dependent.uid);
                    let value = dependent.value();
                    let shared =
                        value["metadata"]["ownerReferences"]
                            .as_array()
                            .is_some_and(|all| {
                                all.iter().any(|reference| {
                                    reference["uid"] != *object.uid
                                        && self
                                            .owner(app, reference, dependent.namespace())
                                            .is_some()
                                })
                            });
                    if shared {
                        actor.update(
                            table,
                            dependent.namespace(),
                            dependent.name(),
                            "",
                            &|value: &mut Value| {
                                drop_references(value, &[object.uid.to_string()]);
                                Ok(())
                            },
                        )?;
                        continue;
                    }
                    let policy = if nested {
                        Propagation::Foreground
                    } else {
                        default_policy(&value)
                    };
                    let options = DeleteOptions {
                        uid: Some(dependent.uid.to_string()),
                        propagation: Some(policy),
                        ..DeleteOptions::default()
                    };
                    actor.delete(resource, &dependent, &options)?;
                }
            }
            // What is gone by now has queued this object again.
            let left = dependents.iter().any(|(table, key)| {
                app.store.table(table).get(key).is_some_and(|dependent| {
                    dependent
                        .owners
                        .iter()
                        .any(|owner| owner.uid == object.uid && owner.blocks_deletion)
                })
            });
            if blocking && left {
                return Ok(Next::Done);
            }
            return drop_finalizer(actor, table, object, FOREGROUND_FINALIZER);
        }
        Ok(Next::Done)
    }
}

fn name(place: &Place) -> Arc<str> {
    format!("{}\0{}", place.0, place.1).into()
}

fn has_finalizer(object: &Object, name: &str) -> bool {
    meta::finalizers(&serde_json::json!({"metadata": object.metadata_value()})).contains(&name)
}

fn default_policy(value: &Value) -> Propagation {
    let finalizers = meta::finalizers(value);
    if finalizers.contains(&ORPHAN_FINALIZER) {
        Propagation::Orphan
    } else if finalizers.contains(&FOREGROUND_FINALIZER) {
        Propagation::Foreground
    } else {
        Propagation::Background
    }
}

fn drop_references(value: &mut Value, uids: &[String]) {
    let metadata = meta::of(value);
    if let Some(list) = metadata
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
    {
        list.retain(|reference| !uids.iter().any(|uid| reference["uid"] == uid.as_str()));
        if list.is_empty() {
            metadata.remove("ownerReferences");
        }
    }
}

fn drop_finalizer(actor: &Actor<'_>, table: &str, object: &Object, name: &str) -> Outcome {
    let result = actor.update(
        table,
        object.namespace(),
        object.name(),
        "",
        &|value: &mut Value| {
            let kept: Vec<String> = meta::finalizers(value)
                .into_iter()
                .filter(|known| *known != name)
                .map(str::to_owned)
                .collect();
            meta::set_finalizers(value, &kept);
            Ok(())
        },
    );
    match result {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(Next::Done),
    }
}
