//! Kinds that are served in more than one version, and Events, which are served in two groups.

use serde_json::{Map, Value, json};

use super::tools::{has, items, object};

/// The object in another version of its kind; only the `apiVersion` changes where nothing else differs.
pub(super) fn convert(value: &Value, api_version: &str) -> Value {
    let mut converted = value.clone();
    match (
        value["apiVersion"].as_str().unwrap_or_default(),
        api_version,
    ) {
        ("autoscaling/v2", "autoscaling/v1") => autoscaler_to_v1(&mut converted),
        ("autoscaling/v1", "autoscaling/v2") => autoscaler_to_v2(&mut converted),
        ("v1", "events.k8s.io/v1") => rename_event(&mut converted, |(core, events)| (core, events)),
        ("events.k8s.io/v1", "v1") => rename_event(&mut converted, |(core, events)| (events, core)),
        _ => {}
    }
    converted["apiVersion"] = api_version.into();
    converted
}

const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename_event(
    value: &mut Value,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    for pair in EVENT_FIELDS {
        let (from, to) = direction(pair);
        if let Some(field) = map.remove(from) {
            map.insert(to.to_owned(), field);
        }
    }
}

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

fn annotate(value: &mut Value, key: &str, content: Value) {
    if let Some(map) = value.as_object_mut() {
        object(object(map, "metadata"), "annotations")
            .insert(key.to_owned(), content.to_string().into());
    }
}

fn take_annotation(value: &mut Value, key: &str) -> Option<Value> {
    let annotations = value["metadata"]["annotations"].as_object_mut()?;
    let content = annotations.remove(key)?;
    if annotations.is_empty() {
        value["metadata"]
            .as_object_mut()
            .map(|metadata| metadata.remove("annotations"));
    }
    serde_json::from_str(content.as_str()?).ok()
}

/// Version 1 knows one metric, the utilization of cpu; the others live in annotations.
fn autoscaler_to_v1(value: &mut Value) {
    let is_cpu = |metric: &Value| {
        metric["type"] == "Resource"
            && metric["resource"]["name"] == "cpu"
            && has(&metric["resource"]["target"]["averageUtilization"])
    };
    let metrics = items(&value["spec"]["metrics"]).to_vec();
    let cpu = metrics.iter().find(|metric| is_cpu(metric)).cloned();
    let others: Vec<Value> = metrics
        .iter()
        .filter(|metric| Some(*metric) != cpu.as_ref())
        .map(metric_to_v1)
        .collect();
    let behavior = value["spec"]["behavior"].clone();
    let (conditions, current) = (
        value["status"]["conditions"].clone(),
        value["status"]["currentMetrics"].clone(),
    );
    if let Some(spec) = value["spec"].as_object_mut() {
        spec.remove("metrics");
        spec.remove("behavior");
        if let Some(cpu) = cpu {
            let target = cpu["resource"]["target"]["averageUtilization"].clone();
            spec.insert("targetCPUUtilizationPercentage".into(), target);
        }
    }
    if let Some(status) = value["status"].as_object_mut() {
        status.remove("conditions");
        status.remove("currentMetrics");
        let cpu = items(&current).iter().find(|metric| {
            metric["resource"]["name"] == "cpu"
                && has(&metric["resource"]["current"]["averageUtilization"])
        });
        if let Some(cpu) = cpu {
            let utilization = cpu["resource"]["current"]["averageUtilization"].clone();
            status.insert("currentCPUUtilizationPercentage".into(), utilization);
        }
        status.entry("currentReplicas").or_insert(0.into());
        status.entry("desiredReplicas").or_insert(0.into());
    }
    if !others.is_empty() {
        annotate(value, METRICS, others.into());
    }
    if has(&behavior) {
        annotate(value, BEHAVIOR, internal_behavior(&behavior));
    }
    if !items(&conditions).is_empty() {
        annotate(value, CONDITIONS, conditions);
    }
    if !items(&current).is_empty() {
        annotate(
            value,
            CURRENT,
            items(&current).iter().map(metric_to_v1).collect(),
        );
    }
}

