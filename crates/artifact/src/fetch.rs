//! Gets an artifact for a consumer: download, digest check, unpack, shared.
//!
//! Within a process each digest is downloaded and unpacked once: concurrent callers of one digest
//! wait for the same work, and later ones get the tree from a cache bounded by bytes. Nothing is
//! unpacked before its digest is verified.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use reqwest::StatusCode;
use reqwest::header::USER_AGENT;

use crate::digest::{Digest, DigestError, Hasher};
use crate::tree::Tree;
use crate::unpack::{Limits, UnpackError, unpack};

/// How a [`Fetcher`] behaves. The default is what Flux's consumers do, with bounds added.
#[derive(Debug, Clone)]
pub struct Options {
    /// Retries after the first attempt (`--http-retry`).
    pub retries: u32,
    /// Shortest wait before a retry; it doubles each time.
    pub retry_wait_min: Duration,
    /// Longest wait before a retry.
    pub retry_wait_max: Duration,
    /// Longest silence of the server within an attempt.
    pub read_timeout: Duration,
    /// Longest duration of one attempt.
    pub attempt_timeout: Duration,
    /// Largest packed artifact in bytes.
    pub max_download: u64,
    /// Bounds of the unpack.
    pub limits: Limits,
    /// Bytes of unpacked trees to keep for later callers.
    pub cache_bytes: usize,
    /// Replaces `host[:port]` of every URL (`SOURCE_CONTROLLER_LOCALHOST`).
    pub source_controller: Option<String>,
    /// Replaces it in URLs with `//source-watcher` (`SOURCE_WATCHER_LOCALHOST`), even by nothing.
    pub source_watcher: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            retries: 9,
            retry_wait_min: Duration::from_secs(5),
            retry_wait_max: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(300),
            max_download: 1 << 30,
            limits: Limits::default(),
            cache_bytes: 64 << 20,
            source_controller: None,
            source_watcher: None,
        }
    }
}

/// What a fetch found.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// The artifact, unpacked.
    Tree(Arc<Tree>),
    /// The server answered 404: the artifact was replaced or is not there yet. Try again later.
    NotFound,
}

/// Why an artifact could not be had. Shared by all callers that waited for it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The recorded digest is missing or unusable.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The URL is unusable.
    #[error("failed to download archive from {url}: {reason}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, or not a whole one.
    #[error("failed to download archive from {url}: {reason}")]
    Transfer {
        /// The URL that was asked.
        url: String,
        /// The cause with what caused it.
        reason: String,
    },
    /// The server answered with neither success nor 404.
    #[error("failed to download archive from {url} (status: {status})")]
    Status {
        /// The URL that was asked.
        url: String,
        /// The HTTP status with its text.
        status: StatusCode,
    },
    /// The content is not what the digest promises.
    #[error(
        "failed to verify archive: computed digest doesn't match provided '{0}' (check whether file size exceeds max download size)"
    )]
    Mismatch(Digest),
    /// The download passes [`Options::max_download`].
    #[error("artifact at {url} exceeds the maximum download size of {limit} bytes")]
    TooLarge {
        /// The URL that was asked.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The archive is refused.
    #[error("failed to untar artifact: {0}")]
    Unpack(#[from] UnpackError),
    /// A temporary file or a thread failed.
    #[error("failed to keep the downloaded archive: {0}")]
    Local(#[source] io::Error),
}

/// Downloads artifacts and shares them. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

struct Inner {
    client: reqwest::Client,
    options: Options,
    state: Mutex<State>,
}

type Flight = Shared<BoxFuture<'static, Result<Fetched, Arc<FetchError>>>>;

#[derive(Default)]
struct State {
    cache: HashMap<Digest, Cached>,
    cached_bytes: usize,
    /// Counts uses; the entry with the smallest stamp is the least recently used.
    clock: u64,
    flights: HashMap<(Digest, String), Flight>,
}

struct Cached {
    tree: Arc<Tree>,
    used: u64,
}

impl Fetcher {
    /// Makes a fetcher with an empty cache.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(options: Options) -> io::Result<Fetcher> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(30))
            .read_timeout(options.read_timeout)
            .timeout(options.attempt_timeout)
            // Artifacts are served inside the cluster; a proxy for the outside must not see them.
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        Ok(Fetcher {
            inner: Arc::new(Inner {
                client,
                options,
                state: Mutex::default(),
            }),
        })
    }

    /// The tree of the artifact at `url` with `digest` (`<algorithm>:<hex>`).
    ///
    /// The work goes on as long as one caller waits for it.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, url: &str, digest: &str) -> Result<Fetched, Arc<FetchError>> {
        let digest: Digest = digest
            .parse()
            .map_err(|error| Arc::new(FetchError::Digest(error)))?;
        let key = (digest, url.to_owned());
        let flight = {
            let mut state = self.inner.state();
            if let Some(tree) = state.cached(&key.0) {
                return Ok(Fetched::Tree(tree));
            }
            match state.flights.get(&key) {
                Some(flight) => flight.clone(),
                None => {
                    let flight = Arc::clone(&self.inner).fly(key.clone()).boxed().shared();
                    state.flights.insert(key.clone(), flight.clone());
                    flight
                }
            }
        };
        // Whoever leaves last, finished or cancelled, takes the flight off the board.
        let _landing = Landing {
            inner: &self.inner,
            key,
            flight: flight.clone(),
        };
        flight.await
    }

    /// Bytes of memory that the cache keeps now.
    pub fn cached_bytes(&self) -> usize {
        self.inner.state().cached_bytes
    }
}

