//! Reads a `tar.gz` from anywhere into a [`Tree`], under limits.
//!
//! Nothing is written below a real path: links are skipped, so nothing can point out of the tree,
//! and a name that would leave it is an error. Content beyond [`Limits::memory`] goes to a temporary
//! file that has no name any more.

use std::fs::File;
use std::io::{self, Read, Write};

use flate2::bufread::MultiGzDecoder;

use crate::layout::{FileMode, MAX_DEPTH};
use crate::tree::{Content, Tree};

/// Bounds of one unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unpacked bytes, tar headers included.
    pub bytes: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Unpacked bytes for each packed byte, beyond the first MiB: a bomb's mark.
    pub ratio: u64,
    /// Contents up to this many bytes are kept in memory, larger ones in a temporary file.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 2 << 30,
            entries: 500_000,
            ratio: 400,
            memory: 32 << 20,
        }
    }
}

/// Unpacked size below which the ratio is not looked at: small archives of blanks are legitimate.
const RATIO_FREE: u64 = 16 << 20;

/// Largest extended header in bytes.
const MAX_EXTENDED: u64 = 64 << 10;
/// Largest file that a plain header can announce.
const USTAR_SIZE: u64 = 8 << 30;

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is no gzip or tar, or it is cut off.
    #[error("failed to read the archive: {0}")]
    Read(#[source] io::Error),
    /// A temporary file cannot be written.
    #[error("failed to spill the archive to a temporary file: {0}")]
    Spill(#[source] io::Error),
    /// An entry's name is empty, absolute, or leaves the tree.
    #[error("tar contains invalid name `{0}`")]
    Name(String),
    /// An entry is neither file, folder nor link.
    #[error("tar entry `{name}` contains unsupported file type `{kind}`")]
    Kind {
        /// Its name.
        name: String,
        /// Its type flag.
        kind: char,
    },
    /// A file and a folder have the same name.
    #[error("tar entry `{0}` is both a file and a directory")]
    Clash(String),
    /// The unpacked size passes [`Limits::bytes`].
    #[error("the unpacked archive exceeds the maximum of {0} bytes")]
    TooLarge(u64),
    /// The number of entries passes [`Limits::entries`].
    #[error("the archive has more than the maximum of {0} entries")]
    TooMany(u64),
    /// A header with a long name or other settings is unreasonably long.
    #[error("an extended tar header exceeds the maximum of {0} bytes")]
    Extended(u64),
    /// The archive shrinks its content more than [`Limits::ratio`].
    #[error("the archive expands to more than {0} times its size")]
    Ratio(u64),
}

/// Unpacks `archive`. Blocks while it reads and inflates.
///
/// # Errors
/// See [`UnpackError`].
pub fn unpack(archive: impl io::BufRead, limits: &Limits) -> Result<Tree, UnpackError> {
    let metered = Metered {
        inner: archive,
        read: 0,
    };
    let bounded = Bounded {
        inner: MultiGzDecoder::new(metered),
        unpacked: 0,
        limits: *limits,
        passed: None,
    };
    let mut archive = tar::Archive::new(bounded);
    let mut tree = Tree::empty();
    let mut buffer = Buffer {
        memory: Vec::new(),
        spilled: None,
        length: 0,
        limit: limits.memory,
    };
    let outcome = read_entries(&mut archive, limits, &mut tree, &mut buffer);
    // A limit that was passed shows as a read error inside the tar reader; report the limit.
    if let Some(passed) = archive.into_inner().passed {
        return Err(match passed {
            Passed::Bytes => UnpackError::TooLarge(limits.bytes),
            Passed::Ratio => UnpackError::Ratio(limits.ratio),
        });
    }
    outcome?;
    let bytes = buffer.length;
    tree.fill(buffer.finish().map_err(UnpackError::Spill)?, bytes);
    Ok(tree)
}

fn read_entries<R: Read>(
    archive: &mut tar::Archive<R>,
    limits: &Limits,
    tree: &mut Tree,
    buffer: &mut Buffer,
) -> Result<(), UnpackError> {
    let mut entries = 0;
    // Raw, because the reader would take extended headers of any size into memory.
    let mut long_name: Option<Vec<u8>> = None;
    for entry in archive.entries().map_err(UnpackError::Read)?.raw(true) {
        let mut entry = entry.map_err(UnpackError::Read)?;
        entries += 1;
        if entries > limits.entries {
            return Err(UnpackError::TooMany(limits.entries));
        }
        let kind = entry.header().entry_type();
        match kind {
            tar::EntryType::GNULongName => {
                let mut name = extended(&mut entry)?;
                name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
                long_name = Some(name);
                continue;
            }
            tar::EntryType::XHeader => {
                let path = pax_path(&extended(&mut entry)?)?;
                long_name = path.or(long_name);
                continue;
            }
            // A link's target, and settings for all entries: nothing that matters here.
            tar::EntryType::GNULongLink | tar::EntryType::XGlobalHeader => continue,
            _ => {}
        }
        let name = match long_name.take() {
            Some(name) => String::from_utf8_lossy(&name).into_owned(),
            None => String::from_utf8_lossy(&entry.header().path_bytes()).into_owned(),
        };
        check_name(&name)?;
        let clash = |_| UnpackError::Clash(name.clone());
        match kind {
            tar::EntryType::Directory => {
                tree.add_dir(&name).map_err(clash)?;
            }
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mode = match entry.header().mode() {
                    Ok(mode) if mode & 0o111 != 0 => FileMode::Executable,
                    _ => FileMode::Regular,
                };
                let from = buffer.length;
                io::copy(&mut entry, buffer).map_err(|error| match buffer.spill_error(error) {
                    (true, error) => UnpackError::Spill(error),
                    (false, error) => UnpackError::Read(error),
                })?;
                tree.add_file(&name, from..buffer.length, mode)
                    .map_err(clash)?;
            }
            // Never followed, never made.
            tar::EntryType::Symlink => {}
            // As the reference has it: an empty file, since the target may lie anywhere.
            tar::EntryType::Link => {
                tree.add_file(&name, buffer.length..buffer.length, FileMode::Regular)
                    .map_err(clash)?;
            }
            other => {
                return Err(UnpackError::Kind {
                    name,
                    kind: char::from(other.as_byte()),
                });
            }
        }
    }
    Ok(())
}

