//! certificates.k8s.io: CertificateSigningRequest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::meta;
use super::tools::{Errors, Path, has, int, items, text};
use super::{NameRule, Rules};
use crate::failure::FieldError;
use crate::gofmt;
use crate::names;

pub(super) const CERTIFICATE_SIGNING_REQUEST: Rules = Rules {
    validate: |object, errors| validate(object, errors),
    validate_update: |new, old, errors| {
        meta::validate(new, false, NameRule::Subdomain, errors);
        validate(new, errors);
        meta::validate_update(new, old, errors);
    },
    ..Rules::COMMON
};

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// Checks everything but what lies inside of the request: its structure and signature are the signer's to check.
fn validate(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let pem = STANDARD.decode(text(&spec["request"])).unwrap_or_default();
    let start = b"-----BEGIN CERTIFICATE REQUEST-----";
    if !pem.windows(start.len()).any(|window| window == start) {
        errors.push(FieldError::invalid(
            path.child("request"),
            &text(&spec["request"]).into(),
            "PEM block type must be CERTIFICATE REQUEST",
        ));
    }
    let (usages, below) = (items(&spec["usages"]), path.child("usages"));
    if usages.is_empty() {
        errors.push(FieldError::required(&below, ""));
    }
    for (at, usage) in usages.iter().enumerate() {
        if !USAGES.contains(&text(usage)) {
            errors.push(FieldError::not_supported(below.index(at), usage, &USAGES));
        }
    }
    for (at, usage) in usages.iter().enumerate() {
        if usages[..at].contains(usage) {
            errors.push(FieldError::duplicate(below.index(at), usage));
        }
    }
    validate_signer(
        &text(&spec["signerName"]).into(),
        &path.child("signerName"),
        errors,
    );
    let seconds = &spec["expirationSeconds"];
    if has(seconds) && int(seconds) < 600 {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid(
            path.child("expirationSeconds"),
            seconds,
            why,
        ));
    }
}

/// Checks the name of a signer: a domain and a path.
fn validate_signer(name: &Value, path: &Path, errors: &mut Errors) {
    let given = text(name);
    if given == "kubernetes.io/legacy-unknown" {
        let why = "the legacy signerName is not allowed via this API version";
        errors.push(FieldError::invalid(path, name, why));
        return;
    }
    if given.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let Some((domain, rest)) = given
        .split_once('/')
        .filter(|(_, rest)| !rest.contains('/'))
    else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(FieldError::invalid(path, name, why));
        return;
    };
    check_parts(domain, names::dns_label, path, errors);
    if domain.split('.').count() < 2 {
        let why = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid(path, &domain.into(), why));
    }
    check_parts(rest, names::dns_subdomain, path, errors);
}

/// Checks the parts between dots, up to the first that is wrong.
fn check_parts(given: &str, rule: fn(&str) -> Vec<String>, path: &Path, errors: &mut Errors) {
    let wrong = given.split('.').find(|part| !rule(part).is_empty());
    for why in wrong.map(rule).into_iter().flatten() {
        let part = gofmt::quote(wrong.unwrap_or_default());
        let why = format!("validating label {part}: {why}");
        errors.push(FieldError::invalid(path, &given.into(), why));
    }
}
