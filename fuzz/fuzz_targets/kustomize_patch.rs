//! An object and a patch of any text merge or are refused, within their bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_kustomize::{MemoryFs, Options, build};

fuzz_target!(|texts: (&str, &str)| {
    let (object, patch) = texts;
    let mut fs = MemoryFs::new();
    fs.write(
        "/R/kustomization.yaml",
        "resources: [a.yaml]\npatches:\n- path: p.yaml\n- path: p.yaml\n  target: {}\n",
    );
    fs.write(
        "/R/a.yaml",
        format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec:\n{object}\n"),
    );
    fs.write("/R/p.yaml", patch.to_owned());
    if let Ok(built) = build(&fs, "/R", &Options::default()) {
        let _ = built.to_yaml();
    }
    // The same as a patch of the very object, and as JSON operations on it.
    fs.write(
        "/R/p.yaml",
        format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec:\n{patch}\n"),
    );
    if let Ok(built) = build(&fs, "/R", &Options::default()) {
        let _ = built.to_yaml();
    }
});
