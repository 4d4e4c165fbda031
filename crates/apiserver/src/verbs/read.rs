//! Get, list and the start of a watch.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::selector::Selector;
use crate::app::App;
use crate::http::request::Query;
use crate::registry::Resource;
use crate::status::{Cause, Result, Status};
use crate::store::{Object, key};

/// One object.
///
/// # Errors
/// 404.
pub fn get(resource: &Resource, namespace: Option<&str>, name: &str) -> Result<Arc<Object>> {
    let object_key = key(namespace.filter(|_| resource.namespaced), name);
    let found = resource.table.get(&object_key);
    found.ok_or_else(|| Status::not_found(&resource.group, &resource.plural, name))
}

/// The answer to a list.
pub struct Listed {
    /// The objects of this page.
    pub objects: Vec<Arc<Object>>,
    /// The version of the whole list.
    pub version: u64,
    /// Where the next page starts.
    pub next: Option<String>,
    /// How many objects come behind this page, where that is known.
    pub remaining: Option<usize>,
}

/// A `continue` token: the version of the list and the key of the last object of the page.
fn token(version: u64, last: &str) -> String {
    BASE64.encode(
        json!({"v": "meta.k8s.io/v1", "rv": version, "start": format!("{last}\0")}).to_string(),
    )
}

fn read_token(text: &str) -> Option<(i64, String)> {
    let value: Value = serde_json::from_slice(&BASE64.decode(text).ok()?).ok()?;
    let start = value["start"].as_str()?.trim_end_matches('\0').to_owned();
    Some((value["rv"].as_i64()?, start))
}

/// The requested version, if one is.
fn requested_version(text: Option<&str>) -> Result<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    let version = text.parse::<u64>().map_err(|error| {
        let why = match error.kind() {
            std::num::IntErrorKind::PosOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: {why}"))
    });
    version.map(Some)
}

fn invalid_options(field: &str, message: &str, reason: &str) -> Status {
    let cause = Cause {
        reason: reason.into(),
        message: message.into(),
        field: field.into(),
    };
    Status::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
}

/// The objects of one namespace or of all.
///
/// # Errors
/// 400, 410, 422 or 504 for versions and tokens that do not fit.
pub fn list(
    app: &App,
    resource: &Resource,
    namespace: Option<&str>,
    selector: &Selector,
    query: &Query,
) -> Result<Listed> {
    let limit = query
        .get("limit")
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(0);
    let mut asked = requested_version(query.get("resourceVersion"))?;
    let exact = match query.get("resourceVersionMatch") {
        None => false,
        Some(_) if asked.is_none() => {
            let message =
                "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
            return Err(invalid_options(
                "resourceVersionMatch",
                message,
                "FieldValueForbidden",
            ));
        }
        Some("Exact") if asked == Some(0) => {
            let message =
                "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return Err(invalid_options(
                "resourceVersionMatch",
                message,
                "FieldValueForbidden",
            ));
        }
        Some("Exact") => true,
        Some("NotOlderThan") => false,
        Some(other) => {
            let message = format!(
                "Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""
            );
            return Err(invalid_options(
                "resourceVersionMatch",
                &message,
                "FieldValueNotSupported",
            ));
        }
    };
    let prefix = match namespace.filter(|_| resource.namespaced) {
        Some(namespace) => format!("{namespace}/"),
        None => String::new(),
    };
    let mut after = None;
    let mut at = None;
    if let Some(text) = query.get("continue") {
        let (version, start) = read_token(text)
            .ok_or_else(|| Status::bad_request("invalid continue token: continue key is not valid: illegal base64 data at input byte 0"))?;
        if asked.is_some_and(|asked| asked != 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        asked = None;
        after = Some(start);
        at = u64::try_from(version).ok();
    } else if exact {
        at = asked;
    }
    let latest = app.store.latest();
    if let Some(too_large) = asked.or(at).filter(|asked| *asked > latest) {
        return Err(Status::version_too_large(too_large, latest));
    }
    let found = resource.table.list(&prefix, after.as_deref(), Some(at.unwrap_or(latest))).map_err(|_| {
        if after.is_some() {
            Status::gone(
                "The provided continue parameter is too old to display a consistent list result. You can start a new \
                 list without the continue parameter, or use the continue token in this response to retrieve the \
                 remainder of the results. Continuing with the provided token results in an inconsistent list - \
                 objects that were created, modified, or deleted between the time the first chunk was returned and \
                 now may show up in the list.",
            )
        } else {
            Status::gone("The resourceVersion for the provided list is too old.")
        }
    })?;
    let version = at.unwrap_or(latest);
    if limit == 0 {
        let objects = found
            .objects
            .into_iter()
            .filter(|object| selector.matches(object))
            .collect();
        return Ok(Listed {
            objects,
            version,
            next: None,
            remaining: None,
        });
    }
    let total = found.objects.len();
    let mut objects = Vec::new();
    let mut seen = 0;
    for object in found.objects {
        if objects.len() == limit {
            break;
        }
        seen += 1;
        if selector.matches(&object) {
            objects.push(object);
        }
    }
    if seen == total {
        return Ok(Listed {
            objects,
            version,
            next: None,
            remaining: None,
        });
    }
    let next = objects
        .last()
        .map(|last: &Arc<Object>| token(version, &last.key));
    let remaining = selector.is_empty().then_some(total - seen);
    Ok(Listed {
        objects,
        version,
        next,
        remaining,
    })
}

