//! JSON as Go's encoding/json writes and reads it.

use serde_json::Number;
use sluice_gotemplate::text::runes;
use sluice_gotemplate::{ANY_MAP, ANY_SLICE, CallError, Entries, Serial, Str, Value};

use super::convert::{ANY, STRING, new_map, string, text};
use super::{Body, Entry, fail, fixed};

/// How deep a value may nest; Go's own limit when it reads.
const MAX_DEPTH: usize = 1000;

const TO_PRETTY: Body = |run, a| {
    string(encode(
        &a[0],
        Layout::Pretty,
        Html::Escape,
        run.bytes_left(),
    )?)
};
const TO_RAW: Body = |run, a| {
    string(encode(
        &a[0],
        Layout::Compact,
        Html::Keep,
        run.bytes_left(),
    )?)
};
const FROM: Body = |_, a| match decode(text(&a[0])) {
    Ok(value) => Ok(value),
    Err(error) => fail(error),
};

pub(crate) const TABLE: &[Entry] = &[
    fixed("toJson", &[ANY], STRING, |run, a| {
        // Swallowing the error is the documented behaviour.
        let text = encode(&a[0], Layout::Compact, Html::Escape, run.bytes_left());
        match text {
            Ok(text) => string(text),
            Err(error) if error.limit().is_some() => Err(error),
            Err(_) => string(""),
        }
    }),
    fixed("mustToJson", &[ANY], STRING, |run, a| {
        string(encode(
            &a[0],
            Layout::Compact,
            Html::Escape,
            run.bytes_left(),
        )?)
    }),
    fixed("toPrettyJson", &[ANY], STRING, |run, a| {
        match TO_PRETTY(run, a) {
            Err(error) if error.limit().is_none() => string(""),
            other => other,
        }
    }),
    fixed("mustToPrettyJson", &[ANY], STRING, TO_PRETTY),
    fixed("toRawJson", &[ANY], STRING, TO_RAW),
    fixed("mustToRawJson", &[ANY], STRING, TO_RAW),
    fixed("mustFromJson", &[STRING], ANY, FROM),
    fixed("fromJson", &[STRING], ANY_MAP, |_, a| {
        Ok(match decode_partly(text(&a[0])) {
            Ok((Value::Map(map), problem)) => {
                // What could be read stays beside the error.
                if let Some(problem) = problem {
                    map.insert("Error", problem);
                }
                Value::Map(map)
            }
            Ok((Value::Nil, None)) => Value::Map(sluice_gotemplate::Map::nil(ANY_MAP)),
            Ok((other, _)) => error_map(&mismatch(&other, "map[string]interface {}")),
            Err(error) => error_map(&error),
        })
    }),
    fixed("fromJsonArray", &[STRING], ANY_SLICE, |_, a| {
        Ok(match decode_partly(text(&a[0])) {
            Ok((Value::List(_), Some(problem))) => Value::list(vec![problem.into()]),
            Ok((Value::List(list), None)) => Value::List(list),
            Ok((Value::Nil, None)) => Value::List(sluice_gotemplate::List::nil(ANY_SLICE)),
            Ok((other, _)) => Value::list(vec![mismatch(&other, "[]interface {}").into()]),
            Err(error) => Value::list(vec![error.into()]),
        })
    }),
];

/// What Helm's readers return for text that is wrong: a map that says so.
pub(crate) fn error_map(error: &str) -> Value {
    let mut entries = Entries::new();
    entries.insert(Str::from("Error"), Value::from(error));
    new_map(entries)
}

/// Go's refusal to decode one kind of JSON into another type.
pub(crate) fn mismatch(value: &Value, into: &str) -> String {
    let kind = match value {
        Value::Bool(_) => "bool",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "number",
    };
    format!("json: cannot unmarshal {kind} into Go value of type {into}")
}

/// Line breaks and indentation, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Compact,
    Pretty,
}

/// Whether `<`, `>` and `&` are written as escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Html {
    Escape,
    Keep,
}

