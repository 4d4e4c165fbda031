//! Chart repositories: which ones are known, and how to have charts from them.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::blocking::Response;
use serde_json::Value as Json;
use sluice_helm::chart::MAX_ARCHIVE_BYTES;
use sluice_helm::index::{ChartVersion, Index};

use super::options::DownloadOptions;
use super::{Done, Environment, HelmError, fail, registry};

/// Most bytes of an index or an archive.
const MAX_DOWNLOAD_BYTES: u64 = MAX_ARCHIVE_BYTES;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A repository that the user has given a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Its name.
    pub(super) name: String,
    /// Its address.
    pub(super) url: String,
    username: Option<String>,
    password: Option<String>,
}

/// Reads the repositories that `helm repo add` has noted.
///
/// # Errors
/// The file is there and cannot be read.
pub(super) fn known(env: &Environment<'_>) -> Done<Vec<Named>> {
    let path = match &env.helm.repository_config {
        Some(path) => path.clone(),
        None => match config_folder() {
            Some(folder) => folder.join("repositories.yaml"),
            None => return Ok(Vec::new()),
        },
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return fail(format!(
                "couldn't load repositories file ({}): {error}",
                path.display()
            ));
        }
    };
    let file = sluice_yaml::from_str(&text)?;
    let text = |entry: &Json, key: &str| {
        let value = entry.get(key).and_then(Json::as_str).unwrap_or_default();
        value.to_owned()
    };
    let entries = file.get("repositories").and_then(Json::as_array);
    Ok(entries
        .into_iter()
        .flatten()
        .map(|entry| Named {
            name: text(entry, "name"),
            url: text(entry, "url"),
            username: Some(text(entry, "username")).filter(|t| !t.is_empty()),
            password: Some(text(entry, "password")).filter(|t| !t.is_empty()),
        })
        .collect())
}

/// Where Helm keeps the list of repositories, and what it knows of registries.
pub(super) fn config_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    Some(
        match (variable("HELM_CONFIG_HOME"), variable("XDG_CONFIG_HOME")) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(folder)) => PathBuf::from(folder).join("helm"),
            (None, None) => PathBuf::from(variable("HOME")?).join(".config/helm"),
        },
    )
}

/// Whether two addresses are the same repository.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// Downloads.
pub(super) struct Fetcher {
    pub(super) client: reqwest::blocking::Client,
    username: Option<String>,
    password: Option<String>,
    pass_credentials: bool,
    /// Whether registries are spoken to without TLS.
    pub(super) plain_http: bool,
}

