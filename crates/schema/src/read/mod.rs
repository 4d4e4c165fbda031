//! Reading request bodies of built-in kinds, with field validation.
//!
//! Errors come in the order of the document and in the words of the server.

mod json;
mod normal;
mod time;

use serde_json::Value;

use crate::failure::Failure;
use crate::gofmt::quote;
use crate::gvk::{GroupVersionKind, split_api_version};
use crate::schema::{Schema, TypeId};
use crate::tables;

pub use normal::store;
pub(crate) use normal::zero;
pub use time::{Precision, format_duration, normal_time, parse_duration};

use json::Step;
use normal::{Problem, ProblemKind, normalize};

/// What becomes of unknown and duplicate fields: the `fieldValidation` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// They are dropped silently.
    Ignore,
    /// They are dropped with warnings.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

impl FieldValidation {
    /// Reads the parameter; empty is the default. None for other values.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Ignore" => FieldValidation::Ignore,
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            _ => return None,
        })
    }
}

/// A request body.
#[derive(Debug, Clone)]
pub enum Body<'a> {
    /// JSON text.
    Json(&'a [u8]),
    /// A document that was read from another format, with the strict errors found on the way.
    Value(Value, Vec<String>),
}

/// A body that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The document; of duplicate keys the last one counts.
    pub value: Value,
    /// The strict errors of the text: `duplicate field "a.b"`, in the order of the document.
    pub duplicates: Vec<String>,
    order: Option<json::Ordered>,
    positions: Vec<Vec<usize>>,
}

impl Parsed {
    /// A document that was not read from JSON text.
    pub fn from_value(value: Value) -> Self {
        Parsed {
            value,
            duplicates: Vec::new(),
            order: None,
            positions: Vec::new(),
        }
    }
}

/// Parses JSON and finds duplicate keys.
///
/// # Errors
/// The text of the syntax error.
pub fn parse(body: &[u8]) -> Result<Parsed, String> {
    let (value, has_duplicates) = json::parse(body).map_err(|error| syntax_error(body, &error))?;
    let order = if has_duplicates {
        json::parse_ordered(body)
    } else {
        None
    };
    let (duplicates, positions) = order
        .iter()
        .flat_map(json::Ordered::duplicates)
        .map(|(path, position)| {
            (
                format!("duplicate field {}", quote(&json::display(&path))),
                position,
            )
        })
        .unzip();
    Ok(Parsed {
        value,
        duplicates,
        order,
        positions,
    })
}

/// A syntax error as Go words it.
fn syntax_error(body: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".into();
    }
    let text = String::from_utf8_lossy(body);
    let at = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .and_then(|line| line.chars().nth(error.column().saturating_sub(1)));
    let Some(found) = at else {
        return "unexpected end of JSON input".into();
    };
    let message = error.to_string();
    let context = if message.starts_with("key must be a string") {
        "looking for beginning of object key string"
    } else if message.starts_with("expected `:`") {
        "after object key"
    } else if message.starts_with("expected `,` or `}`") {
        "after object key:value pair"
    } else if message.starts_with("expected `,` or `]`") {
        "after array element"
    } else if message.starts_with("trailing characters") {
        "after top-level value"
    } else if message.starts_with("control character") {
        "in string literal"
    } else if message.starts_with("invalid escape") {
        "in string escape code"
    } else if message.starts_with("invalid number") {
        "in numeric literal"
    } else {
        "looking for beginning of value"
    };
    format!("invalid character '{found}' {context}")
}

/// An object in normal form, with the fields that were dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The object.
    pub object: Value,
    /// Strict errors in the order of the document: `unknown field "spec.foo"`.
    pub strict: Vec<String>,
}

/// Whose words errors use: the server reads JSON text with one library and decoded documents with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// Those of reading JSON text.
    Json,
    /// Those of reading a decoded document, as strategic merge patches and server-side apply do.
    Document,
}

