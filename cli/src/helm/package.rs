//! `helm package`.

use std::path::{Path, PathBuf};

use clap::Args;
use sluice_helm::chart::write_archive;
use sluice_helm::disk::{load_folder, write_file};
use sluice_helm::package::{archive_name, check_schemas};
use sluice_helm::provenance;
use sluice_helm::template::check_dependencies;
use sluice_version::Version;

use super::options::DownloadOptions;
use super::verify::KeyringOptions;
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
    /// Write a provenance file beside the archive
    #[arg(long)]
    sign: bool,
    /// Whose key signs: part of the user id
    #[arg(long, default_value = "", hide_default_value = true)]
    key: String,
    /// File with the passphrase of the key, `-` for standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    keyring: KeyringOptions,
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
        if self.sign && self.key.is_empty() {
            return fail("--key is required for signing a package");
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
                // What it tells is not shown.
                let mut silent = Environment {
                    out: &mut std::io::sink(),
                    err: &mut *env.err,
                    helm: env.helm,
                    global: env.global,
                };
                super::dependency::update(&path.to_string_lossy(), &self.download, &mut silent)?;
            }
            self.package(&path, env)?;
        }
        Ok(())
    }

    fn package(&self, path: &Path, env: &mut Environment<'_>) -> Done {
        let mut chart = load_folder(path)?;
        if let Some(version) = &self.version {
            chart.metadata.version.clone_from(version);
        }
        Version::parse(&chart.metadata.version)?;
        if let Some(version) = &self.app_version {
            chart.metadata.app_version.clone_from(version);
        }
        check_dependencies(&chart).map_err(HelmError)?;
        check_schemas(&chart).map_err(|e| HelmError(format!("failed to save: {e}")))?;
        let destination = match self.destination.as_path() {
            here if here == Path::new(".") => std::env::current_dir()?,
            other => other.to_owned(),
        };
        let archive = destination.join(archive_name(&chart));
        let bytes = write_archive(&chart, now())?;
        write_file(&archive, &bytes)?;
        if self.sign {
            let (seconds, _) = now();
            let text = provenance::sign(
                &chart.metadata,
                &archive_name(&chart),
                &bytes,
                &self.keyring.read()?,
                &self.key,
                &self.passphrase()?,
                u64::try_from(seconds).unwrap_or(0),
            )?;
            let beside = PathBuf::from(format!("{}.prov", archive.display()));
            write_file(&beside, text.as_bytes())?;
        }
        writeln!(
            env.out,
            "Successfully packaged chart and saved it to: {}",
            archive.display()
        )?;
        Ok(())
    }

    fn passphrase(&self) -> Done<String> {
        let text = match &self.passphrase_file {
            None => String::new(),
            Some(path) if path == Path::new("-") => {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line)?;
                line
            }
            Some(path) => std::fs::read_to_string(path)?,
        };
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}
