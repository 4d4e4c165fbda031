//! Logs as Flux's controllers write them: one JSON object a line on standard error, or console text.
//!
//! The keys `level`, `ts`, `msg`, `error`, `controller`, `controllerGroup`, `controllerKind`, `name`,
//! `namespace` and `reconcileID` are what `flux logs` filters on. Fields of the enclosing spans come
//! first, those of the event follow.

use std::fmt;
use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Encoding {
    /// One JSON object.
    Json,
    /// Time, level, message and the fields as JSON, separated by tabs.
    Console,
}

/// The least severe level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Verbosity {
    /// Everything.
    Trace,
    /// What helps to follow a decision.
    Debug,
    /// What happened.
    Info,
    /// What failed.
    Error,
}

impl Verbosity {
    /// The directive for our own crates; the libraries below speak from warnings on.
    fn filter(self) -> EnvFilter {
        let own = match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Error => "error",
        };
        let libraries = if self == Self::Trace {
            "debug"
        } else {
            "error"
        };
        let mut directives = libraries.to_owned();
        for target in [
            "sluice",
            "sluice_runtime",
            "sluice_artifact",
            "sluice_git",
            "sluice_apiserver",
            "source_controller",
            "kustomize_controller",
        ] {
            directives.push_str(&format!(",{target}={own}"));
        }
        EnvFilter::new(directives)
    }
}

/// Installs the global subscriber. A second call changes nothing.
pub fn install(encoding: Encoding, verbosity: Verbosity) {
    let _ = Registry::default()
        .with(Lines { encoding }.with_filter(verbosity.filter()))
        .try_init();
}

/// The layer that writes the lines.
struct Lines {
    encoding: Encoding,
}

/// Fields of a span, kept beside it.
struct SpanFields(Map<String, Value>);

/// Collects fields as JSON.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = match field.name() {
            "message" => "msg",
            other => other.trim_start_matches("r#"),
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        // A field named `*_json` carries a ready JSON value, for nested maps such as `output`.
        if let Some(name) = field.name().strip_suffix("_json")
            && let Ok(parsed) = serde_json::from_str(value)
        {
            self.0.insert(name.to_owned(), parsed);
            return;
        }
        self.put(field, Value::String(value.to_owned()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id) {
            let mut fields = Map::new();
            attributes.record(&mut Collect(&mut fields));
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut Collect(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Map::new();
        if let Some(scope) = cx.event_scope(event) {
            for span in scope.from_root() {
                if let Some(own) = span.extensions().get::<SpanFields>() {
                    fields.extend(own.0.clone());
                }
            }
        }
        event.record(&mut Collect(&mut fields));
        let now = jiff::Timestamp::now();
        let line = render(self.encoding, *event.metadata().level(), now, fields);
        // One write a line, so that lines of several tasks do not mix; a closed pipe ends nothing.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn render(
    encoding: Encoding,
    level: Level,
    now: jiff::Timestamp,
    mut fields: Map<String, Value>,
) -> String {
    let level = match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        // The controllers have no warnings: a line is information or it is an error.
        Level::WARN | Level::ERROR => "error",
    };
    let ts = now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let msg = fields.remove("msg").unwrap_or(Value::Null);
    match encoding {
        Encoding::Json => {
            let mut line = String::from("{");
            for (key, value) in [
                ("level", Value::from(level)),
                ("ts", Value::from(ts)),
                ("msg", msg),
            ] {
                line.push_str(&format!("\"{key}\":{value},"));
            }
            for (key, value) in fields {
                line.push_str(&format!("{}:{value},", Value::from(key)));
            }
            line.pop();
            line.push_str("}\n");
            line
        }
        Encoding::Console => {
            let msg = msg.as_str().unwrap_or_default().to_owned();
            format!(
                "{ts}\t{}\t{msg}\t{}\n",
                level.to_uppercase(),
                Value::Object(fields)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn a_json_line_starts_with_level_time_and_message() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05.678Z".parse().expect("valid");
        let line = render(
            Encoding::Json,
            Level::WARN,
            now,
            fields(serde_json::json!({"msg": "a \"b\"", "name": "app", "n": 1})),
        );
        assert_eq!(
            line,
            "{\"level\":\"error\",\"ts\":\"2026-01-02T03:04:05.678Z\",\"msg\":\"a \\\"b\\\"\",\"n\":1,\"name\":\"app\"}\n"
        );
    }

    #[test]
    fn a_console_line_separates_by_tabs() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().expect("valid");
        let line = render(
            Encoding::Console,
            Level::INFO,
            now,
            fields(serde_json::json!({"msg": "done", "name": "app"})),
        );
        assert_eq!(
            line,
            "2026-01-02T03:04:05.000Z\tINFO\tdone\t{\"name\":\"app\"}\n"
        );
    }
}
