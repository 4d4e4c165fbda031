//! No archive leaves its folder, exceeds its limits or panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = sluice_artifact::unpack(data, &sluice_artifact::Limits::default());
});
