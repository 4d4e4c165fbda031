//! Strategic merge patches: what to do with a list or map hangs on its field.

use serde_json::{Map, Value};
use thiserror::Error;

use super::{Patched, parse_object};
use crate::failure::Failure;
use crate::gofmt;
use crate::schema::{PatchStrategy, Schema, TypeId};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Why a strategic merge patch cannot be applied, in the server's words.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum StrategicError {
    /// Code 400.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// Code 400.
    #[error("invalid patch format of setElementOrder list")]
    ElementOrder,
    /// Code 422.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// Code 500.
    #[error("{0}")]
    Other(String),
}

impl From<StrategicError> for Failure {
    fn from(error: StrategicError) -> Self {
        match error {
            StrategicError::RetainKeys | StrategicError::ElementOrder => {
                Failure::bad_request(error.to_string())
            }
            StrategicError::ListOfLists => Failure::unprocessable(
                "the server rejected our request due to an error in our request",
            ),
            StrategicError::Other(text) => Failure::unclassified(text),
        }
    }
}

/// Applies a strategic merge patch to an object of a type.
///
/// # Errors
/// Code 400 if the patch is no object, and what [`StrategicError`] says.
pub fn strategic_merge(
    schema: &Schema,
    id: TypeId,
    object: &Value,
    patch: &[u8],
) -> Result<Patched, Failure> {
    let parsed = parse_object(patch, "")?;
    let printed = gofmt::plain(&parsed.value);
    let merge = Merge { schema };
    let original = object.as_object().cloned().unwrap_or_default();
    let Value::Object(patch) = parsed.value else {
        return Err(StrategicError::ElementOrder.into());
    };
    let merged = merge.maps(Some(id), original, patch)?;
    Ok(Patched {
        value: Value::Object(merged),
        strict: parsed.duplicates,
        printed,
    })
}

type Object = Map<String, Value>;
type Result<T, E = StrategicError> = std::result::Result<T, E>;

fn other<T>(text: String) -> Result<T> {
    Err(StrategicError::Other(text))
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        value => gofmt::type_name(value),
    }
}

fn bad_directive<T>(directive: &Value, patch: &Object) -> Result<T> {
    let map = gofmt::plain(&Value::Object(patch.clone()));
    other(format!(
        "unknown patch type: {} in map: {map}",
        gofmt::plain(directive)
    ))
}

fn no_merge_key<T>(item: &Value, key: &str) -> Result<T> {
    other(format!(
        "map: {} does not contain declared merge key: {key}",
        gofmt::plain(item)
    ))
}

/// Removes null members, however deep.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// Removes directives from a value that is taken as it is; None if nothing is left of it.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(mut map) => {
            if map
                .get(DIRECTIVE)
                .is_some_and(|directive| directive == "delete")
            {
                return None;
            }
            map.remove(DIRECTIVE);
            let is_directive =
                |key: &str| key == RETAIN_KEYS || key.starts_with(ORDER) || key.starts_with(DELETE);
            let kept = map.into_iter().filter(|(key, _)| !is_directive(key));
            Some(Value::Object(
                kept.filter_map(|(key, value)| Some((key, without_directives(value)?)))
                    .collect(),
            ))
        }
        Value::Array(items) => Some(Value::Array(
            items.into_iter().filter_map(without_directives).collect(),
        )),
        other => Some(other),
    }
}

struct Merge<'s> {
    schema: &'s Schema,
}

/// The type below a field, and how it is patched.
struct Lookup<'s> {
    id: Option<TypeId>,
    strategy: Option<&'s PatchStrategy>,
    name: &'s str,
}

