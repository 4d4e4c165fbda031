//! `helm template` as a function: a chart and values in, text out.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use sluice_gotemplate::regexp::Regexp;
use sluice_gotemplate::strconv::quote;
use sluice_gotemplate::{Delimiters, Limits, MissingKey, Run, TemplateSet, Value};

use crate::capabilities::Capabilities;
use crate::chart::{Chart, glob_matches};
use crate::dependencies::process_dependencies;
use crate::funcs;
use crate::manifest::{
    Crds, Hook, HookEvent, Notes, Output, collect, holds_manifests, push_source, split_documents,
    under_source,
};
use crate::render::{Action, ReleaseInfo, RenderError, RenderOptions, Schemas, render_here};
use crate::session::{Mode, Session, World};
use crate::stack::on_deep_stack;
use crate::values::{Nulls, Table};

/// What a chart is rendered for.
#[derive(Debug, Clone)]
pub struct TemplateOptions {
    /// The release.
    pub release: ReleaseInfo,
    /// What the cluster can do.
    pub capabilities: Capabilities,
    /// Whether values are held against the charts' schemas.
    pub schemas: Schemas,
    /// Whose notes are rendered.
    pub notes: Notes,
    /// What templates may use.
    pub limits: Limits,
    /// What becomes of a chart without all of its dependencies.
    pub missing: Missing,
}

impl TemplateOptions {
    /// A first installation, with everything else as Helm has it without flags.
    pub fn install(name: &str, namespace: &str) -> Self {
        TemplateOptions {
            release: ReleaseInfo {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
                revision: 1,
                action: Action::Install,
            },
            capabilities: Capabilities::default(),
            schemas: Schemas::Check,
            notes: Notes::Own,
            limits: Limits::default(),
            missing: Missing::Refuse,
        }
    }
}

/// Whether a chart is rendered whose Chart.yaml lists dependencies that are not
/// below `charts/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// It is refused.
    #[default]
    Refuse,
    /// It is rendered without them, as Helm does once it has updated them: what
    /// came may have another name.
    Accept,
}

/// A chart whose templates have run.
#[derive(Debug, Clone)]
pub struct Templated {
    /// The chart with its dependencies as they were chosen.
    pub chart: Chart,
    /// Manifests, hooks and notes.
    pub output: Output,
    /// What Helm would have logged, line by line.
    pub warnings: Vec<String>,
}

/// How far a rendering came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Chart and values do not fit together; no template has run.
    Preparing,
    /// A template failed, or what it printed is no YAML.
    Rendering,
}

/// Why a chart could not be rendered, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TemplateError {
    /// What went wrong.
    pub text: String,
    /// How far the rendering came.
    pub stage: Stage,
    /// What was rendered, if all templates ran but something is no YAML.
    pub partial: Option<String>,
    /// What Helm would have logged before, line by line.
    pub warnings: Vec<String>,
}

impl TemplateError {
    fn new(stage: Stage, text: impl ToString) -> Self {
        TemplateError {
            text: text.to_string(),
            stage,
            partial: None,
            warnings: Vec::new(),
        }
    }

    /// The text of the `helm template` command, which tells of `--debug` when
    /// there is more to see.
    pub fn command_text(&self) -> String {
        match self.stage {
            Stage::Preparing => self.text.clone(),
            Stage::Rendering => format!(
                "{}\n\nUse --debug flag to render out invalid YAML",
                self.text
            ),
        }
    }
}

/// Checks a chart, runs its templates and sorts what they printed.
///
/// `user` are the merged values of the user.
///
/// # Errors
/// [`TemplateError`] with Helm's text.
pub fn template(
    chart: Chart,
    user: &Table,
    options: &TemplateOptions,
    world: World,
) -> Result<Templated, TemplateError> {
    // All of it on one thread, which takes its memory from one place.
    on_deep_stack(options.limits.depth, move || {
        let mut warnings = Vec::new();
        match template_here(chart, user, options, world, &mut warnings) {
            Ok((chart, output)) => Ok(Templated {
                chart,
                output,
                warnings,
            }),
            Err(error) => Err(TemplateError { warnings, ..error }),
        }
    })
    .unwrap_or_else(|text| Err(TemplateError::new(Stage::Rendering, text)))
}

