//! Writes a layout as a reproducible `tar.gz`: the same names and contents always give the same
//! bytes.
//!
//! Entries come depth-first in bytewise order, the root first as `.`; folders have mode 0750 and no
//! trailing slash, files 0600 or 0700; owner, group and times are zero. Headers are USTAR, with a PAX
//! record only for a path that USTAR cannot hold. The gzip header carries neither name nor time.

use std::io::{self, Read, Write};

use flate2::{Compression, GzBuilder};

use crate::layout::{Dir, FileMode, Node};
use crate::sourceignore::{Kind, Rules};

/// Upper bounds for what is packed, so that a repository cannot fill the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackLimits {
    /// Largest single file in bytes. USTAR's own limit of 8 GiB holds in any case.
    pub file_bytes: u64,
    /// Sum of all files in bytes.
    pub total_bytes: u64,
    /// Number of entries.
    pub entries: u64,
}

impl Default for PackLimits {
    fn default() -> Self {
        PackLimits {
            file_bytes: 1 << 30,
            total_bytes: 4 << 30,
            entries: 1_000_000,
        }
    }
}

/// Largest size that fits a USTAR header, exclusive.
const USTAR_SIZE: u64 = 1 << 33;
const BLOCK: usize = 512;

/// A file's content, opened for packing.
pub struct Content<'a> {
    /// Exact length in bytes.
    pub size: u64,
    /// Gives `size` bytes.
    pub reader: Box<dyn Read + 'a>,
}

impl<'a> Content<'a> {
    /// Content that is in memory.
    pub fn bytes(bytes: &'a [u8]) -> Content<'a> {
        Content {
            size: bytes.len() as u64,
            reader: Box::new(bytes),
        }
    }

    /// Content that is in memory, handed over.
    pub fn owned(bytes: Vec<u8>) -> Content<'static> {
        Content {
            size: bytes.len() as u64,
            reader: Box::new(io::Cursor::new(bytes)),
        }
    }
}

/// What went into an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packed {
    /// Entries, the root included.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file's content is not to be had, or is not as long as announced.
    #[error("failed to read `{path}`: {source}")]
    Read {
        /// The file's path.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// A file is larger than allowed.
    #[error("`{path}` has {size} bytes, more than the {limit} allowed for one file")]
    FileTooLarge {
        /// The file's path.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// All files together are larger than allowed.
    #[error(
        "the files take more than the {limit} bytes allowed for an artifact, reached at `{path}`"
    )]
    TooLarge {
        /// Where the limit was passed.
        path: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are more files and folders than allowed.
    #[error(
        "more than the {limit} files and directories allowed for an artifact, reached at `{path}`"
    )]
    TooMany {
        /// Where the limit was passed.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// The output cannot be written.
    #[error("failed to write the archive: {0}")]
    Write(#[source] io::Error),
}

/// Packs `root` without what `rules` exclude into `out`.
///
/// `open` turns a content handle into bytes and is called once for each packed file, in order.
///
/// # Errors
/// See [`PackError`]; `out` then holds an unfinished archive.
pub fn pack<'c, C>(
    root: &'c Dir<C>,
    rules: &Rules,
    limits: &PackLimits,
    out: impl Write,
    open: impl FnMut(&'c C) -> io::Result<Content<'c>>,
) -> Result<Packed, PackError> {
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(out, Compression::default());
    let mut writer = Writer {
        out: gzip,
        rules,
        limits,
        packed: Packed::default(),
        open,
    };
    writer.header(b".", EntryKind::Dir)?;
    writer.dir(root, &mut Vec::new(), &mut Vec::new())?;
    // Two empty blocks end a tar.
    writer
        .out
        .write_all(&[0; 2 * BLOCK])
        .map_err(PackError::Write)?;
    let packed = writer.packed;
    let mut out = writer.out.finish().map_err(PackError::Write)?;
    out.flush().map_err(PackError::Write)?;
    Ok(packed)
}

struct Writer<'r, W, F> {
    out: W,
    rules: &'r Rules,
    limits: &'r PackLimits,
    packed: Packed,
    open: F,
}

enum EntryKind {
    Dir,
    File(FileMode, u64),
}