/// Writes a value as JSON.
pub(crate) fn encode(
    value: &Value,
    layout: Layout,
    html: Html,
    limit: usize,
) -> Result<Vec<u8>, CallError> {
    let mut writer = Writer {
        out: Vec::new(),
        layout,
        html,
        limit,
    };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    layout: Layout,
    html: Html,
    limit: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), CallError> {
        if self.out.len() > self.limit {
            return Err(sluice_gotemplate::Limit::Bytes(self.limit as u64).into());
        }
        if depth > MAX_DEPTH {
            return fail(format!(
                "json: unsupported value: encountered a cycle via {}",
                value.type_name()
            ));
        }
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(b) => self
                .out
                .extend_from_slice(if *b { b"true" } else { b"false" }),
            Value::Int(_, n) => self.out.extend_from_slice(n.to_string().as_bytes()),
            Value::Uint(_, n) => self.out.extend_from_slice(n.to_string().as_bytes()),
            Value::Float(f) => {
                let text = float(*f)?;
                self.out.extend_from_slice(text.as_bytes());
            }
            Value::Complex(..) => return fail("json: unsupported type: complex128"),
            Value::Str(s) => quoted(&mut self.out, s, self.html),
            Value::Bytes(bytes) => {
                use base64::Engine as _;
                let text = base64::engine::general_purpose::STANDARD.encode(&**bytes);
                quoted(&mut self.out, text.as_bytes(), self.html);
            }
            Value::List(list) if list.is_nil() => self.out.extend_from_slice(b"null"),
            Value::List(list) => {
                self.open(b'[');
                for (i, item) in list.items().iter().enumerate() {
                    self.separate(i, depth + 1);
                    self.value(item, depth + 1)?;
                }
                self.close(b']', list.items().is_empty(), depth);
            }
            Value::Map(map) if map.is_nil() => self.out.extend_from_slice(b"null"),
            Value::Map(map) => {
                let entries = map.snapshot();
                self.object(entries.iter().map(|(key, item)| (&**key, item)), depth)?;
            }
            Value::Object(object) => match object.serial() {
                Serial::Value(value) => self.value(&value, depth + 1)?,
                Serial::Fields(fields) => {
                    let fields = fields.iter().map(|(key, item)| (key.as_bytes(), item));
                    self.object(fields, depth)?;
                }
            },
        }
        Ok(())
    }

    fn object<'e>(
        &mut self,
        entries: impl Iterator<Item = (&'e [u8], &'e Value)>,
        depth: usize,
    ) -> Result<(), CallError> {
        self.open(b'{');
        let mut empty = true;
        for (i, (key, item)) in entries.enumerate() {
            empty = false;
            self.separate(i, depth + 1);
            quoted(&mut self.out, key, self.html);
            self.out.push(b':');
            if self.layout == Layout::Pretty {
                self.out.push(b' ');
            }
            self.value(item, depth + 1)?;
        }
        self.close(b'}', empty, depth);
        Ok(())
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push(b',');
        }
        self.line(depth);
    }

    fn close(&mut self, bracket: u8, empty: bool, depth: usize) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if self.layout == Layout::Pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * depth, b' ');
        }
    }
}

/// Writes a string with Go's escapes.
fn quoted(out: &mut Vec<u8>, bytes: &[u8], html: Html) {
    out.push(b'"');
    for (rune, raw) in runes(bytes) {
        match rune {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\x08' => out.extend_from_slice(b"\\b"),
            '\x0c' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '<' | '>' | '&' if html == Html::Escape => {
                out.extend_from_slice(format!("\\u{:04x}", rune as u32).as_bytes());
            }
            '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", rune as u32).as_bytes());
            }
            _ if rune < ' ' => {
                out.extend_from_slice(format!("\\u{:04x}", rune as u32).as_bytes());
            }
            char::REPLACEMENT_CHARACTER if raw.len() == 1 => out.extend_from_slice(b"\\ufffd"),
            _ => out.extend_from_slice(raw),
        }
    }
    out.push(b'"');
}

/// Writes a float as ES6 does, which is Go's rule for JSON.
fn float(f: f64) -> Result<String, CallError> {
    if !f.is_finite() {
        return fail(format!(
            "json: unsupported value: {}",
            sluice_gotemplate::strconv::format_float(f)
        ));
    }
    let magnitude = f.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{f:e}");
        return Ok(match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => {
                format!("{mantissa}e+{exponent}")
            }
            _ => text,
        });
    }
    Ok(format!("{f}"))
}

/// Converts a value to JSON as Go's encoder would write it and a decoder that
/// keeps integers would read it; what YAML is written from.
pub(crate) fn to_json_value(value: &Value, depth: usize) -> Result<serde_json::Value, CallError> {
    if depth > MAX_DEPTH {
        return fail(format!(
            "json: unsupported value: encountered a cycle via {}",
            value.type_name()
        ));
    }
    Ok(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(b) => serde_json::Value::Bool(*b),
        Value::Int(_, n) => serde_json::Value::Number(Number::from(*n)),
        Value::Uint(_, n) => serde_json::Value::Number(Number::from(*n)),
        Value::Float(f) => match sluice_yaml::number_from_f64(*f) {
            Some(number) => serde_json::Value::Number(number),
            None => {
                return fail(format!(
                    "json: unsupported value: {}",
                    sluice_gotemplate::strconv::format_float(*f)
                ));
            }
        },
        Value::Complex(..) => return fail("json: unsupported type: complex128"),
        Value::Str(s) => serde_json::Value::String(utf8(s)),
        Value::Bytes(bytes) => {
            use base64::Engine as _;
            serde_json::Value::String(base64::engine::general_purpose::STANDARD.encode(&**bytes))
        }
        Value::List(list) if list.is_nil() => serde_json::Value::Null,
        Value::List(list) => {
            let items: Result<Vec<_>, CallError> = list
                .items()
                .iter()
                .map(|item| to_json_value(item, depth + 1))
                .collect();
            serde_json::Value::Array(items?)
        }
        Value::Map(map) if map.is_nil() => serde_json::Value::Null,
        Value::Map(map) => {
            let mut object = serde_json::Map::new();
            for (key, item) in map.snapshot() {
                object.insert(utf8(&key), to_json_value(&item, depth + 1)?);
            }
            serde_json::Value::Object(object)
        }
        Value::Object(object) => match object.serial() {
            Serial::Value(value) => to_json_value(&value, depth + 1)?,
            Serial::Fields(fields) => {
                let mut json = serde_json::Map::new();
                for (key, item) in fields {
                    json.insert(key.to_owned(), to_json_value(&item, depth + 1)?);
                }
                serde_json::Value::Object(json)
            }
        },
    })
}

