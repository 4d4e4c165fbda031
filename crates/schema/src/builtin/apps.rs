//! apps: Deployment, StatefulSet, DaemonSet, ReplicaSet, ControllerRevision; and ReplicationController, their elder.

use serde_json::{Value, json};

use super::meta::{self, selects, validate_selector};
use super::pod::validate_template;
use super::tools::{
    Errors, Object, Path, check, check_immutable, check_not_negative, count, fill, has, int,
    internal, items, object, same, text,
};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const DEPLOYMENT: Rules = Rules {
    generation: Generation::SpecAndAnnotations,
    defaults: default_deployment,
    validate: |object, errors| validate_deployment(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_deployment(&new["spec"], errors);
        check_immutable(
            errors,
            &spec("selector"),
            &new["spec"]["selector"],
            &old["spec"]["selector"],
        );
    },
    validate_status: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_replica_status(&new["status"], errors);
    },
    ..Rules::COMMON
};

pub(super) const REPLICA_SET: Rules = Rules {
    generation: Generation::Spec,
    defaults: |object| fill(spec_of(object), "replicas", 1),
    validate: |object, errors| validate_replica_set(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_replica_set(&new["spec"], errors);
        check_immutable(
            errors,
            &spec("selector"),
            &new["spec"]["selector"],
            &old["spec"]["selector"],
        );
    },
    ..Rules::COMMON
};

pub(super) const STATEFUL_SET: Rules = Rules {
    generation: Generation::Spec,
    defaults: default_stateful_set,
    validate: |object, errors| {
        validate_stateful_set(&object["spec"], errors);
        validate_claim_templates(&object["spec"], errors);
        let name = &object["spec"]["serviceName"];
        if !text(name).is_empty() {
            check(
                errors,
                &spec("serviceName"),
                name,
                names::dns_label(text(name)),
            );
        }
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_stateful_set(&new["spec"], errors);
        let mutable = [
            "replicas",
            "template",
            "updateStrategy",
            "minReadySeconds",
            "ordinals",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
        ];
        let fixed = |object: &Value| {
            let mut spec = object["spec"].clone();
            if let Some(spec) = spec.as_object_mut() {
                spec.retain(|key, _| !mutable.contains(&key.as_str()));
            }
            spec
        };
        if !same(&fixed(new), &fixed(old)) {
            errors.push(FieldError::forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                 'minReadySeconds' are forbidden",
            ));
        }
    },
    ..Rules::COMMON
};

pub(super) const DAEMON_SET: Rules = Rules {
    generation: Generation::Spec,
    defaults: default_daemon_set,
    validate: |object, errors| validate_daemon_set(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        check_immutable(
            errors,
            &spec("selector"),
            &new["spec"]["selector"],
            &old["spec"]["selector"],
        );
        validate_daemon_set(&new["spec"], errors);
    },
    prepare_create: |object| template_generation(object, 1),
    prepare_update: |new, old| {
        let generation = old["metadata"]["annotations"][TEMPLATE_GENERATION]
            .as_str()
            .and_then(|text| text.parse().ok());
        let generation: i64 = generation.unwrap_or(1);
        let grows = !same(&new["spec"]["template"], &old["spec"]["template"]);
        template_generation(new, generation + i64::from(grows));
    },
    ..Rules::COMMON
};

pub(super) const CONTROLLER_REVISION: Rules = Rules {
    validate: |object, errors| {
        if !has(&object["data"]) {
            errors.push(FieldError::required("data", "data is mandatory"));
        }
        check_not_negative(errors, &Path::new("revision"), &object["revision"]);
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        check_not_negative(errors, &Path::new("revision"), &new["revision"]);
        check_immutable(errors, &Path::new("data"), &new["data"], &old["data"]);
    },
    ..Rules::COMMON
};

pub(super) const REPLICATION_CONTROLLER: Rules = Rules {
    generation: Generation::Spec,
    defaults: |object| {
        let labels = object["spec"]["template"]["metadata"]["labels"].clone();
        if count(&labels) > 0 {
            if count(&object["spec"]["selector"]) == 0 {
                object["spec"]["selector"] = labels.clone();
            }
            if count(&object["metadata"]["labels"]) == 0 {
                object["metadata"]["labels"] = labels;
            }
        }
        fill(spec_of(object), "replicas", 1);
    },
    validate: |object, errors| validate_replication_controller(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_replication_controller(&new["spec"], errors);
    },
    ..Rules::COMMON
};

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// The old API kept this number in the spec; the new one shows it as an annotation.
fn template_generation(object: &mut Value, generation: i64) {
    object["metadata"]["annotations"][TEMPLATE_GENERATION] = generation.to_string().into();
}

fn spec(name: &str) -> Path {
    Path::new("spec").child(name)
}

