//! Any template of a chart renders or is refused, within small limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_helm::chart::{File, load_files};
use sluice_helm::values::Table;
use sluice_helm::{Action, Capabilities, ReleaseInfo, RenderOptions, World, render};

fuzz_target!(|data: &[u8]| {
    let files = vec![
        File::new("Chart.yaml", &b"apiVersion: v2\nname: c\nversion: 0.1.0\n"[..]),
        File::new("values.yaml", &b"a: 1\nb: {c: x, d: [1, y]}\ns: text\n"[..]),
        File::new("templates/a.yaml", data),
    ];
    let Ok(chart) = load_files(files) else {
        return;
    };
    let release = ReleaseInfo {
        name: "r".to_owned(),
        namespace: "n".to_owned(),
        revision: 1,
        action: Action::Install,
    };
    let world = World::offline((1_700_000_000, 0), Box::new(|buffer| buffer.fill(7)));
    let mut options = RenderOptions::default();
    options.limits.steps = 20_000;
    options.limits.bytes = 1 << 20;
    options.limits.depth = 60;
    if let Err(error) = render(
        &chart,
        &Table::new(),
        &release,
        &Capabilities::default(),
        world,
        &options,
    ) {
        assert!(!error.to_string().is_empty());
    }
});
