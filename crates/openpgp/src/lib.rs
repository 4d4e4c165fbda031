//! OpenPGP signatures, with the policy that the library leaves to its users: which key of a
//! certificate may sign, revocations, expiry, and hash strength.
//!
//! Where keys come from and what a signature is good for is somebody else's.

mod clearsigned;

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails as _, Tag, Timestamp};

pub use clearsigned::{ClearError, Signer, sign, verify};

/// Largest key ring or signature in bytes.
pub const MAX_LEN: usize = 4 << 20;

/// Whether a hash is too weak for a signature to count.
pub fn is_weak(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160
    )
}

/// Whether a key of the certificate made the signature and may do so.
///
/// `now` are seconds since 1970.
///
/// # Errors
/// The reason why a key that did make it may not.
pub fn vouches(
    certificate: &SignedPublicKey,
    signature: &Signature,
    payload: &[u8],
    now: u64,
) -> Result<bool, &'static str> {
    let primary = &certificate.primary_key;
    let by_primary = signature.verify(primary, payload).is_ok();
    let by_subkey = certificate
        .public_subkeys
        .iter()
        .find(|subkey| !by_primary && signature.verify(&subkey.key, payload).is_ok());
    if !by_primary && by_subkey.is_none() {
        return Ok(false);
    }
    if expired(
        signature,
        signature.signature_expiration_time().map(seconds),
        now,
    ) {
        return Err("signature expired");
    }
    let own = self_signature(certificate, now).ok_or("key has no valid self-signature")?;
    let details = &certificate.details;
    if details
        .revocation_signatures
        .iter()
        .any(|revocation| revocation.verify_key(primary).is_ok())
    {
        return Err("key revoked");
    }
    if key_expired(created(primary.created_at()), own, now) {
        return Err("key expired");
    }
    match by_subkey {
        None => may_sign(own).then_some(true).ok_or("key may not sign"),
        Some(subkey) => {
            let binding = binding(certificate, subkey, now)?;
            if key_expired(created(subkey.key.created_at()), binding, now) {
                return Err("key expired");
            }
            Ok(true)
        }
    }
}

/// The youngest valid signature of the primary key over one of its user ids, or over itself.
fn self_signature(certificate: &SignedPublicKey, now: u64) -> Option<&Signature> {
    let primary = &certificate.primary_key;
    let over_users = certificate.details.users.iter().filter_map(|user| {
        let valid = |signature: &&Signature| {
            signature
                .verify_certification(primary, Tag::UserId, &user.id)
                .is_ok()
        };
        let revoked = user.signatures.iter().any(|signature| {
            signature.typ() == Some(SignatureType::CertRevocation) && valid(&signature)
        });
        let certifications = user
            .signatures
            .iter()
            .filter(|signature| signature.is_certification());
        (!revoked).then(|| certifications.filter(valid).filter(|s| current(s, now)))
    });
    let over_itself = certificate
        .details
        .direct_signatures
        .iter()
        .filter(|signature| signature.verify_key(primary).is_ok() && current(signature, now));
    over_users
        .flatten()
        .chain(over_itself)
        .max_by_key(|signature| signature.created().map(created))
}

/// The youngest valid binding of a sub-key that may sign.
fn binding<'k>(
    certificate: &'k SignedPublicKey,
    subkey: &'k SignedPublicSubKey,
    now: u64,
) -> Result<&'k Signature, &'static str> {
    let primary = &certificate.primary_key;
    let valid = |signature: &&Signature| {
        signature
            .verify_subkey_binding(primary, &subkey.key)
            .is_ok()
    };
    let of_type = |type_| {
        subkey
            .signatures
            .iter()
            .filter(move |signature| signature.typ() == Some(type_))
    };
    if of_type(SignatureType::SubkeyRevocation).any(|signature| valid(&signature)) {
        return Err("key revoked");
    }
    let binding = of_type(SignatureType::SubkeyBinding)
        .filter(valid)
        .filter(|signature| current(signature, now))
        .max_by_key(|signature| signature.created().map(created))
        .ok_or("key has no valid binding")?;
    // Without the sub-key's own consent anybody could adopt somebody else's signing key.
    let consents = binding.embedded_signature().is_some_and(|back| {
        back.verify_primary_key_binding(&subkey.key, primary)
            .is_ok()
    });
    (binding.key_flags().sign() && consents)
        .then_some(binding)
        .ok_or("key may not sign")
}

/// A key without flags at all may do what its algorithm can.
fn may_sign(own: &Signature) -> bool {
    let flags = own.key_flags();
    let any = flags.sign()
        || flags.certify()
        || flags.encrypt_comms()
        || flags.encrypt_storage()
        || flags.authentication();
    flags.sign() || !any
}

fn current(signature: &Signature, now: u64) -> bool {
    signature.created().is_some_and(|at| created(at) <= now)
        && !expired(
            signature,
            signature.signature_expiration_time().map(seconds),
            now,
        )
}

fn expired(signature: &Signature, life: Option<u64>, now: u64) -> bool {
    match (signature.created(), life) {
        (Some(at), Some(life)) if life > 0 => created(at) + life < now,
        _ => false,
    }
}

fn key_expired(made: u64, own: &Signature, now: u64) -> bool {
    own.key_expiration_time()
        .map(seconds)
        .is_some_and(|life| life > 0 && made + life < now)
}

fn created(at: Timestamp) -> u64 {
    u64::from(at.as_secs())
}

fn seconds(duration: pgp::types::Duration) -> u64 {
    std::time::Duration::from(duration).as_secs()
}
