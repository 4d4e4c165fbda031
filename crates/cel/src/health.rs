//! Custom health checks: three expressions for a kind (`spec.healthCheckExprs`).

use serde_json::Value;
use sluice_api::kustomize::HealthCheckExpr;
use sluice_objects::health::{Assessment, Status};
use sluice_objects::object::{self, Gvk, group_kind};

use crate::{Error, Predicate};

/// Why the checks of an object cannot be used; the texts are Flux's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// An expression is missing or wrong.
    #[error("failed to create custom status evaluator for healthchecks[{index}]: {error}")]
    Expression {
        /// Which check, from 0.
        index: usize,
        /// What is wrong.
        error: String,
    },
    /// Two checks are for the same kind.
    #[error("duplicate custom health check for GroupKind {group_kind} at healthchecks[{index}]")]
    Duplicate {
        /// Which check, from 0.
        index: usize,
        /// `Kind.group`.
        group_kind: String,
    },
}

/// The checks of one Kustomization.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks(Vec<Check>);

#[derive(Debug, Clone, PartialEq)]
struct Check {
    group: String,
    /// Empty: all kinds of the group that have no check of their own.
    kind: String,
    in_progress: Option<Predicate>,
    failed: Option<Predicate>,
    current: Predicate,
}

impl Checks {
    /// Parses the expressions. The version of a check's `apiVersion` does not count.
    ///
    /// # Errors
    /// The first check that is wrong; only another specification can help.
    pub fn compile(exprs: &[HealthCheckExpr]) -> Result<Self, CheckError> {
        let mut checks: Vec<Check> = Vec::new();
        for (index, expr) in exprs.iter().enumerate() {
            let kind = expr.kind.clone().unwrap_or_default();
            let group = Gvk::new(&expr.api_version, &kind)
                .map(|gvk| gvk.group)
                .unwrap_or_default();
            if checks
                .iter()
                .any(|check| check.group == group && check.kind == kind)
            {
                return Err(CheckError::Duplicate {
                    index,
                    group_kind: group_kind(&group, &kind),
                });
            }
            let parse = |what: &str, text: &str| {
                Predicate::parse(text).map_err(|error| CheckError::Expression {
                    index,
                    error: format!("failed to parse the expression {what}: {error}"),
                })
            };
            let optional = |what: &str, text: &Option<String>| {
                text.as_deref().map(|text| parse(what, text)).transpose()
            };
            if expr.current.is_empty() {
                let error = "expression Current not specified".to_owned();
                return Err(CheckError::Expression { index, error });
            }
            checks.push(Check {
                current: parse("Current", &expr.current)?,
                in_progress: optional("InProgress", &expr.in_progress)?,
                failed: optional("Failed", &expr.failed)?,
                group,
                kind,
            });
        }
        Ok(Self(checks))
    }

    fn of(&self, group: &str, kind: &str) -> Option<&Check> {
        let is = |wanted: &str| {
            self.0
                .iter()
                .find(|check| check.group == group && check.kind == wanted)
        };
        is(kind).or_else(|| is(""))
    }

    /// Whether a kind has a check, so that its objects have to be read whole.
    pub fn covers(&self, group: &str, kind: &str) -> bool {
        self.of(group, kind).is_some()
    }

    /// Assesses an object; `None` when there is no check for its kind.
    pub fn assess(&self, live: &Value) -> Option<Assessment> {
        let gvk = Gvk::of(live)?;
        Some(self.of(&gvk.group, &gvk.kind)?.assess(live))
    }
}

impl Check {
    fn assess(&self, live: &Value) -> Assessment {
        let generation = object::integer(live, &["metadata", "generation"]);
        let observed = object::integer(live, &["status", "observedGeneration"]);
        if generation.is_some() && observed.is_some() && generation != observed {
            return Assessment::new(
                Status::InProgress,
                "the latest generation is not observed yet",
            );
        }
        self.first_true(live)
            .unwrap_or_else(|error| Assessment::new(Status::Unknown, error.to_string()))
    }

