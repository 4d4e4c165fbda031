//! The flags that all controllers share, with Flux's names, defaults and environment variables.

use std::time::Duration;

use clap::{ArgAction, Args};
use sluice_api::duration::GoDuration;

use crate::gates::{FeatureGates, GateError};
use crate::logging::{Encoding, Verbosity};
use crate::queue::Backoff;

/// Reads a duration in Go's notation, such as `1m30s`.
///
/// # Errors
/// The text of Go's own parser.
pub fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<GoDuration>()
        .map(GoDuration::to_std)
        .map_err(|error| error.to_string())
}

/// Flags of every controller.
#[derive(Debug, Clone, Args)]
pub struct CommonArgs {
    /// Address of the metrics endpoint; `0` turns it off.
    #[arg(long, env = "METRICS_ADDR", default_value = ":8080")]
    pub metrics_addr: String,
    /// Address of the probes; `0` turns them off.
    #[arg(long, default_value = ":9440")]
    pub health_addr: String,
    /// URL that events are posted to.
    #[arg(long, env = "EVENTS_ADDR", default_value = "")]
    pub events_addr: String,
    /// Accepted for compatibility: the API server's own fairness is relied on.
    #[arg(long, default_value_t = 50.0)]
    pub kube_api_qps: f32,
    /// Accepted for compatibility: the API server's own fairness is relied on.
    #[arg(long, default_value_t = 300)]
    pub kube_api_burst: u32,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "json")]
    pub log_encoding: Encoding,
    /// Least severe level that is logged.
    #[arg(long, value_enum, default_value = "info")]
    pub log_level: Verbosity,
    /// Whether replicas agree on one that works.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub enable_leader_election: bool,
    /// Whether the lease is given back on a graceful stop.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    pub leader_election_release_on_cancel: bool,
    /// How long a silent leader keeps its lease.
    #[arg(long, value_parser = duration, default_value = "35s")]
    pub leader_election_lease_duration: Duration,
    /// How long a leader tries to renew before it gives up.
    #[arg(long, value_parser = duration, default_value = "30s")]
    pub leader_election_renew_deadline: Duration,
    /// Pause between two tries to get or renew the lease.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub leader_election_retry_period: Duration,
    /// First delay of a failed reconciliation.
    #[arg(long, value_parser = duration, default_value = "750ms")]
    pub min_retry_delay: Duration,
    /// Longest delay of a failed reconciliation.
    #[arg(long, value_parser = duration, default_value = "15m")]
    pub max_retry_delay: Duration,
    /// Feature gates, `name=bool` separated by commas.
    #[arg(long, default_value = "")]
    pub feature_gates: String,
    /// Whether all namespaces are watched, or only the controller's own.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    pub watch_all_namespaces: bool,
    /// Label selector of the objects to reconcile, for sharding.
    #[arg(long, default_value = "")]
    pub watch_label_selector: String,
    /// Label selector of the ConfigMaps and Secrets whose changes trigger their users.
    #[arg(long, default_value = "reconcile.fluxcd.io/watch=Enabled")]
    pub watch_configs_label_selector: String,
    /// Share by which intervals vary, in percent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=99))]
    pub interval_jitter_percentage: u8,
    /// Delay before a look at a dependency that was not ready.
    #[arg(long, value_parser = duration, default_value = "30s")]
    pub requeue_dependency: Duration,
    /// Entries of the credential cache; 0 turns it off.
    #[arg(long, default_value_t = 100)]
    pub token_cache_max_size: usize,
    /// Longest life of a cached credential, at most an hour.
    #[arg(long, value_parser = duration, default_value = "1h")]
    pub token_cache_max_duration: Duration,
    /// Namespace that the controller runs in.
    #[arg(long, env = "RUNTIME_NAMESPACE", default_value = "", hide = true)]
    pub runtime_namespace: String,
}

impl CommonArgs {
    /// The back-off of failed reconciliations.
    pub fn backoff(&self) -> Backoff {
        Backoff {
            min: self.min_retry_delay,
            max: self.max_retry_delay,
        }
    }

    /// The feature gates, over the controller's defaults.
    ///
    /// # Errors
    /// A malformed entry or an unknown gate: the controller must exit.
    pub fn gates(&self, defaults: &[(&'static str, bool)]) -> Result<FeatureGates, GateError> {
        FeatureGates::parse(defaults, &self.feature_gates)
    }

    /// The namespace to watch; `None` means all of them.
    pub fn namespace(&self) -> Option<&str> {
        (!self.watch_all_namespaces).then_some(self.runtime_namespace.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        common: CommonArgs,
    }

    #[test]
    fn flux_s_own_arguments_are_understood() {
        let cli = Cli::try_parse_from([
            "c",
            "--watch-all-namespaces",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--interval-jitter-percentage=0",
            "--requeue-dependency=5s",
        ])
        .expect("valid");
        assert!(cli.common.enable_leader_election);
        assert_eq!(cli.common.requeue_dependency, Duration::from_secs(5));
        assert_eq!(cli.common.namespace(), None);
        let cli = Cli::try_parse_from(["c", "--watch-all-namespaces=false"]).expect("valid");
        assert_eq!(cli.common.namespace(), Some(""));
        assert!(Cli::try_parse_from(["c", "--interval-jitter-percentage=100"]).is_err());
        assert!(Cli::try_parse_from(["c", "--max-retry-delay=1d"]).is_err());
    }
}
