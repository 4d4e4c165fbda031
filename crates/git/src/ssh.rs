//! Git over SSH: one connection, one `git-upload-pack` on the other side.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes};
use russh::client::{self, AuthResult, Handle};
use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate,
};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Preferred, kex};
use tokio::io::{AsyncRead, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::advertisement::Advertisement;
use crate::auth::{KeyError, Proxy, SshAuth};
use crate::error::TransportError;
use crate::http::{Reader, io_fault};
use crate::known_hosts::KnownHosts;
use crate::protocol::{self, UPLOAD_PACK};
use crate::url::SshUrl;

/// Messages of the server's program that are kept for an error.
const MAX_STDERR: usize = 1024;
/// Pieces of the answer that may wait to be read.
const QUEUE: usize = 32;

/// Settings of the process that Flux has as flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchanges to offer instead of the defaults (`--ssh-kex-algos`).
    pub kex: Vec<String>,
    /// Host key algorithms to offer instead of those in known_hosts (`--ssh-hostkey-algos`).
    pub host_key: Vec<String>,
}

/// Reads a private key: OpenSSH, PKCS#1, PKCS#8 or SEC1, plain or encrypted.
///
/// # Errors
/// See [`KeyError`].
pub(crate) fn parse_identity(pem: &str, passphrase: Option<&str>) -> Result<PrivateKey, KeyError> {
    if !pem.contains("-----BEGIN ") {
        return Err(KeyError::NoKey);
    }
    // Trailing blanks and carriage returns survive many ways of putting a key into a Secret.
    let clean: String = pem.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let encrypted =
        clean.contains("BEGIN ENCRYPTED PRIVATE KEY") || clean.contains("Proc-Type: 4,ENCRYPTED");
    if encrypted && passphrase.is_none() {
        return Err(KeyError::Encrypted);
    }
    russh::keys::decode_secret_key(&clean, passphrase).map_err(|error| match error {
        russh::keys::Error::KeyIsEncrypted => KeyError::Encrypted,
        russh::keys::Error::CouldNotReadKey => KeyError::NoKey,
        other if encrypted || passphrase.is_some() => {
            KeyError::Invalid(format!("wrong passphrase, or {other}"))
        }
        other => KeyError::Invalid(other.to_string()),
    })
}

/// Everything that can be checked before anything is sent.
#[derive(Debug)]
pub struct Credentials {
    user: String,
    key: Arc<PrivateKey>,
    known_hosts: KnownHosts,
}

impl Credentials {
    /// Reads the key and the known hosts.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(auth: &SshAuth) -> Result<Credentials, KeyError> {
        let passphrase = auth.passphrase.as_ref().map(|p| p.expose());
        Ok(Credentials {
            user: auth.user.clone(),
            key: Arc::new(parse_identity(auth.identity.expose(), passphrase)?),
            known_hosts: KnownHosts::parse(&auth.known_hosts)?,
        })
    }
}

/// Checks the server's key, and keeps why it was refused.
struct Checker {
    host: String,
    port: u16,
    known_hosts: KnownHosts,
    complaint: Arc<Mutex<Option<&'static str>>>,
}

impl client::Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let verdict = match presented {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.known_hosts.check(&self.host, self.port, key)
            }
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                self.known_hosts.check_certificate(
                    &self.host,
                    self.port,
                    certificate,
                    now.as_secs(),
                )
            }
        };
        let complaint = verdict.complaint();
        *self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = complaint;
        Ok(complaint.is_none())
    }
}

/// A running `git-upload-pack` whose listing has been read.
pub struct Connection {
    session: Handle<Checker>,
    input: ChannelWriteHalf<client::Msg>,
    output: BufReader<Output>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ssh::Connection")
    }
}

