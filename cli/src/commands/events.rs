//! `sluice events`: what happened to the toolkit's objects.

use clap::Args;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams, WatchParams};
use tokio::time::timeout_at;

use crate::age;
use crate::error::{Failure, Outcome};
use crate::object::{self, Object};
use crate::resources::{self, Resource};
use crate::session::Session;
use crate::table::{self, Heading};
use crate::watch::{self, Change};

/// `sluice events`.
#[derive(Args, Debug)]
pub struct Events {
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Print new events until the timeout
    #[arg(short, long)]
    watch: bool,
    /// Events of these objects and of what they refer to
    #[arg(long = "for", value_name = "KIND[/NAME]")]
    subject: Option<String>,
    /// Events of these types only: Normal, Warning
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
}

/// Objects whose events are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    kind: String,
    /// All objects of the kind if empty.
    name: String,
    /// The namespace that was chosen if empty.
    namespace: String,
}

impl Events {
    /// Whether the command ends at the timeout and not before.
    pub fn is_stream(&self) -> bool {
        self.watch
    }

    /// Lists or watches.
    pub async fn run(&self, session: &mut Session) -> Outcome {
        for type_ in &self.types {
            if !["normal", "warning"].contains(&type_.to_lowercase().as_str()) {
                return Err(Failure::new("valid --types are Normal or Warning"));
            }
        }
        let subjects = self.subjects(session).await?;
        let elsewhere = subjects
            .iter()
            .any(|subject| !subject.namespace.is_empty() && subject.namespace != session.namespace);
        let wide = self.all_namespaces || elsewhere;
        if self.watch {
            return self.follow(session, &subjects, wide).await;
        }
        let mut events = Vec::new();
        for (api, fields) in self.queries(session, &subjects).await? {
            let params = ListParams {
                field_selector: fields,
                ..ListParams::default()
            };
            events.extend(api.list(&params).await?.items);
        }
        events.retain(|event| self.wants(event));
        if events.is_empty() {
            let text = match self.all_namespaces {
                true => "No events found.".to_owned(),
                false => format!("No events found in {} namespace.", session.namespace),
            };
            session.terminal.failure(&text);
            return Ok(());
        }
        events.sort_by_key(last_seen);
        let now = Timestamp::now();
        Ok(session
            .terminal
            .print(&render(&events, wide, Heading::Shown, now))?)
    }

    /// What `--for` names, and what that refers to.
    async fn subjects(&self, session: &mut Session) -> Outcome<Vec<Subject>> {
        let Some(text) = &self.subject else {
            return Ok(Vec::new());
        };
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        let resource = resources::by_kind(kind)
            .ok_or_else(|| Failure::new(format!("'{kind}' is not a recognized Flux kind")))?;
        let mut subjects = vec![Subject {
            kind: resource.kind.kind.to_owned(),
            name: name.to_owned(),
            namespace: String::new(),
        }];
        if !name.is_empty() && !self.all_namespaces {
            let namespace = session.namespace.clone();
            let api = session.api(resource, &namespace).await?;
            subjects.extend(referred(resource, &api.get(name).await?));
        }
        Ok(subjects)
    }

    /// The lists that hold the events.
    async fn queries(
        &self,
        session: &mut Session,
        subjects: &[Subject],
    ) -> Outcome<Vec<(Api<Event>, Option<String>)>> {
        let client = session.client().await?;
        let api = |namespace: &str| -> Api<Event> {
            match (self.all_namespaces, namespace) {
                (true, _) => Api::all(client.clone()),
                (false, "") => Api::namespaced(client.clone(), &session.namespace),
                (false, other) => Api::namespaced(client.clone(), other),
            }
        };
        if subjects.is_empty() {
            return Ok(vec![(api(""), None)]);
        }
        Ok(subjects
            .iter()
            .map(|subject| {
                let mut fields = format!("involvedObject.kind={}", subject.kind);
                if !subject.name.is_empty() {
                    fields.push_str(&format!(",involvedObject.name={}", subject.name));
                }
                (api(&subject.namespace), Some(fields))
            })
            .collect())
    }

    /// Whether an event is of one of the toolkit's kinds and of a wanted type.
    fn wants(&self, event: &Event) -> bool {
        let involved = &event.involved_object;
        let group = involved
            .api_version
            .as_deref()
            .and_then(|version| version.split_once('/'))
            .map_or("", |(group, _)| group);
        let kind = involved.kind.as_deref().unwrap_or_default();
        let type_ = event.type_.as_deref().unwrap_or_default();
        sluice_api::kinds::find(group, kind).is_some()
            && (self.types.is_empty() || self.types.iter().any(|t| t.eq_ignore_ascii_case(type_)))
    }

    async fn follow(&self, session: &mut Session, subjects: &[Subject], wide: bool) -> Outcome {
        let mut watches = Vec::new();
        for (api, fields) in self.queries(session, subjects).await? {
            let params = WatchParams {
                field_selector: fields,
                ..WatchParams::default()
            };
            watches.push(Box::pin(watch::changes(api, params)));
        }
        let mut changes = futures::stream::select_all(watches);
        let mut heading = Heading::Shown;
        while let Ok(Some(change)) = timeout_at(session.deadline, changes.next()).await {
            let Change::Present(event) = change? else {
                continue;
            };
            if self.wants(&event) {
                let now = Timestamp::now();
                let row = render(std::slice::from_ref(&event), wide, heading, now);
                session.terminal.print(&row)?;
                heading = Heading::Hidden;
            }
        }
        Ok(())
    }
}