impl Fetcher {
    /// Prepares for downloads.
    ///
    /// # Errors
    /// A certificate or key cannot be used.
    pub(super) fn new(options: &DownloadOptions) -> Done<Self> {
        sluice_runtime::client::install_tls();
        let mut builder = reqwest::blocking::Client::builder().timeout(TIMEOUT);
        if let Some(path) = &options.ca_file {
            let certificates = reqwest::Certificate::from_pem_bundle(&std::fs::read(path)?)?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let (Some(certificate), Some(key)) = (&options.cert_file, &options.key_file) {
            let mut pem = std::fs::read(certificate)?;
            pem.push(b'\n');
            pem.extend(std::fs::read(key)?);
            builder = builder.identity(reqwest::Identity::from_pem(&pem)?);
        }
        Ok(Fetcher {
            client: builder.build()?,
            username: options.username.clone(),
            password: options.password.clone(),
            pass_credentials: options.pass_credentials,
            plain_http: options.plain_http,
        })
    }

    /// As this one, with the credentials of a named repository unless the user
    /// gave some.
    fn for_named(&self, named: &Named) -> Fetcher {
        Fetcher {
            client: self.client.clone(),
            username: self.username.clone().or_else(|| named.username.clone()),
            password: self.password.clone().or_else(|| named.password.clone()),
            pass_credentials: self.pass_credentials,
            plain_http: self.plain_http,
        }
    }

    /// The name and password that the user gave.
    pub(super) fn credentials(&self) -> Option<(String, String)> {
        Some((self.username.clone()?, self.password.clone()?))
    }

    /// Downloads a file within bounds, with credentials.
    ///
    /// # Errors
    /// The server does not have it, or it is too large.
    pub(super) fn get(&self, url: &str) -> Done<Vec<u8>> {
        self.get_for(url, url)
    }

    /// Downloads a file; credentials only go to the host of `repository`,
    /// unless the user wants otherwise.
    fn get_for(&self, url: &str, repository: &str) -> Done<Vec<u8>> {
        let mut request = self.client.get(url);
        if let (Some(username), Some(password)) = (&self.username, &self.password)
            && (self.pass_credentials || same_host(url, repository))
        {
            request = request.basic_auth(username, Some(password));
        }
        let response = request.send().map_err(|e| HelmError(told(url, &e)))?;
        if !response.status().is_success() {
            return fail(format!("failed to fetch {url} : {}", response.status()));
        }
        body(url, response, MAX_DOWNLOAD_BYTES)
    }

    /// Downloads and reads the index of a repository.
    ///
    /// # Errors
    /// There is none, or it is broken.
    pub(super) fn index(&self, repository: &str) -> Done<Index> {
        let mut url = url::Url::parse(repository)
            .map_err(|e| HelmError(format!("invalid chart URL format: {repository}: {e}")))?;
        let path = format!("{}/index.yaml", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let bytes = self.get_for(url.as_str(), repository)?;
        Ok(Index::parse(&bytes, &mut Vec::new())?)
    }

    /// Downloads the archive of a version that an index lists.
    ///
    /// # Errors
    /// It is not there, or is not what the index says.
    pub(super) fn archive(&self, repository: &str, version: &ChartVersion) -> Done<Vec<u8>> {
        let url = version.url(repository).map_err(HelmError)?;
        self.get_for(&url, repository)
    }
}

/// Reads what `url` answers with, within bounds.
///
/// # Errors
/// There is more, or the connection breaks.
pub(super) fn body(url: &str, response: Response, limit: u64) -> Done<Vec<u8>> {
    let mut bytes = Vec::new();
    response.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => fail(format!("{url} is larger than {limit} bytes")),
        false => Ok(bytes),
    }
}

/// An error without its address, which may hold secrets, but with its cause.
pub(super) fn told(url: &str, error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let refused = cause.downcast_ref::<std::io::Error>();
    let refused = refused.is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
    let cause = match (refused, url::Url::parse(url)) {
        (true, Ok(parsed)) => format!(
            "dial tcp {}:{}: connect: connection refused",
            parsed.host_str().unwrap_or_default(),
            parsed.port_or_known_default().unwrap_or_default()
        ),
        _ => cause.to_string(),
    };
    format!("Get {:?}: {cause}", without_user(url))
}

fn without_user(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Both fail only for addresses that cannot have a user.
            let _ = parsed.set_password(None);
            let _ = parsed.set_username("");
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

fn same_host(a: &str, b: &str) -> bool {
    let origin = |url: &str| {
        let url = url::Url::parse(url).ok()?;
        Some((
            url.scheme().to_owned(),
            url.host_str()?.to_owned(),
            url.port_or_known_default(),
        ))
    };
    origin(a).is_some() && origin(a) == origin(b)
}

/// Has a chart from the repository at an address.
///
/// # Errors
/// Helm's text.
pub(super) fn from_repository(
    fetcher: &Fetcher,
    repository: &str,
    name: &str,
    version: &str,
) -> Done<Vec<u8>> {
    if repository.starts_with(registry::SCHEME) {
        return fail(format!(
            "looks like {repository:?} is not a valid chart repository or cannot be reached: failed \
             to perform \"FetchReference\" on source: invalid reference"
        ));
    }
    let index = fetcher.index(repository).map_err(|HelmError(text)| {
        HelmError(format!(
            "looks like {repository:?} is not a valid chart repository or cannot be reached: {text}"
        ))
    })?;
    let found = index.get(name, version).map_err(|_| {
        let wanted = match version {
            "" => format!("chart {name:?}"),
            version => format!("chart {name:?} version {version:?}"),
        };
        HelmError(format!("{wanted} not found in {repository} repository"))
    })?;
    fetcher.archive(repository, found)
}

/// Has a chart by a URL, or as `repository/chart`.
///
/// # Errors
/// Helm's text.
pub(super) fn from_reference(
    fetcher: &Fetcher,
    env: &mut Environment<'_>,
    reference: &str,
    version: &str,
) -> Done<Vec<u8>> {
    if reference.starts_with(registry::SCHEME) {
        return registry::pull(fetcher, env, reference, version);
    }
    if reference.contains("://") {
        return fetcher.get(reference);
    }
    let Some((repository, name)) = reference.split_once('/') else {
        return fail(format!(
            "non-absolute URLs should be in form of repo_name/path_to_chart, got: {reference}"
        ));
    };
    let known = known(env)?;
    let Some(named) = known.iter().find(|r| r.name == repository) else {
        return fail(format!("repo {repository} not found"));
    };
    let fetcher = fetcher.for_named(named);
    let index = fetcher.index(&named.url)?;
    let found = index.get(name, version).map_err(|error| {
        HelmError(format!(
            "chart {name:?} matching {version} not found in {repository} index. (try 'helm repo \
             update'): {error}"
        ))
    })?;
    fetcher.archive(&named.url, found)
}
