//! Writing status and finalizers: small merge patches that never touch what is not ours.

use std::fmt::Debug;
use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The smallest JSON merge patch (RFC 7386) that turns `old` into `new`; `None` if they are equal.
pub fn merge_diff(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return Some(new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) => {
                if let Some(difference) = merge_diff(before, value) {
                    patch.insert(key.clone(), difference);
                }
            }
            None if value.is_null() => {}
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys() {
        if !new.contains_key(key) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// How often a conflicting write is tried, and the first pause between two tries.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Writes the difference between two versions of an object's status, if there is one.
///
/// The write is conditional on the version read. When somebody else wrote meanwhile, the object is
/// read again and our values are put over it: of the conditions, those of the `owned` types win and
/// all others stay as they are there.
///
/// Returns the object as written, or `None` if there was nothing to write or the object is gone.
///
/// # Errors
/// The API server refused or was not reached.
pub async fn status<K>(
    api: &Api<K>,
    manager: &str,
    object: &K,
    old: &Value,
    new: &Value,
    owned: &[&str],
) -> Result<Option<K>, kube::Error>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    let Some(mut difference) = merge_diff(old, new) else {
        return Ok(None);
    };
    let params = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let name = object.name_any();
    let mut version = object.resource_version();
    let mut pause = PAUSE;
    for attempt in 1.. {
        let body = json!({"metadata": {"resourceVersion": version}, "status": difference});
        match api.patch_status(&name, &params, &Patch::Merge(&body)).await {
            Ok(written) => return Ok(Some(written)),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < TRIES => {}
            Err(error) => return Err(error),
        }
        let Some(fresh) = api.get_opt(&name).await? else {
            return Ok(None);
        };
        version = fresh.resource_version();
        let fresh = serde_json::to_value(&fresh)
            .unwrap_or_default()
            .get("status")
            .cloned()
            .unwrap_or_else(|| json!({}));
        let mut wanted = new.clone();
        join_conditions(&mut wanted, &fresh, owned);
        // Only what we changed is put over the fresh status.
        match merge_diff(old, &wanted) {
            Some(again) => difference = again,
            None => return Ok(None),
        }
        tokio::time::sleep(pause + pause.mul_f64(fastrand::f64())).await;
        pause *= 2;
    }
    Ok(None)
}

/// Takes the conditions of `fresh` that are not ours into `wanted`.
fn join_conditions(wanted: &mut Value, fresh: &Value, owned: &[&str]) {
    let foreign = fresh
        .get("conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|c| !is_owned(c, owned))
        .cloned();
    let Some(conditions) = wanted.get_mut("conditions").and_then(Value::as_array_mut) else {
        return;
    };
    conditions.retain(|c| is_owned(c, owned));
    conditions.extend(foreign);
}

fn is_owned(condition: &Value, owned: &[&str]) -> bool {
    condition
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|kind| owned.contains(&kind))
}

/// Sets the list of finalizers, conditional on the version read.
///
/// Returns the object as written, or `None` if it is gone.
///
/// # Errors
/// The API server refused (409 when somebody else wrote meanwhile) or was not reached.
pub async fn finalizers<K>(
    api: &Api<K>,
    manager: &str,
    object: &K,
    finalizers: &[String],
) -> Result<Option<K>, kube::Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let params = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let body = json!({"metadata": {
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
    }});
    match api
        .patch(&object.name_any(), &params, &Patch::Merge(&body))
        .await
    {
        Ok(written) => Ok(Some(written)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_holds_only_what_changed() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": true, "list": [1]});
        let new = json!({"a": 1, "b": {"c": 1, "d": 3}, "new": "x", "list": [1, 2]});
        assert_eq!(
            merge_diff(&old, &new),
            Some(json!({"b": {"d": 3}, "gone": null, "new": "x", "list": [1, 2]}))
        );
        assert_eq!(merge_diff(&old, &old), None);
        assert_eq!(merge_diff(&json!({}), &json!({"a": null})), None);
    }

    #[test]
    fn conditions_of_others_survive_a_conflict() {
        let mut wanted = json!({"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Theirs", "status": "False"},
        ]});
        let fresh = json!({"conditions": [
            {"type": "Ready", "status": "False"}, {"type": "Theirs", "status": "True"},
        ]});
        join_conditions(&mut wanted, &fresh, &["Ready"]);
        assert_eq!(
            wanted,
            json!({"conditions": [
                {"type": "Ready", "status": "True"}, {"type": "Theirs", "status": "True"},
            ]})
        );
    }
}
