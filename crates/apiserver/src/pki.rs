//! Keys, certificates and the kubeconfig.
//!
//! The certificate authority, the key that signs ServiceAccount tokens and the administrator's token stay in the state
//! folder; the server's own certificate is made anew at each start.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::random;

/// Keys or certificates cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file of the state folder cannot be read or written.
    #[error("cannot use `{}`", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// The crypto library refused.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// Everything secret of the server.
pub struct Pki {
    /// The certificate authority, PEM.
    pub ca: String,
    /// The server's certificate.
    pub certificate: CertificateDer<'static>,
    /// The key of the server's certificate.
    pub key: PrivateKeyDer<'static>,
    /// PKCS#8 key that signs ServiceAccount tokens.
    pub token_key: Vec<u8>,
    /// The administrator's bearer token.
    pub admin_token: String,
}

/// What stays in the state folder.
struct Kept {
    ca_key: KeyPair,
    token_key: KeyPair,
    admin_token: String,
}

impl Pki {
    /// Reads the keys in `folder` or makes them; without a folder they are made and forgotten. `year` is the current
    /// one; certificates are valid from the year before.
    ///
    /// # Errors
    /// A file cannot be read or written, or holds no key.
    pub fn open(
        folder: Option<&Path>,
        year: i32,
        addresses: &[std::net::IpAddr],
    ) -> Result<Self, PkiError> {
        let kept = Kept {
            ca_key: keep_key(folder, "ca.key")?,
            token_key: keep_key(folder, "tokens.key")?,
            admin_token: keep(folder, "admin.token", || Ok(random::token()))?,
        };
        let ca_params = authority(year);
        let ca = keep(folder, "ca.crt", || {
            Ok(ca_params.self_signed(&kept.ca_key)?.pem())
        })?;
        let issuer = Issuer::new(ca_params, &kept.ca_key);
        let key = KeyPair::generate()?;
        let certificate = serving(year, addresses)?.signed_by(&key, &issuer)?;
        Ok(Pki {
            ca,
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            token_key: kept.token_key.serialize_der(),
            admin_token: kept.admin_token,
        })
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn authority(year: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("sluice-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 10, 1, 1);
    params
}

fn serving(year: i32, addresses: &[std::net::IpAddr]) -> Result<CertificateParams, rcgen::Error> {
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let mut params = CertificateParams::new(names.map(String::from).to_vec())?;
    params
        .subject_alt_names
        .extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
    params.distinguished_name = name("kube-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// The text of a file, made where it is not there.
fn keep(
    folder: Option<&Path>,
    name: &str,
    make: impl FnOnce() -> Result<String, PkiError>,
) -> Result<String, PkiError> {
    let Some(path) = folder.map(|folder| folder.join(name)) else {
        return make();
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim_end_matches('\n').to_owned()
            + if text.starts_with("-----") { "\n" } else { "" }),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(PkiError::File(path, error))
        }
        _ => {
            let text = make()?;
            write_private(&path, &text).map_err(|error| PkiError::File(path, error))?;
            Ok(text)
        }
    }
}

fn keep_key(folder: Option<&Path>, name: &str) -> Result<KeyPair, PkiError> {
    let pem = keep(folder, name, || Ok(KeyPair::generate()?.serialize_pem()))?;
    Ok(KeyPair::from_pem(&pem)?)
}

/// Writes a file that only its owner can read, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let unfinished = path.with_extension("new");
    let mut file = options.open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

/// The text of a kubeconfig for the administrator.
pub fn kubeconfig(server: &str, ca: &str, token: &str) -> String {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD.encode(ca);
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: sluice\n  cluster:\n    server: {server}\n    \
         certificate-authority-data: {ca}\nusers:\n- name: sluice\n  user:\n    token: {token}\ncontexts:\n\
         - name: sluice\n  context:\n    cluster: sluice\n    user: sluice\n    namespace: default\n\
         current-context: sluice\n"
    )
}