impl<W: Write, F> Writer<'_, W, F> {
    /// `names` is the folder's path as text for the rules, `path` the same as bytes.
    fn dir<'c, C>(
        &mut self,
        dir: &'c Dir<C>,
        names: &mut Vec<String>,
        path: &mut Vec<u8>,
    ) -> Result<(), PackError>
    where
        F: FnMut(&'c C) -> io::Result<Content<'c>>,
    {
        for (name, node) in dir.iter() {
            let parent = path.len();
            if parent > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            names.push(String::from_utf8_lossy(name).into_owned());
            let kind = match node {
                Node::Dir(_) => Kind::Dir,
                Node::File(_) => Kind::File,
            };
            let split: Vec<&str> = names.iter().map(String::as_str).collect();
            let kept = !self.rules.excludes(&split, kind);
            match node {
                Node::Dir(below) => {
                    if kept {
                        self.header(path, EntryKind::Dir)?;
                    }
                    // Walked even when excluded: a later pattern may bring children back.
                    self.dir(below, names, path)?;
                }
                Node::File(file) if kept => {
                    let text = || String::from_utf8_lossy(path).into_owned();
                    let content = (self.open)(&file.content).map_err(|source| PackError::Read {
                        path: text(),
                        source,
                    })?;
                    self.file(path, file.mode, content)?;
                }
                Node::File(_) => {}
            }
            names.pop();
            path.truncate(parent);
        }
        Ok(())
    }

    fn file(&mut self, path: &[u8], mode: FileMode, content: Content<'_>) -> Result<(), PackError> {
        let text = || String::from_utf8_lossy(path).into_owned();
        let size = content.size;
        let limit = self.limits.file_bytes.min(USTAR_SIZE - 1);
        if size > limit {
            return Err(PackError::FileTooLarge {
                path: text(),
                size,
                limit,
            });
        }
        self.packed.bytes += size;
        if self.packed.bytes > self.limits.total_bytes {
            return Err(PackError::TooLarge {
                path: text(),
                limit: self.limits.total_bytes,
            });
        }
        self.header(path, EntryKind::File(mode, size))?;
        self.copy(path, content)?;
        self.pad(size)
    }

    fn copy(&mut self, path: &[u8], content: Content<'_>) -> Result<(), PackError> {
        let read = |source| PackError::Read {
            path: String::from_utf8_lossy(path).into_owned(),
            source,
        };
        let mut left = content.size;
        let mut reader = content.reader;
        let mut buffer = [0; 16 * 1024];
        while left > 0 {
            let want = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            match reader.read(&mut buffer[..want]) {
                Ok(0) => return Err(read(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => {
                    self.out.write_all(&buffer[..n]).map_err(PackError::Write)?;
                    left -= n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read(error)),
            }
        }
        Ok(())
    }

    fn header(&mut self, path: &[u8], kind: EntryKind) -> Result<(), PackError> {
        self.packed.entries += 1;
        if self.packed.entries > self.limits.entries {
            let path = String::from_utf8_lossy(path).into_owned();
            return Err(PackError::TooMany {
                path,
                limit: self.limits.entries,
            });
        }
        let (flag, mode, size) = match kind {
            EntryKind::Dir => (b'5', 0o750, 0),
            EntryKind::File(FileMode::Regular, size) => (b'0', 0o600, size),
            EntryKind::File(FileMode::Executable, size) => (b'0', 0o700, size),
        };
        let (prefix, name) = match split_ustar(path) {
            Some(split) => split,
            None => {
                self.pax_path(path)?;
                (&[][..], truncate_ascii(path))
            }
        };
        let name = if name.is_empty() { b"x" } else { name };
        self.block(&ustar_header(prefix, name, flag, mode, size))
    }

    /// A PAX extended header that gives the next entry its real path.
    fn pax_path(&mut self, path: &[u8]) -> Result<(), PackError> {
        let record = pax_record(b"path", path);
        self.block(&ustar_header(
            b"",
            b"PaxHeaders.0",
            b'x',
            0,
            record.len() as u64,
        ))?;
        self.out.write_all(&record).map_err(PackError::Write)?;
        self.pad(record.len() as u64)
    }

    fn block(&mut self, block: &[u8; BLOCK]) -> Result<(), PackError> {
        self.out.write_all(block).map_err(PackError::Write)
    }

    fn pad(&mut self, size: u64) -> Result<(), PackError> {
        let over = (size % BLOCK as u64) as usize;
        if over > 0 {
            self.out
                .write_all(&[0; BLOCK][over..])
                .map_err(PackError::Write)?;
        }
        Ok(())
    }
}

/// `(prefix, name)` as USTAR stores them, if the path fits and is ASCII.
fn split_ustar(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let cut = path[..path.len().min(156)]
        .iter()
        .rposition(|b| *b == b'/')?;
    let (prefix, name) = (&path[..cut], &path[cut + 1..]);
    (!prefix.is_empty() && !name.is_empty() && name.len() <= 100).then_some((prefix, name))
}

/// The beginning of a path that a header may show to readers that ignore PAX records.
fn truncate_ascii(path: &[u8]) -> &[u8] {
    let ascii = path
        .iter()
        .position(|b| !b.is_ascii())
        .unwrap_or(path.len());
    &path[..ascii.min(100)]
}

fn ustar_header(prefix: &[u8], name: &[u8], flag: u8, mode: u32, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], u64::from(mode));
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], size);
    octal(&mut block[136..148], 0);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut block[329..337], 0);
    octal(&mut block[337..345], 0);
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    // The checksum counts its own field as blanks.
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    octal(&mut block[148..155], sum);
    block
}

