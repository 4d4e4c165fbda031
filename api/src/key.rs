//! Annotations, labels, finalizers, field managers and other names that are
//! part of the API.

/// Finalizer of every reconciled kind.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// Annotation: any new value asks for a reconciliation now.
pub const RECONCILE_REQUEST: &str = "reconcile.fluxcd.io/requestedAt";
/// Annotation: asks for one forced install or upgrade, if equal to the request.
pub const FORCE_REQUEST: &str = "reconcile.fluxcd.io/forceAt";
/// Annotation: asks for the failure counters to be reset, if equal to the request.
pub const RESET_REQUEST: &str = "reconcile.fluxcd.io/resetAt";
/// Label of a ConfigMap or Secret whose changes matter at once.
pub const WATCH: &str = "reconcile.fluxcd.io/watch";
/// The value of [`WATCH`].
pub const WATCH_ENABLED: &str = "Enabled";
/// Conventional label that says which shard reconciles an object.
pub const SHARD: &str = "sharding.fluxcd.io/key";

/// Label of a managed object: name of its Kustomization.
pub const KUSTOMIZE_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
/// Label of a managed object: namespace of its Kustomization.
pub const KUSTOMIZE_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// Label or annotation of a managed object: whether it is applied at all.
pub const KUSTOMIZE_RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
/// Label or annotation of a managed object: how it is applied.
pub const KUSTOMIZE_SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
/// Label or annotation of a managed object: whether it may be recreated.
pub const KUSTOMIZE_FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
/// Label or annotation of a managed object: whether it is deleted.
pub const KUSTOMIZE_PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
/// Label or annotation of a built object: whether variables are substituted.
pub const KUSTOMIZE_SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
/// Annotation of a built object: whether it is decrypted.
pub const KUSTOMIZE_DECRYPT: &str = "kustomize.toolkit.fluxcd.io/decrypt";
/// Annotation that old versions put on managed objects; removed where found.
pub const KUSTOMIZE_CHECKSUM: &str = "kustomize.toolkit.fluxcd.io/checksum";
/// The value that switches one of the above on.
pub const ENABLED: &str = "enabled";
/// The value that switches one of the above off.
pub const DISABLED: &str = "disabled";

/// Label of a released object: name of its HelmRelease.
pub const HELM_NAME: &str = "helm.toolkit.fluxcd.io/name";
/// Label of a released object: namespace of its HelmRelease.
pub const HELM_NAMESPACE: &str = "helm.toolkit.fluxcd.io/namespace";
/// Label or annotation of a released object: whether drift is looked for.
pub const HELM_DRIFT_DETECTION: &str = "helm.toolkit.fluxcd.io/driftDetection";

/// Field manager that source-controller writes its objects as.
pub const SOURCE_MANAGER: &str = "source-controller";
/// Field manager that kustomize-controller applies managed objects as.
pub const KUSTOMIZE_APPLY_MANAGER: &str = "kustomize-controller";
/// Field manager that kustomize-controller writes its Kustomizations as.
pub const KUSTOMIZE_STATUS_MANAGER: &str = "gotk-kustomize-controller";
/// Field manager that helm-controller writes everything as.
pub const HELM_MANAGER: &str = "helm-controller";
/// Field manager that notification-controller writes its objects as.
pub const NOTIFICATION_MANAGER: &str = "notification-controller";
/// Field manager that image-reflector-controller writes its objects as.
pub const IMAGE_REFLECTOR_MANAGER: &str = "image-reflector-controller";
/// Field manager that image-automation-controller writes its objects as.
pub const IMAGE_AUTOMATION_MANAGER: &str = "image-automation-controller";
/// Field manager of the command line.
pub const CLI_MANAGER: &str = "flux";