pub(super) fn spec_of(value: &mut Value) -> &mut Object {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => object(map, "spec"),
        _ => unreachable!("just made an object"),
    }
}

fn default_deployment(value: &mut Value) {
    let spec = spec_of(value);
    fill(spec, "replicas", 1);
    let strategy = object(spec, "strategy");
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let update = object(strategy, "rollingUpdate");
        fill(update, "maxUnavailable", "25%");
        fill(update, "maxSurge", "25%");
    }
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
}

fn default_daemon_set(value: &mut Value) {
    let spec = spec_of(value);
    let strategy = object(spec, "updateStrategy");
    fill(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let update = object(strategy, "rollingUpdate");
        fill(update, "maxUnavailable", 1);
        fill(update, "maxSurge", 0);
    }
    fill(spec, "revisionHistoryLimit", 10);
}

fn default_stateful_set(value: &mut Value) {
    let spec = spec_of(value);
    fill(spec, "podManagementPolicy", "OrderedReady");
    let strategy = object(spec, "updateStrategy");
    if text(strategy.get("type").unwrap_or(&Value::Null)).is_empty() {
        fill(strategy, "type", "RollingUpdate");
        object(strategy, "rollingUpdate");
    }
    if strategy["type"] == "RollingUpdate" && strategy.contains_key("rollingUpdate") {
        let update = object(strategy, "rollingUpdate");
        fill(update, "partition", 0);
    }
    let retention = object(spec, "persistentVolumeClaimRetentionPolicy");
    fill(retention, "whenDeleted", "Retain");
    fill(retention, "whenScaled", "Retain");
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    for claim in spec
        .get_mut("volumeClaimTemplates")
        .map(super::tools::items_mut)
        .unwrap_or_default()
    {
        super::volume::default_claim(claim);
    }
}

/// Validates a selector that has to be there, and the template that it has to select.
fn validate_selected_template(values: &Value, empty: &str, errors: &mut Errors) {
    let selector = &values["selector"];
    let path = spec("selector");
    if has(selector) {
        validate_selector(selector, &path, errors);
        if count(&selector["matchLabels"]) + count(&selector["matchExpressions"]) == 0 {
            errors.push(FieldError::invalid(
                &path,
                selector,
                format!("empty selector is invalid for {empty}"),
            ));
        }
    } else {
        errors.push(FieldError::required(&path, ""));
    }
}

fn validate_labels_match(values: &Value, errors: &mut Errors) {
    let (selector, labels) = (
        &values["selector"],
        &values["template"]["metadata"]["labels"],
    );
    if !has(selector) || !selects(selector, labels) {
        let path = spec("template").child("metadata").child("labels");
        errors.push(FieldError::invalid(
            path,
            labels,
            "`selector` does not match template `labels`",
        ));
    }
}

/// What the pods of a controller that keeps them running may not be.
fn validate_running_template(values: &Value, kind: &str, errors: &mut Errors) {
    let (pod, path) = (&values["template"]["spec"], spec("template").child("spec"));
    if pod["restartPolicy"] != "Always" {
        errors.push(FieldError::not_supported(
            path.child("restartPolicy"),
            &pod["restartPolicy"],
            &["Always"],
        ));
    }
    if has(&pod["activeDeadlineSeconds"]) {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(
            path.child("activeDeadlineSeconds"),
            why,
        ));
    }
}

fn validate_deployment(values: &Value, errors: &mut Errors) {
    check_not_negative(errors, &spec("replicas"), &values["replicas"]);
    validate_selected_template(values, "deployment", errors);
    validate_labels_match(values, errors);
    validate_template(&values["template"], &spec("template"), errors);
    validate_running_template(values, "ReplicaSet", errors);
    validate_strategy(&values["strategy"], errors);
    for name in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        check_not_negative(errors, &spec(name), &values[name]);
    }
    let deadline = &values["progressDeadlineSeconds"];
    if has(deadline) && int(deadline) <= int(&values["minReadySeconds"]) {
        let path = spec("progressDeadlineSeconds");
        errors.push(FieldError::invalid(
            path,
            deadline,
            "must be greater than minReadySeconds",
        ));
    }
}

fn validate_strategy(strategy: &Value, errors: &mut Errors) {
    let path = spec("strategy");
    let update = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "Recreate" => {
            if has(update) {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(FieldError::forbidden(path.child("rollingUpdate"), why));
            }
        }
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            let (unavailable, surge) = (&update["maxUnavailable"], &update["maxSurge"]);
            check_int_or_percent(unavailable, &path.child("maxUnavailable"), errors);
            check_int_or_percent(surge, &path.child("maxSurge"), errors);
            if amount(unavailable) == 0 && amount(surge) == 0 {
                let why = "may not be 0 when `maxSurge` is 0";
                errors.push(FieldError::invalid(
                    path.child("maxUnavailable"),
                    unavailable,
                    why,
                ));
            }
            check_not_over_100_percent(unavailable, &path.child("maxUnavailable"), errors);
        }
        _ => {
            let printed = internal_strategy(strategy);
            errors.push(FieldError::not_supported_printed(
                path,
                &printed,
                &["Recreate", "RollingUpdate"],
            ));
        }
    }
}

