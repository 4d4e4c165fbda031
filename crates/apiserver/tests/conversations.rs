//! Plays the conversations in `tests/conversations/` against the embedded server.
//!
//! They were recorded on a real kube-apiserver 1.36 with its controllers: where an answer differs, ours is wrong. To
//! record them again, or to check them on a real server:
//!
//! ```text
//! CONVERSATIONS_RECORD=KUBECONFIG cargo test -p sluice-apiserver --test conversations
//! CONVERSATIONS_CHECK=KUBECONFIG cargo test -p sluice-apiserver --test conversations
//! ```
//!
//! A conversation is a text of steps. A step is `=== METHOD PATH`, then headers, directives and a body (JSON), then
//! `--- CODE` and the answer: its JSON with what differs from run to run replaced. Directives:
//!
//! - `Show: a.b, c` shows only these paths of the answer; `Hide: a.b` leaves these out.
//! - `Until: a.b=value` repeats a GET until the path has that value; `Until: 404` until the code is that one.
//! - `Events: N` reads N events of a watch.
//! - `$name = a.b` keeps a value of the answer for later steps, where `{name}` stands for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Map, Value, json};
use sluice_apiserver::Server;

/// How long a step may wait for its condition.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default, Clone)]
struct Step {
    /// Comments and blank lines before the step.
    lead: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    show: Vec<String>,
    hide: Vec<String>,
    until: Option<String>,
    events: Option<usize>,
    keep: Vec<(String, String)>,
    /// Everything between the first line and the answer, as written.
    written: String,
    body: String,
    /// `--- CODE` and the answer, as written.
    answer: String,
}

fn parse(text: &str) -> (Vec<Step>, String) {
    let mut steps: Vec<Step> = Vec::new();
    let mut lead = String::new();
    let mut part = 0;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("=== ") {
            let (method, path) = rest.split_once(' ').expect("a method and a path");
            steps.push(Step {
                lead: std::mem::take(&mut lead),
                method: method.into(),
                path: path.into(),
                ..Step::default()
            });
            part = 1;
            continue;
        }
        let commented = line.starts_with('#') || line.is_empty();
        match (steps.last_mut(), part) {
            (None, _) => lead.push_str(&format!("{line}\n")),
            (Some(step), 2) if !commented => step.answer.push_str(&format!("{line}\n")),
            (Some(_), 2) => lead.push_str(&format!("{line}\n")),
            (Some(step), _) if line.starts_with("--- ") => {
                step.answer.push_str(&format!("{line}\n"));
                part = 2;
            }
            (Some(step), _) => {
                step.written.push_str(&format!("{line}\n"));
                if !step.body.is_empty() || line.starts_with(['{', '[', ' ', '-', '"']) {
                    step.body.push_str(&format!("{line}\n"));
                } else if let Some(rest) = line.strip_prefix('$') {
                    let (name, path) = rest.split_once('=').expect("a name and a path");
                    step.keep.push((name.trim().into(), path.trim().into()));
                } else if let Some((name, value)) = line.split_once(':') {
                    let value = value.trim().to_owned();
                    let list = || {
                        value
                            .split(',')
                            .map(|path| path.trim().to_owned())
                            .collect()
                    };
                    match name {
                        "Show" => step.show = list(),
                        "Hide" => step.hide = list(),
                        "Until" => step.until = Some(value),
                        "Events" => step.events = Some(value.parse().expect("a number")),
                        _ => step.headers.push((name.into(), value)),
                    }
                }
            }
        }
    }
    (steps, lead)
}

/// Follows `a.b.0.c`; `\.` is a dot inside a name.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    let path = path.replace("\\.", "\u{1}");
    path.split('.').fold(value, |value, part| {
        let part = part.replace('\u{1}', ".");
        match value {
            Value::Array(list) => part
                .parse()
                .ok()
                .and_then(|at: usize| list.get(at))
                .unwrap_or(&Value::Null),
            other => &other[part.as_str()],
        }
    })
}

fn remove(value: &mut Value, path: &str) {
    let path = path.replace("\\.", "\u{1}");
    let (first, rest) = path
        .split_once('.')
        .map_or((path.as_str(), None), |(a, b)| (a, Some(b)));
    let name = first.replace('\u{1}', ".");
    match (value, rest) {
        (Value::Array(list), _) if name == "*" => {
            list.iter_mut()
                .for_each(|item| rest.into_iter().for_each(|rest| remove(item, rest)));
        }
        (Value::Object(map), None) => {
            map.remove(&name);
        }
        (Value::Object(map), Some(rest)) => {
            map.get_mut(&name)
                .into_iter()
                .for_each(|value| remove(value, rest));
        }
        _ => {}
    }
}

