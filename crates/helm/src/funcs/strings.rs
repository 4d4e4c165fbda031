//! Sprig's string functions.

use std::collections::BTreeMap;

use sluice_gotemplate::printing::sprintf;
use sluice_gotemplate::strconv::quote;
use sluice_gotemplate::text::{
    decode_rune, is_letter, is_lower, is_space, is_upper, map_runes, push_rune, runes, to_lower,
    to_title, to_upper,
};
use sluice_gotemplate::{Map, Run, STRING_MAP, STRING_SLICE, Str, Value};

use super::convert::{
    ANY, BOOL, INT, STRING, elements, int, is_slice, string, strings, strval, text,
};
use super::{Answer, Entry, fail, fixed, open};
use crate::session::Session;

pub(crate) const TABLE: &[Entry] = &[
    fixed("hello", &[], STRING, |_, _| string("Hello!")),
    fixed("trim", &[STRING], STRING, |_, a| {
        string(trim_space(text(&a[0])))
    }),
    fixed("trimAll", &[STRING, STRING], STRING, trim_all),
    fixed("trimall", &[STRING, STRING], STRING, trim_all),
    fixed("trimPrefix", &[STRING, STRING], STRING, |_, a| {
        let s = text(&a[1]);
        string(s.strip_prefix(text(&a[0])).unwrap_or(s))
    }),
    fixed("trimSuffix", &[STRING, STRING], STRING, |_, a| {
        let s = text(&a[1]);
        string(s.strip_suffix(text(&a[0])).unwrap_or(s))
    }),
    fixed("upper", &[STRING], STRING, |_, a| {
        string(change_case(&a[0], <[u8]>::to_ascii_uppercase, to_upper))
    }),
    fixed("lower", &[STRING], STRING, |_, a| {
        string(change_case(&a[0], <[u8]>::to_ascii_lowercase, to_lower))
    }),
    fixed("title", &[STRING], STRING, |_, a| {
        string(title(text(&a[0])))
    }),
    fixed("untitle", &[STRING], STRING, |_, a| {
        string(untitle(text(&a[0])))
    }),
    fixed("swapcase", &[STRING], STRING, |_, a| {
        string(swap_case(text(&a[0])))
    }),
    fixed("repeat", &[INT, STRING], STRING, repeat),
    fixed("substr", &[INT, INT, STRING], STRING, substr),
    fixed("trunc", &[INT, STRING], STRING, trunc),
    fixed("nospace", &[STRING], STRING, |_, a| {
        string(no_space(text(&a[0])))
    }),
    fixed("abbrev", &[INT, STRING], STRING, |_, a| {
        let s = text(&a[1]);
        let width = int(&a[0]);
        string(if width < 4 {
            s.to_vec()
        } else {
            abbreviate(s, 0, width)
        })
    }),
    fixed("abbrevboth", &[INT, INT, STRING], STRING, |_, a| {
        let (left, right, s) = (int(&a[0]), int(&a[1]), text(&a[2]));
        if right < 4 || (left > 0 && right < 7) {
            return string(s);
        }
        string(abbreviate(s, left, right))
    }),
    fixed("initials", &[STRING], STRING, |_, a| {
        string(initials(text(&a[0])))
    }),
    fixed("randAlphaNum", &[INT], STRING, |run, a| {
        random(
            run,
            int(&a[0]),
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        )
    }),
    fixed("randAlpha", &[INT], STRING, |run, a| {
        random(
            run,
            int(&a[0]),
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        )
    }),
    fixed("randNumeric", &[INT], STRING, |run, a| {
        random(run, int(&a[0]), b"0123456789")
    }),
    fixed("randAscii", &[INT], STRING, |run, a| {
        let printable: Vec<u8> = (32..=126).collect();
        random(run, int(&a[0]), &printable)
    }),
    fixed("wrap", &[INT, STRING], STRING, |run, a| {
        wrap(run, text(&a[1]), int(&a[0]), b"\n", LongWords::Keep)
    }),
    fixed("wrapWith", &[INT, STRING, STRING], STRING, |run, a| {
        let separator = match text(&a[1]) {
            b"" => b"\n",
            other => other,
        };
        wrap(run, text(&a[2]), int(&a[0]), separator, LongWords::Break)
    }),
    fixed("contains", &[STRING, STRING], BOOL, |_, a| {
        Ok(Value::Bool(find(text(&a[1]), text(&a[0])).is_some()))
    }),
    fixed("hasPrefix", &[STRING, STRING], BOOL, |_, a| {
        Ok(Value::Bool(text(&a[1]).starts_with(text(&a[0]))))
    }),
    fixed("hasSuffix", &[STRING, STRING], BOOL, |_, a| {
        Ok(Value::Bool(text(&a[1]).ends_with(text(&a[0]))))
    }),
    open("quote", &[], ANY, STRING, |run, a| {
        let mut out = Vec::new();
        for value in a.iter().filter(|v| !v.is_nil()) {
            if !out.is_empty() {
                out.push(b' ');
            }
            let plain = strval(value, run.bytes_left())?;
            out.extend_from_slice(quote(&plain).as_bytes());
        }
        string(out)
    }),
    open("squote", &[], ANY, STRING, |run, a| {
        let mut out = Vec::new();
        for value in a.iter().filter(|v| !v.is_nil()) {
            if !out.is_empty() {
                out.push(b' ');
            }
            out.push(b'\'');
            sluice_gotemplate::printing::write_value(&mut out, value, run.bytes_left())?;
            out.push(b'\'');
        }
        string(out)
    }),
    open("cat", &[], ANY, STRING, |run, a| {
        let values: Vec<Value> = a.iter().filter(|v| !v.is_nil()).cloned().collect();
        let format = vec!["%v"; values.len()].join(" ");
        string(sprintf(format.as_bytes(), &values, run.bytes_left())?)
    }),
    fixed("indent", &[INT, STRING], STRING, |run, a| {
        string(indent(run, int(&a[0]), text(&a[1]), b"")?)
    }),
    fixed("nindent", &[INT, STRING], STRING, |run, a| {
        string(indent(run, int(&a[0]), text(&a[1]), b"\n")?)
    }),
    fixed("replace", &[STRING, STRING, STRING], STRING, |run, a| {
        string(replace(run, text(&a[2]), text(&a[0]), text(&a[1]))?)
    }),
    fixed("plural", &[STRING, STRING, INT], STRING, |_, a| {
        Ok(a[usize::from(int(&a[2]) != 1)].clone())
    }),
    fixed("shuffle", &[STRING], STRING, |run, a| {
        let mut all: Vec<char> = runes(text(&a[0])).map(|(r, _)| r).collect();
        for last in (1..all.len()).rev() {
            let other = run.host.random_below(last as u64 + 1) as usize;
            all.swap(last, other);
        }
        string(all.into_iter().collect::<String>())
    }),
    fixed("toString", &[ANY], STRING, |run, a| {
        string(strval(&a[0], run.bytes_left())?)
    }),
    fixed("toStrings", &[ANY], STRING_SLICE, |run, a| {
        Ok(strings(string_slice(run, &a[0])?))
    }),
    fixed("join", &[STRING, ANY], STRING, |run, a| {
        let items = string_slice(run, &a[1])?;
        let separator = text(&a[0]);
        let total: usize = items.iter().map(|i| i.len() + separator.len()).sum();
        run.charge(total)?;
        let parts: Vec<&[u8]> = items.iter().map(|i| &**i).collect();
        string(parts.join(separator))
    }),
    fixed("split", &[STRING, STRING], STRING_MAP, |_, a| {
        Ok(numbered(split(text(&a[1]), text(&a[0]), -1)))
    }),
    fixed("splitn", &[STRING, INT, STRING], STRING_MAP, |_, a| {
        Ok(numbered(split(text(&a[2]), text(&a[0]), int(&a[1]))))
    }),
    fixed("splitList", &[STRING, STRING], STRING_SLICE, |_, a| {
        Ok(strings(
            split(text(&a[1]), text(&a[0]), -1)
                .into_iter()
                .map(Str::from),
        ))
    }),
    fixed("sortAlpha", &[ANY], STRING_SLICE, |run, a| {
        let mut items = if is_slice(&a[0]) {
            string_slice(run, &a[0])?
        } else {
            vec![strval(&a[0], run.bytes_left())?]
        };
        items.sort();
        Ok(strings(items))
    }),
];

