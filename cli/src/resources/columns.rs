//! The columns that `get` shows.

use super::Resource;
use crate::object::{self, Object};
use crate::table;

/// A column of `get`.
#[derive(Debug)]
pub struct Column {
    /// The heading, as written before it is put in capitals.
    pub heading: &'static str,
    /// The text of a cell.
    pub cell: fn(&Resource, &Object) -> String,
    /// When it is shown.
    pub shown: Shown,
}

/// When a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Always.
    Always,
    /// With `--show-source`.
    WithSource,
}

impl Column {
    pub(super) const READY: Self =
        Self::new("Ready", |resource, object| resource.readiness(object).0);

    pub(super) const MESSAGE: Self = Self::new("Message", |resource, object| {
        table::shorten_digests(&resource.readiness(object).1)
    });

    pub(super) const SUSPENDED: Self = Self::new("Suspended", |_, object| {
        let suspended = object::is_suspended(object);
        if suspended { "True" } else { "False" }.to_owned()
    });

    pub(super) const ARTIFACT_REVISION: Self = Self::new("Revision", |_, object| {
        table::shorten_digests(object::text(object, "/status/artifact/revision"))
    });

    pub(super) const fn new(heading: &'static str, cell: fn(&Resource, &Object) -> String) -> Self {
        Self {
            heading,
            cell,
            shown: Shown::Always,
        }
    }

    /// The column of the source, which is shown on demand only.
    pub(super) const fn source_on_demand(cell: fn(&Resource, &Object) -> String) -> Self {
        Self {
            heading: "Source",
            cell,
            shown: Shown::WithSource,
        }
    }
}
