//! Sprig's lists. Every function returns a new list.

use sluice_gotemplate::{ANY_SLICE, BYTES, CallError, List, Run, Str, Type, Value};

use super::convert::{
    ANY, BOOL, INT, deep_equal, elements, elements_or, int, is_empty, is_slice, to_int64,
};
use super::{Answer, Body, Entry, fail, fixed, open};
use crate::session::Session;

const LISTS: Type = Type::Slice(&ANY_SLICE);

const CHUNK: Body = |run, a| chunk(run, int(&a[0]), &a[1]);
const SLICE: Body = |_, a| slice(&a[0], &a[1..]);
const HAS: Body = |_, a| {
    if a[1].is_nil() {
        return Ok(Value::Bool(false));
    }
    let items = elements_or(&a[1], "Cannot find has on")?;
    Ok(Value::Bool(
        items.iter().any(|item| deep_equal(&a[0], item)),
    ))
};
const WITHOUT: Body = |_, a| {
    let mut items = elements_or(&a[0], "Cannot find without on")?;
    items.retain(|item| !a[1..].iter().any(|omit| deep_equal(omit, item)));
    Ok(Value::list(items))
};
const PUSH: Body = |_, a| {
    let mut items = elements_or(&a[0], "Cannot push on")?;
    items.push(a[1].clone());
    Ok(Value::list(items))
};
const PREPEND: Body = |_, a| {
    let mut items = elements_or(&a[0], "Cannot prepend on")?;
    items.insert(0, a[1].clone());
    Ok(Value::list(items))
};
const FIRST: Body = |_, a| {
    let items = elements_or(&a[0], "Cannot find first on")?;
    Ok(items.into_iter().next().unwrap_or_default())
};
const LAST: Body = |_, a| {
    let items = elements_or(&a[0], "Cannot find last on")?;
    Ok(items.into_iter().next_back().unwrap_or_default())
};
const REST: Body = |_, a| {
    let items = elements_or(&a[0], "Cannot find rest on")?;
    Ok(nil_if_empty(&items, items.get(1..)))
};
const INITIAL: Body = |_, a| {
    let items = elements_or(&a[0], "Cannot find initial on")?;
    Ok(nil_if_empty(
        &items,
        items.get(..items.len().saturating_sub(1)),
    ))
};
const REVERSE: Body = |_, a| {
    let mut items = elements_or(&a[0], "Cannot find reverse on")?;
    items.reverse();
    Ok(Value::list(items))
};
const COMPACT: Body = |_, a| {
    let mut items = elements_or(&a[0], "Cannot compact on")?;
    items.retain(|item| !is_empty(item));
    Ok(Value::list(items))
};

pub(crate) const TABLE: &[Entry] = &[
    open("list", &[], ANY, ANY_SLICE, |_, a| {
        Ok(Value::list(a.to_vec()))
    }),
    open("tuple", &[], ANY, ANY_SLICE, |_, a| {
        Ok(Value::list(a.to_vec()))
    }),
    fixed("append", &[ANY, ANY], ANY_SLICE, PUSH),
    fixed("push", &[ANY, ANY], ANY_SLICE, PUSH),
    fixed("mustAppend", &[ANY, ANY], ANY_SLICE, PUSH),
    fixed("mustPush", &[ANY, ANY], ANY_SLICE, PUSH),
    fixed("prepend", &[ANY, ANY], ANY_SLICE, PREPEND),
    fixed("mustPrepend", &[ANY, ANY], ANY_SLICE, PREPEND),
    fixed("first", &[ANY], ANY, FIRST),
    fixed("mustFirst", &[ANY], ANY, FIRST),
    fixed("last", &[ANY], ANY, LAST),
    fixed("mustLast", &[ANY], ANY, LAST),
    fixed("rest", &[ANY], ANY_SLICE, REST),
    fixed("mustRest", &[ANY], ANY_SLICE, REST),
    fixed("initial", &[ANY], ANY_SLICE, INITIAL),
    fixed("mustInitial", &[ANY], ANY_SLICE, INITIAL),
    fixed("reverse", &[ANY], ANY_SLICE, REVERSE),
    fixed("mustReverse", &[ANY], ANY_SLICE, REVERSE),
    fixed("uniq", &[ANY], ANY_SLICE, uniq),
    fixed("mustUniq", &[ANY], ANY_SLICE, uniq),
    open("without", &[ANY], ANY, ANY_SLICE, WITHOUT),
    open("mustWithout", &[ANY], ANY, ANY_SLICE, WITHOUT),
    fixed("has", &[ANY, ANY], BOOL, HAS),
    fixed("mustHas", &[ANY, ANY], BOOL, HAS),
    open("slice", &[ANY], ANY, ANY, SLICE),
    open("mustSlice", &[ANY], ANY, ANY, SLICE),
    open("concat", &[], ANY, ANY, |_, a| {
        let mut all = Vec::new();
        for list in a {
            match elements(list) {
                Some(mut items) => all.append(&mut items),
                None if list.is_nil() => return fail(super::convert::NIL_POINTER),
                None => {
                    return fail(format!("Cannot concat type {} as list", list.kind()));
                }
            }
        }
        if all.is_empty() {
            return Ok(Value::List(List::nil(ANY_SLICE)));
        }
        Ok(Value::list(all))
    }),
    fixed("chunk", &[INT, ANY], LISTS, CHUNK),
    fixed("mustChunk", &[INT, ANY], LISTS, CHUNK),
    fixed("compact", &[ANY], ANY_SLICE, COMPACT),
    fixed("mustCompact", &[ANY], ANY_SLICE, COMPACT),
];

