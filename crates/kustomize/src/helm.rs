//! Charts as generators, rendered by whoever the caller passes in.

use crate::kustomization::{HelmChart, HelmGlobals};
use crate::loader::Loader;

/// A chart to render, with everything that the kustomization says about it.
pub struct ChartRequest<'r> {
    /// The entry of `helmCharts`.
    pub chart: &'r HelmChart,
    /// Where charts are.
    pub globals: &'r HelmGlobals,
    /// The namespace that the release gets when the entry names none.
    pub namespace: &'r str,
    /// The directory of the kustomization, absolute.
    pub root: &'r str,
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
    Ok(helm)
}

/// Renders one entry.
///
/// # Errors
/// As [`check`], or rendering fails.
pub(crate) fn inflate(
    chart: &HelmChart,
    globals: &HelmGlobals,
    namespace: &str,
    loader: &Loader<'_>,
    helm: Option<&dyn HelmInflator>,
) -> Result<String, String> {
    check(chart, helm)?.inflate(&ChartRequest {
        chart,
        globals,
        namespace,
        root: loader.root(),
        fs: loader.file_system(),
    })
}
