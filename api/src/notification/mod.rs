//! Kinds of the group `notification.toolkit.fluxcd.io`.

mod alert;
mod provider;
mod receiver;

pub use alert::*;
pub use provider::*;
pub use receiver::*;

use crate::wire::wire_enum;

wire_enum! {
    /// A kind of object that alerts and receivers can name.
    pub enum WatchedKind {
        /// A bucket.
        Bucket = "Bucket",
        /// A Git repository.
        GitRepository = "GitRepository",
        /// A Kustomization.
        Kustomization = "Kustomization",
        /// A release.
        HelmRelease = "HelmRelease",
        /// A chart.
        HelmChart = "HelmChart",
        /// A chart repository.
        HelmRepository = "HelmRepository",
        /// An image repository.
        ImageRepository = "ImageRepository",
        /// An image policy.
        ImagePolicy = "ImagePolicy",
        /// An image update automation.
        ImageUpdateAutomation = "ImageUpdateAutomation",
        /// An OCI artifact.
        OciRepository = "OCIRepository",
        /// A generator of artifacts.
        ArtifactGenerator = "ArtifactGenerator",
        /// An artifact that somebody else provides.
        ExternalArtifact = "ExternalArtifact",
    }
}
