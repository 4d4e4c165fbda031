//! What a schema can find wrong, and how Helm words it.

use serde_json::{Number, Value as Json};
use sluice_gotemplate::strconv::{format_float, quote};

/// One finding, with those it consists of.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// The place in the values.
    pub at: Vec<String>,
    pub kind: FindingKind,
    pub causes: Vec<Finding>,
}

/// What was found.
#[derive(Debug, Clone)]
pub(super) enum FindingKind {
    /// Several findings at one place.
    Group,
    /// What a reference leads to was not satisfied; shown only when there are
    /// several reasons.
    Reference,
    FalseSchema,
    Not,
    AllOf,
    AnyOf,
    OneOf(Option<(usize, usize)>),
    Type {
        got: &'static str,
        want: Vec<String>,
    },
    Enum(Vec<Json>),
    Const(Json),
    Format {
        got: Json,
        want: String,
        why: String,
    },
    Limit {
        keyword: &'static str,
        got: usize,
        want: usize,
    },
    Bound {
        keyword: &'static str,
        got: Number,
        want: Number,
    },
    Required(Vec<String>),
    Dependency {
        property: String,
        missing: Vec<String>,
    },
    AdditionalProperties(Vec<String>),
    PropertyName(String),
    AdditionalItems(usize),
    UniqueItems(usize, usize),
    Contains,
    MinContains {
        matched: Vec<usize>,
        want: usize,
    },
    MaxContains {
        matched: Vec<usize>,
        want: usize,
    },
    Pattern {
        got: String,
        want: String,
    },
    Cycle {
        first: String,
        second: String,
        url: String,
    },
}

/// Quotes a text in single quotes as the original does.
pub(super) fn single(text: &str) -> String {
    let double = quote(text.as_bytes());
    let inner = &double[1..double.len() - 1];
    format!("'{}'", inner.replace("\\\"", "\"").replace('\'', "\\'"))
}

fn listed(names: &[String]) -> String {
    names
        .iter()
        .map(|n| single(n))
        .collect::<Vec<_>>()
        .join(", ")
}

fn display(value: &Json) -> String {
    match value {
        Json::String(s) => single(s),
        Json::Array(_) | Json::Object(_) => "value".to_owned(),
        Json::Null => "<nil>".to_owned(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => n.to_string(),
    }
}

fn is_composite(value: &Json) -> bool {
    value.is_array() || value.is_object()
}

/// Groups the digits of a whole number by thousands.
fn grouped(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    format!("{sign}{out}")
}

/// Prints a number as the English locale does.
fn localised(number: &Number) -> String {
    let text = format_float(number.as_f64().unwrap_or_default());
    if let Some((mantissa, exponent)) = text.split_once('e') {
        let raised: String = exponent
            .chars()
            .filter(|c| *c != '+')
            .map(|c| match c {
                '-' => '⁻',
                '0' => '⁰',
                '1' => '¹',
                '2' => '²',
                '3' => '³',
                '4' => '⁴',
                '5' => '⁵',
                '6' => '⁶',
                '7' => '⁷',
                '8' => '⁸',
                _ => '⁹',
            })
            .collect();
        return format!("{mantissa}×10{raised}");
    }
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(&text),
    }
}

fn spaced(numbers: &[usize]) -> String {
    numbers
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

impl FindingKind {
    fn text(&self) -> String {
        match self {
            FindingKind::Group | FindingKind::Reference => "validation failed".to_owned(),
            FindingKind::FalseSchema => "false schema".to_owned(),
            FindingKind::Not => "'not' failed".to_owned(),
            FindingKind::AllOf => "'allOf' failed".to_owned(),
            FindingKind::AnyOf => "'anyOf' failed".to_owned(),
            FindingKind::OneOf(None) => "'oneOf' failed, none matched".to_owned(),
            FindingKind::OneOf(Some((a, b))) => {
                format!("'oneOf' failed, subschemas {a}, {b} matched")
            }
            FindingKind::Type { got, want } => format!("got {got}, want {}", want.join(" or ")),
            FindingKind::Enum(want) => {
                if want.iter().any(is_composite) {
                    return "'enum' failed".to_owned();
                }
                match want.as_slice() {
                    [one] => format!("value must be {}", display(one)),
                    many => {
                        let shown: Vec<String> = many.iter().map(display).collect();
                        format!("value must be one of {}", shown.join(", "))
                    }
                }
            }
            FindingKind::Const(want) if is_composite(want) => "'const' failed".to_owned(),
            FindingKind::Const(want) => format!("value must be {}", display(want)),
            FindingKind::Format { got, want, why } => {
                format!("{} is not valid {want}: {why}", display(got))
            }
            FindingKind::Limit { keyword, got, want } => format!(
                "{keyword}: got {}, want {}",
                grouped(&got.to_string()),
                grouped(&want.to_string())
            ),
            FindingKind::Bound { keyword, got, want } => {
                format!(
                    "{keyword}: got {}, want {}",
                    localised(got),
                    localised(want)
                )
            }
            FindingKind::Required(missing) => match missing.as_slice() {
                [one] => format!("missing property {}", single(one)),
                many => format!("missing properties {}", listed(many)),
            },
            FindingKind::Dependency { property, missing } => format!(
                "properties {} required, if {} exists",
                listed(missing),
                single(property)
            ),
            FindingKind::AdditionalProperties(names) => {
                format!("additional properties {} not allowed", listed(names))
            }
            FindingKind::PropertyName(name) => format!("invalid propertyName {}", single(name)),
            FindingKind::AdditionalItems(count) => {
                format!("last {count} additionalItem(s) not allowed")
            }
            FindingKind::UniqueItems(a, b) => format!("items at {a} and {b} are equal"),
            FindingKind::Contains => "no items match contains schema".to_owned(),
            FindingKind::MinContains { matched, want } if matched.is_empty() => {
                format!("min {want} items required to match contains schema, but none matched")
            }
            FindingKind::MinContains { matched, want } => format!(
                "min {want} items required to match contains schema, but matched {} items at {}",
                matched.len(),
                spaced(matched)
            ),
            FindingKind::MaxContains { matched, want } => format!(
                "max {want} items required to match contains schema, but matched {} items at {}",
                matched.len(),
                spaced(matched)
            ),
            FindingKind::Pattern { got, want } => {
                format!("{} does not match pattern {}", single(got), single(want))
            }
            FindingKind::Cycle { first, second, url } => format!(
                "both {first} and {second} resolve to {} causing reference cycle",
                quote(url.as_bytes())
            ),
        }
    }
}

impl Finding {
    /// Writes the finding and what it consists of, one line each.
    pub(super) fn write(&self, out: &mut String, depth: usize) {
        let hidden = matches!(self.kind, FindingKind::Reference) && self.causes.len() == 1;
        let mut depth = depth;
        if !hidden {
            if !out.is_empty() {
                out.push('\n');
            }
            let place: String = self
                .at
                .iter()
                .map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1")))
                .collect();
            out.push_str(&"  ".repeat(depth));
            out.push_str(&format!("- at {}: {}", single(&place), self.kind.text()));
            depth += 1;
        }
        for cause in &self.causes {
            cause.write(out, depth);
        }
    }

    /// Returns the findings without the group around them, if there is one.
    pub(super) fn ungrouped(self) -> Vec<Finding> {
        match self.kind {
            FindingKind::Group => self.causes,
            _ => vec![self],
        }
    }
}
