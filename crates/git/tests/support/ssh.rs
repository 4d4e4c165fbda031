//! An SSH server in this process that runs `git upload-pack` for whoever has the key.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{Auth, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub struct Server {
    pub port: u16,
    /// The host key as a `known_hosts` line has it.
    pub host_key: String,
}

impl Server {
    pub fn url(&self, repo: &str) -> String {
        format!("ssh://git@localhost:{}/{repo}.git", self.port)
    }

    pub fn known_hosts(&self) -> String {
        format!("[localhost]:{} {}\n", self.port, self.host_key)
    }
}

pub fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), algorithm).unwrap()
}

/// Serves the bare repositories below `root` to the owner of `client`.
pub async fn serve(root: &Path, client: &PublicKey, algorithm: Algorithm) -> Server {
    let host = key(algorithm);
    let host_key = host.public_key().to_openssh().unwrap();
    let config = Arc::new(russh::server::Config {
        keys: vec![host],
        auth_rejection_time: std::time::Duration::ZERO,
        auth_rejection_time_initial: Some(std::time::Duration::ZERO),
        ..russh::server::Config::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (root, client) = (root.to_owned(), client.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handler = Connection {
                root: root.clone(),
                client: client.clone(),
                channel: None,
            };
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) = russh::server::run_stream(config, stream, handler).await {
                    let _ = session.await;
                }
            });
        }
    });
    Server { port, host_key }
}

struct Connection {
    root: PathBuf,
    client: PublicKey,
    channel: Option<Channel<Msg>>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        let known = user == "git" && key.public_key.key_data() == self.client.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        let command = String::from_utf8_lossy(command).into_owned();
        let path = command
            .strip_prefix("git-upload-pack '/")
            .unwrap()
            .strip_suffix('\'')
            .unwrap();
        let channel = self.channel.take().unwrap();
        tokio::spawn(run(self.root.join(path), channel));
        Ok(())
    }
}

async fn run(repository: PathBuf, channel: Channel<Msg>) {
    let mut child = tokio::process::Command::new("git")
        .arg("upload-pack")
        .arg(&repository)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (mut from, to) = channel.split();
    let input = async move {
        while let Some(message) = from.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    if let Some(stdin) = &mut stdin {
                        let _ = stdin.write_all(&data).await;
                    }
                }
                ChannelMsg::Eof => stdin = None,
                ChannelMsg::Close => break,
                _ => {}
            }
        }
    };
    let output = async {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match stdout.read(&mut buffer).await {
                Ok(n) if n > 0 => to.data(&buffer[..n]).await.unwrap(),
                _ => break,
            }
        }
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text).await;
        let _ = to.extended_data(1, &text[..]).await;
        let _ = to.eof().await;
        let _ = to.close().await;
    };
    tokio::select! {
        () = input => {}
        () = output => {}
    }
}
