//! Kinds of the group `helm.toolkit.fluxcd.io`.

mod actions;
mod chart;
mod release;
mod snapshot;

pub use actions::*;
pub use chart::*;
pub use release::*;
pub use snapshot::*;
