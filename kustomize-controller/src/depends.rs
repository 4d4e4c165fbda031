//! Whether the Kustomizations that one depends on are ready.

use serde_json::Value;
use sluice_api::condition::{self, READY, Status};
use sluice_api::kustomize::Kustomization;
use sluice_api::reference::DependencyReference;
use sluice_cel::Predicate;
use sluice_runtime::informer::ObjectKey;

use crate::settings::Gates;
use crate::source::Reference;

/// Which checks follow a true `readyExpr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExpression {
    /// None: it replaces them.
    Nothing,
    /// The built-in ones too (gate `AdditiveCELDependencyCheck`).
    BuiltIn,
}

impl AfterExpression {
    /// What the gates say.
    pub fn of(gates: Gates) -> Self {
        match gates.additive_cel_dependency_check {
            true => Self::BuiltIn,
            false => Self::Nothing,
        }
    }
}

/// Where the dependencies stand. The texts are Flux's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All are ready.
    Ready,
    /// One is not, which may change by itself.
    NotReady {
        /// Which one.
        on: ObjectKey,
        /// Why.
        message: String,
    },
    /// An expression is wrong, which only another specification changes.
    Invalid(String),
}

/// The object that a dependency means, `namespace` being that of the dependent.
pub fn key_of(dependency: &DependencyReference, namespace: &str) -> ObjectKey {
    let namespace = dependency
        .namespace
        .clone()
        .unwrap_or_else(|| namespace.to_owned());
    ObjectKey::new(namespace, dependency.name.clone())
}

/// Checks the dependencies of `ks` in order, the first that is not ready deciding.
///
/// `found` gives a dependency or the server's text why there is none; `revision` is that of the
/// artifact that `ks` is about to apply.
pub fn check(
    ks: &Kustomization,
    revision: &str,
    after: AfterExpression,
    mut found: impl FnMut(&ObjectKey) -> Result<std::sync::Arc<Kustomization>, String>,
) -> Verdict {
    let namespace = ks.metadata.namespace.clone().unwrap_or_default();
    for dependency in &ks.spec.depends_on {
        let key = key_of(dependency, &namespace);
        let verdict = match found(&key) {
            Err(error) => Err(format!("dependency '{key}' not found: {error}")),
            Ok(other) => match expression(ks, &other, dependency, &key) {
                Ok(true) if after == AfterExpression::Nothing => Ok(()),
                Ok(_) => built_in(ks, &other, &key, revision),
                Err(Failure::Invalid(text)) => return Verdict::Invalid(text),
                Err(Failure::NotReady(text)) => Err(text),
            },
        };
        if let Err(message) = verdict {
            return Verdict::NotReady { on: key, message };
        }
    }
    Verdict::Ready
}

enum Failure {
    Invalid(String),
    NotReady(String),
}

/// Evaluates the expression; `false` when there is none.
fn expression(
    ks: &Kustomization,
    other: &Kustomization,
    dependency: &DependencyReference,
    key: &ObjectKey,
) -> Result<bool, Failure> {
    let Some(text) = &dependency.ready_expr else {
        return Ok(false);
    };
    let predicate = Predicate::compile(text, &["self", "dep"]).map_err(|error| {
        // Flux wraps it twice, and tools show it as it is.
        Failure::Invalid(format!(
            "terminal error: failed to evaluate dependency {}: {error}",
            dependency.name
        ))
    })?;
    let value = |object: &Kustomization| serde_json::to_value(object).unwrap_or(Value::Null);
    match predicate.evaluate(&[("self", &value(ks)), ("dep", &value(other))]) {
        Ok(true) => Ok(true),
        Ok(false) => Err(Failure::NotReady(format!(
            "dependency '{key}' is not ready according to readyExpr eval"
        ))),
        Err(error) => Err(Failure::NotReady(error.to_string())),
    }
}

