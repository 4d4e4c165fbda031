//! Carries out a plan, stage by stage. The only writer of managed objects.
//!
//! A stage goes in two phases. First everything that could stop it is found out, without writing a
//! manifest: dry runs, and for inspected objects reading, taking over and comparing. Then what has to
//! be written is written, rank by rank, objects of one rank at the same time. The first failure ends
//! the stage; what was written until then is reported with it.

use std::collections::HashMap;

use futures::FutureExt as _;
use serde_json::{Value, json};
use sluice_api::inventory::ObjectId;
use sluice_objects::change::{Action as Outcome, Change};
use sluice_objects::health::Assessment;
use sluice_objects::object::{self, Gvk, subject};
use sluice_objects::observe::{Depth, Mark, Observed, observe};
use sluice_objects::switches::{self, Switches};
use sluice_objects::takeover::Managers;
use sluice_objects::{drift, force, ignore, stage, takeover};

use crate::cluster::{Answer, Guard, Mode, Refusal, Scope, Target, each};
use crate::plan::{Action, Applied, Item, Planned, Seen, Step, Takeover};

/// What carrying out a plan needs besides the plan.
pub struct Act<'a, T> {
    /// The cluster.
    pub target: &'a T,
    /// The objects that the plan is about.
    pub items: &'a [Item],
    /// What is remembered of them.
    pub applied: &'a HashMap<ObjectId, Applied>,
    /// Whose fields are taken over.
    pub managers: &'a Managers,
    /// When others' fields are taken over.
    pub takeover: Takeover,
    /// Whether all objects may be recreated (`spec.force`).
    pub force: bool,
    /// Whether fields recorded for other API versions are moved.
    pub migrate: bool,
    /// How many requests are under way at a time.
    pub concurrency: usize,
    /// The time.
    pub now: jiff::Timestamp,
}

/// What was done about one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The object and what happened to it.
    pub change: Change,
    /// What to remember of it.
    pub applied: Applied,
    /// How it was right after.
    pub health: Assessment,
}

/// How a stage ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What was done, in the order of apply.
    pub done: Vec<Done>,
    /// Objects that are being recreated and have not gone yet; the stage has to be tried again.
    pub going: Vec<ObjectId>,
    /// What ended it early.
    pub failure: Option<Box<Failure>>,
}

/// Why an object could not be applied. The texts are Flux's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Failure {
    /// The object.
    pub id: ObjectId,
    /// What was tried.
    pub attempt: Attempt,
    /// The server's refusal.
    pub refusal: Refusal,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Asking whether the object would be accepted, by a dry run or by a write that came first.
    Check,
    /// Writing what had been checked.
    Write,
    /// Taking over other managers' fields.
    Cleanup,
    /// Moving fields to another API version.
    Migration,
}

impl Failure {
    fn text(&self) -> String {
        let (subject, refusal) = (subject(&self.id), &self.refusal);
        match self.attempt {
            Attempt::Write => format!("{subject} apply failed: {refusal}"),
            Attempt::Cleanup => {
                format!("{subject} metadata.managedFields cleanup failed: {refusal}")
            }
            Attempt::Migration => format!("{subject} failed to migrate API version: {refusal}"),
            Attempt::Check if refusal.is_not_found() && self.id.namespace.is_empty() => {
                format!("{subject} namespace not specified: {refusal}")
            }
            Attempt::Check if refusal.is_not_found() => format!("{subject} not found: {refusal}"),
            Attempt::Check if refusal.reason.is_empty() || refusal.is_unknown_kind() => {
                format!("{subject} dry-run failed: {refusal}")
            }
            Attempt::Check => format!("{subject} dry-run failed ({}): {refusal}", refusal.reason),
        }
    }
}

/// What the first phase found out about an object.
enum Found {
    /// Nothing is to be done.
    Done(Box<Done>),
    /// It is to be written.
    Write(Box<Write>),
    /// It is being recreated, and still there.
    Going,
}

