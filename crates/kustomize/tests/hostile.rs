//! Input that is made to exhaust: every build of it ends, soon, in a clear error or a bounded result.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sluice_kustomize::{MemoryFs, Options, build};

/// Far above what any of these builds takes, even unoptimised on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// What a build of `/R` says of files.
fn outcome(files: &[(&str, String)], links: &[(&str, &str)]) -> Result<String, String> {
    let mut fs = MemoryFs::new();
    fs.make_dir("/R");
    for (path, content) in files {
        fs.write(path, content.clone());
    }
    for (path, target) in links {
        fs.link(path, target);
    }
    let start = Instant::now();
    let built = build(&fs, "/R", &Options::default());
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    match built {
        Ok(build) => Ok(build.to_yaml().expect("plain text can be written")),
        Err(errors) => Err(errors.to_string()),
    }
}

fn error(files: &[(&str, String)], links: &[(&str, &str)]) -> String {
    let error = outcome(files, links).expect_err("the build is refused");
    assert!(error.len() < 100_000, "an error of {} bytes", error.len());
    error
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

fn kustomization(text: &str) -> (&'static str, String) {
    ("/R/kustomization.yaml", text.to_owned())
}

/// Nine levels of nine aliases each: 10^9 scalars when expanded.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 10].join(", ");
        let _ = writeln!(text, "a{level}: &a{level} [{items}]");
    }
    text
}

#[test]
fn a_bomb_of_aliases_is_refused_in_every_place() {
    let object = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n{}",
        bomb()
    );
    let resource = [
        kustomization("resources: [a.yaml]\n"),
        ("/R/a.yaml", object.clone()),
    ];
    let patch = [
        kustomization("resources: [a.yaml]\npatches: [{path: p.yaml}]\n"),
        (
            "/R/a.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n".to_owned(),
        ),
        ("/R/p.yaml", object),
    ];
    let own = [kustomization(&bomb())];
    for files in [&resource[..], &patch[..], &own[..]] {
        error(files, &[]);
    }
}

#[test]
fn nesting_of_a_hundred_thousand_is_refused_in_every_place() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let object = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, x: {deep}}}\n");
    let resource = [
        kustomization("resources: [a.yaml]\n"),
        ("/R/a.yaml", object.clone()),
    ];
    let patch = [
        kustomization("resources: [a.yaml]\npatches: [{path: p.yaml}]\n"),
        (
            "/R/a.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n".to_owned(),
        ),
        ("/R/p.yaml", object),
    ];
    let own = [kustomization(&format!("resources: {deep}\n"))];
    for files in [&resource[..], &patch[..], &own[..]] {
        error(files, &[]);
    }
}

#[test]
fn nesting_inside_of_texts_is_refused_too() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let patch = [
        kustomization(
            "resources: [a.yaml]\npatches: [{path: p.json, target: {kind: ConfigMap}}]\n",
        ),
        ("/R/a.yaml", config_map("a")),
        (
            "/R/p.json",
            format!(r#"[{{"op": "add", "path": "/x", "value": {deep}}}]"#),
        ),
    ];
    error(&patch, &[]);
    let inside = [
        kustomization(
            "resources: [a.yaml]\nreplacements:\n- sourceValue: x\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.k.0.0]}]\n",
        ),
        (
            "/R/a.yaml",
            format!("{}data: {{k: '{deep}'}}\n", config_map("a")),
        ),
    ];
    error(&inside, &[]);
}

#[test]
fn an_anchor_that_holds_itself_is_refused() {
    let files = [
        kustomization("resources: [a.yaml]\n"),
        (
            "/R/a.yaml",
            format!("{}data: {{k: &a [1, *a]}}\n", config_map("a")),
        ),
    ];
    let error = error(&files, &[]);
    assert!(error.contains("value contains itself"), "{error}");
}

#[test]
fn layers_in_a_circle_are_a_cycle() {
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n";
    let circles = [
        [
            kustomization("resources: [../S]\n"),
            ("/S/kustomization.yaml", "resources: [../R]\n".to_owned()),
        ],
        [
            kustomization("components: [../S]\n"),
            (
                "/S/kustomization.yaml",
                format!("{component}components: [../R]\n"),
            ),
        ],
        [
            kustomization("resources: [.]\n"),
            ("/S/kustomization.yaml", String::new()),
        ],
        [
            kustomization("transformers: [../S]\n"),
            ("/S/kustomization.yaml", "transformers: [../R]\n".to_owned()),
        ],
    ];
    for files in &circles {
        let error = error(files, &[]);
        assert!(error.contains("cycle"), "{error}");
    }
}

