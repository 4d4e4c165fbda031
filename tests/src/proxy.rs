//! A proxy in front of an API server that counts what its clients ask, stops one of them in the middle
//! of a request, and lets watches go deaf and expire.
//!
//! Its clients connect without TLS and without credentials and act as the administrator; whom they
//! impersonate stays theirs to say.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use futures::SinkExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A request that came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Program that asked: its user agent up to the slash.
    pub agent: String,
    /// Method, `WATCH` for a watch.
    pub method: String,
    /// Path without the query.
    pub path: String,
}

/// How watches are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watches {
    /// As the server serves them.
    Open,
    /// Nothing comes through.
    Deaf,
    /// Those that are older than this number end with 410.
    Expired(u64),
}

/// Stops a program in the middle of a request.
struct Trap {
    agent: String,
    countdown: usize,
    caught: oneshot::Sender<Seen>,
}

struct State {
    client: Client,
    seen: Mutex<Vec<Seen>>,
    trap: Mutex<Option<Trap>>,
    watches: watch::Sender<Watches>,
}

/// A running proxy.
pub struct Proxy {
    address: String,
    state: Arc<State>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Starts one in front of the server that `client` talks to.
    ///
    /// # Errors
    /// No free port.
    pub async fn start(client: Client) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State {
            client,
            seen: Mutex::default(),
            trap: Mutex::default(),
            watches: watch::Sender::new(Watches::Open),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            serving,
        })
    }

    /// Writes a kubeconfig that leads through the proxy.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path) -> anyhow::Result<()> {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: proxy, cluster: {{server: \"{}\"}}}}]\nusers: [{{name: nobody, user: {{}}}}]\ncontexts: [{{name: proxy, context: {{cluster: proxy, user: nobody}}}}]\ncurrent-context: proxy\n",
            self.address
        );
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// What came through since the last call, in order.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.state.seen))
    }

    /// Holds the `nth` request (from 1) that `agent` makes from now on, watches aside, and never answers
    /// it. The server does not see it: what the program did before is all that it did.
    pub fn trap(&self, agent: &str, nth: usize) -> oneshot::Receiver<Seen> {
        let (caught, receiver) = oneshot::channel();
        *lock(&self.state.trap) = Some(Trap {
            agent: agent.to_owned(),
            countdown: nth,
            caught,
        });
        receiver
    }

    /// Removes the trap, if it has not caught anything.
    pub fn disarm(&self) {
        *lock(&self.state.trap) = None;
    }

    /// From now on nothing comes through on any watch.
    pub fn deafen_watches(&self) {
        self.state.watches.send_replace(Watches::Deaf);
    }

    /// Ends every watch that there is as a server does that has forgotten their place, and serves new
    /// ones as usual.
    pub fn expire_watches(&self) {
        let newest = WATCH.load(std::sync::atomic::Ordering::SeqCst);
        self.state.watches.send_replace(Watches::Expired(newest));
    }
}

/// Numbers the watches of this process.
static WATCH: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(answer(state, request).await) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let seen = describe(&request);
    let watching = seen.method == "WATCH";
    lock(&state.seen).push(seen.clone());
    if !watching && let Some(trap) = sprung(&state, &seen) {
        let _ = trap.caught.send(seen);
        return std::future::pending().await;
    }
    match forward(&state.client, request).await {
        Ok(response) if watching => response.map(|body| watched(body, state.watches.subscribe())),
        Ok(response) => response.map(|body| body.map_err(std::io::Error::other).boxed_unsync()),
        Err(error) => {
            let text = Full::from(format!("{error:#}"));
            let body = text.map_err(|never| match never {}).boxed_unsync();
            let mut response = Response::new(body);
            *response.status_mut() = hyper::StatusCode::BAD_GATEWAY;
            response
        }
    }
}

fn describe(request: &Request<Incoming>) -> Seen {
    let agent = request
        .headers()
        .get("user-agent")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split('/').next())
        .unwrap_or_default();
    let query = request.uri().query().unwrap_or_default();
    let watching = query
        .split('&')
        .any(|part| part == "watch=true" || part == "watch=1");
    let method = if watching {
        "WATCH"
    } else {
        request.method().as_str()
    };
    Seen {
        agent: agent.to_owned(),
        method: method.to_owned(),
        path: request.uri().path().to_owned(),
    }
}

fn sprung(state: &State, seen: &Seen) -> Option<Trap> {
    let mut armed = lock(&state.trap);
    let trap = armed.as_mut().filter(|trap| trap.agent == seen.agent)?;
    trap.countdown -= 1;
    if trap.countdown > 0 {
        return None;
    }
    armed.take()
}

async fn forward(
    client: &Client,
    request: Request<Incoming>,
) -> anyhow::Result<Response<kube::client::Body>> {
    let (mut parts, body) = request.into_parts();
    // The connection's own headers, and those that the next client sets itself.
    for name in ["host", "connection", "content-length", "accept-encoding"] {
        parts.headers.remove(name);
    }
    let body = body.collect().await?.to_bytes();
    parts.uri = parts
        .uri
        .path_and_query()
        .context("a path")?
        .as_str()
        .parse()?;
    let request = Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    Ok(client.send(request).await?)
}

/// The stream of a watch, as far as `phase` lets it through.
fn watched(mut body: kube::client::Body, mut phase: watch::Receiver<Watches>) -> Body {
    let number = WATCH.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
    let (mut out, stream) =
        futures::channel::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(16);
    let expired =
        move |phase: Watches| matches!(phase, Watches::Expired(newest) if number <= newest);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = until(&mut phase, &expired) => {
                    let _ = out.send(Ok(Frame::data(Bytes::from_static(GONE)))).await;
                    return;
                }
                frame = body.frame() => {
                    let Some(Ok(frame)) = frame else { return };
                    if *phase.borrow() == Watches::Deaf {
                        continue;
                    }
                    if out.send(Ok(frame)).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// Ends when the phase is as wanted; never if there will be no other.
async fn until(phase: &mut watch::Receiver<Watches>, wanted: impl Fn(Watches) -> bool) {
    if phase.wait_for(|now| wanted(*now)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a server says that has forgotten a watch's place.
const GONE: &[u8] = b"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"The resourceVersion for the provided watch is too old.\",\"reason\":\"Expired\",\"code\":410}}\n";
