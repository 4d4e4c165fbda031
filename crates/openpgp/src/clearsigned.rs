//! Clear-signed texts: a text that stays legible, with its signature below.

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, Deserializable as _, SignedPublicKey, SignedSecretKey,
};
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, SigningKey, Timestamp};

use crate::{MAX_LEN, is_weak, vouches};

/// Who signed a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The user ids of the certificate.
    pub users: Vec<String>,
    /// Fingerprint of its primary key, in upper-case hexadecimal.
    pub fingerprint: String,
}

/// Why a text could not be signed, or a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClearError {
    /// The ring holds no keys that can be read.
    #[error("the key ring cannot be read: {0}")]
    Ring(String),
    /// The text is not clear-signed.
    #[error("signature block not found")]
    NotSigned,
    /// No key of the ring made the signature.
    #[error("openpgp: signature made by unknown entity")]
    Unknown,
    /// A key made it, but it does not count.
    #[error("openpgp: {0}")]
    Refused(&'static str),
    /// No secret key has the wanted user id.
    #[error("private key not found")]
    NoKey,
    /// The ring only holds public keys.
    #[error("provided key is not a private key. Try providing a keyring with secret keys")]
    NotSecret,
    /// More than one secret key has it.
    #[error("multiple keys contain the id {0:?}")]
    Ambiguous(String),
    /// The key cannot be used; often the passphrase is wrong.
    #[error("the key cannot sign: {0}")]
    Signing(String),
}

/// Checks the signature of a clear-signed text against a ring of public keys,
/// armored or not. Returns the text, with its own line breaks, and who signed it.
/// `now` are seconds since 1970.
///
/// # Errors
/// [`ClearError`]: nobody that is known vouches for it.
pub fn verify(text: &str, ring: &[u8], now: u64) -> Result<(String, Signer), ClearError> {
    if text.len() > MAX_LEN {
        return Err(ClearError::NotSigned);
    }
    let certificates = public_keys(ring)?;
    let (message, _) =
        CleartextSignedMessage::from_string(text).map_err(|_| ClearError::NotSigned)?;
    let signed = message.signed_text();
    let mut refused = None;
    for signature in message.signatures() {
        let is_text = signature.typ() == Some(SignatureType::Text);
        if !is_text || signature.hash_alg().is_none_or(is_weak) {
            refused = Some("signature uses a weak hash");
            continue;
        }
        for certificate in &certificates {
            match vouches(certificate, signature, signed.as_bytes(), now) {
                Ok(true) => return Ok((signed.replace("\r\n", "\n"), signer(certificate))),
                Ok(false) => {}
                Err(why) => refused = Some(why),
            }
        }
    }
    Err(refused.map_or(ClearError::Unknown, ClearError::Refused))
}

fn signer(certificate: &SignedPublicKey) -> Signer {
    let users = certificate.details.users.iter();
    Signer {
        users: users
            .map(|user| String::from_utf8_lossy(user.id.id()).into_owned())
            .collect(),
        fingerprint: certificate
            .primary_key
            .fingerprint()
            .to_string()
            .to_uppercase(),
    }
}

/// Signs a text with the key of a ring of secret keys whose user id contains
/// `user`. `now` are seconds since 1970.
///
/// # Errors
/// [`ClearError`]: there is no such key, or it cannot be used.
pub fn sign(
    text: &str,
    ring: &[u8],
    user: &str,
    passphrase: &str,
    now: u64,
) -> Result<String, ClearError> {
    let ring_error = |e: pgp::errors::Error| ClearError::Ring(e.to_string());
    if ring.len() > MAX_LEN {
        return Err(ClearError::Ring("it is too long".to_owned()));
    }
    let (keys, _) = SignedSecretKey::from_reader_many(ring).map_err(ring_error)?;
    let keys: Vec<SignedSecretKey> = keys.filter_map(Result::ok).collect();
    if keys.is_empty() && public_keys(ring).is_ok_and(|keys| !keys.is_empty()) {
        return Err(ClearError::NotSecret);
    }
    let mut chosen = keys.iter().filter(|key| {
        let mut users = key.details.users.iter();
        users.any(|one| String::from_utf8_lossy(one.id.id()).contains(user))
    });
    let key = match (chosen.next(), chosen.next()) {
        (None, _) => return Err(ClearError::NoKey),
        (Some(key), None) => key,
        (Some(_), Some(_)) => return Err(ClearError::Ambiguous(user.to_owned())),
    };
    let failed = |e: pgp::errors::Error| ClearError::Signing(e.to_string());
    let password = Password::from(passphrase);
    let message = clear_signed(text, &key.primary_key, &password, now).map_err(failed)?;
    let armored = message
        .to_armored_string(ArmorOptions::default())
        .map_err(failed)?;
    Ok(armored.trim_end().to_owned())
}

