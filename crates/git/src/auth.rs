//! Credentials and connection settings of one repository.

use std::fmt;

/// A text that never shows in logs or errors.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How to authenticate over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HttpAuth {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Basic`.
    Basic {
        /// The user, perhaps empty.
        username: String,
        /// The password, perhaps empty.
        password: Secret,
    },
    /// `Authorization: Bearer`.
    Bearer(Secret),
}

/// Additions to the system's TLS settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tls {
    /// Certificates in PEM form that are trusted beside the system's.
    pub ca: Option<Vec<u8>>,
    /// A client certificate and its key, both in PEM form.
    pub client: Option<(Vec<u8>, Secret)>,
}

/// A proxy for one repository. It replaces the environment's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// `http://`, `https://` or `socks5://` address, without credentials.
    pub address: String,
    /// User for the proxy; without one the password is ignored.
    pub username: Option<String>,
    /// Password for the proxy.
    pub password: Option<Secret>,
}

/// How to authenticate over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAuth {
    /// The user to log in as.
    pub user: String,
    /// The private key in one of the PEM forms.
    pub identity: Secret,
    /// The key's pass phrase.
    pub passphrase: Option<Secret>,
    /// Text in the form of a `known_hosts` file.
    pub known_hosts: String,
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text holds no key.
    #[error("ssh: no key found")]
    NoKey,
    /// The key is encrypted, and no pass phrase was given.
    #[error("ssh: this private key is passphrase protected")]
    Encrypted,
    /// The pass phrase is wrong, or the key is damaged or of an unknown kind.
    #[error("ssh: failed to parse private key: {0}")]
    Invalid(String),
    /// The `known_hosts` text has a line that makes no sense.
    #[error(transparent)]
    KnownHosts(#[from] crate::known_hosts::LineError),
}

/// Whether a PEM private key needs a pass phrase.
pub fn is_encrypted(identity: &str) -> bool {
    matches!(
        crate::ssh::parse_identity(identity, None),
        Err(KeyError::Encrypted)
    )
}
