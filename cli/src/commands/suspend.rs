//! `sluice suspend`: makes controllers leave objects alone.

use std::collections::BTreeSet;

use clap::Args;
use kube::api::ListParams;
use serde_json::json;

use crate::error::{Failure, Outcome};
use crate::object;
use crate::per_kind::{PerKind, VerbArgs};
use crate::resources::{Resource, Verb};
use crate::session::Session;

/// The options of `suspend`.
#[derive(Args, Debug)]
pub struct SuspendArgs {
    /// Names of the objects
    names: Vec<String>,
    /// All objects of the namespace
    #[arg(long)]
    all: bool,
}

impl VerbArgs for SuspendArgs {
    const VERB: Verb = Verb::Suspend;

    fn about(resource: &Resource) -> String {
        format!(
            "Make the controller leave {} objects alone",
            resource.kind.kind
        )
    }
}

/// Suspends the objects; a name that is not there is told and passed over.
pub async fn run(command: &PerKind<SuspendArgs>, session: &mut Session) -> Outcome {
    let PerKind { resource, args } = command;
    let names = names(session, resource, &args.names, args.all).await?;
    if names.is_empty() {
        return Err(Failure::new("no objects found"));
    }
    let namespace = session.namespace.clone();
    for name in names {
        if session.find(resource, &namespace, &name).await?.is_none() {
            session.terminal.failure(&format!(
                "{} {name} not found in {namespace} namespace",
                resource.kind.kind
            ));
            continue;
        }
        session.terminal.action(&format!(
            "suspending {} {name} in {namespace} namespace",
            resource.human
        ));
        let patch = json!({ "spec": { "suspend": true } });
        session.patch(resource, &namespace, &name, &patch).await?;
        session
            .terminal
            .success(&format!("{} suspended", resource.human));
    }
    Ok(())
}

/// The objects that a command is about: those named, each once, or all.
///
/// # Errors
///
/// Fails when there is neither a name nor `--all`.
pub(super) async fn names(
    session: &mut Session,
    resource: &Resource,
    names: &[String],
    all: bool,
) -> Outcome<Vec<String>> {
    if all {
        let namespace = session.namespace.clone();
        let list = session
            .api(resource, &namespace)
            .await?
            .list(&ListParams::default())
            .await?;
        return Ok(list.iter().map(|o| object::name(o).to_owned()).collect());
    }
    if names.is_empty() {
        return Err(Failure::new(format!("{} name is required", resource.human)));
    }
    let mut seen = BTreeSet::new();
    Ok(names
        .iter()
        .filter(|name| seen.insert(name.as_str()))
        .cloned()
        .collect())
}
