//! Sprig's passwords, ciphers and identifiers.

use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blowfish::Blowfish;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use sluice_gotemplate::{CallError, Run, Type, Value};

use super::convert::{INT, STRING, int, string, text, utf8};
use super::{Answer, Entry, fail, fixed};
use crate::session::Session;

const BLOCK: usize = 16;
/// The cost that Go's bcrypt uses by default.
const BCRYPT_COST: u32 = 10;

pub(crate) const TABLE: &[Entry] = &[
    fixed("bcrypt", &[STRING], STRING, |run, a| {
        string(bcrypt(run, text(&a[0])))
    }),
    fixed("htpasswd", &[STRING, STRING], STRING, |run, a| {
        let user = utf8(&a[0]);
        if user.contains(':') {
            return string(format!("invalid username: {user}"));
        }
        let hash = bcrypt(run, text(&a[1]));
        string(format!("{user}:{hash}"))
    }),
    fixed("randBytes", &[INT], STRING, |run, a| {
        let Ok(count) = usize::try_from(int(&a[0])) else {
            return fail("runtime error: makeslice: len out of range");
        };
        run.charge(count.saturating_mul(3))?;
        let mut bytes = vec![0; count];
        run.host.fill(&mut bytes);
        string(STANDARD.encode(bytes))
    }),
    fixed("uuidv4", &[], STRING, |run, _| {
        let mut b = [0u8; 16];
        run.host.fill(&mut b);
        b[6] = b[6] & 0x0f | 0x40;
        b[8] = b[8] & 0x3f | 0x80;
        let hex = hex::encode(b);
        string(format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        ))
    }),
    fixed(
        "derivePassword",
        &[Type::Uint32, STRING, STRING, STRING, STRING],
        STRING,
        |_, a| derive_password(a),
    ),
    fixed("encryptAES", &[STRING, STRING], STRING, encrypt_aes),
    fixed("decryptAES", &[STRING, STRING], STRING, decrypt_aes),
];

// bcrypt.

const BCRYPT_ALPHABET: &[u8; 64] =
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn bcrypt(run: &mut Run<'_, Session>, password: &[u8]) -> String {
    if password.len() > 72 {
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
            .to_owned();
    }
    let mut salt = [0u8; 16];
    run.host.fill(&mut salt);
    bcrypt_with(password, &salt, BCRYPT_COST)
}

fn bcrypt_with(password: &[u8], salt: &[u8; 16], cost: u32) -> String {
    let mut key = password.to_vec();
    key.push(0);
    let mut state = Blowfish::bc_init_state();
    state.salted_expand_key(salt, &key);
    for _ in 0..1u64 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(salt);
    }
    let mut words = *b"OrpheanBeholderScryDoubt";
    for half in words.chunks_exact_mut(8) {
        let (left, right) = half.split_at_mut(4);
        let mut pair = [big_endian(left), big_endian(right)];
        for _ in 0..64 {
            pair = state.bc_encrypt(pair);
        }
        left.copy_from_slice(&pair[0].to_be_bytes());
        right.copy_from_slice(&pair[1].to_be_bytes());
    }
    format!(
        "$2a${cost:02}${}{}",
        bcrypt_base64(salt),
        bcrypt_base64(&words[..23])
    )
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, b| word << 8 | u32::from(*b))
}

/// bcrypt's own alphabet of base64, without padding.
fn bcrypt_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .chain(std::iter::repeat(&0))
            .take(3)
            .fold(0u32, |group, b| group << 8 | u32::from(*b));
        for i in 0..=chunk.len() {
            let index = group >> (18 - 6 * i) & 0x3f;
            out.push(char::from(BCRYPT_ALPHABET[index as usize]));
        }
    }
    out
}

// Master Password.

const LONG: &[&str] = &[
    "CvcvnoCvcvCvcv",
    "CvcvCvcvnoCvcv",
    "CvcvCvcvCvcvno",
    "CvccnoCvcvCvcv",
    "CvccCvcvnoCvcv",
    "CvccCvcvCvcvno",
    "CvcvnoCvccCvcv",
    "CvcvCvccnoCvcv",
    "CvcvCvccCvcvno",
    "CvcvnoCvcvCvcc",
    "CvcvCvcvnoCvcc",
    "CvcvCvcvCvccno",
    "CvccnoCvccCvcv",
    "CvccCvccnoCvcv",
    "CvccCvccCvcvno",
    "CvcvnoCvccCvcc",
    "CvcvCvccnoCvcc",
    "CvcvCvccCvccno",
    "CvccnoCvcvCvcc",
    "CvccCvcvnoCvcc",
    "CvccCvcvCvccno",
];

