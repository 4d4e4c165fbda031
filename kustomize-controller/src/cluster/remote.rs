//! Clusters behind a kubeconfig.
//!
//! A kubeconfig comes from a user, so nothing in it may reach the files or programs of this process:
//! paths, token files and helper programs are dropped. Connections are kept for the clusters used last.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::Live;
use super::mapper::Mapper;

/// Most clusters that are kept connected.
const MAX_CLUSTERS: usize = 64;
/// Largest kubeconfig, in bytes.
const MAX_KUBECONFIG: usize = 1 << 20;

/// What a kubeconfig may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Programs that give credentials (`--insecure-kubeconfig-exec`).
    pub exec: bool,
    /// Unverified certificates (`--insecure-kubeconfig-tls`).
    pub insecure_tls: bool,
}

/// The connected clusters.
#[derive(Default)]
pub struct Remotes {
    allowed: Allowed,
    clusters: Mutex<Clusters>,
}

#[derive(Default)]
struct Clusters {
    by_content: HashMap<u64, (Live, u64)>,
    clock: u64,
}

impl std::fmt::Debug for Remotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remotes")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl Remotes {
    /// No cluster yet.
    pub fn new(allowed: Allowed) -> Self {
        Self {
            allowed,
            clusters: Mutex::default(),
        }
    }

    /// The cluster of a kubeconfig, with the identity that it gives.
    ///
    /// # Errors
    /// What is wrong with the kubeconfig. Never quotes it.
    pub async fn connect(&self, kubeconfig: &[u8]) -> Result<Live, String> {
        let mut hasher = DefaultHasher::new();
        kubeconfig.hash(&mut hasher);
        let content = hasher.finish();
        if let Some(live) = self.known(content) {
            return Ok(live);
        }
        let config = read(kubeconfig, self.allowed).await?;
        let client = Client::try_from(config)
            .map_err(|_| "kubeconfig cannot be used to connect".to_owned())?;
        let live = Live::new(client.clone(), Arc::new(Mapper::new(client)));
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.clock += 1;
        let now = clusters.clock;
        if clusters.by_content.len() >= MAX_CLUSTERS {
            let oldest = clusters
                .by_content
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(content, _)| *content);
            oldest.map(|content| clusters.by_content.remove(&content));
        }
        clusters.by_content.insert(content, (live.clone(), now));
        Ok(live)
    }

    fn known(&self, content: u64) -> Option<Live> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.clock += 1;
        let now = clusters.clock;
        let (live, used) = clusters.by_content.get_mut(&content)?;
        *used = now;
        Some(live.clone())
    }
}

async fn read(kubeconfig: &[u8], allowed: Allowed) -> Result<Config, String> {
    let invalid = || "kubeconfig is not valid".to_owned();
    if kubeconfig.len() > MAX_KUBECONFIG {
        return Err(format!("kubeconfig is larger than {MAX_KUBECONFIG} bytes"));
    }
    let text = std::str::from_utf8(kubeconfig).map_err(|_| invalid())?;
    let mut parsed = Kubeconfig::from_yaml(text).map_err(|_| invalid())?;
    sanitise(&mut parsed, allowed);
    let mut config = Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
        .await
        .map_err(|error| format!("kubeconfig is not valid: {error}"))?;
    config.connect_timeout = Some(Duration::from_secs(10));
    Ok(config)
}

/// Drops whatever would reach out of the kubeconfig itself.
fn sanitise(kubeconfig: &mut Kubeconfig, allowed: Allowed) {
    for named in &mut kubeconfig.clusters {
        if let Some(cluster) = &mut named.cluster {
            cluster.certificate_authority = None;
            if !allowed.insecure_tls {
                cluster.insecure_skip_tls_verify = None;
            }
        }
    }
    for named in &mut kubeconfig.auth_infos {
        if let Some(user) = &mut named.auth_info {
            user.token_file = None;
            user.client_certificate = None;
            user.client_key = None;
            user.auth_provider = None;
            if !allowed.exec {
                user.exec = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: c
clusters:
- name: c
  cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true, certificate-authority: /etc/passwd}
contexts:
- name: c
  context: {cluster: c, user: u}
users:
- name: u
  user:
    token: t
    tokenFile: /etc/passwd
    client-certificate: /etc/passwd
    client-key: /etc/passwd
    auth-provider: {name: gcp}
    exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/false}
";

    #[test]
    fn nothing_reaches_files_or_programs() {
        let mut kubeconfig = Kubeconfig::from_yaml(KUBECONFIG).unwrap();
        sanitise(&mut kubeconfig, Allowed::default());
        let cluster = kubeconfig.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(
            (
                &cluster.certificate_authority,
                cluster.insecure_skip_tls_verify
            ),
            (&None, None)
        );
        let user = kubeconfig.auth_infos[0].auth_info.as_ref().unwrap();
        assert!(
            user.token_file.is_none()
                && user.client_certificate.is_none()
                && user.client_key.is_none()
        );
        assert!(user.auth_provider.is_none() && user.exec.is_none() && user.token.is_some());
    }

    #[tokio::test]
    async fn clusters_are_connected_once() {
        sluice_runtime::client::install_tls();
        let remotes = Remotes::new(Allowed::default());
        let first = remotes.connect(KUBECONFIG.as_bytes()).await.unwrap();
        let second = remotes.connect(KUBECONFIG.as_bytes()).await.unwrap();
        assert!(Arc::ptr_eq(first.mapper(), second.mapper()));
        let error = remotes.connect(b"users: [").await.map(|_| ()).unwrap_err();
        assert_eq!(error, "kubeconfig is not valid");
    }
}
