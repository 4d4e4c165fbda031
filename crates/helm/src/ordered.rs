//! JSON whose fields keep the order of Helm's structs, written as Go writes it.

use serde_json::Value as Json;

use crate::funcs::{JsonHtml, JsonLayout, encode_json};
use crate::values::to_template;

/// A JSON value with ordered fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ordered {
    /// A value whose maps are sorted by key, as Go's maps are.
    Plain(Json),
    /// A list.
    List(Vec<Ordered>),
    /// A struct.
    Struct(Vec<(&'static str, Ordered)>),
}

impl From<&str> for Ordered {
    fn from(text: &str) -> Self {
        Ordered::Plain(Json::String(text.to_owned()))
    }
}

impl Ordered {
    /// Converts to plain JSON; the order is lost.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Ordered::Plain(json) => json.clone(),
            Ordered::List(items) => Json::Array(items.iter().map(Ordered::to_json).collect()),
            Ordered::Struct(fields) => Json::Object(
                fields
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.to_json()))
                    .collect(),
            ),
        }
    }

    /// Writes compact JSON with Go's escapes.
    pub(crate) fn text(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Ordered::Plain(json) => {
                let text = encode_json(
                    &to_template(json),
                    JsonLayout::Compact,
                    JsonHtml::Escape,
                    usize::MAX,
                );
                // JSON holds neither cycles nor numbers that are none.
                out.extend_from_slice(&text.unwrap_or_default());
            }
            Ordered::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Ordered::Struct(fields) => {
                out.push(b'{');
                for (i, (key, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.push(b'"');
                    out.extend_from_slice(key.as_bytes());
                    out.extend_from_slice(b"\":");
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}
