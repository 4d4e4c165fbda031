//! networking.k8s.io: Ingress, IngressClass and NetworkPolicy.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::apps::spec_of;
use super::meta::{self, validate_selector};
use super::service::{check_cidr, parse_cidr};
use super::tools::{Errors, Path, check, count, fill, has, int, items, same, text};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const INGRESS: Rules = Rules {
    generation: Generation::Spec,
    validate: |object, errors| {
        validate_ingress(&object["spec"], errors);
        let annotation = "kubernetes.io/ingress.class";
        let (given, class) = (
            &object["metadata"]["annotations"][annotation],
            &object["spec"]["ingressClassName"],
        );
        if has(given) && has(class) && given != class {
            let path = Path::new("annotations").child(annotation);
            errors.push(FieldError::invalid(
                path,
                given,
                "must match `ingressClassName` when both are specified",
            ));
        }
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_ingress(&new["spec"], errors);
    },
    ..Rules::COMMON
};

pub(super) const INGRESS_CLASS: Rules = Rules {
    generation: Generation::Spec,
    defaults: |value| {
        if let Some(parameters) = value["spec"]["parameters"].as_object_mut() {
            fill(parameters, "scope", "Cluster");
        }
    },
    validate: |object, errors| validate_class(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        let (now, then) = (&new["spec"]["controller"], &old["spec"]["controller"]);
        if !same(now, then) {
            errors.push(FieldError::invalid(
                "spec.controller",
                now,
                "field is immutable",
            ));
        }
        validate_class(&new["spec"], errors);
    },
    ..Rules::COMMON
};

pub(super) const NETWORK_POLICY: Rules = Rules {
    generation: Generation::Spec,
    defaults: |value| {
        let spec = spec_of(value);
        if spec
            .get("policyTypes")
            .is_none_or(|types| count(types) == 0)
        {
            let egress = spec.get("egress").is_some_and(|egress| count(egress) > 0);
            let types = if egress {
                json!(["Ingress", "Egress"])
            } else {
                json!(["Ingress"])
            };
            spec.insert("policyTypes".into(), types);
        }
    },
    validate: |object, errors| validate_policy(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_policy(&new["spec"], errors);
    },
    ..Rules::COMMON
};

fn validate_host(host: &Value, path: &Path, errors: &mut Errors) {
    let found = if text(host).contains('*') {
        names::wildcard_subdomain(text(host))
    } else {
        names::dns_subdomain(text(host))
    };
    check(errors, path, host, found);
}

fn validate_ingress(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let rules = items(&spec["rules"]);
    if rules.is_empty() && !has(&spec["defaultBackend"]) {
        let why = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid(&path, &spec["rules"], why));
    }
    if has(&spec["defaultBackend"]) {
        validate_backend(
            &spec["defaultBackend"],
            &path.child("defaultBackend"),
            errors,
        );
    }
    for (at, rule) in rules.iter().enumerate() {
        let path = path.child("rules").index(at);
        let host = &rule["host"];
        if !text(host).is_empty() {
            if text(host).parse::<IpAddr>().is_ok() {
                let why = "must be a DNS name, not an IP address";
                errors.push(FieldError::invalid(path.child("host"), host, why));
            }
            validate_host(host, &path.child("host"), errors);
        }
        if has(&rule["http"]) {
            let paths = items(&rule["http"]["paths"]);
            let path = path.child("http").child("paths");
            if paths.is_empty() {
                errors.push(FieldError::required(&path, ""));
            }
            for (at, rule) in paths.iter().enumerate() {
                validate_path(rule, &path.index(at), errors);
            }
        }
    }
    for (at, tls) in items(&spec["tls"]).iter().enumerate() {
        let path = path.child("tls").index(at);
        for (at, host) in items(&tls["hosts"]).iter().enumerate() {
            validate_host(host, &path.child("hosts").index(at), errors);
        }
        let secret = &tls["secretName"];
        if !text(secret).is_empty() {
            check(
                errors,
                &path.child("secretName"),
                secret,
                names::dns_subdomain(text(secret)),
            );
        }
    }
    let class = &spec["ingressClassName"];
    if has(class) {
        check(
            errors,
            &path.child("ingressClassName"),
            class,
            names::dns_subdomain(text(class)),
        );
    }
}

