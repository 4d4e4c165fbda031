//! The core group.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Cells;
use super::format::{
    access_modes, age, containers, human_duration, items, joined, labels, name, number, or,
    seconds_since, since, size, text,
};

pub(super) fn printer(plural: &str) -> Option<Cells> {
    Some(match plural {
        "pods" => pod,
        "services" => service,
        "namespaces" => |o, now| vec![name(o), phase(o), age(o, now)],
        "configmaps" => |o, now| vec![name(o), data(o), age(o, now)],
        "secrets" => |o, now| vec![name(o), text(&o["type"]).into(), data(o), age(o, now)],
        "serviceaccounts" => |o, now| vec![name(o), age(o, now)],
        "nodes" => node,
        "endpoints" => |o, now| vec![name(o), endpoints(o).into(), age(o, now)],
        "events" => event,
        "persistentvolumeclaims" => claim,
        "persistentvolumes" => volume,
        "podtemplates" => |o, _| {
            let (names, images) = containers(&o["template"]["spec"]);
            vec![
                name(o),
                names,
                images,
                labels(&o["template"]["metadata"]["labels"]).into(),
            ]
        },
        "replicationcontrollers" => |o, now| {
            let (names, images) = containers(&o["spec"]["template"]["spec"]);
            let counts = [
                &o["spec"]["replicas"],
                &o["status"]["replicas"],
                &o["status"]["readyReplicas"],
            ]
            .map(number);
            let mut cells = vec![name(o)];
            cells.extend(counts);
            cells.extend([
                age(o, now),
                names,
                images,
                labels(&o["spec"]["selector"]).into(),
            ]);
            cells
        },
        "resourcequotas" => quota,
        "componentstatuses" => |o, _| vec![name(o), "Unknown".into(), "".into(), "".into()],
        _ => return None,
    })
}

fn phase(object: &Value) -> Value {
    text(&object["status"]["phase"]).into()
}

fn data(object: &Value) -> Value {
    let count = |key: &str| size(&object[key]).as_i64().unwrap_or(0);
    (count("data") + count("binaryData")).into()
}

fn is_true(object: &Value, kind: &str) -> bool {
    items(&object["status"]["conditions"]).any(|one| one["type"] == kind && one["status"] == "True")
}

