//! Object sets: what a controller that applies manifests has to decide, as pure functions.
//!
//! ```text
//! documents ─ object ─ normalise ─ stage ──┐
//!                        switches, ignore ─┼─> (controller's plan) ─> change, inventory, prune
//!        live objects ─ observe, drift ────┘                       └> health, wait
//! ```
//!
//! Objects are [`serde_json::Value`]s. Nothing here reads a clock, a file or a server, and no object
//! can make it panic. The behaviour is that of Flux's server-side apply and of kstatus; where a
//! function departs from it, its documentation says so.
//!
//! Not here: building manifests, talking to a cluster, and when to do what.

pub mod ca_bundle;
pub mod change;
pub mod drift;
pub mod fields;
pub mod force;
pub mod health;
pub mod ignore;
pub mod inventory;
pub mod normalise;
pub mod object;
pub mod observe;
pub mod pointer;
pub mod prune;
pub mod risk;
pub mod selector;
pub mod stage;
pub mod switches;
pub mod takeover;
mod typed;
pub mod wait;

pub use object::{Gvk, subject};
pub use sluice_api::inventory::{ObjectId, ResourceRef};
