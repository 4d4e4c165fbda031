//! What the server's own code does for built-in kinds, and OpenAPI does not say: defaults, validation, what an
//! update may change, which fields a write resets.
//!
//! `rules` is the table: one entry a kind, whose functions lie in one file a group.

mod admission;
mod admissionregistration;
mod apps;
mod autoscaling;
mod batch;
mod certificates;
mod configuration;
mod container;
mod convert;
mod coordination;
mod crd;
mod defaults;
mod discovery;
mod environment;
mod event;
mod limits;
pub(crate) mod meta;
mod namespace;
mod networking;
mod placement;
pub(crate) mod pod;
mod pod_update;
mod policy;
mod rbac;
mod scheduling;
mod service;
mod storage;
pub(crate) mod tools;
mod volume;
mod warnings;

use std::sync::OnceLock;

use serde_json::Value;

use crate::failure::{Failure, FieldError};
use crate::fields::Set;
use crate::gvk::{GroupVersionKind, split_api_version};
use crate::managed::Kind;
use crate::read::{self, Body, FieldValidation, Read};
use crate::schema::{Schema, TypeId};
use crate::tables;
use crate::tables::discovery as listed;

pub use admission::{
    default_tolerations, object_protection_finalizer, priority_defaults, taint_new_node,
};
pub use meta::NameRule;
use tools::{Errors, copy_path, same, text};

/// What the generation of an object counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// It has none.
    None,
    /// It starts at one and never grows.
    Constant,
    /// Changes of the spec.
    Spec,
    /// Changes of the spec; a new object has none.
    SpecLater,
    /// Changes of the spec and of annotations.
    SpecAndAnnotations,
    /// Changes of this field.
    Field(&'static str),
    /// Changes of anything but metadata, and of labels.
    BodyAndLabels,
}

/// The rules of a kind.
struct Rules {
    name: NameRule,
    generation: Generation,
    /// Whether PUT creates an object that does not exist.
    create_on_update: bool,
    /// Whether PUT without a resource version is accepted.
    unconditional_update: bool,
    defaults: fn(&mut Value),
    prepare_create: fn(&mut Value),
    prepare_update: fn(&mut Value, &Value),
    validate: fn(&Value, &mut Errors),
    validate_update: fn(&Value, &Value, &mut Errors),
    validate_status: fn(&Value, &Value, &mut Errors),
    warn: fn(&Value, Option<&Value>) -> Vec<String>,
}

impl Rules {
    const COMMON: Rules = Rules {
        name: NameRule::Subdomain,
        generation: Generation::None,
        create_on_update: false,
        unconditional_update: true,
        defaults: |_| {},
        prepare_create: |_| {},
        prepare_update: |_, _| {},
        validate: |_, _| {},
        validate_update: |new, old, errors| meta::validate_update(new, old, errors),
        validate_status: |new, old, errors| meta::validate_update(new, old, errors),
        warn: |_, _| Vec::new(),
    };
}

