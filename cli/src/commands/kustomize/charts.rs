//! Renders the charts of a kustomization with the Helm engine.

use std::path::Path;

use sluice_helm::disk::load_chart;
use sluice_helm::template::{Hooks, TemplateOptions, generated_name, release_name, template};
use sluice_helm::values::{Table, merge_tables, read_values};
use sluice_helm::{Capabilities, Crds, KubeVersion};
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
        self.template(request, &chart_dir)
    }
}

impl Charts {
    fn template(&self, request: &ChartRequest<'_>, chart_dir: &Path) -> Result<String, String> {
        let entry = request.chart;
        let failed = |error: String| {
            let name = &entry.name;
            format!("unable to run: 'helm template' on chart `{name}`: {error}")
        };
        let mut values = Table::new();
        for content in &request.values {
            let table = read_values(content).map_err(|error| failed(error.to_string()))?;
            values = merge_tables(values, table);
        }
        let chart = load_chart(chart_dir).map_err(|error| failed(error.to_string()))?;
        let options = self.options(request, chart_dir).map_err(failed)?;
        let crds = match entry.include_crds {
            true => Crds::Include,
            false => Crds::Leave,
        };
        let hooks = match (entry.skip_hooks, entry.skip_tests) {
            (true, _) => Hooks::None,
            (false, true) => Hooks::WithoutTests,
            (false, false) => Hooks::All,
        };
        let mut world = crate::helm::world();
        world.resolver = None;
        let templated = template(chart, &values, &options, world)
            .map_err(|error| failed(error.command_text()))?;
        Ok(templated.text(crds, hooks))
    }

    fn options(
        &self,
        request: &ChartRequest<'_>,
        chart_dir: &Path,
    ) -> Result<TemplateOptions, String> {
        let entry = request.chart;
        let name = match (entry.release_name.as_str(), entry.name_template.as_str()) {
            ("", "") => generated_name(&chart_dir.to_string_lossy(), crate::helm::now().0),
            ("", name) => release_name(name, crate::helm::world())?,
            (name, _) => name.to_owned(),
        };
        let mut capabilities = Capabilities::default();
        let kube_version = match entry.kube_version.as_str() {
            "" => self.kube_version.as_str(),
            own => own,
        };
        if !kube_version.is_empty() {
            capabilities.kube_version =
                KubeVersion::parse(kube_version).map_err(|error| error.to_string())?;
        }
        let versions = self.api_versions.iter().chain(&entry.api_versions);
        capabilities.api_versions.extend(versions.cloned());
        let namespace = match request.namespace {
            "" => "default",
            namespace => namespace,
        };
        Ok(TemplateOptions {
            capabilities,
            ..TemplateOptions::install(&name, namespace)
        })
    }
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

#[cfg(test)]
mod tests {
    use sluice_kustomize::{MemoryFs, Options, build};

    use super::*;

    fn files(charts: &str) -> MemoryFs {
        let mut files = MemoryFs::new();
        let kustomization = format!("namespace: shop\nnamePrefix: p-\nhelmCharts:\n{charts}");
        files.write("/top/kustomization.yaml", kustomization);
        files.write("/top/extra.yaml", "greeting: extra\n");
        let chart = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
        files.write("/top/charts/web/Chart.yaml", chart);
        files.write(
            "/top/charts/web/values.yaml",
            "greeting: hello\nplace: here\n",
        );
        files.write(
            "/top/charts/web/templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-conf\n  namespace: {{ .Release.Namespace }}\ndata:\n  text: {{ .Values.greeting }} {{ .Values.place }}\n  kube: {{ .Capabilities.KubeVersion.Version }}\n",
        );
        files.write(
            "/top/charts/web/crds/crd.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: webs.example.com}\n",
        );
        files
    }

    fn yaml(charts: &str) -> Result<String, String> {
        let inflator = Charts {
            api_versions: Vec::new(),
            kube_version: "1.30.0".to_owned(),
        };
        let options = Options {
            helm: Some(&inflator),
            ..Options::default()
        };
        build(&files(charts), "/top", &options)
            .and_then(|built| built.to_yaml())
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn charts_of_the_folder_are_rendered() {
        let built = yaml("- name: web\n  releaseName: r\n  valuesInline: {place: inline}\n")
            .expect("built");
        let wanted = "apiVersion: v1\ndata:\n  kube: v1.30.0\n  text: hello inline\nkind: ConfigMap\nmetadata:\n  name: p-r-conf\n  namespace: shop\n";
        assert_eq!(built, wanted);
    }

    #[test]
    fn values_and_options_of_an_entry_count() {
        let built = yaml(
            "- name: web\n  releaseName: r\n  namespace: own\n  includeCRDs: true\n  kubeVersion: 1.29.1\n  additionalValuesFiles: [extra.yaml]\n  valuesMerge: merge\n  valuesInline: {place: inline}\n",
        )
        .expect("built");
        assert!(built.contains("text: extra here\n"), "{built}");
        assert!(built.contains("kube: v1.29.1\n"), "{built}");
        assert!(built.contains("namespace: own\n"), "{built}");
        assert!(built.contains("name: webs.example.com\n"), "{built}");
    }

    #[test]
    fn charts_that_are_not_there_are_not_pulled() {
        let error = yaml("- name: other\n  repo: https://charts.example.com\n  version: 1.0.0\n")
            .unwrap_err();
        assert!(
            error.contains("charts are not pulled from repositories here"),
            "{error}"
        );
        let error = yaml("- name: other\n").unwrap_err();
        assert!(
            error.contains("no repo specified for pull, no chart found at"),
            "{error}"
        );
    }

    #[test]
    fn without_the_flag_charts_are_refused() {
        let files = files("- name: web\n");
        let errors = build(&files, "/top", &Options::default()).unwrap_err();
        assert!(
            errors.to_string().contains("must specify --enable-helm"),
            "{errors}"
        );
    }
}
