//! References to objects whose names changed.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::config::{Config, NameReference};
use crate::fieldspec::{Create, Path, walk};
use crate::id::{Gvk, NOT_NAMESPACEABLE, ResId};
use crate::node::{Map, Node, Tag};
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::schema::Schema;

/// Names that more objects than this had are looked up by namespace too.
const CROWD: usize = 16;

/// What a reference may be to, as far as the rules ask.
struct Candidate {
    previous: Vec<ResId>,
    current: ResId,
    namespace: String,
    /// The effective namespace at first.
    original_namespace: String,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

/// Every object of the build, found by the names that it had.
struct Candidates {
    all: Vec<Candidate>,
    by_previous_name: HashMap<String, Vec<usize>>,
    /// Of names that very many had: by the present namespace as well.
    crowded: HashMap<String, HashMap<String, Vec<usize>>>,
    original_namespaces: HashSet<String>,
    /// Original and present namespace of some object.
    namespace_pairs: HashSet<(String, String)>,
}

/// A rule for one kind of referrer, ready to walk.
struct Rule<'c> {
    reference: &'c NameReference,
    path: Path,
    path_text: &'c str,
}

/// Rewrites every reference whose object is found.
///
/// # Errors
/// A reference that could be to several objects, or a malformed one.
pub(crate) fn fix(objects: &mut ResMap, config: &Config, schema: &Schema) -> Result<(), String> {
    // Without a previous id no object can be found.
    if objects
        .resources
        .iter()
        .all(|resource| resource.previous.is_empty())
    {
        return check_shapes(objects, config, schema);
    }
    let candidates = Candidates::new(&objects.resources, schema);
    let mut rules: HashMap<Gvk, Vec<Rule<'_>>> = HashMap::new();
    for at in 0..objects.resources.len() {
        let resource = &mut objects.resources[at];
        let original = resource.original_id(schema).gvk;
        let rules = rules
            .entry(original)
            .or_insert_with_key(|gvk| rules_for(gvk, config));
        if rules.is_empty() {
            continue;
        }
        let referrer = Referrer::new(resource, schema)?;
        for rule in rules.iter() {
            let id = || referrer.id.clone();
            walk(&mut resource.root, &rule.path, Create::No, id, |node| {
                candidates.rewrite(node, rule, &referrer)
            })
            .map_err(|error| referrer.explain(rule, &error.0))?;
        }
    }
    objects.touch();
    Ok(())
}

/// Even without anything to rewrite, the fields must have the right shape.
fn check_shapes(objects: &mut ResMap, config: &Config, schema: &Schema) -> Result<(), String> {
    let candidates = Candidates::new(&[], schema);
    let mut rules: HashMap<Gvk, Vec<Rule<'_>>> = HashMap::new();
    for resource in &mut objects.resources {
        let rules = rules
            .entry(resource.gvk())
            .or_insert_with_key(|gvk| rules_for(gvk, config));
        if rules.is_empty() {
            continue;
        }
        let referrer = Referrer::new(resource, schema)?;
        for rule in rules.iter() {
            let id = || referrer.id.clone();
            walk(&mut resource.root, &rule.path, Create::No, id, |node| {
                candidates.rewrite(node, rule, &referrer)
            })
            .map_err(|error| referrer.explain(rule, &error.0))?;
        }
    }
    Ok(())
}

fn rules_for<'c>(gvk: &Gvk, config: &'c Config) -> Vec<Rule<'c>> {
    let mut rules = Vec::new();
    for reference in &config.name_reference {
        for field in &reference.fields {
            if gvk.is_selected(&field.gvk) {
                rules.push(Rule {
                    reference,
                    path: Path::parse(&field.path),
                    path_text: &field.path,
                });
            }
        }
    }
    rules
}

/// The object that refers.
struct Referrer {
    id: ResId,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
    /// Namespaces of ServiceAccounts that a RoleBinding names.
    subject_namespaces: HashSet<String>,
    role: Option<(String, String)>,
}

impl Referrer {
    fn new(resource: &Resource, schema: &Schema) -> Result<Self, String> {
        let mut subject_namespaces = HashSet::new();
        let mut blank_namespace = false;
        if resource.kind() == "RoleBinding"
            && let Some(Node::Seq(subjects)) = resource.root.get("subjects")
        {
            for subject in subjects.iter() {
                if subject.get("kind").and_then(Node::text) != Some("ServiceAccount") {
                    continue;
                }
                match subject.get("namespace").map(Node::to_json) {
                    Some(Ok(serde_json::Value::String(namespace))) => {
                        subject_namespaces.insert(namespace);
                    }
                    Some(_) => blank_namespace = true,
                    None => {}
                }
            }
        }
        // A role reference without one of the two says nothing of the kind.
        let role = resource.root.get("roleRef").and_then(|role| {
            let text = |key: &str| Some(role.get(key)?.text().unwrap_or("").to_owned());
            Some((text("apiGroup")?, text("kind")?))
        });
        let id = resource.current_id(schema);
        if blank_namespace && !id.cluster_scoped {
            return Err(format!(
                "Invalid Input: namespace is blank for resource \"{id}\""
            ));
        }
        Ok(Referrer {
            id,
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
            subject_namespaces,
            role,
        })
    }

