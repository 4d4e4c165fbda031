//! autoscaling: HorizontalPodAutoscaler, in both versions.

use serde_json::{Value, json};

use super::apps::spec_of;
use super::meta;
use super::tools::{Errors, Path, check, count, fill, has, int, items, object, text};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const HORIZONTAL_POD_AUTOSCALER: Rules = Rules {
    generation: Generation::None,
    defaults: |value| {
        let is_v2 = value["apiVersion"] == "autoscaling/v2";
        let spec = spec_of(value);
        fill(spec, "minReplicas", 1);
        if is_v2 {
            if spec
                .get("metrics")
                .is_none_or(|metrics| count(metrics) == 0)
            {
                let target = json!({ "type": "Utilization", "averageUtilization": 80 });
                let metric =
                    json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
                spec.insert("metrics".into(), json!([metric]));
            }
            if spec.get("behavior").is_some_and(Value::is_object) {
                default_behavior(object(spec, "behavior"));
            }
        } else {
            fill(spec, "targetCPUUtilizationPercentage", 80);
        }
    },
    validate: |object, errors| validate(object, errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate(new, errors);
    },
    ..Rules::COMMON
};

fn default_behavior(behavior: &mut super::tools::Object) {
    let up = object(behavior, "scaleUp");
    fill(up, "stabilizationWindowSeconds", 0);
    fill(up, "selectPolicy", "Max");
    let policies = json!([
        { "type": "Pods", "value": 4, "periodSeconds": 15 },
        { "type": "Percent", "value": 100, "periodSeconds": 15 }
    ]);
    fill(up, "policies", policies);
    let down = object(behavior, "scaleDown");
    fill(down, "selectPolicy", "Max");
    fill(
        down,
        "policies",
        json!([{ "type": "Percent", "value": 100, "periodSeconds": 15 }]),
    );
}

fn validate(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let (min, max) = (&spec["minReplicas"], &spec["maxReplicas"]);
    if has(min) && int(min) < 1 {
        errors.push(FieldError::invalid(
            path.child("minReplicas"),
            min,
            "must be greater than or equal to 1",
        ));
    }
    match int(max) {
        0 => errors.push(FieldError::required(
            path.child("maxReplicas"),
            "must be set and greater than 0",
        )),
        number if number < 0 => {
            errors.push(FieldError::invalid(
                path.child("maxReplicas"),
                max,
                "must be greater than or equal to 1",
            ));
        }
        _ => {}
    }
    if has(min) && int(max) < int(min) {
        let why = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid(
            path.child("maxReplicas"),
            &int(max).into(),
            why,
        ));
    }
    let (target, target_path) = (&spec["scaleTargetRef"], path.child("scaleTargetRef"));
    for name in ["kind", "name"] {
        if text(&target[name]).is_empty() {
            errors.push(FieldError::required(target_path.child(name), ""));
        } else {
            check(
                errors,
                &target_path.child(name),
                &target[name],
                names::path_segment(text(&target[name])),
            );
        }
    }
    for (at, metric) in items(&spec["metrics"]).iter().enumerate() {
        validate_metric(metric, &path.child("metrics").index(at), errors);
    }
}

/// Types of metrics with the field that belongs to each.
const METRICS: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

fn validate_metric(metric: &Value, path: &Path, errors: &mut Errors) {
    let kind = text(&metric["type"]);
    if kind.is_empty() {
        errors.push(FieldError::required(
            path.child("type"),
            "must specify a metric source type",
        ));
    }
    let expected = METRICS
        .iter()
        .find(|(name, _)| *name == kind)
        .map(|(_, field)| *field);
    let supported = METRICS.map(|(name, _)| name);
    if expected.is_none() {
        errors.push(FieldError::not_supported(
            path.child("type"),
            &kind.into(),
            &supported,
        ));
    }
    let present: Vec<&str> = METRICS
        .iter()
        .map(|(_, field)| *field)
        .filter(|field| has(&metric[*field]))
        .collect();
    if let [field] = present.as_slice() {
        validate_source(field, &metric[*field], &path.child(field), errors);
    }
    match expected {
        Some(field) if !has(&metric[field]) => {
            let why = "must populate information for the given metric source";
            errors.push(FieldError::required(path.child(field), why));
        }
        Some(_) => {}
        None => errors.push(FieldError::not_supported(
            path.child("type"),
            &kind.into(),
            &supported,
        )),
    }
    if present.len() != 1 {
        for field in present.into_iter().filter(|field| Some(*field) != expected) {
            let why = "must populate the given metric source only";
            errors.push(FieldError::forbidden(path.child(field), why));
        }
    }
}

fn validate_source(field: &str, source: &Value, path: &Path, errors: &mut Errors) {
    let is_resource = matches!(field, "resource" | "containerResource");
    if is_resource && text(&source["name"]).is_empty() {
        errors.push(FieldError::required(
            path.child("name"),
            "must specify a resource name",
        ));
    }
    if field == "containerResource" && text(&source["container"]).is_empty() {
        errors.push(FieldError::required(
            path.child("container"),
            "must specify a container",
        ));
    }
    if !is_resource && text(&source["metric"]["name"]).is_empty() {
        let why = "must specify a metric name";
        errors.push(FieldError::required(
            path.child("metric").child("name"),
            why,
        ));
    }
    let (target, path) = (&source["target"], path.child("target"));
    match text(&target["type"]) {
        "Utilization" | "Value" | "AverageValue" => {}
        kind => {
            if kind.is_empty() {
                errors.push(FieldError::required(
                    path.child("type"),
                    "must specify a metric target type",
                ));
            }
            let why = "must be either Utilization, Value, or AverageValue";
            errors.push(FieldError::invalid(path.child("type"), &kind.into(), why));
        }
    }
    let utilization = &target["averageUtilization"];
    if has(utilization) && int(utilization) < 1 {
        errors.push(FieldError::invalid(
            path.child("averageUtilization"),
            utilization,
            "must be greater than 0",
        ));
    }
    if is_resource {
        match (has(utilization), has(&target["averageValue"])) {
            (false, false) => {
                let why = "must set either a target raw value or a target utilization";
                errors.push(FieldError::required(path.child("averageUtilization"), why));
            }
            (true, true) => {
                let why = "may not set both a target raw value and a target utilization";
                errors.push(FieldError::forbidden(path.child("averageValue"), why));
            }
            _ => {}
        }
    }
}
