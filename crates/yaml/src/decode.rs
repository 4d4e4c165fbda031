//! From bytes to text that YAML allows.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;

/// Decodes UTF-8, or UTF-16 with a byte order mark, and drops the mark.
///
/// # Errors
/// Bytes that are not text in these encodings, with go-yaml's words.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let fail = |problem: &str| Err(Error::new(ErrorKind::Reader, problem, None));
    let wide = |read: fn([u8; 2]) -> u16| {
        let rest = &bytes[2..];
        if !rest.len().is_multiple_of(2) {
            return fail("incomplete UTF-16 character");
        }
        let units = rest.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        match char::decode_utf16(units).collect::<Result<String, _>>() {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(_) => fail("unexpected low surrogate area"),
        }
    };
    match bytes {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(error) => {
                    let (good, bad) = bytes.split_at(error.valid_up_to());
                    match has_forbidden(good) {
                        true => fail("control characters are not allowed"),
                        false => fail(invalid_utf8(bad)),
                    }
                }
            }
        }
    }
}

/// go-yaml's word for the first bad byte sequence.
fn invalid_utf8(rest: &[u8]) -> &'static str {
    let width = match rest.first().copied().unwrap_or(0) {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    if rest.len() < width {
        return "incomplete UTF-8 octet sequence";
    }
    if rest[1..width].iter().any(|b| b & 0xC0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    let head = u32::from(rest[0]) & (0x7F >> width);
    let value = rest[1..width]
        .iter()
        .fold(head, |value, b| (value << 6) | u32::from(b & 0x3F));
    let shortest = [0, 0, 0x80, 0x800, 0x1_0000][width];
    if value < shortest {
        "invalid length of a UTF-8 sequence"
    } else {
        "invalid Unicode character"
    }
}

/// Refuses texts that are too long or hold characters that YAML forbids.
pub(crate) fn check(text: &str, limits: &Limits) -> Result<(), Error> {
    if text.len() > limits.max_bytes.min(u32::MAX as usize - 16) {
        return Err(Error::new(
            ErrorKind::Limit,
            format!(
                "text of {} bytes is longer than the limit of {} bytes",
                text.len(),
                limits.max_bytes
            ),
            None,
        ));
    }
    if has_forbidden(text.as_bytes()) {
        return Err(Error::new(
            ErrorKind::Reader,
            "control characters are not allowed",
            None,
        ));
    }
    Ok(())
}

/// True when a character is in `text` that a YAML reader refuses.
pub(crate) fn has_forbidden(bytes: &[u8]) -> bool {
    /// 0 is fine, 1 forbidden, 2 to be looked at with its followers.
    const CLASS: [u8; 256] = {
        let mut table = [0u8; 256];
        let mut i = 0;
        while i < 0x20 {
            table[i] = 1;
            i += 1;
        }
        table[b'\t' as usize] = 0;
        table[b'\n' as usize] = 0;
        table[b'\r' as usize] = 0;
        table[0x7F] = 1;
        table[0xC2] = 2;
        table[0xEF] = 2;
        table
    };
    // Chunks first: an OR over the classes vectorises and almost always
    // settles the matter.
    for (index, chunk) in bytes.chunks(256).enumerate() {
        let seen = chunk.iter().fold(0, |seen, &b| seen | CLASS[b as usize]);
        if seen == 0 {
            continue;
        }
        if seen & 1 != 0 {
            return true;
        }
        let from = index * 256;
        for at in from..from + chunk.len() {
            let rest = &bytes[at..];
            match rest {
                [0xC2, second @ 0x80..=0x9F, ..] if *second != 0x85 => return true,
                [0xEF, 0xBF, 0xBE | 0xBF, ..] => return true,
                _ => {}
            }
        }
    }
    false
}