fn autoscaler_to_v2(value: &mut Value) {
    let mut metrics: Vec<Value> = Vec::new();
    if let Some(Value::Array(others)) = take_annotation(value, METRICS) {
        metrics.extend(others.iter().map(metric_to_v2));
    }
    let behavior = take_annotation(value, BEHAVIOR);
    let conditions = take_annotation(value, CONDITIONS);
    let current = take_annotation(value, CURRENT);
    if let Some(spec) = value["spec"].as_object_mut() {
        if let Some(utilization) = spec.remove("targetCPUUtilizationPercentage") {
            let target = json!({ "type": "Utilization", "averageUtilization": utilization });
            metrics.insert(
                0,
                json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }),
            );
        }
        if !metrics.is_empty() {
            spec.insert("metrics".into(), metrics.into());
        }
        if let Some(behavior) = behavior {
            spec.insert("behavior".into(), external_behavior(&behavior));
        }
    }
    if let Some(status) = value["status"].as_object_mut() {
        status.remove("currentCPUUtilizationPercentage");
        if let Some(conditions) = conditions {
            status.insert("conditions".into(), conditions);
        }
        if let Some(Value::Array(current)) = current {
            status.insert(
                "currentMetrics".into(),
                current.iter().map(metric_to_v2).collect(),
            );
        }
    }
}

/// Renames the first letter of every key.
fn rename_keys(value: &Value, rename: fn(char) -> char) -> Value {
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let mut chars = key.chars();
                let first: String = chars.next().map(rename).into_iter().collect();
                (first + chars.as_str(), rename_keys(value, rename))
            };
            Value::Object(map.iter().map(entry).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|item| rename_keys(item, rename)).collect(),
        other => other.clone(),
    }
}

/// The annotation holds the struct of the server's internal version.
fn internal_behavior(behavior: &Value) -> Value {
    rename_keys(behavior, |c| c.to_ascii_uppercase())
}

fn external_behavior(behavior: &Value) -> Value {
    rename_keys(behavior, |c| c.to_ascii_lowercase())
}

/// A metric in the form of version 1: targets lie flat.
fn metric_to_v1(metric: &Value) -> Value {
    let mut flat = metric.clone();
    let Some(map) = flat.as_object_mut() else {
        return flat;
    };
    for source in ["resource", "containerResource"] {
        if let Some(source) = map.get_mut(source).and_then(Value::as_object_mut) {
            for (part, prefix) in [("target", "target"), ("current", "current")] {
                if let Some(part) = source.remove(part) {
                    let (utilization, amount) =
                        (&part["averageUtilization"], &part["averageValue"]);
                    if has(utilization) {
                        source.insert(format!("{prefix}AverageUtilization"), utilization.clone());
                    }
                    if has(amount) {
                        source.insert(format!("{prefix}AverageValue"), amount.clone());
                    }
                }
            }
        }
    }
    for source in ["pods", "object", "external"] {
        if let Some(source) = map.get_mut(source).and_then(Value::as_object_mut) {
            if let Some(metric) = source.remove("metric") {
                source.insert("metricName".into(), metric["name"].clone());
                if has(&metric["selector"]) {
                    let selector = if source.contains_key("describedObject") {
                        "selector"
                    } else {
                        "metricSelector"
                    };
                    source.insert(selector.into(), metric["selector"].clone());
                }
            }
            if let Some(object) = source.remove("describedObject") {
                source.insert("target".into(), object);
            }
            if let Some(target) = source
                .get("target")
                .cloned()
                .filter(|target| has(&target["type"]))
            {
                source.remove("target");
                for (from, to) in [
                    ("value", "targetValue"),
                    ("averageValue", "targetAverageValue"),
                ] {
                    if has(&target[from]) {
                        source.insert(to.into(), target[from].clone());
                    }
                }
            }
        }
    }
    flat
}

fn metric_to_v2(metric: &Value) -> Value {
    let mut deep = metric.clone();
    let Some(map) = deep.as_object_mut() else {
        return deep;
    };
    for source in ["resource", "containerResource"] {
        let Some(source) = map.get_mut(source).and_then(Value::as_object_mut) else {
            continue;
        };
        let utilization = source.remove("targetAverageUtilization");
        let amount = source.remove("targetAverageValue");
        let target = match (utilization, amount) {
            (Some(utilization), _) => {
                json!({ "type": "Utilization", "averageUtilization": utilization })
            }
            (None, Some(amount)) => json!({ "type": "AverageValue", "averageValue": amount }),
            (None, None) => continue,
        };
        source.insert("target".into(), target);
    }
    for list in ["pods", "external"] {
        let Some(source) = map.get_mut(list).and_then(Value::as_object_mut) else {
            continue;
        };
        let mut metric = json!({ "name": source.remove("metricName") });
        if let Some(selector) = source
            .remove("metricSelector")
            .or_else(|| source.remove("selector"))
        {
            metric["selector"] = selector;
        }
        source.insert("metric".into(), metric);
        let target = match (
            source.remove("targetValue"),
            source.remove("targetAverageValue"),
        ) {
            (Some(value), _) => json!({ "type": "Value", "value": value }),
            (None, value) => json!({ "type": "AverageValue", "averageValue": value }),
        };
        source.insert("target".into(), target);
    }
    deep
}
