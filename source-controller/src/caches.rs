//! The folder of the object stores of Git remotes: whose it is, and what in it is of no use any more.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use sluice_runtime::informer::ObjectKey;

/// Name of the file that shows that the folder is in use.
const LOCK: &str = "in-use";
/// Processes on one machine that may share a temporary folder.
const MAX_NEIGHBOURS: u32 = 64;

/// A folder that no other process uses while this value lives.
#[derive(Debug)]
pub struct CacheDir {
    path: PathBuf,
    _lock: File,
}

impl CacheDir {
    /// Takes `base`, or a folder beside it when another process has that one.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn take(base: &Path) -> io::Result<CacheDir> {
        for n in 0..MAX_NEIGHBOURS {
            let path = match n {
                0 => base.to_owned(),
                n => {
                    let mut name = base.as_os_str().to_owned();
                    name.push(format!("-{n}"));
                    PathBuf::from(name)
                }
            };
            fs::create_dir_all(&path)?;
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path.join(LOCK))?;
            match lock.try_lock() {
                Ok(()) => return Ok(CacheDir { path, _lock: lock }),
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other(format!(
            "`{}` and all folders beside it are in use",
            base.display()
        )))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the stores of objects that are not there any more, which were deleted while no
    /// controller ran. Blocks.
    pub fn sweep(path: &Path, exists: impl Fn(&ObjectKey) -> bool) -> io::Result<()> {
        for namespace in folders(path)? {
            for object in folders(&namespace)? {
                let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
                let (Some(namespace), Some(name)) = (name(&namespace), name(&object)) else {
                    continue;
                };
                if !exists(&ObjectKey::new(namespace, name)) {
                    fs::remove_dir_all(&object)?;
                }
            }
        }
        Ok(())
    }
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_do_not_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("git");
        let first = CacheDir::take(&base).unwrap();
        let second = CacheDir::take(&base).unwrap();
        assert_eq!(first.path(), base);
        assert_ne!(second.path(), base);
        drop(first);
        assert_eq!(CacheDir::take(&base).unwrap().path(), base);
    }

    #[test]
    fn stores_of_objects_that_are_gone_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        for object in ["apps/kept", "apps/gone", "other/gone"] {
            fs::create_dir_all(dir.path().join(object)).unwrap();
        }
        CacheDir::sweep(dir.path(), |key| key.name == "kept").unwrap();
        assert!(dir.path().join("apps/kept").exists());
        assert!(!dir.path().join("apps/gone").exists() && !dir.path().join("other/gone").exists());
    }
}
