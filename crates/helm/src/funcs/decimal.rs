//! Exact decimals for `addf` and its kin: an integer times a power of ten.

use num_bigint::{BigInt, Sign};
use sluice_gotemplate::strconv::parse_float;

/// Digits behind the point that a division keeps.
const DIVISION_DIGITS: i32 = 16;

/// An exact decimal number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    value: BigInt,
    exponent: i32,
}

impl Decimal {
    /// Takes a float by the shortest digits that read back; `None` for NaN and
    /// infinities.
    pub(crate) fn from_float(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i32 = exponent.parse().ok()?;
        let digits = format!("{whole}{fraction}");
        Some(Decimal {
            value: digits.parse().ok()?,
            exponent: exponent - i32::try_from(fraction.len()).ok()?,
        })
    }

    /// Returns the nearest float.
    pub(crate) fn to_float(&self) -> f64 {
        let text = format!("{}e{}", self.value, self.exponent);
        // Out of range is infinite in Go as well.
        parse_float(&text).unwrap_or(match self.value.sign() {
            Sign::Minus => f64::NEG_INFINITY,
            Sign::NoSign | Sign::Plus => f64::INFINITY,
        })
    }

    fn aligned(&self, other: &Decimal) -> (BigInt, BigInt, i32) {
        let exponent = self.exponent.min(other.exponent);
        let scale = |d: &Decimal| &d.value * ten_to((d.exponent - exponent).unsigned_abs());
        (scale(self), scale(other), exponent)
    }

    pub(crate) fn add(&self, other: &Decimal) -> Decimal {
        let (x, y, exponent) = self.aligned(other);
        Decimal {
            value: x + y,
            exponent,
        }
    }

    pub(crate) fn sub(&self, other: &Decimal) -> Decimal {
        let (x, y, exponent) = self.aligned(other);
        Decimal {
            value: x - y,
            exponent,
        }
    }

    pub(crate) fn mul(&self, other: &Decimal) -> Decimal {
        Decimal {
            value: &self.value * &other.value,
            exponent: self.exponent + other.exponent,
        }
    }

    /// Divides, rounding half away from zero at the sixteenth decimal; `None`
    /// for division by zero.
    pub(crate) fn div(&self, other: &Decimal) -> Option<Decimal> {
        if other.value.sign() == Sign::NoSign {
            return None;
        }
        // quotient = value * 10^shift / other, at exponent -16.
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let (mut numerator, mut denominator) = (self.value.clone(), other.value.clone());
        if shift >= 0 {
            numerator *= ten_to(shift.unsigned_abs());
        } else {
            denominator *= ten_to(shift.unsigned_abs());
        }
        let mut quotient = &numerator / &denominator;
        let remainder: BigInt = (&numerator % &denominator) * 2;
        if remainder.magnitude() >= denominator.magnitude() {
            if (numerator.sign() == Sign::Minus) == (denominator.sign() == Sign::Minus) {
                quotient += 1;
            } else {
                quotient -= 1;
            }
        }
        Some(Decimal {
            value: quotient,
            exponent: -DIVISION_DIGITS,
        })
    }
}

/// Whether one number is a whole multiple of another, by their decimal texts.
pub(crate) fn is_multiple(number: f64, of: f64) -> bool {
    let (Some(number), Some(of)) = (Decimal::from_float(number), Decimal::from_float(of)) else {
        return false;
    };
    let (x, y, _) = number.aligned(&of);
    y.sign() != Sign::NoSign && (x % y).sign() == Sign::NoSign
}

fn ten_to(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(f: f64) -> Decimal {
        Decimal::from_float(f).expect("finite")
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(d(0.1).add(&d(0.2)).to_float(), 0.3);
        assert_eq!(d(1.1).mul(&d(1.1)).to_float(), 1.21);
        assert_eq!(d(0.3).sub(&d(0.1)).to_float(), 0.2);
        assert_eq!(
            d(1.0).div(&d(3.0)).map(|q| q.to_float()),
            Some(0.3333333333333333)
        );
        assert_eq!(
            d(-2.0).div(&d(3.0)).map(|q| q.to_float()),
            Some(-0.6666666666666667)
        );
        assert_eq!(d(1e300).div(&d(0.0)), None);
        assert_eq!(d(1e300).mul(&d(1e300)).to_float(), f64::INFINITY);
        assert_eq!(Decimal::from_float(f64::NAN), None);
    }
}
