//! Renders the charts of a kustomization with the Helm engine.

use std::path::Path;
use std::time::SystemTime;

use sluice_helm::commands::{
    ChartRef, Environment, HelmCommand, InstallOptions, TemplateArgs, ValueOptions, run,
    simple_world,
};
use sluice_kustomize::{ChartRequest, FileSystem, HelmInflator};

/// Most files of a chart, and most bytes of them.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: usize = 256 << 20;

/// `helm template`, in the process.
pub struct Charts {
    /// Told to every chart, beside what its entry says.
    pub api_versions: Vec<String>,
    /// Told to charts whose entry says none.
    pub kube_version: String,
}

impl HelmInflator for Charts {
    fn inflate(&self, request: &ChartRequest<'_>) -> Result<String, String> {
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        // The chart may lie in a checkout, which is not on the disk.
        let chart_dir = scratch.path().join(&request.chart.name);
        if !request.fs.exists(&request.dir) {
            return Err(format!(
                "chart `{}` is not in `{}`, and charts are not pulled from repositories here: run `helm pull --untar` first",
                request.chart.name, request.dir
            ));
        }
        let mut budget = Budget {
            files: MOST_FILES,
            bytes: MOST_BYTES,
        };
        copy(request.fs, &request.dir, &chart_dir, &mut budget)?;
        let mut values = Vec::new();
        for (at, content) in request.values.iter().enumerate() {
            let path = scratch.path().join(format!("values-{at}.yaml"));
            std::fs::write(&path, content).map_err(|error| error.to_string())?;
            values.push(path.to_string_lossy().into_owned());
        }
        self.template(request, &chart_dir, values)
    }
}

impl Charts {
    fn template(
        &self,
        request: &ChartRequest<'_>,
        chart_dir: &Path,
        values: Vec<String>,
    ) -> Result<String, String> {
        let chart = request.chart;
        let or = |own: &str, other: &str| match own {
            "" => other.to_owned(),
            own => own.to_owned(),
        };
        let mut names = vec![chart_dir.to_string_lossy().into_owned()];
        if !chart.release_name.is_empty() {
            names.insert(0, chart.release_name.clone());
        }
        let mut api_versions = self.api_versions.clone();
        api_versions.extend(chart.api_versions.iter().cloned());
        let args = TemplateArgs {
            install: InstallOptions {
                generate_name: chart.release_name.is_empty() && chart.name_template.is_empty(),
                names,
                namespace: or(request.namespace, "default"),
                name_template: chart.name_template.clone(),
                values: ValueOptions {
                    values,
                    ..ValueOptions::default()
                },
                ..InstallOptions::default()
            },
            api_versions,
            kube_version: or(&chart.kube_version, &self.kube_version),
            include_crds: chart.include_crds,
            no_hooks: chart.skip_hooks,
            skip_tests: chart.skip_tests,
            ..TemplateArgs::default()
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(
            &HelmCommand::Template(Box::new(args)),
            &mut Environment {
                out: &mut out,
                err: &mut err,
                world: &world,
                fetch: &|reference: &ChartRef| {
                    Err(format!("`{}` is not fetched here", reference.reference))
                },
                cluster: None,
            },
        );
        if code != 0 {
            return Err(format!(
                "unable to run: 'helm template' on chart `{}`: {}",
                chart.name,
                String::from_utf8_lossy(&err).trim()
            ));
        }
        String::from_utf8(out)
            .map_err(|_| format!("chart `{}` renders bytes that are no text", chart.name))
    }
}

fn world() -> sluice_helm::World {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    simple_world(
        (seconds, now.subsec_nanos()),
        String::new(),
        Box::new(|buffer: &mut [u8]| rand::fill(buffer)),
        None,
        None,
    )
}

struct Budget {
    files: usize,
    bytes: usize,
}

/// Copies a tree; links become what they lead to.
fn copy(fs: &dyn FileSystem, from: &str, to: &Path, budget: &mut Budget) -> Result<(), String> {
    std::fs::create_dir_all(to).map_err(|error| error.to_string())?;
    for name in fs.list(from).map_err(|error| error.to_string())? {
        let path = format!("{from}/{name}");
        let over = || format!("the chart in `{from}` has too many files or bytes");
        budget.files = budget.files.checked_sub(1).ok_or_else(over)?;
        if fs.is_dir(&path) {
            copy(fs, &path, &to.join(&name), budget)?;
            continue;
        }
        let content = fs.read(&path).map_err(|error| error.to_string())?;
        budget.bytes = budget.bytes.checked_sub(content.len()).ok_or_else(over)?;
        std::fs::write(to.join(&name), &content).map_err(|error| error.to_string())?;
    }
    Ok(())
}
