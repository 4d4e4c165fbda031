//! Containers of pods: ports, mounts, probes, resources.

use std::collections::BTreeSet;

use serde_json::Value;

use super::environment::{validate_env, validate_env_from};
use super::pod::{check_supported, validate_security};
use super::tools::{
    Errors, Path, check, check_not_negative, count, entries, has, int, items, text,
};
use crate::failure::FieldError;
use crate::names;
use crate::quantity::Quantity;

pub(super) fn validate_containers(
    containers: &[Value],
    grace: &Value,
    volumes: &Volumes<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    if containers.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let mut names = BTreeSet::new();
    for (at, container) in containers.iter().enumerate() {
        let path = path.index(at);
        validate_container(container, volumes, &path, errors);
        if !names.insert(text(&container["name"])) {
            errors.push(FieldError::duplicate(
                path.child("name"),
                &text(&container["name"]).into(),
            ));
        }
        validate_lifecycle_and_probes(container, grace, &path, errors);
    }
    check_host_ports(containers, path, errors);
}

pub(super) fn validate_init_containers(
    containers: &[Value],
    grace: &Value,
    regular: &[Value],
    volumes: &Volumes<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    let mut names: BTreeSet<&str> = regular
        .iter()
        .map(|container| text(&container["name"]))
        .collect();
    for (at, container) in containers.iter().enumerate() {
        let path = path.index(at);
        validate_container(container, volumes, &path, errors);
        let name = text(&container["name"]);
        if !names.insert(name) && !name.is_empty() {
            errors.push(FieldError::duplicate(path.child("name"), &name.into()));
        }
        if container["restartPolicy"] == "Always" {
            validate_lifecycle_and_probes(container, grace, &path, errors);
            continue;
        }
        for name in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if has(&container[name]) {
                let why = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(path.child(name), why));
            }
        }
    }
}

/// The names of the valid volumes of a pod.
pub(super) type Volumes<'a> = BTreeSet<&'a str>;

fn validate_container(container: &Value, volumes: &Volumes<'_>, path: &Path, errors: &mut Errors) {
    let name = &container["name"];
    if text(name).is_empty() {
        errors.push(FieldError::required(path.child("name"), ""));
    } else {
        check(
            errors,
            &path.child("name"),
            name,
            names::dns_label(text(name)),
        );
    }
    if text(&container["image"]).is_empty() {
        errors.push(FieldError::required(path.child("image"), ""));
    }
    let policies = ["File", "FallbackToLogsOnError"];
    let policy_path = path.child("terminationMessagePolicy");
    check_supported(
        &container["terminationMessagePolicy"],
        &policies,
        &policy_path,
        errors,
    );
    validate_ports(&container["ports"], &path.child("ports"), errors);
    validate_env(&container["env"], &path.child("env"), errors);
    validate_env_from(&container["envFrom"], &path.child("envFrom"), errors);
    validate_mounts(container, volumes, &path.child("volumeMounts"), errors);
    let policies = ["Always", "IfNotPresent", "Never"];
    check_supported(
        &container["imagePullPolicy"],
        &policies,
        &path.child("imagePullPolicy"),
        errors,
    );
    validate_resources(&container["resources"], &path.child("resources"), errors);
    validate_security(
        &container["securityContext"],
        &path.child("securityContext"),
        errors,
    );
}

fn validate_ports(ports: &Value, path: &Path, errors: &mut Errors) {
    let mut names_seen = BTreeSet::new();
    for (at, port) in items(ports).iter().enumerate() {
        let path = path.index(at);
        let name = text(&port["name"]);
        if !name.is_empty() {
            let found = names::port_name(name);
            if found.is_empty() && !names_seen.insert(name) {
                errors.push(FieldError::duplicate(path.child("name"), &port["name"]));
            }
            check(errors, &path.child("name"), &port["name"], found);
        }
        let number = &port["containerPort"];
        if int(number) == 0 {
            errors.push(FieldError::required(path.child("containerPort"), ""));
        } else {
            check(
                errors,
                &path.child("containerPort"),
                number,
                names::port_number(int(number)),
            );
        }
        let host = &port["hostPort"];
        if int(host) != 0 {
            check(
                errors,
                &path.child("hostPort"),
                host,
                names::port_number(int(host)),
            );
        }
        check_supported(
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
            &path.child("protocol"),
            errors,
        );
    }
}

