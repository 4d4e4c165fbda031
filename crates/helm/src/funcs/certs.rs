//! Sprig's private keys and certificates.

use std::any::Any;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use sluice_gotemplate::{ANY_SLICE, CallError, Named, Object, Run, Type, Under, Value};

use super::convert::{INT, STRING, int, string, text, utf8};
use super::der::{self, bit_string, element, elements, from_pem, integer, read, sequence, to_pem};
use super::gotime::{Time, Zone};
use super::{Answer, Entry, fail, fixed};
use crate::session::Session;

const CERTIFICATE: Type = Type::Named(&CERTIFICATE_TYPE);
const SIGNED: &[Type] = &[STRING, ANY_SLICE, ANY_SLICE, INT];

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

pub(crate) const TABLE: &[Entry] = &[
    fixed("genPrivateKey", &[STRING], STRING, |run, a| {
        let kind = utf8(&a[0]);
        let key = match &*kind {
            "" | "rsa" => Key::rsa(KeySize::Rsa4096)?,
            "dsa" => return string(super::dsa::generate(run.host)?),
            "ecdsa" => Key::ecdsa()?,
            "ed25519" => Key::ed25519(run.host)?,
            other => return string(format!("Unknown type {other}")),
        };
        string(key.pem())
    }),
    fixed("buildCustomCert", &[STRING, STRING], CERTIFICATE, |_, a| {
        let decoded = |value: &Value, what: &str| {
            STANDARD
                .decode(text(value))
                .map_err(|_| CallError::new(format!("unable to decode base64 {what}")))
        };
        let cert = decoded(&a[0], "certificate")?;
        let key = decoded(&a[1], "private key")?;
        let (cert, key) = (
            String::from_utf8_lossy(&cert).into_owned(),
            String::from_utf8_lossy(&key).into_owned(),
        );
        let Some((_, der)) = from_pem(&cert) else {
            return fail("unable to decode certificate");
        };
        if Parent::read(&der).is_none() {
            return fail(
                "error parsing certificate: decodedCert.Bytes: x509: malformed certificate",
            );
        }
        Key::from_pem(&key)
            .map_err(|e| CallError::new(format!("error parsing private key: {e}")))?;
        Ok(certificate(cert, key))
    }),
    fixed("genCA", &[STRING, INT], CERTIFICATE, |run, a| {
        let key = Key::rsa(KeySize::Rsa2048)?;
        authority(run, a, key)
    }),
    fixed(
        "genCAWithKey",
        &[STRING, INT, STRING],
        CERTIFICATE,
        |run, a| {
            let key = given_key(&a[2])?;
            authority(run, a, key)
        },
    ),
    fixed("genSelfSignedCert", SIGNED, CERTIFICATE, |run, a| {
        let key = Key::rsa(KeySize::Rsa2048)?;
        leaf(run, a, key, None)
    }),
    fixed(
        "genSelfSignedCertWithKey",
        &[STRING, ANY_SLICE, ANY_SLICE, INT, STRING],
        CERTIFICATE,
        |run, a| {
            let key = given_key(&a[4])?;
            leaf(run, a, key, None)
        },
    ),
    fixed(
        "genSignedCert",
        &[STRING, ANY_SLICE, ANY_SLICE, INT, CERTIFICATE],
        CERTIFICATE,
        |run, a| {
            let key = Key::rsa(KeySize::Rsa2048)?;
            leaf(run, a, key, Some(&a[4]))
        },
    ),
    fixed(
        "genSignedCertWithKey",
        &[STRING, ANY_SLICE, ANY_SLICE, INT, CERTIFICATE, STRING],
        CERTIFICATE,
        |run, a| {
            let key = given_key(&a[5])?;
            leaf(run, a, key, Some(&a[4]))
        },
    ),
];

/// A certificate with its key, both in PEM.
struct CertificateObject {
    cert: String,
    key: String,
}

static CERTIFICATE_TYPE: Named = Named {
    name: "sprig.certificate",
    under: Under::Struct,
    text: None,
    action_text: None,
    methods: || &[],
};

impl Object for CertificateObject {
    fn named(&self) -> &'static Named {
        &CERTIFICATE_TYPE
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::from(self.cert.as_str())),
            "Key" => Some(Value::from(self.key.as_str())),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("Cert", Value::from(self.cert.as_str())),
            ("Key", Value::from(self.key.as_str())),
        ]
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn certificate(cert: String, key: String) -> Value {
    Value::object(CertificateObject { cert, key })
}

/// A private key that can sign.
enum Key {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair, Vec<u8>),
    Ed25519(Ed25519KeyPair, [u8; 32]),
}

fn refused<E>(what: &'static str) -> impl Fn(E) -> CallError {
    move |_| CallError::new(format!("error generating {what}"))
}