    fn explain(&self, rule: &Rule<'_>, problem: &str) -> String {
        format!(
            "updating name reference in '{}' field of '{}': {problem}",
            rule.path_text, self.id
        )
    }
}

impl Candidates {
    fn new(resources: &[Resource], schema: &Schema) -> Self {
        let mut candidates = Candidates {
            all: Vec::with_capacity(resources.len()),
            by_previous_name: HashMap::new(),
            crowded: HashMap::new(),
            original_namespaces: HashSet::new(),
            namespace_pairs: HashSet::new(),
        };
        for (at, resource) in resources.iter().enumerate() {
            let previous: Vec<ResId> = resource.previous_ids(schema).collect();
            let current = resource.current_id(schema);
            let original = previous.first().unwrap_or(&current);
            let original_namespace = original.effective_namespace().to_owned();
            if !current.cluster_scoped {
                candidates
                    .original_namespaces
                    .insert(original_namespace.clone());
                candidates.namespace_pairs.insert((
                    original_namespace.clone(),
                    current.effective_namespace().to_owned(),
                ));
            }
            let mut names: Vec<&str> = previous.iter().map(|id| id.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                candidates
                    .by_previous_name
                    .entry(name.to_owned())
                    .or_default()
                    .push(at);
            }
            candidates.all.push(Candidate {
                previous,
                namespace: resource.namespace().to_owned(),
                current,
                original_namespace,
                prefixes: resource.prefixes.clone(),
                suffixes: resource.suffixes.clone(),
            });
        }
        candidates.sort_crowds();
        candidates
    }

    fn sort_crowds(&mut self) {
        for (name, places) in &self.by_previous_name {
            if places.len() <= CROWD {
                continue;
            }
            let mut by_namespace: HashMap<String, Vec<usize>> = HashMap::new();
            for &at in places {
                let namespace = self.all[at].current.effective_namespace();
                match by_namespace.get_mut(namespace) {
                    Some(places) => places.push(at),
                    None => {
                        by_namespace.insert(namespace.to_owned(), vec![at]);
                    }
                }
            }
            self.crowded.insert(name.clone(), by_namespace);
        }
    }

