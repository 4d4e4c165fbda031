//! `helm dependency`: the charts that a chart brings along.

use std::path::{Component, Path, PathBuf};

use clap::{Args, Subcommand};
use sluice_helm::chart::{Chart, Dependency, Lock, glob_matches, load_archive, write_archive};
use sluice_helm::disk::{view_chart, write_file};
use sluice_helm::index::Index;
use sluice_helm::package::{archive_name, lock_digest, lock_yaml};
use sluice_version::{Constraint, Version};

use super::options::DownloadOptions;
use super::repositories::{Fetcher, Named, known, same};
use super::{Done, Environment, HelmError, fail, now, registry};

/// `helm dependency`.
#[derive(Debug, Subcommand)]
pub(crate) enum DependencyCommand {
    /// Have the versions that Chart.lock names
    Build(FetchArgs),
    /// Show the dependencies and whether they are there
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Have the newest versions that Chart.yaml allows, and write Chart.lock
    #[command(visible_alias = "up")]
    Update(FetchArgs),
}

/// Arguments of `list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// The chart
    #[arg(default_value = ".")]
    chart: PathBuf,
    /// Widest column
    #[arg(long, default_value_t = 80)]
    max_col_width: usize,
}

/// Arguments of `build` and `update`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FetchArgs {
    /// The chart
    #[arg(default_value = ".")]
    chart: String,
    /// Accepted for the sake of scripts: indexes are not kept
    #[arg(long)]
    skip_refresh: bool,
    #[command(flatten)]
    download: DownloadOptions,
}

impl DependencyCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Helm's text.
    pub(crate) fn run(&self, env: &mut Environment<'_>) -> Done {
        match self {
            DependencyCommand::List(args) => args.run(env),
            DependencyCommand::Update(args) => update(&args.chart, &args.download, env),
            DependencyCommand::Build(args) => build(&args.chart, &args.download, env),
        }
    }
}

fn listed(chart: &Chart) -> Vec<Dependency> {
    let all = chart.metadata.dependencies.iter().flatten().flatten();
    all.cloned().collect()
}

impl ListArgs {
    fn run(&self, env: &mut Environment<'_>) -> Done {
        let chart = view_chart(&self.chart)?;
        let dependencies = listed(&chart);
        if chart.metadata.dependencies.is_none() {
            writeln!(
                env.out,
                "WARNING: no dependencies at {}",
                self.chart.join("charts").display()
            )?;
            return Ok(());
        }
        let mut rows = vec![["NAME", "VERSION", "REPOSITORY", "STATUS"].map(str::to_owned)];
        for dependency in &dependencies {
            rows.push([
                dependency.name.clone(),
                dependency.version.clone(),
                dependency.repository.clone(),
                status(&self.chart, dependency, &chart),
            ]);
        }
        for row in &mut rows {
            for cell in row {
                *cell = shortened(cell, self.max_col_width);
            }
        }
        let widths: Vec<usize> = (0..4)
            .map(|i| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(env.out, "{}", cells.join("\t"))?;
        }
        writeln!(env.out)?;
        for warning in unlisted(&self.chart, &dependencies) {
            writeln!(env.out, "WARNING: {warning}")?;
        }
        Ok(())
    }
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width || width < 3 {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width - 3).collect();
    format!("{kept}...")
}

/// The entries of a folder, by name.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The archives in `charts/` that may be of a dependency.
fn archives_of(chart: &Path, name: &str) -> Vec<PathBuf> {
    let pattern = format!("{name}-*.tgz");
    entries(&chart.join("charts"))
        .into_iter()
        .filter(|path| glob_matches(&pattern, &file_name(path)) == Some(true))
        .collect()
}

fn status(folder: &Path, dependency: &Dependency, parent: &Chart) -> String {
    let archives = archives_of(folder, &dependency.name);
    // Names may begin alike: `a` and `a-b`.
    let matching: Vec<&PathBuf> = match archives.len() {
        0 | 1 => archives.iter().collect(),
        _ => archives
            .iter()
            .filter(|path| {
                let name = file_name(path);
                let version = name
                    .strip_prefix(&format!("{}-", dependency.name))
                    .and_then(|rest| rest.strip_suffix(".tgz"));
                version.is_some_and(|v| Version::parse_strict(v).is_ok())
            })
            .collect(),
    };
    match matching.as_slice() {
        [] => {}
        [archive] => {
            let Ok(chart) = view_chart(archive) else {
                return "corrupt".to_owned();
            };
            if chart.name() != dependency.name {
                return "misnamed".to_owned();
            }
            return fits(&dependency.version, &chart.metadata.version).to_owned();
        }
        _ => return "too many matches".to_owned(),
    }
    let inner = folder.join("charts").join(&dependency.name);
    if !inner.is_dir() {
        // An archive of a chart holds its dependencies unpacked.
        let inside = parent
            .dependencies
            .iter()
            .any(|c| c.name() == dependency.name);
        return if inside && folder.is_file() {
            "unpacked"
        } else {
            "missing"
        }
        .to_owned();
    }
    let Ok(chart) = view_chart(&inner) else {
        return "corrupt".to_owned();
    };
    if chart.name() != dependency.name {
        return "misnamed".to_owned();
    }
    match fits(&dependency.version, &chart.metadata.version) {
        "ok" => "unpacked",
        other => other,
    }
    .to_owned()
}

