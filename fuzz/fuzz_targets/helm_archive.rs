//! Any bytes, packed or not, are a chart archive or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_helm::chart::{load_archive, write_archive};

fuzz_target!(|data: &[u8]| {
    if let Ok(chart) = load_archive(data) {
        let _ = write_archive(&chart, (0, 0));
    }
});