fn trim_all(_: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let set: Vec<char> = runes(text(&a[0])).map(|(r, _)| r).collect();
    string(trim_runes(text(&a[1]), |rune| set.contains(&rune)))
}

fn trim_space(bytes: &[u8]) -> &[u8] {
    trim_runes(bytes, is_space)
}

/// Drops runes that satisfy `drop` from both ends.
fn trim_runes(bytes: &[u8], drop: impl Fn(char) -> bool) -> &[u8] {
    let (mut at, mut start, mut end) = (0, None, 0);
    for (rune, raw) in runes(bytes) {
        let from = at;
        at += raw.len();
        if !drop(rune) {
            start.get_or_insert(from);
            end = at;
        }
    }
    &bytes[start.unwrap_or(0)..end]
}

fn change_case(
    value: &Value,
    of_ascii: fn(&[u8]) -> Vec<u8>,
    of_rune: fn(char) -> char,
) -> Vec<u8> {
    let bytes = text(value);
    match bytes.is_ascii() {
        true => of_ascii(bytes),
        false => map_runes(bytes, of_rune),
    }
}

/// Go's deprecated `strings.Title`.
fn title(bytes: &[u8]) -> Vec<u8> {
    let mut previous = ' ';
    map_runes(bytes, |rune| {
        let starts = is_title_separator(previous);
        previous = rune;
        if starts { to_title(rune) } else { rune }
    })
}

