//! Smart HTTP: one GET lists the refs, one POST fetches.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use futures::TryStreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{StatusCode, Url};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::advertisement::Advertisement;
use crate::auth::{HttpAuth, Proxy, Tls};
use crate::error::TransportError;
use crate::protocol::{self, AGENT, UPLOAD_PACK};
use crate::url::redact;

/// Clients to keep, each with its TLS settings and open connections.
const MAX_CLIENTS: usize = 64;
/// Longest body of an error answer that is looked at.
const MAX_BODY: usize = 512;

/// A stream of an answer's bytes.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// HTTP clients by TLS and proxy settings. Credentials are not part of a client: they go with each
/// request, so that sharing a connection never shares access.
#[derive(Debug, Default)]
pub struct Clients {
    clients: Mutex<HashMap<(Tls, Option<Proxy>), reqwest::Client>>,
}

impl Clients {
    /// The client for these settings.
    ///
    /// # Errors
    /// When certificates or the proxy cannot be used.
    fn get(&self, tls: &Tls, proxy: Option<&Proxy>) -> Result<reqwest::Client, TransportError> {
        let key = (tls.clone(), proxy.cloned());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = client(tls, proxy)?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// An HTTP client with these settings.
///
/// # Errors
/// When certificates or the proxy cannot be used.
pub fn client(tls: &Tls, proxy: Option<&Proxy>) -> Result<reqwest::Client, TransportError> {
    let configuration = |text: String| TransportError::Configuration(text);
    let mut builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(30))
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(120))
        .pool_max_idle_per_host(4);
    if let Some(ca) = &tls.ca {
        let certificates = reqwest::Certificate::from_pem_bundle(ca)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| {
                configuration(
                    "failed to parse CA certificate: no certificate in PEM form".to_owned(),
                )
            })?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some((certificate, key)) = &tls.client {
        let mut pem = certificate.clone();
        pem.push(b'\n');
        pem.extend_from_slice(key.expose().as_bytes());
        let identity = reqwest::Identity::from_pem(&pem).map_err(|error| {
            configuration(format!(
                "failed to parse TLS client certificate: {}",
                describe(&error)
            ))
        })?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = proxy {
        let mut via = reqwest::Proxy::all(&proxy.address).map_err(|error| {
            configuration(format!(
                "failed to parse proxy address: {}",
                describe(&error)
            ))
        })?;
        if let Some(username) = &proxy.username {
            via = via.basic_auth(username, proxy.password.as_ref().map_or("", |p| p.expose()));
        }
        builder = builder.proxy(via);
    }
    builder.build().map_err(|error| {
        configuration(format!(
            "failed to set up the HTTP client: {}",
            describe(&error)
        ))
    })
}

/// A remote whose refs have been listed.
#[derive(Debug)]
pub struct Connection {
    client: reqwest::Client,
    /// Address of the repository after redirects, without credentials.
    base: Url,
    authorization: Option<HeaderValue>,
}

/// Lists the refs of the repository at `url`.
///
/// # Errors
/// When the server cannot be reached, refuses, or does not speak Git.
pub async fn connect(
    clients: &Clients,
    url: &Url,
    auth: &HttpAuth,
    tls: &Tls,
    proxy: Option<&Proxy>,
) -> Result<(Connection, Advertisement), TransportError> {
    let plain = Tls::default();
    // Flux notices bad certificates with https only, and so do users.
    let tls = if url.scheme() == "https" { tls } else { &plain };
    let client = clients.get(tls, proxy)?;
    let mut base = url.clone();
    let _ = base.set_username("");
    let _ = base.set_password(None);
    let trimmed = base.path().trim_end_matches('/').to_owned();
    base.set_path(&trimmed);
    let mut connection = Connection {
        client,
        base,
        authorization: authorization(auth),
    };

    let mut target = connection.endpoint("info/refs");
    target.set_query(Some(&format!("service={UPLOAD_PACK}")));
    let mut request = connection
        .client
        .get(target.clone())
        .header(USER_AGENT, AGENT);
    if let Some(authorization) = &connection.authorization {
        request = request.header(AUTHORIZATION, authorization.clone());
    }
    let response = request
        .send()
        .await
        .map_err(|error| network("Get", &target, &error))?;
    connection.follow(response.url());
    let response = checked(response, &target).await?;
    let mut reader = reader(response);
    let refs = protocol::read_listing(&mut reader).await?;
    Ok((connection, refs))
}

impl Connection {
    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{name}", self.base.path()));
        url
    }

