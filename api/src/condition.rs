//! Status conditions: the type and the rules by which they change.
//!
//! What each controller says in them is in [`crate::reason`]; when, is the
//! controllers' business.

use std::borrow::Cow;
use std::cmp::Reverse;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The type of a condition, as written in an object.
pub type ConditionType = &'static str;

/// The object is as its specification says; the summary of all the others.
pub const READY: ConditionType = "Ready";
/// Work on the object is under way. Present only while true.
pub const RECONCILING: ConditionType = "Reconciling";
/// Nothing more will happen until somebody changes something. Present only while true.
pub const STALLED: ConditionType = "Stalled";
/// What was applied is healthy (Kustomization).
pub const HEALTHY: ConditionType = "Healthy";

/// A source could not be fetched. Present only while true.
pub const FETCH_FAILED: ConditionType = "FetchFailed";
/// An included source has no artifact (GitRepository). Present only while true.
pub const INCLUDE_UNAVAILABLE: ConditionType = "IncludeUnavailable";
/// The artifact in storage is older than the source. Present only while true.
pub const ARTIFACT_OUTDATED: ConditionType = "ArtifactOutdated";
/// The artifact of the observed revision is in storage.
pub const ARTIFACT_IN_STORAGE: ConditionType = "ArtifactInStorage";
/// The artifact could not be stored. Present only while true.
pub const STORAGE_OPERATION_FAILED: ConditionType = "StorageOperationFailed";
/// The signature of the source was verified.
pub const SOURCE_VERIFIED: ConditionType = "SourceVerified";
/// A chart could not be built (HelmChart). Present only while true.
pub const BUILD_FAILED: ConditionType = "BuildFailed";

/// The last install or upgrade went well (HelmRelease).
pub const RELEASED: ConditionType = "Released";
/// The tests of the release went well (HelmRelease).
pub const TEST_SUCCESS: ConditionType = "TestSuccess";
/// A failed release was rolled back or uninstalled (HelmRelease).
pub const REMEDIATED: ConditionType = "Remediated";
/// The cluster differs from the release (HelmRelease).
pub const DRIFTED: ConditionType = "Drifted";

/// The longest message of a condition, in bytes.
pub const MAX_MESSAGE: usize = 32_768;

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It is not known yet.
    #[default]
    Unknown,
}

impl Status {
    /// The status as written in an object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl JsonSchema for Status {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ConditionStatus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["True", "False", "Unknown"] })
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One aspect of an object's state, as last seen by its controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Aspect that the condition is about.
    #[serde(rename = "type")]
    #[schemars(extend(
        "maxLength" = 316,
        "pattern" = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
    ))]
    pub type_: String,
    /// Whether it holds.
    pub status: Status,
    /// Generation of the object that the condition was set for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0))]
    pub observed_generation: Option<i64>,
    /// When status, reason or message last changed.
    pub last_transition_time: Time,
    /// Why, as one word for programs.
    #[schemars(extend(
        "minLength" = 1,
        "maxLength" = 1024,
        "pattern" = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
    ))]
    pub reason: String,
    /// Why, for people.
    #[schemars(extend("maxLength" = 32768))]
    pub message: String,
}

impl Condition {
    /// A condition that changes at `now`; a message that is too long is cut.
    pub fn new(
        type_: &str,
        status: Status,
        reason: &str,
        message: impl Into<String>,
        generation: Option<i64>,
        now: Time,
    ) -> Self {
        Self {
            type_: type_.to_owned(),
            status,
            observed_generation: generation,
            last_transition_time: now,
            reason: reason.to_owned(),
            message: shortened(message.into(), MAX_MESSAGE),
        }
    }

    /// Whether both say the same: status, reason and message.
    fn same_state(&self, other: &Self) -> bool {
        self.status == other.status && self.reason == other.reason && self.message == other.message
    }
}

/// `text` cut to at most `limit` bytes, ending in `...`, between two characters.
pub fn shortened(mut text: String, limit: usize) -> String {
    const MARK: &str = "...";
    if text.len() > limit {
        let mut end = limit.saturating_sub(MARK.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}

/// The condition of a type, if there is one.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether there is a condition of that type with that status.
pub fn is(conditions: &[Condition], type_: &str, status: Status) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == status)
}