/// A write to come.
struct Write {
    manifest: Value,
    guard: Guard,
    /// How it was before, as far as known.
    before: Option<Observed>,
    /// What it will count as; found out from the answer if not known yet.
    outcome: Option<Outcome>,
    /// Whether the server was asked before.
    checked: bool,
}

/// How often a patch that depends on the version is made.
const AMENDS: u32 = 5;

type Resolved = Result<Found, Box<Failure>>;

impl<T: Target> Act<'_, T> {
    /// Carries out one stage.
    pub async fn stage(&self, planned: &Planned) -> Report {
        let looks = planned.steps.iter().map(|step| self.resolve(step).boxed());
        let found = each(looks.collect(), self.concurrency).await;
        let mut report = Report {
            done: Vec::new(),
            going: Vec::new(),
            failure: None,
        };
        let mut writes = Vec::new();
        for (step, found) in planned.steps.iter().zip(found) {
            match found {
                Ok(Found::Done(done)) => report.done.push(*done),
                Ok(Found::Write(write)) => writes.push((step.item, *write)),
                Ok(Found::Going) => report.going.push(self.items[step.item].id.clone()),
                Err(failure) => report.failure = report.failure.or(Some(failure)),
            }
        }
        if report.failure.is_none() && report.going.is_empty() {
            self.write_all(writes, &mut report).await;
        }
        report
            .done
            .sort_by(|a, b| stage::order(&a.change.id, &b.change.id));
        report
    }

    /// Writes rank by rank; a failure lets the writes of its rank end and begins no more.
    async fn write_all(&self, mut writes: Vec<(usize, Write)>, report: &mut Report) {
        let rank = |(item, _): &(usize, Write)| stage::rank(&self.items[*item].id.kind);
        while let Some(first) = writes.first().map(rank) {
            let rest = writes.split_off(writes.partition_point(|write| rank(write) == first));
            let wave = std::mem::replace(&mut writes, rest);
            let (indices, wave): (Vec<usize>, Vec<Write>) = wave.into_iter().unzip();
            let sends = indices
                .iter()
                .zip(wave)
                .map(|(item, write)| self.write(*item, write).boxed());
            let results = each(sends.collect(), self.concurrency).await;
            for (item, result) in indices.into_iter().zip(results) {
                match result {
                    Ok(Found::Done(done)) => report.done.push(*done),
                    Ok(Found::Going) => report.going.push(self.items[item].id.clone()),
                    // A write that was asked for once more has been done by then.
                    Ok(Found::Write(_)) => {}
                    Err(failure) => {
                        let earlier = report.failure.take();
                        report.failure = Some(match earlier {
                            Some(earlier) if stage::order(&earlier.id, &failure.id).is_le() => {
                                earlier
                            }
                            _ => failure,
                        });
                    }
                }
            }
            if report.failure.is_some() || !report.going.is_empty() {
                return;
            }
        }
    }

    fn seen(&self, item: &Item) -> Option<Observed> {
        match self.target.seen(&item.gvk, &item.id) {
            Seen::Live(observed) => Some(observed),
            Seen::Absent | Seen::Unknown => None,
        }
    }

    fn observe(&self, item: &Item, live: &Value) -> Observed {
        observe(live, Depth::of(&item.gvk), self.managers, self.now)
    }

    /// An object that was left as it is.
    fn left(&self, item: &Item, action: Outcome, observed: Option<&Observed>) -> Found {
        let mark = observed
            .filter(|observed| action == Outcome::Unchanged && !observed.is_deleting)
            .map(|observed| Mark::new(&item.manifest, observed));
        let health = observed.map_or_else(Assessment::current, |observed| observed.health.clone());
        Found::done(item, action, mark, health)
    }

    fn fail(&self, item: &Item, attempt: Attempt, refusal: Refusal) -> Box<Failure> {
        let id = item.id.clone();
        Box::new(Failure {
            id,
            attempt,
            refusal,
        })
    }

    /// The first phase for one object.
    async fn resolve(&self, step: &Step) -> Resolved {
        let item = &self.items[step.item];
        let seen = self.seen(item);
        match step.action {
            Action::Skip => Ok(self.left(item, Outcome::Skipped, seen.as_ref())),
            Action::Leave => Ok(self.left(item, Outcome::Unchanged, seen.as_ref())),
            Action::Keep => {
                let mut kept = self.left(item, Outcome::Unchanged, seen.as_ref());
                // What was seen may be older than the last apply.
                if let (Found::Done(done), Some(applied)) = (&mut kept, self.applied.get(&item.id))
                {
                    done.applied = applied.clone();
                }
                Ok(kept)
            }
            Action::Inspect => self.inspect(item).await,
            Action::Create => {
                let write = Write::unchecked(item, Guard::Absent, None);
                self.check_if(step.check, item, write).await
            }
            Action::Write => {
                let write = Write::unchecked(item, Guard::None, seen);
                self.check_if(step.check, item, write).await
            }
        }
    }

    /// Asks the server about a write where the plan says so, and otherwise whether there is anywhere to
    /// write it to.
    async fn check_if(&self, is_asked: bool, item: &Item, write: Write) -> Resolved {
        if is_asked {
            return self.check(item, write).await;
        }
        let reach = match self.target.scope(&item.gvk).await {
            Ok(Scope::Namespaced) if item.id.namespace.is_empty() => Err(Refusal::no_path()),
            Ok(_) => Ok(Found::Write(Box::new(write))),
            Err(refusal) => Err(refusal),
        };
        reach.map_err(|refusal| self.fail(item, Attempt::Check, refusal))
    }

    async fn apply(
        &self,
        item: &Item,
        manifest: &Value,
        mode: Mode,
        guard: Guard,
    ) -> Result<Answer, Refusal> {
        self.target
            .apply(&item.gvk, &item.id, manifest, mode, guard)
            .await
    }

    /// Asks whether a write would be accepted, and whether it would change anything.
    async fn check(&self, item: &Item, mut write: Write) -> Resolved {
        match self
            .apply(item, &write.manifest, Mode::DryRun, write.guard)
            .await
        {
            Ok(answer) => {
                let would_be = self.observe(item, &answer.object);
                let shows_content = Depth::of(&item.gvk) == Depth::Content;
                if let Some(before) = write.before.as_ref().filter(|_| shows_content)
                    && before.content == would_be.content
                    && before.pairs == would_be.pairs
                {
                    return Ok(self.left(item, Outcome::Unchanged, write.before.as_ref()));
                }
                write.checked = true;
                Ok(Found::Write(Box::new(write)))
            }
            Err(refusal) if write.guard == Guard::Absent && refusal.is_conflict() => {
                self.inspect(item).await
            }
            Err(refusal) => self.recreate(item, None, refusal).await,
        }
    }

    /// Reads an object and treats it as one that nothing is known of.
    async fn inspect(&self, item: &Item) -> Resolved {
        // What cannot be read counts as absent; the apply will tell.
        let Some(mut live) = self
            .target
            .get(&item.gvk, &item.id)
            .await
            .unwrap_or_default()
        else {
            if switches::skips(item.switches, None) {
                return Ok(self.left(item, Outcome::Skipped, None));
            }
            let answer = self
                .apply(item, &item.manifest, Mode::DryRun, Guard::None)
                .await;
            answer.map_err(|refusal| self.fail(item, Attempt::Check, refusal))?;
            let mut write = Write::unchecked(item, Guard::Absent, None);
            write.checked = true;
            return Ok(Found::Write(Box::new(write)));
        };
        let live_switches = Switches::of(&live);
        if switches::skips(item.switches, Some(live_switches)) {
            let observed = self.observe(item, &live);
            return Ok(self.left(item, Outcome::Skipped, Some(&observed)));
        }
        let mut patched = false;
        if self.migrate {
            let operations = |live: &Value| migration(live, &item.gvk);
            patched |= self
                .amend(item, &mut live, operations, Attempt::Migration)
                .await?;
        }
        let (mut live, dry) = match self.compared(item, &live).await {
            Ok(both) => both,
            Err(refusal) => return self.recreate(item, Some(live), refusal).await,
        };
        let has_drifted = drift::has_drifted(&live, &dry, &item.ignored);
        if switches::takes_over(item.switches, live_switches)
            && (has_drifted || self.takeover == Takeover::Always)
        {
            let operations = |live: &Value| takeover::patch(live, self.managers);
            patched |= self
                .amend(item, &mut live, operations, Attempt::Cleanup)
                .await?;
        }
        let before = self.observe(item, &live);
        if !patched && !has_drifted {
            return Ok(self.left(item, Outcome::Unchanged, Some(&before)));
        }
        Ok(Found::Write(Box::new(Write {
            manifest: ignore::respect(&item.manifest, &live, &dry, &item.ignored),
            guard: Guard::None,
            before: Some(before),
            outcome: Some(Outcome::Configured),
            checked: true,
        })))
    }

    /// The live object and what an apply would make of it, of the same moment: controllers write
    /// between two requests, which would look like drift.
    async fn compared(&self, item: &Item, live: &Value) -> Result<(Value, Value), Refusal> {
        let version =
            |object: &Value| object::text(object, &["metadata", "resourceVersion"]).to_owned();
        let mut live = live.clone();
        for _ in 0..AMENDS {
            let dry = self
                .apply(item, &item.manifest, Mode::DryRun, Guard::None)
                .await?
                .object;
            if version(&live) == version(&dry) {
                return Ok((live, dry));
            }
            match self.target.get(&item.gvk, &item.id).await {
                Ok(Some(fresh)) if version(&fresh) != version(&dry) => live = fresh,
                Ok(Some(fresh)) => return Ok((fresh, dry)),
                _ => return Ok((live, dry)),
            }
        }
        let dry = self
            .apply(item, &item.manifest, Mode::DryRun, Guard::None)
            .await?
            .object;
        Ok((live, dry))
    }

    /// Patches metadata of a live object where there is something to patch. The operations hold for
    /// one version only; when somebody else wrote meanwhile, they are made anew.
    async fn amend(
        &self,
        item: &Item,
        live: &mut Value,
        operations: impl Fn(&Value) -> Option<Value>,
        attempt: Attempt,
    ) -> Result<bool, Box<Failure>> {
        for tries_left in (0..AMENDS).rev() {
            let Some(operations) = operations(live) else {
                return Ok(false);
            };
            match self.target.patch(&item.gvk, &item.id, &operations).await {
                Ok(patched) => {
                    *live = patched;
                    return Ok(true);
                }
                Err(refusal) if tries_left > 0 && matches!(refusal.code, 409 | 422) => {
                    match self.target.get(&item.gvk, &item.id).await {
                        Ok(Some(fresh)) => *live = fresh,
                        _ => return Err(self.fail(item, attempt, refusal)),
                    }
                }
                Err(refusal) => return Err(self.fail(item, attempt, refusal)),
            }
        }
        Ok(false)
    }

    /// What becomes of an object whose change was refused: recreated where that is asked for and can
    /// help, else a failure.
    async fn recreate(&self, item: &Item, live: Option<Value>, refusal: Refusal) -> Resolved {
        let failure = |refusal| Err(self.fail(item, Attempt::Check, refusal));
        if !force::is_immutable(refusal.code, &refusal.message) {
            return failure(refusal);
        }
        let live = match live {
            Some(live) => Some(live),
            None => self
                .target
                .get(&item.gvk, &item.id)
                .await
                .unwrap_or_default(),
        };
        let Some(live) = live else {
            return failure(refusal);
        };
        let is_forced = self.force || item.switches.force || Switches::of(&live).force;
        if !is_forced || self.is_invalid_anyway(item, &refusal).await {
            return failure(refusal);
        }
        let version = object::text(&live, &["metadata", "resourceVersion"])
            .parse()
            .ok();
        if let Err(refusal) = self.target.delete(&item.gvk, &item.id, version).await {
            return failure(refusal);
        }
        if !matches!(self.target.get(&item.gvk, &item.id).await, Ok(None)) {
            return Ok(Found::Going);
        }
        match self
            .apply(item, &item.manifest, Mode::DryRun, Guard::Absent)
            .await
        {
            Ok(_) => {
                let mut write = Write::unchecked(item, Guard::Absent, None);
                write.checked = true;
                Ok(Found::Write(Box::new(write)))
            }
            Err(refusal) => failure(refusal),
        }
    }

    /// Whether the object would be refused in the same words if it were new. Deleting the live one
    /// would then only lose it, as it does in Flux.
    async fn is_invalid_anyway(&self, item: &Item, refusal: &Refusal) -> bool {
        let mut other = item.id.clone();
        other.name = format!("{}-new", other.name);
        let mut manifest = item.manifest.clone();
        manifest["metadata"]["name"] = json!(other.name);
        match self
            .target
            .apply(&item.gvk, &other, &manifest, Mode::DryRun, Guard::Absent)
            .await
        {
            Ok(_) => false,
            Err(probe) => {
                let probe_message = probe.message.replace(
                    &format!("\"{}\"", other.name),
                    &format!("\"{}\"", item.id.name),
                );
                probe.code == refusal.code && probe_message == refusal.message
            }
        }
    }

    /// The second phase for one object.
    async fn write(&self, item: usize, write: Write) -> Resolved {
        let item = &self.items[item];
        match self
            .apply(item, &write.manifest, Mode::Real, write.guard)
            .await
        {
            Ok(answer) => Ok(self.written(item, &write, &answer)),
            Err(refusal) if write.checked => Err(self.fail(item, Attempt::Write, refusal)),
            // Nothing was known of it, or nobody was asked before: this refusal is the check.
            Err(refusal) => {
                let again = match write.guard {
                    Guard::Absent if refusal.is_conflict() => self.inspect(item).await?,
                    Guard::Absent => return Err(self.fail(item, Attempt::Check, refusal)),
                    Guard::None => self.recreate(item, None, refusal).await?,
                };
                let Found::Write(write) = again else {
                    return Ok(again);
                };
                let answer = self
                    .apply(item, &write.manifest, Mode::Real, write.guard)
                    .await;
                let answer = answer.map_err(|refusal| self.fail(item, Attempt::Write, refusal))?;
                Ok(self.written(item, &write, &answer))
            }
        }
    }

    fn written(&self, item: &Item, write: &Write, answer: &Answer) -> Found {
        let after = self.observe(item, &answer.object);
        let is_same = |before: &Observed| {
            before.uid == after.uid
                && before.content == after.content
                && before.pairs == after.pairs
        };
        let action = match (write.outcome, &write.before) {
            _ if answer.created => Outcome::Created,
            (Some(outcome), _) => outcome,
            (None, Some(before)) if is_same(before) => Outcome::Unchanged,
            (None, _) => Outcome::Configured,
        };
        let mark = Mark::new(&write.manifest, &after);
        Found::done(item, action, Some(mark), after.health)
    }
}

