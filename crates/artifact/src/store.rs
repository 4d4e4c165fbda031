//! The folder that artifacts live in: `<root>/<kind>/<namespace>/<name>/<file>`.
//!
//! A publication is written beside its final place and renamed over it, so that a reader sees the
//! old file, the new one, or none, and never a part; a crash leaves a temporary file behind, which
//! garbage collection removes like any other stale file. All functions block: call them from a
//! thread that may.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::digest::{Algorithm, Digest, Hasher, HashingWriter};

/// How long a hash that was computed here stands for an unchanged file before it is computed again.
const REHASH_AFTER: Duration = Duration::from_secs(60 * 60);
/// A file younger than this when hashed might change within the clock's resolution: hash it again.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Garbage collection looks at no more files than this in one pass.
const MAX_SCANNED: usize = 1000;

/// Place of an artifact below the root of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArtifactPath {
    folder: String,
    file: String,
}

impl ArtifactPath {
    /// The path of `file` of the object `kind/namespace/name`; `kind` is put into lower case.
    ///
    /// # Errors
    /// When a part is empty, `.`, `..`, or holds a slash or NUL.
    pub fn new(kind: &str, namespace: &str, name: &str, file: &str) -> Result<Self, PathError> {
        for part in [kind, namespace, name, file] {
            if part.is_empty() || part == "." || part == ".." || part.contains(['/', '\0']) {
                return Err(PathError(format!("{kind}/{namespace}/{name}/{file}")));
            }
        }
        Ok(ArtifactPath {
            folder: format!("{}/{namespace}/{name}", kind.to_lowercase()),
            file: file.to_owned(),
        })
    }

    /// The object's folder, relative to the root.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.folder, self.file)
    }
}

impl FromStr for ArtifactPath {
    type Err = PathError;

    /// Parses what `status.artifact.path` holds; anything but four plain names is refused.
    fn from_str(path: &str) -> Result<Self, PathError> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [kind, namespace, name, file] => Self::new(kind, namespace, name, file),
            _ => Err(PathError(path.to_owned())),
        }
    }
}

/// A path does not name a place in a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid artifact path `{0}`")]
pub struct PathError(String);

/// How many stale files are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Stale files older than this are garbage (`--artifact-retention-ttl`).
    pub ttl: Duration,
    /// Files to keep at most, the current one included (`--artifact-retention-records`).
    pub records: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            ttl: Duration::from_secs(60),
            records: 2,
        }
    }
}

/// What a publication stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Digest of the file.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What is known of a file that should hold an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// It is there and has the expected digest.
    Intact,
    /// There is no regular file.
    Missing,
    /// It is there with another content; the found digest.
    Altered(Digest),
}

/// Why the store failed, by the step that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError<E> {
    /// The object's folder cannot be made.
    #[error("failed to create the directory of `{path}`: {source}")]
    CreateDir {
        /// Relative path of the artifact.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The lock file cannot be had.
    #[error("failed to acquire the lock of `{path}`: {source}")]
    Lock {
        /// Relative path of the artifact.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The writer of the content failed.
    #[error(transparent)]
    Content(E),
    /// The file cannot be written or renamed into place.
    #[error("failed to write `{path}`: {source}")]
    Write {
        /// Relative path of the artifact.
        path: String,
        /// The cause.
        source: io::Error,
    },
}

/// A content store on a local folder. One process owns it.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    host: String,
    algorithm: Algorithm,
    retention: Retention,
    hashed: Mutex<HashMap<PathBuf, HashedFile>>,
}

/// A digest and the state that the file was in when it was computed.
#[derive(Debug, Clone)]
struct HashedFile {
    stat: Stat,
    digest: Digest,
    at: Instant,
}