/// The rules of a kind; common ones for kinds without code of their own.
fn rules(group: &str, kind: &str) -> Rules {
    match (group, kind) {
        ("", "Pod") => pod_update::POD,
        ("", "PodTemplate") => pod_update::POD_TEMPLATE,
        ("", "ReplicationController") => apps::REPLICATION_CONTROLLER,
        ("", "Service") => service::SERVICE,
        ("", "Endpoints") => discovery::ENDPOINTS,
        ("", "ConfigMap") => configuration::CONFIG_MAP,
        ("", "Secret") => configuration::SECRET,
        ("", "ServiceAccount") => configuration::SERVICE_ACCOUNT,
        ("", "Namespace") => namespace::NAMESPACE,
        ("", "Node") => namespace::NODE,
        ("", "PersistentVolume") => volume::PERSISTENT_VOLUME,
        ("", "PersistentVolumeClaim") => volume::PERSISTENT_VOLUME_CLAIM,
        ("", "ResourceQuota") => limits::RESOURCE_QUOTA,
        ("", "LimitRange") => limits::LIMIT_RANGE,
        ("", "Event") => event::EVENT,
        ("events.k8s.io", "Event") => event::NEW_EVENT,
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            certificates::CERTIFICATE_SIGNING_REQUEST
        }
        ("apps", "Deployment") => apps::DEPLOYMENT,
        ("apps", "StatefulSet") => apps::STATEFUL_SET,
        ("apps", "DaemonSet") => apps::DAEMON_SET,
        ("apps", "ReplicaSet") => apps::REPLICA_SET,
        ("apps", "ControllerRevision") => apps::CONTROLLER_REVISION,
        ("batch", "Job") => batch::JOB,
        ("batch", "CronJob") => batch::CRON_JOB,
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::HORIZONTAL_POD_AUTOSCALER,
        ("networking.k8s.io", "Ingress") => networking::INGRESS,
        ("networking.k8s.io", "IngressClass") => networking::INGRESS_CLASS,
        ("networking.k8s.io", "NetworkPolicy") => networking::NETWORK_POLICY,
        ("policy", "PodDisruptionBudget") => policy::POD_DISRUPTION_BUDGET,
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => rbac::role(kind),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => rbac::binding(kind),
        ("storage.k8s.io", "StorageClass") => storage::STORAGE_CLASS,
        ("storage.k8s.io", "CSIDriver") => storage::CSI_DRIVER,
        ("storage.k8s.io", _) => storage::OTHER,
        ("scheduling.k8s.io", "PriorityClass") => scheduling::PRIORITY_CLASS,
        ("node.k8s.io", "RuntimeClass") => scheduling::RUNTIME_CLASS,
        ("discovery.k8s.io", "EndpointSlice") => discovery::ENDPOINT_SLICE,
        ("coordination.k8s.io", "Lease") => coordination::LEASE,
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => admissionregistration::WEBHOOKS,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            admissionregistration::VALIDATING_POLICY
        }
        ("admissionregistration.k8s.io", _) => admissionregistration::POLICY,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::CUSTOM_RESOURCE_DEFINITION,
        ("apiregistration.k8s.io", "APIService") => crd::API_SERVICE,
        ("flowcontrol.apiserver.k8s.io", _) => Rules {
            generation: Generation::Spec,
            name: NameRule::Subdomain,
            ..Rules::COMMON
        },
        ("resource.k8s.io", "ResourceSlice" | "DeviceClass") => Rules {
            generation: Generation::Spec,
            ..Rules::COMMON
        },
        _ => Rules::COMMON,
    }
}

/// A built-in kind in one version.
pub struct BuiltIn {
    gvk: GroupVersionKind,
    api_version: String,
    resource: &'static listed::Resource,
    id: TypeId,
    rules: Rules,
    /// Fields that writes of a subresource reset; the first is that of the object itself.
    resets: Vec<(&'static str, Vec<&'static [&'static str]>, Set<'static>)>,
    nothing: Set<'static>,
}

/// The built-in kind of that group, version and kind.
pub fn find(group: &str, version: &str, kind: &str) -> Option<&'static BuiltIn> {
    static KINDS: OnceLock<Vec<BuiltIn>> = OnceLock::new();
    let key = |known: &BuiltIn| {
        let gvk = &known.gvk;
        (gvk.group.as_str(), gvk.version.as_str(), gvk.kind.as_str()).cmp(&(group, version, kind))
    };
    let kinds = KINDS.get_or_init(|| {
        let mut kinds: Vec<BuiltIn> = Vec::new();
        for group in listed::groups() {
            for version in &group.versions {
                let known = version.resources.iter();
                kinds.extend(
                    known.filter_map(|resource| BuiltIn::new(&group.name, &version.name, resource)),
                );
            }
        }
        kinds.sort_by(|a, b| a.gvk.cmp(&b.gvk));
        kinds
    });
    kinds.binary_search_by(key).ok().map(|at| &kinds[at])
}

