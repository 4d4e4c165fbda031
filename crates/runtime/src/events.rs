//! Events: a Kubernetes Event and, for all but trace events, a POST to the notification-controller.
//!
//! Reconcilers hand a [`Notice`] to the outbox and go on; a task of its own sends them, in order per
//! process, with deadlines and retries. The outbox is bounded: when it is full the newest notice is
//! dropped and counted in `sluice_events_total{result="dropped"}`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use sluice_api::condition::shortened;
use sluice_api::event::{self as wire, ANNOTATION_PREFIX, InvolvedObject, Severity};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// One thing that happened to an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The object it happened to.
    pub object: InvolvedObject,
    /// How bad it is.
    pub severity: Severity,
    /// One-word reason.
    pub reason: String,
    /// What happened. Never holds secrets.
    pub message: String,
    /// Annotations of the Kubernetes Event, `metadata` of the post.
    pub metadata: BTreeMap<String, String>,
}

/// Reference to an object as events carry it.
pub fn reference<K>(object: &K) -> InvolvedObject
where
    K: Resource,
    K::DynamicType: Default,
{
    let kind = K::DynamicType::default();
    let meta = object.meta();
    InvolvedObject {
        api_version: K::api_version(&kind).into_owned(),
        kind: K::kind(&kind).into_owned(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
    }
}

/// Adds an object's own event annotations to an event's metadata.
pub fn with_own_annotations(
    mut metadata: BTreeMap<String, String>,
    annotations: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    for (key, value) in annotations.into_iter().flatten() {
        if key.starts_with(ANNOTATION_PREFIX) {
            metadata.insert(key.clone(), value.clone());
        }
    }
    metadata
}

/// Where the outbox sends to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Name of the controller.
    pub controller: String,
    /// Name of this instance: the host name.
    pub instance: String,
    /// URL of the notification-controller's event endpoint.
    pub post_to: Option<String>,
}

/// The sending end; clones share the outbox.
#[derive(Debug, Clone)]
pub struct Recorder {
    events: mpsc::Sender<Notice>,
    /// Apart from the events, so that an alert does not wait for a slow API server.
    posts: Option<mpsc::Sender<Notice>>,
    metrics: Arc<Metrics>,
}

/// Notices that may wait.
const OUTBOX: usize = 4096;
/// Kubernetes limits of an Event's message and of a post's.
const EVENT_MESSAGE: usize = 1024;
const POST_MESSAGE: usize = 39_000;

impl Recorder {
    /// Starts the outbox' task; it ends after `stop`, having sent what was waiting within one second.
    pub fn start(
        client: Client,
        destination: Destination,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (events, inbox) = mpsc::channel(OUTBOX);
        let (posts, poster) = match destination.post_to.clone() {
            None => (None, None),
            Some(address) => {
                let (posts, inbox) = mpsc::channel(OUTBOX);
                let post = post_all(
                    address,
                    destination.clone(),
                    metrics.clone(),
                    stop.clone(),
                    inbox,
                );
                (Some(posts), Some(tokio::spawn(post)))
            }
        };
        let write = write_all(client, destination, metrics.clone(), stop, inbox);
        let task = tokio::spawn(async move {
            write.await;
            if let Some(poster) = poster {
                let _ = tokio::time::timeout(Duration::from_secs(1), poster).await;
            }
        });
        let recorder = Self {
            events,
            posts,
            metrics,
        };
        (recorder, task)
    }

    /// Puts a notice into the outbox; never waits.
    pub fn send(&self, notice: Notice) {
        if let Some(posts) = &self.posts
            && notice.severity != Severity::Trace
            && posts.try_send(notice.clone()).is_err()
        {
            self.metrics.count_event("dropped");
        }
        if self.events.try_send(notice).is_err() {
            self.metrics.count_event("dropped");
        }
    }
}

/// The next notice; `None` when none is left and it is time to stop.
async fn next(inbox: &mut mpsc::Receiver<Notice>, stop: &CancellationToken) -> Option<Notice> {
    tokio::select! {
        biased;
        notice = inbox.recv() => notice,
        () = stop.cancelled() => None,
    }
}