fn is_title_separator(rune: char) -> bool {
    if rune.is_ascii() {
        return !(rune.is_ascii_alphanumeric() || rune == '_');
    }
    if is_letter(rune) || sluice_gotemplate::text::is_digit(rune) {
        return false;
    }
    is_space(rune)
}

fn untitle(bytes: &[u8]) -> Vec<u8> {
    let mut starts = true;
    map_runes(bytes, |rune| {
        if is_space(rune) {
            starts = true;
            rune
        } else if std::mem::take(&mut starts) {
            to_lower(rune)
        } else {
            rune
        }
    })
}

fn swap_case(bytes: &[u8]) -> Vec<u8> {
    let mut after_space = true;
    map_runes(bytes, |rune| {
        if is_upper(rune) || matches!(rune, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}') {
            after_space = false;
            to_lower(rune)
        } else if is_lower(rune) {
            if std::mem::take(&mut after_space) {
                to_title(rune)
            } else {
                to_upper(rune)
            }
        } else {
            after_space = is_space(rune);
            rune
        }
    })
}

fn repeat(run: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let s = text(&a[1]);
    let Ok(count) = usize::try_from(int(&a[0])) else {
        return fail("strings: negative Repeat count");
    };
    run.charge(s.len().saturating_mul(count))?;
    string(s.repeat(count))
}

fn substr(_: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let (start, end, s) = (int(&a[0]), int(&a[1]), text(&a[2]));
    let length = s.len() as i64;
    if start < 0 {
        if end < 0 {
            return fail(format!("runtime error: slice bounds out of range [:{end}]"));
        }
        if end > length {
            return fail(format!(
                "runtime error: slice bounds out of range [:{end}] with length {length}"
            ));
        }
        return string(&s[..end as usize]);
    }
    let end = if end < 0 || end > length { length } else { end };
    if start > end {
        return fail(format!(
            "runtime error: slice bounds out of range [{start}:{end}]"
        ));
    }
    string(&s[start as usize..end as usize])
}

fn trunc(_: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let (count, s) = (int(&a[0]), text(&a[1]));
    let length = s.len() as i64;
    if count < 0 && length + count > 0 {
        return string(&s[(length + count) as usize..]);
    }
    if count >= 0 && length > count {
        return string(&s[..count as usize]);
    }
    Ok(a[1].clone())
}