fn terminated(state: &Value) -> String {
    let ended = &state["terminated"];
    match (
        text(&ended["reason"]),
        ended["signal"].as_i64().unwrap_or(0),
    ) {
        ("", 0) => format!("ExitCode:{}", ended["exitCode"].as_i64().unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn pod(o: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let phase = text(&status["phase"]);
    let mut reason = or(&status["reason"], phase).to_owned();
    if items(&status["conditions"])
        .any(|one| one["type"] == "PodScheduled" && one["reason"] == "SchedulingGated")
    {
        reason = "SchedulingGated".into();
    }
    let sidecar = |name: &Value| {
        items(&spec["initContainers"])
            .any(|one| one["name"] == *name && one["restartPolicy"] == "Always")
    };
    let mut total = items(&spec["containers"]).count();
    total += items(&spec["initContainers"])
        .filter(|one| one["restartPolicy"] == "Always")
        .count();
    let (mut restarts, mut sidecar_restarts, mut ready) = (0, 0, 0);
    let mut last_restart: Option<i64> = None;
    let mut note_restart = |one: &Value| {
        if let Some(ago) = seconds_since(&one["lastState"]["terminated"]["finishedAt"], now) {
            last_restart = Some(last_restart.map_or(ago, |known| known.min(ago)));
        }
    };
    let mut initializing = false;
    for (at, one) in items(&status["initContainerStatuses"]).enumerate() {
        let count = one["restartCount"].as_i64().unwrap_or(0);
        restarts += count;
        note_restart(one);
        let is_sidecar = sidecar(&one["name"]);
        if is_sidecar {
            sidecar_restarts += count;
        }
        let state = &one["state"];
        if state["terminated"].is_object() && state["terminated"]["exitCode"].as_i64() == Some(0) {
            continue;
        }
        if is_sidecar && one["started"] == true {
            ready += usize::from(one["ready"] == true);
            continue;
        }
        let waiting = text(&state["waiting"]["reason"]);
        reason = if state["terminated"].is_object() {
            format!("Init:{}", terminated(state))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{at}/{}", items(&spec["initContainers"]).count())
        };
        initializing = true;
        break;
    }
    if !initializing || is_true(o, "Initialized") {
        restarts = sidecar_restarts;
        let mut running = false;
        let all: Vec<&Value> = items(&status["containerStatuses"]).collect();
        for one in all.into_iter().rev() {
            restarts += one["restartCount"].as_i64().unwrap_or(0);
            note_restart(one);
            let state = &one["state"];
            let waiting = text(&state["waiting"]["reason"]);
            if !waiting.is_empty() {
                reason = waiting.to_owned();
            } else if state["terminated"].is_object() {
                reason = terminated(state);
            } else if one["ready"] == true && state["running"].is_object() {
                running = true;
                ready += 1;
            }
        }
        if reason == "Completed" && running {
            reason = if is_true(o, "Ready") {
                "Running".into()
            } else {
                "NotReady".into()
            };
        }
    }
    if o["metadata"]["deletionTimestamp"].is_string() {
        if status["reason"] == "NodeLost" {
            reason = "Unknown".into();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            reason = "Terminating".into();
        }
    }
    let restarts = match last_restart.filter(|_| restarts != 0) {
        Some(ago) => format!("{restarts} ({} ago)", human_duration(ago)),
        None => restarts.to_string(),
    };
    let ip = status["podIPs"][0]["ip"]
        .as_str()
        .unwrap_or_else(|| text(&status["podIP"]));
    let gates = items(&spec["readinessGates"]).count();
    let gates_text = if gates == 0 {
        "<none>".to_owned()
    } else {
        let met = items(&spec["readinessGates"])
            .filter(|gate| is_true(o, text(&gate["conditionType"])))
            .count();
        format!("{met}/{gates}")
    };
    vec![
        name(o),
        format!("{ready}/{total}").into(),
        reason.into(),
        restarts.into(),
        age(o, now),
        if ip.is_empty() {
            "<none>".into()
        } else {
            ip.into()
        },
        or(&spec["nodeName"], "<none>").into(),
        or(&status["nominatedNodeName"], "<none>").into(),
        gates_text.into(),
    ]
}

fn service(o: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &o["spec"];
    let kind = text(&spec["type"]);
    let external = || {
        joined(
            items(&spec["externalIPs"]).map(|ip| text(ip).to_owned()),
            ",",
        )
    };
    let addresses = match kind {
        "LoadBalancer" => {
            let balancer = joined(
                items(&o["status"]["loadBalancer"]["ingress"]).map(|one| {
                    one["ip"]
                        .as_str()
                        .unwrap_or_else(|| text(&one["hostname"]))
                        .to_owned()
                }),
                ",",
            );
            match (balancer.is_empty(), external()) {
                (true, own) if own.is_empty() => "<pending>".into(),
                (true, own) => own,
                (false, own) if own.is_empty() => balancer,
                (false, own) => format!("{own},{balancer}"),
            }
        }
        "ExternalName" => text(&spec["externalName"]).to_owned(),
        _ => {
            let own = external();
            if own.is_empty() { "<none>".into() } else { own }
        }
    };
    let port = |port: &Value| {
        let (number, protocol) = (&port["port"], or(&port["protocol"], "TCP"));
        match port["nodePort"].as_i64().filter(|node| *node > 0) {
            Some(node) => format!("{number}:{node}/{protocol}"),
            None => format!("{number}/{protocol}"),
        }
    };
    let ports = joined(items(&spec["ports"]).map(port), ",");
    vec![
        name(o),
        kind.into(),
        or(&spec["clusterIP"], "<none>").into(),
        addresses.into(),
        if ports.is_empty() {
            "<none>".into()
        } else {
            ports.into()
        },
        age(o, now),
        labels(&spec["selector"]).into(),
    ]
}

fn node(o: &Value, now: Timestamp) -> Vec<Value> {
    let status = &o["status"];
    let mut state = match items(&status["conditions"]).find(|one| one["type"] == "Ready") {
        Some(ready) if ready["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if o["spec"]["unschedulable"] == true {
        state.push_str(",SchedulingDisabled");
    }
    let mut roles: Vec<String> = o["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) if !role.is_empty() => Some(role.to_owned()),
                _ if key == "kubernetes.io/role" && value != "" => Some(text(value).to_owned()),
                _ => None,
            },
        )
        .collect();
    roles.sort();
    roles.dedup();
    let roles = if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    };
    let address = |kind: &str| {
        let found = items(&status["addresses"]).find(|one| one["type"] == kind);
        found
            .map_or("<none>", |one| text(&one["address"]))
            .to_owned()
    };
    let info = &status["nodeInfo"];
    let kernel = or(&info["kernelVersion"], "<unknown>");
    let system = or(&info["osImage"], "<unknown>");
    let architecture = text(&info["architecture"]);
    let kernel = match architecture {
        "" => kernel.to_owned(),
        architecture => format!("{kernel} ({architecture})"),
    };
    vec![
        name(o),
        state.into(),
        roles.into(),
        age(o, now),
        text(&info["kubeletVersion"]).into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        system.into(),
        kernel.into(),
        or(&info["containerRuntimeVersion"], "<unknown>").into(),
    ]
}

fn endpoints(o: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(&o["subsets"]) {
        let ips = || items(&subset["addresses"]).map(|one| text(&one["ip"]));
        if items(&subset["ports"]).next().is_none() {
            all.extend(ips().map(str::to_owned));
            continue;
        }
        for port in items(&subset["ports"]) {
            all.extend(ips().map(|ip| format!("{ip}:{}", port["port"])));
        }
    }
    match all.len() {
        0 => "<none>".into(),
        count if count > 3 => format!("{} + {} more...", all[..3].join(","), count - 3),
        _ => all.join(","),
    }
}

fn event(o: &Value, now: Timestamp) -> Vec<Value> {
    let at = |key: &str| o[key].as_str().map(|_| since(&o[key], now));
    let first = at("firstTimestamp")
        .or_else(|| at("eventTime"))
        .unwrap_or_else(|| "<unknown>".into());
    let last = if o["series"].is_object() {
        since(&o["series"]["lastObservedTime"], now)
    } else {
        at("lastTimestamp").unwrap_or_else(|| first.clone())
    };
    let count = match (o["series"]["count"].as_i64(), o["count"].as_i64()) {
        (Some(count), _) => count,
        (None, Some(count)) if count > 0 => count,
        _ => 1,
    };
    // The version of events.k8s.io has other names for the same.
    let either = |a: &str, b: &str| {
        if o[a].is_null() {
            o[b].clone()
        } else {
            o[a].clone()
        }
    };
    let about = either("involvedObject", "regarding");
    let kind = text(&about["kind"]).to_lowercase();
    let about_text = if kind.is_empty() {
        text(&about["name"]).to_owned()
    } else {
        format!("{kind}/{}", text(&about["name"]))
    };
    let source = either("source", "deprecatedSource");
    let component = match text(&source["component"]) {
        "" => text(&either("reportingComponent", "reportingController")).to_owned(),
        component => component.to_owned(),
    };
    let host = or(&source["host"], text(&o["reportingInstance"])).to_owned();
    let source_text = if host.is_empty() {
        component
    } else {
        format!("{component}, {host}")
    };
    vec![
        last.into(),
        text(&o["type"]).into(),
        text(&o["reason"]).into(),
        about_text.into(),
        text(&about["fieldPath"]).into(),
        source_text.into(),
        text(&either("message", "note")).trim().into(),
        first.into(),
        count.into(),
        name(o),
    ]
}

fn claim(o: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let phase = if o["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else {
        text(&status["phase"])
    };
    let bound = !text(&spec["volumeName"]).is_empty();
    let (capacity, modes) = if bound {
        (
            text(&status["capacity"]["storage"]).to_owned(),
            access_modes(&status["accessModes"]),
        )
    } else {
        (String::new(), String::new())
    };
    vec![
        name(o),
        phase.into(),
        text(&spec["volumeName"]).into(),
        capacity.into(),
        modes.into(),
        text(&spec["storageClassName"]).into(),
        or(&spec["volumeAttributesClassName"], "<unset>").into(),
        age(o, now),
        or(&spec["volumeMode"], "<unset>").into(),
    ]
}

fn volume(o: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let phase = if o["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else {
        text(&status["phase"])
    };
    let claim = &spec["claimRef"];
    let claim = match text(&claim["name"]) {
        "" => String::new(),
        name => format!("{}/{name}", text(&claim["namespace"])),
    };
    vec![
        name(o),
        text(&spec["capacity"]["storage"]).into(),
        access_modes(&spec["accessModes"]).into(),
        text(&spec["persistentVolumeReclaimPolicy"]).into(),
        phase.into(),
        claim.into(),
        text(&spec["storageClassName"]).into(),
        or(&spec["volumeAttributesClassName"], "<unset>").into(),
        text(&status["reason"]).into(),
        age(o, now),
        or(&spec["volumeMode"], "<unset>").into(),
    ]
}

fn quota(o: &Value, now: Timestamp) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in o["status"]["hard"].as_object().into_iter().flatten() {
        let used = o["status"]["used"]
            .get(resource)
            .cloned()
            .unwrap_or(json!("0"));
        let entry = format!("{resource}: {}/{}", text(&used), text(hard));
        if resource.starts_with("limits") {
            limits.push(entry)
        } else {
            requests.push(entry)
        }
    }
    vec![
        name(o),
        requests.join(", ").into(),
        limits.join(", ").into(),
        age(o, now),
    ]
}
