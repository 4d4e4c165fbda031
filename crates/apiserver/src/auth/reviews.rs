//! The answers of the authentication and authorization review resources: pure functions of the review and the user.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Attributes, Claims, Decision, Rbac, Rule, User};
use crate::status::{Result, Status};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The `status` of an access review whose spec is `spec`, for `user`.
fn access(rbac: &Rbac, user: &User, spec: &Value) -> Value {
    let resource = &spec["resourceAttributes"];
    let path = &spec["nonResourceAttributes"];
    let asked = if resource.is_object() {
        Attributes {
            verb: text(resource, "verb"),
            group: text(resource, "group"),
            resource: text(resource, "resource"),
            subresource: text(resource, "subresource"),
            namespace: text(resource, "namespace"),
            name: text(resource, "name"),
            path: "",
        }
    } else {
        Attributes {
            verb: text(path, "verb"),
            group: "",
            resource: "",
            subresource: "",
            namespace: "",
            name: "",
            path: text(path, "path"),
        }
    };
    let (allowed, reason) = match rbac.authorize(user, &asked) {
        Decision::Allow(reason) => (true, reason),
        Decision::NoOpinion(reason) => (false, reason),
    };
    let mut status = json!({ "allowed": allowed });
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    status
}

fn check_attributes(spec: &Value) -> Result<()> {
    let which = (
        spec["resourceAttributes"].is_object(),
        spec["nonResourceAttributes"].is_object(),
    );
    let message = match which {
        (true, true) => "cannot be specified in combination with resourceAttributes",
        (false, false) => {
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        }
        _ => return Ok(()),
    };
    let cause = if which.0 {
        crate::status::Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {message}"),
            field: "spec.nonResourceAttributes".into(),
        }
    } else {
        crate::status::Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: null: {message}"),
            field: "spec.resourceAttributes".into(),
        }
    };
    Err(Status::invalid("authorization.k8s.io", "", "", vec![cause]))
}

/// SelfSubjectAccessReview: its status.
///
/// # Errors
/// The spec does not name exactly one thing.
pub fn self_subject_access_review(rbac: &Rbac, user: &User, review: &Value) -> Result<Value> {
    check_attributes(&review["spec"])?;
    Ok(access(rbac, user, &review["spec"]))
}

/// SubjectAccessReview: its status.
///
/// # Errors
/// The spec does not name exactly one thing, or no user.
pub fn subject_access_review(rbac: &Rbac, review: &Value) -> Result<Value> {
    of_subject(rbac, review)
}

/// LocalSubjectAccessReview: its status.
///
/// # Errors
/// The spec does not name exactly one thing, or no user, or another namespace than the review is in.
pub fn local_subject_access_review(rbac: &Rbac, namespace: &str, review: &Value) -> Result<Value> {
    let asked = text(&review["spec"]["resourceAttributes"], "namespace");
    if asked != namespace {
        let message =
            format!("spec.resourceAttributes.namespace must match namespace: {namespace}");
        return Err(Status::bad_request(message));
    }
    of_subject(rbac, review)
}

fn of_subject(rbac: &Rbac, review: &Value) -> Result<Value> {
    let spec = &review["spec"];
    check_attributes(spec)?;
    let strings = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let user = User {
        name: text(spec, "user").into(),
        uid: text(spec, "uid").into(),
        groups: strings(&spec["groups"]),
        extra: BTreeMap::new(),
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let cause = crate::status::Cause {
            reason: "FieldValueInvalid".into(),
            message: "Invalid value: \"\": at least one of user or group must be specified".into(),
            field: "spec.user".into(),
        };
        return Err(Status::invalid("authorization.k8s.io", "", "", vec![cause]));
    }
    Ok(access(rbac, &user, spec))
}

/// SelfSubjectRulesReview: its status.
///
/// # Errors
/// No namespace is given.
pub fn self_subject_rules_review(rbac: &Rbac, user: &User, review: &Value) -> Result<Value> {
    let namespace = text(&review["spec"], "namespace");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let everything = || vec!["*".to_owned()];
    let rules = if user.in_group(super::MASTERS) {
        vec![
            Rule {
                verbs: everything(),
                groups: everything(),
                resources: everything(),
                ..Rule::default()
            },
            Rule {
                verbs: everything(),
                paths: everything(),
                ..Rule::default()
            },
        ]
    } else {
        rbac.rules(user, namespace)
    };
    let members = |pairs: &[(&str, &Vec<String>)]| {
        let filled = pairs.iter().filter(|(_, list)| !list.is_empty());
        Value::Object(
            filled
                .map(|(key, list)| ((*key).to_owned(), json!(list)))
                .collect::<Map<_, _>>(),
        )
    };
    let resource = |rule: &Rule| {
        members(&[
            ("verbs", &rule.verbs),
            ("apiGroups", &rule.groups),
            ("resources", &rule.resources),
            ("resourceNames", &rule.names),
        ])
    };
    let path = |rule: &Rule| members(&[("verbs", &rule.verbs), ("nonResourceURLs", &rule.paths)]);
    Ok(json!({
        "resourceRules": rules.iter().filter(|rule| !rule.resources.is_empty()).map(resource).collect::<Vec<_>>(),
        "nonResourceRules": rules.iter().filter(|rule| !rule.paths.is_empty()).map(path).collect::<Vec<_>>(),
        "incomplete": false,
    }))
}

/// The user as `userInfo` shows it.
fn user_info(user: &User) -> Value {
    let mut info = json!({ "username": user.name });
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

/// SelfSubjectReview: its status.
pub fn self_subject_review(user: &User) -> Value {
    json!({ "userInfo": user_info(user) })
}

/// TokenReview: its status, given whose token it is.
pub fn token_review(found: Option<(&User, &Claims)>, asked: &[String]) -> Value {
    let refused = |error: &str| json!({ "user": {}, "error": error });
    let Some((user, claims)) = found else {
        return refused("invalid bearer token");
    };
    let own = [super::token::ISSUER.to_owned()];
    let wanted: &[String] = if asked.is_empty() { &own } else { asked };
    let audiences: Vec<&String> = wanted
        .iter()
        .filter(|wanted| claims.audiences.contains(wanted))
        .collect();
    if audiences.is_empty() {
        return refused(&format!(
            "[invalid bearer token, token audiences {} is invalid for the target audiences {}]",
            go_list(&claims.audiences),
            go_list(wanted)
        ));
    }
    json!({ "authenticated": true, "user": user_info(user), "audiences": audiences })
}

/// A list of texts as Go's `%q` shows it.
fn go_list(texts: &[String]) -> String {
    let all: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", all.join(" "))
}
