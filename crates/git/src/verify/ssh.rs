//! SSH signatures in Git's namespace.

use russh::keys::{HashAlg, PublicKey, ssh_key};
use ssh_key::{AuthorizedKeys, SshSig};

use crate::snapshot::Signed;

/// The namespace that Git signs in; a signature made for anything else says nothing about Git.
const NAMESPACE: &str = "git";

/// Verifies against the keys of all entries. Returns the fingerprint of the one that signed.
pub(super) fn verify(signed: &Signed, entries: &[String]) -> Result<String, String> {
    let mut keys = Vec::new();
    let mut complaint = None;
    for entry in entries {
        match parse(entry) {
            Ok(found) => keys.extend(found),
            Err(error) => complaint = Some(error),
        }
    }
    // A damaged entry is told only if there is nothing else to go by.
    if let Some(complaint) = complaint.filter(|_| keys.is_empty()) {
        return Err(format!("unable to parse authorized keys: {complaint}"));
    }
    let signature = SshSig::from_pem(signed.signature.trim())
        .map_err(|error| format!("unable to parse signature: {error}"))?;
    let mut reasons = vec!["no matching key".to_owned()];
    for key in &keys {
        if key.key_data() != signature.public_key() {
            reasons.push("public key does not match".to_owned());
            continue;
        }
        match key.verify(NAMESPACE, &signed.payload, &signature) {
            Ok(()) => return Ok(key.fingerprint(HashAlg::Sha256).to_string()),
            Err(error) => reasons.push(format!("signature does not verify: {error}")),
        }
    }
    Err(format!(
        "unable to verify payload with any of the given authorized keys: {}",
        reasons.join("\n")
    ))
}

/// The keys of one entry; one line that makes no sense spoils it.
fn parse(entry: &str) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for line in AuthorizedKeys::new(entry) {
        let line =
            line.map_err(|_| "unable to parse authorized key: ssh: no key found".to_owned())?;
        keys.push(line.public_key().clone());
    }
    if keys.is_empty() {
        Err("unable to parse authorized key: ssh: no key found".to_owned())
    } else {
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::{Algorithm, PrivateKey};
    use ssh_key::LineEnding;

    fn signed_by(key: &PrivateKey, namespace: &str) -> Signed {
        let payload = b"tree 1234\n\nmessage\n".to_vec();
        let signature = key.sign(namespace, HashAlg::Sha512, &payload).unwrap();
        Signed {
            signature: signature.to_pem(LineEnding::LF).unwrap(),
            payload,
        }
    }

    fn line(key: &PrivateKey) -> String {
        key.public_key().to_openssh().unwrap()
    }

    #[test]
    fn a_trusted_key_is_named_and_others_are_refused() {
        let (alice, mallory) = (
            PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap(),
            PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap(),
        );
        let signed = signed_by(&alice, "git");
        let id = verify(
            &signed,
            &[
                line(&mallory),
                format!("# comment\n{} play\n", line(&alice)),
            ],
        )
        .unwrap();
        assert_eq!(
            id,
            alice.public_key().fingerprint(HashAlg::Sha256).to_string()
        );
        assert!(id.starts_with("SHA256:"));
        assert_eq!(
            verify(&signed, &[line(&mallory)]).unwrap_err(),
            "unable to verify payload with any of the given authorized keys: no matching key\npublic key does not match"
        );
        assert_eq!(
            verify(&signed, &["nothing".into()]).unwrap_err(),
            "unable to parse authorized keys: unable to parse authorized key: ssh: no key found"
        );
        assert!(verify(&signed, &["nothing".into(), line(&alice)]).is_ok());
        let changed = Signed {
            payload: b"tree 5678\n\nmessage\n".to_vec(),
            ..signed
        };
        assert!(
            verify(&changed, &[line(&alice)])
                .unwrap_err()
                .contains("signature does not verify")
        );
        assert!(verify(&signed_by(&alice, "file"), &[line(&alice)]).is_err());
    }
}
