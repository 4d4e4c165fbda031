//! What a Kubernetes API server knows about objects, as pure functions.
//!
//! The engine under the embedded API server: the published tables of the built-in kinds, server-side apply and
//! `managedFields`, patches, reading with field validation, custom resource schemas, and the defaults and validation
//! that the server's own code adds. It decides; it stores, serves and watches nothing. Everything follows
//! kube-apiserver 1.36.

pub mod builtin;
pub mod custom;
pub mod failure;
pub mod fields;
mod gofmt;
pub mod gvk;
pub mod managed;
mod names;
pub mod patch;
pub mod quantity;
pub mod read;
pub mod schema;
pub mod tables;
pub mod typed;

pub use gvk::GroupVersionKind;
pub mod write;