fn check_host_ports(containers: &[Value], path: &Path, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, container) in containers.iter().enumerate() {
        for (port_at, port) in items(&container["ports"]).iter().enumerate() {
            let host = int(&port["hostPort"]);
            let key = format!(
                "{}/{}/{host}",
                text(&port["protocol"]),
                text(&port["hostIP"])
            );
            if host != 0 && !seen.insert(key.clone()) {
                let path = path
                    .index(at)
                    .child("ports")
                    .index(port_at)
                    .child("hostPort");
                errors.push(FieldError::duplicate(path, &key.into()));
            }
        }
    }
}

pub(super) fn validate_host_network(containers: &[Value], path: &Path, errors: &mut Errors) {
    for (at, container) in containers.iter().enumerate() {
        for (port_at, port) in items(&container["ports"]).iter().enumerate() {
            let host = int(&port["hostPort"]);
            if host != 0 && host != int(&port["containerPort"]) {
                let path = path
                    .index(at)
                    .child("ports")
                    .index(port_at)
                    .child("hostPort");
                let why = "must match `containerPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(path, &port["hostPort"], why));
            }
        }
    }
}

/// An error if a path leads out of its folder.
pub(super) fn check_descending(value: &Value, path: &Path, errors: &mut Errors) {
    if text(value).starts_with('/') {
        errors.push(FieldError::invalid(path, value, "must be a relative path"));
    }
    check_no_backsteps(value, path, errors);
}

/// An error if a path has a step upwards.
pub(super) fn check_no_backsteps(value: &Value, path: &Path, errors: &mut Errors) {
    if text(value).split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, value, "must not contain '..'"));
    }
}

fn validate_mounts(container: &Value, volumes: &Volumes<'_>, path: &Path, errors: &mut Errors) {
    let mut mount_paths = BTreeSet::new();
    let devices = items(&container["volumeDevices"]);
    for (at, mount) in items(&container["volumeMounts"]).iter().enumerate() {
        let item = path.index(at);
        let (name, mount_path) = (&mount["name"], &mount["mountPath"]);
        if text(name).is_empty() {
            errors.push(FieldError::required(item.child("name"), ""));
        }
        if !volumes.contains(text(name)) {
            errors.push(FieldError::not_found(
                item.child("name"),
                &text(name).into(),
            ));
        }
        if text(mount_path).is_empty() {
            errors.push(FieldError::required(item.child("mountPath"), ""));
        }
        if !mount_paths.insert(text(mount_path)) {
            errors.push(FieldError::invalid(
                item.child("mountPath"),
                mount_path,
                "must be unique",
            ));
        }
        if devices.iter().any(|device| device["name"] == *name) {
            errors.push(FieldError::invalid(
                item.child("name"),
                name,
                "must not already exist in volumeDevices",
            ));
        }
        if !text(&mount["subPath"]).is_empty() {
            check_descending(&mount["subPath"], &path.child("subPath"), errors);
        }
        if !text(&mount["subPathExpr"]).is_empty() {
            if !text(&mount["subPath"]).is_empty() {
                let why = "subPathExpr and subPath are mutually exclusive";
                errors.push(FieldError::invalid(
                    item.child("subPathExpr"),
                    &mount["subPathExpr"],
                    why,
                ));
            }
            check_descending(&mount["subPathExpr"], &path.child("subPathExpr"), errors);
        }
    }
}

fn validate_lifecycle_and_probes(
    container: &Value,
    grace: &Value,
    path: &Path,
    errors: &mut Errors,
) {
    let lifecycle = &container["lifecycle"];
    for name in ["postStart", "preStop"] {
        if has(&lifecycle[name]) {
            validate_handler(
                &lifecycle[name],
                grace,
                &path.child("lifecycle").child(name),
                errors,
            );
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[name];
        if !has(probe) {
            continue;
        }
        let path = path.child(name);
        validate_handler(probe, grace, &path, errors);
        for name in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            check_not_negative(errors, &path.child(name), &probe[name]);
        }
        let grace = &probe["terminationGracePeriodSeconds"];
        if has(grace) && int(grace) <= 0 {
            let why = "must be greater than 0";
            errors.push(FieldError::invalid(
                path.child("terminationGracePeriodSeconds"),
                grace,
                why,
            ));
        }
        if name != "readinessProbe" && int(&probe["successThreshold"]) != 1 {
            errors.push(FieldError::invalid(
                path.child("successThreshold"),
                &probe["successThreshold"],
                "must be 1",
            ));
        }
    }
}

