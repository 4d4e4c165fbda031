//! The commands, a module each.
//!
//! A command is a type that `clap` fills, with a `run` that takes a
//! [`Session`](crate::session::Session). `up` is at [`crate::up`].

pub mod build;
pub mod completion;
pub mod create;
pub mod delete;
pub mod diff;
pub mod events;
pub mod export;
pub mod get;
pub mod kustomize;
pub mod reconcile;
pub mod resume;
pub mod suspend;
pub mod tree;
