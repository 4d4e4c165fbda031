//! The custom resources that Sluice's controllers share: types, conditions,
//! reasons, keys.
//!
//! This is the API of Flux 2.9, field for field: what is written to a cluster
//! by one can be read by the other. The crate does no IO and holds no
//! behaviour beyond the rules of the format: durations ([`duration`]),
//! conditions ([`condition`]) and inventory ids ([`inventory`]).
//!
//! | Module | Kinds |
//! |---|---|
//! | [`source`] | GitRepository, OCIRepository, Bucket, HelmRepository, HelmChart, ExternalArtifact |
//! | [`kustomize`] | Kustomization |
//! | [`helm`] | HelmRelease |
//! | [`notification`] | Alert, Provider, Receiver |
//! | [`image`] | ImageRepository, ImagePolicy, ImageUpdateAutomation |
//!
//! Fields follow the rules of Go's `omitempty`: see `wire.rs`. The CRDs in
//! `manifests/crds/` are made from these types by `cargo xtask crds`; doc
//! comments of specs and statuses are the descriptions that `kubectl explain`
//! shows.

pub mod artifact;
pub mod condition;
pub mod crd;
pub mod duration;
pub mod event;
pub mod helm;
pub mod history;
pub mod image;
pub mod inventory;
pub mod key;
pub mod kinds;
pub mod kustomize;
pub mod notification;
pub mod reason;
pub mod reference;
pub mod resource;
pub mod source;
pub mod time;
mod wire;