/// Writes notices to the API, one after the other.
async fn write_all(
    client: Client,
    destination: Destination,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    mut inbox: mpsc::Receiver<Notice>,
) {
    let mut correlator = Correlator::default();
    while let Some(notice) = next(&mut inbox, &stop).await {
        let now = Timestamp::now();
        let write = write(
            &client,
            &destination,
            correlator.place(&notice, now),
            &notice,
            now,
        );
        match tokio::time::timeout(Duration::from_secs(10), write).await {
            Ok(Ok(())) => metrics.count_event("sent"),
            // A namespace that is going away takes no events any more: nothing is lost by that.
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 403 | 404) => {
                metrics.count_event("refused");
            }
            Ok(Err(error)) => {
                metrics.count_event("failed");
                tracing::error!(error = error.to_string(), "cannot write an event");
            }
            Err(_) => metrics.count_event("failed"),
        }
    }
}

/// What becomes of a notice in the API: a new Event, or a higher count on one that says the same.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Create {
        name: String,
    },
    Count {
        name: String,
        count: i32,
    },
    /// Too many events about this object.
    Drop,
}

/// Joins repeated events and limits a flood, as client-go's correlator does: 25 at once for each
/// object, then one every five minutes.
#[derive(Debug, Default)]
struct Correlator {
    known: HashMap<String, (String, i32)>,
    order: VecDeque<String>,
    budgets: HashMap<String, (f64, Timestamp)>,
}

const KNOWN: usize = 4096;
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;

impl Correlator {
    fn place(&mut self, notice: &Notice, now: Timestamp) -> Place {
        let object = &notice.object;
        let id = format!(
            "{}/{}/{}/{}",
            object.kind, object.namespace, object.name, object.uid
        );
        if self.budgets.len() >= KNOWN {
            self.budgets
                .retain(|_, (_, last)| now.duration_since(*last).as_secs() < 3600);
        }
        let (tokens, last) = self.budgets.entry(id.clone()).or_insert((BURST, now));
        *tokens = (*tokens + now.duration_since(*last).as_secs_f64() / REFILL_SECONDS).min(BURST);
        *last = now;
        if *tokens < 1.0 {
            return Place::Drop;
        }
        *tokens -= 1.0;
        let key = format!(
            "{id}\0{:?}\0{}\0{}\0{:?}",
            notice.severity, notice.reason, notice.message, notice.metadata
        );
        if let Some((name, count)) = self.known.get_mut(&key) {
            *count = count.saturating_add(1);
            return Place::Count {
                name: name.clone(),
                count: *count,
            };
        }
        let name = format!("{}.{:x}", object.name, now.as_nanosecond());
        if self.order.len() >= KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(key.clone(), (name.clone(), 1));
        self.order.push_back(key);
        Place::Create { name }
    }
}

async fn write(
    client: &Client,
    destination: &Destination,
    place: Place,
    notice: &Notice,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let namespace = match notice.object.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    };
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let name = match place {
        Place::Drop => return Ok(()),
        Place::Create { name } => name,
        Place::Count { name, count } => {
            let patch = serde_json::json!({"count": count, "lastTimestamp": Time(now)});
            match api
                .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await
            {
                // The Event has expired meanwhile.
                Err(kube::Error::Api(status)) if status.code == 404 => name,
                other => return other.map(|_| ()),
            }
        }
    };
    let event = event(destination, name, namespace, notice, now);
    api.create(&PostParams::default(), &event).await.map(|_| ())
}

fn event(
    destination: &Destination,
    name: String,
    namespace: &str,
    notice: &Notice,
    now: Timestamp,
) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            annotations: (!notice.metadata.is_empty()).then(|| notice.metadata.clone()),
            ..ObjectMeta::default()
        },
        involved_object: object_reference(&notice.object),
        type_: Some(
            match notice.severity {
                Severity::Error => "Warning",
                Severity::Info | Severity::Trace => "Normal",
            }
            .to_owned(),
        ),
        reason: Some(notice.reason.clone()),
        message: Some(shortened(notice.message.clone(), EVENT_MESSAGE)),
        source: Some(EventSource {
            component: Some(destination.controller.clone()),
            host: None,
        }),
        reporting_component: Some(destination.controller.clone()),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    }
}

fn object_reference(object: &InvolvedObject) -> ObjectReference {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    ObjectReference {
        api_version: some(&object.api_version),
        kind: some(&object.kind),
        namespace: some(&object.namespace),
        name: some(&object.name),
        uid: some(&object.uid),
        resource_version: some(&object.resource_version),
        field_path: None,
    }
}

