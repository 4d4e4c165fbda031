//! The kinds that the command line knows: one table that all commands read.
//!
//! A new kind is a row here. Commands with a subcommand for each kind get it
//! from [`Resource::place`].

mod columns;
mod rows;

use kube::api::ApiResource;
use serde_json::Value;
use sluice_api::kinds::Kind;

pub use columns::{Column, Shown};
pub use rows::{ALL, GET_ALL, GIT_REPOSITORY, IMAGES, KUSTOMIZATION, SOURCES};

use crate::error::Outcome;
use crate::object::{self, Object};

/// A kind of object as the command line sees it.
#[derive(Debug)]
pub struct Resource {
    /// The kind in the API.
    pub kind: Kind,
    /// What an object is called in a sentence.
    pub human: &'static str,
    /// Where in the command tree its subcommands are.
    pub place: Place,
    /// What `get` shows.
    pub columns: &'static [Column],
    /// The verbs that it has.
    pub verbs: &'static [Verb],
    /// What to say of an object that became ready.
    pub success: fn(&Object) -> String,
    /// The source that `--with-source` reconciles first, if the kind has one.
    pub source: Option<fn(&Object) -> Outcome<Dependency>>,
    /// Whether nothing ever happens to an object, so that it is ready by being there.
    pub is_static: fn(&Object) -> bool,
    /// Writes an object as its type does: without fields that have no content.
    pub normalise: fn(Value) -> serde_json::Result<Value>,
}

/// Where in the command tree a kind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Right below the verb.
    Top {
        /// The subcommand.
        name: &'static str,
        /// Its other names.
        aliases: &'static [&'static str],
        /// The subcommand of `get`, which is a plural.
        plural: &'static str,
        /// Its other names.
        plural_aliases: &'static [&'static str],
    },
    /// Below `source`.
    Source(&'static str),
    /// Below `image`.
    Image(&'static str),
}

/// What can be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Show its state.
    Get,
    /// Make its controller look at it.
    Reconcile,
    /// Make its controller look away.
    Suspend,
    /// The opposite.
    Resume,
    /// Delete it.
    Delete,
    /// Print it for use elsewhere.
    Export,
}

/// An object that another one depends on.
#[derive(Debug)]
pub struct Dependency {
    /// What kind it is.
    pub resource: &'static Resource,
    /// Its namespace; none for that of the object that depends on it.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Resource {
    /// How to address the kind in the API.
    pub fn api_resource(&self) -> ApiResource {
        ApiResource {
            group: self.kind.group.to_owned(),
            version: self.kind.version.to_owned(),
            api_version: self.kind.api_version(),
            kind: self.kind.kind.to_owned(),
            plural: self.kind.plural.to_owned(),
        }
    }

    /// Whether the kind has a verb.
    pub fn has(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    /// Status and message of the Ready condition, with what stands for a
    /// missing one.
    pub fn readiness(&self, object: &Object) -> (String, String) {
        if (self.is_static)(object) {
            let subject = words(self.kind.kind);
            return ("True".to_owned(), format!("{subject} is Ready"));
        }
        match object::ready(object) {
            Some(condition) => (condition.status.to_owned(), condition.message.to_owned()),
            None => ("False".to_owned(), "waiting to be reconciled".to_owned()),
        }
    }
}

/// The kind in words, for the one static kind whose name is made of two.
fn words(kind: &str) -> &str {
    match kind {
        "HelmRepository" => "Helm repository",
        other => other,
    }
}

/// The kind of that name, whatever its case.
pub fn by_kind(kind: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|resource| resource.kind.kind.eq_ignore_ascii_case(kind))
}