/// What writes to an object and its subresources leave alone.
fn reset_paths(
    group: &str,
    kind: &str,
    resource: &listed::Resource,
) -> Vec<(&'static str, Vec<&'static [&'static str]>)> {
    let status: Vec<&'static [&'static str]> = vec![&["status"]];
    let spec: Vec<&'static [&'static str]> = vec![&["spec"]];
    let with_metadata: Vec<&'static [&'static str]> = vec![&["metadata"], &["spec"]];
    match (group, kind) {
        ("", "Pod") => vec![
            ("", status.clone()),
            (
                "status",
                vec![
                    &["spec"],
                    &["metadata", "deletionTimestamp"],
                    &["metadata", "ownerReferences"],
                ],
            ),
            ("ephemeralcontainers", status.clone()),
            ("resize", status),
        ],
        ("apps", "Deployment") => vec![
            ("", status),
            ("status", vec![&["spec"], &["metadata", "labels"]]),
        ],
        ("certificates.k8s.io", "CertificateSigningRequest") => vec![
            ("", vec![&["spec"], &["status"]]),
            ("status", vec![&["spec"], &["status", "conditions"]]),
            ("approval", vec![&["spec"], &["status", "certificate"]]),
        ],
        ("apiextensions.k8s.io" | "apiregistration.k8s.io", _) => {
            vec![("", status), ("status", vec![&["metadata"], &["spec"]])]
        }
        ("flowcontrol.apiserver.k8s.io" | "resource.k8s.io", _)
        | ("networking.k8s.io", "ServiceCIDR")
        | ("storage.k8s.io", "VolumeAttachment") => vec![("", status), ("status", with_metadata)],
        _ if resource.subresource("status").is_some() => vec![("", status), ("status", spec)],
        _ => Vec::new(),
    }
}

impl BuiltIn {
    fn new(group: &str, version: &str, resource: &'static listed::Resource) -> Option<Self> {
        let gvk = GroupVersionKind::new(group, version, &resource.kind);
        let id = tables::builtin().kind(group, version, &resource.kind)?;
        let resets = reset_paths(group, &resource.kind, resource);
        let resets = resets.into_iter().map(|(name, paths)| {
            let set = Set::of_names(&paths);
            (name, paths, set)
        });
        Some(BuiltIn {
            api_version: gvk.api_version(),
            rules: rules(group, &resource.kind),
            resets: resets.collect(),
            nothing: Set::new(),
            gvk,
            resource,
            id,
        })
    }

