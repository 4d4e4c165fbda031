//! `sluice create`: makes or replaces an object from options.
//!
//! An object that is there already gets a new specification and new labels; its
//! annotations stay. `--export` prints what would be made, without a cluster.

mod git;
mod kustomization;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use kube::api::PostParams;
use serde::Serialize;
use serde_json::{Value, json};
use sluice_api::duration::{DurationText, GoDuration};
use sluice_api::key;

use crate::error::{Failure, Outcome};
use crate::object::Object;
use crate::resources::Resource;
use crate::session::Session;
use crate::wait::{self, Quotes, Until};

/// `sluice create`.
#[derive(Args, Debug)]
pub struct Create {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    kind: Kind,
}

/// The options of all kinds.
#[derive(Args, Debug)]
struct Common {
    /// How often to reconcile
    #[arg(long, global = true, default_value = "1m0s", value_parser = go_duration)]
    interval: GoDuration,
    /// Print the object instead of applying it
    #[arg(long, global = true)]
    export: bool,
    /// Labels of the object
    #[arg(long, global = true, value_delimiter = ',', value_name = "KEY=VALUE")]
    label: Vec<String>,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// Make a source
    #[command(subcommand, arg_required_else_help = true)]
    Source(Source),
    /// Make a Kustomization
    #[command(visible_alias = "ks")]
    Kustomization(Box<kustomization::KustomizationArgs>),
}

#[derive(Subcommand, Debug)]
enum Source {
    /// Make a GitRepository
    Git(Box<git::GitArgs>),
}

impl Create {
    /// Makes the object and waits until it is ready, or prints it.
    pub async fn run(&self, session: &mut Session) -> Outcome {
        match &self.kind {
            Kind::Source(Source::Git(args)) => git::run(args, &self.common, session).await,
            Kind::Kustomization(args) => kustomization::run(args, &self.common, session).await,
        }
    }
}

fn go_duration(text: &str) -> Result<GoDuration, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// What an object that is made has and says.
struct Draft<'a> {
    resource: &'a Resource,
    name: &'a str,
    spec: Value,
    /// What the object is called in the lines of progress.
    title: &'a str,
    /// What is said when the object is ready.
    ready: String,
    /// What of the object is said then.
    outcome: fn(&Object) -> String,
}

/// The name, if there is one and it is a label of at least two characters.
fn valid_name(name: Option<&str>) -> Outcome<&str> {
    let name = name.ok_or_else(|| Failure::new("name is required"))?;
    if name.len() < 2 || !crate::session::is_label(name) {
        return Err(Failure::new(format!(
            "name '{name}' is invalid, it should adhere to standard defined in RFC 1123, \
             the name can only contain alphanumeric characters or '-'"
        )));
    }
    Ok(name)
}

fn labels(common: &Common) -> Outcome<BTreeMap<String, String>> {
    common
        .label
        .iter()
        .map(|label| match label.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Failure::new(format!(
                "invalid label format '{label}', must be key=value"
            ))),
        })
        .collect()
}

fn to_value(spec: &impl Serialize) -> Outcome<Value> {
    serde_json::to_value(spec).map_err(|error| Failure::new(error.to_string()))
}

fn duration_text(duration: Option<GoDuration>) -> Option<DurationText> {
    duration
        .filter(|duration| *duration != GoDuration::default())
        .map(DurationText::from)
}

/// Prints the object, or applies it and waits until it is ready.
async fn finish(session: &mut Session, draft: Draft<'_>, common: &Common) -> Outcome {
    let Draft {
        resource,
        name,
        title,
        ..
    } = draft;
    let namespace = session.namespace.clone();
    let mut object = json!({
        "apiVersion": resource.kind.api_version(),
        "kind": resource.kind.kind,
        "metadata": { "name": name, "namespace": namespace },
        "spec": draft.spec,
    });
    let labels = labels(common)?;
    if !labels.is_empty() {
        object["metadata"]["labels"] = json!(labels);
    }
    let yaml = sluice_yaml::to_string(&object)?;
    if common.export {
        return Ok(session.terminal.print(&format!("---\n{yaml}"))?);
    }
    session.terminal.generating(&format!("generating {title}"));
    if session.verbose {
        session.terminal.print(&yaml)?;
    }
    session.terminal.action(&format!("applying {title}"));
    let api = session.api(resource, &namespace).await?;
    let params = PostParams {
        field_manager: Some(key::CLI_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let parse = |value| -> Outcome<Object> {
        serde_json::from_value(value).map_err(|error| Failure::new(error.to_string()))
    };
    match session.find(resource, &namespace, name).await? {
        Some(mut live) => {
            live.metadata.labels = Some(labels).filter(|labels| !labels.is_empty());
            live.data["spec"] = object["spec"].take();
            api.replace(name, &params, &live).await?;
            session.terminal.success(&format!("{title} updated"));
        }
        None => {
            api.create(&params, &parse(object)?).await?;
            session.terminal.success(&format!("{title} created"));
        }
    }
    session
        .terminal
        .waiting(&format!("waiting for {title} reconciliation"));
    let after = wait::settled(&api, resource, name, Until::Current, session.deadline).await?;
    wait::verdict(resource, &after, Quotes::None)?;
    session.terminal.success(&draft.ready);
    session.terminal.success(&(draft.outcome)(&after));
    Ok(())
}