fn password_templates(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => LONG,
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn password_class(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive_password(a: &[Value]) -> Answer {
    const PREFIX: &[u8] = b"com.lyndir.masterpassword";
    let counter = match &a[0] {
        Value::Uint(_, n) => *n as u32,
        other => int(other) as u32,
    };
    let kind = utf8(&a[1]);
    let (password, user, site) = (text(&a[2]), text(&a[3]), text(&a[4]));
    let Some(templates) = password_templates(&kind) else {
        return string(format!("cannot find password template {kind}"));
    };
    let length = |bytes: &[u8]| (bytes.len() as u32).to_be_bytes();
    let salt = [PREFIX, &length(user), user].concat();
    let params = scrypt::Params::new(15, 8, 2).map_err(|e| CallError::new(e.to_string()))?;
    let mut key = [0u8; 64];
    scrypt::scrypt(password, &salt, &params, &mut key)
        .map_err(|e| CallError::new(format!("failed to derive password: {e}")))?;
    let message = [PREFIX, &length(site), site, &counter.to_be_bytes()].concat();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key).map_err(|e| CallError::new(e.to_string()))?;
    mac.update(&message);
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let out: Vec<u8> = template
        .bytes()
        .zip(seed.iter().skip(1))
        .map(|(class, b)| {
            let set = password_class(class);
            set[usize::from(*b) % set.len()]
        })
        .collect();
    string(out)
}

// AES.

/// The key is the password, cut or filled with zeros.
fn cipher(password: &[u8]) -> Result<Aes256, CallError> {
    let mut key = [0u8; 32];
    let length = password.len().min(32);
    key[..length].copy_from_slice(&password[..length]);
    Aes256::new_from_slice(&key).map_err(|e| CallError::new(e.to_string()))
}

fn encrypt_aes(run: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let plain = text(&a[1]);
    if plain.is_empty() {
        return string("");
    }
    let cipher = cipher(text(&a[0]))?;
    let mut iv = [0u8; BLOCK];
    run.host.fill(&mut iv);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut padded = plain.to_vec();
    padded.resize(plain.len() + padding, padding as u8);
    let mut out = iv.to_vec();
    let mut previous = iv;
    for chunk in padded.chunks_exact(BLOCK) {
        let mut block = Block::<Aes256>::default();
        for (i, b) in block.iter_mut().enumerate() {
            *b = chunk[i] ^ previous[i];
        }
        cipher.encrypt_block(&mut block);
        previous.copy_from_slice(&block);
        out.extend_from_slice(&block);
    }
    string(STANDARD.encode(out))
}

fn decrypt_aes(_: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let coded = text(&a[1]);
    if coded.is_empty() {
        return string("");
    }
    let bytes = super::encoding::decode_base64(coded)
        .map_err(|at| CallError::new(format!("illegal base64 data at input byte {at}")))?;
    let cipher = cipher(text(&a[0]))?;
    if bytes.len() < BLOCK {
        return fail(format!(
            "runtime error: slice bounds out of range [:16] with capacity {}",
            // Go makes room for padding, too.
            coded.len() / 4 * 3
        ));
    }
    let (iv, body) = bytes.split_at(BLOCK);
    if body.len() % BLOCK != 0 {
        return fail("crypto/cipher: input not full blocks");
    }
    let mut out = Vec::with_capacity(body.len());
    let mut previous = iv;
    for chunk in body.chunks_exact(BLOCK) {
        let mut block = Block::<Aes256>::default();
        block.copy_from_slice(chunk);
        cipher.decrypt_block(&mut block);
        out.extend(block.iter().zip(previous).map(|(b, p)| b ^ p));
        previous = chunk;
    }
    let Some(padding) = out.last().map(|b| usize::from(*b)) else {
        return fail("runtime error: index out of range [-1]");
    };
    match out.len().checked_sub(padding) {
        Some(length) => {
            out.truncate(length);
            string(out)
        }
        None => fail(format!(
            "runtime error: slice bounds out of range [:{}]",
            out.len() as i64 - padding as i64
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcrypt_hashes_as_the_reference_does() {
        // From the test vectors of the original C implementation.
        let salt: [u8; 16] = [
            0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41,
            0x04, 0x10,
        ];
        assert_eq!(
            bcrypt_with(b"U*U", &salt, 5),
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
        );
    }

    #[test]
    fn passwords_derive_as_documented() {
        let args = [
            Value::int(1),
            Value::from("long"),
            Value::from("password"),
            Value::from("user"),
            Value::from("example.com"),
        ];
        let got = derive_password(&args).expect("derives");
        assert_eq!(text(&got), b"ZedaFaxcZaso9*");
    }
}
