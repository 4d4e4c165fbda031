//! Pod specs and pod templates.

use std::collections::BTreeSet;

use serde_json::Value;

use super::meta::{validate_annotations, validate_labels, validate_selector};
use super::tools::{
    Errors, Path, check, check_not_negative, count, entries, has, int, items, text,
};
use super::volume::validate_volumes;
use crate::failure::FieldError;
use crate::names;
use crate::quantity::Quantity;

/// Validates a pod template.
pub(super) fn validate_template(template: &Value, path: &Path, errors: &mut Errors) {
    let meta = &template["metadata"];
    validate_labels(&meta["labels"], &path.child("labels"), errors);
    validate_annotations(&meta["annotations"], &path.child("annotations"), errors);
    validate_spec(&template["spec"], &path.child("spec"), errors);
    if count(&template["spec"]["ephemeralContainers"]) > 0 {
        let path = path.child("spec").child("ephemeralContainers");
        errors.push(FieldError::forbidden(
            path,
            "ephemeral containers not allowed in pod template",
        ));
    }
}

/// An error unless a value is one of these.
pub(crate) fn check_supported(value: &Value, supported: &[&str], path: &Path, errors: &mut Errors) {
    match text(value) {
        "" => errors.push(FieldError::required(path, "")),
        given if supported.contains(&given) => {}
        _ => errors.push(FieldError::not_supported(path, value, supported)),
    }
}

/// Validates a pod spec.
pub(super) fn validate_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    let volumes = validate_volumes(&spec["volumes"], &path.child("volumes"), errors);
    let containers = items(&spec["containers"]);
    validate_containers(containers, &volumes, &path.child("containers"), errors);
    validate_init_containers(
        items(&spec["initContainers"]),
        containers,
        &volumes,
        &path.child("initContainers"),
        errors,
    );
    if spec["hostNetwork"] == true {
        validate_host_network(containers, &path.child("containers"), errors);
        validate_host_network(
            items(&spec["initContainers"]),
            &path.child("initContainers"),
            errors,
        );
    }
    check_supported(
        &spec["restartPolicy"],
        &["Always", "OnFailure", "Never"],
        &path.child("restartPolicy"),
        errors,
    );
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    check_supported(
        &spec["dnsPolicy"],
        &policies,
        &path.child("dnsPolicy"),
        errors,
    );
    validate_labels(&spec["nodeSelector"], &path.child("nodeSelector"), errors);
    validate_pod_security(
        &spec["securityContext"],
        &path.child("securityContext"),
        errors,
    );
    validate_affinity(&spec["affinity"], &path.child("affinity"), errors);
    validate_dns(spec, &path.child("dnsConfig"), errors);
    validate_spread(
        &spec["topologySpreadConstraints"],
        &path.child("topologySpreadConstraints"),
        errors,
    );
    let named: [(&str, fn(&str) -> Vec<String>); 6] = [
        ("serviceAccountName", names::dns_subdomain),
        ("nodeName", names::dns_subdomain),
        ("hostname", names::dns_label),
        ("subdomain", names::dns_label),
        ("priorityClassName", names::dns_subdomain),
        ("runtimeClassName", names::dns_subdomain),
    ];
    let check_name = |name: &str, rule: fn(&str) -> Vec<String>, errors: &mut Errors| {
        if !text(&spec[name]).is_empty() {
            check(
                errors,
                &path.child(name),
                &spec[name],
                rule(text(&spec[name])),
            );
        }
    };
    for (name, rule) in &named[..2] {
        check_name(name, *rule, errors);
    }
    let deadline = &spec["activeDeadlineSeconds"];
    if has(deadline) && !(1..=i64::from(i32::MAX)).contains(&int(deadline)) {
        let why = names::range_error(1, i64::from(i32::MAX));
        errors.push(FieldError::invalid(
            path.child("activeDeadlineSeconds"),
            deadline,
            why,
        ));
    }
    for (name, rule) in &named[2..4] {
        check_name(name, *rule, errors);
    }
    validate_tolerations(&spec["tolerations"], &path.child("tolerations"), errors);
    for (name, rule) in &named[4..] {
        check_name(name, *rule, errors);
    }
    if has(&spec["preemptionPolicy"]) {
        let supported = ["Never", "PreemptLowerPriority"];
        check_supported(
            &spec["preemptionPolicy"],
            &supported,
            &path.child("preemptionPolicy"),
            errors,
        );
    }
}

