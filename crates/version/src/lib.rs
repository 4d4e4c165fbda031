//! Semantic versions and version constraints as Masterminds/semver v3 reads
//! them, which is what Helm and Flux do.
//!
//! The semver crate of Rust speaks Cargo's dialect: there, spaces are not AND,
//! `||`, `!=` and hyphen ranges do not exist, and `v1.2` is not a version. Charts
//! and Flux objects use all of these, so the dialect is implemented here, judged
//! by the real Helm binary (`tests/oracle.rs`).
//!
//! This crate compares versions. It does not decide where candidates come from,
//! nor how ties between equal versions (build metadata) are broken.

mod constraint;
mod quote;
mod version;

pub use constraint::{Constraint, ConstraintError, Prereleases};
pub use version::{Version, VersionError};

/// Returns every candidate that parses with `parse` and satisfies `constraint`,
/// highest first; equal versions keep the order in which they came.
///
/// Candidates that are not versions are skipped, as Flux and Helm do with tags.
/// `parse` is one of the three readings: [`Version::parse`],
/// [`Version::parse_three_part`] or [`Version::parse_strict`].
pub fn matches<'a>(
    constraint: &Constraint,
    candidates: impl IntoIterator<Item = &'a str>,
    parse: fn(&str) -> Result<Version, VersionError>,
) -> Vec<Version> {
    let mut found: Vec<Version> = candidates
        .into_iter()
        .filter_map(|text| parse(text).ok())
        .filter(|version| constraint.check(version))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// Returns the highest candidate that satisfies `constraint`, the first one
/// among equals, or `None` when nothing matches. See [`matches()`].
pub fn highest_match<'a>(
    constraint: &Constraint,
    candidates: impl IntoIterator<Item = &'a str>,
    parse: fn(&str) -> Result<Version, VersionError>,
) -> Option<Version> {
    matches(constraint, candidates, parse).into_iter().next()
}
