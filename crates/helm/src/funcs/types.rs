//! Sprig's questions about values: types, emptiness, defaults.

use sluice_gotemplate::Value;

use super::convert::{ANY, BOOL, STRING, deep_equal, is_empty, string, text};
use super::{Entry, fixed, open};

pub(crate) const TABLE: &[Entry] = &[
    fixed("typeOf", &[ANY], STRING, |_, a| string(a[0].type_name())),
    fixed("typeIs", &[STRING, ANY], BOOL, |_, a| {
        Ok(Value::Bool(text(&a[0]) == a[1].type_name().as_bytes()))
    }),
    fixed("typeIsLike", &[STRING, ANY], BOOL, |_, a| {
        let of = a[1].type_name();
        let target = text(&a[0]);
        Ok(Value::Bool(
            target == of.as_bytes() || of.strip_prefix('*').map(str::as_bytes) == Some(target),
        ))
    }),
    fixed("kindOf", &[ANY], STRING, |_, a| {
        string(a[0].kind().to_string())
    }),
    fixed("kindIs", &[STRING, ANY], BOOL, |_, a| {
        Ok(Value::Bool(
            text(&a[0]) == a[1].kind().to_string().as_bytes(),
        ))
    }),
    fixed("deepEqual", &[ANY, ANY], BOOL, |_, a| {
        Ok(Value::Bool(deep_equal(&a[0], &a[1])))
    }),
    open("default", &[ANY], ANY, ANY, |_, a| {
        Ok(match a.get(1) {
            Some(given) if !is_empty(given) => given.clone(),
            _ => a[0].clone(),
        })
    }),
    fixed("empty", &[ANY], BOOL, |_, a| {
        Ok(Value::Bool(is_empty(&a[0])))
    }),
    open("coalesce", &[], ANY, ANY, |_, a| {
        Ok(a.iter().find(|v| !is_empty(v)).cloned().unwrap_or_default())
    }),
    open("all", &[], ANY, BOOL, |_, a| {
        Ok(Value::Bool(!a.iter().any(is_empty)))
    }),
    open("any", &[], ANY, BOOL, |_, a| {
        Ok(Value::Bool(a.iter().any(|v| !is_empty(v))))
    }),
    fixed("ternary", &[ANY, ANY, BOOL], ANY, |_, a| {
        Ok(match a[2] {
            Value::Bool(true) => a[0].clone(),
            _ => a[1].clone(),
        })
    }),
];