/// What a watch sends before the first change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initial {
    /// Nothing: the client knows everything up to a version.
    Nothing,
    /// Every object there is, as added.
    Objects,
    /// The same, and a bookmark that says so.
    ObjectsAndBookmark,
}

/// The start of a watch.
pub struct WatchStart {
    /// What is sent first.
    pub initial: Initial,
    /// Changes after this version follow.
    pub after: u64,
    /// Whether bookmarks are wanted.
    pub bookmarks: bool,
    /// Seconds until the server ends it.
    pub timeout: Option<u64>,
    /// Which objects.
    pub selector: Selector,
    /// Keys start with this.
    pub prefix: String,
}

/// Reads the options of a watch.
///
/// # Errors
/// 400, 422 or 504. A version that is too old is an event of the watch instead.
pub fn watch(
    app: &App,
    resource: &Resource,
    namespace: Option<&str>,
    selector: Selector,
    query: &Query,
) -> Result<WatchStart> {
    let asked = requested_version(query.get("resourceVersion"))?;
    let bookmarks = query.flag("allowWatchBookmarks");
    let streaming = query
        .get("sendInitialEvents")
        .map(|_| query.flag("sendInitialEvents"));
    let matching = query.get("resourceVersionMatch");
    match (streaming, matching) {
        (Some(_), Some("NotOlderThan")) | (None, None) => {}
        (Some(_), _) => {
            let message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(invalid_options(
                "resourceVersionMatch",
                message,
                "FieldValueForbidden",
            ));
        }
        (None, Some(_)) => {
            let message = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(invalid_options(
                "resourceVersionMatch",
                message,
                "FieldValueForbidden",
            ));
        }
    }
    let latest = app.store.latest();
    if let Some(asked) = asked.filter(|asked| *asked > latest) {
        return Err(Status::version_too_large(asked, latest));
    }
    let initial = match (streaming, asked) {
        (Some(true), _) if bookmarks => Initial::ObjectsAndBookmark,
        (Some(true), _) | (None, None | Some(0)) => Initial::Objects,
        (Some(false), _) | (None, Some(_)) => Initial::Nothing,
    };
    let after = match asked {
        Some(version) if version > 0 && initial == Initial::Nothing => version,
        _ => latest,
    };
    let prefix = match namespace.filter(|_| resource.namespaced) {
        Some(namespace) => format!("{namespace}/"),
        None => String::new(),
    };
    let timeout = query
        .get("timeoutSeconds")
        .and_then(|text| text.parse().ok());
    Ok(WatchStart {
        initial,
        after,
        bookmarks,
        timeout,
        selector,
        prefix,
    })
}
