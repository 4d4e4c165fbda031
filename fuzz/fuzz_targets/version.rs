//! Any text is a constraint or an error, and can be checked against any version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_version::{Constraint, Version};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (constraint, version) = text.split_once('\n').unwrap_or((text, "1.2.3-rc.1+b"));
    if let (Ok(constraint), Ok(version)) = (Constraint::parse(constraint), Version::parse(version)) {
        constraint.check(&version);
    }
});
