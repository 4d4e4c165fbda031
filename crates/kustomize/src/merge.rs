//! Strategic merge of two trees, as kustomize does it.
//!
//! The procedure for keyed lists is kustomize's down to its oddities: lists
//! with missing or repeated keys come out the way they do there.

use std::collections::{HashMap, HashSet};

use crate::node::{Map, Node, Scalar, Seq, Share};
use crate::schema::{At, Merge, Schema};

/// The key of a directive.
pub(crate) const PATCH: &str = "$patch";

/// Lists beyond this many elements are not merged by two keys: the procedure
/// compares every element with every other.
const LONGEST_TWO_KEYED_LIST: usize = 10_000;

type Result<T> = std::result::Result<T, String>;

/// Merges a patch into an object; nothing left means that the object is gone.
///
/// # Errors
/// Nodes of different kinds, and unknown directives.
pub(crate) fn merge_object(base: Map, patch: &Map, schema: &Schema) -> Result<Option<Map>> {
    let text = |key: &str| {
        let own = base.get(key).and_then(Node::text);
        own.or_else(|| patch.get(key).and_then(Node::text))
            .unwrap_or("")
    };
    let at = schema.of_object(text("apiVersion"), text("kind"));
    // At the top, `replace` has no effect.
    let directive = match directive(patch)? {
        Some(Directive::Replace) => return Ok(Some(base)),
        other => other,
    };
    if directive == Some(Directive::Delete) {
        return Ok(None);
    }
    let merger = Merger { schema };
    merger.maps(base, patch, at).map(Some)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map) -> Result<Option<Directive>> {
    let Some(node) = patch.get(PATCH) else {
        return Ok(None);
    };
    match node.text().unwrap_or("") {
        "merge" => Ok(Some(Directive::Merge)),
        "replace" => Ok(Some(Directive::Replace)),
        "delete" => Ok(Some(Directive::Delete)),
        other => Err(format!("unknown patch strategy '{other}'")),
    }
}

struct Merger<'s> {
    schema: &'s Schema,
}

impl<'s> Merger<'s> {
    fn nodes(
        &self,
        base: Option<Node>,
        patch: Option<&Node>,
        at: Option<At<'s>>,
    ) -> Result<Option<Node>> {
        let base_null = base.as_ref().is_none_or(Node::is_null);
        let Some(patch) = patch else {
            return match base {
                // A null that is spelled out stays, a blank one goes.
                Some(Node::Scalar(scalar)) if scalar.is_null() => {
                    Ok((!scalar.text.is_empty()).then_some(Node::Scalar(scalar)))
                }
                Some(node) => self.alone(node, at).map(Some),
                None => Ok(None),
            };
        };
        if patch.is_null() {
            return Ok(None);
        }
        if base_null {
            return self.added(patch, at);
        }
        let Some(base) = base else { return Ok(None) };
        match (base, patch) {
            (Node::Scalar(base), Node::Scalar(patch)) => Ok(Some(Node::Scalar(Scalar {
                text: patch.text.clone(),
                tag: patch.tag,
                style: base.style,
                comments: None,
                share: Share {
                    touched: true,
                    ..base.share
                },
            }))),
            (Node::Map(base), Node::Map(patch)) => match directive(patch)? {
                Some(Directive::Delete) => Ok(None),
                Some(Directive::Replace) => self
                    .maps(Map::default(), patch, at)
                    .map(|map| Some(Node::Map(map))),
                Some(Directive::Merge) | None => {
                    self.maps(base, patch, at).map(|map| Some(Node::Map(map)))
                }
            },
            (Node::Seq(base), Node::Seq(patch)) => self.lists(Some(base), patch, at),
            (base, patch) => Err(format!(
                "wrong node kind: expected {} but got {}: node contents:\n{}",
                base.kind().go_name(),
                patch.kind().go_name(),
                crate::output::show(patch)
            )),
        }
    }

    /// A patch where the base has nothing: nulls and deletions in it vanish.
    fn added(&self, patch: &Node, at: Option<At<'s>>) -> Result<Option<Node>> {
        Ok(Some(match patch {
            Node::Scalar(scalar) => Node::Scalar(scalar.clone()),
            Node::Map(map) => {
                if directive(map)? == Some(Directive::Delete) {
                    return Ok(None);
                }
                Node::Map(self.maps(Map::default(), map, at)?)
            }
            Node::Seq(seq) => return self.lists(None, seq, at),
        }))
    }