/// Adds a condition or replaces the one of its type, and sorts.
///
/// The time of transition stays when status, reason and message do; the
/// observed generation is the new one in any case.
pub fn set(conditions: &mut Vec<Condition>, mut new: Condition) {
    match conditions
        .iter_mut()
        .find(|condition| condition.type_ == new.type_)
    {
        Some(old) => {
            if old.same_state(&new) {
                new.last_transition_time = old.last_transition_time;
            }
            *old = new;
        }
        None => conditions.push(new),
    }
    sort(conditions);
}

/// Removes the condition of a type.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// Sorts as Flux stores conditions: Stalled, Reconciling, Ready, then the
/// newest generation first, then by type.
pub fn sort(conditions: &mut [Condition]) {
    let rank = |type_: &str| match type_ {
        STALLED => 0,
        RECONCILING => 1,
        READY => 2,
        _ => 3,
    };
    conditions.sort_by(|a, b| {
        let key = |c: &Condition| (rank(&c.type_), Reverse(c.observed_generation.unwrap_or(0)));
        key(a).cmp(&key(b)).then_with(|| a.type_.cmp(&b.type_))
    });
}

/// Marks progress: Reconciling becomes true and Stalled goes.
pub fn set_reconciling(
    conditions: &mut Vec<Condition>,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Time,
) {
    remove(conditions, STALLED);
    set(
        conditions,
        Condition::new(RECONCILING, Status::True, reason, message, generation, now),
    );
}

/// Marks a dead end: Stalled becomes true and Reconciling goes.
pub fn set_stalled(
    conditions: &mut Vec<Condition>,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Time,
) {
    remove(conditions, RECONCILING);
    set(
        conditions,
        Condition::new(STALLED, Status::True, reason, message, generation, now),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::new(jiff::Timestamp::from_second(second).unwrap())
    }

    fn ready(status: Status, message: &str, generation: i64, second: i64) -> Condition {
        Condition::new(
            READY,
            status,
            "Reason",
            message,
            Some(generation),
            at(second),
        )
    }

    #[test]
    fn the_transition_time_moves_only_with_status_reason_or_message() {
        let mut conditions = vec![ready(Status::True, "a", 1, 10)];
        set(&mut conditions, ready(Status::True, "a", 2, 20));
        assert_eq!(conditions, [ready(Status::True, "a", 2, 10)]);
        set(&mut conditions, ready(Status::True, "b", 2, 30));
        assert_eq!(conditions, [ready(Status::True, "b", 2, 30)]);
        set(&mut conditions, ready(Status::False, "b", 2, 40));
        assert_eq!(conditions, [ready(Status::False, "b", 2, 40)]);
    }

    #[test]
    fn conditions_are_stored_in_the_order_of_flux() {
        let mut conditions = Vec::new();
        for (type_, generation) in [
            (HEALTHY, 1),
            (ARTIFACT_IN_STORAGE, 2),
            (SOURCE_VERIFIED, 2),
            (READY, 1),
            (FETCH_FAILED, 3),
        ] {
            let new = Condition::new(type_, Status::True, "R", "m", Some(generation), at(1));
            set(&mut conditions, new);
        }
        set_reconciling(&mut conditions, "Progressing", "m", Some(3), at(1));
        let types: Vec<_> = conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(
            types,
            [
                RECONCILING,
                READY,
                FETCH_FAILED,
                ARTIFACT_IN_STORAGE,
                SOURCE_VERIFIED,
                HEALTHY
            ]
        );
        set_stalled(&mut conditions, "Failed", "m", Some(3), at(1));
        assert_eq!(conditions[0].type_, STALLED);
        assert!(find(&conditions, RECONCILING).is_none());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let condition = ready(Status::True, &"\u{e9}".repeat(MAX_MESSAGE), 1, 1);
        assert!(condition.message.len() <= MAX_MESSAGE);
        assert!(condition.message.ends_with("\u{e9}..."));
        assert_eq!(shortened("aäb".to_owned(), 10), "aäb");
        assert_eq!(shortened("ääääää".to_owned(), 8), "ää...");
        let short = "x".repeat(MAX_MESSAGE);
        assert_eq!(ready(Status::True, &short, 1, 1).message, short);
    }
}
