//! Puts transports, protocol and store together: connect, look, fetch.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use git2::{Oid, Repository};
use sha2::Digest as _;
use sluice_artifact::layout::{Dir, File, FileMode, Node};
use tokio::sync::{Semaphore, mpsc};

use crate::advertisement::Advertisement;
use crate::auth::{HttpAuth, Proxy, SshAuth, Tls};
use crate::cache::{self, Cache};
use crate::error::{Error, TransportError};
use crate::http;
use crate::protocol::{self, Depth, Preamble, Request};
use crate::reference::{Reference, Resolution, Resolved, Want};
use crate::snapshot::{Blob, Snapshot};
use crate::ssh;
use crate::submodule::{self, MAX_NESTING};
use crate::url::{RemoteUrl, redact};

/// Threads that may work on object stores at the same time.
const MAX_BLOCKING: usize = 16;
/// Pieces of a pack that may wait to be written.
const QUEUE: usize = 32;

/// Limits and settings of a [`Client`].
#[derive(Debug, Clone)]
pub struct Options {
    /// SSH algorithms to offer instead of the defaults.
    pub algorithms: ssh::Algorithms,
    /// Largest pack in bytes.
    pub max_pack: u64,
    /// Most submodules of one commit, nested ones included.
    pub max_submodules: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            algorithms: ssh::Algorithms::default(),
            max_pack: 4 << 30,
            max_submodules: 500,
        }
    }
}

/// Talks to remotes. Cheap to clone; one for a process.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    http: http::Clients,
    blocking: Arc<Semaphore>,
}

/// A repository and how to get at it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub url: RemoteUrl,
    /// The address as the user wrote it; messages show it without its password.
    pub given: String,
    /// Credentials for HTTP; user and password in the address add to it.
    pub http: HttpAuth,
    /// Certificates for HTTPS.
    pub tls: Tls,
    /// Credentials for SSH, without which SSH is impossible.
    pub ssh: Option<SshAuth>,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
}

impl Remote {
    /// A remote without credentials.
    pub fn new(url: RemoteUrl) -> Remote {
        let given = url.to_string();
        Remote {
            url,
            given,
            http: HttpAuth::None,
            tls: Tls::default(),
            ssh: None,
            proxy: None,
        }
    }

    /// The address for messages.
    pub fn shown(&self) -> String {
        redact(&self.given)
    }
}

/// Why a connection is made; messages say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To see whether anything changed.
    List,
    /// To get a revision.
    Clone,
}

/// A remote whose refs are known.
pub struct Session {
    client: Client,
    remote: Remote,
    refs: Advertisement,
    connection: Connection,
}

enum Connection {
    Http(http::Connection),
    Ssh(Box<ssh::Connection>),
    Local(PathBuf),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("remote", &self.remote.url)
            .finish_non_exhaustive()
    }
}

/// A commit with everything that its artifact needs.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The commit itself first, then its submodules.
    pub snapshots: Vec<Snapshot>,
    /// The tree; the files' handles count [`Checkout::snapshots`].
    pub layout: Dir<Blob>,
}

/// What becomes of submodules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submodules {
    /// An empty folder each.
    Skip,
    /// Their trees.
    Recurse,
}

impl Client {
    /// Makes a client without any connection.
    pub fn new(options: Options) -> Client {
        let blocking = Arc::new(Semaphore::new(MAX_BLOCKING));
        Client {
            inner: Arc::new(Inner {
                options,
                http: http::Clients::default(),
                blocking,
            }),
        }
    }

