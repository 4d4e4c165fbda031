//! Label and field selectors of lists, watches and collection deletes.

use serde_json::Value;

use crate::registry::Resource;
use crate::status::{Result, Status};
use crate::store::Object;

/// One requirement on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// What an object has to fulfil to be in the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Requirement>,
    /// Path, value, whether it has to be equal.
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400 for a text that is no selector, or a field that cannot be selected by.
    pub fn parse(resource: &Resource, labels: Option<&str>, fields: Option<&str>) -> Result<Self> {
        let labels = labels
            .map(parse_labels)
            .transpose()
            .map_err(Status::bad_request)?
            .unwrap_or_default();
        let fields = fields
            .map(|text| parse_fields(resource, text))
            .transpose()?
            .unwrap_or_default();
        Ok(Selector { labels, fields })
    }

    /// Reads the `spec.selector` of a workload: `matchLabels` and `matchExpressions`.
    pub fn of_label_selector(value: &Value) -> Self {
        let strings = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let mut labels = of_map(&value["matchLabels"]);
        for expression in value["matchExpressions"].as_array().into_iter().flatten() {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = strings(&expression["values"]);
            match expression["operator"].as_str() {
                Some("In") => labels.push(Requirement::In(key, values)),
                Some("NotIn") => labels.push(Requirement::NotIn(key, values)),
                Some("Exists") => labels.push(Requirement::Exists(key)),
                Some("DoesNotExist") => labels.push(Requirement::Absent(key)),
                _ => {}
            }
        }
        Selector {
            labels,
            fields: Vec::new(),
        }
    }

    /// Reads a map of labels that all have to be equal, such as the selector of a Service.
    pub fn of_map(value: &Value) -> Self {
        Selector {
            labels: of_map(value),
            fields: Vec::new(),
        }
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object is selected.
    pub fn matches(&self, object: &Object) -> bool {
        self.matches_labels(|key| object.label(key)) && self.matches_fields(object)
    }

    /// Whether labels are selected.
    pub fn matches_labels<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|v| v == value))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|value| !values.iter().any(|v| v == value))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
            Requirement::Greater(key, bound) => {
                number(label(key)).is_some_and(|value| value > *bound)
            }
            Requirement::Less(key, bound) => number(label(key)).is_some_and(|value| value < *bound),
        })
    }

    /// Whether the labels of a JSON map are selected.
    pub fn matches_map(&self, labels: &Value) -> bool {
        self.matches_labels(|key| labels[key].as_str())
    }

    fn matches_fields(&self, object: &Object) -> bool {
        let mut parsed: Option<Value> = None;
        self.fields.iter().all(|(path, wanted, equal)| {
            let found = match path.as_str() {
                "metadata.name" => object.name() == wanted,
                "metadata.namespace" => object.namespace().unwrap_or_default() == wanted,
                path => field(parsed.get_or_insert_with(|| object.value()), path) == *wanted,
            };
            found == *equal
        })
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

fn of_map(value: &Value) -> Vec<Requirement> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .map(|(key, value)| {
            Requirement::In(
                key.clone(),
                vec![value.as_str().unwrap_or_default().to_owned()],
            )
        })
        .collect()
}