fn clear_signed(
    text: &str,
    key: &impl SigningKey,
    password: &Password,
    now: u64,
) -> Result<CleartextSignedMessage, pgp::errors::Error> {
    let made = Timestamp::from_secs(u32::try_from(now).unwrap_or(u32::MAX));
    let mut config = SignatureConfig::v4(SignatureType::Text, key.algorithm(), key.hash_alg());
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(made))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
        key.legacy_key_id(),
    ))?];
    CleartextSignedMessage::new(text, config, key, password)
}

fn public_keys(ring: &[u8]) -> Result<Vec<SignedPublicKey>, ClearError> {
    if ring.len() > MAX_LEN {
        return Err(ClearError::Ring("it is too long".to_owned()));
    }
    let (keys, _) =
        SignedPublicKey::from_reader_many(ring).map_err(|e| ClearError::Ring(e.to_string()))?;
    // A certificate of a kind that is not known does not spoil the others.
    Ok(keys.filter_map(Result::ok).collect())
}

#[cfg(test)]
mod tests {
    //! Keys were made with GnuPG 2.2 by `testdata/make.sh`, the signature by helm 4.2.3.

    use super::*;

    const PUBLIC: &[u8] = include_bytes!("testdata/public.gpg");
    const SECRET: &[u8] = include_bytes!("testdata/secret.gpg");
    const HELMS: &str = include_str!("testdata/loc-0.3.0.tgz.prov");
    /// The middle of 2100: later than the keys, within the format's range.
    const NOW: u64 = 4_118_000_000;
    const TEXT: &str = "name: a\n- dashed\n\n...\nfiles: {}\n";

    #[test]
    fn what_helm_signed_is_verified() {
        let (text, signer) = verify(HELMS, PUBLIC, NOW).expect("verifies");
        assert!(text.starts_with("apiVersion: v2\nname: loc\nversion: 0.3.0\n\n...\nfiles:\n"));
        assert_eq!(signer.users, ["Helm Signer <signer@example.com>"]);
        assert_eq!(signer.fingerprint.len(), 40);
        let changed = HELMS.replace("name: loc", "name: lock");
        assert_eq!(verify(&changed, PUBLIC, NOW), Err(ClearError::Unknown));
        assert_eq!(verify("text", PUBLIC, NOW), Err(ClearError::NotSigned));
    }

    #[test]
    fn what_is_signed_is_verified() {
        let signed = sign(TEXT, SECRET, "signer@example", "", NOW).expect("signs");
        let (text, _) = verify(&signed, PUBLIC, NOW).expect("verifies");
        assert_eq!(text.trim_end(), TEXT.trim_end());
        assert!(verify(&signed, PUBLIC, 0).is_err());
    }

    #[test]
    fn keys_are_chosen_by_their_users() {
        let with = |ring: &[u8], user| sign(TEXT, ring, user, "", NOW);
        assert_eq!(with(SECRET, "nobody"), Err(ClearError::NoKey));
        assert_eq!(with(PUBLIC, "Helm"), Err(ClearError::NotSecret));
        assert!(with(b"junk", "Helm").is_err());
    }
}
