//! The grammar of `--set` and its kin.
//!
//! ```text
//! line := pair (',' pair)*      pair := path '=' value
//! path := name ('.' name | '[' index ']')*
//! value := '{' element (',' element)* '}' | text up to ','
//! ```
//!
//! A backslash takes the next character literally. What the original accepts
//! by accident is accepted here as well.

use serde_json::{Number, Value as Json};
use sluice_gotemplate::strconv::quote;

use super::{Table, merge_tables, read_json};

/// How deep names may nest.
const MAX_NESTED_NAMES: usize = 30;

/// The largest index of a list.
const MAX_INDEX: i64 = 65536;

/// Text that does not follow the grammar. The text of the error is Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SetError(String);

/// How the values of a line are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// `--set`: booleans, null and whole numbers are recognised.
    Typed,
    /// `--set-string`: everything is text.
    Text,
}

/// Applies a line of `--set` or `--set-string` to `target`.
///
/// # Errors
/// [`SetError`]; what stood before the mistake has been applied.
pub fn set_values(line: &str, kind: SetKind, target: &mut Table) -> Result<(), SetError> {
    let mut parser = Parser {
        rest: line,
        reader: &mut |text| Ok(typed(text, kind)),
    };
    parser.line(target)
}

/// Applies a line of `--set-file`: every value is the name of a file, whose
/// text `read` returns.
///
/// # Errors
/// [`SetError`], also for what `read` fails with.
pub fn set_values_from(
    line: &str,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
    target: &mut Table,
) -> Result<(), SetError> {
    let mut parser = Parser {
        rest: line,
        reader: &mut |text| read(&text).map(Json::String).map_err(SetError),
    };
    parser.line(target)
}

/// Applies an argument of `--set-json`: an object that is merged, or pairs
/// whose values are JSON.
///
/// # Errors
/// [`SetError`] with the text of the whole option, as Helm prints it.
pub fn set_json(argument: &str, target: &mut Table) -> Result<(), SetError> {
    let trimmed = argument.trim();
    if trimmed.starts_with('{') {
        let Ok(Json::Object(object)) = read_json(trimmed.as_bytes()) else {
            return Err(SetError(format!(
                "failed parsing --set-json data JSON: {argument}"
            )));
        };
        *target = merge_tables(std::mem::take(target), object);
        return Ok(());
    }
    let mut parser = JsonParser { rest: argument };
    parser
        .line(target)
        .map_err(|_| SetError(format!("failed parsing --set-json data {argument}")))
}

/// Applies an argument of `--set-literal`: everything behind the first `=` is
/// the value.
///
/// # Errors
/// [`SetError`].
pub fn set_literal(argument: &str, target: &mut Table) -> Result<(), SetError> {
    let mut parser = LiteralParser { rest: argument };
    match parser.key(target, 0) {
        Ok(()) | Err(Stop::End) => Ok(()),
        Err(Stop::Error(error)) => Err(error),
    }
}

/// Why a parser stopped.
enum Stop {
    /// The text is over.
    End,
    Error(SetError),
}

impl From<SetError> for Stop {
    fn from(error: SetError) -> Self {
        Stop::Error(error)
    }
}

fn error<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Error(SetError(text.into())))
}

fn typed(text: String, kind: SetKind) -> Json {
    if kind == SetKind::Text {
        return Json::String(text);
    }
    if text.eq_ignore_ascii_case("true") {
        return Json::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Json::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Json::Null;
    }
    if text == "0" {
        return Json::Number(Number::from(0));
    }
    if !text.starts_with('0') {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
        if !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
            && let Ok(n) = text.parse::<i64>()
        {
            return Json::Number(Number::from(n));
        }
    }
    Json::String(text)
}

/// Reads up to a rune of `stop`, escapes undone. The end of the text gives what
/// was read and no rune.
fn until(rest: &mut &str, stop: &[char]) -> (String, Option<char>) {
    let mut out = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        if stop.contains(&c) {
            *rest = chars.as_str();
            return (out, Some(c));
        }
        if c == '\\' {
            match chars.next() {
                Some(next) => out.push(next),
                None => break,
            }
        } else {
            out.push(c);
        }
    }
    *rest = "";
    (out, None)
}