/// Everything that changes when a file is replaced or written to. The change time cannot be set back
/// by a process that tampers with the content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stat {
    fn of(metadata: &fs::Metadata) -> Stat {
        Stat {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the last change is long enough ago that another one would be visible.
    fn settled(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let changed = u64::try_from(self.changed.0).unwrap_or(0);
        changed + SETTLED_AFTER.as_secs() < now.as_secs()
    }
}

impl Store {
    /// Opens the store in the existing folder `root`.
    ///
    /// `host` is the advertised `host[:port]`, or an address that begins with `http://` or
    /// `https://`.
    ///
    /// # Errors
    /// When `root` is not a directory.
    pub fn open(
        root: impl Into<PathBuf>,
        host: impl Into<String>,
        algorithm: Algorithm,
        retention: Retention,
    ) -> io::Result<Store> {
        let root = fs::canonicalize(root.into())?;
        if !fs::metadata(&root)?.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("`{}` is not a directory", root.display()),
            ));
        }
        Ok(Store {
            root,
            host: host.into(),
            algorithm,
            retention,
            hashed: Mutex::default(),
        })
    }

    /// The folder that the store lives in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file server serves an artifact. Colons and plus signs stay as they are.
    pub fn url(&self, path: &ArtifactPath) -> String {
        if self.host.starts_with("http://") || self.host.starts_with("https://") {
            format!("{}/{path}", self.host.trim_end_matches('/'))
        } else {
            format!("http://{}/{path}", self.host)
        }
    }

    /// The file that an artifact is stored in.
    pub fn file(&self, path: &ArtifactPath) -> PathBuf {
        self.root.join(&path.folder).join(&path.file)
    }

    /// Publishes whatever `write` writes under `path`, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Content`] carries what `write` returned.
    pub fn put<E>(
        &self,
        path: &ArtifactPath,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Stored, StoreError<E>> {
        let text = path.to_string();
        let folder = self.root.join(&path.folder);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| StoreError::CreateDir {
                path: text.clone(),
                source,
            })?;
        let _lock = self.lock(path).map_err(|source| StoreError::Lock {
            path: text.clone(),
            source,
        })?;
        let failed = |source| StoreError::Write {
            path: text.clone(),
            source,
        };

        // Made with mode 0600, and removed when anything below fails.
        let mut temporary = tempfile::Builder::new()
            .prefix(&path.file)
            .suffix("")
            .tempfile_in(&folder)
            .map_err(failed)?;
        let mut writer = HashingWriter::new(
            BufWriter::with_capacity(64 * 1024, temporary.as_file_mut()),
            self.algorithm,
        );
        write(&mut writer).map_err(StoreError::Content)?;
        writer.flush().map_err(failed)?;
        let (digest, size) = writer.finish();
        let file = temporary
            .persist(self.file(path))
            .map_err(|error| failed(error.error))?;
        if let Ok(metadata) = file.metadata() {
            self.remember(self.file(path), Stat::of(&metadata), digest.clone());
        }
        Ok(Stored { digest, size })
    }

    fn lock(&self, path: &ArtifactPath) -> io::Result<File> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(
                self.root
                    .join(&path.folder)
                    .join(format!("{}.lock", path.file)),
            )?;
        file.lock()?;
        Ok(file)
    }

    /// Compares a stored file with the digest that is recorded for it.
    ///
    /// The file is hashed unless this process hashed it before and inode, size, modification and
    /// change time are what they were; a hash is trusted for an hour at most.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify(&self, path: &ArtifactPath, digest: &Digest) -> io::Result<Integrity> {
        let file = self.file(path);
        let metadata = match fs::symlink_metadata(&file) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Ok(Integrity::Missing),
            Err(error) if missing(&error) => return Ok(Integrity::Missing),
            Err(error) => return Err(error),
        };
        let stat = Stat::of(&metadata);
        let known = {
            let hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
            hashed
                .get(&file)
                .filter(|known| known.stat == stat && known.at.elapsed() < REHASH_AFTER)
                .map(|known| known.digest.clone())
                .filter(|known| known.algorithm() == digest.algorithm())
        };
        let found = match known {
            Some(found) => found,
            None => {
                let found = hash_file(&file, digest.algorithm())?;
                self.remember(file, stat, found.clone());
                found
            }
        };
        Ok(if found == *digest {
            Integrity::Intact
        } else {
            Integrity::Altered(found)
        })
    }

    fn remember(&self, file: PathBuf, stat: Stat, digest: Digest) {
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        if stat.settled() {
            hashed.insert(
                file,
                HashedFile {
                    stat,
                    digest,
                    at: Instant::now(),
                },
            );
        } else {
            hashed.remove(&file);
        }
    }

    /// Removes one artifact's file, if it is there. Its lock file stays.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, path: &ArtifactPath) -> io::Result<()> {
        let file = self.file(path);
        self.forget(|known| known == file);
        match fs::remove_file(&file) {
            Err(error) if !missing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes everything of the object whose artifacts lie in `path`'s folder. Returns whether
    /// there was anything.
    ///
    /// # Errors
    /// When something is there and cannot be removed.
    pub fn remove_all(&self, path: &ArtifactPath) -> io::Result<bool> {
        let folder = self.root.join(&path.folder);
        self.forget(|known| known.starts_with(&folder));
        match fs::remove_dir_all(&folder) {
            Ok(()) => Ok(true),
            Err(error) if missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn forget(&self, which: impl Fn(&Path) -> bool) {
        self.hashed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|file, _| !which(file));
    }

    /// Removes stale files beside the current artifact by the rules of [`Retention`], giving up
    /// after `budget`. Returns how many were removed.
    ///
    /// # Errors
    /// The first file that cannot be removed ends the pass; what was removed stays removed.
    pub fn collect_garbage(
        &self,
        current: &ArtifactPath,
        now: SystemTime,
        budget: Duration,
    ) -> io::Result<usize> {
        let started = Instant::now();
        let folder = self.root.join(&current.folder);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if missing(&error) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut candidates = Vec::new();
        for entry in entries.take(MAX_SCANNED) {
            let entry = entry?;
            let name = entry.file_name();
            let lock = name.as_encoded_bytes().ends_with(b".lock");
            if lock || name == *current.file || !entry.file_type()?.is_file() {
                continue;
            }
            let modified = entry.metadata()?.modified()?;
            candidates.push(Candidate {
                name: entry.path(),
                modified,
            });
        }
        let mut removed = 0;
        for file in garbage(candidates, now, self.retention) {
            if started.elapsed() > budget {
                break;
            }
            self.forget(|known| known == file);
            match fs::remove_file(&file) {
                Err(error) if !missing(&error) => return Err(error),
                _ => removed += 1,
            }
            let mut lock = file.into_os_string();
            lock.push(".lock");
            match fs::remove_file(&lock) {
                Err(error) if !missing(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(removed)
    }
}

/// A stale file: everything but the current artifact, folders, links and locks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    name: PathBuf,
    modified: SystemTime,
}

/// Decides which stale files go: all that are older than the time to live, then the oldest until
/// the current artifact and the rest are no more than `records`.
fn garbage(mut stale: Vec<Candidate>, now: SystemTime, retention: Retention) -> Vec<PathBuf> {
    stale.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    let expired = stale
        .iter()
        .filter(|c| {
            now.duration_since(c.modified)
                .is_ok_and(|age| age > retention.ttl)
        })
        .count();
    let fresh = stale.len() - expired;
    // The current artifact takes one of the records.
    let surplus = if fresh < retention.records {
        0
    } else {
        (fresh + 1).saturating_sub(retention.records).min(fresh)
    };
    stale
        .into_iter()
        .take(expired + surplus)
        .map(|c| c.name)
        .collect()
}

fn hash_file(file: &Path, algorithm: Algorithm) -> io::Result<Digest> {
    let mut reader = File::open(file)?;
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &Path) -> Store {
        Store::open(
            dir,
            "source-controller.flux-system.svc.cluster.local.",
            Algorithm::Sha256,
            Retention::default(),
        )
        .unwrap()
    }

    fn path(file: &str) -> ArtifactPath {
        ArtifactPath::new("GitRepository", "apps", "app", file).unwrap()
    }

    fn put(store: &Store, file: &str, text: &str) -> Stored {
        store
            .put(&path(file), |w| w.write_all(text.as_bytes()))
            .unwrap()
    }

    fn names(store: &Store) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(store.root().join(path("x").folder()))
            .map(|dir| {
                dir.map(|e| e.unwrap().file_name().into_string().unwrap())
                    .collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    }

    #[test]
    fn a_publication_is_whole_private_and_verifiable() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let stored = put(&store, "sha256:ab.tar.gz", "content");
        assert_eq!(
            stored,
            Stored {
                digest: Digest::of(Algorithm::Sha256, b"content"),
                size: 7
            }
        );
        let p = path("sha256:ab.tar.gz");
        assert_eq!(
            store.url(&p),
            "http://source-controller.flux-system.svc.cluster.local./gitrepository/apps/app/sha256:ab.tar.gz"
        );
        assert_eq!(p.to_string().parse(), Ok(p.clone()));
        let mode = |file: &Path| fs::metadata(file).unwrap().mode() & 0o777;
        assert_eq!(mode(&store.file(&p)), 0o600);
        assert_eq!(mode(store.file(&p).parent().unwrap()), 0o700);
        assert_eq!(names(&store), ["sha256:ab.tar.gz", "sha256:ab.tar.gz.lock"]);
        assert_eq!(store.verify(&p, &stored.digest).unwrap(), Integrity::Intact);
    }

    #[test]
    fn a_failed_publication_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let stored = put(&store, "a", "old");
        let failed = store.put(&path("a"), |w| {
            w.write_all(b"half").map_err(|_| "write")?;
            Err("cause")
        });
        assert!(matches!(failed, Err(StoreError::Content("cause"))));
        assert_eq!(
            store.verify(&path("a"), &stored.digest).unwrap(),
            Integrity::Intact
        );
        assert_eq!(names(&store), ["a", "a.lock"]);
    }

    #[test]
    fn tampering_and_loss_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let p = path("a");
        let stored = put(&store, "a", "content");
        // An old file is hashed once and then known.
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options()
            .write(true)
            .open(store.file(&p))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        assert_eq!(store.verify(&p, &stored.digest).unwrap(), Integrity::Intact);
        // The same length and modification time: the change time gives it away.
        fs::write(store.file(&p), "CONTENT").unwrap();
        File::options()
            .write(true)
            .open(store.file(&p))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        assert!(matches!(
            store.verify(&p, &stored.digest).unwrap(),
            Integrity::Altered(_)
        ));
        store.remove(&p).unwrap();
        assert_eq!(
            store.verify(&p, &stored.digest).unwrap(),
            Integrity::Missing
        );
        fs::create_dir(store.file(&p)).unwrap();
        assert_eq!(
            store.verify(&p, &stored.digest).unwrap(),
            Integrity::Missing
        );
        assert!(store.remove_all(&p).unwrap());
        assert!(!store.remove_all(&p).unwrap());
    }

    #[test]
    fn a_settled_file_is_hashed_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let digest = put(&store, "a", "content").digest;
        let file = store.file(&path("a"));
        let mut stat = Stat::of(&fs::metadata(&file).unwrap());
        assert!(!stat.settled());
        stat.changed.0 -= 60;
        assert!(stat.settled());
        assert!(store.hashed.lock().unwrap().is_empty());
        store.remember(file.clone(), stat, digest);
        assert!(store.hashed.lock().unwrap().contains_key(&file));
        store.remove(&path("a")).unwrap();
        assert!(store.hashed.lock().unwrap().is_empty());
    }

    #[test]
    fn garbage_is_what_is_old_and_then_what_is_too_much() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let stale = |ages: &[u64]| -> Vec<Candidate> {
            ages.iter()
                .map(|age| Candidate {
                    name: age.to_string().into(),
                    modified: now - Duration::from_secs(*age),
                })
                .collect()
        };
        let gone = |ages: &[u64], records| {
            garbage(
                stale(ages),
                now,
                Retention {
                    ttl: Duration::from_secs(60),
                    records,
                },
            )
            .into_iter()
            .map(|p| p.to_str().unwrap().parse().unwrap())
            .collect::<Vec<u64>>()
        };
        assert_eq!(gone(&[], 2), [] as [u64; 0]);
        assert_eq!(gone(&[5], 2), [] as [u64; 0]);
        assert_eq!(gone(&[5, 7], 2), [7]);
        assert_eq!(gone(&[5, 7, 9], 3), [9]);
        assert_eq!(gone(&[61, 5], 2), [61]);
        assert_eq!(gone(&[100, 61], 5), [100, 61]);
        assert_eq!(gone(&[60], 2), [] as [u64; 0]);
        assert_eq!(gone(&[5, 7], 0), [7, 5]);
        assert_eq!(gone(&[5, 7], 1), [7, 5]);
    }

    #[test]
    fn collecting_garbage_spares_the_current_file_and_locks() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        for file in ["1", "2", "3"] {
            put(&store, file, file);
        }
        let later = SystemTime::now() + Duration::from_secs(61);
        assert_eq!(
            store
                .collect_garbage(&path("3"), later, Duration::from_secs(5))
                .unwrap(),
            2
        );
        assert_eq!(names(&store), ["3", "3.lock"]);
        assert_eq!(
            store
                .collect_garbage(&path("3"), later, Duration::from_secs(5))
                .unwrap(),
            0
        );
    }

    #[test]
    fn paths_cannot_leave_the_store() {
        for bad in [
            "",
            "a/b/c",
            "a/b/c/d/e",
            "../b/c/d",
            "a/b/c/..",
            "/b/c/d",
            "a//c/d",
            "a/b/c/d\0",
        ] {
            assert!(bad.parse::<ArtifactPath>().is_err(), "{bad}");
        }
    }
}
