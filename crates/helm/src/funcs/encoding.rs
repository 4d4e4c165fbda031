//! Sprig's encodings and checksums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::BASE32;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::convert::{STRING, string, text};
use super::{Entry, fixed};

pub(crate) const TABLE: &[Entry] = &[
    fixed("b64enc", &[STRING], STRING, |_, a| {
        string(STANDARD.encode(text(&a[0])))
    }),
    fixed("b64dec", &[STRING], STRING, |_, a| {
        // An error is returned as the text, as in the original.
        match decode_base64(text(&a[0])) {
            Ok(bytes) => string(bytes),
            Err(at) => string(format!("illegal base64 data at input byte {at}")),
        }
    }),
    fixed("b32enc", &[STRING], STRING, |_, a| {
        string(BASE32.encode(text(&a[0])))
    }),
    fixed("b32dec", &[STRING], STRING, |_, a| {
        match decode_base32(text(&a[0])) {
            Ok(bytes) => string(bytes),
            Err(at) => string(format!("illegal base32 data at input byte {at}")),
        }
    }),
    fixed("sha1sum", &[STRING], STRING, |_, a| {
        string(hex::encode(Sha1::digest(text(&a[0]))))
    }),
    fixed("sha256sum", &[STRING], STRING, |_, a| {
        string(hex::encode(Sha256::digest(text(&a[0]))))
    }),
    fixed("sha512sum", &[STRING], STRING, |_, a| {
        string(hex::encode(Sha512::digest(text(&a[0]))))
    }),
    fixed("adler32sum", &[STRING], STRING, |_, a| {
        string(adler32(text(&a[0])).to_string())
    }),
];

/// Adler-32 as RFC 1950 defines it.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % MODULUS;
        b = (b + a) % MODULUS;
    }
    b << 16 | a
}

/// Go's decoder of padded standard base64: line breaks are skipped; the error is
/// the offset that Go names.
pub(crate) fn decode_base64(input: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(input.len() / 4 * 3);
    let mut at = 0;
    loop {
        let mut quantum = [0u8; 4];
        let mut filled = 0;
        while filled < 4 {
            let Some(&b) = input.get(at) else {
                return match filled {
                    0 => Ok(out),
                    n => Err(at - n),
                };
            };
            at += 1;
            if let Some(value) = base64_value(b) {
                quantum[filled] = value;
                filled += 1;
                continue;
            }
            if b == b'\n' || b == b'\r' {
                continue;
            }
            if b != b'=' {
                return Err(at - 1);
            }
            return finish_base64(input, at, filled, quantum, out);
        }
        let [a, b, c, d] = quantum;
        out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
    }
}

/// Handles the padding that starts right before `at`.
fn finish_base64(
    input: &[u8],
    mut at: usize,
    filled: usize,
    quantum: [u8; 4],
    mut out: Vec<u8>,
) -> Result<Vec<u8>, usize> {
    let skip_breaks = |mut at: usize| {
        while let Some(b'\n' | b'\r') = input.get(at) {
            at += 1;
        }
        at
    };
    match filled {
        0 | 1 => return Err(at - 1),
        2 => {
            at = skip_breaks(at);
            match input.get(at) {
                None => return Err(input.len()),
                Some(b'=') => at += 1,
                Some(_) => return Err(at - 1),
            }
        }
        _ => {}
    }
    at = skip_breaks(at);
    if at < input.len() {
        return Err(at);
    }
    let [a, b, c, _] = quantum;
    out.push(a << 2 | b >> 4);
    if filled == 3 {
        out.push(b << 4 | c >> 2);
    }
    Ok(out)
}

fn base64_value(b: u8) -> Option<u8> {
    match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Go's decoder of padded base32: line breaks are dropped first, bits behind the
/// last byte do not matter.
fn decode_base32(input: &[u8]) -> Result<Vec<u8>, usize> {
    let clean: Vec<u8> = input
        .iter()
        .copied()
        .filter(|b| !matches!(b, b'\n' | b'\r'))
        .collect();
    let mut out = Vec::with_capacity(clean.len() / 8 * 5);
    let mut at = 0;
    while at < clean.len() {
        let mut bits: u64 = 0;
        let mut filled = 0;
        while filled < 8 {
            let Some(&b) = clean.get(at) else {
                return Err(at - filled);
            };
            at += 1;
            let rest = &clean[at..];
            if b == b'=' && filled >= 2 && rest.len() < 8 {
                if rest.len() + filled < 7 {
                    return Err(clean.len());
                }
                let padding = rest.iter().take(7 - filled);
                if let Some(wrong) = padding.clone().position(|b| *b != b'=') {
                    return Err(at + wrong - 1);
                }
                if matches!(filled, 3 | 6) {
                    return Err(at - 1);
                }
                let bytes = (bits << (40 - 5 * filled)).to_be_bytes();
                out.extend_from_slice(&bytes[3..3 + filled * 5 / 8]);
                return Ok(out);
            }
            let value = match b {
                b'A'..=b'Z' => b - b'A',
                b'2'..=b'7' => b - b'2' + 26,
                _ => return Err(at - 1),
            };
            bits = bits << 5 | u64::from(value);
            filled += 1;
        }
        out.extend_from_slice(&bits.to_be_bytes()[3..]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_errors_name_gos_offset() {
        for (input, want) in [
            ("aGk=", Ok(b"hi".to_vec())),
            ("aGk", Err(0)),
            ("aG\nk=", Ok(b"hi".to_vec())),
            ("!!", Err(0)),
            ("aGk=x", Err(4)),
            ("aA=", Err(3)),
            ("=", Err(0)),
            ("", Ok(Vec::new())),
        ] {
            assert_eq!(decode_base64(input.as_bytes()), want, "{input}");
        }
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }
}