/// Reads a parsed document into a type.
///
/// # Errors
/// The text of the first thing that cannot be read.
pub fn decode(
    schema: &Schema,
    id: TypeId,
    mut parsed: Parsed,
    body: Option<&[u8]>,
    wording: Wording,
) -> Result<Decoded, String> {
    let problems = normalize(schema, id, &mut parsed.value);
    if problems.is_empty() && parsed.duplicates.is_empty() {
        return Ok(Decoded {
            object: parsed.value,
            strict: Vec::new(),
        });
    }
    let order = parsed.order.or_else(|| body.and_then(json::parse_ordered));
    let position = |path: &[Step]| {
        order
            .as_ref()
            .map(|order| order.position(path))
            .unwrap_or_default()
    };
    let mut unreadable: Vec<(Vec<usize>, String)> = Vec::new();
    let mut strict: Vec<(Vec<usize>, String)> = parsed
        .positions
        .into_iter()
        .zip(parsed.duplicates)
        .collect();
    for Problem { path, kind } in problems {
        let position = position(&path);
        match kind {
            ProblemKind::Unknown => strict.push((
                position,
                format!("unknown field {}", quote(&json::display(&path))),
            )),
            ProblemKind::Unreadable { json, document } => {
                let text = if wording == Wording::Json {
                    json
                } else {
                    document
                };
                unreadable.push((position, text));
            }
        }
    }
    unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    strict.sort_by(|a, b| a.0.cmp(&b.0));
    match unreadable.into_iter().next() {
        Some((_, text)) => Err(text),
        None => Ok(Decoded {
            object: parsed.value,
            strict: strict.into_iter().map(|(_, text)| text).collect(),
        }),
    }
}

/// A body that became an object of its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The object, in normal form but without defaults.
    pub object: Value,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
}

/// A body as a document, which is an object, with its text.
fn parsed<'b>(body: Body<'b>, kind: &str) -> Result<(Parsed, Option<&'b [u8]>), Failure> {
    let (parsed, bytes) = match body {
        Body::Value(value, duplicates) => {
            let positions = vec![Vec::new(); duplicates.len()];
            (
                Parsed {
                    value,
                    duplicates,
                    order: None,
                    positions,
                },
                None,
            )
        }
        Body::Json(bytes) => {
            let parsed =
                parse(bytes).map_err(|error| unreadable(kind, bytes, &json_error(&error)))?;
            (parsed, Some(bytes))
        }
    };
    if !parsed.value.is_object() {
        let what = match &parsed.value {
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            _ => "null",
        };
        let error = format!(
            "json: cannot unmarshal {what} into Go value of type struct {{ APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        );
        return Err(unreadable(
            kind,
            bytes.unwrap_or_default(),
            &json_error(&error),
        ));
    }
    Ok((parsed, bytes))
}

fn json_error(error: &str) -> String {
    format!("couldn't get version/kind; json parse error: {error}")
}

/// The document of a body with its strict errors and its text.
///
/// # Errors
/// Code 400.
pub(crate) fn document(
    body: Body<'_>,
    kind: &str,
) -> Result<(Value, Vec<String>, Vec<u8>), Failure> {
    let (parsed, bytes) = parsed(body, kind)?;
    let bytes = match bytes {
        Some(bytes) => bytes.to_vec(),
        None => parsed.value.to_string().into_bytes(),
    };
    Ok((parsed.value, parsed.duplicates, bytes))
}

/// Reads the body of a request for a built-in kind. A body may leave out its `apiVersion` and `kind`.
///
/// # Errors
/// Code 400: syntax errors, other kinds, values of other types, and what strict field validation refuses.
pub fn read(
    body: Body<'_>,
    gvk: &GroupVersionKind,
    validation: FieldValidation,
) -> Result<Read, Failure> {
    let kind = &gvk.kind;
    let (mut parsed, bytes) = parsed(body, kind)?;
    let text = |key: &str| {
        parsed.value[key]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let api_version = text("apiVersion").unwrap_or_else(|| gvk.api_version());
    let given = GroupVersionKind::from_api_version(
        &api_version,
        &text("kind").unwrap_or_else(|| kind.clone()),
    );
    check_kind(&given, gvk)?;
    let schema = tables::builtin();
    let refuse = |why: String| {
        let version = split_api_version(&api_version).1;
        Failure::bad_request(format!(
            "{kind} in version {} cannot be handled as a {kind}: {why}",
            quote(version)
        ))
    };
    let Some(id) = schema.kind(&gvk.group, &gvk.version, kind) else {
        return Err(refuse(not_registered(gvk)));
    };
    parsed.value["apiVersion"] = api_version.clone().into();
    parsed.value["kind"] = kind.as_str().into();
    let decoded = decode(schema, id, parsed, bytes, Wording::Json).map_err(&refuse)?;
    match (validation, decoded.strict.is_empty()) {
        (FieldValidation::Strict, false) => Err(refuse(strict_error(&decoded.strict))),
        (FieldValidation::Warn, _) => Ok(Read {
            object: decoded.object,
            warnings: decoded.strict,
        }),
        _ => Ok(Read {
            object: decoded.object,
            warnings: Vec::new(),
        }),
    }
}

/// `strict decoding error: ...`
pub fn strict_error(errors: &[String]) -> String {
    format!("strict decoding error: {}", errors.join(", "))
}

fn not_registered(gvk: &GroupVersionKind) -> String {
    format!(
        "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
        quote(&gvk.kind),
        quote(&gvk.api_version())
    )
}

/// A body that is no object of any kind.
pub(crate) fn unreadable(kind: &str, body: &[u8], error: &str) -> Failure {
    let head = &body[..body.len().min(30)];
    let more = if body.len() > 30 { " ..." } else { "" };
    let summary = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => format!(
            "{}{more}",
            head.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        ),
    };
    Failure::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {error} ({summary})"
    ))
}