fn fits(constraint: &str, version: &str) -> &'static str {
    if constraint == version {
        return "ok";
    }
    match (Constraint::parse(constraint), Version::parse(version)) {
        (Err(_), _) => "invalid version",
        (_, Err(_)) => "invalid version",
        (Ok(constraint), Ok(version)) if constraint.check(&version) => "ok",
        _ => "wrong version",
    }
}

/// What is to be said about what lies in `charts/` and is no dependency.
fn unlisted(chart: &Path, dependencies: &[Dependency]) -> Vec<String> {
    let mut found = Vec::new();
    for path in entries(&chart.join("charts")) {
        if !path.is_dir() && path.extension().is_none_or(|e| e != "tgz") {
            continue;
        }
        let shown = path.display().to_string();
        match view_chart(&path) {
            Err(_) => found.push(format!("{shown:?} is not a chart.")),
            Ok(inner) if !dependencies.iter().any(|d| d.name == inner.name()) => {
                found.push(format!("{shown:?} is not in Chart.yaml."));
            }
            Ok(_) => {}
        }
    }
    found
}

/// The repositories that take part, with what they offer.
struct Sources {
    fetcher: Fetcher,
    known: Vec<Named>,
    indexes: Vec<(String, Index)>,
}

impl Sources {
    /// The address behind a dependency's repository, aliases resolved.
    fn address(&self, repository: &str) -> Done<String> {
        let alias = repository
            .strip_prefix("alias:")
            .or_else(|| repository.strip_prefix('@'));
        let Some(alias) = alias else {
            return Ok(repository.to_owned());
        };
        match self.known.iter().find(|k| k.name == alias) {
            Some(named) => Ok(named.url.clone()),
            None if repository.starts_with('@') => fail(format!(
                "no repository definition for {repository}. Please add them via 'helm repo add'"
            )),
            None => Ok(repository.to_owned()),
        }
    }

    fn index(&self, address: &str) -> Done<&Index> {
        let found = self.indexes.iter().find(|(url, _)| same(url, address));
        match found {
            Some((_, index)) => Ok(index),
            None => fail(format!(
                "no cached repository for {address} found. (try 'helm repo update')"
            )),
        }
    }

    /// Reads the indexes of all repositories, telling of each.
    fn refresh(&mut self, wanted: &[Dependency], env: &mut Environment<'_>) -> Done {
        let mut strangers: Vec<String> = Vec::new();
        for dependency in wanted {
            let address = self.address(&dependency.repository)?;
            if !address.is_empty()
                && !address.starts_with("file://")
                && !address.starts_with("oci://")
                && !self.known.iter().any(|k| same(&k.url, &address))
                && !strangers.iter().any(|s| same(s, &address))
            {
                strangers.push(address);
            }
        }
        let bare: Vec<&str> = strangers
            .iter()
            .filter(|s| url::Url::parse(s).is_err())
            .map(String::as_str)
            .collect();
        if !bare.is_empty() {
            return fail(format!(
                "no repository definition for {}. Please add them via 'helm repo add'\n\
                 Note that repositories must be URLs or aliases. For example, to refer to the \
                 \"example\"\nrepository, use \"https://charts.example.com/\" or \"@example\" instead \
                 of\n\"example\". Don't forget to add the repo, too ('helm repo add').",
                bare.join(", ")
            ));
        }
        let unmanaged: Vec<(String, String)> = strangers
            .into_iter()
            .map(|url| (url.clone(), url))
            .collect();
        self.update(
            &unmanaged,
            "Getting updates for unmanaged Helm repositories...",
            env,
        )?;
        let managed: Vec<(String, String)> = self
            .known
            .iter()
            .map(|k| (k.name.clone(), k.url.clone()))
            .collect();
        if !managed.is_empty() {
            self.update(
                &managed,
                "Hang tight while we grab the latest from your chart repositories...",
                env,
            )?;
            writeln!(env.out, "Update Complete. ⎈Happy Helming!⎈")?;
        }
        Ok(())
    }

