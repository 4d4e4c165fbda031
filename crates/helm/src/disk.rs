//! Charts on disk: the one place in this crate that touches the file system.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::chart::{
    ApiVersions, Chart, ChartError, File, IgnoreRules, MAX_FILE_BYTES, Metadata, ModTime, PathKind,
    load_files, load_files_as, read_archive,
};
use crate::lint::{Linted, Present};

/// Most files that a chart folder may hold.
const MAX_FILES: usize = 100_000;
/// Most bytes that a chart folder may hold.
const MAX_BYTES: u64 = 200 << 20;
/// Most bytes that an archive or a values file may have.
const MAX_INPUT_BYTES: u64 = 200 << 20;
/// How deep folders may nest.
const MAX_DEPTH: usize = 100;

/// Why something on disk could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A file or folder cannot be opened, in Go's words.
    #[error("{operation} {path}: {problem}", path = .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        problem: String,
    },
    /// Something that is no file and no folder.
    #[error(
        "cannot load irregular file {path} as it has file mode type bits set",
        path = .path.display()
    )]
    Irregular {
        /// What it is.
        path: PathBuf,
    },
    /// A file of a chart is too large.
    #[error(
        "chart file {} is larger than the maximum file size {MAX_FILE_BYTES}",
        sluice_gotemplate::strconv::quote(.name.as_bytes())
    )]
    FileTooLarge {
        /// The file's name.
        name: String,
    },
    /// A folder to be linted has no Chart.yaml.
    #[error("unable to check Chart.yaml file in chart: {0}")]
    NoChartFile(Box<DiskError>),
    /// A folder to be used has no Chart.yaml.
    #[error("unable to detect chart at {path}: {cause}", path = .path.display())]
    Undetected {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        cause: Box<DiskError>,
    },
    /// A folder holds more than a chart may.
    #[error("{path} holds more than a chart may", path = .path.display())]
    TooMuch {
        /// The folder.
        path: PathBuf,
    },
    /// What was read is no chart.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A file that is no archive.
    #[error("file '{path}' does not appear to be a gzipped archive; got '{mime}'", path = .path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        mime: &'static str,
    },
    /// An archive that cannot be read.
    #[error("unable to load chart archive")]
    NoArchive,
    /// An archive without Chart.yaml.
    #[error("unable to detect chart version, no Chart.yaml found")]
    NoVersion,
    /// An archive with something in it that is no archive.
    #[error("file '{path}' does not appear to be a valid chart file (details: {problem})", path = .path.display())]
    NoChart {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: ChartError,
    },
    /// An archive that cannot be linted.
    #[error("unable to extract tarball: {0}")]
    Unpack(String),
    /// A YAML file where an archive was expected.
    #[error("file '{path}' seems to be a YAML file, but expected a gzipped archive", path = .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
    },
}

fn io(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> DiskError + use<> {
    let path = path.to_owned();
    move |error| DiskError::Io {
        operation,
        path: path.clone(),
        problem: match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
            std::io::ErrorKind::NotADirectory => "not a directory".to_owned(),
            _ => error.to_string(),
        },
    }
}

/// Reads a chart that is going to be used from a folder or an archive.
///
/// # Errors
/// [`DiskError`] with Helm's text.
pub fn load_chart(path: &Path) -> Result<Chart, DiskError> {
    let metadata = std::fs::metadata(path).map_err(io("stat", path))?;
    match metadata.is_dir() {
        true => load_folder(path),
        false => load_chart_bytes(&read_chart_archive(path)?, path, ApiVersions::Known),
    }
}

/// Reads a chart that is going to be used from a folder.
///
/// # Errors
/// [`DiskError`] with Helm's text.
pub fn load_folder(path: &Path) -> Result<Chart, DiskError> {
    let chart_yaml = path.join("Chart.yaml");
    if let Err(error) = std::fs::metadata(&chart_yaml) {
        return Err(DiskError::Undetected {
            cause: Box::new(io("open", &chart_yaml)(error)),
            path: chart_yaml,
        });
    }
    Ok(load_files(read_folder(path)?)?)
}

/// Reads a chart that is only looked at, of whatever API, from a folder or an
/// archive.
///
/// # Errors
/// [`DiskError`] with Helm's text.
pub fn view_chart(path: &Path) -> Result<Chart, DiskError> {
    let metadata = std::fs::metadata(path).map_err(io("stat", path))?;
    match metadata.is_dir() {
        true => Ok(load_files_as(read_folder(path)?, ApiVersions::Any)?),
        false => load_chart_bytes(&read_chart_archive(path)?, path, ApiVersions::Any),
    }
}

