//! What goes wrong, one test each: the right condition and reason, one clear message, nothing pruned or
//! lost, nobody else disturbed, and recovery without help when the cause goes away.
//!
//! The tests share one cluster and one pair of controllers; each has a namespace of its own. What
//! disturbs everybody (the API server's own restart, expired watches) is in `outages.rs`.

mod support;

use anyhow::ensure;
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use sluice_tests::artifacts::{bomb, tarball};
use sluice_tests::case::{Case, LOGIN, Says, Stage, config_map};
use sluice_tests::cluster::{Place, place};
use sluice_tests::objects::{create, edit, objects, request};
use sluice_tests::relay::Relay;
use sluice_tests::{at, eventually};
use support::on_stage;

#[test]
fn an_unreachable_host_keeps_the_last_artifact() {
    on_stage(async |stage| {
        let git = stage.git.base.trim_start_matches("http://").parse()?;
        let mut host = Relay::start(git).await?;
        let url = format!("http://{}/unreachable-host.git", host.address);
        let source = json!({"url": url});
        let mut case = Case::begin_at(stage, "unreachable-host", source).await?;
        let last = case.revision.clone();
        host.go().await?;
        let new = case.map("new", "two");
        let missed = case.commit(&[("faulty/new.yaml", &new)], &[]).await?;
        let prefix = format!(
            "failed to checkout and determine revision: unable to list remote for '{url}': "
        );
        let says = case
            .source_fails("GitOperationFailed", Says::All(&[&prefix, "refused"]))
            .await?;
        case.has_one_warning("GitRepository", "app", &says).await?;
        let source = case.sources().get("app").await?;
        ensure!(at(&source, "/status/artifact/revision") == &last);
        case.nothing_happened().await?;
        host.come_back().await?;
        ensure!(case.revision == missed);
        case.recovers().await
    });
}

#[test]
fn wrong_credentials_keep_the_last_artifact() {
    on_stage(async |stage| {
        let client = &stage.cluster.client;
        sluice::up::cluster::ensure_namespace(client, "wrong-credentials").await?;
        let secrets = objects(client, "secrets.v1", "Secret", "wrong-credentials");
        let login = |password: &str| json!({"username": LOGIN.0, "password": password});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"},
            "stringData": login(LOGIN.1)});
        create(&secrets, secret).await?;
        let url = stage.private.url("wrong-credentials");
        let spec = json!({"url": url, "secretRef": {"name": "login"}});
        let mut case = Case::begin_at(stage, "wrong-credentials", spec).await?;
        edit(
            &secrets,
            "login",
            &json!({"stringData": login("open-sesame")}),
        )
        .await?;
        case.commit(&[("README.md", "Missed.\n")], &[]).await?;
        let prefix = format!("unable to list remote for '{url}': ");
        let says = case
            .source_fails("GitOperationFailed", Says::All(&[&prefix, "auth"]))
            .await?;
        ensure!(!says.contains("open-sesame"), "a secret in `{says}`");
        case.nothing_happened().await?;
        edit(&secrets, "login", &json!({"stringData": login(LOGIN.1)})).await?;
        case.recovers().await
    });
}

#[test]
fn missing_credentials_are_named() {
    on_stage(async |stage| {
        let case = Case::begin(stage, "missing-credentials").await?;
        let spec = json!({"spec": {"url": stage.private.url("missing-credentials"),
            "secretRef": {"name": "login"}}});
        edit(&case.sources(), "app", &spec).await?;
        let text = "failed to get secret 'missing-credentials/login': failed to get secret \
                    'missing-credentials/login': secrets \"login\" not found";
        case.source_fails("AuthenticationFailed", Says::Exactly(text.to_owned()))
            .await?;
        case.nothing_happened().await?;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"},
            "stringData": {"username": LOGIN.0, "password": LOGIN.1}});
        create(&case.objects("secrets.v1", "Secret"), secret).await?;
        case.recovers().await
    });
}

