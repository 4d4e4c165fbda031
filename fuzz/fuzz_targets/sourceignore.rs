//! Any ignore file is a set of rules, and any path can be asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_artifact::sourceignore::{Kind, Rules};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (rules, path) = text.split_once('\0').unwrap_or((text, "deploy/app/a.yaml"));
    let rules = Rules::from_user([(Vec::new(), rules)], None);
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if !path.is_empty() {
        rules.excludes(&path, Kind::File);
    }
});
