//! A kustomization file of any text builds or is refused, within its bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_kustomize::{Kustomization, MemoryFs, Options, build};

const OBJECTS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: 'nginx:1', envFrom: [{configMapRef: {name: conf}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, annotations: {n: $(V)}}
data: {k: v, j: '{\"a\": [1, {\"b\": null}]}'}
";

fuzz_target!(|text: &str| {
    let mut fs = MemoryFs::new();
    fs.write("/R/kustomization.yaml", text.to_owned());
    fs.write("/R/a.yaml", OBJECTS);
    fs.write("/R/b/kustomization.yaml", "resources: [a.yaml]\n");
    fs.write("/R/b/a.yaml", OBJECTS);
    fs.write("/R/p.yaml", "- {op: add, path: /data/x, value: 1}\n");
    fs.write("/R/e.env", "A=1\nB=2\n");
    let options = Options::default();
    if let Ok(built) = build(&fs, "/R", &options) {
        // What was built can be written, and read again.
        if let Ok(yaml) = built.to_yaml() {
            let again = sluice_yaml::documents_from_str(&yaml).expect("our own YAML can be read");
            assert_eq!(again.len(), built.resources.len());
        }
    }
    if let Ok(parsed) = Kustomization::parse(text, &options.limits) {
        if let Ok(written) = parsed.kustomization.to_yaml() {
            let _ = Kustomization::parse(&written, &options.limits);
        }
    }
});