#[test]
fn an_unknown_branch_keeps_the_last_artifact() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "unknown-branch").await?;
        let branch = json!({"spec": {"ref": {"branch": "later"}}});
        edit(&case.sources(), "app", &branch).await?;
        let text = format!(
            "failed to checkout and determine revision: unable to clone '{}': couldn't find remote ref \
             \"refs/heads/later\"",
            stage.git.url("unknown-branch")
        );
        let said = case
            .source_fails("GitOperationFailed", Says::Exactly(text))
            .await?;
        case.has_one_warning("GitRepository", "app", &said).await?;
        case.nothing_happened().await?;
        case.revision = case.tree.branch("later")?;
        case.recovers().await
    });
}

#[test]
fn a_missing_path_prunes_nothing() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "missing-path").await?;
        let kept = case.tree.read("faulty/kept.yaml")?;
        case.commit(&[], &["faulty/kept.yaml"]).await?;
        let parts = [
            "kustomization path not found: stat ",
            "/faulty: no such file or directory",
        ];
        let said = case.fails("ArtifactFailed", Says::All(&parts)).await?;
        case.has_one_warning("Kustomization", "faulty", &said)
            .await?;
        case.bystander_goes_on().await?;
        case.commit(&[("faulty/kept.yaml", &kept)], &[]).await?;
        case.recovers().await
    });
}

#[test]
fn invalid_yaml_is_refused_with_its_place() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "invalid-yaml").await?;
        let good = case.revision.clone();
        let bad = case.map("new", "one").replace("data:\n", "data: [\n");
        case.commit(&[("faulty/new.yaml", &bad)], &[]).await?;
        let parts = ["new.yaml:", "yaml"];
        let said = case.fails("BuildFailed", Says::All(&parts)).await?;
        case.has_one_warning("Kustomization", "faulty", &said)
            .await?;
        case.bystander_goes_on().await?;
        case.revert_to(&good).await?;
        case.recovers().await
    });
}

#[test]
fn duplicate_ids_are_refused() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "duplicate-ids").await?;
        let good = case.revision.clone();
        let again = case.map("kept", "another");
        case.commit(&[("faulty/again.yaml", &again)], &[]).await?;
        let parts = [
            "may not add resource with an already registered id: ConfigMap.v1.[noGrp]/kept.duplicate-ids",
        ];
        let said = case.fails("BuildFailed", Says::All(&parts)).await?;
        case.has_one_warning("Kustomization", "faulty", &said)
            .await?;
        case.bystander_goes_on().await?;
        case.revert_to(&good).await?;
        case.recovers().await
    });
}

#[test]
fn an_unknown_kind_applies_nothing_of_the_commit() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "unknown-kind").await?;
        let good = case.revision.clone();
        let unknown =
            "apiVersion: apps/v1\nkind: Gadget\nmetadata:\n  name: g\n  namespace: unknown-kind\n";
        let new = case.map("new", "one");
        case.commit(
            &[("faulty/gadget.yaml", unknown), ("faulty/new.yaml", &new)],
            &[],
        )
        .await?;
        let text = "Gadget/unknown-kind/g dry-run failed: no matches for kind \"Gadget\" in version \
                    \"apps/v1\"";
        let said = case
            .fails("ReconciliationFailed", Says::All(&[text]))
            .await?;
        case.has_one_warning("Kustomization", "faulty", &said)
            .await?;
        case.bystander_goes_on().await?;
        ensure!(
            case.config_maps().get_opt("new").await?.is_none(),
            "half a commit"
        );
        case.revert_to(&good).await?;
        case.recovers().await
    });
}

