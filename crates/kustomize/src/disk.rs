//! The file system of the machine, for callers that build from a work tree.

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::path::Path;

use crate::fs::{FileSystem, FsError};

/// Reads the machine's own files.
///
/// Files beyond `max_file_bytes` are refused, so that one of them cannot
/// exhaust the memory.
#[derive(Debug, Clone)]
pub struct DiskFs {
    max_file_bytes: u64,
}

impl DiskFs {
    /// With the longest file that is read, in bytes.
    pub fn new(max_file_bytes: u64) -> Self {
        DiskFs { max_file_bytes }
    }
}

impl Default for DiskFs {
    fn default() -> Self {
        DiskFs::new(64 << 20)
    }
}

fn explain(error: &io::Error, path: &str) -> FsError {
    match error.kind() {
        io::ErrorKind::NotFound => FsError::NotFound(first_missing(path)),
        io::ErrorKind::NotADirectory => FsError::NotADirectory(path.to_owned()),
        io::ErrorKind::IsADirectory => FsError::IsDirectory(path.to_owned()),
        io::ErrorKind::PermissionDenied => {
            FsError::Other(format!("open {path}: permission denied"))
        }
        _ => FsError::Other(format!("open {path}: {error}")),
    }
}

/// The shortest leading part of the path that does not exist.
fn first_missing(path: &str) -> String {
    let missing = Path::new(path)
        .ancestors()
        .take_while(|part| part.symlink_metadata().is_err())
        .last();
    missing.map_or_else(|| path.to_owned(), |part| part.display().to_string())
}

impl FileSystem for DiskFs {
    fn read(&self, path: &str) -> Result<Cow<'_, [u8]>, FsError> {
        let mut file = std::fs::File::open(path).map_err(|error| explain(&error, path))?;
        let metadata = file.metadata().map_err(|error| explain(&error, path))?;
        if metadata.is_dir() {
            return Err(FsError::IsDirectory(path.to_owned()));
        }
        if metadata.len() > self.max_file_bytes {
            return Err(FsError::Other(format!(
                "read {path}: {} bytes are more than the limit of {}",
                metadata.len(),
                self.max_file_bytes
            )));
        }
        // One byte more tells the end without another read.
        let length = usize::try_from(metadata.len()).unwrap_or(0);
        let mut content = Vec::with_capacity(length + 1);
        file.by_ref()
            .take(self.max_file_bytes.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|error| explain(&error, path))?;
        if content.len() as u64 > self.max_file_bytes {
            return Err(FsError::Other(format!(
                "read {path}: more bytes than the limit of {}",
                self.max_file_bytes
            )));
        }
        Ok(Cow::Owned(content))
    }

    fn is_plain_file(&self, path: &str) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn is_dir(&self, path: &str) -> bool {
        Path::new(path).is_dir()
    }

    fn list(&self, path: &str) -> Result<Vec<String>, FsError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| explain(&error, path))? {
            let entry = entry.map_err(|error| explain(&error, path))?;
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn real_path(&self, path: &str) -> Result<String, FsError> {
        let real = std::fs::canonicalize(path).map_err(|error| explain(&error, path))?;
        real.into_os_string()
            .into_string()
            .map_err(|name| FsError::Other(format!("path {} is not UTF-8", name.display())))
    }
}
