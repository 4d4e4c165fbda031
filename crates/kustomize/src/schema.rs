//! Which lists are merged by key, and which types have no namespace.
//!
//! kustomize carries the schema of Kubernetes 1.21. All that shows of it in a
//! build are the lists that strategic merge treats as sets, and the scope of
//! types; both fit in a table. A file under `openapi.path` takes its place.

use std::collections::HashMap;

use serde_json::Value;

use crate::id::{Gvk, ResId};

/// A type of the built-in schema, as far as merging goes: fields that are not
/// named lead nowhere of interest.
#[derive(Debug)]
pub(crate) struct Type {
    fields: &'static [(&'static str, &'static Type)],
    list: ListKind,
}

/// How a list is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// The patch takes the place of the base.
    Replace,
    /// A set of scalars.
    Set,
    /// Maps that one or two keys tell apart.
    Keyed(&'static [&'static str]),
}

const fn object(fields: &'static [(&'static str, &'static Type)]) -> Type {
    Type {
        fields,
        list: ListKind::Replace,
    }
}

const fn keyed(keys: &'static [&'static str], element: &'static Type) -> Type {
    Type {
        fields: element.fields,
        list: ListKind::Keyed(keys),
    }
}

static PLAIN: Type = object(&[]);
static SET: Type = Type {
    fields: &[],
    list: ListKind::Set,
};
static BY_NAME: Type = keyed(&["name"], &PLAIN);
static BY_TYPE: Type = keyed(&["type"], &PLAIN);
static BY_IP: Type = keyed(&["ip"], &PLAIN);
static BY_UID: Type = keyed(&["uid"], &PLAIN);
static BY_MOUNT_PATH: Type = keyed(&["mountPath"], &PLAIN);
static BY_DEVICE_PATH: Type = keyed(&["devicePath"], &PLAIN);
static CONTAINER_PORTS: Type = keyed(&["containerPort", "protocol"], &PLAIN);
static SERVICE_PORTS: Type = keyed(&["port", "protocol"], &PLAIN);
static SPREAD: Type = keyed(&["topologyKey", "whenUnsatisfiable"], &PLAIN);

static OBJECT_META: Type = object(&[("finalizers", &SET), ("ownerReferences", &BY_UID)]);
static CONDITIONS: Type = object(&[("conditions", &BY_TYPE)]);

static CONTAINER: Type = object(&[
    ("env", &BY_NAME),
    ("ports", &CONTAINER_PORTS),
    ("volumeMounts", &BY_MOUNT_PATH),
    ("volumeDevices", &BY_DEVICE_PATH),
]);
static EPHEMERAL_CONTAINER: Type = object(&[
    ("env", &BY_NAME),
    ("volumeMounts", &BY_MOUNT_PATH),
    ("volumeDevices", &BY_DEVICE_PATH),
]);
static CONTAINERS: Type = keyed(&["name"], &CONTAINER);
static EPHEMERAL_CONTAINERS: Type = keyed(&["name"], &EPHEMERAL_CONTAINER);
static POD_SPEC: Type = object(&[
    ("containers", &CONTAINERS),
    ("initContainers", &CONTAINERS),
    ("ephemeralContainers", &EPHEMERAL_CONTAINERS),
    ("volumes", &BY_NAME),
    ("imagePullSecrets", &BY_NAME),
    ("hostAliases", &BY_IP),
    ("topologySpreadConstraints", &SPREAD),
]);
static POD_STATUS: Type = object(&[("conditions", &BY_TYPE), ("podIPs", &BY_IP)]);
static POD_TEMPLATE_SPEC: Type = object(&[("metadata", &OBJECT_META), ("spec", &POD_SPEC)]);
static WORKLOAD_SPEC: Type = object(&[("template", &POD_TEMPLATE_SPEC)]);
static JOB_TEMPLATE_SPEC: Type = object(&[("metadata", &OBJECT_META), ("spec", &WORKLOAD_SPEC)]);
static CRON_JOB_SPEC: Type = object(&[("jobTemplate", &JOB_TEMPLATE_SPEC)]);

