//! What can go wrong, by stage. Texts are the ones that Flux's users know where Flux has one.

use std::io;

use crate::auth::KeyError;

/// A conversation with a remote failed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The server says that there is no such repository; its own words follow.
    #[error("repository not found: {0}")]
    RepositoryNotFound(String),
    /// The server wants credentials, or other ones.
    #[error("authentication required: {0}")]
    AuthenticationRequired(String),
    /// The server knows who asks and refuses.
    #[error("authorization failed: {0}")]
    AuthorizationFailed(String),
    /// The server answered with a status that means nothing here.
    #[error("unexpected client error: unexpected requesting \"{url}\" status code: {status}")]
    Status {
        /// What was asked for, without credentials.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// No connection, or one that broke. The text names what was attempted.
    #[error("{0}")]
    Network(String),
    /// The SSH handshake failed: host key, algorithms or authentication.
    #[error("ssh: handshake failed: {0}")]
    SshHandshake(String),
    /// The program on the server reported a failure.
    #[error("unknown error: {0}")]
    Remote(String),
    /// The server answered with nothing at all.
    #[error("empty input")]
    EmptyInput,
    /// The server does not speak the protocol.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
    /// The answer passes a limit.
    #[error("the {what} exceeds the maximum of {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// Repositories with SHA-256 object names cannot be read.
    #[error("repositories with object format `{0}` are not supported")]
    ObjectFormat(String),
    /// Trusted certificates, a client certificate or a proxy cannot be used as configured.
    #[error("{0}")]
    Configuration(String),
    /// A ref that should be fetched is not there.
    #[error("couldn't find remote ref \"{0}\"")]
    RefNotFound(String),
    /// There is nothing in the repository.
    #[error("remote repository is empty")]
    EmptyRepository,
    /// A repository on the local disk cannot be opened.
    #[error("failed to open repository `{path}`: {reason}")]
    Local {
        /// Its path.
        path: String,
        /// The cause.
        reason: String,
    },
    /// The received objects cannot be stored.
    #[error("failed to store the fetched objects: {0}")]
    Store(String),
}

impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => TransportError::Network("unexpected EOF".to_owned()),
            _ => TransportError::Network(crate::http::describe(&error)),
        }
    }
}

/// A revision could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The refs of the remote could not be listed.
    #[error("unable to list remote for '{url}': {cause}")]
    List {
        /// The remote, without its password.
        url: String,
        /// The cause.
        cause: TransportError,
    },
    /// The revision could not be fetched.
    #[error("unable to clone '{url}': {cause}")]
    Clone {
        /// The remote, without its password.
        url: String,
        /// The cause.
        cause: TransportError,
    },
    /// The credentials cannot be used at all; nothing was asked of the remote.
    #[error("unable to construct auth method with options: {0}")]
    Key(#[from] KeyError),
    /// Both a user or password and a bearer token were given.
    #[error("basic auth and bearer token cannot be set at the same time")]
    BasicAndBearer,
    /// The branch's repository has no commit yet.
    #[error("git repository is empty")]
    EmptyRepository,
    /// `ref.name` is not among the remote's refs.
    #[error("unable to resolve ref '{0}' to a specific commit")]
    UnresolvedName(String),
    /// `ref.name` cannot be a ref.
    #[error("ref {0} is invalid; Git refs cannot begin or end with a slash '/'")]
    InvalidName(String),
    /// The commit is not in the repository, or not where it was looked for.
    #[error("unable to resolve commit object for '{0}': object not found")]
    CommitNotFound(String),
    /// The version range cannot be read.
    #[error("semver parse error: {0}")]
    Constraint(#[from] sluice_version::ConstraintError),
    /// No tag is in the version range.
    #[error("no match found for semver: {0}")]
    NoMatch(String),
    /// A listed folder is not in the commit.
    #[error(
        "failed to sparse checkout directories : sparse checkout dir '{0}' does not exist in repository"
    )]
    SparseMissing(String),
    /// Objects in the store are damaged or missing.
    #[error("failed to read the git object store: {0}")]
    Objects(#[from] git2::Error),
    /// The commit's tree holds what Git itself never writes.
    #[error("the commit cannot be laid out: {0}")]
    InvalidTree(String),
    /// The store's folder cannot be read or written.
    #[error("failed to use the git object store: {0}")]
    Store(#[from] io::Error),
    /// Submodules lead to other submodules without an end, or `.gitmodules` makes no sense.
    #[error("failed to initialise submodule `{path}`: {reason}")]
    Submodule {
        /// Where the submodule is mounted.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The time for the whole operation is over.
    #[error("context deadline exceeded")]
    Deadline,
}

impl Error {
    /// Whether the local object store is to blame: wiping it and fetching again may help.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Error::Objects(_)
                | Error::Store(_)
                | Error::Clone {
                    cause: TransportError::Store(_),
                    ..
                }
        )
    }
}
