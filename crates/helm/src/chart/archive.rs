//! Chart archives: gzipped tar, bounded.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use sluice_gotemplate::strconv::quote;

use super::{Chart, File};

/// Most bytes that an archive may unpack to.
pub const MAX_ARCHIVE_BYTES: u64 = 100 << 20;

/// Most bytes that one file in an archive may have.
pub const MAX_FILE_BYTES: u64 = 5 << 20;

/// Most entries that an archive may have.
const MAX_ENTRIES: usize = 100_000;

/// Why an archive could not be read. The texts are Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// An entry has an absolute path.
    #[error("chart illegally contains absolute paths")]
    Absolute,
    /// An entry stands outside of the chart's folder.
    #[error("chart illegally contains content outside the base directory: {}", quote(.name.as_bytes()))]
    OutsideBase {
        /// The entry.
        name: String,
    },
    /// An entry leads out of the archive.
    #[error("chart illegally references parent directory")]
    Parent,
    /// An entry starts with a drive letter.
    #[error("chart contains illegally named files")]
    Drive,
    /// Chart.yaml stands beside the chart's folder.
    #[error("chart yaml not in base directory")]
    ChartYamlOutside,
    /// The archive unpacks to too much.
    #[error("decompressed chart is larger than the maximum size {MAX_ARCHIVE_BYTES}")]
    TooLarge,
    /// One file is too large.
    #[error(
        "decompressed chart file {} is larger than the maximum file size {MAX_FILE_BYTES}",
        quote(.name.as_bytes())
    )]
    FileTooLarge {
        /// The file.
        name: String,
    },
    /// There is nothing in the archive.
    #[error("no files in chart archive")]
    Empty,
    /// The bytes are not gzip.
    #[error("gzip: invalid header")]
    NotGzip,
    /// The archive is damaged.
    #[error("{problem}")]
    Damaged {
        /// What the decoder said.
        problem: String,
    },
}

/// Bytes of the shortest header of a gzip stream.
const GZIP_HEADER: usize = 10;

/// Bytes of a block of a tar archive.
const TAR_BLOCK: usize = 512;

/// Reads the files of a chart archive, the first folder of their names dropped.
///
/// # Errors
/// [`ArchiveError`] with Helm's text; nothing beyond the bounds is unpacked.
pub fn read_archive(bytes: &[u8]) -> Result<Vec<File>, ArchiveError> {
    if bytes.len() < GZIP_HEADER {
        let problem = match bytes.is_empty() {
            true => "EOF",
            false => "unexpected EOF",
        };
        return Err(ArchiveError::Damaged {
            problem: problem.to_owned(),
        });
    }
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(ArchiveError::NotGzip);
    }
    let unpacked = MultiGzDecoder::new(bytes).take(MAX_ARCHIVE_BYTES + (1 << 20));
    let mut archive = tar::Archive::new(unpacked);
    let mut files = Vec::new();
    let mut total: u64 = 0;
    // One for all, so that memory is not left in pieces.
    let mut data = Vec::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        if files.len() >= MAX_ENTRIES {
            return Err(ArchiveError::TooLarge);
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = relative_name(&path)?;
        let declared = entry.header().size().map_err(damaged)?;
        if declared > MAX_FILE_BYTES {
            return Err(ArchiveError::FileTooLarge { name: path });
        }
        data.clear();
        (&mut entry)
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut data)
            .map_err(damaged)?;
        if data.len() as u64 > MAX_FILE_BYTES {
            return Err(ArchiveError::FileTooLarge { name: path });
        }
        total += data.len() as u64;
        if total > MAX_ARCHIVE_BYTES {
            return Err(ArchiveError::TooLarge);
        }
        let data = without_mark(&data);
        let modified = entry.header().mtime().ok();
        files.push(File {
            name,
            data: data.into(),
            modified: modified.and_then(|s| i64::try_from(s).ok()).map(|s| (s, 0)),
        });
    }
    // Two blocks of zeros end an archive; what breaks between them counts.
    let mut second = [0; TAR_BLOCK];
    let mut rest = archive.into_inner();
    let mut filled = 0;
    while filled < TAR_BLOCK {
        match rest.read(&mut second[filled..]).map_err(damaged)? {
            0 => break,
            n => filled += n,
        }
    }
    if files.is_empty() {
        return Err(ArchiveError::Empty);
    }
    Ok(files)
}

/// What Go's readers would have said.
fn damaged(error: std::io::Error) -> ArchiveError {
    let problem = error.to_string();
    let cut_off = [
        "incomplete deflate",
        "entire block",
        "unexpected end",
        "unexpected EOF",
    ];
    ArchiveError::Damaged {
        problem: if cut_off.iter().any(|text| problem.contains(text)) {
            "unexpected EOF".to_owned()
        } else if problem.contains("deflate") {
            "flate: corrupt input".to_owned()
        } else if problem.contains("checksum") && problem.contains("gzip") {
            "gzip: invalid checksum".to_owned()
        } else {
            "archive/tar: invalid tar header".to_owned()
        },
    }
}

