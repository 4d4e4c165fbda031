//! Go's slash paths. On Linux, file paths are the same.

use sluice_gotemplate::Value;

use super::convert::{BOOL, STRING, string, utf8};
use super::{Body, Entry, fixed};

const BASE: Body = |_, a| string(base(&utf8(&a[0])));
const DIR: Body = |_, a| string(dir(&utf8(&a[0])));
const CLEAN: Body = |_, a| string(clean(&utf8(&a[0])));
const EXT: Body = |_, a| string(ext(&utf8(&a[0])));
const IS_ABS: Body = |_, a| Ok(Value::Bool(utf8(&a[0]).starts_with('/')));

pub(crate) const TABLE: &[Entry] = &[
    fixed("base", &[STRING], STRING, BASE),
    fixed("dir", &[STRING], STRING, DIR),
    fixed("clean", &[STRING], STRING, CLEAN),
    fixed("ext", &[STRING], STRING, EXT),
    fixed("isAbs", &[STRING], BOOL, IS_ABS),
    fixed("osBase", &[STRING], STRING, BASE),
    fixed("osDir", &[STRING], STRING, DIR),
    fixed("osClean", &[STRING], STRING, CLEAN),
    fixed("osExt", &[STRING], STRING, EXT),
    fixed("osIsAbs", &[STRING], BOOL, IS_ABS),
];

/// Go's `path.Base`.
pub(crate) fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/".to_owned();
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned()
}

fn dir(path: &str) -> String {
    match path.rfind('/') {
        Some(at) => clean(&path[..=at]),
        None => ".".to_owned(),
    }
}

/// Go's `path.Clean`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            other => parts.push(other),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn ext(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |at| &name[at..]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_gos() {
        for (path, b, d, c, e) in [
            ("", ".", ".", ".", ""),
            ("/", "/", "/", "/", ""),
            ("a/b.c.d", "b.c.d", "a", "a/b.c.d", ".d"),
            ("a//b/../c/", "c", "a/c", "a/c", ""),
            ("../../a", "a", "../..", "../../a", ""),
            ("/../a", "a", "/", "/a", ""),
            (".a", ".a", ".", ".a", ".a"),
        ] {
            assert_eq!(base(path), b, "{path}");
            assert_eq!(dir(path), d, "{path}");
            assert_eq!(clean(path), c, "{path}");
            assert_eq!(ext(path), e, "{path}");
        }
    }
}
