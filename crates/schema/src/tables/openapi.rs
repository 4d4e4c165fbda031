//! The OpenAPI documents of the built-in kinds, byte for byte as a kube-apiserver serves them.
//!
//! All documents lie in one compressed archive, since they repeat each other; reading one unpacks what lies before
//! it (a few milliseconds), so a server keeps the answers that it gives often.

use std::io::Read;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// A document of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The path below `/openapi/v3/`, such as `apis/apps/v1`; empty for the version 2 document.
    pub path: String,
    /// The entity tag: 128 upper-case hexadecimal digits. `/openapi/v3` names it in the `hash` parameter.
    pub hash: String,
    /// Where the document starts in the unpacked archive.
    offset: u64,
    /// Its length in bytes.
    length: u64,
}

impl Document {
    /// Describes a document of an archive that is being written.
    pub fn new(path: &str, hash: &str, offset: u64, length: u64) -> Self {
        Document {
            path: path.into(),
            hash: hash.into(),
            offset,
            length,
        }
    }

    /// The document's bytes: JSON.
    pub fn read(&self) -> Vec<u8> {
        let packed = include_bytes!("../../data/openapi.zst");
        let mut decoder =
            zstd::Decoder::new(packed.as_slice()).expect("the committed file is a zstd frame");
        decoder
            .window_log_max(27)
            .expect("27 is a valid window size");
        let mut before = decoder.by_ref().take(self.offset);
        std::io::copy(&mut before, &mut std::io::sink()).expect("the archive reads to its end");
        let mut bytes = Vec::with_capacity(self.length as usize);
        decoder
            .take(self.length)
            .read_to_end(&mut bytes)
            .expect("the archive reads to its end");
        bytes
    }
}

fn index() -> &'static [Document] {
    static INDEX: OnceLock<Vec<Document>> = OnceLock::new();
    INDEX.get_or_init(|| {
        let text = include_str!("../../data/openapi.json");
        serde_json::from_str(text).expect("the committed file was written from these types")
    })
}

/// The version 3 documents, one for each group, each group version and each other root, by path.
pub fn v3() -> &'static [Document] {
    index().split_last().map(|(_, v3)| v3).unwrap_or_default()
}

/// The version 3 document of a path below `/openapi/v3/`.
pub fn v3_document(path: &str) -> Option<&'static Document> {
    v3().iter().find(|document| document.path == path)
}

/// The version 2 document of `/openapi/v2`.
pub fn v2() -> &'static Document {
    index()
        .last()
        .expect("the archive ends with the version 2 document")
}
