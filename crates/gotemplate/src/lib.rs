//! Go's text/template.
//!
//! ```text
//! text --lex--> tokens --parse--> trees --+
//!                                         +-- run(data) --> bytes | error with its place
//! functions of the host ------------------+
//! ```
//!
//! A [`TemplateSet`] is parsed once against a table of [`Functions`] and run any
//! number of times. Typing, printing and error texts are Go's: a template that
//! fails in Go fails here, with the same words at the same place. A run has
//! [`Limits`] and asks its [`Host`] whether it should stop, so that no template
//! can hold a worker or exhaust memory.
//!
//! What is here is the language and its own functions, and the parts of Go's
//! standard library that its semantics rest on ([`strconv`], [`printing`],
//! [`regexp`]). Sprig and Helm functions, charts and manifests are not.

mod ast;
mod builtins;
mod call;
mod error;
mod exec;
mod lex;
mod parse;
pub mod printing;
pub mod regexp;
mod set;
pub mod strconv;
pub mod text;
mod types;
mod value;

pub use builtins::escape_query;
pub use error::{CallError, ExecError, Limit, ParseError, Problem};
pub use exec::{Host, Limits, Run};
pub use lex::Delimiters;
pub use set::{Function, Functions, MissingKey, TemplateSet};
pub use text::Str;
pub use types::{
    ANY_MAP, ANY_SLICE, BYTES, Kind, Method, Named, STRING_MAP, STRING_SLICE, Type, Under,
};
pub use value::{Entries, IntType, List, Map, Object, Serial, UintType, Value};