    /// Connects to a remote and lists its refs: one round trip over HTTP.
    ///
    /// Dropping the future ends the connection.
    ///
    /// # Errors
    /// When the credentials cannot be used, or the remote cannot be reached or refuses.
    pub async fn connect(&self, remote: &Remote, purpose: Purpose) -> Result<Session, Error> {
        let failed = |cause| match purpose {
            Purpose::List => Error::List {
                url: remote.shown(),
                cause,
            },
            Purpose::Clone => Error::Clone {
                url: remote.shown(),
                cause,
            },
        };
        let (connection, refs) = match &remote.url {
            RemoteUrl::Http(url) => {
                let auth = http_auth(url, &remote.http)?;
                let clients = &self.inner.http;
                let (connection, refs) =
                    http::connect(clients, url, &auth, &remote.tls, remote.proxy.as_ref())
                        .await
                        .map_err(failed)?;
                (Connection::Http(connection), refs)
            }
            RemoteUrl::Ssh(url) => {
                let auth = remote.ssh.as_ref().ok_or_else(|| {
                    failed(TransportError::Configuration(
                        "ssh: no identity for this repository".to_owned(),
                    ))
                })?;
                let credentials = ssh::Credentials::parse(auth)?;
                let algorithms = &self.inner.options.algorithms;
                let connected = ssh::connect(url, &credentials, algorithms, remote.proxy.as_ref());
                // The handshake's state is large; keep it off this future.
                let (connection, refs) = Box::pin(connected).await.map_err(failed)?;
                (Connection::Ssh(Box::new(connection)), refs)
            }
            RemoteUrl::Local(path) => {
                let path = path.clone();
                let (path, refs) = self
                    .blocking(move || Ok(local_refs(&path)))
                    .await?
                    .map_err(failed)?;
                (Connection::Local(path), refs)
            }
        };
        Ok(Session {
            client: self.clone(),
            remote: remote.clone(),
            refs,
            connection,
        })
    }

    /// Connects, resolves `reference` and fetches it into the store at `dir`.
    ///
    /// A damaged store is replaced once.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn obtain(
        &self,
        remote: &Remote,
        reference: &Reference,
        dir: &Path,
    ) -> Result<(Resolved, Snapshot), Error> {
        match self.obtain_once(remote, reference, dir).await {
            Err(error) if error.is_local() && !matches!(remote.url, RemoteUrl::Local(_)) => {
                tracing::warn!(%error, "the git object store is damaged and is started afresh");
                let dir = dir.to_owned();
                self.blocking(move || Ok(cache::remove(&dir)?)).await?;
            }
            outcome => return outcome,
        }
        self.obtain_once(remote, reference, dir).await
    }

    async fn obtain_once(
        &self,
        remote: &Remote,
        reference: &Reference,
        dir: &Path,
    ) -> Result<(Resolved, Snapshot), Error> {
        let session = self.connect(remote, Purpose::Clone).await?;
        let resolution = reference.resolve(session.refs(), &remote.shown())?;
        session.fetch(resolution, dir).await
    }

    /// Lays out the tree of a fetched commit, with its submodules if asked for; their stores lie
    /// in `dir`.
    ///
    /// # Errors
    /// When an object is missing, or a submodule cannot be had.
    pub async fn check_out(
        &self,
        remote: &Remote,
        snapshot: Snapshot,
        submodules: Submodules,
        dir: &Path,
    ) -> Result<Checkout, Error> {
        let mut snapshots = vec![snapshot.clone()];
        let mut layout = {
            let first = snapshot.clone();
            let (layout, gitlinks) = self.blocking(move || first.layout(0)).await?;
            if submodules == Submodules::Skip || gitlinks.is_empty() {
                return Ok(Checkout { snapshots, layout });
            }
            layout
        };
        let mounts = Mounts {
            client: self,
            root: remote,
            dir,
        };
        let mut pending = vec![Pending {
            snapshot,
            remote: remote.clone(),
            at: Vec::new(),
            modules: Vec::new(),
            number: 0,
        }];
        while let Some(parent) = pending.pop() {
            for mounted in mounts.of(&parent).await? {
                if snapshots.len() > self.inner.options.max_submodules {
                    return Err(Error::Submodule {
                        path: mounted.path(),
                        reason: format!(
                            "more than {} submodules",
                            self.inner.options.max_submodules
                        ),
                    });
                }
                let number = snapshots.len();
                let inner = mounted.snapshot.clone();
                let (mut tree, gitlinks) = self.blocking(move || inner.layout(number)).await?;
                let names: Vec<&str> = mounted.modules.iter().map(String::as_str).collect();
                let gitdir = submodule::gitdir(&mounted.path(), &names);
                tree.set(
                    b".git",
                    Node::File(File {
                        mode: FileMode::Regular,
                        content: Blob::Text(gitdir),
                    }),
                );
                let at: Vec<&[u8]> = mounted.at.iter().map(Vec::as_slice).collect();
                layout
                    .place(&at, Node::Dir(tree))
                    .map_err(|error| Error::Submodule {
                        path: mounted.path(),
                        reason: error.to_string(),
                    })?;
                snapshots.push(mounted.snapshot.clone());
                if !gitlinks.is_empty() && mounted.modules.len() < MAX_NESTING {
                    pending.push(Pending { number, ..mounted });
                }
            }
        }
        Ok(Checkout { snapshots, layout })
    }

    /// Runs work on an object store on a thread that may block, a bounded number at a time.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stopped =
            |error: &dyn fmt::Display| Error::Store(std::io::Error::other(error.to_string()));
        let slot = Arc::clone(&self.inner.blocking)
            .acquire_owned()
            .await
            .map_err(|error| stopped(&error))?;
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work()
        })
        .await
        .map_err(|error| stopped(&error))?
    }
}