fn internal_strategy(strategy: &Value) -> String {
    let update = &strategy["rollingUpdate"];
    let update = match has(update) {
        true => internal(&[
            ("MaxUnavailable", &update["maxUnavailable"]),
            ("MaxSurge", &update["maxSurge"]),
        ]),
        false => "null".to_owned(),
    };
    format!(
        "{{\"Type\":{},\"RollingUpdate\":{update}}}",
        strategy["type"]
    )
}

/// The number of an integer or percentage.
fn amount(value: &Value) -> i64 {
    match value {
        Value::String(text) => text.trim_end_matches('%').parse().unwrap_or(0),
        value => int(value),
    }
}

/// An error if a value is neither a number from zero on nor a percentage.
pub(super) fn check_int_or_percent(value: &Value, path: &Path, errors: &mut Errors) {
    match value {
        Value::String(given) => check(errors, path, value, names::percent(given)),
        value => check_not_negative(errors, path, value),
    }
}

/// An error if a percentage is above a hundred.
pub(super) fn check_not_over_100_percent(value: &Value, path: &Path, errors: &mut Errors) {
    if value.is_string() && amount(value) > 100 {
        errors.push(FieldError::invalid(
            path,
            value,
            "must not be greater than 100%",
        ));
    }
}

fn validate_replica_set(values: &Value, errors: &mut Errors) {
    check_not_negative(errors, &spec("replicas"), &values["replicas"]);
    check_not_negative(errors, &spec("minReadySeconds"), &values["minReadySeconds"]);
    validate_selected_template(values, "deployment", errors);
    validate_labels_match(values, errors);
    validate_template(&values["template"], &spec("template"), errors);
    validate_running_template(values, "ReplicaSet", errors);
}

fn validate_stateful_set(values: &Value, errors: &mut Errors) {
    match text(&values["podManagementPolicy"]) {
        "OrderedReady" | "Parallel" => {}
        other => errors.push(FieldError::invalid(
            spec("podManagementPolicy"),
            &other.into(),
            "must be 'OrderedReady' or 'Parallel'",
        )),
    }
    let (strategy, path) = (&values["updateStrategy"], spec("updateStrategy"));
    let update = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "OnDelete" => {
            if has(update) {
                let why = "only allowed for updateStrategy 'RollingUpdate'";
                errors.push(FieldError::invalid(
                    path.child("rollingUpdate"),
                    update,
                    why,
                ));
            }
        }
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            check_not_negative(errors, &path.child("partition"), &update["partition"]);
            if has(&update["maxUnavailable"]) {
                let (value, path) = (&update["maxUnavailable"], path.child("maxUnavailable"));
                check_int_or_percent(value, &path, errors);
                if amount(value) == 0 {
                    errors.push(FieldError::invalid(&path, value, "cannot be 0"));
                }
                check_not_over_100_percent(value, &path, errors);
            }
        }
        "" => errors.push(FieldError::required(path, "")),
        _ => errors.push(FieldError::invalid(
            path,
            strategy,
            "must be 'RollingUpdate' or 'OnDelete'",
        )),
    }
    let retention = &values["persistentVolumeClaimRetentionPolicy"];
    for name in ["whenDeleted", "whenScaled"] {
        let value = &retention[name];
        if has(value) && !matches!(text(value), "Retain" | "Delete") {
            let path = spec("persistentVolumeClaimRetentionPolicy").child(name);
            errors.push(FieldError::not_supported(
                path,
                value,
                &["Delete", "Retain"],
            ));
        }
    }
    for name in ["replicas", "minReadySeconds"] {
        check_not_negative(errors, &spec(name), &values[name]);
    }
    check_not_negative(
        errors,
        &spec("ordinals").child("start"),
        &values["ordinals"]["start"],
    );
    validate_selected_template(values, "statefulset", errors);
    validate_labels_match(values, errors);
    let mut whole = values["template"].clone();
    // The claims become volumes, and names of pods are given.
    let claims = items(&values["volumeClaimTemplates"]);
    if let Some(pod) = whole["spec"].as_object_mut() {
        pod.remove("hostname");
        pod.remove("subdomain");
        if !claims.is_empty() {
            let name = |claim: &Value| claim["metadata"]["name"].clone();
            let volume = |claim: &Value| json!({ "name": name(claim), "persistentVolumeClaim": { "claimName": name(claim) } });
            let own = pod.get("volumes").map(items).unwrap_or_default();
            let own = own
                .iter()
                .filter(|volume| claims.iter().all(|claim| name(claim) != volume["name"]));
            let volumes: Vec<Value> = claims.iter().map(volume).chain(own.cloned()).collect();
            pod.insert("volumes".into(), volumes.into());
        }
    }
    validate_template(&whole, &spec("template"), errors);
    let (template, path) = (&values["template"]["metadata"], spec("template"));
    meta::validate_labels(&template["labels"], &path.child("labels"), errors);
    meta::validate_annotations(&template["annotations"], &path.child("annotations"), errors);
    validate_running_template(values, "StatefulSet", errors);
}

