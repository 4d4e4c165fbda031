//! Holds a value against a schema.

mod containers;
mod facts;

use std::collections::{BTreeSet, HashMap};

use serde_json::{Number, Value as Json};
use sluice_gotemplate::regexp::Regexp;

use super::documents::{Documents, Draft, Unresolved};
use super::formats;
use super::kinds::{Finding, FindingKind};
use facts::*;

/// How deep references and values may nest.
const MAX_DEPTH: usize = 400;

type Object = serde_json::Map<String, Json>;

/// A schema at its place.
#[derive(Debug, Clone)]
pub(super) struct At<'s> {
    pub schema: &'s Json,
    pub base: String,
    pub draft: Draft,
}

/// What stops a run other than a finding.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    /// A value is not as it should be.
    Finding(Box<Finding>),
    /// The schema itself is unusable; Helm's text.
    Broken(String),
}

/// Properties and items that some schema has looked at.
#[derive(Debug, Default, Clone)]
struct Seen {
    properties: BTreeSet<String>,
    items: BTreeSet<usize>,
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.properties.extend(other.properties);
        self.items.extend(other.items);
    }
}

type Outcome = Result<Seen, Stop>;

pub(super) struct Validator<'d, 's> {
    documents: &'d Documents<'s>,
    patterns: HashMap<String, Result<Regexp, String>>,
    steps: u64,
    max_steps: u64,
    /// The schemas being held against the value at hand, outermost first: the
    /// keyword path that led there and its identity.
    scope: Vec<Step<'s>>,
    at: Vec<String>,
    pub warnings: Vec<String>,
}

#[derive(Clone)]
struct Step<'s> {
    schema: &'s Json,
    base: String,
    depth: usize,
    keyword: String,
}

/// What is wrong with one value against one schema, so far.
struct Findings {
    at: Vec<String>,
    list: Vec<Finding>,
    seen: Seen,
}

impl Findings {
    fn add(&mut self, kind: FindingKind) {
        self.add_with(kind, Vec::new());
    }

    fn add_with(&mut self, kind: FindingKind, causes: Vec<Finding>) {
        self.list.push(Finding {
            at: self.at.clone(),
            kind,
            causes,
        });
    }

    /// Takes the outcome of a schema for a part of the value.
    fn take(&mut self, outcome: Outcome) -> Result<(), Stop> {
        match outcome {
            Ok(_) => Ok(()),
            Err(Stop::Finding(finding)) => {
                self.list.push(*finding);
                Ok(())
            }
            Err(broken) => Err(broken),
        }
    }

    /// Takes the outcome of a schema for the value itself.
    fn take_own(&mut self, outcome: Outcome) -> Result<(), Stop> {
        match outcome {
            Ok(seen) => {
                self.seen.merge(seen);
                Ok(())
            }
            other => self.take(other),
        }
    }

    fn finish(self) -> Outcome {
        let mut list = self.list;
        match list.len() {
            0 => Ok(self.seen),
            1 => Err(Stop::Finding(Box::new(list.remove(0)))),
            _ => Err(Stop::Finding(Box::new(Finding {
                at: self.at,
                kind: FindingKind::Group,
                causes: list,
            }))),
        }
    }
}

/// Whether a part of a value failed; brokenness goes on.
fn failure(outcome: Outcome) -> Result<Result<Seen, Finding>, Stop> {
    match outcome {
        Ok(seen) => Ok(Ok(seen)),
        Err(Stop::Finding(finding)) => Ok(Err(*finding)),
        Err(broken) => Err(broken),
    }
}

