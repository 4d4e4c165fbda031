//! OpenPGP signatures of commits and tags, told in Flux's words.

use ::pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey};
use ::pgp::packet::SignatureType;
use ::pgp::types::KeyDetails as _;
use sluice_openpgp::{MAX_LEN, is_weak, vouches};

use crate::snapshot::Signed;

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
