//! How much a build may write: a small input can ask for a very large output.

use serde_json::Value;

use crate::node::{Map, Node};

/// Bytes that the transformations of one build may write.
const MOST_WRITTEN: usize = 1 << 30;

/// Names, and what is put before or behind them, are no longer than this.
const LONGEST_NAME: usize = 4096;

/// What a node costs beside its text.
const NODE: usize = 64;

/// What a build may still write.
#[derive(Debug)]
pub(crate) struct Allowance(usize);

impl Default for Allowance {
    fn default() -> Self {
        Allowance(MOST_WRITTEN)
    }
}

impl Allowance {
    /// Takes what is about to be written.
    ///
    /// # Errors
    /// Not as much is left.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), String> {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(format!(
                "the build would write more than {} MiB into objects",
                MOST_WRITTEN >> 20
            )),
        }
    }

    /// Takes what another part of the build has written.
    pub(crate) fn absorb(&mut self, other: &Allowance) {
        self.0 = self.0.saturating_sub(MOST_WRITTEN - other.0);
    }
}

/// Refuses a name that no cluster would take and that could fill the memory.
///
/// # Errors
/// The text is too long.
pub(crate) fn check_name(text: &str, what: &str) -> Result<(), String> {
    if text.len() > LONGEST_NAME {
        return Err(format!(
            "{what} of {} bytes is longer than {LONGEST_NAME}",
            text.len()
        ));
    }
    Ok(())
}

/// What a copy of a node takes, in bytes.
pub(crate) fn weight(node: &Node) -> usize {
    match node {
        Node::Scalar(scalar) => NODE + scalar.text.len(),
        Node::Map(map) => weight_of_map(map),
        Node::Seq(items) => NODE + items.iter().map(weight).sum::<usize>(),
    }
}

/// As [`weight`], of a mapping.
pub(crate) fn weight_of_map(map: &Map) -> usize {
    let pair = |(key, value): &(crate::node::Scalar, Node)| NODE + key.text.len() + weight(value);
    NODE + map.pairs.iter().map(pair).sum::<usize>()
}

/// As [`weight`], of JSON.
pub(crate) fn weight_of_json(value: &Value) -> usize {
    let inner: usize = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight_of_json).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| NODE + key.len() + weight_of_json(value))
            .sum(),
        _ => 0,
    };
    NODE + inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_build_share_an_allowance() {
        let mut whole = Allowance::default();
        let mut part = Allowance::default();
        part.spend(MOST_WRITTEN - 10).expect("as much is there");
        whole.absorb(&part);
        assert!(whole.spend(11).is_err());
        assert!(whole.spend(10).is_ok());
    }

    #[test]
    fn a_copy_costs_its_texts_and_nodes() {
        let value = serde_json::json!({"ab": ["c", 1]});
        assert_eq!(weight_of_json(&value), 5 * NODE + 3);
    }
}
