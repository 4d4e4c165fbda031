//! Selecting objects: anchored patterns on ids, and label selectors.

use std::collections::BTreeMap;

use sluice_gotemplate::regexp::Regexp;

use crate::kustomization::Selector;
use crate::resource::Resource;
use crate::schema::Schema;

/// A pattern that must match a whole text.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    Any,
    Literal(String),
    Regex(Regexp),
}

impl Pattern {
    /// Compiles a pattern; an empty one matches everything.
    ///
    /// # Errors
    /// The pattern is not a regular expression.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Pattern::Any);
        }
        if is_literal(text) {
            return Ok(Pattern::Literal(text.to_owned()));
        }
        regex(&format!("^(?:{text})$")).map(Pattern::Regex)
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Literal(literal) => literal == text,
            Pattern::Regex(regex) => regex.is_match(text.as_bytes()),
        }
    }
}

/// True when a text means nothing but itself as a pattern.
pub(crate) fn is_literal(text: &str) -> bool {
    !text.contains([
        '\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$',
    ])
}

/// Compiles one of Go's regular expressions.
///
/// # Errors
/// Go's text for what is wrong with it.
pub(crate) fn regex(text: &str) -> Result<Regexp, String> {
    Regexp::new(text).map_err(|error| error.to_string())
}

/// A selector as error texts show it.
pub(crate) fn show(selector: &Selector) -> String {
    let gvk = crate::id::Gvk {
        group: selector.group.clone(),
        version: selector.version.clone(),
        kind: selector.kind.clone(),
    };
    let id = crate::id::ResId::new(gvk, &selector.name, &selector.namespace);
    format!(
        "{id}:a={}:l={}",
        selector.annotation_selector, selector.label_selector
    )
}

/// A selector that is ready to be asked.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    labels: Option<LazySelector>,
    annotations: Option<LazySelector>,
}

/// A selector of labels that complains only when it is asked.
type LazySelector = Result<LabelSelector, String>;

impl Compiled {
    /// Compiles the patterns of a selector.
    ///
    /// # Errors
    /// A part is not a regular expression.
    pub(crate) fn new(selector: &Selector) -> Result<Self, String> {
        let parse = |text: &str| (!text.is_empty()).then(|| LabelSelector::parse(text));
        Ok(Compiled {
            group: Pattern::new(&selector.group)?,
            version: Pattern::new(&selector.version)?,
            kind: Pattern::new(&selector.kind)?,
            name: Pattern::new(&selector.name)?,
            namespace: Pattern::new(&selector.namespace)?,
            labels: parse(&selector.label_selector),
            annotations: parse(&selector.annotation_selector),
        })
    }

    /// The name, when only one can match.
    pub(crate) fn literal_name(&self) -> Option<&str> {
        match &self.name {
            Pattern::Literal(name) => Some(name),
            _ => None,
        }
    }

    /// True for an object whose original or present id matches.
    ///
    /// # Errors
    /// The id matches, and the selector of labels or of annotations is none.
    pub(crate) fn selects(&self, resource: &Resource, schema: &Schema) -> Result<bool, String> {
        if !self.selects_id(resource, schema) {
            return Ok(false);
        }
        self.selects_metadata(resource)
    }

    fn selects_id(&self, resource: &Resource, schema: &Schema) -> bool {
        if !self.kind.matches(resource.kind()) {
            return false;
        }
        let (group, version) = split_api_version(resource.api_version());
        if !self.group.matches(group) || !self.version.matches(version) {
            return false;
        }
        if !matches!((&self.name, &self.namespace), (Pattern::Any, Pattern::Any)) {
            let current = resource.current_id(schema);
            let original = resource.original_id(schema);
            if !self.name.matches(&original.name) && !self.name.matches(&current.name) {
                return false;
            }
            if !self.namespace.matches(original.effective_namespace())
                && !self.namespace.matches(current.effective_namespace())
            {
                return false;
            }
        }
        true
    }