    fn first_true(&self, live: &Value) -> Result<Assessment, Error> {
        let fields = live.as_object().into_iter().flatten();
        let variables: Vec<_> = fields.map(|(name, value)| (name.as_str(), value)).collect();
        let expressions = [
            (self.in_progress.as_ref(), Status::InProgress),
            (self.failed.as_ref(), Status::Failed),
            (Some(&self.current), Status::Current),
        ];
        for (expression, status) in expressions {
            if let Some(expression) = expression
                && expression.evaluate(&variables)?
            {
                return Ok(Assessment::new(status, "by its health check expression"));
            }
        }
        Ok(Assessment::new(
            Status::InProgress,
            "no health check expression is true",
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expr(api_version: &str, kind: Option<&str>, current: &str) -> HealthCheckExpr {
        HealthCheckExpr {
            api_version: api_version.to_owned(),
            kind: kind.map(str::to_owned),
            current: current.to_owned(),
            ..HealthCheckExpr::default()
        }
    }

    fn widget(parts: Value) -> Value {
        let mut object = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a", "generation": 1}});
        object
            .as_object_mut()
            .unwrap()
            .extend(parts.as_object().unwrap().clone());
        object
    }

    #[test]
    fn the_first_true_expression_decides() {
        let mut check = expr(
            "example.com/v9",
            None,
            "status.phase == 'Busy' || status.phase == 'Fine'",
        );
        check.in_progress = Some("status.phase == 'Busy'".to_owned());
        check.failed = Some("status.phase == 'Broken'".to_owned());
        let checks = Checks::compile(&[check]).unwrap();
        let status = |parts| checks.assess(&widget(parts)).unwrap();
        assert_eq!(
            status(json!({"status": {"phase": "Fine"}})).status,
            Status::Current
        );
        assert_eq!(
            status(json!({"status": {"phase": "Busy"}})).status,
            Status::InProgress
        );
        assert_eq!(
            status(json!({"status": {"phase": "Broken"}})).status,
            Status::Failed
        );
        assert_eq!(
            status(json!({"status": {"phase": "Other"}})).status,
            Status::InProgress
        );
        assert_eq!(
            status(json!({"status": {"phase": "Fine", "observedGeneration": 7}})).status,
            Status::InProgress
        );
        assert_eq!(
            checks.assess(&json!({"apiVersion": "v1", "kind": "Pod"})),
            None
        );
    }

    #[test]
    fn an_error_is_an_unknown_status() {
        let checks = Checks::compile(&[expr(
            "example.com/v1",
            Some("Widget"),
            "status.phase == 'Fine'",
        )])
        .unwrap();
        let assess = |parts| checks.assess(&widget(parts)).unwrap();
        let text = "failed to evaluate the CEL expression 'status.phase == 'Fine'': no such attribute(s): status.phase";
        assert_eq!(assess(json!({})), Assessment::new(Status::Unknown, text));
        let text =
            "failed to evaluate the CEL expression 'status.phase == 'Fine'': no such key: phase";
        assert_eq!(
            assess(json!({"status": {}})),
            Assessment::new(Status::Unknown, text)
        );
    }

    #[test]
    fn a_check_of_the_kind_beats_that_of_the_group() {
        let checks = Checks::compile(&[
            expr("example.com/v1", None, "false"),
            expr("example.com/v1", Some("Widget"), "true"),
        ])
        .unwrap();
        assert_eq!(
            checks.assess(&widget(json!({}))).unwrap().status,
            Status::Current
        );
        assert!(checks.covers("example.com", "Gadget"));
        assert!(!checks.covers("", "Widget"));
    }

    #[test]
    fn wrong_checks_are_refused_in_flux_s_words() {
        let refused = |exprs: &[HealthCheckExpr]| Checks::compile(exprs).unwrap_err().to_string();
        assert_eq!(
            refused(&[
                expr("example.com/v1", Some("Widget"), "true"),
                expr("example.com/v2", Some("Widget"), "true")
            ]),
            "duplicate custom health check for GroupKind Widget.example.com at healthchecks[1]"
        );
        assert_eq!(
            refused(&[expr("example.com/v1", Some("Widget"), "status.phase ==")]),
            "failed to create custom status evaluator for healthchecks[0]: failed to parse the expression Current: \
             failed to parse the CEL expression 'status.phase ==': ERROR: <input>:1:16: Syntax error: mismatched input \
             '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, \
             STRING, BYTES, IDENTIFIER}\n | status.phase ==\n | ...............^"
        );
    }
}
