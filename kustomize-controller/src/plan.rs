//! What has to be done to a cluster so that it holds the desired objects. Pure, and a value.
//!
//! # How live objects are seen
//! A live object that carries the owner labels is seen through a watch, reduced to an [`Observed`].
//! One that does not may exist nevertheless: created by hand, or stripped of its labels. So a create
//! is *guarded*: a server-side apply that names a resource version no object can have. It creates
//! what is not there, and is refused with a conflict, having changed nothing, when something is. Only
//! then the object is read and treated as Flux treats every object (switches, takeover, dry run).
//! That is one request for a new object, and none for one that is as it should be.
//!
//! # Why not everything is checked first
//! A commit must not be applied in part. Flux asks the server about every object of a stage (dry run)
//! before it writes any. The same holds here with fewer requests:
//!
//! - what did not change is not sent;
//! - a change that touches nothing but fields a server has no reason to refuse ([`risk`]) is written
//!   without a dry run, unless an admission webhook or policy is there that could refuse it;
//! - if only one write of a stage can be refused and it comes first, it is its own check;
//! - when nothing was ever applied, there is nothing to protect.
//!
//! [`risk`]: sluice_objects::risk

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;
use sluice_api::inventory::ObjectId;
use sluice_objects::object::{Gvk, subject};
use sluice_objects::observe::{Compared, Mark, Observed};
use sluice_objects::pointer::Pointer;
use sluice_objects::risk::{Change as Risk, Summary};
use sluice_objects::stage::{self, Stage};
use sluice_objects::switches::{self, Switches};

/// One object of the desired set, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its identity, without a namespace if its kind has none.
    pub id: ObjectId,
    /// Its kind.
    pub gvk: Gvk,
    /// When it is applied.
    pub stage: Stage,
    /// What is sent.
    pub manifest: Value,
    /// What its labels and annotations say.
    pub switches: Switches,
    /// What is remembered of it.
    pub summary: Summary,
    /// Parts whose drift does not matter.
    pub ignored: Vec<Pointer>,
}

/// What is known of the live object behind an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// It is there.
    Live(Observed),
    /// Nothing with owner labels is there.
    Absent,
    /// Its kind is not watched: nothing is known.
    Unknown,
}

/// What is remembered of an object from the last apply of this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The manifest.
    pub summary: Summary,
    /// How the object was then; `None` if it was skipped.
    pub mark: Option<Mark>,
}

/// How much a plan may rely on what is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The memory is good: what it says is unchanged is left alone.
    Memory,
    /// The same objects were applied before, but they are to be sent once more to make sure.
    Resend,
    /// Other objects may have been applied before.
    Nothing,
}

/// When the fields that other managers left on an object are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// Wherever they are: in a reconciliation.
    Always,
    /// Only on objects whose own fields were changed too: in a repair. Otherwise a restart by
    /// `kubectl rollout` would be undone before it began.
    WithDrift,
}

/// Which writes a cluster may refuse for reasons of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// No webhook or policy looks at this kind.
    None,
    /// One does, or that is not known.
    Possible,
}

/// What a plan is made for.
pub struct Policy<'p> {
    /// How far memory reaches.
    pub trust: Trust,
    /// When fields that others left are taken over.
    pub takeover: Takeover,
    /// Whether this Kustomization never applied anything.
    pub is_first: bool,
    /// Whether fields recorded for other API versions are to be moved (gate `MigrateAPIVersion`).
    pub migrate: bool,
    /// Who may refuse writes of a kind.
    pub admission: &'p (dyn Fn(&Gvk) -> Admission + Sync),
}

/// What is done about one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A switch says to leave it alone.
    Skip,
    /// It is as it should be.
    Keep,
    /// It is created, if really nothing is there.
    Create,
    /// It is being deleted: nothing can be done before it is gone.
    Leave,
    /// It is applied.
    Write,
    /// It is read and compared before it is applied.
    Inspect,
}

/// One object's part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Index of the item.
    pub item: usize,
    /// What is done.
    pub action: Action,
    /// Whether the server is asked first.
    pub check: bool,
}

/// The steps of a stage, in the order of apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The stage.
    pub stage: Stage,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// What is to be done, stage by stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The stages that have objects.
    pub stages: Vec<Planned>,
}

/// Whether an action sends nothing.
fn is_passive(action: Action) -> bool {
    matches!(action, Action::Skip | Action::Keep | Action::Leave)
}

/// Sorts items as they are applied: by stage, then by rank, group, kind, namespace and name.
pub fn sort(items: &mut [Item]) {
    items.sort_by(|a, b| {
        a.stage
            .cmp(&b.stage)
            .then_with(|| stage::order(&a.id, &b.id))
    });
}

