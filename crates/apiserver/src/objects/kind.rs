//! A resource as `sluice-schema` wants to see it.

use std::sync::OnceLock;

use serde_json::Value;
use sluice_schema::fields::Set;
use sluice_schema::gvk::split_api_version;
use sluice_schema::managed::Kind;
use sluice_schema::schema::{Schema, TypeId};
use sluice_schema::tables;

use super::convert;
use crate::registry::Resource;

/// A resource, written through itself or one of its subresources.
pub struct Typed<'a> {
    /// The resource.
    pub resource: &'a Resource,
    /// The subresource, or empty.
    pub subresource: &'a str,
}

/// What each strategy of the real server resets, in the order of [`reset_index`].
fn reset_sets() -> &'static [Set<'static>; 8] {
    static SETS: OnceLock<[Set<'static>; 8]> = OnceLock::new();
    SETS.get_or_init(|| {
        [
            Set::new(),
            Set::of_names(&[&["status"]]),
            Set::of_names(&[&["spec"]]),
            Set::of_names(&[&["metadata"], &["spec"]]),
            Set::of_names(&[&["spec"], &["metadata", "labels"]]),
            Set::of_names(&[
                &["spec"],
                &["metadata", "deletionTimestamp"],
                &["metadata", "ownerReferences"],
            ]),
            Set::of_names(&[&["spec"], &["status"]]),
            Set::of_names(&[&["spec"], &["status", "conditions"]]),
        ]
    })
}

fn reset_index(resource: &Resource, subresource: &str) -> usize {
    if !resource.has_status() {
        return 0;
    }
    let table: &str = &resource.table.name;
    match (subresource, table) {
        ("", "certificatesigningrequests.certificates.k8s.io") => 6,
        ("" | "finalize", _) => 1,
        ("status", "certificatesigningrequests.certificates.k8s.io") => 7,
        ("status", "deployments.apps") => 4,
        ("status", "pods") => 5,
        (
            "status",
            "customresourcedefinitions.apiextensions.k8s.io"
            | "flowschemas.flowcontrol.apiserver.k8s.io"
            | "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
            | "resourceclaims.resource.k8s.io"
            | "servicecidrs.networking.k8s.io"
            | "validatingadmissionpolicies.admissionregistration.k8s.io"
            | "volumeattachments.storage.k8s.io",
        ) => 3,
        ("status", _) if resource.custom.is_some() => 3,
        ("status", _) => 2,
        _ => 0,
    }
}

impl Kind for Typed<'_> {
    fn schema(&self) -> &Schema {
        match &self.resource.custom {
            Some(custom) => custom.types.schema(),
            None => tables::builtin(),
        }
    }

    fn type_of(&self, api_version: &str) -> Option<TypeId> {
        if let Some(custom) = &self.resource.custom {
            return custom.types.type_of(api_version);
        }
        let (group, version) = split_api_version(api_version);
        // Events are one resource under two groups.
        let known = group == self.resource.group
            || (self.resource.plural == "events" && matches!(group, "" | "events.k8s.io"));
        known
            .then(|| tables::builtin().kind(group, version, &self.resource.kind))
            .flatten()
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        self.type_of(api_version)?;
        Some(convert::between(self.resource, object, api_version))
    }

    fn reset_fields(&self, api_version: &str) -> &Set<'static> {
        let sets = reset_sets();
        let own = api_version == self.resource.api_version || self.resource.custom.is_none();
        if own {
            &sets[reset_index(self.resource, self.subresource)]
        } else {
            &sets[0]
        }
    }

    fn complete(&self, object: Value) -> Result<Value, String> {
        super::schema::complete(self.resource, object)
    }

    fn empty(&self, api_version: &str) -> Value {
        super::schema::empty(self.resource, api_version)
    }
}