/// As [`until`] without escapes.
fn until_literal(rest: &mut &str, stop: &[char]) -> (String, Option<char>) {
    match rest.char_indices().find(|(_, c)| stop.contains(c)) {
        Some((at, c)) => {
            let head = rest[..at].to_owned();
            *rest = &rest[at + c.len_utf8()..];
            (head, Some(c))
        }
        None => {
            let head = (*rest).to_owned();
            *rest = "";
            (head, None)
        }
    }
}

/// An empty name sets nothing.
fn put(target: &mut Table, key: &str, value: Json) {
    if !key.is_empty() {
        target.insert(key.to_owned(), value);
    }
}

fn go_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "nil",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}

fn conversion<T>(value: &Json, wanted: &str) -> Result<T, Stop> {
    error(format!(
        "unable to parse key: interface conversion: interface {{}} is {}, not {wanted}",
        go_type(value)
    ))
}

fn put_at(mut list: Vec<Json>, index: i64, value: Json) -> Result<Vec<Json>, Stop> {
    let Ok(at) = usize::try_from(index) else {
        return error(format!("negative {index} index not allowed"));
    };
    if index > MAX_INDEX {
        return error(format!(
            "index of {index} is greater than maximum supported index of {MAX_INDEX}"
        ));
    }
    if list.len() <= at {
        list.resize(at + 1, Json::Null);
    }
    list[at] = value;
    Ok(list)
}

fn read_index(text: &str) -> Result<i64, Stop> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let why = if plain {
        "value out of range"
    } else {
        "invalid syntax"
    };
    match text.parse() {
        Ok(n) if plain => Ok(n),
        _ => error(format!(
            "error parsing index: strconv.Atoi: parsing {}: {why}",
            quote(text.as_bytes())
        )),
    }
}

/// What the dialects have in common: nested names and lists. Each brings its
/// own way to read names and values.
trait Dialect {
    /// Reads a name up to one of the marks.
    fn name(&mut self, stop: &[char]) -> (String, Option<char>);
    /// Reads the value behind `=` of a name and stores it.
    fn assign(&mut self, target: &mut Table, key: &str) -> Result<(), Stop>;
    /// Reads the value behind `=` of an index.
    fn element(&mut self) -> Result<Json, Stop>;
    /// The marks that end a name.
    fn marks(&self) -> &'static [char];

    fn key(&mut self, target: &mut Table, nested: usize) -> Result<(), Stop> {
        let marks = self.marks();
        let (key, mark) = self.name(marks);
        match mark {
            None if key.is_empty() => Err(Stop::End),
            None => error(format!("key {} has no value", quote(key.as_bytes()))),
            Some('[') => {
                let index = self.index()?;
                let list = match target.get(&key) {
                    None => Vec::new(),
                    Some(Json::Array(items)) => items.clone(),
                    Some(other) => return conversion(other, "[]interface {}"),
                };
                let mut list = list;
                let outcome = self.item(&mut list, index, nested);
                put(target, &key, Json::Array(list));
                outcome
            }
            Some('=') => self.assign(target, &key),
            Some('.') => {
                if nested + 1 > MAX_NESTED_NAMES {
                    return error(format!(
                        "value name nested level is greater than maximum supported nested level \
                         of {MAX_NESTED_NAMES}"
                    ));
                }
                let mut inner = match target.get(&key) {
                    None => Table::new(),
                    Some(Json::Object(inner)) => inner.clone(),
                    Some(other) => return conversion(other, "map[string]interface {}"),
                };
                let outcome = self.key(&mut inner, nested + 1);
                if outcome.is_ok() && inner.is_empty() {
                    return error(format!("key map {} has no value", quote(key.as_bytes())));
                }
                if !inner.is_empty() {
                    put(target, &key, Json::Object(inner));
                }
                outcome
            }
            Some(_) => {
                put(target, &key, Json::String(String::new()));
                error(format!(
                    "key {} has no value (cannot end with ,)",
                    quote(key.as_bytes())
                ))
            }
        }
    }

    fn index(&mut self) -> Result<i64, Stop> {
        let (text, mark) = self.name(&[']']);
        if mark.is_none() {
            // Helm takes the end of the text for the end of the line.
            return Err(Stop::End);
        }
        read_index(&text)
    }

