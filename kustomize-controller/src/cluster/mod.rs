//! The cluster that objects are applied to, as one Kustomization may use it.
//!
//! [`Target`] is all that the rest of the controller knows of a cluster. [`Live`] talks to an API
//! server, with the identity of the Kustomization on each request; tests have a cluster in memory.

pub mod admission;
mod live;
pub mod mapper;
pub mod remote;
pub mod watch;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::Value;
use sluice_api::inventory::ObjectId;
use sluice_objects::object::Gvk;

pub use live::{Identity, Live};

use crate::plan::{Admission, Seen};

/// Awaits requests, at most `limit` at a time; the answers are in the order of the requests.
pub async fn each<T: Send>(requests: Vec<BoxFuture<'_, T>>, limit: usize) -> Vec<T> {
    futures::stream::iter(requests)
        .buffered(limit.max(1))
        .collect()
        .await
}

/// Whether a write is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Real,
    /// The server says what would become of it.
    DryRun,
}

/// What a write may find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Anything.
    None,
    /// Nothing: an object that is there must not be touched.
    Absent,
}

/// The answer to an apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The object as it is, or would be, now.
    pub object: Value,
    /// Whether it was not there before.
    pub created: bool,
}

/// Why a request was not answered as hoped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// HTTP status; 0 when there was no answer.
    pub code: u16,
    /// The server's one-word reason; may be empty. [`NO_KIND_MATCH`] when nothing was asked because the
    /// cluster does not know the kind.
    pub reason: String,
    /// The server's text.
    pub message: String,
}

/// Reason of a refusal of a kind that the cluster does not know. No server says it.
pub const NO_KIND_MATCH: &str = "NoKindMatch";

impl Refusal {
    /// The cluster does not know a kind, so that there is nothing to ask it.
    pub fn unknown_kind(message: impl Into<String>) -> Self {
        Self {
            code: 0,
            reason: NO_KIND_MATCH.to_owned(),
            message: message.into(),
        }
    }

    /// A refusal that no server gave.
    pub fn local(message: impl Into<String>) -> Self {
        Self {
            code: 0,
            reason: String::new(),
            message: message.into(),
        }
    }

    /// What a server says of something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self {
            code: 404,
            reason: "NotFound".to_owned(),
            message: message.into(),
        }
    }

    /// What a server says of a path that is not there, as that of an object without its namespace.
    pub fn no_path() -> Self {
        Self::not_found("the server could not find the requested resource")
    }

    /// Whether the cluster does not know the kind.
    pub fn is_unknown_kind(&self) -> bool {
        self.reason == NO_KIND_MATCH
    }

    /// Whether something is not there.
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// Whether the object is another than the request presumed.
    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }

    /// Whether the server has certainly not done what was asked.
    pub fn is_definite(&self) -> bool {
        (400..500).contains(&self.code) || self.is_unknown_kind()
    }
}

/// Whether objects of a kind are in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// They are.
    Namespaced,
    /// They are not.
    Cluster,
}

/// A cluster with the rights of one Kustomization.
pub trait Target: Send + Sync {
    /// Where the kind's objects are.
    ///
    /// # Errors
    /// The cluster does not know the kind, or could not be asked.
    fn scope(&self, gvk: &Gvk) -> impl Future<Output = Result<Scope, Refusal>> + Send;

    /// The version that the server prefers for a kind.
    ///
    /// # Errors
    /// The cluster does not know the kind, or could not be asked.
    fn preferred(
        &self,
        group: &str,
        kind: &str,
    ) -> impl Future<Output = Result<Gvk, Refusal>> + Send;

    /// Begins to watch these kinds, if they can be watched, and waits until what is there is known.
    fn observe(&self, kinds: &[Gvk]) -> impl Future<Output = ()> + Send;

    /// What the watch knows of an object.
    fn seen(&self, gvk: &Gvk, id: &ObjectId) -> Seen;

    /// Who may refuse writes of a kind.
    fn admission(&self, gvk: &Gvk) -> Admission;

    /// Server-side apply by the field manager `kustomize-controller`, forced.
    ///
    /// # Errors
    /// The server's refusal; a conflict when a [`Guard`] does not hold.
    fn apply(
        &self,
        gvk: &Gvk,
        id: &ObjectId,
        manifest: &Value,
        mode: Mode,
        guard: Guard,
    ) -> impl Future<Output = Result<Answer, Refusal>> + Send;

    /// Reads an object; `None` when it is not there.
    ///
    /// # Errors
    /// The server's refusal.
    fn get(
        &self,
        gvk: &Gvk,
        id: &ObjectId,
    ) -> impl Future<Output = Result<Option<Value>, Refusal>> + Send;

    /// Applies JSON patch operations.
    ///
    /// # Errors
    /// The server's refusal.
    fn patch(
        &self,
        gvk: &Gvk,
        id: &ObjectId,
        operations: &Value,
    ) -> impl Future<Output = Result<Value, Refusal>> + Send;

    /// Deletes an object in the background; one that is gone already is fine. With a version, only
    /// that version.
    ///
    /// # Errors
    /// The server's refusal; a conflict when the version is another.
    fn delete(
        &self,
        gvk: &Gvk,
        id: &ObjectId,
        version: Option<u64>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The Pods that a selector selects.
    ///
    /// # Errors
    /// The server's refusal.
    fn pods(
        &self,
        namespace: &str,
        selector: &str,
    ) -> impl Future<Output = Result<Vec<Value>, Refusal>> + Send;
}

/// Where the kinds of objects are, by group and kind: as the CRDs among the objects say, else as the
/// cluster does. Kinds that neither knows are left out; the server says so when such an object is
/// applied.
///
/// # Errors
/// The cluster could not be asked.
pub async fn scopes<T: Target>(
    target: &T,
    objects: &[Value],
) -> Result<HashMap<(String, String), Scope>, Refusal> {
    let mut scopes = crate::desired::defined_scopes(objects);
    for gvk in objects.iter().filter_map(Gvk::of) {
        let key = (gvk.group.clone(), gvk.kind.clone());
        if let Entry::Vacant(entry) = scopes.entry(key) {
            match target.scope(&gvk).await {
                Ok(scope) => {
                    entry.insert(scope);
                }
                Err(refusal) if refusal.is_unknown_kind() => {}
                Err(refusal) => return Err(refusal),
            }
        }
    }
    Ok(scopes)
}
