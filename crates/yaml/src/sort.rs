//! The order in which go-yaml writes the keys of a mapping.

use std::cmp::Ordering;

/// Compares two keys as go-yaml sorts them: runs of digits by their value,
/// letters behind everything else, otherwise by code point.
///
/// The relation is not transitive for some mixes of digits and letters
/// (`k1a`, `k9`, `k10`); sorting with it must not assume a total order.
pub fn compare_keys(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        let of = |b: &u8| char::from(*b);
        return compare(
            a.len(),
            b.len(),
            |at| of(&a.as_bytes()[at]),
            |at| of(&b.as_bytes()[at]),
        );
    }
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    compare(a.len(), b.len(), |at| a[at], |at| b[at])
}

fn compare(
    a_len: usize,
    b_len: usize,
    a: impl Fn(usize) -> char,
    b: impl Fn(usize) -> char,
) -> Ordering {
    // Whether the digits just passed hold one that is not zero decides how a
    // zero at the difference counts.
    let mut at = 0;
    let shared = a_len.min(b_len);
    while at < shared && a(at) == b(at) {
        at += 1;
    }
    if at == shared {
        return a_len.cmp(&b_len);
    }
    let (x, y) = (a(at), b(at));
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut value_a, mut value_b) = (0i64, 0i64);
    if x == '0' || y == '0' {
        let mut back = at;
        while back > 0 && is_digit(a(back - 1)) {
            back -= 1;
            if a(back) != '0' {
                (value_a, value_b) = (1, 1);
                break;
            }
        }
    }
    let run = |len: usize, of: &dyn Fn(usize) -> char, value: &mut i64| {
        let mut end = at;
        while end < len && is_digit(of(end)) {
            let digit = i64::from(of(end) as u32) - i64::from('0' as u32);
            *value = value.wrapping_mul(10).wrapping_add(digit);
            end += 1;
        }
        end
    };
    let end_a = run(a_len, &a, &mut value_a);
    let end_b = run(b_len, &b, &mut value_b);
    value_a
        .cmp(&value_b)
        .then(end_a.cmp(&end_b))
        .then(x.cmp(&y))
}

/// Go's `unicode.IsDigit` for the digits that occur.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}