    /// Reads what follows `]` and stores it at `index`.
    fn item(&mut self, list: &mut Vec<Json>, index: i64, nested: usize) -> Result<(), Stop> {
        if index < 0 {
            return error(format!("negative {index} index not allowed"));
        }
        let (extra, mark) = self.name(&['[', '.', '=']);
        if !extra.is_empty() {
            return error(format!(
                "unexpected data at end of array index: {}",
                quote(extra.as_bytes())
            ));
        }
        let existing = usize::try_from(index)
            .ok()
            .and_then(|at| list.get(at))
            .cloned();
        let value = match mark {
            None => return Err(Stop::End),
            Some('=') => self.element()?,
            Some('[') => {
                let next = self.index()?;
                let mut inner = match existing {
                    None | Some(Json::Null) => Vec::new(),
                    Some(Json::Array(items)) => items,
                    Some(other) => return conversion(&other, "[]interface {}"),
                };
                self.item(&mut inner, next, nested)?;
                Json::Array(inner)
            }
            Some(_) => {
                let mut inner = match existing {
                    Some(Json::Object(inner)) => inner,
                    _ => Table::new(),
                };
                let outcome = self.key(&mut inner, nested);
                let reached = usize::try_from(index).is_ok_and(|at| at < list.len());
                if reached {
                    *list = put_at(std::mem::take(list), index, Json::Object(inner.clone()))?;
                }
                outcome?;
                Json::Object(inner)
            }
        };
        *list = put_at(std::mem::take(list), index, value)?;
        Ok(())
    }

    fn line(&mut self, target: &mut Table) -> Result<(), SetError> {
        loop {
            match self.key(target, 0) {
                Ok(()) => {}
                Err(Stop::End) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
    }
}

struct Parser<'p> {
    rest: &'p str,
    reader: &'p mut dyn FnMut(String) -> Result<Json, SetError>,
}

impl Parser<'_> {
    /// Reads `{a,b}`, if it is there.
    fn list(&mut self) -> Result<Option<Json>, Stop> {
        let Some(inner) = self.rest.strip_prefix('{') else {
            return Ok(None);
        };
        self.rest = inner;
        let mut items = Vec::new();
        loop {
            let (text, mark) = until(&mut self.rest, &[',', '}']);
            match mark {
                None => return error("list must terminate with '}'"),
                Some(mark) => {
                    items.push((self.reader)(text)?);
                    if mark == '}' {
                        self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                        return Ok(Some(Json::Array(items)));
                    }
                }
            }
        }
    }

    fn value(&mut self) -> Result<Json, Stop> {
        if let Some(list) = self.list()? {
            return Ok(list);
        }
        let (text, _) = until(&mut self.rest, &[',']);
        Ok((self.reader)(text)?)
    }
}

impl Dialect for Parser<'_> {
    fn name(&mut self, stop: &[char]) -> (String, Option<char>) {
        until(&mut self.rest, stop)
    }

    fn assign(&mut self, target: &mut Table, key: &str) -> Result<(), Stop> {
        if self.rest.is_empty() {
            put(target, key, Json::String(String::new()));
            return Err(Stop::End);
        }
        let value = self.value()?;
        put(target, key, value);
        Ok(())
    }

    fn element(&mut self) -> Result<Json, Stop> {
        if self.rest.is_empty() {
            return Ok(Json::String(String::new()));
        }
        self.value()
    }

    fn marks(&self) -> &'static [char] {
        &['=', '[', ',', '.']
    }
}

struct JsonParser<'p> {
    rest: &'p str,
}

impl JsonParser<'_> {
    /// Skips blanks; whether nothing stands before the next comma or the end.
    fn nothing(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return true;
        }
        if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            return true;
        }
        false
    }

    fn json(&mut self) -> Result<Json, Stop> {
        if self.nothing() {
            return Ok(Json::Null);
        }
        // The longest prefix that is one value: a stream reader stops behind it.
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Json>();
        match stream.next() {
            Some(Ok(value)) => {
                let offset = stream.byte_offset();
                self.rest = &self.rest[offset..];
                self.nothing();
                Ok(super::from_json(value))
            }
            _ => error("invalid JSON"),
        }
    }
}

impl Dialect for JsonParser<'_> {
    fn name(&mut self, stop: &[char]) -> (String, Option<char>) {
        until(&mut self.rest, stop)
    }

    fn assign(&mut self, target: &mut Table, key: &str) -> Result<(), Stop> {
        let value = self.json()?;
        put(target, key, value);
        Ok(())
    }

    fn element(&mut self) -> Result<Json, Stop> {
        self.json()
    }

    fn marks(&self) -> &'static [char] {
        &['=', '[', ',', '.']
    }
}

