//! A cluster behind an API server.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use sluice_api::inventory::ObjectId;
use sluice_api::key;
use sluice_objects::object::Gvk;

use super::admission::Policies;
use super::mapper::{Mapper, Resource};
use super::watch::Observer;
use super::{Answer, Guard, Mode, Refusal, Scope, Target};
use crate::plan::{Admission, Seen};

/// Longest time that one request may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Largest answer that is read.
const MAX_ANSWER: usize = 64 << 20;
/// A resource version that no object has: an apply with it can only create.
const NO_VERSION: &str = "1";

/// As whom requests are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// As whom the connection was made.
    Own,
    /// As a ServiceAccount: `system:serviceaccount:<namespace>:<name>`.
    User(String),
}

impl Identity {
    /// A ServiceAccount of a namespace.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::User(format!("system:serviceaccount:{namespace}:{name}"))
    }
}

/// An API server, used with one identity. All identities share the connections of `client`; the
/// identity is a header on each request. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    client: Client,
    user: Option<HeaderValue>,
    mapper: Arc<Mapper>,
    /// Watches and what they know; `None` for clusters that are not watched.
    observer: Option<Arc<Observer>>,
    policies: Option<Arc<Policies>>,
}

impl Live {
    /// A cluster without watches, with the identity of the connection.
    pub fn new(client: Client, mapper: Arc<Mapper>) -> Self {
        Self {
            client,
            user: None,
            mapper,
            observer: None,
            policies: None,
        }
    }

    /// The same cluster, watched.
    pub fn watched(self, observer: Arc<Observer>, policies: Arc<Policies>) -> Self {
        Self {
            observer: Some(observer),
            policies: Some(policies),
            ..self
        }
    }

    /// The same cluster as somebody else.
    ///
    /// # Errors
    /// A name that cannot be a header.
    pub fn with_identity(self, identity: &Identity) -> Result<Self, Refusal> {
        let user = match identity {
            Identity::Own => None,
            Identity::User(name) => Some(
                HeaderValue::from_str(name)
                    .map_err(|_| Refusal::local(format!("`{name}` cannot be impersonated")))?,
            ),
        };
        Ok(Self { user, ..self })
    }

    /// The kinds of this cluster.
    pub fn mapper(&self) -> &Arc<Mapper> {
        &self.mapper
    }

    /// Takes over what an own write left.
    fn learn(&self, gvk: &Gvk, live: &Value) {
        if gvk.group == "apiextensions.k8s.io" && gvk.kind == "CustomResourceDefinition" {
            self.mapper.learn(live);
        }
        if let Some(observer) = &self.observer {
            observer.learn(gvk, live);
        }
    }

    /// The path of an object, or of all objects of a kind in a namespace.
    fn path(
        gvk: &Gvk,
        resource: &Resource,
        namespace: &str,
        name: Option<&str>,
    ) -> Result<String, Refusal> {
        let root = match gvk.group.as_str() {
            "" => format!("/api/{}", gvk.version),
            group => format!("/apis/{group}/{}", gvk.version),
        };
        let plural = &resource.plural;
        let list = match (resource.scope, namespace) {
            (Scope::Cluster, _) => format!("{root}/{plural}"),
            // An object without a namespace has no path.
            (Scope::Namespaced, "") => {
                return Err(Refusal::no_path());
            }
            (Scope::Namespaced, namespace) => {
                format!("{root}/namespaces/{}/{plural}", escape(namespace))
            }
        };
        Ok(match name {
            Some(name) => format!("{list}/{}", escape(name)),
            None => list,
        })
    }

    async fn object_path(&self, gvk: &Gvk, id: &ObjectId) -> Result<String, Refusal> {
        let resource = self.mapper.resource(gvk).await?;
        Self::path(gvk, &resource, &id.namespace, Some(&id.name))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Value), Refusal> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, "application/json")
            .body(Body::from(body))
            .map_err(|error| Refusal::local(error.to_string()))?;
        if let Some(content_type) = content_type {
            request
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(user) = &self.user {
            request
                .headers_mut()
                .insert(HeaderName::from_static("impersonate-user"), user.clone());
        }
        let exchange = async {
            let response = self.client.send(request).await.map_err(refusal)?;
            let status = response.status();
            let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER);
            let bytes = body
                .collect()
                .await
                .map_err(|error| Refusal::local(error.to_string()))?
                .to_bytes();
            Ok((status, bytes))
        };
        let (status, bytes) = tokio::time::timeout(DEADLINE, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(Refusal::local(format!(
                    "no answer within {}s",
                    DEADLINE.as_secs()
                )))
            })?;
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            Ok((status, value))
        } else {
            Err(refused(status, &value))
        }
    }
}

/// Escapes what may not stand in a segment of a path or a value of a query. Names are not checked before they are sent.
fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                escaped.push(char::from(byte))
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

