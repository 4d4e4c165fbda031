//! `helm template`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sluice_helm::chart::ApiVersions;
use sluice_helm::template::{
    Hooks, Missing, Stage, TemplateError, TemplateOptions, Templated, generated_name, release_name,
    show_only, template,
};
use sluice_helm::{Action, Capabilities, Crds, KubeVersion, Limits, Notes, ReleaseInfo, Schemas};

use super::options::{ChartOptions, ValueOptions};
use super::{Done, Environment, HelmError, cluster, fail, now, world};

/// Arguments of `helm template`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TemplateArgs {
    /// Name of the release and the chart, or the chart alone
    #[arg(value_name = "NAME] [CHART")]
    names: Vec<String>,
    /// Generate the name of the release
    #[arg(short = 'g', long)]
    generate_name: bool,
    /// Template that makes the name of the release
    #[arg(long, default_value = "", hide_default_value = true)]
    name_template: String,
    /// API versions that the cluster serves beside the usual ones
    #[arg(short = 'a', long, value_delimiter = ',')]
    api_versions: Vec<String>,
    /// Version of Kubernetes
    #[arg(long, default_value = "", hide_default_value = true)]
    kube_version: String,
    /// Print the custom resource definitions as well
    #[arg(long)]
    include_crds: bool,
    /// Render for an upgrade instead of an installation
    #[arg(long)]
    is_upgrade: bool,
    /// Leave hooks out
    #[arg(long)]
    no_hooks: bool,
    /// Leave tests out
    #[arg(long)]
    skip_tests: bool,
    /// Only print what comes from these templates
    #[arg(short = 's', long)]
    show_only: Vec<String>,
    /// Do not hold values against the chart's schema
    #[arg(long)]
    skip_schema_validation: bool,
    /// Render the notes of charts below as well
    #[arg(long, hide = true)]
    render_subchart_notes: bool,
    #[arg(long, hide = true)]
    hide_notes: bool,
    /// Let templates resolve host names
    #[arg(long)]
    enable_dns: bool,
    /// Ask the cluster what it can do and for the objects that templates look up
    #[arg(long)]
    validate: bool,
    /// `client`, or `server` for what `--validate` does
    #[arg(long, default_value = "client", num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    dry_run: String,
    /// Folder to write one file per template to
    #[arg(long)]
    output_dir: Option<PathBuf>,
    /// Use the release's name in the paths below the output folder
    #[arg(long)]
    release_name: bool,
    /// Download dependencies that are missing
    #[arg(long)]
    dependency_update: bool,
    /// Plugin of Helm that changes what is printed; there are no plugins
    #[arg(long, hide = true)]
    post_renderer: Option<String>,
    #[arg(long, hide = true)]
    post_renderer_args: Vec<String>,
    #[command(flatten)]
    chart: ChartOptions,
    #[command(flatten)]
    values: ValueOptions,
    #[command(flatten)]
    accepted: InstallFlags,
}

/// Options of an installation that change nothing about what is printed.
#[derive(Debug, Clone, Default, Args)]
struct InstallFlags {
    #[arg(long, hide = true)]
    create_namespace: bool,
    #[arg(long, hide = true)]
    description: Option<String>,
    #[arg(long, hide = true)]
    disable_openapi_validation: bool,
    #[arg(long, hide = true)]
    force: bool,
    #[arg(long, hide = true)]
    atomic: bool,
    #[arg(long, hide = true)]
    force_conflicts: bool,
    #[arg(long, hide = true)]
    force_replace: bool,
    #[arg(long, hide = true)]
    replace: bool,
    #[arg(long, hide = true)]
    rollback_on_failure: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    server_side: Option<Option<String>>,
    #[arg(long, hide = true)]
    skip_crds: bool,
    #[arg(long, hide = true)]
    take_ownership: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    wait: Option<Option<String>>,
    #[arg(long, hide = true)]
    wait_for_jobs: bool,
    #[arg(short = 'l', long, hide = true)]
    labels: Vec<String>,
}

impl TemplateArgs {
    /// Renders and prints.
    ///
    /// # Errors
    /// Helm's text.
    pub(crate) fn run(&self, env: &mut Environment<'_>) -> Done {
        if let Some(Some(wait)) = &self.accepted.wait {
            check_wait(wait)?;
        }
        if let Some(name) = self.post_renderer.as_ref().filter(|n| !n.is_empty()) {
            return fail(format!(
                "invalid argument {name:?} for \"--post-renderer\" flag: plugin: {{Name:{name} \
                 Type:postrenderer/v1}} not found"
            ));
        }
        self.warn_of_deprecated(env)?;
        let capabilities = self.capabilities()?;
        let (name, reference) = self.name_and_chart()?;
        let user = self.values.merge()?;
        let mut chart = self.chart.locate(&reference, ApiVersions::Known, env)?;
        if chart.metadata.deprecated {
            writeln!(env.err, "level=WARN msg=\"this chart is deprecated\"")?;
        }
        if self.dependency_update && sluice_helm::template::check_dependencies(&chart).is_err() {
            let folder = std::path::absolute(&reference)?;
            super::dependency::update(&folder.to_string_lossy(), &self.chart.download, env)?;
            chart = self.chart.locate(&reference, ApiVersions::Known, env)?;
        }
        let mut world = world();
        if !self.enable_dns {
            world.resolver = None;
        }
        let live = match self.asks_cluster()? {
            true => Some(cluster::connect(env)?),
            false => None,
        };
        let mut options = TemplateOptions {
            release: ReleaseInfo {
                name,
                namespace: env.namespace(),
                revision: 1,
                action: match self.is_upgrade {
                    true => Action::Upgrade,
                    false => Action::Install,
                },
            },
            capabilities,
            schemas: match self.skip_schema_validation {
                true => Schemas::Skip,
                false => Schemas::Check,
            },
            notes: match self.render_subchart_notes {
                true => Notes::WithSubcharts,
                false => Notes::Own,
            },
            limits: Limits::default(),
            missing: match self.dependency_update {
                true => Missing::Accept,
                false => Missing::Refuse,
            },
        };
        if let Some(live) = live {
            let asked = std::mem::replace(&mut options.capabilities, live.capabilities);
            if !self.kube_version.is_empty() {
                options.capabilities.kube_version = asked.kube_version;
            }
            options
                .capabilities
                .api_versions
                .extend(self.api_versions.clone());
            world.lookup = Arc::clone(&live.lookup);
        }
        let outcome = template(chart, &user, &options, world);
        let (Ok(Templated { warnings, .. }) | Err(TemplateError { warnings, .. })) = &outcome;
        for warning in warnings {
            writeln!(env.err, "{warning}")?;
        }
        match outcome {
            Ok(templated) => self.print(&options.release.name, &templated, env),
            Err(error) if env.helm.debug => {
                if error.stage == Stage::Rendering {
                    let partial = error.partial.as_deref().unwrap_or_default();
                    writeln!(env.out, "{}", partial.trim())?;
                }
                fail(error.text)
            }
            Err(error) => fail(error.command_text()),
        }
    }