/// Right-aligned octal digits, ended by NUL.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for byte in field[..digits].iter_mut().rev() {
        *byte = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} ").into_bytes();
    record.extend_from_slice(key);
    record.push(b'=');
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::File;

    fn layout(files: &[(&str, FileMode)]) -> Dir<Vec<u8>> {
        let mut root = Dir::new();
        for (path, mode) in files {
            let path: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            let content = path.last().unwrap().to_vec();
            root.place(
                &path,
                Node::File(File {
                    mode: *mode,
                    content,
                }),
            )
            .unwrap();
        }
        root
    }

    fn packed(root: &Dir<Vec<u8>>, rules: &Rules) -> Vec<u8> {
        let mut out = Vec::new();
        pack(root, rules, &PackLimits::default(), &mut out, |c| {
            Ok(Content::bytes(c))
        })
        .unwrap();
        out
    }

    /// One line an entry: type, mode, owner, time, size, path.
    fn listing(archive: &[u8]) -> Vec<String> {
        let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(archive));
        tar.entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                format!(
                    "{:?} {:o} {}:{} {} {} {}",
                    header.entry_type(),
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.gid().unwrap(),
                    header.mtime().unwrap(),
                    entry.size(),
                    String::from_utf8_lossy(&entry.path_bytes()),
                )
            })
            .collect()
    }

    #[test]
    fn entries_are_sorted_normalised_and_complete() {
        let mut root = layout(&[
            ("app/run.sh", FileMode::Executable),
            ("app/a.yaml", FileMode::Regular),
            ("app/A.yaml", FileMode::Regular),
            ("app/a/x", FileMode::Regular),
            ("app/a-b/x", FileMode::Regular),
            ("app.txt", FileMode::Regular),
            ("name with é", FileMode::Regular),
            ("docs/logo.png", FileMode::Regular),
        ]);
        root.set(b"empty", Node::Dir(Dir::new()));
        let archive = packed(&root, &Rules::for_artifact([], None));
        assert_eq!(hex::encode(&archive[..10]), "1f8b08000000000000ff");
        assert_eq!(
            listing(&archive),
            [
                "Directory 750 0:0 0 0 .",
                "Directory 750 0:0 0 0 app",
                "Regular 600 0:0 0 6 app/A.yaml",
                "Directory 750 0:0 0 0 app/a",
                "Regular 600 0:0 0 1 app/a/x",
                "Directory 750 0:0 0 0 app/a-b",
                "Regular 600 0:0 0 1 app/a-b/x",
                "Regular 600 0:0 0 6 app/a.yaml",
                "Regular 700 0:0 0 6 app/run.sh",
                "Regular 600 0:0 0 7 app.txt",
                "Directory 750 0:0 0 0 docs",
                "Directory 750 0:0 0 0 empty",
                "Regular 600 0:0 0 12 name with é",
            ]
        );
    }

    #[test]
    fn long_paths_survive_with_and_without_a_pax_record() {
        let folder = "f".repeat(90);
        for path in [
            format!("{folder}/{}", "n".repeat(100)),
            format!("{folder}/{}", "n".repeat(101)),
            format!("{folder}/{folder}/{}", "n".repeat(70)),
            "x".repeat(255),
            format!("é{}", "x".repeat(120)),
        ] {
            let archive = packed(&layout(&[(&path, FileMode::Regular)]), &Rules::none());
            let last = listing(&archive).pop().unwrap();
            assert!(last.ends_with(&format!(" {path}")), "{last}");
        }
    }

    #[test]
    fn an_excluded_folder_leaves_only_its_own_entry_out() {
        let root = layout(&[
            ("app/sub/c", FileMode::Regular),
            ("app/d", FileMode::Regular),
        ]);
        let archive = packed(&root, &Rules::for_artifact([], Some("/*\n!/app/sub\n")));
        let paths: Vec<_> = listing(&archive)
            .iter()
            .map(|l| l.rsplit(' ').next().unwrap().to_owned())
            .collect();
        assert_eq!(paths, [".", "app/sub", "app/sub/c"]);
    }

    #[test]
    fn limits_and_short_reads_are_errors() {
        let root = layout(&[("a/long-name", FileMode::Regular), ("b", FileMode::Regular)]);
        let none = Rules::none();
        let try_pack = |limits: PackLimits| {
            pack(&root, &none, &limits, io::sink(), |c| Ok(Content::bytes(c)))
                .unwrap_err()
                .to_string()
        };
        let all = PackLimits::default();
        assert_eq!(
            try_pack(PackLimits {
                file_bytes: 4,
                ..all
            }),
            "`a/long-name` has 9 bytes, more than the 4 allowed for one file"
        );
        assert_eq!(
            try_pack(PackLimits {
                total_bytes: 9,
                ..all
            }),
            "the files take more than the 9 bytes allowed for an artifact, reached at `b`"
        );
        assert_eq!(
            try_pack(PackLimits { entries: 3, ..all }),
            "more than the 3 files and directories allowed for an artifact, reached at `b`"
        );
        let short = pack(&root, &none, &all, io::sink(), |c| {
            Ok(Content {
                size: c.len() as u64 + 1,
                reader: Box::new(&c[..]),
            })
        });
        assert!(matches!(short, Err(PackError::Read { path, .. }) if path == "a/long-name"));
    }
}
