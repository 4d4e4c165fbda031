//! Kinds of the group `kustomize.toolkit.fluxcd.io`, and the parts of
//! Kustomize's own format that HelmReleases share.

mod kustomization;
mod patch;

pub use kustomization::*;
pub use patch::*;