fn given_key(value: &Value) -> Result<Key, CallError> {
    Key::from_pem(&utf8(value)).map_err(|e| CallError::new(format!("parsing private key: {e}")))
}

impl Key {
    fn rsa(size: KeySize) -> Result<Key, CallError> {
        RsaKeyPair::generate(size)
            .map(|key| Key::Rsa(Box::new(key)))
            .map_err(refused("rsa key"))
    }

    fn ecdsa() -> Result<Key, CallError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(refused("ecdsa key"))?;
        let pkcs8 = pair.to_pkcs8v1().map_err(refused("ecdsa key"))?;
        let secret = inner_ec_secret(pkcs8.as_ref())
            .ok_or_else(|| CallError::new("error generating ecdsa key"))?;
        Ok(Key::Ecdsa(pair, secret))
    }

    fn ed25519(session: &mut Session) -> Result<Key, CallError> {
        let mut seed = [0; 32];
        session.fill(&mut seed);
        Ed25519KeyPair::from_seed_unchecked(&seed)
            .map(|pair| Key::Ed25519(pair, seed))
            .map_err(refused("ed25519 key"))
    }

    fn from_pem(pem: &str) -> Result<Key, String> {
        let Some((label, der)) = from_pem(pem) else {
            return Err("no PEM data in input".to_owned());
        };
        let bad = || format!("unable to parse {label}");
        match label.as_str() {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der)
                .map(|key| Key::Rsa(Box::new(key)))
                .map_err(|_| bad()),
            "EC PRIVATE KEY" => ec_from_sec1(&der).ok_or_else(bad),
            "PRIVATE KEY" => {
                if let Ok(key) = RsaKeyPair::from_pkcs8(&der) {
                    return Ok(Key::Rsa(Box::new(key)));
                }
                if let Some(secret) = inner_ec_secret(&der) {
                    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der)
                        .map_err(|_| bad())?;
                    return Ok(Key::Ecdsa(pair, secret));
                }
                ed25519_from_pkcs8(&der).ok_or_else(bad)
            }
            _ => Err(format!("no private key data in PEM block of type {label}")),
        }
    }

    /// The key in the form that Go's x509 would write it in.
    fn pem(&self) -> String {
        match self {
            Key::Rsa(key) => match key
                .as_der()
                .ok()
                .as_ref()
                .and_then(|d| pkcs1_of(d.as_ref()))
            {
                Some(pkcs1) => to_pem("RSA PRIVATE KEY", &pkcs1),
                None => String::new(),
            },
            Key::Ecdsa(pair, secret) => {
                let curve = element(0xa0, &element(der::OID, PRIME256V1));
                let public = element(0xa1, &bit_string(pair.public_key().as_ref()));
                let body = sequence(&[
                    &integer(&[1]),
                    &element(der::OCTET_STRING, secret),
                    &curve,
                    &public,
                ]);
                to_pem("EC PRIVATE KEY", &body)
            }
            Key::Ed25519(_, seed) => {
                let inner = element(der::OCTET_STRING, &element(der::OCTET_STRING, seed));
                let algorithm = sequence(&[&element(der::OID, ED25519)]);
                to_pem(
                    "PRIVATE KEY",
                    &sequence(&[&integer(&[0]), &algorithm, &inner]),
                )
            }
        }
    }

    fn algorithm(&self) -> Vec<u8> {
        match self {
            Key::Rsa(_) => sequence(&[
                &element(der::OID, SHA256_WITH_RSA),
                &element(der::NULL, &[]),
            ]),
            Key::Ecdsa(..) => sequence(&[&element(der::OID, ECDSA_WITH_SHA256)]),
            Key::Ed25519(..) => sequence(&[&element(der::OID, ED25519)]),
        }
    }

    /// The bytes of the public key, and its SubjectPublicKeyInfo.
    fn public(&self) -> (Vec<u8>, Vec<u8>) {
        let (bytes, algorithm) = match self {
            Key::Rsa(key) => (
                key.public_key().as_ref().to_vec(),
                sequence(&[&element(der::OID, RSA_ENCRYPTION), &element(der::NULL, &[])]),
            ),
            Key::Ecdsa(key, _) => (
                key.public_key().as_ref().to_vec(),
                sequence(&[
                    &element(der::OID, EC_PUBLIC_KEY),
                    &element(der::OID, PRIME256V1),
                ]),
            ),
            Key::Ed25519(key, _) => (
                key.public_key().as_ref().to_vec(),
                sequence(&[&element(der::OID, ED25519)]),
            ),
        };
        let info = sequence(&[&algorithm, &bit_string(&bytes)]);
        (bytes, info)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CallError> {
        let random = SystemRandom::new();
        match self {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(refused("signature"))?;
                Ok(signature)
            }
            Key::Ecdsa(key, _) => key
                .sign(&random, message)
                .map(|s| s.as_ref().to_vec())
                .map_err(refused("signature")),
            Key::Ed25519(key, _) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

/// Takes the RSAPrivateKey out of PKCS 8.
fn pkcs1_of(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let (outer, _) = read(pkcs8)?;
    let parts = elements(outer.content)?;
    Some(parts.get(2)?.content.to_vec())
}

/// Takes the secret scalar of a P-256 key out of PKCS 8.
fn inner_ec_secret(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let (outer, _) = read(pkcs8)?;
    let parts = elements(outer.content)?;
    let algorithm = elements(parts.get(1)?.content)?;
    if algorithm.first()?.content != EC_PUBLIC_KEY {
        return None;
    }
    sec1_secret(parts.get(2)?.content)
}

fn sec1_secret(sec1: &[u8]) -> Option<Vec<u8>> {
    let (inner, _) = read(sec1)?;
    let fields = elements(inner.content)?;
    Some(fields.get(1)?.content.to_vec())
}

fn ec_from_sec1(sec1: &[u8]) -> Option<Key> {
    let secret = sec1_secret(sec1)?;
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, sec1).ok()?;
    Some(Key::Ecdsa(pair, secret))
}

fn ed25519_from_pkcs8(pkcs8: &[u8]) -> Option<Key> {
    let (outer, _) = read(pkcs8)?;
    let parts = elements(outer.content)?;
    let (seed, _) = read(parts.get(2)?.content)?;
    let seed: [u8; 32] = seed.content.try_into().ok()?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
    Some(Key::Ed25519(pair, seed))
}

/// Who signs: the name and key identifier to put into the certificate.
struct Parent {
    subject: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

impl Parent {
    /// Reads what a signer needs out of its certificate.
    fn read(der: &[u8]) -> Option<Parent> {
        let (outer, _) = read(der)?;
        let parts = elements(outer.content)?;
        let mut fields = elements(parts.first()?.content)?;
        if fields.first()?.tag == 0xa0 {
            fields.remove(0);
        }
        let subject = fields.get(4).filter(|f| f.tag == der::SEQUENCE)?;
        let mut key_id = None;
        for field in fields.iter().filter(|f| f.tag == 0xa3) {
            let (list, _) = read(field.content)?;
            for extension in elements(list.content)? {
                let inner = elements(extension.content)?;
                if inner.first()?.content == SUBJECT_KEY_ID {
                    let (id, _) = read(inner.last()?.content)?;
                    key_id = Some(id.content.to_vec());
                }
            }
        }
        Some(Parent {
            subject: subject.raw.to_vec(),
            key_id,
        })
    }
}

/// What a certificate shall say.
struct Request {
    subject: Vec<u8>,
    is_authority: bool,
    addresses: Vec<Vec<u8>>,
    names: Vec<String>,
    days: i64,
}

fn authority(run: &mut Run<'_, Session>, a: &[Value], key: Key) -> Answer {
    let request = Request {
        subject: common_name(&utf8(&a[0])),
        is_authority: true,
        addresses: Vec::new(),
        names: Vec::new(),
        days: int(&a[1]),
    };
    issue(run, &request, &key, None)
}

fn leaf(run: &mut Run<'_, Session>, a: &[Value], key: Key, signer: Option<&Value>) -> Answer {
    let request = Request {
        subject: common_name(&utf8(&a[0])),
        is_authority: false,
        addresses: addresses(&a[1])?,
        names: alternate_names(&a[2])?,
        days: int(&a[3]),
    };
    let Some(signer) = signer else {
        return issue(run, &request, &key, None);
    };
    let Value::Object(object) = signer else {
        return fail("unable to decode certificate");
    };
    let Some(ca) = object.as_any().downcast_ref::<CertificateObject>() else {
        return fail("unable to decode certificate");
    };
    let parent = from_pem(&ca.cert).and_then(|(_, der)| Parent::read(&der));
    let Some(parent) = parent else {
        return fail("unable to decode certificate");
    };
    let signer_key = Key::from_pem(&ca.key)
        .map_err(|e| CallError::new(format!("error parsing private key: {e}")))?;
    issue(run, &request, &key, Some((&parent, &signer_key)))
}

fn issue(
    run: &mut Run<'_, Session>,
    request: &Request,
    key: &Key,
    signer: Option<(&Parent, &Key)>,
) -> Answer {
    let (public, info) = key.public();
    let own_id = Sha256::digest(&public)[..20].to_vec();
    let mut serial = [0; 16];
    run.host.fill(&mut serial);
    let start = run.host.now();
    let end = start.plus(0);
    let end = Time {
        seconds: end
            .seconds
            .saturating_add(request.days.saturating_mul(86_400)),
        ..end
    };
    let (issuer, signing_key, authority_id) = match signer {
        None => (&request.subject, key, None),
        Some((parent, key)) => {
            let foreign = parent.subject != request.subject;
            let id = parent.key_id.clone().filter(|_| foreign);
            (&parent.subject, key, id)
        }
    };
    let algorithm = signing_key.algorithm();
    let extensions = extensions(request, &own_id, authority_id.as_deref());
    let body = sequence(&[
        &element(0xa0, &integer(&[2])),
        &integer(&serial),
        &algorithm,
        issuer,
        &sequence(&[&moment(&start), &moment(&end)]),
        &request.subject,
        &info,
        &element(0xa3, &extensions),
    ]);
    let signature = signing_key.sign(&body)?;
    let whole = sequence(&[&body, &algorithm, &bit_string(&signature)]);
    Ok(certificate(to_pem("CERTIFICATE", &whole), key.pem()))
}

fn extensions(request: &Request, own_id: &[u8], authority_id: Option<&[u8]>) -> Vec<u8> {
    let critical = element(der::BOOLEAN, &[0xff]);
    let extension = |oid: &[u8], is_critical: bool, value: &[u8]| {
        let flag: &[u8] = if is_critical { &critical } else { &[] };
        sequence(&[
            &element(der::OID, oid),
            flag,
            &element(der::OCTET_STRING, value),
        ])
    };
    // Digital signature and key encipherment; an authority also signs.
    let usage: &[u8] = if request.is_authority {
        &[2, 0b1010_0100]
    } else {
        &[5, 0b1010_0000]
    };
    let mut all = extension(KEY_USAGE, true, &element(der::BIT_STRING, usage));
    let purposes = sequence(&[
        &element(der::OID, SERVER_AUTH),
        &element(der::OID, CLIENT_AUTH),
    ]);
    all.extend(extension(EXTENDED_KEY_USAGE, false, &purposes));
    let constraints = if request.is_authority {
        sequence(&[&critical])
    } else {
        sequence(&[])
    };
    all.extend(extension(BASIC_CONSTRAINTS, true, &constraints));
    if request.is_authority {
        let id = element(der::OCTET_STRING, own_id);
        all.extend(extension(SUBJECT_KEY_ID, false, &id));
    }
    if let Some(id) = authority_id {
        all.extend(extension(
            AUTHORITY_KEY_ID,
            false,
            &sequence(&[&element(0x80, id)]),
        ));
    }
    let mut names = Vec::new();
    for name in &request.names {
        names.extend(element(0x82, name.as_bytes()));
    }
    for address in &request.addresses {
        names.extend(element(0x87, address));
    }
    if !names.is_empty() {
        all.extend(extension(
            SUBJECT_ALT_NAME,
            false,
            &element(der::SEQUENCE, &names),
        ));
    }
    element(der::SEQUENCE, &all)
}

fn common_name(name: &str) -> Vec<u8> {
    if name.is_empty() {
        return sequence(&[]);
    }
    let printable = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b));
    let tag = if printable {
        der::PRINTABLE_STRING
    } else {
        der::UTF8_STRING
    };
    let attribute = sequence(&[
        &element(der::OID, COMMON_NAME),
        &element(tag, name.as_bytes()),
    ]);
    sequence(&[&element(der::SET, &attribute)])
}

