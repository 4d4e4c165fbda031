//! Signatures of commits and tags, against keys that a user trusts. Pure: the time comes in as an
//! argument.

mod pgp;
mod ssh;

use crate::snapshot::Signed;

/// What kind of signature an object carries, by its armor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// OpenPGP.
    Pgp,
    /// SSH.
    Ssh,
    /// An S/MIME message.
    X509,
    /// None at all.
    Empty,
    /// Something else.
    Unknown,
}

impl Kind {
    /// The kind of a signature; `None` for an object without one.
    pub fn of(signed: Option<&Signed>) -> Kind {
        let text = signed.map_or("", |signed| signed.signature.trim_start());
        if text.is_empty() {
            Kind::Empty
        } else if text.starts_with("-----BEGIN PGP SIGNATURE-----") {
            Kind::Pgp
        } else if text.starts_with("-----BEGIN SSH SIGNATURE-----") {
            Kind::Ssh
        } else if text.starts_with("-----BEGIN SIGNED MESSAGE-----") {
            Kind::X509
        } else {
            Kind::Unknown
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Pgp => "openpgp",
            Kind::Ssh => "ssh",
            Kind::X509 => "x509",
            Kind::Empty => "empty",
            Kind::Unknown => "unknown",
        }
    }
}

/// What was signed; errors say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A commit.
    Commit,
    /// A tag.
    Tag,
}

impl Object {
    fn name(self) -> &'static str {
        match self {
            Object::Commit => "commit",
            Object::Tag => "tag",
        }
    }
}

/// The keys that a user trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Armored OpenPGP key rings.
    pub pgp: Vec<String>,
    /// Texts in the form of an `authorized_keys` file.
    pub ssh: Vec<String>,
}

/// Why an object is not verified. The texts are those of Flux.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The object is signed with OpenPGP, and no such key is trusted.
    #[error(
        "PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)"
    )]
    NoPgpKeys,
    /// The object is signed with SSH, and no such key is trusted.
    #[error(
        "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)"
    )]
    NoSshKeys,
    /// The object is not signed, or in a way that cannot be verified.
    #[error("unsupported signature type: {0}")]
    Unsupported(&'static str),
    /// No trusted OpenPGP key made the signature.
    #[error("unable to verify Git {object}: {reason}")]
    Pgp {
        /// `commit` or `tag`.
        object: &'static str,
        /// Why not.
        reason: String,
    },
    /// No trusted SSH key made the signature.
    #[error("unable to verify Git {object} SSH signature: {reason}")]
    Ssh {
        /// `commit` or `tag`.
        object: &'static str,
        /// Why not.
        reason: String,
    },
}

/// Verifies an object's signature at the time `now` (seconds since the epoch). Returns the name of
/// the key: the id of the primary OpenPGP key, or the fingerprint of the SSH key.
///
/// # Errors
/// When no trusted key made it.
pub fn verify(
    signed: Option<&Signed>,
    object: Object,
    trusted: &Trusted,
    now: u64,
) -> Result<String, VerifyError> {
    let kind = Kind::of(signed);
    let (Some(signed), Kind::Pgp | Kind::Ssh) = (signed, kind) else {
        return Err(VerifyError::Unsupported(kind.name()));
    };
    let object = object.name();
    if kind == Kind::Pgp {
        if trusted.pgp.is_empty() {
            return Err(VerifyError::NoPgpKeys);
        }
        return pgp::verify(signed, &trusted.pgp, now)
            .map_err(|reason| VerifyError::Pgp { object, reason });
    }
    if trusted.ssh.is_empty() {
        return Err(VerifyError::NoSshKeys);
    }
    ssh::verify(signed, &trusted.ssh).map_err(|reason| VerifyError::Ssh { object, reason })
}