    fn reset_paths(&self, subresource: &str) -> &[&'static [&'static str]] {
        self.resets
            .iter()
            .find(|(name, ..)| *name == subresource)
            .map(|(_, paths, _)| paths.as_slice())
            .unwrap_or_default()
    }

    /// The group, version and kind.
    pub fn gvk(&self) -> &GroupVersionKind {
        &self.gvk
    }

    /// The resource as discovery describes it.
    pub fn resource(&self) -> &'static listed::Resource {
        self.resource
    }

    /// Whether PUT creates an object that does not exist.
    pub fn creates_on_update(&self) -> bool {
        self.rules.create_on_update
    }

    /// Whether PUT needs no resource version.
    pub fn updates_unconditionally(&self) -> bool {
        self.rules.unconditional_update
    }

    /// Reads a body: in normal form, with defaults.
    ///
    /// # Errors
    /// As [`read::read`].
    pub fn read(&self, body: Body<'_>, validation: FieldValidation) -> Result<Read, Failure> {
        let mut read = read::read(body, &self.gvk, validation)?;
        self.default(&mut read.object);
        Ok(read)
    }

    /// Fills the defaults of an object in normal form.
    pub fn default(&self, object: &mut Value) {
        (self.rules.defaults)(object);
        defaults::fill_types(tables::builtin(), self.id, &self.gvk.group, object);
    }

    /// Brings an object into normal form with defaults; unknown fields are dropped.
    ///
    /// # Errors
    /// The text of what cannot be read.
    pub fn normalize(&self, object: Value) -> Result<read::Decoded, String> {
        let mut decoded = read::decode(
            tables::builtin(),
            self.id,
            read::Parsed::from_value(object),
            None,
            read::Wording::Document,
        )?;
        self.default(&mut decoded.object);
        Ok(decoded)
    }

    /// What the kind makes of a new object before it is validated: its status starts blank, its generation at one.
    ///
    /// Metadata is the server's to fill in.
    pub fn prepare_create(&self, object: &mut Value) {
        if self.reset_paths("").iter().any(|path| **path == ["status"]) {
            self.blank(object, "status");
        }
        if !matches!(
            self.rules.generation,
            Generation::None | Generation::SpecLater
        ) {
            object["metadata"]["generation"] = 1.into();
        }
        (self.rules.prepare_create)(object);
    }

    /// Replaces a top-level field by what an object without it has there.
    fn blank(&self, object: &mut Value, name: &str) {
        let schema = tables::builtin();
        let field = schema
            .node(self.id)
            .map
            .as_ref()
            .and_then(|map| map.field(name));
        if let (Some(field), Some(object)) = (field, object.as_object_mut()) {
            match read::zero(schema, field.ty) {
                Value::Null => object.remove(name),
                value => object.insert(name.to_owned(), value),
            };
        }
    }

    /// What the kind makes of a change before it is validated: what the write may not change is taken from the old
    /// object, and the generation grows.
    pub fn prepare_update(&self, object: &mut Value, old: &Value, subresource: &str) {
        // A binding assigns the node, which no update of the pod itself may do.
        if subresource == "binding" {
            return;
        }
        let before = object["metadata"].get("managedFields").cloned();
        for path in self.reset_paths(subresource) {
            copy_path(old, object, path);
        }
        if let (Some(managed), Some(metadata)) = (before, object["metadata"].as_object_mut()) {
            metadata.insert("managedFields".into(), managed);
        }
        if subresource == "status" {
            return;
        }
        (self.rules.prepare_update)(object, old);
        let changed = |name: &str| !same(&object[name], &old[name]);
        let meta_changed = |name: &str| !same(&object["metadata"][name], &old["metadata"][name]);
        let grows = match self.rules.generation {
            Generation::None | Generation::Constant => false,
            Generation::Spec | Generation::SpecLater => changed("spec"),
            Generation::SpecAndAnnotations => changed("spec") || meta_changed("annotations"),
            Generation::Field(name) => changed(name),
            Generation::BodyAndLabels => {
                let fields = object
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str());
                let old_fields = old
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str());
                let body = |key: &&str| !matches!(*key, "metadata" | "apiVersion" | "kind");
                fields.chain(old_fields).filter(body).any(changed) || meta_changed("labels")
            }
        };
        if grows {
            let generation = tools::int(&old["metadata"]["generation"]);
            object["metadata"]["generation"] = (generation + 1).into();
        }
    }

    /// What is wrong with a new object.
    pub fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        meta::validate(
            object,
            self.resource.namespaced,
            self.rules.name,
            &mut errors,
        );
        (self.rules.validate)(object, &mut errors);
        errors
    }

    /// What is wrong with a change.
    pub fn validate_update(&self, new: &Value, old: &Value, subresource: &str) -> Vec<FieldError> {
        if subresource == "binding" {
            return Vec::new();
        }
        let mut errors = Errors::new();
        meta::validate(
            new,
            self.resource.namespaced,
            NameRule::PathSegment,
            &mut errors,
        );
        meta::validate_update(new, old, &mut errors);
        match subresource {
            "status" => (self.rules.validate_status)(new, old, &mut errors),
            _ => (self.rules.validate_update)(new, old, &mut errors),
        }
        errors
    }

    /// What the server warns of after a write.
    pub fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        (self.rules.warn)(new, old)
    }

    /// The object as it comes back from the store: lists and maps without members are null or absent.
    pub fn store_form(&self, object: &mut Value) {
        read::store(tables::builtin(), self.id, object);
    }
}