fn validate_handler(handler: &Value, grace: &Value, path: &Path, errors: &mut Errors) {
    let mut handlers = 0;
    for name in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let (action, path) = (&handler[name], path.child(name));
        if !has(action) {
            continue;
        }
        handlers += 1;
        if handlers > 1 {
            errors.push(FieldError::forbidden(
                path,
                "may not specify more than 1 handler type",
            ));
            continue;
        }
        match name {
            "exec" if count(&action["command"]) == 0 => {
                errors.push(FieldError::required(path.child("command"), ""))
            }
            "httpGet" => {
                if text(&action["path"]).is_empty() {
                    errors.push(FieldError::required(path.child("path"), ""));
                }
                check_port(&action["port"], &path.child("port"), errors);
                if !matches!(text(&action["scheme"]), "HTTP" | "HTTPS") {
                    let supported = ["HTTP", "HTTPS"];
                    errors.push(FieldError::not_supported(
                        path.child("scheme"),
                        &action["scheme"],
                        &supported,
                    ));
                }
                for header in items(&action["httpHeaders"]) {
                    let name = &header["name"];
                    check(
                        errors,
                        &path.child("httpHeaders"),
                        name,
                        names::http_header_name(text(name)),
                    );
                }
            }
            "tcpSocket" => check_port(&action["port"], &path.child("port"), errors),
            "sleep" => {
                let (seconds, limit) = (&action["seconds"], int(grace));
                if has(grace) && !(0..=limit).contains(&int(seconds)) {
                    let why = format!(
                        "must be non-negative and less than terminationGracePeriodSeconds ({limit})"
                    );
                    errors.push(FieldError::invalid(&path, seconds, why));
                }
            }
            "grpc" => {
                let port = &action["port"];
                check(
                    errors,
                    &path.child("port"),
                    port,
                    names::port_number(int(port)),
                );
            }
            _ => {}
        }
    }
    if handlers == 0 {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
}

/// Validates a port that is a number or a name.
pub(super) fn check_port(port: &Value, path: &Path, errors: &mut Errors) {
    match port {
        Value::String(name) => check(errors, path, port, names::port_name(name)),
        port => check(errors, path, port, names::port_number(int(port))),
    }
}

/// Validates limits and requests.
pub(super) fn validate_resources(resources: &Value, path: &Path, errors: &mut Errors) {
    let (limits, requests) = (&resources["limits"], &resources["requests"]);
    for (name, quantity) in entries(limits) {
        let path = path.child("limits").key(name);
        validate_resource_name(name, &path, errors);
        validate_resource_value(name, quantity, &path, errors);
    }
    for (name, quantity) in entries(requests) {
        let path_of = path.child("requests").key(name);
        validate_resource_name(name, &path_of, errors);
        validate_resource_value(name, quantity, &path_of, errors);
        let overcommits = !name.contains('/') && !name.starts_with("hugepages-");
        match limits.get(name) {
            Some(limit) => {
                let parse = |value| Quantity::parse(text(value)).unwrap_or(Quantity::ZERO);
                let order = parse(quantity).cmp(&parse(limit));
                let why = match (order.is_ne() && !overcommits, order.is_gt()) {
                    (true, _) => "must be equal to",
                    (false, true) => "must be less than or equal to",
                    (false, false) => continue,
                };
                let why = format!("{why} {name} limit of {}", text(limit));
                errors.push(FieldError::invalid(path.child("requests"), quantity, why));
            }
            None if !overcommits => {
                let why = "Limit must be set for non overcommitable resources";
                errors.push(FieldError::required(path.child("limits"), why));
            }
            None => {}
        }
    }
}

fn validate_resource_name(name: &str, path: &Path, errors: &mut Errors) {
    let found = names::qualified_name(name);
    if !found.is_empty() {
        return check(errors, path, &name.into(), found);
    }
    if name.contains('/') {
        return;
    }
    let standard =
        matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    let known = standard
        || matches!(
            name,
            "storage" | "pods" | "services" | "secrets" | "configmaps"
        );
    if !known {
        let why = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid(path, &name.into(), why));
    }
    if !standard {
        errors.push(FieldError::invalid(
            path,
            &name.into(),
            "must be a standard resource for containers",
        ));
    }
}

/// Validates an amount of a resource.
pub(super) fn validate_resource_value(
    name: &str,
    quantity: &Value,
    path: &Path,
    errors: &mut Errors,
) {
    let Ok(parsed) = Quantity::parse(text(quantity)) else {
        return;
    };
    if parsed.is_negative() {
        errors.push(FieldError::invalid(
            path,
            quantity,
            "must be greater than or equal to 0",
        ));
    }
    let counted = matches!(name, "pods" | "services" | "secrets" | "configmaps")
        || name.starts_with("count/");
    let extended =
        name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.");
    if (counted || extended) && parsed.milli() % 1000 != 0 {
        errors.push(FieldError::invalid(path, quantity, "must be an integer"));
    }
}