fn validate_path(rule: &Value, path: &Path, errors: &mut Errors) {
    let given: Value = text(&rule["path"]).into();
    let http = text(&given);
    match rule["pathType"].as_str() {
        None => {
            errors.push(FieldError::required(
                path.child("pathType"),
                "pathType must be specified",
            ));
            return;
        }
        Some("Exact" | "Prefix") => {
            if !http.starts_with('/') {
                errors.push(FieldError::invalid(
                    path.child("path"),
                    &given,
                    "must be an absolute path",
                ));
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if http.contains(part) {
                    errors.push(FieldError::invalid(
                        path.child("path"),
                        &given,
                        format!("must not contain '{part}'"),
                    ));
                }
            }
            for end in ["/..", "/."] {
                if http.ends_with(end) {
                    errors.push(FieldError::invalid(
                        path.child("path"),
                        &given,
                        format!("cannot end with '{end}'"),
                    ));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !http.is_empty() && !http.starts_with('/') {
                errors.push(FieldError::invalid(
                    path.child("path"),
                    &given,
                    "must be an absolute path",
                ));
            }
        }
        Some(other) => {
            let supported = ["Exact", "ImplementationSpecific", "Prefix"];
            errors.push(FieldError::not_supported(
                path.child("pathType"),
                &other.into(),
                &supported,
            ));
        }
    }
    validate_backend(&rule["backend"], &path.child("backend"), errors);
}

fn validate_backend(backend: &Value, path: &Path, errors: &mut Errors) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (has(service), has(resource)) {
        (true, true) => {
            let why = "cannot set both resource and service backends";
            errors.push(FieldError::invalid(path, &"".into(), why));
        }
        (false, true) => {
            for name in ["kind", "name"] {
                if text(&resource[name]).is_empty() {
                    let why = format!("{name} is required");
                    errors.push(FieldError::required(
                        path.child("resource").child(name),
                        why,
                    ));
                }
            }
        }
        (true, false) => validate_service_backend(service, path, errors),
        (false, false) => {
            errors.push(FieldError::invalid(
                path,
                &"".into(),
                "resource or service backend is required",
            ));
        }
    }
}

fn validate_service_backend(service: &Value, path: &Path, errors: &mut Errors) {
    let below = path.child("service");
    let name = &service["name"];
    if text(name).is_empty() {
        errors.push(FieldError::required(below.child("name"), ""));
    } else {
        check(
            errors,
            &below.child("name"),
            name,
            names::dns_label(text(name)),
        );
    }
    let (name, number) = (&service["port"]["name"], &service["port"]["number"]);
    let below = below.child("port");
    match (text(name).is_empty(), int(number) == 0) {
        (false, false) => {
            errors.push(FieldError::invalid(
                path,
                &"".into(),
                "cannot set both port name & port number",
            ));
        }
        (false, true) => check(
            errors,
            &below.child("name"),
            name,
            names::port_name(text(name)),
        ),
        (true, false) => check(
            errors,
            &below.child("number"),
            number,
            names::port_number(int(number)),
        ),
        (true, true) => errors.push(FieldError::required(
            path,
            "port name or number is required",
        )),
    }
}

/// An error unless a value is a domain, a slash and a path.
pub(super) fn check_domain_path(value: &Value, path: &Path, errors: &mut Errors) {
    let given = text(value);
    if given.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let Some((host, rest)) = given
        .split_once('/')
        .filter(|(host, rest)| !host.is_empty() && !rest.is_empty())
    else {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(path, value, why));
        return;
    };
    check(errors, path, &host.into(), names::dns_subdomain(host));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !rest.chars().all(allowed) {
        let why = names::regex_error("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[]);
        errors.push(FieldError::invalid(path, &rest.into(), why));
    }
}

fn validate_class(spec: &Value, errors: &mut Errors) {
    let (controller, path) = (&spec["controller"], Path::new("spec").child("controller"));
    if text(controller).len() > 250 {
        errors.push(FieldError::too_long(&path, 250));
    }
    check_domain_path(controller, &path, errors);
    let (parameters, path) = (&spec["parameters"], Path::new("spec").child("parameters"));
    if !has(parameters) {
        return;
    }
    for name in ["kind", "name"] {
        if text(&parameters[name]).is_empty() {
            errors.push(FieldError::required(
                path.child(name),
                format!("{name} is required"),
            ));
        }
    }
    match text(&parameters["scope"]) {
        "Cluster" => {
            if has(&parameters["namespace"]) {
                let why = "`parameters.scope` is set to 'Cluster'";
                errors.push(FieldError::forbidden(path.child("namespace"), why));
            }
        }
        "Namespace" => {
            if !has(&parameters["namespace"]) {
                let why = "`parameters.scope` is set to 'Namespace'";
                errors.push(FieldError::required(path.child("namespace"), why));
            }
        }
        other => {
            let supported = ["Cluster", "Namespace"];
            errors.push(FieldError::not_supported(
                path.child("scope"),
                &other.into(),
                &supported,
            ));
        }
    }
}

fn validate_policy(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    validate_selector(&spec["podSelector"], &path.child("podSelector"), errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (at, rule) in items(&spec[direction]).iter().enumerate() {
            let path = path.child(direction).index(at);
            for (at, port) in items(&rule["ports"]).iter().enumerate() {
                validate_policy_port(port, &path.child("ports").index(at), errors);
            }
            for (at, peer) in items(&rule[peers]).iter().enumerate() {
                validate_peer(peer, &path.child(peers).index(at), errors);
            }
        }
    }
    let (types, path) = (items(&spec["policyTypes"]), path.child("policyTypes"));
    if types.len() > 2 {
        let why = "may not specify more than two policyTypes";
        errors.push(FieldError::invalid(path, &spec["policyTypes"], why));
        return;
    }
    for (at, kind) in types.iter().enumerate() {
        if !matches!(text(kind), "Ingress" | "Egress") {
            errors.push(FieldError::not_supported(
                path.index(at),
                kind,
                &["Ingress", "Egress"],
            ));
        }
    }
}

fn validate_policy_port(port: &Value, path: &Path, errors: &mut Errors) {
    let protocol = &port["protocol"];
    if has(protocol) && !matches!(text(protocol), "TCP" | "UDP" | "SCTP") {
        errors.push(FieldError::not_supported(
            path.child("protocol"),
            protocol,
            &["TCP", "UDP", "SCTP"],
        ));
    }
    let (number, end) = (&port["port"], &port["endPort"]);
    let end_error =
        |value: &Value, why: &str| FieldError::invalid(path.child("endPort"), value, why);
    match number {
        Value::Null => {
            if has(end) {
                errors.push(end_error(
                    end,
                    "may not be specified when `port` is not specified",
                ));
            }
        }
        Value::String(name) => {
            if has(end) {
                errors.push(end_error(
                    end,
                    "may not be specified when `port` is non-numeric",
                ));
            }
            check(errors, &path.child("port"), number, names::port_name(name));
        }
        _ => {
            check(
                errors,
                &path.child("port"),
                number,
                names::port_number(int(number)),
            );
            if has(end) {
                if int(end) < int(number) {
                    errors.push(end_error(number, "must be greater than or equal to `port`"));
                }
                check(
                    errors,
                    &path.child("endPort"),
                    end,
                    names::port_number(int(end)),
                );
            }
        }
    }
}

fn validate_peer(peer: &Value, path: &Path, errors: &mut Errors) {
    let mut peers = 0;
    for name in ["podSelector", "namespaceSelector"] {
        if has(&peer[name]) {
            peers += 1;
            validate_selector(&peer[name], &path.child(name), errors);
        }
    }
    let block = &peer["ipBlock"];
    if has(block) {
        peers += 1;
        validate_block(block, &path.child("ipBlock"), errors);
    }
    if peers == 0 {
        errors.push(FieldError::required(path, "must specify a peer"));
    } else if peers > 1 && has(block) {
        errors.push(FieldError::forbidden(
            path,
            "may not specify both ipBlock and another peer",
        ));
    }
}

fn validate_block(block: &Value, path: &Path, errors: &mut Errors) {
    let cidr = &block["cidr"];
    if text(cidr).is_empty() {
        errors.push(FieldError::required(path.child("cidr"), ""));
        return;
    }
    check_cidr(cidr, &path.child("cidr"), errors);
    let Some((network, bits)) = parse_cidr(text(cidr)) else {
        return;
    };
    for (at, except) in items(&block["except"]).iter().enumerate() {
        let path = path.child("except").index(at);
        check_cidr(except, &path, errors);
        if let Some((inner, inner_bits)) = parse_cidr(text(except))
            && !(contains(network, bits, inner) && bits < inner_bits)
        {
            errors.push(FieldError::invalid(
                path,
                except,
                "must be a strict subset of `cidr`",
            ));
        }
    }
}

/// Whether an address lies in a network.
fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 4),
        IpAddr::V6(ip) => (u128::from(ip), 6),
    };
    let ((a, family), (b, other)) = (number(network), number(address));
    family == other && (bits == 0 || a >> (128 - u32::from(bits)) == b >> (128 - u32::from(bits)))
}