impl Kind for BuiltIn {
    fn schema(&self) -> &Schema {
        tables::builtin()
    }

    fn type_of(&self, api_version: &str) -> Option<TypeId> {
        if api_version == self.api_version {
            return Some(self.id);
        }
        let (group, version) = split_api_version(api_version);
        (group == self.gvk.group)
            .then(|| tables::builtin().kind(group, version, &self.gvk.kind))
            .flatten()
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        if object["apiVersion"] == api_version {
            return Some(object.clone());
        }
        self.type_of(api_version)?;
        let converted = convert::convert(object, api_version);
        let (group, version) = split_api_version(api_version);
        find(group, version, &self.gvk.kind)?
            .normalize(converted)
            .ok()
            .map(|decoded| decoded.object)
    }

    fn reset_fields(&self, _api_version: &str, subresource: &str) -> &Set<'static> {
        self.resets
            .iter()
            .find(|(name, ..)| *name == subresource)
            .map_or(&self.nothing, |(_, _, set)| set)
    }

    fn complete(&self, object: Value) -> Result<Value, String> {
        self.normalize(object).map(|decoded| decoded.object)
    }

    fn empty(&self, api_version: &str) -> Value {
        let id = self.type_of(api_version).unwrap_or(self.id);
        let mut object = read::zero(tables::builtin(), id);
        object["apiVersion"] = api_version.into();
        object["kind"] = self.gvk.kind.as_str().into();
        object
    }
}

/// Converts an object of a built-in kind to another version of its kind.
pub fn convert_version(object: &Value, api_version: &str) -> Value {
    convert::convert(object, api_version)
}

/// Whether a text field of an object is set.
fn is_set(value: &Value) -> bool {
    !text(value).is_empty()
}

impl crate::write::Resource for BuiltIn {
    fn gvk(&self) -> &GroupVersionKind {
        &self.gvk
    }

    fn plural(&self) -> &str {
        &self.resource.name
    }

    fn namespaced(&self) -> bool {
        self.resource.namespaced
    }

    fn creates_on_update(&self) -> bool {
        self.rules.create_on_update
    }

    fn updates_unconditionally(&self) -> bool {
        self.rules.unconditional_update
    }

    fn read(&self, body: Body<'_>, validation: FieldValidation) -> Result<Read, Failure> {
        BuiltIn::read(self, body, validation)
    }

    fn reread(&self, document: Value, from_text: bool) -> Result<read::Decoded, String> {
        let wording = if from_text {
            read::Wording::Json
        } else {
            read::Wording::Document
        };
        let parsed = read::Parsed::from_value(document);
        let mut decoded = read::decode(tables::builtin(), self.id, parsed, None, wording)?;
        self.default(&mut decoded.object);
        Ok(decoded)
    }

    fn strategic_type(&self) -> Option<TypeId> {
        Some(self.id)
    }

    fn prepare_create(&self, object: &mut Value) {
        BuiltIn::prepare_create(self, object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, subresource: &str) {
        BuiltIn::prepare_update(self, object, old, subresource);
    }

    fn invalid_group(&self) -> &str {
        match self.gvk.group.as_str() {
            // Both groups share the internal type of the core group.
            "events.k8s.io" => "",
            group => group,
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        BuiltIn::validate_create(self, object)
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        subresource: &str,
        _: &mut Vec<String>,
    ) -> Vec<FieldError> {
        BuiltIn::validate_update(self, object, old, subresource)
    }

    fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        BuiltIn::warnings(self, object, old)
    }

    fn store_form(&self, object: &mut Value) {
        BuiltIn::store_form(self, object);
    }
}
