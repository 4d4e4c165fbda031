//! What happens to an object between the request and the store: metadata, defaults, ownership, validation,
//! optimistic concurrency, finalizers.
//!
//! ```text
//!  body -> defaults -> metadata -> strategy (status, generation) -> admission -> managedFields -> validation -> store
//! ```
//!
//! Requests of clients and writes of the built-in controllers take the same way.

pub mod convert;
mod kind;
pub mod meta;
pub mod schema;
pub mod service;
pub mod strategy;
mod write;

use crate::app::App;
use crate::auth::User;
use crate::registry::Resource;

pub use write::{Patch, apply, create, update};

/// What to do with fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them, with a warning.
    Warn,
    /// Refuse them.
    Strict,
}

/// Whether a request changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRun {
    /// It does.
    No,
    /// It only computes the answer.
    All,
}

/// One write: what is written, by whom, how.
pub struct Write<'a> {
    /// The server.
    pub app: &'a App,
    /// The resource in the version of the request.
    pub resource: &'a Resource,
    /// The namespace of the request.
    pub namespace: Option<&'a str>,
    /// The name of the request; empty for a create.
    pub name: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The field manager.
    pub manager: &'a str,
    /// The user.
    pub user: &'a User,
    /// Whether it is only tried.
    pub dry_run: DryRun,
    /// What to do with unknown fields.
    pub validation: FieldValidation,
    /// What to tell the client beside the answer.
    pub warnings: Vec<String>,
}

impl Write<'_> {
    /// Adds a warning, once.
    pub fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}