    fn update(
        &mut self,
        repositories: &[(String, String)],
        title: &str,
        env: &mut Environment<'_>,
    ) -> Done {
        if repositories.is_empty() {
            return Ok(());
        }
        writeln!(env.out, "{title}")?;
        for (_, url) in repositories {
            let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
            if !matches!(scheme, "http" | "https") {
                return fail(format!("could not find protocol handler for: {scheme}"));
            }
        }
        for (name, url) in repositories {
            match self.fetcher.index(url) {
                Ok(index) => {
                    self.indexes.push((url.clone(), index));
                    writeln!(
                        env.out,
                        "...Successfully got an update from the {name:?} chart repository"
                    )?;
                }
                Err(HelmError(text)) => writeln!(
                    env.out,
                    "...Unable to get an update from the {name:?} chart repository:\n\t{text}"
                )?,
            }
        }
        Ok(())
    }
}

fn open(
    reference: &str,
    download: &DownloadOptions,
    env: &Environment<'_>,
) -> Done<(PathBuf, Chart, Sources)> {
    let folder = PathBuf::from(reference);
    match std::fs::metadata(&folder) {
        Err(_) => {
            return fail(format!(
                "could not find {reference}: stat {reference}: no such file or directory"
            ));
        }
        Ok(found) if !found.is_dir() => {
            return fail("only unpacked charts can be updated");
        }
        Ok(_) => {}
    }
    let chart = view_chart(&folder)?;
    let sources = Sources {
        fetcher: Fetcher::new(download)?,
        known: known(env)?,
        indexes: Vec::new(),
    };
    Ok((folder, chart, sources))
}

/// Has the newest versions that Chart.yaml allows, and writes Chart.lock.
///
/// # Errors
/// Helm's text.
pub(super) fn update(
    reference: &str,
    download: &DownloadOptions,
    env: &mut Environment<'_>,
) -> Done {
    let (folder, chart, mut sources) = open(reference, download, env)?;
    let wanted = listed(&chart);
    if wanted.is_empty() {
        return Ok(());
    }
    sources.refresh(&wanted, env)?;
    let locked = resolve(&folder, &wanted, &sources, env)?;
    fetch(&folder, &locked, &sources, env)?;
    let digest = lock_digest(&wanted, &locked);
    if chart
        .lock
        .as_ref()
        .is_some_and(|lock| lock.digest == digest)
    {
        return Ok(());
    }
    let (seconds, nanos) = now();
    let generated = jiff::Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0))?;
    let lock = Lock {
        generated: generated.to_string(),
        digest,
        dependencies: Some(locked.into_iter().map(Some).collect()),
    };
    let name = match chart.metadata.api_version.as_str() {
        "v1" => "requirements.lock",
        _ => "Chart.lock",
    };
    Ok(write_file(&folder.join(name), lock_yaml(&lock).as_bytes())?)
}

/// Has the versions that Chart.lock names.
fn build(reference: &str, download: &DownloadOptions, env: &mut Environment<'_>) -> Done {
    let (folder, chart, mut sources) = open(reference, download, env)?;
    let Some(lock) = &chart.lock else {
        return update(reference, download, env);
    };
    let wanted = listed(&chart);
    let locked: Vec<Dependency> = lock
        .dependencies
        .iter()
        .flatten()
        .flatten()
        .cloned()
        .collect();
    if lock.digest != lock_digest(&wanted, &locked) {
        return fail(
            "the lock file (Chart.lock) is out of sync with the dependencies file (Chart.yaml). \
             Please update the dependencies with 'helm dependency update'",
        );
    }
    let mut strangers = Vec::new();
    for dependency in &locked {
        let address = sources.address(&dependency.repository)?;
        let local = address.is_empty() || address.starts_with("file://");
        if !local
            && !address.starts_with("oci://")
            && !sources.known.iter().any(|k| same(&k.url, &address))
        {
            strangers.push(address);
        }
    }
    if !strangers.is_empty() {
        return fail(format!(
            "no repository definition for {}. Please add the missing repos via 'helm repo add'",
            strangers.join(", ")
        ));
    }
    let remote = locked
        .iter()
        .any(|d| !d.repository.is_empty() && !d.repository.starts_with("file://"));
    if remote {
        sources.refresh(&[], env)?;
    }
    fetch(&folder, &locked, &sources, env)
}

/// The folder that a `file://` address means.
fn local_folder(chart: &Path, address: &str) -> PathBuf {
    let mut folder = PathBuf::new();
    for part in chart
        .join(address.trim_start_matches("file://"))
        .components()
    {
        match (part, folder.components().next_back()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                folder.pop();
            }
            (part, _) => folder.push(part),
        }
    }
    folder
}

