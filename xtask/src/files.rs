//! Folders of generated files: write them, or check that they are up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// The texts of all files of a folder, by name. A folder that is not there has none.
pub fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    if !folder.exists() {
        return Ok(texts);
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            texts.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    Ok(texts)
}

/// Makes a folder hold these files and no others.
pub fn write(folder: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for name in read(folder)?
        .keys()
        .filter(|name| !files.contains_key(*name))
    {
        fs::remove_file(folder.join(name)).with_context(|| name.clone())?;
    }
    for (name, text) in files {
        fs::write(folder.join(name), text).with_context(|| name.clone())?;
    }
    Ok(())
}

/// Fails unless a folder holds these files and no others; `command` makes it so.
pub fn check(folder: &Path, files: &BTreeMap<String, String>, command: &str) -> anyhow::Result<()> {
    let found = read(folder)?;
    let names: BTreeSet<_> = found.keys().chain(files.keys()).collect();
    let stale: Vec<_> = names
        .into_iter()
        .filter(|name| found.get(*name) != files.get(*name))
        .map(String::as_str)
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "{} is not up to date, run `{command}`: {}",
        folder.display(),
        stale.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_folder_is_up_to_date_until_something_changes() {
        let folder = tempfile::tempdir().unwrap();
        let files = BTreeMap::from([("a.yaml".to_owned(), "a: 1\n".to_owned())]);
        assert!(check(folder.path(), &files, "make").is_err());
        fs::write(folder.path().join("old.yaml"), "").unwrap();
        write(folder.path(), &files).unwrap();
        check(folder.path(), &files, "make").unwrap();
        fs::write(folder.path().join("new.yaml"), "").unwrap();
        let error = check(folder.path(), &files, "make")
            .unwrap_err()
            .to_string();
        assert!(error.contains("run `make`: new.yaml"), "{error}");
    }
}