#[test]
fn a_chain_of_a_thousand_layers_is_refused() {
    let mut fs = MemoryFs::new();
    for layer in 0..1000 {
        fs.write(
            &format!("/L{layer}/kustomization.yaml"),
            format!("resources: [../L{}]\n", layer + 1),
        );
    }
    fs.write("/L1000/kustomization.yaml", "resources: [a.yaml]\n");
    fs.write("/L1000/a.yaml", config_map("a"));
    let start = Instant::now();
    let errors = build(&fs, "/L0", &Options::default()).expect_err("too deep");
    assert!(start.elapsed() < SOON);
    assert!(errors.to_string().contains("nested deeper"), "{errors}");
}

#[test]
fn doubling_is_stopped() {
    let copies: Vec<String> = (0..60)
        .map(|n| format!(r#"{{"op": "copy", "from": "/data", "path": "/data/k{n}"}}"#))
        .collect();
    let by_patch = [
        kustomization(
            "resources: [a.yaml]\npatches: [{path: p.json, target: {kind: ConfigMap}}]\n",
        ),
        ("/R/a.yaml", format!("{}data: {{k: v}}\n", config_map("a"))),
        ("/R/p.json", format!("[{}]", copies.join(","))),
    ];
    let mut steps = String::from("resources: [a.yaml]\nreplacements:\n");
    for n in 0..60 {
        let _ = writeln!(
            steps,
            "- source: {{kind: ConfigMap, fieldPath: data}}\n  targets: [{{select: {{kind: ConfigMap}}, fieldPaths: [data.k{n}], options: {{create: true}}}}]"
        );
    }
    let by_replacement = [
        kustomization(&steps),
        ("/R/a.yaml", format!("{}data: {{k: v}}\n", config_map("a"))),
    ];
    for files in [&by_patch[..], &by_replacement[..]] {
        let error = error(files, &[]);
        assert!(error.contains("would write more than"), "{error}");
    }
}

#[test]
fn large_values_in_many_places_are_stopped() {
    let big = "x".repeat(3 << 20);
    let many: String = (0..400).fold(String::new(), |mut all, n| {
        let _ = write!(all, "---\n{}", config_map(&format!("c{n}")));
        all
    });
    let label = [
        kustomization(&format!(
            "resources: [a.yaml]\ncommonAnnotations: {{a: {big}}}\n"
        )),
        ("/R/a.yaml", many.clone()),
    ];
    let variable = [
        kustomization(
            "resources: [a.yaml]\nvars: [{name: V, objref: {apiVersion: v1, kind: ConfigMap, name: a}, fieldref: {fieldpath: data.k}}]\n",
        ),
        (
            "/R/a.yaml",
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: {{x: \"{}\"}}\ndata: {{k: {big}}}\n",
                "$(V)".repeat(1000)
            ),
        ),
    ];
    for files in [&label[..], &variable[..]] {
        let error = error(files, &[]);
        assert!(error.contains("would write more than"), "{error}");
    }
    let prefix = [
        kustomization(&format!("resources: [a.yaml]\nnamePrefix: {big}\n")),
        ("/R/a.yaml", many),
    ];
    let error = error(&prefix, &[]);
    assert!(error.contains("is longer than"), "{error}");
}

#[test]
fn unended_references_take_no_square_of_time() {
    let files = [
        kustomization(
            "resources: [a.yaml]\nvars: [{name: V, objref: {apiVersion: v1, kind: ConfigMap, name: a}}]\n",
        ),
        (
            "/R/a.yaml",
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: {{x: \"{}\"}}\n",
                "$(".repeat(1 << 20)
            ),
        ),
    ];
    outcome(&files, &[]).expect("it is only text");
}

#[test]
fn large_patterns_are_bounded_in_every_place() {
    // Each repetition multiplies what is inside.
    let bomb = format!("{}x{}", "(".repeat(12), "{1,9})".repeat(12));
    let long = "(a|b)*c".repeat(20_000);
    for pattern in [&bomb, &long] {
        let places = [
            format!(
                "patches: [{{target: {{name: \"{pattern}\"}}, patch: '[{{\"op\": \"remove\", \"path\": \"/x\"}}]'}}]\n"
            ),
            format!("images: [{{name: \"{pattern}\", newTag: x}}]\n"),
            format!(
                "replacements: [{{sourceValue: x, targets: [{{select: {{name: \"{pattern}\"}}}}]}}]\n"
            ),
            format!(
                "replacements: [{{sourceValue: x, targets: [{{select: {{kind: Pod}}, fieldPaths: [\"spec.containers.[name={pattern}].image\"]}}]}}]\n"
            ),
        ];
        for place in places {
            let files = [
                kustomization(&format!("resources: [a.yaml]\n{place}")),
                (
                    "/R/a.yaml",
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\nspec: {containers: [{name: aaaaaaaaaaaaaaaaaaaaaaaa, image: aaaaaaaaaaaaaaaaaaaaaaaaaa}]}\n".to_owned(),
                ),
            ];
            if let Err(error) = outcome(&files, &[]) {
                assert!(error.len() < 5_000_000, "{} bytes", error.len());
            }
        }
    }
}

#[test]
fn repeated_keys_are_told_a_hundred_times_at_most() {
    let mut text = format!("{}data:\n", config_map("a"));
    for _ in 0..100_000 {
        text.push_str("  k: v\n");
    }
    let files = [kustomization("resources: [a.yaml]\n"), ("/R/a.yaml", text)];
    let error = error(&files, &[]);
    assert!(error.contains("already defined"), "{error}");
}

#[test]
fn long_irregular_lists_are_refused() {
    let ports = "{port: 1}, ".repeat(100_000);
    let files = [
        kustomization("resources: [a.yaml]\npatches: [{path: p.yaml}]\n"),
        (
            "/R/a.yaml",
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{ports}]}}\n"
            ),
        ),
        (
            "/R/p.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {x: y}\n".to_owned(),
        ),
    ];
    let error = error(&files, &[]);
    assert!(error.contains("too long to merge"), "{error}");
}

