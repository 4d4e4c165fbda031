//! Records as the Secrets and ConfigMaps that Helm stores them in.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};

use super::Release;
use super::json::{decode_json, encode_json};

/// Most bytes that a record may unpack to. A Secret holds 1 MiB at most, but
/// texts pack well.
const MAX_RECORD_BYTES: u64 = 100 << 20;

/// Labels that the driver sets; users may not.
const SYSTEM_LABELS: &[&str] = &[
    "name",
    "owner",
    "status",
    "version",
    "createdAt",
    "modifiedAt",
];

/// The type of Secrets with records.
const SECRET_TYPE: &str = "helm.sh/release.v1";

/// What records are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Driver {
    /// Secrets.
    #[default]
    Secrets,
    /// ConfigMaps.
    ConfigMaps,
}

/// Why a record is written, with the time in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// It is new.
    Created(i64),
    /// It exists.
    Modified(i64),
}

/// Which labels of a stored object become labels of the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelSource {
    /// All, as when Helm lists or queries records. They then override the time
    /// of the next write.
    All,
    /// Those of the user, as when Helm gets one record.
    User,
}

/// Why a record cannot be stored or read. Never shows what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The object holds no record.
    #[error("the object has no `release` in its data")]
    Missing,
    /// The data is not encoded as records are.
    #[error("the record is not encoded properly: {0}")]
    Encoding(String),
    /// The record unpacks to too much.
    #[error("the record is larger than {MAX_RECORD_BYTES} bytes")]
    TooLarge,
    /// The text of the record is broken.
    #[error("{0}")]
    Text(String),
    /// A user's label has the name of one of the driver's.
    #[error(
        "user supplied labels contains system reserved label name. System labels: {SYSTEM_LABELS:?}"
    )]
    SystemLabel,
}

/// The name of the object that holds a revision.
pub fn record_name(release: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{release}.v{version}")
}

/// The label selector for all revisions of a release.
pub fn history_selector(release: &str) -> String {
    format!("name={release},owner=helm")
}

/// The label selector for the deployed revision of a release.
pub fn deployed_selector(release: &str) -> String {
    format!("name={release},owner=helm,status=deployed")
}

/// Makes the object that holds a record. `Modified` replaces all labels, so the
/// time of creation is gone unless the release carries it.
///
/// # Errors
/// The record cannot be packed.
pub fn to_object(release: &Release, driver: Driver, stamp: Stamp) -> Result<Json, RecordError> {
    let (key, seconds) = match stamp {
        Stamp::Created(seconds) => ("createdAt", seconds),
        Stamp::Modified(seconds) => ("modifiedAt", seconds),
    };
    let mut labels = BTreeMap::from([(key.to_owned(), seconds.to_string())]);
    labels.extend(release.labels.clone());
    let own = [
        ("name", release.name.clone()),
        ("owner", "helm".to_owned()),
        ("status", release.info.status.as_str().to_owned()),
        ("version", release.version.to_string()),
    ];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value)));
    let packed = pack(&encode_json(release))?;
    let metadata = json!({
        "name": record_name(&release.name, release.version),
        "namespace": release.namespace,
        "labels": labels,
    });
    Ok(match driver {
        Driver::Secrets => json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": SECRET_TYPE,
            "metadata": metadata,
            // The data of a Secret is base64 by itself.
            "data": {"release": STANDARD.encode(packed)},
        }),
        Driver::ConfigMaps => json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"release": packed},
        }),
    })
}

/// Reads the record that a Secret or ConfigMap holds.
///
/// # Errors
/// There is none, or it is broken.
pub fn from_object(object: &Json, labels: LabelSource) -> Result<Release, RecordError> {
    let data = object
        .pointer("/data/release")
        .and_then(Json::as_str)
        .ok_or(RecordError::Missing)?;
    let encoding = |what: &str| RecordError::Encoding(what.to_owned());
    let is_secret = object.get("kind").and_then(Json::as_str) != Some("ConfigMap");
    let text = if is_secret {
        let bytes = STANDARD.decode(data).map_err(|_| encoding("no base64"))?;
        String::from_utf8(bytes).map_err(|_| encoding("no base64 in base64"))?
    } else {
        data.to_owned()
    };
    let mut release = decode_json(&unpack(&text)?).map_err(RecordError::Text)?;
    let stored = object.pointer("/metadata/labels").and_then(Json::as_object);
    for (key, value) in stored.into_iter().flatten() {
        let wanted = match labels {
            LabelSource::All => true,
            LabelSource::User => !SYSTEM_LABELS.contains(&key.as_str()),
        };
        if let (true, Some(value)) = (wanted, value.as_str()) {
            release.labels.insert(key.clone(), value.to_owned());
        }
    }
    Ok(release)
}

/// Checks labels that a user gives a release.
///
/// # Errors
/// One of them is the driver's.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), RecordError> {
    if labels
        .keys()
        .any(|key| SYSTEM_LABELS.contains(&key.as_str()))
    {
        return Err(RecordError::SystemLabel);
    }
    Ok(())
}

fn pack(text: &str) -> Result<String, RecordError> {
    let failed = |error: std::io::Error| RecordError::Encoding(error.to_string());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).map_err(failed)?;
    Ok(STANDARD.encode(encoder.finish().map_err(failed)?))
}

fn unpack(text: &str) -> Result<Vec<u8>, RecordError> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| RecordError::Encoding("no base64".to_owned()))?;
    if !bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice())
        .take(MAX_RECORD_BYTES + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| RecordError::Encoding("no gzip".to_owned()))?;
    if unpacked.len() as u64 > MAX_RECORD_BYTES {
        return Err(RecordError::TooLarge);
    }
    Ok(unpacked)
}
