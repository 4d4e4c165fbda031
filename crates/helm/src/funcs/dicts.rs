//! Sprig's dictionaries: shared maps that `set`, `unset` and `merge` change in
//! place.

use sluice_gotemplate::{
    ANY_MAP, ANY_SLICE, CallError, Entries, List, Map, Run, STRING_SLICE, Str, Value,
};

use super::convert::{ANY, BOOL, STRING, is_empty, map, new_map, not_a_map, strings, strval, text};
use super::{Answer, Entry, fail, fixed, open};
use crate::session::Session;

/// How deep copies and merges go; only a map that holds itself gets there.
const MAX_DEPTH: usize = 1000;

pub(crate) const TABLE: &[Entry] = &[
    open("dict", &[], ANY, ANY_MAP, |run, a| {
        let mut entries = Entries::new();
        for pair in a.chunks(2) {
            let key = strval(&pair[0], run.bytes_left())?;
            let value = pair.get(1).cloned().unwrap_or_else(|| Value::from(""));
            entries.insert(key, value);
        }
        Ok(new_map(entries))
    }),
    fixed("get", &[ANY_MAP, STRING], ANY, |_, a| {
        Ok(map(&a[0])
            .get(text(&a[1]))
            .unwrap_or_else(|| Value::from("")))
    }),
    fixed("hasKey", &[ANY_MAP, STRING], BOOL, |_, a| {
        Ok(Value::Bool(map(&a[0]).entries().contains_key(text(&a[1]))))
    }),
    fixed("set", &[ANY_MAP, STRING, ANY], ANY_MAP, |run, a| {
        let target = writable(&a[0])?;
        put(run, &target, Str::from(text(&a[1])), a[2].clone());
        Ok(a[0].clone())
    }),
    fixed("unset", &[ANY_MAP, STRING], ANY_MAP, |_, a| {
        map(&a[0]).remove(text(&a[1]));
        Ok(a[0].clone())
    }),
    open("pluck", &[STRING], ANY_MAP, ANY_SLICE, |_, a| {
        let key = text(&a[0]);
        Ok(Value::list(
            a[1..].iter().filter_map(|d| map(d).get(key)).collect(),
        ))
    }),
    open("keys", &[], ANY_MAP, STRING_SLICE, |_, a| {
        Ok(strings(
            a.iter().flat_map(|d| map(d).snapshot()).map(|(key, _)| key),
        ))
    }),
    fixed("values", &[ANY_MAP], ANY_SLICE, |_, a| {
        Ok(Value::list(
            map(&a[0]).snapshot().into_iter().map(|(_, v)| v).collect(),
        ))
    }),
    open("pick", &[ANY_MAP], STRING, ANY_MAP, |_, a| {
        let source = map(&a[0]);
        let picked = a[1..].iter().filter_map(|key| {
            let key = Str::from(text(key));
            source.get(&key).map(|value| (key, value))
        });
        Ok(new_map(picked.collect()))
    }),
    open("omit", &[ANY_MAP], STRING, ANY_MAP, |_, a| {
        let mut entries: Entries = map(&a[0]).snapshot().into_iter().collect();
        for key in &a[1..] {
            entries.remove(text(key));
        }
        Ok(new_map(entries))
    }),
    open("dig", &[], ANY, ANY, dig),
    open("merge", &[ANY_MAP], ANY_MAP, ANY, |run, a| {
        merge_all(run, a, Winner::Destination)
    }),
    open("mustMerge", &[ANY_MAP], ANY_MAP, ANY, |run, a| {
        merge_all(run, a, Winner::Destination)
    }),
    open("mergeOverwrite", &[ANY_MAP], ANY_MAP, ANY, |run, a| {
        merge_all(run, a, Winner::Source)
    }),
    open("mustMergeOverwrite", &[ANY_MAP], ANY_MAP, ANY, |run, a| {
        merge_all(run, a, Winner::Source)
    }),
    fixed("deepCopy", &[ANY], ANY, |_, a| copy(&a[0])),
    fixed("mustDeepCopy", &[ANY], ANY, |_, a| copy(&a[0])),
];

