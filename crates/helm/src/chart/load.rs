//! From files to a chart.

use std::collections::BTreeMap;

use super::archive::read_archive;
use super::metadata::{Lock, Metadata, check_api_version};
use super::{Chart, ChartError, File};
use crate::values::{Table, read_values};

/// How deep charts below `charts/` may nest.
const MAX_DEPTH: usize = 32;

/// Reads a chart out of a gzipped tar archive.
///
/// # Errors
/// [`ChartError`] with Helm's text.
pub fn load_archive(bytes: &[u8]) -> Result<Chart, ChartError> {
    load_files(read_archive(bytes)?)
}

/// Whether a chart must follow an API that Helm knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiVersions {
    /// It must: it is going to be used.
    Known,
    /// It need not: it is only looked at.
    Any,
}

/// Reads a chart out of its files, named relative to the chart.
///
/// Charts below `charts/` are read as well, folders and archives; they come in
/// the order of their names.
///
/// # Errors
/// [`ChartError`] with Helm's text.
pub fn load_files(files: Vec<File>) -> Result<Chart, ChartError> {
    load_files_as(files, ApiVersions::Known)
}

/// As [`load_files`], and charts of an unknown API may pass.
///
/// # Errors
/// [`ChartError`] with Helm's text.
pub fn load_files_as(files: Vec<File>, versions: ApiVersions) -> Result<Chart, ChartError> {
    match files.iter().find(|f| f.name == "Chart.yaml") {
        Some(file) if versions == ApiVersions::Known => check_api_version(&file.data)?,
        Some(_) => {}
        None => return Err(ChartError::Missing),
    }
    load(files, 0)
}

fn load(files: Vec<File>, depth: usize) -> Result<Chart, ChartError> {
    if depth > MAX_DEPTH {
        return Err(ChartError::Depth(MAX_DEPTH));
    }
    let broken = |file: &str, problem: String| ChartError::Load {
        file: file.to_owned(),
        problem,
    };
    let mut metadata: Option<Metadata> = None;
    let mut modified = None;
    for file in files.iter().filter(|f| f.name == "Chart.yaml") {
        let known = metadata.get_or_insert_default();
        known
            .read_over(&file.data)
            .map_err(|problem| broken("Chart.yaml", problem))?;
        if known.api_version.is_empty() {
            known.api_version = "v1".to_owned();
        }
        modified = file.modified;
    }
    let mut chart = Chart {
        metadata: Metadata::default(),
        lock: None,
        templates: Vec::new(),
        values: Table::new(),
        schema: None,
        files: Vec::new(),
        dependencies: Vec::new(),
        modified,
        raw: files.clone(),
    };
    let mut below: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in files {
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" | "requirements.lock" => {
                let name = file.name.clone();
                chart.lock =
                    Some(Lock::read(&file.data).map_err(|problem| broken(&name, problem))?);
                if name == "requirements.lock" && is_v1(&metadata) {
                    chart.files.push(file);
                }
            }
            "values.yaml" => {
                chart.values =
                    read_values(&file.data).map_err(|problem| broken("values.yaml", problem))?;
            }
            "values.schema.json" => chart.schema = Some(file),
            "requirements.yaml" => {
                metadata
                    .get_or_insert_default()
                    .read_over(&file.data)
                    .map_err(|problem| broken("requirements.yaml", problem))?;
                if is_v1(&metadata) {
                    chart.files.push(file);
                }
            }
            name if name.starts_with("templates/") => chart.templates.push(file),
            name if name.starts_with("charts/") => {
                if name.ends_with(".prov") {
                    chart.files.push(file);
                    continue;
                }
                let inner = name["charts/".len()..].to_owned();
                let entry = inner.split('/').next().unwrap_or_default().to_owned();
                below.entry(entry).or_default().push(File {
                    name: inner,
                    ..file
                });
            }
            _ => chart.files.push(file),
        }
    }
    chart.metadata = metadata.ok_or(ChartError::Missing)?;
    chart.metadata.validate()?;
    for (entry, files) in below {
        if entry.starts_with(['_', '.']) {
            continue;
        }
        let parent = chart.name().to_owned();
        let loaded = load_below(&entry, files, &parent, depth + 1).map_err(|cause| {
            ChartError::Subchart {
                name: entry.clone(),
                parent: parent.clone(),
                cause: Box::new(cause),
            }
        })?;
        chart.dependencies.push(loaded);
    }
    Ok(chart)
}

fn is_v1(metadata: &Option<Metadata>) -> bool {
    metadata.as_ref().is_some_and(|m| m.api_version == "v1")
}

fn load_below(
    entry: &str,
    files: Vec<File>,
    _parent: &str,
    depth: usize,
) -> Result<Chart, ChartError> {
    if entry.ends_with(".tgz") {
        let Some(file) = files.into_iter().next() else {
            return Err(ChartError::Missing);
        };
        return load(read_archive(&file.data)?, depth);
    }
    // A loose file in charts/ has no name below its folder and is left out.
    let inner = files
        .into_iter()
        .filter_map(|file| {
            let name = file.name.split_once('/')?.1.to_owned();
            Some(File { name, ..file })
        })
        .collect();
    load(inner, depth)
}
