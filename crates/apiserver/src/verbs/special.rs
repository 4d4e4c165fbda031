//! Resources that are not stored, and subresources that are more than a view of their object.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::delete::{self, DeleteOptions};
use super::{Call, Done, Outcome, body, read};
use crate::app::{App, time_text};
use crate::auth::{self, Claims, User};
use crate::objects;
use crate::random;
use crate::registry::Resource;
use crate::status::{Cause, Result, Status};

/// Shortest life of a token, seconds.
const TOKEN_MIN: i64 = 600;
/// Longest life of a token, seconds.
const TOKEN_MAX: i64 = 1 << 32;

/// Whether a resource has no objects of its own.
pub fn is_virtual(resource: &Resource) -> bool {
    matches!(
        resource.group.as_str(),
        "authentication.k8s.io" | "authorization.k8s.io"
    ) || (resource.group.is_empty()
        && matches!(resource.plural.as_str(), "bindings" | "componentstatuses"))
}

fn value(code: u16, value: Value) -> Result<Done> {
    Ok(Done {
        outcome: Outcome::Value(code, value),
        warnings: Vec::new(),
    })
}

/// Answers a request for a resource without objects.
///
/// # Errors
/// The Status of the answer.
pub fn virtual_resource(app: &App, call: &Call) -> Result<Done> {
    if call.resource.plural == "componentstatuses" {
        return match call.verb {
            crate::http::request::Verb::List => Ok(Done {
                outcome: Outcome::List(read::Listed {
                    objects: Vec::new(),
                    version: app.store.latest(),
                    next: None,
                    remaining: None,
                }),
                warnings: vec!["v1 ComponentStatus is deprecated in v1.19+".into()],
            }),
            _ => Err(Status::not_found("", "componentstatuses", call.name())),
        };
    }
    let mut review = super::typed_body(app, call)?;
    let status = match call.resource.plural.as_str() {
        "selfsubjectreviews" => auth::self_subject_review(&call.user),
        "tokenreviews" => {
            let token = review["spec"]["token"].as_str().unwrap_or_default();
            let asked: Vec<String> = review["spec"]["audiences"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let found = app.user_of_token(token);
            auth::token_review(found.as_ref().map(|(user, claims)| (user, claims)), &asked)
        }
        "selfsubjectaccessreviews" => {
            auth::self_subject_access_review(&app.rbac, &call.user, &review)?
        }
        "subjectaccessreviews" => auth::subject_access_review(&app.rbac, &review)?,
        "localsubjectaccessreviews" => {
            let namespace = call.namespace().unwrap_or_default();
            auth::local_subject_access_review(&app.rbac, namespace, &review)?
        }
        "selfsubjectrulesreviews" => {
            let status = auth::self_subject_rules_review(&app.rbac, &call.user, &review)?;
            review["spec"] = json!({});
            status
        }
        _ => return Err(Status::method_not_allowed()),
    };
    if !review["metadata"].is_object() {
        review["metadata"] = json!({});
    }
    let time = time_text(app.now());
    let manager = call.manager()?;
    match call.resource.plural.as_str() {
        "selfsubjectreviews" => review["metadata"]["creationTimestamp"] = time.into(),
        "selfsubjectrulesreviews" => {}
        _ => {
            let write = call.write(app, &manager)?;
            objects::track(&write, &mut review);
        }
    }
    review["status"] = status;
    value(201, review)
}

/// Answers a request for a subresource.
///
/// # Errors
/// The Status of the answer.
pub fn subresource(app: &App, call: &Call, name: &str) -> Result<Done> {
    match (call.resource.plural.as_str(), name) {
        ("serviceaccounts", "token") => token(app, call),
        ("pods", "eviction") => evict(app, call),
        ("pods", "binding") => bind(app, call),
        ("pods", "log") => {
            read::get(&call.resource, call.namespace(), call.name())?;
            Ok(Done {
                outcome: Outcome::Text(String::new()),
                warnings: Vec::new(),
            })
        }
        _ => Err(Status::generic(
            501,
            "NotImplemented",
            format!(
                "sluice's simulated nodes run no containers: {}/{name} is not available",
                call.resource.plural
            ),
        )),
    }
}

fn invalid_request(field: &str, message: String) -> Status {
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message,
        field: field.into(),
    };
    Status::invalid("authentication.k8s.io", "TokenRequest", "", vec![cause])
}

