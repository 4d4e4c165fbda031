//! Events live for an hour.

use std::time::Duration;

use jiff::Timestamp;

use super::{Actor, Next, Outcome};
use crate::app::App;
use crate::verbs::delete::DeleteOptions;

/// How long an event lives, as the real server's `--event-ttl`.
const TTL: i64 = 3600;
/// How often old events are looked for.
const EVERY: Duration = Duration::from_secs(300);

/// Removes the events that are too old.
pub(super) fn expire(app: &App) -> Outcome {
    let actor = Actor::new(app, "kube-apiserver");
    let resource = actor.resource("events")?;
    let oldest = app.now().as_second() - TTL;
    for event in app.store.table("events").all() {
        let created = event.metadata_value()["creationTimestamp"]
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok());
        if created.is_some_and(|created| created.as_second() < oldest) {
            actor.delete(resource, &event, &DeleteOptions::default())?;
        }
    }
    Ok(Next::After(EVERY))
}