impl<'d, 's> Validator<'d, 's> {
    pub(super) fn new(documents: &'d Documents<'s>, max_steps: u64) -> Self {
        Validator {
            documents,
            patterns: HashMap::new(),
            steps: 0,
            max_steps,
            scope: Vec::new(),
            at: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Holds `value` against the schema at `url`.
    pub(super) fn run(&mut self, at: &At<'s>, value: &Json) -> Result<(), Stop> {
        self.check(at, value, "").map(|_| ())
    }

    fn below(&self, at: &At<'s>, schema: &'s Json) -> At<'s> {
        At {
            schema,
            base: at.base.clone(),
            draft: at.draft,
        }
    }

    fn findings(&self) -> Findings {
        Findings {
            at: self.at.clone(),
            list: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn single(&self, kind: FindingKind) -> Outcome {
        let mut findings = self.findings();
        findings.add(kind);
        findings.finish()
    }

    /// Holds a part of the value against a schema.
    fn part(&mut self, at: &At<'s>, value: &Json, token: String, keyword: &str) -> Outcome {
        self.at.push(token);
        let outcome = self.check(at, value, keyword);
        self.at.pop();
        outcome
    }

    fn check(&mut self, at: &At<'s>, value: &Json, keyword: &str) -> Outcome {
        self.steps += 1;
        if self.steps > self.max_steps {
            return Err(Stop::Broken(format!(
                "schema validation stopped after {} steps",
                self.max_steps
            )));
        }
        if self.scope.len() >= MAX_DEPTH {
            return Err(Stop::Broken(format!(
                "schema validation nests deeper than {MAX_DEPTH} levels"
            )));
        }
        let schema = match at.schema {
            Json::Bool(true) => return Ok(Seen::default()),
            Json::Bool(false) => return self.single(FindingKind::FalseSchema),
            Json::Object(schema) => schema,
            _ => return Ok(Seen::default()),
        };
        let mut at = at.clone();
        if let Some(draft) = schema
            .get("$schema")
            .and_then(Json::as_str)
            .and_then(Draft::from_url)
        {
            at.draft = draft;
        }
        at.base = self.documents.base_of(at.schema, &at.base, at.draft);
        if let Some(cycle) = self.cycle(&at, keyword) {
            return self.single(cycle);
        }
        self.scope.push(Step {
            schema: at.schema,
            base: at.base.clone(),
            depth: self.at.len(),
            keyword: keyword.to_owned(),
        });
        let outcome = self.keywords(&at, schema, value);
        self.scope.pop();
        outcome
    }

    /// Whether the schema is already being held against this very value.
    fn cycle(&self, at: &At<'s>, keyword: &str) -> Option<FindingKind> {
        let depth = self.at.len();
        let start = self
            .scope
            .iter()
            .rposition(|step| step.depth != depth)
            .map_or(0, |at| at + 1);
        let found = self.scope[start..]
            .iter()
            .position(|step| std::ptr::eq(step.schema, at.schema))?;
        let path = |steps: &[Step<'_>]| -> String {
            steps
                .iter()
                .filter(|s| !s.keyword.is_empty())
                .map(|s| format!("/{}", s.keyword))
                .collect()
        };
        let second = path(&self.scope[..=start + found]);
        let first = path(&self.scope) + "/" + keyword;
        Some(FindingKind::Cycle {
            first,
            second,
            url: format!("{}#", at.base),
        })
    }

    fn keywords(&mut self, at: &At<'s>, schema: &'s Object, value: &Json) -> Outcome {
        let mut findings = self.findings();
        if at.draft < Draft::D2019
            && let Some(reference) = schema.get("$ref").and_then(Json::as_str)
        {
            let outcome = self.reference(at, reference, value, "$ref");
            findings.take_own(outcome)?;
            return findings.finish();
        }
        if let Some(kind) = self.plain_assertions(at, schema, value) {
            return self.single(kind);
        }
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let outcome = self.reference(at, reference, value, "$ref");
            findings.take_own(outcome)?;
        }
        match value {
            Json::Object(object) => self.object(at, schema, object, &mut findings)?,
            Json::Array(items) => self.array(at, schema, items, &mut findings)?,
            Json::String(text) => self.string(schema, text, &mut findings)?,
            Json::Number(number) => numbers(at.draft, schema, number, &mut findings),
            Json::Null | Json::Bool(_) => {}
        }
        if at.draft >= Draft::D2019 {
            self.dynamic_references(at, schema, value, &mut findings)?;
        }
        self.conditions(at, schema, value, &mut findings)?;
        if at.draft >= Draft::D2019 {
            self.unevaluated(at, schema, value, &mut findings)?;
        }
        findings.finish()
    }

    /// Type, const, enum and format, of which the first that fails counts.
    fn plain_assertions(
        &mut self,
        at: &At<'s>,
        schema: &Object,
        value: &Json,
    ) -> Option<FindingKind> {
        if let Some(types) = schema.get("type") {
            let names: Vec<&str> = match types {
                Json::String(one) => vec![one.as_str()],
                Json::Array(many) => many.iter().filter_map(Json::as_str).collect(),
                _ => Vec::new(),
            };
            let got = type_of(value);
            let whole = matches!(value, Json::Number(n) if is_whole(n));
            let fits = names
                .iter()
                .any(|name| *name == got || (*name == "integer" && whole));
            if !names.is_empty() && !fits {
                let want = TYPE_ORDER
                    .iter()
                    .filter(|name| names.contains(name))
                    .map(|&name| name.to_owned())
                    .collect();
                return Some(FindingKind::Type { got, want });
            }
        }
        if at.draft > Draft::D4
            && let Some(want) = schema.get("const")
            && !equal(value, want)
        {
            return Some(FindingKind::Const(want.clone()));
        }
        if let Some(want) = schema.get("enum").and_then(Json::as_array)
            && !want.iter().any(|w| equal(value, w))
        {
            return Some(FindingKind::Enum(want.clone()));
        }
        let format = schema.get("format").and_then(Json::as_str)?;
        let asserted = at.draft <= Draft::D7 || format == "regex";
        match value {
            Json::String(text) if asserted => {
                formats::check(format, text)
                    .err()
                    .map(|why| FindingKind::Format {
                        got: value.clone(),
                        want: format.to_owned(),
                        why,
                    })
            }
            _ => None,
        }
    }

    fn reference(&mut self, at: &At<'s>, reference: &str, value: &Json, keyword: &str) -> Outcome {
        let target = match self.documents.resolve(&at.base, reference) {
            Ok(target) => target,
            Err(Unresolved::Urn) => {
                self.warnings.push(format!(
                    "unresolved URN reference ignored; using permissive schema: {reference}"
                ));
                return Ok(Seen::default());
            }
            Err(Unresolved::Error(text)) => return Err(Stop::Broken(text)),
        };
        let next = At {
            schema: target.schema,
            base: target.base,
            draft: target.draft,
        };
        self.referred(&next, value, keyword)
    }

    fn referred(&mut self, next: &At<'s>, value: &Json, keyword: &str) -> Outcome {
        match failure(self.check(next, value, keyword))? {
            Ok(seen) => Ok(seen),
            Err(finding) => {
                let mut findings = self.findings();
                findings.add_with(FindingKind::Reference, finding.ungrouped());
                findings.finish()
            }
        }
    }

    fn dynamic_references(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        value: &Json,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        for keyword in ["$recursiveRef", "$dynamicRef"] {
            let wanted = match at.draft {
                Draft::D2019 => "$recursiveRef",
                _ => "$dynamicRef",
            };
            let Some(reference) = schema.get(keyword).and_then(Json::as_str) else {
                continue;
            };
            if keyword != wanted {
                continue;
            }
            let target = match self.documents.resolve(&at.base, reference) {
                Ok(target) => target,
                Err(Unresolved::Urn) => continue,
                Err(Unresolved::Error(text)) => return Err(Stop::Broken(text)),
            };
            let name = target.url.rsplit('#').next().unwrap_or_default().to_owned();
            let mut next = At {
                schema: target.schema,
                base: target.base.clone(),
                draft: target.draft,
            };
            let is_dynamic = self
                .documents
                .dynamic_anchor(&target.base, &name)
                .is_some_and(|s| std::ptr::eq(s, target.schema));
            if is_dynamic {
                // The outermost resource with that anchor counts.
                let outermost = self.scope.iter().find_map(|step| {
                    let schema = self.documents.dynamic_anchor(&step.base, &name)?;
                    Some((schema, step.base.clone()))
                });
                if let Some((schema, base)) = outermost {
                    next.schema = schema;
                    next.base = base;
                }
            }
            let outcome = self.referred(&next, value, keyword);
            findings.take_own(outcome)?;
        }
        Ok(())
    }

    fn pattern(&mut self, text: &str) -> Result<Regexp, Stop> {
        if !self.patterns.contains_key(text) {
            let compiled = Regexp::new(text).map_err(|e| e.to_string());
            self.patterns.insert(text.to_owned(), compiled);
        }
        match self.patterns.get(text) {
            Some(Ok(regexp)) => Ok(regexp.clone()),
            Some(Err(why)) => Err(Stop::Broken(why.clone())),
            None => Err(Stop::Broken(String::new())),
        }
    }

    fn string(&mut self, schema: &Object, text: &str, findings: &mut Findings) -> Result<(), Stop> {
        let length = text.chars().count();
        if let Some(want) = count_of(schema, "minLength").filter(|n| length < *n) {
            findings.add(FindingKind::Limit {
                keyword: "minLength",
                got: length,
                want,
            });
        }
        if let Some(want) = count_of(schema, "maxLength").filter(|n| length > *n) {
            findings.add(FindingKind::Limit {
                keyword: "maxLength",
                got: length,
                want,
            });
        }
        if let Some(pattern) = schema.get("pattern").and_then(Json::as_str)
            && !self.pattern(pattern)?.is_match(text.as_bytes())
        {
            findings.add(FindingKind::Pattern {
                got: text.to_owned(),
                want: pattern.to_owned(),
            });
        }
        Ok(())
    }

    fn conditions(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        value: &Json,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        if let Some(not) = schema.get("not") {
            let next = self.below(at, not);
            if failure(self.check(&next, value, "not"))?.is_ok() {
                findings.add(FindingKind::Not);
            }
        }
        let mut failed = Vec::new();
        for (i, one) in list(schema, "allOf").iter().enumerate() {
            let next = self.below(at, one);
            match failure(self.check(&next, value, &format!("allOf/{i}")))? {
                Ok(seen) => findings.seen.merge(seen),
                Err(finding) => failed.push(finding),
            }
        }
        if !failed.is_empty() {
            findings.add_with(FindingKind::AllOf, failed);
        }
        let any = list(schema, "anyOf");
        let mut failed = Vec::new();
        let mut matched = false;
        for (i, one) in any.iter().enumerate() {
            let next = self.below(at, one);
            match failure(self.check(&next, value, &format!("anyOf/{i}")))? {
                Ok(seen) => {
                    matched = true;
                    findings.seen.merge(seen);
                }
                Err(finding) => failed.push(finding),
            }
        }
        if !any.is_empty() && !matched {
            findings.add_with(FindingKind::AnyOf, failed);
        }
        self.one_of(at, schema, value, findings)?;
        if at.draft < Draft::D7 {
            return Ok(());
        }
        if let Some(condition) = schema.get("if") {
            let next = self.below(at, condition);
            let branch = match failure(self.check(&next, value, "if"))? {
                Ok(seen) => {
                    findings.seen.merge(seen);
                    "then"
                }
                Err(_) => "else",
            };
            if let Some(one) = schema.get(branch) {
                let next = self.below(at, one);
                let outcome = self.check(&next, value, branch);
                findings.take_own(outcome)?;
            }
        }
        Ok(())
    }

    fn one_of(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        value: &Json,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        let one_of = list(schema, "oneOf");
        let mut failed = Vec::new();
        let mut matched = None;
        for (i, one) in one_of.iter().enumerate() {
            let next = self.below(at, one);
            match failure(self.check(&next, value, &format!("oneOf/{i}")))? {
                Ok(seen) => match matched {
                    None => {
                        matched = Some(i);
                        findings.seen.merge(seen);
                    }
                    Some(first) => {
                        findings.add(FindingKind::OneOf(Some((first, i))));
                        break;
                    }
                },
                Err(finding) if matched.is_none() => failed.push(finding),
                Err(_) => {}
            }
        }
        if !one_of.is_empty() && matched.is_none() {
            findings.add_with(FindingKind::OneOf(None), failed);
        }
        Ok(())
    }

    fn unevaluated(
        &mut self,
        at: &At<'s>,
        schema: &'s Object,
        value: &Json,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        if let (Json::Object(object), Some(one)) = (value, schema.get("unevaluatedProperties")) {
            let next = self.below(at, one);
            for (name, value) in object {
                if !findings.seen.properties.contains(name) {
                    let outcome = self.part(&next, value, name.clone(), "unevaluatedProperties");
                    findings.take(outcome)?;
                    findings.seen.properties.insert(name.clone());
                }
            }
        }
        if let (Json::Array(items), Some(one)) = (value, schema.get("unevaluatedItems")) {
            let next = self.below(at, one);
            for (i, item) in items.iter().enumerate() {
                if !findings.seen.items.contains(&i) {
                    let outcome = self.part(&next, item, i.to_string(), "unevaluatedItems");
                    findings.take(outcome)?;
                    findings.seen.items.insert(i);
                }
            }
        }
        Ok(())
    }
}