struct Landing<'a> {
    inner: &'a Inner,
    key: (Digest, String),
    flight: Flight,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        let ours = state
            .flights
            .get(&self.key)
            .is_some_and(|flight| flight.ptr_eq(&self.flight));
        // Two handles are left when nobody else waits: the board's and ours.
        let last = self
            .flight
            .strong_count()
            .is_none_or(|handles| handles <= 2);
        if ours && (last || self.flight.peek().is_some()) {
            state.flights.remove(&self.key);
        }
    }
}

impl State {
    fn cached(&mut self, digest: &Digest) -> Option<Arc<Tree>> {
        self.clock += 1;
        let cached = self.cache.get_mut(digest)?;
        cached.used = self.clock;
        Some(Arc::clone(&cached.tree))
    }

    fn keep(&mut self, digest: Digest, tree: &Arc<Tree>, limit: usize) {
        let size = tree.resident();
        if size > limit {
            return;
        }
        self.clock += 1;
        let cached = Cached {
            tree: Arc::clone(tree),
            used: self.clock,
        };
        if let Some(old) = self.cache.insert(digest, cached) {
            self.cached_bytes -= old.tree.resident();
        }
        self.cached_bytes += size;
        while self.cached_bytes > limit {
            let Some(oldest) = self
                .cache
                .iter()
                .min_by_key(|(_, c)| c.used)
                .map(|(d, _)| d.clone())
            else {
                break;
            };
            if let Some(evicted) = self.cache.remove(&oldest) {
                self.cached_bytes -= evicted.tree.resident();
            }
        }
    }
}

enum Attempt {
    Done(reqwest::Response),
    NotFound,
    Failed { error: FetchError, retry: Retry },
}

#[derive(PartialEq, Eq)]
enum Retry {
    Worthwhile,
    Pointless,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fly(
        self: Arc<Self>,
        (digest, url): (Digest, String),
    ) -> Result<Fetched, Arc<FetchError>> {
        let fetched = self.download(&digest, &url).await.map_err(Arc::new)?;
        if let Fetched::Tree(tree) = &fetched {
            self.state().keep(digest, tree, self.options.cache_bytes);
        }
        Ok(fetched)
    }

