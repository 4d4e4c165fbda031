//! Reads protobuf request bodies of the built-in kinds.
//!
//! Typed Go clients (`kubectl create`, Helm's storage) send them and do not fall back. Answers are JSON, which those
//! clients accept. Messages become the JSON that the same Go value would have, but with zero values present; the
//! schema drops those that Go leaves out.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::app::{micro_time_text, time_text};

/// The field numbers of the built-in kinds; `cargo xtask protobuf` remakes it.
const TABLE: &[u8] = include_bytes!("../../data/protobuf.gz");
/// How every body starts.
const MAGIC: &[u8] = b"k8s\0";
/// The deepest nesting of messages.
const DEPTH: usize = 64;

/// A body that is no protobuf of a known kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The bytes are not well formed.
    #[error("malformed protobuf")]
    Malformed,
    /// The kind has no protobuf form here.
    #[error("no protobuf form of {api_version}, Kind={kind}")]
    UnknownKind {
        /// The body's apiVersion.
        api_version: String,
        /// The body's kind.
        kind: String,
    },
}

type Result<T> = std::result::Result<T, ProtobufError>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    One,
    Many,
    Map,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Bytes,
    Bool,
    Int,
    Double,
    Message(usize),
    /// A message whose fields are those of the one that holds it.
    Inline(usize),
}

struct Field {
    name: String,
    label: Label,
    kind: Kind,
}

#[derive(Default)]
struct Message {
    /// The name of a message whose JSON is not that of its fields.
    special: String,
    fields: HashMap<u64, Field>,
}

struct Tables {
    roots: HashMap<String, usize>,
    messages: Vec<Message>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut text = String::new();
        flate2::read::GzDecoder::new(TABLE)
            .read_to_string(&mut text)
            .expect("the committed file is gzip of text");
        let mut tables = Tables {
            roots: HashMap::new(),
            messages: Vec::new(),
        };
        for line in text.lines() {
            if let Some((root, at)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
                tables
                    .roots
                    .insert(root.to_owned(), at.parse().unwrap_or_default());
                continue;
            }
            let mut parts = line.split(' ');
            let special = parts
                .next()
                .filter(|name| *name != "-")
                .unwrap_or_default()
                .to_owned();
            let fields = parts.filter_map(read_field).collect();
            tables.messages.push(Message { special, fields });
        }
        tables
    })
}

/// Reads `NUMBER LABEL NAME : TYPE`, written without the spaces.
fn read_field(text: &str) -> Option<(u64, Field)> {
    let at = text.find(['.', '*', '%'])?;
    let label = match &text[at..=at] {
        "." => Label::One,
        "*" => Label::Many,
        _ => Label::Map,
    };
    let (name, kind) = text[at + 1..].split_once(':')?;
    let kind = match kind {
        "string" => Kind::Text,
        "bytes" => Kind::Bytes,
        "bool" => Kind::Bool,
        "double" => Kind::Double,
        kind => match kind.strip_prefix('<') {
            Some(inline) => Kind::Inline(inline.parse().ok()?),
            None => kind.parse().map_or(Kind::Int, Kind::Message),
        },
    };
    Some((
        text[..at].parse().ok()?,
        Field {
            name: name.to_owned(),
            label,
            kind,
        },
    ))
}

/// Reads a body.
///
/// # Errors
/// The bytes are not well formed, or of a kind that is not built in.
pub fn read(body: &[u8]) -> Result<Value> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Malformed)?;
    let (mut api_version, mut kind, mut raw): (String, String, &[u8]) = Default::default();
    for (number, part) in parts(envelope)? {
        match (number, part) {
            (1, Part::Bytes(bytes)) => {
                for (number, part) in parts(bytes)? {
                    match (number, part) {
                        (1, Part::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Part::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Part::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let tables = tables();
    let path = match api_version.contains('/') {
        true => format!("{api_version}/{kind}"),
        false => format!("/{api_version}/{kind}"),
    };
    // Options of a request may name any group.
    let found = tables.roots.get(&path).or_else(|| {
        (kind == "DeleteOptions")
            .then(|| tables.roots.get("/v1/DeleteOptions"))
            .flatten()
    });
    let Some(root) = found else {
        return Err(ProtobufError::UnknownKind { api_version, kind });
    };
    let mut value = Value::Object(message(tables, *root, raw, 0)?);
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
    Ok(value)
}

enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed(u64),
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(ProtobufError::Malformed)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Malformed)
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let length = usize::try_from(length).map_err(|_| ProtobufError::Malformed)?;
    let (taken, rest) = bytes
        .split_at_checked(length)
        .ok_or(ProtobufError::Malformed)?;
    *bytes = rest;
    Ok(taken)
}

/// The fields of a message with their numbers.
fn parts(mut bytes: &[u8]) -> Result<Vec<(u64, Part<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let part = match tag & 7 {
            0 => Part::Number(varint(&mut bytes)?),
            1 => Part::Fixed(little_endian(take(&mut bytes, 8)?)),
            2 => {
                let length = varint(&mut bytes)?;
                Part::Bytes(take(&mut bytes, length)?)
            }
            5 => Part::Fixed(little_endian(take(&mut bytes, 4)?)),
            _ => return Err(ProtobufError::Malformed),
        };
        found.push((tag >> 3, part));
    }
    Ok(found)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ProtobufError::Malformed)
}

fn message(tables: &Tables, at: usize, bytes: &[u8], depth: usize) -> Result<Map<String, Value>> {
    let known = tables.messages.get(at).ok_or(ProtobufError::Malformed)?;
    if depth > DEPTH {
        return Err(ProtobufError::Malformed);
    }
    let mut map = Map::new();
    for (number, part) in parts(bytes)? {
        let Some(field) = known.fields.get(&number) else {
            continue;
        };
        match field.label {
            Label::One => match field.kind {
                Kind::Inline(at) => {
                    if let Part::Bytes(bytes) = part {
                        map.extend(message(tables, at, bytes, depth + 1)?);
                    }
                }
                _ => {
                    let value = one(tables, field.kind, &part, depth)?;
                    map.insert(field.name.clone(), value);
                }
            },
            Label::Many => {
                let value = one(tables, field.kind, &part, depth)?;
                let list = map.entry(field.name.clone()).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(value);
                }
            }
            Label::Map => {
                let Part::Bytes(bytes) = part else {
                    return Err(ProtobufError::Malformed);
                };
                let (mut key, mut value) = (String::new(), Value::Null);
                for (number, part) in parts(bytes)? {
                    match (number, &part) {
                        (1, Part::Bytes(bytes)) => key = text(bytes)?,
                        (2, part) => value = one(tables, field.kind, part, depth)?,
                        _ => {}
                    }
                }
                if value.is_null() && matches!(field.kind, Kind::Text) {
                    value = "".into();
                }
                map.entry(field.name.clone()).or_insert_with(|| json!({}))[key] = value;
            }
        }
    }
    Ok(map)
}

