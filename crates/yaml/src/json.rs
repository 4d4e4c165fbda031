//! From the document tree to JSON values, as one of the Go readers does it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Number, Value};

use crate::error::{Error, ErrorKind, Mark};
use crate::node::{Kind, Node};
use crate::resolve::{Booleans, Resolved, resolve};
use crate::timestamp;

/// Whose reading of a document is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `sigs.k8s.io/yaml`'s `Unmarshal`: YAML 1.1 booleans, keys become
    /// strings, and of a repeated key the last one counts.
    Sigs,
    /// `sigs.k8s.io/yaml`'s `UnmarshalStrict`: as `Sigs`, but a repeated key
    /// is an error.
    SigsStrict,
    /// go-yaml v3 as kustomize turns resources into JSON: `yes` is a string,
    /// dates become RFC 3339 texts, a repeated key is an error.
    GoYaml3,
}

/// Turns a node into JSON.
///
/// # Errors
/// Repeated keys where the dialect refuses them, keys and values that JSON
/// has no place for, tags that contradict their text, wrong merge keys.
pub fn to_json(node: &Node<'_>, dialect: Dialect) -> Result<Value, Error> {
    convert(node, dialect, None)
}

/// As [`to_json`] in the dialect [`Dialect::Sigs`], but of a mapping only the
/// values of `keys` are made; those of others are checked.
pub(crate) fn to_json_of(node: &Node<'_>, keys: &[&str]) -> Result<Value, Error> {
    convert(node, Dialect::Sigs, Some(keys))
}

fn convert(node: &Node<'_>, dialect: Dialect, wanted: Option<&[&str]>) -> Result<Value, Error> {
    let mut converter = Converter {
        dialect,
        duplicates: Vec::new(),
        first_duplicate: None,
        depth: 0,
        wanted,
        making: Making::Values,
    };
    let value = converter.value(node)?;
    if converter.duplicates.is_empty() {
        return Ok(value);
    }
    Err(Error::new(
        ErrorKind::Unmarshal,
        converter.duplicates.join("\n  "),
        converter.first_duplicate,
    ))
}

/// The JSON number that Go writes for a float: whole numbers below 10^21 have
/// no fraction, so that a reader sees an integer.
///
/// Returns `None` for infinities and NaN.
pub fn number_from_f64(float: f64) -> Option<Number> {
    if float == float.trunc() && float.abs() < 1e21 {
        // Go writes the shortest digits, which is what is read again.
        let digits = format!("{float}");
        if let Ok(int) = digits.parse::<u64>() {
            return Some(Number::from(int));
        }
        if let Ok(int) = digits.parse::<i64>() {
            return Some(Number::from(int));
        }
    }
    Number::from_f64(float)
}

struct Converter<'k> {
    dialect: Dialect,
    duplicates: Vec<String>,
    first_duplicate: Option<Mark>,
    depth: usize,
    /// The keys of the outermost mapping whose values are wanted, if not all.
    wanted: Option<&'k [&'k str]>,
    making: Making,
}

/// What a converter makes of nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Making {
    /// JSON.
    Values,
    /// Errors: what is valid becomes null.
    Checks,
}

/// A mapping key as the Go reader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum KeyType {
    Str,
    Int,
    Float,
    Bool,
}