impl Found {
    fn done(item: &Item, action: Outcome, mark: Option<Mark>, health: Assessment) -> Self {
        Self::Done(Box::new(Done {
            change: Change {
                id: item.id.clone(),
                action,
            },
            applied: Applied {
                summary: item.summary,
                mark,
            },
            health,
        }))
    }
}

impl Write {
    fn unchecked(item: &Item, guard: Guard, before: Option<Observed>) -> Self {
        Self {
            manifest: item.manifest.clone(),
            guard,
            before,
            outcome: None,
            checked: false,
        }
    }
}

/// The JSON patch that moves all recorded fields to the manifest's API version.
fn migration(live: &Value, gvk: &Gvk) -> Option<Value> {
    let wanted = gvk.api_version();
    let entries = object::at(live, &["metadata", "managedFields"])?.as_array()?;
    let is_other = |entry: &&Value| object::text(entry, &["apiVersion"]) != wanted;
    entries.iter().find(is_other)?;
    let moved: Vec<_> = entries
        .iter()
        .map(|entry| {
            let mut entry = entry.clone();
            entry["apiVersion"] = json!(wanted);
            entry
        })
        .collect();
    Some(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": object::text(live, &["metadata", "resourceVersion"])},
        {"op": "replace", "path": "/metadata/managedFields", "value": moved},
    ]))
}
