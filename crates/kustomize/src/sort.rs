//! The order of kinds and of the output.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::id::{Gvk, ResId};

/// Kinds that others need, so that they come first.
const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that would hinder others, so that they come last.
const LAST: &[&str] = &[
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// The rank of every kind that has one.
pub(crate) struct Ranks(HashMap<String, i64>);

impl Ranks {
    /// From the kinds that come first and last.
    pub(crate) fn new<'k>(
        first: impl ExactSizeIterator<Item = &'k str>,
        last: impl ExactSizeIterator<Item = &'k str>,
    ) -> Self {
        let mut ranks = HashMap::new();
        let before = -(first.len() as i64);
        for (at, kind) in first.enumerate() {
            ranks.insert(kind.to_owned(), before + at as i64);
        }
        for (at, kind) in last.enumerate() {
            ranks.insert(kind.to_owned(), 1 + at as i64);
        }
        Ranks(ranks)
    }

    /// kustomize's own ranks.
    pub(crate) fn standard() -> Self {
        Ranks::new(FIRST.iter().copied(), LAST.iter().copied())
    }

    fn of(&self, kind: &str) -> i64 {
        self.0.get(kind).copied().unwrap_or(0)
    }
}

fn or<'t>(text: &'t str, none: &'static str) -> &'t str {
    if text.is_empty() { none } else { text }
}

fn sort_text(gvk: &Gvk) -> String {
    format!(
        "{}_{}_{}",
        or(&gvk.group, "~G"),
        or(&gvk.version, "~V"),
        or(&gvk.kind, "~K")
    )
}

fn compare_gvk_with(a: &Gvk, b: &Gvk, ranks: &Ranks) -> Ordering {
    let ranked = ranks.of(&a.kind).cmp(&ranks.of(&b.kind));
    if ranked != Ordering::Equal {
        return ranked;
    }
    let order = sort_text(a).cmp(&sort_text(b));
    let core_namespace = a.kind == "Namespace"
        && b.kind == "Namespace"
        && (a.group.is_empty() || b.group.is_empty());
    if core_namespace {
        order.reverse()
    } else {
        order
    }
}

/// Compares two kinds with kustomize's own ranks.
pub(crate) fn compare_gvk(a: &Gvk, b: &Gvk) -> Ordering {
    use std::sync::OnceLock;
    static STANDARD: OnceLock<Ranks> = OnceLock::new();
    compare_gvk_with(a, b, STANDARD.get_or_init(Ranks::standard))
}

/// What an object is sorted by, computed once for each.
pub(crate) struct SortKey {
    gvk: Gvk,
    rank: i64,
    gvk_text: String,
    id_text: String,
}

impl SortKey {
    pub(crate) fn new(id: &ResId, ranks: &Ranks) -> Self {
        let gvk = &id.gvk;
        SortKey {
            rank: ranks.of(&gvk.kind),
            gvk_text: sort_text(gvk),
            id_text: format!(
                "{}.{}.{}|{}|{}",
                or(&gvk.kind, "[noKind]"),
                or(&gvk.version, "[noVer]"),
                or(&gvk.group, "[noGrp]"),
                or(&id.namespace, "~X"),
                or(&id.name, "~N")
            ),
            gvk: gvk.clone(),
        }
    }

    pub(crate) fn compare(&self, other: &SortKey) -> Ordering {
        let ranked = self.rank.cmp(&other.rank);
        if ranked != Ordering::Equal {
            return ranked;
        }
        if self.gvk == other.gvk {
            return self.id_text.cmp(&other.id_text);
        }
        let order = self.gvk_text.cmp(&other.gvk_text);
        let core_namespace = self.gvk.kind == "Namespace"
            && other.gvk.kind == "Namespace"
            && (self.gvk.group.is_empty() || other.gvk.group.is_empty());
        if core_namespace {
            order.reverse()
        } else {
            order
        }
    }
}
