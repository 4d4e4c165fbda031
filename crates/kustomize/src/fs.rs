//! The files that a build reads, behind a trait.
//!
//! Paths are absolute, use `/`, and are clean: no `.`, `..` or empty parts.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why a path could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FsError {
    /// There is nothing; names the first part of the path that is missing.
    #[error("lstat {0}: no such file or directory")]
    NotFound(String),
    /// It is a directory.
    #[error("read {0}: is a directory")]
    IsDirectory(String),
    /// A part of the path is a file.
    #[error("lstat {0}: not a directory")]
    NotADirectory(String),
    /// Links lead in a circle or too far.
    #[error("EvalSymlinks: too many links")]
    TooManyLinks,
    /// Anything else, in the words of the system.
    #[error("{0}")]
    Other(String),
}

/// Read-only files and directories.
///
/// Every method follows symbolic links. Implementations must be cheap to call:
/// a build asks several times for the same path.
pub trait FileSystem: Send + Sync {
    /// The content of a file.
    ///
    /// # Errors
    /// The path is missing, a directory, or unreadable.
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, FsError>;

    /// True when the path is a file or a directory.
    fn exists(&self, path: &str) -> bool;

    /// True when the path is a directory.
    fn is_dir(&self, path: &str) -> bool;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// The path is missing, a file, or unreadable.
    fn list(&self, path: &str) -> Result<Vec<String>, FsError>;

    /// The path with every symbolic link in it resolved.
    ///
    /// # Errors
    /// The path is missing, or its links lead in a circle.
    fn real_path(&self, path: &str) -> Result<String, FsError>;

    /// True for a file that is no link, which a build may then read without
    /// resolving the path; false whenever that is not cheap to tell.
    fn is_plain_file(&self, path: &str) -> bool {
        let _ = path;
        false
    }
}

/// Files held in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFs {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    File(Vec<u8>),
    Directory,
    Link(String),
}

impl MemoryFs {
    /// An empty file system; `/` exists.
    pub fn new() -> Self {
        let mut fs = MemoryFs::default();
        fs.entries.insert("/".to_owned(), Entry::Directory);
        fs
    }

    /// Puts a file, and the directories above it.
    pub fn write(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        let path = clean(path);
        self.make_parents(&path);
        self.entries.insert(path, Entry::File(content.into()));
    }

    /// Puts a symbolic link; `target` may be relative to its directory.
    pub fn link(&mut self, path: &str, target: &str) {
        let path = clean(path);
        self.make_parents(&path);
        self.entries.insert(path, Entry::Link(target.to_owned()));
    }

    /// Puts a directory, and those above it.
    pub fn make_dir(&mut self, path: &str) {
        let path = clean(path);
        self.make_parents(&path);
        self.entries.insert(path, Entry::Directory);
    }

    fn make_parents(&mut self, path: &str) {
        let mut parent = dir(path);
        while parent != "/" {
            self.entries
                .entry(parent.to_owned())
                .or_insert(Entry::Directory);
            parent = dir(parent);
        }
        self.entries
            .entry("/".to_owned())
            .or_insert(Entry::Directory);
    }

    fn entry(&self, path: &str) -> Result<&Entry, FsError> {
        // A path without links needs no walk.
        match self.entries.get(path) {
            Some(entry @ (Entry::File(_) | Entry::Directory)) => Ok(entry),
            _ => {
                let real = self.real_path(path)?;
                self.entries.get(&real).ok_or(FsError::NotFound(real))
            }
        }
    }
}

impl FileSystem for MemoryFs {
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, FsError> {
        match self.entry(path)? {
            Entry::File(content) => Ok(Cow::Borrowed(content)),
            _ => Err(FsError::IsDirectory(path.to_owned())),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.entry(path).is_ok()
    }

    fn is_dir(&self, path: &str) -> bool {
        matches!(self.entry(path), Ok(Entry::Directory))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FsError> {
        let real = self.real_path(path)?;
        if !self.is_dir(&real) {
            return Err(FsError::NotADirectory(path.to_owned()));
        }
        let prefix = if real == "/" {
            real
        } else {
            format!("{real}/")
        };
        Ok(self
            .entries
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .map(|(path, _)| &path[prefix.len()..])
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .map(str::to_owned)
            .collect())
    }

    fn real_path(&self, path: &str) -> Result<String, FsError> {
        let mut budget = 255;
        let mut done = String::new();
        let mut todo: Vec<String> = parts(path).rev().map(str::to_owned).collect();
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            let here = format!("{done}/{part}");
            match self.entries.get(&here) {
                Some(Entry::Link(target)) => {
                    budget -= 1;
                    if budget == 0 {
                        return Err(FsError::TooManyLinks);
                    }
                    if target.starts_with('/') {
                        done.clear();
                    }
                    todo.extend(parts(target).rev().map(str::to_owned));
                }
                Some(Entry::File(_)) if !todo.is_empty() => {
                    return Err(FsError::NotADirectory(format!(
                        "{here}/{}",
                        todo.last().map_or("", String::as_str)
                    )));
                }
                Some(_) => done = here,
                None => return Err(FsError::NotFound(here)),
            }
        }
        Ok(if done.is_empty() {
            "/".to_owned()
        } else {
            done
        })
    }
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
}

/// Removes `.`, `..` and doubled slashes; the result of an absolute path is
/// absolute, of an empty one `.`.
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut out: Vec<&str> = Vec::new();
    for part in parts(path) {
        if part == ".." {
            match out.last() {
                Some(&last) if last != ".." => {
                    out.pop();
                }
                _ if absolute => {}
                _ => out.push(part),
            }
        } else {
            out.push(part);
        }
    }
    let joined = out.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Joins and cleans.
pub(crate) fn join(root: &str, path: &str) -> String {
    if path.is_empty() {
        return clean(root);
    }
    clean(&format!("{root}/{path}"))
}

/// The directory of a clean path.
pub(crate) fn dir(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(at) => &path[..at],
        None => ".",
    }
}

/// The last part of a path, as Go's `filepath.Base` has it.
pub(crate) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return if path.is_empty() { "." } else { "/" };
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// True when `path` is `root` or below it; both clean and absolute.
pub(crate) fn is_within(path: &str, root: &str) -> bool {
    root == "/"
        || path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The way from `from` to `to`, both clean and absolute.
pub(crate) fn relative(from: &str, to: &str) -> String {
    let from: Vec<&str> = parts(from).collect();
    let to: Vec<&str> = parts(to).collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    let steps: Vec<&str> = up.chain(to[shared..].iter().copied()).collect();
    if steps.is_empty() {
        ".".to_owned()
    } else {
        steps.join("/")
    }
}