/// The content of an extended header.
fn extended(entry: &mut impl Read) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    entry
        .take(MAX_EXTENDED + 1)
        .read_to_end(&mut bytes)
        .map_err(UnpackError::Read)?;
    if bytes.len() as u64 > MAX_EXTENDED {
        return Err(UnpackError::Extended(MAX_EXTENDED));
    }
    Ok(bytes)
}

/// The path that a PAX header gives to the next entry.
fn pax_path(records: &[u8]) -> Result<Option<Vec<u8>>, UnpackError> {
    let mut path = None;
    for record in tar::PaxExtensions::new(records) {
        let record = record.map_err(UnpackError::Read)?;
        match record.key_bytes() {
            b"path" => path = Some(record.value_bytes().to_vec()),
            // Only files beyond 8 GiB need one, and believing it would need another reader.
            b"size" => return Err(UnpackError::TooLarge(USTAR_SIZE)),
            _ => {}
        }
    }
    Ok(path)
}

fn check_name(name: &str) -> Result<(), UnpackError> {
    let bad = name.is_empty()
        || name.starts_with('/')
        || name.contains(['\\', '\0'])
        || name.split('/').any(|part| part == "..")
        || name.split('/').count() > MAX_DEPTH;
    if bad {
        let mut shown: String = name.chars().take(200).collect();
        shown.retain(|c| c != '\0');
        return Err(UnpackError::Name(shown));
    }
    Ok(())
}