/// The part of a list; nil for an empty list, as in the original.
fn nil_if_empty(items: &[Value], part: Option<&[Value]>) -> Value {
    match part {
        Some(part) if !items.is_empty() => Value::list(part.to_vec()),
        _ => Value::List(List::nil(ANY_SLICE)),
    }
}

/// Keeps the first of equal elements. Strings, the common case, go through a
/// set; the rest is compared one by one as the original does.
fn uniq(run: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let items = elements_or(&a[0], "Cannot find uniq on")?;
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<Value> = Vec::new();
    let mut others: Vec<Value> = Vec::new();
    for item in items {
        let fresh = match &item {
            Value::Str(s) => seen.insert(s.clone()),
            other => {
                run.charge(others.len())?;
                !others.iter().any(|known| deep_equal(known, other))
            }
        };
        if fresh {
            if !matches!(item, Value::Str(_)) {
                others.push(item.clone());
            }
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn slice(list: &Value, indices: &[Value]) -> Answer {
    if list.is_nil() {
        return fail(super::convert::NIL_POINTER);
    }
    if !is_slice(list) {
        return fail(format!(
            "list should be type of slice or array but {}",
            list.kind()
        ));
    }
    let length = list.length().unwrap_or(0);
    if length == 0 {
        return Ok(Value::Nil);
    }
    let start = indices.first().map_or(0, to_int64);
    let end = indices.get(1).map_or(length as i64, to_int64);
    let bounds = (usize::try_from(start), usize::try_from(end));
    match (list, bounds) {
        (Value::List(l), (Ok(start), Ok(end))) if start <= end && end <= length => Ok(Value::List(
            List::typed(l.slice_type(), l.items()[start..end].to_vec()),
        )),
        (Value::Bytes(b), (Ok(start), Ok(end))) if start <= end && end <= length => {
            debug_assert!(BYTES == Type::Slice(&Type::Uint8));
            Ok(Value::Bytes(Str::from(&b[start..end])))
        }
        _ => fail("reflect.Value.Slice: slice index out of bounds"),
    }
}

fn chunk(run: &mut Run<'_, Session>, size: i64, list: &Value) -> Result<Value, CallError> {
    let items = match elements(list) {
        Some(items) => items,
        None if list.is_nil() => return fail(super::convert::NIL_POINTER),
        None => return fail(format!("Cannot chunk type {}", list.kind())),
    };
    let size = match usize::try_from(size) {
        Ok(size) if size > 0 => size,
        // A negative size asks for this many chunks, few of which can be had.
        _ => match ((items.len() as f64 - 1.0) / size as f64).floor() + 1.0 {
            0.0 => return Ok(Value::List(List::typed(LISTS, Vec::new()))),
            1.0 if items.len() == 1 && size < -1 => 1,
            _ => return fail("runtime error: makeslice: len out of range"),
        },
    };
    run.charge(std::mem::size_of_val(items.as_slice()))?;
    let chunks = items
        .chunks(size)
        .map(|part| Value::list(part.to_vec()))
        .collect();
    Ok(Value::List(List::typed(LISTS, chunks)))
}
