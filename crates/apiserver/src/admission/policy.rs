//! ValidatingAdmissionPolicies and their bindings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use sluice_cel::Type;
use sluice_cel::rules::{Bound, Expression, object_type};

use super::matching::{Operation, Request};
use crate::objects::DryRun;
use crate::status::{Result, Status};
use crate::store::{Object, key};
use crate::verbs::selector::Selector;

const POLICIES: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";
const BINDINGS: &str = "validatingadmissionpolicybindings.admissionregistration.k8s.io";

/// What expressions see beside their variables.
const INPUTS: [&str; 5] = [
    "object",
    "oldObject",
    "request",
    "params",
    "namespaceObject",
];

/// The expressions of policies, compiled when they are first needed.
#[derive(Default)]
pub struct Policies(Mutex<HashMap<Arc<str>, Versioned>>);

/// The version of a policy, and that version compiled.
type Versioned = (u64, Arc<Compiled>);

impl Policies {
    fn of(&self, policy: &Object) -> Arc<Compiled> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, compiled)) = known.get(&policy.key)
            && *version == policy.version
        {
            return compiled.clone();
        }
        let compiled = Arc::new(Compiled::of(&policy.value()["spec"]));
        known.insert(policy.key.clone(), (policy.version, compiled.clone()));
        compiled
    }
}

type Checked = std::result::Result<Expression, String>;

struct Validation {
    source: String,
    expression: Checked,
    message: String,
    message_expression: Option<Checked>,
    reason: String,
}

struct Compiled {
    conditions: Vec<(String, Checked)>,
    variables: Vec<(String, Checked)>,
    validations: Vec<Validation>,
}

impl Compiled {
    fn of(spec: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |name: &str| spec[name].as_array().cloned().unwrap_or_default();
        let mut variables: Vec<(String, Checked)> = Vec::new();
        for variable in list("variables") {
            let compiled = compile(&text(&variable["expression"]), &variables);
            variables.push((text(&variable["name"]), compiled));
        }
        let conditions = list("matchConditions")
            .iter()
            .map(|condition| {
                let compiled = compile(&text(&condition["expression"]), &[]);
                (text(&condition["name"]), compiled)
            })
            .collect();
        let validations = list("validations")
            .iter()
            .map(|validation| {
                let source = text(&validation["expression"]);
                let message_source = text(&validation["messageExpression"]);
                let has_message = !message_source.is_empty();
                Validation {
                    expression: compile(&source, &variables),
                    source,
                    message: text(&validation["message"]).trim().to_owned(),
                    message_expression: has_message.then(|| compile(&message_source, &variables)),
                    reason: text(&validation["reason"]),
                }
            })
            .collect();
        Compiled {
            conditions,
            variables,
            validations,
        }
    }
}

/// Compiles an expression that sees these variables of the policy.
fn compile(source: &str, variables: &[(String, Checked)]) -> Checked {
    let fields = variables.iter().map(|(name, variable)| {
        let ty = variable
            .as_ref()
            .map_or(Type::Dyn, |expression| expression.result().clone());
        (name.clone(), ty)
    });
    let mut scope: Vec<(&str, Type)> = INPUTS.iter().map(|name| (*name, Type::Dyn)).collect();
    scope.push(("variables", object_type("variables", fields)));
    Expression::compile(source, &scope)
}

/// What an expression said against the request.
struct Finding {
    message: String,
    reason: String,
}

/// Asks every policy that is bound to the request.
///
/// # Errors
/// What the first that denies it answers.
pub(super) fn check(request: &Request<'_>, warnings: &mut Vec<String>) -> Result<()> {
    let store = &request.write.app.store;
    let (policies, bindings) = (store.table(POLICIES), store.table(BINDINGS));
    if policies.is_empty() || bindings.is_empty() || request.is_exempt() {
        return Ok(());
    }
    let bindings: Vec<Value> = bindings.all().iter().map(|found| found.value()).collect();
    for policy in policies.all() {
        let value = policy.value();
        let spec = &value["spec"];
        if !request.matches(&spec["matchConstraints"], "resourceRules") {
            continue;
        }
        for binding in &bindings {
            let bound = &binding["spec"];
            if bound["policyName"] == policy.name()
                && request.matches(&bound["matchResources"], "resourceRules")
            {
                let compiled = request.write.app.policies.of(&policy);
                let found = evaluate(request, spec, bound, &compiled);
                act(request, policy.name(), binding, found, warnings)?;
            }
        }
    }
    Ok(())
}