    async fn download(&self, digest: &Digest, url: &str) -> Result<Fetched, FetchError> {
        let target = self.target(url)?;
        let mut attempt = 0;
        loop {
            let outcome = match self.ask(&target).await {
                Attempt::NotFound => return Ok(Fetched::NotFound),
                Attempt::Done(response) => {
                    match self.receive(response, digest, target.as_str()).await {
                        Ok(tree) => return Ok(Fetched::Tree(Arc::new(tree))),
                        Err(error @ FetchError::Transfer { .. }) => (error, Retry::Worthwhile),
                        Err(error) => (error, Retry::Pointless),
                    }
                }
                Attempt::Failed { error, retry } => (error, retry),
            };
            let (error, retry) = outcome;
            if retry == Retry::Pointless || attempt >= self.options.retries {
                return Err(error);
            }
            let wait = self
                .options
                .retry_wait_min
                .saturating_mul(1 << attempt.min(16))
                .min(self.options.retry_wait_max);
            tracing::debug!(%error, ?wait, attempt, "retrying the download of an artifact");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// The URL with its host replaced as the environment asks.
    fn target(&self, url: &str) -> Result<reqwest::Url, FetchError> {
        let invalid = |reason: &dyn fmt::Display| FetchError::Url {
            url: url.to_owned(),
            reason: reason.to_string(),
        };
        let mut target = reqwest::Url::parse(url).map_err(|error| invalid(&error))?;
        let host = match &self.options.source_watcher {
            Some(watcher) if url.contains("//source-watcher") => Some(watcher),
            _ => self
                .options
                .source_controller
                .as_ref()
                .filter(|host| !host.is_empty()),
        };
        if let Some(host) = host {
            let replaced = format!(
                "{}://{host}{}",
                target.scheme(),
                &target[url::Position::BeforePath..]
            );
            target = reqwest::Url::parse(&replaced).map_err(|error| invalid(&error))?;
        }
        match target.scheme() {
            "http" | "https" => Ok(target),
            other => Err(invalid(&format!("unsupported protocol scheme `{other}`"))),
        }
    }

    async fn ask(&self, target: &reqwest::Url) -> Attempt {
        let url = target.to_string();
        match self
            .client
            .get(target.clone())
            .header(USER_AGENT, "sluice")
            .send()
            .await
        {
            Err(error) => {
                let error = FetchError::Transfer {
                    url,
                    reason: causes(&error),
                };
                Attempt::Failed {
                    error,
                    retry: Retry::Worthwhile,
                }
            }
            Ok(response) => match response.status() {
                StatusCode::OK => Attempt::Done(response),
                StatusCode::NOT_FOUND => Attempt::NotFound,
                status => {
                    let retry = if status == StatusCode::TOO_MANY_REQUESTS
                        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
                    {
                        Retry::Worthwhile
                    } else {
                        Retry::Pointless
                    };
                    Attempt::Failed {
                        error: FetchError::Status { url, status },
                        retry,
                    }
                }
            },
        }
    }

    async fn receive(
        &self,
        mut response: reqwest::Response,
        digest: &Digest,
        url: &str,
    ) -> Result<Tree, FetchError> {
        let limit = self.options.max_download;
        let too_large = || FetchError::TooLarge {
            url: url.to_owned(),
            limit,
        };
        if response
            .content_length()
            .is_some_and(|length| length > limit)
        {
            return Err(too_large());
        }
        let mut hasher = Hasher::new(digest.algorithm());
        let mut archive = tempfile::SpooledTempFile::new(8 << 20);
        let mut received = 0;
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| FetchError::Transfer {
                url: url.to_owned(),
                reason: causes(&error),
            })?
        {
            received += chunk.len() as u64;
            if received > limit {
                return Err(too_large());
            }
            hasher.update(&chunk);
            archive.write_all(&chunk).map_err(FetchError::Local)?;
        }
        if hasher.finish() != *digest {
            return Err(FetchError::Mismatch(digest.clone()));
        }
        let limits = self.options.limits;
        tokio::task::spawn_blocking(move || {
            archive.rewind().map_err(FetchError::Local)?;
            Ok(unpack(
                io::BufReader::with_capacity(64 * 1024, archive),
                &limits,
            )?)
        })
        .await
        .map_err(|error| FetchError::Local(io::Error::other(error)))?
    }
}

/// An error with what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
