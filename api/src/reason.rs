//! The reasons of conditions and events: words that alerts, dashboards and
//! scripts match on, and that therefore never change.
//!
//! First those that several controllers use, then a module a controller.

/// The work is done.
pub const SUCCEEDED: &str = "Succeeded";
/// The work failed for a reason without a word of its own.
pub const FAILED: &str = "Failed";
/// The work is under way.
pub const PROGRESSING: &str = "Progressing";
/// The work failed and will be tried again.
pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";
/// The object is suspended.
pub const SUSPENDED: &str = "Suspended";
/// A dependency is not ready.
pub const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";
/// A reference across namespaces is not allowed.
pub const ACCESS_DENIED: &str = "AccessDenied";
/// A CEL expression does not compile.
pub const INVALID_CEL_EXPRESSION: &str = "InvalidCELExpression";
/// The object asks for something whose feature gate is off.
pub const FEATURE_GATE_DISABLED: &str = "FeatureGateDisabled";
/// The artifact of the source could not be fetched.
pub const ARTIFACT_FAILED: &str = "ArtifactFailed";
/// Credentials are missing, wrong or not accepted.
pub const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
/// Something could not be read.
pub const READ_OPERATION_FAILED: &str = "ReadOperationFailed";
/// A newer reconciliation made waiting for health pointless.
pub const HEALTH_CHECK_CANCELED: &str = "HealthCheckCanceled";

/// Reasons of source-controller.
pub mod source {
    /// The URL cannot be parsed.
    pub const URL_INVALID: &str = "URLInvalid";
    /// A signature did not verify.
    pub const VERIFICATION_ERROR: &str = "VerificationError";
    /// A directory could not be made.
    pub const DIR_CREATION_FAILED: &str = "DirectoryCreationFailed";
    /// A file could not be looked at.
    pub const STAT_OPERATION_FAILED: &str = "StatOperationFailed";
    /// The artifact's lock could not be taken.
    pub const ACQUIRE_LOCK_FAILED: &str = "AcquireLockFailed";
    /// A path in the storage is not valid.
    pub const INVALID_PATH: &str = "InvalidPath";
    /// The archive could not be written.
    pub const ARCHIVE_OPERATION_FAILED: &str = "ArchiveOperationFailed";
    /// The link to the latest artifact could not be set.
    pub const SYMLINK_UPDATE_FAILED: &str = "SymlinkUpdateFailed";
    /// The artifact is that of the current revision.
    pub const ARTIFACT_UP_TO_DATE: &str = "ArtifactUpToDate";
    /// The cache did not take or give something.
    pub const CACHE_OPERATION_FAILED: &str = "CacheOperationFailed";
    /// The object could not be patched.
    pub const PATCH_OPERATION_FAILED: &str = "PatchOperationFailed";
    /// The token service of a bucket is not configured rightly.
    pub const INVALID_STS_CONFIGURATION: &str = "InvalidSTSConfiguration";
    /// The provider is not configured rightly.
    pub const INVALID_PROVIDER_CONFIGURATION: &str = "InvalidProviderConfiguration";

    /// Git gave what was asked for.
    pub const GIT_OPERATION_SUCCEEDED: &str = "GitOperationSucceeded";
    /// Git failed.
    pub const GIT_OPERATION_FAILED: &str = "GitOperationFailed";
    /// The repository has no commit.
    pub const EMPTY_GIT_REPOSITORY: &str = "EmptyGitRepository";
    /// The ignore rules cannot be read.
    pub const SOURCE_IGNORE_ERROR: &str = "SourceIgnoreError";
    /// An included source could not be copied.
    pub const COPY_FAILURE: &str = "CopyFailure";
    /// The place of an included source is outside of the artifact.
    pub const ILLEGAL_PATH: &str = "IllegalPath";
    /// The set of included artifacts changed.
    pub const INCLUDE_CHANGE: &str = "IncludeChange";
    /// The mode of verification is not known.
    pub const INVALID_VERIFICATION_MODE: &str = "InvalidVerificationMode";
    /// There is nothing of that form to verify.
    pub const INVALID_GIT_OBJECT: &str = "InvalidGitObject";
    /// The tag's signature did not verify.
    pub const INVALID_TAG_SIGNATURE: &str = "InvalidTagSignature";
    /// The commit's signature did not verify.
    pub const INVALID_COMMIT_SIGNATURE: &str = "InvalidCommitSignature";

    /// An OCI artifact could not be pulled.
    pub const OCI_PULL_FAILED: &str = "OCIArtifactPullFailed";
    /// The layer of an OCI artifact could not be read.
    pub const OCI_LAYER_OPERATION_FAILED: &str = "OCIArtifactLayerOperationFailed";

    /// A bucket gave what was asked for.
    pub const BUCKET_OPERATION_SUCCEEDED: &str = "BucketOperationSucceeded";
    /// A bucket failed.
    pub const BUCKET_OPERATION_FAILED: &str = "BucketOperationFailed";