static ANY: Type = object(&[("metadata", &OBJECT_META)]);
static ANY_WITH_CONDITIONS: Type = object(&[("metadata", &OBJECT_META), ("status", &CONDITIONS)]);
static POD: Type = object(&[
    ("metadata", &OBJECT_META),
    ("spec", &POD_SPEC),
    ("status", &POD_STATUS),
]);
static POD_TEMPLATE: Type = object(&[("metadata", &OBJECT_META), ("template", &POD_TEMPLATE_SPEC)]);
static WORKLOAD: Type = object(&[
    ("metadata", &OBJECT_META),
    ("spec", &WORKLOAD_SPEC),
    ("status", &CONDITIONS),
]);
static CRON_JOB: Type = object(&[("metadata", &OBJECT_META), ("spec", &CRON_JOB_SPEC)]);
static SERVICE_SPEC: Type = object(&[("ports", &SERVICE_PORTS)]);
static SERVICE: Type = object(&[
    ("metadata", &OBJECT_META),
    ("spec", &SERVICE_SPEC),
    ("status", &CONDITIONS),
]);
static SERVICE_ACCOUNT: Type = object(&[("metadata", &OBJECT_META), ("secrets", &BY_NAME)]);
static WEBHOOKS: Type = object(&[("metadata", &OBJECT_META), ("webhooks", &BY_NAME)]);
static NODE_SPEC: Type = object(&[("podCIDRs", &SET)]);
static NODE_STATUS: Type = object(&[("conditions", &BY_TYPE), ("addresses", &BY_TYPE)]);
static NODE: Type = object(&[
    ("metadata", &OBJECT_META),
    ("spec", &NODE_SPEC),
    ("status", &NODE_STATUS),
]);
static CSI_NODE_SPEC: Type = object(&[("drivers", &BY_NAME)]);
static CSI_NODE: Type = object(&[("metadata", &OBJECT_META), ("spec", &CSI_NODE_SPEC)]);
static COMPONENT_STATUS: Type = object(&[("metadata", &OBJECT_META), ("conditions", &BY_TYPE)]);
static KUSTOMIZATION: Type = object(&[
    ("configMapGenerator", &BY_NAME),
    ("secretGenerator", &BY_NAME),
]);

/// The built-in type of an object.
fn built_in(api_version: &str, kind: &str) -> Option<&'static Type> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Some(match (group, version, kind) {
        ("", "v1", "Pod") => &POD,
        ("", "v1", "PodTemplate") => &POD_TEMPLATE,
        ("", "v1", "ReplicationController") => &WORKLOAD,
        ("", "v1", "Service") => &SERVICE,
        ("", "v1", "ServiceAccount") => &SERVICE_ACCOUNT,
        ("", "v1", "Node") => &NODE,
        ("", "v1", "ComponentStatus") => &COMPONENT_STATUS,
        ("", "v1", "Namespace" | "PersistentVolumeClaim") => &ANY_WITH_CONDITIONS,
        (
            "",
            "v1",
            "Binding" | "ConfigMap" | "Endpoints" | "Event" | "LimitRange" | "PersistentVolume"
            | "ResourceQuota" | "Secret",
        ) => &ANY,
        ("apps", "v1", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet") => &WORKLOAD,
        ("apps", "v1", "ControllerRevision") => &ANY,
        ("batch", "v1", "Job") => &WORKLOAD,
        ("batch", "v1" | "v1beta1", "CronJob") => &CRON_JOB,
        ("autoscaling", "v1", "HorizontalPodAutoscaler" | "Scale")
        | ("autoscaling", "v2beta1" | "v2beta2", "HorizontalPodAutoscaler")
        | ("networking.k8s.io", "v1", "Ingress" | "IngressClass" | "NetworkPolicy")
        | ("networking.k8s.io", "v1beta1", "Ingress" | "IngressClass")
        | ("extensions", "v1beta1", "Ingress")
        | ("policy", "v1beta1", "PodSecurityPolicy" | "Eviction")
        | (
            "rbac.authorization.k8s.io",
            "v1" | "v1beta1" | "v1alpha1",
            "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding",
        )
        | ("apiextensions.k8s.io", "v1" | "v1beta1", "CustomResourceDefinition")
        | ("certificates.k8s.io", "v1" | "v1beta1", "CertificateSigningRequest")
        | ("coordination.k8s.io", "v1" | "v1beta1", "Lease")
        | ("discovery.k8s.io", "v1" | "v1beta1", "EndpointSlice")
        | ("events.k8s.io", "v1" | "v1beta1", "Event")
        | ("node.k8s.io", "v1" | "v1beta1" | "v1alpha1", "RuntimeClass")
        | ("scheduling.k8s.io", "v1" | "v1beta1" | "v1alpha1", "PriorityClass")
        | ("storage.k8s.io", "v1" | "v1beta1", "CSIDriver" | "StorageClass" | "VolumeAttachment")
        | ("storage.k8s.io", "v1beta1" | "v1alpha1", "CSIStorageCapacity")
        | ("storage.k8s.io", "v1alpha1", "VolumeAttachment")
        | (
            "flowcontrol.apiserver.k8s.io",
            "v1beta1",
            "FlowSchema" | "PriorityLevelConfiguration",
        )
        | ("authentication.k8s.io", "v1" | "v1beta1", "TokenReview")
        | ("authentication.k8s.io", "v1", "TokenRequest")
        | (
            "authorization.k8s.io",
            "v1" | "v1beta1",
            "LocalSubjectAccessReview"
            | "SelfSubjectAccessReview"
            | "SelfSubjectRulesReview"
            | "SubjectAccessReview",
        )
        | ("internal.apiserver.k8s.io", "v1alpha1", "StorageVersion") => &ANY,
        ("policy", "v1" | "v1beta1", "PodDisruptionBudget")
        | ("apiregistration.k8s.io", "v1" | "v1beta1", "APIService") => &ANY_WITH_CONDITIONS,
        (
            "admissionregistration.k8s.io",
            "v1" | "v1beta1",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => &WEBHOOKS,
        ("storage.k8s.io", "v1" | "v1beta1", "CSINode") => &CSI_NODE,
        ("kustomize.config.k8s.io", "v1beta1", "Kustomization") => &KUSTOMIZATION,
        _ => return None,
    })
}