/// Counts packed bytes.
struct Metered<R> {
    inner: R,
    read: u64,
}

impl<R: io::BufRead> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.read += n as u64;
        Ok(n)
    }
}

impl<R: io::BufRead> io::BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.read += n as u64;
        self.inner.consume(n);
    }
}

enum Passed {
    Bytes,
    Ratio,
}

/// Counts unpacked bytes and stops at the limits.
struct Bounded<R> {
    inner: MultiGzDecoder<Metered<R>>,
    unpacked: u64,
    limits: Limits,
    passed: Option<Passed>,
}

impl<R: io::BufRead> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.unpacked += n as u64;
        let packed = self.inner.get_ref().read;
        if self.unpacked > self.limits.bytes {
            self.passed = Some(Passed::Bytes);
        } else if self.unpacked > RATIO_FREE && self.unpacked / packed.max(1) > self.limits.ratio {
            self.passed = Some(Passed::Ratio);
        }
        match self.passed {
            Some(_) => Err(io::Error::other("a limit was passed")),
            None => Ok(n),
        }
    }
}

/// Collects contents in memory until they are too many, then in a file.
struct Buffer {
    memory: Vec<u8>,
    spilled: Option<io::BufWriter<File>>,
    length: u64,
    limit: u64,
}

/// Marks an error of the temporary file, to tell it from one of the archive.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SpillFailed(#[source] io::Error);

