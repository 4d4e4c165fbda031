//! From kinds to the paths of an API server: discovery, cached.
//!
//! The common kinds are known without asking. Others are looked up in the aggregated discovery, which
//! is asked again when a kind is missing (its CRD may have come), but not more often than every few
//! seconds. CRDs that this process applies are learned from their manifests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use sluice_objects::object::{self, Gvk};
use tokio::time::Instant;

use super::{Refusal, Scope};

/// How a kind is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its plural in paths.
    pub plural: Box<str>,
    /// Where its objects are.
    pub scope: Scope,
}

/// The kinds of one cluster.
pub struct Mapper {
    client: Client,
    known: Mutex<Known>,
    /// Held while the server is asked, so that many callers ask once.
    asking: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Known {
    resources: HashMap<Gvk, Resource>,
    /// The preferred version of a group and kind.
    preferred: HashMap<(String, String), String>,
}

/// Shortest time between two full discoveries.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest time that a discovery may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Kinds that every cluster has, with their plurals; the last field says whether they are namespaced.
const BUILT_IN: &[(&str, &str, &str, bool)] = &[
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "LimitRange", "limitranges", true),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "PersistentVolume", "persistentvolumes", false),
    (
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        true,
    ),
    ("v1", "Pod", "pods", true),
    ("v1", "ResourceQuota", "resourcequotas", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "ReplicaSet", "replicasets", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        true,
    ),
    ("batch/v1", "CronJob", "cronjobs", true),
    ("batch/v1", "Job", "jobs", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    (
        "networking.k8s.io/v1",
        "IngressClass",
        "ingressclasses",
        false,
    ),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "networkpolicies",
        true,
    ),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        true,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "clusterroles",
        false,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "rolebindings",
        true,
    ),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", false),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
];

impl Known {
    fn built_in() -> Self {
        let mut known = Self::default();
        for (api_version, kind, plural, namespaced) in BUILT_IN {
            if let Some(gvk) = Gvk::new(api_version, kind) {
                known.add(gvk, plural, *namespaced);
            }
        }
        known
    }

    /// Adds a kind; the first version of a group that is added is the preferred one.
    fn add(&mut self, gvk: Gvk, plural: &str, namespaced: bool) {
        let scope = if namespaced {
            Scope::Namespaced
        } else {
            Scope::Cluster
        };
        let key = (gvk.group.clone(), gvk.kind.clone());
        self.preferred
            .entry(key)
            .or_insert_with(|| gvk.version.clone());
        self.resources.insert(
            gvk,
            Resource {
                plural: plural.into(),
                scope,
            },
        );
    }
}

