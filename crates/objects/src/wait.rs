//! When waiting for a set of objects ends, and what is said then.

use sluice_api::inventory::ObjectId;

use crate::health::{Assessment, Status};
use crate::object::{group_kind, subject};

/// One object that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The object.
    pub id: ObjectId,
    /// How it is now.
    pub health: Assessment,
    /// Whether its absence means that it is done: Jobs that are removed when finished.
    pub may_vanish: bool,
}

/// Whether one failed object ends the wait for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// It does.
    Fast,
    /// The others are waited for.
    Slow,
}

/// Where a wait stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All objects are healthy.
    Passed,
    /// It goes on.
    Pending,
    /// It has ended badly; the text says how.
    Failed(String),
}

impl Awaited {
    fn is_done(&self) -> bool {
        self.health.status == Status::Current
            || (self.may_vanish && self.health.status == Status::NotFound)
    }

    fn describe(&self) -> String {
        let status = format!(
            "{} status: '{}'",
            subject(&self.id),
            self.health.status.as_str()
        );
        match self.health.status {
            Status::Unknown if !self.health.message.is_empty() => {
                format!("{status}: {}", self.health.message)
            }
            _ => status,
        }
    }
}

/// Judges a wait that is not over by time.
pub fn judge(objects: &[Awaited], failing: Failing) -> Verdict {
    let has_failed = |o: &Awaited| o.health.status == Status::Failed;
    if objects.iter().all(Awaited::is_done) {
        return Verdict::Passed;
    }
    let is_over = match failing {
        Failing::Fast => objects.iter().any(has_failed),
        Failing::Slow => objects.iter().all(|o| o.is_done() || has_failed(o)),
    };
    if is_over {
        Verdict::Failed(format!(
            "failed early due to stalled resources: {}",
            list(objects, has_failed)
        ))
    } else {
        Verdict::Pending
    }
}

/// What is said when the time is over. Objects are sorted; Flux has them in no order.
pub fn timeout_text(objects: &[Awaited]) -> String {
    format!("timeout waiting for: {}", pending(objects))
}

/// The objects that are still waited for, each with how it is: `[Kind/namespace/name status: '...']`.
pub fn pending(objects: &[Awaited]) -> String {
    list(objects, |o| !o.is_done())
}

fn list(objects: &[Awaited], filter: impl Fn(&Awaited) -> bool) -> String {
    let mut texts: Vec<_> = objects
        .iter()
        .filter(|o| filter(o))
        .map(Awaited::describe)
        .collect();
    texts.sort();
    format!("[{}]", texts.join(", "))
}

/// What is said of an object to be checked that has no namespace though its kind needs one.
pub fn namespace_missing_text(id: &ObjectId) -> String {
    format!(
        "resource {} {} is namespace scoped, but namespace is not set",
        group_kind(&id.group, &id.kind),
        id.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(name: &str, status: Status, message: &str) -> Awaited {
        Awaited {
            id: ObjectId {
                namespace: "apps".into(),
                name: name.into(),
                group: String::new(),
                kind: "X".into(),
            },
            health: Assessment::new(status, message),
            may_vanish: false,
        }
    }

    #[test]
    fn all_current_passes_and_nothing_to_wait_for_too() {
        assert_eq!(judge(&[], Failing::Fast), Verdict::Passed);
        assert_eq!(
            judge(&[awaited("a", Status::Current, "")], Failing::Fast),
            Verdict::Passed
        );
        let mut job = awaited("job", Status::NotFound, "");
        assert_eq!(judge(&[job.clone()], Failing::Fast), Verdict::Pending);
        job.may_vanish = true;
        assert_eq!(judge(&[job], Failing::Fast), Verdict::Passed);
    }

    #[test]
    fn a_failure_ends_the_wait_at_once_or_when_nothing_else_moves() {
        let objects = [
            awaited("b", Status::Failed, "x"),
            awaited("a", Status::InProgress, "y"),
            awaited("c", Status::Current, ""),
        ];
        let text = "failed early due to stalled resources: [X/apps/b status: 'Failed']".to_owned();
        assert_eq!(
            judge(&objects, Failing::Fast),
            Verdict::Failed(text.clone())
        );
        assert_eq!(judge(&objects, Failing::Slow), Verdict::Pending);
        assert_eq!(
            judge(&[objects[0].clone(), objects[2].clone()], Failing::Slow),
            Verdict::Failed(text)
        );
    }

    #[test]
    fn a_timeout_names_everything_that_is_not_current() {
        let objects = [
            awaited(
                "b",
                Status::Unknown,
                "no matches for kind \"X\" in group \"\"",
            ),
            awaited("a", Status::NotFound, "z"),
            awaited("c", Status::Current, ""),
            awaited("d", Status::InProgress, "replicas: 0/1"),
        ];
        assert_eq!(
            timeout_text(&objects),
            "timeout waiting for: [X/apps/a status: 'NotFound', X/apps/b status: 'Unknown': no matches for kind \"X\" \
             in group \"\", X/apps/d status: 'InProgress']"
        );
    }
}
