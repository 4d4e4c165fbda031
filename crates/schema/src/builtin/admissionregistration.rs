//! admissionregistration.k8s.io: webhooks and policies.

use serde_json::Value;

use super::meta::{self, validate_selector};
use super::tools::{Errors, Path, check, count, has, int, items, text};
use super::{Generation, Rules};
use crate::failure::FieldError;
use crate::names;

pub(super) const WEBHOOKS: Rules = Rules {
    generation: Generation::Field("webhooks"),
    unconditional_update: false,
    validate: |object, errors| validate_webhooks(object, errors),
    validate_update: |new, old, errors| {
        let _ = old;
        meta::validate(new, false, super::NameRule::Subdomain, errors);
        validate_webhooks(new, errors);
    },
    ..Rules::COMMON
};

pub(super) const POLICY: Rules = Rules {
    generation: Generation::Spec,
    unconditional_update: false,
    ..Rules::COMMON
};

fn validate_webhooks(object: &Value, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, hook) in items(&object["webhooks"]).iter().enumerate() {
        let path = Path::new("webhooks").index(at);
        let name = text(&hook["name"]);
        if name.is_empty() {
            errors.push(FieldError::required(path.child("name"), ""));
        } else {
            check(
                errors,
                &path.child("name"),
                &hook["name"],
                names::dns_subdomain(name),
            );
            if name.split('.').count() < 3 {
                let why = "should be a domain with at least three segments separated by dots";
                errors.push(FieldError::invalid(path.child("name"), &hook["name"], why));
            }
        }
        validate_rules(&hook["rules"], &path.child("rules"), errors);
        for (name, supported) in [
            ("failurePolicy", ["Fail", "Ignore"].as_slice()),
            ("matchPolicy", &["Equivalent", "Exact"]),
            ("sideEffects", &["None", "NoneOnDryRun"]),
        ] {
            let value = &hook[name];
            if !has(value) {
                let why = if name == "sideEffects" {
                    "must specify one of None, NoneOnDryRun"
                } else {
                    ""
                };
                errors.push(FieldError::required(path.child(name), why));
            } else if !supported.contains(&text(value)) {
                errors.push(FieldError::not_supported(
                    path.child(name),
                    value,
                    supported,
                ));
            }
        }
        if has(&hook["timeoutSeconds"]) && !(1..=30).contains(&int(&hook["timeoutSeconds"])) {
            let why = "the timeout value must be between 1 and 30 seconds";
            errors.push(FieldError::invalid(
                path.child("timeoutSeconds"),
                &hook["timeoutSeconds"],
                why,
            ));
        }
        for name in ["namespaceSelector", "objectSelector"] {
            validate_selector(&hook[name], &path.child(name), errors);
        }
        validate_client(&hook["clientConfig"], &path.child("clientConfig"), errors);
        validate_versions(
            &hook["admissionReviewVersions"],
            &path.child("admissionReviewVersions"),
            errors,
        );
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(path.child("name"), &hook["name"]));
        }
        seen.push(name);
    }
}

fn validate_rules(rules: &Value, path: &Path, errors: &mut Errors) {
    for (at, rule) in items(rules).iter().enumerate() {
        let path = path.index(at);
        for name in ["operations", "apiGroups", "apiVersions", "resources"] {
            if count(&rule[name]) == 0 {
                errors.push(FieldError::required(path.child(name), ""));
            }
            if name != "operations"
                && count(&rule[name]) > 1
                && items(&rule[name]).iter().any(|value| value == "*")
            {
                let why = "if '*' is present, must not specify other ";
                let what = match name {
                    "apiGroups" => "API groups",
                    "apiVersions" => "API versions",
                    _ => "resources",
                };
                if name != "resources" {
                    errors.push(FieldError::invalid(
                        path.child(name),
                        &rule[name],
                        format!("{why}{what}"),
                    ));
                }
            }
        }
        for (at, operation) in items(&rule["operations"]).iter().enumerate() {
            let supported = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
            if !supported.contains(&text(operation)) {
                let path = path.child("operations").index(at);
                errors.push(FieldError::not_supported(path, operation, &supported));
            }
        }
    }
}

fn validate_client(config: &Value, path: &Path, errors: &mut Errors) {
    let (url, service) = (&config["url"], &config["service"]);
    if has(url) == has(service) {
        errors.push(FieldError::required(
            path,
            "exactly one of url or service is required",
        ));
        return;
    }
    if has(service) {
        let path = path.child("service");
        for name in ["name", "namespace"] {
            if text(&service[name]).is_empty() {
                errors.push(FieldError::required(
                    path.child(name),
                    format!("service {name} is required"),
                ));
            }
        }
        if has(&service["port"]) {
            check(
                errors,
                &path.child("port"),
                &service["port"],
                names::port_number(int(&service["port"])),
            );
        }
    } else if !text(url).starts_with("https://") {
        let why = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
        errors.push(FieldError::invalid(path.child("url"), &url["scheme"], why));
    }
}

fn validate_versions(versions: &Value, path: &Path, errors: &mut Errors) {
    if count(versions) == 0 {
        errors.push(FieldError::required(
            path,
            "must specify one of v1, v1beta1",
        ));
        return;
    }
    if !items(versions)
        .iter()
        .any(|version| matches!(text(version), "v1" | "v1beta1"))
    {
        let why = "must include at least one of v1, v1beta1";
        errors.push(FieldError::invalid(path, versions, why));
    }
}
