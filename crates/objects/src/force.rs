//! Which refusals mean that an object has to be recreated.

use std::sync::OnceLock;

use regex::Regex;

/// Whether a refused write counts as an attempt to change what cannot be changed: any conflict (409)
/// or invalid object (422), or a message that speaks of an immutable field. Flux does not look
/// closer, so with `force` a plainly invalid object is deleted too.
pub fn is_immutable(code: u16, message: &str) -> bool {
    static TEXT: OnceLock<Regex> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        Regex::new(r"is\simmutable|immutable\sfield").expect("the pattern is constant")
    });
    matches!(code, 409 | 422) || text.is_match(message)
}

#[cfg(test)]
mod tests {
    use super::is_immutable;

    #[test]
    fn conflicts_invalid_objects_and_the_word_count() {
        assert!(is_immutable(409, "conflict"));
        assert!(is_immutable(422, "must be between 1 and 65535"));
        assert!(is_immutable(
            400,
            "admission denied: spec is immutable after creation"
        ));
        assert!(is_immutable(500, "cannot change immutable field x"));
        assert!(!is_immutable(403, "forbidden"));
        assert!(!is_immutable(400, "field not declared in schema"));
    }
}
