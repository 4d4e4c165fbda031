//! Git as a source: lists the refs of a remote, fetches what one revision needs, and turns a
//! commit's tree into the layout of an artifact without ever checking it out.
//!
//! ```text
//!  Remote --connect--> Session { Advertisement } --resolve--> Resolved { revision, want }
//!                          |                                       |
//!                          +------------- fetch <------------------+
//!                                           | pack
//!                                      Cache (bare object store) --> Snapshot --> Dir<Blob>
//! ```
//!
//! libgit2 is used as an object store only: packs go in through its indexer, objects come out. The
//! wire protocol ([`protocol`], version 0, which every server speaks and which lists refs in one
//! round trip) and the transports ([`http`], [`ssh`]) are ours, so that TLS roots, client
//! certificates, proxies, credentials and deadlines belong to one repository and not to the process,
//! and so that dropping a future stops its connection. Repositories on the local disk are read in
//! place.
//!
//! This crate knows nothing of Kubernetes. It does not push yet, and does not make commits.

pub mod advertisement;
pub mod auth;
pub mod cache;
pub mod client;
pub mod error;
pub mod http;
pub mod known_hosts;
pub mod protocol;
pub mod reference;
pub mod snapshot;
mod socks;
pub mod ssh;
pub mod submodule;
pub mod url;
pub mod verify;

pub use advertisement::Advertisement;
pub use auth::{HttpAuth, Proxy, Secret, SshAuth, Tls};
pub use cache::Cache;
pub use client::{Client, Remote, Session};
pub use error::{Error, TransportError};
pub use git2::Oid;
pub use reference::{Reference, Resolved};
pub use snapshot::{Commit, Snapshot};
pub use url::RemoteUrl;