/// What the address and the credentials together say.
fn http_auth(url: &url::Url, configured: &HttpAuth) -> Result<HttpAuth, Error> {
    let user = crate::url::decode(url.username());
    let password = url.password().map(crate::url::decode);
    if user.is_empty() && password.is_none() {
        return Ok(match configured {
            HttpAuth::Basic { username, password }
                if username.is_empty() && password.expose().is_empty() =>
            {
                HttpAuth::None
            }
            other => other.clone(),
        });
    }
    match configured {
        HttpAuth::Bearer(_) => Err(Error::BasicAndBearer),
        HttpAuth::Basic {
            username,
            password: secret,
        } => Ok(HttpAuth::Basic {
            username: if username.is_empty() {
                user
            } else {
                username.clone()
            },
            password: if secret.expose().is_empty() {
                crate::auth::Secret::new(password.unwrap_or_default())
            } else {
                secret.clone()
            },
        }),
        HttpAuth::None => Ok(HttpAuth::Basic {
            username: user,
            password: crate::auth::Secret::new(password.unwrap_or_default()),
        }),
    }
}

/// The refs of a repository on the disk, and where it is exactly.
fn local_refs(path: &Path) -> Result<(PathBuf, Advertisement), TransportError> {
    let local = |error: git2::Error| TransportError::Local {
        path: path.display().to_string(),
        reason: error.message().to_owned(),
    };
    if !path.exists() {
        return Err(TransportError::RepositoryNotFound(format!(
            "`{}` does not exist",
            path.display()
        )));
    }
    let repository = Repository::open(path).map_err(local)?;
    let mut refs = HashMap::new();
    let mut peeled = HashMap::new();
    for reference in repository.references().map_err(local)? {
        let reference = reference.map_err(local)?;
        let Ok(name) = std::str::from_utf8(reference.name_bytes()) else {
            continue;
        };
        let name = name.to_owned();
        // A ref to another ref that is not there is no ref.
        let Some(target) = reference.resolve().ok().and_then(|direct| direct.target()) else {
            continue;
        };
        if let Ok(commit) = reference.peel_to_commit()
            && commit.id() != target
        {
            peeled.insert(name.clone(), commit.id());
        }
        refs.insert(name, target);
    }
    if let Ok(head) = repository.head()
        && let Some(target) = head.target()
    {
        refs.insert("HEAD".to_owned(), target);
    }
    Ok((
        repository.path().to_owned(),
        Advertisement::from_local(refs, peeled),
    ))
}

impl Session {
    /// The remote's refs.
    pub fn refs(&self) -> &Advertisement {
        &self.refs
    }

    /// Ends the session without fetching anything.
    pub async fn close(self) {
        if let Connection::Ssh(connection) = self.connection {
            connection.close().await;
        }
    }

    /// Fetches what was resolved into the store at `dir`, where what earlier fetches left is used.
    /// A repository on the local disk is read in place, and `dir` left alone.
    ///
    /// Dropping the future ends the connection and leaves the store as it was.
    ///
    /// # Errors
    /// When the remote refuses, the connection breaks, the commit is not where it should be, or
    /// the store cannot be written.
    pub async fn fetch(
        self,
        resolution: Resolution,
        dir: &Path,
    ) -> Result<(Resolved, Snapshot), Error> {
        let candidates = match resolution {
            Resolution::Known(resolved) => vec![resolved],
            Resolution::Tied(tied) => tied,
        };
        let (wants, depth) = wants(&candidates);
        let client = self.client.clone();
        if let Connection::Local(path) = &self.connection {
            let path = path.clone();
            return client
                .blocking(move || {
                    choose(candidates, &path, |repository, resolved| {
                        local_reach(repository, resolved)
                    })
                })
                .await;
        }
        let key = self.remote.url.to_string();
        let main = dir.join("main");
        let shown = self.remote.shown();
        let cache = {
            let main = main.clone();
            client
                .blocking(move || Cache::open(&main, &key, depth))
                .await?
        };
        let missing: Vec<Oid> = wants
            .iter()
            .filter(|want| !cache.is_complete(**want))
            .copied()
            .collect();
        let cache = if missing.is_empty() {
            self.close().await;
            cache
        } else {
            self.receive(cache, missing, depth, &shown).await?
        };
        client
            .blocking(move || {
                let store = cache.store();
                choose(candidates, &store, |_, resolved| match &resolved.want {
                    Want::Tip(_) => Ok(true),
                    Want::Histories(tips) => cache.reaches(tips, resolved.commit),
                })
            })
            .await
    }