/// Denies, warns or only notes, as the binding says.
fn act(
    request: &Request<'_>,
    policy: &str,
    binding: &Value,
    found: Vec<Finding>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let name = binding["metadata"]["name"].as_str().unwrap_or_default();
    let actions = binding["spec"]["validationActions"].as_array();
    let does = |action: &str| actions.is_some_and(|all| all.contains(&action.into()));
    for finding in found {
        let about = format!("ValidatingAdmissionPolicy '{policy}' with binding '{name}'");
        if does("Warn") {
            warnings.push(format!(
                "Validation failed for {about}: {}",
                finding.message
            ));
        }
        if does("Deny") {
            let message = format!("{about} denied request: {}", finding.message);
            return Err(denied(request, &message, &finding.reason));
        }
    }
    Ok(())
}

fn denied(request: &Request<'_>, message: &str, reason: &str) -> Status {
    let resource = request.write.resource;
    let name = request.name();
    let mut status = Status::forbidden(&resource.group, &resource.plural, name, message);
    (status.code, status.reason) = match reason {
        "Forbidden" => (403, "Forbidden"),
        "Unauthorized" => (401, "Unauthorized"),
        "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
        _ => (422, "Invalid"),
    };
    if let Some(details) = &mut status.details {
        details["causes"] = json!([{"message": message}]);
    }
    status
}

/// The object that a policy's parameters are, for each that the binding names. `Err` is a denial.
fn parameters(
    request: &Request<'_>,
    spec: &Value,
    bound: &Value,
) -> std::result::Result<Vec<Value>, String> {
    let kind = &spec["paramKind"];
    let reference = &bound["paramRef"];
    if kind.is_null() || reference.is_null() {
        return Ok(vec![Value::Null]);
    }
    let write = request.write;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let index = write.app.registry.index();
    let Some(resource) = index.find_kind(&text(&kind["apiVersion"]), &text(&kind["kind"])) else {
        return Err(format!(
            "failed to find resource referenced by paramKind: '{}, Kind={}'",
            text(&kind["apiVersion"]),
            text(&kind["kind"])
        ));
    };
    let given = text(&reference["namespace"]);
    let namespace = match given.as_str() {
        "" => write.own_namespace().map(str::to_owned),
        given => Some(given.to_owned()),
    }
    .filter(|_| resource.namespaced);
    let name = text(&reference["name"]);
    let mut found: Vec<Value> = Vec::new();
    if name.is_empty() {
        let selector = Selector::of_label_selector(&reference["selector"]);
        let prefix = namespace.map_or(String::new(), |namespace| format!("{namespace}/"));
        let all = resource.table.list(&prefix, None, None);
        let all = all.map(|all| all.objects).unwrap_or_default();
        found.extend(
            all.iter()
                .filter(|object| selector.matches(object))
                .map(|object| object.value()),
        );
    } else {
        let object = resource.table.get(&key(namespace.as_deref(), &name));
        found.extend(object.map(|object| object.value()));
    }
    if found.is_empty() && reference["parameterNotFoundAction"] != "Allow" {
        let why = "no params found for policy binding with `Deny` parameterNotFoundAction";
        return Err(why.to_owned());
    }
    Ok(found)
}

fn evaluate(
    request: &Request<'_>,
    spec: &Value,
    bound: &Value,
    compiled: &Compiled,
) -> Vec<Finding> {
    let fails = spec["failurePolicy"] != "Ignore";
    let finding = |message: String| Finding {
        message,
        reason: String::new(),
    };
    let all = match parameters(request, spec, bound) {
        Ok(all) => all,
        Err(why) if fails => return vec![finding(format!("failed to configure binding: {why}"))],
        Err(_) => return Vec::new(),
    };
    let mut found = Vec::new();
    for parameters in all {
        let inputs = Inputs::of(request, &parameters);
        match applies(&inputs, compiled) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(why) if fails => {
                found.push(finding(why));
                continue;
            }
            Err(_) => continue,
        }
        let variables = inputs.variables(compiled);
        for validation in &compiled.validations {
            let outcome = inputs.evaluate(&validation.expression, &variables);
            match outcome.map(|value| value.as_bool()) {
                Ok(Some(true)) => {}
                Ok(_) => found.push(Finding {
                    message: message(validation, &inputs, &variables),
                    reason: validation.reason.clone(),
                }),
                Err(why) if fails => found.push(finding(format!(
                    "expression '{}' resulted in error: {why}",
                    validation.source
                ))),
                Err(_) => {}
            }
        }
    }
    found
}

