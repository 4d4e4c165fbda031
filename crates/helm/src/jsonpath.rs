//! Kubernetes' JSONPath templates, as far as `helm show values --jsonpath`
//! needs them: texts, quoted texts, fields, indexes and wildcards.
//!
//! Filters, slices, unions, recursive descent and `range` are not among them;
//! they are refused.

use serde_json::Value as Json;

use crate::values::{Table, show};

/// Why a template could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathError {
    /// The template does not parse.
    #[error("error parsing jsonpath {template}: {problem}")]
    Parse {
        /// The template.
        template: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A step from a value to what is inside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
}

/// Prints the values that a template asks for; what is missing is left out.
///
/// # Errors
/// [`JsonPathError`] for what does not parse or is not supported.
pub fn json_path(template: &str, values: &Table) -> Result<String, JsonPathError> {
    let failed = |problem| JsonPathError::Parse {
        template: template.to_owned(),
        problem,
    };
    let root = Json::Object(values.clone());
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let length = closing(&rest[at..]).ok_or_else(|| failed("unclosed action"))?;
        let action = rest[at + 1..at + length].trim();
        rest = &rest[at + length + 1..];
        if let Some(text) = literal(action) {
            out.push_str(&text);
            continue;
        }
        let steps = steps(action).map_err(failed)?;
        let found = follow(&root, &steps);
        let texts: Vec<String> = found.into_iter().map(text).collect();
        out.push_str(&texts.join(" "));
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the brace that opens a text is closed.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '}') => return Some(at),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// The text of an action that is nothing but a quoted text.
fn literal(action: &str) -> Option<String> {
    let quote = action.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = action.strip_prefix(quote)?.strip_suffix(quote)?;
    let unescaped = inner.replace("\\n", "\n").replace("\\t", "\t");
    Some(unescaped.replace("\\\\", "\\"))
}

fn steps(action: &str) -> Result<Vec<Step>, &'static str> {
    let mut steps = Vec::new();
    let mut rest = action.strip_prefix(['$', '@']).unwrap_or(action);
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').ok_or("unterminated array")?;
            let text = inner[..end].trim();
            steps.push(match literal(text) {
                Some(name) => Step::Field(name),
                None if text == "*" => Step::All,
                None => Step::Index(text.parse().map_err(|_| "invalid array index")?),
            });
            rest = &inner[end + 1..];
            continue;
        }
        let Some(inner) = rest.strip_prefix('.') else {
            return Err("unrecognized identifier");
        };
        if inner.starts_with('.') {
            return Err("recursive descent is not supported");
        }
        let (name, after) = name(inner);
        rest = after;
        match name.as_str() {
            "" => {}
            "*" => steps.push(Step::All),
            _ => steps.push(Step::Field(name)),
        }
    }
    Ok(steps)
}

/// A name up to the next step, backslashes undone.
fn name(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.chars();
    loop {
        let rest = chars.as_str();
        match chars.next() {
            None | Some('.' | '[') => return (out, rest),
            Some('\\') => out.extend(chars.next()),
            Some(c) => out.push(c),
        }
    }
}

fn follow<'j>(root: &'j Json, steps: &[Step]) -> Vec<&'j Json> {
    let mut found = vec![root];
    for step in steps {
        found = found
            .into_iter()
            .flat_map(|value| match (step, value) {
                (Step::Field(name), Json::Object(table)) => table.get(name).into_iter().collect(),
                (Step::Index(index), Json::Array(items)) => {
                    let from_end = if *index < 0 { items.len() as i64 } else { 0 };
                    let at = usize::try_from(index + from_end).ok();
                    at.and_then(|at| items.get(at)).into_iter().collect()
                }
                (Step::All, Json::Array(items)) => items.iter().collect(),
                (Step::All, Json::Object(table)) => table.values().collect(),
                _ => Vec::new(),
            })
            .collect();
    }
    found
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Object(_) | Json::Array(_) => compact(value)
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
        Json::Null => "null".to_owned(),
        other => show(other),
    }
}

/// JSON whose whole numbers have no fraction, as Go writes it.
fn compact(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(compact).collect();
            format!("[{}]", items.join(","))
        }
        Json::Object(table) => {
            let entries: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{}:{}", Json::String(key.clone()), compact(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Json::Number(number) => match number.as_f64().and_then(sluice_yaml::number_from_f64) {
            Some(number) => number.to_string(),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::read_values;

    #[test]
    fn paths_lead_to_values_and_what_is_missing_prints_nothing() {
        let values = read_values(
            b"a: 1\nb: {c: [x, 2.5, true], 'd.e': null}\nbig: 12345678\nm: {z: [1], w: '<'}\n",
        )
        .expect("reads");
        for (template, want) in [
            ("{.a}", "1"),
            ("{$.b.c[0]}", "x"),
            ("{.b.c[-1]}", "true"),
            ("{.b.c[*]}", "x 2.5 true"),
            ("{.b.c.none}", ""),
            ("{.b.none}|{.b.c[7]}", "|"),
            ("{.b['d.e']}", "null"),
            ("{.b.d\\.e}", "null"),
            ("a={.a}{\"\\n\"}", "a=1\n"),
            ("{.m}", "{\"w\":\"\\u003c\",\"z\":[1]}"),
            ("{.big}", "1.2345678e+07"),
            ("x", "x"),
        ] {
            assert_eq!(
                json_path(template, &values).as_deref(),
                Ok(want),
                "{template}"
            );
        }
        let error = json_path("{", &values).expect_err("unclosed");
        assert_eq!(
            error.to_string(),
            "error parsing jsonpath {: unclosed action"
        );
    }
}