    /// The index of a Helm repository cannot be read.
    pub const INDEXATION_FAILED: &str = "IndexationFailed";
    /// A chart was pulled.
    pub const CHART_PULL_SUCCEEDED: &str = "ChartPullSucceeded";
    /// A chart was packaged.
    pub const CHART_PACKAGE_SUCCEEDED: &str = "ChartPackageSucceeded";
    /// The dependencies of a chart were resolved.
    pub const RESOLVED_DEPENDENCIES: &str = "ResolvedDependencies";
    /// The source that a chart comes from has no artifact.
    pub const NO_SOURCE_ARTIFACT: &str = "NoSourceArtifact";
    /// The source that a chart comes from is not there.
    pub const SOURCE_UNAVAILABLE: &str = "SourceUnavailable";
    /// The source that a chart comes from is of a kind that has no charts.
    pub const UNSUPPORTED_SOURCE_KIND: &str = "UnsupportedSourceKind";
    /// The chart's name or version is not valid.
    pub const INVALID_CHART_REFERENCE: &str = "InvalidChartReference";
    /// The chart could not be pulled.
    pub const CHART_PULL_ERROR: &str = "ChartPullError";
    /// The chart's metadata could not be changed.
    pub const METADATA_PATCH_ERROR: &str = "MetadataPatchError";
    /// The values files could not be merged.
    pub const VALUES_FILES_ERROR: &str = "ValuesFilesError";
    /// The chart's dependencies could not be built.
    pub const DEPENDENCY_BUILD_ERROR: &str = "DependencyBuildError";
    /// The chart could not be packaged.
    pub const CHART_PACKAGE_ERROR: &str = "ChartPackageError";
    /// The chart's signature did not verify.
    pub const CHART_VERIFICATION_ERROR: &str = "ChartVerificationError";
    /// The chart could not be built for a reason without a word of its own.
    pub const UNKNOWN: &str = "Unknown";

    /// There is a new revision.
    pub const NEW_REVISION: &str = "NewRevision";
    /// There is a new chart.
    pub const NEW_CHART: &str = "NewChart";
    /// There is a new artifact.
    pub const NEW_ARTIFACT: &str = "NewArtifact";
    /// What is referred to is not there.
    pub const NOT_FOUND: &str = "NotFound";
    /// What is referred to has no artifact.
    pub const NO_ARTIFACT: &str = "NoArtifact";
    /// Old artifacts were removed.
    pub const GARBAGE_COLLECTION_SUCCEEDED: &str = "GarbageCollectionSucceeded";
    /// Old artifacts could not be removed.
    pub const GARBAGE_COLLECTION_FAILED: &str = "GarbageCollectionFailed";
    /// The stored artifact is not what was stored.
    pub const ARTIFACT_VERIFICATION_FAILED: &str = "ArtifactVerificationFailed";
}

/// Reasons of kustomize-controller.
pub mod kustomize {
    /// All was applied, pruned and found healthy.
    pub const RECONCILIATION_SUCCEEDED: &str = "ReconciliationSucceeded";
    /// The cluster could not be reached or did not take an object.
    pub const RECONCILIATION_FAILED: &str = "ReconciliationFailed";
    /// The objects could not be built.
    pub const BUILD_FAILED: &str = "BuildFailed";
    /// An object could not be deleted.
    pub const PRUNE_FAILED: &str = "PruneFailed";
    /// An object is not healthy.
    pub const HEALTH_CHECK_FAILED: &str = "HealthCheckFailed";
    /// The temporary directory could not be made.
    pub const DIR_CREATION_FAILED: &str = "DirCreationFailed";
}

