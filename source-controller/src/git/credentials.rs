//! From the address, the Secrets and the provider of a GitRepository to a remote that can be asked.
//! Pure: the caller has read the Secrets.

use std::collections::BTreeMap;

use sluice_api::condition::FETCH_FAILED;
use sluice_api::reason::{AUTHENTICATION_FAILED, FEATURE_GATE_DISABLED, source};
use sluice_api::source::{GitProvider, GitRepositorySpec};
use sluice_git::auth::is_encrypted;
use sluice_git::{HttpAuth, Proxy, Remote, RemoteUrl, Secret, SshAuth, Tls};

use crate::common::failure::Failure;

/// The feature gate that identities of single objects need.
pub const OBJECT_IDENTITY_GATE: &str = "ObjectLevelWorkloadIdentity";

/// Longest proxy address.
const MAX_PROXY_ADDRESS: usize = 2048;

/// A Secret's data with the name that messages have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretData {
    /// `namespace/name`.
    pub name: String,
    /// Its keys.
    pub data: BTreeMap<String, Vec<u8>>,
}

impl SecretData {
    /// The text under a key; an absent key and an empty text are the same here.
    fn text(&self, key: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.data.get(key)?).into_owned();
        (!text.is_empty()).then_some(text)
    }

    fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        self.data
            .get(key)
            .filter(|bytes| !bytes.is_empty())
            .cloned()
    }
}

/// Whether a feature gate is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// Where the credentials of a remote come from, beyond what its Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The Secret has them all.
    Given,
    /// They have to be exchanged for a GitHub App's key.
    GitHubApp(GitHubApp),
    /// They have to be got from a cloud, for its own identity or a ServiceAccount's.
    Cloud {
        /// The cloud.
        provider: Cloud,
        /// The object's own ServiceAccount.
        service_account: Option<String>,
    },
}

/// A cloud that gives out Git credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// CodeCommit.
    Aws,
    /// Azure DevOps.
    Azure,
}

/// A GitHub App and the installation that it acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHubApp {
    /// The app.
    pub app_id: String,
    /// Its private key in PEM form.
    pub private_key: Secret,
    /// The installation, by number or by the name of its owner.
    pub installation: Installation,
    /// Address of the API, if it is not GitHub's own.
    pub base_url: Option<String>,
}

/// An installation of a GitHub App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installation {
    /// By number.
    Id(String),
    /// By the organisation or user that has it.
    Owner(String),
}

fn authentication(message: impl Into<String>) -> Failure {
    Failure::retry(FETCH_FAILED, AUTHENTICATION_FAILED, message)
}

/// Reads the proxy's Secret.
///
/// # Errors
/// When the address is missing or of a kind that cannot be used.
pub fn proxy(secret: &SecretData) -> Result<Proxy, Failure> {
    let fail = |why: &str| {
        authentication(format!(
            "failed to configure proxy options: secret '{}': {why}",
            secret.name
        ))
    };
    if !secret.data.contains_key("address") {
        return Err(fail("key 'address' not found"));
    }
    let address = secret
        .text("address")
        .ok_or_else(|| fail("proxy address is empty"))?;
    if address.len() > MAX_PROXY_ADDRESS {
        return Err(fail(&format!(
            "proxy address is longer than {MAX_PROXY_ADDRESS} characters"
        )));
    }
    if !["http://", "https://", "socks5://"]
        .iter()
        .any(|scheme| address.starts_with(scheme))
    {
        return Err(fail(
            "proxy address must begin with http://, https:// or socks5://",
        ));
    }
    Ok(Proxy {
        address,
        username: secret.text("username"),
        password: secret.text("password").map(Secret::new),
    })
}

/// Reads the address.
///
/// # Errors
/// When it cannot be one; only a change of the object helps.
pub fn url(spec: &GitRepositorySpec) -> Result<RemoteUrl, Failure> {
    RemoteUrl::parse(&spec.url).map_err(|error| {
        let shown = sluice_git::url::redact(&spec.url);
        Failure::stalled(
            FETCH_FAILED,
            source::URL_INVALID,
            format!("failed to parse url '{shown}': {error}"),
        )
    })
}

/// Puts a remote together.
///
/// # Errors
/// When the Secret lacks what the address needs, or does not fit the provider.
pub fn remote(
    spec: &GitRepositorySpec,
    url: RemoteUrl,
    secret: Option<&SecretData>,
    proxy: Option<Proxy>,
    gate: Gate,
) -> Result<(Remote, Identity), Failure> {
    let mut remote = Remote {
        url,
        given: spec.url.clone(),
        http: HttpAuth::None,
        tls: Tls::default(),
        ssh: None,
        proxy,
    };
    match &remote.url {
        RemoteUrl::Ssh(ssh) => {
            let user = ssh.user.clone().unwrap_or_else(|| "git".to_owned());
            remote.ssh = Some(ssh_auth(user, secret)?);
        }
        RemoteUrl::Http(url) => {
            let url_user = !url.username().is_empty();
            if let Some(secret) = secret {
                remote.http = http_auth(secret, url_user)?;
                remote.tls = tls(secret)?;
            }
        }
        RemoteUrl::Local(_) => {}
    }
    let identity = identity(spec, secret, gate)?;
    Ok((remote, identity))
}

