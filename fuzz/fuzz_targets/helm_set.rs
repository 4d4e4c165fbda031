//! Any text is an argument of `--set` and its kin, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_helm::values::{SetKind, Table, set_json, set_literal, set_values};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut table = Table::new();
    for line in text.lines() {
        let _ = set_values(line, SetKind::Typed, &mut table);
        let _ = set_values(line, SetKind::Text, &mut table);
        let _ = set_json(line, &mut table);
        let _ = set_literal(line, &mut table);
    }
});
