//! Fields whose drift does not matter (`spec.ignore`).

use serde_json::Value;

use crate::fields;
use crate::object;
use crate::pointer::{InvalidPointer, Pointer};
use crate::selector::{Selector, SelectorError, Target};
use sluice_api::key;

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its target cannot be read.
    #[error("failed to create ignore rule selector: {0}")]
    Selector(#[from] SelectorError),
    /// A path cannot be read.
    #[error("failed to create ignore rule: {0}")]
    Path(#[from] InvalidPointer),
}

/// The rules of a Kustomization. All rules that match an object count together; Flux forgets all but
/// the last of several rules without a target.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<(Selector, Vec<Pointer>)>);

impl Rules {
    /// Compiles rules, each a target and the JSON pointers ignored in it.
    ///
    /// # Errors
    /// The first target or pointer that cannot be read.
    pub fn compile<'a>(
        rules: impl IntoIterator<Item = (Target, &'a [String])>,
    ) -> Result<Self, RuleError> {
        let compiled = rules.into_iter().map(|(target, paths)| {
            let pointers = paths
                .iter()
                .map(|p| Pointer::parse(p))
                .collect::<Result<Vec<_>, _>>()?;
            Ok((Selector::compile(&target)?, pointers))
        });
        compiled.collect::<Result<_, RuleError>>().map(Self)
    }

    /// The paths ignored in an object.
    pub fn of(&self, object: &Value) -> Vec<Pointer> {
        let mut pointers: Vec<_> = self
            .0
            .iter()
            .filter(|(selector, _)| selector.matches(object))
            .flat_map(|(_, p)| p.clone())
            .collect();
        pointers.sort();
        pointers.dedup();
        pointers
    }
}

/// The manifest to apply to a live object for another reason than an ignored field.
///
/// Each ignored field whose live value differs from the one that the apply (`dry`, the dry run's
/// answer) would give it is left out if somebody else applied it, else taken from the live object:
/// leaving out what only we own would remove it.
pub fn respect(manifest: &Value, live: &Value, dry: &Value, ignored: &[Pointer]) -> Value {
    let mut payload = manifest.clone();
    for pointer in ignored {
        let before = pointer.get(live);
        if pointer.get(&payload).is_none() || before == pointer.get(dry) {
            continue;
        }
        match (before, is_applied_by_another(live, pointer)) {
            (Some(before), false) => {
                pointer.replace(&mut payload, before.clone());
            }
            _ => {
                pointer.remove(&mut payload);
            }
        }
    }
    payload
}

/// Whether another manager holds a field through an apply.
fn is_applied_by_another(live: &Value, pointer: &Pointer) -> bool {
    let entries = object::at(live, &["metadata", "managedFields"]).and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        let is = |field: &str, text: &str| {
            entry.get(field).and_then(Value::as_str).unwrap_or_default() == text
        };
        is("operation", "Apply")
            && is("subresource", "")
            && !is("manager", key::KUSTOMIZE_APPLY_MANAGER)
            && entry
                .get("fieldsV1")
                .and_then(|f| fields::holds(f, pointer, live))
                == Some(true)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        texts.iter().map(|t| Pointer::parse(t).unwrap()).collect()
    }

    #[test]
    fn rules_without_target_add_up() {
        let paths = |p: &str| vec![p.to_owned()];
        let (a, b, c) = (paths("/a"), paths("/b"), paths("/c"));
        let only_secrets = Target {
            kind: "Secret".into(),
            ..Target::default()
        };
        let rules = Rules::compile([
            (Target::default(), &a[..]),
            (Target::default(), &b[..]),
            (only_secrets, &c[..]),
        ])
        .unwrap();
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
        assert_eq!(rules.of(&object), pointers(&["/a", "/b"]));
    }

    #[test]
    fn bad_rules_are_named() {
        let bad = Target {
            name: "(".into(),
            ..Target::default()
        };
        let text = Rules::compile([(bad, &[][..])]).unwrap_err().to_string();
        assert!(
            text.starts_with("failed to create ignore rule selector: "),
            "{text}"
        );
        assert!(Rules::compile([(Target::default(), &["a".to_owned()][..])]).is_err());
    }

    #[test]
    fn ignored_fields_are_left_to_their_owner_or_adopted() {
        let manifest = json!({"spec": {"replicas": 1, "paused": false, "same": 1, "x": 2}});
        let live = json!({"spec": {"replicas": 5, "paused": true, "same": 1, "x": 1}, "metadata": {"managedFields": [
            {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:paused": {}}}},
            {"manager": "scaler", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}]}});
        let dry = manifest.clone();
        let ignored = pointers(&[
            "/spec/replicas",
            "/spec/paused",
            "/spec/same",
            "/spec/absent",
        ]);
        assert_eq!(
            respect(&manifest, &live, &dry, &ignored),
            json!({"spec": {"paused": true, "same": 1, "x": 2}})
        );
    }
}