/// A refusal from an answer's status and body.
fn refused(status: StatusCode, body: &Value) -> Refusal {
    let text = |field: &str| {
        body.get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (reason, message) = (text("reason"), text("message"));
    match (status.as_u16(), message.is_empty()) {
        (404, true) => Refusal::no_path(),
        (code, true) => {
            let message = format!("the server answered {status}");
            Refusal {
                code,
                reason,
                message,
            }
        }
        (code, false) => Refusal {
            code,
            reason,
            message,
        },
    }
}

/// A refusal from a client's error.
pub(super) fn refusal(error: kube::Error) -> Refusal {
    match error {
        kube::Error::Api(status) => Refusal {
            code: status.code,
            reason: status.reason.clone(),
            message: status.message.clone(),
        },
        other => {
            // The cause is what tells: the outer texts only say that something failed.
            let mut text = other.to_string();
            let mut source = std::error::Error::source(&other);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text.push_str(": ");
                    text.push_str(&cause_text);
                }
                source = cause.source();
            }
            Refusal::local(text)
        }
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

impl Target for Live {
    async fn scope(&self, gvk: &Gvk) -> Result<Scope, Refusal> {
        Ok(self.mapper.resource(gvk).await?.scope)
    }

    async fn preferred(&self, group: &str, kind: &str) -> Result<Gvk, Refusal> {
        self.mapper.preferred(group, kind).await
    }

    async fn observe(&self, kinds: &[Gvk]) {
        if let Some(observer) = &self.observer {
            observer.watch(kinds, &self.mapper).await;
        }
    }

    fn seen(&self, gvk: &Gvk, id: &ObjectId) -> Seen {
        self.observer
            .as_ref()
            .map_or(Seen::Unknown, |observer| observer.seen(gvk, id))
    }

    fn admission(&self, gvk: &Gvk) -> Admission {
        let plural = self.mapper.plural(gvk);
        self.policies
            .as_ref()
            .map_or(Admission::Possible, |policies| {
                policies.admission(&gvk.group, plural.as_deref())
            })
    }

    async fn apply(
        &self,
        gvk: &Gvk,
        id: &ObjectId,
        manifest: &Value,
        mode: Mode,
        guard: Guard,
    ) -> Result<Answer, Refusal> {
        let path = self.object_path(gvk, id).await?;
        let dry_run = if mode == Mode::DryRun {
            "&dryRun=All"
        } else {
            ""
        };
        let path = format!(
            "{path}?fieldManager={}&force=true{dry_run}",
            key::KUSTOMIZE_APPLY_MANAGER
        );
        let body = match guard {
            Guard::None => bytes(manifest),
            Guard::Absent => {
                let mut guarded = manifest.clone();
                guarded["metadata"]["resourceVersion"] = json!(NO_VERSION);
                bytes(&guarded)
            }
        };
        let (status, object) = self
            .send(
                Method::PATCH,
                &path,
                Some("application/apply-patch+yaml"),
                body,
            )
            .await?;
        if mode == Mode::Real {
            self.learn(gvk, &object);
        }
        Ok(Answer {
            object,
            created: status == StatusCode::CREATED,
        })
    }

    async fn get(&self, gvk: &Gvk, id: &ObjectId) -> Result<Option<Value>, Refusal> {
        let path = self.object_path(gvk, id).await?;
        match self.send(Method::GET, &path, None, Vec::new()).await {
            Ok((_, object)) => Ok(Some(object)),
            Err(refusal) if refusal.is_not_found() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn patch(&self, gvk: &Gvk, id: &ObjectId, operations: &Value) -> Result<Value, Refusal> {
        let path = self.object_path(gvk, id).await?;
        let path = format!("{path}?fieldManager={}", key::KUSTOMIZE_APPLY_MANAGER);
        let (_, object) = self
            .send(
                Method::PATCH,
                &path,
                Some("application/json-patch+json"),
                bytes(operations),
            )
            .await?;
        self.learn(gvk, &object);
        Ok(object)
    }

    async fn delete(&self, gvk: &Gvk, id: &ObjectId, version: Option<u64>) -> Result<(), Refusal> {
        let path = self.object_path(gvk, id).await?;
        let mut options =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
        if let Some(version) = version {
            options["preconditions"] = json!({"resourceVersion": version.to_string()});
        }
        match self
            .send(
                Method::DELETE,
                &path,
                Some("application/json"),
                bytes(&options),
            )
            .await
        {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_not_found() => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Value>, Refusal> {
        let path = format!(
            "/api/v1/namespaces/{}/pods?limit=500&labelSelector={}",
            escape(namespace),
            escape(selector)
        );
        let (_, mut list) = self.send(Method::GET, &path, None, Vec::new()).await?;
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: &str, name: &str) -> ObjectId {
        ObjectId {
            namespace: namespace.into(),
            name: name.into(),
            group: String::new(),
            kind: String::new(),
        }
    }

    #[test]
    fn paths_follow_group_scope_and_namespace() {
        let path = |api_version: &str, plural: &str, scope, id: &ObjectId| {
            let gvk = Gvk::new(api_version, "X").unwrap();
            Live::path(
                &gvk,
                &Resource {
                    plural: plural.into(),
                    scope,
                },
                &id.namespace,
                Some(&id.name),
            )
        };
        assert_eq!(
            path("v1", "configmaps", Scope::Namespaced, &id("apps", "a")).unwrap(),
            "/api/v1/namespaces/apps/configmaps/a"
        );
        assert_eq!(
            path(
                "rbac.authorization.k8s.io/v1",
                "clusterroles",
                Scope::Cluster,
                &id("", "system:a/b ${x}")
            )
            .unwrap(),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%2Fb%20%24%7Bx%7D"
        );
        let refusal = path("v1", "configmaps", Scope::Namespaced, &id("", "a")).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the server could not find the requested resource"
        );
    }

    #[test]
    fn answers_that_are_no_status_are_refusals_too() {
        let refusal = refused(StatusCode::NOT_FOUND, &Value::Null);
        assert!(refusal.is_not_found() && refusal.is_definite());
        assert_eq!(
            refused(StatusCode::BAD_GATEWAY, &Value::Null).message,
            "the server answered 502 Bad Gateway"
        );
        let body = json!({"kind": "Status", "code": 422, "reason": "Invalid", "message": "no"});
        assert_eq!(
            refused(StatusCode::UNPROCESSABLE_ENTITY, &body),
            Refusal {
                code: 422,
                reason: "Invalid".into(),
                message: "no".into()
            }
        );
    }
}
