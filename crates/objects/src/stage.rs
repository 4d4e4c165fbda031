//! In which order objects are applied and deleted.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use sluice_api::inventory::ObjectId;

use crate::object::Gvk;

/// A step of an apply; each begins when the one before is through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// CustomResourceDefinitions, Namespaces, ClusterRoles: awaited before anything else.
    Definitions,
    /// Kinds whose name ends in `Class`: awaited too.
    Classes,
    /// Kinds that the operator listed (`--custom-apply-stage-kinds`).
    Custom,
    /// Everything else.
    Rest,
}

impl Stage {
    /// All stages in their order.
    pub const ALL: [Stage; 4] = [
        Stage::Definitions,
        Stage::Classes,
        Stage::Custom,
        Stage::Rest,
    ];

    /// Whether the objects of this stage have to be healthy before the next one begins.
    pub fn is_awaited(self) -> bool {
        matches!(self, Stage::Definitions | Stage::Classes)
    }
}

/// Kinds of the custom stage, as (group, kind).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomKinds(BTreeSet<(String, String)>);

/// An entry of the list of kinds that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid kind `{0}` of the custom apply stage, use `group/Kind`, or `Kind` in the core group"
)]
pub struct InvalidKind(pub String);

impl CustomKinds {
    /// Reads `group/Kind` entries separated by commas.
    ///
    /// # Errors
    /// An entry with more than one slash, or without a kind.
    pub fn parse(text: &str) -> Result<Self, InvalidKind> {
        let mut kinds = BTreeSet::new();
        for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let (group, kind) = entry.split_once('/').unwrap_or(("", entry));
            if kind.is_empty() || kind.contains('/') {
                return Err(InvalidKind(entry.to_owned()));
            }
            kinds.insert((group.to_owned(), kind.to_owned()));
        }
        Ok(Self(kinds))
    }

    fn contains(&self, gvk: &Gvk) -> bool {
        self.0
            .iter()
            .any(|(group, kind)| *group == gvk.group && *kind == gvk.kind)
    }
}

/// The stage of an object.
pub fn stage_of(gvk: &Gvk, custom: &CustomKinds) -> Stage {
    let Gvk {
        group,
        version,
        kind,
    } = gvk;
    let is_definition = match group.as_str() {
        "" => version == "v1" && kind == "Namespace",
        "apiextensions.k8s.io" => kind.eq_ignore_ascii_case("CustomResourceDefinition"),
        "rbac.authorization.k8s.io" => kind == "ClusterRole",
        _ => false,
    };
    if is_definition {
        Stage::Definitions
    } else if kind.ends_with("Class") {
        Stage::Classes
    } else if custom.contains(gvk) {
        Stage::Custom
    } else {
        Stage::Rest
    }
}

/// Kinds that others build on, in order. The group does not count.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that can refuse everything else, so they come last (and go first).
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// The place of a kind among all kinds; equal for kinds that do not matter to each other.
pub fn rank(kind: &str) -> usize {
    let position = |kinds: &[&str]| kinds.iter().position(|k| *k == kind);
    position(&FIRST)
        .or_else(|| position(&LAST).map(|i| FIRST.len() + 1 + i))
        .unwrap_or(FIRST.len())
}

/// The order of apply: by rank, group, kind, namespace, name. Deletion uses its reverse.
pub fn order(a: &ObjectId, b: &ObjectId) -> Ordering {
    fn key(id: &ObjectId) -> (usize, &str, &str, &str, &str) {
        (rank(&id.kind), &id.group, &id.kind, &id.namespace, &id.name)
    }
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gvk(api_version: &str, kind: &str) -> Gvk {
        Gvk::new(api_version, kind).unwrap()
    }

    #[test]
    fn stages_follow_the_kind() {
        let custom = CustomKinds::parse("rbac.authorization.k8s.io/Role, Secret,").unwrap();
        let table = [
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                Stage::Definitions,
            ),
            (
                "apiextensions.k8s.io/v1",
                "customresourcedefinition",
                Stage::Definitions,
            ),
            ("v1", "Namespace", Stage::Definitions),
            ("v2", "Namespace", Stage::Rest),
            ("example.com/v1", "Namespace", Stage::Rest),
            (
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                Stage::Definitions,
            ),
            ("storage.k8s.io/v1", "StorageClass", Stage::Classes),
            ("example.com/v1", "WidgetClass", Stage::Classes),
            ("rbac.authorization.k8s.io/v1", "Role", Stage::Custom),
            ("v1", "Secret", Stage::Custom),
            ("example.com/v1", "Secret", Stage::Rest),
            ("apps/v1", "Deployment", Stage::Rest),
        ];
        for (version, kind, stage) in table {
            assert_eq!(
                stage_of(&gvk(version, kind), &custom),
                stage,
                "{version} {kind}"
            );
        }
    }

    #[test]
    fn malformed_custom_kinds_are_refused() {
        for text in ["a/b/c", "apps/"] {
            assert_eq!(CustomKinds::parse(text), Err(InvalidKind(text.to_owned())));
        }
    }

    #[test]
    fn webhooks_come_last_and_unknown_kinds_in_between() {
        let kinds = [
            "CustomResourceDefinition",
            "Namespace",
            "ServiceAccount",
            "ConfigMap",
            "Deployment",
            "Widget",
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ];
        let ranks: Vec<_> = kinds.iter().map(|k| rank(k)).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(rank("Ingress"), rank("Widget"));
    }

    fn any_id() -> impl Strategy<Value = ObjectId> {
        let kinds = prop::sample::select(
            &[
                "Namespace",
                "Secret",
                "Widget",
                "Ingress",
                "ValidatingWebhookConfiguration",
            ][..],
        );
        (kinds, "[ab]?", "[ab]?", "[abc]").prop_map(|(kind, group, namespace, name)| ObjectId {
            namespace,
            name,
            group,
            kind: kind.to_owned(),
        })
    }

    proptest! {
        #[test]
        fn the_order_is_total_and_strict(a in any_id(), b in any_id()) {
            prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
            prop_assert_eq!(order(&a, &b).is_eq(), a == b);
        }
    }
}
