//! Bounds on what a text may cost.

/// Bounds that reading keeps, whatever the text says.
///
/// The defaults fit manifests: go-yaml's rule against excessive aliasing is
/// always kept beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest text, in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of mappings and sequences.
    pub max_depth: usize,
    /// Most nodes in one document, expanded aliases included.
    pub max_nodes: usize,
    /// Most bytes that the expansion of aliases may add to one document.
    pub max_alias_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 64 << 20,
            max_depth: 200,
            max_nodes: 16_000_000,
            max_alias_bytes: 32 << 20,
        }
    }
}
