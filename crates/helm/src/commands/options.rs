//! Options that several commands share.

use clap::Args;

use super::CommandError;
use crate::disk::read_file;
use crate::values::{
    SetKind, Table, merge_tables, read_values, set_json, set_literal, set_values, set_values_from,
};

/// Where values come from.
#[derive(Debug, Clone, Default, Args)]
pub struct ValueOptions {
    /// Specify values in a YAML file or a URL (can specify multiple).
    #[arg(
        short = 'f',
        long = "values",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub values: Vec<String>,
    /// Set values on the command line.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Set STRING values on the command line.
    #[arg(long = "set-string", value_name = "KEY=VALUE")]
    pub set_string: Vec<String>,
    /// Set values from files.
    #[arg(long = "set-file", value_name = "KEY=PATH")]
    pub set_file: Vec<String>,
    /// Set JSON values on the command line.
    #[arg(long = "set-json", value_name = "KEY=JSON")]
    pub set_json: Vec<String>,
    /// Set a literal STRING value on the command line.
    #[arg(long = "set-literal", value_name = "KEY=TEXT")]
    pub set_literal: Vec<String>,
}

impl ValueOptions {
    /// Merges all values that the user gave, in Helm's order.
    ///
    /// # Errors
    /// Helm's text for the first one that is wrong.
    pub fn merge(&self) -> Result<Table, CommandError> {
        let mut base = Table::new();
        for path in &self.values {
            let bytes = read_input(path)?;
            let table = read_values(&bytes)
                .map_err(|problem| CommandError(format!("failed to parse {path}: {problem}")))?;
            base = merge_tables(base, table);
        }
        let failed = |option: &str, error: String| {
            CommandError(format!("failed parsing {option} data: {error}"))
        };
        for argument in &self.set_json {
            set_json(argument, &mut base).map_err(|e| CommandError(e.to_string()))?;
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
                    .map_err(|e| e.to_string())
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

/// Reads a file, or standard input for `-`.
fn read_input(path: &str) -> Result<Vec<u8>, CommandError> {
    if path.trim() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
        return Ok(bytes);
    }
    Ok(read_file(std::path::Path::new(path))?)
}

/// Where a chart comes from and how its release is called.
#[derive(Debug, Clone, Default, Args)]
pub struct InstallOptions {
    /// The name of the release and the chart, or the chart alone.
    #[arg(value_name = "NAME CHART", num_args = 1..=2, required = true)]
    pub names: Vec<String>,
    /// Namespace scope for this request.
    #[arg(short = 'n', long, default_value = "default")]
    pub namespace: String,
    /// Generate the name (and omit the NAME parameter).
    #[arg(short = 'g', long)]
    pub generate_name: bool,
    /// Specify a template used to name the release.
    #[arg(long, default_value = "")]
    pub name_template: String,
    /// Specify a version constraint for the chart version to use.
    #[arg(long, default_value = "")]
    pub version: String,
    /// Chart repository URL where to locate the requested chart.
    #[arg(long, default_value = "")]
    pub repo: String,
    /// Where values come from.
    #[command(flatten)]
    pub values: ValueOptions,
}