#[test]
fn a_missing_crd_is_waited_for() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "missing-crd").await?;
        let custom = "apiVersion: missing.example.test/v1\nkind: Late\nmetadata:\n  name: l\n  namespace: missing-crd\n";
        case.commit(&[("faulty/late.yaml", custom)], &[]).await?;
        let text = "Late/missing-crd/l dry-run failed: no matches for kind \"Late\" in version \
                    \"missing.example.test/v1\"";
        case.fails("ReconciliationFailed", Says::All(&[text]))
            .await?;
        case.bystander_goes_on().await?;
        let crds = "customresourcedefinitions.v1.apiextensions.k8s.io";
        let crds = objects(&stage.cluster.client, crds, "CustomResourceDefinition", "");
        create(
            &crds,
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "lates.missing.example.test"},
                "spec": {"group": "missing.example.test", "scope": "Namespaced",
                    "names": {"kind": "Late", "plural": "lates", "singular": "late", "listKind": "LateList"},
                    "versions": [{"name": "v1", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": {"type": "object"}}}]}}),
        )
        .await?;
        case.recovers().await?;
        case.objects("lates.v1.missing.example.test", "Late")
            .get("l")
            .await?;
        Ok(())
    });
}

#[test]
fn an_immutable_field_is_not_forced() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "immutable-field").await?;
        let deployment = |label: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: immutable-field}}\nspec:\n  replicas: 0\n  selector: {{matchLabels: {{app: {label}}}}}\n  template:\n    metadata: {{labels: {{app: {label}}}}}\n    spec: {{containers: [{{name: web, image: web}}]}}\n"
            )
        };
        case.commit(&[("faulty/web.yaml", &deployment("one"))], &[])
            .await?;
        case.is_ready().await?;
        let deployments = case.objects("deployments.v1.apps", "Deployment");
        let before = deployments.get("web").await?;
        case.commit(&[("faulty/web.yaml", &deployment("two"))], &[])
            .await?;
        let parts = [
            "Deployment/immutable-field/web dry-run failed (Invalid): Deployment.apps \"web\" is invalid: spec.selector: Invalid value: ",
            "field is immutable",
        ];
        let said = case
            .fails("ReconciliationFailed", Says::All(&parts))
            .await?;
        case.has_one_warning("Kustomization", "faulty", &said)
            .await?;
        case.bystander_goes_on().await?;
        let after = deployments.get("web").await?;
        ensure!(after.uid() == before.uid(), "recreated");
        case.commit(&[("faulty/web.yaml", &deployment("one"))], &[])
            .await?;
        case.recovers().await?;
        ensure!(
            deployments.get("web").await?.uid() == before.uid(),
            "recreated"
        );
        Ok(())
    });
}

/// On a real cluster a ValidatingAdmissionPolicy refuses; on the embedded one, which does not run
/// policies, a namespace that is going away.
#[test]
fn a_refusal_by_admission_says_who_refused() {
    on_stage(async |stage| match place() {
        Place::Embedded => refused_by_a_leaving_namespace(stage).await,
        Place::Real => refused_by_a_policy(stage).await,
    });
}

async fn refused_by_a_leaving_namespace(stage: &Stage) -> anyhow::Result<()> {
    let client = &stage.cluster.client;
    let mut case = Case::begin(stage, "admission").await?;
    sluice::up::cluster::ensure_namespace(client, "leaving").await?;
    let maps = objects(client, "configmaps.v1", "ConfigMap", "leaving");
    let holder = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "holder", "finalizers": ["example.test/holds"]}});
    create(&maps, holder).await?;
    let namespaces = objects(client, "namespaces.v1", "Namespace", "");
    namespaces.delete("leaving", &Default::default()).await?;
    let refused = config_map("leaving", "refused", "one");
    case.commit(&[("faulty/refused.yaml", &refused)], &[])
        .await?;
    let parts = [
        "ConfigMap/leaving/refused dry-run failed (Forbidden): configmaps \"refused\" is forbidden: ",
        "unable to create new content in namespace leaving because it is being terminated",
    ];
    let said = case
        .fails("ReconciliationFailed", Says::All(&parts))
        .await?;
    case.has_one_warning("Kustomization", "faulty", &said)
        .await?;
    case.bystander_goes_on().await?;
    edit(&maps, "holder", &json!({"metadata": {"finalizers": null}})).await?;
    eventually("the namespace to be gone", || async {
        ensure!(
            namespaces.get_opt("leaving").await?.is_none(),
            "still there"
        );
        Ok(())
    })
    .await?;
    sluice::up::cluster::ensure_namespace(client, "leaving").await?;
    case.recovers().await
}