    /// Moves to where the listing was redirected to. Credentials stay behind when that is another
    /// server.
    fn follow(&mut self, arrived: &Url) {
        let Some(path) = arrived.path().strip_suffix("/info/refs") else {
            return;
        };
        let mut base = arrived.clone();
        base.set_query(None);
        base.set_path(path);
        let same_server = base.scheme() == self.base.scheme()
            && base.host() == self.base.host()
            && base.port_or_known_default() == self.base.port_or_known_default();
        let upgrade = self.base.scheme() == "http"
            && base.scheme() == "https"
            && base.host() == self.base.host();
        if !same_server && !upgrade {
            self.authorization = None;
        }
        self.base = base;
    }

    /// Sends a request for objects and returns the answer's bytes.
    ///
    /// # Errors
    /// As [`connect`].
    pub(crate) async fn request(self, body: Vec<u8>) -> Result<Reader, TransportError> {
        let target = self.endpoint(UPLOAD_PACK);
        let mut request = self
            .client
            .post(target.clone())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, "application/x-git-upload-pack-result")
            .body(body);
        if let Some(authorization) = self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request
            .send()
            .await
            .map_err(|error| network("Post", &target, &error))?;
        Ok(reader(checked(response, &target).await?))
    }
}

fn reader(response: reqwest::Response) -> Reader {
    Box::new(StreamReader::new(
        response.bytes_stream().map_err(io::Error::other),
    ))
}

fn authorization(auth: &HttpAuth) -> Option<HeaderValue> {
    let text = match auth {
        HttpAuth::None => return None,
        HttpAuth::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose());
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(pair)
            )
        }
        HttpAuth::Bearer(token) => format!("Bearer {}", token.expose().trim()),
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn checked(
    mut response: reqwest::Response,
    target: &Url,
) -> Result<reqwest::Response, TransportError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let mut body = Vec::new();
    while body.len() < MAX_BODY {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            _ => break,
        }
    }
    let text = protocol::quote(&body[..body.len().min(MAX_BODY)]);
    Err(match status {
        StatusCode::NOT_FOUND => TransportError::RepositoryNotFound(text),
        StatusCode::UNAUTHORIZED => TransportError::AuthenticationRequired(text),
        StatusCode::FORBIDDEN => TransportError::AuthorizationFailed(text),
        status => TransportError::Status {
            url: redact(target.as_str()),
            status: status.as_u16(),
        },
    })
}

fn network(verb: &str, target: &Url, error: &reqwest::Error) -> TransportError {
    let host = target.host_str().unwrap_or_default();
    let port = target.port_or_known_default().unwrap_or_default();
    let cause = connection_fault(error, host, port).unwrap_or_else(|| describe(error));
    TransportError::Network(format!("{verb} \"{}\": {cause}", redact(target.as_str())))
}

/// The usual faults of a connection in the words of Go's network library, which users look for.
fn connection_fault(error: &reqwest::Error, host: &str, port: u16) -> Option<String> {
    if error.is_timeout() {
        return Some(format!("dial tcp {host}:{port}: i/o timeout"));
    }
    let text = describe(error);
    if text.contains("dns error") || text.contains("failed to lookup address") {
        return Some(format!("dial tcp: lookup {host}: no such host"));
    }
    if text.contains("UnknownIssuer") {
        return Some(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                .to_owned(),
        );
    }
    if text.contains("CertificateRequired") {
        return Some("remote error: tls: certificate required".to_owned());
    }
    // A server that wants a client certificate says so after the handshake, by which time the client may
    // have found the connection closed.
    if text.contains("connection was not ready") {
        return Some(
            "the server closed the connection after the handshake: it may want a client certificate"
                .to_owned(),
        );
    }
    let mut next: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && let Some(words) = io_fault(io.kind())
        {
            return Some(format!("dial tcp {host}:{port}: connect: {words}"));
        }
        next = cause.source();
    }
    None
}

pub(crate) fn io_fault(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some("connection refused"),
        io::ErrorKind::NetworkUnreachable => Some("network is unreachable"),
        io::ErrorKind::HostUnreachable => Some("no route to host"),
        _ => None,
    }
}

/// An error with what caused it, in one line and without repetition or URLs.
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        // reqwest's own text repeats the URL, which may hold a password.
        let own = match cause.downcast_ref::<reqwest::Error>() {
            Some(error) if cause.source().is_some() && error.url().is_some() => String::new(),
            _ => cause.to_string(),
        };
        if !own.is_empty() && !text.contains(&own) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&own);
        }
        next = cause.source();
    }
    if text.is_empty() {
        "request failed".to_owned()
    } else {
        text
    }
}
