//! Go's `%q`, for the one error text that carries it.

/// Returns `text` in Go's double-quoted form.
pub(crate) fn go_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            c if (c as u32) < 0x80 => out.push_str(&format!("\\x{:02x}", c as u32)),
            // Rust escapes what has no glyph, Go's IsPrint does the same.
            c if c.escape_debug().count() == 1 => out.push(c),
            c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::go_quoted;

    #[test]
    fn quotes_as_go_does() {
        for (text, want) in [
            ("", r#""""#),
            ("a \"b\" \\", r#""a \"b\" \\""#),
            ("\n\t\u{7f}\u{1}", r#""\n\t\x7f\x01""#),
            ("é\u{a0}日", "\"é\\u00a0日\""),
        ] {
            assert_eq!(go_quoted(text), want);
        }
    }
}