    /// A base that the patch does not mention: blank nulls in it vanish.
    fn alone(&self, base: Node, at: Option<At<'s>>) -> Result<Node> {
        Ok(match base {
            Node::Map(map) => Node::Map(self.maps(map, &Map::default(), at)?),
            Node::Seq(seq) => Node::Seq(Seq {
                items: self.list_alone(seq.items, at)?,
                flow: seq.flow,
                comments: None,
            }),
            scalar => scalar,
        })
    }

    /// The schema of a mapping that is an object of its own.
    fn schema_of(&self, base: &Map, patch: &Map, at: Option<At<'s>>) -> Option<At<'s>> {
        if at.is_some() {
            return at;
        }
        let text = |key: &str| {
            let own = base.get(key).and_then(Node::text);
            own.or_else(|| patch.get(key).and_then(Node::text))
        };
        self.schema.of_object(text("apiVersion")?, text("kind")?)
    }

    fn maps(&self, base: Map, patch: &Map, at: Option<At<'s>>) -> Result<Map> {
        let at = self.schema_of(&base, patch, at);
        let in_patch = Index::of(patch);
        let in_base = Index::of(&base);
        let fresh: Vec<&(Scalar, Node)> = patch
            .pairs
            .iter()
            .filter(|(key, _)| key.text != PATCH && !in_base.has(&base, &key.text))
            .collect();
        let mut out = Map {
            flow: base.flow,
            repeated: base.repeated.clone(),
            comments: None,
            pairs: Vec::with_capacity(base.pairs.len() + fresh.len()),
        };
        for (key, value) in base.pairs {
            let inner = at.and_then(|at| self.schema.field(at, &key.text));
            let change = in_patch.get(patch, &key.text);
            if let Some(mut value) = self.nodes(Some(value), change, inner)? {
                if change.is_none() {
                    value = value.put_in_quotes_if_ambiguous();
                }
                out.pairs.push((key, value));
            }
        }
        for (key, value) in fresh {
            let inner = at.and_then(|at| self.schema.field(at, &key.text));
            if let Some(value) = self.fresh(value, inner)? {
                out.pairs
                    .push((key.clone(), value.put_in_quotes_if_ambiguous()));
            }
        }
        Ok(out)
    }

    fn fresh(&self, value: &Node, at: Option<At<'s>>) -> Result<Option<Node>> {
        if value.is_null() {
            return Ok(None);
        }
        self.added(value, at)
    }

    fn lists(&self, base: Option<Seq>, patch: &Seq, at: Option<At<'s>>) -> Result<Option<Node>> {
        let merge = at.map_or(Merge::Replace, |at| self.schema.merge(at));
        if merge == Merge::Replace {
            return Ok(Some(Node::Seq(patch.clone())));
        }
        // An element that is only a directive speaks for the list.
        let mut elements: Vec<&Node> = Vec::with_capacity(patch.len());
        let mut whole = None;
        for element in patch.iter() {
            match element {
                Node::Map(map) if map.pairs.len() == 1 && map.pairs[0].0.text == PATCH => {
                    whole = directive(map)?;
                }
                other => elements.push(other),
            }
        }
        match whole {
            Some(Directive::Delete) => return Ok(None),
            Some(Directive::Replace) | Some(Directive::Merge) | None => {}
        }
        let element = at.and_then(|at| self.schema.element(at));
        if base.is_none()
            && let Merge::Keyed(keys) = &merge
            && let Some(items) = self.degenerate(&elements, keys, element)?
        {
            return Ok(Some(Node::seq(items)));
        }
        let base = match base {
            Some(_) if whole == Some(Directive::Replace) => Vec::new(),
            Some(base) => base.items,
            None => Vec::new(),
        };
        let items = match merge {
            Merge::Keyed(keys) => self.keyed(base, &elements, &keys, element)?,
            Merge::Set | Merge::Replace => union(base, &elements),
        };
        Ok(Some(Node::seq(items)))
    }

    /// A new list in which some elements lack the key: kustomize merges such a
    /// list with itself, and the last of them is all that remains.
    fn degenerate(
        &self,
        elements: &[&Node],
        keys: &[String],
        at: Option<At<'s>>,
    ) -> Result<Option<Vec<Node>>> {
        let lacks = |node: &Node| keys.iter().all(|key| value_of(node, key).is_empty());
        if !elements.iter().any(|node| lacks(node)) {
            return Ok(None);
        }
        let base = elements.iter().map(|node| (*node).clone()).collect();
        self.keyed(base, &[], keys, at).map(Some)
    }

    fn list_alone(&self, base: Vec<Node>, at: Option<At<'s>>) -> Result<Vec<Node>> {
        let merge = at.map_or(Merge::Replace, |at| self.schema.merge(at));
        let element = at.and_then(|at| self.schema.element(at));
        Ok(match merge {
            Merge::Replace => base,
            Merge::Set => union(base, &[]),
            Merge::Keyed(keys) => self.keyed(base, &[], &keys, element)?,
        })
    }

    /// Merges an element of a keyed list; `None` and `{}` mean that it goes.
    fn element(
        &self,
        base: Option<&Node>,
        patch: Option<&Node>,
        at: Option<At<'s>>,
    ) -> Result<Option<Node>> {
        // In a list, `replace` leaves the base as it is.
        if let (Some(base), Some(Node::Map(map))) = (base, patch)
            && directive(map)? == Some(Directive::Replace)
        {
            return Ok(Some(base.clone()));
        }
        let merged = self.nodes(base.cloned(), patch, at)?;
        Ok(merged.filter(|node| {
            !node.is_null() && !matches!(node, Node::Map(map) if map.pairs.is_empty())
        }))
    }

    fn keyed(
        &self,
        base: Vec<Node>,
        patch: &[&Node],
        keys: &[String],
        at: Option<At<'s>>,
    ) -> Result<Vec<Node>> {
        if let [key] = keys
            && let Some(merged) = self.keyed_by_one(&base, patch, key, at)?
        {
            return Ok(merged);
        }
        if base.len() + patch.len() > LONGEST_TWO_KEYED_LIST {
            return Err(format!(
                "list of {} elements is too long to merge by {}",
                base.len() + patch.len(),
                keys.join(" and ")
            ));
        }
        self.keyed_in_general(base, patch, keys, at)
    }

    /// The usual case: one key, present and distinct everywhere.
    fn keyed_by_one(
        &self,
        base: &[Node],
        patch: &[&Node],
        key: &str,
        at: Option<At<'s>>,
    ) -> Result<Option<Vec<Node>>> {
        let mut in_base: HashMap<&str, &Node> = HashMap::with_capacity(base.len());
        for node in base {
            match value_of(node, key) {
                "" => return Ok(None),
                value => {
                    if in_base.insert(value, node).is_some() {
                        return Ok(None);
                    }
                }
            }
        }
        if patch.iter().any(|node| value_of(node, key).is_empty()) {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(base.len() + patch.len());
        let mut seen: HashSet<&str> = HashSet::with_capacity(patch.len());
        for node in patch {
            let value = value_of(node, key);
            if seen.insert(value) {
                out.extend(self.element(in_base.get(value).copied(), Some(node), at)?);
            }
        }
        for node in base {
            if !seen.contains(value_of(node, key)) {
                out.extend(self.element(Some(node), None, at)?);
            }
        }
        Ok(Some(out))
    }

    fn keyed_in_general(
        &self,
        mut base: Vec<Node>,
        patch: &[&Node],
        keys: &[String],
        at: Option<At<'s>>,
    ) -> Result<Vec<Node>> {
        let tuple_of = |node: &Node| -> Vec<String> {
            keys.iter()
                .map(|key| value_of(node, key).to_owned())
                .collect()
        };
        let mut tuples: Vec<Vec<String>> = Vec::new();
        for node in patch.iter().copied().chain(&base) {
            let tuple = tuple_of(node);
            if !tuples.contains(&tuple) {
                tuples.push(tuple);
            }
        }
        if keys.len() > 1 {
            unify(&mut tuples);
        }
        let mut effective: Vec<usize> = (0..keys.len())
            .filter(|&at| tuples.iter().any(|tuple| !tuple[at].is_empty()))
            .collect();
        if effective.is_empty() {
            effective = (0..keys.len()).collect();
        }
        let matches = |node: &Node, tuple: &[String]| {
            tuple.iter().any(|value| !value.is_empty())
                && keys
                    .iter()
                    .zip(tuple)
                    .all(|(key, value)| value.is_empty() || value_of(node, key) == value)
        };
        let fits = |node: &Node, tuple: &[String]| {
            effective.iter().all(|&at| {
                has(node, &keys[at])
                    && (tuple[at].is_empty() || value_of(node, &keys[at]) == tuple[at])
            })
        };
        let mut out: Vec<Node> = Vec::new();
        for tuple in &tuples {
            let in_base = base.iter().position(|node| matches(node, tuple));
            let in_patch = patch.iter().copied().find(|node| matches(node, tuple));
            let merged = if in_base.is_none() && in_patch.is_none() {
                None
            } else {
                self.element(in_base.map(|at| &base[at]), in_patch, at)?
            };
            let Some(merged) = merged else {
                base.retain(|node| !fits(node, tuple));
                continue;
            };
            if let Some(at) = in_base {
                base[at] = merged.clone();
            }
            put(&mut out, merged, |node| fits(node, tuple));
        }
        for node in base {
            let own: Vec<(usize, String)> = effective
                .iter()
                .filter(|&&at| has(&node, &keys[at]))
                .map(|&at| (at, value_of(&node, &keys[at]).to_owned()))
                .collect();
            if own.is_empty() {
                out.clear();
                out.push(node);
                continue;
            }
            // The shortened tuple is compared by position with all keys.
            let values: Vec<&str> = own.iter().map(|(_, value)| value.as_str()).collect();
            let fits_short = |other: &Node| {
                values.iter().enumerate().all(|(at, value)| {
                    let key = &keys[effective[at]];
                    has(other, key) && (value.is_empty() || value_of(other, key) == *value)
                })
            };
            if own.len() < effective.len() {
                out.push(node.clone());
            }
            if effective.len() > 1 {
                out.retain(|other| !fits_short(other));
            }
            put(&mut out, node.clone(), fits_short);
        }
        Ok(out)
    }
}

/// The positions of keys, for mappings that are too long to search.
struct Index(Option<HashMap<String, usize>>);

impl Index {
    fn of(map: &Map) -> Self {
        const LONG: usize = 64;
        Index((map.pairs.len() > LONG).then(|| {
            let mut positions = HashMap::with_capacity(map.pairs.len());
            for (at, (key, _)) in map.pairs.iter().enumerate() {
                positions.entry(key.text.clone()).or_insert(at);
            }
            positions
        }))
    }

    fn get<'m>(&self, map: &'m Map, key: &str) -> Option<&'m Node> {
        match &self.0 {
            Some(positions) => positions.get(key).map(|&at| &map.pairs[at].1),
            None => map.get(key),
        }
    }

