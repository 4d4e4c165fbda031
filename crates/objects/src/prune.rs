//! Which objects may be deleted.

use serde_json::Value;
use sluice_api::inventory::ObjectId;
use sluice_api::key;

use crate::object;
use crate::switches::Switches;

/// The Kustomization that objects belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Owner {
    /// The labels that say so.
    pub fn labels(&self) -> [(&'static str, &str); 2] {
        [
            (key::KUSTOMIZE_NAME, &self.name),
            (key::KUSTOMIZE_NAMESPACE, &self.namespace),
        ]
    }

    /// The owner that an object's labels name; `None` unless both labels are there.
    pub fn of(object: &Value) -> Option<Self> {
        let labels = object::labels(object)?;
        let label = |key| labels.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            namespace: label(key::KUSTOMIZE_NAMESPACE)?,
            name: label(key::KUSTOMIZE_NAME)?,
        })
    }
}

/// What deletion needs to know of a live object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Whom its labels name as owner.
    pub owner: Option<Owner>,
    /// What its labels and annotations say.
    pub switches: Switches,
}

impl Live {
    /// From a whole object or its metadata.
    pub fn of(object: &Value) -> Self {
        Self {
            owner: Owner::of(object),
            switches: Switches::of(object),
        }
    }
}

/// What becomes of an object that is not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is gone already, which counts as deleted.
    Gone,
    /// It belongs to somebody else, or a switch protects it.
    Keep,
    /// It has to be deleted.
    Delete,
}

/// Decides on one object; `live` is `None` when it does not exist.
pub fn verdict(owner: &Owner, live: Option<&Live>) -> Verdict {
    let Some(live) = live else {
        return Verdict::Gone;
    };
    let Switches {
        prune_disabled,
        reconcile_disabled,
        ssa_ignore,
        ..
    } = live.switches;
    if live.owner.as_ref() != Some(owner) || prune_disabled || reconcile_disabled || ssa_ignore {
        Verdict::Keep
    } else {
        Verdict::Delete
    }
}

/// Why an object was not deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It could not be read.
    #[error("{} query failed: {error}", object::subject(id))]
    Query {
        /// The object.
        id: ObjectId,
        /// The server's text.
        error: String,
    },
    /// The server refused to delete it.
    #[error("{} delete failed: {error}", object::subject(id))]
    Delete {
        /// The object.
        id: ObjectId,
        /// The server's text.
        error: String,
    },
}

/// The text for a deletion that failed for some objects.
pub fn failure_text(failures: &[Failure]) -> String {
    let list: String = failures.iter().map(|f| format!("{f};")).collect();
    format!("delete failed, errors: {list}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_own_unprotected_objects_are_deleted() {
        let owner = Owner {
            namespace: "apps".into(),
            name: "app".into(),
        };
        let live = |labels: Value, annotations: Value| {
            let object = json!({"metadata": {"labels": labels, "annotations": annotations}});
            verdict(&owner, Some(&Live::of(&object)))
        };
        let (name, namespace) = (key::KUSTOMIZE_NAME, key::KUSTOMIZE_NAMESPACE);
        let own = json!({name: "app", namespace: "apps"});
        assert_eq!(verdict(&owner, None), Verdict::Gone);
        assert_eq!(live(own.clone(), json!({})), Verdict::Delete);
        assert_eq!(
            live(json!({name: "another", namespace: "apps"}), json!({})),
            Verdict::Keep
        );
        assert_eq!(live(json!({name: "app"}), json!({})), Verdict::Keep);
        assert_eq!(live(json!(null), json!(null)), Verdict::Keep);
        for (key, value) in [
            ("prune", "Disabled"),
            ("reconcile", "disabled"),
            ("ssa", "ignore"),
        ] {
            let key = format!("kustomize.toolkit.fluxcd.io/{key}");
            assert_eq!(live(own.clone(), json!({key: value})), Verdict::Keep);
        }
        assert_eq!(
            live(
                own,
                json!({"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"})
            ),
            Verdict::Delete
        );
    }

    #[test]
    fn failures_are_joined_as_flux_joins_them() {
        let id = ObjectId {
            namespace: "a".into(),
            name: "b".into(),
            group: String::new(),
            kind: "Secret".into(),
        };
        let failures = [
            Failure::Query {
                id: id.clone(),
                error: "no".into(),
            },
            Failure::Delete {
                id,
                error: "denied".into(),
            },
        ];
        assert_eq!(
            failure_text(&failures),
            "delete failed, errors: Secret/a/b query failed: no;Secret/a/b delete failed: denied;"
        );
    }
}