impl Converter<'_> {
    fn booleans(&self) -> Booleans {
        match self.dialect {
            Dialect::Sigs | Dialect::SigsStrict => Booleans::Yaml11,
            Dialect::GoYaml3 => Booleans::Yaml12,
        }
    }

    fn value(&mut self, node: &Node<'_>) -> Result<Value, Error> {
        match &node.kind {
            Kind::Scalar { text, .. } => self.scalar(node, text),
            Kind::Sequence { items, .. } => {
                let mut out = Vec::new();
                self.depth += 1;
                if self.making == Making::Checks {
                    for item in items {
                        self.value(item)?;
                    }
                } else {
                    out.reserve_exact(items.len());
                    for item in items {
                        out.push(self.value(item)?);
                    }
                }
                self.depth -= 1;
                Ok(Value::Array(out))
            }
            Kind::Mapping { pairs, .. } => {
                let mut out = Map::new();
                match self.dialect {
                    Dialect::GoYaml3 => self.mapping_v3(pairs, &mut out)?,
                    _ => {
                        let mut types = HashMap::new();
                        let wanted = self.wanted.filter(|_| self.depth == 0);
                        self.mapping_v2(pairs, wanted, &mut out, &mut types)?;
                    }
                }
                Ok(Value::Object(out))
            }
        }
    }

    fn scalar(&mut self, node: &Node<'_>, text: &str) -> Result<Value, Error> {
        if node.is_untagged_plain() {
            return match resolve(text, self.booleans()) {
                Resolved::Str => Ok(self.text(text)),
                other => plain_value(other, text, self.dialect, node),
            };
        }
        match node.tag() {
            Some("!") if self.dialect == Dialect::GoYaml3 => match resolve(text, self.booleans()) {
                Resolved::Str => Ok(Value::String(text.to_owned())),
                other => plain_value(other, text, self.dialect, node),
            },
            None | Some("!!str" | "!") => Ok(self.text(text)),
            Some("!!binary") => decode_binary(text).map(Value::String),
            Some(tag) => {
                let resolved = self.tagged(node, tag, text)?;
                plain_value(resolved, text, self.dialect, node)
            }
        }
    }

    fn text(&self, text: &str) -> Value {
        match self.making {
            Making::Values => Value::String(text.to_owned()),
            Making::Checks => Value::Null,
        }
    }

    fn tagged(&self, node: &Node<'_>, tag: &str, text: &str) -> Result<Resolved, Error> {
        resolve_tagged(tag, text, self.booleans())
            .map_err(|problem| Error::new(ErrorKind::Composer, problem, Some(node.span.start)))
    }

    /// go-yaml v2 sets keys and merges in the order of the text; what comes
    /// later wins, and strict reading minds every second setting.
    fn mapping_v2(
        &mut self,
        pairs: &[(Node<'_>, Node<'_>)],
        wanted: Option<&[&str]>,
        out: &mut Map<String, Value>,
        types: &mut HashMap<String, KeyType>,
    ) -> Result<(), Error> {
        self.depth += 1;
        for (key, value) in pairs {
            if is_merge_key(key) {
                for source in merge_sources(value, Order::LastFirst)? {
                    self.mapping_v2(source, wanted, out, types)?;
                }
                continue;
            }
            let (name, kind) = self.key_v2(key, value)?;
            if self.making == Making::Checks {
                self.value(value)?;
                continue;
            }
            if wanted.is_some_and(|keys| !keys.contains(&&*name)) {
                self.making = Making::Checks;
                self.value(value)?;
                self.making = Making::Values;
                continue;
            }
            let name = name.into_owned();
            let converted = self.value(value)?;
            let known = types.get(&name);
            let before = match known {
                Some(&known) => known == kind,
                None => kind == KeyType::Str && out.contains_key(&name),
            };
            if kind != KeyType::Str || known.is_some() {
                types.insert(name.clone(), kind);
            }
            if before && self.dialect == Dialect::SigsStrict {
                self.duplicate(
                    value.span.start,
                    format!("key {} already set in map", go_key(&name, kind)),
                );
            }
            out.insert(name, converted);
        }
        self.depth -= 1;
        Ok(())
    }

    fn duplicate(&mut self, mark: Mark, problem: String) {
        if self.first_duplicate.is_none() {
            self.first_duplicate = Some(mark);
            self.duplicates.push(problem);
        } else {
            self.duplicates
                .push(format!("line {}: {problem}", mark.line_number()));
        }
    }

    fn key_v2<'n>(
        &self,
        key: &'n Node<'_>,
        value: &Node<'_>,
    ) -> Result<(Cow<'n, str>, KeyType), Error> {
        let Kind::Scalar { text, .. } = &key.kind else {
            let mut problem = "invalid map key: ".to_owned();
            go_syntax(key, &mut problem);
            return Err(Error::new(
                ErrorKind::Composer,
                problem,
                Some(key.span.start),
            ));
        };
        let resolved = if key.is_untagged_plain() {
            resolve(text, Booleans::Yaml11)
        } else {
            match key.tag() {
                None | Some("!!str" | "!") => Resolved::Str,
                Some("!!binary") => return Ok((decode_binary(text)?.into(), KeyType::Str)),
                Some(tag) => self.tagged(key, tag, text)?,
            }
        };
        Ok(match resolved {
            Resolved::Str | Resolved::Timestamp | Resolved::Merge => {
                (Cow::Borrowed(&**text), KeyType::Str)
            }
            Resolved::Int(int) => (int.to_string().into(), KeyType::Int),
            Resolved::Bool(flag) => (flag.to_string().into(), KeyType::Bool),
            Resolved::Float(float) => (float_key(float).into(), KeyType::Float),
            Resolved::Null | Resolved::Uint(_) => {
                let (kind, shown) = match resolved {
                    Resolved::Uint(int) => ("uint64", format!("{int:#x}")),
                    _ => ("%!s(<nil>)", "<nil>".to_owned()),
                };
                let mut problem =
                    format!("unsupported map key of type: {kind}, key: {shown}, value: ");
                go_syntax(value, &mut problem);
                if problem.ends_with(": interface {}(nil)") {
                    problem.truncate(problem.len() - "interface {}(nil)".len());
                    problem.push_str("<nil>");
                }
                return Err(Error::new(ErrorKind::Json, problem, Some(key.span.start)));
            }
        })
    }

    /// go-yaml v3: explicit keys win over merged ones wherever they stand, of
    /// merged ones the first wins.
    fn mapping_v3(
        &mut self,
        pairs: &[(Node<'_>, Node<'_>)],
        out: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        self.check_unique_v3(pairs);
        self.depth += 1;
        let top = self.depth == 1;
        let mut merges = Vec::new();
        for (key, value) in pairs {
            if is_merge_key(key) {
                merges.push(value);
                continue;
            }
            let name = self.key_v3(key, top)?;
            let converted = self.value(value)?;
            if let Some(name) = name {
                out.insert(name, converted);
            }
        }
        for value in merges {
            for source in merge_sources(value, Order::FirstFirst)? {
                let mut merged = Map::new();
                self.depth -= 1;
                self.mapping_v3(source, &mut merged)?;
                self.depth += 1;
                for (name, value) in merged {
                    out.entry(name).or_insert(value);
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn check_unique_v3(&mut self, pairs: &[(Node<'_>, Node<'_>)]) {
        let mut seen: HashMap<(&str, &'static str), u32> = HashMap::with_capacity(pairs.len());
        for (key, _) in pairs {
            let Kind::Scalar { text, .. } = &key.kind else {
                continue;
            };
            let tag = if key.is_untagged_plain() {
                resolve(text, Booleans::Yaml12).tag()
            } else {
                "!!str"
            };
            if let Some(line) = seen.insert((text, tag), key.span.start.line) {
                let mut shown = String::new();
                go_quote(text, &mut shown);
                let problem = format!("mapping key {shown} already defined at line {}", line + 1);
                self.duplicate(key.span.start, problem);
            }
        }
    }

    /// Typed keys become text at the top of an object, where a null key is
    /// dropped; elsewhere they fail.
    fn key_v3(&self, key: &Node<'_>, top: bool) -> Result<Option<String>, Error> {
        let Kind::Scalar { text, .. } = &key.kind else {
            if top {
                let kind = match &key.kind {
                    Kind::Mapping { .. } => "!!map",
                    _ => "!!seq",
                };
                return Err(Error::new(
                    ErrorKind::Unmarshal,
                    format!("cannot unmarshal {kind} into string"),
                    Some(key.span.start),
                ));
            }
            let mut problem = "invalid map key: ".to_owned();
            go_syntax(key, &mut problem);
            return Err(Error::new(
                ErrorKind::Composer,
                problem,
                Some(key.span.start),
            ));
        };
        let is_text = match key.tag() {
            None if key.is_untagged_plain() => {
                matches!(resolve(text, Booleans::Yaml12), Resolved::Str)
            }
            None | Some("!!str") => true,
            Some("!") => matches!(resolve(text, Booleans::Yaml12), Resolved::Str),
            Some("!!binary") => return decode_binary(text).map(Some),
            Some(tag) => {
                self.tagged(key, tag, text)?;
                false
            }
        };
        if top && key.is_untagged_plain() && resolve(text, Booleans::Yaml12) == Resolved::Null {
            return Ok(None);
        }
        if top || is_text {
            return Ok(Some(text.clone().into_owned()));
        }
        Err(Error::new(
            ErrorKind::Json,
            "json: unsupported type: map[interface {}]interface {}",
            Some(key.span.start),
        ))
    }
}

/// Types a scalar that carries a tag, or says why the two contradict.
pub(crate) fn resolve_tagged(
    tag: &str,
    text: &str,
    booleans: Booleans,
) -> Result<Resolved, String> {
    if !matches!(
        tag,
        "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp"
    ) {
        return Ok(Resolved::Str);
    }
    let resolved = resolve(text, booleans);
    if resolved.tag() == tag {
        return Ok(resolved);
    }
    match (tag, resolved) {
        ("!!float", Resolved::Int(int)) => Ok(Resolved::Float(int as f64)),
        ("!!float", Resolved::Uint(int)) => Ok(Resolved::Float(int as f64)),
        _ => Err(format!(
            "cannot decode {} `{text}` as a {tag}",
            resolved.tag()
        )),
    }
}

fn plain_value(
    resolved: Resolved,
    text: &str,
    dialect: Dialect,
    node: &Node<'_>,
) -> Result<Value, Error> {
    Ok(match resolved {
        Resolved::Null => Value::Null,
        Resolved::Bool(flag) => Value::Bool(flag),
        Resolved::Int(int) => Value::from(int),
        Resolved::Uint(int) => Value::from(int),
        Resolved::Float(float) => match number_from_f64(float) {
            Some(number) => Value::Number(number),
            None => {
                let shown = if float.is_nan() {
                    "NaN"
                } else if float > 0.0 {
                    "+Inf"
                } else {
                    "-Inf"
                };
                return Err(Error::new(
                    ErrorKind::Json,
                    format!("json: unsupported value: {shown}"),
                    Some(node.span.start),
                ));
            }
        },
        Resolved::Timestamp if dialect == Dialect::GoYaml3 => match timestamp::parse(text) {
            Some(stamp) => Value::String(stamp.to_rfc3339()),
            None => Value::String(text.to_owned()),
        },
        Resolved::Timestamp | Resolved::Merge | Resolved::Str => Value::String(text.to_owned()),
    })
}

/// Decodes the text of a `!!binary` scalar; what is not UTF-8 becomes U+FFFD,
/// as Go's JSON has it.
///
/// # Errors
/// The text is not base64.
pub fn decode_binary(text: &str) -> Result<String, Error> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
            .with_decode_allow_trailing_bits(true),
    );
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match ENGINE.decode(compact) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Err(Error::new(
            ErrorKind::Composer,
            "!!binary value contains invalid base64 data",
            None,
        )),
    }
}

fn is_merge_key(key: &Node<'_>) -> bool {
    key.as_str() == Some("<<") && (key.is_untagged_plain() || key.tag() == Some("!!merge"))
}

enum Order {
    FirstFirst,
    LastFirst,
}

type Pairs<'n, 'a> = &'n [(Node<'a>, Node<'a>)];

fn merge_sources<'n, 'a>(value: &'n Node<'a>, order: Order) -> Result<Vec<Pairs<'n, 'a>>, Error> {
    let wrong = |node: &Node<'_>| {
        Error::new(
            ErrorKind::Composer,
            "map merge requires map or sequence of maps as the value",
            Some(node.span.start),
        )
    };
    let mut sources = Vec::new();
    match &value.kind {
        Kind::Mapping { pairs, .. } => sources.push(pairs.as_slice()),
        Kind::Sequence { items, .. } => {
            for item in items {
                sources.push(item.as_mapping().ok_or_else(|| wrong(item))?);
            }
        }
        Kind::Scalar { .. } => return Err(wrong(value)),
    }
    if matches!(order, Order::LastFirst) {
        sources.reverse();
    }
    Ok(sources)
}