    fn has(&self, map: &Map, key: &str) -> bool {
        self.get(map, key).is_some()
    }
}

/// Puts a node in the place of all that fit, or at the end.
fn put(out: &mut Vec<Node>, node: Node, fits: impl Fn(&Node) -> bool) {
    let mut found = false;
    for slot in out.iter_mut() {
        if fits(slot) {
            slot.clone_from(&node);
            found = true;
        }
    }
    if !found {
        out.push(node);
    }
}

/// Fills blanks of tuples from others that agree in what both have.
fn unify(tuples: &mut [Vec<String>]) {
    for i in 0..tuples.len() {
        let own = tuples[i].clone();
        for j in 0..tuples.len() {
            let other = &tuples[j];
            let some_equal = own.iter().zip(other).any(|(a, b)| a == b);
            let compatible = own
                .iter()
                .zip(other)
                .all(|(a, b)| a == b || a.is_empty() || b.is_empty());
            if some_equal && compatible {
                let filled: Vec<String> = own
                    .iter()
                    .zip(other)
                    .map(|(a, b)| if a.is_empty() { b.clone() } else { a.clone() })
                    .collect();
                tuples[i].clone_from(&filled);
                tuples[j] = filled;
            }
        }
    }
}

fn value_of<'n>(node: &'n Node, key: &str) -> &'n str {
    node.get(key).and_then(Node::text).unwrap_or("")
}

fn has(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|value| !value.is_null())
}

/// Scalars of both, the patch's first, each once.
fn union(base: Vec<Node>, patch: &[&Node]) -> Vec<Node> {
    let mut seen = HashSet::new();
    patch
        .iter()
        .map(|node| (*node).clone())
        .chain(base)
        .filter(|node| match node {
            Node::Scalar(scalar) => seen.insert(scalar.text.clone()),
            _ => true,
        })
        .collect()
}