async fn refused_by_a_policy(stage: &Stage) -> anyhow::Result<()> {
    let client = &stage.cluster.client;
    let mut case = Case::begin(stage, "admission").await?;
    let group = "v1.admissionregistration.k8s.io";
    let kind = "ValidatingAdmissionPolicy";
    let policies = objects(
        client,
        &format!("validatingadmissionpolicies.{group}"),
        kind,
        "",
    );
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": "no-refused"}, "spec": {"failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
        "validations": [{"expression": "object.metadata.name != 'refused'", "message": "not that one"}]}});
    create(&policies, policy).await?;
    let kind = "ValidatingAdmissionPolicyBinding";
    let bindings = objects(
        client,
        &format!("validatingadmissionpolicybindings.{group}"),
        kind,
        "",
    );
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": "no-refused"},
        "spec": {"policyName": "no-refused", "validationActions": ["Deny"]}});
    create(&bindings, binding).await?;
    let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "refused"}});
    let probe = serde_json::from_value(probe)?;
    let dry = kube::api::PostParams {
        dry_run: true,
        ..Default::default()
    };
    eventually("the policy to be in force", || async {
        let refused = case.config_maps().create(&dry, &probe).await;
        ensure!(refused.is_err(), "accepted");
        Ok(())
    })
    .await?;
    let refused = case.map("refused", "one");
    case.commit(&[("faulty/refused.yaml", &refused)], &[])
        .await?;
    let parts = [
        "ConfigMap/admission/refused dry-run failed (",
        "no-refused",
        "not that one",
    ];
    let said = case
        .fails("ReconciliationFailed", Says::All(&parts))
        .await?;
    case.has_one_warning("Kustomization", "faulty", &said)
        .await?;
    case.bystander_goes_on().await?;
    bindings.delete("no-refused", &Default::default()).await?;
    case.recovers().await
}

#[test]
fn a_missing_config_map_or_secret_is_named_and_waited_for() {
    on_stage(async |stage| {
        for kind in ["ConfigMap", "Secret"] {
            let name = format!("missing-{}", kind.to_lowercase());
            let case = Case::begin(stage, &name).await?;
            let from = json!({"spec": {"postBuild":
                {"substituteFrom": [{"kind": kind, "name": "settings"}]}}});
            edit(&case.kustomizations(), "faulty", &from).await?;
            let plural = format!("{}s", kind.to_lowercase());
            let text = format!(
                "post build failed for 'ConfigMap.v1.[noGrp]/kept': substitute from '{kind}/settings' error: {plural} \"settings\" not found"
            );
            let said = case.fails("BuildFailed", Says::All(&[&text])).await?;
            case.has_one_warning("Kustomization", "faulty", &said)
                .await?;
            case.nothing_happened().await?;
            let field = if kind == "Secret" {
                "stringData"
            } else {
                "data"
            };
            let settings = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "settings"},
                field: {"region": "north"}});
            create(&case.objects(&format!("{plural}.v1"), kind), settings).await?;
            case.recovers().await?;
        }
        Ok(())
    });
}

#[test]
fn a_cycle_of_dependencies_stops_only_those_in_it() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "cycle").await?;
        let on = |name: &str| json!({"path": "./second", "dependsOn": [{"name": name}]});
        let second = case.map("second", "one");
        case.commit(&[("second/map.yaml", &second)], &[]).await?;
        case.add("second", on("faulty")).await?;
        case.comes_to("second").await?;
        let cyclic = json!({"spec": {"dependsOn": [{"name": "second"}]}});
        edit(&case.kustomizations(), "faulty", &cyclic).await?;
        case.commit(&[("README.md", "Later.\n")], &[]).await?;
        case.fails(
            "DependencyNotReady",
            Says::All(&["dependency 'cycle/second' "]),
        )
        .await?;
        case.bystander_goes_on().await?;
        let acyclic = json!({"spec": {"dependsOn": []}});
        edit(&case.kustomizations(), "faulty", &acyclic).await?;
        case.comes_to("second").await?;
        case.recovers().await
    });
}

