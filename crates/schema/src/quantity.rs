//! Resource quantities: `500m`, `1Gi`, `1e3`.

use std::cmp::Ordering;

use thiserror::Error;

/// Why a text is no quantity, in the server's words.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum QuantityError {
    /// It has another form.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Form,
    /// The number cannot be read.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    Decimal,
    Exponent,
}

/// A quantity, exact to the nano; larger ones than the server can hold are cut, finer ones rounded up, as there.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    form: Form,
}

const NANO: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Quantity {
    /// Zero.
    pub const ZERO: Quantity = Quantity {
        nanos: 0,
        form: Form::Decimal,
    };

    /// Reads a quantity.
    ///
    /// # Errors
    /// If the text is none.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        if number.is_empty() || !suffix_fits(suffix) {
            return Err(QuantityError::Form);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(QuantityError::Number);
        }
        let (form, two, ten) = parse_suffix(suffix)?;
        let digits = format!("{whole}{fraction}");
        let mut nanos = scale(
            digits.trim_start_matches('0'),
            two,
            ten - fraction.len() as i64 + 9,
        );
        if text.starts_with('-') {
            nanos = -nanos;
        }
        Ok(Quantity {
            nanos: nanos.clamp(-MAX, MAX),
            form,
        })
    }

    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Quantity {
            nanos: i128::from(number) * NANO,
            form: Form::Decimal,
        }
    }

    /// The sum, in the form of the first that is not zero.
    pub fn plus(self, other: Self) -> Self {
        Quantity {
            nanos: (self.nanos + other.nanos).clamp(-MAX, MAX),
            form: if self.is_zero() {
                other.form
            } else {
                self.form
            },
        }
    }

    /// The difference, in the form of the first that is not zero.
    pub fn minus(self, other: Self) -> Self {
        self.plus(Quantity {
            nanos: -other.nanos,
            ..other
        })
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }

    /// The quantity in whole thousandths, rounded up.
    pub fn rounded_up_to_milli(self) -> Self {
        Quantity {
            nanos: self.milli() * 1_000_000,
            ..self
        }
    }

    /// Thousandths, rounded up.
    pub fn milli(&self) -> i128 {
        self.nanos.div_euclid(1_000_000) + i128::from(self.nanos.rem_euclid(1_000_000) > 0)
    }
}

fn suffix_fits(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// The form of a suffix with its powers of two and ten.
fn parse_suffix(suffix: &str) -> Result<(Form, u32, i64), QuantityError> {
    if let Some((_, ten)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Ok((Form::Decimal, 0, i64::from(*ten)));
    }
    if let Some(at) = BINARY.iter().position(|known| *known == suffix) {
        return Ok((Form::Binary, at as u32 * 10, 0));
    }
    let exponent = suffix
        .strip_prefix(['e', 'E'])
        .and_then(|text| text.parse::<i64>().ok());
    exponent
        .map(|ten| (Form::Exponent, 0, ten))
        .ok_or(QuantityError::Suffix)
}

/// `digits * 2^two * 10^ten`, rounded up, saturating.
fn scale(digits: &str, two: u32, ten: i64) -> i128 {
    let limit = MAX + 1;
    if digits.is_empty() {
        return 0;
    }
    // More digits than the largest quantity has: cut what lies below, and round up.
    let (digits, ten, rest) = match digits.len() > 28 {
        true => {
            let (head, tail) = digits.split_at(28);
            (
                head,
                ten + tail.len() as i64,
                tail.bytes().any(|digit| digit != b'0'),
            )
        }
        false => (digits, ten, false),
    };
    let mut value: i128 = digits.parse().unwrap_or(limit);
    let mut rest = rest;
    if ten < 0 {
        // Powers of two first, as far as they fit, lest bits get lost.
        let shift = two.min(value.leading_zeros().saturating_sub(1));
        value <<= shift;
        for _ in 0..ten.unsigned_abs().min(60) {
            rest |= value % 10 != 0;
            value /= 10;
        }
        value = value.checked_shl(two - shift).unwrap_or(limit);
        return if rest { value + 1 } else { value }.min(limit);
    }
    for _ in 0..ten.min(60) {
        value = value.saturating_mul(10).min(limit);
    }
    for _ in 0..two {
        value = value.saturating_mul(2).min(limit);
    }
    value.min(limit)
}

impl std::fmt::Display for Quantity {
    /// The canonical form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let large = self.nanos.abs() >= 1024 * NANO;
        if self.form == Form::Binary && large && self.is_whole() {
            let (mut value, mut at) = (self.nanos / NANO, 0);
            while value % 1024 == 0 && at + 1 < BINARY.len() {
                value /= 1024;
                at += 1;
            }
            return write!(f, "{value}{}", BINARY[at]);
        }
        let (mut value, mut at) = (self.nanos, 0);
        while value % 1000 == 0 && at + 1 < DECIMAL.len() {
            value /= 1000;
            at += 1;
        }
        let (suffix, exponent) = DECIMAL[at];
        match self.form {
            Form::Exponent if exponent != 0 => write!(f, "{value}e{exponent}"),
            _ => write!(f, "{value}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_one_canonical_form() {
        let table = [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1000", "1k"),
            ("100", "100"),
            ("1e3", "1e3"),
            ("1E", "1E"),
            ("12E6", "12e6"),
            ("0", "0"),
            ("0Gi", "0"),
            ("-1.5", "-1500m"),
            ("0.0000000001", "1n"),
            ("9999999999999999999999", "9223372036854775807"),
            ("1Ei", "1Ei"),
            (".5", "500m"),
            ("5.", "5"),
            ("+3", "3"),
        ];
        for (given, canonical) in table {
            assert_eq!(
                Quantity::parse(given).map(|quantity| quantity.to_string()),
                Ok(canonical.into()),
                "{given}"
            );
        }
        for (given, error) in [
            ("", QuantityError::Form),
            ("x", QuantityError::Form),
            ("1 Gi", QuantityError::Form),
            ("1.2.3", QuantityError::Number),
            ("1GB", QuantityError::Form),
            ("1KiM", QuantityError::Suffix),
        ] {
            assert_eq!(
                Quantity::parse(given).map(|quantity| quantity.to_string()),
                Err(error),
                "{given}"
            );
        }
    }
}
