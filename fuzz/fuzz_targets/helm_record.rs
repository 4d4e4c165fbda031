//! Any bytes are the text of a release record, or an error; what is read is
//! written to the same record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_helm::release::{decode_json, encode_json};

fuzz_target!(|data: &[u8]| {
    if let Ok(release) = decode_json(data) {
        let text = encode_json(&release);
        let again = decode_json(text.as_bytes()).expect("what was written is read");
        assert_eq!(encode_json(&again), text);
    }
});
