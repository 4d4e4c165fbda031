//! A replacement along any path into any text is made or refused, within its bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sluice_kustomize::{MemoryFs, Options, build};

fuzz_target!(|input: (&str, &str, &str, bool, i32)| {
    let (path, value, delimiter, create, index) = input;
    let options = json!({"create": create, "delimiter": delimiter, "index": index});
    let kustomization = json!({
        "resources": ["a.yaml"],
        "replacements": [
            {
                "source": {"kind": "ConfigMap", "fieldPath": path, "options": options},
                "targets": [{"select": {"kind": "Pod"}, "fieldPaths": ["metadata.annotations.x"], "options": {"create": true}}],
            },
            {
                "sourceValue": value,
                "targets": [{"select": {"name": ".*"}, "fieldPaths": [path], "options": options}],
            },
        ],
    });
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "conf"},
        "data": {"json": "{\"a\": [{\"b\": \"c\"}, 1]}", "yaml": "a:\n- b: c # d\n", "text": value},
        "list": [{"name": "x", "value": [1, 2]}, {"name": "y"}],
    });
    let mut fs = MemoryFs::new();
    fs.write("/R/kustomization.yaml", kustomization.to_string());
    fs.write("/R/a.yaml", object.to_string());
    // Each half alone as well, for the first error ends a build.
    if let Ok(built) = build(&fs, "/R", &Options::default()) {
        let _ = built.to_yaml();
    }
    let mut half = kustomization;
    if let Some(list) = half["replacements"].as_array_mut() {
        list.remove(0);
    }
    fs.write("/R/kustomization.yaml", half.to_string());
    if let Ok(built) = build(&fs, "/R", &Options::default()) {
        let _ = built.to_yaml();
    }
});
