//! Field paths and sets of them: the algebra behind `managedFields`.

mod json;
mod path;
mod set;
mod value;

pub use json::FieldsError;
pub use path::{PathElement, display_path};
pub use set::Set;
pub(crate) use value::equal as equal_values;
