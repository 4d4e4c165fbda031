//! Waiting for a controller to have handled an object.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::Api;
use sluice_objects::health::{self, Status};
use tokio::time::{Instant, sleep_until};

use crate::error::{Failure, Outcome};
use crate::object::{self, Object};
use crate::resources::Resource;

/// How long to wait before the second look at an object.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait between two looks at most; each pause is twice the last one.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long before the deadline the last look is, to have time for its words.
const MARGIN: Duration = Duration::from_millis(200);

/// Which state of an object is the end of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until<'a> {
    /// The controller has seen the current generation.
    Current,
    /// The controller has also handled another request than this one.
    HandledOtherThan(&'a str),
}

/// Looks at the object again and again until the controller is done with it.
///
/// # Errors
///
/// Fails when the object is gone, when its controller gave up, and at the
/// deadline.
pub async fn settled(
    api: &Api<Object>,
    resource: &Resource,
    name: &str,
    until: Until<'_>,
    deadline: Instant,
) -> Outcome<Object> {
    let last_look = deadline - MARGIN;
    let mut pause = FIRST_PAUSE;
    loop {
        let object = api.get(name).await?;
        let handled = match until {
            Until::Current => true,
            Until::HandledOtherThan(request) => object::last_handled(&object) != request,
        };
        if handled && is_done(resource, &object)? {
            return Ok(object);
        }
        let now = Instant::now();
        if now >= last_look {
            return Err(Failure::new(deadline_text(resource, &object)));
        }
        sleep_until(last_look.min(now + pause)).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Whether the controller is done with the object.
fn is_done(resource: &Resource, object: &Object) -> Outcome<bool> {
    if (resource.is_static)(object) {
        return Ok(true);
    }
    let value = serde_json::to_value(object).map_err(|error| Failure::new(error.to_string()))?;
    let assessment = health::assess(&value, Timestamp::now());
    match assessment.status {
        Status::Current => Ok(true),
        Status::InProgress => Ok(false),
        _ => Err(Failure::new(assessment.message)),
    }
}

fn deadline_text(resource: &Resource, object: &Object) -> String {
    let (status, message) = resource.readiness(object);
    format!("context deadline exceeded: Ready is {status}: {message}")
}

/// What the Ready condition says in the end: a success line or the reason of
/// the failure.
///
/// # Errors
///
/// Fails when the object is not ready.
pub fn verdict(resource: &Resource, object: &Object, quotes: Quotes) -> Outcome<String> {
    let kind = resource.kind.kind;
    if (resource.is_static)(object) {
        return Ok((resource.success)(object));
    }
    match object::ready(object) {
        None => Err(Failure::new("status can't be determined")),
        Some(ready) if ready.status == "True" => Ok((resource.success)(object)),
        Some(ready) => Err(Failure::new(match quotes {
            Quotes::Around => format!("{kind} reconciliation failed: '{}'", ready.message),
            Quotes::None => format!("{kind} reconciliation failed: {}", ready.message),
        })),
    }
}

/// Whether a message is quoted: commands differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// In single quotes.
    Around,
    /// As it is.
    None,
}