/// A source whose artifact a test makes by hand: suspended, so that source-controller leaves it alone.
async fn publish(case: &Case<'_>, artifact: serde_json::Value) -> anyhow::Result<()> {
    let status = json!({"status": {"artifact": artifact}});
    let params = PatchParams::default();
    case.sources()
        .patch_status("app", &params, &Patch::Merge(&status))
        .await?;
    Ok(())
}

async fn hostile_artifact(
    stage: &Stage,
    name: &str,
    hostile: Vec<u8>,
    says: Says<'_>,
) -> anyhow::Result<()> {
    let mut case = Case::begin(stage, name).await?;
    edit(&case.sources(), "app", &json!({"spec": {"suspend": true}})).await?;
    let revision = "main@sha1:00000000000000000000000000000000000000aa";
    let file = format!("{name}-hostile.tar.gz");
    publish(&case, stage.artifacts.publish(&file, revision, hostile)).await?;
    let said = case.fails("ArtifactFailed", says).await?;
    case.has_one_warning("Kustomization", "faulty", &said)
        .await?;
    case.nothing_happened().await?;
    let [kept, bystander] = [case.map("kept", "one"), case.map("bystander", "one")];
    let good = tarball(&[
        ("faulty/kept.yaml", kept.as_bytes()),
        ("bystander/map.yaml", bystander.as_bytes()),
    ])?;
    case.revision = "main@sha1:00000000000000000000000000000000000000bb".to_owned();
    let file = format!("{name}-good.tar.gz");
    publish(&case, stage.artifacts.publish(&file, &case.revision, good)).await?;
    case.comes_to("faulty").await?;
    case.bystander_goes_on().await
}

#[test]
fn a_tar_that_leaves_its_folder_is_refused() {
    on_stage(async |stage| {
        let map = config_map("escaping-tar", "escaped", "one");
        let hostile = tarball(&[
            ("faulty/kept.yaml", map.as_bytes()),
            ("faulty/../../escaped.yaml", map.as_bytes()),
        ])?;
        let parts = ["tar contains invalid name `faulty/../../escaped.yaml`"];
        hostile_artifact(stage, "escaping-tar", hostile, Says::All(&parts)).await?;
        let maps = objects(
            &stage.cluster.client,
            "configmaps.v1",
            "ConfigMap",
            "escaping-tar",
        );
        let listed = maps.list(&ListParams::default()).await?;
        ensure!(listed.iter().all(|map| map.name_any() != "escaped"));
        Ok(())
    });
}

#[test]
fn a_gigabyte_in_a_small_archive_is_refused() {
    on_stage(async |stage| {
        let parts = ["the archive expands to more than "];
        let hostile = bomb("faulty/kept.yaml", 1)?;
        hostile_artifact(stage, "archive-bomb", hostile, Says::All(&parts)).await
    });
}

#[test]
fn a_gigabyte_blob_in_a_commit_is_refused() {
    on_stage(async |stage| {
        let mut case = Case::begin(stage, "gigabyte-blob").await?;
        let good = case.revision.clone();
        let blob = support::gigabyte_blob(case.tree.folder())?;
        case.revision = case.tree.commit_object("huge.bin", blob)?;
        request(&case.sources(), "app").await?;
        let parts = ["`huge.bin` has 1073741824 bytes, more than the "];
        let said = case
            .source_fails("ArchiveOperationFailed", Says::All(&parts))
            .await?;
        case.has_one_warning("GitRepository", "app", &said).await?;
        case.nothing_happened().await?;
        case.revert_to(&good).await?;
        case.recovers().await
    });
}