#[test]
fn a_link_out_of_the_root_is_not_followed() {
    let files = [
        kustomization("resources: [a.yaml]\n"),
        (
            "/secret/a.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: stolen}}\n".to_owned(),
        ),
    ];
    let error = error(&files, &[("/R/a.yaml", "/secret/a.yaml")]);
    assert!(error.contains("is not in or below"), "{error}");
    assert!(!error.contains("stolen"), "{error}");
}

#[test]
fn links_out_of_the_root_are_refused_wherever_a_file_is_named() {
    let secret = ("/secret/f", "stolen: stolen\n".to_owned());
    let resource = ("/R/a.yaml", config_map("a"));
    for text in [
        "configMapGenerator: [{name: g, files: [f]}]",
        "configMapGenerator: [{name: g, envs: [f]}]",
        "secretGenerator: [{name: g, files: [k=f]}]",
        "resources: [a.yaml]\npatches: [{path: f}]",
        "resources: [a.yaml]\npatchesStrategicMerge: [f]",
        "resources: [a.yaml]\npatchesJson6902: [{target: {version: v1, kind: ConfigMap, name: a}, path: f}]",
        "resources: [a.yaml]\nreplacements: [{path: f}]",
        "resources: [a.yaml]\nconfigurations: [f]",
        "resources: [a.yaml]\ncrds: [f]",
        "resources: [a.yaml]\nopenapi: {path: f}",
        "resources: [a.yaml]\ntransformers: [f]",
    ] {
        let files = [kustomization(text), resource.clone(), secret.clone()];
        let error = error(&files, &[("/R/f", "/secret/f")]);
        assert!(error.contains("is not in or below"), "{text}: {error}");
        assert!(!error.contains("stolen"), "{text}: {error}");
    }
}

#[test]
fn links_in_a_circle_are_an_error() {
    let files = [kustomization("resources: [a.yaml]\n")];
    error(&files, &[("/R/a.yaml", "b.yaml"), ("/R/b.yaml", "a.yaml")]);
}

#[test]
fn fifty_megabytes_end_soon() {
    let text = "x".repeat(50 << 20);
    let files = [
        kustomization("resources: [a.yaml]\n"),
        ("/R/a.yaml", text.clone()),
    ];
    error(&files, &[]);
    let own = [kustomization(&text)];
    error(&own, &[]);
}
