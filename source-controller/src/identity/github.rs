//! Tokens of a GitHub App: a signed statement of who we are, for a token of its installation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use sluice_git::{Remote, Secret};

use super::Token;
use crate::git::credentials::{GitHubApp, Installation};

/// GitHub's own API.
const API: &str = "https://api.github.com";
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// Statements are dated back so far, for clocks that are ahead of GitHub's.
const BACKDATED: u64 = 30;
/// Life of a statement in seconds.
const STATEMENT_LIFE: u64 = 120;

#[derive(Deserialize)]
struct Found {
    id: u64,
}

#[derive(Deserialize)]
struct Granted {
    token: String,
    expires_at: Timestamp,
}

/// Gets a token for the app's installation.
///
/// # Errors
/// Which step failed, and what GitHub said. Without secrets.
pub(super) async fn token(app: &GitHubApp, remote: &Remote) -> Result<Token, String> {
    let base = app.base_url.as_deref().unwrap_or(API).trim_end_matches('/');
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let statement = statement(&app.app_id, app.private_key.expose(), now)?;
    let client = sluice_git::http::client(&remote.tls, remote.proxy.as_ref())
        .map_err(|error| error.to_string())?;
    let api = Api {
        client,
        base: base.to_owned(),
        statement,
    };
    let id = match &app.installation {
        Installation::Id(id) => id.clone(),
        Installation::Owner(owner) => api.installation_of(owner).await?.to_string(),
    };
    let path = format!("/app/installations/{id}/access_tokens");
    let granted: Granted = match api.ask(Method::POST, &path).await? {
        Some(granted) => granted,
        None => return Err(format!("installation `{id}` not found")),
    };
    let life = granted.expires_at.duration_since(Timestamp::now());
    let life = Duration::try_from(life).unwrap_or_default();
    Ok(Token {
        secret: Secret::new(granted.token),
        life,
    })
}

struct Api {
    client: reqwest::Client,
    base: String,
    statement: String,
}

impl Api {
    /// The installation that an organisation has, or else a user.
    async fn installation_of(&self, owner: &str) -> Result<u64, String> {
        if owner.is_empty()
            || !owner
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        {
            return Err(format!("invalid installation owner `{owner}`"));
        }
        for kind in ["orgs", "users"] {
            let found: Option<Found> = self
                .ask(Method::GET, &format!("/{kind}/{owner}/installation"))
                .await?;
            if let Some(found) = found {
                return Ok(found.id);
            }
        }
        Err(format!("no installation found for owner `{owner}`"))
    }

    /// One request; `None` for 404.
    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<Option<T>, String> {
        let url = format!("{}{path}", self.base);
        let mut response = self
            .client
            .request(method, &url)
            .bearer_auth(&self.statement)
            .header("Accept", "application/vnd.github+json")
            .header("User-Agent", "sluice")
            .send()
            .await
            .map_err(|error| format!("could not reach `{url}`: {}", error.without_url()))?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(format!(
                "received non 2xx response status \"{status}\" when fetching `{url}`"
            ));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| error.without_url().to_string())?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(format!("the answer of `{url}` is too long"));
            }
        }
        // The answer holds the token: its text stays out of the message.
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|_| format!("the answer of `{url}` cannot be read"))
    }
}

/// A JSON web token that says who the app is, signed with its key.
fn statement(app_id: &str, private_key: &str, now: u64) -> Result<String, String> {
    let bad = "could not parse private key";
    let der = PrivateKeyDer::from_pem_slice(private_key.trim().as_bytes()).map_err(|_| bad)?;
    let key = match &der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(bad.to_owned()),
    }
    .map_err(|_| bad)?;
    let issued = now.saturating_sub(BACKDATED);
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let claims = json!({"iss": app_id, "iat": issued, "exp": issued + STATEMENT_LIFE});
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| "could not sign jwt".to_owned())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests;