/// Lists the refs of the repository at `url`.
///
/// # Errors
/// When the server cannot be reached or trusted, refuses, or does not speak Git.
pub async fn connect(
    url: &SshUrl,
    credentials: &Credentials,
    algorithms: &Algorithms,
    proxy: Option<&Proxy>,
) -> Result<(Connection, Advertisement), TransportError> {
    let stream = match proxy {
        Some(proxy) => crate::socks::connect(proxy, &url.host, url.port).await?,
        None => TcpStream::connect((url.host.as_str(), url.port))
            .await
            .map_err(|error| dial(url, &error))?,
    };
    // A fetch is a few small requests; waiting to fill segments only delays them.
    stream.set_nodelay(true)?;

    let complaint = Arc::new(Mutex::new(None));
    let checker = Checker {
        host: url.host.clone(),
        port: url.port,
        known_hosts: credentials.known_hosts.clone(),
        complaint: Arc::clone(&complaint),
    };
    let config = Arc::new(config(&credentials.known_hosts, algorithms)?);
    let handshake = |text: String| TransportError::SshHandshake(text);
    let mut session = client::connect_stream(config, stream, checker)
        .await
        .map_err(|error| {
            let refused = *complaint.lock().unwrap_or_else(PoisonError::into_inner);
            handshake(refused.map_or_else(|| error.to_string(), str::to_owned))
        })?;
    log_in(&mut session, credentials).await?;

    let broken = |error: russh::Error| TransportError::Network(format!("ssh: {error}"));
    let channel = session.channel_open_session().await.map_err(broken)?;
    channel
        .exec(true, format!("{UPLOAD_PACK} {}", quote(&url.path)))
        .await
        .map_err(broken)?;
    let (output, input) = channel.split();
    let stderr = Arc::new(Mutex::new(Vec::new()));
    let mut output =
        BufReader::with_capacity(64 * 1024, Output::start(output, Arc::clone(&stderr)));
    let refs = match protocol::read_listing(&mut output).await {
        Ok(refs) => refs,
        Err(TransportError::EmptyInput) => return Err(silent_failure(&stderr)),
        Err(error) => return Err(error),
    };
    Ok((
        Connection {
            session,
            input,
            output,
        },
        refs,
    ))
}

fn dial(url: &SshUrl, error: &io::Error) -> TransportError {
    let host = &url.host;
    let port = url.port;
    TransportError::Network(match io_fault(error.kind()) {
        Some(words) => format!("dial tcp {host}:{port}: connect: {words}"),
        None if error.to_string().contains("lookup") => {
            format!("dial tcp: lookup {host}: no such host")
        }
        None => format!("dial tcp {host}:{port}: {error}"),
    })
}

async fn log_in(
    session: &mut Handle<Checker>,
    credentials: &Credentials,
) -> Result<(), TransportError> {
    let failed = |error: russh::Error| TransportError::SshHandshake(format!("ssh: {error}"));
    // RSA keys can sign with several hashes; servers say which they take, or say nothing and then
    // mean the newer ones in all likelihood.
    let hash = match session.best_supported_rsa_hash().await.map_err(failed)? {
        Some(supported) => supported,
        None => Some(HashAlg::Sha512),
    };
    let key = PrivateKeyWithHashAlg::new(Arc::clone(&credentials.key), hash);
    match session.authenticate_publickey(credentials.user.as_str(), key).await.map_err(failed)? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } => Err(TransportError::SshHandshake(
            "ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain"
                .to_owned(),
        )),
    }
}

/// What a program that ended without a listing meant.
fn silent_failure(stderr: &Mutex<Vec<u8>>) -> TransportError {
    let text = protocol::quote(&stderr.lock().unwrap_or_else(PoisonError::into_inner));
    let lower = text.to_lowercase();
    if text.is_empty() {
        TransportError::EmptyInput
    } else if [
        "not found",
        "does not exist",
        "does not appear to be a git repository",
        "no such",
    ]
    .iter()
    .any(|words| lower.contains(words))
    {
        TransportError::RepositoryNotFound(text)
    } else if lower.contains("denied") || lower.contains("not authorized") {
        TransportError::AuthorizationFailed(text)
    } else {
        TransportError::Remote(text)
    }
}

fn config(
    known_hosts: &KnownHosts,
    algorithms: &Algorithms,
) -> Result<client::Config, TransportError> {
    let unknown = |what: &str, name: &str| {
        TransportError::Configuration(format!("unsupported SSH {what} algorithm `{name}`"))
    };
    let mut preferred = Preferred::default();
    let kex = if algorithms.kex.is_empty() {
        default_kex()
    } else {
        let mut kex = Vec::new();
        for name in &algorithms.kex {
            kex.push(
                kex::Name::try_from(name.as_str()).map_err(|()| unknown("key exchange", name))?,
            );
        }
        kex
    };
    preferred.kex = Cow::Owned(kex.into_iter().chain(KEX_EXTENSIONS).collect());

    let types = if algorithms.host_key.is_empty() {
        offer(known_hosts.key_types())
    } else {
        let mut types = Vec::new();
        for name in &algorithms.host_key {
            types.push(Algorithm::new(name).map_err(|_| unknown("host key", name))?);
        }
        types
    };
    if known_hosts.has_authorities() {
        preferred.host_key_certificates = Cow::Owned(all_host_keys());
    }
    preferred.key = Cow::Owned(if types.is_empty() {
        all_host_keys()
    } else {
        types
    });

    Ok(client::Config {
        preferred,
        // Packs are bulk data; small windows would cap them by latency.
        window_size: 4 << 20,
        maximum_packet_size: 64 << 10,
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        ..client::Config::default()
    })
}

