//! Any bytes are values or an error, and can be merged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_helm::values::{coalesce_tables, merge_tables, read_json, read_values};

fuzz_target!(|data: &[u8]| {
    let _ = read_json(data);
    if let Ok(values) = read_values(data) {
        let merged = merge_tables(values.clone(), values.clone());
        coalesce_tables(&merged, &values, &mut Vec::new());
    }
});