/// The text of a field for selection; absent fields are empty, as in Go.
fn field(value: &Value, path: &str) -> String {
    let found = path.split('.').fold(value, |value, part| &value[part]);
    match found {
        Value::String(text) => text.clone(),
        Value::Null if path == "spec.unschedulable" || path == "spec.hostNetwork" => "false".into(),
        Value::Null if path == "status.replicas" || path == "status.successful" => "0".into(),
        Value::Null if path == "reportingComponent" => field(value, "source.component"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The fields beside name and namespace that a built-in resource can be selected by, with their place in storage.
fn selectable(resource: &Resource, path: &str) -> Option<String> {
    let own = |paths: &[&str]| paths.contains(&path).then(|| path.to_owned());
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => own(&[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ]),
        ("", "events") => match path {
            "source" => Some("source.component".into()),
            _ => own(&[
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "type",
            ]),
        },
        ("events.k8s.io", "events") => match path {
            "reportingController" => Some("reportingComponent".into()),
            "reason" | "type" => Some(path.to_owned()),
            _ => path
                .strip_prefix("regarding.")
                .map(|rest| format!("involvedObject.{rest}")),
        },
        ("", "secrets") => own(&["type"]),
        ("", "namespaces") => own(&["status.phase"]),
        ("", "nodes") => own(&["spec.unschedulable"]),
        ("", "services") => own(&["spec.clusterIP", "spec.type"]),
        ("", "replicationcontrollers") | ("apps", "replicasets") => own(&["status.replicas"]),
        ("batch", "jobs") => own(&["status.successful"]),
        ("certificates.k8s.io", "certificatesigningrequests") => own(&["spec.signerName"]),
        ("resource.k8s.io", "resourceslices") => own(&["spec.nodeName", "spec.driver"]),
        _ => {
            let custom = resource.custom.as_ref()?;
            custom
                .selectable
                .iter()
                .any(|known| known == path)
                .then(|| path.to_owned())
        }
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<(String, String, bool)>> {
    let mut found = Vec::new();
    for term in split_terms(text)
        .into_iter()
        .filter(|term| !term.is_empty())
    {
        let split = |operator: &str| {
            let (path, value) = term.split_once(operator)?;
            Some((path.to_owned(), unescape(value)))
        };
        let (path, value, equal) = if let Some((path, value)) = split("!=") {
            (path, value, false)
        } else if let Some((path, value)) = split("==").or_else(|| split("=")) {
            (path, value, true)
        } else {
            return Err(Status::bad_request(format!(
                "invalid selector: '{text}'; can't understand '{term}'"
            )));
        };
        let stored = match path.as_str() {
            "metadata.name" | "metadata.namespace" => path,
            other => selectable(resource, other).ok_or_else(|| unsupported(resource, other))?,
        };
        found.push((stored, value, equal));
    }
    Ok(found)
}

fn unsupported(resource: &Resource, path: &str) -> Status {
    let known = match (resource.group.as_str(), resource.plural.as_str()) {
        ("apps" | "batch", _) | ("", _) | ("events.k8s.io", _) | ("certificates.k8s.io", _) => {
            format!("field label not supported: {path}")
        }
        _ if resource.custom.is_some() => format!("field label not supported: {path}"),
        _ => format!(
            "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
    };
    let generic = [
        "configmaps",
        "serviceaccounts",
        "endpoints",
        "limitranges",
        "persistentvolumeclaims",
        "persistentvolumes",
        "podtemplates",
        "resourcequotas",
    ];
    if generic.contains(&resource.plural.as_str())
        || (resource.group == "apps" && resource.plural != "replicasets")
        || resource.plural == "cronjobs"
    {
        return Status::bad_request(format!(
            "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ));
    }
    Status::bad_request(known)
}

/// Splits at commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// The tokens of the label selector language.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(&'a str),
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let sign = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"]
            .iter()
            .find(|sign| rest.starts_with(**sign));
        let taken = match sign {
            Some(sign) => {
                found.push(Token::Sign(&rest[..sign.len()]));
                sign.len()
            }
            None => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || "=!(),><".contains(c))
                    .unwrap_or(rest.len());
                found.push(Token::Word(&rest[..end]));
                end
            }
        };
        rest = rest[taken..].trim_start();
    }
    found
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    let all = tokens(text);
    let mut at = 0;
    let mut found = Vec::new();
    let describe = |token: Option<&Token<'_>>| match token {
        Some(Token::Word(text) | Token::Sign(text)) => format!("'{text}'"),
        None => "''".to_owned(),
    };
    while at < all.len() {
        match (&all[at], all.get(at + 1)) {
            (Token::Sign("!"), Some(Token::Word(key))) => {
                found.push(Requirement::Absent(checked_key(key)?));
                at += 2;
            }
            (Token::Word(key), next) => {
                let key = checked_key(key)?;
                at += 1;
                match next {
                    None | Some(Token::Sign(",")) => found.push(Requirement::Exists(key)),
                    Some(Token::Sign(sign @ ("=" | "==" | "!=" | ">" | "<"))) => {
                        at += 1;
                        let value = match all.get(at) {
                            Some(Token::Word(value)) => {
                                at += 1;
                                checked_value(&key, value)?
                            }
                            None | Some(Token::Sign(",")) => String::new(),
                            other => {
                                return Err(format!(
                                    "unable to parse requirement: found {}, expected: identifier",
                                    describe(other)
                                ));
                            }
                        };
                        let bound = || {
                            value.parse().map_err(|_| {
                                format!("unable to parse requirement: values[0][{key}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer")
                            })
                        };
                        found.push(match *sign {
                            "!=" => Requirement::NotIn(key, vec![value]),
                            ">" => Requirement::Greater(key.clone(), bound()?),
                            "<" => Requirement::Less(key.clone(), bound()?),
                            _ => Requirement::In(key, vec![value]),
                        });
                    }
                    Some(Token::Word(operator @ ("in" | "notin"))) => {
                        at += 1;
                        if all.get(at) != Some(&Token::Sign("(")) {
                            return Err(format!(
                                "unable to parse requirement: found {} expected: '('",
                                describe(all.get(at))
                            ));
                        }
                        at += 1;
                        let mut values = Vec::new();
                        loop {
                            match all.get(at) {
                                Some(Token::Word(value)) => {
                                    values.push(checked_value(&key, value)?)
                                }
                                Some(Token::Sign(",")) => {}
                                Some(Token::Sign(")")) => break,
                                other => {
                                    return Err(format!(
                                        "unable to parse requirement: found {}, expected: ',', or identifier",
                                        describe(other)
                                    ));
                                }
                            }
                            at += 1;
                        }
                        at += 1;
                        found.push(if *operator == "in" {
                            Requirement::In(key, values)
                        } else {
                            Requirement::NotIn(key, values)
                        });
                    }
                    other => {
                        return Err(format!(
                            "unable to parse requirement: found {}, expected: in, notin, =, ==, !=, gt, lt",
                            describe(other)
                        ));
                    }
                }
            }
            (token, _) => {
                return Err(format!(
                    "unable to parse requirement: found {}, expected: !, identifier, or 'end of string'",
                    describe(Some(token))
                ));
            }
        }
        match all.get(at) {
            None => break,
            Some(Token::Sign(",")) => at += 1,
            other => {
                return Err(format!(
                    "found {}, expected: ',' or 'end of string'",
                    describe(other)
                ));
            }
        }
    }
    Ok(found)
}

fn checked_key(key: &str) -> Result<String, String> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let fine = !name.is_empty() && name.len() <= 63 && label_text(name);
    fine.then(|| key.to_owned()).ok_or_else(|| {
        format!(
            "unable to parse requirement: <nil>: Invalid value: {key:?}: name part must consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or \
             'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    })
}

fn checked_value(key: &str, value: &str) -> Result<String, String> {
    let fine = value.is_empty() || (value.len() <= 63 && label_text(value));
    fine.then(|| value.to_owned()).ok_or_else(|| {
        format!(
            "unable to parse requirement: values[0][{key}]: Invalid value: {value:?}: a valid label must be an empty \
             string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    })
}

fn label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    bytes.iter().all(inner)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_select_as_kubernetes_does() {
        let labels = [("app", "web"), ("tier", "2")];
        let selects = |text: &str| {
            let selector = Selector {
                labels: parse_labels(text).unwrap(),
                fields: Vec::new(),
            };
            selector.matches_labels(|key| {
                labels
                    .iter()
                    .find(|(known, _)| *known == key)
                    .map(|(_, value)| *value)
            })
        };
        let table = [
            ("app=web", true),
            ("app==web,tier=2", true),
            ("app!=web", false),
            ("other!=x", true),
            ("app", true),
            ("!app", false),
            ("!other", true),
            ("app in (api, web)", true),
            ("app notin (api,web)", false),
            ("other notin (x)", true),
            ("tier>1,tier<3", true),
            ("tier>2", false),
            ("app=", false),
            (" app = web ", true),
        ];
        for (text, expected) in table {
            assert_eq!(selects(text), expected, "{text}");
        }
        for bad in [
            "=",
            "app in web",
            "a b",
            "-a",
            "a=-",
            "a in (x",
            "a>x",
            "a=b=c",
        ] {
            assert!(parse_labels(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn field_terms_are_split_and_unescaped() {
        assert_eq!(split_terms(r"a=b\,c,d=e"), [r"a=b\,c", "d=e"]);
        assert_eq!(unescape(r"b\,c\=d\\"), r"b,c=d\");
    }
}
