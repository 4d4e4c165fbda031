//! What every request and every built-in controller works with.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::admission::Policies;
use crate::auth::{Rbac, TokenSigner};
use crate::objects::service::Allocator;
use crate::registry::Registry;
use crate::store::Store;

/// Gives the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The parts of a running server.
pub struct App {
    /// Objects.
    pub store: Arc<Store>,
    /// Served resources.
    pub registry: Arc<Registry>,
    /// Permissions.
    pub rbac: Arc<Rbac>,
    /// Addresses and ports of Services.
    pub services: Arc<Allocator>,
    /// Admission policies, compiled.
    pub policies: Policies,
    /// ServiceAccount tokens.
    pub signer: TokenSigner,
    /// The current time.
    pub clock: Clock,
    /// The certificate authority, PEM.
    pub ca: String,
    /// The administrator's token.
    pub admin_token: String,
    /// Where the server listens.
    pub address: SocketAddr,
}

impl App {
    /// The current time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// A time as Kubernetes writes it: whole seconds, UTC.
pub fn time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as Kubernetes writes a MicroTime.
pub fn micro_time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
