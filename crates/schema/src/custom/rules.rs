//! Rules of a schema: `x-kubernetes-validations`.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use sluice_cel::Type;
use sluice_cel::rules::{Bound, Expression, object_type};

use super::schema::{Additional, Structural, Trail};
use crate::builtin::tools::{Errors, Path, entries, has, items, text};
use crate::failure::{FieldError, FieldErrorKind};

/// How deep the types of a schema go.
const MAX_DEPTH: usize = 100;

/// The rules of one place in a schema, compiled when they are first used.
#[derive(Debug, Default)]
pub(super) struct Rules {
    source: Vec<Value>,
    /// The schema whose values the rules see.
    schema: Value,
    compiled: OnceLock<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    ty: Type,
    rules: Vec<Result<Rule, String>>,
}

#[derive(Debug)]
struct Rule {
    expression: Expression,
    message: Option<Expression>,
    uses_old: bool,
}

/// Whether members that every object has belong to a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The schema of the whole object.
    Root,
    /// The schema of a field, item or map value.
    Field,
}

impl Rules {
    pub fn of(schema: &Value) -> Self {
        let source = items(&schema["x-kubernetes-validations"]).to_vec();
        Rules {
            schema: if source.is_empty() {
                Value::Null
            } else {
                schema.clone()
            },
            source,
            compiled: OnceLock::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    fn compiled(&self, level: Level) -> &Compiled {
        self.compiled.get_or_init(|| {
            let ty = type_of(&self.schema, level);
            let rules = self.source.iter().map(|rule| compile(rule, &ty)).collect();
            Compiled { ty, rules }
        })
    }
}

fn variables(rule: &Value, ty: &Type) -> [(&'static str, Type); 2] {
    let old = match rule["optionalOldSelf"] == true {
        true => Type::Optional(Arc::new(ty.clone())),
        false => ty.clone(),
    };
    [("self", ty.clone()), ("oldSelf", old)]
}

fn compile(rule: &Value, ty: &Type) -> Result<Rule, String> {
    let variables = variables(rule, ty);
    let expression = Expression::compile(text(&rule["rule"]), &variables)?;
    let message = match text(&rule["messageExpression"]) {
        "" => None,
        source => Some(Expression::compile(source, &variables)?),
    };
    Ok(Rule {
        uses_old: expression.uses("oldSelf"),
        expression,
        message,
    })
}

/// The type that rules see of values of a schema.
pub(super) fn type_of(schema: &Value, level: Level) -> Type {
    type_at(schema, level, MAX_DEPTH)
}

fn type_at(schema: &Value, level: Level, depth: usize) -> Type {
    if depth == 0 || schema["x-kubernetes-int-or-string"] == true {
        return Type::Dyn;
    }
    match text(&schema["type"]) {
        "boolean" => Type::Bool,
        "integer" => Type::Int,
        "number" => Type::Double,
        "string" => match text(&schema["format"]) {
            "date" | "date-time" => Type::Timestamp,
            "duration" => Type::Duration,
            "byte" => Type::Bytes,
            _ => Type::String,
        },
        "array" => Type::list(type_at(&schema["items"], Level::Field, depth - 1)),
        "object" => {
            if schema["additionalProperties"].is_object() {
                return Type::map(type_at(
                    &schema["additionalProperties"],
                    Level::Field,
                    depth - 1,
                ));
            }
            let mut fields: Vec<(String, Type)> = entries(&schema["properties"])
                .map(|(name, member)| (name.to_owned(), type_at(member, Level::Field, depth - 1)))
                .collect();
            let embedded = schema["x-kubernetes-embedded-resource"] == true;
            if level == Level::Root || embedded {
                fields.retain(|(name, _)| {
                    !matches!(name.as_str(), "apiVersion" | "kind" | "metadata")
                });
                let named = ["name", "generateName"].map(|name| (name.to_owned(), Type::String));
                fields.push(("apiVersion".into(), Type::String));
                fields.push(("kind".into(), Type::String));
                fields.push(("metadata".into(), object_type("object", named)));
            }
            object_type("object", fields)
        }
        _ => Type::Dyn,
    }
}

/// What the rules say of a change.
pub(super) struct Verdict<'e> {
    /// What refuses the object.
    pub errors: &'e mut Errors,
    /// What is wrong with values that an update left as they were.
    pub tolerated: &'e mut Vec<String>,
}

/// Holds a value to the rules of its schema. `old` is the value that it replaces.
pub(super) fn validate(
    schema: &Structural,
    value: &Value,
    old: Option<&Value>,
    path: &Trail<'_>,
    level: Level,
    verdict: &mut Verdict<'_>,
) {
    if !schema.ruled && schema.rules.is_empty() || value.is_null() {
        return;
    }
    let old = old.filter(|old| !old.is_null());
    if !schema.rules.is_empty() {
        run(schema, value, old, path, level, verdict);
    }
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(of) = &schema.items {
                    let old = schema.counterpart(old, item);
                    validate(of, item, old, &path.index(at), Level::Field, verdict);
                }
            }
        }
        Value::Object(map) => {
            let old = old.filter(|_| !schema.atomic_map);
            for (name, member) in map {
                let old = old.and_then(|old| old.get(name));
                match (schema.properties.get(name), &schema.additional) {
                    (Some(of), _) => {
                        validate(of, member, old, &path.child(name), Level::Field, verdict);
                    }
                    (None, Some(Additional::Of(of))) => {
                        validate(of, member, old, &path.key(name), Level::Field, verdict);
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn run(
    schema: &Structural,
    value: &Value,
    old: Option<&Value>,
    path: &Trail<'_>,
    level: Level,
    verdict: &mut Verdict<'_>,
) {
    let compiled = schema.rules.compiled(level);
    let own = Bound::new(value, &compiled.ty);
    let before = old.map(|old| Bound::new(old, &compiled.ty));
    let kind: Value = schema.kind.as_str().into();
    for (source, rule) in schema.rules.source.iter().zip(&compiled.rules) {
        let rule = match rule {
            Ok(rule) => rule,
            Err(why) => {
                let why = format!("rule compile error: {why}");
                verdict
                    .errors
                    .push(FieldError::invalid(path.or_nil(), &kind, why));
                continue;
            }
        };
        let optional = source["optionalOldSelf"] == true;
        if rule.uses_old && before.is_none() && !optional {
            continue;
        }
        let before = match (optional, &before) {
            (true, before) => Some(Bound::optional(before.clone())),
            (false, before) => before.clone(),
        };
        let mut variables = vec![("self", &own)];
        variables.extend(before.iter().map(|before| ("oldSelf", before)));
        match rule.expression.evaluate(&variables) {
            Ok(answer) if answer.as_bool() == Some(true) => {}
            Ok(_) => {
                let message = rule.message.as_ref().and_then(|message| {
                    let text = message
                        .evaluate(&variables)
                        .ok()?
                        .as_str()?
                        .trim()
                        .to_owned();
                    (!text.is_empty() && !text.contains('\n')).then_some(text)
                });
                let message = message.unwrap_or_else(|| default_message(source));
                let field = text(&source["fieldPath"]);
                let field = match field {
                    "" => path.or_nil(),
                    field => at_path(&path.to_string(), field),
                };
                let error = failed(&field, value, text(&source["reason"]), &message);
                if !rule.uses_old && old == Some(value) {
                    verdict.tolerated.push(error.to_string());
                } else {
                    verdict.errors.push(error);
                }
            }
            Err(why) => {
                let name = name_of(source);
                let why = match why.starts_with("no such overload") {
                    true => format!(
                        "'{why}': call arguments did not match a supported operator, function or macro signature for \
                         rule: {name}"
                    ),
                    false => format!("{why} evaluating rule: {name}"),
                };
                verdict
                    .errors
                    .push(FieldError::invalid(path.or_nil(), &kind, why));
            }
        }
    }
}

/// What texts call a rule: its message, or itself.
fn name_of(source: &Value) -> &str {
    match text(&source["message"]).trim() {
        "" => text(&source["rule"]).trim(),
        message => message,
    }
}

fn default_message(source: &Value) -> String {
    match text(&source["message"]).trim() {
        "" => format!("failed rule: {}", text(&source["rule"]).trim()),
        message => message.to_owned(),
    }
}

fn failed(field: &str, value: &Value, reason: &str, message: &str) -> FieldError {
    match reason {
        "FieldValueForbidden" => FieldError::forbidden(field, message),
        "FieldValueRequired" => FieldError::required(field, message),
        "FieldValueDuplicate" => match value {
            Value::Object(_) | Value::Array(_) => {
                FieldError::other(FieldErrorKind::Duplicate, field, "Duplicate value")
            }
            value => FieldError::duplicate(field, value),
        },
        _ => match value {
            Value::Object(_) | Value::Array(_) => {
                let text = format!("Invalid value: {message}");
                FieldError::other(FieldErrorKind::Invalid, field, text)
            }
            value => FieldError::invalid(field, value, message),
        },
    }
}

/// The steps of a `fieldPath`: `.a['b'].c`. None where it is none.
fn steps(path: &str) -> Option<Vec<(bool, String)>> {
    let mut rest = path;
    let mut found = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (key, after) = after.split_once("']")?;
            found.push((true, key.to_owned()));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 {
                return None;
            }
            found.push((false, after[..end].to_owned()));
            rest = &after[end..];
        }
    }
    Some(found)
}

/// A `fieldPath` below the path of its rule.
fn at_path(base: &str, field: &str) -> String {
    let mut at = Path::new(base);
    for (is_key, name) in steps(field).unwrap_or_default() {
        at = if is_key {
            at.key(&name)
        } else {
            at.child(&name)
        };
    }
    at.to_string()
}

/// Whether a `fieldPath` leads to a field of the schema.
fn leads_somewhere(field: &str, schema: &Value) -> bool {
    let Some(steps) = steps(field.trim()) else {
        return false;
    };
    let mut at = schema;
    for (is_key, name) in steps {
        let member = &at["properties"][name.as_str()];
        at = match (has(member), at["additionalProperties"].is_object()) {
            (true, _) => member,
            (false, true) if is_key => &at["additionalProperties"],
            _ => return false,
        };
    }
    true
}

/// What is wrong with the texts of the rules of one place.
pub(super) fn check_rule_texts(schema: &Value, path: &Path, errors: &mut Errors) {
    for (at, rule) in items(&schema["x-kubernetes-validations"])
        .iter()
        .enumerate()
    {
        let path = path.child("x-kubernetes-validations").index(at);
        if text(&rule["rule"]).trim().is_empty() {
            errors.push(FieldError::required(
                path.child("rule"),
                "rule is not specified",
            ));
        }
        check_texts(rule, schema, &path, errors);
    }
}

/// What is wrong with the expressions of the rules of one place. `uncorrelated` is the list below which old values
/// cannot be told.
pub(super) fn check_expressions(
    schema: &Value,
    path: &Path,
    level: Level,
    uncorrelated: Option<&Path>,
    errors: &mut Errors,
) {
    let rules = items(&schema["x-kubernetes-validations"]);
    if rules.is_empty() {
        return;
    }
    let ty = type_of(schema, level);
    for (at, rule) in rules.iter().enumerate() {
        let path = path.child("x-kubernetes-validations").index(at);
        let shown = printed(rule);
        let variables = variables(rule, &ty);
        match Expression::compile(text(&rule["rule"]), &variables) {
            Err(why) => errors.push(FieldError::invalid_printed(
                path.child("rule"),
                &shown,
                format!("compilation failed: {why}"),
            )),
            Ok(expression) if !matches!(expression.result(), Type::Bool) => {
                let why = "cel expression must evaluate to a bool";
                errors.push(FieldError::invalid_printed(path.child("rule"), &shown, why));
            }
            Ok(expression) => {
                let uses_old = expression.uses("oldSelf");
                if let (true, Some(list)) = (uses_old, uncorrelated) {
                    let why = format!(
                        "oldSelf cannot be used on the uncorrelatable portion of the schema within {list}"
                    );
                    errors.push(FieldError::invalid(path.child("rule"), &rule["rule"], why));
                }
                if !uses_old && has(&rule["optionalOldSelf"]) {
                    let why = "may not be set if oldSelf is not used in rule";
                    let path = path.child("optionalOldSelf");
                    errors.push(FieldError::invalid(path, &rule["optionalOldSelf"], why));
                }
            }
        }
        let message = text(&rule["messageExpression"]);
        if !message.is_empty() {
            let path = path.child("messageExpression");
            match Expression::compile(message, &variables) {
                Err(why) => {
                    let why = format!("messageExpression compilation failed: {why}");
                    errors.push(FieldError::invalid_printed(path, &shown, why));
                }
                Ok(expression) if !matches!(expression.result(), Type::String) => {
                    let why = "messageExpression must evaluate to a string";
                    errors.push(FieldError::invalid_printed(path, &shown, why));
                }
                Ok(_) => {}
            }
        }
    }
}

fn check_texts(rule: &Value, schema: &Value, path: &Path, errors: &mut Errors) {
    let message = text(&rule["message"]);
    let at = path.child("message");
    if has(&rule["message"]) && !message.is_empty() && message.trim().is_empty() {
        errors.push(FieldError::invalid(
            &at,
            &rule["message"],
            "must be non-empty if specified",
        ));
    } else if message.trim().contains('\n') {
        errors.push(FieldError::invalid(
            &at,
            &rule["message"],
            "must not contain line breaks",
        ));
    } else if message.is_empty()
        && text(&rule["messageExpression"]).is_empty()
        && text(&rule["rule"]).trim().contains('\n')
    {
        let why = "message must be specified if rule contains line breaks";
        errors.push(FieldError::required(&at, why));
    }
    let reasons = [
        "FieldValueDuplicate",
        "FieldValueForbidden",
        "FieldValueInvalid",
        "FieldValueRequired",
    ];
    if has(&rule["reason"]) && !reasons.contains(&text(&rule["reason"])) {
        errors.push(FieldError::not_supported(
            path.child("reason"),
            &rule["reason"],
            &reasons,
        ));
    }
    let field = text(&rule["fieldPath"]);
    if !field.is_empty() && !leads_somewhere(field, schema) {
        let why = "must be a valid path";
        errors.push(FieldError::invalid(
            path.child("fieldPath"),
            &rule["fieldPath"],
            why,
        ));
    }
}

/// A rule as errors print it: the fields of the server's internal type.
fn printed(rule: &Value) -> String {
    let go = |text: &str| {
        let json = Value::from(text).to_string();
        json.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    };
    let pointer = |value: &Value| match value {
        Value::String(text) => go(text),
        other => other.to_string(),
    };
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}",
        go(text(&rule["rule"])),
        go(text(&rule["message"])),
        go(text(&rule["messageExpression"])),
        pointer(&rule["reason"]),
        go(text(&rule["fieldPath"])),
        pointer(&rule["optionalOldSelf"]),
    )
}