fn validate_containers(
    containers: &[Value],
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
        validate_lifecycle_and_probes(container, &path, errors);
    }
    check_host_ports(containers, path, errors);
}

fn validate_init_containers(
    containers: &[Value],
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
            validate_lifecycle_and_probes(container, &path, errors);
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
    validate_resources(
        &container["resources"],
        &path.child("resources"),
        ResourceNames::Container,
        errors,
    );
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

fn validate_host_network(containers: &[Value], path: &Path, errors: &mut Errors) {
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

const ENV_FIELDS: [&str; 8] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
];

fn validate_env(env: &Value, path: &Path, errors: &mut Errors) {
    for (at, variable) in items(env).iter().enumerate() {
        let path = path.index(at);
        let name = &variable["name"];
        if text(name).is_empty() {
            errors.push(FieldError::required(path.child("name"), ""));
        } else {
            check(
                errors,
                &path.child("name"),
                name,
                names::env_var_name(text(name)),
            );
        }
        let source = &variable["valueFrom"];
        if has(source) {
            validate_env_source(variable, source, &path.child("valueFrom"), errors);
        }
    }
}

fn validate_env_source(variable: &Value, source: &Value, path: &Path, errors: &mut Errors) {
    let mut sources = 0;
    if has(&source["fieldRef"]) {
        sources += 1;
        validate_field_ref(
            &source["fieldRef"],
            &ENV_FIELDS,
            &path.child("fieldRef"),
            errors,
        );
    }
    if has(&source["resourceFieldRef"]) {
        sources += 1;
        let (reference, path) = (&source["resourceFieldRef"], path.child("resourceFieldRef"));
        if text(&reference["resource"]).is_empty() {
            errors.push(FieldError::required(path.child("resource"), ""));
        }
    }
    for name in ["configMapKeyRef", "secretKeyRef"] {
        let reference = &source[name];
        if has(reference) {
            sources += 1;
            let path = path.child(name);
            let given: Value = text(&reference["name"]).into();
            check(
                errors,
                &path.child("name"),
                &given,
                names::dns_subdomain(text(&given)),
            );
            if text(&reference["key"]).is_empty() {
                errors.push(FieldError::required(path.child("key"), ""));
            } else {
                let key = &reference["key"];
                check(
                    errors,
                    &path.child("key"),
                    key,
                    names::config_map_key(text(key)),
                );
            }
        }
    }
    sources += usize::from(has(&source["fileKeyRef"]));
    let why = match (sources, text(&variable["value"]).is_empty()) {
        (0, _) => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        (_, false) => "may not be specified when `value` is not empty",
        (1, true) => return,
        (_, true) => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(path, &"".into(), why));
}

/// Validates a reference to a field of the pod.
pub(super) fn validate_field_ref(
    reference: &Value,
    supported: &[&str],
    path: &Path,
    errors: &mut Errors,
) {
    let field = text(&reference["fieldPath"]);
    if text(&reference["apiVersion"]).is_empty() {
        errors.push(FieldError::required(path.child("apiVersion"), ""));
    } else if field.is_empty() {
        errors.push(FieldError::required(path.child("fieldPath"), ""));
    } else if let Some((name, key)) = field
        .strip_suffix("']")
        .and_then(|field| field.split_once("['"))
    {
        match name {
            "metadata.annotations" => check(
                errors,
                path,
                &key.to_lowercase().into(),
                names::qualified_name(&key.to_lowercase()),
            ),
            "metadata.labels" => check(errors, path, &key.into(), names::qualified_name(key)),
            _ => errors.push(FieldError::invalid(
                path.child("fieldPath"),
                &field.into(),
                format!("error converting fieldPath: field label not supported: {field}"),
            )),
        }
    } else if !supported.contains(&field) && !matches!(field, "status.podIPs") {
        let known = ["metadata.labels", "metadata.annotations"].contains(&field)
            || ENV_FIELDS.contains(&field)
            || matches!(
                field,
                "spec.restartPolicy"
                    | "spec.schedulerName"
                    | "spec.hostNetwork"
                    | "status.phase"
                    | "status.nominatedNodeName"
            );
        if known {
            let mut all: Vec<&str> = supported.to_vec();
            all.push("status.podIPs");
            all.sort_unstable();
            errors.push(FieldError::not_supported(
                path.child("fieldPath"),
                &field.into(),
                &all,
            ));
        } else {
            let why = format!("error converting fieldPath: field label not supported: {field}");
            errors.push(FieldError::invalid(
                path.child("fieldPath"),
                &field.into(),
                why,
            ));
        }
    }
}

fn validate_env_from(sources: &Value, path: &Path, errors: &mut Errors) {
    for (at, source) in items(sources).iter().enumerate() {
        let item = path.index(at);
        if !text(&source["prefix"]).is_empty() {
            let prefix = &source["prefix"];
            check(
                errors,
                &item.child("prefix"),
                prefix,
                names::env_var_name(text(prefix)),
            );
        }
        let mut count = 0;
        for name in ["configMapRef", "secretRef"] {
            if has(&source[name]) {
                count += 1;
                let path = item.child(name);
                let given = &source[name]["name"];
                if text(given).is_empty() {
                    errors.push(FieldError::required(path.child("name"), ""));
                } else {
                    check(
                        errors,
                        &path.child("name"),
                        given,
                        names::dns_subdomain(text(given)),
                    );
                }
            }
        }
        let why = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(FieldError::invalid(path, &"".into(), why));
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

fn validate_lifecycle_and_probes(container: &Value, path: &Path, errors: &mut Errors) {
    let lifecycle = &container["lifecycle"];
    for name in ["postStart", "preStop"] {
        if has(&lifecycle[name]) {
            validate_handler(
                &lifecycle[name],
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
        validate_handler(probe, &path, errors);
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

fn validate_handler(handler: &Value, path: &Path, errors: &mut Errors) {
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

/// Which resources may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResourceNames {
    /// Those of containers.
    Container,
    /// Storage only.
    Claim,
}

/// Validates limits and requests.
pub(super) fn validate_resources(
    resources: &Value,
    path: &Path,
    allowed: ResourceNames,
    errors: &mut Errors,
) {
    let (limits, requests) = (&resources["limits"], &resources["requests"]);
    for (name, quantity) in entries(limits) {
        let path = path.child("limits").key(name);
        validate_resource_name(name, allowed, &path, errors);
        validate_resource_value(name, quantity, &path, errors);
    }
    for (name, quantity) in entries(requests) {
        let path_of = path.child("requests").key(name);
        validate_resource_name(name, allowed, &path_of, errors);
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

fn validate_resource_name(name: &str, allowed: ResourceNames, path: &Path, errors: &mut Errors) {
    let found = names::qualified_name(name);
    if !found.is_empty() {
        return check(errors, path, &name.into(), found);
    }
    if allowed != ResourceNames::Container || name.contains('/') {
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

fn check_id(value: &Value, path: &Path, errors: &mut Errors) {
    let range = 0..=i64::from(i32::MAX);
    if has(value) && !range.contains(&int(value)) {
        errors.push(FieldError::invalid(
            path,
            value,
            names::range_error(0, i64::from(i32::MAX)),
        ));
    }
}

fn validate_security(context: &Value, path: &Path, errors: &mut Errors) {
    if !has(context) {
        return;
    }
    check_id(&context["runAsUser"], &path.child("runAsUser"), errors);
    check_id(&context["runAsGroup"], &path.child("runAsGroup"), errors);
    if context["allowPrivilegeEscalation"] == false {
        if context["privileged"] == true {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(FieldError::invalid(path, context, why));
        }
        if items(&context["capabilities"]["add"])
            .iter()
            .any(|name| name == "CAP_SYS_ADMIN")
        {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push(FieldError::invalid(path, context, why));
        }
    }
    validate_seccomp(
        &context["seccompProfile"],
        &path.child("seccompProfile"),
        errors,
    );
}

fn validate_seccomp(profile: &Value, path: &Path, errors: &mut Errors) {
    if !has(profile) {
        return;
    }
    let supported = ["Localhost", "RuntimeDefault", "Unconfined"];
    match text(&profile["type"]) {
        "Localhost" if !has(&profile["localhostProfile"]) => {
            errors.push(FieldError::required(
                path.child("localhostProfile"),
                "must be set when seccomp type is Localhost",
            ));
        }
        "RuntimeDefault" | "Unconfined" if has(&profile["localhostProfile"]) => {
            let why = "can only be set when seccomp type is Localhost";
            errors.push(FieldError::invalid(
                path.child("localhostProfile"),
                &profile["localhostProfile"],
                why,
            ));
        }
        "Localhost" | "RuntimeDefault" | "Unconfined" => {}
        "" => errors.push(FieldError::required(
            path.child("type"),
            "type is required when seccompProfile is set",
        )),
        _ => errors.push(FieldError::not_supported(
            path.child("type"),
            &profile["type"],
            &supported,
        )),
    }
}

fn validate_pod_security(context: &Value, path: &Path, errors: &mut Errors) {
    for name in ["fsGroup", "runAsUser", "runAsGroup"] {
        check_id(&context[name], &path.child(name), errors);
    }
    for (at, group) in items(&context["supplementalGroups"]).iter().enumerate() {
        check_id(group, &path.child("supplementalGroups").index(at), errors);
    }
    validate_seccomp(
        &context["seccompProfile"],
        &path.child("seccompProfile"),
        errors,
    );
}

fn validate_affinity(affinity: &Value, path: &Path, errors: &mut Errors) {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let node = &affinity["nodeAffinity"];
    let node_path = path.child("nodeAffinity");
    let terms = &node[required]["nodeSelectorTerms"];
    if has(&node[required]) {
        let path = node_path.child(required).child("nodeSelectorTerms");
        if count(terms) == 0 {
            errors.push(FieldError::required(
                &path,
                "must have at least one node selector term",
            ));
        }
        for (at, term) in items(terms).iter().enumerate() {
            validate_node_term(term, &path.index(at), errors);
        }
    }
    for (at, term) in items(&node[preferred]).iter().enumerate() {
        let path = node_path.child(preferred).index(at);
        check_weight(&term["weight"], &path.child("weight"), errors);
        validate_node_term(&term["preference"], &path.child("preference"), errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let path = path.child(kind);
        for (at, term) in items(&affinity[kind][required]).iter().enumerate() {
            validate_pod_term(term, &path.child(required).index(at), errors);
        }
        for (at, term) in items(&affinity[kind][preferred]).iter().enumerate() {
            let path = path.child(preferred).index(at);
            check_weight(&term["weight"], &path.child("weight"), errors);
            validate_pod_term(
                &term["podAffinityTerm"],
                &path.child("podAffinityTerm"),
                errors,
            );
        }
    }
}

fn check_weight(weight: &Value, path: &Path, errors: &mut Errors) {
    if !(1..=100).contains(&int(weight)) {
        errors.push(FieldError::invalid(
            path,
            &int(weight).into(),
            "must be in the range 1-100",
        ));
    }
}

fn validate_node_term(term: &Value, path: &Path, errors: &mut Errors) {
    for (at, requirement) in items(&term["matchExpressions"]).iter().enumerate() {
        let path = path.child("matchExpressions").index(at);
        let values = count(&requirement["values"]);
        match text(&requirement["operator"]) {
            "In" | "NotIn" if values == 0 => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(path.child("values"), why));
            }
            "Exists" | "DoesNotExist" if values > 0 => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(path.child("values"), why));
            }
            "Gt" | "Lt" if values != 1 => {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(path.child("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => {
                let why = "not a valid selector operator";
                errors.push(FieldError::invalid(
                    path.child("operator"),
                    &other.into(),
                    why,
                ));
            }
        }
        let key: Value = text(&requirement["key"]).into();
        check(
            errors,
            &path.child("key"),
            &key,
            names::qualified_name(text(&key)),
        );
    }
}

fn validate_pod_term(term: &Value, path: &Path, errors: &mut Errors) {
    validate_selector(&term["labelSelector"], &path.child("labelSelector"), errors);
    validate_selector(
        &term["namespaceSelector"],
        &path.child("namespaceSelector"),
        errors,
    );
    for name in items(&term["namespaces"]) {
        check(
            errors,
            &path.child("namespace"),
            name,
            names::dns_label(text(name)),
        );
    }
    let key = text(&term["topologyKey"]);
    if key.is_empty() {
        errors.push(FieldError::required(
            path.child("topologyKey"),
            "can not be empty",
        ));
    }
    let given: Value = key.into();
    check(
        errors,
        &path.child("topologyKey"),
        &given,
        names::qualified_name(key),
    );
}

fn validate_dns(spec: &Value, path: &Path, errors: &mut Errors) {
    let config = &spec["dnsConfig"];
    if spec["dnsPolicy"] == "None" && count(&config["nameservers"]) == 0 {
        let why = if has(config) {
            "must provide at least one DNS nameserver when `dnsPolicy` is None"
        } else {
            "must provide `dnsConfig` when `dnsPolicy` is None"
        };
        let path = if has(config) {
            path.child("nameservers")
        } else {
            path.clone()
        };
        errors.push(FieldError::required(path, why));
    }
}

fn validate_spread(constraints: &Value, path: &Path, errors: &mut Errors) {
    let all = items(constraints);
    for (at, constraint) in all.iter().enumerate() {
        let item = path.index(at);
        if int(&constraint["maxSkew"]) <= 0 {
            let given: Value = int(&constraint["maxSkew"]).into();
            errors.push(FieldError::invalid(
                item.child("maxSkew"),
                &given,
                "must be greater than zero",
            ));
        }
        if text(&constraint["topologyKey"]).is_empty() {
            errors.push(FieldError::required(
                item.child("topologyKey"),
                "can not be empty",
            ));
        }
        let action = &constraint["whenUnsatisfiable"];
        if !matches!(text(action), "DoNotSchedule" | "ScheduleAnyway") {
            let given: Value = text(action).into();
            let supported = ["DoNotSchedule", "ScheduleAnyway"];
            errors.push(FieldError::not_supported(
                item.child("whenUnsatisfiable"),
                &given,
                &supported,
            ));
        }
        let same = |other: &&Value| {
            other["topologyKey"] == constraint["topologyKey"]
                && other["whenUnsatisfiable"] == *action
        };
        if all[at + 1..].iter().any(|other| same(&other)) {
            let key = format!("{{{}, {}}}", text(&constraint["topologyKey"]), text(action));
            errors.push(FieldError::duplicate(
                item.child("{topologyKey, whenUnsatisfiable}"),
                &key.into(),
            ));
        }
        validate_selector(
            &constraint["labelSelector"],
            &item.child("labelSelector"),
            errors,
        );
    }
}

/// Validates tolerations.
pub(super) fn validate_tolerations(tolerations: &Value, path: &Path, errors: &mut Errors) {
    for (at, toleration) in items(tolerations).iter().enumerate() {
        let path = path.index(at);
        let (key, operator, value) = (
            &toleration["key"],
            text(&toleration["operator"]),
            text(&toleration["value"]),
        );
        if text(key).is_empty() {
            if operator != "Exists" {
                let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
                errors.push(FieldError::invalid(
                    path.child("operator"),
                    &operator.into(),
                    why,
                ));
            }
        } else {
            check(
                errors,
                &path.child("key"),
                key,
                names::qualified_name(text(key)),
            );
        }
        let effect = text(&toleration["effect"]);
        if has(&toleration["tolerationSeconds"]) && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(
                path.child("effect"),
                &effect.into(),
                why,
            ));
        }
        match operator {
            "Equal" | "" => {
                let found = names::label_value(value);
                if !found.is_empty() {
                    errors.push(FieldError::invalid(
                        path.child("operator"),
                        &value.into(),
                        found.join(";"),
                    ));
                }
            }
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                errors.push(FieldError::invalid(
                    path.child("operator"),
                    &value.into(),
                    why,
                ));
            }
            "Exists" => {}
            _ => {
                let supported: &[&str] = match operator {
                    "Lt" | "Gt" => &["Equal", "Exists", "Lt", "Gt"],
                    _ => &["Equal", "Exists"],
                };
                errors.push(FieldError::not_supported(
                    path.child("operator"),
                    &operator.into(),
                    supported,
                ));
            }
        }
        if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            let supported = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            errors.push(FieldError::not_supported(
                path.child("effect"),
                &effect.into(),
                &supported,
            ));
        }
    }
}