    /// True when the label and annotation selectors match.
    ///
    /// # Errors
    /// One of them is none.
    pub(crate) fn selects_metadata(&self, resource: &Resource) -> Result<bool, String> {
        Ok(self.labels_match(resource)?.unwrap_or(true)
            && self.annotations_match(resource)?.unwrap_or(true))
    }

    /// True when the parts match an id of this group, version, kind, name and
    /// namespace.
    pub(crate) fn matches_id(&self, gvk: &crate::id::Gvk, name: &str, namespace: &str) -> bool {
        self.group.matches(&gvk.group)
            && self.version.matches(&gvk.version)
            && self.kind.matches(&gvk.kind)
            && self.name.matches(name)
            && self.namespace.matches(namespace)
    }

    /// True when a part of an id is asked for.
    pub(crate) fn asks_for_id(&self) -> bool {
        [
            &self.group,
            &self.version,
            &self.kind,
            &self.name,
            &self.namespace,
        ]
        .iter()
        .any(|pattern| !matches!(pattern, Pattern::Any))
    }

    /// True when labels or annotations are asked for.
    pub(crate) fn asks_metadata(&self) -> bool {
        self.labels.is_some() || self.annotations.is_some()
    }

    /// Whether the label selector matches, if there is one.
    ///
    /// # Errors
    /// What is there is no selector.
    pub(crate) fn labels_match(&self, resource: &Resource) -> Result<Option<bool>, String> {
        ask(&self.labels, resource, "labels")
    }

    /// Whether the annotation selector matches, if there is one.
    ///
    /// # Errors
    /// What is there is no selector.
    pub(crate) fn annotations_match(&self, resource: &Resource) -> Result<Option<bool>, String> {
        ask(&self.annotations, resource, "annotations")
    }
}

fn ask(
    selector: &Option<LazySelector>,
    resource: &Resource,
    field: &str,
) -> Result<Option<bool>, String> {
    let Some(selector) = selector else {
        return Ok(None);
    };
    let selector = selector.as_ref().map_err(Clone::clone)?;
    Ok(Some(selector.matches(&resource.texts(field))))
}

pub(crate) fn split_api_version(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or(("", text))
}

/// A selector in Kubernetes' syntax.
#[derive(Debug, Clone)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Greater,
    Less,
}

impl LabelSelector {
    /// Parses `a=b, c!=d, e in (f, g), h notin (i), j, !k`.
    ///
    /// # Errors
    /// Kubernetes' texts.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = SelectorParser {
            tokens: tokenize(text),
            at: 0,
        };
        parser.selector().map(LabelSelector)
    }

    fn matches(&self, texts: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| {
            let value = texts.get(&requirement.key);
            let number = |text: &str| text.parse::<i64>().ok();
            match requirement.operator {
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
                Operator::In => value.is_some_and(|v| requirement.values.contains(v)),
                Operator::NotIn => value.is_none_or(|v| !requirement.values.contains(v)),
                Operator::Greater | Operator::Less => {
                    let bound = requirement.values.first().and_then(|v| number(v));
                    match (value.and_then(|v| number(v)), bound) {
                        (Some(v), Some(b)) if requirement.operator == Operator::Greater => v > b,
                        (Some(v), Some(b)) => v < b,
                        _ => false,
                    }
                }
            }
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Symbol(&'static str),
    Word(String),
}

fn tokenize(text: &str) -> Vec<Token> {
    const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            out.push(Token::Symbol(symbol));
            rest = rest[symbol.len()..].trim_start();
            continue;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || "=!(),><".contains(c))
            .unwrap_or(rest.len());
        out.push(Token::Word(rest[..end].to_owned()));
        rest = rest[end..].trim_start();
    }
    out
}

struct SelectorParser {
    tokens: Vec<Token>,
    at: usize,
}