/// Reads a chart out of an archive that is in memory; `path` is where it comes
/// from.
///
/// # Errors
/// [`DiskError`] with Helm's text.
pub fn load_chart_bytes(
    bytes: &[u8],
    path: &Path,
    versions: ApiVersions,
) -> Result<Chart, DiskError> {
    let files = match (read_archive(bytes), versions) {
        (Ok(files), _) => files,
        // Helm looks for the version first, and does not say why it cannot.
        (Err(_), ApiVersions::Known) => return Err(DiskError::NoArchive),
        (Err(error), ApiVersions::Any) => return Err(ChartError::from(error).into()),
    };
    load_files_as(files, versions).map_err(|error| match error {
        ChartError::Missing if versions == ApiVersions::Known => DiskError::NoVersion,
        error if error.is_about_gzip() => DiskError::NoChart {
            path: path.to_owned(),
            problem: error,
        },
        error => error.into(),
    })
}

fn read_chart_archive(path: &Path) -> Result<Vec<u8>, DiskError> {
    let bytes = read_file(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b, 8]) {
        let name = path.to_string_lossy();
        if name.ends_with(".yml") || name.ends_with(".yaml") {
            return Err(DiskError::Yaml {
                path: path.to_owned(),
            });
        }
        return Err(DiskError::NotAnArchive {
            path: path.to_owned(),
            mime: mime_type(&bytes),
        });
    }
    Ok(bytes)
}

/// What Go takes the head of a file for. It is looked at in a buffer of 512
/// bytes, so that a shorter text seems to end in zeros.
fn mime_type(bytes: &[u8]) -> &'static str {
    const HEAD: usize = 512;
    const TAGS: &[&str] = &[
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<iframe",
        "<h1",
        "<div",
        "<font",
        "<table",
        "<a",
        "<style",
        "<title",
        "<b",
        "<body",
        "<br",
        "<p",
        "<!--",
    ];
    const SIGNATURES: &[(&[u8], &str)] = &[
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"Rar!\x1a\x07", "application/x-rar-compressed"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    ];
    let head = &bytes[..bytes.len().min(HEAD)];
    let text = head.trim_ascii_start();
    let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
    let ends = |tag: &str| matches!(lower.as_bytes().get(tag.len()), Some(b' ' | b'>'));
    if TAGS.iter().any(|tag| lower.starts_with(tag) && ends(tag)) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    if let Some((_, mime)) = SIGNATURES.iter().find(|(start, _)| head.starts_with(start)) {
        return mime;
    }
    let is_binary = |b: &u8| *b <= 8 || *b == 11 || (14..=26).contains(b) || (28..=31).contains(b);
    match head.len() < HEAD || head.iter().any(is_binary) {
        true => "application/octet-stream",
        false => "text/plain; charset=utf-8",
    }
}

/// Reads a chart for `helm lint`, from a folder or an archive.
///
/// # Errors
/// [`DiskError`] with Helm's text.
pub fn read_lint(path: &Path) -> Result<Linted, DiskError> {
    let name = path.to_string_lossy();
    if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
        let unpack = |problem: String| DiskError::Unpack(problem);
        let files = read_archive(&read_file(path)?).map_err(|e| unpack(e.to_string()))?;
        let chart = files.iter().rev().find(|f| f.name == "Chart.yaml");
        let name = chart.map(|file| Metadata::name_in(&file.data)).transpose();
        if name.map_err(unpack)?.unwrap_or_default().is_empty() {
            return Err(unpack("chart name not specified".to_owned()));
        }
        let there = |prefix: &str| match files.iter().any(|f| f.name.starts_with(prefix)) {
            true => Present::Folder,
            false => Present::Nothing,
        };
        return Ok(Linted {
            templates: there("templates/"),
            crds: there("crds/"),
            folder: path.to_string_lossy().into_owned(),
            // It is linted as the folder that it unpacks to.
            files: without_ignored(files)?,
        });
    }
    let chart_yaml = path.join("Chart.yaml");
    if let Err(error) = std::fs::metadata(&chart_yaml) {
        return Err(DiskError::NoChartFile(Box::new(io("stat", &chart_yaml)(
            error,
        ))));
    }
    let there = |name: &str| match std::fs::metadata(path.join(name)) {
        Ok(found) if found.is_dir() => Present::Folder,
        Ok(_) => Present::File,
        Err(_) => Present::Nothing,
    };
    let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(Linted {
        files: read_folder(path)?,
        folder: folder.to_string_lossy().into_owned(),
        templates: there("templates"),
        crds: there("crds"),
    })
}