/// Marks that are no key exchanges but belong into the list.
const KEX_EXTENSIONS: [kex::Name; 2] = [
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// Key exchanges, best first. The last is for servers that have seen better days.
fn default_kex() -> Vec<kex::Name> {
    vec![
        kex::MLKEM768X25519_SHA256,
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::ECDH_SHA2_NISTP256,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP521,
        kex::DH_GEX_SHA256,
        kex::DH_G16_SHA512,
        kex::DH_G14_SHA256,
        kex::DH_G14_SHA1,
    ]
}

fn all_host_keys() -> Vec<Algorithm> {
    vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ]
}

/// What to ask a server for, given the types of keys that are known. An RSA key can sign in three
/// ways, of which the old one comes last.
fn offer(types: Vec<Algorithm>) -> Vec<Algorithm> {
    types
        .into_iter()
        .flat_map(|algorithm| match algorithm {
            Algorithm::Rsa { .. } => [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None]
                .map(|hash| Algorithm::Rsa { hash })
                .to_vec(),
            other => vec![other],
        })
        .collect()
}

/// Quotes a path for the server's shell, as Git does.
fn quote(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

impl Connection {
    /// Sends a request for objects and returns the answer's bytes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn request(self, body: Vec<u8>) -> Result<Reader, TransportError> {
        self.input
            .data_bytes(body)
            .await
            .map_err(|error| TransportError::Network(format!("ssh: {error}")))?;
        Ok(Box::new(Answer {
            output: self.output,
            _input: self.input,
            _session: self.session,
        }))
    }

    /// Ends the program without asking it for anything.
    pub(crate) async fn close(self) {
        // Politeness only: the listing is here, and the server copes with a cut connection too.
        let _ = self.input.data_bytes(&b"0000"[..]).await;
        let _ = self.input.eof().await;
        let _ = self
            .session
            .disconnect(Disconnect::ByApplication, "", "en")
            .await;
    }
}

/// The output of the server's program; keeps the connection alive while it is read.
struct Answer {
    output: BufReader<Output>,
    _input: ChannelWriteHalf<client::Msg>,
    _session: Handle<Checker>,
}

impl AsyncRead for Answer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

/// Standard output of a program, with its standard error kept aside.
struct Output {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Output {
    fn start(mut channel: ChannelReadHalf, stderr: Arc<Mutex<Vec<u8>>>) -> Output {
        let (sender, pieces) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            while let Some(message) = channel.wait().await {
                let over = match message {
                    ChannelMsg::Data { data } => sender.send(data).await.is_err(),
                    ChannelMsg::ExtendedData { data, .. } => {
                        let mut kept = stderr.lock().unwrap_or_else(PoisonError::into_inner);
                        let room = MAX_STDERR.saturating_sub(kept.len());
                        kept.extend_from_slice(&data[..data.len().min(room)]);
                        false
                    }
                    ChannelMsg::Close => true,
                    _ => false,
                };
                if over {
                    break;
                }
            }
        });
        Output {
            pieces,
            current: Bytes::new(),
        }
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.current.is_empty() {
            match self.pieces.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(piece)) => self.current = piece,
            }
        }
        let n = self.current.len().min(buf.remaining());
        buf.put_slice(&self.current[..n]);
        self.current.advance(n);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_used_say_why() {
        assert_eq!(
            parse_identity("x", None).unwrap_err().to_string(),
            "ssh: no key found"
        );
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(
            parse_identity(encrypted, None).unwrap_err(),
            KeyError::Encrypted
        );
        assert!(matches!(
            parse_identity(encrypted, Some("x")),
            Err(KeyError::Invalid(_))
        ));
    }

    #[test]
    fn the_known_keys_decide_what_is_offered() {
        let line =
            "h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let known = KnownHosts::parse(line).unwrap();
        let names = |config: &client::Config| -> Vec<String> {
            config
                .preferred
                .key
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        let default = Algorithms::default();
        assert_eq!(names(&config(&known, &default).unwrap()), ["ssh-ed25519"]);
        assert_eq!(
            names(&config(&KnownHosts::default(), &default).unwrap()).len(),
            6
        );
        let chosen = Algorithms {
            host_key: vec!["rsa-sha2-512".into()],
            kex: vec!["curve25519-sha256".into()],
        };
        let config_chosen = config(&known, &chosen).unwrap();
        assert_eq!(names(&config_chosen), ["rsa-sha2-512"]);
        assert_eq!(config_chosen.preferred.kex[0], kex::CURVE25519);
        let unknown = Algorithms {
            kex: vec!["magic".into()],
            ..default
        };
        assert_eq!(
            config(&known, &unknown).unwrap_err().to_string(),
            "unsupported SSH key exchange algorithm `magic`"
        );
        let rsa = offer(vec![Algorithm::Rsa { hash: None }]);
        let rsa: Vec<String> = rsa.iter().map(ToString::to_string).collect();
        assert_eq!(rsa, ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]);
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quote("/a b"), "'/a b'");
        assert_eq!(quote("/it's"), "'/it'\\''s'");
    }
}
