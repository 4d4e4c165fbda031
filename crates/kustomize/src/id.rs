//! What identifies an object while it is built.

use std::fmt;

/// Group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// Version in the group.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// What stands for the namespace of an object that cannot have one.
pub(crate) const NOT_NAMESPACEABLE: &str = "_non_namespaceable_";

impl Gvk {
    /// Splits an `apiVersion` at its first slash.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Gvk {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// True when every part of `selector` that is not empty equals ours.
    pub(crate) fn is_selected(&self, selector: &Gvk) -> bool {
        let fits = |want: &str, have: &str| want.is_empty() || want == have;
        fits(&selector.group, &self.group)
            && fits(&selector.version, &self.version)
            && fits(&selector.kind, &self.kind)
    }

    /// True for the built-in types that have no namespace, as Kubernetes 1.21
    /// had them.
    pub(crate) fn is_cluster_scoped(&self) -> bool {
        const V1_AND_BETA: [&str; 2] = ["v1", "v1beta1"];
        let group = self.group.as_str();
        let version = self.version.as_str();
        let kind = self.kind.as_str();
        match group {
            "" => {
                version == "v1"
                    && matches!(
                        kind,
                        "ComponentStatus"
                            | "Namespace"
                            | "Node"
                            | "NodeProxyOptions"
                            | "PersistentVolume"
                    )
            }
            "policy" => version == "v1beta1" && kind == "PodSecurityPolicy",
            "flowcontrol.apiserver.k8s.io" => {
                version == "v1beta1" && matches!(kind, "FlowSchema" | "PriorityLevelConfiguration")
            }
            _ => {
                V1_AND_BETA.contains(&version)
                    && match group {
                        "admissionregistration.k8s.io" => matches!(
                            kind,
                            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration"
                        ),
                        "apiextensions.k8s.io" => kind == "CustomResourceDefinition",
                        "apiregistration.k8s.io" => kind == "APIService",
                        "certificates.k8s.io" => kind == "CertificateSigningRequest",
                        "networking.k8s.io" => kind == "IngressClass",
                        "node.k8s.io" => kind == "RuntimeClass",
                        "rbac.authorization.k8s.io" => {
                            matches!(kind, "ClusterRole" | "ClusterRoleBinding")
                        }
                        "scheduling.k8s.io" => kind == "PriorityClass",
                        "storage.k8s.io" => matches!(
                            kind,
                            "CSIDriver" | "CSINode" | "StorageClass" | "VolumeAttachment"
                        ),
                        _ => false,
                    }
            }
        }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &str, none: &'static str| {
            if text.is_empty() {
                none.to_owned()
            } else {
                text.to_owned()
            }
        };
        write!(
            f,
            "{}.{}.{}",
            or(&self.kind, "[noKind]"),
            or(&self.version, "[noVer]"),
            or(&self.group, "[noGrp]")
        )
    }
}

/// The full identity of an object. Two ids are equal when the namespaces mean
/// the same, not when they are spelled the same.
#[derive(Debug, Clone, Default)]
pub struct ResId {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Name.
    pub name: String,
    /// Namespace as written; empty when there is none.
    pub namespace: String,
    /// Whether the type has no namespace.
    pub cluster_scoped: bool,
}

impl ResId {
    /// An id of a type whose scope is that of the built-in types.
    pub fn new(gvk: Gvk, name: impl Into<String>, namespace: impl Into<String>) -> Self {
        ResId {
            cluster_scoped: gvk.is_cluster_scoped(),
            gvk,
            name: name.into(),
            namespace: namespace.into(),
        }
    }

    /// The namespace that counts: no namespace is the same as `default`.
    pub fn effective_namespace(&self) -> &str {
        if self.cluster_scoped {
            NOT_NAMESPACEABLE
        } else if self.namespace.is_empty() {
            "default"
        } else {
            &self.namespace
        }
    }

    /// Tells ids apart quickly; equal ids have equal keys.
    pub(crate) fn key(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.gvk, &self.name, self.effective_namespace()).hash(&mut hasher);
        hasher.finish()
    }
}

impl PartialEq for ResId {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.gvk == other.gvk
            && self.effective_namespace() == other.effective_namespace()
    }
}

impl Eq for ResId {}

impl fmt::Display for ResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() {
            "[noName]"
        } else {
            &self.name
        };
        let namespace = if self.namespace.is_empty() {
            "[noNs]"
        } else {
            &self.namespace
        };
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}
