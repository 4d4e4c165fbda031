//! Credentials that have to be exchanged for others before they work: the key of a GitHub App for a
//! token of an hour. Tokens are kept and used again while they are fresh.

mod github;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sluice_api::condition::FETCH_FAILED;
use sluice_api::reason::AUTHENTICATION_FAILED;
use sluice_git::{HttpAuth, Remote, Secret};

use crate::common::failure::Failure;
use crate::git::credentials::{Cloud, GitHubApp, Identity, Installation};

/// Longest life of a kept token, whatever the flag says.
const MAX_LIFE: Duration = Duration::from_secs(60 * 60);
/// Time for the exchange.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Exchanges credentials, and remembers what it got.
#[derive(Debug)]
pub struct Exchange {
    tokens: Mutex<HashMap<[u8; 32], Kept>>,
    size: usize,
    life: Duration,
}

#[derive(Debug, Clone)]
struct Kept {
    token: Secret,
    until: Instant,
}

/// A token as it was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    secret: Secret,
    life: Duration,
}

fn failed(message: String) -> Failure {
    Failure::retry(FETCH_FAILED, AUTHENTICATION_FAILED, message)
}

impl Exchange {
    /// Keeps up to `size` tokens, each for at most `life` and four fifths of its own life.
    pub fn new(size: usize, life: Duration) -> Exchange {
        Exchange {
            tokens: Mutex::default(),
            size,
            life: life.min(MAX_LIFE),
        }
    }

    /// The credentials of an identity for a remote, whose TLS settings and proxy the exchange uses.
    ///
    /// # Errors
    /// When the exchange is refused or impossible.
    pub async fn credentials(
        &self,
        identity: &Identity,
        remote: &Remote,
    ) -> Result<HttpAuth, Failure> {
        match identity {
            Identity::Given => Ok(remote.http.clone()),
            Identity::GitHubApp(app) => {
                let key = fingerprint(app, remote);
                let token = match self.kept(&key) {
                    Some(token) => token,
                    None => {
                        let token = tokio::time::timeout(TIMEOUT, github::token(app, remote))
                            .await
                            .map_err(|_| {
                                failed(
                                    "failed to get a GitHub App token: context deadline exceeded"
                                        .into(),
                                )
                            })?
                            .map_err(|why| {
                                failed(format!("failed to get a GitHub App token: {why}"))
                            })?;
                        self.keep(key, &token);
                        token.secret
                    }
                };
                Ok(HttpAuth::Basic {
                    username: "x-access-token".to_owned(),
                    password: token,
                })
            }
            Identity::Cloud { provider, .. } => {
                let provider = match provider {
                    Cloud::Aws => "aws",
                    Cloud::Azure => "azure",
                };
                Err(failed(format!(
                    "failed to get credentials: this version has no workload identity for provider '{provider}'; \
                     use a Secret with a token instead"
                )))
            }
        }
    }

    fn kept(&self, key: &[u8; 32]) -> Option<Secret> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens
            .get(key)
            .filter(|kept| kept.until > Instant::now())
            .map(|kept| kept.token.clone())
    }

    fn keep(&self, key: [u8; 32], token: &Token) {
        if self.size == 0 {
            return;
        }
        let now = Instant::now();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, kept| kept.until > now);
        if tokens.len() >= self.size
            && let Some(first) = tokens
                .iter()
                .min_by_key(|(_, kept)| kept.until)
                .map(|(key, _)| *key)
        {
            tokens.remove(&first);
        }
        let life = token.life.mul_f64(0.8).min(self.life);
        tokens.insert(
            key,
            Kept {
                token: token.secret.clone(),
                until: now + life,
            },
        );
    }
}

/// Tells apart everything that a token depends on, without keeping the secrets.
fn fingerprint(app: &GitHubApp, remote: &Remote) -> [u8; 32] {
    let mut hash = Sha256::new();
    let (kind, installation) = match &app.installation {
        Installation::Id(id) => ("id", id),
        Installation::Owner(owner) => ("owner", owner),
    };
    let base = app.base_url.as_deref().unwrap_or_default();
    let settings = format!("{:?} {:?}", remote.tls.ca, remote.proxy);
    let client = remote
        .tls
        .client
        .as_ref()
        .map_or("", |(_, key)| key.expose());
    for part in [
        &app.app_id,
        kind,
        installation,
        base,
        app.private_key.expose(),
        &settings,
        client,
    ] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token {
            secret: Secret::new(text),
            life: Duration::from_secs(3600),
        }
    }

    #[test]
    fn tokens_are_kept_up_to_their_number() {
        let exchange = Exchange::new(2, Duration::from_secs(3600));
        for n in 1..=3u8 {
            exchange.keep([n; 32], &token(&n.to_string()));
        }
        assert!(exchange.kept(&[1; 32]).is_none());
        assert_eq!(exchange.kept(&[3; 32]), Some(Secret::new("3")));
        let off = Exchange::new(0, Duration::from_secs(3600));
        off.keep([1; 32], &token("x"));
        assert!(off.kept(&[1; 32]).is_none());
    }
}
