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
        let want = match (&case.ours, &case.out, &case.err) {
            (Some(ours), _, None) => Ok(ours.clone()),
            (Some(ours), _, Some(_)) => Err(ours.clone()),
            (None, Some(out), _) => Ok(out.clone()),
            (None, None, Some(err)) => Err(err.clone()),
            (None, None, None) => Ok(String::new()),
        };
        let (got, warnings) = outcome(case);
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
    replacements
);
