//! `sluice resume`: makes controllers take care of objects again.

use clap::{ArgAction, Args};
use futures::future::join_all;
use serde_json::json;

use super::suspend;
use crate::error::{Failure, Outcome};
use crate::per_kind::{PerKind, VerbArgs};
use crate::resources::{Resource, Verb};
use crate::session::Session;
use crate::wait::{self, Quotes, Until};

/// The options of `resume`.
#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// Names of the objects
    names: Vec<String>,
    /// All objects of the namespace
    #[arg(long)]
    all: bool,
    /// Wait until the objects are reconciled; by default if there is one name
    #[arg(
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    wait: Option<bool>,
}

impl ResumeArgs {
    /// Whether to wait: what was said, else if there is exactly one name.
    fn waits(&self) -> bool {
        self.wait.unwrap_or(!self.all && self.names.len() == 1)
    }
}

impl VerbArgs for ResumeArgs {
    const VERB: Verb = Verb::Resume;

    fn about(resource: &Resource) -> String {
        format!(
            "Make the controller take care of {} objects again",
            resource.kind.kind
        )
    }
}

/// Resumes the objects; a name that is not there is told and passed over.
pub async fn run(command: &PerKind<ResumeArgs>, session: &mut Session) -> Outcome {
    let PerKind { resource, args } = command;
    let kind = resource.kind.kind;
    let namespace = session.namespace.clone();
    let names = suspend::names(session, resource, &args.names, args.all).await?;
    if names.is_empty() {
        session
            .terminal
            .failure(&format!("no {kind} objects found in {namespace} namespace"));
        return Ok(());
    }
    let mut resumed = Vec::new();
    for name in names {
        if session.find(resource, &namespace, &name).await?.is_none() {
            session.terminal.failure(&format!(
                "{kind} object '{name}' not found in {namespace} namespace"
            ));
            continue;
        }
        session.terminal.action(&format!(
            "resuming {} {name} in {namespace} namespace",
            resource.human
        ));
        let patch = json!({ "spec": { "suspend": false } });
        session.patch(resource, &namespace, &name, &patch).await?;
        session
            .terminal
            .success(&format!("{} resumed", resource.human));
        resumed.push(name);
    }
    if args.waits() && !resumed.is_empty() {
        resumed.sort();
        wait_for(session, resource, &namespace, &resumed).await?;
    }
    Ok(())
}

/// Waits for all of them at once and tells of each in turn.
async fn wait_for(
    session: &mut Session,
    resource: &Resource,
    namespace: &str,
    names: &[String],
) -> Outcome {
    let kind = resource.kind.kind;
    let api = session.api(resource, namespace).await?;
    for _ in names {
        session
            .terminal
            .waiting(&format!("waiting for {kind} reconciliation"));
    }
    let deadline = session.deadline;
    let waits = names
        .iter()
        .map(|name| wait::settled(&api, resource, name, Until::Current, deadline));
    let mut failed = 0;
    for (name, end) in names.iter().zip(join_all(waits).await) {
        match end.and_then(|object| wait::verdict(resource, &object, Quotes::None)) {
            Ok(line) => {
                session
                    .terminal
                    .success(&format!("{kind} {name} reconciliation completed"));
                session.terminal.success(&line);
            }
            Err(failure) => {
                failed += 1;
                session
                    .terminal
                    .failure(&format!("{kind} {name} reconciliation failed: {failure}"));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(format!(
            "reconciliation failed for {failed} {kind}(s)"
        ))),
    }
}
