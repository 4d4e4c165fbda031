//! ValidatingAdmissionPolicies: which generation has been seen.
//!
//! Types are not checked against those of the kinds that a policy is about, so the real server's warnings of that
//! are missing.

use serde_json::{Value, json};

use super::workload::Context;
use super::{Next, Outcome};

pub(super) const POLICIES: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";

/// Looks at one policy.
pub(super) fn reconcile(cx: &Context<'_>, key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(POLICIES).get(key) else {
        return Ok(Next::Done);
    };
    let value = object.value();
    let generation = &value["metadata"]["generation"];
    if value["status"]["observedGeneration"] != *generation {
        let status = json!({"observedGeneration": generation, "typeChecking": {}});
        cx.actor.update(
            POLICIES,
            None,
            object.name(),
            "status",
            &|policy: &mut Value| {
                policy["status"] = status.clone();
                Ok(())
            },
        )?;
    }
    Ok(Next::Done)
}