fn token(app: &App, call: &Call) -> Result<Done> {
    let account = read::get(&call.resource, call.namespace(), call.name())?;
    let mut request = body::value(&call.body, body::of(&call.content_type)?, "TokenRequest")?;
    let spec = &request["spec"];
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(3600);
    if seconds < TOKEN_MIN {
        let text =
            format!("Invalid value: {seconds}: may not specify a duration less than 10 minutes");
        return Err(invalid_request("spec.expirationSeconds", text));
    }
    if seconds > TOKEN_MAX {
        let text = format!("Too long: may not be more than {TOKEN_MAX} seconds");
        return Err(invalid_request("spec.expirationSeconds", text));
    }
    let mut audiences: Vec<String> = spec["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if audiences.is_empty() {
        audiences.push(auth::ISSUER.into());
    }
    let bound = bound_object(app, call, &spec["boundObjectRef"])?;
    let now = app.now();
    let namespace = account.namespace().unwrap_or_default().to_owned();
    let claims = Claims {
        namespace: namespace.clone(),
        name: account.name().into(),
        uid: account.uid.as_ref().into(),
        audiences: audiences.clone(),
        issued: now.as_second(),
        expires: now.as_second() + seconds,
        id: random::uid(),
        bound,
    };
    let time = time_text(now);
    let manager = call.manager()?;
    let write = call.write(app, &manager)?;
    objects::track(&write, &mut request);
    let managed = request["metadata"].get("managedFields").cloned();
    let mut metadata = json!({
        "name": account.name(), "namespace": namespace, "uid": &*account.uid, "creationTimestamp": time,
    });
    if let Some(managed) = managed {
        metadata["managedFields"] = managed;
    }
    let bound_text = request["spec"]
        .get("boundObjectRef")
        .cloned()
        .unwrap_or(Value::Null);
    let expires = time_text(now + SignedDuration::from_secs(seconds));
    value(
        201,
        json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata,
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound_text},
            "status": {"token": app.signer.sign(&claims), "expirationTimestamp": expires},
        }),
    )
}

/// The object that a token is bound to.
fn bound_object(
    app: &App,
    call: &Call,
    reference: &Value,
) -> Result<Option<(String, String, String)>> {
    if !reference.is_object() {
        return Ok(None);
    }
    let text = |key: &str| reference[key].as_str().unwrap_or_default();
    let (table, namespaced) = match text("kind") {
        "Pod" => ("pods", true),
        "Secret" => ("secrets", true),
        "Node" => ("nodes", false),
        kind => {
            let version = text("apiVersion");
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {version}, Kind={kind}"
            )));
        }
    };
    let namespace = call.namespace().filter(|_| namespaced);
    let found = app
        .store
        .table(table)
        .get(&crate::store::key(namespace, text("name")));
    let Some(found) = found else {
        return Err(Status::not_found("", table, text("name")));
    };
    let given = text("uid");
    if !given.is_empty() && given != &*found.uid {
        let why = format!(
            "the UID in the bound object reference ({given}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(Status::conflict("", table, text("name"), &why));
    }
    Ok(Some((
        text("kind").to_lowercase(),
        text("name").into(),
        found.uid.as_ref().into(),
    )))
}

fn evict(app: &App, call: &Call) -> Result<Done> {
    let eviction = body::value(&call.body, body::of(&call.content_type)?, "Eviction")?;
    let options = DeleteOptions::read(&eviction["deleteOptions"])?;
    let manager = call.manager()?;
    let mut write = call.write(app, &manager)?;
    write.subresource = "";
    crate::controllers::permit_eviction(app, write.namespace, write.name, write.dry_run)?;
    delete::delete(&mut write, &options)?;
    value(
        201,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    )
}

fn bind(app: &App, call: &Call) -> Result<Done> {
    let binding = body::value(&call.body, body::of(&call.content_type)?, "Binding")?;
    let node = binding["target"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let manager = call.manager()?;
    let mut write = call.write(app, &manager)?;
    write.subresource = "binding";
    let change = |pod: &mut Value| {
        if pod["spec"]["nodeName"]
            .as_str()
            .is_some_and(|name| !name.is_empty())
        {
            let why = format!(
                "pod {} is already assigned to node {}",
                call.name(),
                pod["spec"]["nodeName"]
            );
            return Err(Status::conflict("", "pods/binding", call.name(), &why));
        }
        pod["spec"]["nodeName"] = node.as_str().into();
        Ok(())
    };
    objects::change(&mut write, &change)?;
    value(
        201,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    )
}

impl App {
    /// The user of a bearer token that we signed, if its ServiceAccount and what it is bound to still exist.
    pub fn user_of_token(&self, token: &str) -> Option<(User, Claims)> {
        let claims = self.signer.check(token, self.now().as_second())?;
        let key = |name: &str| crate::store::key(Some(&claims.namespace), name);
        let account = self
            .store
            .table("serviceaccounts")
            .get(&key(&claims.name))?;
        if *account.uid != *claims.uid {
            return None;
        }
        if let Some((kind, name, uid)) = &claims.bound {
            let found = match kind.as_str() {
                "pod" => self.store.table("pods").get(&key(name)),
                "secret" => self.store.table("secrets").get(&key(name)),
                _ => self.store.table("nodes").get(name),
            };
            if *found?.uid != **uid {
                return None;
            }
        }
        let mut user = User::service_account(&claims.namespace, &claims.name, &claims.uid);
        let extra = |name: &str| format!("authentication.kubernetes.io/{name}");
        user.extra
            .insert(extra("credential-id"), vec![format!("JTI={}", claims.id)]);
        if let Some((kind, name, uid)) = claims.bound.as_ref().filter(|(kind, ..)| kind == "pod") {
            user.extra
                .insert(extra(&format!("{kind}-name")), vec![name.clone()]);
            user.extra
                .insert(extra(&format!("{kind}-uid")), vec![uid.clone()]);
        }
        Some((user, claims))
    }
}
