//! `sluice delete`: deletes an object, after asking.

use clap::Args;
use kube::api::DeleteParams;

use crate::error::{Failure, Outcome};
use crate::per_kind::{PerKind, VerbArgs};
use crate::resources::{Resource, Verb};
use crate::session::Session;

/// The options of `delete`.
#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Name of the object
    name: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    silent: bool,
}

impl VerbArgs for DeleteArgs {
    const VERB: Verb = Verb::Delete;

    fn about(resource: &Resource) -> String {
        format!("Delete a {}", resource.kind.kind)
    }
}

/// Deletes the object without waiting for its finalizer.
pub async fn run(command: &PerKind<DeleteArgs>, session: &mut Session) -> Outcome {
    let PerKind { resource, args } = command;
    let human = resource.human;
    let Some(name) = &args.name else {
        return Err(Failure::new(format!("{human} name is required")));
    };
    let namespace = session.namespace.clone();
    let api = session.api(resource, &namespace).await?;
    api.get(name).await?;
    let question = format!("Are you sure you want to delete this {human}");
    if !args.silent && !session.terminal.confirm(&question) {
        return Err(Failure::new("aborting"));
    }
    session
        .terminal
        .action(&format!("deleting {human} {name} in {namespace} namespace"));
    api.delete(name, &DeleteParams::default()).await?;
    session.terminal.success(&format!("{human} deleted"));
    Ok(())
}
