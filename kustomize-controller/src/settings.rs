//! The controller's flags and what follows from them.

use clap::{ArgAction, Parser};
use sluice_objects::stage::CustomKinds;
use sluice_objects::takeover::Managers;
use sluice_runtime::args::CommonArgs;
use sluice_runtime::gates::FeatureGates;

/// Name of the controller: component of its events, prefix of its lease.
pub const CONTROLLER: &str = "kustomize-controller";

/// The feature gates with their defaults.
pub const GATES: &[(&str, bool)] = &[
    (ADDITIVE_CEL_DEPENDENCY_CHECK, false),
    ("CacheSecretsAndConfigMaps", false),
    (CANCEL_HEALTH_CHECK, false),
    ("DirectSourceFetch", false),
    (DISABLE_CONFIG_WATCHERS, false),
    (DISABLE_FAIL_FAST, false),
    ("DisableStatusPollerCache", true),
    (EXTERNAL_ARTIFACT, false),
    (GROUP_CHANGE_LOG, false),
    (MIGRATE_API_VERSION, false),
    (OBJECT_LEVEL_WORKLOAD_IDENTITY, false),
    (STRICT_SUBSTITUTIONS, true),
];

const ADDITIVE_CEL_DEPENDENCY_CHECK: &str = "AdditiveCELDependencyCheck";
const CANCEL_HEALTH_CHECK: &str = "CancelHealthCheckOnNewRevision";
const DISABLE_CONFIG_WATCHERS: &str = "DisableConfigWatchers";
const DISABLE_FAIL_FAST: &str = "DisableFailFastBehavior";
const EXTERNAL_ARTIFACT: &str = "ExternalArtifact";
const GROUP_CHANGE_LOG: &str = "GroupChangeLog";
const MIGRATE_API_VERSION: &str = "MigrateAPIVersion";
const OBJECT_LEVEL_WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";
const STRICT_SUBSTITUTIONS: &str = "StrictPostBuildSubstitutions";

/// Builds, applies, prunes and health-checks what Kustomizations describe.
#[derive(Debug, Clone, Parser)]
#[command(name = CONTROLLER, version)]
pub struct Args {
    /// Flags that all controllers share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// How many Kustomizations are worked on at a time.
    #[arg(long, default_value_t = 4)]
    pub concurrent: usize,
    /// How many objects of one Kustomization are written or checked at a time.
    #[arg(long, default_value_t = 4)]
    pub concurrent_ssa: usize,
    /// Kinds to apply in a stage of their own before the rest: `group/Kind`, separated by commas.
    #[arg(long, default_value = "")]
    pub custom_apply_stage_kinds: String,
    /// ServiceAccount that Kustomizations without one apply as.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// ServiceAccount that Kustomizations without one decrypt as.
    #[arg(long, default_value = "")]
    pub default_decryption_service_account: String,
    /// ServiceAccount that kubeConfigs without one get their credentials as.
    #[arg(long, default_value = "")]
    pub default_kubeconfig_service_account: String,
    /// Retries of an artifact's download.
    #[arg(long, default_value_t = 9)]
    pub http_retry: u32,
    /// Whether kubeconfigs may run programs.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub insecure_kubeconfig_exec: bool,
    /// Whether kubeconfigs may leave certificates unverified.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub insecure_kubeconfig_tls: bool,
    /// Whether sources of other namespaces are refused.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub no_cross_namespace_refs: bool,
    /// Whether remote bases and files are refused.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub no_remote_bases: bool,
    /// Field managers (by prefix) whose fields are taken over; may be repeated.
    #[arg(long)]
    pub override_manager: Vec<String>,
    /// Secret in the controller's namespace with age keys for all Kustomizations.
    #[arg(long, default_value = "")]
    pub sops_age_secret: String,
    /// ConfigMap in the controller's namespace that says how to log in to Vault.
    #[arg(long, default_value = "")]
    pub sops_vault_configmap: String,
}

/// What the flags and gates mean, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The flags.
    pub args: Args,
    /// Kinds of the custom stage.
    pub custom_kinds: CustomKinds,
    /// Whose fields are taken over.
    pub managers: Managers,
    /// The gates.
    pub gates: Gates,
}

