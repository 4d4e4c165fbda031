//! A host that can go away: a TCP relay in front of a server.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A relay at a fixed address.
pub struct Relay {
    /// Where it listens while it is up.
    pub address: SocketAddr,
    target: SocketAddr,
    up: Option<CancellationToken>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(up) = &self.up {
            up.cancel();
        }
    }
}

impl Relay {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// No free port.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut relay = Self {
            address: listener.local_addr()?,
            target,
            up: None,
        };
        relay.serve(listener);
        Ok(relay)
    }

    fn serve(&mut self, listener: TcpListener) {
        let up = CancellationToken::new();
        tokio::spawn(serve(listener, self.target, up.clone()));
        self.up = Some(up);
    }

    /// Goes away: connections break, new ones are refused.
    ///
    /// # Errors
    /// The port is still open after a while.
    pub async fn go(&mut self) -> anyhow::Result<()> {
        if let Some(up) = self.up.take() {
            up.cancel();
        }
        crate::eventually("the host to be gone", || async {
            anyhow::ensure!(
                TcpStream::connect(self.address).await.is_err(),
                "it answers"
            );
            Ok(())
        })
        .await
    }

    /// Comes back at the same address.
    ///
    /// # Errors
    /// Somebody took the port.
    pub async fn come_back(&mut self) -> anyhow::Result<()> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(64)?;
        self.serve(listener);
        Ok(())
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, up: CancellationToken) {
    let up = Arc::new(up);
    loop {
        let accepted = tokio::select! {
            () = up.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((mut near, _)) = accepted else { return };
        let up = Arc::clone(&up);
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(target).await else {
                return;
            };
            tokio::select! {
                () = up.cancelled() => {}
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            }
        });
    }
}
