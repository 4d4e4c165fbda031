//! Services. Cluster IPs and node ports are the server's to give out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::apps::spec_of;
use super::meta::{self, NameRule, validate_labels};
use super::pod::{check_port, check_supported};
use super::tools::{Errors, Path, check, count, fill, has, int, items, items_mut, object, text};
use super::{Rules, is_set};
use crate::failure::FieldError;
use crate::names;

pub(super) const SERVICE: Rules = Rules {
    name: NameRule::Label,
    create_on_update: true,
    defaults: default_service,
    prepare_create: |value| drop_type_dependent(value, &Value::Null),
    prepare_update: |new, old| {
        keep_allocated(new, old);
        drop_type_dependent(new, old);
    },
    validate: |object, errors| validate_service(object, errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_cluster_ip_update(new, old, errors);
        validate_service(new, errors);
    },
    ..Rules::COMMON
};

fn default_service(value: &mut Value) {
    let spec = spec_of(value);
    fill(spec, "sessionAffinity", "None");
    match spec["sessionAffinity"].as_str() {
        Some("None") => {
            spec.remove("sessionAffinityConfig");
        }
        Some("ClientIP") => {
            let client = object(object(spec, "sessionAffinityConfig"), "clientIP");
            fill(client, "timeoutSeconds", 10800);
        }
        _ => {}
    }
    fill(spec, "type", "ClusterIP");
    for port in spec.get_mut("ports").map(items_mut).unwrap_or_default() {
        let number = port["port"].clone();
        let Some(port) = port.as_object_mut() else {
            continue;
        };
        fill(port, "protocol", "TCP");
        if port
            .get("targetPort")
            .is_none_or(|target| target.is_null() || *target == 0 || *target == "")
        {
            port.insert("targetPort".into(), number);
        }
    }
    let kind = text(&spec["type"]).to_owned();
    let external = matches!(kind.as_str(), "LoadBalancer" | "NodePort")
        || (kind == "ClusterIP" && spec.get("externalIPs").is_some_and(|ips| count(ips) > 0));
    if external {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
        for ingress in items_mut(&mut value["status"]["loadBalancer"]["ingress"]) {
            if is_set(&ingress["ip"])
                && let Some(ingress) = ingress.as_object_mut()
            {
                fill(ingress, "ipMode", "VIP");
            }
        }
    }
}

fn needs_cluster_ip(spec: &Value) -> bool {
    matches!(
        text(&spec["type"]),
        "ClusterIP" | "NodePort" | "LoadBalancer"
    )
}

fn needs_node_port(spec: &Value) -> bool {
    matches!(text(&spec["type"]), "NodePort" | "LoadBalancer")
}

/// An update that leaves out what was allocated keeps it.
fn keep_allocated(new: &mut Value, old: &Value) {
    let before = &old["spec"];
    if needs_cluster_ip(before) && needs_cluster_ip(&new["spec"]) {
        for name in ["clusterIP", "clusterIPs"] {
            let blank = !is_set(&new["spec"][name]) && count(&new["spec"][name]) == 0;
            if blank && has(&before[name]) {
                new["spec"][name] = before[name].clone();
            }
        }
    }
    if needs_node_port(before) && needs_node_port(&new["spec"]) {
        let key = |port: &Value| format!("{}/{}", text(&port["protocol"]), int(&port["port"]));
        let used: BTreeSet<i64> = items(&new["spec"]["ports"])
            .iter()
            .map(|port| int(&port["nodePort"]))
            .collect();
        for port in items_mut(&mut new["spec"]["ports"]) {
            let was = items(&before["ports"])
                .iter()
                .find(|known| key(known) == key(port));
            if int(&port["nodePort"]) == 0
                && let Some(number) = was
                    .map(|port| int(&port["nodePort"]))
                    .filter(|number| *number != 0)
                && !used.contains(&number)
            {
                port["nodePort"] = number.into();
            }
        }
    }
    let health =
        |spec: &Value| spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local";
    if health(before) && health(&new["spec"]) && int(&new["spec"]["healthCheckNodePort"]) == 0 {
        super::tools::copy_path(old, new, &["spec", "healthCheckNodePort"]);
    }
}

