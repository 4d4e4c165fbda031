//! Which cluster the command line talks to, and as whom: kubectl's rules.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use serde_json::json;

/// The options that say how to reach the cluster.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Path of the kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// Cluster of the kubeconfig to use
    #[arg(long, global = true)]
    pub cluster: Option<String>,
    /// User of the kubeconfig to use
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// Address of the API server
    #[arg(long, global = true)]
    pub server: Option<String>,
    /// Name that the API server's certificate has to have
    #[arg(long, global = true, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Do not check the API server's certificate
    #[arg(long, global = true)]
    pub insecure_skip_tls_verify: bool,
    /// File with the certificate authority
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate_authority: Option<PathBuf>,
    /// File with the client certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,
    /// File with the client's key
    #[arg(long, global = true, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Bearer token
    #[arg(long, global = true)]
    pub token: Option<String>,
    /// User to act as
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// Group to act as; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,
    /// User id to act as
    #[arg(long = "as-uid", global = true, value_name = "UID")]
    pub impersonate_uid: Option<String>,
    /// Do not compress responses
    #[arg(long, global = true)]
    pub disable_compression: bool,
    /// Accepted for the sake of scripts: there is no discovery cache
    #[arg(long, global = true, hide = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Accepted for the sake of scripts: one command makes few requests
    #[arg(long, global = true, hide = true, default_value_t = 50.0)]
    pub kube_api_qps: f64,
    /// Accepted for the sake of scripts: one command makes few requests
    #[arg(long, global = true, hide = true, default_value_t = 300)]
    pub kube_api_burst: u32,
}

impl ClusterArgs {
    /// Reads the kubeconfig and applies the options to it.
    ///
    /// # Errors
    ///
    /// Fails when there is no cluster to talk to, or a file cannot be read.
    pub async fn config(&self) -> anyhow::Result<Config> {
        let mut config = self.load().await?;
        if let Some(server) = &self.server {
            config.cluster_url = server
                .parse()
                .with_context(|| format!("server `{server}`"))?;
        }
        if self.tls_server_name.is_some() {
            config.tls_server_name.clone_from(&self.tls_server_name);
        }
        config.accept_invalid_certs |= self.insecure_skip_tls_verify;
        config.disable_compression |= self.disable_compression;
        if self.certificate_authority.is_some() {
            config
                .root_cert_file
                .clone_from(&self.certificate_authority);
        }
        self.authenticate(&mut config.auth_info)?;
        Ok(config)
    }

    async fn load(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
        };
        let chosen = options.context.is_some() || options.cluster.is_some();
        if let Some(path) = &self.kubeconfig {
            let describe = || format!("cannot use kubeconfig `{}`", path.display());
            let kubeconfig = Kubeconfig::read_from(path).with_context(describe)?;
            return Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .with_context(describe);
        }
        if chosen || options.user.is_some() {
            return Config::from_kubeconfig(&options)
                .await
                .context("cannot use the kubeconfig");
        }
        match (Config::infer().await, &self.server) {
            (Ok(config), _) => Ok(config),
            (Err(_), Some(server)) => {
                let url = server.parse().with_context(|| format!("server `{server}`"))?;
                Ok(Config::new(url))
            }
            (Err(error), None) => Err(error).context(
                "no cluster to talk to; set `--kubeconfig` or KUBECONFIG, or start one with `sluice up`",
            ),
        }
    }

    fn authenticate(&self, auth: &mut AuthInfo) -> anyhow::Result<()> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        if let Some(certificate) = &self.client_certificate {
            auth.client_certificate = Some(path(certificate));
            auth.client_certificate_data = None;
        }
        if let Some(key) = &self.client_key {
            auth.client_key = Some(path(key));
            auth.client_key_data = None;
        }
        if let Some(token) = &self.token {
            let with_token: AuthInfo = serde_json::from_value(json!({ "token": token }))
                .context("the token cannot be used")?;
            auth.token = with_token.token;
            auth.token_file = None;
        }
        if self.impersonate.is_some() {
            auth.impersonate.clone_from(&self.impersonate);
        }
        if !self.impersonate_groups.is_empty() {
            auth.impersonate_groups = Some(self.impersonate_groups.clone());
        }
        if self.impersonate_uid.is_some() {
            auth.impersonate_uid.clone_from(&self.impersonate_uid);
        }
        Ok(())
    }

    /// The namespace of the chosen context, if it names one.
    pub fn context_namespace(&self) -> Option<String> {
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path).ok()?,
            None => Kubeconfig::read().ok()?,
        };
        let current = self.context.clone().or(kubeconfig.current_context)?;
        let named = kubeconfig
            .contexts
            .into_iter()
            .find(|c| c.name == current)?;
        named
            .context?
            .namespace
            .filter(|namespace| !namespace.is_empty())
    }
}