fn one(tables: &Tables, kind: Kind, part: &Part<'_>, depth: usize) -> Result<Value> {
    Ok(match (kind, part) {
        (Kind::Text, Part::Bytes(bytes)) => text(bytes)?.into(),
        (Kind::Bytes, Part::Bytes(bytes)) => BASE64.encode(bytes).into(),
        (Kind::Bool, Part::Number(number)) => (*number != 0).into(),
        (Kind::Int, Part::Number(number)) => (*number as i64).into(),
        (Kind::Double, Part::Fixed(bits)) => f64::from_bits(*bits).into(),
        (Kind::Message(at) | Kind::Inline(at), Part::Bytes(bytes)) => {
            let known = tables.messages.get(at).ok_or(ProtobufError::Malformed)?;
            match known.special.as_str() {
                "" => Value::Object(message(tables, at, bytes, depth + 1)?),
                special => special_value(special, bytes)?,
            }
        }
        _ => return Err(ProtobufError::Malformed),
    })
}

fn special_value(name: &str, bytes: &[u8]) -> Result<Value> {
    let all = parts(bytes)?;
    let number = |wanted: u64| {
        all.iter().find_map(|(number, part)| match part {
            Part::Number(value) if *number == wanted => Some(*value as i64),
            _ => None,
        })
    };
    let blob = |wanted: u64| {
        all.iter().find_map(|(number, part)| match part {
            Part::Bytes(value) if *number == wanted => Some(*value),
            _ => None,
        })
    };
    Ok(match name {
        "Time" | "MicroTime" => {
            let (seconds, nanos) = (number(1), number(2).unwrap_or(0) as i32);
            let time = seconds.and_then(|seconds| Timestamp::new(seconds, nanos).ok());
            match time {
                // Go's zero time, or none at all.
                None => Value::Null,
                Some(time) if time.as_second() <= -62_135_596_800 => Value::Null,
                Some(time) if name == "Time" => time_text(time).into(),
                Some(time) => micro_time_text(time).into(),
            }
        }
        "Quantity" => text(blob(1).unwrap_or_default())?.into(),
        "IntOrString" => match number(1) {
            Some(1) => text(blob(3).unwrap_or_default())?.into(),
            _ => number(2).unwrap_or(0).into(),
        },
        "Duration" => duration_text(number(1).unwrap_or(0)).into(),
        _ => serde_json::from_slice(blob(1).unwrap_or(b"null"))
            .map_err(|_| ProtobufError::Malformed)?,
    })
}

/// Nanoseconds as Go writes a duration in whole seconds.
fn duration_text(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl create deployment web --image=nginx --replicas=2` sends.
    const DEPLOYMENT: &str = "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412ab010a1f0a03776562120\
        01a0022002a003200380042005a0a0a036170701203776562127a0802120c0a0a0a0361707012037765621a600a1c0a0012001a0022002a\
        003200380042005a0a0a036170701203776562124012220a056e67696e7812056e67696e782a0042006a0072008001008801009001\
        00a201001a0032004200 4a005200580060006800820100 8a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200";

    fn bytes(hex_text: &str) -> Vec<u8> {
        hex::decode(hex_text.replace(' ', "")).unwrap()
    }

    #[test]
    fn a_deployment_of_kubectl_is_read() {
        let value = read(&bytes(DEPLOYMENT)).unwrap();
        assert_eq!(
            (&value["apiVersion"], &value["kind"]),
            (&json!("apps/v1"), &json!("Deployment"))
        );
        assert_eq!(value["metadata"]["labels"], json!({"app": "web"}));
        assert_eq!(value["spec"]["replicas"], 2);
        let container = &value["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            (&container["name"], &container["image"]),
            (&json!("nginx"), &json!("nginx"))
        );
    }

    #[test]
    fn no_prefix_of_a_body_panics() {
        let whole = bytes(DEPLOYMENT);
        for end in 0..whole.len() {
            let _ = read(&whole[..end]);
        }
        assert_eq!(read(b"{}"), Err(ProtobufError::Malformed));
    }

    #[test]
    fn durations_read_as_in_go() {
        let texts =
            [0, 5, 65, 3600, 3665].map(|seconds: i64| duration_text(seconds * 1_000_000_000));
        assert_eq!(texts, ["0s", "5s", "1m5s", "1h0m0s", "1h1m5s"]);
    }
}
