//! The remote of a GitRepository, with the credentials that its Secrets hold.

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use sluice_api::condition::FETCH_FAILED;
use sluice_api::reason::AUTHENTICATION_FAILED;
use sluice_api::source::GitRepositorySpec;
use sluice_git::{Remote, RemoteUrl};

use crate::common::failure::Failure;
use crate::git::credentials::{self, Identity, SecretData};
use crate::git::reconcile::Reconciler;

impl Reconciler {
    /// The remote with its credentials.
    pub(super) async fn remote(
        &self,
        spec: &GitRepositorySpec,
        namespace: &str,
    ) -> Result<Remote, Failure> {
        if let Some(path) = self.local.find(&spec.url) {
            let mut remote = Remote::new(RemoteUrl::Local(path));
            remote.given = spec.url.clone();
            return Ok(remote);
        }
        let proxy = match &spec.proxy_secret_ref {
            None => None,
            Some(reference) => {
                let secret = self
                    .secret(namespace, &reference.name)
                    .await
                    .map_err(|error| {
                        let name = format!("{namespace}/{}", reference.name);
                        let why = if error.is_not_found() {
                            format!("secret '{name}' not found")
                        } else {
                            format!("failed to get secret '{name}': {}", error.message)
                        };
                        authentication(format!("failed to configure proxy options: {why}"))
                    })?;
                Some(credentials::proxy(&secret)?)
            }
        };
        let url = credentials::url(spec)?;
        let secret = match &spec.secret_ref {
            None => None,
            Some(reference) => Some(self.secret(namespace, &reference.name).await.map_err(
                |error| {
                    let name = format!("{namespace}/{}", reference.name);
                    // Twice, as Flux has it.
                    authentication(format!(
                        "failed to get secret '{name}': failed to get secret '{name}': {}",
                        error.message
                    ))
                },
            )?),
        };
        let proxy = match (&url, proxy) {
            // HTTP clients know the environment's proxies themselves.
            (RemoteUrl::Ssh(ssh), None) => self.socks.for_host(&ssh.host),
            (_, proxy) => proxy,
        };
        let (mut remote, identity) =
            credentials::remote(spec, url, secret.as_ref(), proxy, self.object_identity)?;
        if identity != Identity::Given {
            remote.http = self.identities.credentials(&identity, &remote).await?;
        }
        Ok(remote)
    }

    /// Reads a Secret from the API, with its texts for messages.
    pub(crate) async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<SecretData, SecretError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = api.get(name).await.map_err(|error| match error {
            kube::Error::Api(status) => SecretError {
                code: status.code,
                message: status.message.clone(),
            },
            other => SecretError {
                code: 0,
                message: other.to_string(),
            },
        })?;
        let data = secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, value.0))
            .collect();
        Ok(SecretData {
            name: format!("{namespace}/{name}"),
            data,
        })
    }
}

/// Why a Secret cannot be read.
#[derive(Debug)]
pub(crate) struct SecretError {
    code: u16,
    /// The API server's own words.
    pub(crate) message: String,
}

impl SecretError {
    fn is_not_found(&self) -> bool {
        self.code == 404
    }
}

fn authentication(message: String) -> Failure {
    Failure::retry(FETCH_FAILED, AUTHENTICATION_FAILED, message)
}
