//! The JSONPath of printer columns: fields, indexes, wildcards, unions of names, filters, recursive descent.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Deep,
    Filter(Vec<Step>, Comparison),
}

#[derive(Debug, Clone, PartialEq)]
enum Comparison {
    Exists,
    Compare(&'static str, Value),
}

/// The values at a path such as `.status.conditions[?(@.type=="Ready")].status`. None where the path is not one.
pub(super) fn find<'a>(value: &'a Value, path: &str) -> Option<Vec<&'a Value>> {
    let path = path
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .trim_start_matches('$');
    Some(walk(vec![value], &parse(path)?))
}

fn walk<'a>(mut found: Vec<&'a Value>, steps: &[Step]) -> Vec<&'a Value> {
    for step in steps {
        found = found
            .into_iter()
            .flat_map(|value| children(value, step))
            .collect();
    }
    found
}

fn children<'a>(value: &'a Value, step: &Step) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Field(name), Value::Object(map)) => map.get(name).into_iter().collect(),
        (Step::Index(at), Value::Array(list)) => {
            let at = if *at < 0 { at + list.len() as i64 } else { *at };
            usize::try_from(at)
                .ok()
                .and_then(|at| list.get(at))
                .into_iter()
                .collect()
        }
        (Step::All, Value::Array(list)) => list.iter().collect(),
        (Step::All, Value::Object(map)) => map.values().collect(),
        (Step::Deep, _) => {
            let mut all = vec![value];
            let below: Box<dyn Iterator<Item = &Value>> = match value {
                Value::Array(list) => Box::new(list.iter()),
                Value::Object(map) => Box::new(map.values()),
                _ => Box::new(std::iter::empty()),
            };
            all.extend(below.flat_map(|value| children(value, &Step::Deep)));
            all
        }
        (Step::Filter(path, comparison), Value::Array(list)) => list
            .iter()
            .filter(|item| holds(&walk(vec![item], path), comparison))
            .collect(),
        _ => Vec::new(),
    }
}

fn holds(found: &[&Value], comparison: &Comparison) -> bool {
    let Comparison::Compare(operator, wanted) = comparison else {
        return !found.is_empty();
    };
    let Some(value) = found.first() else {
        return false;
    };
    let order = match (value, wanted) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => a.partial_cmp(b),
        (a, b) => (**a == *b).then_some(std::cmp::Ordering::Equal),
    };
    match *operator {
        "==" => order.is_some_and(std::cmp::Ordering::is_eq),
        "!=" => !order.is_some_and(std::cmp::Ordering::is_eq),
        "<" => order.is_some_and(std::cmp::Ordering::is_lt),
        "<=" => order.is_some_and(std::cmp::Ordering::is_le),
        ">" => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn parse(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Deep);
            rest = after;
            if !rest.starts_with('[') && !rest.is_empty() {
                rest = name(rest, &mut steps)?;
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = if after.starts_with('[') {
                after
            } else {
                name(after, &mut steps)?
            };
        } else if let Some(after) = rest.strip_prefix('[') {
            rest = bracket(after, &mut steps)?;
        } else {
            rest = name(rest, &mut steps)?;
        }
    }
    Some(steps)
}

/// A field name up to the next dot or bracket; a backslash takes the next character as it is.
fn name<'a>(text: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => found.push(chars.next()?.1),
            '.' | '[' => {
                end = at;
                break;
            }
            c => found.push(c),
        }
    }
    match found.as_str() {
        "" => return None,
        "*" => steps.push(Step::All),
        _ => steps.push(Step::Field(found)),
    }
    Some(&text[end..])
}

fn bracket<'a>(text: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    if let Some(filter) = text.strip_prefix("?(") {
        let end = closing(filter)?;
        let (inside, rest) = (&filter[..end], filter[end + 1..].strip_prefix(']')?);
        steps.push(filter_step(inside.trim())?);
        return Some(rest);
    }
    let end = text.find(']')?;
    let (inside, rest) = (text[..end].trim(), &text[end + 1..]);
    let step = if inside == "*" || inside == ":" {
        Step::All
    } else if let Some(quoted) = unquoted(inside) {
        Step::Field(quoted.to_owned())
    } else {
        Step::Index(inside.parse().ok()?)
    };
    steps.push(step);
    Some(rest)
}

fn unquoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    text.strip_prefix(quote)?.strip_suffix(quote)
}

/// Where the parenthesis that is open closes.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (1, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('(', None) => depth += 1,
            (')', None) => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn filter_step(text: &str) -> Option<Step> {
    let path_of = |text: &str| parse(text.trim().strip_prefix('@')?);
    for operator in ["==", "!=", "<=", ">=", "<", ">"] {
        if let Some((left, right)) = text.split_once(operator) {
            let right = right.trim();
            let value = match unquoted(right) {
                Some(text) => Value::from(text),
                None => serde_json::from_str(right).ok()?,
            };
            return Some(Step::Filter(
                path_of(left)?,
                Comparison::Compare(operator, value),
            ));
        }
    }
    Some(Step::Filter(path_of(text)?, Comparison::Exists))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_printer_columns_are_followed() {
        let value = json!({
            "status": {"conditions": [{"type": "Ready", "status": "True", "n": 2}, {"type": "Other", "status": "False"}]},
            "metadata": {"annotations": {"a.b/c": "x"}},
        });
        let table = [
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                vec![json!("True")],
            ),
            (
                ".status.conditions[?(@.type=='Other')].status",
                vec![json!("False")],
            ),
            (".status.conditions[?(@.n>1)].type", vec![json!("Ready")]),
            (".status.conditions[?(@.n)].type", vec![json!("Ready")]),
            (
                ".status.conditions[*].type",
                vec![json!("Ready"), json!("Other")],
            ),
            (".status.conditions[-1].type", vec![json!("Other")]),
            ("..n", vec![json!(2)]),
            (".metadata.annotations.a\\.b/c", vec![json!("x")]),
            (".metadata.annotations['a.b/c']", vec![json!("x")]),
            (".none.at.all", vec![]),
        ];
        for (path, expected) in table {
            let found: Vec<Value> = find(&value, path).unwrap().into_iter().cloned().collect();
            assert_eq!(found, expected, "{path}");
        }
        for bad in [".a[", ".a[x]", ".a[?(@.b]", "..", ".a..[?("] {
            let _ = find(&value, bad);
        }
    }
}
