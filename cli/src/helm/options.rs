//! Options that several commands share.

use std::path::Path;

use clap::Args;
use sluice_helm::chart::{ApiVersions, Chart};
use sluice_helm::disk::{load_chart, load_chart_bytes, read_file, view_chart};
use sluice_helm::values::{
    SetKind, Table, merge_tables, read_values, set_json, set_literal, set_values, set_values_from,
};

use super::verify::{self, KeyringOptions};
use super::{Done, Environment, HelmError, fail, repositories};

/// Where values come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ValueOptions {
    /// File with values, or a URL; may be repeated
    #[arg(
        short = 'f',
        long = "values",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub(crate) values: Vec<String>,
    /// Values, numbers and booleans among them, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Values that are texts, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set_string: Vec<String>,
    /// Values that are the content of files, as KEY=PATH
    #[arg(long, value_name = "KEY=PATH")]
    pub(crate) set_file: Vec<String>,
    /// Values in JSON, as KEY=JSON or one object
    #[arg(long, value_name = "KEY=JSON")]
    pub(crate) set_json: Vec<String>,
    /// A value that is taken as it stands, as KEY=TEXT
    #[arg(long, value_name = "KEY=TEXT")]
    pub(crate) set_literal: Vec<String>,
}

impl ValueOptions {
    /// Merges all values that the user gave, in Helm's order.
    ///
    /// # Errors
    /// Helm's text for the first one that is wrong.
    pub(crate) fn merge(&self) -> Done<Table> {
        let mut base = Table::new();
        for path in &self.values {
            let bytes = read_input(path)?;
            let table = read_values(&bytes)
                .map_err(|problem| HelmError(format!("failed to parse {path}: {problem}")))?;
            base = merge_tables(base, table);
        }
        let failed = |option: &str, error: String| {
            HelmError(format!("failed parsing {option} data: {error}"))
        };
        for argument in &self.set_json {
            set_json(argument, &mut base)?;
        }
        for line in &self.set {
            set_values(line, SetKind::Typed, &mut base)
                .map_err(|e| failed("--set", e.to_string()))?;
        }
        for line in &self.set_string {
            set_values(line, SetKind::Text, &mut base)
                .map_err(|e| failed("--set-string", e.to_string()))?;
        }
        for line in &self.set_file {
            let mut read = |path: &str| {
                read_input(path)
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    .map_err(|HelmError(text)| text)
            };
            set_values_from(line, &mut read, &mut base)
                .map_err(|e| failed("--set-file", e.to_string()))?;
        }
        for argument in &self.set_literal {
            set_literal(argument, &mut base).map_err(|e| failed("--set-literal", e.to_string()))?;
        }
        Ok(base)
    }
}

/// Reads a file, a URL, or standard input for `-`.
fn read_input(path: &str) -> Done<Vec<u8>> {
    if path.trim() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
        return Ok(bytes);
    }
    if path.starts_with("http://") || path.starts_with("https://") {
        return repositories::Fetcher::new(&DownloadOptions::default())?.get(path);
    }
    Ok(read_file(Path::new(path))?)
}

/// How charts are downloaded.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DownloadOptions {
    /// Bundle of certificate authorities to trust
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<std::path::PathBuf>,
    /// Certificate to show to the server
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_file: Option<std::path::PathBuf>,
    /// Key of that certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<std::path::PathBuf>,
    /// User name for the repository
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// Password for the repository
    #[arg(long)]
    pub(crate) password: Option<String>,
    /// Send user name and password to other hosts as well
    #[arg(long)]
    pub(crate) pass_credentials: bool,
    /// Speak to registries without TLS
    #[arg(long)]
    pub(crate) plain_http: bool,
}

/// Which chart is meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ChartOptions {
    /// Version of the chart, or a constraint [default: the latest release]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) version: String,
    /// Take pre-releases as well
    #[arg(long)]
    pub(crate) devel: bool,
    /// Address of the repository that has the chart
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) repo: String,
    /// Check who vouches for the archive before it is used
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    keyring: KeyringOptions,
    #[command(flatten)]
    pub(crate) download: DownloadOptions,
}

impl ChartOptions {
    fn wanted(&self) -> &str {
        if self.version.is_empty() && self.devel {
            ">0.0.0-0"
        } else {
            &self.version
        }
    }

    /// Finds a chart on disk or fetches it.
    ///
    /// # Errors
    /// Helm's text for what is wrong.
    pub(crate) fn locate(
        &self,
        reference: &str,
        versions: ApiVersions,
        env: &mut Environment<'_>,
    ) -> Done<Chart> {
        let reference = reference.trim();
        let path = Path::new(reference);
        if self.repo.is_empty() && path.exists() {
            if self.verify {
                verify::check(path, &self.keyring)?;
            }
            let path = std::path::absolute(path)?;
            return Ok(match versions {
                ApiVersions::Known => load_chart(&path)?,
                ApiVersions::Any => view_chart(&path)?,
            });
        }
        if reference.starts_with(['/', '.']) && self.repo.is_empty() {
            return fail(format!("path {reference:?} not found"));
        }
        if self.verify {
            return fail(
                "only archives on disk can be verified; have the chart and its .prov first",
            );
        }
        let fetcher = repositories::Fetcher::new(&self.download)?;
        let bytes = if !self.repo.is_empty() {
            repositories::from_repository(&fetcher, &self.repo, reference, self.wanted())?
        } else {
            repositories::from_reference(&fetcher, env, reference, self.wanted())?
        };
        Ok(load_chart_bytes(&bytes, path, versions)?)
    }
}
