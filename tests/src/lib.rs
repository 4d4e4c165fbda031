//! What scenarios need: a Git repository to commit to, a cluster that runs it, and waits for conditions.
//!
//! ```text
//! WorkTree ──(git_http, git_ssh, or the disk)──> controllers ──(proxy)──> Cluster
//!                                                     │
//!            in this process, as processes, or as `sluice up`
//! ```
//!
//! A scenario runs against the embedded API server, or against the cluster that the variable
//! `SLUICE_TEST_KUBECONFIG` names: where the two differ, the embedded one is wrong.

pub mod artifacts;
pub mod audit;
pub mod case;
pub mod cluster;
pub mod controllers;
pub mod fleet;
pub mod objects;
pub mod program;
pub mod proxy;
pub mod relay;
pub mod wait;
pub mod work_tree;
pub mod world;

/// The Git server over HTTP that `sluice-git` is tested with: `git http-backend` behind hyper.
#[path = "../../crates/git/tests/support/http.rs"]
#[allow(missing_docs, clippy::unwrap_used, clippy::new_without_default)]
pub mod git_http;

/// The Git server over SSH that `sluice-git` is tested with: `git upload-pack` behind russh.
#[path = "../../crates/git/tests/support/ssh.rs"]
#[allow(missing_docs, clippy::unwrap_used)]
pub mod git_ssh;

pub use cluster::Cluster;
pub use controllers::{Controllers, Programs};
pub use objects::{at, condition, edit, is_ready_at, message, ready};
pub use wait::{PATIENCE, eventually};
pub use work_tree::WorkTree;
pub use world::{Host, World};
