//! Artifacts made by hand, and a server for them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

/// A file of an archive: its name as it is to stand there, whatever it is, and its content.
pub type Entry<'a> = (&'a str, &'a [u8]);

/// A tar header, made by hand since no library writes hostile names.
fn header(name: &str, size: u64) -> [u8; 512] {
    let mut block = [0_u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].copy_from_slice(b"        ");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A tar.gz with these files, under these names.
///
/// # Errors
/// None: it is written to memory.
pub fn tarball(entries: &[Entry<'_>]) -> std::io::Result<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for (name, content) in entries {
        out.write_all(&header(name, content.len() as u64))?;
        out.write_all(content)?;
        out.write_all(&vec![
            0;
            content.len().next_multiple_of(512) - content.len()
        ])?;
    }
    out.write_all(&[0; 1024])?;
    out.finish()
}

/// A tar.gz of one file of `gibibytes` GiB of zeros that is a thousand times smaller itself.
///
/// It consists of the same compressed MiB again and again: a gzip file may have many members.
///
/// # Errors
/// None: it is written to memory.
pub fn bomb(name: &str, gibibytes: u64) -> std::io::Result<Vec<u8>> {
    let pack = |bytes: &[u8]| {
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        out.write_all(bytes)?;
        out.finish()
    };
    let mut out = pack(&header(name, gibibytes << 30))?;
    out.extend(pack(&vec![0; 1 << 20])?.repeat((gibibytes << 10) as usize));
    out.extend(pack(&[0; 1024])?);
    Ok(out)
}

/// Serves artifacts. Stops when dropped.
pub struct ArtifactServer {
    base: String,
    files: Arc<Mutex<HashMap<String, Bytes>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for ArtifactServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ArtifactServer {
    /// Starts one that has nothing.
    ///
    /// # Errors
    /// No free port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let files = Arc::<Mutex<HashMap<String, Bytes>>>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&files)));
        Ok(Self {
            base,
            files,
            serving,
        })
    }

    /// Serves `content` and describes it as the status of a source does.
    pub fn publish(&self, name: &str, revision: &str, content: Vec<u8>) -> serde_json::Value {
        let digest = hex::encode(Sha256::digest(&content));
        let size = content.len();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(format!("/{name}"), content.into());
        serde_json::json!({
            "url": format!("{}/{name}", self.base),
            "path": name,
            "revision": revision,
            "digest": format!("sha256:{digest}"),
            "size": size,
            "lastUpdateTime": "2026-01-01T00:00:00Z",
        })
    }
}

async fn serve(listener: TcpListener, files: Arc<Mutex<HashMap<String, Bytes>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let files = Arc::clone(&files);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let files = files.lock().unwrap_or_else(PoisonError::into_inner);
                let found = files.get(request.uri().path()).cloned();
                let mut response =
                    Response::new(Full::<Bytes>::from(found.clone().unwrap_or_default()));
                if found.is_none() {
                    *response.status_mut() = StatusCode::NOT_FOUND;
                }
                async move { Ok::<_, Infallible>(response) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_artifact::unpack::{Limits, unpack};

    #[test]
    fn a_tarball_of_harmless_names_unpacks() {
        let packed = tarball(&[("a/b.yaml", b"x: 1\n")]).unwrap();
        unpack(&packed[..], &Limits::default()).unwrap();
    }

    #[test]
    fn a_bomb_is_small() {
        let packed = bomb("zeros", 1).unwrap();
        assert!(packed.len() < 2 << 20, "{}", packed.len());
    }
}
