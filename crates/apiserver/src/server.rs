//! Starting and stopping.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Policies;
use crate::app::{App, Clock};
use crate::auth::{Rbac, TokenSigner};
use crate::controllers;
use crate::http;
use crate::objects::service::Allocator;
use crate::pki::{self, Pki, PkiError};
use crate::registry::Registry;
use crate::store::{ChangeKind, Store, StoreError};

/// How long open connections get to end.
const STOP: Duration = Duration::from_millis(500);
/// The file of the state folder that remembers the port.
const PORT: &str = "port";

/// How to start a server.
pub struct Config {
    /// Where to listen. With port 0, the port of the last start on the same state is taken again if it is free.
    pub listen: SocketAddr,
    /// Where the state is kept; None keeps it in memory.
    pub state: Option<PathBuf>,
    /// The current time.
    pub clock: Clock,
}

impl Default for Config {
    /// A free port of 127.0.0.1, in memory, by the system's clock.
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state: None,
            clock: Arc::new(Timestamp::now),
        }
    }
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state folder cannot be made.
    #[error("cannot make the folder `{}`", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// Keys or certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error("cannot listen on `{0}`")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// TLS.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The key that signs tokens.
    #[error("the key that signs ServiceAccount tokens is not a P-256 key")]
    TokenKey,
    /// The kubeconfig.
    #[error("cannot write `{}`", .0.display())]
    Kubeconfig(PathBuf, #[source] std::io::Error),
}

/// What a client of the same process needs.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `https://ADDRESS`.
    pub server: String,
    /// The certificate authority, PEM.
    pub ca: String,
    /// The administrator's bearer token.
    pub token: String,
}

/// A running server. Dropping it stops it without waiting.
pub struct Server {
    app: Arc<App>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

async fn bind(config: &Config) -> Result<TcpListener, Error> {
    if config.listen.port() == 0
        && let Some(text) = config
            .state
            .as_ref()
            .and_then(|state| std::fs::read_to_string(state.join(PORT)).ok())
        && let Ok(port) = text.trim().parse()
        && let Ok(listener) = TcpListener::bind(SocketAddr::new(config.listen.ip(), port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind(config.listen)
        .await
        .map_err(|error| Error::Listen(config.listen, error))
}

impl Server {
    /// Starts a server on the current tokio runtime and returns when it answers.
    ///
    /// # Errors
    /// The state cannot be used, or the address is taken.
    pub async fn start(config: Config) -> Result<Self, Error> {
        if let Some(state) = &config.state {
            std::fs::create_dir_all(state).map_err(|error| Error::Folder(state.clone(), error))?;
        }
        let listener = bind(&config).await?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::Listen(config.listen, error))?;
        let state: Option<&Path> = config.state.as_deref();
        let now = (config.clock)();
        let year = i32::from(now.to_zoned(jiff::tz::TimeZone::UTC).year());
        let mut addresses: Vec<IpAddr> =
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        if !addresses.contains(&address.ip()) && !address.ip().is_unspecified() {
            addresses.push(address.ip());
        }
        let pki = Pki::open(state, year, &addresses)?;
        let tls = tls_config(&pki)?;
        let store = Store::open(state)?;
        let registry = Arc::new(Registry::new(store.clone()));
        let rbac = Arc::new(Rbac::new(&store));
        let services = Arc::new(Allocator::new(&store));
        follow(&store, registry.clone(), rbac.clone(), services.clone());
        let app = Arc::new(App {
            signer: TokenSigner::new(&pki.token_key).ok_or(Error::TokenKey)?,
            store,
            registry,
            rbac,
            services,
            policies: Policies::default(),
            clock: config.clock,
            ca: pki.ca,
            admin_token: pki.admin_token,
            address,
        });
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        controllers::start(&app, &stopping, &tasks);
        let server = Server {
            app: app.clone(),
            stopping: stopping.clone(),
            tasks: tasks.clone(),
        };
        if let Some(state) = state {
            let path = state.join("kubeconfig");
            pki::write_private(&path, &server.kubeconfig())
                .map_err(|error| Error::Kubeconfig(path, error))?;
            let port = state.join(PORT);
            pki::write_private(&port, &address.port().to_string())
                .map_err(|error| Error::Kubeconfig(port, error))?;
        }
        tasks.spawn(http::serve(app, listener, tls, stopping, tasks.clone()));
        Ok(server)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    /// The text of a kubeconfig with the administrator's token; also in `STATE/kubeconfig`.
    pub fn kubeconfig(&self) -> String {
        let client = self.client_config();
        pki::kubeconfig(&client.server, &client.ca, &client.token)
    }

    /// What a client of the same process needs.
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig {
            server: format!("https://{}", self.app.address),
            ca: self.app.ca.clone(),
            token: self.app.admin_token.clone(),
        }
    }

    /// Stops: no new connection, watches end, what is acknowledged is on disk. Takes less than a second.
    pub async fn shutdown(self) {
        self.stopping.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(STOP, self.tasks.wait()).await;
        let store = self.app.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

fn tls_config(pki: &Pki) -> Result<Arc<rustls::ServerConfig>, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![pki.certificate.clone()], pki.key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Keeps the registry and the permissions in step with the store.
fn follow(store: &Store, registry: Arc<Registry>, rbac: Arc<Rbac>, services: Arc<Allocator>) {
    store.observe(Box::new(move |table, change| {
        rbac.follow(table, change);
        services.follow(table, change);
        if &*table.name == "customresourcedefinitions.apiextensions.k8s.io" {
            let object = (change.kind == ChangeKind::Put).then_some(&*change.object);
            registry.custom_changed(change.object.name(), object);
        }
    }));
}
