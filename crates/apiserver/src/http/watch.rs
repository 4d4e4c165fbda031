//! The body of a watch: a stream of events, each a line of JSON.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::accept::Shape;
use super::respond::{Body, Wanted, metadata_only};
use crate::app::App;
use crate::objects::convert;
use crate::random;
use crate::registry::Resource;
use crate::status::Status;
use crate::store::{Change, ChangeKind, Object};
use crate::table;
use crate::verbs::read::{Initial, WatchStart};

/// How often a quiet watch gets a bookmark.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without timeoutSeconds ends after this time, and up to as long again.
const LONGEST: u64 = 1800;
/// How much is collected into one piece of the answer.
const CHUNK: usize = 64 << 10;

struct Watching {
    app: Arc<App>,
    resource: Arc<Resource>,
    start: WatchStart,
    wanted: Wanted,
    stopping: CancellationToken,
    announced: watch::Receiver<u64>,
    /// Everything up to this version was sent or passed over.
    sent: u64,
    deadline: Instant,
    bookmark: Instant,
    ready: VecDeque<Bytes>,
    columns_sent: bool,
    over: bool,
}

/// The body of a watch.
pub fn body(
    app: Arc<App>,
    resource: Arc<Resource>,
    start: WatchStart,
    wanted: Wanted,
    stopping: CancellationToken,
) -> Body {
    let timeout = start.timeout.filter(|seconds| *seconds > 0);
    let seconds = timeout.unwrap_or_else(|| LONGEST + u64::from(random::below(LONGEST as u32)));
    let now = Instant::now();
    let mut watching = Watching {
        announced: resource.table.subscribe(),
        sent: start.after,
        deadline: now + Duration::from_secs(seconds.min(1 << 31)),
        bookmark: now + BOOKMARK_EVERY,
        ready: VecDeque::new(),
        columns_sent: false,
        over: false,
        app,
        resource,
        start,
        wanted,
        stopping,
    };
    watching.begin();
    StreamBody::new(stream(watching)).boxed_unsync()
}

fn stream(watching: Watching) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::unfold(watching, |mut watching| async move {
        let chunk = watching.next().await?;
        Some((Ok(Frame::data(chunk)), watching))
    })
}

impl Watching {
    /// The events before the first change.
    fn begin(&mut self) {
        if self.start.initial == Initial::Nothing {
            return;
        }
        let Ok(snapshot) = self
            .resource
            .table
            .list(&self.start.prefix, None, Some(self.sent))
        else {
            self.fail(&Status::gone("too old resource version"));
            return;
        };
        let mut chunk = Vec::new();
        for object in snapshot.objects {
            if self.start.selector.matches(&object) {
                self.event(&mut chunk, "ADDED", &object, object.version);
                if chunk.len() >= CHUNK {
                    self.ready.push_back(std::mem::take(&mut chunk).into());
                }
            }
        }
        if self.start.initial == Initial::ObjectsAndBookmark {
            let note = json!({"k8s.io/initial-events-end": "true"});
            self.write_bookmark(&mut chunk, Some(note));
        }
        if !chunk.is_empty() {
            self.ready.push_back(chunk.into());
        }
    }

