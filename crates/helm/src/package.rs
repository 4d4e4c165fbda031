//! Writing charts: Chart.yaml, Chart.lock, archives.

use serde_json::Value as Json;

use crate::chart::{Chart, Lock};

/// Writes Chart.yaml anew.
pub fn metadata_yaml(chart: &Chart) -> String {
    yaml_of(chart.metadata.to_json_pairs())
}

/// Writes Chart.lock anew.
pub fn lock_yaml(lock: &Lock) -> String {
    let dependencies: Vec<Json> = lock
        .dependencies
        .iter()
        .flatten()
        .flatten()
        .map(|d| object(d.to_json_pairs()))
        .collect();
    yaml_of(vec![
        (
            "dependencies",
            if dependencies.is_empty() {
                Json::Null
            } else {
                Json::Array(dependencies)
            },
        ),
        ("digest", Json::String(lock.digest.clone())),
        ("generated", Json::String(lock.generated.clone())),
    ])
}

fn object(pairs: Vec<(&'static str, Json)>) -> Json {
    Json::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

fn yaml_of(pairs: Vec<(&'static str, Json)>) -> String {
    // Control characters, which YAML cannot carry, were taken out on reading.
    sluice_yaml::to_string(&object(pairs)).unwrap_or_default()
}
