//! A SOCKS5 client (RFC 1928, 1929) for SSH behind a proxy: connect, with or without a password.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::auth::Proxy;
use crate::error::TransportError;

fn fail(text: impl Into<String>) -> TransportError {
    TransportError::Network(format!("socks connect: {}", text.into()))
}

/// Opens a connection to `host:port` through `proxy`.
///
/// The proxy resolves the name.
pub(crate) async fn connect(
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<TcpStream, TransportError> {
    let address = proxy
        .address
        .strip_prefix("socks5://")
        .or_else(|| proxy.address.strip_prefix("socks5h://"))
        .ok_or_else(|| fail("SSH needs a socks5 proxy"))?
        .trim_end_matches('/');
    let address = if address.rsplit_once(':').is_some() {
        address.to_owned()
    } else {
        format!("{address}:1080")
    };
    let mut stream = TcpStream::connect(&address)
        .await
        .map_err(|error| fail(format!("dial tcp {address}: {error}")))?;

    let credentials = proxy.username.as_deref().map(|user| {
        (
            user,
            proxy
                .password
                .as_ref()
                .map_or("", |password| password.expose()),
        )
    });
    let greeting: &[u8] = if credentials.is_some() {
        &[5, 2, 0, 2]
    } else {
        &[5, 1, 0]
    };
    stream.write_all(greeting).await?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).await?;
    match (choice, credentials) {
        ([5, 0], _) => {}
        ([5, 2], Some((user, password))) => {
            let mut login = vec![1];
            for text in [user, password] {
                login.push(u8::try_from(text.len()).map_err(|_| fail("credentials are too long"))?);
                login.extend_from_slice(text.as_bytes());
            }
            stream.write_all(&login).await?;
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).await?;
            if answer[1] != 0 {
                return Err(fail("username/password authentication failed"));
            }
        }
        ([5, _], _) => return Err(fail("no acceptable authentication methods")),
        _ => return Err(fail("the proxy does not speak SOCKS5")),
    }

    let mut request = vec![5, 1, 0, 3];
    request.push(u8::try_from(host.len()).map_err(|_| fail("the host name is too long"))?);
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer[1] != 0 {
        return Err(fail(match answer[1] {
            1 => "general SOCKS server failure",
            2 => "connection not allowed by ruleset",
            3 => "network unreachable",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "TTL expired",
            _ => "the proxy refused",
        }));
    }
    // The bound address that follows is of no use, but has to be read.
    let rest = match answer[3] {
        1 => 4 + 2,
        4 => 16 + 2,
        3 => {
            let mut length = [0; 1];
            stream.read_exact(&mut length).await?;
            usize::from(length[0]) + 2
        }
        _ => return Err(fail("the proxy's answer cannot be read")),
    };
    let mut bound = vec![0; rest];
    stream.read_exact(&mut bound).await?;
    Ok(stream)
}
