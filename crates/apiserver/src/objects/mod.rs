//! Writes: between a request (or a built-in controller) and the store.
//!
//! What a write makes of an object is decided by `sluice-schema`; here are what it cannot know: admission, addresses
//! of Services, other versions in the store, races, finalizers, dry runs.

pub mod convert;
pub mod meta;
pub mod service;
mod write;

use sluice_schema::builtin::{self, BuiltIn};
use sluice_schema::custom::CustomKind;
use sluice_schema::write::Resource as Rules;

use crate::app::App;
use crate::auth::User;
use crate::registry::Resource;

pub use sluice_schema::patch::PatchType;
pub use sluice_schema::read::{Body, FieldValidation};
pub use write::{Force, apply, change, create, finalize, patch, read, replace, reread, track};

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

impl<'a> Write<'a> {
    /// Adds a warning, once.
    pub fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// The namespace, for resources that have one.
    pub fn own_namespace(&self) -> Option<&'a str> {
        self.namespace.filter(|_| self.resource.namespaced)
    }
}

/// The rules of a kind.
enum Typed<'a> {
    BuiltIn(&'static BuiltIn),
    Custom(&'a CustomKind),
}

impl<'a> Typed<'a> {
    /// The rules of a resource. None for one that has no objects to write.
    fn of(resource: &'a Resource) -> Option<Self> {
        match &resource.custom {
            Some(custom) => Some(Typed::Custom(&custom.kind)),
            None => builtin::find(&resource.group, &resource.version, &resource.kind)
                .map(Typed::BuiltIn),
        }
    }

    fn rules(&self) -> &dyn Rules {
        match self {
            Typed::BuiltIn(kind) => *kind,
            Typed::Custom(kind) => *kind,
        }
    }
}
