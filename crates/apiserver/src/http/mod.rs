//! The edge: TLS, HTTP/1.1 and HTTP/2, from bytes to a call and from its outcome to bytes.

pub mod accept;
mod identity;
pub mod request;
pub mod respond;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::auth::{Attributes, Decision, User};
use crate::discovery;
use crate::status::{Result, Status};
use crate::table::Include;
use crate::verbs::{self, Call, Outcome};
use accept::Shape;
use request::{Query, ResourcePath, Target, Verb};
use respond::{Body, Wanted};

/// The largest body of a request, as the real server has it.
const MAX_BODY: usize = 3 << 20;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts connections until `stopping`, then ends those that are open.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let acceptor = TlsAcceptor::from(tls);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (app, acceptor, stopping) = (app.clone(), acceptor.clone(), stopping.clone());
        tasks.spawn(async move {
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
            let stream = tokio::select! {
                stream = handshake => stream,
                () = stopping.cancelled() => return,
            };
            if let Ok(Ok(stream)) = stream {
                Box::pin(connection(app, stream, stopping)).await;
            }
        });
    }
}

async fn connection(
    app: Arc<App>,
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    stopping: CancellationToken,
) {
    let service = {
        let stopping = stopping.clone();
        service_fn(move |request| {
            let (app, stopping) = (app.clone(), stopping.clone());
            async move { Ok::<_, Infallible>(handle(app, request, stopping).await) }
        })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(1000);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => {
            if let Err(error) = result {
                tracing::trace!(%error, "connection ended");
            }
        }
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(Duration::from_millis(300), connection).await;
        }
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Answers one request.
async fn handle(
    app: Arc<App>,
    request: Request<Incoming>,
    stopping: CancellationToken,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let agent = header(&head.headers, USER_AGENT)
        .unwrap_or_default()
        .to_owned();
    let mut wanted = Wanted::json(app.now());
    wanted.gzip = header(&head.headers, ACCEPT_ENCODING).is_some_and(|text| text.contains("gzip"));
    let browser = ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|name| agent.starts_with(name));
    wanted.pretty = query
        .get("pretty")
        .map_or(browser, |text| text != "false" && text != "0");
    wanted.include = match query.get("includeObject") {
        Some("None") => Include::None,
        Some("Object") => Include::Object,
        _ => Include::Metadata,
    };
    let parts = Parts {
        app,
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        query,
        agent,
    };
    match parts.answer(body, &mut wanted, stopping).await {
        Ok(response) => response,
        Err(status) => respond::status(&status, &wanted),
    }
}

struct Parts {
    app: Arc<App>,
    method: Method,
    path: String,
    headers: HeaderMap,
    query: Query,
    agent: String,
}

impl Parts {
    async fn answer(
        self,
        body: Incoming,
        wanted: &mut Wanted,
        stopping: CancellationToken,
    ) -> Result<Response<Body>> {
        let target = request::target(&self.path);
        let real = identity::authenticate(&self.app, &self.headers)?;
        let user = identity::impersonate(
            &self.app,
            real,
            &self.headers,
            &self.authorized_attributes(&target),
        )?;
        match target {
            Target::Other => {
                self.authorize(&user, &self.authorized_attributes(&Target::Other))?;
                Ok(discovery::answer(
                    &self.app,
                    &self.method,
                    &self.path,
                    &self.query,
                    &self.headers,
                    wanted,
                ))
            }
            Target::Resource(path) => {
                Box::pin(self.resource(path, user, body, wanted, stopping)).await
            }
        }
    }

    /// What the authorizer is asked.
    fn authorized_attributes(&self, target: &Target) -> identity::Asked {
        match target {
            Target::Other => identity::Asked {
                verb: self.method.as_str().to_lowercase(),
                path: self.path.clone(),
                ..identity::Asked::default()
            },
            Target::Resource(path) => {
                let verb = request::verb(&self.method, path, &self.query).map_or("", Verb::name);
                // A namespace is seen as inside itself.
                let namespace = path.namespace.clone().or_else(|| {
                    (path.group.is_empty() && path.resource == "namespaces")
                        .then(|| path.name.clone())
                        .flatten()
                });
                // A list of one name is authorized by that name.
                let one = self.query.get("fieldSelector").and_then(|text| {
                    let mut terms = text.split(',');
                    terms
                        .find_map(|term| term.strip_prefix("metadata.name="))
                        .map(|name| name.trim_start_matches('='))
                });
                let name = path.name.clone().or_else(|| one.map(str::to_owned));
                identity::Asked {
                    verb: verb.to_owned(),
                    group: path.group.clone(),
                    resource: path.resource.clone(),
                    subresource: path.subresource.clone().unwrap_or_default(),
                    namespace: namespace.unwrap_or_default(),
                    name: name.unwrap_or_default(),
                    path: String::new(),
                }
            }
        }
    }