impl Buffer {
    fn finish(self) -> io::Result<Content> {
        Ok(match self.spilled {
            None => {
                let mut memory = self.memory;
                memory.shrink_to_fit();
                Content::Memory(memory.into())
            }
            Some(file) => {
                Content::Spilled(file.into_inner().map_err(io::IntoInnerError::into_error)?)
            }
        })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.spilled.is_none() && self.length + bytes.len() as u64 > self.limit {
            let mut file = io::BufWriter::with_capacity(256 * 1024, tempfile::tempfile()?);
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.spilled = Some(file);
        }
        match &mut self.spilled {
            None => self.memory.extend_from_slice(bytes),
            Some(file) => file.write_all(bytes)?,
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether `error` came from [`Buffer::append`], and its cause.
    fn spill_error(&self, error: io::Error) -> (bool, io::Error) {
        match error.downcast::<SpillFailed>() {
            Ok(SpillFailed(cause)) => (true, cause),
            Err(error) => (false, error),
        }
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)
            .map_err(|cause| io::Error::other(SpillFailed(cause)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Dir, File as LayoutFile, Node};
    use crate::pack::{Content as Packing, PackLimits, pack};
    use crate::sourceignore::Rules;
    use crate::tree::Entry;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    /// A tar.gz of raw entries: type flag, name, content.
    fn archive(entries: &[(u8, &str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (flag, name, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(tar::EntryType::new(*flag));
            header.set_mode(0o755);
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn refused(bytes: &[u8], limits: Limits) -> String {
        unpack(bytes, &limits).unwrap_err().to_string()
    }

    #[test]
    fn files_folders_and_modes_come_out_and_links_do_not() {
        let bytes = archive(&[
            (b'5', ".", b""),
            (b'0', "a/b", b"one"),
            (b'2', "a/link", b""),
            (b'1', "hard", b""),
            (b'5', "empty/", b""),
            (b'0', "a/b", b"two"),
        ]);
        for memory in [0, 1 << 20] {
            let tree = unpack(
                &bytes[..],
                &Limits {
                    memory,
                    ..Limits::default()
                },
            )
            .unwrap();
            assert_eq!(&tree.read("./a//b").unwrap()[..], b"two");
            assert_eq!(
                tree.entry("a/b"),
                Some(Entry::File {
                    size: 3,
                    mode: FileMode::Executable
                })
            );
            assert_eq!(
                tree.entry("hard"),
                Some(Entry::File {
                    size: 0,
                    mode: FileMode::Regular
                })
            );
            assert!(tree.is_dir("") && tree.is_dir("empty") && !tree.exists("a/link"));
            let names: Vec<_> = tree.list("").unwrap().map(|(name, _)| name).collect();
            assert_eq!(names, ["a", "empty", "hard"]);
            assert_eq!(
                tree.read("nope").unwrap_err().kind(),
                io::ErrorKind::NotFound
            );
            assert_eq!(
                tree.read("a").unwrap_err().kind(),
                io::ErrorKind::IsADirectory
            );
            assert!(tree.list("a/b").is_err() && !tree.exists("a/../a"));
        }
    }

    #[test]
    fn hostile_names_and_types_are_refused() {
        let limits = Limits::default();
        for name in ["../x", "a/../../x", "/etc/passwd", "a\\b", "a/.."] {
            assert_eq!(
                refused(&archive(&[(b'0', name, b"")]), limits),
                format!("tar contains invalid name `{name}`")
            );
        }
        assert_eq!(
            refused(&archive(&[(b'3', "dev", b"")]), limits),
            "tar entry `dev` contains unsupported file type `3`"
        );
        assert_eq!(
            refused(&archive(&[(b'0', "a", b""), (b'0', "a/b", b"")]), limits),
            "tar entry `a/b` is both a file and a directory"
        );
        assert_eq!(
            refused(&archive(&[(b'5', "a", b""), (b'0', "a", b"")]), limits),
            "tar entry `a` is both a file and a directory"
        );
    }

    #[test]
    fn limits_are_reported_as_such() {
        let bytes = archive(&[(b'0', "a", &[0; 100_000]), (b'0', "b", b"")]);
        assert_eq!(
            refused(
                &bytes,
                Limits {
                    bytes: 50_000,
                    ..Limits::default()
                }
            ),
            "the unpacked archive exceeds the maximum of 50000 bytes"
        );
        assert_eq!(
            refused(
                &bytes,
                Limits {
                    entries: 1,
                    ..Limits::default()
                }
            ),
            "the archive has more than the maximum of 1 entries"
        );
        let bomb = archive(&[(b'0', "a", &vec![0; 17 << 20])]);
        assert_eq!(
            refused(
                &bomb,
                Limits {
                    ratio: 100,
                    ..Limits::default()
                }
            ),
            "the archive expands to more than 100 times its size"
        );
    }

    #[test]
    fn what_is_no_archive_is_refused_without_panic() {
        let whole = archive(&[(b'0', "a", b"some content")]);
        for cut in 1..whole.len() - 8 {
            let _ = unpack(&whole[..cut], &Limits::default());
        }
        assert!(refused(b"spoilt", Limits::default()).starts_with("failed to read the archive: "));
    }

    proptest! {
        #[test]
        fn a_packed_layout_comes_back(files in proptest::collection::btree_map("[a-c]{1,2}(/[a-cé]{1,2}){0,3}", ".{0,40}", 0..8)) {
            let mut root = Dir::new();
            let mut kept = Vec::new();
            for (path, content) in &files {
                let names: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
                let node = Node::File(LayoutFile { mode: FileMode::Regular, content: content.clone().into_bytes() });
                if root.place(&names, node).is_ok() {
                    kept.push((path, content));
                }
            }
            let mut bytes = Vec::new();
            pack(&root, &Rules::none(), &PackLimits::default(), &mut bytes, |c| Ok(Packing::bytes(c))).unwrap();
            let tree = unpack(&bytes[..], &Limits::default()).unwrap();
            for (path, content) in kept {
                prop_assert_eq!(&tree.read(path).unwrap()[..], content.as_bytes());
            }
        }

        #[test]
        fn noise_cannot_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut gz = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&bytes).unwrap();
            let _ = unpack(&gz.finish().unwrap()[..], &Limits::default());
            let _ = unpack(&bytes[..], &Limits::default());
        }
    }
}
