//! What is read can be written, and reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(documents) = sluice_yaml::documents_from_str(text) else {
        return;
    };
    for (value, _) in documents {
        let Ok(written) = sluice_yaml::to_string(&value) else {
            continue;
        };
        let again = sluice_yaml::from_str(&written).expect("own output is valid");
        assert_eq!(again, value);
    }
});