/// Whether a body of this kind may be sent where that kind is expected.
fn check_kind(given: &GroupVersionKind, expected: &GroupVersionKind) -> Result<(), Failure> {
    if given == expected {
        return Ok(());
    }
    let handled = |why: String| {
        Failure::bad_request(format!(
            "{} in version {} cannot be handled as a {}: {why}",
            given.kind,
            quote(&given.version),
            expected.kind
        ))
    };
    if tables::builtin()
        .kind(&given.group, &given.version, &given.kind)
        .is_none()
    {
        return Err(handled(not_registered(given)));
    }
    if given.group == expected.group && given.kind == expected.kind {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            given.api_version(),
            expected.api_version()
        )));
    }
    let package = match expected.group.split('.').next() {
        Some("") | None => "core",
        Some(first) => first,
    };
    Err(handled(format!(
        "converting ({}.{}) to ({package}.{}): unknown conversion",
        given.version, given.kind, expected.kind
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        let gvk = GroupVersionKind::new("apps", "v1", "Deployment");
        match read(Body::Json(body.as_bytes()), &gvk, FieldValidation::Strict) {
            Ok(read) => panic!("read {}", read.object),
            Err(failure) => failure.message,
        }
    }

    fn deployment(more: &str) -> String {
        format!(
            "{{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{{\"name\":\"x\"}},\"spec\":{{\"selector\":{{}}{more}}}}}"
        )
    }

    /// Recorded from kube-apiserver 1.36.3.
    #[test]
    fn bodies_are_refused_in_the_words_of_the_server() {
        let handled = "Deployment in version \"v1\" cannot be handled as a Deployment: ";
        let table = [
            (
                r#","replicas":"3""#,
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                r#","replicas":3000000000"#,
                "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                r#","foo":1,"replicas":1,"replicas":2"#,
                "strict decoding error: unknown field \"spec.foo\", duplicate field \"spec.replicas\"",
            ),
            (
                r#","strategy":[]"#,
                "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.strategy of type \
                 v1.DeploymentStrategy",
            ),
            (
                r#","Replicas":1"#,
                "strict decoding error: unknown field \"spec.Replicas\"",
            ),
        ];
        for (more, text) in table {
            assert_eq!(refused(&deployment(more)), format!("{handled}{text}"));
        }
        assert_eq!(
            refused("[]"),
            "the object provided is unrecognized (must be of type Deployment): couldn't get version/kind; json parse \
             error: json: cannot unmarshal array into Go value of type struct { APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (5b5d)"
        );
        assert_eq!(
            refused(r#"{"kind":"Foo","apiVersion":"apps/v1"}"#),
            "Foo in version \"v1\" cannot be handled as a Deployment: no kind \"Foo\" is registered for version \
             \"apps/v1\" in scheme \"pkg/runtime/scheme.go:111\""
        );
        assert_eq!(
            refused(r#"{"kind":"Pod","apiVersion":"v1"}"#),
            "Pod in version \"v1\" cannot be handled as a Deployment: converting (v1.Pod) to (apps.Deployment): \
             unknown conversion"
        );
    }

    #[test]
    fn an_object_takes_its_normal_form() {
        let body = deployment(
            r#","template":{"metadata":{"creationTimestamp":null},"spec":{"hostNetwork":false,"containers":[
               {"name":"c","image":"i","resources":{"limits":{"cpu":"1000m","memory":1024}},"ports":[],"env":[
               {"name":"A","value":""}]}]}}"#,
        );
        let gvk = GroupVersionKind::new("apps", "v1", "Deployment");
        let read =
            read(Body::Json(body.as_bytes()), &gvk, FieldValidation::Strict).expect("a valid body");
        let expected = serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
            "spec": {
                "selector": {}, "strategy": {},
                "template": {"metadata": {}, "spec": {"containers": [{
                    "name": "c", "image": "i", "resources": {"limits": {"cpu": "1", "memory": "1024"}},
                    "env": [{"name": "A"}]
                }]}}
            },
            "status": {}
        });
        assert_eq!(read.object, expected);
    }
}
