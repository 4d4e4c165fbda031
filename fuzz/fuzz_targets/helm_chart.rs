//! Any bytes are a Chart.yaml, or an error; what is read can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_helm::chart::{File, load_files};
use sluice_helm::package::metadata_yaml;

fuzz_target!(|data: &[u8]| {
    if let Ok(chart) = load_files(vec![File::new("Chart.yaml", data)]) {
        let text = metadata_yaml(&chart.metadata);
        let again = load_files(vec![File::new("Chart.yaml", text.as_bytes())]);
        let again = again.expect("what was written is read");
        // U+0085 does not survive the trip in Go either.
        if !text.contains('\u{85}') {
            assert_eq!(again.metadata, chart.metadata);
        }
    }
});