/// Whether a custom schema stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaMode {
    /// A custom schema takes the place of the built-in one, as on the command
    /// line.
    #[default]
    Replace,
    /// A custom schema is added to the built-in one, as in programs that have
    /// loaded that before.
    Union,
}

/// The schema of one build.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    custom: Option<Custom>,
    mode: SchemaMode,
    /// Something has asked for the built-in schema. kustomize loads it then, and
    /// a custom schema that comes later is added to it, whatever the mode.
    asked: std::cell::Cell<bool>,
}

#[derive(Debug)]
struct Custom {
    definitions: serde_json::Map<String, Value>,
    by_kind: HashMap<(String, String), String>,
    /// Scope of types that have paths: true for namespaced.
    scope: HashMap<Gvk, bool>,
}

/// A place in the schema.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At<'s> {
    BuiltIn(&'static Type),
    Custom(&'s Value),
}

/// How a list is merged, with keys of either schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merge {
    Replace,
    Set,
    Keyed(Vec<String>),
}

impl Schema {
    pub(crate) fn new(mode: SchemaMode) -> Self {
        Schema {
            mode,
            ..Schema::default()
        }
    }

    pub(crate) fn has_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// Takes an OpenAPI v2 document.
    ///
    /// # Errors
    /// The document has no definitions.
    pub(crate) fn set_custom(&mut self, document: &Value) -> Result<(), String> {
        let definitions = document
            .get("definitions")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let mut by_kind = HashMap::new();
        for (name, definition) in &definitions {
            for gvk in kinds_of(definition) {
                by_kind.insert((gvk.api_version(), gvk.kind), name.clone());
            }
        }
        let mut scope = HashMap::new();
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            let Some(get) = item.get("get") else { continue };
            for gvk in kinds_of(get) {
                let namespaced = path.contains("namespaces/{namespace}");
                let known = scope.entry(gvk).or_insert(namespaced);
                *known |= namespaced;
            }
        }
        if self.asked.get() {
            self.mode = SchemaMode::Union;
        }
        self.custom = Some(Custom {
            definitions,
            by_kind,
            scope,
        });
        Ok(())
    }

    /// Notes that the scope of a type was asked for, which a table tells for the
    /// types of Kubernetes without the schema.
    pub(crate) fn ask_scope(&self, gvk: &Gvk) {
        if !gvk.is_cluster_scoped() && !is_namespaced(&gvk.api_version(), &gvk.kind) {
            self.asked.set(true);
        }
    }

    /// An id whose scope this schema decides.
    pub(crate) fn id(&self, gvk: Gvk, name: &str, namespace: &str) -> ResId {
        let mut id = ResId::new(gvk, name, namespace);
        if let Some(custom) = &self.custom
            && !id.cluster_scoped
            && custom.scope.get(&id.gvk) == Some(&false)
        {
            id.cluster_scoped = true;
        }
        id
    }

    /// The schema of an object, if its type is known.
    pub(crate) fn of_object(&self, api_version: &str, kind: &str) -> Option<At<'_>> {
        if let Some(custom) = &self.custom {
            let key = (api_version.to_owned(), kind.to_owned());
            if let Some(name) = custom.by_kind.get(&key) {
                return custom.definitions.get(name).map(At::Custom);
            }
            if self.mode == SchemaMode::Replace {
                return None;
            }
        }
        self.asked.set(true);
        built_in(api_version, kind).map(At::BuiltIn)
    }

    fn follow<'s>(&'s self, mut value: &'s Value) -> Option<&'s Value> {
        // References may lead in a circle.
        for _ in 0..64 {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Some(value);
            };
            let name = reference.rsplit('/').next().unwrap_or(reference);
            value = self.custom.as_ref()?.definitions.get(name)?;
        }
        None
    }

    /// The schema of a field.
    pub(crate) fn field<'s>(&'s self, at: At<'s>, name: &str) -> Option<At<'s>> {
        match at {
            At::BuiltIn(kind) => kind
                .fields
                .iter()
                .find(|(field, _)| *field == name)
                .map(|(_, inner)| At::BuiltIn(inner)),
            At::Custom(value) => {
                let value = self.follow(value)?;
                let field = value.get("properties").and_then(|all| all.get(name));
                let field = field.or_else(|| {
                    value
                        .get("additionalProperties")
                        .filter(|schema| schema.is_object())
                })?;
                Some(At::Custom(field))
            }
        }
    }

    /// How a list at this place is merged.
    pub(crate) fn merge(&self, at: At<'_>) -> Merge {
        match at {
            At::BuiltIn(kind) => match kind.list {
                ListKind::Replace => Merge::Replace,
                ListKind::Set => Merge::Set,
                ListKind::Keyed(keys) => {
                    Merge::Keyed(keys.iter().map(|key| (*key).to_owned()).collect())
                }
            },
            At::Custom(value) => {
                let strategy = value
                    .get("x-kubernetes-patch-strategy")
                    .and_then(Value::as_str)
                    .unwrap_or("");
                if !strategy.split(',').any(|part| part == "merge") {
                    return Merge::Replace;
                }
                let keys: Vec<String> = value
                    .get("x-kubernetes-list-map-keys")
                    .and_then(Value::as_array)
                    .map(|keys| {
                        keys.iter()
                            .filter_map(|key| key.as_str().map(str::to_owned))
                            .collect()
                    })
                    .unwrap_or_default();
                if !keys.is_empty() {
                    return Merge::Keyed(keys);
                }
                match value
                    .get("x-kubernetes-patch-merge-key")
                    .and_then(Value::as_str)
                {
                    Some(key) => Merge::Keyed(vec![key.to_owned()]),
                    None => Merge::Set,
                }
            }
        }
    }

    /// The schema of the elements of a list at this place.
    pub(crate) fn element<'s>(&'s self, at: At<'s>) -> Option<At<'s>> {
        match at {
            At::BuiltIn(_) => Some(at),
            At::Custom(value) => self.follow(value)?.get("items").map(At::Custom),
        }
    }
}