/// Drops the files that .helmignore names.
fn without_ignored(files: Vec<File>) -> Result<Vec<File>, DiskError> {
    let text = files.iter().find(|f| f.name == ".helmignore");
    let text = text.map(|f| String::from_utf8_lossy(&f.data).into_owned());
    let rules = IgnoreRules::parse(&text.unwrap_or_default()).map_err(ChartError::Ignore)?;
    let ignored = |name: &str| {
        let folders = name.match_indices('/').map(|(at, _)| &name[..at]);
        let mut folders = folders.map(|folder| rules.ignores(folder, PathKind::Folder));
        folders.any(|ignored| ignored) || rules.ignores(name, PathKind::File)
    };
    Ok(files.into_iter().filter(|f| !ignored(&f.name)).collect())
}

/// Reads a file within bounds.
///
/// # Errors
/// [`DiskError`] when it cannot be read or is too large.
pub fn read_file(path: &Path) -> Result<Vec<u8>, DiskError> {
    let size = std::fs::metadata(path).map_err(io("open", path))?.len();
    if size > MAX_INPUT_BYTES {
        return Err(DiskError::TooMuch {
            path: path.to_owned(),
        });
    }
    std::fs::read(path).map_err(|error| {
        let operation = match error.kind() {
            std::io::ErrorKind::IsADirectory => "read",
            _ => "open",
        };
        io(operation, path)(error)
    })
}

/// Reads the files of a chart folder, .helmignore applied, links followed.
///
/// # Errors
/// [`DiskError`] with Helm's text.
pub fn read_folder(root: &Path) -> Result<Vec<File>, DiskError> {
    let rules = match std::fs::read(root.join(".helmignore")) {
        Ok(text) => IgnoreRules::parse(&String::from_utf8_lossy(&text)),
        Err(_) => IgnoreRules::parse(""),
    }
    .map_err(ChartError::Ignore)?;
    let mut walk = Walk {
        root,
        rules,
        files: Vec::new(),
        bytes: 0,
    };
    walk.folder(root, "", 0)?;
    Ok(walk.files)
}

struct Walk<'r> {
    root: &'r Path,
    rules: IgnoreRules,
    files: Vec<File>,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), DiskError> {
        if depth > MAX_DEPTH {
            return Err(self.too_much());
        }
        let entries = std::fs::read_dir(folder).map_err(io("open", folder))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        for name in names {
            let path = folder.join(&name);
            let relative = format!("{prefix}{name}");
            let metadata = std::fs::metadata(&path).map_err(io("stat", &path))?;
            if metadata.is_dir() {
                if !self.rules.ignores(&relative, PathKind::Folder) {
                    self.folder(&path, &format!("{relative}/"), depth + 1)?;
                }
                continue;
            }
            if self.rules.ignores(&relative, PathKind::File) {
                continue;
            }
            if !metadata.is_file() {
                return Err(DiskError::Irregular { path });
            }
            if metadata.len() > MAX_FILE_BYTES {
                return Err(DiskError::FileTooLarge { name });
            }
            self.bytes += metadata.len();
            if self.files.len() >= MAX_FILES || self.bytes > MAX_BYTES {
                return Err(self.too_much());
            }
            let data = std::fs::read(&path).map_err(io("open", &path))?;
            let data = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&data);
            self.files.push(File {
                name: relative,
                data: data.into(),
                modified: modified(&metadata),
            });
        }
        Ok(())
    }

    fn too_much(&self) -> DiskError {
        DiskError::TooMuch {
            path: self.root.to_owned(),
        }
    }
}

fn modified(metadata: &std::fs::Metadata) -> Option<ModTime> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((i64::try_from(since.as_secs()).ok()?, since.subsec_nanos()))
}

/// Writes a file and the folders above it.
///
/// # Errors
/// [`DiskError`] when that fails.
pub fn write_file(path: &Path, data: &[u8]) -> Result<(), DiskError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io("mkdir", parent))?;
    }
    std::fs::write(path, data).map_err(io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_folder_have_a_size_limit_that_names_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let sized = |name: &str, bytes: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            let file = std::fs::File::create(path).expect("a file");
            file.set_len(bytes).expect("a size");
        };
        let chart = "apiVersion: v2\nname: c\nversion: 0.1.0\n";
        std::fs::write(folder.path().join("Chart.yaml"), chart).expect("writes");
        sized("most.bin", MAX_FILE_BYTES);
        assert!(load_folder(folder.path()).is_ok());
        sized("sub/more.bin", MAX_FILE_BYTES + 1);
        let error = load_folder(folder.path()).expect_err("too large");
        assert_eq!(
            error.to_string(),
            "chart file \"more.bin\" is larger than the maximum file size 5242880"
        );
        // What is ignored does not count.
        std::fs::write(folder.path().join(".helmignore"), "more.bin\n").expect("writes");
        assert!(load_folder(folder.path()).is_ok());
    }
}
