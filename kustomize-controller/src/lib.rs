//! Builds, applies, prunes and health-checks what Kustomizations describe.
//!
//! Reconciles `kustomize.toolkit.fluxcd.io/v1 Kustomization` as Flux's kustomize-controller 1.9 does:
//! same conditions, events, inventory, field managers and texts. Underneath it is another machine:
//!
//! ```text
//! controller   watches and triggers ──> queue ──> workers ──> turn
//! reconcile    gate ──> fetch, build ──> plan ──> act ──> prune ──> health      (no IO of its own)
//! world, edge  what a reconciliation reads and writes: a trait, and the real one
//! stores       the watched kinds, and whom their changes wake
//! cluster      the target cluster with one Kustomization's rights: a trait, and the real one
//! registry     what is remembered between turns, and who wakes whom
//! ```
//!
//! What it does not do: decrypt (a Kustomization whose build still holds ciphertext fails), fetch
//! remote bases, or get cloud credentials for remote clusters.

pub mod act;
pub mod cluster;
mod controller;
pub mod depends;
pub mod desired;
pub mod edge;
pub mod gate;
pub mod plan;
pub mod prune;
pub mod reconcile;
pub mod registry;
pub mod settings;
pub mod source;
pub mod status;
pub mod stores;
pub mod timing;
pub mod world;

pub use controller::run;
pub use settings::Args;
