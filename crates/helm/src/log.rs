//! Lines as Helm logs them, which is Go's text format.

/// A text as the value of an attribute, quoted if it has to be.
pub(crate) fn value(text: &str) -> String {
    let is_plain = |c: char| match c {
        ' ' | '=' | '"' | char::REPLACEMENT_CHARACTER => false,
        c => !sluice_gotemplate::text::is_space(c) && sluice_gotemplate::text::is_print(c),
    };
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => sluice_gotemplate::strconv::quote(text.as_bytes()),
    }
}
