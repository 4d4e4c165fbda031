//! Renders a chart from disk and prints it, as `helm template rel CHART` does.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use sluice_helm::disk::load_chart;
use sluice_helm::template::{Hooks, Missing, TemplateOptions, template};
use sluice_helm::values::Table;
use sluice_helm::{
    Action, Capabilities, Crds, Limits, NoCluster, Notes, ReleaseInfo, Schemas, World,
    on_deep_stack,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    on_deep_stack(Limits::default().depth, || run().map_err(|e| e.to_string()))??;
    Ok(())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("the path of a chart")?;
    let chart = load_chart(Path::new(&path))?;
    let options = TemplateOptions {
        release: ReleaseInfo {
            name: "rel".to_owned(),
            namespace: "default".to_owned(),
            revision: 1,
            action: Action::Install,
        },
        capabilities: Capabilities::default(),
        schemas: Schemas::Check,
        notes: Notes::Own,
        limits: Limits::default(),
        missing: Missing::Refuse,
    };
    let world = World {
        now: (1_700_000_000, 0),
        zone: String::new(),
        entropy: Box::new(|buffer| buffer.fill(7)),
        lookup: Arc::new(NoCluster),
        deadline: None,
        resolver: None,
    };
    let templated = template(chart, &Table::new(), &options, world)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    templated.write(Crds::Leave, Hooks::All, |piece| {
        if written.is_ok() {
            written = out.write_all(piece.as_bytes());
        }
    });
    written?;
    Ok(out.flush()?)
}
