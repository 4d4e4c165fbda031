//! `git http-backend` behind a small HTTP server, plain or with TLS.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// What the server wants to see before it serves.
#[derive(Clone)]
pub enum Access {
    Open,
    Basic(&'static str, &'static str),
    Bearer(&'static str),
}

/// Certificates of a private authority.
pub struct Pki {
    pub ca: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Pki {
    pub fn new() -> Pki {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Pki {
            ca: certificate.pem(),
            issuer: rcgen::Issuer::new(params, key),
        }
    }

    /// A certificate and its key in PEM form.
    pub fn issue(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Whether clients have to show a certificate of the same authority.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    Needless,
    Required,
}

pub struct Server {
    pub base: String,
    /// Requests as `METHOD /path?query`, oldest first.
    pub seen: Arc<Mutex<Vec<String>>>,
    /// Answers to give instead of Git's, first come first served: status and location.
    pub instead: Arc<Mutex<VecDeque<(u16, String)>>>,
}

impl Server {
    pub fn url(&self, repo: &str) -> String {
        format!("{}/{repo}.git", self.base)
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// Serves the bare repositories below `root`.
pub async fn serve(root: &Path, access: Access, tls: Option<(&Pki, ClientCertificate)>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor =
        tls.map(|(pki, client)| tokio_rustls::TlsAcceptor::from(Arc::new(tls_config(pki, client))));
    let base = match &acceptor {
        Some(_) => format!("https://localhost:{port}"),
        None => format!("http://127.0.0.1:{port}"),
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let instead = Arc::new(Mutex::new(VecDeque::new()));
    let server = Server {
        base,
        seen: Arc::clone(&seen),
        instead: Arc::clone(&instead),
    };
    let root = root.to_owned();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (root, access, acceptor) = (root.clone(), access.clone(), acceptor.clone());
            let (seen, instead) = (Arc::clone(&seen), Arc::clone(&instead));
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let (root, access) = (root.clone(), access.clone());
                    let target = request.uri().path_and_query().unwrap().to_string();
                    seen.lock()
                        .unwrap()
                        .push(format!("{} {target}", request.method()));
                    let canned = instead.lock().unwrap().pop_front();
                    async move { Ok::<_, Infallible>(answer(&root, &access, canned, request).await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                match acceptor {
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            let _ = http.serve_connection(TokioIo::new(stream), service).await;
                        }
                    }
                    None => {
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
            });
        }
    });
    server
}

fn tls_config(pki: &Pki, client: ClientCertificate) -> rustls::ServerConfig {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let (certificate, key) = pki.issue("localhost");
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client {
        ClientCertificate::Needless => builder.with_no_client_auth(),
        ClientCertificate::Required => {
            let mut roots = rustls::RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(pki.ca.as_bytes()).unwrap())
                .unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            )
            .build()
            .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(chain, key).unwrap()
}

fn plain(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .body(Full::from(body))
        .unwrap()
}

async fn answer(
    root: &PathBuf,
    access: &Access,
    canned: Option<(u16, String)>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if let Some((status, location)) = canned {
        return Response::builder()
            .status(status)
            .header("location", location)
            .body(Full::default())
            .unwrap();
    }
    let given = request
        .headers()
        .get("authorization")
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let wanted = match access {
        Access::Open => given.to_owned(),
        Access::Basic(user, password) => {
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
            )
        }
        Access::Bearer(token) => format!("Bearer {token}"),
    };
    if given.is_empty() && !matches!(access, Access::Open) {
        return plain(401, "who are you?\n");
    }
    if given != wanted {
        return plain(403, "not you\n");
    }
    let path = request.uri().path().to_owned();
    let repo = path
        .trim_start_matches('/')
        .split(".git")
        .next()
        .unwrap_or_default()
        .to_owned();
    if !root.join(format!("{repo}.git")).is_dir() {
        return plain(404, "no such repository\n");
    }
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", &path)
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("REQUEST_METHOD", request.method().as_str())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(kind) = request.headers().get("content-type") {
        command.env("CONTENT_TYPE", kind.to_str().unwrap());
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    command.env("CONTENT_LENGTH", body.len().to_string());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let output = child.wait_with_output().await.unwrap().stdout;
    let head = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..head]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response
        .body(Full::from(output[head + 4..].to_vec()))
        .unwrap()
}