/// Whether the match conditions of a webhook hold.
///
/// # Errors
/// One cannot be evaluated.
pub(super) fn conditions(request: &Request<'_>, hook: &Value) -> std::result::Result<bool, String> {
    if hook["matchConditions"].as_array().is_none_or(Vec::is_empty) {
        return Ok(true);
    }
    let compiled = Compiled::of(&json!({"matchConditions": hook["matchConditions"]}));
    applies(&Inputs::of(request, &Value::Null), &compiled)
}

/// Whether all match conditions hold.
fn applies(inputs: &Inputs, compiled: &Compiled) -> std::result::Result<bool, String> {
    for (name, condition) in &compiled.conditions {
        match inputs.evaluate(condition, &Variables::default()) {
            Ok(value) if value.as_bool() == Some(true) => {}
            Ok(_) => return Ok(false),
            Err(why) => {
                return Err(format!(
                    "failed to evaluate match condition {name:?}: {why}"
                ));
            }
        }
    }
    Ok(true)
}

fn message(validation: &Validation, inputs: &Inputs, variables: &Variables) -> String {
    let computed = validation.message_expression.as_ref().and_then(|source| {
        let value = inputs.evaluate(source, variables).ok()?;
        let text = value.as_str()?.trim();
        (!text.is_empty() && !text.contains('\n')).then(|| text.to_owned())
    });
    match computed {
        Some(text) => text,
        None if !validation.message.is_empty() => validation.message.clone(),
        None => format!("failed expression: {}", validation.source.trim()),
    }
}

/// The values of a policy's variables, or why there is none.
#[derive(Default)]
struct Variables(Vec<(String, std::result::Result<Bound, String>)>);

/// The values of [`INPUTS`].
struct Inputs(Vec<Bound>);

impl Inputs {
    fn of(request: &Request<'_>, parameters: &Value) -> Self {
        let absent = Value::Null;
        let namespace = request.namespace_object().unwrap_or_default();
        let shown = review(request);
        let values = [
            request.object.unwrap_or(&absent),
            request.old.unwrap_or(&absent),
            &shown,
            parameters,
            &namespace,
        ];
        Inputs(
            values
                .iter()
                .map(|value| Bound::new(value, &Type::Dyn))
                .collect(),
        )
    }

    fn evaluate(
        &self,
        expression: &Checked,
        variables: &Variables,
    ) -> std::result::Result<Bound, String> {
        let expression = expression.as_ref().map_err(Clone::clone)?;
        let known = variables
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_ref().ok()?)));
        let object = Bound::object(known);
        let mut scope: Vec<(&str, &Bound)> = INPUTS.iter().copied().zip(&self.0).collect();
        scope.push(("variables", &object));
        let outcome = expression.evaluate(&scope);
        // A variable that has no value is the cause of what goes wrong without it.
        let missing = variables.0.iter().find_map(|(name, value)| {
            let why = value.as_ref().err()?;
            Some(format!(
                "composited variable {name:?} fails to evaluate: {why}"
            ))
        });
        match (outcome, missing) {
            (Err(_), Some(why)) if expression.uses("variables") => Err(why),
            (outcome, _) => outcome,
        }
    }

    fn variables(&self, compiled: &Compiled) -> Variables {
        let mut all = Variables::default();
        for (name, expression) in &compiled.variables {
            let value = self.evaluate(expression, &all);
            all.0.push((name.clone(), value));
        }
        all
    }
}

/// The `request` of an expression, which an AdmissionReview has too.
pub(super) fn review(request: &Request<'_>) -> Value {
    let write = request.write;
    let resource = write.resource;
    let user = &write.user;
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let path =
        json!({"group": resource.group, "version": resource.version, "resource": resource.plural});
    let mut shown = json!({
        "kind": kind, "resource": path, "requestKind": kind, "requestResource": path,
        "name": request.name(), "operation": request.operation.name(),
        "userInfo": {"username": user.name, "groups": user.groups},
        "dryRun": write.dry_run == DryRun::All,
        "options": {
            "apiVersion": "meta.k8s.io/v1",
            "kind": match request.operation {
                Operation::Create => "CreateOptions",
                Operation::Update => "UpdateOptions",
                Operation::Delete => "DeleteOptions",
            },
        },
    });
    if let Some(namespace) = write.own_namespace() {
        shown["namespace"] = namespace.into();
    }
    if !write.subresource.is_empty() {
        shown["subResource"] = write.subresource.into();
        shown["requestSubResource"] = write.subresource.into();
    }
    if !user.uid.is_empty() {
        shown["userInfo"]["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        shown["userInfo"]["extra"] = json!(user.extra);
    }
    shown
}
