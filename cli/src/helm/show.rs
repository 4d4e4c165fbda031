//! `helm show`.

use clap::{Args, Subcommand};
use sluice_helm::chart::ApiVersions;
use sluice_helm::show::{Part, show};

use super::options::ChartOptions;
use super::{Done, Environment};

/// `helm show`.
#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// Everything
    All(ShowArgs),
    /// Chart.yaml
    Chart(ShowArgs),
    /// The custom resource definitions
    Crds(ShowArgs),
    /// The README
    Readme(ShowArgs),
    /// The default values
    Values(ShowArgs),
}

/// Which chart is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// The chart
    #[arg(value_name = "CHART")]
    reference: String,
    #[command(flatten)]
    chart: ChartOptions,
}

impl Show {
    /// Prints a part of the chart.
    ///
    /// # Errors
    /// Helm's text.
    pub(crate) fn run(&self, env: &mut Environment<'_>) -> Done {
        let (part, args) = match self {
            Show::All(args) => (Part::All, args),
            Show::Chart(args) => (Part::Chart, args),
            Show::Crds(args) => (Part::Crds, args),
            Show::Readme(args) => (Part::Readme, args),
            Show::Values(args) => (Part::Values, args),
        };
        let chart = args.chart.locate(&args.reference, ApiVersions::Any, env)?;
        Ok(env.out.write_all(show(&chart, part).as_bytes())?)
    }
}