fn option(transport: &str, what: &str) -> Failure {
    authentication(format!(
        "failed to configure authentication options: invalid '{transport}' auth option: {what}"
    ))
}

fn ssh_auth(user: String, secret: Option<&SecretData>) -> Result<SshAuth, Failure> {
    let key = |name: &str| {
        secret
            .and_then(|secret| secret.text(name))
            .ok_or_else(|| option("ssh", &format!("'{name}' is required")))
    };
    let identity = key("identity")?;
    let known_hosts = key("known_hosts")?;
    let passphrase = secret.and_then(|secret| secret.text("password"));
    if let Some(secret) = secret
        && passphrase.is_none()
        && is_encrypted(&identity)
    {
        return Err(authentication(format!(
            "failed to configure authentication options: SSH identity key is encrypted but no 'password' \
             field was provided in the secret '{}'",
            secret.name
        )));
    }
    Ok(SshAuth {
        user,
        identity: Secret::new(identity),
        passphrase: passphrase.map(Secret::new),
        known_hosts,
    })
}

fn http_auth(secret: &SecretData, url_user: bool) -> Result<HttpAuth, Failure> {
    // The key alone decides: with an empty token nothing is sent.
    if secret.data.contains_key("bearerToken") {
        return Ok(secret
            .text("bearerToken")
            .map_or(HttpAuth::None, |t| HttpAuth::Bearer(Secret::new(t))));
    }
    let username = secret.text("username").unwrap_or_default();
    let password = secret.text("password").unwrap_or_default();
    if username.is_empty() && !password.is_empty() && !url_user {
        return Err(option("http", "'password' requires 'username' to be set"));
    }
    if username.is_empty() && password.is_empty() {
        return Ok(HttpAuth::None);
    }
    Ok(HttpAuth::Basic {
        username,
        password: Secret::new(password),
    })
}

fn tls(secret: &SecretData) -> Result<Tls, Failure> {
    let half = |has: &str, lacks: &str| {
        authentication(format!(
            "failed to configure authentication options: secret '{}' contains '{has}' but missing '{lacks}'",
            secret.name
        ))
    };
    let client = match (secret.bytes("tls.crt"), secret.text("tls.key")) {
        (Some(certificate), Some(key)) => Some((certificate, Secret::new(key))),
        (None, None) => None,
        (Some(_), None) => return Err(half("tls.crt", "tls.key")),
        (None, Some(_)) => return Err(half("tls.key", "tls.crt")),
    };
    Ok(Tls {
        ca: secret.bytes("ca.crt").or_else(|| secret.bytes("caFile")),
        client,
    })
}

fn identity(
    spec: &GitRepositorySpec,
    secret: Option<&SecretData>,
    gate: Gate,
) -> Result<Identity, Failure> {
    let invalid = |message: String| {
        Failure::retry(
            FETCH_FAILED,
            source::INVALID_PROVIDER_CONFIGURATION,
            message,
        )
    };
    let has_app = secret.is_some_and(|secret| secret.data.contains_key("githubAppID"));
    match spec.provider.as_ref() {
        Some(GitProvider::GitHub) => {
            let needed =
                "secretRef with github app data must be specified when provider is set to github";
            let Some(secret) = secret else {
                return Err(Failure::stalled(
                    FETCH_FAILED,
                    source::INVALID_PROVIDER_CONFIGURATION,
                    needed,
                ));
            };
            if !has_app {
                return Err(invalid(needed.to_owned()));
            }
            github_app(secret).map(Identity::GitHubApp)
        }
        Some(provider @ (GitProvider::Aws | GitProvider::Azure)) => {
            if spec.service_account_name.is_some() && gate == Gate::Off {
                let message = "to use spec.serviceAccountName for provider authentication please enable the \
                     ObjectLevelWorkloadIdentity feature gate in the controller";
                return Err(Failure::stalled(
                    FETCH_FAILED,
                    FEATURE_GATE_DISABLED,
                    message,
                ));
            }
            let provider = if *provider == GitProvider::Aws {
                Cloud::Aws
            } else {
                Cloud::Azure
            };
            Ok(Identity::Cloud {
                provider,
                service_account: spec.service_account_name.clone(),
            })
        }
        None | Some(GitProvider::Generic | GitProvider::Other(_)) => match secret {
            Some(secret) if has_app => Err(invalid(format!(
                "secretRef '{}' has github app data but provider is not set to github",
                secret.name
            ))),
            _ => Ok(Identity::Given),
        },
    }
}

