//! Admission webhooks.
//!
//! A webhook with a URL is called. One behind a Service is one of the pods here, which run nowhere: as long as the
//! Service has a ready endpoint it allows everything, and without one it cannot be reached, as on a real cluster.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::matching::Request;
use super::{policy, webhook_call};
use crate::objects::{self, Write};
use crate::random;
use crate::status::{Result, Status};
use crate::store::key;

const VALIDATING: &str = "validatingwebhookconfigurations.admissionregistration.k8s.io";
const MUTATING: &str = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
const SLICES: &str = "endpointslices.discovery.k8s.io";

/// Asks the validating webhooks.
///
/// # Errors
/// What one answers, or that it cannot be reached.
pub(super) fn check(request: &Request<'_>, warnings: &mut Vec<String>) -> Result<()> {
    for hook in hooks(request.write, VALIDATING) {
        if concerns(request, &hook)? {
            ask(request, &hook, warnings)?;
        }
    }
    Ok(())
}

/// Lets the mutating webhooks change an object.
///
/// # Errors
/// What one answers, or that it cannot be reached.
pub(super) fn change(
    write: &Write<'_>,
    value: &mut Value,
    old: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    for hook in hooks(write, MUTATING) {
        let request = Request::of(write, Some(value), old);
        if !concerns(&request, &hook)? {
            continue;
        }
        let Some(patch) = ask(&request, &hook, warnings)? else {
            continue;
        };
        let mut document = value.clone();
        let changed = json_patch::patch(&mut document, &patch)
            .map_err(|error| error.to_string())
            .and_then(|()| objects::reread(write.resource, document));
        *value = changed.map_err(Status::internal)?;
    }
    Ok(())
}

/// All webhooks, in the order in which they are called.
fn hooks(write: &Write<'_>, table: &str) -> Vec<Value> {
    let table = write.app.store.table(table);
    if table.is_empty() {
        return Vec::new();
    }
    let all = table.all();
    all.iter()
        .filter_map(|configuration| configuration.value()["webhooks"].as_array().cloned())
        .flatten()
        .collect()
}

fn name(hook: &Value) -> &str {
    hook["name"].as_str().unwrap_or_default()
}

fn is_tolerant(hook: &Value) -> bool {
    hook["failurePolicy"] == "Ignore"
}

/// Whether a webhook is to be asked.
fn concerns(request: &Request<'_>, hook: &Value) -> Result<bool> {
    let ruled = hook["rules"]
        .as_array()
        .is_some_and(|rules| !rules.is_empty());
    if !ruled || request.is_exempt() || !request.matches(hook, "rules") {
        return Ok(false);
    }
    match policy::conditions(request, hook) {
        Ok(hold) => Ok(hold),
        Err(_) if is_tolerant(hook) => Ok(false),
        Err(why) => {
            let resource = request.write.resource;
            Err(Status::forbidden(
                &resource.group,
                &resource.plural,
                request.name(),
                &why,
            ))
        }
    }
}

/// Asks one webhook; the patch that it wants.
fn ask(
    request: &Request<'_>,
    hook: &Value,
    warnings: &mut Vec<String>,
) -> Result<Option<json_patch::Patch>> {
    let unreachable = |why: String| {
        let text = format!("failed calling webhook {:?}: {why}", name(hook));
        Status::internal(text)
    };
    let answer = match call(request, hook) {
        Ok(answer) => answer,
        Err(_) if is_tolerant(hook) => return Ok(None),
        Err(why) => return Err(unreachable(why)),
    };
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        warnings.extend(warning.as_str().map(str::to_owned));
    }
    if answer["allowed"] != true {
        return Err(denied(hook, &answer["status"]));
    }
    let Some(patch) = answer["patch"].as_str().filter(|patch| !patch.is_empty()) else {
        return Ok(None);
    };
    let bytes = BASE64.decode(patch).map_err(|error| error.to_string());
    let read =
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    match read {
        Ok(patch) => Ok(Some(patch)),
        Err(_) if is_tolerant(hook) => Ok(None),
        Err(why) => Err(unreachable(format!(
            "received invalid webhook response: webhook returned response.patch that is no JSON patch: {why}"
        ))),
    }
}