/// Every invalid byte becomes U+FFFD, as in Go's encoder.
fn utf8(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => runes(bytes).map(|(rune, _)| rune).collect(),
    }
}

/// Reads JSON; numbers become floats. The error is Go's text.
pub(crate) fn decode(text: &[u8]) -> Result<Value, String> {
    match decode_partly(text)? {
        (value, None) => Ok(value),
        (_, Some(problem)) => Err(problem),
    }
}

/// As [`decode`], but a number that no float holds becomes nil and is told
/// beside the value, as Go's decoder does.
fn decode_partly(text: &[u8]) -> Result<(Value, Option<String>), String> {
    let mut reader = Reader {
        text,
        at: 0,
        problem: None,
    };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok((value, reader.problem)),
        Some(_) => Err(reader.invalid("after top-level value")),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    /// The first number that no float holds.
    problem: Option<String>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// The error for the byte at hand, or for the end of the text.
    fn invalid(&self, context: &str) -> String {
        match self.peek() {
            None => "unexpected end of JSON input".to_owned(),
            Some(b) => {
                let shown = match b {
                    b'\'' => r"'\''".to_owned(),
                    b'"' => "'\"'".to_owned(),
                    other => {
                        let quoted = sluice_gotemplate::strconv::quote(
                            char::from(other).to_string().as_bytes(),
                        );
                        format!("'{}'", &quoted[1..quoted.len() - 1])
                    }
                };
                format!("invalid character {shown} {context}")
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::Str(Str::from(self.string()?))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Nil),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for (i, expected) in word.bytes().enumerate() {
            if self.peek() != Some(expected) {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                debug_assert!(i > 0);
                return Err(self.invalid(&context));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.invalid("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return Err(self.invalid("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
                return Err(self.invalid("in exponent of numeric literal"));
            }
            self.digits();
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        match sluice_gotemplate::strconv::parse_float(&text) {
            Ok(float) => Ok(Value::Float(float)),
            Err(_) => {
                let problem =
                    format!("json: cannot unmarshal number {text} into Go value of type float64");
                self.problem.get_or_insert(problem);
                Ok(Value::Nil)
            }
        }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(b) = self.peek() else {
                return Err(self.invalid(""));
            };
            match b {
                b'"' => {
                    self.at += 1;
                    return Ok(match std::str::from_utf8(&out) {
                        Ok(_) => out,
                        Err(_) => utf8(&out).into_bytes(),
                    });
                }
                b'\\' => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                0..=0x1f => return Err(self.invalid("in string literal")),
                _ => {
                    out.push(b);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let plain = match self.peek() {
            Some(b'b') => b'\x08',
            Some(b'f') => b'\x0c',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b @ (b'"' | b'\\' | b'/')) => b,
            Some(b'u') => {
                self.at += 1;
                let mut code = self.hex4()?;
                if (0xD800..0xDC00).contains(&code) && self.text[self.at..].starts_with(b"\\u") {
                    let mark = self.at;
                    self.at += 2;
                    let low = self.hex4()?;
                    if (0xDC00..0xE000).contains(&low) {
                        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    } else {
                        self.at = mark;
                    }
                }
                let rune = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                sluice_gotemplate::text::push_rune(out, rune);
                return Ok(());
            }
            _ => return Err(self.invalid("in string escape code")),
        };
        out.push(plain);
        self.at += 1;
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) else {
                return Err(self.invalid("in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::list(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::list(items));
                }
                _ => return Err(self.invalid("after array element")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut entries = Entries::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(new_map(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.invalid("looking for beginning of object key string"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.invalid("after object key"));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth + 1)?;
            entries.insert(Str::from(key), value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(new_map(entries));
                }
                _ => return Err(self.invalid("after object key:value pair")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_follow_es6() {
        for (f, want) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e300, "1.5e+300"),
        ] {
            assert_eq!(float(f).expect("finite"), want);
        }
    }

    #[test]
    fn wrong_text_is_refused_in_gos_words() {
        for (text, want) in [
            ("", "unexpected end of JSON input"),
            ("a", "invalid character 'a' looking for beginning of value"),
            (
                "{a}",
                "invalid character 'a' looking for beginning of object key string",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("1 2", "invalid character '2' after top-level value"),
            ("tru", "unexpected end of JSON input"),
            (
                "trx",
                "invalid character 'x' in literal true (expecting 'u')",
            ),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (
                r#"{"a":1,}"#,
                "invalid character '}' looking for beginning of object key string",
            ),
            (r#""\q""#, "invalid character 'q' in string escape code"),
            ("01", "invalid character '1' after top-level value"),
        ] {
            assert_eq!(decode(text.as_bytes()).expect_err(text), want, "{text}");
        }
    }
}