fn validate_claim_templates(values: &Value, errors: &mut Errors) {
    for (at, claim) in items(&values["volumeClaimTemplates"]).iter().enumerate() {
        let path = spec("volumeClaimTemplates").index(at).child("spec");
        super::volume::validate_claim_spec(&claim["spec"], &path, errors);
    }
}

fn validate_daemon_set(values: &Value, errors: &mut Errors) {
    let selector = &values["selector"];
    validate_selector(selector, &spec("selector"), errors);
    validate_labels_match(values, errors);
    if has(selector) && count(&selector["matchLabels"]) + count(&selector["matchExpressions"]) == 0
    {
        errors.push(FieldError::invalid(
            spec("selector"),
            selector,
            "empty selector is invalid for daemonset",
        ));
    }
    validate_template(&values["template"], &spec("template"), errors);
    validate_running_template(values, "DaemonSet", errors);
    check_not_negative(errors, &spec("minReadySeconds"), &values["minReadySeconds"]);
    let (strategy, path) = (&values["updateStrategy"], spec("updateStrategy"));
    let update = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "OnDelete" => {}
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            let (unavailable, surge) = (&update["maxUnavailable"], &update["maxSurge"]);
            check_int_or_percent(unavailable, &path.child("maxUnavailable"), errors);
            check_int_or_percent(surge, &path.child("maxSurge"), errors);
            check_not_over_100_percent(unavailable, &path.child("maxUnavailable"), errors);
            check_not_over_100_percent(surge, &path.child("maxSurge"), errors);
            match (amount(unavailable) != 0, amount(surge) != 0) {
                (true, true) => {
                    let why = "may not be set when maxUnavailable is non-zero";
                    errors.push(FieldError::invalid(path.child("maxSurge"), surge, why));
                }
                (false, false) => errors.push(FieldError::required(
                    path.child("maxUnavailable"),
                    "cannot be 0 when maxSurge is 0",
                )),
                _ => {}
            }
        }
        _ => {
            let printed = internal_strategy(strategy);
            errors.push(FieldError::not_supported_printed(
                path,
                &printed,
                &["RollingUpdate", "OnDelete"],
            ));
        }
    }
    check_not_negative(
        errors,
        &spec("revisionHistoryLimit"),
        &values["revisionHistoryLimit"],
    );
}

fn validate_replication_controller(values: &Value, errors: &mut Errors) {
    check_not_negative(errors, &spec("minReadySeconds"), &values["minReadySeconds"]);
    let selector = &values["selector"];
    if count(selector) == 0 {
        errors.push(FieldError::required(spec("selector"), ""));
    }
    check_not_negative(errors, &spec("replicas"), &values["replicas"]);
    let template = &values["template"];
    if !has(template) {
        errors.push(FieldError::required(spec("template"), ""));
        return;
    }
    let labels = &template["metadata"]["labels"];
    if !selects(&json!({ "matchLabels": selector }), labels) {
        let path = spec("template").child("metadata").child("labels");
        errors.push(FieldError::invalid(
            path,
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    validate_template(template, &spec("template"), errors);
    validate_running_template(values, "ReplicationController", errors);
}

fn validate_replica_status(status: &Value, errors: &mut Errors) {
    let path = Path::new("status");
    let names = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    for name in names {
        check_not_negative(errors, &path.child(name), &status[name]);
    }
    for name in ["updatedReplicas", "readyReplicas", "availableReplicas"] {
        if int(&status[name]) > int(&status["replicas"]) {
            let why = "cannot be greater than status.replicas";
            errors.push(FieldError::invalid(path.child(name), &status[name], why));
        }
    }
    if int(&status["availableReplicas"]) > int(&status["readyReplicas"]) {
        let name = "availableReplicas";
        errors.push(FieldError::invalid(
            path.child(name),
            &status[name],
            "cannot be greater than readyReplicas",
        ));
    }
}