fn denied(hook: &Value, status: &Value) -> Status {
    let start = format!("admission webhook {:?} denied the request", name(hook));
    let text = |name: &str| status[name].as_str().filter(|text| !text.is_empty());
    let message = match text("message").or(text("reason")) {
        Some(why) => format!("{start}: {why}"),
        None => format!("{start} without explanation"),
    };
    let code = status["code"].as_u64().unwrap_or(0);
    let reason = match text("reason") {
        Some("Forbidden") => "Forbidden",
        Some("BadRequest") => "BadRequest",
        Some("Invalid") => "Invalid",
        Some("Conflict") => "Conflict",
        Some("NotFound") => "NotFound",
        Some("Unauthorized") => "Unauthorized",
        Some("TooManyRequests") => "TooManyRequests",
        Some("InternalError") => "InternalError",
        _ => "",
    };
    Status {
        code: u16::try_from(code.max(400)).unwrap_or(400),
        reason,
        message,
        details: status.get("details").cloned(),
        warnings: Vec::new(),
    }
}

/// The response of a webhook. Err where there is none.
fn call(request: &Request<'_>, hook: &Value) -> Result<Value, String> {
    let client = &hook["clientConfig"];
    let seconds = hook["timeoutSeconds"].as_u64().unwrap_or(10).clamp(1, 30);
    let Some(url) = client["url"].as_str() else {
        return reach(request, &client["service"], seconds)
            .map_err(|why| format!("failed to call webhook: {why}"));
    };
    let uid = random::uid();
    let mut asked = policy::review(request);
    asked["uid"] = uid.as_str().into();
    asked["object"] = request.object.cloned().unwrap_or_default();
    asked["oldObject"] = request.old.cloned().unwrap_or_default();
    let review =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked});
    let bundle = client["caBundle"].as_str().unwrap_or_default();
    let ca = BASE64.decode(bundle).unwrap_or_default();
    let call = webhook_call::Call {
        url,
        ca: &ca,
        body: review.to_string(),
        seconds,
    };
    let answer = call
        .post()
        .map_err(|why| format!("failed to call webhook: {why}"))?;
    let response = &answer["response"];
    let invalid = |why: String| Err(format!("received invalid webhook response: {why}"));
    let given = response["uid"].as_str().unwrap_or_default();
    if answer["kind"] != "AdmissionReview" || answer["apiVersion"] != "admission.k8s.io/v1" {
        return invalid(format!(
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {}, Kind={}",
            answer["apiVersion"].as_str().unwrap_or_default(),
            answer["kind"].as_str().unwrap_or_default()
        ));
    }
    if given != uid {
        return invalid(format!("expected response.uid={uid:?}, got {given:?}"));
    }
    Ok(response.clone())
}

/// The answer of a webhook behind a Service.
fn reach(request: &Request<'_>, service: &Value, seconds: u64) -> Result<Value, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text(&service["namespace"]), text(&service["name"]));
    let path = match text(&service["path"]).as_str() {
        "" => "/".to_owned(),
        path => path.to_owned(),
    };
    let port = service["port"].as_i64().unwrap_or(443);
    let address = format!("https://{name}.{namespace}.svc:{port}{path}?timeout={seconds}s");
    let failed = |why: String| format!("Post {address:?}: {why}");
    let store = &request.write.app.store;
    if store
        .table("services")
        .get(&key(Some(&namespace), &name))
        .is_none()
    {
        return Err(failed(format!("service {name:?} not found")));
    }
    let slices = store.table(SLICES);
    let slices = slices.list(&format!("{namespace}/"), None, None);
    let ready = slices
        .map(|all| all.objects)
        .unwrap_or_default()
        .iter()
        .filter(|slice| slice.label("kubernetes.io/service-name") == Some(&name))
        .any(|slice| {
            let value = slice.value();
            let mut endpoints = value["endpoints"].as_array().into_iter().flatten();
            endpoints.any(|endpoint| endpoint["conditions"]["ready"] != false)
        });
    if ready {
        return Ok(json!({"allowed": true}));
    }
    Err(failed(format!(
        "no endpoints available for service {name:?}"
    )))
}
