//! `helm template`.

use std::sync::{Arc, LazyLock};

use clap::Args;
use sluice_gotemplate::regexp::Regexp;
use sluice_gotemplate::strconv::quote;
use sluice_gotemplate::{Delimiters, MissingKey, Run, TemplateSet, Value};

use super::{ChartRef, CommandError, Done, Environment, InstallOptions, fail, locate};
use crate::capabilities::{Capabilities, KubeVersion};
use crate::chart::{Chart, glob_matches};
use crate::dependencies::process_dependencies;
use crate::funcs;
use crate::manifest::{
    Crds, HookEvent, Notes, Output, collect, manifest_text, push_source, split_documents,
};
use crate::render::{Action, ReleaseInfo, RenderError, RenderOptions, Schemas, render};
use crate::session::{Mode, Session};
use crate::values::{Nulls, Table};

/// Arguments of `helm template`.
#[derive(Debug, Clone, Default, Args)]
pub struct TemplateArgs {
    /// Name, chart and values.
    #[command(flatten)]
    pub install: InstallOptions,
    /// Kubernetes API versions used for Capabilities.APIVersions.
    #[arg(short = 'a', long, value_delimiter = ',')]
    pub api_versions: Vec<String>,
    /// Kubernetes version used for Capabilities.KubeVersion.
    #[arg(long, default_value = "")]
    pub kube_version: String,
    /// Include CRDs in the templated output.
    #[arg(long)]
    pub include_crds: bool,
    /// Set .Release.IsUpgrade instead of .Release.IsInstall.
    #[arg(long)]
    pub is_upgrade: bool,
    /// Prevent hooks from being part of the output.
    #[arg(long)]
    pub no_hooks: bool,
    /// Skip tests from templated output.
    #[arg(long)]
    pub skip_tests: bool,
    /// Only show manifests rendered from the given templates.
    #[arg(short = 's', long)]
    pub show_only: Vec<String>,
    /// Disable JSON schema validation.
    #[arg(long)]
    pub skip_schema_validation: bool,
    /// Show the notes of subcharts as well.
    #[arg(long)]
    pub render_subchart_notes: bool,
    /// Enable DNS lookups when rendering templates.
    #[arg(long)]
    pub enable_dns: bool,
    /// Validate against the cluster that you are currently pointing at.
    #[arg(long)]
    pub validate: bool,
    /// Write the executed templates to files in this folder.
    #[arg(long, default_value = "")]
    pub output_dir: String,
    /// Use the release name in the output-dir path.
    #[arg(long)]
    pub release_name: bool,
    /// Show output even if it is not valid YAML.
    #[arg(long)]
    pub debug: bool,
}

const SUFFIX: &str = "\n\nUse --debug flag to render out invalid YAML";

pub(super) fn run(args: &TemplateArgs, env: &mut Environment<'_>) -> Done {
    let capabilities = capabilities(args, env)?;
    let (name, reference) = name_and_chart(&args.install, env)?;
    let user = args.install.values.merge()?;
    let chart = locate(
        &ChartRef {
            reference,
            version: args.install.version.clone(),
            repo_url: args.install.repo.clone(),
        },
        env,
    )?;
    let kind = chart.metadata.chart_type.as_str();
    if !matches!(kind, "" | "application") {
        return fail(format!("{kind} charts are not installable"));
    }
    if chart.metadata.deprecated {
        writeln!(env.err, "level=WARN msg=\"this chart is deprecated\"")?;
    }
    check_dependencies(&chart)?;
    check_release_name(&name)?;
    let mut chart = chart;
    let mut warnings = Vec::new();
    process_dependencies(&mut chart, &user, Nulls::Helm4, &mut warnings)
        .map_err(|e| CommandError(format!("chart dependencies processing failed: {e}")))?;
    let release = ReleaseInfo {
        name,
        namespace: args.install.namespace.clone(),
        revision: 1,
        action: if args.is_upgrade {
            Action::Upgrade
        } else {
            Action::Install
        },
    };
    match outputs(&chart, &user, &release, &capabilities, args, env) {
        Ok(output) => show(args, env, &chart, &release, &output),
        Err(Failed {
            error, early: true, ..
        }) => fail(error),
        Err(Failed { error, partial, .. }) => {
            if !args.debug {
                return fail(format!("{error}{SUFFIX}"));
            }
            if let Some(text) = partial {
                writeln!(env.out, "{}", text.trim())?;
            }
            fail(error)
        }
    }
}

