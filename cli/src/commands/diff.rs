//! `sluice diff`: what an apply would change in the cluster. The server is asked by dry runs.

use std::collections::HashSet;
use std::sync::Arc;

use clap::{Args, Subcommand};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kustomize_controller::act::{Attempt, Failure as Failed};
use kustomize_controller::cluster::mapper::Mapper;
use kustomize_controller::cluster::{Guard, Live, Mode, Refusal, Target as _, scopes};
use kustomize_controller::desired;
use kustomize_controller::plan::Item;
use serde_json::Value;
use sluice_objects::object::Gvk;
use sluice_objects::switches::{self, Switches};
use sluice_objects::{drift, force, inventory, stage};

use crate::error::{Failure, Outcome};
use crate::preview::{self, Absent, Cluster, Preview, PreviewArgs, mask, report};
use crate::session::Session;
use crate::terminal::Tone;

/// `sluice diff`.
#[derive(Subcommand, Debug)]
pub enum Diff {
    /// Show what a Kustomization built from a folder would change in the cluster
    #[command(visible_alias = "ks")]
    Kustomization(DiffArgs),
}

/// The options of `diff kustomization`.
#[derive(Args, Debug)]
pub struct DiffArgs {
    #[command(flatten)]
    preview: PreviewArgs,
    /// Say that the comparison is under way
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    progress_bar: bool,
    /// Treat a Kustomization that is not in the cluster as a new one
    #[arg(long, requires = "kustomization_file")]
    ignore_not_found: bool,
}

/// What came of a comparison.
#[derive(Default)]
struct Findings {
    has_changes: bool,
    errors: Vec<String>,
    /// What is printed.
    lines: String,
}

/// What an apply would do to one object.
enum Fate {
    Skipped,
    Same,
    Created,
    /// It would change so.
    Drifted(String),
}

/// What is the same in all comparisons of a run.
struct Comparison<'a> {
    args: &'a DiffArgs,
    target: Live,
    findings: Findings,
}

impl Diff {
    /// Compares and prints. Ends with exit code 1 when there are changes, and 2 after an error.
    pub async fn run(&self, session: &mut Session) -> Outcome {
        let Self::Kustomization(args) = self;
        let absent = match args.ignore_not_found {
            true => Absent::Accept,
            false => Absent::Refuse,
        };
        let preview = args
            .preview
            .preview(session, Cluster::Asked, absent)
            .await?;
        if args.progress_bar {
            session.terminal.patience("Kustomization diffing...");
        }
        let client = session.client().await?;
        let mapper = Arc::new(Mapper::new(client.clone()));
        let mut comparison = Comparison {
            args,
            target: Live::new(client, mapper),
            findings: Findings::default(),
        };
        let outcome = comparison.kustomization(session, &preview).await;
        let findings = comparison.findings;
        session.terminal.print(&findings.lines)?;
        match outcome {
            Err(Failure::Error(message)) => Err(Failure::Status(2, message)),
            Err(other) => Err(other),
            Ok(()) if !findings.errors.is_empty() => {
                Err(Failure::Status(2, findings.errors.join("\n")))
            }
            Ok(()) if findings.has_changes => Err(Failure::Status(
                1,
                "identified at least one change, exiting with non-zero exit code".to_owned(),
            )),
            Ok(()) => Ok(()),
        }
    }
}

