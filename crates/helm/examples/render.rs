//! Renders a chart from disk and prints it, as `helm template rel CHART` does.

use std::io::Write as _;
use std::path::Path;

use sluice_helm::disk::load_chart;
use sluice_helm::template::{Hooks, TemplateOptions, template};
use sluice_helm::values::Table;
use sluice_helm::{Crds, Limits, World, on_deep_stack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    on_deep_stack(Limits::default().depth, || run().map_err(|e| e.to_string()))??;
    Ok(())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("the path of a chart")?;
    let chart = load_chart(Path::new(&path))?;
    let options = TemplateOptions::install("rel", "default");
    let world = World::offline((1_700_000_000, 0), Box::new(|buffer| buffer.fill(7)));
    let templated = template(chart, &Table::new(), &options, world)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    templated.write(Crds::Leave, Hooks::All, |piece| {
        out.write_all(piece.as_bytes())
    })?;
    Ok(out.flush()?)
}
