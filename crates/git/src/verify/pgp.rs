//! OpenPGP signatures, with the policy that the library leaves to its users: which key of a
//! certificate may sign, revocations, expiry, and hash strength.

use ::pgp::composed::{
    Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey,
};
use ::pgp::crypto::hash::HashAlgorithm;
use ::pgp::packet::{Signature, SignatureType};
use ::pgp::types::{KeyDetails as _, Tag, Timestamp};

use crate::snapshot::Signed;

/// Largest key ring or signature in bytes.
const MAX_LEN: usize = 4 << 20;

/// Verifies against all key rings. Returns the id of the primary key that vouches for the signature.
pub(super) fn verify(signed: &Signed, rings: &[String], now: u64) -> Result<String, String> {
    let mut certificates = Vec::new();
    let mut complaint = None;
    for ring in rings {
        match parse_ring(ring) {
            Ok(found) => certificates.extend(found),
            Err(error) => complaint = Some(error),
        }
    }
    if let Some(complaint) = complaint.filter(|_| certificates.is_empty()) {
        return Err(format!("unable to read armored key ring: {complaint}"));
    }
    let none =
        |why: &str| format!("unable to verify payload with any of the given key rings: {why}");
    if signed.signature.len() > MAX_LEN {
        return Err(none("signature is too long"));
    }
    let (signature, _) = DetachedSignature::from_string(&signed.signature)
        .map_err(|error| none(&format!("signature cannot be read: {error}")))?;
    let signature = signature.signature;
    if !matches!(
        signature.typ(),
        Some(SignatureType::Binary | SignatureType::Text)
    ) {
        return Err(none("not a signature of data"));
    }
    if signature.hash_alg().is_none_or(is_weak) {
        return Err(none("signature uses a weak hash"));
    }
    let mut why = "no matching key".to_owned();
    for certificate in &certificates {
        match vouches(certificate, &signature, &signed.payload, now) {
            Ok(true) => {
                return Ok(certificate
                    .primary_key
                    .legacy_key_id()
                    .to_string()
                    .to_uppercase());
            }
            Ok(false) => {}
            Err(reason) => why = reason.to_owned(),
        }
    }
    Err(none(&why))
}

fn is_weak(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160
    )
}

fn parse_ring(text: &str) -> Result<Vec<SignedPublicKey>, String> {
    let no_armor = "openpgp: invalid argument: no armored data found";
    if text.len() > MAX_LEN || !text.contains("-----BEGIN PGP ") {
        return Err(no_armor.to_owned());
    }
    let (keys, _) =
        SignedPublicKey::from_string_many(text).map_err(|error| format!("openpgp: {error}"))?;
    // A certificate of a kind that is not known does not spoil the others.
    let keys: Vec<SignedPublicKey> = keys.filter_map(Result::ok).collect();
    if keys.is_empty() {
        Err(no_armor.to_owned())
    } else {
        Ok(keys)
    }
}

/// Whether a key of the certificate made the signature and may do so.
///
/// An error is the reason why a key that did make it may not.
fn vouches(
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

fn seconds(duration: ::pgp::types::Duration) -> u64 {
    std::time::Duration::from(duration).as_secs()
}

#[cfg(test)]
mod tests {
    //! Keys and signatures were made with GnuPG 2.2 by `testdata/make.sh`.

    use super::*;
    use proptest::prelude::*;

    const PAYLOAD: &[u8] = include_bytes!("testdata/payload");
    const ALICE: &str = include_str!("testdata/alice.asc");
    const ALICE_REVOKED: &str = include_str!("testdata/alice-revoked.asc");
    const ALICE_SIG: &str = include_str!("testdata/alice.sig");
    const BOB: &str = include_str!("testdata/bob.asc");
    const BOB_SIG: &str = include_str!("testdata/bob.sig");
    const MALLORY: &str = include_str!("testdata/mallory.asc");
    const OLD: &str = include_str!("testdata/old.asc");
    const OLD_SIG: &str = include_str!("testdata/old.sig");
    /// The middle of 2100: later than the keys, within the format's range.
    const NOW: u64 = 4_118_000_000;
    const JANUARY_2020: u64 = 1_577_840_000;

    fn check(signature: &str, rings: &[&str], now: u64) -> Result<String, String> {
        let signed = Signed {
            signature: signature.to_owned(),
            payload: PAYLOAD.to_vec(),
        };
        let rings: Vec<String> = rings.iter().map(|ring| (*ring).to_owned()).collect();
        verify(&signed, &rings, now)
    }

    #[test]
    fn primary_and_sub_keys_vouch_under_the_name_of_the_primary() {
        let alice = include_str!("testdata/alice.id").trim();
        let bob = include_str!("testdata/bob.id").trim();
        assert_eq!(
            check(ALICE_SIG, &[MALLORY, ALICE], NOW),
            Ok(alice.to_owned())
        );
        assert_eq!(check(BOB_SIG, &[BOB], NOW), Ok(bob.to_owned()));
        // Of several armors in one text only the first is read, as in Flux.
        assert!(check(BOB_SIG, &[&format!("{MALLORY}\n{BOB}")], NOW).is_err());
        let both = "unable to verify payload with any of the given key rings: no matching key";
        assert_eq!(check(ALICE_SIG, &[MALLORY], NOW), Err(both.to_owned()));
        assert_eq!(check(ALICE_SIG, &[BOB, MALLORY], NOW), Err(both.to_owned()));
    }

    #[test]
    fn revoked_expired_and_damaged_keys_do_not_vouch() {
        let prefix = "unable to verify payload with any of the given key rings: ";
        assert_eq!(
            check(ALICE_SIG, &[ALICE_REVOKED], NOW),
            Err(format!("{prefix}key revoked"))
        );
        assert_eq!(
            check(OLD_SIG, &[OLD], NOW),
            Err(format!("{prefix}key expired"))
        );
        assert!(check(OLD_SIG, &[OLD], JANUARY_2020).is_ok());
        assert_eq!(
            check(ALICE_SIG, &["nothing"], NOW),
            Err(
                "unable to read armored key ring: openpgp: invalid argument: no armored data found"
                    .into()
            )
        );
        assert!(check(ALICE_SIG, &["nothing", ALICE], NOW).is_ok());
        let changed = Signed {
            signature: ALICE_SIG.into(),
            payload: b"other".to_vec(),
        };
        assert!(verify(&changed, &[ALICE.to_owned()], NOW).is_err());
    }

    proptest! {
        #[test]
        fn damaged_armor_cannot_panic(at in 0usize..380, with in any::<u8>()) {
            for text in [ALICE, ALICE_SIG] {
                let mut bytes = text.as_bytes().to_vec();
                let at = at % bytes.len();
                bytes[at] = with;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let _ = check(ALICE_SIG, &[&text], NOW);
                let _ = check(&text, &[ALICE], NOW);
            }
        }
    }
}