fn template_here(
    mut chart: Chart,
    user: &Table,
    options: &TemplateOptions,
    world: World,
    warnings: &mut Vec<String>,
) -> Result<(Chart, Output), TemplateError> {
    let early = |text: String| TemplateError::new(Stage::Preparing, text);
    let kind = chart.metadata.chart_type.as_str();
    if !matches!(kind, "" | "application") {
        return Err(early(format!("{kind} charts are not installable")));
    }
    if options.missing == Missing::Refuse {
        check_dependencies(&chart).map_err(|missing| {
            early(format!(
                "an error occurred while checking for chart dependencies. You may need to run \
                 'helm dependency build' to fetch missing dependencies: {missing}"
            ))
        })?;
    }
    check_release_name(&options.release.name).map_err(|cause| {
        warnings.push(format!(
            "level=ERROR msg=\"release name check failed\" error={}",
            crate::log::value(&cause)
        ));
        early(format!("release name check failed: {cause}"))
    })?;
    process_dependencies(&mut chart, user, Nulls::Helm4, warnings)
        .map_err(|e| early(format!("chart dependencies processing failed: {e}")))?;
    let late = |text: &dyn ToString| TemplateError::new(Stage::Rendering, text.to_string());
    let kube = &options.capabilities.kube_version;
    if !chart.metadata.supports_kubernetes(&kube.normalized) {
        return Err(late(&format!(
            "chart requires kubeVersion: {} which is incompatible with Kubernetes {}",
            chart.metadata.kube_version, kube.version
        )));
    }
    let mut rendered = render_here(
        &chart,
        user,
        &options.release,
        &options.capabilities,
        world,
        &RenderOptions {
            schemas: options.schemas,
            limits: options.limits,
            ..RenderOptions::default()
        },
    )
    .map_err(|error| match error {
        RenderError::Values(_) | RenderError::Schema(_) => early(error.to_string()),
        RenderError::Parse { .. } | RenderError::Exec { .. } => late(&error),
    })?;
    warnings.append(&mut rendered.warnings);
    let output = collect(&chart, &mut rendered, options.notes, warnings).map_err(|error| {
        let mut partial = String::new();
        for (name, content) in &rendered.files {
            if holds_manifests(name, content) {
                push_source(&mut partial, name, &String::from_utf8_lossy(content));
            }
        }
        TemplateError {
            partial: Some(partial),
            ..late(&error)
        }
    })?;
    Ok((chart, output))
}

/// Whether everything that Chart.yaml lists is below `charts/`. The error says
/// what is missing.
///
/// # Errors
/// Helm's text.
pub fn check_dependencies(chart: &Chart) -> Result<(), String> {
    let listed = chart.metadata.dependencies.iter().flatten().flatten();
    let missing: Vec<&str> = listed
        .map(|d| d.name.as_str())
        .filter(|name| !chart.dependencies.iter().any(|c| c.name() == *name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "found in Chart.yaml, but missing in charts/ directory: {}",
        missing.join(", ")
    ))
}

fn check_release_name(name: &str) -> Result<(), String> {
    if crate::release::is_valid_name(name) {
        return Ok(());
    }
    let problem = if name.is_empty() {
        "no name provided"
    } else {
        "invalid release name, must match regex \
         ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must \
         not be longer than 53"
    };
    Err(format!(
        "release name {}: {problem}",
        quote(name.as_bytes())
    ))
}

/// Which hooks are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hooks {
    /// All.
    #[default]
    All,
    /// Those that are no tests.
    WithoutTests,
    /// None.
    None,
}

impl Hooks {
    fn show(self, hook: &Hook) -> bool {
        match self {
            Hooks::All => true,
            Hooks::WithoutTests => !hook.events.contains(&HookEvent::Test),
            Hooks::None => false,
        }
    }
}

impl Templated {
    /// Writes manifests and hooks the way `helm template` prints them.
    pub fn text(&self, crds: Crds, hooks: Hooks) -> String {
        let mut text = String::new();
        let Ok(()) = self.write(crds, hooks, |piece| {
            text.push_str(piece);
            Ok::<_, Infallible>(())
        });
        text
    }