/// A float as `sigs.k8s.io/yaml` writes it when it is a key.
fn float_key(float: f64) -> String {
    if float.is_nan() {
        ".nan".to_owned()
    } else if float.is_infinite() {
        if float > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        // Through 32 bits, as the Go code does.
        crate::float::general_f32(float as f32)
    }
}

fn go_key(name: &str, kind: KeyType) -> String {
    match kind {
        KeyType::Str => {
            let mut out = String::new();
            go_quote(name, &mut out);
            out
        }
        _ => name.to_owned(),
    }
}

/// Go's `%#v` of a decoded node, for the errors that show one.
fn go_syntax(node: &Node<'_>, out: &mut String) {
    match &node.kind {
        Kind::Scalar { text, .. } => {
            let resolved = if node.is_untagged_plain() {
                resolve(text, Booleans::Yaml11)
            } else {
                Resolved::Str
            };
            // Writing to a string cannot fail.
            let _ = match resolved {
                Resolved::Null => write!(out, "interface {{}}(nil)"),
                Resolved::Bool(flag) => write!(out, "{flag}"),
                Resolved::Int(int) => write!(out, "{int}"),
                Resolved::Uint(int) => write!(out, "{int:#x}"),
                Resolved::Float(float) => write!(out, "{}", crate::float::general(float)),
                _ => {
                    go_quote(text, out);
                    Ok(())
                }
            };
        }
        Kind::Sequence { items, .. } => {
            out.push_str("[]interface {}{");
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                go_syntax(item, out);
            }
            out.push('}');
        }
        Kind::Mapping { pairs, .. } => {
            out.push_str("map[interface {}]interface {}{");
            for (at, (key, value)) in pairs.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                go_syntax(key, out);
                out.push(':');
                go_syntax(value, out);
            }
            out.push('}');
        }
    }
}

/// Go's quoted string.
fn go_quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let _ = match c {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => write!(out, "\\x{:02x}", c as u32),
            c => {
                out.push(c);
                Ok(())
            }
        };
    }
    out.push('"');
}
