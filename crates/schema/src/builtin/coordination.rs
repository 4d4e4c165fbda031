//! coordination.k8s.io: Lease.

use serde_json::Value;

use super::Rules;
use super::meta;
use super::tools::{Errors, Path, check_not_negative, has, int, text};
use crate::failure::FieldError;

pub(super) const LEASE: Rules = Rules {
    create_on_update: true,
    unconditional_update: false,
    validate: |object, errors| validate(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate(&new["spec"], errors);
    },
    ..Rules::COMMON
};

fn validate(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let seconds = &spec["leaseDurationSeconds"];
    if has(seconds) && int(seconds) <= 0 {
        errors.push(FieldError::invalid(
            path.child("leaseDurationSeconds"),
            seconds,
            "must be greater than 0",
        ));
    }
    check_not_negative(
        errors,
        &path.child("leaseTransitions"),
        &spec["leaseTransitions"],
    );
    let strategy = &spec["strategy"];
    if has(&spec["preferredHolder"]) && text(strategy).is_empty() {
        let why = "may only be specified when `strategy` is defined";
        errors.push(FieldError::forbidden(path.child("preferredHolder"), why));
    }
}
