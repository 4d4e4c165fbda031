//! `helm package`.

use std::path::{Path, PathBuf};

use clap::Args;
use sluice_helm::chart::write_archive;
use sluice_helm::disk::{load_chart, write_file};
use sluice_helm::package::archive_name;
use sluice_helm::template::check_dependencies;
use sluice_version::Version;

use super::options::DownloadOptions;
use super::{Done, Environment, HelmError, fail, now};

/// Arguments of `helm package`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PackageArgs {
    /// Folders of charts
    #[arg(value_name = "CHART_PATH")]
    paths: Vec<PathBuf>,
    /// Write this appVersion
    #[arg(long)]
    app_version: Option<String>,
    /// Write this version
    #[arg(long)]
    version: Option<String>,
    /// Folder for the archives
    #[arg(short = 'd', long, default_value = ".")]
    destination: PathBuf,
    /// Download dependencies first
    #[arg(short = 'u', long)]
    dependency_update: bool,
    #[command(flatten)]
    download: DownloadOptions,
}

impl PackageArgs {
    /// Packs every chart.
    ///
    /// # Errors
    /// Helm's text.
    pub(crate) fn run(&self, env: &mut Environment<'_>) -> Done {
        if self.paths.is_empty() {
            return fail("need at least one argument, the path to the chart");
        }
        for path in &self.paths {
            let path = std::path::absolute(path)?;
            if std::fs::metadata(&path).is_err() {
                return fail(format!(
                    "stat {}: no such file or directory",
                    self.paths[0].display()
                ));
            }
            if self.dependency_update {
                super::dependency::update(&path.to_string_lossy(), &self.download, env)?;
            }
            self.package(&path, env)?;
        }
        Ok(())
    }

    fn package(&self, path: &Path, env: &mut Environment<'_>) -> Done {
        let mut chart = load_chart(path)?;
        if let Some(version) = &self.version {
            chart.metadata.version.clone_from(version);
        }
        Version::parse(&chart.metadata.version)?;
        if let Some(version) = &self.app_version {
            chart.metadata.app_version.clone_from(version);
        }
        check_dependencies(&chart).map_err(HelmError)?;
        let destination = match self.destination.as_path() {
            here if here == Path::new(".") => std::env::current_dir()?,
            other => other.to_owned(),
        };
        let archive = destination.join(archive_name(&chart));
        write_file(&archive, &write_archive(&chart, now())?)?;
        writeln!(
            env.out,
            "Successfully packaged chart and saved it to: {}",
            archive.display()
        )?;
        Ok(())
    }
}
