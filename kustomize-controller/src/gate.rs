//! What has to hold before a Kustomization is worked on.
//!
//! ```text
//! deleted? -> finalizer? -> suspended? -> expressions -> access -> source -> artifact -> dependencies -> Go
//! ```
//!
//! The first step that does not pass decides. Pure: everything read comes in as [`Facts`].

use std::sync::Arc;

use sluice_api::artifact::Artifact;
use sluice_api::key::FINALIZER;
use sluice_api::kustomize::{Kustomization, SourceKind};
use sluice_api::reason;
use sluice_cel::health::Checks;
use sluice_runtime::informer::ObjectKey;

use crate::depends::{self, AfterExpression};
use crate::settings::Gates;
use crate::source::{Reference, Source};

/// What the gate looks at.
pub struct Facts<'f> {
    /// The Kustomization.
    pub ks: &'f Kustomization,
    /// Its source.
    pub source: &'f Source,
    /// The feature gates.
    pub gates: Gates,
    /// Whether sources of other namespaces are refused.
    pub no_cross_namespace_refs: bool,
    /// `--requeue-dependency`, as a Go duration.
    pub requeue_dependency: String,
}

/// What becomes of a Kustomization now.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is being deleted.
    Finalize,
    /// It has no finalizer yet, and must not be worked on without.
    AddFinalizer,
    /// Nothing: it is suspended.
    Suspended,
    /// Nothing until somebody changes it.
    Stalled(Stalled),
    /// Nothing until something else changes.
    Blocked(Blocked),
    /// It can be worked on.
    Go(Box<Pass>),
}

/// A dead end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// Reason of the conditions.
    pub reason: &'static str,
    /// Message of the conditions and of the event.
    pub message: String,
    /// Whether the generation counts as observed.
    pub observed: bool,
    /// Revision that the event carries.
    pub revision: Option<String>,
}

/// A state that ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Reason of the Ready condition.
    pub reason: &'static str,
    /// Message of the Ready condition.
    pub message: String,
    /// What it waits for.
    pub on: Blocker,
    /// Revision of the source, where there is one.
    pub revision: Option<String>,
}

/// What a blocked Kustomization waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// Its source has to appear; looked for at `retryInterval`.
    Source,
    /// Its source has to have an artifact; looked for at `--requeue-dependency`.
    Artifact,
    /// Another Kustomization has to be ready; looked at again at `--requeue-dependency`.
    Dependency(ObjectKey),
}

/// What is known of a Kustomization that may be worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// What to fetch.
    pub artifact: Artifact,
    /// The compiled health checks.
    pub checks: Checks,
}

/// The message of a configuration that cannot work.
fn terminal(error: impl std::fmt::Display) -> String {
    format!("Reconciliation failed terminally due to configuration error: {error}")
}

/// Decides; `dependency` finds another Kustomization or says why there is none.
pub fn judge(
    facts: &Facts<'_>,
    dependency: impl FnMut(&ObjectKey) -> Result<Arc<Kustomization>, String>,
) -> Verdict {
    let Facts { ks, gates, .. } = facts;
    if ks.metadata.deletion_timestamp.is_some() {
        return Verdict::Finalize;
    }
    if !ks
        .metadata
        .finalizers
        .iter()
        .flatten()
        .any(|f| f == FINALIZER)
    {
        return Verdict::AddFinalizer;
    }
    if ks.spec.suspend {
        return Verdict::Suspended;
    }
    let checks = match Checks::compile(&ks.spec.health_check_exprs) {
        Ok(checks) => checks,
        Err(error) => return invalid_expression(terminal(error), None),
    };
    let identity = ks
        .spec
        .decryption
        .as_ref()
        .and_then(|d| d.service_account_name.as_ref());
    if identity.is_some() && !gates.object_level_workload_identity {
        return Verdict::Stalled(Stalled {
            reason: reason::FEATURE_GATE_DISABLED,
            message: "to use spec.decryption.serviceAccountName for decryption authentication please enable the \
                      ObjectLevelWorkloadIdentity feature gate in the controller"
                .to_owned(),
            observed: false,
            revision: None,
        });
    }
    let reference = Reference::of(ks);
    if let Some(message) = refused(facts, &reference) {
        let reason = reason::ACCESS_DENIED;
        return Verdict::Stalled(Stalled {
            reason,
            message,
            observed: false,
            revision: None,
        });
    }
    let blocked = |reason, message, on, revision| {
        Verdict::Blocked(Blocked {
            reason,
            message,
            on,
            revision,
        })
    };
    let artifact = match facts.source {
        Source::Absent => {
            let message = format!(
                "{}.source.toolkit.fluxcd.io \"{}\" not found",
                reference.kind, reference.key.name
            );
            return blocked(reason::ARTIFACT_FAILED, message, Blocker::Source, None);
        }
        Source::Empty => {
            let message = format!(
                "Source artifact not found, retrying in {}",
                facts.requeue_dependency
            );
            return blocked(reason::ARTIFACT_FAILED, message, Blocker::Artifact, None);
        }
        Source::Artifact(artifact) => artifact.clone(),
    };
    let after = AfterExpression::of(*gates);
    let revision = Some(artifact.revision.clone());
    match depends::check(ks, &artifact.revision, after, dependency) {
        depends::Verdict::Ready => Verdict::Go(Box::new(Pass { artifact, checks })),
        depends::Verdict::Invalid(error) => invalid_expression(terminal(error), revision),
        depends::Verdict::NotReady { on, message } => blocked(
            reason::DEPENDENCY_NOT_READY,
            message,
            Blocker::Dependency(on),
            revision,
        ),
    }
}

