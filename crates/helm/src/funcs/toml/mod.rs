//! `toToml` and `fromToml`, after BurntSushi/toml.

mod write;

use sluice_gotemplate::strconv::format_float;
use sluice_gotemplate::{ANY_MAP, CallError, List, Map, Serial, Type, Value};

use super::convert::{ANY, STRING, string, utf8};
use super::dates::time_value;
use super::gotime::{Zone, parse as parse_time};
use super::jsontext::error_map;
use super::{Entry, fail, fixed};
use write::encode;

/// How deep tables and arrays may nest.
const MAX_DEPTH: usize = 200;
const TABLES: Type = Type::Slice(&ANY_MAP);

pub(crate) const TABLE: &[Entry] = &[
    fixed("toToml", &[ANY], STRING, |_, a| match encode(&a[0]) {
        Ok(text) => string(text),
        Err(error) if a[0].is_nil() => Err(error),
        // The error is the text, as in the original.
        Err(error) => string(error.to_string()),
    }),
    fixed("mustToToml", &[ANY], STRING, |_, a| string(encode(&a[0])?)),
    fixed("fromToml", &[STRING], ANY_MAP, |_, a| {
        Ok(match decode(&utf8(&a[0])) {
            Ok(map) => Value::Map(map),
            Err(error) => error_map(&error),
        })
    }),
];

// Writing.

fn decode(text: &str) -> Result<Map, String> {
    let mut reader = Reader {
        text,
        at: 0,
        last_key: String::new(),
        context: String::new(),
        root: Map::new(),
        closed: Vec::new(),
        implicit: Vec::new(),
    };
    reader.document()?;
    Ok(reader.root)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The key whose value is being read.
    last_key: String,
    /// The table that the last header named.
    context: String,
    root: Map,
    /// Tables that were defined by a header or inline, which may not be again.
    closed: Vec<Map>,
    /// Tables that dotted keys made on the way, which may be defined once.
    implicit: Vec<Map>,
}

type Read<T> = Result<T, String>;

