//! All that a reconciliation reads and does outside of itself and the target cluster.
//!
//! The controller has one implementation ([`crate::edge`]); tests have another in memory, which can
//! stop after any effect.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sluice_api::artifact::Artifact;
use sluice_api::kustomize::{Kustomization, KustomizationStatus};
use sluice_runtime::controller::Next;
use sluice_runtime::events::Notice;
use sluice_runtime::informer::ObjectKey;

use crate::cluster::Target;
use crate::desired::Built;
use crate::desired::variables::{Loaded, Variables};
use crate::source::{Reference, Source};

/// What a fetch found.
#[derive(Debug, Clone)]
pub enum Fetched<F> {
    /// The files of the artifact; the path of the Kustomization is among them.
    Files(F),
    /// The artifact is not there any more, or not yet.
    Gone,
    /// The path of the Kustomization is not in the artifact; the text says so.
    NoPath(String),
}

/// The surroundings of reconciliations.
pub trait World: Send + Sync {
    /// Unpacked files.
    type Files: Send + Sync;
    /// Clusters.
    type Target: Target;

    /// The time.
    fn now(&self) -> Timestamp;

    /// The Kustomization as it is now.
    fn kustomization(&self, key: &ObjectKey) -> Option<Arc<Kustomization>>;

    /// Another Kustomization, which may be one that this process does not reconcile.
    ///
    /// # Errors
    /// The server's text.
    fn dependency(
        &self,
        key: &ObjectKey,
    ) -> impl Future<Output = Result<Arc<Kustomization>, String>> + Send;

    /// The source of a Kustomization.
    fn source(&self, reference: &Reference) -> Source;

    /// The files of an artifact, with the path of `ks` in them.
    ///
    /// # Errors
    /// The text for the status.
    fn fetch(
        &self,
        ks: &Kustomization,
        artifact: &Artifact,
    ) -> impl Future<Output = Result<Fetched<Self::Files>, String>> + Send;

    /// What the objects that variables are taken from hold, in the order of the references.
    fn load(&self, ks: &Kustomization) -> impl Future<Output = Vec<Loaded>> + Send;

    /// The cluster that `ks` applies to, with its rights.
    ///
    /// # Errors
    /// The text for the status.
    fn connect(
        &self,
        ks: &Kustomization,
    ) -> impl Future<Output = Result<Self::Target, String>> + Send;

    /// Builds the objects.
    ///
    /// # Errors
    /// The text for the status.
    fn build(
        &self,
        ks: &Arc<Kustomization>,
        files: Self::Files,
        variables: Option<Variables>,
    ) -> impl Future<Output = Result<Built, String>> + Send;

    /// Writes a status; returns the object as it is then, `None` if it is gone.
    ///
    /// # Errors
    /// The server's text.
    fn write_status(
        &self,
        ks: &Arc<Kustomization>,
        status: &KustomizationStatus,
    ) -> impl Future<Output = Result<Option<Arc<Kustomization>>, String>> + Send;

    /// Writes the finalizers; returns the object as it is then, `None` if it is gone.
    ///
    /// # Errors
    /// The server's text.
    fn write_finalizers(
        &self,
        ks: &Arc<Kustomization>,
        finalizers: &[String],
    ) -> impl Future<Output = Result<Option<Arc<Kustomization>>, String>> + Send;

    /// The ServiceAccount that `ks` applies as; empty for none.
    fn service_account(&self, ks: &Kustomization) -> String;

    /// Whether a ServiceAccount exists in this cluster.
    ///
    /// # Errors
    /// The server's text.
    fn has_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<bool, String>> + Send;

    /// Puts a notice into the outbox.
    fn emit(&self, notice: Notice);

    /// Whether no other Kustomization waits for a worker.
    fn is_idle(&self) -> bool;

    /// `interval`, moved a little at random.
    fn jittered(&self, interval: Duration) -> Duration;
}

/// A turn after `delay`, where zero means none.
pub fn after(delay: Duration) -> Next {
    if delay.is_zero() {
        Next::Wait
    } else {
        Next::After(delay)
    }
}
