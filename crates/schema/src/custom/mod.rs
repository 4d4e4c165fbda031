//! Custom resources: what a CustomResourceDefinition means for its objects.
//!
//! ```text
//! body -> metadata -> prune -> nulls -> defaults -> ... -> values -> embedded objects -> lists -> rules
//! ```

mod definition;
mod embedded;
mod formats;
mod resource;
mod rules;
mod schema;
mod shape;
mod structural;
mod values;

pub use definition::{definition_warnings, validate_definition};
pub use resource::{CustomKind, CustomTypes, ScalePaths};
