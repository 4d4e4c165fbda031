//! What the server warns of: objects that are valid, and probably not what was meant.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tools::{Path, count, entries, has, int, items, text};
use crate::gofmt::quote;
use crate::quantity::Quantity;

/// Warns of a pod template when an object is new or its generation has grown.
pub(super) fn of_template(object: &Value, old: Option<&Value>, path: &[&str]) -> Vec<String> {
    let grown =
        old.is_none_or(|old| old["metadata"]["generation"] != object["metadata"]["generation"]);
    if !grown {
        return Vec::new();
    }
    let template = path.iter().fold(object, |value, name| &value[*name]);
    let path = path
        .iter()
        .fold(Path::root(), |path, name| path.child(name));
    of_pod(template, &path)
}

/// Warns of a pod or pod template.
pub(super) fn of_pod(pod: &Value, path: &Path) -> Vec<String> {
    let spec = &pod["spec"];
    let path_of = path.child("spec");
    let mut warnings = Vec::new();
    for (at, constraint) in items(&spec["topologySpreadConstraints"]).iter().enumerate() {
        if !has(&constraint["labelSelector"]) {
            let path = path_of
                .child("topologySpreadConstraints")
                .index(at)
                .child("labelSelector");
            warnings.push(format!(
                "{path}: a null labelSelector results in matching no pod"
            ));
        }
    }
    for (key, message) in [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
    ] {
        if has(&pod["metadata"]["annotations"][key]) {
            let path = path.child("metadata").child("annotations").key(key);
            warnings.push(format!("{path}: {message}"));
        }
    }
    warn_of_volumes(spec, &path_of, &mut warnings);
    warn_of_secrets(spec, &path_of, &mut warnings);
    let containers = || {
        ["initContainers", "containers"]
            .into_iter()
            .flat_map(|list| {
                let path = path_of.child(list);
                items(&spec[list])
                    .iter()
                    .enumerate()
                    .map(move |(at, container)| (container, path.index(at)))
            })
    };
    for (container, path) in containers() {
        warn_of_resources(container, &path, &mut warnings);
        warn_of_env(container, &path, &mut warnings);
    }
    let mut ports: BTreeMap<String, Vec<(Path, &Value)>> = BTreeMap::new();
    for (container, path) in containers() {
        for (at, port) in items(&container["ports"]).iter().enumerate() {
            let path = path.child("ports").index(at);
            let key = format!(
                "{}/{}",
                int(&port["containerPort"]),
                text(&port["protocol"])
            );
            let known = ports.entry(key).or_default();
            for (other_path, other) in known.iter() {
                warnings.extend(
                    overlap(port, other)
                        .map(|what| format!("{path}: {what} port definition with {other_path}")),
                );
            }
            known.push((path, port));
        }
    }
    let mut names: BTreeMap<&str, Path> = BTreeMap::new();
    for (container, path) in containers() {
        for (at, port) in items(&container["ports"]).iter().enumerate() {
            let (path, name) = (path.child("ports").index(at), text(&port["name"]));
            match names.get(name) {
                _ if name.is_empty() => {}
                Some(other) => warnings.push(format!(
                    "{path}: duplicate port name {} with {other}, services and probes that select ports by name will \
                     use {other}",
                    quote(name)
                )),
                None => {
                    names.insert(name, path);
                }
            }
        }
    }
    if int(&spec["terminationGracePeriodSeconds"]) < 0 {
        let path = path_of.child("terminationGracePeriodSeconds");
        warnings.push(format!(
            "{path}: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    warn_of_affinity(spec, &path_of, &mut warnings);
    warnings
}

/// How two definitions of one port get into each other's way.
fn overlap(port: &Value, other: &Value) -> Option<&'static str> {
    let (ip, other_ip) = (text(&port["hostIP"]), text(&other["hostIP"]));
    let (host, other_host) = (int(&port["hostPort"]), int(&other["hostPort"]));
    if ip == other_ip && host == other_host {
        Some("duplicate")
    } else if host == 0 || other_host == 0 {
        Some("overlapping")
    } else if host == other_host && ip.is_empty() != other_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

fn warn_of_volumes(spec: &Value, path: &Path, warnings: &mut Vec<String>) {
    let deprecated = [
        (
            "photonPersistentDisk",
            "photonPersistentDisk",
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        (
            "gitRepo",
            "gitRepo",
            "deprecated in v1.11, and disabled by default in v1.33+",
        ),
        (
            "scaleIO",
            "scaleIO",
            "deprecated in v1.16, non-functional in v1.22+",
        ),
        (
            "flocker",
            "flocker",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "storageos",
            "storageOS",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "quobyte",
            "quobyte",
            "deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            "glusterfs",
            "glusterfs",
            "deprecated in v1.25, non-functional in v1.26+",
        ),
        (
            "cephfs",
            "cephfs",
            "deprecated in v1.28, non-functional in v1.31+",
        ),
        (
            "rbd",
            "rbd",
            "deprecated in v1.28, non-functional in v1.31+",
        ),
    ];
    for (at, volume) in items(&spec["volumes"]).iter().enumerate() {
        let path = path.child("volumes").index(at);
        for (name, shown, why) in deprecated {
            if has(&volume[name]) {
                warnings.push(format!("{}: {why}", path.child(shown)));
            }
        }
    }
}

fn warn_of_secrets(spec: &Value, path: &Path, warnings: &mut Vec<String>) {
    let secrets = items(&spec["imagePullSecrets"]);
    for (at, secret) in secrets.iter().enumerate() {
        let name = text(&secret["name"]);
        let path = path.child("imagePullSecrets").index(at).child("name");
        if secrets[..at]
            .iter()
            .any(|known| text(&known["name"]) == name)
        {
            warnings.push(format!("{path}: duplicate name {}", quote(name)));
        }
        if name.is_empty() {
            warnings.push(format!("{path}: invalid empty name {}", quote(name)));
        }
    }
}

fn warn_of_resources(container: &Value, path: &Path, warnings: &mut Vec<String>) {
    for resource in ["memory", "ephemeral-storage"] {
        for list in ["limits", "requests"] {
            let amount = &container["resources"][list][resource];
            if Quantity::parse(text(amount)).is_ok_and(|amount| amount.milli() % 1000 != 0) {
                let path = path.child("resources").child(list).key(resource);
                warnings.push(format!(
                    "{path}: fractional byte value {amount} is invalid, must be an integer"
                ));
            }
        }
    }
}

fn warn_of_env(container: &Value, path: &Path, warnings: &mut Vec<String>) {
    let env = items(&container["env"]);
    for (at, variable) in env.iter().enumerate() {
        let name = text(&variable["name"]);
        let reference = format!("$({name})");
        let value = text(&variable["value"]);
        let extends =
            !has(&variable["valueFrom"]) && value != reference && value.contains(&reference);
        if env[..at].iter().any(|known| text(&known["name"]) == name) && !extends {
            warnings.push(format!(
                "{}: hides previous definition of {}, which may be dropped when using apply",
                path.child("env").index(at),
                quote(name)
            ));
        }
    }
}

fn warn_of_affinity(spec: &Value, path: &Path, warnings: &mut Vec<String>) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let path = path.child("affinity").child(kind);
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        let mut warn = |selector: &Value, path: Path| {
            if !has(selector) {
                warnings.push(format!(
                    "{path}: a null labelSelector results in matching no pod"
                ));
            }
        };
        for (at, term) in items(&spec["affinity"][kind][required]).iter().enumerate() {
            warn(
                &term["labelSelector"],
                path.child(required).index(at).child("labelSelector"),
            );
        }
        for (at, term) in items(&spec["affinity"][kind][preferred]).iter().enumerate() {
            let path = path
                .child(preferred)
                .index(at)
                .child("podAffinityTerm")
                .child("labelSelector");
            warn(&term["podAffinityTerm"]["labelSelector"], path);
        }
    }
}

/// Warns of a Service.
pub(super) fn of_service(object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let mut warnings = Vec::new();
    let annotation = "service.kubernetes.io/topology-aware-hints";
    if has(&object["metadata"]["annotations"][annotation]) {
        let instead = "service.kubernetes.io/topology-mode";
        warnings.push(format!(
            "annotation {annotation} is deprecated, please use {instead} instead"
        ));
    }
    if spec["clusterIP"] == "None" {
        for (name, set) in [
            ("loadBalancerIP", has(&spec["loadBalancerIP"])),
            ("externalIPs", count(&spec["externalIPs"]) > 0),
            ("SessionAffinity", spec["sessionAffinity"] == "ClientIP"),
        ] {
            if set {
                warnings.push(format!("spec.{name} is ignored for headless services"));
            }
        }
    }
    if count(&spec["externalIPs"]) > 0 {
        warnings.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
                .into(),
        );
    }
    let external_name = spec["type"] == "ExternalName";
    if count(&spec["externalIPs"]) > 0 && external_name {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if !text(&spec["externalName"]).is_empty() && !external_name {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if spec["trafficDistribution"] == "PreferClose" {
        let text =
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"";
        warnings.push(text.into());
    }
    warnings
}

/// Warns of a claim.
pub(super) fn of_claim(object: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for list in ["requests", "limits"] {
        for (name, amount) in
            entries(&object["spec"]["resources"][list]).filter(|(name, _)| *name == "storage")
        {
            if Quantity::parse(text(amount)).is_ok_and(|amount| amount.milli() % 1000 != 0) {
                warnings.push(format!(
                    "spec.resources.{list}[{name}]: fractional byte value {amount} is invalid, must be an integer"
                ));
            }
        }
    }
    warnings
}