fn capabilities(args: &TemplateArgs, env: &Environment<'_>) -> Result<Capabilities, CommandError> {
    let mut capabilities = match (&env.cluster, args.validate) {
        (Some(cluster), true) => cluster.capabilities.clone(),
        (None, true) => return fail("Kubernetes cluster unreachable: no cluster is configured"),
        _ => Capabilities::default(),
    };
    if !args.kube_version.is_empty() {
        capabilities.kube_version = KubeVersion::parse(&args.kube_version).map_err(|_| {
            CommandError(format!(
                "invalid kube version '{}': could not parse {} as version",
                args.kube_version,
                quote(args.kube_version.as_bytes())
            ))
        })?;
    }
    capabilities.api_versions.extend(args.api_versions.clone());
    Ok(capabilities)
}

fn name_and_chart(
    options: &InstallOptions,
    env: &Environment<'_>,
) -> Result<(String, String), CommandError> {
    let flags_absent = || -> Done {
        if options.generate_name {
            return fail("cannot set --generate-name and also specify a name");
        }
        if !options.name_template.is_empty() {
            return fail("cannot set --name-template and also specify a name");
        }
        Ok(())
    };
    match options.names.as_slice() {
        [name, chart] => {
            flags_absent()?;
            Ok((name.clone(), chart.clone()))
        }
        [chart] if !options.name_template.is_empty() => {
            Ok((templated_name(&options.name_template, env)?, chart.clone()))
        }
        [chart] if options.generate_name => {
            let base = funcs::base_name(chart);
            let base = base.split('.').next().unwrap_or_default();
            let base = if base.is_empty() { "chart" } else { base };
            Ok((format!("{base}-{}", (env.world)().now.0), chart.clone()))
        }
        [chart] => Ok(("release-name".to_owned(), chart.clone())),
        _ => fail("expected at most two arguments, unexpected arguments"),
    }
}

