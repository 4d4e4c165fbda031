//! What the server has: versions, groups, resources, health.

mod documents;
mod gnostic;
mod openapi;

use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, LOCATION, VARY,
};
use http::{Method, Response};
use serde_json::json;

use crate::app::App;
use crate::http::accept;
use crate::http::request::Query;
use crate::http::respond::{self, Body, Wanted};
use crate::status::Status;

/// Answers a request for a path that names no resource.
pub fn answer(
    app: &App,
    method: &Method,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
    wanted: &Wanted,
) -> Response<Body> {
    if *method != Method::GET && *method != Method::HEAD {
        return respond::status(&Status::method_not_allowed(), wanted);
    }
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let trimmed = path.trim_end_matches('/');
    let parts: Vec<&str> = trimmed.split('/').skip(1).collect();
    let json = |value: serde_json::Value| respond::document(200, value.to_string(), wanted);
    let index = app.registry.index();
    match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => respond::text(200, "ok"),
        ["version"] => {
            let text = serde_json::to_string_pretty(&documents::version());
            respond::document(200, text.unwrap_or_default(), wanted)
        }
        ["api"] | ["apis"] => {
            let core = parts == ["api"];
            if let Some(version) = aggregated(accept) {
                let text = documents::aggregated(&index, core, version).to_string();
                let mut response = respond::document(200, text, wanted);
                let kind = format!(
                    "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
                );
                if let Ok(value) = HeaderValue::from_str(&kind) {
                    response.headers_mut().insert(CONTENT_TYPE, value);
                }
                response
            } else if core {
                json(documents::core_versions(app))
            } else {
                json(documents::group_list(&index))
            }
        }
        ["api", version] => match documents::resource_list(&index, "", version) {
            Some(list) => json(list),
            None => not_found(),
        },
        ["apis", group] => match documents::group(&index, group) {
            Some(found) => json(found),
            None => not_found(),
        },
        ["apis", group, version] => match documents::resource_list(&index, group, version) {
            Some(list) => json(list),
            None => not_found(),
        },
        [".well-known", "openid-configuration"] => json(json!({
            "issuer": crate::auth::ISSUER,
            "jwks_uri": format!("https://{}/openid/v1/jwks", app.address),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })),
        ["openid", "v1", "jwks"] => json(app.signer.key_set()),
        ["openapi", "v3"] => json(openapi::index(&index)),
        ["openapi", "v3", rest @ ..] => match openapi::v3(&index, &rest.join("/")) {
            Some(found) => document(&found, query.get("hash"), path, headers, wanted),
            None => respond::text(404, ""),
        },
        ["openapi", "v2"]
            if accept.contains("protobuf")
                && !accept.contains("json")
                && !accept.contains("*/*") =>
        {
            let mut found = openapi::v2(&index);
            let value = serde_json::from_slice(&found.text).unwrap_or_default();
            found.text = gnostic::encode(&value).into();
            let mut response = document(&found, None, path, headers, wanted);
            let kind = HeaderValue::from_static(gnostic::MEDIA_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        ["openapi", "v2"] => document(&openapi::v2(&index), None, path, headers, wanted),
        [""] | [] => json(documents::paths(&index)),
        _ => not_found(),
    }
}

/// An OpenAPI document: by its hash it never changes, with another hash the client is sent to the right one.
fn document(
    found: &openapi::Document,
    asked: Option<&str>,
    path: &str,
    headers: &HeaderMap,
    wanted: &Wanted,
) -> Response<Body> {
    let etag = format!("\"{}\"", found.hash);
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let moved = asked.is_some_and(|asked| asked != found.hash);
    let mut response = if moved {
        let mut response = respond::text(301, "");
        if let Ok(value) = HeaderValue::from_str(&format!("{path}?hash={}", found.hash)) {
            response.headers_mut().insert(LOCATION, value);
        }
        response
    } else if known.is_some_and(|known| known.contains(&etag)) {
        respond::text(304, "")
    } else {
        let packed = wanted.gzip.then(|| respond::gzip(&found.text)).flatten();
        let mut response = respond::text(200, "");
        if packed.is_some() {
            response
                .headers_mut()
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = respond::full(packed.unwrap_or_else(|| found.text.to_vec()));
        response
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding, Accept"));
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, value);
    }
    let caching = if asked.is_some() && !moved {
        "public, immutable, max-age=31536000"
    } else {
        "no-cache, private"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

fn not_found() -> Response<Body> {
    respond::text(404, "404 page not found\n")
}

/// The version of aggregated discovery that the client wants most, if it wants that more than the plain documents.
fn aggregated(accept: &str) -> Option<&'static str> {
    for range in accept::ranges(accept) {
        if range.media == "application/json" && range.parameter("as") == "APIGroupDiscoveryList" {
            match range.parameter("v") {
                "v2" => return Some("v2"),
                "v2beta1" => return Some("v2beta1"),
                _ => {}
            }
        } else if matches!(range.media, "application/json" | "*/*")
            && range.parameter("as").is_empty()
        {
            return None;
        }
    }
    None
}
