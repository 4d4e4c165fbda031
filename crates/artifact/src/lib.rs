//! Artifacts: what a source-controller publishes and every other controller consumes.
//!
//! ```text
//!  layout + sourceignore --pack--> tar.gz --Store::put--> <root>/<kind>/<ns>/<name>/<file>
//!                                                                  |
//!                                                              serve (HTTP)
//!                                                                  |
//!            Arc<Tree> <--unpack-- verified bytes <--Fetcher--- artifact.url, artifact.digest
//! ```
//!
//! The producing half is [`layout`], [`sourceignore`], [`mod@pack`], [`store`] and [`serve`]; the
//! consuming half is [`fetch`], [`mod@unpack`] and [`tree`]; [`digest`] is shared. [`layout`],
//! [`sourceignore`], [`mod@pack`] and [`mod@unpack`] are pure: bytes come in and go out through arguments.
//!
//! This crate knows nothing of Kubernetes: an artifact's status is composed by the controller from
//! the [`store::Stored`] that a publication returns. It does not know Git, OCI or buckets either;
//! they hand over a [`layout::Dir`].

pub mod digest;
pub mod fetch;
pub mod layout;
pub mod pack;
pub mod serve;
pub mod sourceignore;
pub mod store;
pub mod tree;
pub mod unpack;

pub use digest::{Algorithm, Digest};
pub use fetch::{FetchError, Fetched, Fetcher};
pub use pack::pack;
pub use store::{ArtifactPath, Store, Stored};
pub use tree::Tree;
pub use unpack::{Limits, unpack};
