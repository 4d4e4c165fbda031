//! From what the API server says to the tree that is shown. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use sluice_api::condition::{self, Condition, Status};
use sluice_api::inventory::ObjectId;
use sluice_api::key::RECONCILE_REQUEST;
use sluice_api::kinds;
use sluice_api::kustomize::Kustomization;
use sluice_api::reason;
use sluice_api::source::GitRepository;

use super::cluster::EXTENSIONS;
use super::view::{Node, State};

/// How a managed object is, as its live state says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectState {
    /// How it is.
    pub state: State,
    /// Why.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// Which controllers besides our two there can be in the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Others {
    /// None: the cluster is the embedded one.
    #[default]
    None,
    /// Any: the cluster is somebody's.
    Any,
}

/// Everything that was observed.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The sources.
    pub repositories: Vec<Arc<GitRepository>>,
    /// The Kustomizations.
    pub kustomizations: Vec<Arc<Kustomization>>,
    /// The managed objects that have been seen.
    pub objects: HashMap<ObjectId, ObjectState>,
    /// Which other controllers there can be.
    pub others: Others,
}

type Key = (String, String);

/// The tree: sources first, then Kustomizations with what they depend on before them.
pub fn build(observed: &Observed) -> Vec<Node> {
    let mut repositories = observed.repositories.clone();
    repositories.sort_by_key(|r| (r.metadata.namespace.clone(), r.metadata.name.clone()));
    let mut nodes: Vec<Node> = repositories.iter().map(|r| source(r)).collect();
    for kustomization in in_order(&observed.kustomizations) {
        nodes.push(node(&kustomization, observed));
    }
    nodes
}

fn key(kustomization: &Kustomization) -> Key {
    (
        kustomization.metadata.namespace.clone().unwrap_or_default(),
        kustomization.metadata.name.clone().unwrap_or_default(),
    )
}

fn dependencies(kustomization: &Kustomization) -> impl Iterator<Item = Key> {
    let own = kustomization.metadata.namespace.clone().unwrap_or_default();
    kustomization.spec.depends_on.iter().map(move |dependency| {
        let namespace = dependency.namespace.clone().unwrap_or_else(|| own.clone());
        (namespace, dependency.name.clone())
    })
}

/// By dependency, then by name; members of a cycle come last, by name.
fn in_order(all: &[Arc<Kustomization>]) -> Vec<Arc<Kustomization>> {
    let mut left: BTreeMap<Key, Arc<Kustomization>> =
        all.iter().map(|k| (key(k), k.clone())).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free: Vec<Key> = left
            .iter()
            .filter(|(own, k)| dependencies(k).all(|d| d == **own || !left.contains_key(&d)))
            .map(|(own, _)| own.clone())
            .collect();
        let next = if free.is_empty() {
            left.keys().cloned().collect()
        } else {
            free
        };
        ordered.extend(next.iter().filter_map(|k| left.remove(k)));
    }
    ordered
}

fn source(repository: &GitRepository) -> Node {
    let status = repository.status.clone().unwrap_or_default();
    let judged = judge(
        &status.conditions,
        status.observed_generation,
        repository.metadata.generation,
        repository.spec.suspend,
        "source-controller",
    );
    Node {
        revision: status.artifact.map(|artifact| artifact.revision),
        ..judged.node("GitRepository", &repository.metadata)
    }
}

fn node(kustomization: &Kustomization, observed: &Observed) -> Node {
    let status = kustomization.status.clone().unwrap_or_default();
    let mut judged = judge(
        &status.conditions,
        status.observed_generation,
        kustomization.metadata.generation,
        kustomization.spec.suspend,
        "kustomize-controller",
    );
    if let Some(revision) = source_revision(kustomization, observed)
        && judged.state == State::Ready
        && status.last_applied_revision.as_deref() != Some(revision)
    {
        judged.state = State::Working;
        judged.message = format!("new revision {revision}");
    }
    let missing = judged.message.starts_with("Source artifact not found")
        || judged.message.starts_with("ExternalArtifact.source.")
            && judged.message.ends_with("not found");
    if judged.state == State::Failed && missing {
        judged.state = State::Waiting;
        judged.waits_for = Some(source_name(kustomization));
    }
    let children = children(&status.inventory.unwrap_or_default().entries, observed);
    if judged.state == State::Working
        && let Some(child) = children.iter().find(|c| c.state != State::Ready)
        && judged.message.starts_with("Running health checks")
    {
        judged.state = State::Waiting;
        judged.waits_for = Some(format!("{}/{}", child.kind, child.name));
    }
    Node {
        revision: status.last_applied_revision,
        children,
        ..judged.node("Kustomization", &kustomization.metadata)
    }
}