/// Drops the byte order mark of UTF-8.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// Checks an entry's path and drops its first folder.
fn relative_name(path: &str) -> Result<String, ArchiveError> {
    let separator = if path.contains('\\') { '\\' } else { '/' };
    let slashed = path.replace(separator, "/");
    let (first, inner) = slashed.split_once('/').unwrap_or((&slashed, ""));
    if inner.starts_with('/') {
        return Err(ArchiveError::Absolute);
    }
    let cleaned = crate::funcs::clean_path(inner);
    if cleaned == "." {
        return Err(ArchiveError::OutsideBase {
            name: path.to_owned(),
        });
    }
    if cleaned.starts_with("..") {
        return Err(ArchiveError::Parent);
    }
    let drive = cleaned.as_bytes();
    if drive.len() > 2 && drive[0].is_ascii_alphabetic() && drive[1] == b':' && drive[2] == b'/' {
        return Err(ArchiveError::Drive);
    }
    if first == "Chart.yaml" {
        return Err(ArchiveError::ChartYamlOutside);
    }
    Ok(cleaned)
}

/// Packs a chart, dependencies as folders, the way `helm package` lays it out.
///
/// # Errors
/// When a name does not fit into a tar header.
pub fn write_archive(chart: &Chart, now: super::ModTime) -> std::io::Result<Vec<u8>> {
    let encoder = GzBuilder::new()
        .extra(b"+aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=".as_slice())
        .comment("Helm")
        .write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(encoder);
    append_chart(&mut archive, chart, "", now)?;
    archive.into_inner()?.finish()
}

fn append_chart<W: std::io::Write>(
    archive: &mut tar::Builder<W>,
    chart: &Chart,
    prefix: &str,
    now: super::ModTime,
) -> std::io::Result<()> {
    let base = format!("{prefix}{}", chart.name());
    let mut append = |name: &str, data: &[u8], modified: Option<super::ModTime>| {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(modified.unwrap_or(now).0).unwrap_or(0));
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, format!("{base}/{name}"), data)
    };
    let mut metadata = chart.metadata.clone();
    if metadata.api_version == "v1" {
        // These have theirs in requirements.yaml.
        metadata.dependencies = None;
    }
    append(
        "Chart.yaml",
        crate::package::metadata_yaml(&metadata).as_bytes(),
        chart.modified,
    )?;
    if chart.metadata.api_version == "v2"
        && let Some(lock) = &chart.lock
    {
        append(
            "Chart.lock",
            crate::package::lock_yaml(lock).as_bytes(),
            None,
        )?;
    }
    for file in &chart.raw {
        if file.name == "values.yaml" {
            append("values.yaml", &file.data, file.modified)?;
        }
    }
    if let Some(schema) = &chart.schema {
        append("values.schema.json", &schema.data, schema.modified)?;
    }
    for file in chart.templates.iter().chain(&chart.files) {
        append(&file.name, &file.data, file.modified)?;
    }
    for dependency in &chart.dependencies {
        append_chart(archive, dependency, &format!("{base}/charts/"), now)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            Compression::fast(),
        ));
        for (name, data) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            let raw = &mut header.as_gnu_mut().expect("gnu").name;
            raw[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *data).expect("appends");
        }
        builder
            .into_inner()
            .and_then(flate2::write::GzEncoder::finish)
            .expect("finishes")
    }

    #[test]
    fn names_lose_their_first_folder() {
        let files = read_archive(&archive(&[
            ("c/Chart.yaml", b"\xEF\xBB\xBFname: c"),
            ("c\\templates\\a.yaml", b"a"),
        ]))
        .expect("reads");
        assert_eq!(files[0].name, "Chart.yaml");
        assert_eq!(&*files[0].data, b"name: c");
        assert_eq!(files[1].name, "templates/a.yaml");
    }

    #[test]
    fn what_leads_outside_is_refused() {
        for (name, want) in [
            ("c//etc/passwd", "chart illegally contains absolute paths"),
            ("c/../../x", "chart illegally references parent directory"),
            ("c/c:/x", "chart contains illegally named files"),
            ("Chart.yaml/x", "chart yaml not in base directory"),
            (
                "loose",
                "chart illegally contains content outside the base directory: \"loose\"",
            ),
        ] {
            let error = read_archive(&archive(&[(name, b"x")])).expect_err(name);
            assert_eq!(error.to_string(), want, "{name}");
        }
        assert_eq!(read_archive(&archive(&[])), Err(ArchiveError::Empty));
        assert_eq!(
            read_archive(b"PK\x03\x04 a zip file"),
            Err(ArchiveError::NotGzip)
        );
    }

    #[test]
    fn bombs_stop_at_the_bound() {
        let big = vec![0u8; MAX_FILE_BYTES as usize + 1];
        let error = read_archive(&archive(&[("c/a", &big)])).expect_err("too large");
        assert_eq!(
            error.to_string(),
            "decompressed chart file \"c/a\" is larger than the maximum file size 5242880"
        );
        let five: Vec<u8> = vec![0u8; MAX_FILE_BYTES as usize];
        let many: Vec<(String, &[u8])> = (0..21).map(|i| (format!("c/{i}"), &five[..])).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|(n, d)| (n.as_str(), *d)).collect();
        assert_eq!(read_archive(&archive(&many)), Err(ArchiveError::TooLarge));
    }
}
