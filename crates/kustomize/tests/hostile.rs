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
fn bases_in_a_circle_are_a_cycle() {
    let files = [
        kustomization("resources: [../S]\n"),
        ("/S/kustomization.yaml", "resources: [../R]\n".to_owned()),
    ];
    let error = error(&files, &[]);
    assert!(error.contains("cycle"), "{error}");
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