/// The gates that change what this controller does. The others are accepted: their choice makes no
/// difference here, for sources, ConfigMaps and statuses are read in other ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gates {
    /// A true readyExpr is not enough: the built-in checks follow.
    pub additive_cel_dependency_check: bool,
    /// Any trigger ends a wait for health and is told in the status.
    pub cancel_health_check: bool,
    /// ConfigMaps and Secrets are not watched.
    pub disable_config_watchers: bool,
    /// Waits go on after a failure until nothing else moves.
    pub disable_fail_fast: bool,
    /// Sources of kind ExternalArtifact are allowed.
    pub external_artifact: bool,
    /// The log of an apply is grouped by action.
    pub group_change_log: bool,
    /// Fields recorded for another API version of an object are moved to the manifest's.
    pub migrate_api_version: bool,
    /// ServiceAccounts may stand for cloud identities.
    pub object_level_workload_identity: bool,
    /// A variable that is not set fails the build.
    pub strict_substitutions: bool,
}

impl Gates {
    /// The values of the gates.
    pub fn of(gates: &FeatureGates) -> Self {
        Self {
            additive_cel_dependency_check: gates.enabled(ADDITIVE_CEL_DEPENDENCY_CHECK),
            cancel_health_check: gates.enabled(CANCEL_HEALTH_CHECK),
            disable_config_watchers: gates.enabled(DISABLE_CONFIG_WATCHERS),
            disable_fail_fast: gates.enabled(DISABLE_FAIL_FAST),
            external_artifact: gates.enabled(EXTERNAL_ARTIFACT),
            group_change_log: gates.enabled(GROUP_CHANGE_LOG),
            migrate_api_version: gates.enabled(MIGRATE_API_VERSION),
            object_level_workload_identity: gates.enabled(OBJECT_LEVEL_WORKLOAD_IDENTITY),
            strict_substitutions: gates.enabled(STRICT_SUBSTITUTIONS),
        }
    }
}

impl Settings {
    /// Checks the flags that have a form of their own.
    ///
    /// # Errors
    /// A malformed kind, or a default ServiceAccount for an identity whose gate is off.
    pub fn new(args: Args, gates: Gates) -> anyhow::Result<Self> {
        let identities = [
            (
                "default-decryption-service-account",
                &args.default_decryption_service_account,
            ),
            (
                "default-kubeconfig-service-account",
                &args.default_kubeconfig_service_account,
            ),
        ];
        for (flag, value) in identities {
            if !value.is_empty() && !gates.object_level_workload_identity {
                anyhow::bail!(
                    "to configure --{flag} please enable the {OBJECT_LEVEL_WORKLOAD_IDENTITY} feature gate"
                );
            }
        }
        Ok(Self {
            custom_kinds: CustomKinds::parse(&args.custom_apply_stage_kinds)?,
            managers: Managers {
                overridden: args.override_manager.clone(),
            },
            gates,
            args,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: &[&str]) -> anyhow::Result<Settings> {
        let args = Args::try_parse_from([&[CONTROLLER], flags].concat())?;
        let gates = Gates::of(&args.common.gates(GATES)?);
        Settings::new(args, gates)
    }

    #[test]
    fn flux_s_flags_and_gates_are_understood() {
        let settings = settings(&[
            "--concurrent=20",
            "--concurrent-ssa",
            "8",
            "--custom-apply-stage-kinds=rbac.authorization.k8s.io/Role",
            "--no-cross-namespace-refs=true",
            "--no-remote-bases",
            "--override-manager=a",
            "--override-manager=b,c",
            "--feature-gates=ExternalArtifact=true,StrictPostBuildSubstitutions=false",
        ])
        .unwrap();
        assert_eq!(settings.args.concurrent, 20);
        assert_eq!(settings.managers.overridden, ["a", "b,c"]);
        assert!(settings.gates.external_artifact);
        assert!(!settings.gates.strict_substitutions);
        assert!(settings.args.no_remote_bases && settings.args.no_cross_namespace_refs);
    }

    #[test]
    fn impossible_flags_end_the_start() {
        assert!(settings(&["--feature-gates=Nope=true"]).is_err());
        assert!(settings(&["--custom-apply-stage-kinds=a/b/c"]).is_err());
        assert!(settings(&["--default-kubeconfig-service-account=x"]).is_err());
        assert!(
            settings(&[
                "--default-kubeconfig-service-account=x",
                "--feature-gates=ObjectLevelWorkloadIdentity=true"
            ])
            .is_ok()
        );
    }
}