/// Makes the plan for sorted items.
pub fn plan(
    items: &[Item],
    seen: impl Fn(&Item) -> Seen,
    applied: &HashMap<ObjectId, Applied>,
    policy: &Policy<'_>,
) -> Plan {
    let mut plan = Plan::default();
    for stage in Stage::ALL {
        let mut steps = Vec::new();
        let mut risks = Vec::new();
        for (index, item) in items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.stage == stage)
        {
            let (action, risk) = decide(item, &seen(item), applied.get(&item.id), policy);
            steps.push(Step {
                item: index,
                action,
                check: false,
            });
            risks.push(risk);
        }
        if !steps.is_empty() {
            choose_checks(&mut steps, &risks, items, policy);
            plan.stages.push(Planned { stage, steps });
        }
    }
    plan
}

/// What to do about one object, and how likely a refusal is.
fn decide(
    item: &Item,
    seen: &Seen,
    applied: Option<&Applied>,
    policy: &Policy<'_>,
) -> (Action, Risk) {
    let change = match (policy.trust, applied) {
        (Trust::Nothing, _) | (_, None) => Risk::Risky,
        (_, Some(applied)) => applied.summary.change_to(item.summary),
    };
    // What was sent once and is sent again was not refused then.
    let risk = match change {
        _ if policy.trust == Trust::Resend => Risk::Safe,
        Risk::None => Risk::Safe,
        change if (policy.admission)(&item.gvk) == Admission::None => change,
        _ => Risk::Risky,
    };
    let live = match seen {
        Seen::Unknown => return (unknown(item), risk),
        Seen::Absent if switches::skips(item.switches, None) => return (Action::Skip, Risk::None),
        Seen::Absent if change == Risk::Safe => return (Action::Create, Risk::Risky),
        Seen::Absent => return (Action::Create, risk),
        Seen::Live(live) => live,
    };
    if switches::skips(item.switches, Some(live.switches)) {
        return (Action::Skip, Risk::None);
    }
    if live.is_deleting {
        return (Action::Leave, Risk::None);
    }
    let mark = applied.and_then(|applied| applied.mark.as_ref());
    let is_as_left = mark.is_some_and(|mark| match mark.compare(live) {
        Compared::Same | Compared::Older => true,
        Compared::Different => false,
        Compared::Taken => policy.takeover == Takeover::WithDrift,
    });
    if policy.trust == Trust::Memory
        && change == Risk::None
        && is_as_left
        && (policy.takeover == Takeover::WithDrift || !needs_takeover(item, live))
    {
        return (Action::Keep, Risk::None);
    }
    let action = match needs_takeover(item, live) || !item.ignored.is_empty() || policy.migrate {
        true => Action::Inspect,
        false => Action::Write,
    };
    (action, risk)
}

fn unknown(item: &Item) -> Action {
    match switches::skips(item.switches, None) {
        true => Action::Skip,
        false => Action::Inspect,
    }
}

fn needs_takeover(item: &Item, live: &Observed) -> bool {
    live.is_foreign && switches::takes_over(item.switches, live.switches)
}

/// Marks the steps of a stage that the server is asked about first.
fn choose_checks(steps: &mut [Step], risks: &[Risk], items: &[Item], policy: &Policy<'_>) {
    let is_write = |step: &Step| !is_passive(step.action);
    let writes: Vec<_> = (0..steps.len()).filter(|i| is_write(&steps[*i])).collect();
    let risky: Vec<_> = writes
        .iter()
        .copied()
        .filter(|i| risks[*i] == Risk::Risky)
        .collect();
    // An inspection asks in any case.
    let inspected = |step: &Step| step.action == Action::Inspect;
    if policy.is_first
        && steps
            .iter()
            .all(|step| !is_write(step) || step.action == Action::Create)
    {
        return;
    }
    match risky[..] {
        [] => {}
        // The only write that can be refused is its own check when no other comes before it.
        [only] if leads(only, &writes, steps, items) => {}
        _ => risky
            .iter()
            .for_each(|i| steps[*i].check = !inspected(&steps[*i])),
    }
}

/// Whether a step is written before all others: it is alone in the lowest rank.
fn leads(step: usize, writes: &[usize], steps: &[Step], items: &[Item]) -> bool {
    let rank = |i: usize| stage::rank(&items[steps[i].item].id.kind);
    writes
        .iter()
        .all(|other| *other == step || rank(*other) > rank(step))
}

/// A plan with the objects it is about, for people.
pub struct Shown<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// Its items.
    pub items: &'p [Item],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for planned in &self.plan.stages {
            for step in &planned.steps {
                let word = match step.action {
                    Action::Skip => "skip",
                    Action::Keep => "keep",
                    Action::Create => "create",
                    Action::Leave => "leave",
                    Action::Write => "write",
                    Action::Inspect => "inspect",
                };
                let check = if step.check { " after a check" } else { "" };
                let id = &self.items[step.item].id;
                writeln!(f, "{:?}: {word} {}{check}", planned.stage, subject(id))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
