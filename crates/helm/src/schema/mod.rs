//! values.schema.json: JSON Schema in its editions 4, 6, 7, 2019-09 and 2020-12.
//!
//! The findings are worded as Helm words them. A schema may refer to itself and
//! to the published schemas of schemas; nothing is ever loaded from disk or
//! network. Validation is bounded in steps and depth.

mod documents;
mod formats;
mod kinds;
mod validator;

use serde_json::Value as Json;
use sluice_gotemplate::strconv::quote;

use crate::chart::Chart;
use crate::stack::on_deep_stack;
use crate::values::{Table, read_json, show_type};
use documents::{Documents, Draft, ROOT, refusal};
use kinds::Finding;
use validator::{At, Stop, Validator};

/// Most schemas that are held against values in one run.
const MAX_STEPS: u64 = 2_000_000;

/// Stack for references and values that nest as deeply as they may.
const STACK_LEVELS: usize = 2000;

/// Values that schemas refuse, or schemas that are broken. The text is Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "values don't meet the specifications of the schema(s) in the following chart(s):\n{findings}"
)]
pub struct SchemaError {
    /// The charts and what was found, as lines.
    pub findings: String,
}

/// Holds the values of a chart and of the charts below against their schemas.
/// `values` are the coalesced ones.
///
/// # Errors
/// [`SchemaError`] with everything that was found.
pub fn validate_values(chart: &Chart, values: &Table) -> Result<(), SchemaError> {
    if !has_schema(chart) {
        return Ok(());
    }
    let findings = on_deep_stack(STACK_LEVELS, || {
        let mut findings = String::new();
        validate_chart(chart, values, &mut findings);
        findings
    });
    let findings = findings.unwrap_or_else(|problem| problem);
    if findings.is_empty() {
        return Ok(());
    }
    Err(SchemaError { findings })
}

/// Whether a chart or one below it has a schema.
pub(crate) fn has_schema(chart: &Chart) -> bool {
    chart.schema.is_some() || chart.dependencies.iter().any(has_schema)
}

fn validate_chart(chart: &Chart, values: &Table, findings: &mut String) {
    if let Some(schema) = &chart.schema
        && let Err(text) = validate_one(&schema.data, values, MAX_STEPS)
    {
        findings.push_str(&format!("{}:\n{text}", chart.name()));
    }
    for child in &chart.dependencies {
        match values.get(child.name()) {
            Some(Json::Object(inner)) => validate_chart(child, inner, findings),
            None => {}
            Some(other) => findings.push_str(&format!(
                "{}:\ninvalid type for values: expected object (map), got {}\n",
                child.name(),
                show_type(other)
            )),
        }
    }
}

/// Holds values against the one schema of a chart, as `helm lint` does. The
/// error is Helm's text.
pub(crate) fn validate_against(schema: &[u8], values: &Table) -> Result<(), String> {
    on_deep_stack(STACK_LEVELS, || validate_one(schema, values, MAX_STEPS)).unwrap_or_else(Err)
}

/// Holds values against one schema. The error is Helm's text, which ends with a
/// line break when it is about the values.
fn validate_one(schema: &[u8], values: &Table, max_steps: u64) -> Result<(), String> {
    let schema = match std::str::from_utf8(schema) {
        Ok(text) if text.trim().is_empty() => return Err("EOF".to_owned()),
        _ => {
            let floats = read_json(schema).map_err(|e| match e.as_str() {
                text if text.ends_with("after top-level value") => {
                    "invalid character after top-level value".to_owned()
                }
                "unexpected end of JSON input" => "unexpected EOF".to_owned(),
                text => text.to_owned(),
            })?;
            // Numbers are shown as they stand in the schema, where that can be had.
            serde_json::from_slice(schema).unwrap_or(floats)
        }
    };
    let draft = match schema.get("$schema").and_then(Json::as_str) {
        None => Draft::D2020,
        Some(url) => Draft::from_url(url).ok_or_else(|| refusal(url))?,
    };
    let documents = Documents::new(&schema, draft)?;
    let mut validator = Validator::new(&documents, max_steps);
    let meta = documents
        .resolve(draft.metaschema(), "")
        .map_err(|_| "the schema of schemas is missing".to_owned())?;
    let meta_at = At {
        schema: meta.schema,
        base: meta.base,
        draft: meta.draft,
    };
    match validator.run(&meta_at, &schema) {
        Ok(()) => {}
        Err(Stop::Broken(text)) => return Err(text),
        Err(Stop::Finding(finding)) => {
            return Err(format!(
                "{} is not valid against metaschema: jsonschema validation failed with '{}#'\n{}",
                quote(format!("{ROOT}#").as_bytes()),
                draft.metaschema(),
                lines(*finding)
            ));
        }
    }
    let root = At {
        schema: &schema,
        base: ROOT.to_owned(),
        draft,
    };
    match validator.run(&root, &Json::Object(values.clone())) {
        Ok(()) => Ok(()),
        Err(Stop::Broken(text)) => Err(text),
        Err(Stop::Finding(finding)) => Err(lines(*finding) + "\n"),
    }
}

