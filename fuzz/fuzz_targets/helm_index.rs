//! Any bytes are an index, or an error; what is read can be written and asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_helm::index::Index;

fuzz_target!(|data: &[u8]| {
    if let Ok(index) = Index::parse(data, &mut Vec::new()) {
        for name in index.entries.keys() {
            if let Ok(version) = index.get(name, "") {
                let _ = version.url("https://example.com/charts");
            }
        }
        let _ = index.to_yaml();
    }
});
