//! Whole turns in a world in memory: what is requested, said and remembered.

// Helpers of tests may panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Fake, config_map, key, kustomization};
use kustomize_controller::cluster::Refusal;
use serde_json::{Value, json};
use sluice_api::kustomize::Kustomization;
use sluice_runtime::controller::Next;

const PATIENCE: Duration = Duration::from_secs(600);

fn fake(spec: Value) -> Fake {
    let fake = Fake::default();
    fake.state().ks = Some(kustomization(spec));
    fake
}

fn change(fake: &Fake, change: impl FnOnce(&mut Kustomization)) {
    let mut state = fake.state();
    let ks = state.ks.as_mut().unwrap();
    change(ks);
    ks.metadata.generation = ks.metadata.generation.map(|g| g + 1);
}

fn invalid(message: &str) -> Refusal {
    Refusal {
        code: 422,
        reason: "Invalid".into(),
        message: message.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_install_costs_one_request_an_object_and_three_for_itself() {
    let fake = fake(json!({"wait": true}));
    fake.publish("r1", vec![config_map("a", "1"), config_map("b", "1")]);
    let reconciler = fake.reconciler(&[]);
    assert!(fake.settle(&reconciler, PATIENCE).await);
    assert_eq!(
        fake.requests(),
        [
            "finalizers",
            "status",
            "apply ConfigMap/apps/a",
            "apply ConfigMap/apps/b",
            "status"
        ]
    );
    assert_eq!(
        fake.notices(),
        [
            "Progressing: ConfigMap/apps/a created\nConfigMap/apps/b created",
            "Progressing: Health check passed in 0s",
            "ReconciliationSucceeded: Reconciliation finished in 0s, next run in 1h0m0s",
        ]
    );
    assert_eq!(
        fake.ready(),
        "True ReconciliationSucceeded: Applied revision: r1"
    );
    assert_eq!(fake.inventory(), ["apps_a__ConfigMap", "apps_b__ConfigMap"]);
}

#[tokio::test(start_paused = true)]
async fn a_reconciliation_without_news_writes_the_status_and_nothing_else() {
    let fake = fake(json!({"wait": true}));
    let objects: Vec<_> = (0..100)
        .map(|i| config_map(&format!("c{i}"), "1"))
        .collect();
    fake.publish("r1", objects);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.requests();
    fake.notices();
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.requests(), ["status"]);
    assert_eq!(fake.notices().len(), 1);
    assert_eq!(fake.status().history[0].total_reconciliations, 2);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_sends_what_changed_and_prunes_what_left() {
    let fake = fake(json!({}));
    fake.publish(
        "r1",
        vec![
            config_map("a", "1"),
            config_map("b", "1"),
            config_map("c", "1"),
        ],
    );
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.requests();
    fake.notices();
    fake.publish("r2", vec![config_map("a", "2"), config_map("b", "1")]);
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.requests(),
        [
            "apply ConfigMap/apps/a",
            "delete ConfigMap/apps/c",
            "status"
        ]
    );
    assert_eq!(
        fake.notices()[..2],
        [
            "Progressing: ConfigMap/apps/a configured",
            "Progressing: ConfigMap/apps/c deleted"
        ]
    );
    assert_eq!(fake.inventory(), ["apps_a__ConfigMap", "apps_b__ConfigMap"]);
}

#[tokio::test(start_paused = true)]
async fn drift_is_mended_without_a_reconciliation() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1"), config_map("b", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.requests();
    fake.notices();
    fake.remove("ConfigMap/apps/a");
    fake.edit("ConfigMap/apps/b", |live| {
        live["data"]["k"] = json!("edited")
    });
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.requests(),
        ["apply ConfigMap/apps/a", "apply ConfigMap/apps/b"]
    );
    assert_eq!(
        fake.notices(),
        ["Progressing: ConfigMap/apps/a created\nConfigMap/apps/b configured"]
    );
    assert_eq!(fake.state().live["ConfigMap/apps/b"]["data"]["k"], "1");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_changed_again_and_again_is_mended_ever_more_slowly() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    let began = tokio::time::Instant::now();
    for round in 0..8 {
        fake.edit("ConfigMap/apps/a", |live| {
            live["data"]["k"] = json!(format!("edit {round}"))
        });
        fake.settle(&reconciler, PATIENCE).await;
        assert_eq!(fake.state().live["ConfigMap/apps/a"]["data"]["k"], "1");
    }
    // 0 + 0 + 1 + 2 + 4 + 8 + 16 + 32
    assert_eq!(began.elapsed().as_secs(), 63);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_breaks_something_changes_nothing_else() {
    let fake = fake(json!({}));
    let immutable = |value: &str| {
        let mut object = config_map("a", value);
        object["immutable"] = json!(true);
        object
    };
    fake.publish("r1", vec![immutable("1"), config_map("z", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.requests();
    fake.notices();
    fake.publish("r2", vec![immutable("2"), config_map("z", "2")]);
    fake.state().refusals.push((
        "ConfigMap/apps/a".into(),
        invalid("ConfigMap \"a\" is invalid: data: Forbidden"),
    ));
    reconciler.registry.trigger(&key(), "test");
    let next = fake.turn(&reconciler).await;
    assert_eq!(next, Some(Next::After(Duration::from_secs(3600))));
    assert_eq!(
        fake.requests(),
        [
            "check ConfigMap/apps/a refused",
            "get ConfigMap/apps/a",
            "status"
        ]
    );
    assert_eq!(
        fake.ready(),
        "False ReconciliationFailed: ConfigMap/apps/a dry-run failed (Invalid): ConfigMap \"a\" is invalid: data: Forbidden\n"
    );
    assert_eq!(fake.state().live["ConfigMap/apps/z"]["data"]["k"], "1");
    assert_eq!(fake.inventory(), ["apps_a__ConfigMap", "apps_z__ConfigMap"]);
    assert_eq!(fake.status().last_applied_revision.as_deref(), Some("r1"));
    assert_eq!(fake.status().last_attempted_revision.as_deref(), Some("r2"));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_a_failure_stays_in_the_inventory() {
    let fake = fake(json!({}));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    fake.publish("r1", vec![config_map("a", "1"), namespace]);
    fake.state()
        .refusals
        .push(("ConfigMap/apps/a".into(), invalid("no")));
    let reconciler = fake.reconciler(&[]);
    fake.turn(&reconciler).await;
    assert_eq!(
        fake.ready(),
        "False ReconciliationFailed: ConfigMap/apps/a dry-run failed (Invalid): no\nNamespace/n created\n"
    );
    assert_eq!(fake.inventory(), ["_n__Namespace"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_of_somebody_else_is_read_before_it_is_overwritten() {
    let fake = fake(json!({}));
    let mut ignored = config_map("ignored", "own");
    ignored["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": "ignore"});
    {
        let mut state = fake.state();
        state.live.insert("ConfigMap/apps/ignored".into(), ignored);
        state
            .live
            .insert("ConfigMap/apps/plain".into(), config_map("plain", "own"));
    }
    fake.publish(
        "r1",
        vec![config_map("ignored", "1"), config_map("plain", "1")],
    );
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    let state = fake.state();
    assert_eq!(state.live["ConfigMap/apps/ignored"]["data"]["k"], "own");
    assert_eq!(state.live["ConfigMap/apps/plain"]["data"]["k"], "1");
    drop(state);
    assert_eq!(
        fake.notices()[0],
        "Progressing: ConfigMap/apps/plain configured"
    );
}

#[tokio::test(start_paused = true)]
async fn kinds_that_are_not_watched_are_compared_one_by_one() {
    let fake = fake(json!({}));
    fake.state().unwatched.insert("ConfigMap".into());
    fake.publish("r1", vec![config_map("a", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.requests();
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.requests(),
        ["get ConfigMap/apps/a", "check ConfigMap/apps/a", "status"]
    );
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, "namespace": "apps", "generation": 1}})
}

#[tokio::test(start_paused = true)]
async fn waiting_for_health_holds_nothing_and_ends_when_the_object_changes() {
    let fake = fake(json!({"wait": true, "timeout": "5m"}));
    fake.state().slow.insert("Widget".into());
    fake.publish("r1", vec![widget("w")]);
    let reconciler = fake.reconciler(&[]);
    fake.state().ks.as_mut().unwrap().metadata.finalizers =
        Some(vec!["finalizers.fluxcd.io".into()]);
    let Some(Next::After(_)) = fake.turn(&reconciler).await else {
        panic!("not parked")
    };
    // The progress is told once the wait is long enough, and only then.
    assert_eq!(fake.requests(), ["status", "apply Widget/apps/w"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let Some(Next::After(_)) = fake.turn(&reconciler).await else {
        panic!("not parked")
    };
    assert_eq!(fake.requests(), ["status"]);
    assert_eq!(
        fake.ready(),
        "Unknown Progressing: Reconciliation in progress"
    );
    fake.edit("Widget/apps/w", |live| {
        live["status"] = json!({"observedGeneration": 1})
    });
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.ready(),
        "True ReconciliationSucceeded: Applied revision: r1"
    );
    assert_eq!(fake.requests(), ["status"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_takes_too_long_fails_with_the_objects_named() {
    let fake = fake(json!({"wait": true, "timeout": "1m", "retryInterval": "10m"}));
    fake.state().slow.insert("Widget".into());
    fake.publish("r1", vec![widget("w")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, Duration::from_secs(300)).await;
    assert_eq!(
        fake.ready(),
        "False HealthCheckFailed: health check failed after 1m0s: timeout waiting for: [Widget/apps/w status: 'InProgress']"
    );
    let status = fake.status();
    assert_eq!(status.last_applied_revision, None);
    assert_eq!(
        status.history[0].last_reconciled_status,
        "HealthCheckFailed"
    );
    assert_eq!(fake.inventory(), ["apps_w_example.com_Widget"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_revision_supersedes_a_wait_at_once() {
    let fake = fake(json!({"wait": true, "timeout": "5m"}));
    fake.state().slow.insert("Widget".into());
    fake.publish("r1", vec![widget("w")]);
    let reconciler = fake.reconciler(&["--feature-gates=CancelHealthCheckOnNewRevision=true"]);
    fake.turn(&reconciler).await;
    let attempting = || reconciler.registry.attempting(&key());
    assert_eq!(attempting().as_deref(), Some("r1"));
    fake.publish("r2", vec![config_map("a", "1")]);
    reconciler
        .registry
        .trigger(&key(), "GitRepository/apps/app");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.ready(),
        "True ReconciliationSucceeded: Applied revision: r2"
    );
    let notices = fake.notices();
    let text = "HealthCheckCanceled: Health checks canceled due to new reconciliation triggered by GitRepository/apps/app";
    assert!(notices.iter().any(|n| n == text), "{notices:?}");
    assert_eq!(fake.live_names(), ["ConfigMap/apps/a"]);
    assert_eq!(attempting(), None);
}

#[tokio::test(start_paused = true)]
async fn a_definition_has_to_be_established_before_its_objects_are_applied() {
    let fake = fake(json!({}));
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget"}}});
    fake.publish("r1", vec![widget("w"), definition]);
    let reconciler = fake.reconciler(&[]);
    let Some(Next::After(delay)) = fake.turn(&reconciler).await else {
        panic!("not parked")
    };
    assert_eq!(delay, Duration::from_secs(5));
    assert_eq!(
        fake.live_names(),
        ["CustomResourceDefinition/widgets.example.com"]
    );
    fake.edit("CustomResourceDefinition/widgets.example.com", |live| {
        live["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
    });
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.notices()[0],
        "Progressing: CustomResourceDefinition/widgets.example.com created\nWidget/apps/w created"
    );
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_is_never_established_fails_after_a_minute() {
    let fake = fake(json!({"retryInterval": "10m"}));
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}});
    fake.publish("r1", vec![definition]);
    let reconciler = fake.reconciler(&[]);
    let began = tokio::time::Instant::now();
    fake.settle(&reconciler, Duration::from_secs(300)).await;
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(
        fake.ready(),
        "False ReconciliationFailed: timeout waiting for: [CustomResourceDefinition/x status: 'InProgress']\n\
         CustomResourceDefinition/x created\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_the_cluster_does_not_know_fails_before_anything_is_written() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1"), widget("w")]);
    fake.state().unknown.insert("Widget".into());
    let text = "no matches for kind \"Widget\" in version \"example.com/v1\"";
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, Duration::from_secs(300)).await;
    assert_eq!(
        fake.ready(),
        format!("False ReconciliationFailed: Widget/apps/w dry-run failed: {text}\n")
    );
    // Not even what would have been accepted is written.
    assert_eq!(fake.live_names(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn objects_of_a_kind_that_is_gone_are_gone_with_it() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1"), widget("w")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.notices();
    fake.remove("Widget/apps/w");
    fake.state().unknown.insert("Widget".into());
    fake.publish("r2", vec![config_map("a", "1")]);
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.notices()[0], "Progressing: Widget/apps/w deleted");
    assert_eq!(fake.inventory(), ["apps_a__ConfigMap"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_when_the_kustomization_is_gone() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.state().ks = None;
    assert_eq!(fake.turn(&reconciler).await, Some(Next::Gone));
    assert!(reconciler.registry.find(&key()).is_none());
}

#[tokio::test(start_paused = true)]
async fn force_recreates_and_waits_for_a_finalizer_without_a_worker() {
    let fake = fake(json!({"force": true}));
    let immutable = |value: &str| {
        let mut object = config_map("a", value);
        object["immutable"] = json!(true);
        object
    };
    fake.publish("r1", vec![immutable("1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.notices();
    fake.publish("r2", vec![immutable("2")]);
    {
        let mut state = fake.state();
        state.held.insert("ConfigMap/apps/a".into());
        state.refusals.push((
            "apply ConfigMap/apps/a".into(),
            invalid("field is immutable"),
        ));
    }
    reconciler.registry.trigger(&key(), "test");
    let Some(Next::After(_)) = fake.turn(&reconciler).await else {
        panic!("not parked")
    };
    assert!(fake.state().live["ConfigMap/apps/a"]["metadata"]["deletionTimestamp"].is_string());
    // The finalizer goes.
    fake.state().refusals.clear();
    fake.remove("ConfigMap/apps/a");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.state().live["ConfigMap/apps/a"]["data"]["k"], "2");
    assert_eq!(fake.notices()[0], "Progressing: ConfigMap/apps/a created");
}

#[tokio::test(start_paused = true)]
async fn force_does_not_delete_what_would_be_refused_anyway() {
    let fake = fake(json!({"force": true}));
    fake.publish("r1", vec![config_map("a", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.publish("r2", vec![config_map("a", "2")]);
    fake.state().refusals.push((
        "ConfigMap/apps/a".into(),
        invalid("port: must be between 1 and 65535"),
    ));
    reconciler.registry.trigger(&key(), "test");
    fake.turn(&reconciler).await;
    assert_eq!(fake.live_names(), ["ConfigMap/apps/a"]);
    assert!(
        fake.ready()
            .starts_with("False ReconciliationFailed: ConfigMap/apps/a dry-run failed (Invalid)")
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_delete_stays_in_the_inventory_and_is_tried_again() {
    let fake = fake(json!({"retryInterval": "10m"}));
    fake.publish("r1", vec![config_map("a", "1"), config_map("b", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.publish("r2", vec![config_map("a", "1")]);
    fake.state().refusals.push((
        "delete ConfigMap/apps/b".into(),
        Refusal {
            code: 403,
            reason: "Forbidden".into(),
            message: "denied".into(),
        },
    ));
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, Duration::from_secs(300)).await;
    assert_eq!(
        fake.ready(),
        "False PruneFailed: delete failed, errors: ConfigMap/apps/b delete failed: denied;"
    );
    assert_eq!(fake.inventory(), ["apps_a__ConfigMap", "apps_b__ConfigMap"]);
    fake.state().refusals.clear();
    tokio::time::sleep(Duration::from_secs(600)).await;
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.inventory(), ["apps_a__ConfigMap"]);
    assert_eq!(fake.live_names(), ["ConfigMap/apps/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_dependent_is_blocked_without_a_worker_and_says_why_once() {
    let fake = fake(json!({"dependsOn": [{"name": "base"}]}));
    fake.publish("r1", vec![config_map("a", "1")]);
    let reconciler = fake.reconciler(&[]);
    assert_eq!(
        fake.turn(&reconciler).await,
        Some(Next::After(Duration::from_secs(30)))
    );
    assert_eq!(
        fake.turn(&reconciler).await,
        Some(Next::After(Duration::from_secs(30)))
    );
    assert_eq!(
        fake.notices(),
        ["DependencyNotReady: Dependencies do not meet ready condition, retrying in 30s"]
    );
    assert_eq!(
        fake.ready(),
        "False DependencyNotReady: dependency 'apps/base' not found: kustomizations.kustomize.toolkit.fluxcd.io \"base\" not found"
    );
    let base = sluice_runtime::informer::ObjectKey::new("apps", "base");
    let waiting = reconciler.registry.waiting_for(&base);
    assert_eq!(
        waiting.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        [&key()]
    );
    let mut ready = kustomization(json!({}));
    let condition = json!({"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    ready.status = serde_json::from_value(
        json!({"observedGeneration": 1, "lastAppliedRevision": "r1", "conditions": [condition]}),
    )
    .unwrap();
    fake.state().others.insert(base, ready);
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.ready(),
        "True ReconciliationSucceeded: Applied revision: r1"
    );
}

#[tokio::test(start_paused = true)]
async fn deletion_takes_the_objects_along_in_reverse() {
    let fake =
        fake(json!({"deletionPolicy": "WaitForTermination", "prune": false, "timeout": "1m"}));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    fake.publish(
        "r1",
        vec![namespace, config_map("a", "1"), config_map("b", "1")],
    );
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.requests();
    fake.notices();
    fake.state().held.insert("ConfigMap/apps/a".into());
    change(&fake, |ks| {
        ks.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap()
    });
    reconciler.registry.trigger(&key(), "test");
    let Some(Next::After(_)) = fake.turn(&reconciler).await else {
        panic!("not parked")
    };
    assert_eq!(
        fake.requests()[..3],
        [
            "delete ConfigMap/apps/b",
            "delete ConfigMap/apps/a",
            "delete Namespace/n"
        ]
    );
    assert_eq!(
        fake.notices(),
        [
            "ReconciliationSucceeded: ConfigMap/apps/b deleted\nConfigMap/apps/a deleted\nNamespace/n deleted"
        ]
    );
    fake.remove("ConfigMap/apps/a");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fake.turn(&reconciler).await, Some(Next::Wait));
    assert!(fake.state().ks.is_none());
    assert!(
        fake.notices()[0].starts_with("ReconciliationSucceeded: Reconciliation finished in 2s")
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_service_account_leaves_the_objects_behind() {
    let fake = fake(json!({"serviceAccountName": "absent"}));
    fake.publish("r1", vec![config_map("a", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.notices();
    change(&fake, |ks| {
        ks.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap()
    });
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.live_names(), ["ConfigMap/apps/a"]);
    assert_eq!(
        fake.notices()[0],
        "ReconciliationSucceeded: unable to prune objects: \nConfigMap/apps/a"
    );
}

#[tokio::test(start_paused = true)]
async fn a_suspended_one_is_left_alone_and_catches_up() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1"), config_map("b", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    change(&fake, |ks| ks.spec.suspend = true);
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    fake.remove("ConfigMap/apps/a");
    fake.requests();
    fake.notices();
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.requests(), Vec::<String>::new());
    assert_eq!(fake.status().observed_generation, Some(2));
    fake.publish("r2", vec![config_map("a", "1"), config_map("b", "2")]);
    change(&fake, |ks| ks.spec.suspend = false);
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(
        fake.notices()[0],
        "Progressing: ConfigMap/apps/a created\nConfigMap/apps/b configured"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_left_to_apply_prunes_everything() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.publish("r2", Vec::new());
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.live_names(), Vec::<String>::new());
    assert_eq!(fake.status().inventory.map(|i| i.entries.len()), Some(0));
}

#[tokio::test(start_paused = true)]
async fn with_prune_off_objects_leave_the_inventory_and_stay() {
    let fake = fake(json!({"prune": false}));
    fake.publish("r1", vec![config_map("a", "1"), config_map("b", "1")]);
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    fake.publish("r2", vec![config_map("a", "1")]);
    reconciler.registry.trigger(&key(), "test");
    fake.settle(&reconciler, PATIENCE).await;
    assert_eq!(fake.inventory(), ["apps_a__ConfigMap"]);
    assert_eq!(fake.live_names().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_each_object_is_sent_once_and_then_left_alone() {
    let fake = fake(json!({}));
    fake.publish("r1", vec![config_map("a", "1"), config_map("b", "1")]);
    fake.settle(&fake.reconciler(&[]), PATIENCE).await;
    fake.requests();
    fake.notices();
    let restarted = fake.reconciler(&[]);
    fake.settle(&restarted, PATIENCE).await;
    assert_eq!(
        fake.requests(),
        ["apply ConfigMap/apps/a", "apply ConfigMap/apps/b", "status"]
    );
    assert_eq!(
        fake.notices(),
        ["ReconciliationSucceeded: Reconciliation finished in 0s, next run in 1h0m0s"]
    );
    restarted.registry.trigger(&key(), "test");
    fake.settle(&restarted, PATIENCE).await;
    assert_eq!(fake.requests(), ["status"]);
}