/// What a Kustomization takes its files from; an ExternalArtifact is made by another controller, so that a
/// missing one is waited for.
fn source_name(kustomization: &Kustomization) -> String {
    let reference = &kustomization.spec.source_ref;
    let namespace = reference
        .namespace
        .as_ref()
        .or(kustomization.metadata.namespace.as_ref());
    format!(
        "{}/{}/{}",
        reference.kind.as_str(),
        namespace.map_or("", String::as_str),
        reference.name
    )
}

/// The revision that the source of a Kustomization has now.
fn source_revision<'a>(kustomization: &Kustomization, observed: &'a Observed) -> Option<&'a str> {
    let reference = &kustomization.spec.source_ref;
    if reference.kind.as_str() != "GitRepository" {
        return None;
    }
    let namespace = reference
        .namespace
        .as_ref()
        .or(kustomization.metadata.namespace.as_ref());
    let source = observed.repositories.iter().find(|r| {
        r.metadata.name.as_ref() == Some(&reference.name)
            && r.metadata.namespace.as_ref() == namespace
    })?;
    let artifact = source.status.as_ref()?.artifact.as_ref()?;
    Some(&artifact.revision)
}

fn children(entries: &[sluice_api::inventory::ResourceRef], observed: &Observed) -> Vec<Node> {
    // Objects that are lines of their own in the tree are not repeated below their owner.
    let own_line: BTreeSet<(&str, &str)> = [
        (kinds::KUSTOMIZE_GROUP, "Kustomization"),
        (kinds::SOURCE_GROUP, "GitRepository"),
    ]
    .into();
    entries
        .iter()
        .filter_map(|entry| entry.object_id().ok())
        .filter(|id| !own_line.contains(&(id.group.as_str(), id.kind.as_str())))
        .map(|id| child(&id, observed))
        .collect()
}

fn child(id: &ObjectId, observed: &Observed) -> Node {
    let mut node = Node {
        kind: id.kind.clone(),
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        state: State::Working,
        message: String::new(),
        waits_for: None,
        revision: None,
        since: None,
        children: Vec::new(),
    };
    if let Some(seen) = observed.objects.get(id) {
        node.state = seen.state;
        node.message = seen.message.clone();
        node.since = Some(seen.since);
    }
    // Kinds of this API whose controller is not part of Sluice yet are accepted and wait for it.
    if let Some(kind) = kinds::find(&id.group, &id.kind)
        && (node.state != State::Ready || observed.others == Others::None && has_no_status(kind))
        && !matches!(
            kind.controller,
            kinds::Controller::Source | kinds::Controller::Kustomize
        )
    {
        node.state = State::Waiting;
        node.waits_for = Some(kind.controller.name().to_owned());
    }
    let is_extension =
        |(group, kind, _): &&(&str, &str, &str)| *group == id.group && *kind == id.kind;
    if let Some((.., controller)) = EXTENSIONS.iter().find(is_extension)
        && observed.others == Others::None
    {
        node.state = State::Waiting;
        node.waits_for = Some((*controller).to_owned());
    }
    node
}

/// Kinds without a status are as they should be at once, as far as anybody can see.
fn has_no_status(kind: &kinds::Kind) -> bool {
    kind.initial_status == kinds::InitialStatus::Never
}

struct Judged {
    state: State,
    message: String,
    waits_for: Option<String>,
    since: Option<Timestamp>,
}

