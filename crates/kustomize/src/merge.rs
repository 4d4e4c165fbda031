//! Strategic merge of two trees, as kustomize does it.
//!
//! The procedure for keyed lists is kustomize's down to its oddities: lists
//! with missing or repeated keys come out the way they do there.

use std::collections::{HashMap, HashSet};

use crate::node::{Comments, Map, Node, NodeKind, Scalar, Seq, Share};
use crate::schema::{At, Merge, Schema};

/// The key of a directive.
pub(crate) const PATCH: &str = "$patch";

/// Lists beyond this many elements with repeated or missing keys are not
/// merged: the procedure compares every element with every other.
const LONGEST_IRREGULAR_LIST: usize = 2_000;

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
    merger.maps(base, patch, at, Fresh::InOld).map(Some)
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

/// The schema that a comment at a field holds; it goes before that of the type.
fn commented_schema(key: &Scalar, value: &Node) -> Option<serde_json::Value> {
    let read = |comments: &Comments| {
        let head = comments
            .head
            .iter()
            .map(|line| line.trim_start_matches('#'));
        let head: String = head.collect::<Vec<_>>().join("\n");
        let line = comments
            .line
            .as_deref()
            .map(|line| line.trim_start_matches('#'));
        line.into_iter().chain([head.as_str()]).find_map(|text| {
            let schema: serde_json::Value = serde_json::from_str(text).ok()?;
            schema.is_object().then_some(schema)
        })
    };
    let of_key = key.comments.as_deref().and_then(read);
    of_key.or_else(|| value.comments().and_then(read))
}

