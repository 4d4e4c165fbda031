//! What was done to objects, and how events, errors and logs say it.

use serde_json::{Map, Value, json};
use sluice_api::inventory::ObjectId;

use crate::object::subject;

/// What happened to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It did not exist and does now.
    Created,
    /// It existed and was changed.
    Configured,
    /// It was as it should be.
    Unchanged,
    /// A switch says to leave it alone.
    Skipped,
    /// It is gone or going.
    Deleted,
    /// It could not be found out or done.
    Unknown,
}

impl Action {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Configured => "configured",
            Action::Unchanged => "unchanged",
            Action::Skipped => "skipped",
            Action::Deleted => "deleted",
            Action::Unknown => "unknown",
        }
    }

    /// Whether an apply with this outcome wrote something.
    pub fn is_change(self) -> bool {
        matches!(self, Action::Created | Action::Configured)
    }
}

/// One object and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub id: ObjectId,
    /// What happened.
    pub action: Action,
}

impl std::fmt::Display for Change {
    /// Writes `Kind/namespace/name action`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", subject(&self.id), self.action.as_str())
    }
}

/// One change a line.
pub fn lines<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    let lines: Vec<_> = changes.into_iter().map(Change::to_string).collect();
    lines.join("\n")
}

/// The changes of an apply that wrote something, one a line; empty if none did.
pub fn written(changes: &[Change]) -> String {
    lines(changes.iter().filter(|c| c.action.is_change()))
}

/// The log field of an apply: from subject to action.
pub fn by_subject(changes: &[Change]) -> Value {
    let entries = changes
        .iter()
        .map(|c| (subject(&c.id), Value::from(c.action.as_str())));
    Value::Object(entries.collect())
}

/// The log field of an apply with the gate `GroupChangeLog`: from action to subjects.
pub fn by_action(changes: &[Change]) -> Value {
    let mut groups = Map::new();
    for change in changes {
        let group = groups
            .entry(change.action.as_str())
            .or_insert_with(|| json!([]));
        if let Value::Array(subjects) = group {
            subjects.push(Value::from(subject(&change.id)));
        }
    }
    Value::Object(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_as_flux_says_them() {
        let change = |kind: &str, namespace: &str, name: &str, action| Change {
            id: ObjectId {
                namespace: namespace.into(),
                name: name.into(),
                group: String::new(),
                kind: kind.into(),
            },
            action,
        };
        let changes = [
            change("Namespace", "", "apps", Action::Unchanged),
            change("ConfigMap", "apps", "a", Action::Created),
            change("ConfigMap", "apps", "b", Action::Skipped),
            change("Secret", "apps", "c", Action::Configured),
            change("Secret", "apps", "d", Action::Configured),
        ];
        assert_eq!(
            written(&changes),
            "ConfigMap/apps/a created\nSecret/apps/c configured\nSecret/apps/d configured"
        );
        assert_eq!(
            lines(&changes[..2]),
            "Namespace/apps unchanged\nConfigMap/apps/a created"
        );
        assert_eq!(by_subject(&changes)["ConfigMap/apps/b"], "skipped");
        assert_eq!(
            by_action(&changes)["configured"],
            json!(["Secret/apps/c", "Secret/apps/d"])
        );
    }
}