/// Chooses a version for every dependency.
fn resolve(
    folder: &Path,
    wanted: &[Dependency],
    sources: &Sources,
    env: &Environment<'_>,
) -> Done<Vec<Dependency>> {
    let mut locked = Vec::new();
    let mut missing = Vec::new();
    for dependency in wanted {
        let constraint = Constraint::parse(&dependency.version).map_err(|error| {
            HelmError(format!(
                "dependency {:?} has an invalid version/constraint format: {error}",
                dependency.name
            ))
        })?;
        let address = sources.address(&dependency.repository)?;
        let accepted = |version: &str| Version::parse(version).is_ok_and(|v| constraint.check(&v));
        let found = if address.is_empty() {
            let inner = folder.join("charts").join(&dependency.name);
            if !inner.is_dir() {
                return fail(format!("directory {} not found", inner.display()));
            }
            Some(dependency.version.clone())
        } else if address.starts_with("file://") {
            let inner = local_folder(folder, &address);
            if !inner.exists() {
                return fail(format!("directory {} not found", inner.display()));
            }
            let version = view_chart(&inner)?.metadata.version;
            accepted(&version).then_some(version)
        } else if address.starts_with(registry::SCHEME) {
            let chart = registry::chart_address(&address, &dependency.name);
            // What cannot be chosen cannot be had either, and is told of then.
            let version = &dependency.version;
            let chosen = registry::choose(&sources.fetcher, env, &chart, version);
            Some(chosen.unwrap_or_else(|_| version.clone()))
        } else {
            let index = sources.index(&address)?;
            let versions = index.entries.get(&dependency.name).ok_or_else(|| {
                HelmError(format!(
                    "{} chart not found in repo {}",
                    dependency.name, address
                ))
            })?;
            versions
                .iter()
                .find(|v| !v.urls.is_empty() && accepted(&v.metadata.version))
                .map(|v| v.metadata.version.clone())
        };
        match found {
            Some(version) => locked.push(Dependency {
                name: dependency.name.clone(),
                version,
                repository: address,
                ..Dependency::default()
            }),
            None => missing.push(format!(
                "{:?} (repository {:?}, version {:?})",
                dependency.name, dependency.repository, dependency.version
            )),
        }
    }
    if missing.is_empty() {
        return Ok(locked);
    }
    fail(format!(
        "can't get a valid version for {} subchart(s): {}. Make sure a matching chart version \
         exists in the repo, or change the version constraint in Chart.yaml",
        missing.len(),
        missing.join(", ")
    ))
}

/// Has the archives of all dependencies, then puts them into `charts/` at once,
/// so that a failure leaves what is there.
fn fetch(
    folder: &Path,
    locked: &[Dependency],
    sources: &Sources,
    env: &mut Environment<'_>,
) -> Done {
    writeln!(env.out, "Saving {} charts", locked.len())?;
    let mut archives: Vec<(String, Vec<u8>)> = Vec::new();
    let mut here: Vec<&str> = Vec::new();
    for dependency in locked {
        let address = sources.address(&dependency.repository)?;
        if address.is_empty() {
            writeln!(
                env.out,
                "Dependency {} did not declare a repository. Assuming it exists in the charts \
                 directory",
                dependency.name
            )?;
            here.push(&dependency.name);
            continue;
        }
        if address.starts_with("file://") {
            let chart = view_chart(&local_folder(folder, &address))?;
            archives.push((archive_name(&chart), write_archive(&chart, now())?));
            continue;
        }
        writeln!(
            env.out,
            "Downloading {} from repo {address}",
            dependency.name
        )?;
        let (url, got) = if address.starts_with(registry::SCHEME) {
            let url = registry::chart_address(&address, &dependency.name);
            let got = registry::pull(&sources.fetcher, env, &url, &dependency.version);
            (url, got)
        } else {
            let index = sources.index(&address)?;
            let version = index.get(&dependency.name, &dependency.version)?;
            let url = version.url(&address).map_err(HelmError)?;
            (url, sources.fetcher.archive(&address, version))
        };
        let bytes = match got {
            Ok(bytes) => bytes,
            Err(HelmError(text)) => {
                let text = format!("could not download {url}: {text}");
                writeln!(env.out, "Save error occurred:  {text}")?;
                return fail(text);
            }
        };
        let chart = load_archive(&bytes)?;
        archives.push((archive_name(&chart), bytes));
    }
    let charts = folder.join("charts");
    for (name, bytes) in &archives {
        write_file(&charts.join(name), bytes)?;
    }
    writeln!(env.out, "Deleting outdated charts")?;
    for path in entries(&charts) {
        let name = file_name(&path);
        if path.is_dir() || !name.ends_with(".tgz") || archives.iter().any(|(n, _)| *n == name) {
            continue;
        }
        match view_chart(&path) {
            Err(error) => writeln!(
                env.out,
                "Could not load {} to verify; skipping... (Error: {error})",
                path.display()
            )?,
            Ok(chart) if here.contains(&chart.name()) => {}
            Ok(_) => std::fs::remove_file(&path)?,
        }
    }
    Ok(())
}
