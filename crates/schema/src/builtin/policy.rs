//! policy: PodDisruptionBudget.

use serde_json::Value;

use super::apps::{check_int_or_percent, check_not_over_100_percent};
use super::meta::{self, validate_selector};
use super::tools::{Errors, Path, has, internal, text};
use super::{Generation, Rules};
use crate::failure::FieldError;

pub(super) const POD_DISRUPTION_BUDGET: Rules = Rules {
    generation: Generation::Spec,
    unconditional_update: false,
    validate: |object, errors| validate(&object["spec"], errors),
    validate_update: |new, old, errors| {
        let _ = old;
        meta::validate(new, true, super::NameRule::Subdomain, errors);
        validate(&new["spec"], errors);
    },
    ..Rules::COMMON
};

fn validate(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let (min, max) = (&spec["minAvailable"], &spec["maxUnavailable"]);
    if has(min) && has(max) {
        let printed = internal(&[
            ("MinAvailable", min),
            ("Selector", &spec["selector"]),
            ("MaxUnavailable", max),
            (
                "UnhealthyPodEvictionPolicy",
                &spec["unhealthyPodEvictionPolicy"],
            ),
        ]);
        let why = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid_printed(&path, &printed, why));
    }
    for (name, value) in [("minAvailable", min), ("maxUnavailable", max)] {
        if has(value) {
            check_int_or_percent(value, &path.child(name), errors);
            check_not_over_100_percent(value, &path.child(name), errors);
        }
    }
    validate_selector(&spec["selector"], &path.child("selector"), errors);
    let policy = &spec["unhealthyPodEvictionPolicy"];
    if has(policy) && !matches!(text(policy), "AlwaysAllow" | "IfHealthyBudget") {
        let supported = ["AlwaysAllow", "IfHealthyBudget"];
        errors.push(FieldError::not_supported(
            path.child("unhealthyPodEvictionPolicy"),
            policy,
            &supported,
        ));
    }
}