impl Mapper {
    /// A mapper that knows the built-in kinds.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::new(Known::built_in()),
            asking: tokio::sync::Mutex::default(),
        }
    }

    fn with<T>(&self, read: impl FnOnce(&mut Known) -> T) -> T {
        read(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How a kind is reached.
    ///
    /// # Errors
    /// The cluster does not know it, or could not be asked.
    pub async fn resource(&self, gvk: &Gvk) -> Result<Resource, Refusal> {
        let look = || self.with(|known| known.resources.get(gvk).cloned());
        if let Some(resource) = look() {
            return Ok(resource);
        }
        self.discover().await?;
        look().ok_or_else(|| {
            Refusal::unknown_kind(format!(
                "no matches for kind \"{}\" in version \"{}\"",
                gvk.kind,
                gvk.api_version()
            ))
        })
    }

    /// The version that the server prefers for a kind.
    ///
    /// # Errors
    /// The cluster does not know it, or could not be asked.
    pub async fn preferred(&self, group: &str, kind: &str) -> Result<Gvk, Refusal> {
        let key = (group.to_owned(), kind.to_owned());
        let look = || self.with(|known| known.preferred.get(&key).cloned());
        let found = match look() {
            Some(version) => Some(version),
            None => {
                self.discover().await?;
                look()
            }
        };
        let version = found.ok_or_else(|| {
            Refusal::unknown_kind(format!(
                "no matches for kind \"{kind}\" in group \"{group}\""
            ))
        })?;
        Ok(Gvk {
            group: key.0,
            version,
            kind: key.1,
        })
    }

    /// The plural of a kind that is known already.
    pub fn plural(&self, gvk: &Gvk) -> Option<Box<str>> {
        self.with(|known| {
            known
                .resources
                .get(gvk)
                .map(|resource| resource.plural.clone())
        })
    }

    /// Takes over the kinds that a CRD defines.
    pub fn learn(&self, definition: &Value) {
        let text = |path: &[&str]| object::text(definition, path).to_owned();
        let (group, kind) = (text(&["spec", "group"]), text(&["spec", "names", "kind"]));
        let plural = text(&["spec", "names", "plural"]);
        let namespaced = object::text(definition, &["spec", "scope"]) == "Namespaced";
        let versions = object::at(definition, &["spec", "versions"]).and_then(Value::as_array);
        if group.is_empty() || kind.is_empty() || plural.is_empty() {
            return;
        }
        self.with(|known| {
            for version in versions
                .into_iter()
                .flatten()
                .filter(|v| v["served"] == true)
            {
                let version = object::text(version, &["name"]).to_owned();
                known.add(
                    Gvk {
                        group: group.clone(),
                        version,
                        kind: kind.clone(),
                    },
                    &plural,
                    namespaced,
                );
            }
        });
    }

    async fn discover(&self) -> Result<(), Refusal> {
        let began = Instant::now();
        let mut last = self.asking.lock().await;
        // Somebody else asked while this caller waited, or a moment ago.
        if last.is_some_and(|at| at > began || at.elapsed() < PAUSE) {
            return Ok(());
        }
        let fresh = tokio::time::timeout(DEADLINE, self.ask())
            .await
            .unwrap_or_else(|_| Err(Refusal::local("discovery took too long")))?;
        // What was learned from a CRD stays: discovery may be behind, and a kind that is gone answers
        // with "not found" as well.
        self.with(|known| {
            known.resources.extend(fresh.resources);
            known.preferred.extend(fresh.preferred);
        });
        *last = Some(Instant::now());
        Ok(())
    }

    /// Reads the aggregated discovery: one request for the core group, one for all others.
    async fn ask(&self) -> Result<Known, Refusal> {
        let core = self.client.list_core_api_versions_aggregated();
        let groups = self.client.list_api_groups_aggregated();
        let (core, groups) = futures::try_join!(core, groups).map_err(super::live::refusal)?;
        let mut known = Known::default();
        for group in core.items.into_iter().chain(groups.items) {
            let name = group.metadata.and_then(|m| m.name).unwrap_or_default();
            for version in group.versions {
                let version_name = version.version.unwrap_or_default();
                for resource in version.resources {
                    let Some(kind) = resource.response_kind.as_ref().and_then(|k| k.kind.clone())
                    else {
                        continue;
                    };
                    let plural = resource.resource.unwrap_or_default();
                    let namespaced = resource.scope.as_deref() == Some("Namespaced");
                    // Subresources and review kinds have no objects to apply.
                    let can_patch = resource
                        .verbs
                        .iter()
                        .any(|verb| verb == "patch" || verb == "get");
                    if can_patch && !plural.contains('/') {
                        known.add(
                            Gvk {
                                group: name.clone(),
                                version: version_name.clone(),
                                kind,
                            },
                            &plural,
                            namespaced,
                        );
                    }
                }
            }
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_teaches_its_served_versions() {
        let mut known = Known::built_in();
        known.add(
            Gvk::new("example.com/v1", "Widget").unwrap(),
            "widgets",
            true,
        );
        assert_eq!(
            known.preferred[&("example.com".to_owned(), "Widget".to_owned())],
            "v1"
        );
        assert_eq!(
            known.resources[&Gvk::new("v1", "Namespace").unwrap()].scope,
            Scope::Cluster
        );
        let definition = json!({"spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Gadget", "plural": "gadgets"},
            "versions": [{"name": "v2", "served": true}, {"name": "v1", "served": false}]}});
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(kube::client::Body::empty()))
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let mapper = Mapper::new(Client::new(service, "default"));
        mapper.learn(&definition);
        let gvk = Gvk::new("example.com/v2", "Gadget").unwrap();
        let resource = runtime.block_on(mapper.resource(&gvk)).unwrap();
        assert_eq!(
            (&*resource.plural, resource.scope),
            ("gadgets", Scope::Cluster)
        );
        assert_eq!(
            runtime.block_on(mapper.preferred("example.com", "Gadget")),
            Ok(gvk)
        );
    }
}
