//! The groups apps, batch and autoscaling.

use jiff::Timestamp;
use serde_json::Value;

use super::Cells;
use super::format::{
    age, containers, human_duration, items, labels, name, number, or, seconds_since, selector,
    since, size, text,
};

pub(super) fn printer(plural: &str) -> Option<Cells> {
    Some(match plural {
        "deployments" => |o, now| {
            let status = &o["status"];
            let ready = format!(
                "{}/{}",
                number(&status["readyReplicas"]),
                number(&o["spec"]["replicas"])
            );
            let counts = vec![
                name(o),
                ready.into(),
                number(&status["updatedReplicas"]),
                number(&status["availableReplicas"]),
            ];
            wide(o, counts, now)
        },
        "replicasets" => |o, now| {
            let status = &o["status"];
            let counts = vec![
                name(o),
                number(&o["spec"]["replicas"]),
                number(&status["replicas"]),
                number(&status["readyReplicas"]),
            ];
            wide(o, counts, now)
        },
        "statefulsets" => |o, now| {
            let ready = format!(
                "{}/{}",
                number(&o["status"]["readyReplicas"]),
                number(&o["spec"]["replicas"])
            );
            let (names, images) = containers(&o["spec"]["template"]["spec"]);
            vec![name(o), ready.into(), age(o, now), names, images]
        },
        "daemonsets" => |o, now| {
            let status = &o["status"];
            let keys = [
                "desiredNumberScheduled",
                "currentNumberScheduled",
                "numberReady",
                "updatedNumberScheduled",
                "numberAvailable",
            ];
            let mut cells = vec![name(o)];
            cells.extend(keys.map(|key| number(&status[key])));
            cells.push(labels(&o["spec"]["template"]["spec"]["nodeSelector"]).into());
            wide(o, cells, now)
        },
        "controllerrevisions" => |o, now| {
            let owner =
                items(&o["metadata"]["ownerReferences"]).find(|owner| owner["controller"] == true);
            let controller = owner.map_or_else(
                || "<none>".to_owned(),
                |owner| {
                    let group = text(&owner["apiVersion"])
                        .split_once('/')
                        .map_or("", |(group, _)| group);
                    let kind = text(&owner["kind"]).to_lowercase();
                    let kind = if group.is_empty() {
                        kind
                    } else {
                        format!("{kind}.{group}")
                    };
                    format!("{kind}/{}", text(&owner["name"]))
                },
            );
            vec![
                name(o),
                controller.into(),
                number(&o["revision"]),
                age(o, now),
            ]
        },
        "jobs" => job,
        "cronjobs" => cron_job,
        "horizontalpodautoscalers" => autoscaler,
        _ => return None,
    })
}

/// Age, containers, images and selector at the end.
fn wide(o: &Value, mut cells: Vec<Value>, now: Timestamp) -> Vec<Value> {
    let (names, images) = containers(&o["spec"]["template"]["spec"]);
    cells.extend([
        age(o, now),
        names,
        images,
        selector(&o["spec"]["selector"]).into(),
    ]);
    cells
}

fn job(o: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let has = |kind: &str| {
        items(&status["conditions"]).any(|one| one["type"] == kind && one["status"] == "True")
    };
    let state = if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if o["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else if has("Suspended") {
        "Suspended"
    } else if has("FailureTarget") {
        "FailureTarget"
    } else if has("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    let succeeded = number(&status["succeeded"]);
    let completions = match spec["completions"].as_i64() {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None => match spec["parallelism"].as_i64() {
            Some(parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
            _ => format!("{succeeded}/1"),
        },
    };
    let started = seconds_since(&status["startTime"], now);
    let duration = match (started, seconds_since(&status["completionTime"], now)) {
        (None, _) => String::new(),
        (Some(started), None) => human_duration(started),
        (Some(started), Some(ended)) => human_duration(started - ended),
    };
    wide(
        o,
        vec![name(o), state.into(), completions.into(), duration.into()],
        now,
    )
}

fn cron_job(o: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let (names, images) = containers(&spec["jobTemplate"]["spec"]["template"]["spec"]);
    let last = if status["lastScheduleTime"].is_string() {
        since(&status["lastScheduleTime"], now)
    } else {
        "<none>".into()
    };
    let suspend = match spec["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    vec![
        name(o),
        text(&spec["schedule"]).into(),
        or(&spec["timeZone"], "<none>").into(),
        suspend.into(),
        size(&status["active"]),
        last.into(),
        age(o, now),
        names,
        images,
        selector(&spec["jobTemplate"]["spec"]["selector"]).into(),
    ]
}

/// One metric of an autoscaler: `cpu: 10%/50%`.
fn metric(spec: &Value, current: Option<&Value>) -> String {
    let kind = text(&spec["type"]);
    let key = match kind {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        _ => "external",
    };
    let (target, now) = (
        &spec[key]["target"],
        current.map(|current| &current[key]["current"]),
    );
    let now_text = |name: &str, unit: &str| {
        let value = now.map(|now| &now[name]);
        match value {
            Some(Value::Number(number)) => format!("{number}{unit}"),
            Some(Value::String(text)) => format!("{text}{unit}"),
            _ => "<unknown>".to_owned(),
        }
    };
    let value = if let Some(wanted) = target["averageUtilization"].as_i64() {
        format!("{}/{wanted}%", now_text("averageUtilization", "%"))
    } else if target["averageValue"].is_string() {
        let suffix = if matches!(kind, "External" | "Object") {
            " (avg)"
        } else {
            ""
        };
        format!(
            "{}/{}{suffix}",
            now_text("averageValue", ""),
            text(&target["averageValue"])
        )
    } else {
        format!("{}/{}", now_text("value", ""), text(&target["value"]))
    };
    match kind {
        "Resource" | "ContainerResource" => format!("{}: {value}", text(&spec[key]["name"])),
        _ => value,
    }
}

fn autoscaler(o: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let target = &spec["scaleTargetRef"];
    let targets = if let Some(wanted) = spec["targetCPUUtilizationPercentage"].as_i64() {
        let current = status["currentCPUUtilizationPercentage"].as_i64();
        format!(
            "cpu: {}/{wanted}%",
            current.map_or("<unknown>".to_owned(), |current| format!("{current}%"))
        )
    } else {
        let current = &status["currentMetrics"];
        let all: Vec<String> = items(&spec["metrics"])
            .enumerate()
            .map(|(at, spec)| metric(spec, current.get(at)))
            .collect();
        match all.len() {
            0 => "<none>".to_owned(),
            count if count > 2 => format!("{} + {} more...", all[..2].join(", "), count - 2),
            _ => all.join(", "),
        }
    };
    let minimum = spec["minReplicas"]
        .as_i64()
        .map_or("<unset>".to_owned(), |minimum| minimum.to_string());
    vec![
        name(o),
        format!("{}/{}", text(&target["kind"]), text(&target["name"])).into(),
        targets.into(),
        minimum.into(),
        number(&spec["maxReplicas"]),
        number(&status["currentReplicas"]),
        age(o, now),
    ]
}