    /// Objects that had a name, in their order; of a crowd only those that the
    /// referrer can reach.
    fn named(&self, name: &str, referrer: &Referrer) -> Cow<'_, [usize]> {
        let Some(by_namespace) = self
            .crowded
            .get(name)
            .filter(|_| !referrer.id.cluster_scoped)
        else {
            let places = self.by_previous_name.get(name);
            return Cow::Borrowed(places.map_or(&[], Vec::as_slice));
        };
        let subjects = referrer.subject_namespaces.iter().map(String::as_str);
        let mut places: Vec<usize> = [referrer.id.effective_namespace(), NOT_NAMESPACEABLE]
            .into_iter()
            .chain(subjects)
            .filter_map(|namespace| by_namespace.get(namespace))
            .flatten()
            .copied()
            .collect();
        places.sort_unstable();
        places.dedup();
        Cow::Owned(places)
    }

    fn rewrite(&self, node: &mut Node, rule: &Rule<'_>, referrer: &Referrer) -> Result<(), String> {
        match node {
            Node::Scalar(_) if node.is_null() => Ok(()),
            Node::Scalar(scalar) => {
                if let Some(found) = self.find(&scalar.text, None, rule, referrer)? {
                    let name = &found.current.name;
                    if scalar.text != *name {
                        scalar.text.clone_from(name);
                    }
                    scalar.tag = Tag::Infer;
                }
                Ok(())
            }
            Node::Map(map) => self.rewrite_map(map, rule, referrer),
            Node::Seq(items) => items.iter_mut().try_for_each(|item| match item {
                Node::Seq(_) => Err("path config error; no 'name' field in node".to_owned()),
                item => self.rewrite(item, rule, referrer),
            }),
        }
    }

    fn rewrite_map(
        &self,
        map: &mut Map,
        rule: &Rule<'_>,
        referrer: &Referrer,
    ) -> Result<(), String> {
        let Some(name) = map.get("name") else {
            return Err("path config error; no 'name' field in node".to_owned());
        };
        let name = name.text().unwrap_or_default();
        let namespace = map.get("namespace").and_then(Node::text);
        let Some(found) = self.find(name, namespace, rule, referrer)? else {
            return Ok(());
        };
        put(map, "name", &found.current.name);
        if !found.namespace.is_empty() {
            put(map, "namespace", &found.namespace);
        }
        Ok(())
    }

    /// True for objects that this referrer can refer to at all.
    fn is_reachable(candidate: &Candidate, referrer: &Referrer) -> bool {
        if referrer.id.cluster_scoped || candidate.current.cluster_scoped {
            return true;
        }
        let namespace = candidate.current.effective_namespace();
        namespace == referrer.id.effective_namespace()
            || referrer.subject_namespaces.contains(namespace)
    }

    /// True when some reachable object had this namespace at first.
    fn has_original_namespace(&self, namespace: &str, referrer: &Referrer) -> bool {
        if referrer.id.cluster_scoped {
            return self.original_namespaces.contains(namespace);
        }
        let own = referrer.id.effective_namespace();
        std::iter::once(own)
            .chain(referrer.subject_namespaces.iter().map(String::as_str))
            .any(|present| {
                self.namespace_pairs
                    .contains(&(namespace.to_owned(), present.to_owned()))
            })
    }

    fn find(
        &self,
        name: &str,
        namespace: Option<&str>,
        rule: &Rule<'_>,
        referrer: &Referrer,
    ) -> Result<Option<&Candidate>, String> {
        let named = self.named(name, referrer);
        if named.is_empty() {
            return Ok(None);
        }
        let by_original = namespace.map(|ns| self.has_original_namespace(ns, referrer));
        let is_role = rule.path_text.ends_with("roleRef/name");
        let fits = |wanted: &str, own: &str| wanted.is_empty() || wanted == own;
        let fits = |candidate: &&Candidate| -> bool {
            if !Self::is_reachable(candidate, referrer) {
                return false;
            }
            if let (Some(namespace), Some(by_original)) = (namespace, by_original) {
                let own = if by_original {
                    candidate.original_namespace.as_str()
                } else {
                    candidate.current.effective_namespace()
                };
                if candidate.current.cluster_scoped || own != namespace {
                    return false;
                }
            }
            let selected = candidate
                .previous
                .iter()
                .any(|id| id.gvk.is_selected(&rule.reference.referent));
            if !selected {
                return false;
            }
            if is_role
                && let Some((group, kind)) = &referrer.role
                && !candidate
                    .previous
                    .iter()
                    .any(|id| fits(group, &id.gvk.group) && fits(kind, &id.gvk.kind))
            {
                return false;
            }
            referrer.id.cluster_scoped
                || candidate.current.cluster_scoped
                || candidate.current.gvk.kind == "ServiceAccount"
                || candidate.current.effective_namespace() == referrer.id.effective_namespace()
        };
        let mut found: Vec<&Candidate> =
            named.iter().map(|&at| &self.all[at]).filter(fits).collect();
        for empty in [EmptyList::FitsAll, EmptyList::FitsEmpty] {
            if found.len() > 1 {
                found.retain(|candidate| {
                    end_alike(&candidate.prefixes, &referrer.prefixes, empty)
                        && end_alike(&candidate.suffixes, &referrer.suffixes, empty)
                });
            }
        }
        let Some(&first) = found.first() else {
            return Ok(None);
        };
        let same = found.iter().all(|other| {
            other.current.name == first.current.name
                && (namespace.is_none() || other.namespace == first.namespace)
        });
        if found.len() == 1 || same {
            return Ok(Some(first));
        }
        let ids: Vec<String> = found.iter().map(|c| c.current.to_string()).collect();
        Err(format!(
            "found multiple possible referrals: {}\n\n**** Too many possible referral targets to referrer:\n",
            ids.join(", ")
        ))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum EmptyList {
    FitsAll,
    FitsEmpty,
}

/// The shorter list is the end of the longer.
fn end_alike(a: &[String], b: &[String], empty: EmptyList) -> bool {
    if a.is_empty() || b.is_empty() {
        return empty == EmptyList::FitsAll || (a.is_empty() && b.is_empty());
    }
    a.iter().rev().zip(b.iter().rev()).all(|(a, b)| a == b)
}

fn put(map: &mut Map, key: &str, text: &str) {
    match map.get_mut(key) {
        Some(Node::Scalar(scalar)) => {
            scalar.text = text.to_owned();
            scalar.tag = Tag::Infer;
        }
        Some(slot) => *slot = Node::string(text),
        None => map.set(key, Node::string(text)),
    }
}
