//! What every controller needs once.
//!
//! ```text
//! args ──> host ──> client ─┬─> informer ──> queue ──> controller ──> reconcile(key) ──> Next
//!                           ├─> patch (status, finalizers)
//!                           ├─> events (outbox) ──> Kubernetes Event + POST
//!                           └─> leader            serve (probes, metrics)
//! ```
//!
//! It knows no kind: what a controller decides is its own business. It is not a framework to be
//! subclassed but a set of parts that a controller's `run` puts together in a page.

pub mod args;
pub mod client;
pub mod controller;
pub mod events;
pub mod gates;
pub mod host;
pub mod informer;
pub mod leader;
pub mod logging;
pub mod metrics;
pub mod patch;
pub mod queue;
pub mod serve;