/// What an object refers to.
fn referred(resource: &Resource, object: &Object) -> Vec<Subject> {
    let at = |pointer: &str, kind: &str| {
        let part = |name: &str| object::text(object, &format!("{pointer}/{name}")).to_owned();
        let kind = match part("kind") {
            own if own.is_empty() => kind.to_owned(),
            own => own,
        };
        Some(Subject {
            kind,
            name: part("name"),
            namespace: part("namespace"),
        })
        .filter(|subject| !subject.name.is_empty())
    };
    let chart = || Subject {
        kind: "HelmChart".to_owned(),
        name: format!("{}-{}", object::namespace(object), object::name(object)),
        namespace: object::text(object, "/spec/chart/spec/sourceRef/namespace").to_owned(),
    };
    let found = match resource.kind.kind {
        "Kustomization" | "HelmChart" => vec![at("/spec/sourceRef", "")],
        "HelmRelease" if object.data.pointer("/spec/chartRef").is_some() => {
            vec![at("/spec/chartRef", "")]
        }
        "HelmRelease" => vec![at("/spec/chart/spec/sourceRef", ""), Some(chart())],
        "Alert" => vec![at("/spec/providerRef", "Provider")],
        "ImagePolicy" => vec![at("/spec/imageRepositoryRef", "ImageRepository")],
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

/// When an event was last seen: by its series, its last time, or its time.
fn last_seen(event: &Event) -> Timestamp {
    let series = event.series.as_ref();
    series
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0)
        .or(event.last_timestamp.as_ref().map(|time| time.0))
        .or(event.event_time.as_ref().map(|time| time.0))
        .unwrap_or_default()
}

fn first_seen(event: &Event) -> Timestamp {
    event
        .first_timestamp
        .as_ref()
        .map(|time| time.0)
        .or(event.event_time.as_ref().map(|time| time.0))
        .unwrap_or_default()
}

/// How long ago, with the number of times and since when if it was seen more
/// than once.
fn occurrences(event: &Event, now: Timestamp) -> String {
    let since = |time: Timestamp| {
        if time == Timestamp::default() {
            return "<unknown>".to_owned();
        }
        age::human(now.as_second() - time.as_second())
    };
    let series = event.series.as_ref().and_then(|series| series.count);
    let count = series.or(event.count.filter(|count| *count > 1));
    match count {
        Some(count) => format!(
            "{} (x{count} over {})",
            since(last_seen(event)),
            since(first_seen(event))
        ),
        None => since(first_seen(event)),
    }
}

fn render(events: &[Event], wide: bool, heading: Heading, now: Timestamp) -> String {
    let mut headings = vec!["Last seen", "Type", "Reason", "Object", "Message"];
    if wide {
        headings.insert(0, "Namespace");
    }
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            let involved = &event.involved_object;
            let mut row = vec![
                occurrences(event, now),
                text(&event.type_),
                text(&event.reason),
                format!("{}/{}", text(&involved.kind), text(&involved.name)),
                text(&event.message).trim().to_owned(),
            ];
            if wide {
                row.insert(0, text(&involved.namespace));
            }
            row
        })
        .collect();
    table::render(&headings, &rows, heading)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(value: serde_json::Value) -> Event {
        let mut event = json!({ "metadata": {}, "involvedObject": {
            "kind": "Kustomization", "name": "apps", "namespace": "flux-system",
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        } });
        event
            .as_object_mut()
            .unwrap()
            .extend(value.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn repeated_events_say_how_often_and_since_when() {
        let events = [
            event(json!({
                "type": "Normal", "reason": "Progressing", "message": "done\n",
                "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:00:00Z", "count": 1,
            })),
            event(json!({
                "type": "Warning", "reason": "BuildFailed", "message": "no",
                "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:08:00Z", "count": 5,
            })),
            event(json!({
                "type": "Normal", "reason": "Series", "message": "again",
                "eventTime": "2026-01-01T00:05:00.000000Z",
                "series": { "count": 3, "lastObservedTime": "2026-01-01T00:09:00.000000Z" },
            })),
        ];
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        insta::assert_snapshot!(table::visible(&render(&events, true, Heading::Shown, now)), @r#"
        NAMESPACE  |LAST SEEN       |TYPE   |REASON     |OBJECT            |MESSAGE$
        flux-system|10m             |Normal |Progressing|Kustomization/apps|done   |$
        flux-system|2m (x5 over 10m)|Warning|BuildFailed|Kustomization/apps|no     |$
        flux-system|60s (x3 over 5m)|Normal |Series     |Kustomization/apps|again  |$
        "#);
    }

    #[test]
    fn only_events_of_the_kinds_of_the_toolkit_are_wanted() {
        let all = Events {
            all_namespaces: false,
            watch: false,
            subject: None,
            types: vec![],
        };
        let warnings = Events {
            types: vec!["warning".to_owned()],
            ..all
        };
        let ours = event(json!({ "type": "Normal" }));
        let pod = event(json!({ "type": "Warning", "involvedObject": {
            "kind": "Pod", "apiVersion": "v1", "name": "a",
        } }));
        assert!(!warnings.wants(&ours));
        assert!(warnings.wants(&event(json!({ "type": "Warning" }))));
        assert!(!warnings.wants(&pod));
    }
}