fn lines(finding: Finding) -> String {
    let mut out = String::new();
    for one in finding.ungrouped() {
        one.write(&mut out, 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::read_table;

    fn check(schema: &str, values: &str) -> String {
        let values = read_table(values.as_bytes()).expect("values");
        match validate_one(schema.as_bytes(), &values, 20_000) {
            Ok(()) => "ok".to_owned(),
            Err(text) => text,
        }
    }

    #[test]
    fn findings_are_worded_as_helm_words_them() {
        for (schema, values, want) in [
            (
                r#"{"properties":{"a":{"type":"integer"}}}"#,
                "a: 1.5",
                "- at '/a': got number, want integer\n",
            ),
            (r#"{"properties":{"a":{"type":"integer"}}}"#, "a: 2.0", "ok"),
            (
                r#"{"required":["x","y"]}"#,
                "a: 1",
                "- at '': missing properties 'x', 'y'\n",
            ),
            (
                r#"{"additionalProperties":false}"#,
                "b: 1\na: 2",
                "- at '': additional properties 'a', 'b' not allowed\n",
            ),
            (
                r#"{"properties":{"a":{"minimum":12345.5}}}"#,
                "a: 1234.25",
                "- at '/a': minimum: got 1,234.25, want 12,345.5\n",
            ),
            (
                r#"{"properties":{"a":{"maximum":1000000}}}"#,
                "a: 12345678",
                "- at '/a': maximum: got 1.2345678×10⁰⁷, want 1×10⁰⁶\n",
            ),
            (
                r#"{"properties":{"a":{"oneOf":[{"type":"string"},{"minimum":5}]}}}"#,
                "a: 1",
                "- at '/a': 'oneOf' failed, none matched\n  - at '/a': got number, want string\n  - at '/a': minimum: got 1, want 5\n",
            ),
            (
                r##"{"properties":{"a":{"$ref":"#/definitions/none"}}}"##,
                "a: 1",
                "json-pointer in \"file:///values.schema.json#/definitions/none\" not found",
            ),
            (
                r#"{"type":"foo"}"#,
                "",
                "\"file:///values.schema.json#\" is not valid against metaschema: jsonschema validation failed with 'https://json-schema.org/draft/2020-12/schema#'\n- at '': 'allOf' failed\n  - at '/type': 'anyOf' failed\n    - at '/type': value must be one of 'array', 'boolean', 'integer', 'null', 'number', 'object', 'string'\n    - at '/type': got string, want array",
            ),
            (
                r#"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"format":"email"}}}"#,
                "a: zz",
                "- at '/a': 'zz' is not valid email: missing @\n",
            ),
        ] {
            assert_eq!(check(schema, values), want, "{schema}");
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for reference in [
            "http://127.0.0.1:1/x.json",
            "file:///etc/passwd",
            "other.json",
        ] {
            let schema = format!(r#"{{"properties":{{"a":{{"$ref":"{reference}"}}}}}}"#);
            let text = check(&schema, "a: 1");
            assert!(text.starts_with("failing loading "), "{text}");
        }
    }

    #[test]
    fn endless_references_end() {
        let text = check(r##"{"$ref":"#"}"##, "a: 1");
        assert!(text.contains("causing reference cycle"), "{text}");
        let bomb = r##"{"properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"anyOf":[{"properties":{"b":{"$ref":"#/$defs/x"}}},{"properties":{"b":{"$ref":"#/$defs/x"}}}]}}}"##;
        let deep = format!("a: {}1{}", "{b: ".repeat(24), "}".repeat(24));
        assert_eq!(
            check(bomb, &deep),
            "schema validation stopped after 20000 steps"
        );
    }
}