/// The namespaced types of Kubernetes 1.21.
fn is_namespaced(api_version: &str, kind: &str) -> bool {
    let kinds: &[&str] = match api_version {
        "v1" => &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
        "apps/v1" => &[
            "ControllerRevision",
            "DaemonSet",
            "Deployment",
            "ReplicaSet",
            "StatefulSet",
        ],
        "batch/v1" => &["CronJob", "Job"],
        "batch/v1beta1" => &["CronJob"],
        "autoscaling/v1" | "autoscaling/v2beta1" | "autoscaling/v2beta2" => {
            &["HorizontalPodAutoscaler"]
        }
        "networking.k8s.io/v1" => &["Ingress", "NetworkPolicy"],
        "networking.k8s.io/v1beta1" | "extensions/v1beta1" => &["Ingress"],
        "policy/v1" | "policy/v1beta1" => &["PodDisruptionBudget"],
        "rbac.authorization.k8s.io/v1" | "rbac.authorization.k8s.io/v1beta1" => {
            &["Role", "RoleBinding"]
        }
        "coordination.k8s.io/v1" | "coordination.k8s.io/v1beta1" => &["Lease"],
        "discovery.k8s.io/v1" | "discovery.k8s.io/v1beta1" => &["EndpointSlice"],
        "events.k8s.io/v1" | "events.k8s.io/v1beta1" => &["Event"],
        "storage.k8s.io/v1beta1" => &["CSIStorageCapacity"],
        "authorization.k8s.io/v1" | "authorization.k8s.io/v1beta1" => &["LocalSubjectAccessReview"],
        _ => &[],
    };
    kinds.contains(&kind)
}

fn kinds_of(definition: &Value) -> Vec<Gvk> {
    let extension = definition.get("x-kubernetes-group-version-kind");
    let one = |value: &Value| {
        let text = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        Gvk {
            group: text("group"),
            version: text("version"),
            kind: text("kind"),
        }
    };
    match extension {
        Some(Value::Array(all)) => all.iter().map(one).collect(),
        Some(value @ Value::Object(_)) => vec![one(value)],
        _ => Vec::new(),
    }
}