    /// As [`text`](Self::text), piece by piece.
    ///
    /// # Errors
    /// The first that `out` returns; nothing is written after it.
    pub fn write<E>(
        &self,
        crds: Crds,
        hooks: Hooks,
        mut out: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut manifests = self.manifests(crds).peekable();
        if manifests.peek().is_none() {
            out("\n")?;
        }
        while let Some((source, content)) = manifests.next() {
            // The last one loses the space at its end, even all that it is.
            let content = match manifests.peek() {
                Some(_) => &content,
                None => content.trim_end(),
            };
            let pieces = under_source(&source, content);
            let shown = match manifests.peek().is_none() && content.is_empty() {
                true => 3,
                false => pieces.len(),
            };
            pieces[..shown].iter().try_for_each(|piece| out(piece))?;
        }
        for hook in self.output.hooks.iter().filter(|hook| hooks.show(hook)) {
            under_source(&hook.path, &hook.manifest)
                .into_iter()
                .try_for_each(&mut out)?;
        }
        Ok(())
    }

    /// The manifests one by one, each with the name of its template, for `--output-dir`: a template's file
    /// is all of its manifests.
    pub fn pieces(&self, crds: Crds, hooks: Hooks) -> Vec<(String, String)> {
        let hooks = self.output.hooks.iter().filter(|hook| hooks.show(hook));
        let hooks = hooks.map(|hook| (Cow::from(&hook.path), Cow::from(&hook.manifest)));
        self.manifests(crds)
            .chain(hooks)
            .map(|(name, content)| {
                let text = under_source(&name, &content).concat();
                (name.into_owned(), text)
            })
            .collect()
    }

    /// The definitions, if they are wanted, and the manifests, each with what it came from.
    fn manifests(&self, crds: Crds) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let definitions = match crds {
            Crds::Include => self.chart.crds(),
            Crds::Leave => Vec::new(),
        };
        let definitions = definitions
            .into_iter()
            .map(|(name, file)| (Cow::from(name), String::from_utf8_lossy(&file.data)));
        let manifests = self.output.manifests.iter();
        definitions.chain(manifests.map(|m| (Cow::from(&m.source), Cow::from(&m.content))))
    }
}

/// Picks the documents of a text that came from the given templates.
///
/// # Errors
/// Helm's text for a pattern that matches none.
pub fn show_only(patterns: &[String], text: &str) -> Result<String, String> {
    static SOURCE: LazyLock<Regexp> = LazyLock::new(|| {
        Regexp::new("# Source: [^/]+/(.+)").expect("the constant is a regular expression")
    });
    let documents = split_documents(text.as_bytes());
    let mut kept = String::new();
    for pattern in patterns {
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
                kept.push_str(&format!("---\n{}\n", String::from_utf8_lossy(document)));
                missing = false;
            }
        }
        if missing {
            return Err(format!("could not find template {pattern} in chart"));
        }
    }
    Ok(kept)
}

/// Runs the template of `--name-template`.
///
/// # Errors
/// Go's text for what is wrong with it.
pub fn release_name(template: &str, world: World) -> Result<String, String> {
    let functions = funcs::table();
    let mut set = TemplateSet::new("name-template", MissingKey::Invalid, Delimiters::default());
    set.parse("name-template", template, functions)
        .map_err(|e| e.to_string())?;
    let mut session = Session::new(world, Mode::Strict);
    let mut out = Vec::new();
    let limits = Limits {
        depth: 1000,
        ..Limits::default()
    };
    Run::new(Arc::new(set), functions, &mut session, limits)
        .execute(b"name-template", &Value::Nil, &mut out)
        .map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The name that `--generate-name` gives a release of the chart at `reference`.
pub fn generated_name(reference: &str, seconds: i64) -> String {
    let base = funcs::base_name(reference);
    let base = match base.split('.').next() {
        Some(base) if !base.is_empty() => base,
        _ => "chart",
    };
    format!("{base}-{seconds}")
}
