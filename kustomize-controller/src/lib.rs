//! Builds, applies, prunes and health-checks what Kustomizations describe.

pub mod act;
pub mod cluster;
pub mod depends;
pub mod desired;
pub mod gate;
pub mod plan;
pub mod prune;
pub mod reconcile;
pub mod registry;
pub mod settings;
pub mod source;
pub mod status;
pub mod timing;
pub mod world;
