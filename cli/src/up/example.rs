//! The example fleet, laid out as a Git repository, for `sluice up` without a repository.

use std::path::Path;

use anyhow::Context as _;

/// The path in the example that describes the cluster.
pub const PATH: &str = "./clusters/local";

/// The files of `examples/fleet`, compiled in so that the binary needs no source folder.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/example.rs"));

/// Writes the example into `folder` and commits it on branch `main`, if it is not there already.
///
/// The commit has a fixed author and time: the same example has the same revision everywhere.
///
/// # Errors
/// The folder cannot be written.
pub fn lay_out(folder: &Path) -> anyhow::Result<()> {
    if folder.join(".git").exists() {
        return Ok(());
    }
    for (name, text) in FILES {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot create `{}`", parent.display()))?;
        }
        std::fs::write(&file, text)
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    commit(folder).context("cannot commit the example")
}

fn commit(folder: &Path) -> Result<(), git2::Error> {
    let mut options = git2::RepositoryInitOptions::new();
    options.initial_head("main");
    let repository = git2::Repository::init_opts(folder, &options)?;
    let mut index = repository.index()?;
    index.add_all(["."], git2::IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = git2::Signature::new(
        "Sluice",
        "sluice@example.test",
        &git2::Time::new(1_767_225_600, 0),
    )?;
    let message = "An example fleet";
    repository.commit(Some("HEAD"), &author, &author, message, &tree, &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_one_commit_with_every_file_and_is_kept_once_there() {
        let folder = tempfile::tempdir().expect("folder");
        lay_out(folder.path()).expect("laid out");
        let head = || {
            let repository = git2::Repository::open(folder.path()).expect("opens");
            let head = repository.head().expect("head").peel_to_commit();
            head.expect("commit").id()
        };
        let first = head();
        let repository = git2::Repository::open(folder.path()).expect("opens");
        assert!(repository.statuses(None).expect("statuses").is_empty());
        assert!(folder.path().join("clusters/local/apps.yaml").exists());
        lay_out(folder.path()).expect("kept");
        assert_eq!(head(), first);
    }
}
