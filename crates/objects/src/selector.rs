//! Which objects a rule is about: anchored patterns and label selectors.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use crate::object::{self, Gvk};

/// Why a selector cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A pattern is no regular expression.
    #[error("invalid {field} pattern `{pattern}`: {error}")]
    Pattern {
        /// Which field of the target.
        field: &'static str,
        /// The pattern.
        pattern: String,
        /// What is wrong.
        error: String,
    },
    /// A label selector cannot be read.
    #[error("invalid {field} `{text}`: {error}")]
    Labels {
        /// Which field of the target.
        field: &'static str,
        /// The selector.
        text: String,
        /// What is wrong.
        error: String,
    },
}

/// The patterns and selectors of a target, as written. Empty fields match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Pattern of the API group.
    pub group: String,
    /// Pattern of the API version.
    pub version: String,
    /// Pattern of the kind.
    pub kind: String,
    /// Pattern of the name.
    pub name: String,
    /// Pattern of the namespace.
    pub namespace: String,
    /// Selector over labels.
    pub label_selector: String,
    /// Selector over annotations.
    pub annotation_selector: String,
}

/// A compiled target.
#[derive(Debug, Clone)]
pub struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Requirements,
    annotations: Requirements,
}

impl Selector {
    /// Compiles a target; patterns are anchored at both ends.
    ///
    /// # Errors
    /// The first pattern or selector that cannot be read.
    pub fn compile(target: &Target) -> Result<Self, SelectorError> {
        let pattern = |field: &'static str, text: &str| {
            if text.is_empty() {
                return Ok(None);
            }
            let compiled = regex::RegexBuilder::new(&format!("^(?:{text})$"))
                .size_limit(1 << 20)
                .build();
            compiled.map(Some).map_err(|error| SelectorError::Pattern {
                field,
                pattern: text.to_owned(),
                error: error.to_string(),
            })
        };
        let labels = |field, text: &str| {
            Requirements::parse(text).map_err(|error| SelectorError::Labels {
                field,
                text: text.to_owned(),
                error,
            })
        };
        Ok(Self {
            group: pattern("group", &target.group)?,
            version: pattern("version", &target.version)?,
            kind: pattern("kind", &target.kind)?,
            name: pattern("name", &target.name)?,
            namespace: pattern("namespace", &target.namespace)?,
            labels: labels("labelSelector", &target.label_selector)?,
            annotations: labels("annotationSelector", &target.annotation_selector)?,
        })
    }

    /// Whether an object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let Some(gvk) = Gvk::of(object) else {
            return false;
        };
        let fits =
            |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_none_or(|p| p.is_match(text));
        fits(&self.group, &gvk.group)
            && fits(&self.version, &gvk.version)
            && fits(&self.kind, &gvk.kind)
            && fits(&self.name, object::name(object))
            && fits(&self.namespace, object::namespace(object))
            && self.labels.match_map(object::labels(object))
            && self.annotations.match_map(object::annotations(object))
    }
}

/// One condition on a map of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Above(i64),
    Below(i64),
}

/// A label selector as Kubernetes writes it: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements(Vec<(String, Requirement)>);