/// Fields that the new type has no use for go, unless the update set them.
fn drop_type_dependent(new: &mut Value, old: &Value) {
    let before = &old["spec"];
    if before.is_null() {
        return;
    }
    let spec = new["spec"].clone();
    let same = |name: &str| super::tools::same(&spec[name], &before[name]);
    let mut gone: Vec<&str> = Vec::new();
    if needs_cluster_ip(before) && !needs_cluster_ip(&spec) {
        gone.extend(
            ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]
                .iter()
                .filter(|name| same(name)),
        );
    }
    let external = |spec: &Value| {
        needs_node_port(spec) || (spec["type"] == "ClusterIP" && count(&spec["externalIPs"]) > 0)
    };
    if external(before) && !external(&spec) && same("externalTrafficPolicy") {
        gone.push("externalTrafficPolicy");
    }
    if before["type"] == "LoadBalancer" && spec["type"] != "LoadBalancer" {
        let names = [
            "allocateLoadBalancerNodePorts",
            "loadBalancerClass",
            "healthCheckNodePort",
        ];
        gone.extend(names.iter().filter(|name| same(name)));
    }
    if let Some(spec) = new["spec"].as_object_mut() {
        spec.retain(|key, _| !gone.contains(&key.as_str()));
    }
    if needs_node_port(before) && !needs_node_port(&spec) {
        let used = |port: &Value| {
            items(&before["ports"])
                .iter()
                .any(|known| known["nodePort"] == port["nodePort"])
        };
        for port in items_mut(&mut new["spec"]["ports"]) {
            if used(port)
                && let Some(port) = port.as_object_mut()
            {
                port.remove("nodePort");
            }
        }
    }
}

fn is_headless(spec: &Value) -> bool {
    spec["clusterIPs"][0] == "None" || spec["clusterIP"] == "None"
}

fn spec_path(name: &str) -> Path {
    Path::new("spec").child(name)
}

fn validate_service(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    let kind = text(&spec["type"]);
    let ports = items(&spec["ports"]);
    if ports.is_empty() && !is_headless(spec) && kind != "ExternalName" {
        errors.push(FieldError::required(spec_path("ports"), ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid(
                spec_path("clusterIPs").index(0),
                &"None".into(),
                why,
            ));
        }
        "ExternalName" => {
            for name in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if has(&spec[name]) && (spec[name].is_string() || count(&spec[name]) > 0) {
                    errors.push(FieldError::forbidden(
                        spec_path(name),
                        "may not be set for ExternalName services",
                    ));
                }
            }
            let name = text(&spec["externalName"]);
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.is_empty() {
                errors.push(FieldError::required(spec_path("externalName"), ""));
            } else {
                check(
                    errors,
                    &spec_path("externalName"),
                    &name.into(),
                    names::dns_subdomain(name),
                );
            }
        }
        _ => {}
    }
    validate_ports(ports, errors);
    validate_labels(&spec["selector"], &spec_path("selector"), errors);
    check_supported(
        &spec["sessionAffinity"],
        &["ClientIP", "None"],
        &spec_path("sessionAffinity"),
        errors,
    );
    if spec["sessionAffinity"] == "ClientIP" {
        let seconds = &spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
        if !(1..=86400).contains(&int(seconds)) {
            let path = spec_path("sessionAffinityConfig")
                .child("clientIP")
                .child("timeoutSeconds");
            let why = "must be greater than 0 and less than 86400";
            errors.push(FieldError::invalid(path, seconds, why));
        }
    }
    if kind != "ExternalName" {
        validate_cluster_ips(spec, errors);
    }
    for (at, ip) in items(&spec["externalIPs"]).iter().enumerate() {
        check_ip(ip, &spec_path("externalIPs").index(at), errors);
    }
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    check_supported(&spec["type"], &kinds, &spec_path("type"), errors);
    validate_numbers(spec, ports, errors);
    let balances = kind == "LoadBalancer";
    if count(&spec["loadBalancerSourceRanges"]) > 0 && !balances {
        let why = "may only be used when `type` is 'LoadBalancer'";
        errors.push(FieldError::forbidden(
            spec_path("LoadBalancerSourceRanges"),
            why,
        ));
    }
    for (at, range) in items(&spec["loadBalancerSourceRanges"]).iter().enumerate() {
        check_cidr(
            range,
            &spec_path("LoadBalancerSourceRanges").index(at),
            errors,
        );
    }
    for name in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if has(&spec[name]) && !balances {
            let why = "may only be used when `type` is 'LoadBalancer'";
            errors.push(FieldError::forbidden(spec_path(name), why));
        }
    }
    validate_traffic(spec, errors);
}

