//! Small facts about values and schemas.

use super::*;

pub(super) fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

pub(super) fn is_whole(number: &Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|f| f.fract() == 0.0)
}

/// The order in which the original names types.
pub(super) const TYPE_ORDER: [&str; 7] = [
    "null", "boolean", "number", "integer", "string", "array", "object",
];

/// Equality of JSON values: numbers by their value.
pub(super) fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => x.as_f64() == y.as_f64(),
        (Json::Array(x), Json::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(p, q)| equal(p, q))
        }
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(key, p)| y.get(key).is_some_and(|q| equal(p, q)))
        }
        _ => a == b,
    }
}

pub(super) fn count_of(schema: &Object, keyword: &str) -> Option<usize> {
    let float = schema.get(keyword)?.as_f64()?;
    (float >= 0.0 && float.fract() == 0.0).then_some(float as usize)
}

pub(super) fn texts(value: &Json) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

pub(super) fn members<'s>(
    schema: &'s Object,
    keyword: &str,
) -> impl Iterator<Item = (&'s String, &'s Json)> + use<'s> {
    schema
        .get(keyword)
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
}

pub(super) fn list<'s>(schema: &'s Object, keyword: &str) -> &'s [Json] {
    schema
        .get(keyword)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn numbers(draft: Draft, schema: &Object, number: &Number, findings: &mut Findings) {
    let got = number.as_f64().unwrap_or_default();
    let bound = |keyword: &str| match schema.get(keyword) {
        Some(Json::Number(n)) => Some(n.clone()),
        _ => None,
    };
    let strict =
        |keyword: &str| draft == Draft::D4 && schema.get(keyword) == Some(&Json::Bool(true));
    let mut check = |keyword: &'static str, want: Option<Number>, fits: fn(f64, f64) -> bool| {
        if let Some(want) = want
            && !fits(got, want.as_f64().unwrap_or_default())
        {
            findings.add(FindingKind::Bound {
                keyword,
                got: number.clone(),
                want,
            });
        }
    };
    if strict("exclusiveMinimum") {
        check("exclusiveMinimum", bound("minimum"), |g, w| g > w);
    } else {
        check("minimum", bound("minimum"), |g, w| g >= w);
    }
    if strict("exclusiveMaximum") {
        check("exclusiveMaximum", bound("maximum"), |g, w| g < w);
    } else {
        check("maximum", bound("maximum"), |g, w| g <= w);
    }
    check("exclusiveMinimum", bound("exclusiveMinimum"), |g, w| g > w);
    check("exclusiveMaximum", bound("exclusiveMaximum"), |g, w| g < w);
    check("multipleOf", bound("multipleOf"), is_multiple);
}

/// Whether `got` is a whole multiple of `want`, by their decimal texts.
pub(super) fn is_multiple(got: f64, want: f64) -> bool {
    crate::funcs::is_decimal_multiple(got, want)
}