fn invalid_expression(message: String, revision: Option<String>) -> Verdict {
    Verdict::Stalled(Stalled {
        reason: reason::INVALID_CEL_EXPRESSION,
        message,
        observed: true,
        revision,
    })
}

/// Why the source may not be used.
fn refused(facts: &Facts<'_>, reference: &Reference) -> Option<String> {
    let own = facts.ks.metadata.namespace.as_deref().unwrap_or_default();
    let subject = reference.subject();
    if facts.no_cross_namespace_refs && reference.key.namespace != own {
        return Some(format!(
            "can't access '{subject}', cross-namespace references have been blocked"
        ));
    }
    (reference.kind == SourceKind::ExternalArtifact && !facts.gates.external_artifact)
        .then(|| format!("can't access '{subject}', ExternalArtifact feature gate is disabled"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn gates() -> Gates {
        let text = "".to_owned();
        let gates =
            sluice_runtime::gates::FeatureGates::parse(crate::settings::GATES, &text).unwrap();
        Gates::of(&gates)
    }

    fn ks(change: Value) -> Kustomization {
        let mut base = json!({"metadata": {"name": "a", "namespace": "apps", "finalizers": ["finalizers.fluxcd.io"]},
            "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "app"}}});
        json_patch::merge(&mut base, &change);
        serde_json::from_value(base).unwrap()
    }

    fn artifact() -> Artifact {
        serde_json::from_value(
            json!({"path": "p", "url": "http://x", "revision": "main@sha1:1", "digest": "sha256:0",
            "lastUpdateTime": "2026-01-01T00:00:00Z"}),
        )
        .unwrap()
    }

    fn judge_with(ks: &Kustomization, source: Source, strict: bool) -> Verdict {
        let facts = Facts {
            ks,
            source: &source,
            gates: gates(),
            no_cross_namespace_refs: strict,
            requeue_dependency: "30s".to_owned(),
        };
        judge(&facts, |_| Err("not found".to_owned()))
    }

    fn text(verdict: Verdict) -> String {
        match verdict {
            Verdict::Stalled(s) => format!("{}: {}", s.reason, s.message),
            Verdict::Blocked(b) => format!("{}: {}", b.reason, b.message),
            other => format!("{other:?}")
                .split('(')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    #[test]
    fn steps_are_asked_in_order() {
        let ready = || Source::Artifact(artifact());
        let deleted = ks(
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"suspend": true}}),
        );
        assert_eq!(
            judge_with(&deleted, Source::Absent, false),
            Verdict::Finalize
        );
        assert_eq!(
            judge_with(
                &ks(json!({"metadata": {"finalizers": null}, "spec": {"suspend": true}})),
                ready(),
                false
            ),
            Verdict::AddFinalizer
        );
        assert_eq!(
            judge_with(&ks(json!({"spec": {"suspend": true}})), ready(), false),
            Verdict::Suspended
        );
        assert_eq!(text(judge_with(&ks(json!({})), ready(), false)), "Go");
    }

    #[test]
    fn refusals_and_waits_have_flux_s_words() {
        let plain = ks(json!({}));
        assert_eq!(
            text(judge_with(&plain, Source::Absent, false)),
            "ArtifactFailed: GitRepository.source.toolkit.fluxcd.io \"app\" not found"
        );
        assert_eq!(
            text(judge_with(&plain, Source::Empty, false)),
            "ArtifactFailed: Source artifact not found, retrying in 30s"
        );
        let other = ks(json!({"spec": {"sourceRef": {"namespace": "other"}}}));
        assert_eq!(
            text(judge_with(&other, Source::Absent, true)),
            "AccessDenied: can't access 'GitRepository/other/app', cross-namespace references have been blocked"
        );
        let external = ks(json!({"spec": {"sourceRef": {"kind": "ExternalArtifact"}}}));
        assert_eq!(
            text(judge_with(&external, Source::Absent, false)),
            "AccessDenied: can't access 'ExternalArtifact/apps/app', ExternalArtifact feature gate is disabled"
        );
        let dependent = ks(json!({"spec": {"dependsOn": [{"name": "base"}]}}));
        assert_eq!(
            text(judge_with(&dependent, Source::Artifact(artifact()), false)),
            "DependencyNotReady: dependency 'apps/base' not found: not found"
        );
        let identity =
            ks(json!({"spec": {"decryption": {"provider": "sops", "serviceAccountName": "x"}}}));
        assert!(
            text(judge_with(&identity, Source::Absent, false))
                .starts_with("FeatureGateDisabled: to use spec.decryption")
        );
    }

    #[test]
    fn wrong_expressions_count_as_observed() {
        let bad = ks(
            json!({"spec": {"healthCheckExprs": [{"apiVersion": "a/v1", "kind": "B", "current": ""}]}}),
        );
        let Verdict::Stalled(stalled) = judge_with(&bad, Source::Absent, false) else {
            panic!("not stalled")
        };
        assert!(stalled.observed);
        assert_eq!(
            stalled.message,
            "Reconciliation failed terminally due to configuration error: failed to create custom status evaluator for \
             healthchecks[0]: expression Current not specified"
        );
    }
}
