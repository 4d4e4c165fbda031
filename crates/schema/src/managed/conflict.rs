//! Conflicts of server-side apply, in the server's words.

use std::collections::BTreeMap;
use std::fmt;

use super::entries::{Entry, Operation};
use crate::fields::{PathElement, Set, display_path};
use crate::gofmt;

/// A field that an apply would take from its manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The manager as errors print it: `"kubectl" using apps/v1`.
    pub manager: String,
    /// The path of the field: `.spec.replicas`.
    pub field: String,
    /// How the server orders managers.
    order: String,
    path: Vec<PathElement<'static>>,
}

impl Conflict {
    /// The text of the cause: `conflict with "kubectl" using apps/v1`.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// Why an apply is refused without force: code 409, one cause (`FieldManagerConflict`) for each conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl std::error::Error for Conflicts {}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(
                f,
                "Apply failed with 1 conflict: {}: {}",
                one.message(),
                one.field
            );
        }
        let mut managers: BTreeMap<&str, Vec<&Conflict>> = BTreeMap::new();
        for conflict in &self.0 {
            managers.entry(&conflict.order).or_default().push(conflict);
        }
        let mut lines = Vec::new();
        for conflicts in managers.values() {
            lines.extend(
                conflicts
                    .first()
                    .map(|first| format!("conflicts with {}:", first.manager)),
            );
            lines.extend(
                conflicts
                    .iter()
                    .map(|conflict| format!("- {}", conflict.field)),
            );
        }
        write!(
            f,
            "Apply failed with {} conflicts: {}",
            self.0.len(),
            lines.join("\n")
        )
    }
}

impl Conflicts {
    /// One for each member of the sets.
    pub(super) fn of<'a>(sets: impl IntoIterator<Item = (&'a Entry<'a>, &'a Set<'a>)>) -> Self {
        let mut all = Vec::new();
        for (entry, set) in sets {
            let (manager, order) = (manager(entry), entry.identifier());
            all.extend(set.paths().into_iter().map(|path| Conflict {
                manager: manager.clone(),
                order: order.clone(),
                field: display_path(&path),
                path: path.into_iter().map(PathElement::into_owned).collect(),
            }));
        }
        all.sort_by(|a: &Conflict, b| a.order.cmp(&b.order));
        Conflicts(all)
    }

    /// Those whose path is not in the set.
    pub(super) fn outside(self, set: &Set<'_>) -> Self {
        Conflicts(
            self.0
                .into_iter()
                .filter(|conflict| !set.has_path(&conflict.path))
                .collect(),
        )
    }
}

fn manager(entry: &Entry<'_>) -> String {
    let mut text = gofmt::quote(&entry.manager);
    if !entry.subresource.is_empty() {
        text.push_str(&format!(
            " with subresource {}",
            gofmt::quote(&entry.subresource)
        ));
    }
    if entry.operation == Operation::Update {
        text.push_str(&format!(" using {}", entry.api_version));
    }
    text
}