    /// The next piece of the answer; None at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(chunk);
            }
            if self.over {
                return None;
            }
            let until = *self.announced.borrow_and_update();
            if until > self.sent {
                self.take_changes(until);
                continue;
            }
            let bookmark = if self.start.bookmarks {
                self.bookmark
            } else {
                self.deadline
            };
            tokio::select! {
                changed = self.announced.changed() => changed.ok()?,
                () = sleep_until(bookmark.min(self.deadline)) => {
                    if Instant::now() >= self.deadline {
                        return None;
                    }
                    self.bookmark = Instant::now() + BOOKMARK_EVERY;
                    // Nothing happened here, so everything that is on disk by now was passed over. The table may
                    // have changed since it was looked at, so look again first.
                    let durable = self.app.store.durable_version();
                    let until = *self.announced.borrow_and_update();
                    if until > self.sent {
                        self.take_changes(until);
                    }
                    self.sent = self.sent.max(durable.min(self.quiet_until()));
                    let mut chunk = Vec::new();
                    self.write_bookmark(&mut chunk, None);
                    self.ready.push_back(chunk.into());
                }
                () = self.stopping.cancelled() => return None,
            }
        }
    }

    /// The version up to which this table is known to have no change that was not taken.
    fn quiet_until(&self) -> u64 {
        match self.resource.table.changes(self.sent, u64::MAX) {
            Ok(changes) => changes
                .first()
                .map_or(u64::MAX, |change| change.version - 1),
            Err(_) => self.sent,
        }
    }

    fn take_changes(&mut self, until: u64) {
        let changes = match self.resource.table.changes(self.sent, until) {
            Ok(changes) => changes,
            Err(expired) => {
                let message = format!(
                    "too old resource version: {} ({})",
                    self.sent, expired.oldest
                );
                self.fail(&Status::gone(message));
                return;
            }
        };
        self.sent = until;
        let mut chunk = Vec::new();
        for change in &changes {
            if change.object.key.starts_with(&self.start.prefix) {
                self.change(&mut chunk, change);
                if chunk.len() >= CHUNK {
                    self.ready.push_back(std::mem::take(&mut chunk).into());
                }
            }
        }
        if !chunk.is_empty() {
            self.bookmark = Instant::now() + BOOKMARK_EVERY;
            self.ready.push_back(chunk.into());
        }
    }

    fn change(&mut self, chunk: &mut Vec<u8>, change: &Change) {
        let selector = &self.start.selector;
        let was = change
            .before
            .as_ref()
            .is_some_and(|before| selector.matches(before));
        let is = change.kind == ChangeKind::Put && selector.matches(&change.object);
        match (was, is) {
            (false, true) => self.event(chunk, "ADDED", &change.object, change.version),
            (true, true) => self.event(chunk, "MODIFIED", &change.object, change.version),
            (true, false) if change.kind == ChangeKind::Remove => {
                self.event(chunk, "DELETED", &change.object, change.version);
            }
            (true, false) => {
                // It left the selection: its last selected state, at the version of the change.
                if let Some(before) = &change.before {
                    let gone = Object::new(before.key.clone(), change.version, before.value());
                    self.event(chunk, "DELETED", &gone, change.version);
                }
            }
            (false, false) => {}
        }
    }

    fn event(&mut self, chunk: &mut Vec<u8>, kind: &str, object: &Object, version: u64) {
        let text = match self.wanted.representation.shape {
            Shape::Whole => convert::text(&self.resource, object),
            Shape::Metadata => metadata_only(object).into(),
            Shape::Table => {
                let value = convert::from_storage(&self.resource, object);
                let mut shown = table::of(
                    &self.resource,
                    &[value],
                    self.wanted.include,
                    self.app.now(),
                );
                shown["metadata"] = json!({"resourceVersion": version.to_string()});
                if self.columns_sent {
                    shown["columnDefinitions"] = Value::Null;
                }
                self.columns_sent = true;
                shown.to_string().into()
            }
        };
        write_event(chunk, kind, &text);
    }

    fn write_bookmark(&self, chunk: &mut Vec<u8>, annotations: Option<Value>) {
        let mut metadata = json!({"resourceVersion": self.sent.to_string()});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let (kind, version) = match self.wanted.representation.shape {
            Shape::Whole => (
                self.resource.kind.as_str(),
                self.resource.api_version.as_str(),
            ),
            Shape::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1"),
            Shape::Table => {
                let mut shown = table::of(&self.resource, &[], self.wanted.include, self.app.now());
                shown["metadata"] = metadata;
                shown["columnDefinitions"] = Value::Null;
                write_event(chunk, "BOOKMARK", &shown.to_string());
                return;
            }
        };
        let object = json!({"kind": kind, "apiVersion": version, "metadata": metadata});
        write_event(chunk, "BOOKMARK", &object.to_string());
    }

    fn fail(&mut self, status: &Status) {
        let mut chunk = Vec::new();
        write_event(&mut chunk, "ERROR", &status.to_value().to_string());
        self.ready.push_back(chunk.into());
        self.over = true;
    }
}

fn write_event(chunk: &mut Vec<u8>, kind: &str, object: &str) {
    chunk.extend_from_slice(b"{\"type\":\"");
    chunk.extend_from_slice(kind.as_bytes());
    chunk.extend_from_slice(b"\",\"object\":");
    chunk.extend_from_slice(object.as_bytes());
    chunk.extend_from_slice(b"}\n");
}