/// The original looks at bytes as if they were runes, and returns what it was
/// given when it finds none to drop; so do we.
fn no_space(bytes: &[u8]) -> Vec<u8> {
    if !bytes.iter().any(|b| is_space(char::from(*b))) {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(bytes.len());
    for b in bytes {
        let rune = char::from(*b);
        if !is_space(rune) {
            push_rune(&mut out, rune);
        }
    }
    out
}

fn abbreviate(s: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let length = s.len() as i64;
    if s.is_empty() || width < 4 {
        return Vec::new();
    }
    if length <= width {
        return s.to_vec();
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    let kept = (width - 3) as usize;
    if offset <= 4 {
        return [&s[..kept], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < length {
        let inner = abbreviate(&s[offset as usize..], 0, width - 3);
        return [b"...", &*inner].concat();
    }
    [b"...", &s[s.len() - kept..]].concat()
}

/// The original looks at bytes as if they were runes here as well.
fn initials(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut starts = true;
    for b in bytes {
        let rune = char::from(*b);
        if is_space(rune) {
            starts = true;
        } else if std::mem::take(&mut starts) {
            push_rune(&mut out, rune);
        }
    }
    out
}

fn random(run: &mut Run<'_, Session>, count: i64, alphabet: &[u8]) -> Answer {
    let Ok(count) = usize::try_from(count) else {
        return string("");
    };
    run.charge(count)?;
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let at = run.host.random_below(alphabet.len() as u64) as usize;
        out.push(alphabet[at]);
    }
    string(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LongWords {
    Keep,
    Break,
}

fn wrap(
    run: &mut Run<'_, Session>,
    s: &[u8],
    width: i64,
    separator: &[u8],
    long_words: LongWords,
) -> Answer {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    run.charge(
        s.len()
            .saturating_add((s.len() / width).saturating_mul(separator.len())),
    )?;
    let mut out = Vec::with_capacity(s.len());
    let mut offset = 0;
    while s.len() - offset > width {
        if s[offset] == b' ' {
            offset += 1;
            continue;
        }
        let line = &s[offset..offset + width + 1];
        if let Some(space) = line.iter().rposition(|b| *b == b' ') {
            out.extend_from_slice(&line[..space]);
            out.extend_from_slice(separator);
            offset += space + 1;
        } else if long_words == LongWords::Break {
            out.extend_from_slice(&s[offset..offset + width]);
            out.extend_from_slice(separator);
            offset += width;
        } else {
            match s[offset + width..].iter().position(|b| *b == b' ') {
                None => {
                    out.extend_from_slice(&s[offset..]);
                    offset = s.len();
                }
                Some(space) => {
                    out.extend_from_slice(&s[offset..offset + width + space]);
                    out.extend_from_slice(separator);
                    offset += width + space + 1;
                }
            }
        }
    }
    out.extend_from_slice(&s[offset..]);
    string(out)
}

fn indent(
    run: &mut Run<'_, Session>,
    spaces: i64,
    s: &[u8],
    before: &[u8],
) -> Result<Vec<u8>, sluice_gotemplate::CallError> {
    let Ok(spaces) = usize::try_from(spaces) else {
        return fail("strings: negative Repeat count");
    };
    let lines = s.iter().filter(|b| **b == b'\n').count() + 1;
    let size = s.len() + before.len() + spaces.saturating_mul(lines);
    run.charge(size)?;
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(before);
    for (i, line) in s.split(|b| *b == b'\n').enumerate() {
        if i > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + spaces, b' ');
        out.extend_from_slice(line);
    }
    Ok(out)
}

/// Go's `strings.ReplaceAll`; an empty `old` matches before every rune and at
/// the end.
fn replace(
    run: &mut Run<'_, Session>,
    s: &[u8],
    old: &[u8],
    new: &[u8],
) -> Result<Vec<u8>, sluice_gotemplate::CallError> {
    let mut out = Vec::with_capacity(s.len());
    if old.is_empty() {
        run.charge(
            s.len()
                .saturating_add((s.len() + 1).saturating_mul(new.len())),
        )?;
        for (_, raw) in runes(s) {
            out.extend_from_slice(new);
            out.extend_from_slice(raw);
        }
        out.extend_from_slice(new);
        return Ok(out);
    }
    let mut rest = s;
    while let Some(at) = find(rest, old) {
        run.charge(new.len())?;
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    Ok(out)
}

/// Finds `needle` in `haystack`; the empty needle is at the start.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let Some(first) = needle.first() else {
        return Some(0);
    };
    let mut from = 0;
    loop {
        let at = from + haystack.get(from..)?.iter().position(|b| b == first)?;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Go's `strings.SplitN`.
pub(crate) fn split<'s>(s: &'s [u8], separator: &[u8], n: i64) -> Vec<&'s [u8]> {
    if n == 0 {
        return Vec::new();
    }
    let limit = usize::try_from(n).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = s;
    if separator.is_empty() {
        while let Some((_, width)) = decode_rune(rest) {
            if parts.len() + 1 == limit {
                parts.push(rest);
                return parts;
            }
            let (one, tail) = rest.split_at(width);
            parts.push(one);
            rest = tail;
        }
        return parts;
    }
    while parts.len() + 1 < limit {
        let Some(at) = find(rest, separator) else {
            break;
        };
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    parts
}

fn numbered(parts: Vec<&[u8]>) -> Value {
    let entries: BTreeMap<Str, Value> = parts
        .into_iter()
        .enumerate()
        .map(|(i, part)| (Str::from(format!("_{i}")), Value::Str(Str::from(part))))
        .collect();
    Value::Map(Map::typed(STRING_MAP, entries))
}

/// Sprig's `strslice`: the texts of a list's elements, or of one value.
pub(crate) fn string_slice(
    run: &Run<'_, Session>,
    value: &Value,
) -> Result<Vec<Str>, sluice_gotemplate::CallError> {
    let limit = run.bytes_left();
    match elements(value) {
        Some(items) => items
            .iter()
            .filter(|item| !item.is_nil())
            .map(|item| strval(item, limit))
            .collect(),
        None if value.is_nil() => Ok(Vec::new()),
        None => Ok(vec![strval(value, limit)?]),
    }
}
