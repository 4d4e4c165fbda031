//! The small HTTP servers of a controller: probes and metrics.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Opens a listener on an address in Go's notation: `:8080`, `127.0.0.1:0`, `[::1]:80`.
///
/// # Errors
/// The address cannot be parsed or is taken.
pub async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let describe = || format!("cannot listen on `{address}`");
    if let Some(port) = address.strip_prefix(':') {
        let port: u16 = port.parse().with_context(describe)?;
        // Dual stack where the machine has it, as Go does for an empty host.
        return match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], port)))
                .await
                .with_context(describe),
        };
    }
    TcpListener::bind(address).await.with_context(describe)
}

/// Whether a controller is ready; shared between it and its probe server.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether the controller is ready from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether it is.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves `/healthz` (always 200) and `/readyz` (500 until ready) until `stop`.
pub async fn probes(listener: TcpListener, ready: Readiness, stop: CancellationToken) {
    serve(listener, stop, move |path| match path {
        "/healthz" => text(StatusCode::OK, "ok"),
        "/readyz" if ready.get() => text(StatusCode::OK, "ok"),
        "/readyz" => text(StatusCode::INTERNAL_SERVER_ERROR, "not ready"),
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    })
    .await;
}

/// Serves `/metrics` until `stop`.
pub async fn metrics(listener: TcpListener, metrics: Arc<Metrics>, stop: CancellationToken) {
    serve(listener, stop, move |path| match path {
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics.render());
            response.headers_mut().insert(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                ),
            );
            response
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    })
    .await;
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Answers every request with what `answer` makes of its path.
async fn serve(
    listener: TcpListener,
    stop: CancellationToken,
    answer: impl Fn(&str) -> Response<Full<Bytes>> + Clone + Send + 'static,
) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors or a connection that was reset while waiting.
                Err(_) => { tokio::task::yield_now().await; continue }
            },
        };
        let (answer, stop) = (answer.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(request.uri().path());
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let builder = Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                // A client that goes away or speaks no HTTP is its own business.
                _ = connection => {}
            }
        });
    }
}
