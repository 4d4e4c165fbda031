//! ServiceAccount tokens: JSON web tokens signed with ES256.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The issuer of our tokens, and the audience of the API server.
pub const ISSUER: &str = "https://kubernetes.default.svc";
/// Longer tokens are not ours.
const MAX_TOKEN: usize = 16 << 10;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Namespace of the ServiceAccount.
    pub namespace: String,
    /// Name of the ServiceAccount.
    pub name: String,
    /// Uid of the ServiceAccount.
    pub uid: String,
    /// Whom the token is meant for.
    pub audiences: Vec<String>,
    /// Seconds since 1970 from which the token is valid.
    pub issued: i64,
    /// Seconds since 1970 until which the token is valid.
    pub expires: i64,
    /// The token's own id.
    pub id: String,
    /// Kind (`pod`, `secret`, `node`), name and uid of the object that the token dies with.
    pub bound: Option<(String, String, String)>,
}

/// Signs and checks tokens.
pub struct TokenSigner {
    key: EcdsaKeyPair,
    key_id: String,
}

impl TokenSigner {
    /// A signer with this PKCS#8 P-256 key. None where it is no such key.
    pub fn new(pkcs8: &[u8]) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        let key_id = BASE64.encode(Sha256::digest(key.public_key().as_ref()));
        Some(TokenSigner { key, key_id })
    }

    /// The token with these claims.
    pub fn sign(&self, claims: &Claims) -> String {
        let header = json!({"alg": "ES256", "kid": self.key_id});
        let mut own = json!({
            "namespace": claims.namespace,
            "serviceaccount": {"name": claims.name, "uid": claims.uid},
        });
        if let Some((kind, name, uid)) = &claims.bound {
            own[kind.to_lowercase()] = json!({"name": name, "uid": uid});
        }
        let payload = json!({
            "aud": claims.audiences, "exp": claims.expires, "iat": claims.issued, "nbf": claims.issued,
            "iss": ISSUER, "jti": claims.id, "kubernetes.io": own,
            "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.name),
        });
        let text = format!(
            "{}.{}",
            BASE64.encode(header.to_string()),
            BASE64.encode(payload.to_string())
        );
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes());
        // Signing fails only without randomness; a token with an empty signature is refused by everyone.
        let signature = signature
            .map(|signature| BASE64.encode(signature))
            .unwrap_or_default();
        format!("{text}.{signature}")
    }

    /// The claims of a token that we signed and that has not expired at `now` (seconds since 1970).
    pub fn check(&self, token: &str, now: i64) -> Option<Claims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (text, signature) = token.rsplit_once('.')?;
        let (_, payload) = text.split_once('.')?;
        let signature = BASE64.decode(signature).ok()?;
        let public =
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref());
        public.verify(text.as_bytes(), &signature).ok()?;
        let payload: Value = serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()?;
        let own = &payload["kubernetes.io"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let claims = Claims {
            namespace: text(&own["namespace"]),
            name: text(&own["serviceaccount"]["name"]),
            uid: text(&own["serviceaccount"]["uid"]),
            audiences: payload["aud"]
                .as_array()
                .into_iter()
                .flatten()
                .map(text)
                .collect(),
            issued: payload["iat"].as_i64()?,
            expires: payload["exp"].as_i64()?,
            id: text(&payload["jti"]),
            bound: ["pod", "secret", "node"].iter().find_map(|kind| {
                let bound = own[*kind].as_object()?;
                Some((
                    (*kind).to_owned(),
                    text(bound.get("name")?),
                    text(bound.get("uid")?),
                ))
            }),
        };
        (payload["iss"] == ISSUER && claims.issued <= now + 60 && now < claims.expires)
            .then_some(claims)
    }

    /// The public key as a JSON web key set.
    pub fn key_set(&self) -> Value {
        let point = self.key.public_key().as_ref();
        // An uncompressed point: 4, x, y.
        let (x, y) = (
            point.get(1..33).unwrap_or_default(),
            point.get(33..65).unwrap_or_default(),
        );
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> TokenSigner {
        TokenSigner::new(&rcgen::KeyPair::generate().unwrap().serialize_der()).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            namespace: "apps".into(),
            name: "deployer".into(),
            uid: "u".into(),
            audiences: vec![ISSUER.into()],
            issued: 1000,
            expires: 2000,
            id: "i".into(),
            bound: Some(("pod".into(), "p".into(), "v".into())),
        }
    }

    #[test]
    fn only_unexpired_tokens_of_our_own_are_accepted() {
        let signer = signer();
        let token = signer.sign(&claims());
        assert_eq!(signer.check(&token, 1500), Some(claims()));
        assert_eq!(signer.check(&token, 2000), None, "expired");
        assert_eq!(
            self::signer().check(&token, 1500),
            None,
            "signed by another key"
        );
        let (text, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = text.split_once('.').unwrap();
        let forged =
            BASE64.encode(json!({"iss": ISSUER, "iat": 1, "exp": 9999, "aud": []}).to_string());
        assert_eq!(
            signer.check(&format!("{header}.{forged}.{signature}"), 1500),
            None,
            "payload exchanged"
        );
        for garbage in ["", "a", "a.b", "a.b.c", "...."] {
            assert_eq!(signer.check(garbage, 1500), None);
        }
    }
}