impl<'s> Merge<'s> {
    fn field(&self, id: Option<TypeId>, key: &str) -> Result<Lookup<'s>> {
        let Some(id) = id else {
            return Ok(Lookup {
                id: None,
                strategy: None,
                name: "",
            });
        };
        let node = self.schema.node(id);
        let name = node.struct_name();
        let Some(map) = &node.map else {
            return Ok(Lookup {
                id: None,
                strategy: None,
                name,
            });
        };
        match (map.field(key), map.element) {
            (Some(field), _) => Ok(Lookup {
                id: Some(field.ty),
                strategy: field.patch.as_ref(),
                name,
            }),
            (None, Some(element)) => Ok(Lookup {
                id: Some(element),
                strategy: None,
                name,
            }),
            (None, None) => other(format!(
                "unable to find api field in struct {name} for the json field {}",
                gofmt::quote(key)
            )),
        }
    }

    fn element(&self, id: Option<TypeId>) -> Option<TypeId> {
        self.schema.node(id?).list.as_ref().map(|list| list.element)
    }

    fn maps(&self, id: Option<TypeId>, mut original: Object, mut patch: Object) -> Result<Object> {
        if let Some(directive) = patch.get(DIRECTIVE).cloned() {
            return match directive.as_str() {
                Some("replace") => {
                    patch.remove(DIRECTIVE);
                    Ok(patch)
                }
                Some("delete") => Ok(Object::new()),
                _ => bad_directive(&directive, &patch),
            };
        }
        if let Some(keys) = patch.remove(RETAIN_KEYS) {
            let Value::Array(keys) = keys else {
                return Err(StrategicError::RetainKeys);
            };
            let listed = |key: &String| keys.iter().any(|known| known == key.as_str());
            let exempt = |key: &str, value: &Value| {
                value.is_null() || key.starts_with(DELETE) || key.starts_with(ORDER)
            };
            if patch
                .iter()
                .any(|(key, value)| !exempt(key, value) && !listed(key))
            {
                return Err(StrategicError::RetainKeys);
            }
            original.retain(|key, _| listed(key));
        }
        self.ordered_lists(id, &mut original, &mut patch)?;
        for (key, mut value) in patch {
            let (key, deletes) = match key.strip_prefix(DELETE) {
                Some(key) => (key.to_owned(), true),
                None => (key, false),
            };
            if value.is_null() {
                original.remove(&key);
                continue;
            }
            let same_kind = |known: &Value| match (known, &value) {
                (Value::Number(a), Value::Number(b)) => a.is_f64() == b.is_f64(),
                (known, value) => std::mem::discriminant(known) == std::mem::discriminant(value),
            };
            let Some(known) = original.get_mut(&key).filter(|known| same_kind(known)) else {
                if !deletes {
                    discard_nulls(&mut value);
                    match without_directives(value) {
                        Some(value) => original.insert(key, value),
                        None => original.remove(&key),
                    };
                }
                continue;
            };
            *known = match (std::mem::take(known), value) {
                (Value::Object(known), Value::Object(patch)) => {
                    let found = self.field(id, &key)?;
                    Value::Object(self.maps(found.id, known, patch)?)
                }
                (Value::Array(known), Value::Array(patch)) => {
                    let found = self.field(id, &key)?;
                    Value::Array(self.slices(&found, known, patch, deletes)?)
                }
                (_, value) => value,
            };
        }
        Ok(original)
    }

    /// Lists with `$setElementOrder`: merged and put into that order.
    fn ordered_lists(
        &self,
        id: Option<TypeId>,
        original: &mut Object,
        patch: &mut Object,
    ) -> Result<()> {
        let keys: Vec<String> = patch
            .keys()
            .filter(|key| key.starts_with(ORDER))
            .cloned()
            .collect();
        for directive in keys {
            let Some(order) = patch.remove(&directive) else {
                continue;
            };
            let Value::Array(order) = order else {
                return other(format!(
                    "expected a []interface {{}}, but received a {}",
                    go_kind(&order)
                ));
            };
            let key = &directive[ORDER.len()..];
            let list = |value: Option<Value>| match value {
                None => Ok(None),
                Some(Value::Array(items)) => Ok(Some(items)),
                Some(value) => other(format!(
                    "expected a []interface {{}}, but received a {}",
                    go_kind(&value)
                )),
            };
            let known = list(original.get(key).cloned())?;
            let given = list(patch.remove(key))?;
            let found = self.field(id, key)?;
            let merge_key = found
                .strategy
                .and_then(|strategy| strategy.merge_key.as_deref())
                .unwrap_or_default();
            check_order(given.as_deref().unwrap_or_default(), &order, merge_key)?;
            let merged = match (known.clone(), given) {
                (Some(known), None) => known,
                (None, Some(given)) => given.into_iter().filter_map(without_directives).collect(),
                (Some(known), Some(given)) => self.slices(&found, known, given, false)?,
                (None, None) => continue,
            };
            let sorted = arrange(merged, &order, &known.unwrap_or_default(), merge_key)?;
            original.insert(key.to_owned(), Value::Array(sorted));
        }
        Ok(())
    }

    fn slices(
        &self,
        found: &Lookup<'_>,
        original: Vec<Value>,
        patch: Vec<Value>,
        deletes: bool,
    ) -> Result<Vec<Value>> {
        if !found.strategy.is_some_and(|strategy| strategy.merge) {
            return Ok(patch);
        }
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        let all = || original.iter().chain(&patch);
        if all().any(Value::is_array) {
            return if original.iter().any(Value::is_array) || original.is_empty() {
                Err(StrategicError::ListOfLists)
            } else {
                mixed(&original, &patch)
            };
        }
        let kinds: Vec<&str> = all().map(gofmt::type_name).collect();
        if kinds.windows(2).any(|pair| pair[0] != pair[1]) {
            return mixed(&original, &patch);
        }
        let key = found
            .strategy
            .and_then(|strategy| strategy.merge_key.as_deref())
            .unwrap_or_default();
        if !all().next().is_some_and(Value::is_object) {
            if deletes {
                return Ok(original
                    .into_iter()
                    .filter(|item| !patch.contains(item))
                    .collect());
            }
            let mut merged: Vec<Value> = Vec::new();
            for item in original.iter().chain(&patch) {
                if !merged.contains(item) {
                    merged.push(item.clone());
                }
            }
            return arrange(merged, &patch, &original, "");
        }
        if key.is_empty() {
            return other(format!(
                "cannot merge lists without merge key for {}",
                found.name
            ));
        }
        self.object_slices(self.element(found.id), original, patch, key)
    }

    fn object_slices(
        &self,
        element: Option<TypeId>,
        mut original: Vec<Value>,
        patch: Vec<Value>,
        key: &str,
    ) -> Result<Vec<Value>> {
        let (mut plain, mut replace) = (Vec::new(), false);
        for item in patch {
            let Value::Object(map) = &item else { continue };
            let Some(directive) = map.get(DIRECTIVE) else {
                plain.push(item);
                continue;
            };
            match directive.as_str() {
                Some("delete") => match map.get(key) {
                    Some(name) => original.retain(|known| known.get(key) != Some(name)),
                    None => return no_merge_key(&item, key),
                },
                Some("replace") => replace = true,
                Some("merge") => {
                    return other("merging lists cannot yet be specified in the patch".into());
                }
                _ => return bad_directive(directive, map),
            }
        }
        if replace {
            return Ok(plain);
        }
        let mut merged = original.clone();
        for item in &plain {
            let Value::Object(map) = item else { continue };
            let Some(name) = map.get(key) else {
                return no_merge_key(item, key);
            };
            if let Some(missing) = merged.iter().find(|known| known.get(key).is_none()) {
                return no_merge_key(missing, key);
            }
            match merged.iter_mut().find(|known| known.get(key) == Some(name)) {
                Some(known) => {
                    let before = known.as_object().cloned().unwrap_or_default();
                    *known = Value::Object(self.maps(element, before, map.clone())?);
                }
                None => merged.push(without_directives(item.clone()).unwrap_or_default()),
            }
        }
        arrange(merged, &plain, &original, key)
    }
}