struct LiteralParser<'p> {
    rest: &'p str,
}

impl Dialect for LiteralParser<'_> {
    fn name(&mut self, stop: &[char]) -> (String, Option<char>) {
        until_literal(&mut self.rest, stop)
    }

    fn assign(&mut self, target: &mut Table, key: &str) -> Result<(), Stop> {
        let value = self.element()?;
        put(target, key, value);
        Ok(())
    }

    fn element(&mut self) -> Result<Json, Stop> {
        Ok(Json::String(std::mem::take(&mut self.rest).to_owned()))
    }

    fn marks(&self) -> &'static [char] {
        &['=', '[', '.']
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(line: &str) -> String {
        let mut target = Table::new();
        match set_values(line, SetKind::Typed, &mut target) {
            Ok(()) => Json::Object(target).to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lines_set_what_helm_sets() {
        for (line, want) in [
            ("a=1,b=x", r#"{"a":1,"b":"x"}"#),
            ("a.b.c=true", r#"{"a":{"b":{"c":true}}}"#),
            ("a[1]=x", r#"{"a":[null,"x"]}"#),
            ("a[0].b=1,a[0].c=2", r#"{"a":[{"b":1,"c":2}]}"#),
            ("a[0][1]=1", r#"{"a":[[null,1]]}"#),
            ("a={1,x,}", r#"{"a":[1,"x",""]}"#),
            ("a={}", r#"{"a":[""]}"#),
            ("a=", r#"{"a":""}"#),
            ("a=1,", r#"{"a":1}"#),
            ("a=b=c", r#"{"a":"b=c"}"#),
            (r"a\.b=1", r#"{"a.b":1}"#),
            (r"a=1\,2", r#"{"a":"1,2"}"#),
            ("a= 1", r#"{"a":" 1"}"#),
            ("a={ 1, 2 }", r#"{"a":[" 1"," 2 "]}"#),
            (
                "a=0,b=00,c=-5,d=1.5,e=1e3",
                r#"{"a":0,"b":"00","c":-5,"d":"1.5","e":"1e3"}"#,
            ),
            ("a=TRUE,b=Null,c=yes", r#"{"a":true,"b":null,"c":"yes"}"#),
            ("a=[1]", r#"{"a":"[1]"}"#),
            ("=1", "{}"),
            ("a.", "{}"),
            ("a[0]", r#"{"a":[]}"#),
            ("a", r#"key "a" has no value"#),
            ("a,b=1", r#"key "a" has no value (cannot end with ,)"#),
            ("a.=1", r#"key map "a" has no value"#),
            ("a={1", "list must terminate with '}'"),
            ("a[-1]=1", "negative -1 index not allowed"),
            (
                "a[x]=1",
                r#"error parsing index: strconv.Atoi: parsing "x": invalid syntax"#,
            ),
            (
                "a[70000]=1",
                "index of 70000 is greater than maximum supported index of 65536",
            ),
            (
                "a=1,a.b=2",
                "unable to parse key: interface conversion: interface {} is int64, not \
                 map[string]interface {}",
            ),
        ] {
            assert_eq!(set(line), want, "{line}");
        }
    }

    #[test]
    fn other_dialects_read_their_values() {
        let mut target = Table::new();
        set_json(r#"a={"b": [1, 2]},c="x",d=,e.f=null"#, &mut target).expect("valid");
        set_json(r#"{"c": {"y": 1}}"#, &mut target).expect("valid");
        set_literal(r"l.m[0]=a,b=\n", &mut target).expect("valid");
        set_values("s=1,t=true", SetKind::Text, &mut target).expect("valid");
        set_values_from("f=name", &mut |name| Ok(format!("<{name}>")), &mut target).expect("valid");
        assert_eq!(
            Json::Object(target).to_string(),
            r#"{"a":{"b":[1.0,2.0]},"c":{"y":1.0},"d":null,"e":{"f":null},"f":"<name>","l":{"m":["a,b=\\n"]},"s":"1","t":"true"}"#
        );
        let mut target = Table::new();
        assert_eq!(
            set_json("a=x", &mut target)
                .expect_err("no json")
                .to_string(),
            "failed parsing --set-json data a=x"
        );
    }
}