/// Whether a text is a time of the API.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[bytes.len() - 1] == b'Z'
        && text[..4].parse::<u16>().is_ok()
}

fn is_uid(text: &str) -> bool {
    text.len() == 36
        && text.matches('-').count() == 4
        && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Replaces what differs from run to run.
fn normalise(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, member) in map.iter_mut() {
                match (key.as_str(), &member) {
                    ("resourceVersion" | "continue" | "token", Value::String(text))
                        if !text.is_empty() =>
                    {
                        *member = key.to_uppercase().into();
                    }
                    ("remainingItemCount", Value::Number(_)) => {}
                    _ => normalise(member, names),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| normalise(item, names)),
        Value::String(text) => *text = normal_text(text, names),
        _ => {}
    }
}

/// Replaces uids, times and generated suffixes inside a text.
fn normal_text(text: &str, names: &BTreeMap<String, String>) -> String {
    if is_time(text) {
        return "TIME".into();
    }
    let mut out = text.to_owned();
    for (kept, name) in names {
        out = out.replace(kept.as_str(), name);
    }
    let mut result = String::new();
    let mut word = String::new();
    for c in out.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || c == '-' {
            word.push(c);
            continue;
        }
        if is_uid(&word) {
            result.push_str("UID");
        } else {
            result.push_str(&word);
        }
        word.clear();
        if c != '\0' {
            result.push(c);
        }
    }
    result
}

struct Player {
    client: Client,
    /// Name of a kept value -> the value.
    kept: BTreeMap<String, String>,
}