    /// Asks for objects and writes them into the store.
    async fn receive(
        self,
        cache: Cache,
        wants: Vec<Oid>,
        depth: Depth,
        shown: &str,
    ) -> Result<Cache, Error> {
        let failed = |cause| Error::Clone {
            url: shown.to_owned(),
            cause,
        };
        let client = self.client;
        let request = Request {
            wants: wants.clone(),
            shallow: cache.shallow(),
            haves: cache.haves(),
            depth,
        };
        let body = request.encode(&self.refs);
        let answer = match self.connection {
            Connection::Http(connection) => connection.request(body).await,
            Connection::Ssh(connection) => connection.request(body).await,
            Connection::Local(path) => {
                return Err(failed(TransportError::Local {
                    path: path.display().to_string(),
                    reason: "a local repository is read in place".to_owned(),
                }));
            }
        }
        .map_err(failed)?;
        let (preamble, mut pack) = protocol::read_answer(answer, &request, &self.refs)
            .await
            .map_err(failed)?;

        let (sender, receiver) = mpsc::channel(QUEUE);
        let limit = client.inner.options.max_pack;
        let writing =
            client.blocking(move || write_pack(cache, receiver, &wants, &preamble, limit));
        let reading = async move {
            while let Some(piece) = pack.next().await? {
                if sender.send(Piece::Bytes(piece)).await.is_err() {
                    // The writer gave up and says why.
                    return Ok(());
                }
            }
            let _ = sender.send(Piece::End).await;
            Ok(())
        };
        let (written, read) = tokio::join!(writing, reading);
        // A broken connection explains a broken pack, so it is told first.
        read.map_err(failed)?;
        written?.map_err(failed)
    }
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Writes pieces until the end comes; if it never does, nothing is kept.
fn write_pack(
    mut cache: Cache,
    mut pieces: mpsc::Receiver<Piece>,
    wants: &[Oid],
    preamble: &Preamble,
    limit: u64,
) -> Result<Result<Cache, TransportError>, Error> {
    let mut writer = cache.pack_writer()?;
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                if writer.written() + bytes.len() as u64 > limit {
                    return Ok(Err(TransportError::TooLarge {
                        what: "pack",
                        limit,
                    }));
                }
                if let Err(error) = writer.write(&bytes) {
                    return Ok(Err(error));
                }
            }
            Some(Piece::End) => break,
            None => {
                return Ok(Err(TransportError::Network(
                    "the transfer was cancelled".to_owned(),
                )));
            }
        }
    }
    if let Err(error) = writer.finish() {
        return Ok(Err(error));
    }
    cache.complete(wants, preamble)?;
    Ok(Ok(cache))
}

fn wants(candidates: &[Resolved]) -> (Vec<Oid>, Depth) {
    let mut wants: Vec<Oid> = Vec::new();
    let mut depth = Depth::One;
    for candidate in candidates {
        let add = match &candidate.want {
            Want::Tip(object) => std::slice::from_ref(object),
            Want::Histories(tips) => {
                depth = Depth::Full;
                tips
            }
        };
        for object in add {
            if !wants.contains(object) {
                wants.push(*object);
            }
        }
    }
    (wants, depth)
}

/// Takes the candidate with the youngest commit, once it is certain that all are there.
fn choose(
    candidates: Vec<Resolved>,
    store: &Path,
    reachable: impl Fn(&Repository, &Resolved) -> Result<bool, Error>,
) -> Result<(Resolved, Snapshot), Error> {
    let repository = crate::snapshot::open_store(store)?;
    let mut best: Option<(i64, Resolved)> = None;
    for resolved in candidates {
        if !reachable(&repository, &resolved)? {
            return Err(Error::CommitNotFound(resolved.commit.to_string()));
        }
        let commit =
            repository
                .find_commit(resolved.commit)
                .map_err(|error| match error.code() {
                    git2::ErrorCode::NotFound if matches!(resolved.want, Want::Histories(_)) => {
                        Error::CommitNotFound(resolved.commit.to_string())
                    }
                    _ => Error::Objects(error),
                })?;
        let seconds = commit.committer().when().seconds();
        if best
            .as_ref()
            .is_none_or(|(youngest, _)| seconds > *youngest)
        {
            best = Some((seconds, resolved));
        }
    }
    let (_, resolved) = best.ok_or_else(|| Error::CommitNotFound(String::new()))?;
    let snapshot = Snapshot {
        store: store.to_owned(),
        commit: resolved.commit,
        tag: resolved.tag.clone(),
    };
    Ok((resolved, snapshot))
}

