//! The local copies of the kinds that are watched, and who is woken by them.

use sluice_api::artifact::Artifact;
use sluice_api::kustomize::{Kustomization, SourceKind};
use sluice_api::source::{Bucket, ExternalArtifact, GitRepository, OciRepository};
use sluice_runtime::informer::{ObjectKey, Store};
use sluice_runtime::queue::Queue;

use crate::depends::{self, AfterExpression};
use crate::reconcile::Memory;
use crate::registry::Registry;
use crate::source::{Reference, Source};

/// The local copies of the kinds that are watched.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    /// What is reconciled.
    pub kustomizations: Store<Kustomization>,
    /// Sources.
    pub git: Store<GitRepository>,
    /// Sources.
    pub oci: Store<OciRepository>,
    /// Sources.
    pub bucket: Store<Bucket>,
    /// Sources.
    pub external: Store<ExternalArtifact>,
}

impl Stores {
    /// What is known of a source.
    pub fn source(&self, reference: &Reference) -> Source {
        fn of<K>(
            store: &Store<K>,
            key: &ObjectKey,
            artifact: impl Fn(&K) -> Option<Artifact>,
        ) -> Source {
            match store.get(key) {
                None => Source::Absent,
                Some(object) => artifact(&object).map_or(Source::Empty, Source::Artifact),
            }
        }
        let key = &reference.key;
        match reference.kind {
            SourceKind::GitRepository => of(&self.git, key, |o| o.status.clone()?.artifact),
            SourceKind::OciRepository => of(&self.oci, key, |o| o.status.clone()?.artifact),
            SourceKind::Bucket => of(&self.bucket, key, |o| o.status.clone()?.artifact),
            SourceKind::ExternalArtifact => of(&self.external, key, |o| o.status.clone()?.artifact),
            SourceKind::Other(_) => Source::Absent,
        }
    }

    /// Waits until a source is as `is_it` says.
    pub async fn until(&self, reference: &Reference, is_it: impl Fn(&Source) -> bool) {
        let look = || is_it(&self.source(reference)).then_some(());
        match reference.kind {
            SourceKind::GitRepository => self.git.until(look).await,
            SourceKind::OciRepository => self.oci.until(look).await,
            SourceKind::Bucket => self.bucket.until(look).await,
            SourceKind::ExternalArtifact => self.external.until(look).await,
            SourceKind::Other(_) => std::future::pending().await,
        }
    }
}

/// Wakes the Kustomizations that wait for the one with this key and can go now, or said that it was
/// missing. Of dependencies that this process does not know nothing can be said here.
pub fn wake_dependents(
    key: &ObjectKey,
    stores: &Stores,
    registry: &Registry<Memory>,
    queue: &Queue<ObjectKey>,
    after: AfterExpression,
) {
    if stores.kustomizations.get(key).is_none() {
        return;
    }
    for (dependent, told) in registry.waiting_for(key) {
        let Some(ks) = stores.kustomizations.get(&dependent) else {
            continue;
        };
        let Source::Artifact(artifact) = stores.source(&Reference::of(&ks)) else {
            continue;
        };
        let found = |key: &ObjectKey| stores.kustomizations.get(key).ok_or_else(String::new);
        let is_news = match depends::check(&ks, &artifact.revision, after, found) {
            // Not every step of the other one is worth a write, but that it exists is.
            depends::Verdict::NotReady { on, .. } => on == *key && told.contains("' not found: "),
            depends::Verdict::Ready | depends::Verdict::Invalid(_) => true,
        };
        if is_news {
            registry.trigger(&dependent, &format!("Kustomization/{key}"));
            queue.add(dependent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use sluice_runtime::queue::Backoff;

    use super::*;

    fn object<K: DeserializeOwned>(name: &str, spec: Value, status: Value) -> K {
        let object = json!({"metadata": {"name": name, "namespace": "apps", "generation": 1},
            "spec": spec, "status": status});
        serde_json::from_value(object).unwrap()
    }

    fn repository(url: &str) -> GitRepository {
        let artifact = json!({"path": "p", "url": url, "revision": "main@sha1:1", "digest": "sha256:0",
            "lastUpdateTime": "2026-01-01T00:00:00Z"});
        let spec = json!({"interval": "1h", "url": "https://example.com"});
        object("app", spec, json!({"artifact": artifact}))
    }

    fn kustomization(name: &str, dependencies: &[&str], status: Value) -> Kustomization {
        let depends_on: Vec<_> = dependencies.iter().map(|on| json!({"name": on})).collect();
        let spec = json!({"interval": "1h", "prune": true, "dependsOn": depends_on,
            "sourceRef": {"kind": "GitRepository", "name": "app"}});
        object(name, spec, status)
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("apps", name)
    }

    #[tokio::test]
    async fn a_wait_for_a_source_ends_when_its_artifact_moves() {
        let stores = Stores::default();
        stores.git.learn(repository("http://old"));
        let reference = Reference::of(&kustomization("top", &[], json!({})));
        let is_new =
            |source: &Source| matches!(source, Source::Artifact(a) if a.url == "http://new");
        let mut wait = std::pin::pin!(stores.until(&reference, is_new));
        assert!(futures::poll!(wait.as_mut()).is_pending());
        stores.git.learn(repository("http://old"));
        assert!(futures::poll!(wait.as_mut()).is_pending());
        stores.git.learn(repository("http://new"));
        wait.await;
    }

    #[test]
    fn a_dependent_is_woken_when_it_can_go_and_when_what_was_missing_is_there() {
        let (stores, registry) = (Stores::default(), Registry::default());
        let queue = Queue::new(Backoff {
            min: Duration::from_secs(1),
            max: Duration::from_secs(1),
        });
        stores.git.learn(repository("http://x"));
        let top = kustomization("top", &["base"], json!({}));
        stores.kustomizations.learn(top);
        let blocked = |message: &str| {
            let on = Some((key("base"), message.to_owned()));
            registry.block(&registry.entry(&key("top")), on);
        };
        let woken = || {
            wake_dependents(
                &key("base"),
                &stores,
                &registry,
                &queue,
                AfterExpression::Nothing,
            );
            registry.entry(&key("top")).shared().trigger.take()
        };
        blocked("dependency 'apps/base' not found: no such object");
        assert_eq!(woken(), None, "nothing is known of it");
        stores
            .kustomizations
            .learn(kustomization("base", &[], json!({})));
        assert_eq!(woken().as_deref(), Some("Kustomization/apps/base"));
        blocked("dependency 'apps/base' is not ready");
        assert_eq!(woken(), None, "it is still not ready");
        let condition = json!({"type": "Ready", "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let ready = json!({"observedGeneration": 1, "lastAppliedRevision": "main@sha1:1", "conditions": [condition]});
        stores
            .kustomizations
            .learn(kustomization("base", &[], ready));
        assert_eq!(woken().as_deref(), Some("Kustomization/apps/base"));
        assert_eq!(queue.depth(), 1);
    }
}