impl Requirements {
    /// Reads a selector; an empty one matches everything.
    ///
    /// # Errors
    /// A text that says what was expected where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text.trim() };
        let mut list = Vec::new();
        while !reader.rest.is_empty() {
            list.push(reader.requirement()?);
            if !reader.take(",") && !reader.rest.is_empty() {
                return Err(format!("expected `,` before `{}`", reader.rest));
            }
        }
        Ok(Self(list))
    }

    /// Whether a map of labels or annotations fulfils it.
    pub fn match_map(&self, map: Option<&Map<String, Value>>) -> bool {
        self.0.iter().all(|(key, requirement)| {
            let value = map
                .and_then(|m| m.get(key))
                .map(|v| v.as_str().unwrap_or_default());
            match (requirement, value) {
                (Requirement::Exists, value) => value.is_some(),
                (Requirement::Absent, value) => value.is_none(),
                (Requirement::In(set), value) => value.is_some_and(|v| set.contains(v)),
                (Requirement::NotIn(set), value) => value.is_none_or(|v| !set.contains(v)),
                (Requirement::Above(limit), value) => number(value).is_some_and(|n| n > *limit),
                (Requirement::Below(limit), value) => number(value).is_some_and(|n| n < *limit),
            }
        })
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn take(&mut self, sign: &str) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// A run of characters of keys, values and words.
    fn word(&mut self) -> &'t str {
        let end = self
            .rest
            .find(|c: char| {
                c.is_whitespace() || matches!(c, ',' | '=' | '!' | '(' | ')' | '<' | '>')
            })
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn key(&mut self) -> Result<String, String> {
        match self.word() {
            "" => Err(format!("expected a key before `{}`", self.rest)),
            word => Ok(word.to_owned()),
        }
    }

    fn requirement(&mut self) -> Result<(String, Requirement), String> {
        if self.take("!") {
            return Ok((self.key()?, Requirement::Absent));
        }
        let key = self.key()?;
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok((key, Requirement::Exists));
        }
        let one = |word: &str| BTreeSet::from([word.to_owned()]);
        let requirement = if self.take("!=") {
            Requirement::NotIn(one(self.word()))
        } else if self.take("==") || self.take("=") {
            Requirement::In(one(self.word()))
        } else if self.take(">") {
            Requirement::Above(self.limit()?)
        } else if self.take("<") {
            Requirement::Below(self.limit()?)
        } else {
            match self.word() {
                "in" => Requirement::In(self.set()?),
                "notin" => Requirement::NotIn(self.set()?),
                word => return Err(format!("`{word}` is no operator")),
            }
        };
        Ok((key, requirement))
    }

    fn limit(&mut self) -> Result<i64, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("`{word}` is no integer"))
    }

    fn set(&mut self) -> Result<BTreeSet<String>, String> {
        if !self.take("(") {
            return Err(format!("expected `(` before `{}`", self.rest));
        }
        let mut set = BTreeSet::new();
        loop {
            set.insert(self.word().to_owned());
            if self.take(")") {
                return Ok(set);
            }
            if !self.take(",") {
                return Err(format!("expected `,` or `)` before `{}`", self.rest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn matches(selector: &str, labels: Value) -> bool {
        Requirements::parse(selector)
            .unwrap()
            .match_map(labels.as_object())
    }

    #[test]
    fn label_selectors_are_kubernetes_own() {
        let labels = || json!({"a": "b", "n": "3", "example.com/x": ""});
        for yes in [
            "",
            "a",
            "a=b",
            "a == b",
            "a!=c",
            "zz!=c",
            "!zz",
            "a in (b, c)",
            "a notin (c)",
            "zz notin (c)",
            "n>2,n<4",
            "example.com/x",
            "example.com/x=",
            "a=b, !zz ,n in (3)",
        ] {
            assert!(matches(yes, labels()), "{yes}");
        }
        for no in [
            "zz",
            "a=c",
            "!a",
            "a in (c)",
            "a notin (b,c)",
            "n>3",
            "a>1",
            "a=b,zz",
        ] {
            assert!(!matches(no, labels()), "{no}");
        }
        assert!(!Requirements::parse("a").unwrap().match_map(None));
        for bad in [
            "a in", "a in b", "a in (b", "=b", "a ~ b", "a>x", "a b", "!", "a=b c=d",
        ] {
            assert!(Requirements::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_are_anchored() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "apps",
            "labels": {"a": "1"}, "annotations": {"b": "2"}}});
        let select = |target: Target| Selector::compile(&target).unwrap().matches(&object);
        assert!(select(Target::default()));
        assert!(select(Target {
            kind: "Deploy.*|X".into(),
            name: "w..".into(),
            group: "apps".into(),
            ..Target::default()
        }));
        assert!(!select(Target {
            kind: "Deploy".into(),
            ..Target::default()
        }));
        assert!(!select(Target {
            name: "eb".into(),
            ..Target::default()
        }));
        assert!(select(Target {
            label_selector: "a=1".into(),
            annotation_selector: "b".into(),
            ..Target::default()
        }));
        assert!(!select(Target {
            label_selector: "b".into(),
            ..Target::default()
        }));
        assert!(
            Selector::compile(&Target {
                name: "(".into(),
                ..Target::default()
            })
            .is_err()
        );
        assert!(
            Selector::compile(&Target {
                label_selector: "a in".into(),
                ..Target::default()
            })
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in r"[a(),!=<> inot]{0,20}|\PC{0,20}") {
            let _ = Requirements::parse(&text);
        }
    }
}
