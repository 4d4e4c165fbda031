//! Kinds of the group `source.toolkit.fluxcd.io`.

mod git_repository;

pub use git_repository::*;
