//! Sprig's regular expressions. The plain forms panic or answer false on an
//! expression that does not compile, the `must` forms fail.

use sluice_gotemplate::regexp::{Regexp, quote_meta};
use sluice_gotemplate::{CallError, List, Run, STRING_SLICE, Str, Value};

use super::convert::{BOOL, INT, STRING, int, string, strings, text, utf8};
use super::{Answer, Body, Entry, fixed};
use crate::session::Session;

/// What happens with an expression that does not compile.
#[derive(Clone, Copy)]
enum Broken {
    Panics,
    Fails,
}

const REPLACE: &[sluice_gotemplate::Type] = &[STRING, STRING, STRING];
const FIND_ALL: &[sluice_gotemplate::Type] = &[STRING, STRING, INT];

pub(crate) const TABLE: &[Entry] = &[
    fixed("regexMatch", &[STRING, STRING], BOOL, |run, a| {
        let found =
            compile(run, &a[0], Broken::Fails).is_ok_and(|regexp| regexp.is_match(text(&a[1])));
        Ok(Value::Bool(found))
    }),
    fixed("mustRegexMatch", &[STRING, STRING], BOOL, |run, a| {
        let regexp = compile(run, &a[0], Broken::Fails)?;
        Ok(Value::Bool(regexp.is_match(text(&a[1]))))
    }),
    fixed("regexFind", &[STRING, STRING], STRING, |run, a| {
        find(run, a, Broken::Panics)
    }),
    fixed("mustRegexFind", &[STRING, STRING], STRING, |run, a| {
        find(run, a, Broken::Fails)
    }),
    fixed("regexFindAll", FIND_ALL, STRING_SLICE, |run, a| {
        find_all(run, a, Broken::Panics)
    }),
    fixed("mustRegexFindAll", FIND_ALL, STRING_SLICE, |run, a| {
        find_all(run, a, Broken::Fails)
    }),
    fixed("regexReplaceAll", REPLACE, STRING, |run, a| {
        replace(run, a, Broken::Panics)
    }),
    fixed("mustRegexReplaceAll", REPLACE, STRING, |run, a| {
        replace(run, a, Broken::Fails)
    }),
    fixed("regexReplaceAllLiteral", REPLACE, STRING, |run, a| {
        replace_literal(run, a, Broken::Panics)
    }),
    fixed("mustRegexReplaceAllLiteral", REPLACE, STRING, |run, a| {
        replace_literal(run, a, Broken::Fails)
    }),
    fixed("regexSplit", FIND_ALL, STRING_SLICE, |run, a| {
        split(run, a, Broken::Panics)
    }),
    fixed("mustRegexSplit", FIND_ALL, STRING_SLICE, |run, a| {
        split(run, a, Broken::Fails)
    }),
    fixed("regexQuoteMeta", &[STRING], STRING, QUOTE_META),
];

const QUOTE_META: Body = |_, a| Ok(Value::Str(quote_meta(text(&a[0]))));

fn compile(
    run: &mut Run<'_, Session>,
    expression: &Value,
    broken: Broken,
) -> Result<Regexp, CallError> {
    let expression = utf8(expression);
    run.host.regexp(&expression).map_err(|err| {
        CallError::new(match broken {
            Broken::Panics => err.panic_text(&expression),
            Broken::Fails => err.to_string(),
        })
    })
}

fn find(run: &mut Run<'_, Session>, a: &[Value], broken: Broken) -> Answer {
    let regexp = compile(run, &a[0], broken)?;
    string(regexp.find(text(&a[1])))
}

fn find_all(run: &mut Run<'_, Session>, a: &[Value], broken: Broken) -> Answer {
    let regexp = compile(run, &a[0], broken)?;
    let subject = text(&a[1]);
    let found = regexp.find_all(subject, int(&a[2]));
    run.charge(std::mem::size_of_val(found.as_slice()) * 2)?;
    if found.is_empty() {
        return Ok(Value::List(List::nil(STRING_SLICE)));
    }
    Ok(strings(
        found
            .into_iter()
            .map(|(start, end)| Str::from(&subject[start..end])),
    ))
}

fn replace(run: &mut Run<'_, Session>, a: &[Value], broken: Broken) -> Answer {
    let regexp = compile(run, &a[0], broken)?;
    let (subject, replacement) = (text(&a[1]), text(&a[2]));
    // Every match may bring in the replacement with the subject in it.
    charge_replacement(run, &regexp, subject, replacement)?;
    string(regexp.replace_all(subject, replacement))
}

fn replace_literal(run: &mut Run<'_, Session>, a: &[Value], broken: Broken) -> Answer {
    let regexp = compile(run, &a[0], broken)?;
    let (subject, replacement) = (text(&a[1]), text(&a[2]));
    charge_replacement(run, &regexp, subject, replacement)?;
    string(regexp.replace_all_literal(subject, replacement))
}

fn charge_replacement(
    run: &mut Run<'_, Session>,
    regexp: &Regexp,
    subject: &[u8],
    replacement: &[u8],
) -> Result<(), CallError> {
    if subject.len().saturating_mul(replacement.len()) < 1 << 20 {
        return Ok(());
    }
    let references = replacement.iter().filter(|b| **b == b'$').count();
    let size: usize = regexp
        .find_all(subject, -1)
        .iter()
        .map(|(start, end)| replacement.len() + references * (end - start))
        .sum();
    run.charge(size)
}

fn split(run: &mut Run<'_, Session>, a: &[Value], broken: Broken) -> Answer {
    let regexp = compile(run, &a[0], broken)?;
    let pieces = regexp.split(text(&a[1]), int(&a[2]));
    run.charge(std::mem::size_of_val(pieces.as_slice()) * 2)?;
    if pieces.is_empty() {
        return Ok(Value::List(List::nil(STRING_SLICE)));
    }
    Ok(strings(pieces.into_iter().map(Str::from)))
}