fn mixed<T>(original: &[Value], patch: &[Value]) -> Result<T> {
    let lists = [original, patch].map(|list| gofmt::plain(&Value::Array(list.to_vec())));
    other(format!(
        "list element types are not identical: [{}]",
        lists.join(" ")
    ))
}

/// What an item is known by: the value of its merge key, or itself.
fn identity<'a>(item: &'a Value, key: &str) -> &'a Value {
    if key.is_empty() {
        item
    } else {
        item.get(key).unwrap_or(&Value::Null)
    }
}

fn index(list: &[Value], item: &Value, key: &str) -> Option<usize> {
    list.iter()
        .position(|known| identity(known, key) == identity(item, key))
}

/// Puts a merged list into order: items of the patch in its order, others among them as they lay before.
fn arrange(merged: Vec<Value>, order: &[Value], before: &[Value], key: &str) -> Result<Vec<Value>> {
    if let Some(item) = merged
        .iter()
        .find(|item| !key.is_empty() && item.get(key).is_none())
    {
        return no_merge_key(item, key);
    }
    let (mut ours, mut theirs): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| index(order, item, key).is_some());
    ours.sort_by_key(|item| index(order, item, key));
    theirs.sort_by_key(|item| index(before, item, key));
    let mut result = Vec::with_capacity(ours.len() + theirs.len());
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    while let (Some(our), Some(their)) = (ours.peek(), theirs.peek()) {
        let position = |item| index(before, item, key);
        let their_first = matches!((position(their), position(our)), (Some(a), Some(b)) if a < b);
        result.extend(if their_first {
            theirs.next()
        } else {
            ours.next()
        });
    }
    result.extend(ours);
    result.extend(theirs);
    Ok(result)
}

/// The items of a patch have to come in the order that goes with it.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<()> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut items = patch
        .iter()
        .filter(|item| item.get(DIRECTIVE).is_none())
        .peekable();
    for known in order {
        items.next_if(|item| identity(item, key) == identity(known, key));
    }
    if items.peek().is_some() {
        let print = |list: &[Value]| gofmt::plain(&Value::Array(list.to_vec()));
        return other(format!(
            "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
            print(patch),
            print(order)
        ));
    }
    Ok(())
}
