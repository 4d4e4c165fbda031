//! Helm's own functions: templates inside templates, requirements, lookups.

use std::sync::Arc;

use sluice_gotemplate::strconv::quote;
use sluice_gotemplate::{ANY_MAP, CallError, Run, Str, TemplateSet, Value};

use super::convert::{ANY, STRING, string, text, utf8};
use super::{Answer, Entry, fail, fixed};
use crate::session::{Mode, Session};

/// How often one template may be active at a time.
const MAX_RECURSION: usize = 1000;

/// Marks around the texts of `fail` and `required`, by which the engine finds
/// them again in the error of the outermost template. They never leave it.
pub(crate) const WARN_START: &str = "HELM_ERR_START";
/// The closing mark.
pub(crate) const WARN_END: &str = "HELM_ERR_END";

/// What Go prints for nothing; Helm takes it out of its output.
pub(crate) const NO_VALUE: &[u8] = b"<no value>";

pub(crate) const TABLE: &[Entry] = &[
    fixed("include", &[STRING, ANY], STRING, include),
    fixed("tpl", &[STRING, ANY], STRING, tpl),
    fixed("required", &[STRING, ANY], ANY, |run, a| {
        let missing = match &a[1] {
            Value::Nil => true,
            Value::Str(s) => s.is_empty(),
            _ => false,
        };
        if !missing {
            return Ok(a[1].clone());
        }
        if run.host.mode == Mode::Lint {
            run.host
                .note("level=WARN msg=\"missing required value\"", &utf8(&a[0]));
            return string("");
        }
        fail(format!("{WARN_START}{}{WARN_END}", utf8(&a[0])))
    }),
    fixed("fail", &[STRING], STRING, |run, a| {
        if run.host.mode == Mode::Lint {
            run.host
                .note("level=INFO msg=\"funcMap fail\"", &utf8(&a[0]));
            return string("");
        }
        fail(format!("{WARN_START}{}{WARN_END}", utf8(&a[0])))
    }),
    fixed(
        "lookup",
        &[STRING, STRING, STRING, STRING],
        ANY_MAP,
        |run, a| {
            let found =
                run.host
                    .lookup
                    .lookup(&utf8(&a[0]), &utf8(&a[1]), &utf8(&a[2]), &utf8(&a[3]));
            match found {
                Ok(Some(object)) => Ok(live(&object)),
                Ok(None) => Ok(Value::Map(sluice_gotemplate::Map::new())),
                Err(error) => fail(error),
            }
        },
    ),
    fixed("getHostByName", &[STRING], STRING, |run, a| {
        match &run.host.resolver {
            None => string(""),
            Some(resolve) => match resolve(&utf8(&a[0])) {
                Ok(address) => string(address),
                Err(error) => fail(error),
            },
        }
    }),
];

/// A live object: whole numbers stay integers, unlike in values.
fn live(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(int) => Value::int64(int),
            None => Value::Float(n.as_f64().unwrap_or_default()),
        },
        serde_json::Value::Array(items) => Value::list(items.iter().map(live).collect()),
        serde_json::Value::Object(entries) => {
            Value::map(entries.iter().map(|(k, v)| (k.as_str(), live(v))))
        }
        other => Value::from_json(other),
    }
}

fn include(run: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let name = match &a[0] {
        Value::Str(name) => name.clone(),
        _ => Str::empty(),
    };
    match run.host.includes.get_mut(&name) {
        Some(active) if *active > MAX_RECURSION => {
            return fail(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            ));
        }
        Some(active) => *active += 1,
        None => {
            run.host.includes.insert(name.clone(), 1);
        }
    }
    let mut out = Vec::new();
    let result = run.execute(&name, &a[1], &mut out);
    if let Some(active) = run.host.includes.get_mut(&name) {
        *active -= 1;
    }
    result?;
    string(out)
}

fn tpl(run: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let source = match &a[0] {
        Value::Str(source) => source.clone(),
        _ => Str::empty(),
    };
    let set = text_set(run, &source)?;
    let name = set.name().clone();
    let mut out = Vec::with_capacity(source.len());
    run.with_set(set, |run| run.execute(&name, &a[1], &mut out))
        .map_err(|error| {
            error.within(format!(
                "error during tpl function execution for {}",
                quote(text(&a[0]))
            ))
        })?;
    string(without_no_value(out))
}

/// Parses a `tpl` text on top of the running set.
fn text_set(run: &mut Run<'_, Session>, source: &Str) -> Result<Arc<TemplateSet>, CallError> {
    let outermost = run.set().is_root();
    if outermost && let Some(set) = run.host.known_text(source) {
        return Ok(set);
    }
    run.charge(source.len())?;
    let mut set = TemplateSet::child(run.set());
    let name = set.name().clone();
    set.parse(name, source.clone(), run.functions())
        .map_err(|error| {
            CallError::new(error.to_string())
                .within(format!("cannot parse template {}", quote(source)))
        })?;
    let set = Arc::new(set);
    if outermost {
        run.host.keep_text(source.clone(), Arc::clone(&set));
    }
    Ok(set)
}

/// Takes every `<no value>` out of a rendered text.
pub(crate) fn without_no_value(bytes: Vec<u8>) -> Vec<u8> {
    let Some(first) = super::strings::find(&bytes, NO_VALUE) else {
        return bytes;
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first + NO_VALUE.len()..];
    while let Some(at) = super::strings::find(rest, NO_VALUE) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + NO_VALUE.len()..];
    }
    out.extend_from_slice(rest);
    out
}
