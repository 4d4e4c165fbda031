//! Every golden case, built in memory.

mod cases;

use std::fmt::Write as _;

use cases::{Case, Content};
use sluice_kustomize::{LoadRestrictions, MemoryFs, Options, Reorder, build};

fn files(case: &Case) -> MemoryFs {
    let mut fs = MemoryFs::new();
    fs.make_dir("/R");
    for file in &case.files {
        let path = format!("/R/{}", file.path);
        match &file.content {
            Content::Bytes(bytes) => fs.write(&path, bytes.clone()),
            Content::Link(target) => fs.link(&path, target),
            Content::Directory => fs.make_dir(&path),
        }
    }
    fs
}

fn options(case: &Case) -> Options<'static> {
    let mut options = Options::default();
    let mut args = case.args.iter();
    while let Some(arg) = args.next() {
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) => (flag, value.to_owned()),
            None => (arg.as_str(), String::new()),
        };
        let mut value = || match value.as_str() {
            "" => args.next().cloned().unwrap_or_default(),
            value => value.to_owned(),
        };
        match flag {
            "--load-restrictor" if value() == "LoadRestrictionsNone" => {
                options.load_restrictions = LoadRestrictions::None;
            }
            "--reorder" if value() == "none" => options.reorder = Reorder::None,
            "--enable-managedby-label" => options.managed_by_label = true,
            _ => {}
        }
    }
    options
}

/// What we make of a case, in the form in which outcomes are stored.
fn outcome(case: &Case) -> (Result<String, String>, String) {
    let built = build(&files(case), &format!("/R/{}", case.target), &options(case));
    match built {
        Ok(build) => {
            let warnings = build.warnings.iter().fold(String::new(), |mut all, line| {
                let _ = writeln!(all, "{line}");
                all
            });
            match build.to_yaml() {
                Ok(text) => (Ok(text), warnings),
                Err(errors) => (Err(format!("{}\n", errors.errors[0].message)), warnings),
            }
        }
        Err(errors) => (
            Err(format!("{}\n", errors.errors[0].message.trim_end())),
            String::new(),
        ),
    }
}

fn check(name: &str, text: &str) {
    let mut wrong = String::new();
    let cases = cases::parse(text);
    let mut failed = 0;
    for case in &cases {
        let (got, warnings) = outcome(case);
        let want = match (&case.ours, &case.out, &case.err) {
            // What departs may be printed or reported.
            (Some(ours), _, _) if got.is_ok() => Ok(ours.clone()),
            (Some(ours), _, _) => Err(ours.clone()),
            (None, Some(out), _) => Ok(out.clone()),
            (None, None, Some(err)) => Err(err.clone()),
            (None, None, None) => Ok(String::new()),
        };
        let warned = case.err.is_some() || case.warn.clone().unwrap_or_default() == warnings;
        if got != want || !warned {
            failed += 1;
            let show = |outcome: &Result<String, String>| match outcome {
                Ok(text) => text.clone(),
                Err(text) => format!("error: {text}"),
            };
            let _ = write!(
                wrong,
                "\n=== {}\n--- want\n{}{}--- got\n{}{}",
                case.name,
                show(&want),
                case.warn.clone().unwrap_or_default(),
                show(&got),
                warnings
            );
        }
    }
    assert!(
        failed == 0,
        "{name}: {failed} of {} cases differ{wrong}",
        cases.len()
    );
}

/// Each problem of one pass, with its file.
fn problems(files: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    let mut fs = MemoryFs::new();
    for (path, content) in files {
        fs.write(path, (*content).to_owned());
    }
    let errors = build(&fs, "/R", &Options::default()).expect_err("it fails");
    let problem = |error: &sluice_kustomize::Error| (error.message.clone(), error.file.clone());
    errors.errors.iter().map(problem).collect()
}

#[test]
fn every_broken_resource_is_told_at_once() {
    let told = problems(&[
        (
            "/R/kustomization.yaml",
            "resources: [a.yaml, b.yaml, nope.yaml, c.yaml]\n",
        ),
        ("/R/a.yaml", "a: b: c\n"),
        ("/R/b.yaml", "kind: X\n"),
        (
            "/R/c.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine}\n",
        ),
    ]);
    let contains = |at: usize, text: &str| {
        assert!(told[at].0.contains(text), "{told:?}");
    };
    assert_eq!(told.len(), 3, "{told:?}");
    contains(0, "mapping values are not allowed");
    contains(1, "missing metadata.name");
    contains(2, "nope.yaml: no such file");
    assert_eq!(told[0].1.as_deref(), Some("/R/a.yaml"));
    assert_eq!(told[1].1.as_deref(), Some("/R/b.yaml"));
}

#[test]
fn every_broken_patch_and_generator_is_told_at_once() {
    let generators = problems(&[(
        "/R/kustomization.yaml",
        "configMapGenerator:\n- {name: a, files: [x]}\n- {name: b, literals: [nothing]}\nsecretGenerator:\n- {name: c, envs: [z]}\n",
    )]);
    assert_eq!(generators.len(), 3, "{generators:?}");
    let patches = problems(&[
        (
            "/R/kustomization.yaml",
            "resources: [a.yaml]\npatches:\n- {path: x}\n- {patch: nothing}\nimages: [{name: '('}]\n",
        ),
        (
            "/R/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        ),
    ]);
    assert_eq!(patches.len(), 3, "{patches:?}");
    assert!(patches[2].0.contains("missing closing )"), "{patches:?}");
    for (_, file) in generators.iter().chain(&patches) {
        assert_eq!(file.as_deref(), Some("/R/kustomization.yaml"));
    }
}

/// kustomize's hash has the lines and columns of its tree in it: see `docs/compat.md`.
#[test]
fn hash_of_another_kind_is_that_of_the_object() {
    let mut fs = MemoryFs::new();
    let kustomization = "configMapGenerator: [{name: a}]\npatches:\n- target: {name: a}\n  patch: '[{\"op\": \"replace\", \"path\": \"/kind\", \"value\": \"Foo\"}]'\n";
    fs.write("/R/kustomization.yaml", kustomization.to_owned());
    let built = || build(&fs, "/R", &Options::default()).expect("it builds");
    let name = built().resources[0].object["metadata"]["name"].clone();
    let hash = name.as_str().and_then(|name| name.strip_prefix("a-"));
    assert_eq!(hash.map(str::len), Some(10), "{name}");
    assert_eq!(built().resources[0].object["metadata"]["name"], name);
}

macro_rules! golden {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(
                    stringify!($name),
                    include_str!(concat!("goldens/", stringify!($name), ".txt")),
                );
            }
        )*
    };
}

golden!(
    components,
    errors,
    found,
    generators,
    merge,
    names,
    output,
    overlays,
    patches,
    plugins,
    reading,
    replacements,
    spec,
);
