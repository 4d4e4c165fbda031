//! Sources as a Kustomization refers to them.

use sluice_api::artifact::Artifact;
use sluice_api::kustomize::{Kustomization, SourceKind};
use sluice_runtime::informer::ObjectKey;

/// A reference with its namespace filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Kind of the source.
    pub kind: SourceKind,
    /// Its namespace and name.
    pub key: ObjectKey,
}

impl Reference {
    /// The source of a Kustomization.
    pub fn of(ks: &Kustomization) -> Self {
        let source = &ks.spec.source_ref;
        let own = ks.metadata.namespace.clone().unwrap_or_default();
        Self {
            kind: source.kind.clone(),
            key: ObjectKey::new(source.namespace.clone().unwrap_or(own), source.name.clone()),
        }
    }

    /// `Kind/namespace/name`.
    pub fn subject(&self) -> String {
        format!("{}/{}", self.kind, self.key)
    }
}

/// What is known of a source.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// There is no such object.
    Absent,
    /// It has no artifact yet.
    Empty,
    /// It has one.
    Artifact(Artifact),
}