fn quoted_text(text: &str) -> String {
    sluice_gotemplate::strconv::quote(text.as_bytes())
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        if self.rest().starts_with(text) {
            self.at += text.len();
            return true;
        }
        false
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Read<T> {
        let line = 1 + self.text[..self.at].matches('\n').count();
        if self.last_key.is_empty() {
            return Err(format!("toml: line {line}: {message}"));
        }
        let key = quoted_text(&self.last_key);
        Err(format!("toml: line {line} (last key {key}): {message}"))
    }

    fn defined<T>(&self, key: &str) -> Read<T> {
        self.error(format!("Key '{key}' has already been defined."))
    }

    /// The next character as the original shows it in errors.
    fn shown(&self, at_end: &str) -> String {
        match self.peek() {
            None => at_end.to_owned(),
            Some(c) => sluice_gotemplate::strconv::quote_rune(
                c as u32,
                sluice_gotemplate::strconv::QuoteTo::Unicode,
            ),
        }
    }

    fn blanks(&mut self) {
        while let Some(' ' | '\t') = self.peek() {
            self.at += 1;
        }
    }

    fn comment(&mut self) {
        if self.peek() == Some('#') {
            let length = self.rest().find('\n').unwrap_or(self.rest().len());
            self.at += length;
        }
    }

    /// Skips blanks, line breaks and comments.
    fn space(&mut self) {
        loop {
            self.blanks();
            self.comment();
            if !(self.eat("\n") || self.eat("\r\n")) {
                return;
            }
        }
    }

    fn document(&mut self) -> Read<()> {
        let mut table = self.root.clone();
        loop {
            self.space();
            let Some(c) = self.peek() else {
                return Ok(());
            };
            if c == '[' {
                (table, self.context) = self.header()?;
            } else {
                self.pair(&table, "", 0)?;
            }
            self.last_key.clone_from(&self.context);
            self.blanks();
            self.comment();
            if self.peek().is_some() && !(self.eat("\n") || self.eat("\r\n")) {
                let found = self.shown("");
                return self.error(format!(
                    "expected a top-level item to end with a newline, comment, or EOF, \
                     but got {found} instead"
                ));
            }
        }
    }

    fn header(&mut self) -> Read<(Map, String)> {
        let is_array = self.eat("[[");
        if !is_array {
            self.eat("[");
        }
        let path = self.key(']')?;
        self.blanks();
        if !self.eat(if is_array { "]]" } else { "]" }) {
            let found = self.shown("'\\x00'");
            return self.error(format!(
                "expected '.' or ']' to end table name, but got {found} instead"
            ));
        }
        let whole = path.join(".");
        let mut table = self.root.clone();
        let Some((last, parents)) = path.split_last() else {
            return Ok((table, whole));
        };
        self.last_key = parents.join(".");
        for name in parents {
            table = self.descend(&table, name)?;
        }
        if is_array {
            let next = Map::new();
            let items = match table.get(last.as_bytes()) {
                None => vec![Value::Map(next.clone())],
                Some(Value::List(list)) if list.slice_type() == TABLES => {
                    let mut items = list.items().to_vec();
                    items.push(Value::Map(next.clone()));
                    items
                }
                Some(_) => return self.defined(&whole),
            };
            table.insert(last.as_str(), Value::List(List::typed(TABLES, items)));
            return Ok((next, whole));
        }
        match table.get(last.as_bytes()) {
            None | Some(Value::Map(_)) => {}
            Some(_) => return self.defined(&whole),
        }
        let own = self.descend(&table, last)?;
        if self.closed.iter().any(|known| known.same(&own)) {
            return self.defined(&whole);
        }
        self.closed.push(own.clone());
        Ok((own, whole))
    }

    /// Enters a table, or the last table of an array of tables.
    fn descend(&mut self, table: &Map, name: &str) -> Read<Map> {
        match table.get(name.as_bytes()) {
            None => {
                let next = Map::new();
                table.insert(name, next.clone());
                self.implicit.push(next.clone());
                Ok(next)
            }
            Some(Value::Map(map)) => Ok(map),
            Some(Value::List(list)) if list.slice_type() == TABLES => match list.items().last() {
                Some(Value::Map(map)) => Ok(map.clone()),
                _ => self.defined(name),
            },
            Some(_) => self.defined(name),
        }
    }

    /// Reads a dotted key that ends at `end`.
    fn key(&mut self, end: char) -> Read<Vec<String>> {
        let mut path = Vec::new();
        loop {
            self.blanks();
            let part = match self.peek() {
                Some('"') => self.basic_string()?,
                Some('\'') => self.literal_string()?,
                found if found.is_none_or(|c| c == end) => {
                    return self.error(match (end, path.is_empty()) {
                        ('=', true) => "unexpected '=': key name appears blank",
                        ('=', false) => "unexpected '='",
                        _ => "unexpected end of table name (table names cannot be empty)",
                    });
                }
                Some('.') if path.is_empty() && end == '=' => {
                    return self.error("unexpected '.': keys cannot start with a '.'");
                }
                _ => {
                    let length = self
                        .rest()
                        .bytes()
                        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
                        .count();
                    if length == 0 {
                        let found = self.shown("");
                        let wanted = match end {
                            '=' => "expected '.' or '='",
                            _ => "expected '.' or ']' to end table name",
                        };
                        return self.error(format!("{wanted}, but got {found} instead"));
                    }
                    let bare = self.rest()[..length].to_owned();
                    self.at += length;
                    bare
                }
            };
            path.push(part);
            self.blanks();
            if !self.eat(".") {
                return Ok(path);
            }
        }
    }

    fn pair(&mut self, table: &Map, prefix: &str, depth: usize) -> Read<()> {
        let path = self.key('=')?;
        self.blanks();
        if self.peek().is_none() {
            return self.error("unexpected EOF; expected key separator '='");
        }
        if !self.eat("=") {
            let found = self.shown("");
            return self.error(format!("expected '.' or '=', but got {found} instead"));
        }
        let outer = std::mem::take(&mut self.last_key);
        let whole = path.join(".");
        self.last_key = match (prefix, self.context.as_str()) {
            ("", "") => whole,
            ("", context) => format!("{context}.{whole}"),
            (prefix, _) => format!("{prefix}.{whole}"),
        };
        self.blanks();
        let value = self.value(depth)?;
        let Some((last, parents)) = path.split_last() else {
            return Ok(());
        };
        let mut target = table.clone();
        for name in parents {
            target = self.descend(&target, name)?;
        }
        match target.get(last.as_bytes()) {
            None => target.insert(last.as_str(), value),
            Some(Value::Map(known)) if self.implicit.iter().any(|i| i.same(&known)) => {
                // It was made on the way; that it is named now changes nothing.
                self.implicit.retain(|i| !i.same(&known));
            }
            Some(_) => {
                let key = self.last_key.clone();
                return self.defined(&key);
            }
        }
        if !prefix.is_empty() {
            // Inside of an inline table the last key stays the last one read.
            return Ok(());
        }
        self.last_key = outer;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        if depth > MAX_DEPTH {
            return self.error("value nests too deeply");
        }
        if self.rest().starts_with("\"\"\"") {
            return Ok(Value::from(self.multi_line("\"\"\"")?));
        }
        if self.rest().starts_with("'''") {
            return Ok(Value::from(self.multi_line("'''")?));
        }
        match self.peek() {
            None => self.error("unexpected EOF; expected value"),
            Some('"') => Ok(Value::from(self.basic_string()?)),
            Some('\'') => Ok(Value::from(self.literal_string()?)),
            Some('[') => self.array(depth),
            Some('{') => self.inline_table(depth),
            Some(c) if c.is_alphabetic() => self.word(),
            Some('0'..='9' | '+' | '-') => self.number(),
            Some(_) => {
                let found = self.shown("");
                self.error(format!("expected value but found {found} instead"))
            }
        }
    }

    fn word(&mut self) -> Read<Value> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("inf", Value::Float(f64::INFINITY)),
            ("nan", Value::Float(f64::NAN)),
        ] {
            if self.eat(word) {
                return Ok(value);
            }
        }
        let length = self
            .rest()
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(self.rest().len());
        let found = quoted_text(&self.rest()[..length]);
        self.error(format!("expected value but found {found} instead"))
    }

    fn number(&mut self) -> Read<Value> {
        for (word, value) in [
            ("+inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("+nan", f64::NAN),
            ("-nan", f64::NAN),
        ] {
            if self.eat(word) {
                return Ok(Value::Float(value));
            }
        }
        let length = self
            .rest()
            .find(|c: char| {
                !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | ':'))
            })
            .unwrap_or(self.rest().len());
        let mut token = self.rest()[..length].to_owned();
        // A date may be followed by a blank and a time.
        let is_date = token.len() == 10 && token.as_bytes()[4] == b'-';
        let is_time = self.rest().get(length + 1..).is_some_and(|rest| {
            rest.len() >= 5 && rest.as_bytes()[0].is_ascii_digit() && rest.as_bytes()[2] == b':'
        });
        let mut end = length;
        if is_date && is_time && self.rest().as_bytes()[length] == b' ' {
            let tail = &self.rest()[length + 1..];
            let more = tail
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':')))
                .unwrap_or(tail.len());
            token = format!("{token}T{}", &tail[..more]);
            end = length + 1 + more;
        }
        let value = self.typed(&token)?;
        self.at += end;
        Ok(value)
    }

    fn typed(&self, token: &str) -> Read<Value> {
        let bytes = token.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let looks_dated =
            digit(0) && digit(1) && digit(2) && digit(3) && bytes.get(4) == Some(&b'-');
        let looks_timed = digit(0) && digit(1) && bytes.get(2) == Some(&b':');
        if looks_dated || looks_timed {
            return self.moment(token);
        }
        let clean = token.replace('_', "");
        let radix = match token.get(..2) {
            Some("0x") => Some(16),
            Some("0o") => Some(8),
            Some("0b") => Some(2),
            _ => None,
        };
        if let Some(radix) = radix {
            return match i64::from_str_radix(&clean[2..], radix) {
                Ok(n) => Ok(Value::int64(n)),
                Err(_) => self.error(format!("{token} is out of range for int64")),
            };
        }
        let is_float = token.contains(['.', 'e', 'E']);
        let kind = if is_float { "float" } else { "integer" };
        let shown = quoted_text(token);
        if !sluice_gotemplate::strconv::underscores_well_placed(token) {
            return self.error(format!(
                "Invalid {kind} {shown}: underscores must be surrounded by digits"
            ));
        }
        let digits = clean.trim_start_matches(['+', '-']);
        if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
            return self.error(format!(
                "Invalid {kind} {shown}: cannot have leading zeroes"
            ));
        }
        if !is_float {
            return match clean.parse::<i64>() {
                Ok(n) => Ok(Value::int64(n)),
                Err(_) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                    self.error(format!("{token} is out of range for int64"))
                }
                Err(_) => self.error(format!("invalid value: {shown}")),
            };
        }
        let point = clean.find('.');
        let bare_point =
            point.is_some_and(|at| !clean.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit));
        if bare_point {
            return self.error(format!(
                "Invalid float {shown}: '.' must be followed by one or more digits"
            ));
        }
        match clean.parse::<f64>() {
            Ok(f) => Ok(Value::Float(f)),
            Err(_) => self.error(format!("Invalid float value: {shown}")),
        }
    }

    fn moment(&self, token: &str) -> Read<Value> {
        for (layout, zone) in [
            ("2006-01-02T15:04:05.999999999Z07:00", ""),
            ("2006-01-02T15:04:05.999999999", "datetime-local"),
            ("2006-01-02", "date-local"),
            ("15:04:05.999999999", "time-local"),
        ] {
            let local = if zone.is_empty() {
                Zone::Utc
            } else {
                Zone::Fixed(zone.to_owned(), 0)
            };
            if let Ok(time) = parse_time(layout, &token.to_uppercase(), &local) {
                return Ok(time_value(time));
            }
        }
        self.error(format!("invalid datetime: {}", quoted_text(token)))
    }

    fn array(&mut self, depth: usize) -> Read<Value> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.space();
            if self.eat("]") {
                return Ok(Value::list(items));
            }
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat(",") {
                continue;
            }
            if !self.eat("]") {
                let found = self.shown("end of file");
                return self.error(format!(
                    "expected a comma (',') or array terminator (']'), but got {found}"
                ));
            }
            return Ok(Value::list(items));
        }
    }

    fn inline_table(&mut self, depth: usize) -> Read<Value> {
        self.at += 1;
        let prefix = self.last_key.clone();
        let table = Map::new();
        loop {
            self.space();
            if self.eat("}") {
                break;
            }
            self.pair(&table, &prefix, depth + 1)?;
            self.space();
            if self.eat(",") {
                continue;
            }
            if self.eat("}") {
                break;
            }
            let found = self.shown("end of file");
            return self.error(format!(
                "expected a comma or an inline table terminator '}}', but got {found} instead"
            ));
        }
        self.last_key = prefix;
        self.closed.push(table.clone());
        Ok(Value::Map(table))
    }

    fn basic_string(&mut self) -> Read<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.peek() {
                None => return self.error("unexpected EOF; expected '\"'"),
                Some('\n') => return self.error("strings cannot contain newlines"),
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                Some(c) => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn literal_string(&mut self) -> Read<String> {
        self.at += 1;
        match self.rest().find(['\'', '\n']) {
            Some(length) if self.rest()[length..].starts_with('\'') => {
                let out = self.rest()[..length].to_owned();
                self.at += length + 1;
                Ok(out)
            }
            Some(_) => self.error("strings cannot contain newlines"),
            None => self.error("unexpected EOF; expected \"'\""),
        }
    }

    fn multi_line(&mut self, quote: &str) -> Read<String> {
        self.at += 3;
        if !self.eat("\r\n") {
            self.eat("\n");
        }
        let mut out = String::new();
        loop {
            if self.rest().starts_with(quote) {
                // Up to two quotes may stand before the closing ones.
                let mark = &quote[..1];
                for _ in 0..2 {
                    if self.rest()[3..].starts_with(mark) {
                        out.push_str(mark);
                        self.at += 1;
                    }
                }
                self.at += 3;
                return Ok(out);
            }
            match self.bump() {
                None => return self.error(format!("unexpected EOF; expected '{quote}'")),
                Some('\\') if quote == "\"\"\"" => {
                    let line_end = self
                        .rest()
                        .trim_start_matches([' ', '\t', '\r'])
                        .starts_with('\n');
                    if line_end {
                        let skipped = self.rest().len() - self.rest().trim_start().len();
                        self.at += skipped;
                    } else {
                        self.escape(&mut out)?;
                    }
                }
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Read<()> {
        let Some(c) = self.bump() else {
            return self.error("unexpected EOF; expected '\"'");
        };
        match c {
            'b' => out.push('\x08'),
            't' => out.push('\t'),
            'n' => out.push('\n'),
            'f' => out.push('\x0c'),
            'r' => out.push('\r'),
            'e' => out.push('\x1b'),
            '"' | '\\' => out.push(c),
            'u' | 'U' => {
                let length = if c == 'u' { 4 } else { 8 };
                let code = self
                    .rest()
                    .get(..length)
                    .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                    .and_then(char::from_u32);
                match code {
                    Some(rune) => {
                        out.push(rune);
                        self.at += length;
                    }
                    None => return self.error("invalid unicode escape"),
                }
            }
            other => return self.error(format!("invalid escape in string '\\{other}'")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