fn github_app(secret: &SecretData) -> Result<GitHubApp, Failure> {
    let fail = |what: &str| authentication(format!("secret '{}': {what}", secret.name));
    let app_id = secret
        .text("githubAppID")
        .ok_or_else(|| fail("key 'githubAppID' is empty"))?;
    let private_key = secret
        .text("githubAppPrivateKey")
        .ok_or_else(|| fail("key 'githubAppPrivateKey' not found"))?;
    let by_id = secret.text("githubAppInstallationID");
    let by_owner = secret.text("githubAppInstallationOwner");
    let installation = match (by_id, by_owner) {
        (Some(id), None) => Installation::Id(id),
        (None, Some(owner)) => Installation::Owner(owner),
        (None, None) => {
            return Err(fail(
                "one of 'githubAppInstallationID' and 'githubAppInstallationOwner' is required",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(fail(
                "only one of 'githubAppInstallationID' and 'githubAppInstallationOwner' may be set",
            ));
        }
    };
    Ok(GitHubApp {
        app_id,
        private_key: Secret::new(private_key),
        installation,
        base_url: secret.text("githubAppBaseURL"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;

    fn secret(pairs: &[(&str, &str)]) -> SecretData {
        SecretData {
            name: "apps/s".into(),
            data: pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec()))
                .collect(),
        }
    }

    fn spec(address: &str) -> GitRepositorySpec {
        GitRepositorySpec {
            url: address.into(),
            ..GitRepositorySpec::default()
        }
    }

    fn with(
        spec: &GitRepositorySpec,
        pairs: Option<&[(&str, &str)]>,
    ) -> Result<(Remote, Identity), Failure> {
        let secret = pairs.map(secret);
        remote(spec, url(spec)?, secret.as_ref(), None, Gate::Off)
    }

    fn http(address: &str, pairs: &[(&str, &str)]) -> Result<HttpAuth, String> {
        with(&spec(address), Some(pairs))
            .map(|(remote, _)| remote.http)
            .map_err(|failure| failure.message)
    }

    fn basic(username: &str, password: &str) -> HttpAuth {
        HttpAuth::Basic {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    #[test]
    fn http_credentials_are_taken_from_the_keys_that_flux_takes() {
        let plain = "https://host/app";
        assert_eq!(
            http(plain, &[("username", "u"), ("password", "p")]),
            Ok(basic("u", "p"))
        );
        assert_eq!(http(plain, &[("other", "x")]), Ok(HttpAuth::None));
        assert_eq!(
            http(
                plain,
                &[("bearerToken", "t"), ("username", "u"), ("password", "p")]
            ),
            Ok(HttpAuth::Bearer(Secret::new("t")))
        );
        assert_eq!(
            http(plain, &[("bearerToken", ""), ("username", "u")]),
            Ok(HttpAuth::None)
        );
        assert_eq!(
            http(plain, &[("password", "p")]),
            Err("failed to configure authentication options: invalid 'http' auth option: 'password' requires 'username' to be set".into())
        );
        assert_eq!(
            http("https://u@host/app", &[("password", "p")]),
            Ok(basic("", "p"))
        );
    }

    #[test]
    fn tls_keys_combine_with_any_credentials_and_come_in_pairs() {
        let tls = |pairs: &[(&str, &str)]| {
            with(&spec("https://host/app"), Some(pairs)).map(|(r, _)| r.tls)
        };
        assert_eq!(
            tls(&[("ca.crt", "a"), ("caFile", "b")]).unwrap().ca,
            Some(b"a".to_vec())
        );
        assert_eq!(
            tls(&[("ca.crt", ""), ("caFile", "b")]).unwrap().ca,
            Some(b"b".to_vec())
        );
        assert!(
            tls(&[("tls.crt", "c"), ("tls.key", "k")])
                .unwrap()
                .client
                .is_some()
        );
        assert!(
            tls(&[("certFile", "c"), ("keyFile", "k")])
                .unwrap()
                .client
                .is_none()
        );
        let message = tls(&[("tls.crt", "c")]).unwrap_err().message;
        assert!(
            message.ends_with("secret 'apps/s' contains 'tls.crt' but missing 'tls.key'"),
            "{message}"
        );
    }

    #[test]
    fn ssh_needs_a_key_and_known_hosts() {
        let fault = |pairs: Option<&[(&str, &str)]>| {
            with(&spec("ssh://git@host/app"), pairs)
                .map(|(r, _)| r.ssh.unwrap().user)
                .map_err(|f| f.message)
        };
        let missing = "failed to configure authentication options: invalid 'ssh' auth option: ";
        assert_eq!(fault(None), Err(format!("{missing}'identity' is required")));
        assert_eq!(
            fault(Some(&[("username", "u")])),
            Err(format!("{missing}'identity' is required"))
        );
        assert_eq!(
            fault(Some(&[("identity", "x")])),
            Err(format!("{missing}'known_hosts' is required"))
        );
        assert_eq!(
            fault(Some(&[("identity", "x"), ("known_hosts", "y")])),
            Ok("git".into())
        );
        let locked =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(fault(Some(&[("identity", locked), ("known_hosts", "y")])).unwrap_err().ends_with(
            "SSH identity key is encrypted but no 'password' field was provided in the secret 'apps/s'"
        ));
        let (remote, _) = with(
            &spec("ssh://me@host/app"),
            Some(&[("identity", "x"), ("known_hosts", "y"), ("username", "no")]),
        )
        .unwrap();
        assert_eq!(remote.ssh.unwrap().user, "me");
    }

    #[test]
    fn providers_and_secrets_have_to_fit() {
        let app: &[(&str, &str)] = &[
            ("githubAppID", "1"),
            ("githubAppInstallationID", "2"),
            ("githubAppPrivateKey", "k"),
        ];
        let outcome =
            |provider: GitProvider, pairs: Option<&[(&str, &str)]>, account: Option<&str>| {
                let mut spec = spec("https://host/app");
                spec.provider = Some(provider);
                spec.service_account_name = account.map(str::to_owned);
                with(&spec, pairs)
                    .map(|(_, identity)| identity)
                    .map_err(|f| (f.class, f.reason, f.message))
            };
        let needed =
            "secretRef with github app data must be specified when provider is set to github";
        let invalid = source::INVALID_PROVIDER_CONFIGURATION;
        assert_eq!(
            outcome(GitProvider::GitHub, None, None),
            Err((Class::Stalled, invalid, needed.into()))
        );
        assert_eq!(
            outcome(GitProvider::GitHub, Some(&[("username", "u")]), None),
            Err((Class::Retry, invalid, needed.into()))
        );
        assert!(matches!(
            outcome(GitProvider::GitHub, Some(app), None),
            Ok(Identity::GitHubApp(_))
        ));
        assert_eq!(
            outcome(GitProvider::Generic, Some(app), None),
            Err((
                Class::Retry,
                invalid,
                "secretRef 'apps/s' has github app data but provider is not set to github".into()
            ))
        );
        let (class, reason, message) = outcome(GitProvider::Azure, None, Some("x")).unwrap_err();
        assert_eq!((class, reason), (Class::Stalled, FEATURE_GATE_DISABLED));
        assert!(message.contains("please enable the ObjectLevelWorkloadIdentity feature gate"));
        assert_eq!(
            outcome(GitProvider::Aws, None, None),
            Ok(Identity::Cloud {
                provider: Cloud::Aws,
                service_account: None
            })
        );
        let both: Vec<_> = app
            .iter()
            .copied()
            .chain([("githubAppInstallationOwner", "o")])
            .collect();
        assert!(outcome(GitProvider::GitHub, Some(&both), None).is_err());
    }

    #[test]
    fn a_proxy_needs_an_address_that_can_be_used() {
        let fault = |pairs: &[(&str, &str)]| proxy(&secret(pairs)).unwrap_err().message;
        let prefix = "failed to configure proxy options: secret 'apps/s': ";
        assert_eq!(
            fault(&[("username", "u")]),
            format!("{prefix}key 'address' not found")
        );
        assert_eq!(
            fault(&[("address", "")]),
            format!("{prefix}proxy address is empty")
        );
        assert!(fault(&[("address", "ftp://x")]).starts_with(prefix));
        let good = proxy(&secret(&[
            ("address", "socks5://x:1080"),
            ("username", "u"),
            ("password", "p"),
        ]))
        .unwrap();
        assert_eq!(
            (good.username.as_deref(), good.password),
            (Some("u"), Some(Secret::new("p")))
        );
    }

    #[test]
    fn an_address_that_cannot_be_one_is_a_dead_end() {
        let failure = url(&spec("http://exa mple.com:x/app.git")).unwrap_err();
        assert_eq!(
            (failure.class, failure.reason),
            (Class::Stalled, source::URL_INVALID)
        );
        assert_eq!(
            failure.message,
            "failed to parse url 'http://exa mple.com:x/app.git': parse \"http://exa mple.com:x/app.git\": invalid port \":x\" after host"
        );
    }
}
