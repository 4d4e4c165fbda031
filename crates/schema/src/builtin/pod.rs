//! Pod specs and pod templates.

use serde_json::Value;

use super::container::{validate_containers, validate_host_network, validate_init_containers};
use super::meta::{validate_annotations, validate_labels};
use super::placement::{validate_affinity, validate_spread, validate_tolerations};
use super::tools::{Errors, Path, check, count, has, int, items, text};
use super::volume::validate_volumes;
use crate::failure::FieldError;
use crate::names;

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

/// What is wrong with a name.
type NameCheck = fn(&str) -> Vec<String>;

/// Validates a pod spec.
pub(super) fn validate_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    let volumes = validate_volumes(&spec["volumes"], &path.child("volumes"), errors);
    let containers = items(&spec["containers"]);
    validate_containers(
        containers,
        &spec["terminationGracePeriodSeconds"],
        &volumes,
        &path.child("containers"),
        errors,
    );
    validate_init_containers(
        items(&spec["initContainers"]),
        &spec["terminationGracePeriodSeconds"],
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
    let named: [(&str, NameCheck); 6] = [
        ("serviceAccountName", names::dns_subdomain),
        ("nodeName", names::dns_subdomain),
        ("hostname", names::dns_label),
        ("subdomain", names::dns_label),
        ("priorityClassName", names::dns_subdomain),
        ("runtimeClassName", names::dns_subdomain),
    ];
    let check_name = |name: &str, rule: NameCheck, errors: &mut Errors| {
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
        let supported = ["PreemptLowerPriority", "Never"];
        check_supported(
            &spec["preemptionPolicy"],
            &supported,
            &path.child("preemptionPolicy"),
            errors,
        );
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

pub(super) fn validate_security(context: &Value, path: &Path, errors: &mut Errors) {
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
