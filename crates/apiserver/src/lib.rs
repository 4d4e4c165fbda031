//! An embedded Kubernetes API server: the cluster of `sluice up` on a machine that has none.
//!
//! ```text
//!  http (TLS, negotiation) -> auth (tokens, RBAC) -> verbs -> objects (schema, ownership) -> store (memory, log)
//!                                                                                              |
//!                                        controllers (workloads, garbage, namespaces) <--------+
//! ```
//!
//! It answers as kube-apiserver 1.36 does: where they differ, this one is wrong. The conversations in `tests/` were
//! recorded on the real server.
//!
//! What it is not: a node. Pods run nowhere; a simulator makes workloads ready.

mod admission;
mod app;
mod auth;
mod controllers;
mod discovery;
mod http;
mod objects;
mod pki;
mod quota;
mod random;
mod registry;
mod server;
mod status;
mod store;
mod table;
mod verbs;

pub use app::Clock;
pub use pki::PkiError;
pub use server::{ClientConfig, Config, Error, Server};
pub use store::StoreError;
