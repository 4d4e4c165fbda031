//! Number literals.

use crate::ast::Number;
use crate::lex::Kind;
use crate::strconv::{self, NumberError, RuneError, quote};

/// Reads a number literal as everything that it can stand for.
pub(super) fn read_number(text: &str, kind: Kind) -> Result<Number, String> {
    let mut number = Number {
        text: text.to_owned(),
        int: None,
        uint: None,
        float: None,
        complex: None,
    };
    if kind == Kind::CharConstant {
        let code = strconv::unquote_rune(text).map_err(|err| match err {
            RuneError::Syntax => "invalid syntax".to_owned(),
            RuneError::Trailing => format!("malformed character constant: {text}"),
        })?;
        number.int = Some(code);
        number.uint = u64::try_from(code).ok();
        number.float = Some(code as f64);
        return Ok(number);
    }
    if kind == Kind::Complex {
        // The second sign splits it: 1+2i.
        let split = text
            .char_indices()
            .skip(1)
            .filter(|(i, c)| {
                matches!(c, '+' | '-')
                    && !matches!(text.as_bytes()[i - 1], b'e' | b'E' | b'p' | b'P')
            })
            .map(|(i, _)| i)
            .last()
            .ok_or_else(|| format!("illegal number syntax: {}", quote(text.as_bytes())))?;
        let imaginary = &text[split..text.len() - 1];
        match (
            strconv::parse_float(&text[..split]),
            strconv::parse_float(imaginary),
        ) {
            (Ok(re), Ok(im)) => {
                number.complex = Some((re, im));
                simplify(&mut number);
                return Ok(number);
            }
            _ => return Err("invalid syntax".to_owned()),
        }
    }
    if let Some(imaginary) = text.strip_suffix('i')
        && let Ok(im) = strconv::parse_float(imaginary)
    {
        number.complex = Some((0.0, im));
        simplify(&mut number);
        return Ok(number);
    }
    number.uint = strconv::parse_uint(text).ok();
    if let Ok(int) = strconv::parse_int(text) {
        number.int = Some(int);
        if int == 0 {
            number.uint = Some(0);
        }
    }
    if let Some(int) = number.int {
        number.float = Some(int as f64);
    } else if let Some(uint) = number.uint {
        number.float = Some(uint as f64);
    } else {
        match strconv::parse_float(text) {
            Ok(float) => {
                if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                    return Err(format!("integer overflow: {}", quote(text.as_bytes())));
                }
                number.float = Some(float);
                take_integers(&mut number, float);
            }
            Err(NumberError::Syntax | NumberError::Range) => {
                return Err(format!("illegal number syntax: {}", quote(text.as_bytes())));
            }
        }
    }
    Ok(number)
}

/// A complex number without imaginary part is also a float, and so on.
fn simplify(number: &mut Number) {
    if let Some((re, im)) = number.complex
        && im == 0.0
    {
        number.float = Some(re);
        take_integers(number, re);
    }
}

fn take_integers(number: &mut Number, float: f64) {
    if float >= i64::MIN as f64 && float < i64::MAX as f64 && (float as i64) as f64 == float {
        number.int = Some(float as i64);
    }
    if float >= 0.0 && float < u64::MAX as f64 && (float as u64) as f64 == float {
        number.uint = Some(float as u64);
    }
}
