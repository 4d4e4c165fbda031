//! What a verb asks for, and the forms of numbers that only `printf` has.

use super::*;

/// The reader of one `%` directive.
pub(super) struct Spec<'f> {
    pub(super) format: &'f [u8],
    pub(super) at: usize,
    pub(super) arg: usize,
    pub(super) args: &'f [Value],
    pub(super) good_index: bool,
    pub(super) after_index: bool,
    pub(super) reordered: bool,
}

impl Spec<'_> {
    /// Reads `[n]`, if it is there.
    pub(super) fn index(&mut self) {
        if self.format.get(self.at) != Some(&b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(close) = rest.iter().position(|b| *b == b']') else {
            self.good_index = false;
            self.at += 1;
            return;
        };
        let inner = &rest[1..close];
        let number = parse_width(inner).filter(|(_, read)| *read == inner.len());
        self.at += close + 1;
        match number {
            Some((n, _)) if n >= 1 && n <= self.args.len() => {
                self.arg = n - 1;
                self.after_index = true;
            }
            _ => self.good_index = false,
        }
    }

    pub(super) fn star(&mut self) -> bool {
        if self.format.get(self.at) == Some(&b'*') {
            self.at += 1;
            return true;
        }
        false
    }

    pub(super) fn number(&mut self) -> Option<usize> {
        let (n, read) = parse_width(&self.format[self.at..])?;
        self.at += read;
        Some(n)
    }

    /// Takes the next operand as a width or precision.
    pub(super) fn int_arg(&mut self) -> Option<i64> {
        let value = self.args.get(self.arg)?;
        self.arg += 1;
        let n = match value {
            Value::Int(_, n) => *n,
            Value::Uint(_, n) => i64::try_from(*n).ok()?,
            _ => return None,
        };
        (n.abs() <= MAX_WIDTH).then_some(n)
    }
}

/// Reads digits; returns the number and how many bytes it took. A number that is
/// too large is no number.
pub(super) fn parse_width(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut n: i64 = 0;
    let mut read = 0;
    for b in bytes {
        if !b.is_ascii_digit() {
            break;
        }
        if n > MAX_WIDTH {
            return None;
        }
        n = n * 10 + i64::from(b - b'0');
        read += 1;
    }
    (read > 0).then_some((n as usize, read))
}

pub(super) fn rune_of(magnitude: u64, negative: bool) -> char {
    if negative {
        return char::REPLACEMENT_CHARACTER;
    }
    u32::try_from(magnitude)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether a text can stand between back quotes.
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    runes(bytes).all(|(rune, raw)| {
        if rune == char::REPLACEMENT_CHARACTER && raw.len() == 1 {
            return false;
        }
        rune != '\u{feff}' && rune != '`' && rune != '\u{7f}' && (rune >= ' ' || rune == '\t')
    })
}

/// Adds the decimal point and the trailing zeros that `#` asks for.
pub(super) fn with_point(digits: &str, verb: char, precision: Option<usize>) -> String {
    let mut wanted = match verb {
        'v' | 'g' | 'G' | 'x' | 'X' => precision.map_or(6, |p| p as i64),
        _ => 0,
    };
    let exponent_marks: &[char] = match verb {
        'x' | 'X' => &['p', 'P'],
        _ => &['e', 'E'],
    };
    let (mut mantissa, tail) = match digits.find(exponent_marks) {
        Some(at) => (digits[..at].to_owned(), &digits[at..]),
        None => (digits.to_owned(), ""),
    };
    let mut seen_nonzero = false;
    for c in mantissa.chars() {
        if c == '.' {
            continue;
        }
        seen_nonzero |= c != '0';
        if seen_nonzero {
            wanted -= 1;
        }
    }
    if !mantissa.contains('.') {
        if mantissa == "0" {
            wanted -= 1;
        }
        mantissa.push('.');
    }
    for _ in 0..wanted.max(0) {
        mantissa.push('0');
    }
    mantissa + tail
}

/// Go's `%x` of a float: `0x1.8p+01`.
pub(super) fn hex_float(number: f64, precision: Option<usize>, verb: char) -> String {
    if !number.is_finite() {
        return format_float_with(number, 'g', None);
    }
    let bits = number.abs().to_bits();
    let raw_exponent = (bits >> 52) as i64;
    let fraction = bits & ((1 << 52) - 1);
    // The mantissa keeps one bit above 60 fraction bits, for rounding.
    let (mut mantissa, mut exponent) = if number == 0.0 {
        (0u64, 0)
    } else if raw_exponent == 0 {
        let shift = fraction.leading_zeros() as i64 - 11;
        ((fraction << shift) << 8, -1022 - shift)
    } else {
        ((fraction | 1 << 52) << 8, raw_exponent - 1023)
    };
    if let Some(p) = precision.filter(|p| *p < 15) {
        let dropped = 60 - 4 * p as u32;
        let rest = mantissa & ((1 << dropped) - 1);
        mantissa >>= dropped;
        let half = 1u64 << (dropped - 1);
        if rest > half || (rest == half && mantissa & 1 == 1) {
            mantissa += 1;
        }
        mantissa <<= dropped;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let lead = mantissa >> 60;
    let mut digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        None => digits.truncate(digits.trim_end_matches('0').len()),
        Some(p) if p < 15 => digits.truncate(p),
        Some(p) => digits.push_str(&"0".repeat(p - 15)),
    }
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    let text = format!(
        "{sign}0x{lead}{point}{digits}p{exponent_sign}{:02}",
        exponent.unsigned_abs()
    );
    if verb == 'X' {
        text.to_ascii_uppercase()
    } else {
        text
    }
}

/// Go's `%b` of a float: mantissa and power of two.
pub(super) fn binary_exponent(number: f64) -> String {
    if !number.is_finite() {
        return format_float_with(number, 'g', None);
    }
    let bits = number.to_bits();
    let raw_exponent = ((bits >> 52) & 0x7ff) as i64;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if raw_exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, raw_exponent - 1075)
    };
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{sign}{mantissa}p{exponent_sign}{}",
        exponent.unsigned_abs()
    )
}