impl SelectorParser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn shown(token: Option<&Token>) -> String {
        match token {
            None => String::new(),
            Some(Token::Symbol(symbol)) => (*symbol).to_owned(),
            Some(Token::Word(word)) => word.clone(),
        }
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Some(Token::Word(_) | Token::Symbol("!")) => {
                    let requirement = self
                        .requirement()
                        .map_err(|error| format!("unable to parse requirement: {error}"))?;
                    out.push(requirement);
                    match self.take() {
                        None => return Ok(out),
                        Some(Token::Symbol(",")) => {
                            if !matches!(self.peek(), Some(Token::Word(_) | Token::Symbol("!"))) {
                                return Err(format!(
                                    "found '{}', expected: identifier after ','",
                                    Self::shown(self.peek())
                                ));
                            }
                        }
                        other => {
                            return Err(format!(
                                "found '{}', expected: ',' or 'end of string'",
                                Self::shown(other.as_ref())
                            ));
                        }
                    }
                }
                None => return Ok(out),
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        Self::shown(other)
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == Some(&Token::Symbol("!"));
        if negated {
            self.take();
        }
        let key = match self.take() {
            Some(Token::Word(word)) => word,
            other => {
                return Err(format!(
                    "found '{}', expected: identifier",
                    Self::shown(other.as_ref())
                ));
            }
        };
        check_label_key(&key)?;
        let ends = |token: Option<&Token>| matches!(token, None | Some(Token::Symbol(",")));
        if negated || ends(self.peek()) {
            return Ok(Requirement {
                key,
                operator: if negated {
                    Operator::DoesNotExist
                } else {
                    Operator::Exists
                },
                values: Vec::new(),
            });
        }
        let token = self.take();
        let operator = match &token {
            Some(Token::Symbol("=" | "==")) => Operator::In,
            Some(Token::Symbol("!=")) => Operator::NotIn,
            Some(Token::Symbol(">")) => Operator::Greater,
            Some(Token::Symbol("<")) => Operator::Less,
            Some(Token::Word(word)) if word == "in" => Operator::In,
            Some(Token::Word(word)) if word == "notin" => Operator::NotIn,
            other => {
                return Err(format!(
                    "found '{}', expected: '=', '!=', '==', 'in', notin'",
                    Self::shown(other.as_ref())
                ));
            }
        };
        let values = match token {
            Some(Token::Word(_)) => self.value_list()?,
            _ => vec![self.exact_value()?],
        };
        for value in &values {
            check_label_value(&key, value)?;
        }
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn exact_value(&mut self) -> Result<String, String> {
        match self.peek() {
            None | Some(Token::Symbol(",")) => Ok(String::new()),
            Some(Token::Word(_)) => Ok(Self::shown(self.take().as_ref())),
            other => Err(format!(
                "found '{}', expected: identifier",
                Self::shown(other)
            )),
        }
    }

    fn value_list(&mut self) -> Result<Vec<String>, String> {
        match self.take() {
            Some(Token::Symbol("(")) => {}
            other => {
                return Err(format!(
                    "found '{}' expected: '('",
                    Self::shown(other.as_ref())
                ));
            }
        }
        let mut values = Vec::new();
        let mut expect_value = true;
        loop {
            match self.take() {
                Some(Token::Word(word)) if expect_value => {
                    values.push(word);
                    expect_value = false;
                }
                Some(Token::Symbol(",")) => {
                    if expect_value {
                        values.push(String::new());
                    }
                    expect_value = true;
                }
                Some(Token::Symbol(")")) => {
                    if expect_value {
                        values.push(String::new());
                    }
                    values.sort();
                    values.dedup();
                    return Ok(values);
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: ',' or ')'",
                        Self::shown(other.as_ref())
                    ));
                }
            }
        }
    }
}

fn is_qualified_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

const NAME_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn check_label_key(key: &str) -> Result<(), String> {
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    if is_qualified_part(name) && name.len() <= 63 {
        return Ok(());
    }
    Err(format!("invalid label key {key:?}: {NAME_RULE}"))
}

fn check_label_value(key: &str, value: &str) -> Result<(), String> {
    if value.is_empty() || (value.len() <= 63 && is_qualified_part(value)) {
        return Ok(());
    }
    Err(format!(
        "invalid label value: {value:?}: at key: {key:?}: {VALUE_RULE}"
    ))
}
