//! YAML as the Kubernetes tools read and write it.
//!
//! kubectl, Flux and Helm read YAML through `sigs.k8s.io/yaml`, kustomize
//! reads resources through go-yaml v3, and all of them write through the
//! former. No two YAML libraries agree on what `0755`, `yes`, `1_000` or a
//! repeated key mean, so this crate has those two readings and that one way of
//! writing, byte for byte, and nothing else.
//!
//! ```text
//! text -> decode -> scan -> compose -> Node -> to_json -> serde_json::Value
//!                                                            |
//! text <----------------------- emit <-----------------------+
//! ```
//!
//! * [`from_str`] reads one document, [`fields_from_str`] a few keys of one,
//!   [`documents_from_str`] a stream of manifests with their lines, [`parse_documents`] the tree with places,
//!   styles, tags and comments.
//! * [`to_string`] writes what `sigs.k8s.io/yaml`'s `Marshal` writes.
//!
//! Reading is bounded by [`Limits`] and cannot panic. The crate does no IO and
//! is not a general YAML library: it does not keep the layout of a text when
//! it writes, and knows no types beyond those of JSON.

mod compose;
mod decode;
mod emit;
mod error;
mod float;
mod json;
mod limits;
mod node;
mod resolve;
mod scan;
mod sort;
mod styled;
mod timestamp;

pub use compose::Documents;
pub use decode::decode;
pub use emit::{append_document, to_string, write_documents};
pub use error::{Error, ErrorKind, Mark, Span};
pub use float::general as float_to_text;
pub use json::{Dialect, decode_binary, number_from_f64, to_json};
pub use limits::Limits;
pub use node::{CollectionStyle, Document, Kind, Node, Props};
pub use resolve::{Booleans, Resolved, resolve};
pub use scan::{Comment, ScalarStyle};
pub use sort::compare_keys;
pub use styled::{Spot, write_styled};

use serde_json::Value;

/// The RFC 3339 text of a YAML timestamp, as Go writes it into JSON; `None`
/// when the text is not one.
pub fn timestamp_to_rfc3339(text: &str) -> Option<String> {
    timestamp::parse(text).map(timestamp::Timestamp::to_rfc3339)
}

/// Parses every document of a stream, empty ones included.
///
/// # Errors
/// Malformed text or an exceeded limit; nothing is returned then.
pub fn parse_documents<'a>(text: &'a str, limits: &Limits) -> Result<Vec<Document<'a>>, Error> {
    Documents::new(text, Dialect::Sigs, limits).collect()
}

/// Reads the first document of a text as `sigs.k8s.io/yaml`'s
/// `UnmarshalStrict` does: a repeated key is an error. A text without a
/// document is null.
///
/// # Errors
/// Malformed text, repeated keys, an exceeded default limit.
pub fn from_str(text: &str) -> Result<Value, Error> {
    from_str_with(text, Dialect::SigsStrict, &Limits::default())
}

/// Reads the first document of a text in a dialect and within limits. A text
/// without a document is null.
///
/// # Errors
/// Malformed text, what the dialect refuses, an exceeded limit.
pub fn from_str_with(text: &str, dialect: Dialect, limits: &Limits) -> Result<Value, Error> {
    match Documents::new(text, dialect, limits).next_document()? {
        Some(document) => to_json(&document.root, dialect),
        None => Ok(Value::Null),
    }
}

/// Reads the first document of a text as `sigs.k8s.io/yaml`'s `Unmarshal` does
/// into a type that has only the fields `keys`: all of the document is checked,
/// and when it is an object, only those of its keys are kept. That takes less
/// memory than [`from_str_with`] with [`Dialect::Sigs`], and fails alike.
///
/// # Errors
/// As [`from_str_with`].
pub fn fields_from_str(text: &str, keys: &[&str], limits: &Limits) -> Result<Value, Error> {
    match Documents::new(text, Dialect::Sigs, limits).next_document()? {
        Some(document) => json::to_json_of(&document.root, keys),
        None => Ok(Value::Null),
    }
}

/// Reads a stream of manifests as kubectl does, with the place of each.
///
/// Empty and null documents are left out; repeated keys are errors. The span
/// starts at the first token of the content.
///
/// # Errors
/// Malformed text, repeated keys, an exceeded default limit.
pub fn documents_from_str(text: &str) -> Result<Vec<(Value, Span)>, Error> {
    let mut out = Vec::new();
    for document in Documents::new(text, Dialect::SigsStrict, &Limits::default()) {
        let document = document?;
        let value = to_json(&document.root, Dialect::SigsStrict)?;
        if !value.is_null() {
            out.push((value, document.root.span));
        }
    }
    Ok(out)
}
