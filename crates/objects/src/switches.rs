//! The labels and annotations of an object that switch how it is handled.

use serde_json::Value;
use sluice_api::key;

use crate::object;

/// What the labels and annotations of one object say, `kustomize.toolkit.fluxcd.io/…`.
///
/// A switch is on when the label or the annotation of that key has that value; the two are asked
/// separately, so an object may be both `ssa: Merge` and `ssa: Ignore`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switches {
    /// `reconcile: disabled`: neither applied nor pruned.
    pub reconcile_disabled: bool,
    /// `ssa: Ignore`: neither applied nor pruned.
    pub ssa_ignore: bool,
    /// `ssa: IfNotPresent`: created, never changed.
    pub ssa_if_not_present: bool,
    /// `ssa: Merge`: the fields of other managers stay theirs.
    pub ssa_merge: bool,
    /// `force: enabled`: recreated when a field is immutable.
    pub force: bool,
    /// `prune: disabled`: not deleted.
    pub prune_disabled: bool,
}

impl Switches {
    /// The switches of a manifest or a live object.
    pub fn of(object: &Value) -> Self {
        let text = |map: Option<&serde_json::Map<String, Value>>, key: &str| {
            map.and_then(|m| m.get(key))
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let (labels, annotations) = (object::labels(object), object::annotations(object));
        Self::read(|key| [text(labels, key), text(annotations, key)])
    }

    /// The switches found by a lookup that returns the label and the annotation of a key.
    pub fn read(lookup: impl Fn(&str) -> [Option<String>; 2]) -> Self {
        let is = |key: &str, wanted: &str| {
            lookup(key)
                .into_iter()
                .flatten()
                .any(|value| value.eq_ignore_ascii_case(wanted))
        };
        Self {
            reconcile_disabled: is(key::KUSTOMIZE_RECONCILE, key::DISABLED),
            ssa_ignore: is(key::KUSTOMIZE_SSA, "Ignore"),
            ssa_if_not_present: is(key::KUSTOMIZE_SSA, "IfNotPresent"),
            ssa_merge: is(key::KUSTOMIZE_SSA, "Merge"),
            force: is(key::KUSTOMIZE_FORCE, key::ENABLED),
            prune_disabled: is(key::KUSTOMIZE_PRUNE, key::DISABLED),
        }
    }
}

/// Whether an object is left alone instead of applied. `live` is `None` when it does not exist.
pub fn skips(manifest: Switches, live: Option<Switches>) -> bool {
    let off = |s: Switches| s.reconcile_disabled || s.ssa_ignore;
    off(manifest) || live.is_some_and(|live| off(live) || manifest.ssa_if_not_present)
}

/// Whether the metadata that other managers left is cleaned up.
pub fn takes_over(manifest: Switches, live: Switches) -> bool {
    !manifest.ssa_merge && !live.ssa_merge
}

/// Whether variables of this built object are left as they are. This one is case-sensitive.
pub fn substitution_disabled(object: &Value) -> bool {
    [object::labels(object), object::annotations(object)]
        .into_iter()
        .flatten()
        .any(|map| {
            map.get(key::KUSTOMIZE_SUBSTITUTE).and_then(Value::as_str) == Some(key::DISABLED)
        })
}

/// Whether this built object is not decrypted. Only an annotation says so.
pub fn decryption_disabled(object: &Value) -> bool {
    object::annotations(object)
        .and_then(|map| map.get(key::KUSTOMIZE_DECRYPT)?.as_str())
        .is_some_and(|value| value.eq_ignore_ascii_case(key::DISABLED))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(field: &str, name: &str, value: &str) -> Value {
        json!({"metadata": {field: {format!("kustomize.toolkit.fluxcd.io/{name}"): value}}})
    }

    #[test]
    fn labels_and_annotations_count_in_any_case() {
        for field in ["labels", "annotations"] {
            assert!(Switches::of(&with(field, "reconcile", "Disabled")).reconcile_disabled);
            assert!(Switches::of(&with(field, "ssa", "ignore")).ssa_ignore);
            assert!(Switches::of(&with(field, "ssa", "ifNotPresent")).ssa_if_not_present);
            assert!(Switches::of(&with(field, "ssa", "MERGE")).ssa_merge);
            assert!(Switches::of(&with(field, "force", "Enabled")).force);
            assert!(Switches::of(&with(field, "prune", "disabled")).prune_disabled);
        }
        assert_eq!(
            Switches::of(&with("labels", "reconcile", "enabled")),
            Switches::default()
        );
        assert_eq!(
            Switches::of(&json!({"metadata": {"labels": {"a": 1}}})),
            Switches::default()
        );
    }

    #[test]
    fn an_object_is_skipped_by_either_side_or_because_it_exists() {
        let of = |name, value| Switches::of(&with("annotations", name, value));
        let plain = Switches::default();
        let table = [
            (plain, None, false),
            (plain, Some(plain), false),
            (of("ssa", "Ignore"), None, true),
            (plain, Some(of("ssa", "Ignore")), true),
            (plain, Some(of("reconcile", "disabled")), true),
            (of("reconcile", "disabled"), None, true),
            (of("ssa", "IfNotPresent"), None, false),
            (of("ssa", "IfNotPresent"), Some(plain), true),
            (plain, Some(of("ssa", "IfNotPresent")), false),
        ];
        for (manifest, live, expected) in table {
            assert_eq!(skips(manifest, live), expected, "{manifest:?} {live:?}");
        }
        assert!(takes_over(plain, plain));
        assert!(!takes_over(plain, of("ssa", "Merge")));
    }

    #[test]
    fn substitution_is_case_sensitive_and_decryption_an_annotation() {
        assert!(substitution_disabled(&with(
            "labels",
            "substitute",
            "disabled"
        )));
        assert!(substitution_disabled(&with(
            "annotations",
            "substitute",
            "disabled"
        )));
        assert!(!substitution_disabled(&with(
            "annotations",
            "substitute",
            "Disabled"
        )));
        assert!(decryption_disabled(&with(
            "annotations",
            "decrypt",
            "Disabled"
        )));
        assert!(!decryption_disabled(&with("labels", "decrypt", "disabled")));
    }
}
