//! The flags of source-controller, with Flux's names, defaults and environment variables.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sluice_runtime::args::{CommonArgs, duration};

/// Fetches sources and serves them as artifacts.
#[derive(Debug, Clone, Parser)]
#[command(name = "source-controller", version)]
pub struct SourceArgs {
    /// The flags of every controller.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Objects of a kind that are worked on at the same time.
    #[arg(long, default_value_t = 2)]
    pub concurrent: usize,
    /// Folder of the artifacts; it has to exist.
    #[arg(long, env = "STORAGE_PATH", default_value = "/data")]
    pub storage_path: PathBuf,
    /// Address of the file server.
    #[arg(long, env = "STORAGE_ADDRESS", default_value = ":9090")]
    pub storage_addr: String,
    /// Address under which other controllers reach the file server; by default the one it listens on.
    #[arg(long, env = "STORAGE_ADV_ADDR", default_value = "")]
    pub storage_adv_addr: String,
    /// Age at which stale artifacts are removed.
    #[arg(long, value_parser = duration, default_value = "1m")]
    pub artifact_retention_ttl: Duration,
    /// Artifacts of an object that are kept at most.
    #[arg(long, default_value_t = 2)]
    pub artifact_retention_records: usize,
    /// Hash of artifacts: sha256, sha384, sha512 or blake3.
    #[arg(long, default_value = "sha256")]
    pub artifact_digest_algo: String,
    /// SSH key exchange algorithms to offer, best first.
    #[arg(long, value_delimiter = ',')]
    pub ssh_kex_algos: Vec<String>,
    /// SSH host key algorithms to accept, best first.
    #[arg(long, value_delimiter = ',')]
    pub ssh_hostkey_algos: Vec<String>,
    /// ServiceAccount that objects act as which name none.
    #[arg(long, default_value = "")]
    pub default_service_account: String,
    /// Largest index of a Helm repository in bytes.
    #[arg(long, default_value_t = 50 << 20)]
    pub helm_index_max_size: u64,
    /// Largest chart in bytes.
    #[arg(long, default_value_t = 10 << 20)]
    pub helm_chart_max_size: u64,
    /// Largest file of a chart in bytes.
    #[arg(long, default_value_t = 5 << 20)]
    pub helm_chart_file_max_size: u64,
    /// Indexes of Helm repositories that are kept in memory.
    #[arg(long, default_value_t = 0)]
    pub helm_cache_max_size: usize,
    /// Time that an index is kept in memory.
    #[arg(long, default_value = "15m")]
    pub helm_cache_ttl: String,
    /// How often old indexes are dropped.
    #[arg(long, default_value = "1m")]
    pub helm_cache_purge_interval: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_flux_s_own_deployment_are_understood() {
        let args = SourceArgs::try_parse_from([
            "source-controller",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--storage-path=/data",
            "--storage-adv-addr=source-controller.flux-system.svc.cluster.local.",
            "--ssh-kex-algos=curve25519-sha256,ecdh-sha2-nistp256",
            "--artifact-retention-ttl=30s",
            "--helm-cache-max-size=10",
        ])
        .unwrap();
        assert_eq!(args.ssh_kex_algos.len(), 2);
        assert_eq!(args.artifact_retention_ttl, Duration::from_secs(30));
        assert_eq!(args.storage_addr, ":9090");
    }
}