fn local_reach(repository: &Repository, resolved: &Resolved) -> Result<bool, Error> {
    match &resolved.want {
        Want::Tip(_) => Ok(true),
        Want::Histories(tips) => {
            if !repository.odb()?.exists(resolved.commit) {
                return Ok(false);
            }
            for tip in tips {
                if *tip == resolved.commit
                    || repository.graph_descendant_of(*tip, resolved.commit)?
                {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// A commit whose submodules are still to be looked at.
struct Pending {
    snapshot: Snapshot,
    remote: Remote,
    at: Vec<Vec<u8>>,
    modules: Vec<String>,
    number: usize,
}

impl Pending {
    fn path(&self) -> String {
        String::from_utf8_lossy(&self.at.join(&b'/')).into_owned()
    }
}

struct Mounts<'a> {
    client: &'a Client,
    /// The outermost repository, whose credentials are used and whose address errors name.
    root: &'a Remote,
    dir: &'a Path,
}

impl Mounts<'_> {
    /// Fetches the submodules of one commit.
    async fn of(&self, parent: &Pending) -> Result<Vec<Pending>, Error> {
        let snapshot = parent.snapshot.clone();
        let number = parent.number;
        let (gitlinks, listed) = self
            .client
            .blocking(move || {
                let (_, gitlinks) = snapshot.layout(number)?;
                Ok((gitlinks, snapshot.gitmodules()?.unwrap_or_default()))
            })
            .await?;
        let listed = submodule::parse(&listed);
        let mut mounted = Vec::new();
        for gitlink in gitlinks {
            let path = String::from_utf8_lossy(&gitlink.path.join(&b'/')).into_owned();
            // A link that `.gitmodules` does not mention is an empty folder, in Git as well.
            let Some(entry) = listed
                .iter()
                .find(|entry| entry.path.trim_end_matches('/') == path)
            else {
                continue;
            };
            let url = submodule::resolve(&parent.remote.url, &entry.url).map_err(|reason| {
                Error::Submodule {
                    path: path.clone(),
                    reason,
                }
            })?;
            let remote = self.inherit(url);
            let store = self.dir.join("modules").join(file_name(&remote.url));
            let reference = Reference {
                commit: gitlink.commit.to_string(),
                ..Reference::default()
            };
            let (_, snapshot) = Box::pin(self.client.obtain(&remote, &reference, &store)).await?;
            let mut at = parent.at.clone();
            at.extend(gitlink.path);
            let mut modules = parent.modules.clone();
            modules.push(entry.name.clone());
            mounted.push(Pending {
                snapshot,
                remote,
                at,
                modules,
                number: 0,
            });
        }
        Ok(mounted)
    }

    /// The root's settings for another address. Passwords and tokens go to the root's own server
    /// only: `.gitmodules` is written by whoever can commit.
    fn inherit(&self, mut url: RemoteUrl) -> Remote {
        let same_server = match (&self.root.url, &mut url) {
            (RemoteUrl::Http(root), RemoteUrl::Http(url)) => {
                let same = root.scheme() == url.scheme()
                    && root.host() == url.host()
                    && root.port_or_known_default() == url.port_or_known_default();
                if same {
                    let _ = url.set_username(root.username());
                    let _ = url.set_password(root.password());
                }
                same
            }
            _ => false,
        };
        Remote {
            url,
            given: self.root.given.clone(),
            http: if same_server {
                self.root.http.clone()
            } else {
                HttpAuth::None
            },
            tls: if same_server {
                self.root.tls.clone()
            } else {
                Tls {
                    ca: self.root.tls.ca.clone(),
                    client: None,
                }
            },
            ssh: self.root.ssh.clone(),
            proxy: self.root.proxy.clone(),
        }
    }
}

/// A short name for the folder of a submodule's store.
fn file_name(url: &RemoteUrl) -> String {
    hex::encode(&sha2::Sha256::digest(url.to_string().as_bytes())[..12])
}
