//! Random bytes from the operating system: uids, name suffixes, tokens.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The generator of the crypto library fails only where the system has no randomness at all.
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has a source of randomness");
    bytes
}

/// A random (version 4) UUID.
pub fn uid() -> String {
    let mut b: [u8; 16] = bytes();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex = hex::encode(b);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// The alphabet of generated names: no vowels, nothing that looks like something else.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Five random letters or digits, as `generateName` appends them.
pub fn suffix() -> String {
    let random: [u8; 5] = bytes();
    random
        .iter()
        .map(|byte| ALPHABET[usize::from(*byte) % ALPHABET.len()] as char)
        .collect()
}

/// 32 random hexadecimal digits.
pub fn token() -> String {
    hex::encode(bytes::<16>())
}

/// A random number below `bound` (which is at least 1).
pub fn below(bound: u32) -> u32 {
    u32::from_be_bytes(bytes()) % bound
}

#[cfg(test)]
mod tests {
    #[test]
    fn uids_have_the_form_of_a_version_4_uuid() {
        let uid = super::uid();
        assert_eq!(uid.len(), 36);
        assert_eq!((&uid[14..15], uid.matches('-').count()), ("4", 4));
        assert_ne!(uid, super::uid());
    }
}