fn moment(time: &Time) -> Vec<u8> {
    let utc = time.within(Zone::Utc);
    let year = utc.civil().year;
    if (1950..2050).contains(&year) {
        element(der::UTC_TIME, utc.format("060102150405Z").as_bytes())
    } else {
        element(
            der::GENERALIZED_TIME,
            utc.format("20060102150405Z").as_bytes(),
        )
    }
}

fn listed(value: &Value) -> Vec<Value> {
    super::convert::elements(value).unwrap_or_default()
}

fn addresses(value: &Value) -> Result<Vec<Vec<u8>>, CallError> {
    listed(value)
        .iter()
        .map(|item| {
            let Value::Str(s) = item else {
                let shown = super::convert::strval(item, 1 << 16)?;
                return fail(format!("error parsing ip: {shown} is not a string"));
            };
            match s.to_text().parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V4(v4)) => Ok(v4.octets().to_vec()),
                Ok(std::net::IpAddr::V6(v6)) => Ok(v6.octets().to_vec()),
                Err(_) => fail(format!("error parsing ip: {s}")),
            }
        })
        .collect()
}

fn alternate_names(value: &Value) -> Result<Vec<String>, CallError> {
    listed(value)
        .iter()
        .map(|item| match item {
            Value::Str(s) => Ok(s.to_string()),
            other => {
                let shown = super::convert::strval(other, 1 << 16)?;
                fail(format!(
                    "error processing alternate dns name: {shown} is not a string"
                ))
            }
        })
        .collect()
}
