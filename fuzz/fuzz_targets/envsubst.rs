//! Substitution ends and stays within its bound.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let lookup = |name: &str| (name.len() % 2 == 0).then_some("abcABC");
        for undefined in [sluice_envsubst::Undefined::Empty, sluice_envsubst::Undefined::Refuse] {
            let _ = sluice_envsubst::substitute(text, lookup, undefined, &sluice_envsubst::Limits::default());
        }
    }
});