fn writable(value: &Value) -> Result<Map, CallError> {
    let target = map(value);
    if target.is_nil() {
        return fail("assignment to entry in nil map");
    }
    Ok(target)
}

/// Puts a value into a map; one that can hold others may close a circle.
fn put(run: &mut Run<'_, Session>, target: &Map, key: Str, value: Value) {
    if matches!(value, Value::Map(_) | Value::List(_)) {
        run.note_changed(target);
    }
    target.insert(key, value);
}

fn dig(_: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let [keys @ .., default, last] = a else {
        return fail("dig needs at least three arguments");
    };
    if keys.is_empty() {
        return fail("dig needs at least three arguments");
    }
    let mut at = plain_map(last)?;
    for key in keys {
        if !matches!(key, Value::Str(_)) {
            let of = match key.type_of() {
                None => "nil".to_owned(),
                Some(of) => of.to_string(),
            };
            return fail(format!(
                "interface conversion: interface {{}} is {of}, not string"
            ));
        }
    }
    let Some((end, path)) = keys.split_last() else {
        return Ok(default.clone());
    };
    for key in path {
        match at.get(text(key)) {
            None => return Ok(default.clone()),
            Some(step) => at = plain_map(&step)?,
        }
    }
    Ok(at.get(text(end)).unwrap_or_else(|| default.clone()))
}

/// Go's type assertion, which does not take a named map type for a plain one.
fn plain_map(value: &Value) -> Result<Map, CallError> {
    match value {
        Value::Map(map) if map.map_type() == ANY_MAP => Ok(map.clone()),
        other => Err(not_a_map(other)),
    }
}

/// Whose value stays where both maps have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winner {
    Destination,
    Source,
}

fn merge_all(run: &mut Run<'_, Session>, a: &[Value], winner: Winner) -> Answer {
    let mut target = map(&a[0]);
    if target.is_nil() {
        target = Map::new();
    }
    for source in &a[1..] {
        let source = map(source);
        if !source.is_nil() && !source.same(&target) {
            merge(run, &target, &source, winner, 0)?;
        }
    }
    Ok(Value::Map(target))
}

fn merge(
    run: &mut Run<'_, Session>,
    target: &Map,
    source: &Map,
    winner: Winner,
    depth: usize,
) -> Result<(), CallError> {
    if depth > MAX_DEPTH {
        return fail("maps nest too deeply to be merged");
    }
    run.charge(source.len() * std::mem::size_of::<Value>())?;
    for (key, new) in source.snapshot() {
        let old = target.get(&key);
        if let (Some(Value::Map(old)), Value::Map(new)) = (&old, &new)
            && !old.same(new)
            && !old.is_nil()
            && !(old.is_empty() && winner == Winner::Destination)
        {
            merge(run, old, new, winner, depth + 1)?;
            continue;
        }
        let take = match winner {
            Winner::Destination => match &old {
                None => !new.is_nil(),
                Some(old) => is_empty(old) && !new.is_nil(),
            },
            Winner::Source => true,
        };
        if take {
            put(run, target, key, new);
        }
    }
    Ok(())
}

fn copy(value: &Value) -> Answer {
    if value.is_nil() {
        return fail("reflect: call of reflect.Value.Type on zero Value");
    }
    deep_copy(value, 0)
}

fn deep_copy(value: &Value, depth: usize) -> Answer {
    if depth > MAX_DEPTH {
        return fail("value nests too deeply to be copied");
    }
    Ok(match value {
        Value::Map(map) => {
            let mut entries = Entries::new();
            for (key, item) in map.snapshot() {
                entries.insert(key, deep_copy(&item, depth + 1)?);
            }
            Value::Map(Map::typed(map.map_type(), entries))
        }
        Value::List(list) => {
            let items: Result<Vec<Value>, CallError> = list
                .items()
                .iter()
                .map(|item| deep_copy(item, depth + 1))
                .collect();
            Value::List(List::typed(list.slice_type(), items?))
        }
        other => other.clone(),
    })
}
