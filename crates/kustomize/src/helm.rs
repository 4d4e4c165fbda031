//! Charts as generators, rendered by whoever the caller passes in.
//!
//! What the kustomization says about a chart is worked out here: where the
//! chart lies, and which values it gets.

use sluice_yaml::Limits;

use crate::fs;
use crate::kustomization::{HelmChart, HelmGlobals};
use crate::loader::Loader;
use crate::merge::merge_object;
use crate::node::{Map, Node, map_to_json};
use crate::schema::Schema;

/// A chart to render, with everything that the kustomization says about it.
pub struct ChartRequest<'r> {
    /// The entry of `helmCharts`.
    pub chart: &'r HelmChart,
    /// The namespace that the release gets; empty for Helm's default.
    pub namespace: &'r str,
    /// The directory of the chart, absolute. Nothing is there when the chart
    /// has to be fetched first, which needs the entry's `repo`.
    pub dir: String,
    /// Contents of values files, later ones over earlier ones.
    pub values: Vec<Vec<u8>>,
    /// The files of the build.
    pub fs: &'r dyn crate::fs::FileSystem,
}

/// Renders charts.
pub trait HelmInflator: Send + Sync {
    /// The manifests of a chart, as a stream of YAML documents.
    ///
    /// # Errors
    /// The chart cannot be had or rendered.
    fn inflate(&self, request: &ChartRequest<'_>) -> Result<String, String>;
}

/// Checks an entry before anything runs.
///
/// # Errors
/// Helm is not enabled, or the entry is incomplete.
pub(crate) fn check<'h>(
    chart: &HelmChart,
    helm: Option<&'h dyn HelmInflator>,
) -> Result<&'h dyn HelmInflator, String> {
    let Some(helm) = helm else {
        return Err("must specify --enable-helm".to_owned());
    };
    if chart.name.is_empty() {
        return Err("chart name cannot be empty".to_owned());
    }
    if !matches!(
        chart.values_merge.as_str(),
        "" | "merge" | "override" | "replace"
    ) {
        return Err("valuesMerge must be one of merge, override, replace".to_owned());
    }
    Ok(helm)
}

/// Renders one entry.
///
/// # Errors
/// As [`check`], a values file cannot be read, or rendering fails.
pub(crate) fn inflate(
    chart: &HelmChart,
    globals: &HelmGlobals,
    namespace: &str,
    loader: &Loader<'_>,
    helm: Option<&dyn HelmInflator>,
    limits: &Limits,
) -> Result<String, String> {
    let helm = check(chart, helm)?;
    let dir = fs::join(&chart_home(chart, globals, loader), &chart.name);
    let files = loader.file_system();
    if !files.exists(&dir) && chart.repo.is_empty() {
        return Err(format!(
            "no repo specified for pull, no chart found at '{dir}'"
        ));
    }
    let load = |path: &str| {
        let content = loader.load(path).map_err(|error| error.text().to_owned())?;
        Ok::<_, String>(content.into_owned())
    };
    let own = if chart.values_file.is_empty() {
        let path = fs::join(&dir, "values.yaml");
        files
            .read(&path)
            .map_or_else(|_| Vec::new(), |bytes| bytes.into_owned())
    } else {
        load(&chart.values_file)?
    };
    let mut values = vec![merged_values(chart, own, limits)?];
    for path in &chart.additional_values_files {
        values.push(
            load(path).map_err(|error| format!("could not load additionalValuesFile: {error}"))?,
        );
    }
    helm.inflate(&ChartRequest {
        chart,
        namespace,
        dir,
        values,
        fs: files,
    })
}

/// Where charts are; those of a repository have a directory for each version.
fn chart_home(chart: &HelmChart, globals: &HelmGlobals, loader: &Loader<'_>) -> String {
    let home = match globals.chart_home.as_str() {
        "" => "charts",
        home => home,
    };
    let home = loader.absolute(home);
    if chart.version.is_empty() || chart.repo.is_empty() {
        return home;
    }
    fs::join(&home, &format!("{}-{}", chart.name, chart.version))
}

/// The values file and the inline values, the one over the other.
fn merged_values(chart: &HelmChart, file: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, String> {
    if chart.values_inline.is_empty() {
        return Ok(file);
    }
    let inline = serde_json::Value::Object(chart.values_inline.clone());
    let merged = match (chart.values_merge.as_str(), Node::from_json(&inline)) {
        ("replace", _) => inline,
        (how, Node::Map(inline)) => {
            let file = read_map(&file, limits)?;
            let (under, over) = match how {
                "merge" => (inline, file),
                _ => (file, inline),
            };
            // Values have no schema: their lists are replaced.
            let merged =
                merge_object(under, &over, &Schema::new(Default::default()))?.unwrap_or_default();
            map_to_json(&merged)?
        }
        _ => inline,
    };
    let text = sluice_yaml::to_string(&merged).map_err(|error| error.to_string())?;
    Ok(text.into_bytes())
}

fn read_map(bytes: &[u8], limits: &Limits) -> Result<Map, String> {
    let text = sluice_yaml::decode(bytes).map_err(|error| error.to_string())?;
    let value = sluice_yaml::from_str_with(&text, sluice_yaml::Dialect::GoYaml3, limits)
        .map_err(|error| error.to_string())?;
    Ok(match Node::from_json(&value) {
        Node::Map(map) => map,
        _ => Map::default(),
    })
}
