//! ResourceQuota and LimitRange.

use serde_json::Value;

use super::Rules;
use super::meta;
use super::pod::validate_resource_value;
use super::tools::{Errors, Path, check, entries, has, items, same, text};
use crate::failure::FieldError;
use crate::names;
use crate::quantity::Quantity;

pub(super) const RESOURCE_QUOTA: Rules = Rules {
    validate: |object, errors| validate_quota(&object["spec"], errors),
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_quota(&new["spec"], errors);
        if !same(&new["spec"]["scopes"], &old["spec"]["scopes"]) {
            errors.push(FieldError::invalid(
                "spec.scopes",
                &new["spec"]["scopes"],
                "field is immutable",
            ));
        }
    },
    ..Rules::COMMON
};

pub(super) const LIMIT_RANGE: Rules = Rules {
    create_on_update: true,
    validate: |object, errors| validate_range(&object["spec"], errors),
    validate_update: |new, old, errors| {
        let _ = old;
        meta::validate(new, true, super::NameRule::Subdomain, errors);
        validate_range(&new["spec"], errors);
    },
    ..Rules::COMMON
};

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

const QUOTAS: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

fn validate_quota(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    for (name, quantity) in entries(&spec["hard"]) {
        let path = path.child("hard").key(name);
        let found = names::qualified_name(name);
        let bad = !found.is_empty();
        check(errors, &path, &name.into(), found);
        if !bad && !name.contains('/') && !QUOTAS.contains(&name) && !name.starts_with("hugepages-")
        {
            let standard = name == "storage" || name == "requests.hugepages-";
            if !standard {
                let why = "must be a standard resource type or fully qualified";
                errors.push(FieldError::invalid(&path, &name.into(), why));
            }
            errors.push(FieldError::invalid(
                &path,
                &name.into(),
                "must be a standard resource for quota",
            ));
        }
        validate_resource_value(name, quantity, &path, errors);
    }
    for scope in items(&spec["scopes"]) {
        if !SCOPES.contains(&text(scope)) {
            errors.push(FieldError::invalid(
                path.child("scopes"),
                &spec["scopes"],
                "unsupported scope",
            ));
        }
    }
}

fn validate_range(spec: &Value, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, limit) in items(&spec["limits"]).iter().enumerate() {
        let path = Path::new("spec").child("limits").index(at);
        let kind = text(&limit["type"]);
        if seen.contains(&kind) {
            errors.push(FieldError::duplicate(path.child("type"), &kind.into()));
        }
        seen.push(kind);
        if kind == "Pod" {
            for name in ["default", "defaultRequest"] {
                if has(&limit[name]) && !entries(&limit[name]).next().is_none() {
                    let why = "may not be specified when `type` is 'Pod'";
                    errors.push(FieldError::forbidden(path.child(name), why));
                }
            }
        }
        let mut names: Vec<&str> = Vec::new();
        for list in [
            "max",
            "min",
            "default",
            "defaultRequest",
            "maxLimitRequestRatio",
        ] {
            names.extend(entries(&limit[list]).map(|(name, _)| name));
        }
        names.sort_unstable();
        names.dedup();
        for name in names {
            validate_limit(limit, name, &path, errors);
        }
    }
}

fn validate_limit(limit: &Value, name: &str, path: &Path, errors: &mut Errors) {
    let amount = |list: &str| {
        limit[list]
            .get(name)
            .and_then(|value| Quantity::parse(text(value)).ok())
    };
    let shown = |list: &str| text(&limit[list][name]).to_owned();
    let (min, max) = (amount("min"), amount("max"));
    let (request, default) = (amount("defaultRequest"), amount("default"));
    let mut over =
        |small: (&str, Option<Quantity>), large: (&str, Option<Quantity>), list: &str| {
            if let (Some(a), Some(b)) = (small.1, large.1)
                && a > b
            {
                let label = |list: &str| match list {
                    "min" => "min value",
                    "max" => "max value",
                    "default" => "default value",
                    _ => "default request value",
                };
                let why = format!(
                    "{} {} is greater than {} {}",
                    label(small.0),
                    shown(small.0),
                    label(large.0),
                    shown(large.0)
                );
                errors.push(FieldError::invalid(
                    path.child(list).key(name),
                    &limit[list][name],
                    why,
                ));
            }
        };
    over(("min", min), ("max", max), "min");
    over(("min", min), ("defaultRequest", request), "defaultRequest");
    over(("defaultRequest", request), ("max", max), "defaultRequest");
    over(
        ("defaultRequest", request),
        ("default", default),
        "defaultRequest",
    );
    over(("min", min), ("default", default), "default");
    over(("default", default), ("max", max), "default");
}
