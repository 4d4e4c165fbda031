//! admissionregistration.k8s.io: webhooks and policies.

use serde_json::Value;
use sluice_cel::Type;
use sluice_cel::rules::{Expression, object_type};

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

pub(super) const VALIDATING_POLICY: Rules = Rules {
    validate: |object, errors| validate_policy(object, errors),
    validate_update: |new, old, errors| {
        let _ = old;
        meta::validate(new, false, super::NameRule::Subdomain, errors);
        validate_policy(new, errors);
    },
    ..POLICY
};

/// A ValidatingAdmissionPolicy: what it is about, and its expressions.
fn validate_policy(object: &Value, errors: &mut Errors) {
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let constraints = path.child("matchConstraints");
    if !has(&spec["matchConstraints"]) {
        errors.push(FieldError::required(&constraints, ""));
    } else {
        let rules = constraints.child("resourceRules");
        if items(&spec["matchConstraints"]["resourceRules"]).is_empty() {
            errors.push(FieldError::required(&rules, ""));
        }
        validate_rules(&spec["matchConstraints"]["resourceRules"], &rules, errors);
    }
    if items(&spec["validations"]).is_empty() && items(&spec["auditAnnotations"]).is_empty() {
        let why = "validations or auditAnnotations must be specified";
        errors.push(FieldError::required(path.child("validations"), why));
    }
    let mut variables: Vec<(String, Type)> = Vec::new();
    for (at, variable) in items(&spec["variables"]).iter().enumerate() {
        let path = path.child("variables").index(at);
        let found = expression(&variable["expression"], &variables, &path, errors);
        variables.push((
            text(&variable["name"]).to_owned(),
            found.unwrap_or(Type::Dyn),
        ));
    }
    for (list, name, is_condition) in [
        ("matchConditions", "expression", true),
        ("validations", "expression", true),
        ("validations", "messageExpression", false),
    ] {
        let seen = if list == "validations" {
            variables.as_slice()
        } else {
            &[]
        };
        for (at, holder) in items(&spec[list]).iter().enumerate() {
            if !has(&holder[name]) {
                continue;
            }
            let path = path.child(list).index(at).child(name);
            let wanted = if is_condition {
                Type::Bool
            } else {
                Type::String
            };
            match expression(&holder[name], seen, &path, errors) {
                Some(found) if found != wanted && found != Type::Dyn => {
                    let why = format!("must evaluate to {wanted} but got {found}");
                    errors.push(FieldError::invalid(&path, &holder[name], &why));
                }
                _ => {}
            }
        }
    }
}

/// The type of an expression of a policy that sees these variables of it.
fn expression(
    source: &Value,
    variables: &[(String, Type)],
    path: &Path,
    errors: &mut Errors,
) -> Option<Type> {
    let inputs = [
        "object",
        "oldObject",
        "request",
        "params",
        "namespaceObject",
    ];
    let mut scope: Vec<(&str, Type)> = inputs.iter().map(|name| (*name, Type::Dyn)).collect();
    scope.push(("authorizer", Type::Dyn));
    scope.push((
        "variables",
        object_type("variables", variables.iter().cloned()),
    ));
    match Expression::compile(text(source), &scope) {
        Ok(found) => Some(found.result().clone()),
        Err(why) => {
            let why = format!("compilation failed: {why}");
            errors.push(FieldError::invalid(path, source, &why));
            None
        }
    }
}

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
        for (name, what) in [
            ("operations", "operations"),
            ("apiGroups", "API groups"),
            ("apiVersions", "API versions"),
        ] {
            let (values, path) = (items(&rule[name]), path.child(name));
            if values.is_empty() {
                errors.push(FieldError::required(&path, ""));
            }
            if values.len() > 1 && values.iter().any(|value| value == "*") {
                let why = format!("if '*' is present, must not specify other {what}");
                errors.push(FieldError::invalid(&path, &rule[name], why));
            }
            for (at, value) in values.iter().enumerate() {
                let supported = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
                if name == "operations" && !supported.contains(&text(value)) {
                    errors.push(FieldError::not_supported(path.index(at), value, &supported));
                } else if name == "apiVersions" && text(value).is_empty() {
                    errors.push(FieldError::required(path.index(at), ""));
                }
            }
        }
        validate_resources(&rule["resources"], &path.child("resources"), errors);
        let scopes = ["*", "Cluster", "Namespaced"];
        if has(&rule["scope"]) && !scopes.contains(&text(&rule["scope"])) {
            errors.push(FieldError::not_supported(
                path.child("scope"),
                &rule["scope"],
                &scopes,
            ));
        }
    }
}

/// Checks `resource` and `resource/subresource`, where either may be `*`.
fn validate_resources(resources: &Value, path: &Path, errors: &mut Errors) {
    let values = items(resources);
    if values.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let (mut every_subresource_of, mut subresource_of_every) = (Vec::new(), Vec::new());
    let mut plain = false;
    for (at, value) in values.iter().enumerate() {
        let path = path.index(at);
        let given = text(value);
        if given.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        let Some((resource, subresource)) = given.split_once('/') else {
            plain = given != "*";
            continue;
        };
        for (seen, name, pattern) in [
            (&every_subresource_of, resource, format!("{resource}/*")),
            (
                &subresource_of_every,
                subresource,
                format!("*/{subresource}"),
            ),
        ] {
            if seen.contains(&name) {
                let why = format!("if '{pattern}' is present, must not specify {given}");
                errors.push(FieldError::invalid(&path, value, why));
            }
        }
        if subresource == "*" {
            every_subresource_of.push(resource);
        }
        if resource == "*" {
            subresource_of_every.push(subresource);
        }
    }
    if values.len() > 1 && values.iter().any(|value| value == "*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        errors.push(FieldError::invalid(path, resources, why));
    }
    if plain && values.iter().any(|value| value == "*") {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(path, resources, why));
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
