//! Custom resources: what a CustomResourceDefinition means for its objects.

mod definition;
mod structural;

pub use definition::validate_definition;