fn validate_ports(ports: &[Value], errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, port) in ports.iter().enumerate() {
        let path = spec_path("ports").index(at);
        let name = text(&port["name"]);
        if !name.is_empty() {
            check(
                errors,
                &path.child("name"),
                &port["name"],
                names::dns_label(name),
            );
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(path.child("name"), &port["name"]));
            }
        } else if ports.len() > 1 {
            errors.push(FieldError::required(path.child("name"), ""));
        }
        check(
            errors,
            &path.child("port"),
            &int(&port["port"]).into(),
            names::port_number(int(&port["port"])),
        );
        check_supported(
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
            &path.child("protocol"),
            errors,
        );
        check_port(&port["targetPort"], &path.child("targetPort"), errors);
        let protocol = &port["appProtocol"];
        if has(protocol) {
            check(
                errors,
                &path.child("appProtocol"),
                protocol,
                names::qualified_name(text(protocol)),
            );
        }
    }
}

fn validate_numbers(spec: &Value, ports: &[Value], errors: &mut Errors) {
    if spec["type"] == "ClusterIP" {
        for (at, _) in ports
            .iter()
            .enumerate()
            .filter(|(_, port)| int(&port["nodePort"]) != 0)
        {
            let why = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(
                spec_path("ports").index(at).child("nodePort"),
                why,
            ));
        }
    }
    let mut seen = BTreeSet::new();
    for (at, port) in ports
        .iter()
        .enumerate()
        .filter(|(_, port)| int(&port["nodePort"]) != 0)
    {
        if !seen.insert((text(&port["protocol"]), int(&port["nodePort"]))) {
            let path = spec_path("ports").index(at).child("nodePort");
            errors.push(FieldError::duplicate(path, &port["nodePort"]));
        }
    }
    let mut seen = BTreeSet::new();
    for (at, port) in ports.iter().enumerate() {
        if !seen.insert((text(&port["protocol"]), int(&port["port"]))) {
            // The struct of the server's internal version, with all its fields.
            let printed = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                port["protocol"], port["port"]
            );
            errors.push(FieldError::other(
                crate::failure::FieldErrorKind::Duplicate,
                spec_path("ports").index(at),
                format!("Duplicate value: {printed}"),
            ));
        }
    }
}