    fn authorize(&self, user: &User, asked: &identity::Asked) -> Result<()> {
        let asked = asked.attributes();
        match self.app.rbac.authorize(user, &asked) {
            Decision::Allow(_) => Ok(()),
            Decision::NoOpinion(reason) => Err(refused(user, &asked, &reason)),
        }
    }

    async fn resource(
        self,
        path: ResourcePath,
        user: User,
        body: Incoming,
        wanted: &mut Wanted,
        stopping: CancellationToken,
    ) -> Result<Response<Body>> {
        let verb = request::verb(&self.method, &path, &self.query);
        self.authorize(
            &user,
            &self.authorized_attributes(&Target::Resource(path.clone())),
        )?;
        let index = self.app.registry.index();
        let found = index
            .find(&path.group, &path.version, &path.resource)
            .cloned();
        let Some(resource) = found else {
            let known = index.groups.iter().any(|group| group.name == path.group);
            // An unknown group is a path that leads nowhere.
            return if known {
                Err(Status::unknown_resource())
            } else {
                Ok(respond::text(404, "404 page not found\n"))
            };
        };
        let verb = verb.ok_or_else(Status::method_not_allowed)?;
        if path.namespace.is_some() && !resource.namespaced {
            return Err(Status::unknown_resource());
        }
        if resource.namespaced && path.namespace.is_none() && path.name.is_some() {
            return Err(Status::unknown_resource());
        }
        let accept = header(&self.headers, ACCEPT);
        wanted.representation =
            accept::negotiate(accept).ok_or_else(|| Status::not_acceptable(NOT_ACCEPTABLE))?;
        let content_type = header(&self.headers, CONTENT_TYPE)
            .unwrap_or_default()
            .to_owned();
        let body = read_body(body).await?;
        let mut warnings = deprecations(&resource);
        let call = Call {
            user,
            path,
            verb,
            query: self.query,
            body,
            content_type,
            user_agent: self.agent,
            resource: resource.clone(),
        };
        let done = match verbs::run(&self.app, &call) {
            Ok(done) => done,
            Err(status) => {
                let mut response = respond::status(&status, wanted);
                warnings.extend(status.warnings);
                respond::warn(response.headers_mut(), &warnings);
                return Ok(response);
            }
        };
        warnings.extend(done.warnings);
        let needs = match &done.outcome {
            Outcome::Object(_, object) => object.version,
            Outcome::List(listed) => listed.version,
            Outcome::Watch(start) => start.after,
            Outcome::Value(..) => self.app.store.latest(),
            Outcome::Text(_) => 0,
        };
        if !self.app.store.durable(needs).await {
            return Err(Status::internal("the store cannot be written"));
        }
        let mut response = match done.outcome {
            Outcome::Object(code, object) => {
                respond::document(code, respond::object(&resource, &object, wanted), wanted)
            }
            Outcome::Value(code, value) => respond::document(code, value.to_string(), wanted),
            Outcome::List(listed) => {
                respond::document(200, respond::list(&resource, &listed, wanted), wanted)
            }
            Outcome::Text(text) => respond::text(200, text),
            Outcome::Watch(start) => {
                let kind = if wanted.representation.shape == Shape::Whole {
                    "application/json"
                } else {
                    "application/json;stream=watch"
                };
                let mut response = Response::new(watch::body(
                    self.app,
                    resource,
                    start,
                    wanted.clone(),
                    stopping,
                ));
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
        };
        respond::warn(response.headers_mut(), &warnings);
        Ok(response)
    }
}

const NOT_ACCEPTABLE: &str = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

fn refused(user: &User, asked: &Attributes<'_>, reason: &str) -> Status {
    let mut text = asked.refusal(user);
    if !reason.is_empty() {
        text = format!("{text}: {reason}");
    }
    Status::forbidden(asked.group, asked.resource, asked.name, &text)
}

fn deprecations(resource: &crate::registry::Resource) -> Vec<String> {
    let custom = resource
        .custom
        .as_ref()
        .and_then(|custom| custom.deprecation.clone());
    let own = (resource.group.is_empty() && resource.plural == "endpoints").then(|| {
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()
    });
    custom.or(own).into_iter().collect()
}

async fn read_body(mut body: Incoming) -> Result<Bytes> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Status::bad_request(format!("cannot read the request: {error}")))?;
        if let Ok(data) = frame.into_data() {
            if all.len() + data.len() > MAX_BODY {
                return Err(Status::too_large(MAX_BODY));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(all.freeze())
}
