//! Which fields transformations touch: the built-in tables and what
//! `configurations` and `crds` add to them.

use std::sync::OnceLock;

use serde_json::Value;
use sluice_yaml::{Dialect, Limits};

use crate::fieldspec::{FieldSpec, merge_all, merge_one};
use crate::gojson::{self, Scalars, Unknown, go_struct};
use crate::id::Gvk;
use crate::kustomization;
use crate::sort;

/// The fields of every transformation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub name_prefix: Vec<FieldSpec>,
    pub name_suffix: Vec<FieldSpec>,
    pub namespace: Vec<FieldSpec>,
    pub common_labels: Vec<FieldSpec>,
    pub labels: Vec<FieldSpec>,
    pub template_labels: Vec<FieldSpec>,
    pub common_annotations: Vec<FieldSpec>,
    pub name_reference: Vec<NameReference>,
    pub var_reference: Vec<FieldSpec>,
    pub images: Vec<FieldSpec>,
    pub replicas: Vec<FieldSpec>,
}

/// Fields that hold names of a kind of object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameReference {
    /// The kind that is referred to.
    pub referent: Gvk,
    /// The fields that refer.
    pub fields: Vec<FieldSpec>,
}

/// `[group/[version]/]kind path`, with `!` in front for create. A lone kind
/// has neither group nor version; `_` stands for any kind.
fn spec(text: &str) -> FieldSpec {
    let (create, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (gvk, path) = text.split_once(' ').unwrap_or(("_", text));
    FieldSpec {
        gvk: gvk_of(gvk),
        path: path.to_owned(),
        create,
    }
}

fn gvk_of(text: &str) -> Gvk {
    let parts: Vec<&str> = text.split('|').collect();
    let (group, version, kind) = match parts.as_slice() {
        [group, version, kind] => (*group, *version, *kind),
        [kind] => ("", "", *kind),
        _ => ("", "", "_"),
    };
    Gvk {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: if kind == "_" { "" } else { kind }.to_owned(),
    }
}

fn specs(texts: &[&str]) -> Vec<FieldSpec> {
    texts.iter().copied().map(spec).collect()
}

const ANNOTATIONS: &[&str] = &[
    "!_ metadata/annotations",
    "!|v1|ReplicationController spec/template/metadata/annotations",
    "!Deployment spec/template/metadata/annotations",
    "!ReplicaSet spec/template/metadata/annotations",
    "!DaemonSet spec/template/metadata/annotations",
    "!StatefulSet spec/template/metadata/annotations",
    "!batch||Job spec/template/metadata/annotations",
    "!batch||CronJob spec/jobTemplate/metadata/annotations",
    "!batch||CronJob spec/jobTemplate/spec/template/metadata/annotations",
];

const METADATA_LABELS: &[&str] = &[
    "!_ metadata/labels",
    "!|v1|ReplicationController spec/template/metadata/labels",
    "!Deployment spec/template/metadata/labels",
    "!ReplicaSet spec/template/metadata/labels",
    "!DaemonSet spec/template/metadata/labels",
    "!apps||StatefulSet spec/template/metadata/labels",
    "!apps||StatefulSet spec/volumeClaimTemplates[]/metadata/labels",
    "!batch||Job spec/template/metadata/labels",
    "!batch||CronJob spec/jobTemplate/metadata/labels",
    "!batch||CronJob spec/jobTemplate/spec/template/metadata/labels",
];

const SELECTOR_LABELS: &[&str] = &[
    "!|v1|Service spec/selector",
    "!|v1|ReplicationController spec/selector",
    "!Deployment spec/selector/matchLabels",
    "!ReplicaSet spec/selector/matchLabels",
    "!DaemonSet spec/selector/matchLabels",
    "!apps||StatefulSet spec/selector/matchLabels",
    "batch||Job spec/selector/matchLabels",
    "batch||CronJob spec/jobTemplate/spec/selector/matchLabels",
    "policy||PodDisruptionBudget spec/selector/matchLabels",
    "networking.k8s.io||NetworkPolicy spec/podSelector/matchLabels",
    "networking.k8s.io||NetworkPolicy spec/ingress/from/podSelector/matchLabels",
    "networking.k8s.io||NetworkPolicy spec/egress/to/podSelector/matchLabels",
];

/// Below the pod template of Deployments and StatefulSets in `apps`.
const AFFINITY_LABELS: &[&str] = &[
    "affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "topologySpreadConstraints/labelSelector/matchLabels",
];

const NAMESPACE: &[&str] = &[
    "!Namespace metadata/name",
    "!apiregistration.k8s.io||APIService spec/service/namespace",
    "apiextensions.k8s.io||CustomResourceDefinition spec/conversion/webhook/clientConfig/service/namespace",
];

const IMAGES: &[&str] = &[
    "_ spec/containers[]/image",
    "_ spec/initContainers[]/image",
    "_ spec/volumes[]/image/reference",
    "_ spec/template/spec/containers[]/image",
    "_ spec/template/spec/initContainers[]/image",
    "_ spec/template/spec/volumes[]/image/reference",
];

const REPLICAS: &[&str] = &[
    "!Deployment spec/replicas",
    "!StatefulSet spec/replicas",
    "!ReplicaSet spec/replicas",
    "!ReplicationController spec/replicas",
];

/// Where the pod spec of a kind is.
const POD_SPECS: &[(&str, &str)] = &[
    ("|v1|Pod", "spec"),
    ("PodTemplate", "template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// The same for references to other objects than ConfigMaps and Secrets.
const POD_OWNERS: &[(&str, &str)] = &[
    ("Pod", "spec"),
    ("StatefulSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("ReplicationController", "spec/template/spec"),
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
];

const CONFIG_MAP_IN_POD: &[&str] = &[
    "volumes/configMap/name",
    "containers/env/valueFrom/configMapKeyRef/name",
    "initContainers/env/valueFrom/configMapKeyRef/name",
    "containers/envFrom/configMapRef/name",
    "initContainers/envFrom/configMapRef/name",
    "volumes/projected/sources/configMap/name",
];

const SECRET_IN_POD: &[&str] = &[
    "volumes/secret/secretName",
    "containers/env/valueFrom/secretKeyRef/name",
    "initContainers/env/valueFrom/secretKeyRef/name",
    "containers/envFrom/secretRef/name",
    "initContainers/envFrom/secretRef/name",
    "imagePullSecrets/name",
    "volumes/projected/sources/secret/name",
];

/// Referent, the paths in pod specs, and the paths elsewhere.
type Reference = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const HPA: &[&str] = &["HorizontalPodAutoscaler spec/scaleTargetRef/name"];

const REFERENCES: &[Reference] = &[
    ("Deployment", &[], HPA),
    ("ReplicationController", &[], HPA),
    ("ReplicaSet", &[], HPA),
    ("StatefulSet", &[], HPA),
    (
        "|v1|ConfigMap",
        CONFIG_MAP_IN_POD,
        &[
            "Node spec/configSource/configMap",
            "Role rules/resourceNames",
            "ClusterRole rules/resourceNames",
            "Ingress metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap",
        ],
    ),
    (
        "|v1|Secret",
        SECRET_IN_POD,
        &[
            "Ingress spec/tls/secretName",
            "Ingress metadata/annotations/ingress.kubernetes.io\\/auth-secret",
            "Ingress metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret",
            "Ingress metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret",
            "ServiceAccount imagePullSecrets/name",
            "StorageClass parameters/secretName",
            "StorageClass parameters/adminSecretName",
            "StorageClass parameters/userSecretName",
            "StorageClass parameters/secretRef",
            "Role rules/resourceNames",
            "ClusterRole rules/resourceNames",
            "serving.knative.dev|v1|Service spec/template/spec/containers/env/valueFrom/secretKeyRef/name",
            "PersistentVolume spec/azureFile/secretName",
        ],
    ),
    (
        "|v1|Service",
        &[],
        &[
            "apps||StatefulSet spec/serviceName",
            "Ingress spec/rules/http/paths/backend/serviceName",
            "Ingress spec/backend/serviceName",
            "Ingress spec/rules/http/paths/backend/service/name",
            "Ingress spec/defaultBackend/service/name",
            "apiregistration.k8s.io||APIService spec/service/name",
            "admissionregistration.k8s.io||ValidatingWebhookConfiguration webhooks/clientConfig/service",
            "admissionregistration.k8s.io||MutatingWebhookConfiguration webhooks/clientConfig/service",
        ],
    ),
    (
        "rbac.authorization.k8s.io||Role",
        &[],
        &["rbac.authorization.k8s.io||RoleBinding roleRef/name"],
    ),
    (
        "rbac.authorization.k8s.io||ClusterRole",
        &[],
        &[
            "rbac.authorization.k8s.io||RoleBinding roleRef/name",
            "rbac.authorization.k8s.io||ClusterRoleBinding roleRef/name",
        ],
    ),
    (
        "|v1|ServiceAccount",
        &["serviceAccountName"],
        &[
            "rbac.authorization.k8s.io||RoleBinding subjects",
            "rbac.authorization.k8s.io||ClusterRoleBinding subjects",
        ],
    ),
    (
        "|v1|PersistentVolumeClaim",
        &["volumes/persistentVolumeClaim/claimName"],
        &[],
    ),
    (
        "|v1|PersistentVolume",
        &[],
        &[
            "PersistentVolumeClaim spec/volumeName",
            "ClusterRole rules/resourceNames",
        ],
    ),
    (
        "storage.k8s.io|v1|StorageClass",
        &[],
        &[
            "PersistentVolume spec/storageClassName",
            "PersistentVolumeClaim spec/storageClassName",
            "StatefulSet spec/volumeClaimTemplates/spec/storageClassName",
        ],
    ),
    (
        "scheduling.k8s.io|v1|PriorityClass",
        &["priorityClassName"],
        &[],
    ),
    // The group of this one is spelled so that it never matches.
    (
        "networking.k8s.io/v1|v1|IngressClass",
        &[],
        &["Ingress spec/ingressClassName"],
    ),
    (
        "admissionregistration.k8s.io||ValidatingAdmissionPolicy",
        &[],
        &["admissionregistration.k8s.io||ValidatingAdmissionPolicyBinding spec/policyName"],
    ),
];

fn name_references() -> Vec<NameReference> {
    let mut out: Vec<NameReference> = REFERENCES
        .iter()
        .map(|(referent, in_pod, elsewhere)| {
            let referent = gvk_of(referent);
            let owners = match referent.kind.as_str() {
                "ConfigMap" | "Secret" => POD_SPECS,
                _ => POD_OWNERS,
            };
            let mut fields = Vec::new();
            if !in_pod.is_empty() {
                for (kind, pod) in owners {
                    for path in *in_pod {
                        fields.push(spec(&format!("{kind} {pod}/{path}")));
                    }
                }
            }
            fields.extend(specs(elsewhere));
            NameReference { referent, fields }
        })
        .collect();
    sort_references(&mut out);
    out
}

fn sort_references(list: &mut [NameReference]) {
    list.sort_by(|a, b| sort::compare_gvk(&a.referent, &b.referent));
}

fn var_references() -> Vec<FieldSpec> {
    const CONTAINER: &[&str] = &["args", "command", "env/value", "volumeMounts/mountPath"];
    let mut out = Vec::new();
    let pods = [
        ("CronJob", "spec/jobTemplate/spec/template/spec"),
        ("DaemonSet", "spec/template/spec"),
        ("Deployment", "spec/template/spec"),
        ("Job", "spec/template/spec"),
        ("ReplicaSet", "spec/template/spec"),
        ("StatefulSet", "spec/template/spec"),
        ("Pod", "spec"),
    ];
    for (kind, pod) in pods {
        for containers in ["containers", "initContainers"] {
            for field in CONTAINER {
                out.push(spec(&format!("{kind} {pod}/{containers}/{field}")));
            }
        }
        if !matches!(kind, "CronJob" | "StatefulSet") {
            out.push(spec(&format!("{kind} {pod}/volumes/nfs/server")));
        }
    }
    out.extend(specs(&[
        "CronJob spec/jobTemplate/spec/template/volumes/nfs/server",
        "StatefulSet spec/volumeClaimTemplates/spec/nfs/server",
        "Deployment spec/template/metadata/annotations",
        "Ingress spec/rules/host",
        "Ingress spec/tls/hosts",
        "Ingress spec/tls/secretName",
        "Service spec/ports/port",
        "Service spec/ports/targetPort",
        "PersistentVolume spec/nfs/server",
        "_ metadata/labels",
        "_ metadata/annotations",
    ]));
    out
}

impl Config {
    /// The built-in tables.
    pub(crate) fn defaults() -> &'static Config {
        static DEFAULTS: OnceLock<Config> = OnceLock::new();
        DEFAULTS.get_or_init(|| {
            let template_labels = specs(METADATA_LABELS);
            let mut common_labels = template_labels.clone();
            common_labels.extend(specs(SELECTOR_LABELS));
            for kind in ["Deployment", "StatefulSet"] {
                for path in AFFINITY_LABELS {
                    common_labels.push(spec(&format!("apps||{kind} spec/template/spec/{path}")));
                }
            }
            Config {
                name_prefix: specs(&["_ metadata/name"]),
                name_suffix: specs(&["_ metadata/name"]),
                namespace: specs(NAMESPACE),
                common_labels,
                labels: Vec::new(),
                template_labels,
                common_annotations: specs(ANNOTATIONS),
                name_reference: name_references(),
                var_reference: var_references(),
                images: specs(IMAGES),
                replicas: specs(REPLICAS),
            }
        })
    }

    /// Adds another configuration.
    ///
    /// # Errors
    /// A field that both have with different `create`.
    pub(crate) fn merge(&mut self, other: &Config) -> Result<(), String> {
        let add = |list: &mut Vec<FieldSpec>, specs: &[FieldSpec], name: &str| {
            merge_all(list, specs)
                .map_err(|error| format!("failed to merge {name} fieldSpec: {error}"))?;
            if !specs.is_empty() {
                list.sort_by(|a, b| sort::compare_gvk(&a.gvk, &b.gvk));
            }
            Ok::<(), String>(())
        };
        add(&mut self.name_prefix, &other.name_prefix, "NamePrefix")?;
        add(&mut self.name_suffix, &other.name_suffix, "NameSuffix")?;
        add(&mut self.namespace, &other.namespace, "NameSpace")?;
        add(
            &mut self.common_annotations,
            &other.common_annotations,
            "CommonAnnotations",
        )?;
        add(
            &mut self.common_labels,
            &other.common_labels,
            "CommonLabels",
        )?;
        add(&mut self.labels, &other.labels, "Labels")?;
        add(
            &mut self.template_labels,
            &other.template_labels,
            "TemplateLabels",
        )?;
        add(
            &mut self.var_reference,
            &other.var_reference,
            "VarReference",
        )?;
        for reference in &other.name_reference {
            self.add_reference(reference)
                .map_err(|error| format!("failed to merge NameReference fieldSpec: {error}"))?;
        }
        add(&mut self.images, &other.images, "Images")?;
        add(&mut self.replicas, &other.replicas, "Replicas")?;
        sort_references(&mut self.name_reference);
        Ok(())
    }

    fn add_reference(&mut self, reference: &NameReference) -> Result<(), String> {
        let known = self
            .name_reference
            .iter_mut()
            .find(|known| known.referent == reference.referent);
        match known {
            Some(known) => merge_all(&mut known.fields, &reference.fields),
            None => {
                self.name_reference.push(reference.clone());
                Ok(())
            }
        }
    }

    /// Reads a file of `configurations`.
    ///
    /// # Errors
    /// Broken YAML, unknown fields, repeated keys, wrong types.
    pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Config, String> {
        let value = sluice_yaml::from_str_with(text, Dialect::SigsStrict, limits)
            .map_err(|error| format!("error converting YAML to JSON: {error}"))?;
        let file: ConfigFile = gojson::decode(&value, Unknown::Refuse, Scalars::AsText)
            .map_err(|error| format!("error unmarshaling JSON: while decoding JSON: {error}"))?;
        let own = |list: &[kustomization::FieldSpec]| -> Vec<FieldSpec> {
            list.iter().map(FieldSpec::from).collect()
        };
        Ok(Config {
            name_prefix: own(&file.name_prefix),
            name_suffix: own(&file.name_suffix),
            namespace: own(&file.namespace),
            common_labels: own(&file.common_labels),
            labels: own(&file.labels),
            template_labels: own(&file.template_labels),
            common_annotations: own(&file.common_annotations),
            name_reference: file
                .name_reference
                .iter()
                .map(|reference| NameReference {
                    referent: Gvk {
                        group: reference.group.clone(),
                        version: reference.version.clone(),
                        kind: reference.kind.clone(),
                    },
                    fields: own(&reference.field_specs),
                })
                .collect(),
            var_reference: own(&file.var_reference),
            images: own(&file.images),
            replicas: own(&file.replicas),
        })
    }

    /// Adds what the schema file of a custom type says of its fields.
    ///
    /// # Errors
    /// A conflict with a field that is known already.
    pub(crate) fn add_crd_schema(&mut self, definitions: &Value) -> Result<(), String> {
        let mut found = Config::default();
        crate::crds::collect(definitions, &mut found)?;
        self.merge(&found)
    }
}

impl Config {
    pub(crate) fn add_name_reference(
        &mut self,
        referent: Gvk,
        field: FieldSpec,
    ) -> Result<(), String> {
        self.add_reference(&NameReference {
            referent,
            fields: vec![field],
        })
    }

    pub(crate) fn add_to(list: &mut Vec<FieldSpec>, field: &FieldSpec) -> Result<(), String> {
        merge_one(list, field)
    }
}

go_struct! {
    /// A file of `configurations`.
    pub struct ConfigFile("TransformerConfig") {
        /// Fields that get prefixes.
        name_prefix: Vec<kustomization::FieldSpec> = "namePrefix",
        /// Fields that get suffixes.
        name_suffix: Vec<kustomization::FieldSpec> = "nameSuffix",
        /// Fields that hold the namespace.
        namespace: Vec<kustomization::FieldSpec> = "namespace",
        /// Fields of `commonLabels`.
        common_labels: Vec<kustomization::FieldSpec> = "commonLabels",
        /// Fields of `labels`.
        labels: Vec<kustomization::FieldSpec> = "labels",
        /// Fields of `labels` with `includeTemplates`.
        template_labels: Vec<kustomization::FieldSpec> = "templateLabels",
        /// Fields of `commonAnnotations`.
        common_annotations: Vec<kustomization::FieldSpec> = "commonAnnotations",
        /// Fields that hold names.
        name_reference: Vec<ReferenceFile> = "nameReference",
        /// Fields in which variables are replaced.
        var_reference: Vec<kustomization::FieldSpec> = "varReference",
        /// Fields that hold images.
        images: Vec<kustomization::FieldSpec> = "images",
        /// Fields that hold replica counts.
        replicas: Vec<kustomization::FieldSpec> = "replicas",
    }
}

go_struct! {
    /// Fields that hold names of a kind of object.
    pub struct ReferenceFile("NameBackReferences") {
        /// API group of the kind.
        group: String = "Gvk.group",
        /// Version of the kind.
        version: String = "Gvk.version",
        /// The kind.
        kind: String = "Gvk.kind",
        /// The fields.
        field_specs: Vec<kustomization::FieldSpec> = "fieldSpecs",
    }
}