/// Reasons of helm-controller.
pub mod helm {
    /// The source is not ready.
    pub const SOURCE_NOT_READY: &str = "SourceNotReady";
    /// The values could not be composed.
    pub const VALUES_ERROR: &str = "ValuesError";
    /// The chart's version does not fit the artifact.
    pub const CHART_MUTATE_ERROR: &str = "ChartMutateError";
    /// The target cluster cannot be reached.
    pub const REST_CLIENT_ERROR: &str = "RESTClientError";
    /// The objects' mapping cannot be set up.
    pub const RESOURCE_MANAGER_ERROR: &str = "ResourceManagerError";
    /// Helm cannot be configured.
    pub const FACTORY_ERROR: &str = "FactoryError";
    /// Helm cannot be configured, on uninstall.
    pub const CONFIG_FACTORY_ERROR: &str = "ConfigFactoryErr";
    /// The state of the release cannot be told.
    pub const STATE_ERROR: &str = "StateError";
    /// The action failed.
    pub const RECONCILE_ERROR: &str = "ReconcileError";
    /// The release was installed.
    pub const INSTALL_SUCCEEDED: &str = "InstallSucceeded";
    /// The release could not be installed.
    pub const INSTALL_FAILED: &str = "InstallFailed";
    /// The release was upgraded.
    pub const UPGRADE_SUCCEEDED: &str = "UpgradeSucceeded";
    /// The release could not be upgraded.
    pub const UPGRADE_FAILED: &str = "UpgradeFailed";
    /// The release waits for its tests.
    pub const AWAITING_TESTS: &str = "AwaitingTests";
    /// The tests went well.
    pub const TEST_SUCCEEDED: &str = "TestSucceeded";
    /// A test failed.
    pub const TEST_FAILED: &str = "TestFailed";
    /// The release was rolled back.
    pub const ROLLBACK_SUCCEEDED: &str = "RollbackSucceeded";
    /// The release could not be rolled back.
    pub const ROLLBACK_FAILED: &str = "RollbackFailed";
    /// The release was uninstalled.
    pub const UNINSTALL_SUCCEEDED: &str = "UninstallSucceeded";
    /// The release could not be uninstalled.
    pub const UNINSTALL_FAILED: &str = "UninstallFailed";
    /// The release was left behind in the middle of an action.
    pub const PENDING_RELEASE: &str = "PendingRelease";
    /// The cluster differs from the release.
    pub const DRIFT_DETECTED: &str = "DriftDetected";
    /// The cluster does not differ from the release.
    pub const NO_DRIFT_DETECTED: &str = "NoDriftDetected";
    /// The difference was corrected.
    pub const DRIFT_CORRECTED: &str = "DriftCorrected";
    /// The difference could not be corrected.
    pub const DRIFT_CORRECTION_FAILED: &str = "DriftCorrectionFailed";
    /// There will be no more attempts.
    pub const RETRIES_EXCEEDED: &str = "RetriesExceeded";
    /// There is no release to roll back to.
    pub const MISSING_ROLLBACK_TARGET: &str = "MissingRollbackTarget";
    /// A HelmChart was created.
    pub const HELM_CHART_CREATED: &str = "HelmChartCreated";
    /// A HelmChart was changed.
    pub const HELM_CHART_CONFIGURED: &str = "HelmChartConfigured";
    /// A HelmChart was deleted.
    pub const HELM_CHART_DELETED: &str = "HelmChartDeleted";
    /// A HelmChart could not be applied.
    pub const HELM_CHART_SYNC_ERROR: &str = "HelmChartSyncErr";
    /// The inventory could not be computed.
    pub const INVENTORY_BUILD_FAILED: &str = "InventoryBuildFailed";
    /// It is not known whether some kinds have a namespace.
    pub const NAMESPACE_CHECK_SKIPPED: &str = "NamespaceCheckSkipped";
}

/// Reasons of notification-controller.
pub mod notification {
    /// The receiver's Secret has no token.
    pub const TOKEN_NOT_FOUND: &str = "TokenNotFound";
    /// The specification contradicts itself.
    pub const VALIDATION_FAILED: &str = "ValidationFailed";
    /// An event could not be sent.
    pub const NOTIFICATION_DISPATCH_FAILED: &str = "NotificationDispatchFailed";
    /// A regular expression of an Alert does not compile.
    pub const INVALID_CONFIG: &str = "InvalidConfig";
    /// Two sources of metadata have the same key.
    pub const METADATA_APPEND_FAILED: &str = "MetadataAppendFailed";
    /// The object that an event is about cannot be read.
    pub const SOURCE_FETCH_FAILED: &str = "SourceFetchFailed";
    /// An object of an older version was adapted.
    pub const MIGRATION: &str = "Migration";
}

/// Reasons of the image controllers.
pub mod image {
    /// The image's name cannot be parsed.
    pub const IMAGE_URL_INVALID: &str = "ImageURLInvalid";
    /// The digest is to be kept up to date, but no interval is set.
    pub const INTERVAL_NOT_CONFIGURED: &str = "IntervalNotConfigured";
    /// The policy is not valid.
    pub const INVALID_POLICY: &str = "InvalidPolicy";
    /// The database or the policy failed.
    pub const FAILURE: &str = "Failure";
    /// The selector of policies cannot be parsed.
    pub const INVALID_POLICY_SELECTOR: &str = "InvalidPolicySelector";
    /// The source is of a wrong kind or lacks something.
    pub const INVALID_SOURCE_CONFIGURATION: &str = "InvalidSourceConfiguration";
    /// The source cannot be used.
    pub const SOURCE_MANAGER_FAILED: &str = "SourceManagerFailed";
    /// Git failed.
    pub const GIT_OPERATION_FAILED: &str = "GitOperationFailed";
    /// The strategy is not known.
    pub const INVALID_UPDATE_STRATEGY: &str = "InvalidUpdateStrategy";
    /// The files could not be updated.
    pub const UPDATE_FAILED: &str = "UpdateFailed";
    /// The message's template uses a field that is gone.
    pub const REMOVED_TEMPLATE_FIELD: &str = "RemovedTemplateField";
}