/// What a new part stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fresh {
    /// In something that the base has.
    InOld,
    /// In something that is new itself.
    InNew,
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
            return self.added(patch, at, Fresh::InOld);
        }
        let Some(base) = base else { return Ok(None) };
        match (base, patch) {
            (Node::Scalar(base), Node::Scalar(patch)) => Ok(Some(Node::Scalar(Scalar {
                text: patch.text.clone(),
                tag: patch.tag,
                style: base.style,
                comments: patch.comments.clone(),
                share: Share {
                    touched: true,
                    ..base.share
                },
            }))),
            (Node::Map(base), Node::Map(patch)) => match directive(patch)? {
                Some(Directive::Delete) => Ok(None),
                Some(Directive::Replace) => self
                    .maps(Map::default(), patch, at, Fresh::InNew)
                    .map(|map| Some(Node::Map(map))),
                Some(Directive::Merge) | None => self
                    .maps(base, patch, at, Fresh::InOld)
                    .map(|map| Some(Node::Map(map))),
            },
            (Node::Seq(base), Node::Seq(patch)) => self.lists(base, patch, at),
            (base, patch) => Err(wrong_kind(base.kind(), patch)),
        }
    }

    /// A patch where the base has nothing: nulls and deletions in it vanish.
    fn added(&self, patch: &Node, at: Option<At<'s>>, fresh: Fresh) -> Result<Option<Node>> {
        Ok(Some(match patch {
            Node::Scalar(scalar) => Node::Scalar(scalar.clone()),
            Node::Map(map) => {
                if directive(map)? == Some(Directive::Delete) {
                    return Ok(None);
                }
                Node::Map(self.maps(Map::default(), map, at, Fresh::InNew)?)
            }
            Node::Seq(seq) => return self.new_list(seq, at, fresh),
        }))
    }

    /// A base that the patch does not mention: blank nulls in it vanish.
    fn alone(&self, base: Node, at: Option<At<'s>>) -> Result<Node> {
        Ok(match base {
            Node::Map(map) => Node::Map(self.maps(map, &Map::default(), at, Fresh::InOld)?),
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

    fn maps(&self, base: Map, patch: &Map, at: Option<At<'s>>, new: Fresh) -> Result<Map> {
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
            let change = in_patch.pair(patch, &key.text);
            let own = commented_schema(&key, &value)
                .or_else(|| change.and_then(|(key, value)| commented_schema(key, value)));
            let inner = own.as_ref().map(At::Custom).or(inner);
            let change = change.map(|(_, value)| value);
            if let Some(mut value) = self.nodes(Some(value), change, inner)? {
                if change.is_none() {
                    value = value.put_in_quotes_if_ambiguous();
                }
                out.pairs.push((key, value));
            }
        }
        for (key, value) in fresh {
            if value.is_null() {
                continue;
            }
            let inner = at.and_then(|at| self.schema.field(at, &key.text));
            let own = commented_schema(key, value);
            let inner = own.as_ref().map(At::Custom).or(inner);
            if let Some(value) = self.added(value, inner, new)? {
                out.pairs
                    .push((key.clone(), value.put_in_quotes_if_ambiguous()));
            }
        }
        Ok(out)
    }

    fn lists(&self, base: Seq, patch: &Seq, at: Option<At<'s>>) -> Result<Option<Node>> {
        let keys = match at.map_or(Merge::Replace, |at| self.schema.merge(at)) {
            Merge::Replace => return Ok(Some(Node::Seq(patch.clone()))),
            merge => merge,
        };
        let (whole, elements) = directives(patch)?;
        let items = match (whole, keys) {
            (Some(Directive::Delete), _) => return Ok(None),
            (Some(Directive::Replace), _) => return self.new_items(&elements, at).map(Some),
            (_, Merge::Keyed(keys)) => {
                let element = at.and_then(|at| self.schema.element(at));
                self.keyed(base.items, &elements, &keys, element)?
            }
            (_, Merge::Set | Merge::Replace) => self.set(base.items, &elements)?,
        };
        Ok(Some(Node::seq(items)))
    }

    /// A list where the base has none. Its directives count only when what it
    /// stands in is new as well; else they are elements like any other.
    fn new_list(&self, patch: &Seq, at: Option<At<'s>>, fresh: Fresh) -> Result<Option<Node>> {
        if at.is_none_or(|at| self.schema.merge(at) == Merge::Replace) {
            return Ok(Some(Node::Seq(patch.clone())));
        }
        if fresh == Fresh::InOld {
            let elements: Vec<&Node> = patch.iter().collect();
            return self.new_items(&elements, at).map(Some);
        }
        match directives(patch)? {
            (Some(Directive::Delete), _) => Ok(None),
            (_, elements) => self.new_items(&elements, at).map(Some),
        }
    }

    /// A new list. kustomize merges it with itself, which shows when elements
    /// lack the key or share it: then the last of them is what remains.
    fn new_items(&self, elements: &[&Node], at: Option<At<'s>>) -> Result<Node> {
        let merge = at.map_or(Merge::Replace, |at| self.schema.merge(at));
        let Merge::Keyed(keys) = merge else {
            let own: Vec<Node> = elements.iter().map(|node| (*node).clone()).collect();
            return self.set(own, elements).map(Node::seq);
        };
        let at = at.and_then(|at| self.schema.element(at));
        let used: Vec<&String> = keys
            .iter()
            .filter(|key| elements.iter().any(|node| !value_of(node, key).is_empty()))
            .collect();
        let mut seen = HashSet::with_capacity(elements.len());
        let is_plain = elements.iter().all(|node| {
            let tuple: Vec<&str> = used.iter().map(|key| value_of(node, key)).collect();
            tuple.iter().all(|value| !value.is_empty()) && seen.insert(tuple)
        });
        if is_plain && (!used.is_empty() || elements.is_empty()) {
            return self.keyed(Vec::new(), elements, &keys, at).map(Node::seq);
        }
        let is_odd = |node: &&&Node| !matches!(node, Node::Map(_)) && !node.is_null();
        if let Some(odd) = elements.iter().find(is_odd) {
            return Err(wrong_kind(NodeKind::Map, odd));
        }
        self.check_length(elements.len(), &keys)?;
        let own = elements.iter().map(|node| (*node).clone()).collect();
        let walk = |node: Option<&Node>, _: Option<&Node>| match node {
            Some(node) => self.added(node, at, Fresh::InOld).map(without_nothing),
            None => Ok(None),
        };
        keyed_in_general(own, &[], &keys, walk).map(Node::seq)
    }

    fn list_alone(&self, base: Vec<Node>, at: Option<At<'s>>) -> Result<Vec<Node>> {
        let merge = at.map_or(Merge::Replace, |at| self.schema.merge(at));
        let element = at.and_then(|at| self.schema.element(at));
        Ok(match merge {
            Merge::Replace => base,
            Merge::Set => self.set(base, &[])?,
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
        self.nodes(base.cloned(), patch, at).map(without_nothing)
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
        if let [first, second] = keys
            && let Some(merged) = self.keyed_by_two(&base, patch, first, second, at)?
        {
            return Ok(merged);
        }
        self.check_length(base.len() + patch.len(), keys)?;
        keyed_in_general(base, patch, keys, |base, patch| {
            self.element(base, patch, at)
        })
    }

    /// Scalars of both, the patch's first, each once and no null. To kustomize
    /// this is a list whose key is the text of an element, which is empty for
    /// a mapping or a list; one of those can only stand alone.
    fn set(&self, base: Vec<Node>, patch: &[&Node]) -> Result<Vec<Node>> {
        let text = |node: &Node| node.text().unwrap_or_default().to_owned();
        let all_scalars = base.iter().all(is_scalar) && patch.iter().all(|node| is_scalar(node));
        if !all_scalars {
            self.check_length(base.len() + patch.len(), &["text".to_owned()])?;
        }
        let mut base: Vec<Option<Node>> = base.into_iter().map(Some).collect();
        let mut in_base = HashMap::new();
        for (at, node) in base.iter().enumerate() {
            in_base.entry(node.as_ref().map(text)).or_insert(at);
        }
        let mut in_patch: HashMap<String, &Node> = HashMap::new();
        for node in patch {
            in_patch.entry(text(node)).or_insert(node);
        }
        let mut seen = HashSet::new();
        let texts: Vec<String> = (patch.iter().copied())
            .chain(base.iter().flatten())
            .map(text)
            .filter(|text| seen.insert(text.clone()))
            .collect();
        let mut gone = HashSet::new();
        let mut out: Vec<Node> = Vec::with_capacity(texts.len());
        let mut places: HashMap<String, usize> = HashMap::with_capacity(texts.len());
        let mut put = |out: &mut Vec<Node>, text: String, node: Node| {
            if !all_scalars {
                only_scalars(out.iter())?;
            }
            match places.get(&text) {
                Some(&at) => out[at] = node,
                None => {
                    places.insert(text, out.len());
                    out.push(node);
                }
            }
            Ok::<(), String>(())
        };
        for text in texts {
            let own = in_base.get(&Some(text.clone())).copied();
            let change = in_patch.get(&text).copied();
            let merged = self.nodes(own.and_then(|at| base[at].clone()), change, None)?;
            match merged.filter(|node| !is_nothing(node)) {
                None => {
                    if !all_scalars {
                        only_scalars(base.iter().flatten())?;
                    }
                    gone.insert(text);
                }
                Some(node) => {
                    // A collection is changed where it stands.
                    if let Some(at) = own.filter(|_| !is_scalar(&node)) {
                        base[at] = Some(node.clone());
                    }
                    put(&mut out, text, node)?;
                }
            }
        }
        for node in base.into_iter().flatten() {
            let text = text(&node);
            if !gone.contains(&text) {
                put(&mut out, text, node)?;
            }
        }
        Ok(out)
    }

    fn check_length(&self, length: usize, keys: &[String]) -> Result<()> {
        if length > LONGEST_IRREGULAR_LIST {
            return Err(format!(
                "list of {length} elements with repeated or missing keys is too long to merge by {}",
                keys.join(" and ")
            ));
        }
        Ok(())
    }

    /// The usual cases of two keys: both present everywhere, or the second one
    /// nowhere.
    fn keyed_by_two(
        &self,
        base: &[Node],
        patch: &[&Node],
        first: &str,
        second: &str,
        at: Option<At<'s>>,
    ) -> Result<Option<Vec<Node>>> {
        let mut all = base.iter().chain(patch.iter().copied());
        if all.all(|node| node.get(second).is_none()) {
            return self.keyed_by_one(base, patch, first, at);
        }
        let index =
            |nodes: &mut dyn Iterator<Item = &Node>| -> Option<HashMap<(String, String), usize>> {
                let mut index = HashMap::new();
                for (at, node) in nodes.enumerate() {
                    let tuple = (
                        value_of(node, first).to_owned(),
                        value_of(node, second).to_owned(),
                    );
                    if tuple.0.is_empty() || tuple.1.is_empty() || index.insert(tuple, at).is_some()
                    {
                        return None;
                    }
                }
                Some(index)
            };
        let (Some(in_base), Some(in_patch)) =
            (index(&mut base.iter()), index(&mut patch.iter().copied()))
        else {
            return Ok(None);
        };
        let tuple = |node: &Node| {
            (
                value_of(node, first).to_owned(),
                value_of(node, second).to_owned(),
            )
        };
        // Elements of the base keep their places behind those that are new.
        let mut out = Vec::with_capacity(base.len() + patch.len());
        for node in patch {
            if !in_base.contains_key(&tuple(node)) {
                out.extend(self.element(None, Some(node), at)?);
            }
        }
        for node in base {
            let patch = in_patch.get(&tuple(node)).map(|&at| patch[at]);
            out.extend(self.element(Some(node), patch, at)?);
        }
        Ok(Some(out))
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
}

/// The procedure for every case; `merge` merges what was found of an element.
fn keyed_in_general(
    mut base: Vec<Node>,
    patch: &[&Node],
    keys: &[String],
    merge: impl Fn(Option<&Node>, Option<&Node>) -> Result<Option<Node>>,
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
        if let ([key], [value]) = (keys, tuple)
            && value.is_empty()
        {
            // Nothing is looked for, and found where the key is there.
            return node.get(key).and_then(Node::text) == Some("");
        }
        tuple.iter().any(|value| !value.is_empty())
            && keys
                .iter()
                .zip(tuple)
                .all(|(key, value)| value.is_empty() || value_of(node, key) == value)
    };
    let fits = |node: &Node, tuple: &[String]| {
        effective.iter().all(|&at| {
            node.get(&keys[at]).is_some()
                && (tuple[at].is_empty() || value_of(node, &keys[at]) == tuple[at])
        })
    };
    let mut out: Vec<Node> = Vec::new();
    for tuple in &tuples {
        let in_base = base.iter().position(|node| matches(node, tuple));
        let in_patch = patch.iter().copied().find(|node| matches(node, tuple));
        // A replacement leaves the base as it is, which is put in its place below.
        let replaces = match in_patch {
            Some(Node::Map(map)) => directive(map)? == Some(Directive::Replace),
            _ => false,
        };
        let in_base = in_base.filter(|_| !replaces);
        let merged = if in_base.is_none() && in_patch.is_none() {
            None
        } else {
            merge(in_base.map(|at| &base[at]), in_patch)?
        };
        let Some(merged) = merged else {
            base.retain(|node| !is_nothing(node) && !fits(node, tuple));
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

/// Nothing that a list by keys may hold.
fn is_nothing(node: &Node) -> bool {
    node.is_null() || matches!(node, Node::Map(map) if map.pairs.is_empty())
}

fn without_nothing(node: Option<Node>) -> Option<Node> {
    node.filter(|node| !is_nothing(node))
}

/// What the elements that are only directives say of a list, and the others.
fn directives(patch: &Seq) -> Result<(Option<Directive>, Vec<&Node>)> {
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
    Ok((whole, elements))
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

    fn pair<'m>(&self, map: &'m Map, key: &str) -> Option<&'m (Scalar, Node)> {
        let at = match &self.0 {
            Some(positions) => positions.get(key).copied(),
            None => map.position(key),
        };
        at.map(|at| &map.pairs[at])
    }

    fn has(&self, map: &Map, key: &str) -> bool {
        self.pair(map, key).is_some()
    }
}

/// Puts a node in the place of all that fit, or at the end.
fn put(out: &mut Vec<Node>, node: Node, fits: impl Fn(&Node) -> bool) {
    out.retain(|node| !is_nothing(node));
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

fn wrong_kind(expected: NodeKind, node: &Node) -> String {
    format!(
        "wrong node kind: expected {} but got {}: node contents:\n{}",
        expected.go_name(),
        node.kind().go_name(),
        crate::output::show(node)
    )
}

/// The value of a key; blank when there is none.
fn value_of<'n>(node: &'n Node, key: &str) -> &'n str {
    let value = node.get(key).filter(|value| !value.is_null());
    value.and_then(Node::text).unwrap_or("")
}

fn has(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|value| !value.is_null())
}

fn is_scalar(node: &Node) -> bool {
    matches!(node, Node::Scalar(_))
}

/// # Errors
/// One is a mapping or a list.
fn only_scalars<'n>(mut nodes: impl Iterator<Item = &'n Node>) -> Result<()> {
    let odd = nodes.find(|node| !is_scalar(node));
    odd.map_or(Ok(()), |odd| Err(wrong_kind(NodeKind::Scalar, odd)))
}