fn built_in(
    ks: &Kustomization,
    other: &Kustomization,
    key: &ObjectKey,
    revision: &str,
) -> Result<(), String> {
    let status = other.status.clone().unwrap_or_default();
    let is_ready = status.observed_generation == other.metadata.generation
        && condition::is(&status.conditions, READY, Status::True);
    if !is_ready {
        return Err(format!("dependency '{key}' is not ready"));
    }
    let same_source = Reference::of(ks) == Reference::of(other);
    if same_source && status.last_applied_revision.as_deref() != Some(revision) {
        return Err(format!("dependency '{key}' revision is not up to date"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn ks(value: Value) -> Kustomization {
        let mut base = json!({"metadata": {"name": "a", "namespace": "apps", "generation": 1}, "spec": {"interval": "1h",
            "prune": true, "path": "./x", "sourceRef": {"kind": "GitRepository", "name": "app"}}});
        json_patch::merge(&mut base, &value);
        serde_json::from_value(base).unwrap()
    }

    fn with_expr(expr: Option<&str>) -> Kustomization {
        let mut dependency = json!({"name": "base"});
        if let Some(expr) = expr {
            dependency["readyExpr"] = json!(expr);
        }
        ks(json!({"spec": {"dependsOn": [dependency]}}))
    }

    fn ready(revision: &str) -> Kustomization {
        ks(
            json!({"status": {"observedGeneration": 1, "lastAppliedRevision": revision,
            "conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}),
        )
    }

    fn verdict(own: &Kustomization, base: Kustomization) -> Verdict {
        let base = Arc::new(base);
        check(own, "main@sha1:1", AfterExpression::Nothing, |_| {
            Ok(base.clone())
        })
    }

    fn message(verdict: Verdict) -> String {
        match verdict {
            Verdict::NotReady { message, .. } | Verdict::Invalid(message) => message,
            Verdict::Ready => "ready".to_owned(),
        }
    }

    #[test]
    fn a_dependency_has_to_be_there_ready_and_on_the_same_revision() {
        let own = with_expr(None);
        let absent = check(&own, "r", AfterExpression::Nothing, |_| {
            Err("kustomizations.kustomize.toolkit.fluxcd.io \"base\" not found".to_owned())
        });
        assert_eq!(
            message(absent),
            "dependency 'apps/base' not found: kustomizations.kustomize.toolkit.fluxcd.io \"base\" not found"
        );
        assert_eq!(
            message(verdict(&own, ks(json!({})))),
            "dependency 'apps/base' is not ready"
        );
        assert_eq!(verdict(&own, ready("main@sha1:1")), Verdict::Ready);
        assert_eq!(
            message(verdict(&own, ready("main@sha1:0"))),
            "dependency 'apps/base' revision is not up to date"
        );
        let mut stale = ready("main@sha1:1");
        stale.metadata.generation = Some(2);
        assert_eq!(
            message(verdict(&own, stale)),
            "dependency 'apps/base' is not ready"
        );
        let mut other_source = ready("main@sha1:0");
        other_source.spec.source_ref.name = "other".to_owned();
        assert_eq!(verdict(&own, other_source), Verdict::Ready);
    }

    #[test]
    fn an_expression_replaces_the_built_in_checks() {
        let suspended = || ks(json!({"spec": {"suspend": true}}));
        let own = with_expr(Some(
            "dep.spec.suspend == true && dep.metadata.namespace == self.metadata.namespace",
        ));
        assert_eq!(verdict(&own, suspended()), Verdict::Ready);
        let additive = check(&own, "r", AfterExpression::BuiltIn, |_| {
            Ok(Arc::new(suspended()))
        });
        assert_eq!(message(additive), "dependency 'apps/base' is not ready");
        assert_eq!(
            message(verdict(
                &with_expr(Some("dep.spec.path == 'y'")),
                suspended()
            )),
            "dependency 'apps/base' is not ready according to readyExpr eval"
        );
    }

    #[test]
    fn a_wrong_expression_is_terminal_and_an_absent_field_is_not() {
        let not_bool = verdict(&with_expr(Some("dep.spec.suspend")), ks(json!({})));
        assert_eq!(
            not_bool,
            Verdict::Invalid(
                "terminal error: failed to evaluate dependency base: CEL expression output type mismatch: expected bool, got dyn".into()
            )
        );
        let absent = verdict(
            &with_expr(Some("dep.status.lastAppliedRevision == 'x'")),
            ks(json!({"status": {"observedGeneration": -1}})),
        );
        assert_eq!(
            message(absent),
            "failed to evaluate the CEL expression 'dep.status.lastAppliedRevision == 'x'': no such key: lastAppliedRevision"
        );
    }
}