impl Judged {
    fn node(
        self,
        kind: &str,
        meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    ) -> Node {
        Node {
            kind: kind.to_owned(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            state: self.state,
            message: self.message,
            waits_for: self.waits_for,
            revision: None,
            since: self.since,
            children: Vec::new(),
        }
    }
}

/// Reads the state off the conditions.
fn judge(
    conditions: &[Condition],
    observed: Option<i64>,
    generation: Option<i64>,
    suspended: bool,
    controller: &str,
) -> Judged {
    let ready = condition::find(conditions, condition::READY);
    let reconciling = condition::find(conditions, condition::RECONCILING);
    let mut judged = Judged {
        state: State::Working,
        message: String::new(),
        waits_for: None,
        since: ready.map(|c| c.last_transition_time.timestamp()),
    };
    if suspended {
        judged.state = State::Suspended;
        return judged;
    }
    let Some(ready) = ready else {
        judged.state = State::Waiting;
        judged.waits_for = Some(controller.to_owned());
        return judged;
    };
    judged.message = ready.message.clone();
    match ready.status {
        Status::True if observed == generation && reconciling.is_none() => {
            judged.state = State::Ready;
        }
        Status::False if ready.reason == reason::DEPENDENCY_NOT_READY => {
            judged.state = State::Waiting;
            judged.waits_for = Some(quoted(&ready.message).map_or_else(
                || "its dependencies".to_owned(),
                |name| format!("Kustomization/{name}"),
            ));
        }
        Status::False => judged.state = State::Failed,
        Status::True | Status::Unknown => {
            if let Some(reconciling) = reconciling {
                judged.message = reconciling.message.clone();
            }
        }
    }
    judged
}

/// The first text in single quotes.
fn quoted(text: &str) -> Option<&str> {
    text.split('\'').nth(1)
}

/// Whether everything is as described: the sources have been looked at since `request`, all is ready,
/// and each Kustomization that another one creates has been seen.
pub fn is_settled(nodes: &[Node], observed: &Observed, request: &str) -> bool {
    let looked = observed.repositories.iter().all(|repository| {
        let annotations = repository.metadata.annotations.as_ref();
        let asked = annotations.and_then(|a| a.get(RECONCILE_REQUEST));
        let status = repository.status.as_ref();
        let handled = status.and_then(|s| s.last_handled_reconcile_at.as_ref());
        asked == handled || asked.is_none_or(|asked| asked.as_str() < request)
    });
    let seen: BTreeSet<Key> = observed.kustomizations.iter().map(|k| key(k)).collect();
    let all_seen = observed
        .kustomizations
        .iter()
        .filter_map(|k| k.status.as_ref()?.inventory.as_ref())
        .flat_map(|inventory| &inventory.entries)
        .filter_map(|entry| entry.object_id().ok())
        .filter(|id| id.group == kinds::KUSTOMIZE_GROUP && id.kind == "Kustomization")
        .all(|id| seen.contains(&(id.namespace, id.name)));
    let settled = |node: &Node| matches!(node.state, State::Ready | State::Suspended);
    looked && all_seen && !observed.kustomizations.is_empty() && nodes.iter().all(settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::view::{Paint, draw};
    use serde_json::json;

    fn repository(revision: &str) -> Arc<GitRepository> {
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": "fleet", "namespace": "flux-system", "generation": 1},
                "spec": {"url": "https://example.test/fleet", "interval": "1m"},
                "status": {
                    "observedGeneration": 1,
                    "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact", "lastTransitionTime": "2026-01-02T03:04:00Z"}],
                    "artifact": {"path": "p", "url": "u", "revision": revision, "digest": "sha256:0", "lastUpdateTime": "2026-01-02T03:04:00Z"},
                },
            }))
            .expect("valid"),
        )
    }

    fn kustomization(
        name: &str,
        depends_on: &[&str],
        status: serde_json::Value,
    ) -> Arc<Kustomization> {
        let depends_on: Vec<_> = depends_on.iter().map(|n| json!({"name": n})).collect();
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "flux-system", "generation": 1},
                "spec": {
                    "interval": "1m", "prune": true, "dependsOn": depends_on,
                    "sourceRef": {"kind": "GitRepository", "name": "fleet"},
                },
                "status": status,
            }))
            .expect("valid"),
        )
    }

    fn ready(revision: &str, ids: &[&str]) -> serde_json::Value {
        let entries: Vec<_> = ids.iter().map(|id| json!({"id": id, "v": "v1"})).collect();
        json!({
            "observedGeneration": 1, "lastAppliedRevision": revision,
            "conditions": [{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": format!("Applied revision: {revision}"), "lastTransitionTime": "2026-01-02T03:04:00Z"}],
            "inventory": {"entries": entries},
        })
    }

    fn blocked(on: &str) -> serde_json::Value {
        json!({
            "observedGeneration": -1,
            "conditions": [{"type": "Ready", "status": "False", "reason": "DependencyNotReady", "message": format!("dependency '{on}' is not ready"), "lastTransitionTime": "2026-01-02T03:04:00Z"}],
        })
    }

    fn shown(observed: &Observed) -> String {
        let now = "2026-01-02T03:04:05Z".parse().expect("valid");
        draw(&build(observed), now, 200, 50, Paint::Plain)
    }

    #[test]
    fn dependencies_come_first_and_waits_name_their_cause() {
        let revision = "main@sha1:1";
        let observed = Observed {
            repositories: vec![repository(revision)],
            kustomizations: vec![
                kustomization("apps", &["platform"], blocked("flux-system/platform")),
                kustomization(
                    "fleet",
                    &[],
                    ready(
                        revision,
                        &[
                            "flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization",
                            "apps_web_helm.toolkit.fluxcd.io_HelmRelease",
                            "apps_split_source.extensions.fluxcd.io_ArtifactGenerator",
                        ],
                    ),
                ),
                kustomization("platform", &[], json!({"observedGeneration": -1})),
            ],
            ..Observed::default()
        };
        assert_eq!(
            shown(&observed),
            "\
✔ GitRepository/flux-system/fleet (main@sha1:1)  ready: stored artifact
✔ Kustomization/flux-system/fleet (main@sha1:1)  ready: Applied revision: main@sha1:1
├─ ◎ HelmRelease/apps/web  waiting for helm-controller
└─ ◎ ArtifactGenerator/apps/split  waiting for source-watcher
◎ Kustomization/flux-system/platform  waiting for kustomize-controller
◎ Kustomization/flux-system/apps  waiting for Kustomization/flux-system/platform, 5s
"
        );
        assert!(!is_settled(&build(&observed), &observed, "1"));
    }

    #[test]
    fn a_missing_artifact_is_waited_for_by_name() {
        let failed = |message: &str| {
            json!({
                "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": "False", "reason": "ArtifactFailed", "message": message, "lastTransitionTime": "2026-01-02T03:04:00Z"}],
            })
        };
        for (message, state) in [
            ("Source artifact not found, retrying in 30s", State::Waiting),
            (
                "ExternalArtifact.source.toolkit.fluxcd.io \"web\" not found",
                State::Waiting,
            ),
            (
                "GitRepository.source.toolkit.fluxcd.io \"web\" not found",
                State::Failed,
            ),
        ] {
            let waiting = kustomization("apps", &[], failed(message));
            let node = node(&waiting, &Observed::default());
            assert_eq!(node.state, state, "{message}");
            let named =
                (state == State::Waiting).then(|| "GitRepository/flux-system/fleet".to_owned());
            assert_eq!(node.waits_for, named, "{message}");
        }
    }

    #[test]
    fn a_kustomization_behind_its_source_is_not_ready() {
        let observed = Observed {
            repositories: vec![repository("main@sha1:2")],
            kustomizations: vec![kustomization("fleet", &[], ready("main@sha1:1", &[]))],
            ..Observed::default()
        };
        assert!(
            shown(&observed).contains("► Kustomization/flux-system/fleet (main@sha1:1)  working")
        );
        assert!(!is_settled(&build(&observed), &observed, "1"));
    }

    #[test]
    fn settled_needs_every_created_kustomization_to_be_seen() {
        let id = "flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization";
        let mut observed = Observed {
            repositories: vec![repository("main@sha1:1")],
            kustomizations: vec![kustomization("fleet", &[], ready("main@sha1:1", &[id]))],
            ..Observed::default()
        };
        assert!(!is_settled(&build(&observed), &observed, "1"));
        let apps = kustomization("apps", &[], ready("main@sha1:1", &[]));
        observed.kustomizations.push(apps);
        assert!(is_settled(&build(&observed), &observed, "1"));
    }

    #[test]
    fn settled_needs_the_source_to_have_been_looked_at() {
        let mut source = (*repository("main@sha1:1")).clone();
        let annotations = source.metadata.annotations.get_or_insert_default();
        annotations.insert(RECONCILE_REQUEST.into(), "2".into());
        let mut observed = Observed {
            repositories: vec![Arc::new(source.clone())],
            kustomizations: vec![kustomization("fleet", &[], ready("main@sha1:1", &[]))],
            ..Observed::default()
        };
        assert!(!is_settled(&build(&observed), &observed, "1"));
        source
            .status
            .get_or_insert_default()
            .last_handled_reconcile_at = Some("2".into());
        observed.repositories = vec![Arc::new(source)];
        assert!(is_settled(&build(&observed), &observed, "1"));
    }

    #[test]
    fn a_cycle_is_shown_and_ends() {
        let observed = Observed {
            repositories: Vec::new(),
            kustomizations: vec![
                kustomization("b", &["a"], blocked("flux-system/a")),
                kustomization("a", &["b"], blocked("flux-system/b")),
            ],
            ..Observed::default()
        };
        assert_eq!(build(&observed).len(), 2);
    }
}
