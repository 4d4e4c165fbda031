//! `helm show`.

use clap::{Args, Subcommand};
use sluice_helm::chart::{ApiVersions, Chart};
use sluice_helm::jsonpath::json_path;
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
    Values(ValuesArgs),
}

/// Which chart's values are shown, and which of them.
#[derive(Debug, Clone, Args)]
pub(crate) struct ValuesArgs {
    #[command(flatten)]
    show: ShowArgs,
    /// Only print what this JSONPath template asks for
    #[arg(long, value_name = "TEMPLATE")]
    jsonpath: Option<String>,
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

impl ShowArgs {
    fn chart(&self, env: &mut Environment<'_>) -> Done<Chart> {
        self.chart.locate(&self.reference, ApiVersions::Any, env)
    }
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
            Show::Values(args) => match &args.jsonpath {
                None => (Part::Values, &args.show),
                Some(template) => {
                    let chart = args.show.chart(env)?;
                    let text = json_path(template, &chart.values)?;
                    return Ok(env.out.write_all(text.as_bytes())?);
                }
            },
        };
        let chart = args.chart(env)?;
        Ok(env.out.write_all(show(&chart, part).as_bytes())?)
    }
}
