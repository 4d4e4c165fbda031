use jiff::Timestamp;
use serde_json::json;
use sluice_objects::object;
use sluice_objects::observe::{Depth, observe};
use sluice_objects::stage::{CustomKinds, stage_of};
use sluice_objects::takeover::Managers;

use super::*;

fn item(manifest: Value) -> Item {
    let gvk = Gvk::of(&manifest).unwrap();
    Item {
        id: object::id(&manifest),
        stage: stage_of(&gvk, &CustomKinds::default()),
        switches: Switches::of(&manifest),
        summary: Summary::of(&manifest),
        ignored: Vec::new(),
        gvk,
        manifest,
    }
}

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "apps"}, "data": {"k": value}})
}

fn immutable(name: &str, value: &str) -> Value {
    let mut object = config_map(name, value);
    object["immutable"] = json!(true);
    object
}

fn kind(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "apps"}, "spec": {"x": 1}})
}

/// A little cluster: what was applied, and what is there.
#[derive(Default)]
struct World {
    live: HashMap<ObjectId, Seen>,
    applied: HashMap<ObjectId, Applied>,
}

impl World {
    fn applied(mut self, manifest: Value) -> Self {
        let observed = World::live_form(&manifest);
        let mut sent = manifest;
        if let Some(metadata) = sent["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let item = item(sent);
        let mark = Some(Mark::new(&item.manifest, &observed));
        self.applied.insert(
            item.id.clone(),
            Applied {
                summary: item.summary,
                mark,
            },
        );
        self.live.insert(item.id, Seen::Live(observed));
        self
    }

    fn live(mut self, manifest: Value) -> Self {
        let id = object::id(&manifest);
        self.live
            .insert(id, Seen::Live(World::live_form(&manifest)));
        self
    }

    fn live_form(manifest: &Value) -> Observed {
        let mut live = manifest.clone();
        live["metadata"]["uid"] = json!("u");
        if live["metadata"].get("resourceVersion").is_none() {
            live["metadata"]["resourceVersion"] = json!("5");
        }
        let depth = Depth::of(&Gvk::of(manifest).unwrap());
        observe(&live, depth, &Managers::default(), Timestamp::UNIX_EPOCH)
    }

    fn plan(&self, trust: Trust, manifests: Vec<Value>) -> String {
        self.plan_with(trust, Admission::None, manifests)
    }

    fn plan_with(&self, trust: Trust, admission: Admission, manifests: Vec<Value>) -> String {
        let mut items: Vec<_> = manifests.into_iter().map(item).collect();
        sort(&mut items);
        let policy = Policy {
            trust,
            is_first: self.applied.is_empty(),
            takeover: Takeover::Always,
            migrate: false,
            admission: &|_| admission,
        };
        let seen = |item: &Item| self.live.get(&item.id).cloned().unwrap_or(Seen::Absent);
        let plan = plan(&items, seen, &self.applied, &policy);
        Shown {
            plan: &plan,
            items: &items,
        }
        .to_string()
    }
}

#[test]
fn a_first_install_creates_everything_unchecked_and_in_order() {
    let plan = World::default().plan(
        Trust::Nothing,
        vec![
            kind("apps/v1", "Deployment", "d"),
            config_map("c", "1"),
            kind("v1", "Namespace", "n"),
            kind("x/v1", "Widget", "w"),
        ],
    );
    insta::assert_snapshot!(plan, @r"
    Definitions: create Namespace/apps/n
    Rest: create ConfigMap/apps/c
    Rest: create Deployment/apps/d
    Rest: create Widget/apps/w
    ");
}

#[test]
fn what_did_not_change_is_not_sent() {
    let world =
        World::default()
            .applied(config_map("a", "1"))
            .applied(kind("apps/v1", "Deployment", "d"));
    insta::assert_snapshot!(world.plan(Trust::Memory, vec![config_map("a", "1"), kind("apps/v1", "Deployment", "d")]), @r"
    Rest: keep ConfigMap/apps/a
    Rest: keep Deployment/apps/d
    ");
}

#[test]
fn safe_changes_are_written_without_asking() {
    let world = World::default()
        .applied(config_map("a", "1"))
        .applied(config_map("b", "1"));
    insta::assert_snapshot!(world.plan(Trust::Memory, vec![config_map("a", "2"), config_map("b", "2")]), @r"
    Rest: write ConfigMap/apps/a
    Rest: write ConfigMap/apps/b
    ");
}

#[test]
fn an_admission_policy_makes_every_change_refusable() {
    let world = World::default()
        .applied(config_map("a", "1"))
        .applied(config_map("b", "1"));
    let plan = world.plan_with(
        Trust::Memory,
        Admission::Possible,
        vec![config_map("a", "2"), config_map("b", "2")],
    );
    insta::assert_snapshot!(plan, @r"
    Rest: write ConfigMap/apps/a after a check
    Rest: write ConfigMap/apps/b after a check
    ");
}

#[test]
fn a_refusable_change_is_asked_about_before_others_are_written() {
    let world = World::default()
        .applied(immutable("a", "1"))
        .applied(config_map("z", "1"));
    insta::assert_snapshot!(world.plan(Trust::Memory, vec![immutable("a", "2"), config_map("z", "2")]), @r"
    Rest: write ConfigMap/apps/a after a check
    Rest: write ConfigMap/apps/z
    ");
}

#[test]
fn the_only_refusable_write_is_its_own_check_when_it_comes_first() {
    let world =
        World::default()
            .applied(immutable("a", "1"))
            .applied(kind("apps/v1", "Deployment", "d"));
    let mut labelled = kind("apps/v1", "Deployment", "d");
    labelled["metadata"]["labels"] = json!({"a": "b"});
    insta::assert_snapshot!(world.plan(Trust::Memory, vec![immutable("a", "2"), labelled]), @r"
    Rest: write ConfigMap/apps/a
    Rest: write Deployment/apps/d
    ");
    // A new object that comes after a safe change is asked about.
    insta::assert_snapshot!(world.plan(Trust::Memory, vec![immutable("a", "1"), kind("x/v1", "Widget", "w")]), @r"
    Rest: keep ConfigMap/apps/a
    Rest: create Widget/apps/w
    ");
}

#[test]
fn without_memory_everything_is_asked_about() {
    let world = World::default()
        .applied(config_map("a", "1"))
        .live(config_map("b", "1"));
    insta::assert_snapshot!(world.plan(Trust::Nothing, vec![config_map("a", "1"), config_map("b", "1"), config_map("c", "1")]), @r"
    Rest: write ConfigMap/apps/a after a check
    Rest: write ConfigMap/apps/b after a check
    Rest: create ConfigMap/apps/c after a check
    ");
}

#[test]
fn what_was_applied_before_is_resent_without_asking() {
    let world = World::default()
        .applied(config_map("a", "1"))
        .live(config_map("b", "1"));
    insta::assert_snapshot!(world.plan(Trust::Resend, vec![config_map("a", "1"), config_map("b", "1")]), @r"
    Rest: write ConfigMap/apps/a
    Rest: write ConfigMap/apps/b
    ");
}

#[test]
fn drift_is_written_over_and_a_deleted_object_created() {
    let mut edited = config_map("a", "edited");
    edited["metadata"]["resourceVersion"] = json!("9");
    let mut world = World::default()
        .applied(config_map("a", "1"))
        .applied(config_map("b", "1"))
        .live(edited);
    world.live.remove(&object::id(&config_map("b", "1")));
    insta::assert_snapshot!(world.plan(Trust::Memory, vec![config_map("a", "1"), config_map("b", "1")]), @r"
    Rest: write ConfigMap/apps/a
    Rest: create ConfigMap/apps/b
    ");
}

#[test]
fn switches_on_either_side_are_respected() {
    let with = |name: &str, key: &str, value: &str| {
        let mut object = config_map(name, "1");
        object["metadata"]["annotations"] =
            json!({format!("kustomize.toolkit.fluxcd.io/{key}"): value});
        object
    };
    let world = World::default()
        .live(with("live-ignore", "ssa", "Ignore"))
        .live(with("live-disabled", "reconcile", "disabled"))
        .live(config_map("present", "own"))
        .applied(config_map("other", "1"));
    let plan = world.plan(
        Trust::Memory,
        vec![
            config_map("live-ignore", "2"),
            config_map("live-disabled", "2"),
            with("present", "ssa", "IfNotPresent"),
            with("absent", "ssa", "IfNotPresent"),
            with("ignored", "ssa", "Ignore"),
        ],
    );
    insta::assert_snapshot!(plan, @r"
    Rest: create ConfigMap/apps/absent
    Rest: skip ConfigMap/apps/ignored
    Rest: skip ConfigMap/apps/live-disabled
    Rest: skip ConfigMap/apps/live-ignore
    Rest: skip ConfigMap/apps/present
    ");
}

#[test]
fn foreign_fields_ignore_rules_and_unwatched_kinds_are_inspected() {
    let mut foreign = config_map("foreign", "1");
    foreign["metadata"]["managedFields"] =
        json!([{"manager": "kubectl-edit", "operation": "Update"}]);
    let mut merge = foreign.clone();
    merge["metadata"]["name"] = json!("merge");
    merge["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": "Merge"});
    let mut world = World::default().applied(foreign).applied(merge);
    world
        .live
        .insert(object::id(&config_map("unwatched", "1")), Seen::Unknown);
    let mut merged = config_map("merge", "2");
    merged["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": "Merge"});
    let plan = world.plan(
        Trust::Memory,
        vec![
            config_map("foreign", "1"),
            merged,
            config_map("unwatched", "1"),
        ],
    );
    insta::assert_snapshot!(plan, @r"
    Rest: inspect ConfigMap/apps/foreign
    Rest: write ConfigMap/apps/merge
    Rest: inspect ConfigMap/apps/unwatched
    ");
}

#[test]
fn an_object_that_goes_away_is_left_until_it_is_gone() {
    let mut going = config_map("a", "1");
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let world = World::default().applied(config_map("a", "1")).live(going);
    insta::assert_snapshot!(world.plan(Trust::Memory, vec![config_map("a", "1")]), @"Rest: leave ConfigMap/apps/a");
}
