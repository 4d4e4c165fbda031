//! Provenance: who vouches for a chart archive, `NAME-VERSION.tgz.prov`.
//!
//! A clear-signed text with Chart.yaml and the checksum of the archive.

use sha2::{Digest as _, Sha256};
use sluice_openpgp::{ClearError, Signer};

use crate::chart::Metadata;
use crate::package::metadata_yaml;

/// Why an archive is not what its provenance file says. The texts are Helm's
/// where Helm has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// The signature does not count, or none could be made.
    #[error(transparent)]
    Signature(#[from] ClearError),
    /// The signed text is no provenance.
    #[error("message block must have at least two parts")]
    Parts,
    /// The signed text does not list the archive.
    #[error("provenance does not contain a SHA for a file named {0:?}")]
    NotListed(String),
    /// The archive is another one.
    #[error("sha256 sum does not match for {name}: {wanted:?} != {found:?}")]
    Checksum {
        /// The archive.
        name: String,
        /// What the provenance file says.
        wanted: String,
        /// What the archive has.
        found: String,
    },
}

/// An archive that somebody vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who.
    pub signer: Signer,
    /// Its checksum, `sha256:` in front.
    pub checksum: String,
}

fn checksum(archive: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(archive)))
}

/// Makes the provenance file of an archive called `name`. The key is the one of
/// `ring` whose user id contains `user`; `now` are seconds since 1970.
///
/// # Errors
/// There is no such key, or it cannot be used.
pub fn sign(
    metadata: &Metadata,
    name: &str,
    archive: &[u8],
    ring: &[u8],
    user: &str,
    passphrase: &str,
    now: u64,
) -> Result<String, ProvenanceError> {
    let text = format!(
        "{}\n...\nfiles:\n  {name}: {}\n",
        metadata_yaml(metadata),
        checksum(archive)
    );
    Ok(sluice_openpgp::sign(&text, ring, user, passphrase, now)?)
}

/// Checks that somebody of `ring` vouches for the archive called `name`.
///
/// # Errors
/// [`ProvenanceError`]: nobody does, or for another archive.
pub fn verify(
    provenance: &str,
    name: &str,
    archive: &[u8],
    ring: &[u8],
    now: u64,
) -> Result<Verified, ProvenanceError> {
    let (text, signer) = sluice_openpgp::verify(provenance, ring, now)?;
    let (_, sums) = text.split_once("\n...\n").ok_or(ProvenanceError::Parts)?;
    let sums = sluice_yaml::from_str(sums).map_err(|_| ProvenanceError::Parts)?;
    let wanted = sums
        .get("files")
        .and_then(|files| files.get(name)?.as_str())
        .ok_or_else(|| ProvenanceError::NotListed(name.to_owned()))?;
    let found = checksum(archive);
    if wanted != found {
        return Err(ProvenanceError::Checksum {
            name: name.to_owned(),
            wanted: wanted.to_owned(),
            found,
        });
    }
    Ok(Verified {
        signer,
        checksum: found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &[u8] = include_bytes!("../../openpgp/src/testdata/public.gpg");
    const SECRET: &[u8] = include_bytes!("../../openpgp/src/testdata/secret.gpg");
    const NOW: u64 = 4_118_000_000;

    #[test]
    fn an_archive_is_vouched_for_until_it_changes() {
        let metadata = Metadata {
            name: "c".to_owned(),
            version: "1.0.0".to_owned(),
            api_version: "v2".to_owned(),
            ..Metadata::default()
        };
        let text = sign(&metadata, "c-1.0.0.tgz", b"x", SECRET, "Helm", "", NOW).expect("signs");
        let check = |name, archive: &[u8]| verify(&text, name, archive, PUBLIC, NOW);
        let verified = check("c-1.0.0.tgz", b"x").expect("verifies");
        assert_eq!(verified.signer.users, ["Helm Signer <signer@example.com>"]);
        assert!(matches!(
            check("c-1.0.0.tgz", b"y"),
            Err(ProvenanceError::Checksum { .. })
        ));
        assert_eq!(
            check("d.tgz", b"x"),
            Err(ProvenanceError::NotListed("d.tgz".to_owned()))
        );
    }
}
