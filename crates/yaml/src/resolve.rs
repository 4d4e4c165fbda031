//! What an untagged plain scalar means.
//!
//! The two readers of the Kubernetes tools agree on numbers and null and
//! differ in booleans: go-yaml v2, behind `sigs.k8s.io/yaml`, knows the YAML
//! 1.1 words, go-yaml v3 only `true` and `false`.

/// The type and value of a plain scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// Empty, `~` or `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits `i64`.
    Int(i64),
    /// An integer that fits only `u64`.
    Uint(u64),
    /// A float, infinities and NaN included.
    Float(f64),
    /// A date or a date with time.
    Timestamp,
    /// The merge key `<<`.
    Merge,
    /// Any other text.
    Str,
}

impl Resolved {
    /// The short tag of the type.
    pub fn tag(self) -> &'static str {
        match self {
            Resolved::Null => "!!null",
            Resolved::Bool(_) => "!!bool",
            Resolved::Int(_) | Resolved::Uint(_) => "!!int",
            Resolved::Float(_) => "!!float",
            Resolved::Timestamp => "!!timestamp",
            Resolved::Merge => "!!merge",
            Resolved::Str => "!!str",
        }
    }
}

/// Which words are booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booleans {
    /// `true`, `yes`, `on`, `y` and their counterparts in the listed cases.
    Yaml11,
    /// `true` and `false` only.
    Yaml12,
}

/// Types a plain scalar.
#[inline]
pub fn resolve(text: &str, booleans: Booleans) -> Resolved {
    let Some(&first) = text.as_bytes().first() else {
        return Resolved::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => resolve_number(text, first),
        b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'y' | b'Y' | b'o' | b'O' | b'<' => {
            resolve_word(text, booleans)
        }
        _ => Resolved::Str,
    }
}

fn resolve_word(text: &str, booleans: Booleans) -> Resolved {
    if text.len() > 5 {
        return Resolved::Str;
    }
    match text {
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        "<<" => Resolved::Merge,
        _ if booleans == Booleans::Yaml11 && is_yaml11_boolean(text) => Resolved::Bool(matches!(
            text.as_bytes(),
            [b'y' | b'Y', ..] | [_, b'n' | b'N']
        )),
        _ => Resolved::Str,
    }
}

/// The booleans of YAML 1.1 beyond `true` and `false`.
pub(crate) fn is_yaml11_boolean(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

fn resolve_number(text: &str, first: u8) -> Resolved {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if first == b'.' {
        return match parse_leading_dot(text) {
            Some(float) => Resolved::Float(float),
            None => Resolved::Str,
        };
    }
    // Names such as `10.0.0.1-app` are frequent: look before parsing.
    let simple = text.bytes().all(|b| {
        b.is_ascii_hexdigit()
            || matches!(
                b,
                b'+' | b'-'
                    | b'.'
                    | b'_'
                    | b'x'
                    | b'X'
                    | b'o'
                    | b'O'
                    | b':'
                    | b'T'
                    | b't'
                    | b'Z'
                    | b' '
                    | b','
            )
    });
    if !simple {
        return Resolved::Str;
    }
    if crate::timestamp::parse(text).is_some() {
        return Resolved::Timestamp;
    }
    let cleaned: std::borrow::Cow<'_, str> = if text.contains('_') {
        text.replace('_', "").into()
    } else {
        text.into()
    };
    if let Some(int) = parse_int(&cleaned) {
        return int;
    }
    if looks_like_float(&cleaned) {
        // Go refuses what overflows; Rust makes it infinite.
        match cleaned.parse::<f64>() {
            Ok(float) if float.is_finite() => return Resolved::Float(float),
            _ => {}
        }
    }
    Resolved::Str
}

/// A float that starts with a dot goes straight to Go's parser, which takes
/// neither `_` (outside hexadecimal) nor anything but digits and exponent.
fn parse_leading_dot(text: &str) -> Option<f64> {
    if !text[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let valid = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let float = if valid {
        text.parse::<f64>().ok()?
    } else {
        return None;
    };
    float.is_finite().then_some(float)
}

/// Go's `ParseInt` and `ParseUint` with base 0.
fn parse_int(text: &str) -> Option<Resolved> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (Some('-'), &text[1..]),
        b'+' => (Some('+'), &text[1..]),
        _ => (None, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| (b as char).is_digit(base)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    match sign {
        Some('-') => 0i64.checked_sub_unsigned(magnitude).map(Resolved::Int),
        _ => match i64::try_from(magnitude) {
            Ok(int) => Some(Resolved::Int(int)),
            // `ParseUint` takes no sign.
            Err(_) if sign.is_none() => Some(Resolved::Uint(magnitude)),
            Err(_) => None,
        },
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
pub(crate) fn looks_like_float(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut at = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(at);
    if whole > at {
        at = whole;
        if bytes.get(at) == Some(&b'.') {
            at = digits(at + 1);
        }
    } else {
        if bytes.get(at) != Some(&b'.') {
            return false;
        }
        let end = digits(at + 1);
        if end == at + 1 {
            return false;
        }
        at = end;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'-' | b'+')) {
            at += 1;
        }
        let end = digits(at);
        if end == at {
            return false;
        }
        at = end;
    }
    at == bytes.len()
}
