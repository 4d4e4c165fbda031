//! One call of a webhook over HTTPS, from code that does not wait.
//!
//! The call has a thread and a runtime of its own; the thread that asks is given up to it until then.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 3 * 1024 * 1024;

/// What is sent where.
pub(super) struct Call<'a> {
    /// `https://HOST[:PORT]/PATH`.
    pub url: &'a str,
    /// Certificates that the webhook's own is signed by, PEM.
    pub ca: &'a [u8],
    /// The JSON text of the review.
    pub body: String,
    /// How long it may take.
    pub seconds: u64,
}

impl Call<'_> {
    /// Sends the review; gives the JSON document that comes back.
    ///
    /// # Errors
    /// Why there is none, much as Go's client says it.
    pub fn post(self) -> Result<Value, String> {
        let mut url = url::Url::parse(self.url).map_err(|error| error.to_string())?;
        let timeout = format!("{}s", self.seconds);
        url.query_pairs_mut().append_pair("timeout", &timeout);
        let shown = format!("Post {:?}", url.as_str());
        let seconds = self.seconds;
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            let limit = Duration::from_secs(seconds);
            runtime.block_on(async {
                tokio::time::timeout(limit, Box::pin(self.exchange(&url)))
                    .await
                    .unwrap_or_else(|_| Err("context deadline exceeded".to_owned()))
            })
        };
        let on_thread = || {
            std::thread::scope(|scope| {
                let done = scope.spawn(run).join();
                done.unwrap_or_else(|_| Err("the call ended early".to_owned()))
            })
        };
        let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
        let answer = match flavor {
            // The other tasks of this thread go on elsewhere.
            Ok(tokio::runtime::RuntimeFlavor::MultiThread) => {
                tokio::task::block_in_place(on_thread)
            }
            _ => on_thread(),
        };
        answer.map_err(|why| format!("{shown}: {why}"))
    }

    async fn exchange(&self, url: &url::Url) -> Result<Value, String> {
        let host = url.host_str().ok_or("no host in the URL")?;
        let port = url.port_or_known_default().unwrap_or(443);
        let address = format!("{host}:{port}");
        let stream = TcpStream::connect(&address)
            .await
            .map_err(|error| format!("dial tcp {address}: {}", dial_error(&error)))?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::new(self.trust()?))
            .connect(name, stream)
            .await
            .map_err(|error| format!("tls: failed to verify certificate: {error}"))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let request = http::Request::post(target)
            .header("Host", address)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .header("User-Agent", "kube-apiserver-admission")
            .body(Full::new(Bytes::from(self.body.clone())))
            .map_err(|error| error.to_string())?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let code = response.status();
        let mut body = Limited::new(response.into_body(), MAX_ANSWER);
        let (mut text, mut broken) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => text.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                // A simple server ends its answer by hanging up, without the farewell of TLS.
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        connection.abort();
        if !code.is_success() {
            return Err(format!(
                "the server answered {} to the request",
                code.as_u16()
            ));
        }
        serde_json::from_slice(&text).map_err(|error| broken.unwrap_or(error.to_string()))
    }

    /// A configuration that trusts the given certificates alone.
    fn trust(&self) -> Result<rustls::ClientConfig, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let given: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(self.ca).flatten().collect();
        let mut roots = rustls::RootCertStore::empty();
        for certificate in &given {
            roots.add(certificate.clone()).map_err(|e| text(&e))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|_| "tls: failed to verify certificate: x509: certificate signed by unknown authority")?;
        Ok(rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| text(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trust { given, signed }))
            .with_no_client_auth())
    }
}

/// Trusts what one of the given certificates has signed, and these themselves: a webhook often shows the very
/// certificate that its configuration has, which is its own authority.
#[derive(Debug)]
struct Trust {
    given: Vec<CertificateDer<'static>>,
    signed: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.given.iter().any(|given| given == end_entity) {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            verify_server_name(&parsed, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.signed
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

fn dial_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        _ => error.to_string(),
    }
}
