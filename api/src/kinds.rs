//! The kinds of the API: what they are called, how `kubectl` shows them and
//! which controller serves them. One table for all who need to know.

use crate::{helm, image, kustomize, notification, source};

/// A controller of the toolkit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Fetches sources.
    Source,
    /// Applies what Kustomizations build.
    Kustomize,
    /// Releases Helm charts.
    Helm,
    /// Sends and receives notifications.
    Notification,
    /// Scans image repositories.
    ImageReflector,
    /// Writes image updates back to Git.
    ImageAutomation,
}

impl Controller {
    /// The controller's name, as its events and field managers have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source-controller",
            Self::Kustomize => "kustomize-controller",
            Self::Helm => "helm-controller",
            Self::Notification => "notification-controller",
            Self::ImageReflector => "image-reflector-controller",
            Self::ImageAutomation => "image-automation-controller",
        }
    }
}

/// A column of `kubectl get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// The type: `string` or `date`.
    pub type_: &'static str,
    /// Where in the object the value stands.
    pub path: &'static str,
    /// Zero to show always, one to show with `-o wide` only.
    pub priority: i32,
}

impl Column {
    pub(crate) const AGE: Self = Self {
        name: "Age",
        type_: "date",
        path: ".metadata.creationTimestamp",
        priority: 0,
    };
    pub(crate) const READY: Self =
        Self::text("Ready", r#".status.conditions[?(@.type=="Ready")].status"#);
    pub(crate) const STATUS: Self = Self::text(
        "Status",
        r#".status.conditions[?(@.type=="Ready")].message"#,
    );

    pub(crate) const fn text(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            type_: "string",
            path,
            priority: 0,
        }
    }

    pub(crate) const fn wide(self) -> Self {
        Self {
            priority: 1,
            ..self
        }
    }
}

/// What the status of a new object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialStatus {
    /// The kind has no status.
    Never,
    /// There is none until the controller writes it.
    Absent,
    /// It says that no generation has been observed: `observedGeneration: -1`.
    Unobserved,
}

/// A kind of object. All kinds are namespaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The API group.
    pub group: &'static str,
    /// The only version.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The resource's name in paths.
    pub plural: &'static str,
    /// Short names for `kubectl`.
    pub short_names: &'static [&'static str],
    /// Groups of kinds that it can be listed with.
    pub categories: &'static [&'static str],
    /// What `kubectl get` shows.
    pub columns: &'static [Column],
    /// Annotations of the CRD.
    pub annotations: &'static [(&'static str, &'static str)],
    /// What the status of a new object is.
    pub initial_status: InitialStatus,
    /// Who reconciles it.
    pub controller: Controller,
}

impl Kind {
    /// Group and version in one.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// The name of its CRD.
    pub fn crd_name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// The kind in lower case, as the name of one object's type.
    pub fn singular(&self) -> String {
        self.kind.to_ascii_lowercase()
    }
}

/// The group of sources.
pub const SOURCE_GROUP: &str = "source.toolkit.fluxcd.io";
/// The group of Kustomizations.
pub const KUSTOMIZE_GROUP: &str = "kustomize.toolkit.fluxcd.io";
/// The group of HelmReleases.
pub const HELM_GROUP: &str = "helm.toolkit.fluxcd.io";
/// The group of alerts, providers and receivers.
pub const NOTIFICATION_GROUP: &str = "notification.toolkit.fluxcd.io";
/// The group of image scanning and updating.
pub const IMAGE_GROUP: &str = "image.toolkit.fluxcd.io";

pub(crate) const SOURCE_CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-sources"];
pub(crate) const APPLIER_CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-appliers"];
pub(crate) const NOTIFICATION_CATEGORIES: &[&str] = &["all", "fluxcd", "fluxcd-notifications"];

/// Keeps a Kustomization that applies the CRD from substituting variables in it.
pub(crate) const NO_SUBSTITUTION: &[(&str, &str)] =
    &[(crate::key::KUSTOMIZE_SUBSTITUTE, crate::key::DISABLED)];

/// All kinds, by group and in the order of dependence: what others refer to first.
pub const ALL: &[Kind] = &[
    source::GitRepository::KIND,
    source::OciRepository::KIND,
    source::Bucket::KIND,
    source::HelmRepository::KIND,
    source::HelmChart::KIND,
    source::ExternalArtifact::KIND,
    kustomize::Kustomization::KIND,
    helm::HelmRelease::KIND,
    notification::Provider::KIND,
    notification::Alert::KIND,
    notification::Receiver::KIND,
    image::ImageRepository::KIND,
    image::ImagePolicy::KIND,
    image::ImageUpdateAutomation::KIND,
];

/// The kind of that group and name, whatever the version.
pub fn find(group: &str, kind: &str) -> Option<&'static Kind> {
    ALL.iter()
        .find(|known| known.group == group && known.kind == kind)
}