/// The body of a post.
fn body(destination: &Destination, notice: &Notice, now: Timestamp) -> wire::Event {
    wire::Event {
        involved_object: notice.object.clone(),
        severity: notice.severity,
        timestamp: now.into(),
        message: shortened(notice.message.clone(), POST_MESSAGE),
        reason: notice.reason.clone(),
        metadata: notice.metadata.clone(),
        reporting_controller: destination.controller.clone(),
        reporting_instance: destination.instance.clone(),
    }
}

/// Tries of one post, and the pause before the first repetition.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

async fn post_all(
    address: String,
    destination: Destination,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    mut inbox: mpsc::Receiver<Notice>,
) {
    let client = match reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .http1_title_case_headers()
        .build()
    {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(error = error.to_string(), "events are not posted");
            return;
        }
    };
    while let Some(notice) = next(&mut inbox, &stop).await {
        let body = body(&destination, &notice, Timestamp::now());
        let Ok(body) = serde_json::to_string(&body) else {
            continue;
        };
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            let sent = client
                .post(&address)
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(body.clone())
                .send()
                .await;
            let retry = match &sent {
                Ok(answer) => answer.status().is_server_error(),
                Err(_) => true,
            };
            if !retry {
                break;
            }
            if attempt == TRIES || stop.is_cancelled() {
                metrics.count_event("failed");
                let error = match sent {
                    Ok(answer) => answer.status().to_string(),
                    Err(error) => error.without_url().to_string(),
                };
                tracing::error!(error, "unable to record event");
                break;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(30));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(message: &str) -> Notice {
        Notice {
            object: InvolvedObject {
                kind: "Kustomization".into(),
                namespace: "apps".into(),
                name: "app".into(),
                ..InvolvedObject::default()
            },
            severity: Severity::Error,
            reason: "BuildFailed".into(),
            message: message.into(),
            metadata: BTreeMap::from([("r".to_owned(), "1".to_owned())]),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("valid")
    }

    #[test]
    fn a_repeated_event_is_counted_on_the_first() {
        let mut correlator = Correlator::default();
        let Place::Create { name } = correlator.place(&notice("x"), at(0)) else {
            panic!("the first is created");
        };
        assert_eq!(
            correlator.place(&notice("x"), at(1)),
            Place::Count { name, count: 2 }
        );
        assert!(matches!(
            correlator.place(&notice("y"), at(2)),
            Place::Create { .. }
        ));
        // What is said of another revision is another event.
        let mut other = notice("x");
        other.metadata = BTreeMap::from([("r".to_owned(), "2".to_owned())]);
        assert!(matches!(
            correlator.place(&other, at(3)),
            Place::Create { .. }
        ));
    }

    #[test]
    fn a_flood_about_one_object_is_limited() {
        let mut correlator = Correlator::default();
        let places: Vec<_> = (0..30)
            .map(|n| correlator.place(&notice(&n.to_string()), at(0)))
            .collect();
        assert!(places[..25].iter().all(|p| *p != Place::Drop));
        assert!(places[25..].iter().all(|p| *p == Place::Drop));
        assert_ne!(correlator.place(&notice("later"), at(301)), Place::Drop);
    }

    #[test]
    fn the_post_has_the_fields_of_flux() {
        let destination = Destination {
            controller: "kustomize-controller".into(),
            instance: "host".into(),
            post_to: None,
        };
        assert_eq!(
            serde_json::to_value(body(&destination, &notice("x"), at(0))).expect("serializes"),
            serde_json::json!({
                "involvedObject": {"kind": "Kustomization", "name": "app", "namespace": "apps"},
                "severity": "error",
                "timestamp": "2023-11-14T22:13:20Z",
                "message": "x",
                "reason": "BuildFailed",
                "metadata": {"r": "1"},
                "reportingController": "kustomize-controller",
                "reportingInstance": "host",
            })
        );
    }

    #[test]
    fn an_object_s_event_annotations_are_copied() {
        let annotations = BTreeMap::from([
            ("event.toolkit.fluxcd.io/team".to_owned(), "a".to_owned()),
            ("other".to_owned(), "b".to_owned()),
        ]);
        let metadata = with_own_annotations(BTreeMap::new(), Some(&annotations));
        assert_eq!(metadata.len(), 1);
    }
}
