//! Answers: objects, lists and errors in the representation that the client wants.

use std::convert::Infallible;
use std::io::Write as _;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY, WARNING,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::accept::{Encoding, Representation, Shape};
use crate::objects::convert;
use crate::registry::Resource;
use crate::status::Status;
use crate::store::Object;
use crate::table;
use crate::verbs::read::Listed;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Answers from this size are compressed where the client can read that, as by the real server.
const COMPRESS_FROM: usize = 128 << 10;

/// What the client said about the form of the answer.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Shape and encoding.
    pub representation: Representation,
    /// Whether gzip is understood.
    pub gzip: bool,
    /// Whether JSON is to be indented.
    pub pretty: bool,
    /// `includeObject` of a Table.
    pub include: table::Include,
    /// The time that ages are counted to.
    pub now: Timestamp,
}

impl Wanted {
    /// Plain JSON.
    pub fn json(now: Timestamp) -> Self {
        let representation = Representation {
            shape: Shape::Whole,
            encoding: Encoding::Json,
        };
        Wanted {
            representation,
            gzip: false,
            pretty: false,
            include: table::Include::Metadata,
            now,
        }
    }
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// Plain text.
pub fn text(code: u16, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(full(text.into()));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// An error.
pub fn status(status: &Status, wanted: &Wanted) -> Response<Body> {
    let retry = status.retry_after();
    let mut response = document(status.code, status.to_value().to_string(), wanted);
    if let Some(seconds) = retry {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A JSON text in the wanted encoding.
pub fn document(code: u16, text: String, wanted: &Wanted) -> Response<Body> {
    let encoding = wanted.representation.encoding;
    let text = match encoding {
        Encoding::Yaml => yaml(&text),
        Encoding::Json if wanted.pretty => serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|value| serde_json::to_string_pretty(&value).ok())
            .unwrap_or(text),
        Encoding::Json => text,
    };
    let compress = wanted.gzip && text.len() >= COMPRESS_FROM;
    let packed = compress.then(|| gzip(text.as_bytes())).flatten();
    let is_packed = packed.is_some();
    let mut response = Response::new(full(packed.map_or_else(|| Bytes::from(text), Bytes::from)));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = match encoding {
        Encoding::Json => "application/json",
        Encoding::Yaml => "application/yaml",
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

/// Compresses fast rather than small.
pub fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(
        Vec::with_capacity(bytes.len() / 8),
        flate2::Compression::fast(),
    );
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// A JSON text as YAML.
fn yaml(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    sluice_yaml::to_string(&value).unwrap_or_default()
}

/// Adds the `Warning` headers.
pub fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    for text in warnings {
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let quoted = clean.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append(WARNING, value);
        }
    }
}

/// One object.
pub fn object(resource: &Resource, object: &Object, wanted: &Wanted) -> String {
    match wanted.representation.shape {
        Shape::Whole => convert::text(resource, object).into_owned(),
        Shape::Metadata => metadata_only(object),
        Shape::Table => {
            let value = convert::from_storage(resource, object);
            let mut shown = table::of(resource, &[value], wanted.include, wanted.now);
            shown["metadata"] = json!({"resourceVersion": object.version.to_string()});
            shown.to_string()
        }
    }
}

/// The metadata of an object as an object of its own.
pub fn metadata_only(object: &Object) -> String {
    format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{}}}",
        object.metadata()
    )
}

/// Many objects.
pub fn list(resource: &Resource, listed: &Listed, wanted: &Wanted) -> String {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), listed.version.to_string().into());
    if let Some(next) = &listed.next {
        metadata.insert("continue".into(), next.as_str().into());
    }
    if let Some(remaining) = listed.remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    let metadata = Value::Object(metadata);
    let shape = wanted.representation.shape;
    if shape == Shape::Table {
        let values: Vec<Value> = listed
            .objects
            .iter()
            .map(|object| convert::from_storage(resource, object))
            .collect();
        let mut shown = table::of(resource, &values, wanted.include, wanted.now);
        shown["metadata"] = metadata;
        return shown.to_string();
    }
    let (kind, version) = match shape {
        Shape::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1"),
        _ => (resource.list_kind.as_str(), resource.api_version.as_str()),
    };
    let size: usize = listed
        .objects
        .iter()
        .map(|object| object.json().len() + 1)
        .sum();
    let mut out = String::with_capacity(size + 256);
    out.push_str(&format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
        Value::from(kind),
        Value::from(version)
    ));
    for (at, object) in listed.objects.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if shape == Shape::Metadata {
            out.push_str(&metadata_only(object));
        } else if resource.custom.is_some() {
            out.push_str(&convert::text(resource, object));
        } else {
            // The items of a typed list carry no type of their own.
            let text = convert::text(resource, object);
            let body = text
                .find("\"metadata\":")
                .map_or(&*text, |start| &text[start..]);
            out.push('{');
            out.push_str(body);
        }
    }
    out.push_str("]}");
    out
}
