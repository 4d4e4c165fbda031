//! `sluice reconcile`: makes a controller look at an object now.

use clap::{Args, Command};
use jiff::Timestamp;
use sluice_api::key;

use crate::error::{Failure, Outcome};
use crate::object;
use crate::per_kind::{PerKind, VerbArgs};
use crate::resources::{Resource, Verb};
use crate::session::Session;
use crate::wait::{self, Quotes, Until};

/// The options of `reconcile`.
#[derive(Args, Debug)]
pub struct ReconcileArgs {
    /// Name of the object
    name: Option<String>,
    /// Reconcile its source first
    #[arg(long)]
    with_source: bool,
    /// Install or upgrade the release whatever its state
    #[arg(long)]
    force: bool,
    /// Forget failures of the release
    #[arg(long)]
    reset: bool,
}

impl VerbArgs for ReconcileArgs {
    const VERB: Verb = Verb::Reconcile;

    fn about(resource: &Resource) -> String {
        format!("Make the controller look at a {} now", resource.kind.kind)
    }

    fn tailor(resource: &Resource, command: Command) -> Command {
        let is_release = has_release_options(resource);
        command
            .mut_arg("with_source", |arg| arg.hide(resource.source.is_none()))
            .mut_arg("force", |arg| arg.hide(!is_release))
            .mut_arg("reset", |arg| arg.hide(!is_release))
    }
}

fn has_release_options(resource: &Resource) -> bool {
    resource.kind == sluice_api::helm::HelmRelease::KIND
}

/// Whether the source of an object is reconciled first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    First,
    LeftAlone,
}

/// Asks for a reconciliation and waits for it.
pub async fn run(command: &PerKind<ReconcileArgs>, session: &mut Session) -> Outcome {
    let PerKind { resource, args } = command;
    let unknown = [
        (
            args.with_source && resource.source.is_none(),
            "--with-source",
        ),
        (args.force && !has_release_options(resource), "--force"),
        (args.reset && !has_release_options(resource), "--reset"),
    ];
    if let Some((_, flag)) = unknown.iter().find(|(given, _)| *given) {
        return Err(Failure::new(format!("unknown flag: {flag}")));
    }
    let Some(name) = &args.name else {
        return Err(Failure::new(format!(
            "{} name is required",
            resource.kind.kind
        )));
    };
    let source = match args.with_source {
        true => Source::First,
        false => Source::LeftAlone,
    };
    let mut others = Vec::new();
    if args.force {
        others.push(key::FORCE_REQUEST);
    }
    if args.reset {
        others.push(key::RESET_REQUEST);
    }
    let namespace = session.namespace.clone();
    reconcile(session, resource, &namespace, name, source, &others).await
}

async fn reconcile(
    session: &mut Session,
    resource: &Resource,
    namespace: &str,
    name: &str,
    source: Source,
    others: &[&str],
) -> Outcome {
    let kind = resource.kind.kind;
    let api = session.api(resource, namespace).await?;
    let before = api.get(name).await?;
    if (resource.is_static)(&before) {
        session
            .terminal
            .success("reconciliation not supported by the object");
        return Ok(());
    }
    if object::is_suspended(&before) {
        return Err(Failure::new("resource is suspended"));
    }
    if let (Source::First, Some(source_of)) = (source, resource.source) {
        let source = source_of(&before)?;
        let place = source.namespace.as_deref().unwrap_or(namespace);
        // A chart's own source comes before the chart.
        let nested = reconcile(
            session,
            source.resource,
            place,
            &source.name,
            Source::First,
            &[],
        );
        Box::pin(nested).await?;
    }
    session.terminal.action(&format!(
        "annotating {kind} {name} in {namespace} namespace"
    ));
    let token = Timestamp::now().to_string();
    let patch = object::request(&token, others);
    session.patch(resource, namespace, name, &patch).await?;
    session.terminal.success(&format!("{kind} annotated"));
    session
        .terminal
        .waiting(&format!("waiting for {kind} reconciliation"));
    let until = Until::HandledOtherThan(object::last_handled(&before));
    let after = wait::settled(&api, resource, name, until, session.deadline).await?;
    let quotes = match source {
        Source::First => Quotes::None,
        Source::LeftAlone => Quotes::Around,
    };
    let verdict = wait::verdict(resource, &after, quotes)?;
    session.terminal.success(&verdict);
    Ok(())
}
