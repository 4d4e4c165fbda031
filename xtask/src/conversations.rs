//! `cargo xtask conversations`: has the conversations of `crates/schema/tests/conversations/` with a real
//! kube-apiserver and records its answers beside them.
//!
//! A conversation is a list of requests in YAML; a body can also be a `file` of the repository. Uids, times, resource versions and allocated addresses are replaced
//! by numbers in the order of their appearance, so that an engine without a server can be held to the same answers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

/// What to have and with whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kubeconfig of a kube-apiserver without controllers.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Folder of the conversations.
    #[arg(long, default_value = "crates/schema/tests/conversations")]
    folder: PathBuf,
    /// Only conversations whose name contains this text.
    #[arg(long)]
    only: Option<String>,
}

/// Has the conversations and records them.
///
/// # Errors
/// If a file or the server cannot be read, or a conversation cannot be had in a steady clock.
pub fn run(args: &Args) -> Result<()> {
    let server = Server::read(&args.kubeconfig)?;
    let mut files: Vec<PathBuf> = fs::read_dir(&args.folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    for path in files {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if args.only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let steps = sluice_yaml::from_str(&fs::read_to_string(&path)?)?;
        let answers = (0..5).find_map(|_| server.converse(steps.as_array()?, &path).transpose());
        let answers =
            answers.with_context(|| format!("{name}: the clock moved in every attempt"))??;
        let text: Vec<String> = answers.iter().map(Value::to_string).collect();
        fs::write(path.with_extension("jsonl"), text.join("\n") + "\n")?;
        println!("{name}: {} answers", answers.len());
    }
    Ok(())
}

struct Server {
    address: String,
    token: String,
}

/// What stands for what in one conversation.
#[derive(Default)]
struct Numbers {
    uids: Vec<String>,
    /// The seconds in which steps were taken.
    seconds: Vec<u64>,
    /// Whether the clock moved during a step.
    unsteady: bool,
    addresses: Vec<String>,
    ports: Vec<u64>,
    /// The latest resource version and uid by path.
    latest: BTreeMap<String, (String, String)>,
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Waits for the start of a second; returns it.
fn next_second() -> u64 {
    let rest = 1_000_000_000 - u64::from(now().subsec_nanos());
    // sleeps because: the clock is what is waited for
    std::thread::sleep(Duration::from_nanos(rest) + Duration::from_millis(5));
    now().as_secs()
}

impl Server {
    fn read(kubeconfig: &Path) -> Result<Self> {
        let text = fs::read_to_string(kubeconfig)?;
        let between = |start: &str, end: &[char]| {
            let rest = text.split_once(start)?.1;
            rest.split(end).next().map(str::to_owned)
        };
        Ok(Server {
            address: between("server: \"", &['"']).context("no server in the kubeconfig")?,
            token: between("token: ", &['}', '\n', ' ']).context("no token in the kubeconfig")?,
        })
    }

    /// One request: code, body, warnings.
    fn call(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: Option<&str>,
    ) -> Result<(u64, Value, Vec<String>)> {
        let mut command = Command::new("curl");
        command.args(["-sk", "-D", "-", "-X", method, "--max-time", "30"]);
        command.args([
            "-H",
            &format!("Authorization: Bearer {}", self.token),
            "-H",
            "Accept: application/json",
        ]);
        if body.is_some() {
            command.args([
                "-H",
                &format!("Content-Type: {content}"),
                "--data-binary",
                "@-",
            ]);
        }
        let mut child = command
            .arg(format!("{}{path}", self.address))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run curl")?;
        let mut input = child.stdin.take().context("no pipe")?;
        std::io::Write::write_all(&mut input, body.unwrap_or_default().as_bytes())?;
        drop(input);
        let output = String::from_utf8(child.wait_with_output()?.stdout)?;
        let (head, body) = output.split_once("\r\n\r\n").context("no answer")?;
        let code = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .context("no status line")?;
        let warnings = head
            .lines()
            .filter_map(|line| line.strip_prefix("warning: 299 - "));
        let warnings = warnings.map(|text| {
            let text = text.trim();
            let text = text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .unwrap_or(text);
            text.replace("\\\"", "\"").replace("\\\\", "\\")
        });
        let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        Ok((code, body, warnings.collect()))
    }

    /// None if the clock moved where it should not.
    fn converse(&self, steps: &[Value], path: &Path) -> Result<Option<Vec<Value>>> {
        let mut numbers = Numbers::default();
        let mut answers = Vec::new();
        let mut created: Vec<String> = Vec::new();
        for path in objects(steps).iter().rev() {
            if self.call("GET", path, "", None)?.0 == 200 {
                self.remove(path)?;
            }
        }
        next_second();
        for step in steps {
            if step["later"] == true {
                next_second();
            }
            let answer = self
                .step(step, &mut numbers, &mut created)
                .with_context(|| format!("{}", path.display()))?;
            answers.push(answer);
        }
        for path in created.iter().rev() {
            self.remove(path)?;
        }
        let mut steady = !numbers.unsteady;
        numbers.seconds.sort_unstable();
        numbers.seconds.dedup();
        let answers = answers
            .into_iter()
            .map(|answer| numbers.replace(answer, &mut steady))
            .collect();
        Ok(steady.then_some(answers))
    }

    /// Removes an object, with whatever holds it.
    fn remove(&self, path: &str) -> Result<()> {
        let content = "application/merge-patch+json";
        let free = || {
            self.call(
                "PATCH",
                path,
                content,
                Some(r#"{"metadata":{"finalizers":null}}"#),
            )
        };
        let address = format!("{path}?propagationPolicy=Background&gracePeriodSeconds=0");
        free()?;
        let (code, body, _) = self.call("DELETE", &address, content, None)?;
        ensure!(
            matches!(code, 200 | 202 | 404 | 409),
            "DELETE {path}: {body}"
        );
        free()?;
        // Without its controller a namespace never goes.
        let is_namespace =
            path.starts_with("/api/v1/namespaces/") && path.matches('/').count() == 4;
        let gone = is_namespace
            || (0..100).any(|_| {
                // sleeps because: a server that only answers questions is asked
                std::thread::sleep(Duration::from_millis(20));
                self.call("GET", path, content, None)
                    .is_ok_and(|(code, ..)| code == 404)
            });
        ensure!(gone, "{path} is still there");
        Ok(())
    }

    fn step(
        &self,
        step: &Value,
        numbers: &mut Numbers,
        created: &mut Vec<String>,
    ) -> Result<Value> {
        let methods = ["post", "put", "patch", "delete", "get"];
        let found = methods
            .iter()
            .find_map(|method| Some((*method, step.get(*method)?.as_str()?)));
        let (method, path) = found.with_context(|| format!("no method in {step}"))?;
        let content = match step["as"].as_str() {
            Some("merge") => "application/merge-patch+json",
            Some("strategic") => "application/strategic-merge-patch+json",
            Some("json") => "application/json-patch+json",
            Some("apply") => "application/apply-patch+yaml",
            Some(other) => bail!("unknown patch type {other}"),
            None => "application/json",
        };
        let plain = path.split('?').next().unwrap_or_default().to_owned();
        let file = step["file"].as_str().map(|path| {
            let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
            anyhow::Ok(sluice_yaml::from_str(&text)?.to_string())
        });
        let body = match (step.get("text"), step.get("body")) {
            _ if file.is_some() => file.transpose()?,
            (Some(text), _) => text.as_str().map(str::to_owned),
            (None, Some(body)) => Some(numbers.fill(&body.to_string(), &plain)),
            (None, None) => None,
        };
        let start = now().as_secs();
        let (code, body, warnings) =
            self.call(&method.to_uppercase(), path, content, body.as_deref())?;
        let second = numbers.second_of(&body, start, now().as_secs());
        if let Some(name) = body["metadata"]["name"].as_str() {
            let object = if method == "post" {
                format!("{plain}/{name}")
            } else {
                plain.clone()
            };
            let text = |key: &str| {
                body["metadata"][key]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let whole = object
                .trim_end_matches("/status")
                .trim_end_matches("/scale")
                .to_owned();
            numbers
                .latest
                .insert(whole, (text("resourceVersion"), text("uid")));
            if code == 201 && !path.contains("dryRun") && !created.contains(&object) {
                created.push(object);
            }
        }
        if let Some(path) = step["wait"].as_str() {
            let ready = (0..200).any(|_| {
                // sleeps because: a server that only answers questions is asked
                std::thread::sleep(Duration::from_millis(50));
                self.call("GET", path, content, None)
                    .is_ok_and(|(code, ..)| code == 200)
            });
            ensure!(ready, "{path} never came: {code} {body}");
        }
        let mut answer = json!({ "code": code, "body": body, "clock": second });
        if step["quiet"] == true {
            answer["body"] = Value::Null;
        }
        if !warnings.is_empty() {
            answer["warnings"] = warnings.into();
        }
        Ok(answer)
    }
}

/// The paths of the objects that a conversation makes.
fn objects(steps: &[Value]) -> Vec<String> {
    let path = |step: &Value| {
        let method = ["post", "put", "patch"]
            .into_iter()
            .find(|method| step[*method].is_string())?;
        let path = step[method].as_str()?.split('?').next()?.to_owned();
        let in_file = step["file"].as_str().and_then(|path| {
            let text = fs::read_to_string(path).ok()?;
            let value = sluice_yaml::from_str(&text).ok()?;
            value["metadata"]["name"].as_str().map(str::to_owned)
        });
        let name = step["body"]["metadata"]["name"].as_str().map(str::to_owned);
        match (method, name.or(in_file).as_deref()) {
            ("post", Some(name)) => Some(format!("{path}/{name}")),
            ("post", None) => None,
            _ => Some(
                path.trim_end_matches("/status")
                    .trim_end_matches("/scale")
                    .to_owned(),
            ),
        }
    };
    let mut paths: Vec<String> = Vec::new();
    for path in steps.iter().filter_map(path) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Every time of today in an answer.
fn recent_seconds(value: &Value, found: &mut Vec<u64>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| recent_seconds(value, found)),
        Value::Array(items) => items.iter().for_each(|value| recent_seconds(value, found)),
        Value::String(text) => found.extend(recent_second(text)),
        _ => {}
    }
}

impl Numbers {
    /// The second in which the server took a step: the one that its answer shows, or that of the request.
    fn second_of(&mut self, body: &Value, start: u64, end: u64) -> u64 {
        let mut shown = Vec::new();
        recent_seconds(body, &mut shown);
        shown.retain(|second| (start..=end).contains(second) && !self.seconds.contains(second));
        shown.sort_unstable();
        shown.dedup();
        self.unsteady |= shown.len() > 1;
        let second = shown.last().copied().unwrap_or(start);
        self.seconds.push(second);
        second
    }

    /// Puts the latest resource version and uid of the object in a request.
    fn fill(&self, body: &str, path: &str) -> String {
        let path = path.trim_end_matches("/status").trim_end_matches("/scale");
        match self.latest.get(path) {
            Some((version, uid)) => body.replace("$rv", version).replace("$uid", uid),
            None => body.to_owned(),
        }
    }

    fn replace(&mut self, value: Value, steady: &mut bool) -> Value {
        match value {
            Value::Object(map) => {
                let mut out = Map::new();
                // The uid first: messages may name it.
                if let Some(uid) = map.get("metadata").and_then(|meta| meta["uid"].as_str()) {
                    self.number_uid(uid);
                }
                for (key, value) in map {
                    match (key.as_str(), &value) {
                        ("resourceVersion", _) => {}
                        ("clock", Value::Number(second)) => {
                            let second = second.as_u64().unwrap_or(0);
                            let at = self
                                .seconds
                                .iter()
                                .position(|known| *known == second)
                                .unwrap_or(0);
                            out.insert(key, at.into());
                        }
                        ("nodePort" | "healthCheckNodePort", Value::Number(port)) => {
                            let port = port.as_u64().unwrap_or(0);
                            let at = self
                                .ports
                                .iter()
                                .position(|known| *known == port)
                                .unwrap_or_else(|| {
                                    self.ports.push(port);
                                    self.ports.len() - 1
                                });
                            out.insert(key, (30000 + at).into());
                        }
                        _ => {
                            let value = self.replace(value, steady);
                            out.insert(key, value);
                        }
                    }
                }
                Value::Object(out)
            }
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.replace(item, steady))
                .collect(),
            Value::String(text) => Value::String(self.replace_text(text, steady)),
            other => other,
        }
    }

    fn number_uid(&mut self, uid: &str) {
        if !self.uids.iter().any(|known| known == uid) {
            self.uids.push(uid.to_owned());
        }
    }

    fn replace_text(&mut self, mut text: String, steady: &mut bool) -> String {
        for (at, uid) in self.uids.iter().enumerate() {
            text = text.replace(uid.as_str(), &format!("00000000-0000-0000-0000-{at:012}"));
        }
        if let Some(second) = recent_second(&text) {
            match self.seconds.iter().position(|known| *known == second) {
                Some(at) => text = format!("2000-01-01T00:00:{at:02}Z"),
                None => *steady = false,
            }
        }
        if text.starts_with("10.0.0.") && text.parse::<std::net::Ipv4Addr>().is_ok() {
            let at = self
                .addresses
                .iter()
                .position(|known| *known == text)
                .unwrap_or_else(|| {
                    self.addresses.push(text.clone());
                    self.addresses.len() - 1
                });
            text = format!("10.0.0.{}", at + 1);
        }
        text
    }
}

/// The second of a time of today.
fn recent_second(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let fits = bytes.len() == 20 && bytes[10] == b'T' && bytes[19] == b'Z';
    let number = |range: std::ops::Range<usize>| {
        text.get(range)
            .and_then(|digits| digits.parse::<u64>().ok())
    };
    if !fits {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Days since 1970 of a date of the Gregorian calendar.
    let (y, m) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    let seconds = (days.checked_sub(719_468)?) * 86400 + hour * 3600 + minute * 60 + second;
    now()
        .as_secs()
        .abs_diff(seconds)
        .lt(&86400)
        .then_some(seconds)
}
