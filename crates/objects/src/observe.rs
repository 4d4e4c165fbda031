//! What is kept of a live object: a few hundred bytes instead of the object.
//!
//! ```text
//! watch event or answer to a write ──observe──> Observed ──┐
//! what the last apply left (Mark) ─────────────────────────┴─ is_as ──> drift or not
//! ```
//!
//! The resource version alone cannot tell drift, for controllers write status all the time. How the
//! content is seen depends on the kind, see [`Depth`].

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use crate::drift;
use crate::health::{self, Assessment};
use crate::object::{self, Gvk};
use crate::prune::Owner;
use crate::switches::Switches;
use crate::takeover::{self, Managers};

/// How much of an object has to be read to see that its content changed, and its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Metadata: the kind has no status, so each new resource version is a change.
    Version,
    /// Metadata: the kind has a status, and `metadata.generation` counts the changes of all else.
    Generation,
    /// The whole object: its content is hashed, its status is assessed.
    Content,
}

impl Depth {
    /// The depth for a kind. Unknown kinds are read whole.
    pub fn of(gvk: &Gvk) -> Self {
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("", "ConfigMap" | "Secret" | "ServiceAccount" | "LimitRange" | "Endpoints")
            | ("rbac.authorization.k8s.io", _)
            | ("networking.k8s.io", "NetworkPolicy" | "IngressClass")
            | ("scheduling.k8s.io", "PriorityClass")
            | ("storage.k8s.io", "StorageClass" | "CSIDriver")
            | ("node.k8s.io", "RuntimeClass")
            | ("discovery.k8s.io", "EndpointSlice")
            | (
                "admissionregistration.k8s.io",
                "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
            ) => Depth::Version,
            ("networking.k8s.io", "Ingress") | ("batch", "CronJob") => Depth::Generation,
            _ => Depth::Content,
        }
    }
}

/// One live object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Hash of its uid: another one is another object.
    pub uid: u64,
    /// Its resource version; 0 where that is no number and versions cannot be ordered.
    pub version: u64,
    /// Hash of its content, as far as [`Depth`] shows it.
    pub content: u64,
    /// Sorted hashes of its labels and annotations.
    pub pairs: Box<[u64]>,
    /// What its labels and annotations say.
    pub switches: Switches,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// Whether other managers' fields or leftovers are to be taken over.
    pub is_foreign: bool,
    /// Its state of health.
    pub health: Assessment,
}

/// How an object was after the last apply, and what that apply put on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Hash of the uid.
    pub uid: u64,
    /// The version that the apply returned; 0 where unknown.
    pub version: u64,
    /// Hash of the content.
    pub content: u64,
    /// Hashes of the labels and annotations of the manifest.
    pub pairs: Box<[u64]>,
    /// Whose it was then.
    pub owner: Option<Owner>,
}

/// What a live object may have become in the meantime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// It is as the apply left it, apart from what is not ours.
    Same,
    /// What was seen is older than the apply: it says nothing.
    Older,
    /// Something changed.
    Different,
    /// Its labels name another owner now, who has applied it since.
    Taken,
}

impl Mark {
    /// The mark that an apply leaves: `manifest` was sent, `answer` came back.
    pub fn new(manifest: &Value, answer: &Observed) -> Self {
        Self {
            uid: answer.uid,
            version: answer.version,
            content: answer.content,
            pairs: drift::pair_hashes(manifest),
            owner: answer.owner.clone(),
        }
    }

    /// Compares what is seen now with what the apply left.
    pub fn compare(&self, now: &Observed) -> Compared {
        if now.version != 0 && now.version < self.version {
            Compared::Older
        } else if now.owner.is_some() && now.owner != self.owner {
            Compared::Taken
        } else if now.uid == self.uid
            && now.content == self.content
            && drift::contains_all(&now.pairs, &self.pairs)
        {
            Compared::Same
        } else {
            Compared::Different
        }
    }
}

