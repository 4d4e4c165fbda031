//! What the server has: versions, groups, resources, health.

mod documents;

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response};
use serde_json::json;

use crate::app::App;
use crate::http::accept;
use crate::http::respond::{self, Body, Wanted};
use crate::status::Status;

/// Answers a request for a path that names no resource.
pub fn answer(
    app: &App,
    method: &Method,
    path: &str,
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
        ["version"] => json(documents::version()),
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
        [""] | [] => json(documents::paths(&index)),
        _ => not_found(),
    }
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
