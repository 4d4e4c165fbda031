//! OpenAPI v2 in the protobuf encoding that kubectl asks for (`openapi.v2.Document`): the definitions, and what each
//! operation takes and is. Parameters and responses, which no client of this encoding reads, are left out.

use serde_json::{Map, Value};

/// The media type of a request; an answer has its `@` replaced, as a media type may not have one.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Encodes a document.
pub fn encode(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    out.message(2, &info);
    let mut paths = Message::default();
    for (path, item) in members(&document["paths"]) {
        paths.named(2, path, &path_item(item));
    }
    out.message(8, &paths);
    let mut definitions = Message::default();
    for (name, definition) in members(&document["definitions"]) {
        definitions.named(1, name, &schema(definition));
    }
    out.message(9, &definitions);
    out.0
}

fn path_item(item: &Value) -> Message {
    let mut out = Message::default();
    for (number, method) in [
        (2, "get"),
        (3, "put"),
        (4, "post"),
        (5, "delete"),
        (6, "options"),
        (7, "head"),
        (8, "patch"),
    ] {
        if let Some(found) = item.get(method) {
            out.message(number, &operation(found));
        }
    }
    out
}

fn operation(operation: &Value) -> Message {
    let mut out = Message::default();
    out.texts(1, &operation["tags"]);
    out.text(3, &operation["description"]);
    out.text(5, &operation["operationId"]);
    out.texts(6, &operation["produces"]);
    out.texts(7, &operation["consumes"]);
    out.texts(10, &operation["schemes"]);
    out.extensions(13, operation);
    out
}

/// What a schema says of a value, and the schemas in it.
fn schema(schema: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &schema["$ref"]);
    out.text(2, &schema["format"]);
    out.text(3, &schema["title"]);
    out.text(4, &schema["description"]);
    if let Some(default) = schema.get("default") {
        out.any(5, default);
    }
    out.double(7, &schema["maximum"]);
    out.double(9, &schema["minimum"]);
    out.integer(11, &schema["maxLength"]);
    out.integer(12, &schema["minLength"]);
    out.text(13, &schema["pattern"]);
    out.integer(14, &schema["maxItems"]);
    out.integer(15, &schema["minItems"]);
    out.texts(19, &schema["required"]);
    for value in schema["enum"].as_array().into_iter().flatten() {
        out.any(20, value);
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(allowed)) => {
            let mut item = Message::default();
            item.varint_field(2, u64::from(*allowed));
            out.message(21, &item);
        }
        Some(found) => {
            let mut item = Message::default();
            item.message(1, &self::schema(found));
            out.message(21, &item);
        }
        None => {}
    }
    if schema["type"].is_string() {
        let mut item = Message::default();
        item.text(1, &schema["type"]);
        out.message(22, &item);
    }
    if let Some(items) = schema.get("items") {
        let mut item = Message::default();
        item.message(1, &self::schema(items));
        out.message(23, &item);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        out.message(24, &self::schema(part));
    }
    if schema["properties"].is_object() {
        let mut properties = Message::default();
        for (name, property) in members(&schema["properties"]) {
            properties.named(1, name, &self::schema(property));
        }
        out.message(25, &properties);
    }
    out.extensions(31, schema);
    out
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// The bytes of a message. Empty texts are left out, as the encoding does.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint_field(&mut self, number: u64, value: u64) {
        self.varint(number << 3);
        self.varint(value);
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, number: u64, message: &Message) {
        self.bytes(number, &message.0);
    }

    fn text(&mut self, number: u64, value: &Value) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn texts(&mut self, number: u64, values: &Value) {
        for value in values.as_array().into_iter().flatten() {
            self.text(number, value);
        }
    }

    fn integer(&mut self, number: u64, value: &Value) {
        if let Some(value) = value.as_u64().filter(|value| *value != 0) {
            self.varint_field(number, value);
        }
    }

    fn double(&mut self, number: u64, value: &Value) {
        if let Some(value) = value.as_f64().filter(|value| *value != 0.0) {
            self.varint(number << 3 | 1);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// An entry of a map: its name and its value.
    fn named(&mut self, number: u64, name: &str, value: &Message) {
        let mut entry = Message::default();
        entry.bytes(1, name.as_bytes());
        entry.message(2, value);
        self.message(number, &entry);
    }

    /// Any value, as YAML, of which JSON is a part.
    fn any(&mut self, number: u64, value: &Value) {
        self.message(number, &any(value));
    }

    /// The `x-` members of an object.
    fn extensions(&mut self, number: u64, object: &Value) {
        for (name, value) in members(object).filter(|(name, _)| name.starts_with("x-")) {
            self.named(number, name, &any(value));
        }
    }
}

fn any(value: &Value) -> Message {
    let mut out = Message::default();
    out.bytes(2, format!("{value}\n").as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_is_encoded_with_the_numbers_of_the_published_message() {
        let document = json!({
            "definitions": {"A": {"type": "object", "properties": {"b": {"$ref": "#/c"}}, "x-d": [1]}},
        });
        // The definition: its type, its properties, its extension.
        let property = [&[0x0a, 1, b'b', 0x12, 5, 0x0a, 3][..], b"#/c"].concat();
        let properties = [&[0x0a, property.len() as u8][..], &property].concat();
        let extension = [&[0x0a, 3][..], b"x-d", &[0x12, 6, 0x12, 4], b"[1]\n"].concat();
        let schema = [
            &[0xb2, 1, 8, 0x0a, 6][..],
            b"object",
            &[0xca, 1, properties.len() as u8],
            &properties,
            &[0xfa, 1, extension.len() as u8],
            &extension,
        ]
        .concat();
        let entry = [&[0x0a, 1, b'A', 0x12, schema.len() as u8][..], &schema].concat();
        let definitions = [&[0x0a, entry.len() as u8][..], &entry].concat();
        let expected = [
            &[0x12, 0, 0x42, 0, 0x4a, definitions.len() as u8][..],
            &definitions,
        ]
        .concat();
        assert_eq!(encode(&document), expected);
    }
}