fn templated_name(template: &str, env: &Environment<'_>) -> Result<String, CommandError> {
    let functions = funcs::table();
    let mut set = TemplateSet::new("name-template", MissingKey::Invalid, Delimiters::default());
    set.parse("name-template", template.as_bytes(), functions)
        .map_err(|e| CommandError(e.to_string()))?;
    let mut session = Session::new((env.world)(), Mode::Strict);
    let mut out = Vec::new();
    Run::new(
        Arc::new(set),
        functions,
        &mut session,
        sluice_gotemplate::Limits {
            depth: 100,
            ..Default::default()
        },
    )
    .execute(b"name-template", &Value::Nil, &mut out)
    .map_err(|e| CommandError(e.to_string()))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Whether everything that Chart.yaml lists is there.
pub(super) fn check_dependencies(chart: &Chart) -> Done {
    let missing: Vec<&str> = chart
        .metadata
        .dependencies
        .iter()
        .flatten()
        .flatten()
        .map(|d| d.name.as_str())
        .filter(|name| !chart.dependencies.iter().any(|c| c.name() == *name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    fail(format!(
        "an error occurred while checking for chart dependencies. You may need to run \
         'helm dependency build' to fetch missing dependencies: found in Chart.yaml, but missing \
         in charts/ directory: {}",
        missing.join(", ")
    ))
}

fn check_release_name(name: &str) -> Done {
    if crate::release::is_valid_name(name) {
        return Ok(());
    }
    let problem = if name.is_empty() {
        "no name provided".to_owned()
    } else {
        "invalid release name, must match regex \
         ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must \
         not be longer than 53"
            .to_owned()
    };
    fail(format!(
        "release name check failed: release name {}: {problem}",
        quote(name.as_bytes())
    ))
}

/// A rendering that failed.
struct Failed {
    error: String,
    /// What was rendered before it failed.
    partial: Option<String>,
    /// Whether it failed before there was a release to speak of.
    early: bool,
}

fn outputs(
    chart: &Chart,
    user: &Table,
    release: &ReleaseInfo,
    capabilities: &Capabilities,
    args: &TemplateArgs,
    env: &Environment<'_>,
) -> Result<Output, Failed> {
    let version = &capabilities.kube_version.normalized;
    if !chart.metadata.supports_kubernetes(version) {
        return Err(Failed {
            error: format!(
                "chart requires kubeVersion: {} which is incompatible with Kubernetes {}",
                chart.metadata.kube_version, capabilities.kube_version.version
            ),
            partial: None,
            early: false,
        });
    }
    let mut world = (env.world)();
    if !args.enable_dns {
        world.resolver = None;
    }
    if let (Some(cluster), true) = (&env.cluster, args.validate) {
        world.lookup = Arc::clone(&cluster.lookup);
    }
    let rendered = render(
        chart,
        user,
        release,
        capabilities,
        world,
        &RenderOptions {
            schemas: if args.skip_schema_validation {
                Schemas::Skip
            } else {
                Schemas::Check
            },
            ..RenderOptions::default()
        },
    )
    .map_err(|error| Failed {
        early: matches!(error, RenderError::Values(_) | RenderError::Schema(_)),
        error: error.to_string(),
        partial: None,
    })?;
    let notes = if args.render_subchart_notes {
        Notes::WithSubcharts
    } else {
        Notes::Own
    };
    collect(chart, &rendered, notes).map_err(|error| {
        let mut blob = String::new();
        for (name, content) in &rendered.files {
            if !name.ends_with("NOTES.txt") && !content.trim_ascii().is_empty() {
                push_source(&mut blob, name, &String::from_utf8_lossy(content));
            }
        }
        Failed {
            error: error.to_string(),
            partial: Some(blob),
            early: false,
        }
    })
}

fn show(
    args: &TemplateArgs,
    env: &mut Environment<'_>,
    chart: &Chart,
    release: &ReleaseInfo,
    output: &Output,
) -> Done {
    let crds = if args.include_crds {
        Crds::Include
    } else {
        Crds::Leave
    };
    if !args.output_dir.is_empty() {
        return write_files(args, env, chart, release, output, crds);
    }
    let mut text = manifest_text(chart, output, crds).trim().to_owned();
    text.push('\n');
    if !args.no_hooks {
        for hook in &output.hooks {
            if args.skip_tests && hook.events.contains(&HookEvent::Test) {
                continue;
            }
            push_source(&mut text, &hook.path, &hook.manifest);
        }
    }
    if args.show_only.is_empty() {
        env.out.write_all(text.as_bytes())?;
        return Ok(());
    }
    for document in chosen(&args.show_only, &text)? {
        writeln!(env.out, "---\n{document}")?;
    }
    Ok(())
}

/// Picks the documents that came from the given templates.
fn chosen(wanted: &[String], text: &str) -> Result<Vec<String>, CommandError> {
    static SOURCE: LazyLock<Regexp> = LazyLock::new(|| {
        Regexp::new("# Source: [^/]+/(.+)").expect("the constant is a regular expression")
    });
    let documents = split_documents(text.as_bytes());
    let mut kept = Vec::new();
    for pattern in wanted {
        let mut missing = true;
        for document in &documents {
            let Some(Some(source)) = SOURCE
                .captures(document)
                .and_then(|groups| groups.into_iter().nth(1))
            else {
                continue;
            };
            let source = String::from_utf8_lossy(source);
            if glob_matches(pattern, &source) == Some(true) {
                kept.push(String::from_utf8_lossy(document).into_owned());
                missing = false;
            }
        }
        if missing {
            return fail(format!("could not find template {pattern} in chart"));
        }
    }
    Ok(kept)
}

fn write_files(
    args: &TemplateArgs,
    env: &mut Environment<'_>,
    chart: &Chart,
    release: &ReleaseInfo,
    output: &Output,
    crds: Crds,
) -> Done {
    let mut folder = std::path::PathBuf::from(&args.output_dir);
    if args.release_name {
        folder.push(&release.name);
    }
    let mut files: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, content: &str| {
        let text = format!("---\n# Source: {name}\n{content}\n");
        match files.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.push_str(&text),
            None => files.push((name.to_owned(), text)),
        }
    };
    if crds == Crds::Include {
        for (name, file) in chart.crds() {
            add(&name, &String::from_utf8_lossy(&file.data));
        }
    }
    for manifest in &output.manifests {
        add(&manifest.source, &manifest.content);
    }
    if !args.no_hooks {
        for hook in &output.hooks {
            if !(args.skip_tests && hook.events.contains(&HookEvent::Test)) {
                add(&hook.path, &hook.manifest);
            }
        }
    }
    for (name, text) in files {
        let path = folder.join(&name);
        crate::disk::write_file(&path, text.as_bytes())?;
        writeln!(env.out, "wrote {}", path.display())?;
    }
    Ok(())
}