impl Player {
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.kept {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    async fn send(&self, step: &Step) -> (u16, Value, Vec<String>) {
        let mut request = http::Request::builder()
            .method(step.method.as_str())
            .uri(self.fill(&step.path));
        if !step
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("user-agent"))
        {
            request = request.header("User-Agent", "conversation/1");
        }
        for (name, value) in &step.headers {
            request = request.header(name, self.fill(value));
        }
        let request = request
            .body(self.fill(&step.body).into_bytes().into())
            .expect("a request");
        let response = self.client.send(request).await.expect("an answer");
        let code = response.status().as_u16();
        let warnings = response
            .headers()
            .get_all("warning")
            .iter()
            .map(|value| value.to_str().unwrap_or_default().to_owned())
            .collect();
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let complete = bytes.iter().filter(|byte| **byte == b'\n').count();
            if step.events.is_some_and(|events| complete >= events) {
                break;
            }
            let frame = tokio::time::timeout_at(deadline.into(), body.frame()).await;
            match frame {
                Ok(Some(Ok(frame))) => bytes.extend(frame.into_data().unwrap_or_default()),
                _ => break,
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let value = match step.events {
            Some(events) => text
                .lines()
                .take(events)
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .collect(),
            None => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        };
        (code, value, warnings)
    }

    async fn play(&mut self, step: &Step) -> String {
        let deadline = Instant::now() + PATIENCE;
        let (code, mut value, warnings) = loop {
            let (code, value, warnings) = self.send(step).await;
            let met = match step.until.as_deref() {
                None => true,
                Some(until) => match until.split_once('=') {
                    Some((path, wanted)) => match at(&value, path) {
                        Value::String(text) => text == wanted,
                        Value::Number(number) => number.as_i64() == wanted.parse().ok(),
                        other => *other == wanted,
                    },
                    None => code.to_string() == until,
                },
            };
            if met || Instant::now() > deadline {
                break (code, value, warnings);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        for (name, path) in &step.keep {
            let found = match at(&value, path) {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            self.kept.insert(name.clone(), found);
        }
        let names: BTreeMap<String, String> = self
            .kept
            .iter()
            .filter(|(_, value)| value.len() > 4)
            .map(|(name, value)| (value.clone(), format!("{{{name}}}")))
            .collect();
        normalise(&mut value, &names);
        for path in &step.hide {
            remove(&mut value, path);
        }
        if !step.show.is_empty() {
            let shown: Map<String, Value> = step
                .show
                .iter()
                .map(|path| (path.clone(), at(&value, path).clone()))
                .collect();
            value = Value::Object(shown);
        }
        let mut out = format!("--- {code}\n");
        for warning in warnings {
            out.push_str(&format!("Warning: {warning}\n"));
        }
        match &value {
            Value::Array(events) if step.events.is_some() => {
                events
                    .iter()
                    .for_each(|event| out.push_str(&format!("{}\n", compact(event))));
            }
            Value::String(text) if text.trim().is_empty() => {}
            Value::String(text) => out.push_str(&format!("{}\n", text.trim_end())),
            value => out.push_str(&format!("{}\n", compact(value))),
        }
        out
    }
}

/// JSON with a line for each member down to the second level.
fn compact(value: &Value) -> String {
    fn write(value: &Value, depth: usize, out: &mut String) {
        let pad = "  ".repeat(depth + 1);
        match value {
            Value::Object(map) if !map.is_empty() && value.to_string().len() > 100 => {
                out.push_str("{\n");
                for (at, (key, member)) in map.iter().enumerate() {
                    out.push_str(&format!("{pad}{}: ", json!(key)));
                    write(member, depth + 1, out);
                    out.push_str(if at + 1 < map.len() { ",\n" } else { "\n" });
                }
                out.push_str(&format!("{}}}", "  ".repeat(depth)));
            }
            Value::Array(list) if !list.is_empty() && value.to_string().len() > 100 => {
                out.push_str("[\n");
                for (at, item) in list.iter().enumerate() {
                    out.push_str(&pad);
                    write(item, depth + 1, out);
                    out.push_str(if at + 1 < list.len() { ",\n" } else { "\n" });
                }
                out.push_str(&format!("{}]", "  ".repeat(depth)));
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

async fn client(kubeconfig: Kubeconfig) -> Client {
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options);
    Client::try_from(config.await.expect("a kubeconfig")).expect("a client")
}

/// Plays one file; gives it with the answers of this run.
async fn play(client: Client, text: &str) -> String {
    let (steps, end) = parse(text);
    let mut player = Player {
        client,
        kept: BTreeMap::new(),
    };
    let mut out = String::new();
    for step in &steps {
        let answer = player.play(step).await;
        out.push_str(&format!(
            "{}=== {} {}\n{}{answer}",
            step.lead, step.method, step.path, step.written
        ));
    }
    out + &end
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let entries = std::fs::read_dir(folder).expect("the folder of conversations");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    if let Ok(only) = std::env::var("CONVERSATIONS_ONLY") {
        files.retain(|path| path.to_string_lossy().contains(&only));
    }
    files.sort();
    files
}

/// The steps whose answers differ, with the lines that do.
fn difference(expected: &str, found: &str) -> String {
    let mut out = String::new();
    let ((expected, _), (found, _)) = (parse(expected), parse(found));
    for (left, right) in expected
        .iter()
        .zip(&found)
        .filter(|(left, right)| left.answer != right.answer)
    {
        out.push_str(&format!("  === {} {}\n", left.method, left.path));
        let (a, b): (Vec<&str>, Vec<&str>) = (
            left.answer.lines().collect(),
            right.answer.lines().collect(),
        );
        let only = |mine: &[&str], other: &[&str], sign: char| -> String {
            let lines = mine.iter().filter(|line| !other.contains(line));
            lines.map(|line| format!("    {sign} {line}\n")).collect()
        };
        let shown = only(&a, &b, '-') + &only(&b, &a, '+');
        // The same lines in another order, or more often.
        out.push_str(&if shown.is_empty() {
            format!("{}\n  not\n{}", right.answer, left.answer)
        } else {
            shown
        });
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conversation_goes_as_with_the_real_server() {
    let record = std::env::var("CONVERSATIONS_RECORD").ok();
    let real = record
        .clone()
        .or_else(|| std::env::var("CONVERSATIONS_CHECK").ok());
    let mut failures = String::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a conversation");
        let found = match &real {
            Some(kubeconfig) => {
                let kubeconfig =
                    Kubeconfig::read_from(kubeconfig).expect("the kubeconfig of a real server");
                play(client(kubeconfig).await, &text).await
            }
            None => {
                let server = Server::start(sluice_apiserver::Config::default())
                    .await
                    .expect("a server");
                let kubeconfig =
                    Kubeconfig::from_yaml(&server.kubeconfig()).expect("its kubeconfig");
                let found = play(client(kubeconfig).await, &text).await;
                server.shutdown().await;
                found
            }
        };
        if record.is_some() {
            std::fs::write(&path, &found).expect("the conversation can be written");
        } else if found != text {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            failures.push_str(&format!("{name}:\n{}", difference(&text, &found)));
        }
    }
    assert!(
        failures.is_empty(),
        "answers differ from those of the real server (-):\n{failures}"
    );
}
