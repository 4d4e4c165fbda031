//! Every golden case, rendered in memory.

use crate::cases;

use std::path::{Path, PathBuf};

fn files(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn charts_render_as_helm_renders_them() {
    let mut wrong = Vec::new();
    for path in files("txt") {
        let text = std::fs::read_to_string(&path).expect("reads");
        for case in cases::parse(&text) {
            let want = match (&case.out, &case.err) {
                (Some(out), None) => Ok(out.clone()),
                (None, Some(err)) => Err(err.clone()),
                _ => panic!("{}: one of OUT and ERR", case.name),
            };
            let got = cases::outcome(&case).map_err(|text| text + "\n");
            if got != want {
                wrong.push(format!("{}\n  want {want:?}\n  got  {got:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn expressions_print_what_helm_prints() {
    let values = include_str!("../goldens/values.yaml");
    let mut wrong = Vec::new();
    for path in files("expr") {
        let text = std::fs::read_to_string(&path).expect("reads");
        for expression in cases::parse_expressions(&text) {
            let case = cases::case_of(&expression, values);
            let got = cases::outcome(&case).map(|text| cases::printed(&text));
            if Some(&got) != expression.outcome.as_ref() {
                wrong.push(format!(
                    "{}\n  want {:?}\n  got  {got:?}",
                    cases::escape(&expression.text),
                    expression.outcome
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
