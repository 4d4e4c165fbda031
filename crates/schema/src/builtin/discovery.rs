//! Endpoints and EndpointSlice.

use serde_json::Value;

use super::meta;
use super::service::check_ip;
use super::tools::{Errors, Path, check, check_immutable, count, int, items, text};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const ENDPOINTS: Rules = Rules {
    create_on_update: true,
    validate: |object, errors| validate_endpoints(object, errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_endpoints(new, errors);
    },
    warn: |_, _| {
        vec![
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
                .to_owned(),
        ]
    },
    ..Rules::COMMON
};

pub(super) const ENDPOINT_SLICE: Rules = Rules {
    generation: Generation::BodyAndLabels,
    validate: |object, errors| validate_slice(object, errors),
    validate_update: |new, old, errors| {
        meta::validate(new, true, super::NameRule::Subdomain, errors);
        validate_slice(new, errors);
        check_immutable(
            errors,
            &Path::new("addressType"),
            &new["addressType"],
            &old["addressType"],
        );
    },
    ..Rules::COMMON
};

fn validate_endpoints(object: &Value, errors: &mut Errors) {
    for (at, subset) in items(&object["subsets"]).iter().enumerate() {
        let path = Path::new("subsets").index(at);
        if count(&subset["addresses"]) == 0 && count(&subset["notReadyAddresses"]) == 0 {
            errors.push(FieldError::required(
                &path,
                "must specify `addresses` or `notReadyAddresses`",
            ));
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (at, address) in items(&subset[list]).iter().enumerate() {
                let ip: Value = text(&address["ip"]).into();
                check_ip(&ip, &path.child(list).index(at).child("ip"), errors);
            }
        }
        let ports = items(&subset["ports"]);
        for (at, port) in ports.iter().enumerate() {
            let path = path.child("ports").index(at);
            let name = &port["name"];
            if text(name).is_empty() && ports.len() > 1 {
                errors.push(FieldError::required(path.child("name"), ""));
            } else if !text(name).is_empty() {
                check(
                    errors,
                    &path.child("name"),
                    name,
                    names::dns_label(text(name)),
                );
            }
            let number: Value = int(&port["port"]).into();
            check(
                errors,
                &path.child("port"),
                &number,
                names::port_number(int(&number)),
            );
            super::pod::check_supported(
                &port["protocol"],
                &["SCTP", "TCP", "UDP"],
                &path.child("protocol"),
                errors,
            );
        }
    }
}

fn validate_slice(object: &Value, errors: &mut Errors) {
    let kind = &object["addressType"];
    if text(kind).is_empty() {
        errors.push(FieldError::required("addressType", ""));
    } else if !matches!(text(kind), "FQDN" | "IPv4" | "IPv6") {
        errors.push(FieldError::not_supported(
            "addressType",
            kind,
            &["FQDN", "IPv4", "IPv6"],
        ));
    }
    for (at, endpoint) in items(&object["endpoints"]).iter().enumerate() {
        let path = Path::new("endpoints").index(at).child("addresses");
        let addresses = items(&endpoint["addresses"]);
        if addresses.is_empty() {
            errors.push(FieldError::required(
                &path,
                "must contain at least 1 address",
            ));
        } else if addresses.len() > 100 {
            errors.push(FieldError::too_many(&path, addresses.len(), 100));
        }
        for (at, address) in addresses.iter().enumerate() {
            match text(kind) {
                "IPv4" | "IPv6" => check_ip(address, &path.index(at), errors),
                _ => check(
                    errors,
                    &path.index(at),
                    address,
                    names::dns_subdomain(text(address)),
                ),
            }
        }
    }
    for (at, port) in items(&object["ports"]).iter().enumerate() {
        let path = Path::new("ports").index(at);
        let name = &port["name"];
        if !text(name).is_empty() {
            check(
                errors,
                &path.child("name"),
                name,
                names::dns_label(text(name)),
            );
        }
        super::pod::check_supported(
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
            &path.child("protocol"),
            errors,
        );
    }
}