fn validate_cluster_ips(spec: &Value, errors: &mut Errors) {
    let (one, all) = (text(&spec["clusterIP"]), items(&spec["clusterIPs"]));
    let path = spec_path("clusterIPs");
    match (one.is_empty(), all.first()) {
        (false, None) => errors.push(FieldError::required(&path, "")),
        (false, Some(first)) if first != one => {
            let why = "first value must match `clusterIP`";
            errors.push(FieldError::invalid(&path, &spec["clusterIPs"], why));
        }
        (true, Some(_)) => {
            let why = "must be empty when `clusterIP` is not specified";
            errors.push(FieldError::invalid(&path, &spec["clusterIPs"], why));
        }
        _ => {}
    }
    let families = items(&spec["ipFamilies"]);
    for (at, family) in families.iter().enumerate() {
        let path = spec_path("ipFamilies").index(at);
        if !matches!(text(family), "IPv4" | "IPv6") {
            errors.push(FieldError::not_supported(&path, family, &["IPv4", "IPv6"]));
        }
        if families[..at].contains(family) {
            errors.push(FieldError::duplicate(&path, family));
        }
    }
    let policy = &spec["ipFamilyPolicy"];
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    if has(policy) && !policies.contains(&text(policy)) {
        errors.push(FieldError::not_supported(
            spec_path("ipFamilyPolicy"),
            policy,
            &policies,
        ));
    }
    for (at, ip) in all.iter().enumerate() {
        if at == 0 && ip == "None" {
            if all.len() > 1 {
                let why = "'None' must be the first and only value";
                errors.push(FieldError::invalid(&path, &spec["clusterIPs"], why));
            }
            continue;
        }
        check_ip(ip, &path.index(at), errors);
    }
    if all.len() > 2 {
        errors.push(FieldError::invalid(
            &path,
            &spec["clusterIPs"],
            "may only hold up to 2 values",
        ));
    }
}

fn validate_cluster_ip_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (spec, before) = (&new["spec"], &old["spec"]);
    if !needs_cluster_ip(spec) || !needs_cluster_ip(before) {
        return;
    }
    let (now, then) = (items(&spec["clusterIPs"]), items(&before["clusterIPs"]));
    let path = spec_path("clusterIPs");
    if let (Some(was), is) = (then.first(), now.first()) {
        let is = is.unwrap_or(&Value::Null);
        if is != was {
            let given = json!(now);
            errors.push(FieldError::invalid(
                path.index(0),
                &given,
                "may not change once set",
            ));
        }
    }
}

/// An error unless a value is an IP address.
pub(super) fn check_ip(value: &Value, path: &Path, errors: &mut Errors) {
    if text(value).parse::<IpAddr>().is_err() {
        let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(FieldError::invalid(path, value, why));
    }
}

/// An address with the length of its prefix.
pub(super) fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = text.trim().split_once('/')?;
    let ip: IpAddr = ip.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
}

/// An error unless a value is a range of IP addresses.
pub(super) fn check_cidr(value: &Value, path: &Path, errors: &mut Errors) {
    if parse_cidr(text(value)).is_none() {
        let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        errors.push(FieldError::invalid(path, value, why));
    }
}

fn validate_traffic(spec: &Value, errors: &mut Errors) {
    let external =
        needs_node_port(spec) || (spec["type"] == "ClusterIP" && count(&spec["externalIPs"]) > 0);
    let policy = &spec["externalTrafficPolicy"];
    if external {
        let supported = ["Cluster", "Local"];
        check_supported(
            policy,
            &supported,
            &spec_path("externalTrafficPolicy"),
            errors,
        );
    } else if is_set(policy) {
        let why = "may only be set for externally-accessible services";
        errors.push(FieldError::invalid(
            spec_path("externalTrafficPolicy"),
            policy,
            why,
        ));
    }
    let health = &spec["healthCheckNodePort"];
    if int(health) != 0 && !(spec["type"] == "LoadBalancer" && policy == "Local") {
        let why =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(FieldError::invalid(
            spec_path("healthCheckNodePort"),
            health,
            why,
        ));
    }
    let policy = &spec["internalTrafficPolicy"];
    if needs_cluster_ip(spec) && !has(policy) {
        errors.push(FieldError::required(spec_path("internalTrafficPolicy"), ""));
    }
    if has(policy) && !matches!(text(policy), "Cluster" | "Local") {
        let supported = ["Cluster", "Local"];
        errors.push(FieldError::not_supported(
            spec_path("internalTrafficPolicy"),
            policy,
            &supported,
        ));
    }
    let distribution = &spec["trafficDistribution"];
    let supported = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    if has(distribution) && !supported.contains(&text(distribution)) {
        errors.push(FieldError::not_supported(
            spec_path("trafficDistribution"),
            distribution,
            &supported,
        ));
    }
}