/// Reduces an object, or its metadata where `depth` needs no more. `now` is for rules with a patience.
pub fn observe(live: &Value, depth: Depth, managers: &Managers, now: jiff::Timestamp) -> Observed {
    let metadata = |field: &str| object::text(live, &["metadata", field]);
    let hash = |text: &str| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    };
    let content = match depth {
        Depth::Version => hash(metadata("resourceVersion")),
        Depth::Generation => object::integer(live, &["metadata", "generation"])
            .unwrap_or_default()
            .unsigned_abs(),
        Depth::Content => drift::content_hash(live),
    };
    Observed {
        uid: hash(metadata("uid")),
        version: metadata("resourceVersion").parse().unwrap_or_default(),
        content,
        pairs: drift::pair_hashes(live),
        switches: Switches::of(live),
        owner: Owner::of(live),
        is_deleting: !metadata("deletionTimestamp").is_empty(),
        is_foreign: takeover::is_needed(live, managers),
        health: health::assess(live, now),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(live: &Value, depth: Depth) -> Observed {
        observe(
            live,
            depth,
            &Managers::default(),
            jiff::Timestamp::UNIX_EPOCH,
        )
    }

    fn deployment() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "uid": "u", "resourceVersion": "5",
            "generation": 1, "labels": {"l": "1"}, "annotations": {"a": "1"}}, "spec": {"replicas": 1}})
    }

    #[test]
    fn the_work_of_controllers_is_no_drift() {
        let manifest = json!({"metadata": {"labels": {"l": "1"}}});
        let mark = Mark::new(&manifest, &look(&deployment(), Depth::Content));
        let mut live = deployment();
        live["metadata"]["resourceVersion"] = json!("9");
        live["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
        live["status"] = json!({"replicas": 1});
        assert_eq!(mark.compare(&look(&live, Depth::Content)), Compared::Same);
    }

    #[test]
    fn edits_deletions_and_recreation_are() {
        let manifest = json!({"metadata": {"labels": {"l": "1"}}});
        for depth in [Depth::Content, Depth::Generation] {
            let mark = Mark::new(&manifest, &look(&deployment(), depth));
            for (pointer, value) in [
                ("/metadata/labels/l", json!("2")),
                ("/metadata/uid", json!("v")),
            ] {
                let mut live = deployment();
                live["metadata"]["resourceVersion"] = json!("6");
                *live.pointer_mut(pointer).unwrap() = value;
                assert_eq!(
                    mark.compare(&look(&live, depth)),
                    Compared::Different,
                    "{pointer}"
                );
            }
            let mut live = deployment();
            live["spec"]["replicas"] = json!(2);
            live["metadata"]["generation"] = json!(2);
            assert_eq!(mark.compare(&look(&live, depth)), Compared::Different);
        }
    }

    #[test]
    fn an_object_of_another_owner_is_told_apart() {
        let mark = Mark::new(&json!({}), &look(&deployment(), Depth::Content));
        let mut live = deployment();
        live["metadata"]["resourceVersion"] = json!("6");
        live["metadata"]["labels"] = json!({"l": "1", "kustomize.toolkit.fluxcd.io/name": "b",
            "kustomize.toolkit.fluxcd.io/namespace": "c"});
        assert_eq!(mark.compare(&look(&live, Depth::Content)), Compared::Taken);
    }

    #[test]
    fn what_was_seen_before_the_apply_says_nothing() {
        let mark = Mark::new(&json!({}), &look(&deployment(), Depth::Version));
        let mut live = deployment();
        live["metadata"]["resourceVersion"] = json!("4");
        assert_eq!(mark.compare(&look(&live, Depth::Version)), Compared::Older);
        live["metadata"]["resourceVersion"] = json!("6");
        assert_eq!(
            mark.compare(&look(&live, Depth::Version)),
            Compared::Different
        );
    }
}