    fn warn_of_deprecated(&self, env: &mut Environment<'_>) -> Done {
        let useless = "this flag has no effect for 'helm template' and will be removed in Helm 5";
        for (is_given, flag, instead) in [
            (self.accepted.force, "force", "use --force-replace instead"),
            (
                self.accepted.atomic,
                "atomic",
                "use --rollback-on-failure instead",
            ),
            (self.hide_notes, "hide-notes", useless),
            (self.render_subchart_notes, "render-subchart-notes", useless),
            (self.validate, "validate", "use '--dry-run=server' instead"),
        ] {
            if is_given {
                writeln!(env.err, "Flag --{flag} has been deprecated, {instead}")?;
            }
        }
        Ok(())
    }

    fn asks_cluster(&self) -> Done<bool> {
        match self.dry_run.as_str() {
            "server" => Ok(true),
            "client" | "unset" | "true" => Ok(self.validate),
            other => fail(format!(
                "invalid dry-run value ({other:?}). Must be \"none\", \"server\", or \"client\""
            )),
        }
    }

    fn capabilities(&self) -> Done<Capabilities> {
        let mut capabilities = Capabilities::default();
        if !self.kube_version.is_empty() {
            capabilities.kube_version = kube_version(&self.kube_version)?;
        }
        capabilities.api_versions.extend(self.api_versions.clone());
        Ok(capabilities)
    }

    fn name_and_chart(&self) -> Done<(String, String)> {
        match self.names.as_slice() {
            [_, _] if self.generate_name => {
                fail("cannot set --generate-name and also specify a name")
            }
            [_, _] if !self.name_template.is_empty() => {
                fail("cannot set --name-template and also specify a name")
            }
            [name, chart] => Ok((name.clone(), chart.clone())),
            [chart] if !self.name_template.is_empty() => {
                let name = release_name(&self.name_template, world()).map_err(HelmError)?;
                Ok((name, chart.clone()))
            }
            [chart] if self.generate_name => Ok((generated_name(chart, now().0), chart.clone())),
            [chart] => Ok(("release-name".to_owned(), chart.clone())),
            [] => fail(
                "\"helm template\" requires at least 1 argument\n\n\
                 Usage:  helm template [NAME] [CHART] [flags]",
            ),
            [_, _, more @ ..] => fail(format!(
                "expected at most two arguments, unexpected arguments: {}",
                more.join(", ")
            )),
        }
    }

    fn print(&self, name: &str, templated: &Templated, env: &mut Environment<'_>) -> Done {
        let crds = match self.include_crds {
            true => Crds::Include,
            false => Crds::Leave,
        };
        let hooks = match (self.no_hooks, self.skip_tests) {
            (true, _) => Hooks::None,
            (false, true) => Hooks::WithoutTests,
            (false, false) => Hooks::All,
        };
        if let Some(folder) = &self.output_dir {
            let mut folder = folder.clone();
            if self.release_name {
                folder.push(name);
            }
            let pieces = templated.pieces(crds, hooks);
            let mut files = BTreeMap::<&str, String>::new();
            for (name, text) in &pieces {
                files.entry(name).or_default().push_str(text);
            }
            for (name, text) in &files {
                sluice_helm::disk::write_file(&folder.join(name), text.as_bytes())?;
            }
            // Helm tells of each manifest as it is appended.
            for (name, _) in &pieces {
                writeln!(env.out, "wrote {}", folder.join(name).display())?;
            }
            // Where the manifests would stand.
            writeln!(env.out)?;
            return Ok(());
        }
        if !self.show_only.is_empty() {
            let text = templated.text(crds, hooks);
            let text = show_only(&self.show_only, &text).map_err(HelmError)?;
            env.out.write_all(text.as_bytes())?;
            return Ok(());
        }
        Ok(templated.write(crds, hooks, |piece| env.out.write_all(piece.as_bytes()))?)
    }
}

/// Refuses a way to wait that does not exist.
fn check_wait(wait: &str) -> Done {
    match wait {
        "watcher" | "hookOnly" | "legacy" | "true" | "false" => Ok(()),
        other => fail(format!(
            "invalid argument {other:?} for \"--wait\" flag: invalid wait input {other:?}. Valid \
             inputs are watcher, hookOnly, and legacy"
        )),
    }
}

/// Reads `--kube-version`.
pub(crate) fn kube_version(text: &str) -> Done<KubeVersion> {
    Ok(KubeVersion::parse(text)?)
}
