//! Writing charts: Chart.yaml, Chart.lock, archives.

use serde_json::Value as Json;

use sha2::{Digest as _, Sha256};

use crate::chart::{Chart, Dependency, Lock, Metadata};
use crate::ordered::Ordered;

/// Writes Chart.yaml anew.
pub fn metadata_yaml(metadata: &Metadata) -> String {
    yaml_of(&metadata.to_ordered())
}

/// The name of the archive that `helm package` makes of a chart.
pub fn archive_name(chart: &Chart) -> String {
    format!("{}.tgz", chart.full_name())
}

/// Whether the schemas of a chart and of those below it are JSON at all.
///
/// # Errors
/// Helm's text.
pub fn check_schemas(chart: &Chart) -> Result<(), String> {
    let is_json = |text: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    if chart.schema.as_ref().is_some_and(|s| !is_json(&s.data)) {
        return Err("invalid JSON in values.schema.json".to_owned());
    }
    chart.dependencies.iter().try_for_each(check_schemas)
}

/// The SHA-256 of some bytes in hexadecimal, as indexes, locks and registries
/// have it.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The checksum that ties a lock to what Chart.yaml asks for.
pub fn lock_digest(asked: &[Dependency], locked: &[Dependency]) -> String {
    let list = |all: &[Dependency]| Ordered::List(all.iter().map(Dependency::to_ordered).collect());
    let both = Ordered::List(vec![list(asked), list(locked)]);
    format!("sha256:{}", sha256(both.text().as_bytes()))
}

/// Writes Chart.lock anew.
pub fn lock_yaml(lock: &Lock) -> String {
    let dependencies = lock.dependencies.iter().flatten().flatten();
    let dependencies: Vec<Ordered> = dependencies.map(Dependency::to_ordered).collect();
    yaml_of(&Ordered::Struct(vec![
        (
            "dependencies",
            if dependencies.is_empty() {
                Ordered::Plain(Json::Null)
            } else {
                Ordered::List(dependencies)
            },
        ),
        ("digest", lock.digest.as_str().into()),
        ("generated", lock.generated.as_str().into()),
    ]))
}

fn yaml_of(value: &Ordered) -> String {
    // Control characters, which YAML cannot carry, were taken out on reading.
    sluice_yaml::to_string(&value.to_json()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_digest_is_helms() {
        let dependency = |version: &str| Dependency {
            name: "loc".to_owned(),
            version: version.to_owned(),
            repository: "file://../loc".to_owned(),
            ..Dependency::default()
        };
        assert_eq!(
            lock_digest(&[dependency(">=0")], &[dependency("0.3.0")]),
            "sha256:3f40afd89824fbab86b5e0838fd84335595f66c8b9bc6ace1e4f7e9528743026"
        );
    }
}
