//! Floats as Go writes them.

/// `strconv.FormatFloat(x, 'g', -1, 64)`: the shortest digits that read back,
/// with an exponent below 10^-4 and from 10^6 on.
pub fn general(float: f64) -> String {
    if float == 0.0 {
        return if float.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    // Rust's `{:e}` gives the shortest digits: `1.25e-7`.
    lay_out(&format!("{float:e}"), || format!("{float}"))
}

/// [`general`] for 32 bits.
pub(crate) fn general_f32(float: f32) -> String {
    lay_out(&format!("{float:e}"), || format!("{float}"))
}

fn lay_out(text: &str, plain: impl FnOnce() -> String) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return plain();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