impl Comparison<'_> {
    /// Compares what a Kustomization would apply, then what its children would.
    fn kustomization<'s>(
        &'s mut self,
        session: &'s mut Session,
        preview: &'s Preview,
    ) -> BoxFuture<'s, Outcome> {
        async move {
            let ks = &preview.ks;
            let built = self.args.preview.objects(session, preview, Cluster::Asked);
            let objects = built.await?;
            let scopes = scopes(&self.target, &objects).await;
            let scopes = scopes.map_err(|refusal| Failure::new(refusal.to_string()))?;
            let scope = |gvk: &Gvk| scopes.get(&(gvk.group.clone(), gvk.kind.clone())).copied();
            let custom = stage::CustomKinds::default();
            let items = desired::items(ks, objects, &custom, scope)
                .map_err(|error| Failure::new(error.to_string()))?;
            let errors = self.findings.errors.len();
            let brought = Brought::by(&items);
            for item in &items {
                let fate = match self.fate(item, &brought).await {
                    Ok(fate) => fate,
                    Err(error) => {
                        self.findings.errors.push(error);
                        continue;
                    }
                };
                self.tell(session, item, &fate);
                self.descend(session, preview, item, &fate).await?;
            }
            if ks.spec.prune && self.findings.errors.len() == errors {
                self.deletions(session, preview, &items)?;
            }
            Ok(())
        }
        .boxed()
    }

    /// What an apply would do to an object, or why it would fail.
    async fn fate(&self, item: &Item, brought: &Brought<'_>) -> Result<Fate, String> {
        let says = |refusal: Refusal| {
            let failure = Failed {
                id: item.id.clone(),
                attempt: Attempt::Check,
                refusal,
            };
            failure.to_string()
        };
        let live = match self.target.get(&item.gvk, &item.id).await {
            Ok(live) => live,
            Err(refusal) if has_no_place(&refusal) => None,
            Err(refusal) => return Err(says(refusal)),
        };
        let live_switches = live.as_ref().map(Switches::of);
        if switches::skips(item.switches, live_switches) {
            return Ok(Fate::Skipped);
        }
        let dry = self
            .target
            .apply(
                &item.gvk,
                &item.id,
                &item.manifest,
                Mode::DryRun,
                Guard::None,
            )
            .await;
        let Some(mut live) = live else {
            return match dry {
                Ok(_) => Ok(Fate::Created),
                Err(refusal) if has_no_place(&refusal) && brought.brings_ground_of(item) => {
                    Ok(Fate::Created)
                }
                Err(refusal) => Err(says(refusal)),
            };
        };
        let mut dry = match dry {
            Ok(answer) => answer.object,
            Err(refusal)
                if item.switches.force && force::is_immutable(refusal.code, &refusal.message) =>
            {
                return Ok(Fate::Created);
            }
            Err(refusal) => return Err(says(refusal)),
        };
        mask::values(&mut live, &mut dry);
        if !drift::has_drifted(&live, &dry, &item.ignored) {
            return Ok(Fate::Same);
        }
        for pointer in &item.ignored {
            pointer.remove(&mut live);
            pointer.remove(&mut dry);
        }
        Ok(Fate::Drifted(report::differences(
            &content(live),
            &content(dry),
        )))
    }

    fn tell(&mut self, session: &Session, item: &Item, fate: &Fate) {
        let subject = sluice_objects::subject(&item.id);
        let (what, tone) = match fate {
            Fate::Same => return,
            Fate::Skipped => ("skipped", Tone::Plain),
            Fate::Created => ("created", Tone::New),
            Fate::Drifted(_) => ("drifted", Tone::Plain),
        };
        let line = format!("► {subject} {what}\n");
        self.findings.lines += &session.terminal.painted(tone, &line);
        if let Fate::Drifted(differences) = fate {
            self.findings.lines += &format!("{differences}\n");
        }
        self.findings.has_changes |= !matches!(fate, Fate::Skipped);
    }

    /// Compares what a Kustomization among the objects would apply itself.
    async fn descend(
        &mut self,
        session: &mut Session,
        parent: &Preview,
        item: &Item,
        fate: &Fate,
    ) -> Outcome {
        if !self.args.preview.is_recursive() || matches!(fate, Fate::Created | Fate::Skipped) {
            return Ok(());
        }
        let Some(mut child) = self.args.preview.child(&item.manifest)? else {
            return Ok(());
        };
        if child.is_same(parent) {
            return Ok(());
        }
        let subject = sluice_objects::subject(&item.id);
        if child.ks.spec.kube_config.is_some() {
            session.terminal.warning(&format!(
                "{subject} skipped: diff not supported for remote clusters"
            ));
            return Ok(());
        }
        let live = preview::live(session, &item.id.namespace, &item.id.name).await?;
        child.ks.status = live.and_then(|live| live.status);
        let before = std::mem::take(&mut self.findings.lines);
        let outcome = self.kustomization(session, &child).await;
        let lines = std::mem::replace(&mut self.findings.lines, before);
        if !lines.is_empty() {
            self.findings.lines += &format!("📁 {subject} changed\n{lines}");
        }
        outcome
    }

    /// The objects that are managed and not in the build.
    fn deletions(&mut self, session: &Session, preview: &Preview, items: &[Item]) -> Outcome {
        let inventory = preview
            .ks
            .status
            .as_ref()
            .and_then(|s| s.inventory.as_ref());
        let old = inventory.map(|inventory| inventory.entries.clone());
        let new: Vec<_> = items
            .iter()
            .map(|item| inventory::entry(&item.id, &item.gvk.version))
            .collect();
        let stale = inventory::stale(&old.unwrap_or_default(), &new)
            .map_err(|error| Failure::new(error.to_string()))?;
        for stale in stale {
            self.findings.has_changes = true;
            let line = format!("► {} deleted\n", sluice_objects::subject(&stale.id));
            self.findings.lines += &session.terminal.painted(Tone::Gone, &line);
        }
        Ok(())
    }
}

/// What a build brings that its other objects need to exist: namespaces and kinds.
struct Brought<'a> {
    namespaces: HashSet<&'a str>,
    kinds: HashSet<(String, String)>,
}

impl<'a> Brought<'a> {
    fn by(items: &'a [Item]) -> Self {
        let namespaces = items
            .iter()
            .filter(|item| item.gvk.group.is_empty() && item.gvk.kind == "Namespace");
        let manifests: Vec<Value> = items.iter().map(|item| item.manifest.clone()).collect();
        Self {
            namespaces: namespaces.map(|item| item.id.name.as_str()).collect(),
            kinds: desired::defined_scopes(&manifests).into_keys().collect(),
        }
    }

    /// Whether an object that the server has no place for yet gets one by the same build.
    fn brings_ground_of(&self, item: &Item) -> bool {
        let kind = (item.gvk.group.clone(), item.gvk.kind.clone());
        self.namespaces.contains(item.id.namespace.as_str()) || self.kinds.contains(&kind)
    }
}

/// Whether the server has no place for an object: no namespace, or no such kind.
fn has_no_place(refusal: &Refusal) -> bool {
    refusal.is_not_found() || refusal.is_unknown_kind()
}

/// What of an object people compare: everything but what the server writes.
fn content(mut object: Value) -> Value {
    const SERVER: [&str; 5] = [
        "managedFields",
        "resourceVersion",
        "generation",
        "uid",
        "creationTimestamp",
    ];
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !SERVER.contains(&key.as_str()));
    }
    object
}
